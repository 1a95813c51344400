//! `blob/1`: what a node knows of a blob. One request frame, one answer frame, one stream; a header follows its
//! answer raw.

use bincode::{Decode, Encode};

use super::{Refusal, TraceContext};
use crate::blob::SegmentProof;

/// A question about a blob.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// Which blob: the bytes of its id.
    pub blob_id: [u8; 32],
    /// What about it.
    pub question: Question,
    /// The caller's span.
    pub trace: Option<TraceContext>,
}

/// What a node can be asked about a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Question {
    /// What the chain says of it, as far as the node has read.
    Status,
    /// Its header.
    Header,
    /// The commitment of one segment, in place of a long header.
    Commitment {
        /// Which segment.
        segment: u32,
    },
    /// Its certificate.
    Certificate,
    /// Until when it stays stored whatever its owners do, as far as the node has read the chain.
    Permanence,
    /// How many of its slivers the node holds, of this segment and of those that follow.
    Holdings {
        /// The first segment; [`SEGMENTS_PER_HOLDINGS_MAX`] of them are counted in one answer.
        segment: u32,
    },
    /// The object that keeps it the longest, as far as the node has read the chain.
    Registration,
    /// What the chain says of one object that names the blob.
    Object {
        /// The bytes of the object's id.
        object: [u8; 32],
        /// A checkpoint that the node should have read before it answers; it waits for that a moment, and no longer.
        checkpoint: u64,
    },
}

/// What the node answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// To [`Question::Status`].
    Status(Status),
    /// To [`Question::Header`]: so many canonical bytes follow, to be verified against the id.
    Header {
        /// How many.
        bytes: u32,
    },
    /// To [`Question::Commitment`]: to be verified against the id.
    Commitment(SegmentProof),
    /// To [`Question::Certificate`]: canonical bytes, to be verified against the committee.
    Certificate(Vec<u8>),
    /// Not this time.
    Refused(Refusal),
    /// To [`Question::Permanence`].
    Permanence {
        /// First epoch that no certified permanent object covers; nothing if there is no such object.
        end_epoch: Option<u32>,
    },
    /// To [`Question::Holdings`]: one entry for each segment from the one that was asked for on, up to the bound or the blob's
    /// end.
    Holdings(Vec<Held>),
    /// To [`Question::Registration`]; nothing if no live object names the blob.
    Registration(Option<Registration>),
    /// To [`Question::Object`].
    Object(ObjectStatus),
}

super::refusable!(Answer);

/// Segments counted in one answer to [`Question::Holdings`]: 32 GiB of a blob, 4 KiB of a frame, and rows a node walks in
/// some milliseconds.
pub const SEGMENTS_PER_HOLDINGS_MAX: u32 = 1024;

/// Slivers of one segment that a node holds, of the shards that are its own now; none known to be damaged is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Held {
    /// Primary slivers.
    pub primary: u16,
    /// Secondary slivers.
    pub secondary: u16,
}

/// An object on chain that names a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Registration {
    /// The bytes of the object's id.
    pub object: [u8; 32],
    /// The epoch in which it was registered.
    pub registered_epoch: u32,
    /// First epoch that it does not cover.
    pub end_epoch: u32,
    /// Whether its owner may delete it before.
    pub deletable: bool,
}

/// What a node has read of one object on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ObjectStatus {
    /// The checkpoint up to which the node has read.
    pub checkpoint: u64,
    /// The object there; nothing if none of this id names the blob, or the blob is invalid.
    pub object: Option<ObjectState>,
}

/// An object that names a blob; its time may be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ObjectState {
    /// Whether a certificate of the blob was put into it.
    pub is_certified: bool,
    /// First epoch that it does not cover.
    pub end_epoch: u32,
    /// Whether its owner may delete it before.
    pub deletable: bool,
}

/// What a node has read of a blob on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Status {
    /// The checkpoint up to which the node has read.
    pub checkpoint: u64,
    /// The epoch of that checkpoint.
    pub epoch: u32,
    /// The state of the blob at that checkpoint.
    pub state: State,
}

/// The state of a blob at a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum State {
    /// No live object names it.
    Nonexistent,
    /// Registered, not certified.
    Registered {
        /// First epoch in which it is gone.
        end_epoch: u32,
    },
    /// Past its point of availability.
    Certified {
        /// Epoch of the first certificate.
        certified_epoch: u32,
        /// First epoch in which it is gone.
        end_epoch: u32,
    },
    /// Was certified, and its time is over.
    Expired {
        /// First epoch in which it was gone.
        end_epoch: u32,
    },
    /// Proven to be encoded inconsistently.
    Invalid,
}
