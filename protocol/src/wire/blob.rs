//! `blob/1`: what a node knows of a blob. One request frame, one answer frame, one stream; a header or an index follows
//! its answer raw.

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
    /// The sliver index of one segment.
    Index {
        /// Which segment.
        segment: u32,
    },
    /// Its certificate.
    Certificate,
    /// Until when it stays stored whatever its owners do, as far as the node has read the chain.
    Permanence,
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
    /// To [`Question::Index`]: so many canonical bytes follow, to be verified against the segment's commitment.
    Index {
        /// How many.
        bytes: u32,
    },
    /// To [`Question::Certificate`]: canonical bytes, to be verified against the committee.
    Certificate(Vec<u8>),
    /// Not this time.
    Refused(Refusal),
    /// To [`Question::Permanence`].
    Permanence {
        /// First epoch that no certified permanent object covers; nothing if there is no such object.
        end_epoch: Option<u32>,
    },
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
