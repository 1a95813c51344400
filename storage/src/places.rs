//! Where a sliver's bytes lie: in a row of their own, or in part of a bundle file.
//!
//! Promises: a row of `SLIVERS` and what it says are one to one. Does not: read the bytes.

use haulout_protocol::crypto::Digest;

/// Where a sliver lies and how to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SliverRow {
    /// Where it lies.
    pub(crate) place: Place,
    /// Its length in bytes.
    pub(crate) length: u32,
    /// Whether a read found other bytes than were written.
    pub(crate) damaged: bool,
    /// BLAKE3 of its bytes.
    pub(crate) digest: Digest,
}

/// Where a sliver's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the table of small slivers.
    Inline,
    /// In a bundle file.
    Bundle {
        /// Its number.
        id: u64,
        /// Where the sliver starts.
        offset: u64,
    },
}

impl SliverRow {
    /// Reads a row of `SLIVERS`.
    pub(crate) fn from_tuple(
        (id, offset, length, damaged, digest): (u64, u64, u32, bool, &Digest),
    ) -> Self {
        let place = if id == 0 { Place::Inline } else { Place::Bundle { id, offset } };
        SliverRow { place, length, damaged, digest: *digest }
    }

    /// The row of `SLIVERS` for it.
    pub(crate) fn as_tuple(&self) -> (u64, u64, u32, bool, &Digest) {
        let (id, offset) = match self.place {
            Place::Inline => (0, 0),
            Place::Bundle { id, offset } => (id, offset),
        };
        (id, offset, self.length, self.damaged, &self.digest)
    }
}
