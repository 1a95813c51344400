//! Twin of `staking`: stake comes and goes, and one epoch follows another.
//!
//! Promises: the timing of `contracts.md` 2.8 (stake works from the next committee on that is not
//! chosen yet) and the epoch machine of 2.9, with a deadline for the sync; everything but the
//! reports of nodes may be called by anybody.
//! Does not: hold the ring, prices or capacity: the storage side hands in what an epoch earned and
//! takes over what [`epoch_change`] returns.
//!
//! ```text
//! Done --voting_end--> Selected --epoch_change--> Sync --epoch_sync_done, or force--> Done
//! ```

mod epochs;
mod rewards;
mod votes;

use std::sync::Arc;

use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::event::{self, StakeEvent};
use crate::chain::object::staking::{
    ActiveSet, Asks, EpochState, Pool, Rows, Staked, StakedState, Staking,
};
use crate::crypto::blake2b_256;

pub use epochs::{epoch_change, epoch_sync_done, force_sync_done, voting_end};
pub use rewards::{Closing, Opening, distribute};
pub use votes::{
    clamp_price, quorum_above, quorum_below, set_node_capacity_vote, set_storage_price_vote,
    set_write_price_vote, update_prices,
};

use super::stake_params::StakeParams;
use super::{Context, active_set, committee, staked, staking_pool};

/// The state before the first epoch. Both steps to epoch one wait for `first_epoch_start_ms`.
pub fn new(id: ObjectId, n_shards: u16, now_ms: u64, first_epoch_start_ms: u64) -> Staking {
    Staking {
        id,
        version: 1,
        epoch: 0,
        state: EpochState::Done { since_ms: now_ms },
        n_shards,
        pools: Rows::new(table_of(&id, "pools")),
        active_set: ActiveSet::default(),
        committee: Vec::new(),
        previous: Vec::new(),
        next: None,
        next_keys: Vec::new(),
        next_capacity: 0,
        stake_history: Rows::new(table_of(&id, "stake_history")),
        stalled: Vec::new(),
        synced: Vec::new(),
        first_epoch_start_ms,
        price_base: Asks { storage: u64::MAX, write: u64::MAX },
        by_peer: Rows::new(table_of(&id, "by_peer")),
        by_bls: Rows::new(table_of(&id, "by_bls")),
    }
}

/// The id of a table of the state of stake: like the state's own id it follows from what it belongs
/// to, because no transaction creates it. A pool's tables have ids of the transaction that
/// registered its node.
fn table_of(state: &ObjectId, name: &str) -> ObjectId {
    ObjectId::from_bytes(blake2b_256(&[
        b"haulout table of stake",
        state.as_bytes(),
        name.as_bytes(),
    ]))
}

/// The pool of a node.
pub fn pool_mut<'a>(staking: &'a mut Staking, node: &ObjectId) -> Result<&'a mut Pool, Abort> {
    staking.pools.get_mut(node).map(Arc::make_mut).ok_or(Abort::UnknownNode)
}

fn emit(context: &mut Context<'_>, event: impl Into<event::Event>) {
    context.events.push(event.into());
}

/// `epoch + ahead`.
fn later(epoch: u32, ahead: u32) -> Result<u32, Abort> {
    epoch.checked_add(ahead).ok_or(Abort::StakingOverflow)
}

/// The first epoch whose committee is not chosen yet.
fn next_vote(staking: &Staking) -> Result<u32, Abort> {
    later(staking.epoch, if staking.next.is_some() { 2 } else { 1 })
}

fn in_current(staking: &Staking, node: &ObjectId) -> bool {
    committee::contains(&staking.committee, node)
}

fn in_next(staking: &Staking, node: &ObjectId) -> bool {
    staking.next.as_ref().is_some_and(|next| committee::contains(next, node))
}

/// Brings a node's place in the active set up to date.
pub(super) fn update_active_set(staking: &mut Staking, node: &ObjectId) -> Result<(), Abort> {
    let target = next_vote(staking)?;
    let pool = staking.pools.get(node).ok_or(Abort::UnknownNode)?;
    let stake = match pool.node.status {
        staking_pool::ACTIVE => staking_pool::stake_at(pool, staking.epoch, target)?,
        _ => 0,
    };
    active_set::insert_or_update(&mut staking.active_set, *node, stake)
}

/// Does what is due in a pool; anybody may ask for it, and nothing depends on whether they do.
pub fn settle(
    context: &mut Context<'_>,
    staking: &mut Staking,
    node: &ObjectId,
) -> Result<(), Abort> {
    let epoch = staking.epoch;
    let pool = pool_mut(staking, node)?;
    if pool.last_epoch < epoch {
        staking_pool::settle(pool, epoch, None)?;
        let (stake, shares) = (pool.active, pool.shares);
        let (reward, commission, node_id) = (0, 0, *node);
        emit(context, event::PoolSettled { epoch, node_id, reward, commission, stake, shares });
    }
    Ok(())
}

/// Stakes with a node. The caller took `amount` out of a coin.
pub fn stake_with_pool(
    context: &mut Context<'_>,
    staking: &mut Staking,
    params: &StakeParams,
    node: &ObjectId,
    amount: u64,
) -> Result<Staked, Abort> {
    let activation_epoch = next_vote(staking)?;
    let epoch = staking.epoch;
    let pool = pool_mut(staking, node)?;
    if pool.node.status != staking_pool::ACTIVE {
        return Err(Abort::NodeNotActive);
    }
    staking_pool::stake(pool, amount, activation_epoch)?;
    let staked = staked::mint(context, params, *node, amount, activation_epoch)?;
    update_active_set(staking, node)?;
    let (node_id, object_id) = (*node, staked.id);
    emit(context, event::Staked { epoch, node_id, object_id, amount, activation_epoch });
    Ok(staked)
}

/// Whether stake can be had back at once because it was never counted on.
pub fn can_withdraw_early(staking: &Staking, staked: &Staked) -> bool {
    let ahead = staked.activation_epoch.saturating_sub(staking.epoch);
    staked.state == StakedState::Staked
        && (ahead >= 2 || ahead == 1 && !in_next(staking, &staked.node_id))
}

/// Asks stake back. It is paid once the committees that count on it are done.
pub fn request_withdraw_stake(
    context: &mut Context<'_>,
    staking: &mut Staking,
    staked: &mut Staked,
) -> Result<(), Abort> {
    let (epoch, node_id) = (staking.epoch, staked.node_id);
    if !staking.pools.contains_key(&node_id) {
        return Err(Abort::UnknownNode);
    }
    if staked.state != StakedState::Staked {
        return Err(Abort::NotStaked);
    }
    if can_withdraw_early(staking, staked) {
        return Err(Abort::WithdrawDirectly);
    }
    let (current, next) = (in_current(staking, &node_id), in_next(staking, &node_id));
    let pool = pool_mut(staking, &node_id)?;
    let withdraw_epoch = if next {
        later(epoch, 2)?
    } else if current {
        later(epoch, 1)?
    } else {
        return Err(Abort::WithdrawDirectly);
    };
    if staked.activation_epoch > epoch {
        staking_pool::request_pre_active(pool, staked.principal, withdraw_epoch)?;
    } else {
        staking_pool::settle(pool, epoch, None)?;
        staking_pool::request_active(pool, staked, withdraw_epoch)?;
    }
    staked.state = StakedState::Withdrawing { withdraw_epoch };
    update_active_set(staking, &node_id)?;
    let object_id = staked.id;
    emit(context, event::UnstakeRequested { epoch, node_id, object_id, withdraw_epoch });
    Ok(())
}

/// Pays a receipt out, and says how much the caller gets.
pub fn withdraw_stake(
    context: &mut Context<'_>,
    staking: &mut Staking,
    staked: Staked,
) -> Result<u64, Abort> {
    let (epoch, node_id) = (staking.epoch, staked.node_id);
    let early = can_withdraw_early(staking, &staked);
    let idle = !in_current(staking, &node_id) && !in_next(staking, &node_id);
    let pool = pool_mut(staking, &node_id)?;
    let paid = match staked.state {
        _ if early => staking_pool::cancel(pool, &staked)?,
        StakedState::Staked if idle => {
            staking_pool::settle(pool, epoch, None)?;
            staking_pool::withdraw_now(pool, &staked)?
        }
        StakedState::Staked => return Err(Abort::NotWithdrawing),
        StakedState::Withdrawing { withdraw_epoch } if withdraw_epoch > epoch => {
            return Err(Abort::WithdrawTooEarly);
        }
        StakedState::Withdrawing { withdraw_epoch } => {
            staking_pool::settle(pool, epoch, None)?;
            staking_pool::pay(pool, &staked, withdraw_epoch)?
        }
    };
    update_active_set(staking, &node_id)?;
    let (object_id, principal) = (staked.id, staked.principal);
    emit(context, event::Unstaked { epoch, node_id, object_id, principal, paid });
    Ok(paid)
}

/// Pays the commission that is not blocked to whoever may have it.
pub fn collect_commission(
    context: &mut Context<'_>,
    staking: &mut Staking,
    node: &ObjectId,
    proof: staking_pool::Proof,
) -> Result<u64, Abort> {
    let (epoch, node_id) = (staking.epoch, *node);
    let amount = staking_pool::collect_commission(pool_mut(staking, node)?, proof)?;
    emit(context, event::CommissionCollected { epoch, node_id, amount });
    Ok(amount)
}

/// The events of this side that a context holds, in order; for those who look at nothing else.
pub fn stake_events<'a>(context: &'a Context<'_>) -> impl Iterator<Item = &'a StakeEvent> {
    context.events.iter().filter_map(|event| match event {
        event::Event::Stake(event) => Some(event),
        _ => None,
    })
}
