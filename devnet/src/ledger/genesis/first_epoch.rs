//! The storage side before the first epoch, which the rules begin as every other one.
//!
//! Promises: parameters that a rail forbids are no genesis.
//! Does not: publish what epoch zero says, because nobody can have been there.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::{Params, System, Table, Treasury};
use haulout_protocol::chain::params::ParamKey;
use haulout_protocol::crypto::blake2b_256;

use super::{GenesisConfig, GenesisError, GenesisIds, VERSION};
use haulout_protocol::rules::wal::SUPPLY;
use haulout_protocol::rules::{Context, accounting, bls, params, system};

/// The epoch before the first one, in which nobody serves.
const EPOCH_ZERO: u32 = 0;
/// Up to so many nodes the parameter's default is enough.
const USUAL_NODES_MAX: u64 = 50;

impl GenesisConfig {
    /// The storage side of epoch zero.
    pub(super) fn before(
        &self,
        ids: &GenesisIds,
    ) -> Result<(System, Params, Treasury), GenesisError> {
        let treasury = Treasury {
            id: ids.treasury,
            cap_id: ObjectId::from_bytes(blake2b_256(&[
                b"haulout treasury cap",
                ids.treasury.as_bytes(),
            ])),
            total_supply: SUPPLY,
        };
        Ok((self.epoch_zero(ids)?, self.params(ids)?, treasury))
    }

    /// The system before the first epoch: no committee, no capacity, no prices.
    fn epoch_zero(&self, ids: &GenesisIds) -> Result<System, GenesisError> {
        Ok(System {
            id: ids.system,
            version: system::VERSION,
            network_id: ids.network_id,
            committee: bls::new_committee(EPOCH_ZERO, Vec::new())?,
            total_capacity: 0,
            used_capacity: 0,
            storage_price: u64::MAX,
            write_price: u64::MAX,
            last_price_epoch: EPOCH_ZERO,
            ring: accounting::new_ring(EPOCH_ZERO, self.max_epochs_ahead),
            invalid: Table {
                id: ObjectId::from_bytes(blake2b_256(&[
                    b"haulout invalid table",
                    ids.system.as_bytes(),
                ])),
                size: 0,
            },
            deny: Vec::new(),
            last_event_sequence: 0,
            protocol_version: VERSION,
        })
    }

    fn params(&self, ids: &GenesisIds) -> Result<Params, GenesisError> {
        let mut params = Params {
            id: ids.params,
            version: VERSION,
            network_id: ids.network_id,
            n_shards: self.shards,
            segment_bytes: self.segment_bytes,
            short_bytes_max: self.short_bytes_max,
            header_replicas: self.header_replicas,
            max_epochs_ahead: self.max_epochs_ahead,
            values: params::defaults(self.shards),
        };
        let mut context = Context::new(ids.network_id.into());
        let mut set = |key: ParamKey, value| {
            params::set(&mut context, EPOCH_ZERO, &mut params, key.number(), value)
        };
        set(ParamKey::EpochDurationMs, self.epoch_duration_ms)?;
        let nodes = u64::try_from(self.nodes.len()).unwrap_or(u64::MAX);
        if nodes > USUAL_NODES_MAX {
            set(ParamKey::MaxNodes, nodes)?;
        }
        Ok(params)
    }
}
