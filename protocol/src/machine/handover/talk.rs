//! What is said to a handover, and what it says.
//!
//! Promises: words only. Does not: decide.

use crate::blob::BlobId;
use crate::machine::retry::End;
use crate::machine::{Blame, RequestId};
use crate::sliver::ShardIndex;
use crate::wire::shard::Entry;

/// A pair, or a symbol of a short blob: of which blob and segment, on which shard.
pub type Pair = (BlobId, u32, ShardIndex);

/// What is missing of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Which blob.
    pub blob: BlobId,
    /// How long it is.
    pub bytes: u64,
    /// Whether its header is here.
    pub has_header: bool,
    /// The pairs that are not whole here, by segment and shard, each once.
    pub pairs: Vec<(u32, ShardIndex)>,
}

/// What came of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// Blobs whose headers are here now.
    pub headers: Vec<BlobId>,
    /// What was verified and is durable.
    pub kept: Vec<Pair>,
    /// What the owner says it lacks, or is of no use here.
    pub missing: Vec<Pair>,
}

/// How a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Well or not; what it still owes will not come by it.
    Over(End),
    /// With something that is not what was committed to.
    Lied(Blame),
}

/// What can happen to a handover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// This is missing, and nobody asks for it yet.
    Seen(Vec<Lost>),
    /// The request has left; until then its owner owes nothing.
    Asked {
        /// Which.
        request: RequestId,
    },
    /// Something came of a page.
    Heard {
        /// Of which request.
        request: RequestId,
    },
    /// All that the owner sends of a page has come, and some of it is to be checked and kept before the page is over.
    Arrived {
        /// Of which request.
        request: RequestId,
    },
    /// A page is over.
    Ended {
        /// Which request.
        request: RequestId,
        /// What came of it.
        came: Came,
        /// How it ended.
        how: How,
    },
    /// The deadline passed.
    TimeReached,
}

/// What a handover can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask a former owner for a page.
    Ask {
        /// Names the request in later inputs.
        request: RequestId,
        /// Index of the owner on the roster.
        owner: usize,
        /// The page.
        entries: Vec<Entry>,
    },
    /// Nobody waits for this request any more.
    Cancel {
        /// Which.
        request: RequestId,
    },
    /// Former owners have nothing more to give of this blob.
    Settled {
        /// Which blob.
        blob: BlobId,
        /// Whether its header is here.
        has_header: bool,
        /// What is still missing of it, in order: to be rebuilt.
        left: Vec<(u32, ShardIndex)>,
    },
    /// An owner owes an answer and says nothing.
    Silent {
        /// Which.
        owner: usize,
    },
    /// An owner lied.
    Blame {
        /// Which.
        owner: usize,
        /// How.
        reason: Blame,
    },
}

/// How a handover asks.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// An owner from which nothing came for so long is not waited for, in milliseconds.
    pub patience_ms: u64,
    /// An owner that ended no page for so long is asked for no more while it works at those it has, in milliseconds.
    pub late_ms: u64,
    /// Pages in flight, of all owners together.
    pub pages_max: usize,
    /// Pairs of one page, if that is fewer than a request may hold.
    pub pairs_max: usize,
    /// Spreads the pauses of many nodes; any number.
    pub noise: u64,
}
