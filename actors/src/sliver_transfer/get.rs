//! Hands out what is stored: slivers, headers, indexes, certificates, and what the ledger says.
//!
//! Promises: stored bytes are hashed before they leave; bytes that rotted count as missing.
//! Does not: fetch what it lacks.

use bytes::Bytes;
use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::sliver::{Axis, PairIndex, shard_of_pair};
use haulout_protocol::wire::Refusal;
use haulout_protocol::wire::blob::{Answer, Question, State, Status};
use haulout_protocol::wire::sliver::Reply;
use haulout_storage::{BlobRecord, Store, StoreError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tracing::{Instrument, Span, debug, debug_span, warn};

use super::put::axis_word;
use super::session::{Fault, Session, blocking};
use crate::limits;

/// Slivers a reader asks for.
pub(super) struct Wanted {
    pub(super) blob_id: BlobId,
    pub(super) segment: u32,
    pub(super) axis: Axis,
    pub(super) pairs: Vec<u16>,
}

/// A sliver being read from disk.
struct Reading {
    pair: u16,
    _room: OwnedSemaphorePermit,
    task: JoinHandle<Result<Option<Bytes>, StoreError>>,
}

impl Session {
    /// Serves a get.
    pub(super) async fn send_slivers(&mut self, wanted: Wanted) -> Result<(), Fault> {
        let position = self.shared.context.position.current();
        let parameters = position.parameters;
        let outside = |pair: &u16| *pair >= parameters.shards();
        if wanted.pairs.len() > limits::PAIRS_PER_GET_MAX || wanted.pairs.iter().any(outside) {
            return Err(Fault::out_of_place("a list of pairs like this"));
        }
        let (store, blob_id) = (self.shared.context.store.clone(), wanted.blob_id);
        let record = blocking(move || store.blob(&blob_id)).await??;
        let record = record.filter(|record| record.is_registered(position.epoch));
        let length = record.and_then(|record| record.size());
        let length = length.ok_or(Fault::Refused(Refusal::NotFound))?;
        if u64::from(wanted.segment) >= parameters.segment_count(length) {
            return Err(Fault::Refused(Refusal::NotFound));
        }
        let length = parameters.segment_length(length, wanted.segment);
        let bytes = parameters.sliver_bytes(wanted.axis, length);
        let reads = debug_span!(
            "read",
            haulout.segment = wanted.segment,
            haulout.sliver.type = axis_word(wanted.axis),
            slivers = wanted.pairs.len(),
        );
        let mut ahead: Option<Reading> = None;
        for &pair in &wanted.pairs {
            // The next sliver is read from disk while the one before is sent; but whoever holds
            // one sliver in memory never waits for room for another.
            let room = match ahead.take() {
                None => self.shared.room(bytes).await,
                Some(reading) => match self.shared.try_room(bytes) {
                    Some(room) => {
                        ahead = Some(self.read(&reads, &wanted, &parameters, pair, room));
                        self.send(&wanted, reading).await?;
                        continue;
                    }
                    None => {
                        self.send(&wanted, reading).await?;
                        self.shared.room(bytes).await
                    }
                },
            };
            ahead = Some(self.read(&reads, &wanted, &parameters, pair, room));
        }
        drop(reads);
        if let Some(reading) = ahead {
            self.send(&wanted, reading).await?;
        }
        self.stream.write_frame(&Reply::End).await?;
        Ok(self.stream.flush().await?)
    }

    /// Starts to read a sliver, inside the span of all reads.
    fn read(
        &self,
        reads: &Span,
        wanted: &Wanted,
        parameters: &Parameters,
        pair: u16,
        room: OwnedSemaphorePermit,
    ) -> Reading {
        let (blob_id, segment, axis) = (wanted.blob_id, wanted.segment, wanted.axis);
        let shard = shard_of_pair(parameters, &blob_id, segment, PairIndex(pair));
        let store = self.shared.context.store.clone();
        let reads = reads.clone();
        let task = tokio::task::spawn_blocking(move || {
            reads.in_scope(|| store.sliver(&blob_id, segment, shard, axis))
        });
        Reading { pair, _room: room, task }
    }

    /// Sends a sliver that was read, or says that it is missing.
    async fn send(&mut self, wanted: &Wanted, reading: Reading) -> Result<(), Fault> {
        let Reading { pair, _room, task } = reading;
        let found = match task.await.map_err(|_| Fault::Panicked)? {
            Err(StoreError::Corrupt { what }) => {
                warn!(blob_id = %wanted.blob_id, what, "a stored sliver rotted; not serving it");
                None
            }
            other => other?,
        };
        let Some(sliver) = found else {
            return Ok(self.stream.write_frame(&Reply::Missing { pair }).await?);
        };
        let Ok(bytes) = u32::try_from(sliver.len()) else {
            return Ok(self.stream.write_frame(&Reply::Missing { pair }).await?);
        };
        self.stream.write_frame(&Reply::Sliver { pair, bytes }).await?;
        self.stream.write_all(&sliver).await?;
        self.shared.context.metrics.sliver_served(axis_word(wanted.axis), u64::from(bytes));
        Ok(())
    }

    /// Answers a question about a blob.
    pub(super) async fn answer(
        &mut self,
        blob_id: BlobId,
        question: Question,
    ) -> Result<(), Fault> {
        let position = self.shared.context.position.current();
        let store = self.shared.context.store.clone();
        let (checkpoint, epoch) = (position.checkpoint, position.epoch);
        let answer = blocking(move || look_up(&store, &blob_id, question, checkpoint, epoch));
        let answer = answer.instrument(debug_span!("read", haulout.blob.id = %blob_id)).await??;
        debug!(?question, "answered");
        self.stream.write_frame(&answer).await?;
        Ok(self.stream.flush().await?)
    }
}

/// Reads the answer from the store.
fn look_up(
    store: &Store,
    blob_id: &BlobId,
    question: Question,
    checkpoint: u64,
    epoch: Epoch,
) -> Result<Answer, StoreError> {
    let found = match question {
        Question::Status => {
            let state = state_of(store.blob(blob_id)?.as_ref(), epoch);
            return Ok(Answer::Status(Status { checkpoint, epoch: epoch.0, state }));
        }
        Question::Permanence => {
            let end_epoch = permanent_until(store.blob(blob_id)?.as_ref(), epoch);
            return Ok(Answer::Permanence { end_epoch });
        }
        Question::Header => store.header(blob_id)?.map(|bytes| Answer::Header(bytes.into())),
        Question::Index { segment } => {
            store.index(blob_id, segment)?.map(|bytes| Answer::Index(bytes.into()))
        }
        Question::Certificate => {
            store.certificate(blob_id)?.map(|bytes| Answer::Certificate(bytes.into()))
        }
    };
    Ok(found.unwrap_or(Answer::Refused(Refusal::NotFound)))
}

/// The state of a blob in an epoch, as its record tells it.
fn state_of(record: Option<&BlobRecord>, epoch: Epoch) -> State {
    let Some(record) = record else { return State::Nonexistent };
    if record.invalid.is_some() {
        return State::Invalid;
    }
    let live = record.objects.iter().filter(|object| object.is_live(epoch));
    let certified = live.clone().filter(|object| object.certified_epoch.is_some());
    if let Some(end) = certified.map(|object| object.end_epoch).max() {
        let certified_epoch = record.certified_epoch().map_or(epoch.0, |epoch| epoch.0);
        return State::Certified { certified_epoch, end_epoch: end.0 };
    }
    if let Some(end) = live.map(|object| object.end_epoch).max() {
        return State::Registered { end_epoch: end.0 };
    }
    match (record.certified_epoch(), record.end_epoch()) {
        (Some(_), Some(end)) => State::Expired { end_epoch: end.0 },
        _ => State::Nonexistent,
    }
}

/// Until when certified objects that nobody can delete keep a blob, as its record tells it.
fn permanent_until(record: Option<&BlobRecord>, epoch: Epoch) -> Option<u32> {
    let record = record.filter(|record| record.invalid.is_none())?;
    let lasting = record.objects.iter().filter(|object| {
        object.is_live(epoch) && !object.deletable && object.certified_epoch.is_some()
    });
    lasting.map(|object| object.end_epoch.0).max()
}

#[cfg(test)]
mod tests {
    use haulout_protocol::chain::ObjectId;
    use haulout_storage::BlobObject;

    use super::*;

    #[test]
    fn the_state_follows_the_objects_that_are_still_live() {
        let object = |end, certified: Option<u32>| BlobObject {
            object_id: ObjectId::from_bytes([0; 32]),
            registered_epoch: Epoch(1),
            end_epoch: Epoch(end),
            size: 1,
            deletable: false,
            certified_epoch: certified.map(Epoch),
        };
        let record =
            |objects: &[BlobObject]| BlobRecord { objects: objects.to_vec(), invalid: None };
        let check = |record: &BlobRecord, expected| {
            assert_eq!(state_of(Some(record), Epoch(5)), expected);
        };
        check(&record(&[]), State::Nonexistent);
        check(&record(&[object(9, None)]), State::Registered { end_epoch: 9 });
        check(&record(&[object(5, None)]), State::Nonexistent);
        check(&record(&[object(5, Some(2))]), State::Expired { end_epoch: 5 });
        let both = record(&[object(7, Some(3)), object(9, None)]);
        check(&both, State::Certified { certified_epoch: 3, end_epoch: 7 });
        let invalid = BlobRecord { invalid: Some(Epoch(4)), ..both };
        check(&invalid, State::Invalid);
        assert_eq!(state_of(None, Epoch(5)), State::Nonexistent);
    }

    #[test]
    fn only_a_live_certified_and_permanent_object_makes_a_blob_last() {
        let object = |end, deletable, certified: Option<u32>| BlobObject {
            object_id: [0; 32].into(),
            registered_epoch: Epoch(1),
            end_epoch: Epoch(end),
            size: 1,
            deletable,
            certified_epoch: certified.map(Epoch),
        };
        let until = |objects: &[BlobObject], invalid: Option<u32>| {
            let record = BlobRecord { objects: objects.to_vec(), invalid: invalid.map(Epoch) };
            permanent_until(Some(&record), Epoch(5))
        };
        assert_eq!(until(&[object(9, false, Some(2)), object(7, false, Some(2))], None), Some(9));
        assert_eq!(until(&[object(6, false, Some(2))], None), Some(6));
        for useless in [object(9, true, Some(2)), object(9, false, None), object(5, false, Some(2))]
        {
            assert_eq!(until(&[useless], None), None, "{useless:?}");
        }
        assert_eq!(
            until(&[object(9, false, Some(2))], Some(4)),
            None,
            "an invalid blob is no blob"
        );
        assert_eq!(permanent_until(None, Epoch(5)), None);
    }
}
