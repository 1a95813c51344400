//! Why a visit ends early, and what follows: for the visitor, for its good name, for whoever runs this node.
//!
//! Promises: the fault lands with whoever made it: the visitor is blamed for what it sent, our own store's failures are errors
//! of ours. Does not: tell anybody; `visit` does.

use haulout_protocol::wire::Refusal;
use haulout_storage::StoreError;

use crate::limits;
use crate::network::{Blame, StreamError};

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// We do not do it.
    #[error("{0}")]
    Refused(Refusal),
    /// The peer sent what it must not send.
    #[error("{reason}")]
    Blamed { blame: Blame, reason: String },
    /// The stream broke.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// Our store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Our own code failed.
    #[error("a task of ours panicked")]
    Panicked,
}

impl Fault {
    /// A frame that makes no sense where it came.
    pub(crate) fn out_of_place(what: &str) -> Fault {
        Fault::Blamed { blame: Blame::Malformed, reason: format!("{what} is out of place") }
    }

    /// What the peer hears; nothing if the stream is broken anyway.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Fault::Refused(refusal) => Some(refusal.clone()),
            Fault::Blamed { reason, .. } => Some(Refusal::Invalid(reason.clone())),
            Fault::Stream(StreamError::Malformed(error)) => {
                Some(Refusal::Invalid(error.to_string()))
            }
            Fault::Stream(error @ StreamError::TooLarge { .. }) => {
                Some(Refusal::Invalid(error.to_string()))
            }
            Fault::Stream(_) => None,
            Fault::Store(StoreError::Full { .. }) => Some(Refusal::Full),
            Fault::Store(_) | Fault::Panicked => Some(Refusal::Internal),
        }
    }

    /// What the peer is to blame for.
    pub(super) fn blame(&self) -> Option<Blame> {
        match self {
            Fault::Blamed { blame, .. } => Some(*blame),
            // The peer opened the stream, and others wait for its place.
            Fault::Stream(StreamError::TimedOut(_) | StreamError::TooSlow) => Some(Blame::Slow),
            Fault::Stream(error) => error.blame(),
            Fault::Refused(_) | Fault::Store(_) | Fault::Panicked => None,
        }
    }

    /// What an operator of this node must know: its disk, not its program, is most often what failed.
    pub(super) fn of_this_node(&self) -> Option<&'static str> {
        match self {
            Fault::Store(StoreError::Corrupt { .. }) => {
                Some("rot: stored bytes are not those that were written, so a peer was not served")
            }
            Fault::Store(StoreError::Full { .. }) => {
                Some("the disk is full, so a peer's bytes were not taken")
            }
            Fault::Store(_) => Some("the store failed, so a peer was not served"),
            Fault::Panicked => Some("a fault of the program, so a peer was not served"),
            Fault::Refused(_) | Fault::Blamed { .. } | Fault::Stream(_) => None,
        }
    }

    /// One word for metrics.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Fault::Refused(Refusal::NotFound) => "not_found",
            Fault::Refused(Refusal::Busy { .. }) => "busy",
            Fault::Refused(Refusal::NotRegistered) => "not_registered",
            Fault::Refused(Refusal::NotMember) => "not_member",
            Fault::Refused(Refusal::Full) | Fault::Store(StoreError::Full { .. }) => "full",
            Fault::Refused(Refusal::Invalid(_)) | Fault::Blamed { .. } => "invalid",
            Fault::Refused(Refusal::Internal) | Fault::Store(_) | Fault::Panicked => "internal",
            Fault::Stream(_) => "stream",
        }
    }
}

/// Says that a bound of ours is reached.
pub(crate) fn busy() -> Fault {
    Fault::Refused(Refusal::Busy { retry_after_ms: limits::BUSY_RETRY_AFTER_MS })
}
