//! Which blobs are short in a network, and the sizes of their one row of symbols.
//!
//! Promises: the length alone decides, so that equal bytes have one id. Does not: know segments.
//! Source: `protocol.md` sections 1 and 3.

use super::{Parameters, ParametersError, index};
use crate::encoding::kind::Encoding;

/// Bytes of the longest short blob on every network but a test's.
pub const SHORT_BYTES: u32 = SHORT_BYTES_MAX;

/// No network can have longer short blobs: whoever recovers a symbol fetches the whole blob.
pub const SHORT_BYTES_MAX: u32 = 1 << 16;

/// Fewer bytes are not worth a Merkle path.
const SYMBOL_BYTES_MIN: u32 = 128;

/// Blocks of the code and of BLAKE3: symbols of whole blocks need no padding to be hashed.
const BLOCK_BYTES: u32 = 64;

impl Parameters {
    /// The same network, in which blobs of up to this many bytes are short; with zero, none are.
    ///
    /// # Errors
    /// More than [`SHORT_BYTES_MAX`], or than a segment.
    pub const fn with_short_blobs(self, short_bytes_max: u32) -> Result<Self, ParametersError> {
        let most =
            if self.segment_bytes < SHORT_BYTES_MAX { self.segment_bytes } else { SHORT_BYTES_MAX };
        if short_bytes_max > most {
            return Err(ParametersError::ShortBytes { most, found: short_bytes_max });
        }
        Ok(Parameters { short_bytes_max, ..self })
    }

    /// Bytes of the longest short blob; zero in a network without them.
    pub const fn short_bytes_max(&self) -> u32 {
        self.short_bytes_max
    }

    /// Whether a blob of this length is one row of symbols rather than segments.
    pub const fn is_short(&self, blob_bytes: u64) -> bool {
        self.short_bytes_max > 0 && blob_bytes <= self.short_bytes_max as u64
    }

    /// How blobs of this length are encoded here.
    pub const fn encoding_of(&self, blob_bytes: u64) -> Encoding {
        if self.is_short(blob_bytes) { Encoding::Short } else { Encoding::Segments }
    }

    /// `s`: bytes of a symbol of a short blob of this length, in whole blocks.
    pub const fn short_symbol_bytes(&self, length: u32) -> u32 {
        let bytes = length.div_ceil(self.primary_source() as u32).next_multiple_of(BLOCK_BYTES);
        if bytes < SYMBOL_BYTES_MIN { SYMBOL_BYTES_MIN } else { bytes }
    }

    /// How many symbols hold a short blob's own bytes: the first ones, and one for an empty blob. Those from there to `P`
    /// are zeros that everybody knows, so as many symbols as these decode the blob, whichever they are.
    pub fn short_data_symbols(&self, length: u32) -> u16 {
        let count = length.div_ceil(self.short_symbol_bytes(length)).max(1);
        u16::try_from(count).expect("at most as many symbols as the code has sources")
    }

    /// Bytes of all symbols of a short blob of this length.
    pub fn short_encoded_bytes(&self, length: u32) -> usize {
        usize::from(self.shards) * index(self.short_symbol_bytes(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::SEGMENT_BYTES;

    fn network(shards: u16) -> Parameters {
        let parameters = Parameters::new(shards, SEGMENT_BYTES).expect("valid parameters");
        parameters.with_short_blobs(SHORT_BYTES_MAX).expect("the most there can be")
    }

    #[test]
    fn the_length_alone_says_whether_a_blob_is_short() {
        let parameters = network(10);
        for (length, is_short) in [(0, true), (1, true), (1 << 16, true), ((1 << 16) + 1, false)] {
            assert_eq!(parameters.is_short(length), is_short, "{length} bytes");
        }
        assert_eq!(parameters.encoding_of(1 << 16), Encoding::Short);
        assert_eq!(parameters.encoding_of(u64::MAX), Encoding::Segments);
        let none = Parameters::new(10, 1024).expect("valid parameters");
        assert_eq!(none.short_bytes_max(), 0);
        assert!(!none.is_short(0), "in a network without short blobs not even an empty one is");
        assert_eq!(none.encoding_of(0), Encoding::Segments);
    }

    #[test]
    fn symbols_are_whole_blocks_that_hold_the_blob() {
        for (shards, length, symbol, data) in [
            (1000, 0, 128, 1),
            (1000, 1, 128, 1),
            (1000, 128, 128, 1),
            (1000, 129, 128, 2),
            (1000, 1024, 128, 8),
            (1000, 10_240, 128, 80),
            (1000, 1 << 16, 256, 256),
            (100, 10_240, 320, 32),
            (10, 4096, 1024, 4),
            (4, 1 << 16, 1 << 15, 2),
            (4, 257, 192, 2),
            (32_768, 1 << 16, 128, 512),
        ] {
            let parameters = network(shards);
            assert_eq!(parameters.short_symbol_bytes(length), symbol, "n={shards} {length} bytes");
            assert_eq!(parameters.short_data_symbols(length), data, "n={shards} {length} bytes");
            assert!(data <= parameters.primary_source());
            let all = usize::from(shards) * index(symbol);
            assert_eq!(parameters.short_encoded_bytes(length), all);
        }
    }

    #[test]
    fn a_short_blob_is_no_longer_than_a_segment_and_64_kib() {
        let (small, large) = (Parameters::new(4, 1024), Parameters::new(4, SEGMENT_BYTES));
        let too_long = |most, found| Err(ParametersError::ShortBytes { most, found });
        let (small, large) = (small.expect("valid"), large.expect("valid"));
        assert_eq!(small.with_short_blobs(1025), too_long(1024, 1025));
        assert!(small.with_short_blobs(1024).is_ok_and(|found| found.is_short(1024)));
        assert_eq!(large.with_short_blobs((1 << 16) + 1), too_long(1 << 16, (1 << 16) + 1));
        assert_eq!(large.with_short_blobs(0), Ok(large));
    }
}
