//! What blobs are registered and certified by, one of many in a transaction, and what comes of each.
//!
//! Does not: build or send the transaction; `register` and `certify` do.

use haulout_protocol::blob::{BlobId, Encoding};
use haulout_protocol::chain::call::CertifyBlob;
use haulout_protocol::chain::{ObjectId, object};
use haulout_protocol::crypto::Digest;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::space::Space;

use super::memory::Since;

/// What a transaction cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Of the storage token, in its smallest unit.
    pub wal: u64,
    /// Gas, in MIST; rebates can make it zero.
    pub gas: u64,
}

impl Cost {
    /// The cost of both.
    pub fn plus(self, other: Cost) -> Cost {
        Cost { wal: self.wal.saturating_add(other.wal), gas: self.gas.saturating_add(other.gas) }
    }
}

/// A blob registered by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The blob object, ours.
    pub object: ObjectId,
    /// The first epoch no longer paid for.
    pub end_epoch: Epoch,
    /// The space it got: as planned, unless the wallet's storage had changed.
    pub space: Space,
    /// The transaction.
    pub digest: String,
    /// The checkpoint that contains it, if it was seen.
    pub checkpoint: Option<u64>,
    /// What it cost.
    pub cost: Cost,
}

/// A blob to be registered in space of its own; one that only buys can share a transaction.
#[derive(Clone, Debug)]
pub(super) struct NewBlob {
    pub(super) blob_id: BlobId,
    pub(super) root: Digest,
    pub(super) encoding: Encoding,
    pub(super) length: u64,
    pub(super) deletable: bool,
    pub(super) write: u64,
    pub(super) beside: Option<Vec<object::Blob>>,
    pub(super) since: Since,
    pub(super) space: Space,
}

/// A blob certified by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// The epoch of the certificate.
    pub epoch: Epoch,
    /// The transaction; absent if the blob had been certified before.
    pub digest: Option<String>,
    /// The checkpoint that contains it, if it was seen.
    pub checkpoint: Option<u64>,
    /// What it cost.
    pub cost: Cost,
}

/// A certificate on its way to the ledger.
#[derive(Debug)]
pub(super) struct Certification {
    pub(super) object: ObjectId,
    pub(super) certify: CertifyBlob,
}
