//! The objects that describe the network, as bytes that can be proven, kept and read again.
//!
//! Promises: kept bytes carry a version; those of the ones before are read, too, and others are none.
//! Does not: fetch or store, or say what they mean; `system_view` does.

use haulout_protocol::chain::object::{Ring, System, staking};
use haulout_protocol::chain::{self, ObjectId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::CallError;
use super::shared_versions::SharedSince;

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

impl NetworkObjects {
    /// The same with the state of stake, and the pools of the nodes of other committees that it names.
    pub(super) fn around(self, state: Vec<u8>, neighbours: Vec<Vec<u8>>) -> NetworkObjects {
        NetworkObjects { state, neighbours, ..self }
    }

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

/// A Move value from its bytes.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CallError> {
    bcs::from_bytes(bytes)
        .map_err(|error| CallError::unreadable(format!("an object of the network: {error}")))
}

#[cfg(test)]
mod tests {
    use haulout_protocol::chain::object::{BlsCommittee, BlsMember, Table};

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
}
