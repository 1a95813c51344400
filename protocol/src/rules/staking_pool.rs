//! Twin of `staking_pool`: the money behind one node.
//!
//! Promises: bond, active, pending, unbonded and commission together change only by what comes in
//! and what goes out; settling does what was due epoch by epoch, so it does not matter who settles
//! when; the pot of an epoch's withdrawals holds at least the sum of their payouts.
//! Does not: know committees or time; `staking` says which epoch it is and what was earned.
//!
//! Source: `contracts.md` 2.8, 4.6 and 4.13.

use std::collections::BTreeSet;

use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::object::NodeInfo;
use crate::chain::object::staking::{Authority, Pool, Rate, Staked};
use crate::crypto::PeerId;

use super::math::{ALL_BPS, mul_div_floor, share_bps};
use super::pending_values as pending;

/// The node takes part.
pub const ACTIVE: u8 = 0;
/// The operator asked to leave.
pub const EXITING: u8 = 1;
/// The operator left with its bond.
pub const EXITED: u8 = 2;
/// The node failed and may not be chosen.
pub const JAILED: u8 = 3;

/// What so many tokens against so many shares make a share worth.
pub fn rate(tokens: u64, shares: u64) -> Rate {
    match tokens == 0 || shares == 0 {
        true => Rate::Flat,
        false => Rate::Variable { tokens, shares },
    }
}

/// The shares that tokens buy, rounded down.
pub fn to_shares(rate: Rate, amount: u64) -> Result<u64, Abort> {
    match rate {
        Rate::Flat => Ok(amount),
        Rate::Variable { tokens, shares } => {
            mul_div_floor(amount, shares, tokens, Abort::PoolOverflow)
        }
    }
}

/// The tokens that shares are worth, rounded down.
pub fn to_tokens(rate: Rate, amount: u64) -> Result<u64, Abort> {
    match rate {
        Rate::Flat => Ok(amount),
        Rate::Variable { tokens, shares } => {
            mul_div_floor(amount, tokens, shares, Abort::PoolOverflow)
        }
    }
}

/// The last rate recorded in an epoch or before it.
pub fn rate_at(pool: &Pool, epoch: u32) -> Rate {
    pool.rates.range(..=epoch).next_back().map_or(Rate::Flat, |(_, rate)| *rate)
}

/// Everything in the pool.
pub fn funds(pool: &Pool) -> Result<u64, Abort> {
    let parts = [pool.bond, pool.active, pool.pending, pool.unbonded, pool.commission];
    parts.into_iter().try_fold(0_u64, u64::checked_add).ok_or(Abort::PoolOverflow)
}

fn add(place: &mut u64, amount: u64) -> Result<(), Abort> {
    *place = place.checked_add(amount).ok_or(Abort::PoolOverflow)?;
    Ok(())
}

fn take(place: &mut u64, amount: u64) -> Result<(), Abort> {
    *place = place.checked_sub(amount).ok_or(Abort::PoolOverflow)?;
    Ok(())
}

/// Does everything due up to `epoch`. With a reward (of any size) the pool enters the epoch as one
/// of its old or new committee, and a rate is recorded; without, nothing is recorded that was not
/// due. Says how much of the reward is the operator's.
pub fn settle(pool: &mut Pool, epoch: u32, reward: Option<u64>) -> Result<u64, Abort> {
    let entered = pool.last_epoch >= epoch;
    if entered && reward.is_some() {
        return Err(Abort::PoolAlreadyUpdated);
    }
    if entered {
        return Ok(0);
    }
    let mut due = due_epochs(pool, epoch);
    let mut commission = 0;
    if let Some(reward) = reward {
        due.remove(&epoch);
        for epoch in &due {
            enter(pool, *epoch)?;
        }
        apply_commission_rate(pool, epoch.saturating_sub(1))?;
        commission = credit(pool, reward)?;
        enter(pool, epoch)?;
    } else {
        for epoch in &due {
            enter(pool, *epoch)?;
        }
    }
    apply_commission_rate(pool, epoch)?;
    if let Some(next) = pool.next_peer_key.take_if(|next| next.key <= epoch) {
        use_peer_key(&mut pool.node, next.value);
    }
    pool.last_epoch = epoch;
    Ok(commission)
}

/// Gives a node the key it announced. The old key stays taken: peers may still remember it.
fn use_peer_key(node: &mut NodeInfo, key: Vec<u8>) {
    if let Ok(bytes) = <[u8; 32]>::try_from(key.as_slice()) {
        node.peer_id = PeerId::from_key(bytes).to_multihash().to_vec();
        node.peer_key = key;
    }
}

/// The epochs up to `epoch` in which stake comes or goes.
fn due_epochs(pool: &Pool, epoch: u32) -> BTreeSet<u32> {
    let lists = [&pool.pending_stake, &pool.pending_unstake_shares, &pool.pre_active];
    let keys = lists.into_iter().flatten().map(|entry| entry.key);
    keys.filter(|key| *key <= epoch).collect()
}

/// Splits a reward between the operator and the stake at work.
fn credit(pool: &mut Pool, reward: u64) -> Result<u64, Abort> {
    if reward > 0 && pool.active == 0 {
        return Err(Abort::IncorrectEpochAdvance);
    }
    let commission = share_bps(reward, pool.commission_bps, Abort::PoolOverflow)?;
    add(&mut pool.commission, commission)?;
    add(&mut pool.commission_blocked, commission)?;
    add(&mut pool.active, reward - commission)?;
    Ok(commission)
}

/// Records the rate of an epoch and moves the stake that comes and goes at it.
fn enter(pool: &mut Pool, epoch: u32) -> Result<(), Abort> {
    let rate = rate(pool.active, pool.shares);
    let before_it_worked = rate_at(pool, epoch.saturating_sub(1));
    pool.rates.insert(epoch, rate);
    let come = pending::flush(&mut pool.pending_stake, epoch)?;
    take(&mut pool.pending, come)?;
    add(&mut pool.active, come)?;
    let mut leaving = pending::flush(&mut pool.pending_unstake_shares, epoch)?;
    let pre_active = pending::flush(&mut pool.pre_active, epoch)?;
    add(&mut leaving, to_shares(before_it_worked, pre_active)?)?;
    let value = to_tokens(rate, leaving)?.min(pool.active);
    take(&mut pool.active, value)?;
    add(&mut pool.unbonded, value)?;
    pool.shares = to_shares(rate, pool.active)?;
    Ok(())
}

fn apply_commission_rate(pool: &mut Pool, epoch: u32) -> Result<(), Abort> {
    if let Some(bps) = pending::latest_value_at(&pool.pending_commission, epoch) {
        pool.commission_bps =
            u16::try_from(bps).map_err(|_| Abort::IncorrectCommissionRate)?.min(ALL_BPS);
        pool.pending_commission.retain(|entry| entry.key > epoch);
    }
    Ok(())
}

/// The stake that will be at work in epoch `target`, as known in epoch `now`: the same whether or
/// not somebody settled the pool.
pub fn stake_at(pool: &Pool, now: u32, target: u32) -> Result<u64, Abort> {
    if pool.last_epoch < now && !due_epochs(pool, now).is_empty() {
        let mut settled = pool.clone();
        settle(&mut settled, now, None)?;
        return stake_at(&settled, now, target);
    }
    let coming = pending::value_at(&pool.pending_stake, target)?;
    let pre_active = pending::value_at(&pool.pre_active, target)?;
    let mut leaving = pending::value_at(&pool.pending_unstake_shares, target)?;
    add(&mut leaving, to_shares(rate_at(pool, target.saturating_sub(1)), pre_active)?)?;
    let mut stake = pool.active;
    add(&mut stake, coming)?;
    Ok(stake.saturating_sub(to_tokens(rate(pool.active, pool.shares), leaving)?))
}

/// Takes stake in, to work from an epoch on.
pub fn stake(pool: &mut Pool, amount: u64, activation_epoch: u32) -> Result<(), Abort> {
    if amount == 0 {
        return Err(Abort::ZeroStake);
    }
    add(&mut pool.pending, amount)?;
    pending::insert_or_add(&mut pool.pending_stake, activation_epoch, amount)
}

/// Notes that a receipt leaves before it ever worked for long: at the epoch after its first.
pub fn request_pre_active(
    pool: &mut Pool,
    principal: u64,
    withdraw_epoch: u32,
) -> Result<(), Abort> {
    pending::insert_or_add(&mut pool.pre_active, withdraw_epoch, principal)?;
    add(&mut pool.withdrawing, principal)
}

/// Notes that the shares of a working receipt leave.
pub fn request_active(pool: &mut Pool, staked: &Staked, withdraw_epoch: u32) -> Result<(), Abort> {
    let shares = to_shares(rate_at(pool, staked.activation_epoch), staked.principal)?;
    if shares == 0 {
        return Err(Abort::ZeroShares);
    }
    pending::insert_or_add(&mut pool.pending_unstake_shares, withdraw_epoch, shares)?;
    add(&mut pool.withdrawing, staked.principal)
}

fn check_owner(pool: &Pool, staked: &Staked) -> Result<(), Abort> {
    match pool.node.node_id == staked.node_id {
        true => Ok(()),
        false => Err(Abort::IncorrectPoolId),
    }
}

/// Pays back stake that does not work yet.
pub fn cancel(pool: &mut Pool, staked: &Staked) -> Result<u64, Abort> {
    check_owner(pool, staked)?;
    pending::reduce(&mut pool.pending_stake, staked.activation_epoch, staked.principal)?;
    take(&mut pool.pending, staked.principal)?;
    Ok(staked.principal)
}

/// Pays a working receipt of a node outside the committees at once. The pool is settled.
pub fn withdraw_now(pool: &mut Pool, staked: &Staked) -> Result<u64, Abort> {
    check_owner(pool, staked)?;
    let shares = to_shares(rate_at(pool, staked.activation_epoch), staked.principal)?;
    if shares == 0 {
        return Err(Abort::ZeroShares);
    }
    let paid = to_tokens(rate(pool.active, pool.shares), shares)?.min(pool.active);
    take(&mut pool.active, paid)?;
    pool.shares = pool.shares.saturating_sub(shares);
    Ok(paid)
}

/// Pays a receipt whose epoch of withdrawal came. The pool is settled. Dust that is left when
/// nobody waits any more is the operator's.
pub fn pay(pool: &mut Pool, staked: &Staked, withdraw_epoch: u32) -> Result<u64, Abort> {
    check_owner(pool, staked)?;
    let shares = to_shares(rate_at(pool, staked.activation_epoch), staked.principal)?;
    let paid = to_tokens(rate_at(pool, withdraw_epoch), shares)?.min(pool.unbonded);
    take(&mut pool.unbonded, paid)?;
    take(&mut pool.withdrawing, staked.principal)?;
    if pool.withdrawing == 0 {
        let dust = std::mem::take(&mut pool.unbonded);
        add(&mut pool.commission, dust)?;
    }
    Ok(paid)
}

/// Changes the operator's part from an epoch on.
pub fn set_next_commission(pool: &mut Pool, bps: u16, epoch: u32) -> Result<(), Abort> {
    if bps > ALL_BPS {
        return Err(Abort::IncorrectCommissionRate);
    }
    pending::insert_or_replace(&mut pool.pending_commission, epoch, bps.into());
    Ok(())
}

/// Who acts: the account that signed, and the object it shows, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The account that signed.
    pub sender: ObjectId,
    /// An object of its own that it shows.
    pub object: Option<ObjectId>,
}

/// Checks that somebody is who the pool wants; accounts and objects never stand in for another.
pub fn authorise(authority: Authority, proof: Proof) -> Result<(), Abort> {
    let is = match authority {
        Authority::Account(account) => proof.object.is_none() && proof.sender == account,
        Authority::Object(object) => proof.object == Some(object),
    };
    match is {
        true => Ok(()),
        false => Err(Abort::AuthorizationFailure),
    }
}

/// Pays out the commission that is not blocked.
pub fn collect_commission(pool: &mut Pool, proof: Proof) -> Result<u64, Abort> {
    authorise(pool.commission_receiver, proof)?;
    let free = pool.commission.saturating_sub(pool.commission_blocked);
    take(&mut pool.commission, free)?;
    Ok(free)
}
