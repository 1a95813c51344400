//! How the storage side enters the first epoch: by the rules that begin every other epoch.
//!
//! Promises: a first state that the rules would refuse is no genesis.
//! Does not: publish what epoch zero says, because nobody can have been there.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::{BlsMember, Params, System, Table, Treasury};
use haulout_protocol::chain::params::ParamKey;
use haulout_protocol::crypto::blake2b_256;
use sui_sdk_types::Digest;

use super::{FIRST_EPOCH, GenesisConfig, GenesisError, GenesisIds, GenesisNode, VERSION};
use crate::ledger::rules::wal::SUPPLY;
use crate::ledger::rules::{Context, accounting, bls, params, system};

/// The epoch before the first one, in which nobody serves.
const EPOCH_ZERO: u32 = 0;

impl GenesisConfig {
    /// The storage side, brought from epoch zero into the first epoch by the rules themselves.
    pub(super) fn first_epoch(
        &self,
        ids: &GenesisIds,
    ) -> Result<(System, Params, Treasury), GenesisError> {
        let mut context = Context::new(Digest::new(ids.network_id));
        let mut params = self.params(ids);
        let duration = ParamKey::EpochDurationMs.number();
        params::set(&mut context, EPOCH_ZERO, &mut params, duration, self.epoch_duration_ms)?;
        let mut treasury = Treasury {
            id: ids.treasury,
            cap_id: blake2b_256(&[b"haulout treasury cap", &ids.treasury]),
            total_supply: SUPPLY,
        };
        let member = |(node, id): (&GenesisNode, &ObjectId)| BlsMember {
            public_key: node.bls_public_key.clone(),
            weight: u16::try_from(node.shards.len()).expect("shards are numbered by 16 bits"),
            node_id: *id,
        };
        let members = self.nodes.iter().zip(&ids.nodes).map(member).collect();
        let committee = bls::new_committee(FIRST_EPOCH, members)?;
        let mut system = self.epoch_zero(ids)?;
        let capacity = self.capacity;
        system::advance(&mut context, &mut system, &params, &mut treasury, committee, capacity)?;
        let (storage, write) = (self.storage_price, self.write_price);
        system::set_prices(&mut context, &mut system, &params, storage, write)?;
        Ok((system, params, treasury))
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
            invalid: Table { id: blake2b_256(&[b"haulout invalid table", &ids.system]), size: 0 },
            deny: Vec::new(),
            last_event_sequence: 0,
            protocol_version: VERSION,
        })
    }

    fn params(&self, ids: &GenesisIds) -> Params {
        Params {
            id: ids.params,
            version: VERSION,
            network_id: ids.network_id,
            n_shards: self.shards,
            segment_bytes: self.segment_bytes,
            index_replicas: self.index_replicas,
            max_epochs_ahead: self.max_epochs_ahead,
            values: params::defaults(self.shards),
        }
    }
}
