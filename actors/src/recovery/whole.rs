//! The lost pairs of a segment by way of all of it: it is read as a reader reads it, and encoded again.
//!
//! Promises: what was read is the segment's content; what is here is not fetched. Does not: say which pairs are the ones that
//! were committed to, their proofs tell; or prove every fault of a writer: who knows too few pairs leaves it to others.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use haulout_protocol::encoding::{SegmentPosition, encode_segment};
use haulout_protocol::inconsistency::{Evidence, InconsistencyProof, Repair};
use haulout_protocol::machine::duty::Duty;
use haulout_protocol::pairs::{KnownPairs, PairProof};
use haulout_protocol::rebuild::RebuiltPair;
use haulout_protocol::sliver::{Axis, PairIndex, shard_of_pair};
use haulout_storage::StoreError;
use tracing::{debug, debug_span};

use super::job::{Job, RepairError};
use super::memory::Room;
use crate::session::download::{self, Came, GetError};

/// What became of reading a segment.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) found: Found,
    /// What proves the writer's fault, if it was at fault and what is known here shows it.
    pub(super) fault: Option<Box<InconsistencyProof>>,
    /// Bytes that came.
    pub(super) bytes: u64,
}

/// The lost pairs, or none.
#[derive(Debug)]
pub(super) enum Found {
    /// The segment was read and encoded.
    Pairs {
        pairs: BTreeMap<PairIndex, RebuiltPair>,
        /// What ties each of them to the root of what was read.
        proofs: BTreeMap<PairIndex, PairProof>,
    },
    /// It was not read.
    Nothing {
        /// Whether verified slivers do not give its content.
        is_inconsistent: bool,
    },
}

/// Bytes that this takes while it is fetched, and when it is encoded: the slivers or what they are encoded to, and the segment.
pub(super) fn memory_bytes(job: &Job) -> (usize, usize) {
    let length = usize::try_from(job.length()).unwrap_or(usize::MAX);
    (length.saturating_mul(2), length.saturating_mul(4))
}

/// Reads the segment, from what is here of these pairs and from others, and gives the lost ones.
pub(super) async fn read(
    job: &Job,
    (local, mut known): (BTreeSet<PairIndex>, KnownPairs),
    lost: Vec<PairIndex>,
    room: &mut Room,
) -> Result<Whole, RepairError> {
    let reader = job.clone();
    let held = tokio::task::spawn_blocking(move || held(&reader, local));
    let held = held.await.map_err(|_| RepairError::Ended)??;
    let segment = (job.segment, held);
    let (read, came) = download::segment(&job.session, &job.blob_id, &job.header, segment).await;
    let Came { slivers, proofs, bytes } = came;
    for (pair, proof) in &proofs {
        // They were verified, so one that teaches nothing does not happen.
        let _ = known.learn(*pair, proof);
    }
    let worker = job.clone();
    let work: Box<dyn FnOnce() -> (Found, Option<InconsistencyProof>) + Send> = match read {
        Ok(content) => {
            drop(slivers);
            room.grow().await;
            Box::new(move || encode(&worker, content, &lost, &known))
        }
        Err(error) => {
            debug!(blob_id = %job.blob_id, segment = job.segment, %error, "a segment cannot be read as a whole");
            let is_inconsistent = matches!(error, GetError::Inconsistent { .. });
            Box::new(move || {
                let fault = is_inconsistent.then(|| accuse(&worker, slivers, &known)).flatten();
                (Found::Nothing { is_inconsistent }, fault)
            })
        }
    };
    let span = debug_span!("encode", haulout.segment = job.segment);
    let work = move || span.in_scope(work);
    let done = job.serving.in_background(Duty::Repair, work).await;
    let (found, fault) = done.ok_or(RepairError::Ended)?;
    Ok(Whole { found, fault: fault.map(Box::new), bytes })
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

fn evidence<'a>(job: &'a Job, known: &'a KnownPairs) -> Evidence<'a> {
    Evidence {
        parameters: &job.session.parameters,
        position: SegmentPosition { segment: job.segment, blob_bytes: job.header.length },
        commitment: &job.header.segments[job.segment as usize],
        pairs: known,
    }
}

/// The lost pairs of this content; where they are not the ones that were committed to, what proves it. Blocks.
fn encode(
    job: &Job,
    content: Bytes,
    lost: &[PairIndex],
    known: &KnownPairs,
) -> (Found, Option<InconsistencyProof>) {
    let (parameters, evidence) = (&job.session.parameters, evidence(job, known));
    let encoded = encode_segment(parameters, evidence.position, content);
    let is_other = encoded.commitment().slivers_root != evidence.commitment.slivers_root;
    let fault = is_other.then(|| evidence.prove_encoded(&encoded)).flatten();
    let pair = |pair: &PairIndex| {
        let sliver = |axis| encoded.sliver(axis, pair.sliver_index(axis, parameters));
        let (slivers, roots) = (Axis::BOTH.map(sliver), encoded.pairs().roots(*pair));
        (*pair, RebuiltPair { pair: *pair, slivers, roots })
    };
    let proofs = lost.iter().map(|pair| (*pair, encoded.pairs().prove(*pair))).collect();
    (Found::Pairs { pairs: lost.iter().map(pair).collect(), proofs }, fault)
}

/// Proves that slivers which are the ones committed to decode to other content than was committed to. Blocks.
fn accuse(
    job: &Job,
    slivers: BTreeMap<(Axis, PairIndex), Bytes>,
    known: &KnownPairs,
) -> Option<InconsistencyProof> {
    let evidence = evidence(job, known);
    Axis::BOTH.into_iter().find_map(|axis| {
        let of_axis = slivers.iter().filter(|((of, _), _)| *of == axis);
        let index = |pair: &PairIndex| pair.sliver_index(axis, evidence.parameters);
        let of_axis = of_axis.map(|((_, pair), sliver)| (index(pair), sliver.clone()));
        match evidence.prove_content(axis, of_axis.collect()) {
            Ok(Repair::Inconsistent(proof)) => Some(proof),
            Ok(Repair::Found(_)) | Err(_) => None,
        }
    })
}
