//! What the stake side reads of `params`: its keys of `contracts.md` 4.1, with the devnet's values.
//!
//! Does not: check rails or change; that is `params` itself.

use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::object::Params;
use crate::chain::params::ParamKey;

use super::params;

/// One token in its smallest unit.
pub const WAL: u64 = 1_000_000_000;

/// The parameters of stake and epochs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StakeParams {
    /// Which network proofs must name.
    pub network_id: ObjectId,
    /// How long an epoch lasts.
    pub epoch_duration_ms: u64,
    /// How long a committee may copy its shards, in ten-thousandths of an epoch.
    pub sync_timeout_bps: u16,
    /// What is burned of an epoch's rewards.
    pub burn_bps: u16,
    /// How far a price may move in an epoch.
    pub price_step_bps: u16,
    /// How many nodes a committee may have.
    pub max_nodes: u16,
    /// The least bond of a node.
    pub min_bond: u64,
    /// The least stake of a receipt.
    pub min_stake_object: u64,
    /// How much stake counts less per part of price above the clearing price.
    pub price_weight_slope_bps: u16,
    /// The most that stake counts less.
    pub price_weight_cap_bps: u16,
    /// What is burned of forfeited rewards; the rest goes to the treasury.
    pub forfeit_burn_bps: u16,
}

impl StakeParams {
    /// What a network's parameters say. Rails keep the small ones small.
    pub fn read(stored: &Params) -> Result<Self, Abort> {
        let get = |key| params::get(stored, key);
        let small = |key| u16::try_from(get(key)?).map_err(|_| Abort::OutOfRails);
        Ok(StakeParams {
            network_id: stored.network_id,
            epoch_duration_ms: get(ParamKey::EpochDurationMs)?,
            sync_timeout_bps: small(ParamKey::SyncTimeoutBps)?,
            burn_bps: small(ParamKey::BurnBps)?,
            price_step_bps: small(ParamKey::PriceStepBps)?,
            max_nodes: small(ParamKey::MaxNodes)?,
            min_bond: get(ParamKey::MinBond)?,
            min_stake_object: get(ParamKey::MinStakeObject)?,
            price_weight_slope_bps: small(ParamKey::PriceWeightSlopeBps)?,
            price_weight_cap_bps: small(ParamKey::PriceWeightCapBps)?,
            forfeit_burn_bps: small(ParamKey::ForfeitBurnBps)?,
        })
    }

    /// The devnet's values for a network.
    pub fn devnet(network_id: ObjectId) -> Self {
        StakeParams {
            network_id,
            epoch_duration_ms: 60_000,
            sync_timeout_bps: 2_500,
            burn_bps: 300,
            price_step_bps: 2_500,
            max_nodes: 50,
            min_bond: WAL,
            min_stake_object: WAL,
            price_weight_slope_bps: 5_000,
            price_weight_cap_bps: 1_000,
            forfeit_burn_bps: 5_000,
        }
    }
}
