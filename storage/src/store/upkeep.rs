//! The store's back door: which shards the node answers for, what is due to go, and how much room there is.
//!
//! Promises: like the front door, writes are durable when they return; removing takes many small transactions, so that
//! nobody else waits long. Does not: know the epoch or the time; callers bring both.

use std::collections::BTreeMap;
use std::ops::Range;

use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::sliver::ShardIndex;
use redb::ReadableTableMetadata;

use super::{Store, Usage};
use crate::census::{self, Census};
use crate::check;
use crate::content;
use crate::error::StoreError;
use crate::holes;
use crate::leaving;
use crate::missing::{self, Page, PageEnd, Scope};
use crate::order::{self, Order};
use crate::shards;
use crate::slivers;
use crate::tables::{self, PLACES, WANTING, meta};
use crate::writer::Change;
use haulout_protocol::machine::epoch_change::Holding;

/// Bundles of which one call gives parts back: a sync each.
const PUNCHED_MAX: usize = 64;

/// What [`Store::drop_shard`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Bytes of content removed by this call.
    pub bytes: u64,
    /// Whether nothing is left, and the disk has all of it back that it takes.
    pub is_done: bool,
}

/// How far the shards that are ours are filled, counted in blobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filling {
    /// Live certified blobs.
    pub certified: u64,
    /// At most so many of them lack something of our shards: nothing was noted of the others since a look found them whole.
    pub noted: u64,
}

impl Store {
    // Shards.

    /// The shards this node has. Those it never had or gave up are not among them.
    pub fn shards(&self) -> Result<BTreeMap<ShardIndex, Holding>, StoreError> {
        shards::read(&self.view()?)
    }

    /// Changes what is known of some shards, all in one transaction; none removes a shard, of two changes to one shard
    /// the later holds. Slivers are neither written nor removed by this.
    pub async fn set_shards(
        &self,
        changes: Vec<(ShardIndex, Option<Holding>)>,
    ) -> Result<(), StoreError> {
        let size = size_of::<(ShardIndex, Option<Holding>)>();
        let weight = changes.len().saturating_mul(size).saturating_add(1);
        self.write(Change::Shards { changes }, weight).await.map(drop)
    }

    /// How far our shards are filled, for people; what decides is [`Store::filled_shards`].
    pub fn filling(&self) -> Result<Filling, StoreError> {
        let view = self.view()?;
        let certified = view.open_table(PLACES)?.len()?;
        let noted = view.open_table(WANTING)?.len()?.min(certified);
        Ok(Filling { certified, noted })
    }

    /// Removes a part of what is stored of a shard that is not ours any more, and gives the disk room back. To be called again
    /// until it says that it is done: slow on purpose, so that others' reads and writes do not wait. What was begun is known
    /// after a crash; see [`Store::leaving`]. A shard that is set again in between keeps what is left.
    ///
    /// # Errors
    /// The shard is held or missing, that is, ours; and as other writes.
    pub async fn drop_shard(
        &self,
        shard: ShardIndex,
        parameters: &Parameters,
    ) -> Result<Dropped, StoreError> {
        let given = self.give_back().await;
        if let Err(error) = &given {
            tracing::warn!(%error, "the disk did not get back what nothing points to");
        }
        // Where the disk takes nothing now the rows go all the same, and the next expiry asks it again.
        let change =
            Change::Leave { shard, parameters: *parameters, waits_for_disk: given.is_ok() };
        let done = self.write(change, 0).await?;
        Ok(Dropped { bytes: done.bytes, is_done: !done.more })
    }

    /// Shards of which [`Store::drop_shard`] removed something and was not done.
    pub fn leaving(&self) -> Result<Vec<ShardIndex>, StoreError> {
        leaving::read(&self.view()?)
    }

    /// Gives the disk back what nothing points to in some of the bundles that others still need; whether it may have left some.
    async fn give_back(&self) -> Result<bool, StoreError> {
        let Some(bundles) = self.bundles().cloned() else { return Ok(false) };
        let store = self.clone();
        let punched = tokio::task::spawn_blocking(move || {
            store.inner.poison.check()?;
            let hollow = holes::first(&store.view()?, PUNCHED_MAX)?;
            for one in &hollow {
                bundles.punch(one.bundle, &one.ranges)?;
            }
            Ok::<_, StoreError>(hollow.iter().map(|one| (one.bundle, one.live)).collect::<Vec<_>>())
        });
        let bundles = punched.await.map_err(|_| self.stopped())??;
        let more = bundles.len() == PUNCHED_MAX;
        if !bundles.is_empty() {
            self.write(Change::Punched { bundles }, 0).await?;
        }
        Ok(more)
    }

    /// Tells the store the network's numbers, which say how many bytes each shard stores of a blob; to be told again at every
    /// start, which costs a look.
    pub async fn set_parameters(&self, parameters: &Parameters) -> Result<(), StoreError> {
        if order::known_parameters(&self.view()?)?.as_ref() == Some(parameters) {
            return Ok(());
        }
        self.write(Change::Parameters { parameters: *parameters }, 1).await.map(drop)
    }

    /// Live certified blobs in the order of their certification, with the bytes that each shard stores of them; as it is now.
    pub fn order(&self) -> Result<Order, StoreError> {
        Order::new(self.view()?)
    }

    /// Counts the blobs the network answers for in that epoch. Goes through every object on chain and blocks on the
    /// disk: call it where blocking is allowed, and seldom.
    pub fn census(&self, epoch: Epoch) -> Result<Census, StoreError> {
        census::take(&self.view()?, epoch)
    }

    // How it is.

    /// What the index says that contradicts itself: nothing, in a sound store. Goes through all of it, and keeps a little of
    /// each blob in memory: call it where blocking is allowed, in tests, or when a store is in doubt.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        check::check(&self.view()?)
    }

    /// How many slivers of the given shards are here and not known to be damaged, primary and secondary ones, in each of these
    /// segments. Walks all their rows: call it where blocking is allowed, and for a bounded number of segments.
    pub fn count_slivers(
        &self,
        blob_id: &BlobId,
        segments: Range<u32>,
        shards: &[ShardIndex],
    ) -> Result<Vec<(u16, u16)>, StoreError> {
        slivers::count(&self.view()?, blob_id, segments, &slivers::sorted(shards))
    }

    /// A page of what should be here and is not; `segments_of` says how many segments a blob of so many bytes has. It reads
    /// nothing of blobs that were found whole, and forgets those it finds so. Blocks on the disk: call it where blocking is
    /// allowed.
    pub fn missing(
        &self,
        scope: &Scope<'_>,
        segments_of: impl Fn(u64) -> u64,
        after: Option<PageEnd>,
    ) -> Result<Page, StoreError> {
        let mut page = missing::page(&self.view()?, scope, segments_of, after)?;
        let whole = std::mem::take(&mut page.whole);
        if !whole.is_empty() {
            self.mention(Change::Whole { blobs: whole });
        }
        Ok(page)
    }

    /// The missing shards of which nothing is missing in that epoch any more, each with the epoch since which it was. Blocks on
    /// the disk: call it where blocking is allowed.
    pub fn filled_shards(
        &self,
        epoch: Epoch,
        segments_of: impl Fn(u64) -> u64,
    ) -> Result<Vec<(ShardIndex, Epoch)>, StoreError> {
        missing::filled(&self.view()?, epoch, segments_of)
    }

    /// What [`Store::filled_shards`] found is held from now on, unless the caller said something else of it since. What is
    /// certified later, or found rotten, is missing of a held shard, and listed.
    pub async fn hold_filled(&self, shards: Vec<(ShardIndex, Epoch)>) -> Result<(), StoreError> {
        let weight = shards.len().saturating_mul(size_of::<(ShardIndex, Epoch)>());
        self.write(Change::Filled { shards }, weight.saturating_add(1)).await.map(drop)
    }

    /// How many headers, pair proofs, short blobs and certificates that a read found rotten are so still.
    pub fn rotten_values(&self) -> Result<u64, StoreError> {
        self.inner.rot.look_again(&self.view()?)
    }

    /// How often a read found bytes that are not those that were written: a change is a reason to look for what is missing.
    pub fn rot_found(&self) -> u64 {
        self.inner.rot.times()
    }

    /// Why nothing is written any more, if a disk error made that so.
    pub fn write_error(&self) -> Option<String> {
        self.inner.poison.recorded().map(str::to_owned)
    }

    // Room.

    /// Removes what is held of blobs that no object covers in that epoch any more; returns how many bytes went.
    ///
    /// Their objects stay known for [`crate::KEPT_EPOCHS`] after the last end, so that a reader can be told that the blob
    /// expired and when. Epochs may be skipped. Only call it for an epoch whose beginning was applied with
    /// [`Store::apply`]: an extension the store has not heard of yet cannot save the blob. If it fails half-way or the
    /// caller goes away, calling it again finishes the work.
    pub async fn expire(&self, epoch: Epoch) -> Result<u64, StoreError> {
        let rows_max = self.inner.removed_at_once;
        let bytes = self.remove(|| Change::Expire { epoch, rows_max }).await?;
        // What was written again left holes where it had been. They stay noted if the disk does not take them now.
        loop {
            match self.give_back().await {
                Ok(true) => {}
                Ok(false) => return Ok(bytes),
                Err(error) => {
                    tracing::warn!(%error, "the disk did not get back what nothing points to");
                    return Ok(bytes);
                }
            }
        }
    }

    /// Bytes of blobs that no object on chain stands for.
    pub fn pending_bytes(&self) -> Result<u64, StoreError> {
        Ok(tables::number(&self.view()?, meta::PENDING_BYTES)?.unwrap_or(0))
    }

    /// Since when bytes of the blob are pending, in milliseconds of the writers' clock; nothing if there are none, or somebody
    /// pays for them.
    pub fn pending_since(&self, blob_id: &BlobId) -> Result<Option<u64>, StoreError> {
        content::pending_since(&self.view()?, blob_id.as_bytes())
    }

    /// Lets what is pending of the blob be so from that time on, if it is not later already: to be done before a writer who
    /// came back is told what of it is here, or it may be forgotten before the writer has paid.
    pub async fn renew_pending(&self, blob_id: &BlobId, now_ms: u64) -> Result<(), StoreError> {
        self.write(Change::Renew { blob_id: *blob_id, now_ms }, 1).await.map(drop)
    }

    /// Removes the bytes of unregistered blobs that came before that time; returns how many went.
    pub async fn forget_pending(&self, before_ms: u64) -> Result<u64, StoreError> {
        let rows_max = self.inner.removed_at_once;
        self.remove(|| Change::Forget { before_ms, rows_max }).await
    }

    /// What the store takes and what is left.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let view = self.view()?;
        Ok(Usage {
            content_bytes: tables::number(&view, meta::CONTENT_BYTES)?.unwrap_or(0),
            pending_bytes: tables::number(&view, meta::PENDING_BYTES)?.unwrap_or(0),
            free_bytes: self.bundles().map(|bundles| bundles.free_bytes()).transpose()?,
            reserve_bytes: self.bundles().map_or(0, |bundles| bundles.reserve_bytes()),
        })
    }

    /// Makes the same change until it finds nothing more to do; others' writes get in between.
    async fn remove(&self, change: impl Fn() -> Change) -> Result<u64, StoreError> {
        let mut bytes = 0_u64;
        loop {
            let done = self.write(change(), 0).await?;
            bytes = bytes.saturating_add(done.bytes);
            if !done.more {
                return Ok(bytes);
            }
        }
    }
}
