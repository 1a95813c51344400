//! What a client does: tasks that put and get blobs, peer to peer.
//!
//! Promises: memory is bounded by a few segments whatever the blob's size; every request ends in bounded time; bytes
//! handed out were checked against the blob id. Does not: decide whom to ask or when to give up; the machines in
//! `haulout_protocol::machine` do. Sessions are tasks, not actors: a request in flight when the network restarts
//! fails as transient and its caller retries.

pub mod download;
pub mod locate;
pub mod upload;

mod node;

use std::sync::Arc;
use std::time::Instant;

use haulout_protocol::committee::Committee;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::machine::Timestamp;
use haulout_protocol::message::NetworkId;

use crate::network::Network;

/// What a session needs to know and hold: cheap to clone, made anew for each put or get.
#[derive(Clone, Debug)]
pub struct Session {
    /// The network handle of the moment.
    pub network: Network,
    /// Which network it is.
    pub network_id: NetworkId,
    /// The committee to write to and read from.
    pub committee: Arc<Committee>,
    /// Shards and segment size.
    pub parameters: Parameters,
}

impl Session {
    fn peer(&self, member: usize) -> PeerId {
        self.committee.members()[member].peer_id
    }

    fn name(&self, member: usize) -> String {
        let member = &self.committee.members()[member];
        format!("{} ({})", member.name, member.peer_id)
    }

    /// Ranks the members for reading: connected peers first, banned ones only if nothing else is left.
    fn preference(&self) -> Vec<usize> {
        let peers = self.network.peers().borrow().clone();
        let rank = |peer: PeerId| match (peers.is_banned(&peer), peers.is_connected(&peer)) {
            (true, _) => usize::MAX,
            (false, true) => 0,
            (false, false) => 1,
        };
        self.committee.members().iter().map(|member| rank(member.peer_id)).collect()
    }
}

/// How far a put or get is, for displays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The blob id is being computed: so many bytes are hashed.
    Identified {
        /// Bytes hashed so far.
        bytes: u64,
    },
    /// The id is known and nodes are being asked.
    Located,
    /// The blob is registered on chain.
    Registered,
    /// So many bytes of the blob went through the network.
    Transferred {
        /// Bytes of the blob, not of slivers.
        bytes: u64,
    },
    /// Nodes confirmed.
    Confirmed {
        /// Shards of the nodes that confirmed.
        shards: u16,
    },
}

/// Tells a display how far the work is. Called from the session's own task; must not block.
pub type Observer = Arc<dyn Fn(Progress) + Send + Sync>;

/// Time for machines: milliseconds since the session began.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Clock(Instant::now())
    }

    fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Sleeps until the moment; for ever without one.
    async fn until(&self, deadline: Option<Timestamp>) {
        match deadline {
            Some(deadline) => {
                let deadline = self.0 + std::time::Duration::from_millis(deadline.0);
                tokio::time::sleep_until(deadline.into()).await;
            }
            None => std::future::pending().await,
        }
    }
}
