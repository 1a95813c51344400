//! Merkle trees over digests, and proofs that a leaf stands at a place.
//!
//! Promises: a missing right child counts as 32 zero bytes; a single leaf is its own root; a proof holds for one leaf,
//! one index and one leaf count only, and a [`MultiProof`] likewise for several leaves. Does not: hash the leaves; each kind of leaf has its own role key.
//! Source: `protocol.md` section 3.

mod multi;
mod partial;

use crate::crypto::{self, Digest};
use crate::encoding::lanes;

pub use multi::MultiProof;
pub use partial::PartialTree;

/// Stands for the right child that an odd level lacks.
const MISSING: Digest = [0; 32];

/// Root of the tree over these leaves; 32 zero bytes if there are none.
pub fn root(leaves: &[Digest]) -> Digest {
    let mut nodes = leaves.to_vec();
    let mut width = nodes.len();
    while width > 1 {
        width = fold_level(&mut nodes, 1, width);
    }
    nodes.first().copied().unwrap_or(MISSING)
}

/// Replaces each of `trees` equal runs of `width` nodes by the level above; returns the new width.
pub(crate) fn fold_level(nodes: &mut Vec<Digest>, trees: usize, width: usize) -> usize {
    debug_assert_eq!(nodes.len(), trees * width);
    if width % 2 == 1 {
        let mut even = Vec::with_capacity(trees * (width + 1));
        for run in nodes.chunks_exact(width) {
            even.extend_from_slice(run);
            even.push(MISSING);
        }
        *nodes = even;
    }
    lanes::hash_pairs_in_place(crypto::role::node_key(), nodes);
    width.div_ceil(2)
}

/// The siblings on the way from a leaf to the root.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
pub struct Proof {
    /// From the leaf's sibling upwards.
    pub siblings: Vec<Digest>,
}

/// Proves that the leaf stands at this index; `None` if there is no such leaf. To prove several, keep a [`Tree`].
pub fn prove(leaves: &[Digest], index: usize) -> Option<Proof> {
    Tree::new(leaves.to_vec()).prove(index)
}

/// A tree with all its levels: proves any leaf without hashing. Holds about twice its leaves, 64 bytes for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    leaves: usize,
    /// Level after level from the leaves to the root, without the missing children.
    nodes: Vec<Digest>,
}

impl Tree {
    /// The tree over these leaves.
    pub fn new(leaves: Vec<Digest>) -> Self {
        let count = leaves.len();
        let mut nodes = Vec::with_capacity(2 * count + height(count));
        let (mut level, mut width) = (leaves, count);
        nodes.extend_from_slice(&level);
        while width > 1 {
            width = fold_level(&mut level, 1, width);
            nodes.extend_from_slice(&level);
        }
        Tree { leaves: count, nodes }
    }

    /// What [`root()`] gives for the leaves.
    pub fn root(&self) -> Digest {
        self.nodes.last().copied().unwrap_or(MISSING)
    }

    /// The leaves, in their order.
    pub fn leaves(&self) -> &[Digest] {
        &self.nodes[..self.leaves]
    }

    /// Proves that the leaf stands at this index; `None` if there is no such leaf. Takes `O(log n)` copies and no hash.
    pub fn prove(&self, index: usize) -> Option<Proof> {
        if index >= self.leaves {
            return None;
        }
        let mut siblings = Vec::with_capacity(height(self.leaves));
        let (mut level, mut width, mut place) = (&*self.nodes, self.leaves, index);
        while width > 1 {
            let (nodes, above) = level.split_at(width);
            siblings.push(nodes.get(place ^ 1).copied().unwrap_or(MISSING));
            (level, width, place) = (above, width.div_ceil(2), place / 2);
        }
        Some(Proof { siblings })
    }
}

impl Proof {
    /// Whether the tree of `count` leaves with this root has this leaf at this index.
    pub fn verify(&self, leaf: &Digest, index: usize, count: usize, root: &Digest) -> bool {
        self.root(leaf, index, count).is_some_and(|found| found == *root)
    }

    /// The root of the tree of `count` leaves that has this leaf at this index; `None` if the proof is for no such tree.
    pub fn root(&self, leaf: &Digest, index: usize, count: usize) -> Option<Digest> {
        if index >= count || self.siblings.len() != height(count) {
            return None;
        }
        let (mut place, mut width) = (index, count);
        for sibling in &self.siblings {
            // Nothing stands where the level has ended.
            if place ^ 1 >= width && *sibling != MISSING {
                return None;
            }
            (place, width) = (place / 2, width.div_ceil(2));
        }
        Some(climb(leaf, index, &self.siblings))
    }
}

/// The node so many levels above these leaves, which are all that lie below it.
pub(crate) fn node_above(leaves: Vec<Digest>, levels: usize) -> Digest {
    let mut nodes = leaves;
    for _level in 0..levels {
        let width = nodes.len();
        fold_level(&mut nodes, 1, width);
    }
    debug_assert!(nodes.len() <= 1, "more leaves than lie below one node");
    nodes.first().copied().unwrap_or(MISSING)
}

/// The siblings on the way from one of these nodes up so many levels, below a node that has no others.
pub(crate) fn siblings_below(nodes: &[Digest], mut place: usize, levels: usize) -> Vec<Digest> {
    let mut nodes = nodes.to_vec();
    let mut siblings = Vec::with_capacity(levels);
    for _level in 0..levels {
        siblings.push(nodes.get(place ^ 1).copied().unwrap_or(MISSING));
        let width = nodes.len();
        fold_level(&mut nodes, 1, width);
        place /= 2;
    }
    siblings
}

/// The node that a node and the siblings on its way give.
pub(crate) fn climb(node: &Digest, mut place: usize, siblings: &[Digest]) -> Digest {
    let mut node = *node;
    for sibling in siblings {
        node = match place % 2 {
            0 => crypto::hash_node(&node, sibling),
            _ => crypto::hash_node(sibling, &node),
        };
        place /= 2;
    }
    node
}

/// Levels above the leaves of a tree.
pub(crate) fn height(count: usize) -> usize {
    count.checked_next_power_of_two().unwrap_or(1 << (usize::BITS - 1)).ilog2() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|i| *blake3::hash(&i.to_le_bytes()).as_bytes()).collect()
    }

    /// The definition, one node at a time.
    fn slow_root(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => MISSING,
            [only] => *only,
            _ => {
                let parent =
                    |pair: &[Digest]| crypto::hash_node(&pair[0], pair.get(1).unwrap_or(&MISSING));
                slow_root(&leaves.chunks(2).map(parent).collect::<Vec<_>>())
            }
        }
    }

    #[test]
    fn roots_follow_the_definition_at_every_size() {
        for count in (0..70).chain([100, 127, 128, 129, 1000]) {
            assert_eq!(root(&leaves(count)), slow_root(&leaves(count)), "{count} leaves");
        }
    }

    #[test]
    fn every_leaf_is_proved_at_its_own_place_only() {
        for count in [1, 2, 3, 5, 8, 13, 100] {
            let leaves = leaves(count);
            let root = root(&leaves);
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = prove(&leaves, index).expect("the leaf exists");
                assert!(proof.verify(leaf, index, count, &root));
                assert!(!proof.verify(leaf, index + 1, count + 2, &root));
                assert!(!proof.verify(&[7; 32], index, count, &root));
                for other in (0..count).filter(|other| *other != index) {
                    assert!(!proof.verify(leaf, other, count, &root));
                }
            }
            assert_eq!(prove(&leaves, count), None);
        }
    }

    #[test]
    fn a_tree_knows_its_root_and_proves_its_leaves() {
        for count in (0..40).chain([127, 128, 129, 1000]) {
            let leaves = leaves(count);
            let tree = Tree::new(leaves.clone());
            assert_eq!(tree.root(), slow_root(&leaves), "{count} leaves");
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = tree.prove(index).expect("the leaf exists");
                assert!(proof.verify(leaf, index, count, &tree.root()), "{index} of {count}");
            }
            assert_eq!(tree.prove(count), None);
        }
    }

    #[test]
    fn nothing_can_stand_where_a_level_has_ended() {
        // A tree of six whose last two leaves claim to be beyond a tree of five.
        let (six, shown) = (leaves(6), leaves(5));
        let proof = prove(&six, 4).expect("the leaf exists");
        assert!(proof.verify(&six[4], 4, 6, &root(&six)));
        assert_eq!(proof.root(&shown[4], 4, 5), None);
        assert!(prove(&shown, 4).expect("the leaf exists").verify(&shown[4], 4, 5, &root(&shown)));
    }

    #[test]
    fn a_proof_of_the_wrong_length_is_refused() {
        let leaves = leaves(5);
        let root = root(&leaves);
        let mut proof = prove(&leaves, 2).expect("the leaf exists");
        proof.siblings.push([0; 32]);
        assert!(!proof.verify(&leaves[2], 2, 5, &root));
        proof.siblings.truncate(1);
        assert!(!proof.verify(&leaves[2], 2, 5, &root));
        assert!(!Proof { siblings: Vec::new() }.verify(&root, 0, 0, &root));
    }
}
