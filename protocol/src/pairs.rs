//! What ties a sliver pair to its segment: the tree over all pairs, and the proof that goes with each.
//!
//! Promises: a proof is as long as its pair's place says, `Parameters::pair_proof_bytes` at most, and holds for that pair of
//! that segment only; nobody needs the proofs of others. Does not: compute sliver roots (see [`crate::encoding`]) or keep proofs.
//! Source: `protocol.md` section 3.

mod known;
mod proof;

pub use known::{GroupProof, KnownPairs, Member};
pub use proof::{PairProof, PairProofError};

use std::ops::Range;

use crate::crypto::{self, Digest};
use crate::merkle::{self, Tree};
use crate::sliver::{Axis, PairIndex};

/// Neighbours whose leaves a proof names, aligned: so that a lost pair is recognised again by any proof of its group.
pub const GROUP_PAIRS: u16 = 16;
/// Levels of a whole group's tree above its leaves.
const GROUP_HEIGHT: usize = 4;

/// The Merkle roots of a pair's two slivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct PairRoots {
    /// Root over the `n` symbols of the primary sliver.
    pub primary: Digest,
    /// Root over the `n` symbols of the secondary sliver.
    pub secondary: Digest,
}

impl PairRoots {
    /// The root of one of the two.
    pub fn of(&self, axis: Axis) -> &Digest {
        match axis {
            Axis::Primary => &self.primary,
            Axis::Secondary => &self.secondary,
        }
    }

    /// The pair's leaf in the tree over all pairs.
    pub fn leaf(&self) -> Digest {
        crypto::hash_pair(&self.primary, &self.secondary)
    }
}

/// The tree over all pairs of a segment: what its writer has, and nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairTree {
    roots: Vec<PairRoots>,
    tree: Tree,
}

impl PairTree {
    /// Over these pairs, in their order.
    pub fn new(roots: Vec<PairRoots>) -> Self {
        let tree = Tree::new(roots.iter().map(PairRoots::leaf).collect());
        PairTree { roots, tree }
    }

    /// From the roots of all primaries and all secondaries, each in the order of their slivers.
    pub(crate) fn from_slivers(primary: &[Digest], secondary: &[Digest]) -> Self {
        let pairs = primary.iter().zip(secondary.iter().rev());
        let roots = |(primary, secondary): (&Digest, &Digest)| PairRoots {
            primary: *primary,
            secondary: *secondary,
        };
        PairTree::new(pairs.map(roots).collect())
    }

    /// Merkle root over the pair leaves: the segment commitment's `slivers_root`.
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// The roots of a pair's slivers.
    ///
    /// # Panics
    /// If the pair is not below the shard count.
    pub fn roots(&self, pair: PairIndex) -> PairRoots {
        self.roots[usize::from(pair.0)]
    }

    /// The root that a sliver must have.
    ///
    /// # Panics
    /// If the sliver is not below the shard count.
    pub fn sliver_root(&self, axis: Axis, sliver_index: u16) -> &Digest {
        let sliver = usize::from(sliver_index);
        match axis {
            Axis::Primary => &self.roots[sliver].primary,
            Axis::Secondary => &self.roots[self.roots.len() - 1 - sliver].secondary,
        }
    }

    /// Proves a pair. Takes copies and no hash.
    ///
    /// # Panics
    /// If the pair is not below the shard count.
    pub fn prove(&self, pair: PairIndex) -> PairProof {
        let place = usize::from(pair.0);
        let siblings = self.tree.prove(place).expect("a pair is below the shard count").siblings;
        let shards =
            u16::try_from(self.roots.len()).expect("a network has at most u16::MAX shards");
        let group = pairs_of_group(pair.0 / GROUP_PAIRS, shards);
        let others = group.map(usize::from).filter(|other| *other != place);
        let leaves = self.tree.leaves();
        PairProof {
            roots: self.roots[place],
            neighbours: others.map(|other| leaves[other]).collect(),
            path: siblings[height_of_group(shards)..].to_vec(),
        }
    }
}

/// How many groups the pairs of a segment make.
fn groups(shards: u16) -> u16 {
    shards.div_ceil(GROUP_PAIRS)
}

/// The pairs of a group; the last one may be smaller.
fn pairs_of_group(group: u16, shards: u16) -> Range<u16> {
    let start = group.saturating_mul(GROUP_PAIRS);
    start..start.saturating_add(GROUP_PAIRS).min(shards)
}

/// Levels between the pair leaves and their group's node, which is the root if there is one group only.
fn height_of_group(shards: u16) -> usize {
    match groups(shards) {
        1 => merkle::height(usize::from(shards)),
        _ => GROUP_HEIGHT,
    }
}

#[cfg(test)]
mod tests;
