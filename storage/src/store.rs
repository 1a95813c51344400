//! The store's door: open it, read from it, write to it.
//!
//! Promises: see the crate's front page. Reads are snapshots and block only on the disk; writes are `async` and return
//! when what they wrote is durable. Does not: decide what to keep; it is told. Shards, expiry and room are in
//! `store/upkeep.rs`.

use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::sliver::{Axis, ShardIndex};
use redb::{Database, ReadTransaction, ReadableDatabase, StorageBackend};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::blobs::{self, BlobRecord};
use crate::bundles::Bundles;
use crate::effects::BlobEffect;
use crate::error::{Poison, StoreError};
use crate::files::Files;
use crate::ledger::{self, Kept, Proof};
use crate::lock::DirectoryLock;
use crate::rot::{Rot, Sealed};
use crate::sealed;
use crate::short::{self, ShortBlob};
use crate::slivers::{self, Found};
use crate::tables::{self, CERTIFICATES, HEADERS, PROOFS, SliverKey, bytes_of, meta};
use crate::writer::{Change, Done, QUEUE_REQUESTS_MAX, Request, Writer};
use crate::{reconcile, schema};

/// Largest header or certificate: the header of a 32 TiB blob.
const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Rows that one transaction removes: some milliseconds.
const REMOVED_AT_ONCE: usize = 2_000;
/// Looks for a sliver that is being replaced while it is read.
const READ_ATTEMPTS: usize = 4;
/// Database cache of a store in memory, whose database is the cache.
const MEMORY_CACHE_BYTES: usize = 4 * 1024 * 1024;

/// How a store on disk behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Disk space never used for blobs: room for the index, for the chain's events and for the rest of the machine.
    pub reserve_bytes: u64,
    /// Memory for the index's pages.
    pub cache_bytes: usize,
    /// Bytes that may wait for the next commit; writers beyond it wait for room.
    pub queue_bytes: u32,
    /// Rows after which one transaction of removing ends, so that others' writes get in between. One segment of a blob goes
    /// as a whole, whatever this says.
    pub removed_at_once: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            reserve_bytes: 256 * 1024 * 1024,
            cache_bytes: 64 * 1024 * 1024,
            queue_bytes: 64 * 1024 * 1024,
            removed_at_once: REMOVED_AT_ONCE,
        }
    }
}

/// What the store takes and what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of headers, pair proofs, slivers and short blobs held.
    pub content_bytes: u64,
    /// The part of them nobody has paid for yet.
    pub pending_bytes: u64,
    /// Bytes free on the disk; none for a store in memory.
    pub free_bytes: Option<u64>,
    /// Bytes of the disk that are never used for blobs.
    pub reserve_bytes: u64,
}

/// Everything a node keeps. Cheap to clone; the last clone closes it.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    queue: Arc<Semaphore>,
    queue_bytes: u32,
    removed_at_once: usize,
    bundles: Option<Arc<Bundles>>,
    poison: Arc<Poison>,
    rot: Rot,
    database: Arc<Database>,
    /// Last: released when everything else is closed.
    _lock: Option<DirectoryLock>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without senders the writer ends after the commit it is at; then the directory can be opened again.
        self.requests = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer thread had panicked");
        }
    }
}

impl Store {
    /// Opens the store in that directory, creating both if need be. Blocks on the disk.
    ///
    /// Finishes what a crash interrupted: half-written and orphaned bundles go, slivers whose bundle is gone or short
    /// count as missing. Only one store at a time can have a directory open.
    pub fn open(path: &Path, options: Options) -> Result<Store, StoreError> {
        Store::open_with(path, options, &Files::default())
    }

    /// [`Store::open`] with files that may be watched.
    fn open_with(path: &Path, options: Options, files: &Files) -> Result<Store, StoreError> {
        create_durably(files, path)?;
        let lock = DirectoryLock::acquire(path)?;
        let database = schema::open(path, options.cache_bytes, files)?;
        Store::over(database, path, options, files.clone(), Some(lock))
    }

    /// A store of that database and of the bundle files in that directory.
    fn over(
        database: Database,
        path: &Path,
        options: Options,
        files: Files,
        lock: Option<DirectoryLock>,
    ) -> Result<Store, StoreError> {
        let poison = Arc::new(Poison::default());
        let bundles = Bundles::open(path, options.reserve_bytes, Arc::clone(&poison), files)?;
        reconcile::run(&database, &bundles)?;
        Store::start(database, Some(Arc::new(bundles)), poison, lock, (options, QUEUE_REQUESTS_MAX))
    }

    /// A store that forgets everything when the last clone goes: for tests and light clients. Same code, no files.
    pub fn in_memory() -> Result<Store, StoreError> {
        Store::in_backend(redb::backends::InMemoryBackend::new(), QUEUE_REQUESTS_MAX)
    }

    /// A store whose database is in that backend, new or as a crash left it, and which has no files: large slivers are
    /// rows, too. For simulations, which bring a disk that fails, and want every change that waits to have a commit of its
    /// own (`together` is 1), or the same run would write differently each time.
    pub fn in_backend(backend: impl StorageBackend, together: usize) -> Result<Store, StoreError> {
        let database = schema::create_in(backend, MEMORY_CACHE_BYTES)?;
        let options = (Options::default(), together);
        Store::start(database, None, Arc::new(Poison::default()), None, options)
    }

    fn start(
        database: Database,
        bundles: Option<Arc<Bundles>>,
        poison: Arc<Poison>,
        lock: Option<DirectoryLock>,
        (options, together): (Options, usize),
    ) -> Result<Store, StoreError> {
        let Options { queue_bytes, removed_at_once, .. } = options;
        let database = Arc::new(database);
        let (sender, requests) = mpsc::channel(QUEUE_REQUESTS_MAX);
        let writer = Writer {
            database: Arc::clone(&database),
            bundles: bundles.clone(),
            poison: Arc::clone(&poison),
            requests,
            together,
        };
        let writer = Builder::new().name("haulout-store".to_owned()).spawn(move || writer.run());
        let writer =
            writer.map_err(StoreError::io("start a thread for", Path::new("the store")))?;
        let inner = Inner {
            requests: Some(sender),
            writer: Some(writer),
            queue: Arc::new(Semaphore::new(
                usize::try_from(queue_bytes).unwrap_or(usize::MAX >> 4),
            )),
            queue_bytes,
            removed_at_once,
            bundles,
            poison,
            rot: Rot::default(),
            database,
            _lock: lock,
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    // What the chain says.

    /// The last checkpoint whose effects are in the store.
    pub fn position(&self) -> Result<Option<u64>, StoreError> {
        tables::number(&self.view()?, meta::CHECKPOINT)
    }

    /// Records a checkpoint's effects and that it was seen, in one transaction.
    ///
    /// A checkpoint at or before the position changes nothing; one that skips others is a [`StoreError::Gap`]. The
    /// first one ever may have any number. Calls take effect in the order in which they are first polled, so many may
    /// be in flight: they share commits.
    pub async fn apply(&self, checkpoint: u64, effects: Vec<BlobEffect>) -> Result<(), StoreError> {
        self.apply_proven(checkpoint, effects, Proof::default()).await
    }

    /// As [`Store::apply`], with what the checkpoint proves, in the same transaction.
    pub async fn apply_proven(
        &self,
        checkpoint: u64,
        effects: Vec<BlobEffect>,
        proof: Proof,
    ) -> Result<(), StoreError> {
        // Never zero: only those who take something wait in line.
        let weight = effects.len().saturating_mul(size_of::<BlobEffect>()).saturating_add(1);
        let weight = weight.saturating_add(proof.bytes());
        self.write(Change::Apply { checkpoint, effects, proof }, weight).await.map(drop)
    }

    /// Keeps something that was verified of the ledger, in place of what was kept before.
    pub async fn keep(&self, row: Kept, bytes: Vec<u8>) -> Result<(), StoreError> {
        let weight = check_size("what is known of the ledger", &bytes)?;
        self.write(Change::Keep { row, bytes }, weight.saturating_add(1)).await.map(drop)
    }

    /// What was kept of the ledger.
    pub fn kept(&self, row: Kept) -> Result<Option<Bytes>, StoreError> {
        ledger::read(&self.view()?, row)
    }

    /// The version and digest that verified checkpoints prove for an object on the ledger; nothing for one that they did
    /// not write.
    pub fn proven(&self, object: &ObjectId) -> Result<Option<(u64, [u8; 32])>, StoreError> {
        ledger::proven(&self.view()?, object)
    }

    /// What the chain says of the blob; none if it says nothing.
    pub fn blob(&self, blob_id: &BlobId) -> Result<Option<BlobRecord>, StoreError> {
        blobs::read(&self.view()?, blob_id)
    }

    // Bytes in.

    /// Stores a verified header. `now_ms` is the caller's time, from which the bytes of an unregistered blob count.
    pub async fn put_header(
        &self,
        blob_id: &BlobId,
        bytes: Vec<u8>,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let weight = check_size("a header", &bytes)?;
        self.check_space(bytes_of(weight))?;
        self.write(Change::Header { blob_id: *blob_id, bytes, now_ms }, weight).await.map(drop)
    }

    /// Stores a verified short blob, in place of what was there of it. `now_ms` is the caller's time, from which the bytes
    /// of an unregistered blob count.
    pub async fn put_short(
        &self,
        blob_id: &BlobId,
        blob: ShortBlob,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let sealed = blob.seal();
        let weights = sealed.each_ref().map(|sealed| check_size("a short blob", sealed));
        let weight = weights.into_iter().sum::<Result<usize, _>>()?;
        self.check_space(bytes_of(weight))?;
        self.write(Change::Short { blob_id: *blob_id, sealed, now_ms }, weight).await.map(drop)
    }

    /// Stores a verified certificate.
    pub async fn put_certificate(
        &self,
        blob_id: &BlobId,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        let weight = check_size("a certificate", &bytes)?;
        self.write(Change::Certificate { blob_id: *blob_id, bytes }, weight).await.map(drop)
    }

    // Bytes out.

    /// The blob's header, be it short or not.
    pub fn header(&self, blob_id: &BlobId) -> Result<Option<Bytes>, StoreError> {
        let what = || format!("the header of blob {blob_id}");
        let read = sealed::read(&self.view()?, HEADERS, blob_id.as_bytes(), what);
        match self.watch(Sealed::Header(*blob_id.as_bytes()), read)? {
            None => Ok(self.short(blob_id)?.map(|blob| blob.header)),
            header => Ok(header),
        }
    }

    /// What is stored of a short blob.
    pub fn short(&self, blob_id: &BlobId) -> Result<Option<ShortBlob>, StoreError> {
        let read = short::read(&self.view()?, blob_id.as_bytes());
        self.watch(Sealed::Short(*blob_id.as_bytes()), read)
    }

    /// The blob's certificate.
    pub fn certificate(&self, blob_id: &BlobId) -> Result<Option<Bytes>, StoreError> {
        let what = || format!("the certificate of blob {blob_id}");
        let read = sealed::read(&self.view()?, CERTIFICATES, blob_id.as_bytes(), what);
        self.watch(Sealed::Certificate(*blob_id.as_bytes()), read)
    }

    /// The proof of a shard's pair.
    pub fn pair_proof(
        &self,
        blob_id: &BlobId,
        segment: u32,
        shard: ShardIndex,
    ) -> Result<Option<Bytes>, StoreError> {
        let key = tables::pair_key(&tables::segment_key(blob_id.as_bytes(), segment), shard);
        let what =
            || format!("the pair proof of shard {shard} in segment {segment} of blob {blob_id}");
        let read = sealed::read(&self.view()?, PROOFS, &key, what);
        self.watch(Sealed::Proof(key), read)
    }

    /// A sliver's bytes, checked against their hash. Blocks on the disk: call it where blocking is allowed.
    ///
    /// Wrong or lost bytes are [`StoreError::Corrupt`], and the sliver counts as missing from then on, until it is
    /// written again.
    pub fn sliver(
        &self,
        blob_id: &BlobId,
        segment: u32,
        shard: ShardIndex,
        axis: Axis,
    ) -> Result<Option<Bytes>, StoreError> {
        let key =
            tables::sliver_key(&tables::segment_key(blob_id.as_bytes(), segment), shard, axis);
        let found = self.find_sliver(&key)?;
        if let Some(row) = found.rotten() {
            self.inner.rot.found();
            tracing::warn!(blob_id = %blob_id.short(), segment, %shard, %axis, "a stored sliver is corrupt");
            self.mention(Change::Rotten { slivers: vec![(key, row)], values: Vec::new() });
        }
        match found {
            Found::Bytes(bytes) => Ok(Some(bytes)),
            Found::Nothing => Ok(None),
            Found::Damaged(_) | Found::Gone(_) => Err(StoreError::Corrupt {
                what: format!(
                    "the {axis} sliver of shard {shard} in segment {segment} of blob {blob_id}"
                ),
            }),
        }
    }

    /// The segments of which the proof and both slivers of every given shard are durable.
    pub fn stored_segments(
        &self,
        blob_id: &BlobId,
        shards: &[ShardIndex],
    ) -> Result<Vec<u32>, StoreError> {
        slivers::complete_segments(&self.view()?, blob_id, shards)
    }

    /// Whether the header and, for segments `0..segments`, the proof and both slivers of every given shard are durable.
    pub fn holds(
        &self,
        blob_id: &BlobId,
        segments: u32,
        shards: &[ShardIndex],
    ) -> Result<bool, StoreError> {
        slivers::holds(&self.view()?, blob_id, segments, shards)
    }

    // For this crate.

    /// Looks for a sliver that may be replaced while it is read.
    fn find_sliver(&self, key: &SliverKey) -> Result<Found, StoreError> {
        let mut found = Found::Nothing;
        for _ in 0..READ_ATTEMPTS {
            found = slivers::find(&self.view()?, self.bundles().map(Arc::as_ref), key)?;
            // Its bundle may be gone, or its bytes given back to the disk, because the row changed since.
            let has_changed = match &found {
                Found::Bytes(_) | Found::Nothing => false,
                Found::Gone(_) => true,
                Found::Damaged(row) => {
                    !row.damaged && slivers::row(&self.view()?, key)? != Some(*row)
                }
            };
            if !has_changed {
                break;
            }
        }
        Ok(found)
    }

    /// Passes on what a read of a sealed value gave. Rot is remembered, and its blob looked at, once: nobody can have the
    /// store write by reading.
    fn watch<T>(&self, value: Sealed, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Corrupt { .. }) = &read
            && self.inner.rot.remember(value)
        {
            self.mention(Change::Rotten { slivers: Vec::new(), values: vec![value] });
        }
        read
    }

    /// Queues a change that somebody finds again if the queue is full.
    pub(crate) fn mention(&self, change: Change) {
        let permit = Arc::clone(&self.inner.queue).try_acquire_owned();
        if let (Ok(sender), Ok(permit)) = (self.sender(), permit) {
            let (request, _) = Request::new(change, Some(permit));
            let _ = sender.try_send(request);
        }
    }

    /// The database itself, for tests that spoil it.
    #[cfg(test)]
    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    /// A snapshot.
    pub(crate) fn view(&self) -> Result<ReadTransaction, StoreError> {
        Ok(self.inner.database.begin_read()?)
    }

    /// The bundle files, unless everything is in memory.
    pub(crate) fn bundles(&self) -> Option<&Arc<Bundles>> {
        self.inner.bundles.as_ref()
    }

    /// Refuses bytes that would eat into the reserve, and any bytes after a disk error.
    pub(crate) fn check_space(&self, bytes: u64) -> Result<(), StoreError> {
        self.inner.poison.check()?;
        self.bundles().map_or(Ok(()), |bundles| bundles.check_free(bytes, u64::MAX))
    }

    /// Waits for room in the queue.
    pub(crate) async fn admit(&self, bytes: usize) -> Result<OwnedSemaphorePermit, StoreError> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.inner.queue_bytes);
        let permit = Arc::clone(&self.inner.queue).acquire_many_owned(bytes).await;
        Ok(permit.expect("the semaphore is never closed"))
    }

    /// Waits until all that was asked before is written or has failed, also what reads noted by themselves. Nobody who stores
    /// needs it; whoever counts what reaches a disk does.
    pub async fn settled(&self) {
        let all = Arc::clone(&self.inner.queue).acquire_many_owned(self.inner.queue_bytes).await;
        drop(all);
    }

    /// Hands a request to the writer from a thread that may block.
    pub(crate) fn send_blocking(&self, request: Request) -> Result<(), StoreError> {
        self.inner.poison.check()?;
        self.sender()?.blocking_send(request).map_err(|_| self.stopped())
    }

    async fn write(&self, change: Change, weight: usize) -> Result<Done, StoreError> {
        self.inner.poison.check()?;
        let permit = self.admit(weight).await?;
        let (request, answer) = Request::new(change, Some(permit));
        self.sender()?.send(request).await.map_err(|_| self.stopped())?;
        answer.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    fn sender(&self) -> Result<&mpsc::Sender<Request>, StoreError> {
        self.inner.requests.as_ref().ok_or_else(|| self.stopped())
    }

    /// The error for a request that got no answer.
    pub(crate) fn stopped(&self) -> StoreError {
        self.inner.poison.reason()
    }
}

/// Creates the directory and makes its entry, and those of the parents it needed, survive a power cut.
fn create_durably(files: &Files, path: &Path) -> Result<(), StoreError> {
    let missing = path.ancestors().take_while(|folder| !folder.exists()).count();
    files.create_folder(path)?;
    let parents = path.ancestors().skip(1).take(missing);
    for parent in parents {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        files.sync_folder(parent)?;
    }
    Ok(())
}

fn check_size(what: &'static str, bytes: &[u8]) -> Result<usize, StoreError> {
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(StoreError::TooLarge {
            what,
            bytes: bytes_of(bytes.len()),
            max: bytes_of(VALUE_BYTES_MAX),
        });
    }
    Ok(bytes.len())
}

mod scrubbing;
mod upkeep;

pub use scrubbing::Scrubbed;
pub use upkeep::{Dropped, Filling};

#[cfg(test)]
mod tests;
