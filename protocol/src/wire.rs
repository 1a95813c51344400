//! Every byte two peers exchange: frames, their limits and their codec.
//!
//! A stream carries frames: a big-endian u32 length, then that many bytes of bincode 2 (little endian, fixed-size
//! integers). Frames are small: whatever is long (headers, proofs, slivers) follows its frame raw, and the frame says
//! how long it is, so that whoever reads can make room before it reads. Promises: decoding any bytes gives a value or an error, allocates
//! no more than the frame's limit, and refuses trailing bytes. Does not: touch streams; `actors` does.

pub mod announcement;
pub mod blob;
pub mod reach;
pub mod shard;
pub mod sliver;
pub mod symbol;
pub mod verdict;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};

/// Most bytes of a frame that only asks or answers something small.
pub const SMALL_FRAME_BYTES_MAX: u32 = 16 * 1024;
/// Most bytes of a header: 16 MiB commit to 8 TiB of blob.
pub const HEADER_BYTES_MAX: u32 = 16 * 1024 * 1024 + 64;
/// Most bytes of a frame that lists segments: four for each of a header's.
pub const LIST_FRAME_BYTES_MAX: u32 = 1024 * 1024 + 64;
/// Most bytes of a gossip message.
pub const ANNOUNCEMENT_BYTES_MAX: u32 = 4 * 1024;

/// Most bytes of a frame that carries an inconsistency proof: the slivers that decode a segment of 32 MiB hold little more
/// in any network of up to 4000 shards.
pub const PROOF_FRAME_BYTES_MAX: u32 = 40 * 1024 * 1024;

/// bincode refuses to allocate more than this for most frames; the frame's own limit is checked before.
const DECODE_BYTES_MAX: usize = 16 * 1024 * 1024 + 64;
/// The same for a frame that is longer than that.
const DECODE_LONG_BYTES_MAX: usize = 40 * 1024 * 1024;

const CONFIGURATION: Configuration<LittleEndian, Fixint, Limit<DECODE_BYTES_MAX>> =
    bincode::config::standard().with_fixed_int_encoding().with_limit();

/// Bytes that are not the frame expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frame is malformed: {0}")]
pub struct DecodeError(String);

/// The body of a frame.
pub fn encode<T: bincode::Encode>(value: &T) -> Vec<u8> {
    bincode::encode_to_vec(value, CONFIGURATION)
        .expect("our frames fit their limits and have no failing fields")
}

/// Reads the body of a frame.
pub fn decode<T: bincode::Decode<()>>(bytes: &[u8]) -> Result<T, DecodeError> {
    let decoded = if bytes.len() <= DECODE_BYTES_MAX {
        bincode::decode_from_slice(bytes, CONFIGURATION)
    } else {
        bincode::decode_from_slice(bytes, CONFIGURATION.with_limit::<DECODE_LONG_BYTES_MAX>())
    };
    let (value, used) = decoded.map_err(|error| DecodeError(error.to_string()))?;
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(DecodeError(format!("{} bytes are left over", bytes.len() - used)))
    }
}

/// Where a request belongs in a distributed trace (W3C Trace Context).
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The caller's span.
    pub span_id: [u8; 8],
    /// Flags; bit 0 means sampled.
    pub flags: u8,
}

/// Why a node does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Refusal {
    /// The node lacks it.
    NotFound,
    /// Too much to do; ask again after so many milliseconds.
    Busy {
        /// When to ask again.
        retry_after_ms: u32,
    },
    /// No room for more slivers.
    Full,
    /// The request contradicts itself, its blob id or the network's parameters.
    Invalid(String),
    /// The blob's registration did not show up in time.
    NotRegistered,
    /// The node owns no shard of the current committee.
    NotMember,
    /// The node's own fault.
    Internal,
}

/// A frame that answers, and may refuse instead.
pub trait Refusable: bincode::Encode + bincode::Decode<()> + Send + Sync {
    /// The frame that refuses.
    fn refusing(refusal: Refusal) -> Self;

    /// The frame, unless it refuses.
    fn unless_refused(self) -> Result<Self, Refusal>;
}

/// Has an enum whose variant `Refused` holds a [`Refusal`] be [`Refusable`].
macro_rules! refusable {
    ($frame:ty) => {
        impl $crate::wire::Refusable for $frame {
            fn refusing(refusal: $crate::wire::Refusal) -> Self {
                Self::Refused(refusal)
            }

            fn unless_refused(self) -> Result<Self, $crate::wire::Refusal> {
                match self {
                    Self::Refused(refusal) => Err(refusal),
                    answer => Ok(answer),
                }
            }
        }
    };
}
use refusable;

impl Refusal {
    /// Whether asking the same node again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Refusal::Busy { .. } | Refusal::NotRegistered | Refusal::Internal => true,
            Refusal::NotFound | Refusal::Full | Refusal::Invalid(_) | Refusal::NotMember => false,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::NotFound => write!(formatter, "the node does not have it"),
            Refusal::Busy { retry_after_ms } => {
                write!(formatter, "the node is busy; retry in {retry_after_ms} ms")
            }
            Refusal::Full => write!(formatter, "the node's disk is full"),
            Refusal::Invalid(why) => write!(formatter, "the node finds the request invalid: {why}"),
            Refusal::NotRegistered => write!(formatter, "the node has not seen the registration"),
            Refusal::NotMember => write!(formatter, "the node is not in the committee"),
            Refusal::Internal => write!(formatter, "the node failed; its log says why"),
        }
    }
}
