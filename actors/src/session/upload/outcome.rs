//! What a put is asked for, and how it ends: values, no work.

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::machine::put_plan::{Plan, Refusal};
use haulout_protocol::machine::upload::unheard;

use super::source::SourceError;
use super::witness::Unwitnessed;
use crate::chain::{CallError, Cost};

/// What to store a blob as.
#[derive(Clone, Copy, Debug)]
pub struct PutOptions {
    /// How many epochs to keep it, the current one included.
    pub epochs: u32,
    /// Whether the owner may delete it before.
    pub deletable: bool,
    /// Make a new object even if the blob is certified for long enough already.
    pub force: bool,
}

/// What a put did.
#[derive(Clone, Debug)]
pub struct PutReport {
    /// The blob's id.
    pub blob_id: BlobId,
    /// Its length in bytes.
    pub length: u64,
    /// BLAKE3 hash of the blob, as `b3sum` prints it.
    pub content_hash: [u8; 32],
    /// First epoch in which it is gone.
    pub end_epoch: u32,
    /// The caller's object on chain; nothing if somebody's permanent object keeps the blob for long enough.
    pub object: Option<ObjectId>,
    /// What was done, and what was bought or reused for it.
    pub plan: Plan,
    /// What registration, extension and certificate cost, in FROST (10^-9 WAL) and MIST (10^-9 SUI).
    pub cost: Cost,
    /// Shards whose nodes confirmed this put, none if that was not needed; and shards in all.
    pub shards: (u16, u16),
    /// Why it counts as stored.
    pub evidence: Evidence,
    /// Members that did not help, by name, and why.
    pub unhelpful: Vec<(String, String)>,
}

/// Why a blob counts as stored. One server of the ledger that says so is no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Nodes of more than a third of the shards have read it on the ledger, so one correct one has.
    Nodes,
    /// Nodes did not say so in time, and the ledger's validators signed it, or most of several servers show it.
    Ledger,
}

/// What was done for a blob before the epoch ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// What it cost.
    pub cost: Cost,
    /// The end it was registered for.
    pub end_epoch: Option<u32>,
    /// The object it was registered as: the one to go on with.
    pub object: Option<ObjectId>,
    /// The plan that was carried out.
    pub plan: Option<Plan>,
}

/// Why a blob cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Its bytes cannot be read, or changed meanwhile.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Too few nodes can confirm.
    #[error("only {reachable} of {shards} shards can confirm{}; {quorum} needed", unheard(*.silent))]
    NoQuorum {
        /// Shards of the members that answered and are still of use.
        reachable: u16,
        /// Shards of the members that have not answered.
        silent: u16,
        /// Shards in all.
        shards: u16,
        /// Shards of a quorum.
        quorum: u16,
        /// Members that failed, by name, and why.
        members: Vec<(String, String)>,
    },
    /// The epoch ended meanwhile: what was signed in it is worth nothing now. Going on with the
    /// committee of now sends nothing and pays nothing twice.
    #[error("the epoch ended while the blob was stored; store it again, nothing is paid twice")]
    EpochEnded(Box<Earlier>),
    /// What was asked for cannot be had.
    #[error(transparent)]
    NoPlan(#[from] Refusal),
    /// Others who use the same wallet were faster, again and again.
    #[error("what the wallet owns changed while the blob was stored; put it again")]
    Moved,
    /// The ledger refused or cannot be reached.
    #[error(transparent)]
    Chain(#[from] CallError),
    /// A server of the ledger says that the blob is stored, and the committee does not confirm it.
    #[error("{0}")]
    Unwitnessed(Box<Unwitnessed>),
    /// There is no such blob, so nodes would not keep what a repair sends them.
    #[error("no blob with these bytes is stored, so there is nothing to repair")]
    NotStored(BlobId),
    /// Longer than the header may commit to.
    #[error("the blob has {0} bytes, more than a header can commit to")]
    TooLarge(u64),
    /// A worker ended before its time.
    #[error("the client is shutting down")]
    Ended,
}

impl From<Box<Unwitnessed>> for PutError {
    fn from(told: Box<Unwitnessed>) -> PutError {
        PutError::Unwitnessed(told)
    }
}

impl PutError {
    /// Whether trying again, unchanged, can help.
    pub fn is_transient(&self) -> bool {
        match self {
            PutError::NoQuorum { .. }
            | PutError::EpochEnded(_)
            | PutError::Moved
            | PutError::Ended => true,
            PutError::Chain(error) => error.is_transient(),
            PutError::Unwitnessed(told) => !told.is_denied,
            PutError::Source(_)
            | PutError::NoPlan(_)
            | PutError::NotStored(_)
            | PutError::TooLarge(_) => false,
        }
    }
}
