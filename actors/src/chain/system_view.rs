//! What the network's objects say together: the position, and how full the network is.
//!
//! Promises: the same objects give the same view, whether they were read now or kept for a year; objects of two epochs
//! give none. Does not: fetch them, or say whether they are proven.

use std::sync::Arc;

use haulout_protocol::chain::object::{Params, Staking, StakingPool, System, staking};
use haulout_protocol::chain::params::ParamKey;
use haulout_protocol::chain::{self, CommitteeViewError};
use haulout_protocol::committee::{Committee, NodeId};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::NetworkId;
use tracing::debug;

use super::error::CallError;
use super::network_objects::{NetworkObjects, decode};
use crate::market::{Market, Prices};
use crate::position::{Position, Timing};

/// What the ledger says of the network at its latest checkpoint.
#[derive(Clone, Debug)]
pub struct SystemView {
    /// The position there.
    pub position: Position,
    /// Which network this is.
    pub network: NetworkId,
    /// How full the network is.
    pub capacity: Capacity,
    /// The protocol version the nodes agreed on.
    pub protocol_version: u64,
    /// What all of it was read from.
    pub source: NetworkObjects,
}

/// How full the network is in the current epoch, in encoded bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Reserved.
    pub used: u64,
    /// Offered.
    pub total: u64,
}

/// Why objects give no view.
#[derive(Debug)]
pub(super) enum NoView {
    /// An epoch began between two reads.
    Epochs(CommitteeViewError),
    /// Anything else.
    Call(CallError),
}

impl From<CallError> for NoView {
    fn from(error: CallError) -> NoView {
        NoView::Call(error)
    }
}

impl NetworkObjects {
    /// The nodes of other committees; those that cannot be read are left out.
    fn outsiders(&self) -> Vec<StakingPool> {
        self.neighbours.iter().filter_map(|pool| decode(pool).ok()).collect()
    }

    /// The committee of the epoch before; nothing if it is not known, or one of its members cannot be read any more.
    fn previous(
        &self,
        committee: &Committee,
        outsiders: &[StakingPool],
    ) -> Result<Option<Committee>, NoView> {
        let Ok(state) = decode::<staking::Staking>(&self.state) else { return Ok(None) };
        match chain::previous_committee(&state, committee, outsiders) {
            Err(error @ CommitteeViewError::DifferentEpochs { .. }) => Err(NoView::Epochs(error)),
            Err(error) => {
                debug!(%error, "who served in the epoch before is not known");
                Ok(None)
            }
            Ok(previous) => Ok(previous),
        }
    }

    /// The members that reported their shards in this epoch; nobody if that is not known.
    fn synced(&self, epoch: u32) -> Vec<NodeId> {
        let state = decode::<staking::Staking>(&self.state).ok();
        let synced = state.filter(|state| state.epoch == epoch).map(|state| state.synced);
        synced.unwrap_or_default().into_iter().map(NodeId::from).collect()
    }

    /// What they say of the network.
    pub fn view(&self) -> Result<SystemView, CallError> {
        self.try_view().map_err(|error| match error {
            NoView::Epochs(error) => CallError::unreadable(error),
            NoView::Call(error) => error,
        })
    }

    /// As [`NetworkObjects::view`], for whoever can read them again.
    pub(super) fn try_view(&self) -> Result<SystemView, NoView> {
        let system: System = decode(&self.system)?;
        let staking: Staking = decode(&self.staking)?;
        let params: Params = decode(&self.params)?;
        let pools = self.pools.iter().map(|pool| decode(pool));
        let pools = pools.collect::<Result<Vec<StakingPool>, _>>()?;
        let committee =
            chain::committee(&system, &staking, &pools).map_err(|error| match error {
                CommitteeViewError::DifferentEpochs { .. } => NoView::Epochs(error),
                other => NoView::Call(CallError::unreadable(other)),
            })?;
        let outsiders = self.outsiders();
        let previous = self.previous(&committee, &outsiders)?;
        let parameters = params.parameters().map_err(CallError::unreadable)?;
        let position = Position {
            checkpoint: self.checkpoint,
            read_at: self.checkpoint,
            ledger_ms: self.time_ms,
            is_proven: false,
            epoch: Epoch(staking.epoch),
            phase: staking.state,
            timing: timing(&staking, &params),
            committee: Arc::new(committee),
            previous: previous.map(Arc::new),
            neighbours: outsiders.iter().filter_map(chain::neighbour).collect(),
            synced: self.synced(staking.epoch).into(),
            parameters,
            market: Market {
                prices: Prices { storage: system.storage_price, write: system.write_price },
                header_replicas: params.header_replicas,
                epochs_ahead_max: params.max_epochs_ahead,
            },
        };
        Ok(SystemView {
            position,
            network: NetworkId::from_bytes(system.network_id.into()),
            capacity: Capacity { used: system.used_capacity, total: system.total_capacity },
            protocol_version: system.protocol_version,
            source: self.clone(),
        })
    }
}

/// How long the parts of an epoch take.
fn timing(staking: &Staking, params: &Params) -> Timing {
    let duration_ms = staking.epoch_duration_ms;
    let part = |key: ParamKey| {
        let stored = params.values.iter().find(|entry| entry.key == key.number());
        let bps = stored.map_or(0, |entry| entry.value);
        u64::try_from(u128::from(duration_ms) * u128::from(bps) / 10_000).unwrap_or(u64::MAX)
    };
    Timing { duration_ms, sync_timeout_ms: part(ParamKey::SyncTimeoutBps) }
}

#[cfg(test)]
mod tests {
    use haulout_protocol::chain::ObjectId;
    use haulout_protocol::chain::object::NodeInfo;

    use super::*;

    #[test]
    fn neighbours_are_read_from_their_pools_and_whatever_is_none_is_left_out() {
        let node = |byte: u8, key: usize| StakingPool {
            id: ObjectId::from_bytes([byte; 32]),
            node_info: NodeInfo { peer_key: vec![byte; key], ..sample_info() },
        };
        let bytes = |pool: &StakingPool| bcs::to_bytes(pool).unwrap();
        let pools = [bytes(&node(1, 32)), vec![9], bytes(&node(2, 31)), bytes(&node(3, 32))];
        let objects = NetworkObjects { neighbours: pools.to_vec(), ..NetworkObjects::default() };
        let outsiders = objects.outsiders();
        let neighbours = outsiders.iter().filter_map(chain::neighbour);
        assert_eq!(neighbours.map(|it| it.peer_id.key()[0]).collect::<Vec<_>>(), [1, 3]);
    }

    fn sample_info() -> NodeInfo {
        NodeInfo {
            node_id: ObjectId::from_bytes([1; 32]),
            name: "n1".to_owned(),
            peer_key: vec![],
            peer_id: vec![],
            multiaddrs: vec![],
            bls_public_key: vec![],
            next_bls_public_key: None,
            metadata: vec![],
            status: 0,
        }
    }
}
