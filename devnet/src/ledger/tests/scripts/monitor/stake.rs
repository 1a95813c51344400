//! The invariants of stake: shards, the active set, committees, and that every receipt is paid.

use std::collections::BTreeMap;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{Pool, Rate, ShardMap, Staked, StakedState};

use super::{Checked, View, holds};

/// Checks everything.
pub(super) fn check(view: &View) -> Checked {
    shards(view)?;
    active_set(view)?;
    committee_order(view)?;
    let mut receipts: BTreeMap<ObjectId, Vec<&Staked>> = BTreeMap::new();
    for receipt in view.receipts.values().map(|receipt| &receipt.value) {
        receipts.entry(receipt.node_id).or_default().push(receipt);
    }
    for (node, pool) in &view.staking().pools {
        pool_adds_up(pool, receipts.get(node).map_or(&[], Vec::as_slice))?;
    }
    Ok(())
}

/// I4: each committee holds every shard exactly once.
fn shards(view: &View) -> Checked {
    let staking = view.staking();
    let whole: Vec<_> = (0..staking.n_shards).collect();
    let all = |committee: &ShardMap| {
        let mut shards: Vec<_> =
            committee.iter().flat_map(|member| member.value.iter().copied()).collect();
        shards.sort_unstable();
        shards
    };
    let committees = staking.next.iter().chain([&staking.committee]);
    for committee in committees {
        holds(all(committee) == whole, || "I4: a shard has no holder, or two".to_owned())?;
        let sorted = committee.is_sorted_by(|a, b| a.key < b.key);
        holds(sorted, || "I8: a committee is not sorted by id".to_owned())?;
    }
    Ok(())
}

/// I5: the active set adds up, in its order.
fn active_set(view: &View) -> Checked {
    let set = &view.staking().active_set;
    let sum: u128 = set.nodes.iter().map(|node| u128::from(node.staked_amount)).sum();
    holds(sum == u128::from(set.total_stake), || format!("I5: {sum} is not {}", set.total_stake))?;
    let place = |at: usize| {
        let node = &set.nodes[at];
        (std::cmp::Reverse(node.staked_amount), node.node_id)
    };
    let sorted = (1..set.nodes.len()).all(|at| place(at - 1) < place(at));
    holds(sorted, || "I5: the active set is not in order".to_owned())
}

/// I8: the keys that certify are those of the committee, in its order, with its weights.
fn committee_order(view: &View) -> Checked {
    let staking = view.staking();
    let expected = staking.committee.iter().map(|member| {
        let key = staking.pools.get(&member.key).map(|pool| &pool.node.bls_public_key);
        (member.key, member.value.len(), key)
    });
    let found = view
        .system()
        .committee
        .members
        .iter()
        .map(|member| (member.node_id, usize::from(member.weight), Some(&member.public_key)));
    holds(expected.eq(found), || "I8: certificates are checked by others than serve".to_owned())
}

/// What shares or tokens are worth, rounded down.
fn at_rate(rate: Rate, amount: u64, to_shares: bool) -> u64 {
    match rate {
        Rate::Flat => amount,
        Rate::Variable { tokens, shares } => {
            let (times, by) = if to_shares { (shares, tokens) } else { (tokens, shares) };
            u64::try_from(u128::from(amount) * u128::from(times) / u128::from(by)).unwrap()
        }
    }
}

fn rate_at(pool: &Pool, epoch: u32) -> Rate {
    pool.rates.range(..=epoch).next_back().map_or(Rate::Flat, |(_, rate)| *rate)
}

/// I6 and I14: a pool is worth what its receipts say, and what may be paid now is set aside.
fn pool_adds_up(pool: &Pool, receipts: &[&Staked]) -> Checked {
    let name = &pool.node.name;
    let pending: u64 = pool.pending_stake.iter().map(|entry| entry.value).sum();
    holds(pool.pending == pending, || format!("I6: {name} has {pending} of {}", pool.pending))?;
    holds(pool.commission_blocked <= pool.commission, || format!("I6: {name} owes commission"))?;
    holds(pool.shares <= pool.active, || format!("I6: {name} has more shares than tokens"))?;
    let waiting = |receipt: &&&Staked| receipt.state != StakedState::Staked;
    let withdrawing: u64 = receipts.iter().filter(waiting).map(|receipt| receipt.principal).sum();
    holds(pool.withdrawing == withdrawing, || {
        format!("I6: {name} lets {} wait, and receipts say {withdrawing}", pool.withdrawing)
    })?;
    let (mut payable, mut at_work) = (0_u128, 0_u128);
    for receipt in receipts {
        let shares = at_rate(rate_at(pool, receipt.activation_epoch), receipt.principal, true);
        match receipt.state {
            StakedState::Withdrawing { withdraw_epoch } if withdraw_epoch <= pool.last_epoch => {
                let rate = rate_at(pool, withdraw_epoch);
                payable += u128::from(at_rate(rate, shares, false));
            }
            _ if receipt.activation_epoch <= pool.last_epoch => {
                at_work += u128::from(shares);
            }
            _ => {}
        }
    }
    holds(u128::from(pool.unbonded) >= payable, || {
        format!("I14: {name} set {} aside and must pay {payable}", pool.unbonded)
    })?;
    let worth = match pool.shares {
        0 => 0,
        shares => at_work * u128::from(pool.active) / u128::from(shares),
    };
    holds(worth <= u128::from(pool.active), || {
        format!("I14: {name} has {} at work, and its receipts {worth}", pool.active)
    })
}
