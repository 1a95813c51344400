//! Twin of `staked`: receipts of stake.
//!
//! Promises: splitting and joining change who can claim what, never how much in all; a part is
//! never below the least stake, and votes follow every part.
//! Does not: move money; that is in the pool.

use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::object::staking::{Staked, StakedState};

use super::Context;
use super::stake_params::StakeParams;

/// A receipt for fresh stake.
pub(super) fn mint(
    context: &mut Context<'_>,
    params: &StakeParams,
    node_id: ObjectId,
    principal: u64,
    activation_epoch: u32,
) -> Result<Staked, Abort> {
    if principal < params.min_stake_object {
        return Err(Abort::StakeBelowMinimum);
    }
    let (id, vote_locks) = (context.fresh_id(), Vec::new());
    let state = StakedState::Staked;
    Ok(Staked { id, node_id, principal, activation_epoch, state, vote_locks })
}

/// Makes a second receipt of part of the first.
pub fn split(
    context: &mut Context<'_>,
    params: &StakeParams,
    staked: &mut Staked,
    amount: u64,
) -> Result<Staked, Abort> {
    if amount >= staked.principal {
        return Err(Abort::BadStakeAmount);
    }
    let left = staked.principal - amount;
    if amount < params.min_stake_object || left < params.min_stake_object {
        return Err(Abort::StakeBelowMinimum);
    }
    staked.principal = left;
    Ok(Staked { id: context.fresh_id(), principal: amount, ..staked.clone() })
}

/// Adds a receipt to another with the same node and first epoch, neither of them asked back: what is
/// set aside for one that was is rounded by itself, and two joined could claim more.
pub fn join(staked: &mut Staked, other: Staked) -> Result<(), Abort> {
    let of = |staked: &Staked| (staked.node_id, staked.activation_epoch, staked.state);
    if of(staked) != of(&other) || staked.state != StakedState::Staked {
        return Err(Abort::StakeMismatch);
    }
    let sum = staked.principal.checked_add(other.principal);
    staked.principal = sum.ok_or(Abort::StakedOverflow)?;
    for lock in other.vote_locks {
        if !staked.vote_locks.contains(&lock) {
            staked.vote_locks.push(lock);
        }
    }
    Ok(())
}

/// Whether the receipt was asked back, and for which epoch.
pub fn withdraw_epoch(staked: &Staked) -> Option<u32> {
    match staked.state {
        StakedState::Staked => None,
        StakedState::Withdrawing { withdraw_epoch } => Some(withdraw_epoch),
    }
}
