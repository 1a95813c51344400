//! What an operator can tell the stake side: nodes come, vote, are paid and go.
//!
//! Does not: hold what stakers say (`receipts.rs`) or what moves epochs (`epochs.rs`).

use serde::Serialize;

use super::{Argument, Function, pure};
use crate::chain::object::Entry;
use crate::chain::object::staking::Asks;

/// `register_node(name, peer_key, peer_proof, multiaddrs, bls_key, bls_proof, bond, commission,
/// asks, capacity, metadata) -> NodeCap`, without the bond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterNode {
    /// A name for people, at most 100 bytes.
    pub name: String,
    /// The ed25519 key it speaks libp2p with.
    pub peer_key: [u8; 32],
    /// That key's signature over [`crate::message::peer_proof_message`], 64 bytes.
    pub peer_proof: Vec<u8>,
    /// One to eight binary multiaddrs without the peer id.
    pub multiaddrs: Vec<Vec<u8>>,
    /// The BLS key, 48 bytes.
    pub bls_public_key: Vec<u8>,
    /// Its signature over [`crate::message::proof_of_possession_message`], 96 bytes.
    pub bls_proof: Vec<u8>,
    /// The operator's part of rewards, in ten-thousandths.
    pub commission_bps: u16,
    /// What the node asks for its work.
    pub asks: Asks,
    /// Encoded bytes it can hold.
    pub capacity: u64,
    /// Free text by topic.
    pub metadata: Vec<Entry<String, String>>,
}

impl Function {
    /// `register_node(&mut StakingInner, &Params, Coin<WAL>, name, peer_key, peer_proof,
    /// multiaddrs, bls_key, bls_proof, commission, storage_ask, write_ask, capacity, metadata)
    /// -> NodeCap`; see [`RegisterNode`]. The whole coin is the bond.
    pub const REGISTER_NODE: Self = Self { module: "node_registry", name: "register_node" };
    /// `set_storage_price_vote(&mut StakingInner, &NodeCap, price)`.
    pub const SET_STORAGE_PRICE_VOTE: Self =
        Self { module: "staking", name: "set_storage_price_vote" };
    /// `set_write_price_vote(&mut StakingInner, &NodeCap, price)`.
    pub const SET_WRITE_PRICE_VOTE: Self = Self { module: "staking", name: "set_write_price_vote" };
    /// `set_node_capacity_vote(&mut StakingInner, &NodeCap, capacity)`.
    pub const SET_NODE_CAPACITY_VOTE: Self =
        Self { module: "staking", name: "set_node_capacity_vote" };
    /// `settle(&mut StakingInner, node_id)`: does what is due in a pool.
    pub const SETTLE: Self = Self { module: "staking", name: "settle" };
    /// `collect_commission(&mut StakingInner, &NodeCap) -> Coin<WAL>`: for a receiver that is a cap.
    pub const COLLECT_COMMISSION: Self = Self { module: "staking", name: "collect_commission" };
    /// `collect_commission_as_sender(&mut StakingInner, node_id) -> Coin<WAL>`: for a receiver that
    /// is an account.
    pub const COLLECT_COMMISSION_AS_SENDER: Self =
        Self { module: "staking", name: "collect_commission_as_sender" };
    /// `set_next_commission(&mut StakingInner, &NodeCap, bps: u16)`: from two epochs later on.
    pub const SET_NEXT_COMMISSION: Self = Self { module: "staking", name: "set_next_commission" };
    /// `set_commission_receiver(&mut StakingInner, &NodeCap, of_object: bool, receiver: address)`;
    /// the cap must be the receiver so far. With `of_object`, `receiver` is the id of an object.
    pub const SET_COMMISSION_RECEIVER: Self =
        Self { module: "staking", name: "set_commission_receiver" };
    /// `set_commission_receiver_as_sender(&mut StakingInner, node_id, of_object, receiver)`: for a
    /// receiver that is an account.
    pub const SET_COMMISSION_RECEIVER_AS_SENDER: Self =
        Self { module: "staking", name: "set_commission_receiver_as_sender" };
    /// `set_governance_authorized(&mut StakingInner, &NodeCap, of_object: bool, authority: address)`;
    /// the cap must be the authority so far.
    pub const SET_GOVERNANCE_AUTHORIZED: Self =
        Self { module: "staking", name: "set_governance_authorized" };
    /// `set_governance_authorized_as_sender(&mut StakingInner, node_id, of_object, authority)`: for
    /// an authority that is an account.
    pub const SET_GOVERNANCE_AUTHORIZED_AS_SENDER: Self =
        Self { module: "staking", name: "set_governance_authorized_as_sender" };
    /// `set_name(&mut StakingInner, &NodeCap, name)`.
    pub const SET_NAME: Self = Self { module: "node_registry", name: "set_name" };
    /// `set_multiaddrs(&mut StakingInner, &NodeCap, multiaddrs)`.
    pub const SET_MULTIADDRS: Self = Self { module: "node_registry", name: "set_multiaddrs" };
    /// `set_node_metadata(&mut StakingInner, &NodeCap, metadata)`: in place of what there was.
    pub const SET_NODE_METADATA: Self = Self { module: "node_registry", name: "set_node_metadata" };
    /// `rotate_bls(&mut StakingInner, &Params, &NodeCap, bls_key, bls_proof)`: from the committee
    /// on that is selected next.
    pub const ROTATE_BLS: Self = Self { module: "node_registry", name: "rotate_bls" };
    /// `rotate_peer(&mut StakingInner, &Params, &NodeCap, peer_key, peer_proof)`: from the next
    /// epoch on. The proof names the BLS key the node has now.
    pub const ROTATE_PEER: Self = Self { module: "node_registry", name: "rotate_peer" };
    /// `request_exit(&mut StakingInner, &NodeCap)`: the node is not chosen any more.
    pub const REQUEST_EXIT: Self = Self { module: "node_registry", name: "request_exit" };
    /// `withdraw_bond(&mut StakingInner, &NodeCap) -> Coin<WAL>`.
    pub const WITHDRAW_BOND: Self = Self { module: "node_registry", name: "withdraw_bond" };
}

/// A vote of a node: the price it asks, or the bytes it can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The smallest unit of the token per MiB, or bytes.
    pub value: u64,
}

impl Vote {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Staking { mutable: true }, Argument::NodeCap, pure(&self.value)]
    }
}

/// What a node's operator does with nothing but its key: collecting the commission, leaving,
/// taking the bond back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShowCap;

impl ShowCap {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Staking { mutable: true }, Argument::NodeCap]
    }
}

impl RegisterNode {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        let objects = [Argument::Staking { mutable: true }, Argument::Params, Argument::Payment];
        let plain = self.plain_arguments().into_iter().map(Argument::Pure);
        objects.into_iter().chain(plain).collect()
    }

    /// The plain arguments, which follow the bond, in Move's order and in BCS.
    pub fn plain_arguments(&self) -> Vec<Vec<u8>> {
        vec![
            bytes(&self.name),
            bytes(&self.peer_key),
            bytes(&self.peer_proof),
            bytes(&self.multiaddrs),
            bytes(&self.bls_public_key),
            bytes(&self.bls_proof),
            bytes(&self.commission_bps),
            bytes(&self.asks.storage),
            bytes(&self.asks.write),
            bytes(&self.capacity),
            bytes(&self.metadata),
        ]
    }
}

fn bytes(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    bcs::to_bytes(value).expect("numbers, texts and byte vectors always serialise")
}
