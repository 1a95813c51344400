//! Twin of `node_registry`: how a node comes, changes and leaves.
//!
//! Promises: a registered node proved that it holds both its keys, for this network, this epoch and
//! this sender; no two nodes share a key, not even one that is still to come; a bond leaves only
//! when the node's last duty is two epochs past.
//! Does not: check that the node can be reached.
//!
//! Source: `contracts.md` 4.5.

mod keys;
mod multiaddr;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::call::RegisterNode;
use crate::chain::event;
use crate::chain::object::staking::{Authority, NodeCap, Pool, Rate, Rows, Staking};
use crate::chain::object::{Entry, NodeInfo};
use crate::crypto::PeerId;
use crate::rules::limits;

use keys::Claim;
pub(super) use keys::use_bls_key;
pub use keys::{rotate_bls, rotate_peer};

use super::math::ALL_BPS;
use super::stake_params::StakeParams;
use super::staking::pool_mut;
use super::staking_pool::{ACTIVE, EXITED, EXITING, Proof, authorise, set_next_commission};
use super::{Context, active_set, committee};

/// Epochs between the wish to leave and the bond.
const EXIT_EPOCHS: u32 = 2;

/// What of a node changed, as `NodeUpdated` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Field {
    /// The name.
    Name = 0,
    /// The addresses.
    Multiaddrs = 1,
    /// The BLS key.
    BlsKey = 2,
    /// The libp2p key.
    PeerKey = 3,
    /// The metadata.
    Metadata = 4,
    /// Prices or capacity.
    Votes = 5,
    /// The commission.
    Commission = 6,
    /// Who collects or votes.
    Authorities = 7,
}

/// Registers a node for `sender`. The caller took `bond` out of a coin.
pub fn register_node(
    context: &mut Context<'_>,
    staking: &mut Staking,
    params: &StakeParams,
    sender: ObjectId,
    call: &RegisterNode,
    bond: u64,
) -> Result<NodeCap, Abort> {
    check_registration(staking, params, &sender, call, bond)?;
    let node_id = context.fresh_id();
    admit(context, staking, node_id, call, bond)
}

/// As [`register_node`], under an id that genesis chose.
pub fn register_genesis_node(
    context: &mut Context<'_>,
    staking: &mut Staking,
    params: &StakeParams,
    node_id: ObjectId,
    call: &RegisterNode,
    bond: u64,
) -> Result<NodeCap, Abort> {
    check_registration(staking, params, &GENESIS_SENDER, call, bond)?;
    admit(context, staking, node_id, call, bond)
}

/// Who registers the nodes of genesis.
pub const GENESIS_SENDER: ObjectId = ObjectId::from_bytes([0; 32]);

/// The checks, in their order.
fn check_registration(
    staking: &Staking,
    params: &StakeParams,
    sender: &ObjectId,
    call: &RegisterNode,
    bond: u64,
) -> Result<(), Abort> {
    if bond < params.min_bond {
        return Err(Abort::BondTooSmall);
    }
    check_name(&call.name)?;
    check_multiaddrs(&call.multiaddrs)?;
    let claim = Claim { params, epoch: staking.epoch, sender };
    claim.check_peer(&call.peer_key, &call.peer_proof, &call.bls_public_key)?;
    claim.check_bls(&call.bls_public_key, &call.bls_proof)?;
    let known = staking.by_bls.contains_key(&call.bls_public_key);
    if known || staking.by_peer.contains_key(call.peer_key.as_slice()) {
        return Err(Abort::DuplicateKey);
    }
    if call.commission_bps > ALL_BPS {
        return Err(Abort::CommissionTooHigh);
    }
    check_metadata(&call.metadata)
}

fn check_name(name: &str) -> Result<(), Abort> {
    match name.len() <= limits::NAME_BYTES_MAX {
        true => Ok(()),
        false => Err(Abort::NameTooLong),
    }
}

fn check_multiaddrs(multiaddrs: &[Vec<u8>]) -> Result<(), Abort> {
    let few = (1..=limits::ADDRESSES_MAX).contains(&multiaddrs.len());
    match few && multiaddrs.iter().all(|address| multiaddr::is_valid(address)) {
        true => Ok(()),
        false => Err(Abort::BadMultiaddrs),
    }
}

fn check_metadata(metadata: &[Entry<String, String>]) -> Result<(), Abort> {
    let fits = |pair: &Entry<String, String>| {
        pair.key.len() <= limits::TOPIC_BYTES_MAX && pair.value.len() <= limits::TEXT_BYTES_MAX
    };
    let few = metadata.len() <= limits::TEXTS_MAX && metadata.iter().all(fits);
    // Only few and short texts get this far.
    match few
        && metadata.iter().map(|pair| &pair.key).collect::<BTreeSet<_>>().len() == metadata.len()
    {
        true => Ok(()),
        false => Err(Abort::BadNodeMetadata),
    }
}

/// Creates the pool of a checked node.
fn admit(
    context: &mut Context<'_>,
    staking: &mut Staking,
    node_id: ObjectId,
    call: &RegisterNode,
    bond: u64,
) -> Result<NodeCap, Abort> {
    let cap = NodeCap { id: context.fresh_id(), node_id };
    let tables = (Rows::new(context.fresh_id()), Rows::new(context.fresh_id()));
    let pool = new_pool(staking.epoch, &cap, call, bond, tables);
    context.events.push(
        event::NodeRegistered {
            epoch: staking.epoch,
            node_id,
            peer_id: pool.node.peer_id.clone(),
            multiaddrs: call.multiaddrs.clone(),
            bls_pk: call.bls_public_key.clone(),
            commission_bps: call.commission_bps,
        }
        .into(),
    );
    staking.by_peer.insert(call.peer_key.to_vec(), node_id);
    staking.by_bls.insert(call.bls_public_key.clone(), node_id);
    staking.pools.insert(node_id, Arc::new(pool));
    Ok(cap)
}

fn new_pool(
    epoch: u32,
    cap: &NodeCap,
    call: &RegisterNode,
    bond: u64,
    (rates, stake_at): (Rows<u32, Rate>, Rows<u32, u64>),
) -> Pool {
    let node = NodeInfo {
        node_id: cap.node_id,
        name: call.name.clone(),
        peer_key: call.peer_key.to_vec(),
        peer_id: PeerId::from_key(call.peer_key).to_multihash().to_vec(),
        multiaddrs: call.multiaddrs.clone(),
        bls_public_key: call.bls_public_key.clone(),
        next_bls_public_key: None,
        metadata: call.metadata.clone(),
        status: ACTIVE,
    };
    Pool {
        node,
        bond,
        active: 0,
        pending: 0,
        unbonded: 0,
        shares: 0,
        rates,
        stake_at,
        pending_stake: Vec::new(),
        pending_unstake_shares: Vec::new(),
        pre_active: Vec::new(),
        commission: 0,
        commission_blocked: 0,
        commission_bps: call.commission_bps,
        pending_commission: Vec::new(),
        last_epoch: epoch,
        asks: call.asks,
        capacity: call.capacity,
        withdrawing: 0,
        exit_epoch: None,
        next_peer_key: None,
        commission_receiver: Authority::Object(cap.id),
        governance_authority: Authority::Object(cap.id),
    }
}

/// Says that something about a node changed.
pub(super) fn updated(
    context: &mut Context<'_>,
    staking: &Staking,
    cap: &NodeCap,
    field: Field,
) -> Result<(), Abort> {
    let (epoch, node_id) = (staking.epoch, cap.node_id);
    context.events.push(event::NodeUpdated { epoch, node_id, field: field as u8 }.into());
    Ok(())
}

/// Changes the name.
pub fn set_name(
    context: &mut Context<'_>,
    staking: &mut Staking,
    cap: &NodeCap,
    name: String,
) -> Result<(), Abort> {
    check_name(&name)?;
    pool_mut(staking, &cap.node_id)?.node.name = name;
    updated(context, staking, cap, Field::Name)
}

/// Changes where the node says it listens.
pub fn set_multiaddrs(
    context: &mut Context<'_>,
    staking: &mut Staking,
    cap: &NodeCap,
    multiaddrs: Vec<Vec<u8>>,
) -> Result<(), Abort> {
    check_multiaddrs(&multiaddrs)?;
    pool_mut(staking, &cap.node_id)?.node.multiaddrs = multiaddrs;
    updated(context, staking, cap, Field::Multiaddrs)
}

/// Changes the metadata.
pub fn set_metadata(
    context: &mut Context<'_>,
    staking: &mut Staking,
    cap: &NodeCap,
    metadata: Vec<Entry<String, String>>,
) -> Result<(), Abort> {
    check_metadata(&metadata)?;
    pool_mut(staking, &cap.node_id)?.node.metadata = metadata;
    updated(context, staking, cap, Field::Metadata)
}

/// Changes the operator's part of rewards earned two epochs from now.
pub fn set_commission(
    context: &mut Context<'_>,
    staking: &mut Staking,
    cap: &NodeCap,
    bps: u16,
) -> Result<(), Abort> {
    let epoch = staking.epoch.checked_add(2).ok_or(Abort::StakingOverflow)?;
    set_next_commission(pool_mut(staking, &cap.node_id)?, bps, epoch)?;
    updated(context, staking, cap, Field::Commission)
}

/// Changes who collects the commission; for who collects it now.
pub fn set_commission_receiver(
    context: &mut Context<'_>,
    staking: &mut Staking,
    node_id: ObjectId,
    proof: Proof,
    receiver: Authority,
) -> Result<(), Abort> {
    let pool = pool_mut(staking, &node_id)?;
    authorise(pool.commission_receiver, proof)?;
    pool.commission_receiver = receiver;
    updated(context, staking, &NodeCap { id: node_id, node_id }, Field::Authorities)
}

/// Changes who votes for the node; for who votes now.
pub fn set_governance_authority(
    context: &mut Context<'_>,
    staking: &mut Staking,
    node_id: ObjectId,
    proof: Proof,
    authority: Authority,
) -> Result<(), Abort> {
    let pool = pool_mut(staking, &node_id)?;
    authorise(pool.governance_authority, proof)?;
    pool.governance_authority = authority;
    updated(context, staking, &NodeCap { id: node_id, node_id }, Field::Authorities)
}

/// Takes a node out of every later selection.
pub fn request_exit(
    context: &mut Context<'_>,
    staking: &mut Staking,
    cap: &NodeCap,
) -> Result<(), Abort> {
    let (epoch, node_id) = (staking.epoch, cap.node_id);
    let pool = pool_mut(staking, &node_id)?;
    if pool.node.status != ACTIVE {
        return Err(Abort::NodeNotActive);
    }
    pool.node.status = EXITING;
    pool.exit_epoch = Some(epoch);
    active_set::remove(&mut staking.active_set, &node_id);
    context.events.push(event::NodeExitRequested { epoch, node_id }.into());
    Ok(())
}

/// Pays the bond of a node that left. Cases against it will be asked for here.
pub fn withdraw_bond(
    context: &mut Context<'_>,
    staking: &mut Staking,
    cap: &NodeCap,
) -> Result<u64, Abort> {
    let (epoch, node_id) = (staking.epoch, cap.node_id);
    let next = staking.next.iter().any(|next| committee::contains(next, &node_id));
    let serves = next || committee::contains(&staking.committee, &node_id);
    let pool = pool_mut(staking, &node_id)?;
    let free = pool.exit_epoch.and_then(|exit| exit.checked_add(EXIT_EPOCHS));
    if pool.node.status != EXITING || serves || free.is_none_or(|free| epoch < free) {
        return Err(Abort::StillBonded);
    }
    let bond = std::mem::take(&mut pool.bond);
    pool.node.status = EXITED;
    context.events.push(event::NodeExited { epoch, node_id, bond }.into());
    Ok(bond)
}
