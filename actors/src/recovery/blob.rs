//! The repair of one blob: its header, then what is missing of its segments, one after the other.
//!
//! Promises: repairs hold no more memory together than [`limits::REPAIR_MEMORY`]; what was repaired stays, whatever happens
//! to the rest. Does not: choose blobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use haulout_protocol::blob::BlobHeader;
use haulout_protocol::machine::backlog::Outcome;
use haulout_protocol::machine::recovery::Failure;
use haulout_protocol::sliver::{Axis, ShardIndex};
use haulout_storage::Lacking;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{Instrument, debug, info_span, warn};

use super::handover::hand_over;
use super::job::{Job, Moved, RepairError};
use super::segment::Recovery;
use super::short;
use crate::context::Context;
use crate::limits;
use crate::network::Network;
use crate::position::Position;
use crate::session::{self, Session};

/// One blob to repair.
pub(super) struct Repair {
    pub(super) context: Context,
    pub(super) network: Network,
    /// Where the ledger is as the repair begins.
    pub(super) position: Position,
    pub(super) memory: Memory,
    pub(super) lacking: Lacking,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repaired {
    pub(super) outcome: Outcome,
    /// Pairs, or symbols of a short blob, that are whole now.
    pub(super) pairs: u64,
    /// Bytes that came for it.
    pub(super) bytes: u64,
}

impl Repaired {
    fn add(&mut self, moved: Moved) {
        self.pairs += moved.pairs;
        self.bytes += moved.bytes;
    }
}

impl Default for Repaired {
    fn default() -> Self {
        Repaired { outcome: Outcome::Failed, pairs: 0, bytes: 0 }
    }
}

/// The memory of all repairs, in KiB.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Semaphore>);

impl Default for Memory {
    fn default() -> Self {
        Memory(Arc::new(Semaphore::new(limits::REPAIR_MEMORY / 1024)))
    }
}

impl Memory {
    /// Waits for room; what needs more than there is has all of it.
    async fn room(&self, bytes: usize) -> OwnedSemaphorePermit {
        let kib = bytes.div_ceil(1024).clamp(1, limits::REPAIR_MEMORY / 1024);
        let permits = u32::try_from(kib).unwrap_or(u32::MAX);
        let room = self.0.clone().acquire_many_owned(permits).await;
        room.expect("we never close the semaphore")
    }
}

impl Repair {
    /// Repairs what can be repaired.
    pub(super) async fn run(self) -> Repaired {
        let mut repaired = Repaired::default();
        let span = info_span!("repair", blob_id = %self.lacking.blob_id);
        let end = self.work(&mut repaired).instrument(span).await;
        repaired.outcome = match end {
            Ok(()) => Outcome::Repaired,
            Err(error) => {
                self.explain(&error);
                match error {
                    RepairError::Failed(Failure::Inconsistent) => Outcome::Hopeless,
                    _ if repaired.pairs > 0 => Outcome::Advanced,
                    _ => Outcome::Failed,
                }
            }
        };
        repaired
    }

    fn explain(&self, error: &RepairError) {
        let blob_id = self.lacking.blob_id;
        match error {
            RepairError::Failed(Failure::Inconsistent) => {
                warn!(%blob_id, "its writer encoded the blob wrongly, so it cannot be repaired");
            }
            RepairError::Store(error) => {
                warn!(%blob_id, %error, "what was repaired cannot be kept")
            }
            RepairError::Failed(_) | RepairError::Ended => {
                debug!(%blob_id, %error, "not repaired yet; it is tried again");
            }
        }
    }

    fn session(&self) -> Session {
        Session {
            network: self.network.clone(),
            network_id: self.context.network,
            roster: Arc::new(self.position.roster()),
            committee: self.position.committee.clone(),
            parameters: self.position.parameters,
            checkpoint: self.position.checkpoint,
            patience: limits::REPAIR_PATIENCE,
        }
    }

    async fn work(&self, repaired: &mut Repaired) -> Result<(), RepairError> {
        let Lacking { blob_id, has_header, pairs } = &self.lacking;
        let (session, store) = (self.session(), &self.context.store);
        let ours = self.position.shards_of(&self.context.peer).to_vec();
        if ours.is_empty() {
            return Ok(()); // whoever has no shard any more lacks nothing
        }
        if self.is_short().await? {
            let symbols = short::repair(&session, &self.context, blob_id, &ours).await?;
            (repaired.pairs, repaired.bytes) = (symbols.symbols, symbols.bytes);
            return Ok(());
        }
        let header = self.header(&session, *has_header).await?;
        let mut segments: BTreeMap<u32, BTreeSet<ShardIndex>> = BTreeMap::new();
        // What is another's by now is not repaired.
        for (segment, shard) in pairs.iter().filter(|(_, shard)| ours.contains(shard)) {
            segments.entry(*segment).or_default().insert(*shard);
        }
        let mut failed = None;
        for (segment, lost) in segments {
            if usize::try_from(segment).map_or(true, |it| it >= header.segments.len()) {
                continue; // the ledger's length promised more segments than there are
            }
            let _room = self.memory.room(self.bytes_of(&header, segment, lost.len())).await;
            let mut job = Job {
                session: session.clone(),
                store: store.clone(),
                blob_id: *blob_id,
                header: header.clone(),
                segment,
                lost,
                ours: ours.clone(),
            };
            match repair_segment(&mut job, repaired).await {
                Ok(()) => (),
                // Others of its segments may be had.
                Err(RepairError::Failed(Failure::Inconsistent)) => {
                    failed = Some(Failure::Inconsistent);
                }
                Err(RepairError::Failed(failure)) => drop(failed.get_or_insert(failure)),
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Whether the blob is short, by the length that was paid for.
    async fn is_short(&self) -> Result<bool, RepairError> {
        let (store, blob_id) = (self.context.store.clone(), self.lacking.blob_id);
        let record = tokio::task::spawn_blocking(move || store.blob(&blob_id)).await;
        let record = record.map_err(|_| RepairError::Ended)??;
        let length = record.and_then(|record| record.size());
        Ok(length.is_some_and(|length| self.position.parameters.is_short(length)))
    }

    /// The header, from the store or from others; then it is stored, too.
    async fn header(
        &self,
        session: &Session,
        is_here: bool,
    ) -> Result<Arc<BlobHeader>, RepairError> {
        let (blob_id, store) = (self.lacking.blob_id, self.context.store.clone());
        if is_here {
            let (store, parameters) = (store.clone(), session.parameters);
            let read = tokio::task::spawn_blocking(move || {
                let bytes = store.header(&blob_id).ok().flatten()?;
                BlobHeader::from_bytes(&bytes, &parameters).ok()
            });
            // One that rotted a moment ago is fetched like one that was never here.
            if let Some(header) = read.await.map_err(|_| RepairError::Ended)? {
                return Ok(Arc::new(header));
            }
        }
        let header = session::held_header(session, &blob_id).await.ok_or(Failure::Unavailable {
            axis: Axis::Primary,
            available: 0,
            needed: 1,
            members: Vec::new(),
        })?;
        // Time zero: nobody brings it any more, so it is not on its way.
        store.put_header(&blob_id, header.to_bytes(), 0).await?;
        Ok(Arc::new(header))
    }

    /// Memory for a segment's recovery: the symbols, the pairs, and all symbols of their secondary slivers.
    fn bytes_of(&self, header: &BlobHeader, segment: u32, lost: usize) -> usize {
        let parameters = &self.position.parameters;
        let length = parameters.segment_length(header.length, segment);
        let pair: usize =
            Axis::BOTH.iter().map(|axis| parameters.sliver_bytes(*axis, length)).sum();
        let symbol = usize::try_from(parameters.symbol_bytes(length)).unwrap_or(usize::MAX);
        let expanded = usize::from(parameters.shards()).saturating_mul(symbol);
        lost.saturating_mul(pair.saturating_mul(2).saturating_add(expanded))
    }
}

/// Has former owners hand over what they have of a segment, and rebuilds the rest.
async fn repair_segment(job: &mut Job, repaired: &mut Repaired) -> Result<(), RepairError> {
    repaired.add(hand_over(job).await?);
    if job.lost.is_empty() {
        return Ok(());
    }
    let (moved, end) = Recovery::begin(job).await?.run().await;
    repaired.add(moved);
    end
}
