//! What an operator can change about a node that is registered.
//!
//! Promises: which function changes what, and its arguments in Move's order.
//! Does not: check values, or hold what rotates keys: that takes proofs.

use super::{Argument, Function, pure};
use crate::chain::ObjectId;
use crate::chain::object::Entry;
use crate::chain::object::staking::Authority;

/// One change; who makes it shows the node's cap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeSetting {
    /// The name for people.
    Name(String),
    /// All binary multiaddrs without the peer id.
    Multiaddrs(Vec<Vec<u8>>),
    /// All free text by topic.
    Metadata(Vec<Entry<String, String>>),
    /// The operator's part of rewards from two epochs later on, in ten-thousandths.
    NextCommission(u16),
    /// Who collects the commission; made by the cap that does so until now.
    CommissionReceiver(Authority),
}

impl NodeSetting {
    /// What is called.
    pub fn function(&self) -> Function {
        match self {
            NodeSetting::Name(_) => Function::SET_NAME,
            NodeSetting::Multiaddrs(_) => Function::SET_MULTIADDRS,
            NodeSetting::Metadata(_) => Function::SET_NODE_METADATA,
            NodeSetting::NextCommission(_) => Function::SET_NEXT_COMMISSION,
            NodeSetting::CommissionReceiver(_) => Function::SET_COMMISSION_RECEIVER,
        }
    }

    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        let objects = [Argument::Staking { mutable: true }, Argument::NodeCap];
        let values = match self {
            NodeSetting::Name(name) => vec![pure(name)],
            NodeSetting::Multiaddrs(addresses) => vec![pure(addresses)],
            NodeSetting::Metadata(pairs) => vec![pure(pairs)],
            NodeSetting::NextCommission(bps) => vec![pure(bps)],
            NodeSetting::CommissionReceiver(receiver) => authority(*receiver).to_vec(),
        };
        objects.into_iter().chain(values).collect()
    }
}

/// Has the commission of a node paid whose receiver is the account that signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectCommissionAsSender {
    /// The node.
    pub node_id: ObjectId,
}

impl CollectCommissionAsSender {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Staking { mutable: true }, pure(&self.node_id)]
    }
}

/// Hands the commission of a node on whose receiver is the account that signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetCommissionReceiverAsSender {
    /// The node.
    pub node_id: ObjectId,
    /// Who collects from now on.
    pub receiver: Authority,
}

impl SetCommissionReceiverAsSender {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        let [of_object, receiver] = authority(self.receiver);
        vec![Argument::Staking { mutable: true }, pure(&self.node_id), of_object, receiver]
    }
}

/// Whether an object is meant, and which object or account.
fn authority(authority: Authority) -> [Argument; 2] {
    match authority {
        Authority::Object(id) => [pure(&true), pure(&id)],
        Authority::Account(id) => [pure(&false), pure(&id)],
    }
}
