//! Whom a reader asks while one committee takes over from another: who has a shard now, and who else may.
//!
//! ```text
//! certified in           the epoch changes        it has changed
//! an earlier epoch       the owner before, else the owner now   the owner now, else the owner before
//! this epoch             the owner now, else the owner before   the same
//! ```
//!
//! Promises: every shard's owner in the current committee is among those that are asked, and whoever had it before is,
//! too: a new owner may still be copying, whatever the rest of its committee reported; the order follows from the ledger,
//! not from anybody's word. Does not: say whom to write to, who signs, or whose word counts: those are always members of
//! the current committee.
//! Source: `protocol.md` section 8.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chain::object::staking::EpochState;
use crate::committee::{Committee, Member};
use crate::epoch::Epoch;
use crate::sliver::ShardIndex;

/// The members of the committee, by its own indexes, and behind them those that only served in the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    committee: Arc<Committee>,
    former: Vec<Member>,
    /// Who had a shard before that has another owner now.
    before: BTreeMap<ShardIndex, usize>,
    is_changing: bool,
}

/// Who may have a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owners {
    /// Who is asked first.
    pub likely: usize,
    /// Who is asked if that one is silent or does not have it; nobody where the owner stayed the same.
    pub other: Option<usize>,
}

impl Owners {
    /// All of them, the likelier first.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        std::iter::once(self.likely).chain(self.other)
    }
}

impl Roster {
    /// The roster of a committee and the one before it, in this phase of the epoch. One that is not of the epoch before,
    /// or has another number of shards, is as if it were not known.
    pub fn new(
        committee: Arc<Committee>,
        previous: Option<&Committee>,
        phase: &EpochState,
    ) -> Roster {
        let mut roster = Roster::settled(committee);
        let next = |previous: &Committee| previous.epoch().0.checked_add(1).map(Epoch);
        let is_before = |previous: &&Committee| {
            next(previous) == Some(roster.committee.epoch())
                && previous.shards() == roster.committee.shards()
        };
        let Some(previous) = previous.filter(is_before) else { return roster };
        for member in previous.members() {
            let index = roster.committee.member_by_node(&member.node_id);
            let owned = |shard: &ShardIndex| roster.committee.member_of_shard(*shard);
            let moved: Vec<_> =
                member.shards.iter().filter(|shard| owned(shard) != index).copied().collect();
            if moved.is_empty() {
                continue;
            }
            let index = index.unwrap_or_else(|| {
                roster.former.push(member.clone());
                roster.committee.members().len() + roster.former.len() - 1
            });
            roster.before.extend(moved.into_iter().map(|shard| (shard, index)));
        }
        roster.is_changing = matches!(phase, EpochState::Sync { .. }) && !roster.before.is_empty();
        roster
    }

    /// The roster of a committee of which nothing moved.
    pub fn settled(committee: Arc<Committee>) -> Roster {
        Roster { committee, former: Vec::new(), before: BTreeMap::new(), is_changing: false }
    }

    /// The committee: who is written to, and whose word counts.
    pub fn committee(&self) -> &Committee {
        &self.committee
    }

    /// Everybody on it.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.committee.members().iter().chain(&self.former)
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.committee.members().len() + self.former.len()
    }

    /// Whether nobody is on it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The member with this index.
    pub fn member(&self, index: usize) -> Option<&Member> {
        let members = self.committee.members();
        members.get(index).or_else(|| self.former.get(index.checked_sub(members.len())?))
    }

    /// Whether shards move, and too few of the new committee have said so far that they have theirs.
    pub fn is_changing(&self) -> bool {
        self.is_changing
    }

    /// How many shards have another owner than before.
    pub fn moved(&self) -> usize {
        self.before.len()
    }

    /// How many shards a member has or had: what a reader may get of it.
    pub fn share(&self, index: usize) -> usize {
        let had = self.before.values().filter(|owner| **owner == index).count();
        usize::from(self.committee.weight(index)) + had
    }

    /// Whom to ask for what a shard holds of a blob that was certified in this epoch, if that is known. Shards outside the
    /// network have no owner.
    pub fn owners(&self, shard: ShardIndex, certified: Option<Epoch>) -> Option<Owners> {
        let now = self.committee.member_of_shard(shard)?;
        let is_new = certified.is_some_and(|epoch| epoch >= self.committee.epoch());
        Some(match self.before.get(&shard).copied() {
            None => Owners { likely: now, other: None },
            Some(before) if self.is_changing && !is_new => {
                Owners { likely: before, other: Some(now) }
            }
            before => Owners { likely: now, other: before },
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::committee::tests::sample_committee;

    const CHANGING: EpochState = EpochState::Sync { weight: 0, started_ms: 0 };
    const DONE: EpochState = EpochState::Done { since_ms: 0 };
    const SELECTED: EpochState = EpochState::Selected { since_ms: 0 };

    /// The committee of the next epoch, in which these shards belong to others: each with the index of its new owner. Who
    /// has none left leaves.
    pub(crate) fn moved(committee: &Committee, moves: &[(u16, usize)]) -> Committee {
        let mut members = committee.members().to_vec();
        for (shard, to) in moves {
            members.iter_mut().for_each(|member| member.shards.retain(|it| it.0 != *shard));
            members[*to].shards.push(ShardIndex(*shard));
            members[*to].shards.sort_unstable();
        }
        members.retain(|member| !member.shards.is_empty());
        let epoch = Epoch(committee.epoch().0 + 1);
        Committee::new(epoch, committee.shards(), members).expect("a sound committee")
    }

    #[test]
    fn the_owner_before_is_asked_first_until_the_change_is_done_and_only_for_earlier_blobs() {
        let (previous, _) = sample_committee(4, 8);
        let committee = Arc::new(moved(&previous, &[(1, 0)]));
        let stayed = Owners { likely: 2, other: None };
        let (before, now) =
            (Owners { likely: 1, other: Some(0) }, Owners { likely: 0, other: Some(1) });
        for (phase, certified, expected) in [
            (CHANGING, Some(1), before),
            (CHANGING, None, before),
            (CHANGING, Some(2), now),
            (DONE, Some(1), now),
            (DONE, None, now),
            (DONE, Some(2), now),
            (SELECTED, Some(1), now),
            (SELECTED, Some(2), now),
        ] {
            let roster = Roster::new(committee.clone(), Some(&previous), &phase);
            let certified = certified.map(Epoch);
            let owners = |shard| roster.owners(ShardIndex(shard), certified);
            assert_eq!(owners(1), Some(expected), "{phase:?}, certified in {certified:?}");
            assert_eq!(owners(2), Some(stayed), "{phase:?}");
            assert_eq!(owners(8), None);
            assert_eq!(roster.is_changing(), phase == CHANGING);
        }
    }

    #[test]
    fn whoever_left_the_committee_is_on_the_roster_behind_its_members() {
        let (previous, _) = sample_committee(4, 8);
        let committee = Arc::new(moved(&previous, &[(1, 0), (5, 2)]));
        assert_eq!(committee.members().len(), 3);
        let roster = Roster::new(committee.clone(), Some(&previous), &CHANGING);
        assert_eq!((roster.len(), roster.moved()), (4, 2));
        let names: Vec<_> = roster.members().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["n0", "n2", "n3", "n1"]);
        for (index, member) in roster.members().enumerate() {
            assert_eq!(roster.member(index), Some(member));
        }
        assert_eq!(roster.member(4), None);
        let owners = roster.owners(ShardIndex(5), None).expect("there is such a shard");
        assert_eq!(owners, Owners { likely: 3, other: Some(1) });
        assert_eq!(owners.iter().collect::<Vec<_>>(), [3, 1]);
        assert_eq!([0, 1, 2, 3].map(|index| roster.share(index)), [3, 3, 2, 2]);
    }

    #[test]
    fn a_committee_that_is_not_the_one_before_is_nobody() {
        let (previous, _) = sample_committee(4, 8);
        let next = Arc::new(moved(&previous, &[(1, 0)]));
        let settled = Roster::settled(next.clone());
        assert_eq!(Roster::new(next.clone(), None, &CHANGING), settled);
        let later = moved(&next, &[(2, 0)]);
        assert_eq!(Roster::new(next.clone(), Some(&later), &CHANGING), settled);
        let older = Arc::new(moved(&later, &[(3, 0)]));
        assert_eq!(Roster::new(older.clone(), Some(&previous), &CHANGING), Roster::settled(older));
        let (larger, _) = sample_committee(4, 12);
        assert_eq!(Roster::new(next.clone(), Some(&larger), &CHANGING), settled);
        // A change that moves nothing needs nobody of before.
        let same = Arc::new(moved(&previous, &[]));
        let roster = Roster::new(same.clone(), Some(&previous), &CHANGING);
        assert_eq!(roster, Roster::settled(same));
    }
}
