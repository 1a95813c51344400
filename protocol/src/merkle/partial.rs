//! A part of a tree: what proofs of some of its leaves tell.
//!
//! Promises: every node that it holds follows from what was opened, so all of it is as true as its root is.
//! Does not: hold more than what the proofs brought and what follows from them.

use super::multi::{Level, MultiProof, prove_many};
use super::{MISSING, Proof, fold_level, height};
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
    fn new(count: usize, levels: Vec<Level>) -> Self {
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

impl MultiProof {
    /// The part of a tree of `count` leaves that these leaves, each with its index, in ascending order, and the siblings
    /// tell; `None` if the leaves are none, out of order or past the end, or if siblings are missing or left over.
    pub fn open(&self, leaves: &[(usize, Digest)], count: usize) -> Option<PartialTree> {
        let in_order = leaves.is_sorted_by(|(one, _), (next, _)| one < next);
        if !in_order || leaves.last().is_none_or(|(last, _)| *last >= count) {
            return None;
        }
        let mut siblings = self.siblings.iter().copied();
        let (mut level, mut width, mut levels) = (leaves.to_vec(), count, Vec::new());
        while width > 1 {
            let (known, above) = climb(&level, width, &mut siblings)?;
            levels.push(known);
            (level, width) = (above, width.div_ceil(2));
        }
        levels.push(level);
        siblings.next().is_none().then(|| PartialTree::new(count, levels))
    }

    /// The root of the tree of `count` leaves that has all these leaves; `None` as for [`MultiProof::open`].
    pub fn root(&self, leaves: &[(usize, Digest)], count: usize) -> Option<Digest> {
        self.open(leaves, count).map(|opened| opened.root())
    }

    /// Whether the tree of `count` leaves with this root has all these leaves.
    pub fn verify(&self, leaves: &[(usize, Digest)], count: usize, root: &Digest) -> bool {
        self.root(leaves, count).is_some_and(|found| found == *root)
    }
}

/// One level up: what is then known of this level, and the nodes above the given ones.
fn climb(
    level: &[(usize, Digest)],
    width: usize,
    siblings: &mut impl Iterator<Item = Digest>,
) -> Option<(Level, Level)> {
    let (mut known, mut pairs) = (Level::new(), Vec::new());
    let (mut places, mut rest) = (Vec::new(), level.iter().copied().peekable());
    while let Some((place, node)) = rest.next() {
        let left = place / 2 * 2;
        let right = left + 1;
        let (first, second) = match rest.next_if(|(next, _)| *next == right && place == left) {
            Some((_, second)) => (node, Some(second)),
            None if place == right => (siblings.next()?, Some(node)),
            None if right < width => (node, Some(siblings.next()?)),
            None => (node, None),
        };
        known.push((left, first));
        known.extend(second.map(|second| (right, second)));
        pairs.extend([first, second.unwrap_or(MISSING)]);
        places.push(place / 2);
    }
    let even = pairs.len();
    fold_level(&mut pairs, 1, even);
    Some((known, places.into_iter().zip(pairs).collect()))
}
