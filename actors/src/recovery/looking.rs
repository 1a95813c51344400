//! A look through the store for what is missing of our shards.
//!
//! Promises: of a shard that is not whole, also what may still be on its way is seen, because it is reported only when nothing
//! is missing of it. Does not: repair, or say when a shard is whole (`vitals` does).

use std::collections::BTreeMap;

use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::epoch_change::Holding;
use haulout_protocol::sliver::ShardIndex;
use haulout_storage::{Lacking, PageEnd, Scope, Store, StoreError};

use crate::context::{Context, now_ms};
use crate::limits;
use crate::position::Position;

/// One look, from its first page to its last.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// Where the ledger was when it began.
    pub(super) position: Position,
    shards: Vec<ShardIndex>,
    arriving_since_ms: u64,
}

/// What a page told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) lacking: Vec<Lacking>,
    /// How long these blobs are, if shards moved: their former owners may be asked.
    pub(crate) lengths: BTreeMap<BlobId, u64>,
    /// Incomplete blobs that may be on their way.
    pub(crate) arriving: u64,
    pub(crate) end: Option<PageEnd>,
}

impl Look {
    /// A look at our shards as they are now.
    pub(super) fn begin(context: &Context) -> Look {
        let position = context.position.current();
        let arriving_ms = u64::try_from(limits::ARRIVAL_MAX.as_millis()).unwrap_or(u64::MAX);
        Look {
            shards: position.shards_of(&context.peer).to_vec(),
            arriving_since_ms: now_ms().saturating_sub(arriving_ms),
            position,
        }
    }

    /// Whether another epoch began since.
    pub(super) fn is_outdated(&self, context: &Context) -> bool {
        self.position.epoch != context.position.current().epoch
    }

    /// Whether the store had read the ledger to its end when it began.
    pub(super) fn knows_all(&self) -> bool {
        self.position.checkpoint >= self.position.read_at
    }

    /// The page after another. Blocks on the disk.
    pub(super) fn page(&self, store: &Store, after: Option<PageEnd>) -> Result<Seen, StoreError> {
        if self.shards.is_empty() {
            return Ok(Seen::default()); // whoever has no shard lacks nothing
        }
        let is_whole = self.missing(store)?.is_empty();
        let scope = Scope {
            epoch: self.position.epoch,
            shards: &self.shards,
            // Of a shard that is to be called whole, what is on its way is missing, too.
            arriving_since_ms: if is_whole { self.arriving_since_ms } else { u64::MAX },
        };
        let segments_of = |bytes| self.position.parameters.segment_count(bytes);
        let page = store.missing(&scope, segments_of, after)?;
        let lengths = self.lengths(store, &page.lacking)?;
        Ok(Seen { lacking: page.lacking, lengths, arriving: page.arriving, end: page.end })
    }

    fn lengths(
        &self,
        store: &Store,
        lacking: &[Lacking],
    ) -> Result<BTreeMap<BlobId, u64>, StoreError> {
        let mut lengths = BTreeMap::new();
        if self.position.roster().moved() == 0 {
            return Ok(lengths);
        }
        for Lacking { blob_id, .. } in lacking {
            let length = store.blob(blob_id)?.and_then(|record| record.size());
            lengths.extend(length.map(|length| (*blob_id, length)));
        }
        Ok(lengths)
    }

    /// Our shards of which the store says that something is missing.
    fn missing(&self, store: &Store) -> Result<Vec<ShardIndex>, StoreError> {
        let known = store.shards()?;
        let is_missing =
            |shard: &&ShardIndex| matches!(known.get(shard), Some(Holding::Missing { .. }));
        Ok(self.shards.iter().filter(is_missing).copied().collect())
    }
}
