//! The proof that ties one pair to the slivers root of its segment.
//!
//! Promises: reading one allocates no more than its bytes; a proof that verifies is the only one for its pair. Does not:
//! say anything of sliver bytes; those are hashed and compared with the roots.

use super::{PairRoots, groups, height_of_group, pairs_of_group};
use crate::crypto::Digest;
use crate::encoding::parameters::Parameters;
use crate::merkle;
use crate::sliver::PairIndex;

/// A pair's two roots, the leaves of its group, and the way from the group to the slivers root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairProof {
    /// The roots of the pair's slivers.
    pub roots: PairRoots,
    /// The leaves of the other pairs of its group, in their order.
    pub(super) neighbours: Vec<Digest>,
    /// The siblings on the way from the group's node to the root.
    pub(super) path: Vec<Digest>,
}

/// Why bytes prove nothing of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairProofError {
    /// The pair is past the last shard.
    #[error("there is no pair {0}")]
    NoSuchPair(u16),
    /// Of another length than a proof of this pair.
    #[error("a proof of pair {pair} has {expected} bytes, not {found}")]
    Length {
        /// The pair.
        pair: u16,
        /// What its place asks for.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// Of another pair or another segment.
    #[error("the proof of pair {0} does not match the segment's commitment")]
    WrongRoot(u16),
}

impl PairProof {
    /// How many bytes the proof of a pair has.
    ///
    /// # Panics
    /// If the pair is not below the shard count.
    pub fn bytes_of(pair: PairIndex, parameters: &Parameters) -> usize {
        let shards = parameters.shards();
        assert!(pair.0 < shards, "pair {pair} is past the last shard");
        let (neighbours, path) = counts(pair, shards);
        32 * (2 + neighbours + path)
    }

    /// Canonical bytes: the two roots, the neighbours, the path.
    pub fn to_bytes(&self) -> Vec<u8> {
        let roots = [self.roots.primary, self.roots.secondary];
        [roots.as_flattened(), self.neighbours.as_flattened(), self.path.as_flattened()].concat()
    }

    /// Reads canonical bytes. Proves nothing until verified.
    ///
    /// # Errors
    /// [`PairProofError`], but for the root.
    pub fn from_bytes(
        bytes: &[u8],
        pair: PairIndex,
        parameters: &Parameters,
    ) -> Result<Self, PairProofError> {
        let shards = parameters.shards();
        if pair.0 >= shards {
            return Err(PairProofError::NoSuchPair(pair.0));
        }
        let (expected, found) = (PairProof::bytes_of(pair, parameters), bytes.len());
        if found != expected {
            return Err(PairProofError::Length { pair: pair.0, expected, found });
        }
        let (digests, _) = bytes.as_chunks::<32>();
        let (roots, rest) = digests.split_at(2);
        let (neighbours, path) = rest.split_at(counts(pair, shards).0);
        Ok(PairProof {
            roots: PairRoots { primary: roots[0], secondary: roots[1] },
            neighbours: neighbours.to_vec(),
            path: path.to_vec(),
        })
    }

    /// Whether this is the proof of that pair in the segment with this slivers root.
    ///
    /// # Errors
    /// [`PairProofError`].
    pub fn verify(
        &self,
        pair: PairIndex,
        parameters: &Parameters,
        slivers_root: &Digest,
    ) -> Result<(), PairProofError> {
        let shards = parameters.shards();
        if pair.0 >= shards {
            return Err(PairProofError::NoSuchPair(pair.0));
        }
        if counts(pair, shards) != (self.neighbours.len(), self.path.len()) {
            let expected = PairProof::bytes_of(pair, parameters);
            let found = 32 * (2 + self.neighbours.len() + self.path.len());
            return Err(PairProofError::Length { pair: pair.0, expected, found });
        }
        match self.root(pair, shards) {
            Some(root) if root == *slivers_root => Ok(()),
            Some(_) | None => Err(PairProofError::WrongRoot(pair.0)),
        }
    }

    /// Reads and verifies in one step.
    ///
    /// # Errors
    /// [`PairProofError`].
    pub fn read_verified(
        bytes: &[u8],
        pair: PairIndex,
        parameters: &Parameters,
        slivers_root: &Digest,
    ) -> Result<Self, PairProofError> {
        let proof = PairProof::from_bytes(bytes, pair, parameters)?;
        proof.verify(pair, parameters, slivers_root)?;
        Ok(proof)
    }

    /// The leaves of the pair's group, its own among them, in their order.
    pub(super) fn leaves(&self, pair: PairIndex, shards: u16) -> Vec<Digest> {
        let mut leaves = self.neighbours.clone();
        let own = pair.0 - pairs_of_group(pair.0 / super::GROUP_PAIRS, shards).start;
        leaves.insert(usize::from(own), self.roots.leaf());
        leaves
    }

    /// The slivers root this proves the pair for; none if its path is that of no such tree. It must be as long as a proof of
    /// this pair.
    fn root(&self, pair: PairIndex, shards: u16) -> Option<Digest> {
        let node = merkle::node_above(self.leaves(pair, shards), height_of_group(shards));
        let group = usize::from(pair.0 / super::GROUP_PAIRS);
        let path = merkle::Proof { siblings: self.path.clone() };
        path.root(&node, group, usize::from(groups(shards)))
    }
}

/// How many neighbours a pair has, and how long its group's path is.
fn counts(pair: PairIndex, shards: u16) -> (usize, usize) {
    let group = pairs_of_group(pair.0 / super::GROUP_PAIRS, shards);
    (group.len() - 1, merkle::height(usize::from(groups(shards))))
}
