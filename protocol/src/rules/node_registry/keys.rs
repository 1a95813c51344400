//! The two keys of a node: proofs that it holds them, and how they change.
//!
//! Promises: a proof holds for one network, epoch and sender; a key that a chosen committee will
//! sign with is nobody else's until it served.

use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::object::Entry;
use crate::chain::object::staking::{NodeCap, Staking};
use crate::crypto::{PeerId, PublicKey, Signature};
use crate::epoch::Epoch;
use crate::message::{NetworkId, peer_proof_message, proof_of_possession_message};

use super::{Field, updated};
use crate::rules::Context;
use crate::rules::stake_params::StakeParams;
use crate::rules::staking::pool_mut;

/// What proofs are bound to.
pub(super) struct Claim<'a> {
    pub(super) params: &'a StakeParams,
    pub(super) epoch: u32,
    pub(super) sender: &'a ObjectId,
}

impl Claim<'_> {
    pub(super) fn check_peer(&self, key: &[u8; 32], proof: &[u8], bls: &[u8]) -> Result<(), Abort> {
        let network = NetworkId::from_bytes(self.params.network_id.into());
        let message = peer_proof_message(&network, Epoch(self.epoch), self.sender, bls);
        match <[u8; 64]>::try_from(proof) {
            Ok(proof) if PeerId::from_key(*key).verify(&message, &proof) => Ok(()),
            _ => Err(Abort::BadPeerProof),
        }
    }

    pub(super) fn check_bls(&self, key: &[u8], proof: &[u8]) -> Result<(), Abort> {
        let network = NetworkId::from_bytes(self.params.network_id.into());
        let key = PublicKey::from_bytes(key).map_err(|_| Abort::BadProofOfPossession)?;
        let message = proof_of_possession_message(&network, Epoch(self.epoch), self.sender, &key);
        match Signature::from_bytes(proof) {
            Ok(proof) if proof.verify(&key, &message) => Ok(()),
            _ => Err(Abort::BadProofOfPossession),
        }
    }
}

/// Changes the BLS key, from the committee on that is selected next.
pub fn rotate_bls(
    context: &mut Context<'_>,
    staking: &mut Staking,
    params: &StakeParams,
    sender: ObjectId,
    cap: &NodeCap,
    (key, proof): (Vec<u8>, Vec<u8>),
) -> Result<(), Abort> {
    Claim { params, epoch: staking.epoch, sender: &sender }.check_bls(&key, &proof)?;
    if staking.by_bls.contains_key(&key) {
        return Err(Abort::DuplicateKey);
    }
    let captured = staking.next_keys.iter().find(|entry| entry.key == cap.node_id);
    let captured = captured.map(|entry| entry.value.clone());
    let pool = pool_mut(staking, &cap.node_id)?;
    let dropped = pool.node.next_bls_public_key.replace(key.clone());
    // A key that the next committee was selected with stays the node's until it has served.
    if let Some(dropped) = dropped.filter(|dropped| captured.as_ref() != Some(dropped)) {
        staking.by_bls.remove(&dropped);
    }
    staking.by_bls.insert(key, cap.node_id);
    updated(context, staking, cap, Field::BlsKey)
}

/// Makes the key captured at selection the node's key.
pub(in crate::rules) fn use_bls_key(
    staking: &mut Staking,
    node_id: &ObjectId,
    key: Vec<u8>,
) -> Result<(), Abort> {
    let node = &mut pool_mut(staking, node_id)?.node;
    node.next_bls_public_key.take_if(|next| *next == key);
    let old = std::mem::replace(&mut node.bls_public_key, key.clone());
    if old != key {
        staking.by_bls.remove(&old);
        staking.by_bls.insert(key, *node_id);
    }
    Ok(())
}

/// Changes the libp2p key, from the next epoch on.
pub fn rotate_peer(
    context: &mut Context<'_>,
    staking: &mut Staking,
    params: &StakeParams,
    sender: ObjectId,
    cap: &NodeCap,
    (key, proof): ([u8; 32], Vec<u8>),
) -> Result<(), Abort> {
    let epoch = staking.epoch.checked_add(1).ok_or(Abort::StakingOverflow)?;
    let bls = pool_mut(staking, &cap.node_id)?.node.bls_public_key.clone();
    Claim { params, epoch: staking.epoch, sender: &sender }.check_peer(&key, &proof, &bls)?;
    if staking.by_peer.contains_key(key.as_slice()) {
        return Err(Abort::DuplicateKey);
    }
    let next = Entry { key: epoch, value: key.to_vec() };
    if let Some(dropped) = pool_mut(staking, &cap.node_id)?.next_peer_key.replace(next) {
        staking.by_peer.remove(&dropped.value);
    }
    staking.by_peer.insert(key.to_vec(), cap.node_id);
    updated(context, staking, cap, Field::PeerKey)
}
