//! What storing a blob is charged for: the bytes that the whole network keeps of it.
//!
//! Promises: exact, and nothing grows with the square of the shards. Does not: know prices.
//! Source: `protocol.md` section 1.

use super::Parameters;

/// Bytes of a digest.
const DIGEST_BYTES: u64 = 32;
/// Bytes of a header's commitment to one segment: two digests.
const COMMITMENT_BYTES: u64 = 2 * DIGEST_BYTES;
/// Neighbouring pairs whose leaves a pair's proof holds, so that a lost pair is recognised by what its neighbours know.
const PAIR_GROUP: u16 = 16;

impl Parameters {
    /// Bytes of the proof of one sliver pair: its two roots, the leaves of the others in its group, and the path from the
    /// group to the root.
    pub fn pair_proof_bytes(&self) -> u64 {
        let neighbours = PAIR_GROUP.min(self.shards) - 1;
        let levels = levels(self.shards.div_ceil(PAIR_GROUP));
        DIGEST_BYTES * (2 + u64::from(neighbours) + levels)
    }

    /// Bytes of the path of one symbol of a short blob; several symbols of one node share most of theirs.
    pub fn symbol_proof_bytes(&self) -> u64 {
        DIGEST_BYTES * levels(self.shards)
    }

    /// What storing a blob is charged for: slivers or symbols, their proofs, and the header at so many nodes. `None` past
    /// `u64`.
    pub fn encoded_bytes(&self, blob_bytes: u64, header_replicas: u16) -> Option<u64> {
        let shards = u64::from(self.shards);
        let header = COMMITMENT_BYTES * u64::from(header_replicas);
        if self.is_short(blob_bytes) {
            let length = u32::try_from(blob_bytes).expect("a short blob is no longer than 64 KiB");
            let symbol = u64::from(self.short_symbol_bytes(length));
            return Some(shards * (symbol + self.symbol_proof_bytes()) + header);
        }
        let symbols =
            shards * (u64::from(self.primary_source()) + u64::from(self.secondary_source()));
        let beside = shards * self.pair_proof_bytes() + header;
        let of_segment = |length: u32| symbols * u64::from(self.symbol_bytes(length)) + beside;
        let whole = blob_bytes / u64::from(self.segment_bytes);
        let rest = blob_bytes % u64::from(self.segment_bytes);
        let rest = u32::try_from(rest).expect("a remainder is smaller than its divisor");
        let last = if rest > 0 || blob_bytes == 0 { of_segment(rest) } else { 0 };
        whole.checked_mul(of_segment(self.segment_bytes))?.checked_add(last)
    }
}

/// Levels above the leaves of a tree of so many.
fn levels(leaves: u16) -> u64 {
    u64::from(u32::from(leaves).next_power_of_two().ilog2())
}

#[cfg(test)]
mod tests {
    use super::super::index;
    use super::*;
    use crate::encoding::{SEGMENT_BYTES, SHORT_BYTES_MAX, encode_short};

    fn network(shards: u16, segment_bytes: u32) -> Parameters {
        let parameters = Parameters::new(shards, segment_bytes).expect("valid parameters");
        parameters.with_short_blobs(SHORT_BYTES_MAX.min(segment_bytes)).expect("the most there are")
    }

    #[test]
    fn proofs_are_as_long_as_their_parts() {
        for (shards, pair, symbol) in [
            (4, 64 + 32 * 3, 32 * 2),
            (7, 64 + 32 * 6, 32 * 3),
            (16, 64 + 32 * 15, 32 * 4),
            (17, 64 + 32 * (15 + 1), 32 * 5),
            (100, 64 + 32 * (15 + 3), 32 * 7),
            (1000, 64 + 32 * (15 + 6), 32 * 10),
        ] {
            let parameters = network(shards, SEGMENT_BYTES);
            assert_eq!(parameters.pair_proof_bytes(), pair, "{shards} shards");
            assert_eq!(parameters.symbol_proof_bytes(), symbol, "{shards} shards");
        }
    }

    #[test]
    fn segments_are_charged_one_by_one_with_pairs_proofs_and_headers() {
        let parameters = network(7, 1024);
        for blob_bytes in [1025, 2048, 2049, 5000] {
            let count = u32::try_from(parameters.segment_count(blob_bytes)).expect("few segments");
            let sum: u64 = (0..count)
                .map(|k| {
                    let symbol = parameters.symbol_bytes(parameters.segment_length(blob_bytes, k));
                    7 * (3 + 5) * u64::from(symbol) + 7 * (64 + 32 * 6) + 64 * 3
                })
                .sum();
            assert_eq!(parameters.encoded_bytes(blob_bytes, 3), Some(sum));
        }
        assert_eq!(parameters.encoded_bytes(u64::MAX, 3), None);
        let none = Parameters::new(7, 1024).expect("valid parameters");
        assert_eq!(none.encoded_bytes(0, 3), Some(7 * 8 * 2 + 7 * (64 + 32 * 6) + 64 * 3));
    }

    #[test]
    fn a_short_blob_is_charged_what_its_symbols_paths_and_headers_are() {
        for (shards, length) in [(4, 0), (7, 1000), (100, 10_240), (1000, 1), (1000, 1 << 16)] {
            let parameters = network(shards, SEGMENT_BYTES);
            let blob = vec![1; index(length)];
            let encoded = encode_short(&parameters, &blob);
            let stored = |index| {
                let proof = encoded.prove(&[index]).expect("there is such a symbol");
                encoded.symbol(index).len() + proof.siblings.len() * 32
            };
            let stored: usize = (0..shards).map(stored).sum();
            let charged = parameters.encoded_bytes(u64::from(length), 9).expect("little");
            let missing = charged - 64 * 9 - stored as u64;
            // At the right edge of the tree some levels lack a sibling.
            assert!(missing < parameters.symbol_proof_bytes() * 20, "{missing} of {charged}");
        }
    }

    #[test]
    fn a_small_blob_in_a_large_network_is_charged_less_than_half_a_megabyte() {
        let parameters = network(1000, SEGMENT_BYTES);
        let charged = parameters.encoded_bytes(10 << 10, 100).expect("little");
        assert_eq!(charged, 1000 * (128 + 320) + 6400);
        let walrus = 1000 * ((334 + 667) * 2 + 64 * 1000 + 32);
        assert!(charged < walrus / 100);
    }
}
