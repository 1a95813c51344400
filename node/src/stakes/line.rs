//! How much stake a place in the committee takes.
//!
//! Promises: the ledger's own rules deal the shards, for the stakes that count at the next selection. Does not: foresee what
//! others stake until then.

use haulout_actors::chain::StakeBook;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::amount::SMALLEST_PER_COIN;
use haulout_protocol::chain::object::staking::Pool;
use haulout_protocol::chain::params::ParamKey;
use haulout_protocol::rules::{active_set, apportion};

use super::{ACTIVE, min_stake, next_vote, param, stake_at};

/// The least stake, in FROST, that gives a node one shard if the next committee were chosen now and nobody else's stake
/// changed; nothing if no stake is enough. A node that is not registered yet asks the price in force.
pub fn least_for_a_shard(book: &StakeBook, node: Option<&ObjectId>) -> Option<u64> {
    let us = node.copied().unwrap_or(ObjectId::from_bytes([0xff; 32]));
    let others = others(book, &us);
    let (mut low, mut high) =
        (1, others.iter().map(|(_, stake)| *stake).fold(1, u64::saturating_add));
    if !is_enough(book, &others, us, high) {
        return None;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        match is_enough(book, &others, us, middle) {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    Some(high)
}

/// What a new node should have staked with it to get a shard, in whole coins; one more than enough now, as others may stake
/// meanwhile.
pub fn stake_for_a_shard(book: &StakeBook) -> Option<u64> {
    let least = least_for_a_shard(book, None)?.max(min_stake(book));
    Some((least / SMALLEST_PER_COIN).saturating_add(1).saturating_mul(SMALLEST_PER_COIN))
}

/// Everybody else who may be chosen, with the stake that counts.
fn others(book: &StakeBook, us: &ObjectId) -> Vec<(ObjectId, u64)> {
    let staking = &book.staking;
    let target = next_vote(staking);
    let may_serve =
        |pool: &Pool| pool.node.status == ACTIVE && pool.bond >= param(book, ParamKey::MinBond);
    let pools = staking.pools.iter().filter(|(id, pool)| *id != us && may_serve(pool));
    let stakes = pools.filter_map(|(id, pool)| {
        let stake = stake_at(pool, staking.epoch, target);
        Some((*id, effective(book, stake, pool.asks.storage)?))
    });
    stakes.collect()
}

/// What stake counts for a node that asks so much.
fn effective(book: &StakeBook, stake: u64, ask: u64) -> Option<u64> {
    let part = |key| u16::try_from(param(book, key)).unwrap_or(u16::MAX);
    let (slope, cap) = (part(ParamKey::PriceWeightSlopeBps), part(ParamKey::PriceWeightCapBps));
    apportion::effective_stake(stake, ask, book.storage_price, slope, cap).ok()
}

/// Whether this much stake gives the node a shard.
fn is_enough(book: &StakeBook, others: &[(ObjectId, u64)], us: ObjectId, stake: u64) -> bool {
    let ask = book.staking.pools.get(&us).map_or(book.storage_price, |pool| pool.asks.storage);
    let Some(counted) = effective(book, stake, ask) else { return false };
    let all = others.iter().copied().chain([(us, counted)]);
    let Ok(set) = active_set::from_stakes(all) else { return false };
    let places = match param(book, ParamKey::MaxNodes) {
        0 => u16::MAX, // this network does not say
        places => u16::try_from(places).unwrap_or(u16::MAX),
    };
    let chosen = active_set::top(&set, places);
    let Some(at) = chosen.iter().position(|node| node.node_id == us) else { return false };
    let stakes: Vec<u64> = chosen.iter().map(|node| node.staked_amount).collect();
    let dealt = apportion::apportion(&stakes, book.staking.n_shards);
    dealt.is_ok_and(|dealt| dealt[at] > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stakes::sample_book;

    #[test]
    fn the_least_stake_for_a_shard_gives_one_and_a_little_less_gives_none() {
        // Four shards for 3 and 1 WAL: three and one. Whoever comes third takes the last one with as much as it is worth.
        let book = sample_book();
        for node in [None, Some(ObjectId::from_bytes([3; 32]))] {
            let least = least_for_a_shard(&book, node.as_ref()).unwrap();
            let us = node.unwrap_or(ObjectId::from_bytes([0xff; 32]));
            let others = others(&book, &us);
            assert!(
                is_enough(&book, &others, us, least) && !is_enough(&book, &others, us, least - 1)
            );
            assert!((900_000_000..=1_100_000_000).contains(&least), "{least}");
        }
    }
}
