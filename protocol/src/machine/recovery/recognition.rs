//! Which proofs show what the rebuilt pairs of a recovery should be, and whether they are.
//!
//! Promises: one proof of each target's group is asked for; where no member of the group proves anything, one as near as
//! there is, so that as few pairs as possible are rebuilt together. Does not: ask.

use std::collections::{BTreeMap, BTreeSet};

use super::{Effect, SegmentRecovery, Thing};
use crate::machine::Timestamp;
use crate::machine::retry::ABSENT_TIMES;
use crate::pairs::{GROUP_PAIRS, Member, PairRoots};
use crate::sliver::PairIndex;

impl SegmentRecovery {
    /// Whether a pair is of the same group as another.
    fn are_neighbours(one: PairIndex, other: PairIndex) -> bool {
        one.0 / GROUP_PAIRS == other.0 / GROUP_PAIRS
    }

    /// How far apart the groups of two pairs are in the tree over all: how many levels up they meet, and more.
    fn distance(one: PairIndex, other: PairIndex) -> u16 {
        (one.0 / GROUP_PAIRS) ^ (other.0 / GROUP_PAIRS)
    }

    /// Pairs that are recognised only together with a target, if that is not alone.
    fn together_with(&self, target: PairIndex) -> Option<impl Iterator<Item = PairIndex> + Clone> {
        let range = self.known.recognised_with(target);
        (range.len() > 1).then(|| range.map(PairIndex))
    }

    /// Proofs to ask for now: the nearest for each target of which nothing is known and nothing is on its way.
    pub(super) fn proofs_to_ask(&self, now: Timestamp) -> Vec<Thing> {
        let promised = self.questions.promised().filter_map(|thing| match thing {
            Thing::Proof(pair) => Some(*pair),
            Thing::Symbols(..) => None,
        });
        let mut hoped: BTreeSet<PairIndex> = promised.collect();
        let mut wanted = Vec::new();
        for target in &self.targets {
            let Some(range) = self.together_with(*target) else { continue };
            let of_group = |pair: &PairIndex| Self::are_neighbours(*pair, *target);
            if hoped.iter().any(of_group) {
                continue;
            }
            let is_free = |pair: &PairIndex| self.is_free(now, Thing::Proof(*pair));
            let others = range.clone().filter(|pair| !self.targets.contains(pair));
            let free = others.filter(is_free);
            let nearest = free.min_by_key(|pair| {
                (Self::distance(*pair, *target), self.rank(Thing::Proof(*pair)))
            });
            let Some(nearest) = nearest else { continue };
            if of_group(&nearest) || !range.clone().any(|pair| hoped.contains(&pair)) {
                hoped.insert(nearest);
                wanted.push(Thing::Proof(nearest));
            }
        }
        wanted
    }

    /// Has those pairs rebuilt, too, without which a target cannot be recognised because nobody has a proof for it; or,
    /// once there are symbols enough, nobody who answers.
    pub(super) fn widen(&mut self, now: Timestamp) -> Vec<Effect> {
        let is_waited_for = !self.has_enough();
        let late: BTreeSet<_> = self.questions.late_members().collect();
        let mut more = BTreeSet::new();
        for target in &self.targets {
            let Some(range) = self.together_with(*target) else { continue };
            let may_prove = |pair: PairIndex| {
                let (thing, owner) = (Thing::Proof(pair), self.owner(Thing::Proof(pair)));
                let is_away = self.members.is_silent(owner)
                    || self.members.is_resting(now, owner)
                    || late.contains(&owner);
                !self.targets.contains(&pair)
                    && self.may_come(thing, ABSENT_TIMES)
                    && (is_waited_for || !is_away)
            };
            if !range.clone().any(may_prove) {
                more.extend(range.filter(|pair| !self.targets.contains(pair)));
            }
        }
        if more.is_empty() {
            return Vec::new();
        }
        self.targets.extend(more);
        self.restart()
    }

    /// Whether it will be known of each target whether it is the one that was committed to.
    pub(super) fn can_recognise(&self) -> bool {
        self.targets.iter().all(|target| {
            self.together_with(*target)
                .is_none_or(|mut range| range.all(|pair| self.targets.contains(&pair)))
        })
    }

    /// The pairs that are the ones that were committed to.
    pub(super) fn recognise(
        &mut self,
        roots: &BTreeMap<PairIndex, PairRoots>,
    ) -> BTreeSet<PairIndex> {
        let mut right = BTreeSet::new();
        for (pair, own) in roots {
            if right.contains(pair) || pair.0 >= self.parameters.shards() {
                continue;
            }
            if let Some(Member::Roots(known)) = self.known.member(*pair) {
                right.extend((known == own).then_some(*pair));
                continue;
            }
            let range: Vec<_> = self.known.recognised_with(*pair).map(PairIndex).collect();
            let together: Option<Vec<_>> =
                range.iter().map(|pair| roots.get(pair).copied()).collect();
            if together.is_some_and(|together| self.known.recognise(range[0], &together)) {
                right.extend(range);
            }
        }
        right
    }
}
