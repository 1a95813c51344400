//! The committee as the ledger's objects describe it together.
//!
//! Promises: members keep the order of the BLS committee, which is the order certificates'
//! bitmaps count in; keys are decoded and checked; objects read at different moments (an epoch
//! change between the reads) are noticed and refused.
//! Does not: read objects.

use std::collections::BTreeMap;

use super::ObjectId;
use super::object::{BlsMember, Entry, NodeInfo, Staking, StakingPool, System, staking};
use crate::committee::{Committee, CommitteeError, Member, Neighbour};
use crate::crypto::{PeerId, PublicKey};
use crate::epoch::Epoch;
use crate::sliver::ShardIndex;

/// Why the objects do not describe a committee.
#[derive(Debug, thiserror::Error)]
pub enum CommitteeViewError {
    /// The objects were read before and after an epoch change.
    #[error(
        "the ledger's objects are of different epochs ({system} and {staking}); read them again"
    )]
    DifferentEpochs {
        /// The epoch of the system object.
        system: u32,
        /// The epoch of the staking object.
        staking: u32,
    },
    /// A member's pool was not among those given.
    #[error("the staking pool {0} of a committee member is missing")]
    PoolMissing(ObjectId),
    /// System and staking object disagree on a member.
    #[error("the ledger's objects disagree on the shards or the key of node {0}")]
    Contradiction(ObjectId),
    /// A member's libp2p or BLS key does not decode.
    #[error("node {0} has an invalid key")]
    InvalidKey(ObjectId),
    /// The members do not form a committee.
    #[error("the ledger's members do not form a committee")]
    Committee(#[from] CommitteeError),
}

/// The current committee, from the objects that describe it. Pools of other nodes are ignored.
pub fn committee(
    system: &System,
    staking: &Staking,
    pools: &[StakingPool],
) -> Result<Committee, CommitteeViewError> {
    let bls = &system.committee;
    if bls.epoch != staking.epoch {
        return Err(CommitteeViewError::DifferentEpochs {
            system: bls.epoch,
            staking: staking.epoch,
        });
    }
    let pools: BTreeMap<_, _> = pools.iter().map(|pool| (pool.id, pool)).collect();
    let shards: BTreeMap<_, _> =
        staking.committee.iter().map(|entry| (entry.key, entry.value.as_slice())).collect();
    let members = bls
        .members
        .iter()
        .map(|member| {
            let id = member.node_id;
            let pool = pools.get(&id).ok_or(CommitteeViewError::PoolMissing(id))?;
            let shards = shards.get(&id).ok_or(CommitteeViewError::Contradiction(id))?;
            view_member(member, pool, shards)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Committee::new(Epoch(bls.epoch), bls.n_shards, members)?)
}

/// The committee of the epoch before the current one, by the state of stake: with the keys and addresses that its members
/// have now, which is how they are reached; what they signed with then is not on the ledger any more. Nothing if there was
/// none. Pools of other nodes are ignored.
pub fn previous_committee(
    state: &staking::Staking,
    current: &Committee,
    pools: &[StakingPool],
) -> Result<Option<Committee>, CommitteeViewError> {
    if Epoch(state.epoch) != current.epoch() {
        let (system, staking) = (current.epoch().0, state.epoch);
        return Err(CommitteeViewError::DifferentEpochs { system, staking });
    }
    let epoch = state.epoch.checked_sub(1).filter(|_| !state.previous.is_empty());
    let Some(epoch) = epoch.map(Epoch) else { return Ok(None) };
    let pools: BTreeMap<_, _> = pools.iter().map(|pool| (pool.id, pool)).collect();
    let member = |entry: &Entry<ObjectId, Vec<u16>>| {
        let shards = entry.value.iter().map(|shard| ShardIndex(*shard)).collect();
        if let Some(index) = current.member_by_node(&entry.key.into()) {
            return Ok(Member { shards, ..current.members()[index].clone() });
        }
        let pool = pools.get(&entry.key).ok_or(CommitteeViewError::PoolMissing(entry.key))?;
        member_of(pool, &pool.node_info.bls_public_key, shards)
    };
    let members = state.previous.iter().map(member).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Committee::new(epoch, state.n_shards, members)?))
}

/// The nodes of the committees before and after the current one that are not in it, by id.
pub fn neighbours(state: &staking::Staking) -> Vec<ObjectId> {
    let current = |node: &ObjectId| state.committee.iter().any(|entry| entry.key == *node);
    let around = state.previous.iter().chain(state.next.iter().flatten()).map(|entry| entry.key);
    let mut nodes: Vec<ObjectId> = around.filter(|node| !current(node)).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// A node of another committee as its pool describes it; nothing if its libp2p key is none.
pub fn neighbour(pool: &StakingPool) -> Option<Neighbour> {
    let NodeInfo { peer_key, multiaddrs, .. } = &pool.node_info;
    let peer_id = PeerId::from_key(peer_key.as_slice().try_into().ok()?);
    Some(Neighbour { peer_id, addresses: multiaddrs.clone() })
}

fn view_member(
    member: &BlsMember,
    pool: &StakingPool,
    shards: &[u16],
) -> Result<Member, CommitteeViewError> {
    let id = member.node_id;
    if shards.len() != usize::from(member.weight) {
        return Err(CommitteeViewError::Contradiction(id));
    }
    // The key certificates are checked against; the one in the pool may have rotated.
    let shards = shards.iter().map(|shard| ShardIndex(*shard)).collect();
    member_of(pool, &member.public_key, shards)
}

/// A member as its pool describes it, with this key.
fn member_of(
    pool: &StakingPool,
    key: &[u8],
    shards: Vec<ShardIndex>,
) -> Result<Member, CommitteeViewError> {
    let invalid = || CommitteeViewError::InvalidKey(pool.id);
    let NodeInfo { name, peer_key, multiaddrs, .. } = &pool.node_info;
    let peer_key: [u8; 32] = peer_key.as_slice().try_into().map_err(|_| invalid())?;
    Ok(Member {
        node_id: pool.id.into(),
        name: name.clone(),
        peer_id: PeerId::from_key(peer_key),
        addresses: multiaddrs.clone(),
        public_key: PublicKey::from_bytes(key).map_err(|_| invalid())?,
        shards,
    })
}
