//! What an operator tells the ledger of its node: registration, votes, leaving.
//!
//! Promises: exactly the bond that was named is paid; the proofs of a registration are made for
//! the wallet that sends it and the epoch it is sent in; votes of one call are cast together.
//! Does not: decide what to ask for, know a node's keys for longer than a call, or hold what a node
//! changes later (`node_settings` does).

use haulout_protocol::chain::call::{self, RegisterNode, ShowCap, Vote};
use haulout_protocol::chain::event::StakeEvent;
use haulout_protocol::chain::object::Entry;
use haulout_protocol::chain::object::staking::{Asks, NodeCap};
use haulout_protocol::chain::{ObjectId, TypeName};
use haulout_protocol::crypto::SecretKey;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{NetworkId, peer_proof_message, proof_of_possession_message};
use sui_crypto::Signer;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_sdk_types::Ed25519Signature;

use super::draft::{Built, Draft};
use super::error::CallError;
use super::handle::Chain;
use super::owned::Receipt;
use super::stake::stake_events;
use super::submit::Executed;
use super::wallet::Wallet;

/// What a node wants to be known as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRegistration {
    /// A name for people, at most 100 bytes.
    pub name: String,
    /// One to eight binary multiaddrs without the peer id.
    pub multiaddrs: Vec<Vec<u8>>,
    /// The operator's deposit, in FROST.
    pub bond: u64,
    /// The operator's part of rewards, in ten-thousandths.
    pub commission_bps: u16,
    /// What it asks, in FROST per MiB.
    pub asks: Asks,
    /// Encoded bytes it can hold.
    pub capacity: u64,
    /// Free text by topic.
    pub metadata: Vec<(String, String)>,
}

/// A node's keys with what they say about its registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proofs {
    /// The ed25519 key it speaks libp2p with.
    pub peer_key: [u8; 32],
    /// That key's signature.
    pub peer_proof: Vec<u8>,
    /// The BLS key, 48 bytes.
    pub bls_public_key: Vec<u8>,
    /// That key's signature, 96 bytes.
    pub bls_proof: Vec<u8>,
}

/// A node registered by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredNode {
    /// The node.
    pub node_id: ObjectId,
    /// The transaction.
    pub receipt: Receipt,
}

/// What a node votes for; what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    /// The price of storing a MiB for an epoch, in FROST.
    pub storage: Option<u64>,
    /// The price of writing a MiB, in FROST.
    pub write: Option<u64>,
    /// Encoded bytes the node can hold.
    pub capacity: Option<u64>,
}

impl Proofs {
    /// Signs a registration that `sender` sends in `epoch` with both keys of a node.
    pub fn sign(
        network: &NetworkId,
        epoch: Epoch,
        sender: &ObjectId,
        peer_secret: [u8; 32],
        protocol_key: &SecretKey,
    ) -> Proofs {
        let (peer, bls) = (Ed25519PrivateKey::new(peer_secret), protocol_key.public_key());
        let bls_public_key = bls.to_bytes().to_vec();
        let message = peer_proof_message(network, epoch, sender, &bls_public_key);
        let peer_proof: Ed25519Signature = peer.sign(&message);
        let message = proof_of_possession_message(network, epoch, sender, &bls);
        Proofs {
            peer_key: peer.public_key().into_inner(),
            peer_proof: peer_proof.inner().to_vec(),
            bls_public_key,
            bls_proof: protocol_key.sign(&message).to_bytes().to_vec(),
        }
    }
}

impl Chain {
    /// The caps an account owns, its keys to nodes: all, in the order of the ledger.
    pub async fn node_caps(&self, account: &ObjectId) -> Result<Vec<NodeCap>, CallError> {
        self.list_owned(account, &TypeName::NODE_CAP, "operator's caps").await
    }

    /// Registers a node; the wallet pays the bond and gets the cap.
    pub async fn register_node(
        &self,
        wallet: &Wallet,
        registration: &NodeRegistration,
        proofs: &Proofs,
    ) -> Result<RegisteredNode, CallError> {
        let call = &registration.call(proofs);
        let build =
            |chain: Chain| async move { chain.build_node(wallet, call, registration.bond).await };
        let executed = self.run_surely(wallet, build).await?;
        let node_id = stake_events(&executed).find_map(|event| match event {
            StakeEvent::NodeRegistered(event) => Some(event.node_id),
            _ => None,
        });
        let missing = || CallError::unreadable("a registration that registered no node");
        Ok(RegisteredNode { node_id: node_id.ok_or_else(missing)?, receipt: executed.into() })
    }

    /// Casts a node's votes, in one transaction.
    pub async fn vote(
        &self,
        wallet: &Wallet,
        cap: &NodeCap,
        votes: &Votes,
    ) -> Result<Receipt, CallError> {
        Ok(self
            .run_surely(wallet, |chain: Chain| async move {
                chain.build_votes(wallet, cap, votes).await
            })
            .await?
            .into())
    }

    /// Says that the node wants to leave.
    pub async fn request_exit(&self, wallet: &Wallet, cap: &NodeCap) -> Result<Receipt, CallError> {
        Ok(self.show_cap(wallet, cap, call::Function::REQUEST_EXIT, false).await?.into())
    }

    /// Pays the bond of a node that left; says how much, in FROST.
    pub async fn withdraw_bond(
        &self,
        wallet: &Wallet,
        cap: &NodeCap,
    ) -> Result<(u64, Receipt), CallError> {
        let executed = self.show_cap(wallet, cap, call::Function::WITHDRAW_BOND, true).await?;
        let bond = stake_events(&executed).find_map(|event| match event {
            StakeEvent::NodeExited(event) => Some(event.bond),
            _ => None,
        });
        Ok((bond.unwrap_or(0), executed.into()))
    }

    /// Calls a function that wants nothing but a cap, and perhaps pays a coin.
    async fn show_cap(
        &self,
        wallet: &Wallet,
        cap: &NodeCap,
        function: call::Function,
        pays: bool,
    ) -> Result<Executed, CallError> {
        let build = |chain: Chain| async move {
            let mut draft = Draft::new(&chain, wallet);
            let places = draft.cap(cap).await?;
            let result = draft.call(&function, ShowCap.arguments(), &places)?;
            if pays {
                draft.keep(vec![result]);
            }
            draft.finish().await
        };
        self.run_surely(wallet, build).await
    }

    async fn build_node(
        &self,
        wallet: &Wallet,
        call: &RegisterNode,
        bond: u64,
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let places = draft.exact_payment(bond).await?;
        let cap = draft.call(&call::Function::REGISTER_NODE, call.arguments(), &places)?;
        draft.keep(vec![cap]);
        draft.finish().await
    }

    async fn build_votes(
        &self,
        wallet: &Wallet,
        cap: &NodeCap,
        votes: &Votes,
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let places = draft.cap(cap).await?;
        let all = [
            (call::Function::SET_STORAGE_PRICE_VOTE, votes.storage),
            (call::Function::SET_WRITE_PRICE_VOTE, votes.write),
            (call::Function::SET_NODE_CAPACITY_VOTE, votes.capacity),
        ];
        for (function, value) in all {
            let Some(value) = value else { continue };
            draft.call(&function, Vote { value }.arguments(), &places)?;
        }
        draft.finish().await
    }
}

impl NodeRegistration {
    /// What the ledger is told.
    fn call(&self, proofs: &Proofs) -> RegisterNode {
        let pairs = self.metadata.iter().cloned();
        RegisterNode {
            name: self.name.clone(),
            peer_key: proofs.peer_key,
            peer_proof: proofs.peer_proof.clone(),
            multiaddrs: self.multiaddrs.clone(),
            bls_public_key: proofs.bls_public_key.clone(),
            bls_proof: proofs.bls_proof.clone(),
            commission_bps: self.commission_bps,
            asks: self.asks,
            capacity: self.capacity,
            metadata: pairs.map(|(key, value)| Entry { key, value }).collect(),
        }
    }
}
