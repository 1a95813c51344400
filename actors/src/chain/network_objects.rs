//! The objects that describe the network, as bytes that can be proven, kept and read again.
//!
//! Promises: the same objects give the same view, whether they were read now or kept for a year;
//! kept bytes carry a version; those of the ones before are read, too, and others are no view.
//! Does not: fetch or store.

use std::sync::Arc;

use haulout_protocol::chain::object::{Params, Ring, Staking, StakingPool, System, staking};
use haulout_protocol::chain::params::ParamKey;
use haulout_protocol::chain::{self, CommitteeViewError, ObjectId};
use haulout_protocol::committee::Committee;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::NetworkId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::debug;

use super::{CallError, Capacity, SharedSince, SystemView};
use crate::market::{Market, Prices};
use crate::position::{Position, Timing};

/// The form of kept bytes.
const VERSION: u8 = 3;

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
    /// The pools of nodes that are only in the committee before or the one to come, if they are as certain as the rest.
    pub(super) neighbours: Vec<Vec<u8>>,
    /// The state of stake, which names these committees, if it is as certain as the rest; else nothing.
    pub(super) state: Vec<u8>,
}

/// How they were kept in version 2, and in version 1 without the last part.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
struct NetworkObjectsV2 {
    first: NetworkObjectsV1,
    neighbours: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(Clone, Serialize))]
struct NetworkObjectsV1 {
    checkpoint: u64,
    time_ms: u64,
    since: SharedSince,
    system: Vec<u8>,
    staking: Vec<u8>,
    params: Vec<u8>,
    pools: Vec<Vec<u8>>,
}

impl From<NetworkObjectsV2> for NetworkObjects {
    fn from(old: NetworkObjectsV2) -> NetworkObjects {
        let NetworkObjectsV2 { first, neighbours } = old;
        let NetworkObjectsV1 { checkpoint, time_ms, since, system, staking, params, pools } = first;
        let state = Vec::new();
        NetworkObjects {
            checkpoint,
            time_ms,
            since,
            system,
            staking,
            params,
            pools,
            neighbours,
            state,
        }
    }
}

impl From<NetworkObjectsV1> for NetworkObjects {
    fn from(first: NetworkObjectsV1) -> NetworkObjects {
        NetworkObjectsV2 { first, neighbours: Vec::new() }.into()
    }
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

    /// Reads what [`NetworkObjects::to_bytes`] wrote, in this version or one before.
    pub fn from_bytes(bytes: &[u8]) -> Option<NetworkObjects> {
        let (version, rest) = bytes.split_first()?;
        match *version {
            1 => bcs::from_bytes::<NetworkObjectsV1>(rest).ok().map(NetworkObjects::from),
            2 => bcs::from_bytes::<NetworkObjectsV2>(rest).ok().map(NetworkObjects::from),
            VERSION => bcs::from_bytes(rest).ok(),
            _ => None,
        }
    }

    /// Whether others say the same of the network: all that keys, prices and names follow from. Only how full it is, which
    /// each registration changes, may differ.
    pub fn describes_as(&self, other: &NetworkObjects) -> bool {
        let settled = |objects: &NetworkObjects| {
            let system = decode::<System>(&objects.system).ok()?;
            let ring = Ring { entries: Vec::new(), ..system.ring };
            Some(System { used_capacity: 0, ring, last_event_sequence: 0, ..system })
        };
        // Whoever stakes changes the state, and not the committees that it names.
        let around = |objects: &NetworkObjects| {
            let state = decode::<staking::Staking>(&objects.state).ok()?;
            Some((state.epoch, state.previous, state.next))
        };
        let (ours, theirs) = (settled(self), settled(other));
        let is_known = (&self.since, &self.staking, &self.params, &self.pools, &self.neighbours)
            == (&other.since, &other.staking, &other.params, &other.pools, &other.neighbours);
        is_known && ours.is_some() && ours == theirs && around(self) == around(other)
    }

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

/// The members of the committee that a system object names.
pub(super) fn members_of(system: &[u8]) -> Result<Vec<ObjectId>, CallError> {
    let system: System = decode(system)?;
    Ok(system.committee.members.iter().map(|one| one.node_id).collect())
}

/// The nodes of other committees that a state of stake names.
pub(super) fn neighbours_of(state: &[u8]) -> Result<Vec<ObjectId>, CallError> {
    Ok(chain::neighbours(&decode::<staking::Staking>(state)?))
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

#[cfg(test)]
mod tests {
    use haulout_protocol::chain::object::{BlsCommittee, BlsMember, NodeInfo, Table};

    use super::*;

    #[test]
    fn what_versions_before_kept_is_read_and_names_no_committee_before() {
        let old = NetworkObjectsV1 {
            checkpoint: 7,
            time_ms: 70,
            since: SharedSince::default(),
            system: vec![1],
            staking: vec![2],
            params: vec![3],
            pools: vec![vec![4], vec![5]],
        };
        let first = [vec![1], bcs::to_bytes(&old).unwrap()].concat();
        let second = NetworkObjectsV2 { first: old.clone(), neighbours: vec![vec![6]] };
        let second = [vec![2], bcs::to_bytes(&second).unwrap()].concat();
        for (kept, neighbours) in [(first, vec![]), (second, vec![vec![6]])] {
            let read = NetworkObjects::from_bytes(&kept).unwrap();
            assert_eq!((read.checkpoint, &read.system, &read.pools), (7, &old.system, &old.pools));
            assert_eq!((&read.neighbours, read.state.len()), (&neighbours, 0));
            assert_eq!(NetworkObjects::from_bytes(&read.to_bytes()), Some(read));
        }
        assert_eq!(NetworkObjects::from_bytes(&[4, 0, 0]), None);
    }

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

    #[test]
    fn a_server_that_names_other_keys_or_prices_describes_another_network() {
        let id = ObjectId::from_bytes([1; 32]);
        let member = BlsMember { public_key: vec![1; 48], weight: 7, node_id: id };
        let system = System {
            id,
            version: 1,
            network_id: id,
            committee: BlsCommittee { members: vec![member], n_shards: 7, epoch: 1 },
            total_capacity: 1 << 40,
            used_capacity: 5,
            storage_price: 10,
            write_price: 20,
            last_price_epoch: 0,
            ring: Ring { current_index: 0, length: 0, entries: Vec::new() },
            invalid: Table { id, size: 0 },
            deny: Vec::new(),
            last_event_sequence: 0,
            protocol_version: 1,
        };
        let objects = |change: fn(&mut System)| {
            let mut changed = system.clone();
            change(&mut changed);
            let system = bcs::to_bytes(&changed).unwrap();
            NetworkObjects { system, ..NetworkObjects::default() }
        };
        let ours = objects(|_| {});
        assert!(
            ours.describes_as(&objects(|system| system.used_capacity = 6)),
            "somebody registered"
        );
        assert!(
            !ours.describes_as(&objects(|system| system.committee.members[0].public_key[0] = 2))
        );
        assert!(!ours.describes_as(&objects(|system| system.storage_price = 11)));
        assert!(
            !ours
                .describes_as(&objects(|system| system.network_id = ObjectId::from_bytes([2; 32])))
        );
        let nonsense = NetworkObjects { system: vec![1], ..NetworkObjects::default() };
        assert!(!nonsense.describes_as(&nonsense.clone()));
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
