//! Hands out slivers and pair proofs.
//!
//! Promises: stored bytes are hashed before they leave; bytes that rotted count as missing; nothing is
//! read before there is room for it; of a blob that nobody registered only that is said.
//! Does not: fetch what it lacks, or answer what else is asked of a blob.

use bytes::Bytes;
use std::time::Duration;

use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::sliver::{Axis, PairIndex, shard_of_pair};
use haulout_protocol::wire::Refusal;
use haulout_protocol::wire::sliver::{Part, Reply};
use haulout_storage::StoreError;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{Span, debug_span, warn};

use super::put::axis_word;
use super::session::Session;
use crate::limits;
use crate::serving::{Fault, Held, charged};

/// Slivers a reader asks for.
pub(super) struct Wanted {
    pub(super) blob_id: BlobId,
    pub(super) segment: u32,
    pub(super) axis: Axis,
    pub(super) part: Part,
    pub(super) pairs: Vec<u16>,
}

/// What was asked for of a pair: its proof, and its sliver.
type Parts = (Option<Bytes>, Option<Bytes>);

/// A pair's parts being read from disk; nothing if one of them is not there.
struct Reading {
    pair: u16,
    _room: Held,
    task: JoinHandle<Result<Option<Parts>, StoreError>>,
}

impl Session {
    /// Serves a get.
    pub(super) async fn send_slivers(&mut self, wanted: Wanted) -> Result<(), Fault> {
        let position = self.shared.context.position.current();
        let parameters = position.parameters;
        if !is_sound(&wanted.pairs, parameters.shards()) {
            return Err(Fault::out_of_place("a list of pairs like this"));
        }
        let length = self.registered_length(wanted.blob_id, position.epoch).await?;
        let is_short = parameters.is_short(length);
        if is_short || u64::from(wanted.segment) >= parameters.segment_count(length) {
            return Err(Fault::Refused(Refusal::NotFound));
        }
        self.visit.note();
        let length = parameters.segment_length(length, wanted.segment);
        let pair_bytes = wanted.bytes_of_pair(&parameters, length);
        let bytes = charged(pair_bytes);
        let reads = debug_span!(
            "read",
            haulout.segment = wanted.segment,
            haulout.sliver.type = axis_word(wanted.axis),
            slivers = wanted.pairs.len(),
        );
        let mut ahead: Option<Reading> = None;
        for &pair in &wanted.pairs {
            let turn = self.visit.turn(pair_bytes);
            if !matches!(turn, Ok(Duration::ZERO)) {
                // What was read already goes out first.
                if let Some(reading) = ahead.take() {
                    self.send(&wanted, reading).await?;
                }
                self.visit.stream.flush().await?;
                sleep(turn?).await;
            }
            // The next sliver is read from disk while the one before is sent; but whoever holds
            // one sliver in memory never waits for room for another.
            let room = match ahead.take() {
                None => self.visit.room(bytes).await?,
                Some(reading) => match self.visit.try_room(bytes) {
                    Some(room) => {
                        ahead = Some(self.read(&reads, &wanted, &parameters, pair, room));
                        self.send(&wanted, reading).await?;
                        continue;
                    }
                    None => {
                        self.send(&wanted, reading).await?;
                        self.visit.room(bytes).await?
                    }
                },
            };
            ahead = Some(self.read(&reads, &wanted, &parameters, pair, room));
        }
        drop(reads);
        if let Some(reading) = ahead {
            self.send(&wanted, reading).await?;
        }
        self.visit.stream.write_frame(&Reply::End).await?;
        Ok(self.visit.stream.flush().await?)
    }

    /// Starts to read a pair's parts, inside the span of all reads.
    fn read(
        &self,
        reads: &Span,
        wanted: &Wanted,
        parameters: &Parameters,
        pair: u16,
        room: Held,
    ) -> Reading {
        let Wanted { blob_id, segment, axis, part, .. } = *wanted;
        let shard = shard_of_pair(parameters, &blob_id, segment, PairIndex(pair));
        let store = self.shared.context.store.clone();
        let reads = reads.clone();
        let task = tokio::task::spawn_blocking(move || {
            reads.in_scope(|| {
                let proof = || store.pair_proof(&blob_id, segment, shard);
                let sliver = || store.sliver(&blob_id, segment, shard, axis);
                let proof = part.has_proof().then(proof).transpose()?;
                let sliver = part.has_sliver().then(sliver).transpose()?;
                let is_whole = proof != Some(None) && sliver != Some(None);
                Ok(is_whole.then(|| (proof.flatten(), sliver.flatten())))
            })
        });
        Reading { pair, _room: room, task }
    }

    /// Sends what was read of a pair, or says that it is missing.
    async fn send(&mut self, wanted: &Wanted, reading: Reading) -> Result<(), Fault> {
        let Reading { pair, _room, task } = reading;
        let found = match task.await.map_err(|_| Fault::Panicked)? {
            Err(StoreError::Corrupt { what }) => {
                warn!(blob_id = %wanted.blob_id, what, "a stored sliver or its proof rotted; not serving it");
                None
            }
            other => other?,
        };
        let Some((proof, sliver)) = found else {
            return Ok(self.visit.stream.write_frame(&Reply::Missing { pair }).await?);
        };
        if let Some(proof) = proof {
            let bytes = length_of(&proof);
            self.visit.stream.write_frame(&Reply::Proof { pair, bytes }).await?;
            self.visit.stream.write_all(&proof).await?;
        }
        if let Some(sliver) = sliver {
            let bytes = length_of(&sliver);
            self.visit.stream.write_frame(&Reply::Sliver { pair, bytes }).await?;
            self.visit.stream.write_all(&sliver).await?;
            self.shared.context.metrics.sliver_served(axis_word(wanted.axis), u64::from(bytes));
        }
        Ok(())
    }
}

impl Wanted {
    /// Bytes of what is asked for of one pair of a segment of this length.
    fn bytes_of_pair(&self, parameters: &Parameters, length: u32) -> usize {
        let proof = usize::try_from(parameters.pair_proof_bytes()).unwrap_or(usize::MAX);
        let proof = if self.part.has_proof() { proof } else { 0 };
        let sliver = parameters.sliver_bytes(self.axis, length);
        proof.saturating_add(if self.part.has_sliver() { sliver } else { 0 })
    }
}

/// How many raw bytes follow a frame.
fn length_of(bytes: &Bytes) -> u32 {
    u32::try_from(bytes.len()).expect("the store takes slivers and proofs of less than 4 GiB")
}

/// Whether a reader may ask for these pairs at once: there are such pairs, and none is named twice.
pub(super) fn is_sound(pairs: &[u16], shards: u16) -> bool {
    let mut sorted = pairs.to_vec();
    sorted.sort_unstable();
    let has_twins = sorted.windows(2).any(|pair| pair[0] == pair[1]);
    let fits = pairs.len() <= limits::PAIRS_PER_GET_MAX;
    fits && !has_twins && sorted.last().is_none_or(|last| *last < shards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_pairs_names_each_once_and_none_that_there_is_not() {
        assert!(is_sound(&[], 4) && is_sound(&[3, 0, 2, 1], 4));
        assert!(!is_sound(&[1, 2, 1], 4), "named twice");
        assert!(!is_sound(&[4], 4), "there is no such pair");
        let all: Vec<u16> = (0..4097).collect();
        assert!(is_sound(&all[..4096], 5000) && !is_sound(&all, 5000), "more than any segment has");
    }
}
