//! `sliver/1`: slivers in and out.
//!
//! A **get** asks for slivers of one segment, their pairs' proofs, or both: [`Request::Get`], then per pair
//! [`Reply::Proof`] and its raw bytes, [`Reply::Sliver`] and its raw bytes, or [`Reply::Missing`], then [`Reply::End`]. A
//! **put** carries a whole upload to one node: [`Request::Put`] and the raw header, answered by [`Reply::Ready`]; per
//! segment [`Request::Segment`], per pair of it [`Request::Pair`] and its raw proof, then for each of its slivers
//! [`Request::Sliver`] and its raw bytes, answered by [`Reply::Stored`] when durable; [`Request::Finish`] answered by
//! [`Reply::Confirmed`]. A blob that is short in its network has symbols in place of a segment's pairs: a get is
//! [`Request::GetShort`], answered by one [`Reply::Short`], and a put has one [`Request::Short`] in place of its segment.
//! A stream takes and gives any number of short blobs, one after the other: when one is stored, confirmed or sent, the
//! next request may follow, and [`Request::Confirm`] asks on any stream for the confirmation of a short blob that came on
//! another. Any time the node may say [`Reply::Refused`] and end the stream.

use bincode::{Decode, Encode};

use super::{Refusal, TraceContext};
use crate::chain::ObjectId;
use crate::message::Persistence;
use crate::sliver::Axis;

/// What of a pair a get asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Part {
    /// A sliver.
    Sliver,
    /// The pair's proof.
    Proof,
    /// The proof, then the sliver.
    Both,
}

impl Part {
    /// Whether the sliver is asked for.
    pub fn has_sliver(self) -> bool {
        matches!(self, Part::Sliver | Part::Both)
    }

    /// Whether the proof is asked for.
    pub fn has_proof(self) -> bool {
        matches!(self, Part::Proof | Part::Both)
    }
}

/// What the client sends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Asks for slivers of one segment on one axis, or for what proves them.
    Get {
        /// The bytes of the blob's id.
        blob_id: [u8; 32],
        /// Which segment.
        segment: u32,
        /// Which sliver of each pair.
        axis: Axis,
        /// What of each pair.
        part: Part,
        /// The pairs, each at most once.
        pairs: Vec<u16>,
        /// The caller's span.
        trace: Option<TraceContext>,
    },
    /// Asks for symbols of a short blob.
    GetShort {
        /// The bytes of the blob's id.
        blob_id: [u8; 32],
        /// Their places in the blob, each at most once.
        symbols: Vec<u16>,
        /// Whether the proof that they share is asked for, too.
        with_proof: bool,
        /// The caller's span.
        trace: Option<TraceContext>,
    },
    /// Begins an upload; the header's canonical bytes follow.
    Put {
        /// The bytes of the blob's id.
        blob_id: [u8; 32],
        /// How many bytes the header has.
        header_bytes: u32,
        /// The caller's span.
        trace: Option<TraceContext>,
    },
    /// Announces the node's pairs of one segment.
    Segment {
        /// Which segment.
        segment: u32,
        /// How many pairs follow: one for each shard of the node.
        pairs: u16,
    },
    /// Announces a pair, whose two slivers follow; its proof's canonical bytes come first.
    Pair {
        /// Which pair.
        pair: u16,
    },
    /// Announces the raw bytes of one sliver of the pair.
    Sliver {
        /// Which sliver of the pair.
        axis: Axis,
        /// How many raw bytes follow.
        bytes: u32,
    },
    /// Announces the node's symbols of a short blob, one for each of its shards: their raw bytes follow, then the proof that
    /// they share.
    Short {
        /// Their places in the blob, in ascending order.
        symbols: Vec<u16>,
        /// How many bytes the proof has.
        proof_bytes: u32,
    },
    /// All segments are sent: asks for the confirmation.
    Finish {
        /// The blob object the confirmation is bound to, if it may be deleted.
        deletable: Option<ObjectId>,
    },
    /// Asks for the confirmation of a short blob whose symbols the node has.
    Confirm {
        /// The bytes of the blob's id.
        blob_id: [u8; 32],
        /// The blob object the confirmation is bound to, if it may be deleted.
        deletable: Option<ObjectId>,
        /// The caller's span.
        trace: Option<TraceContext>,
    },
}

/// What the node sends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// The put may go on.
    Ready {
        /// Segments the node already holds in full: no need to send them again.
        stored: Vec<u32>,
    },
    /// A segment is durable.
    Stored {
        /// Which.
        segment: u32,
    },
    /// Everything is durable and registered.
    Confirmed {
        /// The epoch the signature is for.
        epoch: u32,
        /// BLS signature over the blob certificate's message, 96 bytes.
        signature: [u8; 96],
    },
    /// Announces the raw bytes of one sliver.
    Sliver {
        /// Which pair.
        pair: u16,
        /// How many raw bytes follow.
        bytes: u32,
    },
    /// Announces the raw bytes of a pair's proof.
    Proof {
        /// Which pair.
        pair: u16,
        /// How many raw bytes follow.
        bytes: u32,
    },
    /// Announces symbols of a short blob: their raw bytes follow in this order, then those of the proof that they share.
    Short {
        /// Those of the places asked for that the node has, in ascending order.
        symbols: Vec<u16>,
        /// How many bytes the proof has; none if it was not asked for.
        proof_bytes: u32,
    },
    /// The node lacks what was asked for of this pair.
    Missing {
        /// Which pair.
        pair: u16,
    },
    /// Nothing more comes for this get.
    End,
    /// Not this time; the stream ends.
    Refused(Refusal),
}

super::refusable!(Reply);

impl Request {
    /// The persistence a [`Request::Finish`] or [`Request::Confirm`] asks to confirm.
    pub fn persistence(deletable: Option<ObjectId>) -> Persistence {
        deletable.map_or(Persistence::Permanent, Persistence::Deletable)
    }
}
