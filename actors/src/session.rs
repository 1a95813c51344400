//! What a client does: tasks that put and get blobs, peer to peer.
//!
//! Promises: memory is bounded by a few segments whatever the blob's size; every request ends in bounded time; bytes
//! handed out were checked against the blob id. Does not: decide whom to ask or when to give up; the machines in
//! `haulout_protocol::machine` do. Sessions are tasks, not actors: a request in flight when the network restarts
//! fails as transient and its caller retries.

pub mod download;
pub mod holdings;
pub mod locate;
pub mod upload;

mod node;

use std::sync::Arc;
use std::time::Duration;

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::committee::Committee;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::machine::responsiveness::Pace;
use haulout_protocol::message::NetworkId;
use tracing::{Span, debug_span};

use crate::asking::{Asker, Terms};
use crate::chain::Cost;
use crate::network::{Network, Protocol};

pub(crate) use self::locate::held_header;
pub(crate) use self::node::pair_proof;
pub use crate::asking::Obstacle;

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
    /// The checkpoint of the ledger that was the last when the request began, as far as we know.
    pub checkpoint: u64,
    /// A read that gets nothing new for so long is given up.
    pub patience: Duration,
}

impl Session {
    pub(crate) fn peer(&self, member: usize) -> PeerId {
        self.committee.members()[member].peer_id
    }

    pub(crate) fn name(&self, member: usize) -> String {
        let member = &self.committee.members()[member];
        format!("{} ({})", member.name, member.peer_id)
    }

    /// Whoever asks members.
    pub(crate) fn asker(&self) -> Asker {
        Asker::new(&self.network)
    }

    /// What to expect of each member that is asked for so many bytes now.
    pub(crate) fn paces(&self, bytes: u64) -> Vec<Pace> {
        let peers = self.committee.members().iter().map(|member| member.peer_id);
        self.asker().paces(peers, bytes)
    }

    /// The members that own shards; whoever answers fast comes first.
    fn members_by_pace(&self) -> Vec<usize> {
        let weight = |member: usize| usize::from(self.committee.weight(member));
        let members = self.committee.members().iter().enumerate();
        let candidates: Vec<_> = members.map(|(member, it)| (it.peer_id, weight(member))).collect();
        self.asker().ranked(&candidates, 0, usize::from(self.committee.quorum()))
    }

    /// The terms of an inquiry among members, so many of them at once.
    fn inquiry(&self, width: usize) -> Terms {
        Terms { width, patience_ms: self.patience_ms(), noise: self.noise() }
    }

    /// The span of what one member is sent in a put.
    fn send_span(&self, member: usize, blob_id: &BlobId) -> Span {
        let member = &self.committee.members()[member];
        debug_span!(
            "send",
            otel.kind = "client",
            rpc.system = "libp2p",
            rpc.service = Protocol::Sliver.service(),
            rpc.method = "put",
            node = %member.name,
            haulout.peer.id = %member.peer_id,
            haulout.blob.id = %blob_id,
        )
    }

    /// The span of what one member is asked for in a get.
    pub(crate) fn fetch_span(&self, member: usize, blob_id: &BlobId, segment: u32) -> Span {
        let member = &self.committee.members()[member];
        debug_span!(
            "fetch",
            otel.kind = "client",
            rpc.system = "libp2p",
            rpc.service = Protocol::Sliver.service(),
            rpc.method = "get",
            node = %member.name,
            haulout.peer.id = %member.peer_id,
            haulout.blob.id = %blob_id,
            haulout.segment = segment,
        )
    }

    pub(crate) fn patience_ms(&self) -> u64 {
        u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX)
    }

    /// A number of this client's own, so that clients which were refused together do not come back together.
    pub(crate) fn noise(&self) -> u64 {
        let identity = self.network.identity();
        let key = identity.key().iter().take(8);
        key.fold(0, |noise, byte| (noise << 8) | u64::from(*byte))
    }
}

/// A member that did not help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unhelpful {
    /// Its name.
    pub name: String,
    /// What happened.
    pub reason: String,
    /// What that means.
    pub obstacle: Obstacle,
}

/// How far a put or get is, for displays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The blob id is being computed: so many bytes are hashed.
    Identified {
        /// Bytes hashed so far.
        bytes: u64,
    },
    /// The id and the length are known; next, ledger and nodes are asked for the rest.
    Located {
        /// Bytes of the whole blob.
        bytes: u64,
    },
    /// The blob is registered on chain: what is done and paid by now, whatever comes.
    Registered(Pending),
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
    /// The blob is being certified: from now on it may be stored, whatever this client hears.
    Certifying,
}

/// A blob that is registered and not certified: what stays if the put ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The blob.
    pub blob_id: BlobId,
    /// The object that stands for it.
    pub object: ObjectId,
    /// First epoch that its storage does not cover.
    pub end_epoch: u32,
    /// Whether its owner may delete it.
    pub deletable: bool,
    /// What this put paid for it: nothing if it went on with an object of an earlier one.
    pub paid: Cost,
}

/// Tells a display how far the work is. Called from the session's own task; must not block.
pub type Observer = Arc<dyn Fn(Progress) + Send + Sync>;
