//! The plain BLAKE3 hash of a blob, segment by segment.
//!
//! Promises: merging the digests of all segments gives what `b3sum` prints for the blob, for any length. A segment is a
//! subtree of BLAKE3's own tree because its size is a power of two chunks.

use blake3::hazmat::{self, HasherExt, Mode};

use super::parameters::Parameters;
use super::position::SegmentPosition;
use crate::crypto::Digest;

/// What a segment's commitment holds as `content`: the chaining value of the segment's bytes as a subtree of the blob, or
/// the plain hash of a blob of one segment.
pub fn content_digest(parameters: &Parameters, position: SegmentPosition, bytes: &[u8]) -> Digest {
    ContentHasher::new(parameters, position).finish(bytes)
}

/// Hashes a segment as it grows in memory, while its newest bytes are still in the cache.
pub(super) struct ContentHasher {
    hasher: blake3::Hasher,
    /// Whether the segment is a whole blob, not a subtree of one.
    is_blob: bool,
    done: usize,
}

impl ContentHasher {
    pub(super) fn new(parameters: &Parameters, position: SegmentPosition) -> Self {
        let mut hasher = blake3::Hasher::new();
        let is_blob = parameters.segment_count(position.blob_bytes) == 1;
        if !is_blob {
            let segment = u64::from(position.segment);
            hasher.set_input_offset(segment * u64::from(parameters.segment_bytes()));
        }
        ContentHasher { hasher, is_blob, done: 0 }
    }

    /// Takes what has come since the last call; `bytes` is all of the segment that is known.
    pub(super) fn advance(&mut self, bytes: &[u8]) {
        // In whole steps, so that every step is a subtree and fills the lanes.
        const STEP: usize = 64 * 1024;
        let end = bytes.len() / STEP * STEP;
        for step in bytes[self.done..end].chunks(STEP) {
            self.hasher.update(step);
        }
        self.done = end;
    }

    /// The digest, given the whole segment.
    pub(super) fn finish(mut self, bytes: &[u8]) -> Digest {
        self.hasher.update(&bytes[self.done..]);
        if self.is_blob {
            *self.hasher.finalize().as_bytes()
        } else {
            self.hasher.finalize_non_root()
        }
    }
}

/// The BLAKE3 hash of a blob from the digests of its segments.
///
/// # Panics
/// If there are not as many digests as the blob has segments.
pub fn merge_content(parameters: &Parameters, blob_bytes: u64, digests: &[Digest]) -> Digest {
    assert_eq!(digests.len() as u64, parameters.segment_count(blob_bytes), "one digest a segment");
    match digests {
        [only] => *only,
        _ => {
            let (left, right) = digests.split_at(left_count(digests.len()));
            *hazmat::merge_subtrees_root(&merge(left), &merge(right), Mode::Hash).as_bytes()
        }
    }
}

fn merge(digests: &[Digest]) -> Digest {
    match digests {
        [only] => *only,
        _ => {
            let (left, right) = digests.split_at(left_count(digests.len()));
            hazmat::merge_subtrees_non_root(&merge(left), &merge(right), Mode::Hash)
        }
    }
}

/// The left subtree is the largest full one that leaves something for the right.
fn left_count(count: usize) -> usize {
    count.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_digests_are_the_hash_of_the_whole_blob() {
        let parameters = Parameters::new(4, 1024).expect("valid parameters");
        let bytes: Vec<u8> = (0..40_000u32).map(|i| (i / 7).to_le_bytes()[0]).collect();
        let lengths = [0, 1, 1023, 1024, 1025, 2048, 2049, 3072, 4096, 5000, 9216, 17_000, 40_000];
        for length in lengths {
            let blob = &bytes[..length];
            let blob_bytes = length as u64;
            let count = u32::try_from(parameters.segment_count(blob_bytes)).expect("few segments");
            let digests: Vec<_> = (0..count)
                .map(|segment| {
                    let start = usize::try_from(segment).expect("a small number") * 1024;
                    let bytes = &blob[start..length.min(start + 1024)];
                    content_digest(&parameters, SegmentPosition { segment, blob_bytes }, bytes)
                })
                .collect();
            let merged = merge_content(&parameters, blob_bytes, &digests);
            assert_eq!(merged, *blake3::hash(blob).as_bytes(), "{length} bytes");
        }
    }
}
