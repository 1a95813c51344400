//! Who may send a pair, who said that it cannot, and who did.
//!
//! Promises: a pair counts as lost only when everybody who may have it said that it does not; what came is held against
//! whoever sent it, not against who else might have. Does not: choose whom to ask.

use std::collections::{BTreeMap, BTreeSet};

use crate::machine::roster::Owners;
use crate::sliver::PairIndex;

/// The owners of all pairs of a segment.
#[derive(Debug)]
pub(super) struct PairOwners {
    of: Vec<Owners>,
    lacking: BTreeSet<(PairIndex, usize)>,
    senders: BTreeMap<PairIndex, usize>,
}

impl PairOwners {
    /// The owners of each pair, by its index.
    pub(super) fn new(of: Vec<Owners>) -> Self {
        PairOwners { of, lacking: BTreeSet::new(), senders: BTreeMap::new() }
    }

    /// How many pairs each of so many members is asked for first.
    pub(super) fn shares(&self, members: usize) -> Vec<usize> {
        let mut shares = vec![0; members];
        for owners in &self.of {
            shares[owners.likely] += 1;
        }
        shares
    }

    /// Everybody who may have a pair.
    pub(super) fn all(&self, pair: PairIndex) -> Owners {
        self.of[usize::from(pair.0)]
    }

    /// Those that did not say that they do not have it, the likelier first.
    pub(super) fn remaining(&self, pair: PairIndex) -> impl Iterator<Item = usize> {
        let owners = self.all(pair);
        let lacks =
            move |member: &usize| owners.other.is_some() && self.lacking.contains(&(pair, *member));
        owners.iter().filter(move |member| !lacks(member))
    }

    /// Whether a pair's shard has another owner than before.
    pub(super) fn is_moved(&self, pair: PairIndex) -> bool {
        self.all(pair).other.is_some()
    }

    /// A member does not have a pair; whether nobody has it.
    pub(super) fn lacks(&mut self, pair: PairIndex, member: usize) -> bool {
        let is_moved = self.is_moved(pair);
        if is_moved {
            self.lacking.insert((pair, member));
        }
        !is_moved || self.remaining(pair).next().is_none()
    }

    /// A member sent a pair that others may have, too.
    pub(super) fn sent(&mut self, pair: PairIndex, member: usize) {
        self.senders.insert(pair, member);
    }

    /// Who sent it last.
    pub(super) fn sender(&self, pair: PairIndex) -> usize {
        self.senders.get(&pair).copied().unwrap_or(self.all(pair).likely)
    }

    /// What was said of slivers of one axis says nothing of the other.
    pub(super) fn forget(&mut self) {
        self.lacking.clear();
        self.senders.clear();
    }
}
