//! What peers talk about, and what that is called on the wire.
//!
//! Promises: every name carries the network, so peers of different networks share neither a
//! protocol nor a topic. Does not: know what is said in a protocol or on a topic.

use haulout_protocol::machine::duty::Duty;
use libp2p::{StreamProtocol, gossipsub};

/// A request protocol: one stream per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Headers, indexes, status and certificates of blobs.
    Blob,
    /// Slivers, put and got.
    Sliver,
    /// Symbols for the repair of lost pairs.
    Symbol,
    /// What shards hold, for their new owners.
    Shard,
    /// Signatures that a blob was encoded wrongly.
    Verdict,
    /// Dials back to whoever asks, to see whether it is reached.
    Reach,
}

impl Protocol {
    pub(super) const ALL: [Protocol; 6] = [
        Protocol::Blob,
        Protocol::Sliver,
        Protocol::Symbol,
        Protocol::Shard,
        Protocol::Verdict,
        Protocol::Reach,
    ];

    /// What traces call it.
    pub(crate) fn service(self) -> &'static str {
        match self {
            Protocol::Blob => "haulout/blob/1",
            Protocol::Sliver => "haulout/sliver/1",
            Protocol::Symbol => "haulout/symbol/1",
            Protocol::Shard => "haulout/shard/1",
            Protocol::Verdict => "haulout/verdict/1",
            Protocol::Reach => "haulout/reach/1",
        }
    }

    /// What a node that serves it works for.
    pub(crate) fn duty(self) -> Duty {
        match self {
            Protocol::Blob | Protocol::Sliver | Protocol::Reach => Duty::Clients,
            Protocol::Symbol | Protocol::Verdict => Duty::Repair,
            Protocol::Shard => Duty::Handover,
        }
    }

    pub(super) fn name(self, network: &str) -> StreamProtocol {
        let name = match self {
            Protocol::Blob => "blob",
            Protocol::Sliver => "sliver",
            Protocol::Symbol => "symbol",
            Protocol::Shard => "shard",
            Protocol::Verdict => "verdict",
            Protocol::Reach => "reach",
        };
        on_wire(network, name)
    }
}

/// A gossip topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Certificates of blobs, so that nodes act before the chain event.
    Blob,
}

impl Topic {
    pub(super) const ALL: [Topic; 1] = [Topic::Blob];

    pub(super) fn on(self, network: &str) -> gossipsub::IdentTopic {
        let name = match self {
            Topic::Blob => "blob",
        };
        gossipsub::IdentTopic::new(format!("/haulout/{network}/gossip/{name}/1"))
    }
}

/// The Kademlia protocol of one network; the public one belongs to IPFS.
pub(super) fn kademlia(network: &str) -> StreamProtocol {
    on_wire(network, "kad")
}

fn on_wire(network: &str, name: &str) -> StreamProtocol {
    StreamProtocol::try_from_owned(format!("/haulout/{network}/{name}/1"))
        .expect("a protocol name starts with a slash")
}
