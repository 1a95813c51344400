//! The epoch machine.
//!
//! Promises: the order of steps of `contracts.md` 4.13; whoever calls, and however often, each step
//! happens once per epoch and not before its time.

use std::sync::Arc;

use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::event::{self, EpochChangeStart, Event};
use crate::chain::object::staking::{
    ActiveNode, ActiveSet, EpochState, NodeCap, Pool, ShardMap, Staking,
};
use crate::chain::object::{BlsCommittee, BlsMember, Entry};

use super::rewards::{Closing, Distribution, Opening, distribute};
use super::{Context, StakeParams, committee, emit, later, pool_mut, update_active_set, votes};
use crate::rules::math::mul_div_floor;
use crate::rules::wal::{self, Reason};
use crate::rules::{active_set, apportion, bls, node_registry, staking_pool};

/// Checks that `after` has passed since a moment; epoch zero waits for its end only.
fn check_time(staking: &Staking, since_ms: u64, after: u64, now_ms: u64) -> Result<(), Abort> {
    let due = match staking.epoch {
        0 => staking.first_epoch_start_ms,
        _ => since_ms.checked_add(after).ok_or(Abort::StakingOverflow)?,
    };
    match now_ms >= due {
        true => Ok(()),
        false => Err(Abort::StakingTooEarly),
    }
}

/// Chooses the next committee, half an epoch after the last sync. `storage_price` is the one in
/// force: stake of nodes that ask more counts less.
pub fn voting_end(
    context: &mut Context<'_>,
    staking: &mut Staking,
    params: &StakeParams,
    storage_price: u64,
    now_ms: u64,
) -> Result<(), Abort> {
    let EpochState::Done { since_ms } = staking.state else {
        return Err(Abort::StakingWrongState);
    };
    check_time(staking, since_ms, params.epoch_duration_ms / 2, now_ms)?;
    for member in &staking.previous.clone() {
        pool_mut(staking, &member.key)?.commission_blocked = 0;
    }
    let candidates = candidates(staking, params, storage_price)?;
    let next = choose(staking, active_set::top(&candidates, params.max_nodes))?;
    let key = |member: &Entry<ObjectId, Vec<u16>>| {
        let node = &staking.pools.get(&member.key).ok_or(Abort::UnknownNode)?.node;
        let value = node.next_bls_public_key.as_ref().unwrap_or(&node.bls_public_key).clone();
        Ok(Entry { key: member.key, value })
    };
    let next_keys = next.iter().map(key).collect::<Result<Vec<_>, Abort>>()?;
    let weights = next.iter().map(|member| (&member.key, committee::weight(&member.value)));
    let weights: Vec<_> = weights.collect();
    let capacity = votes::capacity(staking, &weights)?;
    let event = event::EpochParametersSelected {
        next_epoch: later(staking.epoch, 1)?,
        nodes: weights.iter().map(|(node, _)| **node).collect(),
        shards: weights.iter().map(|(_, shards)| *shards).collect(),
        capacity,
    };
    (staking.next_keys, staking.next_capacity) = (next_keys, capacity);
    staking.next = Some(next);
    staking.state = EpochState::Selected { since_ms };
    emit(context, event);
    Ok(())
}

/// Everybody who may serve, by effective stake.
fn candidates(
    staking: &Staking,
    params: &StakeParams,
    storage_price: u64,
) -> Result<ActiveSet, Abort> {
    let next_epoch = later(staking.epoch, 1)?;
    let may_serve =
        |pool: &Pool| pool.node.status == staking_pool::ACTIVE && pool.bond >= params.min_bond;
    let pools = staking.pools.iter().filter(|(_, pool)| may_serve(pool));
    let stakes = pools.map(|(node, pool)| {
        let stake = staking_pool::stake_at(pool, staking.epoch, next_epoch)?;
        let (slope, cap) = (params.price_weight_slope_bps, params.price_weight_cap_bps);
        let stake =
            apportion::effective_stake(stake, pool.asks.storage, storage_price, slope, cap)?;
        Ok((*node, stake))
    });
    active_set::from_stakes(stakes.collect::<Result<Vec<_>, Abort>>()?)
}

/// Deals the shards to the chosen.
fn choose(staking: &Staking, chosen: &[ActiveNode]) -> Result<ShardMap, Abort> {
    let stakes: Vec<_> = chosen.iter().map(|node| node.staked_amount).collect();
    let counts = apportion::apportion(&stakes, staking.n_shards)?;
    let counts = chosen.iter().zip(counts).filter(|(_, count)| *count > 0);
    let counts = counts.map(|(node, value)| Entry { key: node.node_id, value }).collect();
    match staking.committee.is_empty() {
        true => Ok(committee::initialize(&counts)),
        false => committee::transition(&staking.committee, counts),
    }
}

/// Ends the epoch: pays its committee and puts the chosen one in its place.
pub fn epoch_change(
    context: &mut Context<'_>,
    staking: &mut Staking,
    params: &StakeParams,
    closing: &Closing,
    now_ms: u64,
) -> Result<Opening, Abort> {
    let EpochState::Selected { since_ms } = staking.state else {
        return Err(Abort::StakingWrongState);
    };
    check_time(staking, since_ms, params.epoch_duration_ms, now_ms)?;
    let paid = distribute(staking, params, closing)?;
    announce_rewards(context, staking, closing, &paid);
    let next = staking.next.take().ok_or(Abort::StakingWrongState)?;
    staking.epoch = later(staking.epoch, 1)?;
    staking.previous = std::mem::replace(&mut staking.committee, next);
    settle_members(context, staking, &paid.kept)?;
    let committee = use_keys(staking)?;
    record_stake(staking)?;
    staking.state = EpochState::Sync { weight: 0, started_ms: now_ms };
    (staking.synced, staking.stalled) = (Vec::new(), Vec::new());
    staking.price_base = closing.prices;
    let prices = votes::prices(staking, params)?;
    context.events.push(Event::EpochChangeStart(EpochChangeStart { epoch: staking.epoch }));
    votes::announce(context, staking.epoch, prices);
    Ok(Opening {
        burned: paid.burned + paid.forfeit_burned,
        treasury: paid.forfeited - paid.forfeit_burned,
        dust: paid.dust,
        committee,
        capacity: staking.next_capacity.max(closing.next_used),
        prices,
    })
}

fn announce_rewards(
    context: &mut Context<'_>,
    staking: &Staking,
    closing: &Closing,
    paid: &Distribution,
) {
    let burns = [(paid.burned, Reason::Epoch), (paid.forfeit_burned, Reason::Forfeit)];
    for (amount, reason) in burns.into_iter().filter(|(amount, _)| *amount > 0) {
        wal::say_burned(context, amount, reason);
    }
    let event = event::RewardsDistributed {
        epoch: staking.epoch,
        total: closing.rewards,
        burned: paid.burned,
        forfeited: paid.forfeited,
        node_ids: staking.committee.iter().map(|member| member.key).collect(),
        kept: paid.kept.clone(),
    };
    emit(context, event);
}

/// Lets the pools of both committees enter the epoch: the old one with its rewards, then those who
/// are new.
fn settle_members(
    context: &mut Context<'_>,
    staking: &mut Staking,
    kept: &[u64],
) -> Result<(), Abort> {
    let epoch = staking.epoch;
    let old = staking.previous.iter().map(|member| member.key).zip(kept.iter().copied());
    let new = staking.committee.iter().map(|member| member.key);
    let new = new.filter(|node| !committee::contains(&staking.previous, node));
    let members: Vec<_> = old.chain(new.map(|node| (node, 0))).collect();
    for (node_id, reward) in members {
        let pool = pool_mut(staking, &node_id)?;
        let commission = staking_pool::settle(pool, epoch, Some(reward))?;
        let (stake, shares) = (pool.active, pool.shares);
        update_active_set(staking, &node_id)?;
        emit(context, event::PoolSettled { epoch, node_id, reward, commission, stake, shares });
    }
    Ok(())
}

/// Rotates every member to exactly the key captured at its selection.
fn use_keys(staking: &mut Staking) -> Result<BlsCommittee, Abort> {
    for entry in std::mem::take(&mut staking.next_keys) {
        node_registry::use_bls_key(staking, &entry.key, entry.value)?;
    }
    let member = |member: &Entry<ObjectId, Vec<u16>>| {
        let pool = staking.pools.get(&member.key).ok_or(Abort::UnknownNode)?;
        Ok(BlsMember {
            public_key: pool.node.bls_public_key.clone(),
            weight: committee::weight(&member.value),
            node_id: member.key,
        })
    };
    let members = staking.committee.iter().map(member).collect::<Result<Vec<_>, Abort>>()?;
    bls::new_committee(staking.epoch, members)
}

/// Notes the stake behind the new committee, which is what votes are counted by.
fn record_stake(staking: &mut Staking) -> Result<(), Abort> {
    let (epoch, mut total) = (staking.epoch, 0_u64);
    for member in &staking.committee {
        let pool = staking.pools.get_mut(&member.key).ok_or(Abort::UnknownNode)?;
        let pool = Arc::make_mut(pool);
        pool.stake_at.insert(epoch, pool.active);
        total = total.checked_add(pool.active).ok_or(Abort::StakingOverflow)?;
    }
    staking.stake_history.insert(epoch, total);
    Ok(())
}

/// A member reports that it holds its shards; a quorum of them ends the sync.
pub fn epoch_sync_done(
    context: &mut Context<'_>,
    staking: &mut Staking,
    cap: &NodeCap,
    epoch: u32,
    now_ms: u64,
) -> Result<(), Abort> {
    if epoch != staking.epoch {
        return Err(Abort::StakingWrongEpoch);
    }
    let node_id = cap.node_id;
    if staking.synced.contains(&node_id) {
        return Err(Abort::DuplicateSync);
    }
    let shards = committee::shards_of(&staking.committee, &node_id);
    let shards = shards.ok_or(Abort::StakingNotMember)?.to_vec();
    staking.synced.push(node_id);
    if let EpochState::Sync { weight, started_ms } = staking.state {
        let weight = weight.saturating_add(committee::weight(&shards));
        staking.state = EpochState::Sync { weight, started_ms };
        if committee::is_quorum(weight.into(), staking.n_shards) {
            staking.state = EpochState::Done { since_ms: now_ms };
            emit(context, event::EpochChangeDone { epoch });
        }
    }
    emit(context, event::ShardsReceived { epoch, node_id, shards });
    Ok(())
}

/// Ends a sync that takes too long; those who did not report earn nothing in this epoch.
pub fn force_sync_done(
    context: &mut Context<'_>,
    staking: &mut Staking,
    params: &StakeParams,
    now_ms: u64,
) -> Result<(), Abort> {
    let EpochState::Sync { started_ms, .. } = staking.state else {
        return Err(Abort::StakingWrongState);
    };
    let (duration, bps) = (params.epoch_duration_ms, params.sync_timeout_bps);
    let timeout = mul_div_floor(duration, bps, 10_000_u64, Abort::StakingOverflow)?;
    let due = started_ms.checked_add(timeout).ok_or(Abort::StakingOverflow)?;
    if now_ms < due {
        return Err(Abort::StakingTooEarly);
    }
    let members = staking.committee.iter().map(|member| member.key);
    let missing: Vec<_> = members.filter(|node| !staking.synced.contains(node)).collect();
    staking.stalled = missing.clone();
    staking.state = EpochState::Done { since_ms: now_ms };
    emit(context, event::EpochSyncForced { epoch: staking.epoch, missing });
    Ok(())
}
