//! Prices and capacity: what a quorum of shards can live with.
//!
//! Promises: fewer than a third of the shards move neither price nor capacity past every honest
//! vote; a price moves at most one step per epoch.
//! Source: `contracts.md` 2.6 and 4.6.

use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::event;
use crate::chain::object::staking::{Asks, NodeCap, Staking};

use super::{Context, StakeParams, committee, emit, pool_mut};
use crate::rules::math::{ALL_BPS, mul_div_floor};
use crate::rules::node_registry::{Field, updated};

/// A vote and the shards behind it.
type Vote = (u64, u16);

/// The smallest value that a quorum finds high enough: the price. `u64::MAX` without a quorum.
pub fn quorum_below(votes: &[Vote], shards: u16) -> u64 {
    let mut votes = votes.to_vec();
    votes.sort_unstable();
    first_quorum(votes.into_iter(), shards).unwrap_or(u64::MAX)
}

/// The largest value that a quorum can carry: the capacity. Zero without a quorum.
pub fn quorum_above(votes: &[Vote], shards: u16) -> u64 {
    let mut votes = votes.to_vec();
    votes.sort_unstable();
    first_quorum(votes.into_iter().rev(), shards).unwrap_or(0)
}

fn first_quorum(votes: impl Iterator<Item = Vote>, shards: u16) -> Option<u64> {
    let mut weight = 0_u64;
    for (value, behind) in votes {
        weight += u64::from(behind);
        if committee::is_quorum(weight, shards) {
            return Some(value);
        }
    }
    None
}

/// A voted price, held within one step of the price before the epoch. A price may always rise by
/// one, or small prices could never rise; from `u64::MAX`, which nobody set, it may go anywhere.
pub fn clamp_price(voted: u64, base: u64, step_bps: u16) -> Result<u64, Abort> {
    if base == u64::MAX {
        return Ok(voted);
    }
    let all = u64::from(ALL_BPS);
    let bound = |bps| mul_div_floor(base, bps, all, Abort::StakingOverflow);
    let low = bound(all.saturating_sub(step_bps.into()))?;
    let high = bound(all + u64::from(step_bps)).unwrap_or(u64::MAX).max(base + 1);
    Ok(voted.clamp(low, high))
}

/// The prices of the current committee, within one step of those before the epoch.
pub(super) fn prices(staking: &Staking, params: &StakeParams) -> Result<Asks, Abort> {
    let votes = |ask: fn(&Asks) -> u64| -> Result<u64, Abort> {
        let vote = |pool: &_| ask(pool);
        let votes = staking.committee.iter().map(|member| {
            let pool = staking.pools.get(&member.key).ok_or(Abort::UnknownNode)?;
            Ok((vote(&pool.asks), committee::weight(&member.value)))
        });
        let votes = votes.collect::<Result<Vec<_>, Abort>>()?;
        let voted = quorum_below(&votes, staking.n_shards);
        clamp_price(voted, ask(&staking.price_base), params.price_step_bps)
    };
    Ok(Asks { storage: votes(|asks| asks.storage)?, write: votes(|asks| asks.write)? })
}

/// The bytes that a committee can hold, from what its nodes say they can.
pub(super) fn capacity(staking: &Staking, next: &[(&ObjectId, u16)]) -> Result<u64, Abort> {
    let vote = |(node, shards): &(&ObjectId, u16)| {
        let pool = staking.pools.get(node).ok_or(Abort::UnknownNode)?;
        let whole = mul_div_floor(pool.capacity, staking.n_shards, *shards, Abort::StakingOverflow);
        Ok((whole.unwrap_or(u64::MAX), *shards))
    };
    let votes = next.iter().map(vote).collect::<Result<Vec<_>, Abort>>()?;
    Ok(quorum_above(&votes, staking.n_shards))
}

/// Applies the votes at once. Anybody may call it; the caller sets the prices it returns.
pub fn update_prices(
    context: &mut Context<'_>,
    staking: &Staking,
    params: &StakeParams,
) -> Result<Asks, Abort> {
    let prices = prices(staking, params)?;
    announce(context, staking.epoch, prices);
    Ok(prices)
}

pub(super) fn announce(context: &mut Context<'_>, epoch: u32, prices: Asks) {
    let (storage_price, write_price) = (prices.storage, prices.write);
    emit(context, event::PricesUpdated { epoch, storage_price, write_price });
}

/// Says what the node asks for storing one MiB for one epoch.
pub fn set_storage_price_vote(
    context: &mut Context<'_>,
    staking: &mut Staking,
    cap: &NodeCap,
    price: u64,
) -> Result<(), Abort> {
    pool_mut(staking, &cap.node_id)?.asks.storage = price;
    updated(context, staking, cap, Field::Votes)
}

/// Says what the node asks for writing one MiB.
pub fn set_write_price_vote(
    context: &mut Context<'_>,
    staking: &mut Staking,
    cap: &NodeCap,
    price: u64,
) -> Result<(), Abort> {
    pool_mut(staking, &cap.node_id)?.asks.write = price;
    updated(context, staking, cap, Field::Votes)
}

/// Says how many encoded bytes the node can hold.
pub fn set_node_capacity_vote(
    context: &mut Context<'_>,
    staking: &mut Staking,
    cap: &NodeCap,
    capacity: u64,
) -> Result<(), Abort> {
    pool_mut(staking, &cap.node_id)?.capacity = capacity;
    updated(context, staking, cap, Field::Votes)
}
