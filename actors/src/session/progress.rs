//! What a client's session tells of itself while it runs, and of members that did not help.
//!
//! Promises: whoever shows it needs nothing else. Does not: wait for whoever shows it.

use std::sync::Arc;

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;

use crate::asking::Obstacle;
use crate::chain::Cost;

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
