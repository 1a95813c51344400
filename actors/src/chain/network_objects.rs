//! The objects that describe the network, as bytes that can be proven, kept and read again.
//!
//! Promises: the same objects give the same view, whether they were read now or kept for a year;
//! kept bytes carry a version, and those of another one are no view. Does not: fetch or store.

use std::sync::Arc;

use haulout_protocol::chain::object::{Params, Staking, StakingPool, System};
use haulout_protocol::chain::params::ParamKey;
use haulout_protocol::chain::{self, CommitteeViewError, ObjectId};
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::NetworkId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{CallError, Capacity, SharedSince, SystemView};
use crate::context::{Position, Prices, Timing};

/// The form of kept bytes.
const VERSION: u8 = 1;

/// Move values of the network's objects at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkObjects {
    /// The checkpoint at which they were read.
    pub checkpoint: u64,
    /// Its time, in milliseconds since 1970.
    pub time_ms: u64,
    /// When our objects became shared, which transactions must name.
    pub(super) since: SharedSince,
    /// The system object.
    pub(super) system: Vec<u8>,
    /// The staking object.
    pub(super) staking: Vec<u8>,
    /// The parameters.
    pub(super) params: Vec<u8>,
    /// The pool of each member of the committee.
    pub(super) pools: Vec<Vec<u8>>,
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
    /// The form in which they are kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(bcs::to_bytes(self).expect("numbers and bytes always serialise"));
        bytes
    }

    /// Reads what [`NetworkObjects::to_bytes`] wrote; nothing if another version did.
    pub fn from_bytes(bytes: &[u8]) -> Option<NetworkObjects> {
        let (version, rest) = bytes.split_first()?;
        (*version == VERSION).then(|| bcs::from_bytes(rest).ok())?
    }

    /// Whether others say the same of epoch, committee and parameters; prices and capacity may differ.
    pub fn describes_as(&self, other: &NetworkObjects) -> bool {
        (&self.since, &self.staking, &self.params, &self.pools)
            == (&other.since, &other.staking, &other.params, &other.pools)
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
        let parameters = Parameters::new(params.n_shards, params.segment_bytes)
            .map_err(CallError::unreadable)?;
        let position = Position {
            checkpoint: self.checkpoint,
            read_at: self.checkpoint,
            ledger_ms: self.time_ms,
            is_proven: false,
            epoch: Epoch(staking.epoch),
            phase: staking.state,
            timing: timing(&staking, &params),
            committee: Arc::new(committee),
            prices: Prices { storage: system.storage_price, write: system.write_price },
            parameters,
            index_replicas: params.index_replicas,
            epochs_ahead_max: params.max_epochs_ahead,
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

/// The members of the committee that a system object names.
pub(super) fn members_of(system: &[u8]) -> Result<Vec<ObjectId>, CallError> {
    let system: System = decode(system)?;
    Ok(system.committee.members.iter().map(|one| one.node_id).collect())
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

/// A Move value from its bytes.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CallError> {
    bcs::from_bytes(bytes)
        .map_err(|error| CallError::unreadable(format!("an object of the network: {error}")))
}
