//! When stake works and when it can be had back.

use crate::chain::object::staking::StakedState;

use super::*;
use crate::rules::{node_registry, staked};

#[test]
fn t54_stake_works_from_the_first_committee_that_is_not_chosen_yet() {
    let (mut world, _) = World::with_stakes(10, &[40, 40]);
    assert_eq!(world.stake(1, WAL).unwrap().activation_epoch, 2);
    world.select();
    assert_eq!(world.stake(1, WAL).unwrap().activation_epoch, 3);
    assert_eq!(world.pool(1).pending, 2 * WAL);
    world.change(0);
    assert_eq!((world.pool(1).active, world.pool(1).pending), (41 * WAL, WAL));
}

#[test]
fn t55_receipts_have_a_least_stake() {
    let (mut world, _) = World::with_stakes(10, &[40]);
    assert_eq!(world.stake(1, WAL - 1), Err(Abort::StakeBelowMinimum));
    assert_eq!(world.stake(1, 0), Err(Abort::ZeroStake));
    let mut whole = world.stake(1, 3 * WAL).unwrap();
    let (mut context, params) = (Context::new([0; 32]), params());
    let mut split = |amount| staked::split(&mut context, &params, &mut whole, amount);
    assert_eq!(split(3 * WAL), Err(Abort::BadStakeAmount));
    assert_eq!(split(2 * WAL + 1), Err(Abort::StakeBelowMinimum));
    assert_eq!(split(WAL - 1), Err(Abort::StakeBelowMinimum));
    let part = split(WAL).unwrap();
    assert_eq!((part.principal, whole.principal), (WAL, 2 * WAL));
    assert_ne!(part.id, whole.id);
}

#[test]
fn t56_only_receipts_that_differ_in_nothing_but_amount_join() {
    let (mut world, receipts) = World::with_stakes(10, &[40, 40]);
    let mut fresh = world.stake(1, WAL).unwrap();
    let mut waiting = receipts[0].clone();
    world.request(&mut waiting).unwrap();
    for other in [receipts[1].clone(), receipts[0].clone(), waiting.clone()] {
        assert_eq!(staked::join(&mut fresh.clone(), other), Err(Abort::StakeMismatch));
    }
    // Also not with its like: what is set aside was rounded for each by itself.
    assert_eq!(staked::join(&mut waiting.clone(), waiting), Err(Abort::StakeMismatch));
    let other = Staked { vote_locks: vec![id(7)], ..fresh.clone() };
    staked::join(&mut fresh, other).unwrap();
    assert_eq!((fresh.principal, &fresh.vote_locks[..]), (2 * WAL, &[id(7)][..]));
}

#[test]
fn t57_fresh_stake_is_cancelled_at_once_unless_a_chosen_committee_counts_on_it() {
    let (mut world, _) = World::with_stakes(10, &[40, 40]);
    // Before the selection.
    let mut fresh = world.stake(1, 2 * WAL).unwrap();
    assert_eq!(world.request(&mut fresh), Err(Abort::WithdrawDirectly));
    assert_eq!(world.withdraw(&fresh), Ok(2 * WAL));
    // After it: stake for the epoch after next is still free.
    let mut counted = world.stake(1, 2 * WAL).unwrap();
    world.register(3).unwrap();
    world.select();
    let free = world.stake(1, 3 * WAL).unwrap();
    assert_eq!(world.withdraw(&free), Ok(3 * WAL));
    // Stake that the chosen committee counts on serves one epoch.
    assert_eq!(world.withdraw(&counted), Err(Abort::NotWithdrawing));
    world.request(&mut counted).unwrap();
    assert_eq!(counted.state, StakedState::Withdrawing { withdraw_epoch: 3 });
    assert_eq!(world.request(&mut counted), Err(Abort::NotStaked));
    world.change(0);
    assert_eq!(world.withdraw(&counted), Err(Abort::WithdrawTooEarly));
    world.next_epoch(9_700);
    let paid = world.withdraw(&counted).unwrap();
    assert!(paid > 2 * WAL, "it earned in the epoch it served");
}

#[test]
fn t57_fresh_stake_of_a_node_that_was_not_chosen_is_cancelled_at_once() {
    let (mut world, _) = World::with_stakes(10, &[40, 40]);
    world.register(3).unwrap();
    let small = world.stake(3, WAL).unwrap();
    world.params.max_nodes = 2;
    world.select();
    assert_eq!(small.activation_epoch, 2);
    assert_eq!(world.withdraw(&small), Ok(WAL));
}

#[test]
fn t57_working_stake_leaves_after_the_last_committee_that_counts_on_it() {
    let (mut world, receipts) = World::with_stakes(10, &[40, 40]);
    let (mut before, mut after) = (receipts[0].clone(), receipts[1].clone());
    world.request(&mut before).unwrap();
    assert_eq!(before.state, StakedState::Withdrawing { withdraw_epoch: 2 });
    world.stake(1, 50 * WAL).unwrap();
    world.select();
    world.request(&mut after).unwrap();
    assert_eq!(after.state, StakedState::Withdrawing { withdraw_epoch: 3 });
    assert_eq!(world.withdraw(&before), Err(Abort::WithdrawTooEarly));
    world.change(0);
    assert_eq!(world.withdraw(&before), Ok(40 * WAL));
    assert_eq!(world.withdraw(&after), Err(Abort::WithdrawTooEarly));
    world.next_epoch(0);
    assert_eq!(world.withdraw(&after), Ok(40 * WAL));
}

#[test]
fn t58_a_receipt_is_paid_by_its_own_pool_only() {
    let (mut world, receipts) = World::with_stakes(10, &[40, 40]);
    let mut pool = world.pool(2).clone();
    let paid = staking_pool::cancel(&mut pool, &receipts[0]);
    assert_eq!(paid, Err(Abort::IncorrectPoolId));
    let stray = Staked { node_id: id(99), ..receipts[0].clone() };
    assert_eq!(world.withdraw(&stray), Err(Abort::UnknownNode));
    assert_eq!(world.request(&mut stray.clone()), Err(Abort::UnknownNode));
}

#[test]
fn t59_and_t60_an_excluded_node_keeps_its_rate_and_everything_pending_still_happens() {
    let (mut world, receipts) = World::with_stakes(10, &[40, 40, 20]);
    world.next_epoch(9_700);
    // Stake that works from epoch 3 and is asked back before it does.
    let mut pre_active = world.stake(3, 5 * WAL).unwrap();
    world.select();
    world.request(&mut pre_active).unwrap();
    assert_eq!(pre_active.state, StakedState::Withdrawing { withdraw_epoch: 4 });
    world.change(9_700);
    // Others outbid the node for some epochs.
    world.params.max_nodes = 2;
    for _ in 0..4 {
        world.next_epoch(9_700);
        assert_eq!(world.shards(3), 0);
    }
    let rates: Vec<_> = world.pool(3).rates.keys().copied().collect();
    assert_eq!(rates, [1, 2, 3, 4], "none while it serves in no committee");
    world.params.max_nodes = 3;
    world.next_epoch(9_700);
    assert!(world.shards(3) > 0);
    assert_eq!(world.pool(3).last_epoch, 8);
    let pending = [&world.pool(3).pending_stake, &world.pool(3).pre_active];
    assert!(pending.into_iter().all(Vec::is_empty));
    assert!(world.withdraw(&pre_active).unwrap() >= 5 * WAL);
    let mut first = receipts[2].clone();
    world.request(&mut first).unwrap();
    world.next_epoch(0);
    assert!(world.withdraw(&first).unwrap() > 20 * WAL);
}

#[test]
fn stake_with_a_node_outside_the_committees_is_paid_at_once_with_its_rewards() {
    let (mut world, receipts) = World::with_stakes(10, &[40, 40, 20]);
    world.params.max_nodes = 2;
    world.next_epoch(10_000);
    let mut working = receipts[2].clone();
    assert_eq!(world.request(&mut working), Err(Abort::WithdrawDirectly));
    let paid = world.withdraw(&working).unwrap();
    assert_eq!(paid, 20 * WAL + 1_940 - 194);
    assert_eq!((world.pool(3).active, world.pool(3).shares), (0, 0));
}

#[test]
fn a_node_that_leaves_takes_no_stake() {
    let (mut world, _) = World::with_stakes(10, &[40, 40]);
    let cap = world.caps[&2];
    world
        .run(|context, staking, _, _| node_registry::request_exit(context, staking, &cap))
        .unwrap();
    assert_eq!(world.stake(2, WAL), Err(Abort::NodeNotActive));
}
