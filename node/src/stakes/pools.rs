//! The money behind one node, as the ledger would count it now.
//!
//! Promises: a pool that nobody touched for epochs shows what it will be once it is touched: the
//! ledger does what is due lazily, and so do we, in the same order and with the same rounding.
//! Does not: foresee rewards; those come with the change of epochs.
//!
//! Rates are looked up in [`rate_at`] and `rate_of` and nowhere else: they are a table of their own,
//! which a book has whole.

use std::collections::BTreeSet;

use haulout_protocol::chain::object::staking::{Pending, Pool, Rate};
use haulout_protocol::rules::staking_pool;
pub use haulout_protocol::rules::staking_pool::rate_at;

/// The rate recorded when the pool entered exactly this epoch.
pub(super) fn rate_of(pool: &Pool, epoch: u32) -> Option<Rate> {
    pool.rates.get(&epoch).copied()
}

/// What a share of the pool is worth now.
pub(super) fn rate_now(pool: &Pool) -> Rate {
    staking_pool::rate(pool.active, pool.shares)
}

/// The shares that tokens buy, rounded down.
pub(super) fn to_shares(rate: Rate, amount: u64) -> u64 {
    staking_pool::to_shares(rate, amount).unwrap_or(u64::MAX)
}

/// The tokens that shares are worth, rounded down.
pub(super) fn to_tokens(rate: Rate, amount: u64) -> u64 {
    staking_pool::to_tokens(rate, amount).unwrap_or(u64::MAX)
}

/// The pool with everything done that is due up to an epoch.
pub fn settled(pool: &Pool, epoch: u32) -> Pool {
    let mut pool = pool.clone();
    if pool.last_epoch >= epoch {
        return pool;
    }
    for due in due_epochs(&pool, epoch) {
        enter(&mut pool, due);
    }
    if let Some(bps) = latest(&pool.pending_commission, epoch) {
        pool.commission_bps = u16::try_from(bps).unwrap_or(u16::MAX);
        pool.pending_commission.retain(|entry| entry.key > epoch);
    }
    pool.last_epoch = epoch;
    pool
}

/// The epochs up to `epoch` in which stake comes or goes.
fn due_epochs(pool: &Pool, epoch: u32) -> BTreeSet<u32> {
    let lists = [&pool.pending_stake, &pool.pending_unstake_shares, &pool.pre_active];
    let keys = lists.into_iter().flatten().map(|entry| entry.key);
    keys.filter(|key| *key <= epoch).collect()
}

/// Records the rate of an epoch and moves the stake that comes and goes at it.
fn enter(pool: &mut Pool, epoch: u32) {
    let rate = rate_now(pool);
    let before_it_worked = rate_at(pool, epoch.saturating_sub(1));
    pool.rates.insert(epoch, rate);
    let come = flush(&mut pool.pending_stake, epoch);
    pool.pending = pool.pending.saturating_sub(come);
    pool.active = pool.active.saturating_add(come);
    let leaving = flush(&mut pool.pending_unstake_shares, epoch);
    let pre_active = to_shares(before_it_worked, flush(&mut pool.pre_active, epoch));
    let value = to_tokens(rate, leaving.saturating_add(pre_active)).min(pool.active);
    pool.active -= value;
    pool.unbonded = pool.unbonded.saturating_add(value);
    pool.shares = to_shares(rate, pool.active);
}

/// The stake that will be at work in epoch `target`, as known in epoch `now`.
pub fn stake_at(pool: &Pool, now: u32, target: u32) -> u64 {
    let pool = settled(pool, now);
    let coming = due(&pool.pending_stake, target);
    let pre_active =
        to_shares(rate_at(&pool, target.saturating_sub(1)), due(&pool.pre_active, target));
    let leaving = due(&pool.pending_unstake_shares, target).saturating_add(pre_active);
    let stake = pool.active.saturating_add(coming);
    stake.saturating_sub(to_tokens(rate_now(&pool), leaving))
}

/// Everything due up to an epoch, this one included.
fn due(values: &Pending, epoch: u32) -> u64 {
    let due = values.iter().filter(|entry| entry.key <= epoch);
    due.fold(0, |sum, entry| sum.saturating_add(entry.value))
}

/// Removes and sums everything due up to an epoch.
fn flush(values: &mut Pending, epoch: u32) -> u64 {
    let sum = due(values, epoch);
    values.retain(|entry| entry.key > epoch);
    sum
}

/// The latest value that applies in an epoch.
fn latest(values: &Pending, epoch: u32) -> Option<u64> {
    values.iter().take_while(|entry| entry.key <= epoch).last().map(|entry| entry.value)
}
