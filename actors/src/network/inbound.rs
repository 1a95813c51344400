//! What others bring us: streams of a protocol, and messages of a topic.
//!
//! Promises: the end of a queue means that somebody else took over, never that the swarm restarted;
//! a message nobody judged is not forwarded. Does not: admit streams (`streams` does), or subscribe.

use haulout_protocol::crypto::PeerId;
use libp2p::gossipsub;
use tokio::sync::mpsc;
use tracing::debug;

use super::commands::{Command, Verdict};
use super::frames::Stream;
use super::identity::to_libp2p;
use super::streams::Arrival;

/// Streams of one protocol that others opened.
#[derive(Debug)]
pub struct Incoming {
    pub(super) streams: mpsc::Receiver<Arrival>,
}

impl Incoming {
    /// The next stream and who opened it; nothing once somebody else accepts this protocol.
    pub async fn next(&mut self) -> Option<(PeerId, Stream)> {
        self.streams.recv().await
    }
}

/// Messages of one topic.
#[derive(Debug)]
pub struct Listener {
    pub(super) messages: mpsc::Receiver<Heard>,
}

impl Listener {
    /// The next message; nothing once somebody else listens to this topic.
    pub async fn next(&mut self) -> Option<Heard> {
        self.messages.recv().await
    }
}

/// A message that waits for a verdict; without one it is not forwarded.
#[derive(Debug)]
pub struct Heard {
    /// The peer that sent it to us, maybe not its author.
    pub from: PeerId,
    /// The message.
    pub bytes: Vec<u8>,
    pub(super) id: gossipsub::MessageId,
    pub(super) commands: mpsc::Sender<Command>,
}

impl Heard {
    /// Says whether the message may travel on. `Reject` costs the sender its standing in gossip.
    pub fn verdict(self, verdict: Verdict) {
        let command = Command::Verdict { id: self.id, from: to_libp2p(&self.from), verdict };
        if self.commands.try_send(command).is_err() {
            debug!(from = %self.from, "verdict on a message came too late");
        }
    }
}
