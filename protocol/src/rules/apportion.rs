//! Twin of `apportion`: how many shards stake is worth.
//!
//! Promises: D'Hondt's method with a cap per node (`contracts.md` 2.7); all shards are dealt, the
//! same way for the same list; among equals the earlier one gets the shard.
//! Does not: order the list or say which shards.

use std::collections::BinaryHeap;

use crate::chain::abort::Abort;

use super::math::{ALL_BPS, mul_div_floor};

/// From so many nodes on, one may hold a tenth of the shards.
const MANY_NODES: u64 = 20;

/// The most shards one of `nodes` nodes may hold; never zero.
pub fn max_shards(nodes: usize, shards: u16) -> u16 {
    let nodes = u64::try_from(nodes).unwrap_or(u64::MAX).max(1);
    let shards = u64::from(shards);
    let cap = match nodes >= MANY_NODES {
        true => shards / 10,
        false => (20 * shards).div_ceil(10 * nodes),
    };
    u16::try_from(cap.max(1)).unwrap_or(u16::MAX)
}

/// Stake as it counts in the apportionment: less for a node that asks more than the clearing
/// price. A clearing price of `u64::MAX` (nobody has set one) is neutral.
pub fn effective_stake(
    stake: u64,
    ask: u64,
    clearing: u64,
    slope_bps: u16,
    cap_bps: u16,
) -> Result<u64, Abort> {
    let Some(excess) = ask.checked_sub(clearing).filter(|excess| *excess > 0) else {
        return Ok(stake);
    };
    let all = u128::from(ALL_BPS);
    // A clearing price of zero leaves any ask infinitely above it.
    let above = (u128::from(excess) * all).checked_div(u128::from(clearing));
    let penalty = above.map_or(u128::MAX, |above| above.saturating_mul(slope_bps.into()) / all);
    let kept = all - penalty.min(cap_bps.min(ALL_BPS).into());
    mul_div_floor(stake, kept, all, Abort::ApportionOverflow)
}

/// How often the shard after `held` is paid for by this stake, in units of 2^-64.
fn quotient(stake: u64, held: u16) -> u128 {
    (u128::from(stake) << 64) / (u128::from(held) + 1)
}

/// Shards for each stake, in the order of the list, which is also the order of precedence.
pub fn apportion(stakes: &[u64], shards: u16) -> Result<Vec<u16>, Abort> {
    let total = stakes.iter().try_fold(0_u64, |total, stake| total.checked_add(*stake));
    let total = total.ok_or(Abort::ApportionOverflow)?;
    if total == 0 {
        return Err(Abort::NoStake);
    }
    let cap = max_shards(stakes.len(), shards);
    let per_shard = total / (u64::from(shards) + 1) + 1;
    let initial = |stake: &u64| u16::try_from(stake / per_shard).unwrap_or(u16::MAX).min(cap);
    let mut counts: Vec<u16> = stakes.iter().map(initial).collect();
    let dealt: u64 = counts.iter().copied().map(u64::from).sum();
    let left = u64::from(shards).checked_sub(dealt).ok_or(Abort::ApportionOverflow)?;
    let place = |(index, stake): (usize, &u64)| {
        let priority = stakes.len() - index;
        (counts[index] < cap).then(|| (quotient(*stake, counts[index]), priority))
    };
    let mut queue: BinaryHeap<_> = stakes.iter().enumerate().filter_map(place).collect();
    for _ in 0..left {
        let (_, priority) = queue.pop().ok_or(Abort::NoRoomForShards)?;
        let index = stakes.len() - priority;
        counts[index] += 1;
        if counts[index] < cap {
            queue.push((quotient(stakes[index], counts[index]), priority));
        }
    }
    Ok(counts)
}
