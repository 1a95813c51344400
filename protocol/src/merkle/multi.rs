//! One proof for several leaves of one tree: what they share on their ways to the root is there once.
//!
//! Promises: one form for given leaves and leaf count; opening any bytes gives a value or nothing, and allocates no more
//! than the leaves and siblings ask for. Does not: hash the leaves, or say which of several leaves was wrong.

#[cfg(test)]
mod tests;

use super::Tree;
use crate::crypto::Digest;

/// The siblings that several leaves lack on their ways to the root: level by level from the leaves upwards, in each from
/// left to right. None that follows from others, and none for a child that an odd level lacks.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
pub struct MultiProof {
    /// In the one order that there is for these leaves.
    pub siblings: Vec<Digest>,
}

impl MultiProof {
    /// Bytes of the longest proof of so many leaves in a tree of `count`.
    pub fn bytes_max(leaves: usize, count: usize) -> usize {
        32 * leaves.saturating_mul(super::height(count)).min(count)
    }

    /// The siblings, one after another.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.siblings.as_flattened().to_vec()
    }

    /// Reads siblings; `None` if they are not whole. Proves nothing until opened.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (siblings, rest) = bytes.as_chunks::<32>();
        rest.is_empty().then(|| MultiProof { siblings: siblings.to_vec() })
    }
}

/// Nodes of one level, each with its place, in order.
pub(super) type Level = Vec<(usize, Digest)>;

/// The proof of these leaves from what is known of their tree; `None` if that is not enough, or the indexes are none, out
/// of order or past the end. `node` gives a node by its level and place.
pub(super) fn prove_many(
    indexes: &[usize],
    count: usize,
    node: impl Fn(usize, usize) -> Option<Digest>,
) -> Option<MultiProof> {
    let in_order = indexes.is_sorted_by(|one, next| one < next);
    if !in_order || indexes.last().is_none_or(|last| *last >= count) {
        return None;
    }
    let (mut places, mut width, mut siblings) = (indexes.to_vec(), count, Vec::new());
    let mut level = 0;
    while width > 1 {
        for (i, place) in places.iter().enumerate() {
            let sibling = place ^ 1;
            let neighbour = if sibling > *place { places.get(i + 1) } else { before(&places, i) };
            if sibling < width && neighbour != Some(&sibling) {
                siblings.push(node(level, sibling)?);
            }
        }
        places.iter_mut().for_each(|place| *place /= 2);
        places.dedup();
        (level, width) = (level + 1, width.div_ceil(2));
    }
    Some(MultiProof { siblings })
}

fn before(places: &[usize], i: usize) -> Option<&usize> {
    i.checked_sub(1).and_then(|before| places.get(before))
}

impl Tree {
    /// Proves several leaves, named in ascending order, each once; `None` if they are none, out of order or past the end.
    pub fn prove_many(&self, indexes: &[usize]) -> Option<MultiProof> {
        let (mut starts, mut start, mut width) = (Vec::new(), 0, self.leaves);
        while width > 0 {
            starts.push(start);
            start += width;
            width = if width == 1 { 0 } else { width.div_ceil(2) };
        }
        let node = |level: usize, place| self.nodes.get(starts.get(level)? + place).copied();
        prove_many(indexes, self.leaves, node)
    }
}
