//! What many pair proofs of one segment tell together.
//!
//! Promises: holds only what verifies against the slivers root; a pair that was recovered is recognised by any proof of
//! its group, and where a whole group is unknown, together with all that lie below the lowest node that somebody's path
//! shows; a pair that was recognised can be proved again. Does not: recover slivers.
//! Source: `protocol.md` section 8.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{
    GROUP_PAIRS, PairProof, PairProofError, PairRoots, groups, height_of_group, pairs_of_group,
};
use crate::crypto::Digest;
use crate::encoding::parameters::Parameters;
use crate::merkle::{self, Proof};
use crate::sliver::{Axis, PairIndex, pair_of_sliver};

/// What is known of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Member {
    /// Its leaf.
    Leaf(Digest),
    /// Its two roots, and so its leaf.
    Roots(PairRoots),
}

impl Member {
    /// The pair's leaf in the tree over all pairs.
    pub fn leaf(&self) -> Digest {
        match self {
            Member::Leaf(leaf) => *leaf,
            Member::Roots(roots) => roots.leaf(),
        }
    }
}

/// A group of pairs, and the way from its node to the slivers root: many pair proofs in one.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct GroupProof {
    /// Which group: pairs `16 * group` and the fifteen after it.
    pub group: u16,
    /// What is known of each of its pairs, in their order.
    pub members: Vec<Member>,
    /// The siblings on the way from the group's node to the root.
    pub path: Vec<Digest>,
}

/// The pairs of one segment, as far as proofs told of them.
#[derive(Clone, Debug)]
pub struct KnownPairs {
    parameters: Parameters,
    slivers_root: Digest,
    groups: BTreeMap<u16, GroupProof>,
}

impl KnownPairs {
    /// Nothing is known but the slivers root of the segment's commitment.
    pub fn new(parameters: &Parameters, slivers_root: Digest) -> Self {
        KnownPairs { parameters: *parameters, slivers_root, groups: BTreeMap::new() }
    }

    /// Learns what a pair's proof tells.
    ///
    /// # Errors
    /// [`PairProofError`]: then nothing is learnt.
    pub fn learn(&mut self, pair: PairIndex, proof: &PairProof) -> Result<(), PairProofError> {
        proof.verify(pair, &self.parameters, &self.slivers_root)?;
        let group = pair.0 / GROUP_PAIRS;
        let known = self.groups.entry(group).or_insert_with(|| GroupProof {
            group,
            members: proof
                .leaves(pair, self.parameters.shards())
                .into_iter()
                .map(Member::Leaf)
                .collect(),
            path: proof.path.clone(),
        });
        known.members[usize::from(pair.0 % GROUP_PAIRS)] = Member::Roots(proof.roots);
        Ok(())
    }

    /// Learns what a group's proof tells.
    ///
    /// # Errors
    /// [`PairProofError`], about the group's first pair: then nothing is learnt.
    pub fn learn_group(&mut self, proof: &GroupProof) -> Result<(), PairProofError> {
        let shards = self.parameters.shards();
        let first = proof.group.checked_mul(GROUP_PAIRS).filter(|first| *first < shards);
        let first = first.ok_or(PairProofError::NoSuchPair(u16::MAX))?;
        if proof.members.len() != pairs_of_group(proof.group, shards).len() {
            return Err(PairProofError::WrongRoot(first));
        }
        let node = node_of(&proof.members, shards);
        let path = Proof { siblings: proof.path.clone() };
        let root = path.root(&node, usize::from(proof.group), usize::from(groups(shards)));
        if root != Some(self.slivers_root) {
            return Err(PairProofError::WrongRoot(first));
        }
        match self.groups.get_mut(&proof.group) {
            None => drop(self.groups.insert(proof.group, proof.clone())),
            Some(known) => {
                for (known, member) in known.members.iter_mut().zip(&proof.members) {
                    if let Member::Roots(_) = member {
                        *known = *member;
                    }
                }
            }
        }
        Ok(())
    }

    /// What is known of a pair.
    pub fn member(&self, pair: PairIndex) -> Option<&Member> {
        let group = self.groups.get(&(pair.0 / GROUP_PAIRS))?;
        group.members.get(usize::from(pair.0 % GROUP_PAIRS))
    }

    /// The root that a sliver must have, if its pair's roots are known.
    ///
    /// # Panics
    /// If the sliver is not below the shard count.
    pub fn sliver_root(&self, axis: Axis, sliver_index: u16) -> Option<&Digest> {
        match self.member(pair_of_sliver(axis, sliver_index, &self.parameters))? {
            Member::Roots(roots) => Some(roots.of(axis)),
            Member::Leaf(_) => None,
        }
    }

    /// A pair's proof, if its roots are known.
    pub fn prove(&self, pair: PairIndex) -> Option<PairProof> {
        let group = self.groups.get(&(pair.0 / GROUP_PAIRS))?;
        let own = usize::from(pair.0 % GROUP_PAIRS);
        let Member::Roots(roots) = group.members.get(own)? else { return None };
        let mut neighbours: Vec<_> = group.members.iter().map(Member::leaf).collect();
        neighbours.remove(own);
        Some(PairProof { roots: *roots, neighbours, path: group.path.clone() })
    }

    /// What convinces somebody else of the roots of some pairs, and of the leaf of one: their groups in order, telling no
    /// other roots.
    ///
    /// # Errors
    /// The pair of which that is not known.
    pub fn groups_of(
        &self,
        roots: impl Iterator<Item = PairIndex>,
        leaf: Option<PairIndex>,
    ) -> Result<Vec<GroupProof>, PairIndex> {
        let mut proofs: BTreeMap<u16, GroupProof> = BTreeMap::new();
        let wanted = roots.map(|pair| (pair, true)).chain(leaf.map(|pair| (pair, false)));
        for (pair, wants_roots) in wanted {
            let group = self.groups.get(&(pair.0 / GROUP_PAIRS)).ok_or(pair)?;
            let own = usize::from(pair.0 % GROUP_PAIRS);
            let member = group.members.get(own).ok_or(pair)?;
            let proof = proofs.entry(group.group).or_insert_with(|| {
                let leaves = group.members.iter().map(|member| Member::Leaf(member.leaf()));
                GroupProof { members: leaves.collect(), ..group.clone() }
            });
            match (wants_roots, member) {
                (true, Member::Roots(_)) => proof.members[own] = *member,
                (true, Member::Leaf(_)) => return Err(pair),
                (false, _) => (),
            }
        }
        Ok(proofs.into_values().collect())
    }

    /// The root over all pairs that everything known verifies against.
    pub fn slivers_root(&self) -> &Digest {
        &self.slivers_root
    }

    /// The pairs whose roots are recognised only together: the pair alone if anybody's proof showed its leaf; otherwise
    /// all pairs below the lowest node above it that is known.
    ///
    /// # Panics
    /// If the pair is not below the shard count.
    pub fn recognised_with(&self, pair: PairIndex) -> Range<u16> {
        assert!(pair.0 < self.parameters.shards(), "pair {pair} is past the last shard");
        let group = pair.0 / GROUP_PAIRS;
        if self.groups.contains_key(&group) {
            return pair.0..pair.0 + 1;
        }
        let level = self.known_ancestor(group);
        let first = group >> level << level;
        let shards = self.parameters.shards();
        let last = first.saturating_add((1 << level) - 1).min(groups(shards) - 1);
        pairs_of_group(first, shards).start..pairs_of_group(last, shards).end
    }

    /// Whether recovered pairs are the ones committed to, and learns them if they are. They must be all those that
    /// [`KnownPairs::recognised_with`] names, in their order.
    ///
    /// # Panics
    /// If they are not.
    pub fn recognise(&mut self, first: PairIndex, recovered: &[PairRoots]) -> bool {
        let range = self.recognised_with(first);
        assert!(
            range.start == first.0 && range.len() == recovered.len(),
            "pairs {range:?} are recognised together"
        );
        let group = first.0 / GROUP_PAIRS;
        if let Some(known) = self.groups.get_mut(&group) {
            let member = &mut known.members[usize::from(first.0 % GROUP_PAIRS)];
            let is_it = member.leaf() == recovered[0].leaf();
            if is_it {
                *member = Member::Roots(recovered[0]);
            }
            return is_it;
        }
        self.recognise_groups(group, recovered)
    }

    /// Checks whole groups against the lowest known node above them.
    fn recognise_groups(&mut self, first: u16, recovered: &[PairRoots]) -> bool {
        let shards = self.parameters.shards();
        let level = self.known_ancestor(first);
        let members: Vec<Vec<_>> = recovered
            .chunks(usize::from(GROUP_PAIRS))
            .map(|group| group.iter().copied().map(Member::Roots).collect())
            .collect();
        let nodes: Vec<_> = members.iter().map(|members| node_of(members, shards)).collect();
        let above = self.path_above(first, level);
        let path_of = |place: usize| {
            let siblings = merkle::siblings_below(&nodes, place, level);
            Proof { siblings: siblings.into_iter().chain(above.iter().copied()).collect() }
        };
        let count = usize::from(groups(shards));
        if path_of(0).root(&nodes[0], usize::from(first), count) != Some(self.slivers_root) {
            return false;
        }
        let paths: Vec<_> = (0..members.len()).map(path_of).collect();
        for ((group, members), path) in (first..).zip(members).zip(paths) {
            self.groups.insert(group, GroupProof { group, members, path: path.siblings });
        }
        true
    }

    /// How many levels above an unknown group the lowest node is whose sibling leads to a known one: that group's path
    /// shows it. The root is known to everybody.
    fn known_ancestor(&self, group: u16) -> usize {
        let height = merkle::height(usize::from(groups(self.parameters.shards())));
        (0..height).find(|level| self.known_beside(group, *level).is_some()).unwrap_or(height)
    }

    /// A known group below the sibling of the node that is so many levels above this one.
    fn known_beside(&self, group: u16, level: usize) -> Option<&GroupProof> {
        let first = ((group >> level) ^ 1) << level;
        self.groups
            .range(first..=first.saturating_add((1 << level) - 1))
            .next()
            .map(|(_, known)| known)
    }

    /// The siblings from the node that is so many levels above a group on; none if that is the root.
    fn path_above(&self, group: u16, level: usize) -> Vec<Digest> {
        let Some(known) = self.known_beside(group, level) else { return Vec::new() };
        let (below, above) = known.path.split_at(level);
        let node = node_of(&known.members, self.parameters.shards());
        let mut path = vec![merkle::climb(&node, usize::from(known.group), below)];
        path.extend_from_slice(&above[1..]);
        path
    }
}

/// The node above the leaves of a group.
fn node_of(members: &[Member], shards: u16) -> Digest {
    merkle::node_above(members.iter().map(Member::leaf).collect(), height_of_group(shards))
}
