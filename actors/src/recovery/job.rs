//! One segment to repair: of which blob, what is lost of it, and what is here.
//!
//! Promises: a pair counts as here only with its proof. Does not: repair.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::ExpandedSliver;
use haulout_protocol::machine::duty::Duty;
use haulout_protocol::machine::recovery::Failure;
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::{Axis, PairIndex, ShardIndex, pair_of_shard};
use haulout_protocol::writer_fault::WriterFault;
use haulout_storage::{SegmentWriter, Store, StoreError};

use super::question::Given;
use crate::serving::Serving;
use crate::session::Session;

/// What is to be repaired, and with what.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) session: Session,
    pub(super) store: Store,
    /// Who gives us our turns at a core.
    pub(super) serving: Serving,
    pub(super) blob_id: BlobId,
    pub(super) header: Arc<BlobHeader>,
    pub(super) segment: u32,
    /// The shards whose pairs are not whole here.
    pub(super) lost: BTreeSet<ShardIndex>,
    /// All of our shards.
    pub(super) ours: Vec<ShardIndex>,
    /// How many primary and secondary slivers of the segment others say that they hold, by their index among those asked.
    pub(super) said: BTreeMap<usize, [u16; 2]>,
}

/// A blob that its writer encoded wrongly.
#[derive(Debug)]
pub(super) struct Faulty {
    pub(super) header: Arc<BlobHeader>,
    /// What shows it to others.
    pub(super) fault: WriterFault,
}

/// Why pairs were not rebuilt.
#[derive(Debug, thiserror::Error)]
pub(super) enum RepairError {
    /// There is no way to them now.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// There is none at all, and others can be shown why.
    #[error("its writer encoded the blob wrongly")]
    Faulty(Box<Faulty>),
    /// Our own store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A task of ours ended before its time.
    #[error("this node is shutting down")]
    Ended,
}

/// What a segment's repair moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    /// Pairs that are whole now.
    pub(super) pairs: u64,
    /// Bytes of symbols and proofs that came.
    pub(super) bytes: u64,
}

/// A pair that is right.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) shard: ShardIndex,
    pub(super) proof: Vec<u8>,
    /// Its primary and its secondary sliver.
    pub(super) slivers: [Bytes; 2],
}

/// Writes pairs of one segment, each with its proof and both of its slivers: they are durable once the writer commits. Blocks.
pub(super) fn write_pairs<'a>(
    store: &Store,
    blob_id: BlobId,
    segment: u32,
    pairs: impl Iterator<Item = (ShardIndex, &'a [u8], &'a [Bytes; 2])>,
) -> Result<SegmentWriter, StoreError> {
    // Time zero: nobody brings these any more, so they are not on their way.
    let mut writer = store.segment_writer(blob_id, segment, 0)?;
    for (shard, proof, slivers) in pairs {
        writer.append_proof(shard, proof)?;
        for (axis, sliver) in Axis::BOTH.into_iter().zip(slivers) {
            writer.append(shard, axis, sliver)?;
        }
    }
    Ok(writer)
}

impl Job {
    /// How long the segment is, in bytes.
    pub(super) fn length(&self) -> u32 {
        self.session.parameters.segment_length(self.header.length, self.segment)
    }

    /// Our own index among those who are asked.
    pub(super) fn ourselves(&self) -> Option<usize> {
        let own = self.session.network.identity();
        self.session.roster.members().position(|member| member.peer_id == own)
    }

    /// Makes pairs durable.
    pub(super) async fn keep(&self, kept: Vec<Kept>) -> Result<(), RepairError> {
        if kept.is_empty() {
            return Ok(());
        }
        let (store, blob_id, segment) = (self.store.clone(), self.blob_id, self.segment);
        let written = self.serving.in_background(Duty::Repair, move || {
            let pairs = kept.iter().map(|it| (it.shard, &it.proof[..], &it.slivers));
            write_pairs(&store, blob_id, segment, pairs)
        });
        let writer = written.await.ok_or(RepairError::Ended)??;
        Ok(writer.commit().await?)
    }

    /// Whose symbols are not those of pairs that are known by now. Blocks.
    pub(super) fn liars(
        &self,
        known: &[(ShardIndex, [Bytes; 2])],
        given: &BTreeMap<(Axis, PairIndex), Given>,
    ) -> BTreeSet<PairIndex> {
        let (parameters, mut liars) = (&self.session.parameters, BTreeSet::new());
        for (shard, slivers) in known {
            let target = pair_of_shard(parameters, &self.blob_id, self.segment, *shard);
            for (axis, sliver) in Axis::BOTH.into_iter().zip(slivers) {
                let expanded = ExpandedSliver::new(parameters, self.length(), axis, sliver.clone());
                let Ok(expanded) = expanded else { continue };
                let across = given.iter().filter(|((of, _), _)| *of == axis.other());
                liars.extend(across.filter_map(|((of, source), given)| {
                    let right = expanded.symbol(source.sliver_index(*of, parameters));
                    let is_wrong = given.symbol(target).is_some_and(|symbol| *symbol != right);
                    is_wrong.then_some(*source)
                }));
            }
        }
        liars
    }

    /// The pairs of ours that are whole, with their proofs. Blocks.
    pub(super) fn held(&self) -> Result<BTreeMap<PairIndex, PairProof>, StoreError> {
        let (parameters, mut held) = (&self.session.parameters, BTreeMap::new());
        for shard in self.ours.iter().filter(|shard| !self.lost.contains(shard)) {
            let pair = pair_of_shard(parameters, &self.blob_id, self.segment, *shard);
            let proof = match self.store.pair_proof(&self.blob_id, self.segment, *shard) {
                Err(StoreError::Corrupt { .. }) => continue, // noted, and found by the next look
                proof => proof?,
            };
            let proof =
                proof.and_then(|bytes| PairProof::from_bytes(&bytes, pair, parameters).ok());
            held.extend(proof.map(|proof| (pair, proof)));
        }
        Ok(held)
    }
}
