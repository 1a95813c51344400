//! What is asked of the swarm task.
//!
//! Promises: whoever waits for an answer has a channel of its own for it. Does not: carry anything out.

use std::net::IpAddr;

use haulout_protocol::wire::reach::Tried;
use libp2p::{Multiaddr, PeerId, gossipsub};
use tokio::sync::oneshot;

use super::errors::PublishError;
use super::names::Topic;
use super::streams::Request;

/// What the handles ask of the swarm task.
#[derive(Debug)]
pub(super) enum Command {
    Open(PeerId, Request),
    Publish {
        topic: Topic,
        bytes: Vec<u8>,
        reply: oneshot::Sender<Result<(), PublishError>>,
    },
    Subscribe(Topic),
    Verdict {
        id: gossipsub::MessageId,
        from: PeerId,
        verdict: Verdict,
    },
    DialBack(Box<DialBack>),
    Disconnect(PeerId),
    Ban(PeerId),
    Leave,
    #[cfg(test)]
    Panic,
}

/// A new connection to a peer that asked for it.
#[derive(Debug)]
pub(super) struct DialBack {
    pub(super) peer: PeerId,
    pub(super) ip: IpAddr,
    pub(super) address: Multiaddr,
    pub(super) reply: oneshot::Sender<Tried>,
}

/// What to do with a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Valid: forward it.
    Accept,
    /// Of no use now: do not forward it, blame nobody.
    Ignore,
    /// Invalid: do not forward it, and hold it against the sender.
    Reject,
}
