//! Whether what an owner sent of a segment is what its writer committed to.
//!
//! Promises: a pair is sound only with its own proof and with both of its slivers; after the first that is not, nothing more
//! is looked at. Does not: say what follows.

use bytes::Bytes;

use crate::blob::{BlobHeader, BlobId};
use crate::encoding::{Parameters, SliverVerifier};
use crate::machine::Blame;
use crate::pairs::PairProof;
use crate::sliver::{Axis, ShardIndex};
use crate::wire::shard::PairLayout;

/// A pair that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Whose it is.
    pub shard: ShardIndex,
    /// Its proof, as it came.
    pub proof: Bytes,
    /// Its primary and its secondary sliver.
    pub slivers: [Bytes; 2],
}

impl Sound {
    /// How many bytes came for it.
    pub fn bytes(&self) -> u64 {
        let slivers = self.slivers.iter().map(Bytes::len).sum::<usize>();
        u64::try_from(self.proof.len().saturating_add(slivers)).unwrap_or(u64::MAX)
    }
}

/// The pairs of one segment, as many as are right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// These are.
    pub sound: Vec<Sound>,
    /// What is wrong with the next one.
    pub lie: Option<Blame>,
}

/// Checks pairs as they are on the wire, in their order, against the header of a blob of so many bytes; nothing if that has no
/// such segment. Slow.
///
/// # Panics
/// If a shard is not below the shard count, or a pair is not as long as its layout says.
pub fn check(
    parameters: &Parameters,
    header: &BlobHeader,
    (blob_id, bytes): (&BlobId, u64),
    segment: u32,
    pairs: Vec<(ShardIndex, Bytes)>,
) -> Option<Checked> {
    let commitment = header.segments.get(usize::try_from(segment).ok()?)?;
    let mut verifier = SliverVerifier::new(parameters, parameters.segment_length(bytes, segment));
    let mut checked = Checked::default();
    for (shard, raw) in pairs {
        let (pair, layout) = PairLayout::new(parameters, (blob_id, bytes), segment, shard);
        let (proof, slivers) = layout.split(&raw);
        let root = &commitment.slivers_root;
        let Ok(verified) = PairProof::read_verified(&proof, pair, parameters, root) else {
            return Some(Checked { lie: Some(Blame::WrongProof), ..checked });
        };
        let is_right = Axis::BOTH.into_iter().zip(&slivers).all(|(axis, sliver)| {
            let index = pair.sliver_index(axis, parameters);
            verifier.verify(axis, index, sliver, verified.roots.of(axis)).is_ok()
        });
        if !is_right {
            return Some(Checked { lie: Some(Blame::WrongBytes), ..checked });
        }
        checked.sound.push(Sound { shard, proof, slivers });
    }
    Some(checked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{SegmentPosition, encode_segment, header_of};

    #[test]
    fn what_was_written_is_sound_and_any_wrong_byte_is_a_lie_that_ends_it() {
        let parameters = Parameters::new(7, 1024).expect("valid parameters");
        let bytes = Bytes::from(vec![9; 1500]);
        let header = header_of(&parameters, &bytes);
        let blob_id = header.blob_id();
        let position = SegmentPosition { segment: 1, blob_bytes: 1500 };
        let encoded = encode_segment(&parameters, position, bytes.slice(1024..));
        let shards = [0, 3, 6].map(ShardIndex);
        let raw = |shard: &ShardIndex| {
            let (pair, _) = PairLayout::new(&parameters, (&blob_id, 1500), 1, *shard);
            let slivers =
                Axis::BOTH.map(|axis| encoded.sliver(axis, pair.sliver_index(axis, &parameters)));
            [&encoded.pairs().prove(pair).to_bytes()[..], &slivers[0], &slivers[1]].concat()
        };
        let run = |pairs: Vec<Vec<u8>>| {
            let pairs = shards.into_iter().zip(pairs.into_iter().map(Bytes::from)).collect();
            check(&parameters, &header, (&blob_id, 1500), 1, pairs)
                .expect("there is such a segment")
        };
        let right: Vec<_> = shards.iter().map(raw).collect();
        let checked = run(right.clone());
        assert_eq!((checked.sound.len(), checked.lie), (3, None));
        let length = u64::try_from(right[1].len()).expect("small");
        assert_eq!((checked.sound[1].shard, checked.sound[1].bytes()), (shards[1], length));
        for place in 0..right[1].len() {
            let mut wrong = right.clone();
            wrong[1][place] ^= 1;
            let checked = run(wrong);
            assert_eq!(checked.sound.len(), 1, "byte {place}");
            assert!(checked.lie.is_some(), "byte {place}");
        }
        let far = check(&parameters, &header, (&blob_id, 1500), 2, Vec::new());
        assert_eq!(far, None, "there is no such segment");
    }
}
