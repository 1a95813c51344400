//! What a new committee means for one node: which shards it keeps, gains and loses.
//!
//! Promises: a shard counts as held only if everything the network stored in it before is here; what
//! is not here stays missing, across restarts and epochs, until somebody says that it was filled. Who
//! missed an epoch does not know whose its shards were then, so it looks at all of them.
//! Does not: move shards, or read the store; facts come in, a plan goes out.

use std::collections::BTreeMap;

use crate::epoch::Epoch;
use crate::sliver::ShardIndex;

/// What a node has of one of its shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Everything the network stored in it.
    Held,
    /// Not everything of that since this epoch, in which it was given the shard or lost its disk.
    Missing {
        /// The epoch.
        since: Epoch,
    },
    /// It is another node's since this epoch; what is here stays for readers, and until the other has it.
    Locked {
        /// The epoch.
        since: Epoch,
    },
}

impl Holding {
    /// Whether the shard is ours: what is missing of it has to be found.
    pub fn is_ours(&self) -> bool {
        match self {
            Holding::Held | Holding::Missing { .. } => true,
            Holding::Locked { .. } => false,
        }
    }
}

/// What a node knows when it judges an epoch's committee.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The epoch.
    pub epoch: Epoch,
    /// Our shards in its committee.
    pub ours: &'a [ShardIndex],
    /// The epoch that was judged last, as the store says; nothing on a new disk.
    pub judged: Option<Epoch>,
    /// What the store says of shards, from the epochs before; empty on a new disk.
    pub known: &'a BTreeMap<ShardIndex, Holding>,
    /// Certified blobs that still live.
    pub live_blobs: u64,
}

/// What follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What the store must say from now on: a holding, or nothing for a shard of which nothing is here any more.
    pub changes: Vec<(ShardIndex, Option<Holding>)>,
    /// Our shards that are not here.
    pub missing: Vec<ShardIndex>,
    /// Shards that were ours and are not any more.
    pub lost: Vec<ShardIndex>,
}

impl Plan {
    /// Whether the node may say that it holds its shards.
    pub fn may_report(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Whether the committee of an epoch is to be judged now: once, and not before the store has caught up with what told us of
/// it, for it knows too little of the blobs there are; what follows may be deletions, for which nobody's word is enough.
pub fn is_due(judged: Option<Epoch>, epoch: Epoch, has_caught_up: bool, may_act: bool) -> bool {
    judged != Some(epoch) && has_caught_up && may_act
}

/// Judges a committee.
pub fn plan(facts: &Facts<'_>) -> Plan {
    let mut plan = Plan::default();
    let next = |judged: Epoch| judged.0.saturating_add(1);
    let has_followed = facts.judged.is_some_and(|judged| next(judged) >= facts.epoch.0);
    for shard in facts.ours {
        let known = facts.known.get(shard);
        let holding = match known {
            Some(Holding::Held) if has_followed => Holding::Held,
            // It may have been another's in between, and what was certified then is not here.
            Some(Holding::Held) => gained(facts),
            Some(missing @ Holding::Missing { .. }) if facts.live_blobs > 0 => *missing,
            Some(Holding::Missing { .. }) => Holding::Held, // all that was missing is over
            // What was certified while it was another's is not here.
            Some(Holding::Locked { .. }) | None => gained(facts),
        };
        if holding != Holding::Held {
            plan.missing.push(*shard);
        }
        if known != Some(&holding) {
            plan.changes.push((*shard, Some(holding)));
        }
    }
    let lost =
        facts.known.iter().filter(|(shard, known)| known.is_ours() && !facts.ours.contains(shard));
    for (shard, _) in lost {
        plan.lost.push(*shard);
        plan.changes.push((*shard, Some(Holding::Locked { since: facts.epoch })));
    }
    plan
}

/// The shards that others had in the epoch before already, and whose owner in this one told the ledger that it has its shards:
/// whoever needed them from us has them, and what is here of them goes. However many epochs pass, what the new owner never said
/// that it has stays: nobody else may have it. A shard that was lost in this epoch stays: readers may still come for it.
pub fn released(
    known: &BTreeMap<ShardIndex, Holding>,
    epoch: Epoch,
    is_synced: impl Fn(ShardIndex) -> bool,
) -> Vec<ShardIndex> {
    let is_over = |(shard, holding): &(&ShardIndex, &Holding)| {
        matches!(holding, Holding::Locked { since } if *since < epoch) && is_synced(**shard)
    };
    known.iter().filter(is_over).map(|(shard, _)| *shard).collect()
}

/// The shards that are kept for others, who let a whole epoch pass, or this one until the next committee was chosen, without a
/// word that they have them.
pub fn unclaimed(
    known: &BTreeMap<ShardIndex, Holding>,
    epoch: Epoch,
    is_chosen: bool,
    is_synced: impl Fn(ShardIndex) -> bool,
) -> Vec<ShardIndex> {
    let had = |since: Epoch| epoch.0.saturating_sub(since.0);
    let is_late = |(shard, holding): &(&ShardIndex, &Holding)| match holding {
        // In the epoch after the one in which it was lost its owner can be heard first.
        Holding::Locked { since } => {
            (had(*since) > 1 || had(*since) == 1 && is_chosen) && !is_synced(**shard)
        }
        Holding::Held | Holding::Missing { .. } => false,
    };
    known.iter().filter(is_late).map(|(shard, _)| *shard).collect()
}

/// What we have of a shard that was not ours before: all of nothing, or not all. Whether all came meanwhile the slivers tell,
/// one by one; that a blob is known, or a part of it is here, says nothing of this shard.
fn gained(facts: &Facts<'_>) -> Holding {
    match facts.live_blobs {
        0 => Holding::Held,
        _ => Holding::Missing { since: facts.epoch },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: Holding = Holding::Missing { since: Epoch(4) };

    fn shards(numbers: &[u16]) -> Vec<ShardIndex> {
        numbers.iter().copied().map(ShardIndex).collect()
    }

    /// Plans epoch 5 for shards, from what was known and how many blobs there are.
    fn planned(ours: &[u16], known: &[(u16, Holding)], live_blobs: u64) -> Plan {
        let known = known.iter().map(|(shard, holding)| (ShardIndex(*shard), *holding)).collect();
        let judged = Some(Epoch(4));
        plan(&Facts { epoch: Epoch(5), ours: &shards(ours), judged, known: &known, live_blobs })
    }

    #[test]
    fn a_shard_is_unclaimed_once_its_owner_said_nothing_for_a_whole_epoch() {
        let locked = |since| Holding::Locked { since: Epoch(since) };
        let known =
            [(1, Holding::Held), (2, MISSING), (3, locked(5)), (4, locked(4)), (5, locked(3))];
        let known: BTreeMap<_, _> = known.map(|(shard, it)| (ShardIndex(shard), it)).into();
        let of = |is_chosen, synced: u16| {
            unclaimed(&known, Epoch(5), is_chosen, |shard| shard == ShardIndex(synced))
        };
        assert_eq!(of(false, 0), [ShardIndex(5)]);
        assert_eq!(of(true, 0), [ShardIndex(4), ShardIndex(5)]);
        assert_eq!(of(true, 5), [ShardIndex(4)]);
    }

    #[test]
    fn what_a_committee_means_for_a_shard_is_this_table() {
        const HELD: Option<Holding> = Some(Holding::Held);
        let missing = |since| Some(Holding::Missing { since: Epoch(since) });
        let locked = |since| Some(Holding::Locked { since: Epoch(since) });
        let judged = |epoch: u32| Some(Epoch(epoch));
        // In epoch 5: what the store says, the epoch it judged last, whether it is ours, whether anything lives; what follows.
        let table = [
            (None, judged(4), true, true, missing(5)),
            (None, None, true, true, missing(5)),
            (None, judged(4), true, false, HELD),
            (None, judged(4), false, true, None),
            (HELD, judged(4), true, true, HELD),
            (HELD, judged(5), true, true, HELD),
            (HELD, judged(3), true, true, missing(5)),
            (HELD, None, true, true, missing(5)),
            (HELD, judged(3), true, false, HELD),
            (HELD, judged(4), false, true, locked(5)),
            (HELD, judged(1), false, true, locked(5)),
            (missing(2), judged(4), true, true, missing(2)),
            (missing(2), judged(4), true, false, HELD),
            (missing(2), judged(4), false, true, locked(5)),
            (locked(3), judged(4), true, true, missing(5)),
            (locked(3), judged(4), true, false, HELD),
            (locked(3), judged(4), false, true, locked(3)),
        ];
        for (before, judged, is_ours, has_blobs, after) in table {
            let what = format!("{before:?}, judged {judged:?}, ours {is_ours}, blobs {has_blobs}");
            let shard = ShardIndex(1);
            let known: BTreeMap<_, _> =
                before.map(|holding| (shard, holding)).into_iter().collect();
            let ours: &[ShardIndex] = if is_ours { &[shard] } else { &[] };
            let live_blobs = u64::from(has_blobs);
            let facts = Facts { epoch: Epoch(5), ours, judged, known: &known, live_blobs };
            let planned = plan(&facts);
            let mut then = known.clone();
            then.extend(planned.changes.iter().filter_map(|(shard, it)| Some((*shard, (*it)?))));
            assert_eq!(then.get(&shard).copied(), after, "{what}");
            let is_full = !is_ours || after == HELD;
            assert_eq!(planned.may_report(), is_full, "{what}");
            assert_eq!(planned.missing.is_empty(), is_full, "{what}");
            let is_lost = !is_ours && before.is_some_and(|before| before.is_ours());
            assert_eq!(planned.lost.is_empty(), !is_lost, "{what}");
            // After a crash the same is judged again, and nothing follows from that.
            let again = plan(&Facts { judged: Some(Epoch(5)), known: &then, ..facts });
            assert_eq!((again.changes, again.missing), (vec![], planned.missing), "{what}, again");
        }
    }

    #[test]
    fn a_committee_is_judged_once_and_only_by_who_has_read_and_believes_the_ledger() {
        assert!(is_due(None, Epoch(5), true, true) && is_due(Some(Epoch(4)), Epoch(5), true, true));
        assert!(!is_due(Some(Epoch(5)), Epoch(5), true, true), "again");
        assert!(!is_due(None, Epoch(5), false, true), "too early");
        assert!(!is_due(None, Epoch(5), true, false), "one server's word");
    }

    #[test]
    fn what_others_say_that_they_have_goes_an_epoch_later_and_nothing_else() {
        let locked = |since| Holding::Locked { since: Epoch(since) };
        let known =
            [(1, Holding::Held), (2, MISSING), (3, locked(5)), (4, locked(4)), (5, locked(1))];
        let known = known.into_iter().map(|(shard, it)| (ShardIndex(shard), it)).collect();
        let all = |_| true;
        assert_eq!(released(&known, Epoch(5), all), shards(&[4, 5]));
        assert_eq!(released(&known, Epoch(6), all), shards(&[3, 4, 5]));
        assert_eq!(released(&known, Epoch(99), |shard| shard.0 == 3), shards(&[3]));
    }

    #[test]
    fn a_node_keeps_the_shards_it_holds() {
        let plan = planned(&[1, 2], &[(1, Holding::Held), (2, Holding::Held)], 9);
        assert_eq!(plan, Plan::default());
        assert!(plan.may_report());
    }

    #[test]
    fn a_gained_shard_is_missing_if_anything_was_stored_before() {
        let held = [(1, Holding::Held)];
        let plan = planned(&[1, 2], &held, 9);
        let since = Holding::Missing { since: Epoch(5) };
        assert_eq!(plan.changes, [(ShardIndex(2), Some(since))]);
        assert_eq!((plan.missing.clone(), plan.may_report()), (shards(&[2]), false));
        let plan = planned(&[1, 2], &held, 0);
        assert_eq!(plan.changes, [(ShardIndex(2), Some(Holding::Held))]);
        assert!(plan.may_report());
    }

    #[test]
    fn what_is_missing_stays_missing_until_nothing_of_it_lives() {
        let known = [(1, Holding::Held), (2, MISSING)];
        assert_eq!(planned(&[1, 2], &known, 1).missing, shards(&[2]));
        assert_eq!(planned(&[1, 2], &known, 1).changes, []);
        let plan = planned(&[1, 2], &known, 0);
        assert_eq!(plan.changes, [(ShardIndex(2), Some(Holding::Held))]);
    }

    #[test]
    fn a_disk_that_was_lost_in_this_epoch_is_not_whole_after_a_restart() {
        let lost = planned(&[1], &[], 1);
        assert_eq!(lost.missing, shards(&[1]));
        let since = Holding::Missing { since: Epoch(5) };
        assert_eq!(lost.changes, [(ShardIndex(1), Some(since))]);
        let again = planned(&[1], &[(1, since)], 1);
        assert_eq!((again.missing.clone(), again.may_report()), (shards(&[1]), false));
        assert!(planned(&[1], &[(1, since)], 0).may_report(), "deleted meanwhile");
    }

    #[test]
    fn a_lost_shard_is_locked_and_missing_when_it_returns() {
        let plan = planned(&[1], &[(1, Holding::Held), (2, Holding::Held)], 3);
        assert_eq!((plan.lost.clone(), plan.may_report()), (shards(&[2]), true));
        let locked = Holding::Locked { since: Epoch(5) };
        assert_eq!(plan.changes, [(ShardIndex(2), Some(locked))]);
        let known = [(1, Holding::Held), (2, Holding::Locked { since: Epoch(3) })];
        assert_eq!(planned(&[1], &known, 9), Plan::default(), "it was locked before");
        let back = planned(&[1, 2], &known, 9);
        let since = Holding::Missing { since: Epoch(5) };
        assert_eq!(back.changes, [(ShardIndex(2), Some(since))], "what came since is not here");
        assert!(!planned(&[1, 2], &[(1, Holding::Held)], 3).may_report());
    }

    #[test]
    fn a_new_disk_holds_its_shards_only_in_a_network_without_blobs() {
        assert!(planned(&[1, 2], &[], 0).may_report());
        assert_eq!(planned(&[1, 2], &[], 1).missing, shards(&[1, 2]));
    }

    #[test]
    fn a_node_without_shards_has_nothing_to_do() {
        assert_eq!(planned(&[], &[], 7), Plan::default());
    }
}
