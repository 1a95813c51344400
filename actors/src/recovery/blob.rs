//! The repair of one blob: its header, then what is missing of its segments, one after the other.
//!
//! Promises: repairs hold no more memory together than [`limits::REPAIR_MEMORY`]; nothing large is fetched before others said
//! that they hold enough of it; what was repaired stays, whatever happens to the rest. Does not: choose blobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use haulout_protocol::blob::BlobHeader;
use haulout_protocol::machine::backlog::Outcome;
use haulout_protocol::machine::recovery::Failure;
use haulout_protocol::sliver::{Axis, ShardIndex};
use haulout_storage::Lacking;
use tracing::{Instrument, debug, info_span, warn};

use super::job::{Faulty, Job, Moved, RepairError};
use super::memory::{Memory, Room};
use super::segment::Recovery;
use super::short;
use super::survey::Survey;
use super::verdict::Accusation;
use crate::context::Context;
use crate::limits;
use crate::network::Network;
use crate::position::Position;
use crate::serving::Serving;
use crate::session::{self, Session};

/// One blob to repair.
pub(super) struct Repair {
    pub(super) context: Context,
    pub(super) network: Network,
    /// Where the ledger is as the repair begins.
    pub(super) position: Position,
    pub(super) memory: Memory,
    /// Who gives us our turns at a core.
    pub(super) serving: Serving,
    /// How often in a row it could not be repaired.
    pub(super) failures: u32,
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
    /// How many slivers others may have of the segment of which the fewest are left, if any could not be repaired.
    pub(super) left: Option<u16>,
    /// How many of them it takes.
    pub(super) needed: u16,
}

impl Repaired {
    fn add(&mut self, moved: Moved) {
        self.pairs += moved.pairs;
        self.bytes += moved.bytes;
    }

    /// A part of it could not be repaired.
    fn note(&mut self, failure: &Failure) {
        if let Failure::Unavailable { available, needed, .. } = failure {
            let small = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
            let available = small(*available);
            if self.left.is_none_or(|left| available < left) {
                (self.left, self.needed) = (Some(available), small(*needed));
            }
        }
    }
}

impl Default for Repaired {
    fn default() -> Self {
        Repaired { outcome: Outcome::Failed, pairs: 0, bytes: 0, left: None, needed: 0 }
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
                    RepairError::Faulty(faulty) => self.accuse(*faulty).await,
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
            RepairError::Faulty(_) | RepairError::Failed(Failure::Inconsistent) => {
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

    /// Has the ledger call the blob invalid, so that nobody misses it any more.
    async fn accuse(&self, faulty: Faulty) -> Outcome {
        let blob_id = self.lacking.blob_id;
        let declared = async {
            let session = self.session(self.context.position.current(), limits::VERDICT_PATIENCE);
            let accusation = Accusation::prepare(session.parameters, blob_id, faulty).await?;
            let _room = self.memory.room(accusation.bytes()).await;
            accusation.declare(&self.context, &session).await
        };
        match declared.await {
            Ok(()) => Outcome::Hopeless,
            Err(error) if error.is_transient() => {
                warn!(%blob_id, %error, "the ledger does not call the blob invalid yet; it is tried again");
                Outcome::Failed
            }
            Err(error) => {
                warn!(%blob_id, %error, "the ledger is not told that the blob is invalid");
                Outcome::Hopeless
            }
        }
    }

    fn session(&self, position: Position, patience: Duration) -> Session {
        Session {
            network: self.network.clone(),
            network_id: self.context.network,
            roster: Arc::new(position.roster()),
            committee: position.committee,
            parameters: position.parameters,
            checkpoint: position.checkpoint,
            patience,
        }
    }

    async fn work(&self, repaired: &mut Repaired) -> Result<(), RepairError> {
        let Lacking { blob_id, has_header, pairs } = &self.lacking;
        let session = self.session(self.position.clone(), limits::REPAIR_PATIENCE);
        let store = &self.context.store;
        let ours = self.position.shards_of(&self.context.peer).to_vec();
        if ours.is_empty() {
            return Ok(()); // whoever has no shard any more lacks nothing
        }
        if let Some(length) = self.short_length().await? {
            let parameters = &session.parameters;
            // Its bytes, and all symbols that these are encoded to.
            let symbol =
                usize::try_from(parameters.short_symbol_bytes(length)).unwrap_or(usize::MAX);
            let symbols = usize::from(parameters.shards()).saturating_mul(symbol);
            let _room = self.memory.room(symbols.saturating_mul(2)).await;
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
        let survey = self.survey(&session, &header).await;
        let mut failed: Option<RepairError> = None;
        for (segment, lost) in segments {
            if usize::try_from(segment).map_or(true, |it| it >= header.segments.len()) {
                continue; // the ledger's length promised more segments than there are
            }
            let room = self.memory.room(self.bytes_of(&header, segment, lost.len())).await;
            let job = Job {
                session: session.clone(),
                store: store.clone(),
                serving: self.serving.clone(),
                blob_id: *blob_id,
                header: header.clone(),
                segment,
                lost,
                ours: ours.clone(),
                said: survey.of_segment(segment),
            };
            match repair_segment(&job, room, repaired).await {
                Ok(()) => (),
                // Others of its segments may be had.
                Err(error @ RepairError::Faulty(_)) => failed = Some(error),
                Err(RepairError::Failed(failure)) => {
                    repaired.note(&failure);
                    failed.get_or_insert(failure.into());
                }
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// What others say they hold, where much would be fetched, or was fetched in vain before.
    async fn survey(&self, session: &Session, header: &BlobHeader) -> Survey {
        let pairs = self.lacking.pairs.iter();
        let bytes = pairs.map(|(segment, _)| self.pair_bytes(header, *segment)).sum::<usize>();
        if self.failures == 0 && bytes < limits::REPAIR_SURVEYED_BYTES {
            return Survey::default();
        }
        Survey::of(session, &self.lacking.blob_id, header).await
    }

    /// How long the blob is if it is short, by what was paid for.
    async fn short_length(&self) -> Result<Option<u32>, RepairError> {
        let (store, blob_id) = (self.context.store.clone(), self.lacking.blob_id);
        let record = tokio::task::spawn_blocking(move || store.blob(&blob_id)).await;
        let record = record.map_err(|_| RepairError::Ended)??;
        let length = record.and_then(|record| record.size());
        let length = length.filter(|length| self.position.parameters.is_short(*length));
        Ok(length.and_then(|length| u32::try_from(length).ok()))
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

    /// Bytes of a pair of a segment.
    fn pair_bytes(&self, header: &BlobHeader, segment: u32) -> usize {
        let parameters = &self.position.parameters;
        let length = parameters.segment_length(header.length, segment);
        Axis::BOTH.iter().map(|axis| parameters.sliver_bytes(*axis, length)).sum()
    }

    /// Memory for a segment's recovery: the symbols, the pairs, and what these share.
    fn bytes_of(&self, header: &BlobHeader, segment: u32, lost: usize) -> usize {
        let parameters = &self.position.parameters;
        let length = parameters.segment_length(header.length, segment);
        let pair = self.pair_bytes(header, segment);
        let symbol = usize::try_from(parameters.symbol_bytes(length)).unwrap_or(usize::MAX);
        let shared = lost.saturating_mul(symbol);
        // Of one secondary sliver at a time all symbols.
        let expanded = usize::from(parameters.shards()).saturating_mul(symbol);
        let pairs = lost.saturating_mul(pair.saturating_mul(2).saturating_add(shared));
        pairs.saturating_add(expanded)
    }
}

/// Rebuilds what is lost of a segment.
async fn repair_segment(job: &Job, room: Room, repaired: &mut Repaired) -> Result<(), RepairError> {
    let (moved, end) = Recovery::begin(job, room).await?.run().await;
    repaired.add(moved);
    end
}
