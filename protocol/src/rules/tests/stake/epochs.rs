//! The epoch machine.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::rules::node_registry;

#[test]
fn t71_the_next_committee_is_chosen_once_and_not_before_half_the_epoch() {
    let (mut world, _) = World::with_stakes(10, &[40, 40, 40, 40]);
    world.now_ms += DAY / 2 - 1;
    assert_eq!(world.voting_end(), Err(Abort::StakingTooEarly));
    world.now_ms += 1;
    assert_eq!(world.voting_end(), Ok(()));
    assert_eq!(world.voting_end(), Err(Abort::StakingWrongState));
    world.now_ms += DAY;
    world.epoch_change(Closing::default()).unwrap();
    world.now_ms += DAY;
    assert_eq!(world.voting_end(), Err(Abort::StakingWrongState), "the sync is not over");
}

#[test]
fn t72_an_epoch_ends_once_after_its_selection_and_not_before_its_time() {
    let (mut world, _) = World::with_stakes(10, &[40, 40, 40, 40]);
    let started = world.now_ms;
    world.now_ms += 2 * DAY;
    assert_eq!(world.epoch_change(Closing::default()), Err(Abort::StakingWrongState));
    world.voting_end().unwrap();
    world.now_ms = started + DAY - 1;
    assert_eq!(world.epoch_change(Closing::default()), Err(Abort::StakingTooEarly));
    world.now_ms += 1;
    assert!(world.epoch_change(Closing::default()).is_ok());
    assert_eq!(world.epoch_change(Closing::default()), Err(Abort::StakingWrongState));
}

#[test]
fn t73_epoch_zero_waits_for_its_start_and_for_stake() {
    let mut world = World::new(10);
    world.staking.first_epoch_start_ms = 100;
    world.now_ms = 99;
    assert_eq!(world.voting_end(), Err(Abort::StakingTooEarly));
    world.now_ms = 100;
    assert_eq!(world.voting_end(), Err(Abort::NoStake));
    world.register(1).unwrap();
    assert_eq!(world.voting_end(), Err(Abort::NoStake));
    world.stake(1, WAL).unwrap();
    assert_eq!(world.voting_end(), Ok(()));
    assert!(world.epoch_change(Closing::default()).is_ok());
    assert_eq!(world.shards(1), 10);
}

#[test]
fn t74_a_quorum_of_reports_ends_the_sync_and_late_ones_only_report() {
    let (mut world, _) = World::with_stakes(10, &[40, 40, 40, 40]);
    world.register(5).unwrap();
    world.select();
    world.now_ms += DAY;
    world.epoch_change(Closing::default()).unwrap();
    assert_eq!(world.sync(1, 1), Err(Abort::StakingWrongEpoch));
    assert_eq!(world.sync(5, 2), Err(Abort::StakingNotMember));
    world.sync(1, 2).unwrap();
    assert_eq!(world.sync(1, 2), Err(Abort::DuplicateSync));
    world.sync(2, 2).unwrap();
    assert!(matches!(world.staking.state, EpochState::Sync { .. }));
    world.events.clear();
    world.now_ms += 5;
    world.sync(3, 2).unwrap();
    assert_eq!(world.staking.state, EpochState::Done { since_ms: world.now_ms });
    assert!(matches!(
        world.events[..],
        [StakeEvent::EpochChangeDone(_), StakeEvent::ShardsReceived(_)]
    ));
    world.events.clear();
    world.now_ms += 5;
    world.sync(4, 2).unwrap();
    assert_eq!(world.staking.state, EpochState::Done { since_ms: world.now_ms - 5 });
    assert!(matches!(world.events[..], [StakeEvent::ShardsReceived(_)]));
}

#[test]
fn t75_odd_durations_are_halved_down_and_times_do_not_overflow() {
    let (mut world, _) = World::with_stakes(10, &[40]);
    world.params.epoch_duration_ms = 7;
    let started = world.now_ms;
    world.now_ms = started + 2;
    assert_eq!(world.voting_end(), Err(Abort::StakingTooEarly));
    world.now_ms = started + 3;
    world.voting_end().unwrap();
    world.staking.state = EpochState::Selected { since_ms: u64::MAX - 3 };
    world.now_ms = u64::MAX;
    assert_eq!(world.epoch_change(Closing::default()), Err(Abort::StakingOverflow));
}

#[test]
fn t76_a_sync_that_hangs_can_be_ended_and_the_silent_earn_nothing() {
    let (mut world, _) = World::with_stakes(10, &[40, 40, 40, 40]);
    let force = |world: &mut World| {
        world.run(|context, staking, params, now| {
            staking::force_sync_done(context, staking, params, now)
        })
    };
    assert_eq!(force(&mut world), Err(Abort::StakingWrongState));
    world.select();
    world.now_ms += DAY;
    world.epoch_change(Closing::default()).unwrap();
    world.sync(1, 2).unwrap();
    world.now_ms += DAY / 4 - 1;
    assert_eq!(force(&mut world), Err(Abort::StakingTooEarly));
    world.now_ms += 1;
    world.events.clear();
    force(&mut world).unwrap();
    let missing: BTreeSet<_> = [2, 3, 4].map(|number| world.node(number)).into();
    assert!(matches!(&world.events[..], [StakeEvent::EpochSyncForced(event)]
        if event.epoch == 2 && event.missing == missing.iter().copied().collect::<Vec<_>>()));
    world.sync(2, 2).unwrap();
    world.select();
    world.now_ms += DAY;
    let before = world.staking.clone();
    let closing = Closing { rewards: 1_000, used: 1, ..Closing::default() };
    let opening = world.epoch_change(closing).unwrap();
    let earned = [1, 2, 3, 4].map(|number| {
        let (pool, node) = (world.pool(number), world.node(number));
        pool.active + pool.commission - before.pools[&node].active
    });
    assert!(earned[0] > 0);
    assert_eq!(earned[1..], [0, 0, 0]);
    let gross: u64 = 970 - opening.dust;
    assert_eq!(earned[0] + opening.treasury + opening.burned - 30, gross);
    assert!(world.staking.stalled.is_empty());
}

#[test]
fn t61_a_node_that_was_outbid_returns_by_itself_when_the_attacker_leaves() {
    let (mut world, _) = World::with_stakes(10, &[40, 30, 20]);
    world.params.max_nodes = 3;
    world.register(4).unwrap();
    let attack = world.stake(4, 21 * WAL).unwrap();
    world.withdraw(&attack).unwrap();
    world.next_epoch(0);
    assert!(world.shards(3) > 0, "an eviction takes effect at the selection only");
    let mut attack = world.stake(4, 21 * WAL).unwrap();
    world.next_epoch(0);
    assert_eq!((world.shards(3), world.shards(4) > 0), (0, true));
    world.request(&mut attack).unwrap();
    world.next_epoch(0);
    assert_eq!((world.shards(3) > 0, world.shards(4)), (true, 0));
}

#[test]
fn t80_the_order_of_registrations_does_not_matter() {
    let stakes = [(1, 50), (2, 40), (3, 40), (4, 10)];
    let shards = |order: [usize; 4]| {
        let mut world = World::new(100);
        for at in order {
            let (number, stake) = stakes[at];
            world.register(number).unwrap();
            world.stake(number, stake * WAL).unwrap();
        }
        world.next_epoch(0);
        [1, 2, 3, 4].map(|number| world.shards(number))
    };
    assert_eq!(shards([0, 1, 2, 3]), shards([3, 1, 0, 2]));
}

#[test]
fn t69_and_t70_a_committee_signs_with_the_keys_captured_at_its_selection() {
    let (mut world, _) = World::with_stakes(10, &[40, 40, 40]);
    let rotate = |world: &mut World, key: u8| {
        let call = registration(key, world.staking.epoch);
        let cap = world.caps[&1];
        world
            .run(|context, staking, params, _| {
                let key = (call.bls_public_key.clone(), call.bls_proof.clone());
                node_registry::rotate_bls(context, staking, params, SENDER, &cap, key)
            })
            .map(|()| call.bls_public_key)
    };
    let in_committee = |opening: &Opening, world: &World| {
        let node = world.node(1);
        let members = &opening.committee.members;
        members.iter().find(|member| member.node_id == node).unwrap().public_key.clone()
    };
    let old = world.pool(1).node.bls_public_key.clone();
    let captured = rotate(&mut world, 11).unwrap();
    assert_eq!(world.pool(1).node.bls_public_key, old, "certificates of today still verify");
    world.select();
    let late = rotate(&mut world, 12).unwrap();
    assert_eq!(rotate(&mut world, 2), Err(Abort::DuplicateKey));
    assert_eq!(rotate(&mut world, 11), Err(Abort::DuplicateKey), "it will be in use");
    let opening = world.change(0);
    assert_eq!(in_committee(&opening, &world), captured);
    assert_eq!(world.pool(1).node.bls_public_key, captured);
    assert!(!world.staking.by_bls.contains_key(&old), "a key that is out of use is free");
    let opening = world.next_epoch(0);
    assert_eq!(in_committee(&opening, &world), late);
    assert_eq!(world.pool(1).node.next_bls_public_key, None);
}

#[test]
fn fifty_epochs_follow_one_another_with_every_shard_held_and_every_unit_accounted_for() {
    let (mut world, _) = World::with_stakes(100, &[50, 40, 30, 20, 10]);
    let (mut paid_in, mut receipts, mut waiting) = (world.funds(), Vec::new(), Vec::new());
    for turn in 0..50_u64 {
        let number = u8::try_from(turn % 5).unwrap() + 1;
        receipts.push(world.stake(number, (turn + 1) * WAL).unwrap());
        paid_in += (turn + 1) * WAL;
        if turn % 3 == 2 {
            let mut staked = receipts.remove(0);
            match world.withdraw(&staked) {
                Ok(paid) => paid_in -= paid,
                Err(abort) => {
                    assert_eq!(abort, Abort::NotWithdrawing);
                    world.request(&mut staked).unwrap();
                    waiting.push(staked);
                }
            }
        }
        waiting.retain(|staked| match world.withdraw(staked) {
            Ok(paid) => {
                paid_in -= paid;
                false
            }
            Err(abort) => {
                assert_eq!(abort, Abort::WithdrawTooEarly);
                true
            }
        });
        let earned = 1_000_003 * (turn + 1);
        let opening = world.next_epoch(earned);
        paid_in += earned - opening.burned - opening.treasury - opening.dust;
        assert_eq!(world.funds(), paid_in);
        let held: BTreeSet<_> =
            world.staking.committee.iter().flat_map(|member| member.value.clone()).collect();
        assert_eq!(held, (0..100).collect());
        let weights: u16 = opening.committee.members.iter().map(|member| member.weight).sum();
        assert_eq!(weights, 100);
        assert!(opening.committee.members.is_sorted_by_key(|member| member.node_id));
        let active: u64 = (1..=5).map(|number| world.pool(number).active).sum();
        assert_eq!(world.staking.stake_history[&world.staking.epoch], active);
        let set = &world.staking.active_set;
        assert_eq!(set.total_stake, set.nodes.iter().map(|node| node.staked_amount).sum::<u64>());
    }
    assert_eq!(world.staking.epoch, 51);
}

/// Six registered nodes, of which at most four serve.
static NETWORK_OF_SIX: LazyLock<World> = LazyLock::new(|| {
    let mut world = World::new(40);
    world.params.max_nodes = 4;
    for number in 1..=6 {
        world.register(number).unwrap();
        world.stake(number, u64::from(number) * WAL).unwrap();
    }
    world.next_epoch(0);
    world
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_stakers_do_money_and_shards_are_conserved(
        turns in proptest::collection::vec(
            (1_u8..=6, WAL..50 * WAL, any::<prop::sample::Index>(), any::<bool>(), 0..100 * WAL),
            1..40),
    ) {
        let mut world = NETWORK_OF_SIX.clone();
        let (mut paid_in, mut receipts) = (world.funds(), Vec::new());
        for (number, amount, which, select_first, earned) in turns {
            if select_first {
                world.select();
            }
            receipts.push(world.stake(number, amount).unwrap());
            paid_in += amount;
            let mut staked = receipts.swap_remove(which.index(receipts.len()));
            match world.withdraw(&staked) {
                Ok(paid) => paid_in -= paid,
                Err(Abort::NotWithdrawing) => {
                    world.request(&mut staked).unwrap();
                    receipts.push(staked);
                }
                Err(abort) => {
                    prop_assert_eq!(abort, Abort::WithdrawTooEarly);
                    receipts.push(staked);
                }
            }
            prop_assert_eq!(world.funds(), paid_in);
            let opening = world.next_epoch(earned);
            paid_in += earned - opening.burned - opening.treasury - opening.dust;
            prop_assert_eq!(world.funds(), paid_in);
            let committee = &world.staking.committee;
            let held: Vec<_> = committee.iter().flat_map(|member| member.value.clone()).collect();
            prop_assert_eq!(held.len(), 40);
            prop_assert_eq!(held.into_iter().collect::<BTreeSet<_>>().len(), 40);
            prop_assert!(committee.len() <= 4);
        }
    }
}
