//! Twin of `params`: numbers of the network that governance may change within rails.
//!
//! Promises: a value is always inside its rails; nothing is changed that has no key.
//! Does not: know who may change a value; a proposal that passed does.

use std::ops::RangeInclusive;

use crate::chain::abort::Abort;
use crate::chain::event::{Event, ParamChanged};
use crate::chain::object::{Entry, Params};
use crate::chain::params::ParamKey;

use super::Context;
use super::math::ALL_BPS;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const WAL: u64 = 1_000_000_000;

/// The values a network of `n_shards` starts with.
pub fn defaults(n_shards: u16) -> Vec<Entry<u16, u64>> {
    let value = |key: &ParamKey| default(*key).min(*rails(*key, n_shards).end());
    ParamKey::ALL.iter().map(|key| Entry { key: key.number(), value: value(key) }).collect()
}

/// The value of a parameter.
pub(super) fn get(params: &Params, key: ParamKey) -> Result<u64, Abort> {
    let entry = params.values.iter().find(|entry| entry.key == key.number());
    entry.map(|entry| entry.value).ok_or(Abort::UnknownKey)
}

/// Changes a value: first the key is checked, then the rails.
pub fn set(
    context: &mut Context<'_>,
    epoch: u32,
    params: &mut Params,
    key: u16,
    value: u64,
) -> Result<(), Abort> {
    let known = ParamKey::from_number(key).ok_or(Abort::UnknownKey)?;
    let entry = params.values.iter_mut().find(|entry| entry.key == key);
    let entry = entry.ok_or(Abort::UnknownKey)?;
    if !rails(known, params.n_shards).contains(&value) {
        return Err(Abort::OutOfRails);
    }
    let old = std::mem::replace(&mut entry.value, value);
    context.events.push(Event::ParamChanged(ParamChanged { epoch, key, old, new: value }));
    Ok(())
}

/// The defaults of a devnet.
fn default(key: ParamKey) -> u64 {
    match key {
        ParamKey::EpochDurationMs => 60_000,
        ParamKey::SyncTimeoutBps | ParamKey::PriceStepBps => 2500,
        ParamKey::BurnBps => 300,
        ParamKey::MaxNodes => 50,
        ParamKey::MinBond | ParamKey::MinStakeObject => WAL,
        ParamKey::PriceWeightSlopeBps
        | ParamKey::ForfeitBurnBps
        | ParamKey::SlashBondEquivocationBps => 5000,
        ParamKey::PriceWeightCapBps | ParamKey::ReporterBps => 1000,
        ParamKey::RoundsPerEpoch | ParamKey::SamplesPerShard | ParamKey::ExpiryEpochs => 4,
        ParamKey::RoundWindowMs => 3000,
        ParamKey::PerfGraceBps => 9500,
        ParamKey::SlashBondSevereBps => 2000,
        ParamKey::DelegatorSlashCapBps => 0,
        ParamKey::DenyCapBps => 500,
        ParamKey::MarketFeeBps => 100,
        ParamKey::QuorumBps => 3334,
        ParamKey::PassBps => 5001,
        ParamKey::UpgradePassBps => 6667,
        ParamKey::TimelockEpochs => 1,
    }
}

/// The least and the most a parameter may be.
fn rails(key: ParamKey, n_shards: u16) -> RangeInclusive<u64> {
    match key {
        ParamKey::EpochDurationMs => 10_000..=60 * DAY_MS,
        ParamKey::SyncTimeoutBps => 500..=5000,
        ParamKey::BurnBps | ParamKey::ReporterBps => 0..=2000,
        ParamKey::PriceStepBps => 100..=u64::from(ALL_BPS),
        ParamKey::MaxNodes => 4..=u64::from(n_shards.min(300)),
        ParamKey::MinBond
        | ParamKey::MinStakeObject
        | ParamKey::RoundWindowMs
        | ParamKey::TimelockEpochs
        | ParamKey::ExpiryEpochs => 1..=u64::MAX,
        ParamKey::PriceWeightCapBps => 0..=3000,
        ParamKey::RoundsPerEpoch => 1..=64,
        ParamKey::SamplesPerShard => 1..=32,
        ParamKey::DelegatorSlashCapBps | ParamKey::MarketFeeBps => 0..=500,
        ParamKey::PriceWeightSlopeBps
        | ParamKey::PerfGraceBps
        | ParamKey::ForfeitBurnBps
        | ParamKey::SlashBondSevereBps
        | ParamKey::SlashBondEquivocationBps
        | ParamKey::DenyCapBps
        | ParamKey::QuorumBps
        | ParamKey::PassBps
        | ParamKey::UpgradePassBps => 0..=u64::from(ALL_BPS),
    }
}
