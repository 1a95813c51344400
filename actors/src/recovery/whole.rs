//! The lost pairs of a segment by way of all of it: it is read as a reader reads it, and encoded again.
//!
//! Promises: what was read is the segment's content; what is here is not fetched. Does not: say which pairs are the ones that
//! were committed to; their proofs tell.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use haulout_protocol::encoding::{SegmentPosition, encode_segment};
use haulout_protocol::machine::duty::Duty;
use haulout_protocol::pairs::PairProof;
use haulout_protocol::rebuild::RebuiltPair;
use haulout_protocol::sliver::{Axis, PairIndex, shard_of_pair};
use haulout_storage::StoreError;
use tracing::{debug, debug_span};

use super::job::{Job, RepairError};
use super::memory::Room;
use crate::session::download::{self, GetError};

/// Pairs of a segment that was read and encoded.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) pairs: BTreeMap<PairIndex, RebuiltPair>,
    /// What ties each of them to the root of what was read.
    pub(super) proofs: BTreeMap<PairIndex, PairProof>,
    /// Bytes that came.
    pub(super) bytes: u64,
}

/// Why a segment was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    /// Whether verified slivers do not give its content.
    pub(super) is_inconsistent: bool,
}

/// Bytes that this takes while it is fetched, and when it is encoded: the slivers or what they are encoded to, and the segment.
pub(super) fn memory_bytes(job: &Job) -> (usize, usize) {
    let length = usize::try_from(job.length()).unwrap_or(usize::MAX);
    (length.saturating_mul(2), length.saturating_mul(4))
}

/// Reads the segment, from what is here of these pairs and from others, and gives the lost ones.
pub(super) async fn read(
    job: &Job,
    local: BTreeSet<PairIndex>,
    lost: Vec<PairIndex>,
    room: &mut Room,
) -> Result<Result<Whole, Unread>, RepairError> {
    let reader = job.clone();
    let held = tokio::task::spawn_blocking(move || held(&reader, local));
    let held = held.await.map_err(|_| RepairError::Ended)??;
    let segment = (job.segment, held);
    let read = download::segment(&job.session, &job.blob_id, &job.header, segment).await;
    let (content, bytes) = match read {
        Ok(read) => read,
        Err(error) => {
            debug!(blob_id = %job.blob_id, segment = job.segment, %error, "a segment cannot be read as a whole");
            let is_inconsistent = matches!(error, GetError::Inconsistent { .. });
            return Ok(Err(Unread { is_inconsistent }));
        }
    };
    room.grow().await;
    let span = debug_span!("encode", haulout.segment = job.segment);
    let encoder = job.clone();
    let encoded = move || span.in_scope(|| encode(&encoder, content, &lost));
    let encoded = job.serving.in_background(Duty::Repair, encoded).await;
    let (pairs, proofs) = encoded.ok_or(RepairError::Ended)?;
    Ok(Ok(Whole { pairs, proofs, bytes }))
}

/// The primary slivers of these pairs that are here and sound. Blocks.
fn held(job: &Job, local: BTreeSet<PairIndex>) -> Result<BTreeMap<PairIndex, Bytes>, StoreError> {
    let mut held = BTreeMap::new();
    for pair in local {
        let shard = shard_of_pair(&job.session.parameters, &job.blob_id, job.segment, pair);
        match job.store.sliver(&job.blob_id, job.segment, shard, Axis::Primary) {
            Err(StoreError::Corrupt { .. }) => {} // noted, and found by the next look
            sliver => held.extend(sliver?.map(|sliver| (pair, sliver))),
        }
    }
    Ok(held)
}

type Pairs = (BTreeMap<PairIndex, RebuiltPair>, BTreeMap<PairIndex, PairProof>);

/// The lost pairs of this content. Blocks.
fn encode(job: &Job, content: Bytes, lost: &[PairIndex]) -> Pairs {
    let parameters = &job.session.parameters;
    let position = SegmentPosition { segment: job.segment, blob_bytes: job.header.length };
    let encoded = encode_segment(parameters, position, content);
    let pair = |pair: &PairIndex| {
        let sliver = |axis| encoded.sliver(axis, pair.sliver_index(axis, parameters));
        let (slivers, roots) = (Axis::BOTH.map(sliver), encoded.pairs().roots(*pair));
        (*pair, RebuiltPair { pair: *pair, slivers, roots })
    };
    let proofs = lost.iter().map(|pair| (*pair, encoded.pairs().prove(*pair)));
    (lost.iter().map(pair).collect(), proofs.collect())
}
