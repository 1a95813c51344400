//! The encodings that there are.
//!
//! Promises: each has one number, in headers, ids and on chain. Does not: encode.
//! Source: `protocol.md` section 3.

/// How a blob's bytes become symbols. 1 is Walrus's RS2, which no network of ours has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Segments, each a matrix of symbols.
    Segments = 2,
    /// One row of symbols, for short blobs.
    Short = 3,
}

impl Encoding {
    /// Its number in headers, ids and on chain.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The encoding with this number, if it is known here.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            2 => Some(Encoding::Segments),
            3 => Some(Encoding::Short),
            _ => None,
        }
    }
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "encoding {}", self.number())
    }
}
