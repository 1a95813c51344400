//! Slivers: the rows and columns of an expanded segment, and where each lives.
//!
//! Promises: pair and shard numbers map onto each other one to one. Does not: hold sliver bytes or compute roots (see
//! [`crate::encoding`]), or prove them (see [`crate::pairs`]).
//! Source: `protocol.md` sections 2 and 3.

pub(crate) mod axis;

use std::fmt;

use crate::blob::BlobId;
use crate::encoding::parameters::Parameters;

pub use axis::Axis;

/// Number of a sliver pair within its segment.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
#[serde(transparent)]
pub struct PairIndex(pub u16);

/// Number of a shard: a place that holds one pair of every segment.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
#[serde(transparent)]
pub struct ShardIndex(pub u16);

impl fmt::Display for PairIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for ShardIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl PairIndex {
    /// Which sliver of this axis the pair holds: primary `p` and secondary `n - 1 - p`.
    ///
    /// # Panics
    /// If the pair is not below the shard count.
    pub fn sliver_index(self, axis: Axis, parameters: &Parameters) -> u16 {
        assert!(self.0 < parameters.shards(), "pair {self} is past the last shard");
        match axis {
            Axis::Primary => self.0,
            Axis::Secondary => parameters.shards() - 1 - self.0,
        }
    }
}

/// The pair that holds this sliver: the inverse of [`PairIndex::sliver_index`].
///
/// # Panics
/// If the sliver is not below the shard count.
pub fn pair_of_sliver(axis: Axis, index: u16, parameters: &Parameters) -> PairIndex {
    PairIndex(PairIndex(index).sliver_index(axis, parameters))
}

/// The shard on which a pair of a blob's segment lives.
///
/// # Panics
/// If the pair is not below the shard count.
pub fn shard_of_pair(
    parameters: &Parameters,
    blob_id: &BlobId,
    segment: u32,
    pair: PairIndex,
) -> ShardIndex {
    let shards = parameters.shards();
    assert!(pair.0 < shards, "pair {pair} is past the last shard");
    ShardIndex(remainder(
        u64::from(pair.0) + u64::from(rotation(parameters, blob_id, segment)),
        shards,
    ))
}

/// The pair of a blob's segment that lives on a shard: the inverse of [`shard_of_pair`].
///
/// # Panics
/// If the shard is not below the shard count.
pub fn pair_of_shard(
    parameters: &Parameters,
    blob_id: &BlobId,
    segment: u32,
    shard: ShardIndex,
) -> PairIndex {
    let shards = parameters.shards();
    assert!(shard.0 < shards, "shard {shard} is past the last shard");
    let back = shards - rotation(parameters, blob_id, segment);
    PairIndex(remainder(u64::from(shard.0) + u64::from(back), shards))
}

/// How far the pairs of a segment are turned: by the blob id, and by `P` more with every segment.
fn rotation(parameters: &Parameters, blob_id: &BlobId, segment: u32) -> u16 {
    let shards = parameters.shards();
    let offset = blob_id
        .as_bytes()
        .iter()
        .fold(0, |rest, byte| remainder((u64::from(rest) << 8) | u64::from(*byte), shards));
    let turned = u64::from(segment) * u64::from(parameters.primary_source());
    remainder(u64::from(offset) + turned, shards)
}

fn remainder(number: u64, shards: u16) -> u16 {
    u16::try_from(number % u64::from(shards)).expect("a remainder is smaller than its divisor")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(shards: u16) -> Parameters {
        Parameters::new(shards, 1024).expect("valid parameters")
    }

    fn numbered(last: u8) -> BlobId {
        let mut bytes = [0; 32];
        bytes[31] = last;
        BlobId::from_bytes(bytes)
    }

    #[test]
    fn pairs_rotate_as_the_reference_vectors_say() {
        let parameters = parameters(7);
        for (id, pair, shard) in
            [(15, 0, 1), (15, 5, 6), (15, 6, 0), (16, 5, 0), (16, 6, 1), (16, 4, 6)]
        {
            assert_eq!(
                shard_of_pair(&parameters, &numbered(id), 0, PairIndex(pair)),
                ShardIndex(shard)
            );
        }
    }

    #[test]
    fn the_whole_id_counts_as_a_big_endian_number() {
        let mut bytes = [0; 32];
        bytes[0] = 1; // 2^248; 2 has order 3 modulo 7, 248 = 3 * 82 + 2
        let shard = shard_of_pair(&parameters(7), &BlobId::from_bytes(bytes), 0, PairIndex(0));
        assert_eq!(shard, ShardIndex(4));
    }

    #[test]
    fn pairs_and_shards_map_one_to_one_in_every_segment() {
        for shards in [4, 7, 100, 1000] {
            let parameters = parameters(shards);
            let id = BlobId::from_bytes([0xc5; 32]);
            for segment in [0, 1, 2, 77, u32::MAX] {
                for pair in (0..shards).map(PairIndex) {
                    let shard = shard_of_pair(&parameters, &id, segment, pair);
                    assert_eq!(pair_of_shard(&parameters, &id, segment, shard), pair);
                }
            }
        }
    }

    #[test]
    fn consecutive_segments_turn_by_the_primary_source_count() {
        let parameters = parameters(10);
        let first = shard_of_pair(&parameters, &numbered(0), 0, PairIndex(1));
        let second = shard_of_pair(&parameters, &numbered(0), 1, PairIndex(1));
        assert_eq!((first, second), (ShardIndex(1), ShardIndex(5)));
    }

    #[test]
    fn a_pair_holds_a_primary_and_the_secondary_from_the_other_end() {
        let parameters = parameters(10);
        assert_eq!(PairIndex(3).sliver_index(Axis::Primary, &parameters), 3);
        assert_eq!(PairIndex(3).sliver_index(Axis::Secondary, &parameters), 6);
        assert_eq!(pair_of_sliver(Axis::Primary, 3, &parameters), PairIndex(3));
        assert_eq!(pair_of_sliver(Axis::Secondary, 6, &parameters), PairIndex(3));
    }

    #[test]
    fn indexes_and_axes_are_shown_as_people_write_them() {
        assert_eq!(format!("{} {}", PairIndex(12), ShardIndex(907)), "12 907");
        assert_eq!(format!("{} {}", Axis::Primary, Axis::Secondary), "primary secondary");
        assert_eq!(Axis::BOTH.map(Axis::other), [Axis::Secondary, Axis::Primary]);
    }
}
