//! The numbers of a network: shards, faults, rows and columns, and the sizes that follow from a blob's length.
//!
//! Promises: every size is exact; nothing overflows for any `u64` blob length. Does not: know committees or prices.
//! Source: `protocol.md` section 1.

mod accounting;
mod short;

use crate::sliver::axis::Axis;

pub use short::{SHORT_BYTES, SHORT_BYTES_MAX};

/// Bytes of a segment on every network but a test's: 32 MiB.
pub const SEGMENT_BYTES: u32 = 1 << 25;

/// Fewer shards leave no redundancy: three tolerate no fault.
pub const MIN_SHARDS: u16 = 4;

/// The code's field has no room for many more.
pub const MAX_SHARDS: u16 = 1 << 15;

/// Smallest segment: one BLAKE3 chunk, so that every segment is a subtree of the blob's hash.
pub const MIN_SEGMENT_BYTES: u32 = 1024;

/// What a network fixes at genesis, and all that follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parameters {
    shards: u16,
    segment_bytes: u32,
    short_bytes_max: u32,
}

/// Why numbers are no parameters of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// Too few shards to survive a fault.
    #[error("a network needs at least {MIN_SHARDS} shards, not {0}")]
    TooFewShards(u16),
    /// More than the code can tell apart.
    #[error("a network has at most {MAX_SHARDS} shards, not {0}")]
    TooManyShards(u16),
    /// Not a power of two from [`MIN_SEGMENT_BYTES`] to [`SEGMENT_BYTES`].
    #[error(
        "a segment is a power of two from {MIN_SEGMENT_BYTES} to {SEGMENT_BYTES} bytes, not {0}"
    )]
    SegmentBytes(u32),
    /// Longer than [`SHORT_BYTES_MAX`] or a segment.
    #[error("a short blob has at most {most} bytes in this network, not {found}")]
    ShortBytes {
        /// The most it can be.
        most: u32,
        /// What was asked for.
        found: u32,
    },
}

impl Parameters {
    /// Checks and keeps the two numbers that most else follows from. No blob is short; see
    /// [`Parameters::with_short_blobs`].
    pub const fn new(shards: u16, segment_bytes: u32) -> Result<Self, ParametersError> {
        if shards < MIN_SHARDS {
            return Err(ParametersError::TooFewShards(shards));
        }
        if shards > MAX_SHARDS {
            return Err(ParametersError::TooManyShards(shards));
        }
        if !segment_bytes.is_power_of_two()
            || segment_bytes < MIN_SEGMENT_BYTES
            || segment_bytes > SEGMENT_BYTES
        {
            return Err(ParametersError::SegmentBytes(segment_bytes));
        }
        Ok(Parameters { shards, segment_bytes, short_bytes_max: 0 })
    }

    /// `n`: sliver pairs of a segment, and rows and columns of its expanded matrix.
    pub const fn shards(&self) -> u16 {
        self.shards
    }

    /// `f`: shards that may fail.
    pub const fn faults(&self) -> u16 {
        (self.shards - 1) / 3
    }

    /// `P = n - 2f`: rows of the source matrix, and primary slivers that decode a segment.
    pub const fn primary_source(&self) -> u16 {
        self.shards - 2 * self.faults()
    }

    /// `S = n - f`: columns of the source matrix, and secondary slivers that decode a segment.
    pub const fn secondary_source(&self) -> u16 {
        self.shards - self.faults()
    }

    /// Slivers of this axis that decode a segment.
    pub const fn source(&self, axis: Axis) -> u16 {
        match axis {
            Axis::Primary => self.primary_source(),
            Axis::Secondary => self.secondary_source(),
        }
    }

    /// Symbols of one sliver of this axis: the source count of the other axis.
    pub const fn sliver_symbols(&self, axis: Axis) -> u16 {
        match axis {
            Axis::Primary => self.secondary_source(),
            Axis::Secondary => self.primary_source(),
        }
    }

    /// Bytes of every segment but a blob's last.
    pub const fn segment_bytes(&self) -> u32 {
        self.segment_bytes
    }

    /// Segments of a blob; an empty blob has one, of length zero.
    pub fn segment_count(&self, blob_bytes: u64) -> u64 {
        blob_bytes.div_ceil(u64::from(self.segment_bytes)).max(1)
    }

    /// Bytes of the blob that lie in this segment; zero past the end.
    pub fn segment_length(&self, blob_bytes: u64, segment: u32) -> u32 {
        let start = u64::from(segment) * u64::from(self.segment_bytes);
        let rest = blob_bytes.saturating_sub(start).min(u64::from(self.segment_bytes));
        u32::try_from(rest).expect("a segment's length fits the type of the segment size")
    }

    /// `s`: bytes of a symbol in a segment of this length. Even, and at least two.
    pub const fn symbol_bytes(&self, segment_length: u32) -> u32 {
        let symbols = self.primary_source() as u32 * self.secondary_source() as u32;
        let length = if segment_length == 0 { 1 } else { segment_length };
        let bytes = length.div_ceil(symbols);
        bytes + bytes % 2
    }

    /// Bytes of a sliver of this axis in a segment of this length.
    pub fn sliver_bytes(&self, axis: Axis, segment_length: u32) -> usize {
        let symbol = index(self.symbol_bytes(segment_length));
        usize::from(self.sliver_symbols(axis)) * symbol
    }
}

/// Widens a size within a segment for indexing.
pub(crate) fn index(bytes: u32) -> usize {
    usize::try_from(bytes).expect("sizes within a segment fit every supported address space")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_counts_are_those_of_the_reference_table() {
        for (shards, faults, primary, secondary) in [
            (4, 1, 2, 3),
            (7, 2, 3, 5),
            (10, 3, 4, 7),
            (13, 4, 5, 9),
            (100, 33, 34, 67),
            (1000, 333, 334, 667),
        ] {
            let parameters = Parameters::new(shards, SEGMENT_BYTES).expect("valid parameters");
            assert_eq!(parameters.faults(), faults);
            assert_eq!(parameters.primary_source(), primary);
            assert_eq!(parameters.secondary_source(), secondary);
        }
    }

    #[test]
    fn symbol_sizes_are_those_measured_with_the_reference() {
        for (shards, length, symbol) in [
            (1000, 0, 2),
            (1000, 1024, 2),
            (1000, 1 << 20, 6),
            (1000, 1 << 25, 152),
            (100, 1 << 20, 462),
            (100, 1 << 25, 14730),
            (10, 1 << 20, 37450),
            (10, 1024, 38),
            (4, 12, 2),
            (4, 13, 4),
        ] {
            let parameters = Parameters::new(shards, SEGMENT_BYTES).expect("valid parameters");
            assert_eq!(parameters.symbol_bytes(length), symbol, "n={shards} length={length}");
        }
    }

    #[test]
    fn segments_cover_a_blob_exactly() {
        let parameters = Parameters::new(4, 1024).expect("valid parameters");
        for blob_bytes in [0, 1, 1023, 1024, 1025, 2048, 10_000] {
            let count = u32::try_from(parameters.segment_count(blob_bytes)).expect("few segments");
            let total: u64 =
                (0..count).map(|k| u64::from(parameters.segment_length(blob_bytes, k))).sum();
            assert_eq!(total, blob_bytes);
            assert_eq!(parameters.segment_length(blob_bytes, count), 0);
        }
        assert_eq!(parameters.segment_count(0), 1);
        assert_eq!(parameters.segment_count(1024), 1);
        assert_eq!(parameters.segment_count(1025), 2);
    }

    #[test]
    fn wrong_numbers_are_refused() {
        assert_eq!(Parameters::new(3, 1024), Err(ParametersError::TooFewShards(3)));
        for bytes in [0, 512, 1025, 1 << 26] {
            assert_eq!(Parameters::new(4, bytes), Err(ParametersError::SegmentBytes(bytes)));
        }
    }
}
