//! The epoch calls of `staking` as anybody makes them: both sides in one step.
//!
//! Promises: what an epoch earned is paid, burned or carried over, to the unit; the storage side
//! enters an epoch exactly when the stake side does, with its committee, capacity and prices.
//! Does not: know what a node proved of its work; challenges are not joined yet.

use crate::chain::abort::Abort;
use crate::chain::object::staking::{Asks, Staking};
use crate::chain::object::{Params, System, Treasury};

use super::stake_params::StakeParams;
use super::staking::{Closing, Opening};
use super::{Context, accounting, staking, system};

/// Chooses the next committee.
pub fn voting_end(
    context: &mut Context<'_>,
    staking: &mut Staking,
    system: &System,
    params: &Params,
    now_ms: u64,
) -> Result<(), Abort> {
    let params = StakeParams::read(params)?;
    staking::voting_end(context, staking, &params, system.storage_price, now_ms)
}

/// Ends the epoch on both sides.
pub fn epoch_change(
    context: &mut Context<'_>,
    staking: &mut Staking,
    system: &mut System,
    params: &Params,
    treasury: &mut Treasury,
    now_ms: u64,
) -> Result<Opening, Abort> {
    let (params, closing) = (StakeParams::read(params)?, closing(system)?);
    let opening = staking::epoch_change(context, staking, &params, &closing, now_ms)?;
    system::advance(system, treasury, &opening)?;
    Ok(opening)
}

/// What the storage side knows of the epoch that ends.
fn closing(system: &mut System) -> Result<Closing, Abort> {
    let next = accounting::lookup(&mut system.ring, 1);
    let next_used = next.map_or(0, |entry| entry.used_capacity);
    let head = accounting::lookup(&mut system.ring, 0)?;
    let (rewards, used) = (head.rewards, head.used_capacity);
    let denied = system.deny.iter().map(|entry| (entry.key, entry.value.bytes)).collect();
    let prices = Asks { storage: system.storage_price, write: system.write_price };
    Ok(Closing { rewards, used, next_used, denied, prices, ..Closing::default() })
}
