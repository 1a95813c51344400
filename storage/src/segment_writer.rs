//! Writing one segment's share: slivers, and the proofs of their pairs.
//!
//! Promises: when [`SegmentWriter::commit`] returns, everything appended is on stable storage and indexed; when it
//! fails or is never called, nothing is left. Memory stays below the proofs plus a small buffer, whatever the segment
//! holds. Does not: verify anything or wait for a registration.

use std::collections::{BTreeMap, BTreeSet};

use haulout_protocol::blob::BlobId;
use haulout_protocol::crypto::Digest;
use haulout_protocol::sliver::{Axis, ShardIndex};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::bundles::BundleWriter;
use crate::error::StoreError;
use crate::places::{Place, SliverRow};
use crate::segment::SegmentChange;
use crate::store::Store;
use crate::tables::{self, PairKey, SegmentKey, SliverKey, bytes_of};
use crate::writer::{Change, Done, Request};

/// Slivers below this size go into the database: a file each would cost more than redb's rounding up.
pub(crate) const SMALL_SLIVER_BYTES: usize = 16 * 1024;
/// Small slivers of one segment beyond this total go to a bundle after all: they are buffered until the commit, and
/// redb has one writer.
pub(crate) const SMALL_TOTAL_BYTES: usize = 256 * 1024;

/// Largest pair proof: two roots, fifteen neighbours, and a path of twelve in the largest network.
const PROOF_BYTES_MAX: usize = 32 * (2 + 15 + 12);

impl Store {
    /// Starts writing verified slivers and pair proofs of a segment. Refuses at once if the disk is full.
    pub fn segment_writer(
        &self,
        blob_id: BlobId,
        segment: u32,
        now_ms: u64,
    ) -> Result<SegmentWriter, StoreError> {
        self.check_space(0)?;
        Ok(SegmentWriter::new(self.clone(), blob_id, segment, now_ms))
    }
}

/// Collects slivers and pair proofs of one segment, then makes them durable together.
#[derive(Debug)]
pub struct SegmentWriter {
    store: Store,
    blob_id: BlobId,
    segment: u32,
    now_ms: u64,
    proofs: BTreeMap<PairKey, Vec<u8>>,
    written: BTreeSet<SliverKey>,
    rows: Vec<(SliverKey, SliverRow)>,
    small: Vec<(SliverKey, Vec<u8>)>,
    small_bytes: usize,
    bundle: Option<BundleWriter>,
}

impl SegmentWriter {
    /// Starts with nothing written.
    pub(crate) fn new(store: Store, blob_id: BlobId, segment: u32, now_ms: u64) -> Self {
        SegmentWriter {
            store,
            blob_id,
            segment,
            now_ms,
            proofs: BTreeMap::new(),
            written: BTreeSet::new(),
            rows: Vec::new(),
            small: Vec::new(),
            small_bytes: 0,
            bundle: None,
        }
    }

    /// Adds the proof of a shard's pair. Adding it twice keeps the first.
    pub fn append_proof(&mut self, shard: ShardIndex, proof: &[u8]) -> Result<(), StoreError> {
        let key = tables::pair_key(&self.segment_key(), shard);
        if proof.len() > PROOF_BYTES_MAX {
            return Err(StoreError::TooLarge {
                what: "a pair proof",
                bytes: bytes_of(proof.len()),
                max: bytes_of(PROOF_BYTES_MAX),
            });
        }
        if !self.proofs.contains_key(&key) {
            self.store.check_space(bytes_of(proof.len()))?;
            self.proofs.insert(key, tables::seal(proof));
        }
        Ok(())
    }

    /// Adds one whole sliver. Blocks on the disk: call it where blocking is allowed.
    ///
    /// Appending the same sliver twice keeps the first and ignores the second.
    pub fn append(
        &mut self,
        shard: ShardIndex,
        axis: Axis,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let length = u32::try_from(bytes.len()).map_err(|_| StoreError::TooLarge {
            what: "a sliver",
            bytes: bytes_of(bytes.len()),
            max: u64::from(u32::MAX),
        })?;
        let key = tables::sliver_key(&self.segment_key(), shard, axis);
        if self.written.contains(&key) {
            return Ok(());
        }
        self.store.check_space(u64::from(length))?;
        let buffered = self.small_bytes.saturating_add(bytes.len());
        let is_small = bytes.len() < SMALL_SLIVER_BYTES && buffered <= SMALL_TOTAL_BYTES;
        let place = match self.store.bundles() {
            Some(bundles) if !is_small => {
                let bundle = match &mut self.bundle {
                    Some(bundle) => bundle,
                    None => self.bundle.insert(bundles.start()?),
                };
                let place = Place::Bundle { id: bundle.id(), offset: bundle.length() };
                bundle.append(bytes)?;
                place
            }
            _ => {
                self.small.push((key, bytes.to_vec()));
                self.small_bytes = buffered;
                Place::Inline
            }
        };
        let digest: Digest = *blake3::hash(bytes).as_bytes();
        self.written.insert(key);
        self.rows.push((key, SliverRow { place, length, damaged: false, digest }));
        Ok(())
    }

    /// Makes all of it durable, then returns. If the caller goes away it happens as a whole or not at all.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn commit(self) -> Result<(), StoreError> {
        let weight = self.proof_bytes().saturating_add(self.small_bytes);
        let permit = self.store.admit(weight).await?;
        let store = self.store.clone();
        let placed = tokio::task::spawn_blocking(move || self.place(permit)).await;
        let answer = placed.map_err(|_| store.stopped())??;
        answer.await.unwrap_or_else(|_| Err(store.stopped())).map(drop)
    }

    /// Makes the bundle durable and hands everything to the writer thread.
    fn place(
        mut self,
        permit: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Result<Done, StoreError>>, StoreError> {
        let bundle = self.bundle.take().map(BundleWriter::finish).transpose()?;
        let change = SegmentChange {
            blob_id: self.blob_id,
            segment: self.segment_key(),
            proofs: self.proofs,
            rows: self.rows,
            small: self.small,
            bundle,
            now_ms: self.now_ms,
        };
        let (request, answer) = Request::new(Change::Segment(Box::new(change)), Some(permit));
        self.store.send_blocking(request)?;
        Ok(answer)
    }

    fn proof_bytes(&self) -> usize {
        self.proofs.values().map(Vec::len).sum()
    }

    fn segment_key(&self) -> SegmentKey {
        tables::segment_key(self.blob_id.as_bytes(), self.segment)
    }
}
