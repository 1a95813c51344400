//! A part of a tree: what proofs of some of its leaves tell.
//!
//! Promises: every node that it holds follows from what was opened, so all of it is as true as its root is.
//! Does not: hold more than what the proofs brought and what follows from them.

use super::multi::{Level, MultiProof, prove_many};
use super::{MISSING, Proof, height};
use crate::crypto::Digest;

/// Some leaves of a tree, the nodes above them up to the root, and the siblings of those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialTree {
    /// Leaves of the whole tree.
    count: usize,
    /// What is known of each level, from the leaves to the root.
    levels: Vec<Level>,
}

impl PartialTree {
    /// Every level in order; the last one is the root.
    pub(super) fn new(count: usize, levels: Vec<Level>) -> Self {
        debug_assert_eq!(levels.len(), height(count) + 1);
        PartialTree { count, levels }
    }

    /// The root of the whole tree.
    pub fn root(&self) -> Digest {
        let top = self.levels.last().and_then(|level| level.first());
        top.map_or(MISSING, |(_, root)| *root)
    }

    /// A leaf, if it is known.
    pub fn leaf(&self, index: usize) -> Option<Digest> {
        self.node(0, index)
    }

    fn node(&self, level: usize, place: usize) -> Option<Digest> {
        let level = self.levels.get(level)?;
        let found = level.binary_search_by_key(&place, |(place, _)| *place).ok()?;
        Some(level[found].1)
    }

    /// Proves known leaves, named in ascending order, each once: fewer than were opened, or those of several proofs
    /// together. `None` if they are none, out of order, past the end or not known.
    pub fn prove_many(&self, indexes: &[usize]) -> Option<MultiProof> {
        let is_known = indexes.iter().all(|index| self.leaf(*index).is_some());
        is_known.then(|| prove_many(indexes, self.count, |level, place| self.node(level, place)))?
    }

    /// Proves a known leaf by itself.
    pub fn prove(&self, index: usize) -> Option<Proof> {
        self.leaf(index)?;
        let (mut siblings, mut place, mut width) = (Vec::new(), index, self.count);
        for level in 0..height(self.count) {
            let sibling = place ^ 1;
            siblings.push(if sibling < width { self.node(level, sibling)? } else { MISSING });
            (place, width) = (place / 2, width.div_ceil(2));
        }
        Some(Proof { siblings })
    }

    /// Adds what another part of the same tree knows; `false`, and nothing changes, if it is of another tree.
    pub fn merge(&mut self, other: &PartialTree) -> bool {
        if self.count != other.count || self.root() != other.root() {
            return false;
        }
        for (level, others) in self.levels.iter_mut().zip(&other.levels) {
            level.extend_from_slice(others);
            level.sort_by_key(|(place, _)| *place);
            level.dedup_by_key(|(place, _)| *place);
        }
        true
    }
}
