//! What came of a page, entry by entry, before anybody looked at it.
//!
//! Promises: nothing; whoever sent it may lie. Does not: verify it (`keep` does).

use bytes::Bytes;
use haulout_protocol::blob::BlobId;
use haulout_protocol::sliver::ShardIndex;
use haulout_protocol::wire::shard::Entry;

/// Symbols of a short blob as they came, unverified.
#[derive(Debug)]
pub(super) struct ShortRow {
    pub(super) header: Vec<u8>,
    pub(super) symbols: Vec<(ShardIndex, Bytes)>,
    pub(super) proof: Vec<u8>,
}

/// What came of one entry, unverified.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) blob_id: BlobId,
    /// How long the blob is.
    pub(super) bytes: u64,
    pub(super) segment: u32,
    pub(super) header: Option<Vec<u8>>,
    /// Whole pairs, as they are on the wire.
    pub(super) pairs: Vec<(ShardIndex, Bytes)>,
    pub(super) short: Option<ShortRow>,
    /// What the owner says it lacks.
    pub(super) missing: Vec<ShardIndex>,
}

impl Arrived {
    /// Whether its owner said anything of it.
    pub(super) fn has_something(&self) -> bool {
        let has_bytes = self.header.is_some() || self.short.is_some();
        has_bytes || !self.pairs.is_empty() || !self.missing.is_empty()
    }

    /// The owner has nothing of it.
    pub(super) fn lack(&mut self, entry: &Entry) {
        self.missing = entry.shards.iter().copied().map(ShardIndex).collect();
    }
}
