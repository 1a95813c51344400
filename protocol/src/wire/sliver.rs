//! `sliver/1`: slivers in and out.
//!
//! A **get** asks for slivers of one segment: [`Request::Get`], then per sliver [`Reply::Sliver`] and its raw bytes,
//! or [`Reply::Missing`], then [`Reply::End`]. A **put** carries a whole upload to one node: [`Request::Put`] and the raw
//! header, answered by [`Reply::Ready`]; per segment [`Request::Segment`] and the raw index, and per sliver
//! [`Request::Sliver`] and its raw bytes, answered by [`Reply::Stored`] when durable; [`Request::Finish`] answered by
//! [`Reply::Confirmed`].
//! Any time the node may say [`Reply::Refused`] and end the stream.

use bincode::{Decode, Encode};

use super::{Refusal, TraceContext};
use crate::chain::ObjectId;
use crate::message::Persistence;
use crate::sliver::Axis;

/// What the client sends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Asks for slivers of one segment on one axis.
    Get {
        /// The bytes of the blob's id.
        blob_id: [u8; 32],
        /// Which segment.
        segment: u32,
        /// Which sliver of each pair.
        axis: Axis,
        /// The pairs, each at most once.
        pairs: Vec<u16>,
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
    /// Announces the node's slivers of one segment; the sliver index's canonical bytes follow.
    Segment {
        /// Which segment.
        segment: u32,
        /// How many bytes the index has.
        index_bytes: u32,
        /// How many slivers follow: two for each shard of the node.
        slivers: u16,
    },
    /// Announces the raw bytes of one sliver.
    Sliver {
        /// Which sliver of the pair.
        axis: Axis,
        /// Which pair.
        pair: u16,
        /// How many raw bytes follow.
        bytes: u32,
    },
    /// All segments are sent: asks for the confirmation.
    Finish {
        /// The blob object the confirmation is bound to, if it may be deleted.
        deletable: Option<ObjectId>,
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
    /// The node lacks this sliver.
    Missing {
        /// Which pair.
        pair: u16,
    },
    /// Nothing more comes for this get.
    End,
    /// Not this time; the stream ends.
    Refused(Refusal),
}

impl Request {
    /// The persistence a [`Request::Finish`] asks to confirm.
    pub fn persistence(deletable: Option<ObjectId>) -> Persistence {
        deletable.map_or(Persistence::Permanent, Persistence::Deletable)
    }
}
