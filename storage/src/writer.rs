//! The one thread that writes to the index.
//!
//! Promises: everything that waits is committed together, durably, and acknowledged after that; a change that is
//! refused does not hold up its neighbours; if a commit fails, nothing in it is acknowledged and nothing is accepted
//! any more. Does not: touch bundle files, except to remove those that nothing points to.

use std::collections::BTreeSet;
use std::sync::Arc;

use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::sliver::ShardIndex;
use redb::{Database, Durability, ReadableTable};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::bundles::Bundles;
use crate::content::{self, Removed};
use crate::effects::BlobEffect;
use crate::error::{Poison, StoreError};
use crate::holes;
use crate::leaving;
use crate::ledger::{self, Kept, Proof};
use crate::order;
use crate::places::SliverRow;
use crate::rot::{self, Sealed};
use crate::segment::SegmentChange;
use crate::shards;
use crate::short;
use crate::slivers;
use crate::tables::{self, BlobKey, SliverKey, Tables, bytes_of};
use crate::wanting;
use crate::{cursor, expiry};
use haulout_protocol::machine::epoch_change::Holding;

/// Requests that wait at most; their bytes are bounded separately, by permits.
pub(crate) const QUEUE_REQUESTS_MAX: usize = 1024;
/// Free bytes below which nothing is committed, not even the chain's effects: redb does not survive a full disk, so
/// it must not meet one. Several times what a batch of events needs.
const COMMIT_FLOOR_BYTES: u64 = 16 * 1024 * 1024;
/// The same for removing, which makes room: it needs a few pages first.
const REMOVE_FLOOR_BYTES: u64 = 2 * 1024 * 1024;

/// Something to write.
#[derive(Debug)]
pub(crate) enum Change {
    /// A blob's header.
    Header { blob_id: BlobId, bytes: Vec<u8>, now_ms: u64 },
    /// A blob's certificate.
    Certificate { blob_id: BlobId, bytes: Vec<u8> },
    /// A short blob, sealed.
    Short { blob_id: BlobId, sealed: [Vec<u8>; 2], now_ms: u64 },
    /// Slivers and pair proofs of a segment.
    Segment(Box<SegmentChange>),
    /// A checkpoint's effects.
    Apply { checkpoint: u64, effects: Vec<BlobEffect>, proof: Proof },
    /// Something verified of the ledger.
    Keep { row: Kept, bytes: Vec<u8> },
    /// The network's numbers are known.
    Parameters { parameters: Parameters },
    /// A writer came back for unpaid bytes.
    Renew { blob_id: BlobId, now_ms: u64 },
    /// Unpaid bytes are due.
    Forget { before_ms: u64, rows_max: usize },
    /// An epoch has come in which paid time may be over.
    Expire { epoch: Epoch, rows_max: usize },
    /// Shards gained, completed and lost.
    Shards { changes: Vec<(ShardIndex, Option<Holding>)> },
    /// What is stored of a shard has to go.
    Leave { shard: ShardIndex, parameters: Parameters, waits_for_disk: bool },
    /// The disk has parts of these bundles back that nothing pointed to when so many slivers did to others.
    Punched { bundles: Vec<(u64, u32)> },
    /// Nothing is missing of these shards any more.
    Filled { shards: Vec<(ShardIndex, Epoch)> },
    /// A read found that these are not what was written: slivers with the rows that promise other bytes, and sealed values.
    Rotten { slivers: Vec<(SliverKey, SliverRow)>, values: Vec<Sealed> },
    /// Nothing is missing of these blobs, unless something was noted of them since.
    Whole { blobs: Vec<(BlobKey, u64)> },
}

/// What a change did, for those who ask.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// Bytes removed.
    pub(crate) bytes: u64,
    /// Whether the same change would find more to do.
    pub(crate) more: bool,
}

impl Done {
    /// What is to be said of a removal; its bundles join those to unlink after the commit.
    fn removed(mut removed: Removed, unused: &mut BTreeSet<u64>) -> Self {
        unused.append(&mut removed.bundles);
        Done { bytes: removed.bytes, more: removed.more }
    }
}

/// A change, its share of the queue, and who waits for it.
#[derive(Debug)]
pub(crate) struct Request {
    change: Change,
    reply: oneshot::Sender<Result<Done, StoreError>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Request {
    /// A request and where its answer will arrive.
    pub(crate) fn new(
        change: Change,
        permit: Option<OwnedSemaphorePermit>,
    ) -> (Self, oneshot::Receiver<Result<Done, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Request { change, reply, _permit: permit }, answer)
    }
}

/// The writer thread's state.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The index.
    pub(crate) database: Arc<Database>,
    /// The bundle files, unless everything is in memory.
    pub(crate) bundles: Option<Arc<Bundles>>,
    /// Shared with everybody who writes.
    pub(crate) poison: Arc<Poison>,
    /// The queue.
    pub(crate) requests: mpsc::Receiver<Request>,
    /// Requests that share a commit at most.
    pub(crate) together: usize,
}

impl Writer {
    /// Works until the last sender is gone and the queue is empty.
    pub(crate) fn run(mut self) {
        let _guard = PanicGuard(Arc::clone(&self.poison));
        while let Some(first) = self.requests.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < self.together
                && let Ok(next) = self.requests.try_recv()
            {
                batch.push(next);
            }
            self.commit(batch);
        }
    }

    fn commit(&self, batch: Vec<Request>) {
        let mut batch = self.turn_away_if_full(batch);
        if batch.is_empty() {
            return;
        }
        let mut unused = BTreeSet::new();
        let written = self.poison.check().and_then(|()| self.write(&mut batch, &mut unused));
        match written {
            Ok(results) => {
                if let Some(bundles) = &self.bundles {
                    unused.into_iter().for_each(|id| bundles.remove(id));
                }
                for (request, result) in batch.into_iter().zip(results) {
                    // Nobody waiting is fine: the change is durable all the same.
                    let _ = request.reply.send(result);
                }
            }
            Err(error) => {
                self.poison.set(describe(&error));
                for request in batch {
                    let _ = request.reply.send(Err(self.poison.reason()));
                }
            }
        }
    }

    /// Answers what would not fit and returns the rest.
    fn turn_away_if_full(&self, batch: Vec<Request>) -> Vec<Request> {
        let Some(bundles) = &self.bundles else { return batch };
        // Small values are rounded up to pages of at worst twice their size.
        let bytes: usize = batch.iter().map(|request| request.change.bytes()).sum();
        let needed = bytes_of(bytes).saturating_mul(2);
        let (remove, other): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|request| request.change.makes_room());
        let mut accepted = Vec::with_capacity(remove.len() + other.len());
        for (requests, needed, floor) in
            [(other, needed, COMMIT_FLOOR_BYTES), (remove, 0, REMOVE_FLOOR_BYTES)]
        {
            // If free space cannot be measured the write itself will tell.
            let Err(StoreError::Full { free, needed }) = bundles.check_free(needed, floor) else {
                accepted.extend(requests);
                continue;
            };
            for request in requests {
                let _ = request.reply.send(Err(StoreError::Full { free, needed }));
            }
        }
        accepted
    }

    fn write(
        &self,
        batch: &mut [Request],
        unused: &mut BTreeSet<u64>,
    ) -> Result<Vec<Result<Done, StoreError>>, StoreError> {
        let mut transaction = self.database.begin_write()?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(|error| StoreError::from(redb::Error::from(error)))?;
        transaction.set_quick_repair(true);
        let mut results = Vec::with_capacity(batch.len());
        {
            let mut tables = Tables::open(&transaction)?;
            for request in batch.iter() {
                match request.change.apply(&mut tables, unused) {
                    // Refused before anything was written: the others go on.
                    Err(refused @ (StoreError::Gap { .. } | StoreError::ShardInUse { .. })) => {
                        results.push(Err(refused));
                    }
                    other => results.push(Ok(other?)),
                }
            }
            let is_unused = |id: &u64| tables.bundles.get(*id).is_ok_and(|row| row.is_none());
            debug_assert!(unused.iter().all(is_unused), "files go after all rows that name them");
        }
        for request in batch.iter_mut() {
            // If the commit fails half-way it may still be found after a restart: the files must stay until then.
            if let Change::Segment(segment) = &mut request.change {
                segment.keep_bundle();
            }
        }
        transaction.commit()?;
        Ok(results)
    }
}

impl Change {
    fn apply(
        &self,
        tables: &mut Tables<'_>,
        unused: &mut BTreeSet<u64>,
    ) -> Result<Done, StoreError> {
        match self {
            Change::Header { blob_id, bytes, now_ms } => {
                let sealed = tables::seal(bytes);
                let old = tables.headers.insert(blob_id.as_bytes(), sealed.as_slice())?;
                let removed = old.map_or(0, |old| bytes_of(old.value().len()));
                content::account(
                    tables,
                    blob_id.as_bytes(),
                    bytes_of(sealed.len()),
                    removed,
                    *now_ms,
                )?;
            }
            Change::Certificate { blob_id, bytes } => {
                content::put_certificate(tables, blob_id.as_bytes(), bytes)?;
            }
            Change::Short { blob_id, sealed, now_ms } => {
                short::put(tables, blob_id, sealed, *now_ms)?;
            }
            Change::Segment(segment) => segment.apply(tables, unused)?,
            Change::Apply { checkpoint, effects, proof } => {
                cursor::apply(tables, *checkpoint, effects, proof)?;
            }
            Change::Keep { row, bytes } => ledger::keep(tables, *row, bytes)?,
            Change::Parameters { parameters } => order::set_parameters(tables, parameters)?,
            Change::Renew { blob_id, now_ms } => {
                content::renew(tables, blob_id.as_bytes(), *now_ms)?;
            }
            Change::Forget { before_ms, rows_max } => {
                let removed = content::forget_pending(tables, *before_ms, *rows_max)?;
                return Ok(Done::removed(removed, unused));
            }
            Change::Expire { epoch, rows_max } => {
                let more = order::expire(tables, *epoch)?;
                let mut removed = expiry::expire(tables, *epoch, *rows_max)?;
                removed.more |= more;
                return Ok(Done::removed(removed, unused));
            }
            Change::Shards { changes } => shards::set(tables, changes)?,
            Change::Leave { shard, parameters, waits_for_disk } => {
                let mut removed = leaving::remove_part(tables, *shard, parameters)?;
                removed.more = leaving::end(tables, *shard, *waits_for_disk)?;
                return Ok(Done::removed(removed, unused));
            }
            Change::Punched { bundles } => holes::settle(tables, bundles)?,
            Change::Filled { shards } => shards::fill(tables, shards)?,
            Change::Rotten { slivers, values } => {
                for (key, row) in slivers {
                    slivers::mark_damaged(tables, key, row)?;
                }
                values.iter().try_for_each(|value| rot::mark(tables, value))?;
            }
            Change::Whole { blobs } => wanting::settle(tables, blobs)?,
        }
        Ok(Done::default())
    }

    /// Whether this only takes away.
    fn makes_room(&self) -> bool {
        matches!(
            self,
            Change::Forget { .. }
                | Change::Expire { .. }
                | Change::Leave { .. }
                | Change::Punched { .. }
        )
    }

    /// Bytes that will go into the database, without keys and small change.
    fn bytes(&self) -> usize {
        match self {
            Change::Header { bytes, .. }
            | Change::Certificate { bytes, .. }
            | Change::Keep { bytes, .. } => bytes.len(),
            Change::Short { sealed, .. } => sealed.iter().map(Vec::len).sum(),
            Change::Segment(segment) => segment.database_bytes(),
            Change::Apply { .. }
            | Change::Parameters { .. }
            | Change::Renew { .. }
            | Change::Forget { .. }
            | Change::Expire { .. }
            | Change::Shards { .. }
            | Change::Leave { .. }
            | Change::Punched { .. }
            | Change::Filled { .. }
            | Change::Rotten { .. }
            | Change::Whole { .. } => 0,
        }
    }
}

/// The error with everything behind it.
fn describe(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// If the thread panics, nothing it would have written is durable: later writes must not wait for it.
struct PanicGuard(Arc<Poison>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set("the writer thread panicked");
        }
    }
}
