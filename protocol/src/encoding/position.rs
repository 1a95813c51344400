//! Where in a blob a segment is.
//!
//! Promises: its length follows. Does not: know bytes.

use super::parameters::Parameters;

/// Which segment of how long a blob: all that a segment's commitment depends on besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentPosition {
    /// Number of the segment.
    pub segment: u32,
    /// Length of the whole blob.
    pub blob_bytes: u64,
}

impl SegmentPosition {
    /// Bytes of the segment.
    pub fn length(&self, parameters: &Parameters) -> u32 {
        parameters.segment_length(self.blob_bytes, self.segment)
    }
}
