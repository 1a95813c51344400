//! Hands out what is stored: slivers, pair proofs, headers, certificates, and what the ledger says.
//!
//! Promises: stored bytes are hashed before they leave; bytes that rotted count as missing; nothing is
//! read before there is room for it; of a blob that nobody registered only that is said.
//! Does not: fetch what it lacks.

use bytes::Bytes;
use std::ops::Range;
use std::time::Duration;

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::sliver::{Axis, PairIndex, shard_of_pair};
use haulout_protocol::wire::blob::{
    Answer, Held as Holding, ObjectState, ObjectStatus, Question, Registration,
    SEGMENTS_PER_HOLDINGS_MAX, State, Status,
};
use haulout_protocol::wire::sliver::{Part, Reply};
use haulout_protocol::wire::{self, Refusal};
use haulout_storage::{BlobObject, BlobRecord, Store, StoreError};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{Instrument, Span, debug, debug_span, warn};

use super::memory::Held;
use super::put::axis_word;
use super::session::{Fault, Session, blocking, charged};
use crate::context::Position;
use crate::limits;

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
        self.shared.readers.note(&self.place);
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
            let turn = self.turn(pair_bytes);
            if !matches!(turn, Ok(Duration::ZERO)) {
                // What was read already goes out first.
                if let Some(reading) = ahead.take() {
                    self.send(&wanted, reading).await?;
                }
                self.stream.flush().await?;
                sleep(turn?).await;
            }
            // The next sliver is read from disk while the one before is sent; but whoever holds
            // one sliver in memory never waits for room for another.
            let room = match ahead.take() {
                None => self.room(bytes).await?,
                Some(reading) => match self.try_room(bytes) {
                    Some(room) => {
                        ahead = Some(self.read(&reads, &wanted, &parameters, pair, room));
                        self.send(&wanted, reading).await?;
                        continue;
                    }
                    None => {
                        self.send(&wanted, reading).await?;
                        self.room(bytes).await?
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
            return Ok(self.stream.write_frame(&Reply::Missing { pair }).await?);
        };
        if let Some(proof) = proof {
            let bytes = length_of(&proof);
            self.stream.write_frame(&Reply::Proof { pair, bytes }).await?;
            self.stream.write_all(&proof).await?;
        }
        if let Some(sliver) = sliver {
            let bytes = length_of(&sliver);
            self.stream.write_frame(&Reply::Sliver { pair, bytes }).await?;
            self.stream.write_all(&sliver).await?;
            self.shared.context.metrics.sliver_served(axis_word(wanted.axis), u64::from(bytes));
        }
        Ok(())
    }

    /// Answers a question about a blob.
    pub(super) async fn answer(
        &mut self,
        blob_id: BlobId,
        question: Question,
    ) -> Result<(), Fault> {
        if let Question::Object { checkpoint, .. } = question {
            self.read_up_to(checkpoint).await;
        }
        let position = self.shared.context.position.current();
        let bytes = match question {
            Question::Status
            | Question::Permanence
            | Question::Registration
            | Question::Object { .. } => 0,
            Question::Holdings { .. } => {
                self.registered_length(blob_id, position.epoch).await?;
                0
            }
            Question::Certificate => {
                self.registered_length(blob_id, position.epoch).await?;
                usize::try_from(wire::SMALL_FRAME_BYTES_MAX).unwrap_or(0)
            }
            // Read, checked and cut in pieces: up to three times its bytes.
            Question::Commitment { .. } => 3 * self.header_bytes(blob_id, &position).await?,
            Question::Header => self.header_bytes(blob_id, &position).await?,
        };
        let _room = match bytes {
            0 => None,
            bytes => Some(self.room(charged(bytes)).await?),
        };
        let _core = match question {
            Question::Commitment { .. } | Question::Holdings { .. } => {
                Some(self.shared.core().await)
            }
            _ => None,
        };
        let (store, peer) = (self.shared.context.store.clone(), self.shared.context.peer);
        let answer = blocking(move || look_up(&store, &blob_id, question, (&position, &peer)));
        let answer = answer.instrument(debug_span!("read", haulout.blob.id = %blob_id)).await??;
        debug!(?question, "answered");
        self.stream.write_frame(&answer.frame).await?;
        self.stream.write_all(&answer.behind).await?;
        Ok(self.stream.flush().await?)
    }

    /// Waits a moment for a checkpoint: whoever has just written to the ledger asks before we have read it.
    async fn read_up_to(&self, checkpoint: u64) {
        let read = self.shared.context.position.until(checkpoint);
        drop(tokio::time::timeout(limits::QUESTION_WAIT_MAX, read).await);
    }

    /// The length of a blob that somebody pays for; of others nothing is served.
    pub(super) async fn registered_length(
        &self,
        blob_id: BlobId,
        epoch: Epoch,
    ) -> Result<u64, Fault> {
        let store = self.shared.context.store.clone();
        let record = blocking(move || store.blob(&blob_id)).await??;
        let record = record.filter(|record| record.is_registered(epoch));
        record.and_then(|record| record.size()).ok_or(Fault::Refused(Refusal::NotFound))
    }

    /// How long the header of a blob is that somebody pays for.
    async fn header_bytes(&self, blob_id: BlobId, position: &Position) -> Result<usize, Fault> {
        let length = self.registered_length(blob_id, position.epoch).await?;
        let bytes = BlobHeader::bytes_of(length, &position.parameters);
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
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

/// An answer, and the raw bytes behind its frame.
struct Found {
    frame: Answer,
    behind: Bytes,
}

impl From<Answer> for Found {
    fn from(frame: Answer) -> Found {
        Found { frame, behind: Bytes::new() }
    }
}

/// Reads the answer from the store.
fn look_up(
    store: &Store,
    blob_id: &BlobId,
    question: Question,
    (position, peer): (&Position, &PeerId),
) -> Result<Found, StoreError> {
    let epoch = position.epoch;
    let found = match question {
        Question::Status => {
            let state = state_of(store.blob(blob_id)?.as_ref(), epoch);
            let status = Status { checkpoint: position.checkpoint, epoch: epoch.0, state };
            Some(Answer::Status(status).into())
        }
        Question::Permanence => {
            let end_epoch = permanent_until(store.blob(blob_id)?.as_ref(), epoch);
            Some(Answer::Permanence { end_epoch }.into())
        }
        Question::Registration => {
            let registration = longest(store.blob(blob_id)?.as_ref(), epoch);
            Some(Answer::Registration(registration).into())
        }
        Question::Object { object, .. } => {
            let object = object_of(store.blob(blob_id)?.as_ref(), &object.into());
            let checkpoint = position.checkpoint;
            Some(Answer::Object(ObjectStatus { checkpoint, object }).into())
        }
        Question::Holdings { segment } => {
            let segments = counted(store.blob(blob_id)?.as_ref(), segment, &position.parameters);
            let held = store.count_slivers(blob_id, segments, position.shards_of(peer))?;
            let held = held.into_iter().map(|(primary, secondary)| Holding { primary, secondary });
            Some(Answer::Holdings(held.collect()).into())
        }
        Question::Header => {
            store.header(blob_id)?.and_then(|bytes| behind(bytes, |bytes| Answer::Header { bytes }))
        }
        Question::Commitment { segment } => store.header(blob_id)?.and_then(|bytes| {
            let header = BlobHeader::from_bytes(&bytes, &position.parameters).ok()?;
            Some(Answer::Commitment(header.prove(segment)?).into())
        }),
        Question::Certificate => {
            store.certificate(blob_id)?.map(|bytes| Answer::Certificate(bytes.into()).into())
        }
    };
    Ok(found.unwrap_or_else(|| Answer::Refused(Refusal::NotFound).into()))
}

/// An answer with these bytes behind it.
fn behind(bytes: Bytes, frame: impl Fn(u32) -> Answer) -> Option<Found> {
    let frame = frame(u32::try_from(bytes.len()).ok()?);
    Some(Found { frame, behind: bytes })
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

/// The live object that keeps a blob the longest, as its record tells it; a certified one before others.
fn longest(record: Option<&BlobRecord>, epoch: Epoch) -> Option<Registration> {
    let live = record?.objects.iter().filter(|object| object.is_live(epoch));
    let rank = |object: &&BlobObject| {
        (object.certified_epoch.is_some(), object.end_epoch, object.object_id)
    };
    live.max_by_key(rank).map(|object| Registration {
        object: *object.object_id.as_bytes(),
        registered_epoch: object.registered_epoch.0,
        end_epoch: object.end_epoch.0,
        deletable: object.deletable,
    })
}

/// One object of a blob, as its record tells it, be its time over or not.
fn object_of(record: Option<&BlobRecord>, id: &ObjectId) -> Option<ObjectState> {
    let record = record.filter(|record| record.invalid.is_none())?;
    let object = record.object(id)?;
    Some(ObjectState {
        is_certified: object.certified_epoch.is_some(),
        end_epoch: object.end_epoch.0,
        deletable: object.deletable,
    })
}

/// The segments that one answer counts, from the one that was asked for on: none beyond the blob's end.
fn counted(record: Option<&BlobRecord>, first: u32, parameters: &Parameters) -> Range<u32> {
    let length = record.and_then(BlobRecord::size);
    let segments = length.map_or(0, |length| parameters.segment_count(length));
    let end = first.saturating_add(SEGMENTS_PER_HOLDINGS_MAX);
    first..end.min(u32::try_from(segments).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use haulout_protocol::chain::ObjectId;

    #[test]
    fn a_list_of_pairs_names_each_once_and_none_that_there_is_not() {
        assert!(is_sound(&[], 4) && is_sound(&[3, 0, 2, 1], 4));
        assert!(!is_sound(&[1, 2, 1], 4), "named twice");
        assert!(!is_sound(&[4], 4), "there is no such pair");
        let all: Vec<u16> = (0..4097).collect();
        assert!(is_sound(&all[..4096], 5000) && !is_sound(&all, 5000), "more than any segment has");
    }

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
    fn a_registration_is_named_by_its_live_object_and_a_certified_one_comes_first() {
        let object = |id: u8, end, certified: Option<u32>| BlobObject {
            object_id: [id; 32].into(),
            registered_epoch: Epoch(1),
            end_epoch: Epoch(end),
            size: 1,
            deletable: true,
            certified_epoch: certified.map(Epoch),
        };
        let named = |objects: &[BlobObject]| {
            let record = BlobRecord { objects: objects.to_vec(), invalid: None };
            longest(Some(&record), Epoch(5)).map(|named| (named.object[0], named.end_epoch))
        };
        assert_eq!(named(&[object(1, 7, None), object(2, 9, None)]), Some((2, 9)));
        assert_eq!(named(&[object(1, 7, Some(2)), object(2, 9, None)]), Some((1, 7)));
        assert_eq!(named(&[object(1, 5, None)]), None, "it is over");
        assert_eq!(longest(None, Epoch(5)), None);
    }

    #[test]
    fn an_object_is_told_as_it_is_and_another_does_not_speak_for_it() {
        let object = |id: u8, end, certified: Option<u32>| BlobObject {
            object_id: [id; 32].into(),
            registered_epoch: Epoch(1),
            end_epoch: Epoch(end),
            size: 1,
            deletable: id == 1,
            certified_epoch: certified.map(Epoch),
        };
        let objects = vec![object(1, 7, None), object(2, 9, Some(2)), object(3, 5, Some(2))];
        let record = BlobRecord { objects, invalid: None };
        let told = |record: &BlobRecord, id: u8| object_of(Some(record), &[id; 32].into());
        let state = |is_certified, end_epoch, deletable| {
            Some(ObjectState { is_certified, end_epoch, deletable })
        };
        assert_eq!(told(&record, 1), state(false, 7, true), "the blob's certificate is another's");
        assert_eq!(told(&record, 2), state(true, 9, false));
        assert_eq!(told(&record, 3), state(true, 5, false), "whoever asks judges its end");
        assert_eq!(told(&record, 4), None, "there is none");
        let invalid = BlobRecord { invalid: Some(Epoch(4)), ..record };
        assert_eq!(told(&invalid, 2), None);
        assert_eq!(object_of(None, &[2; 32].into()), None);
    }

    #[test]
    fn one_answer_counts_a_bounded_number_of_segments_and_none_beyond_the_blob() {
        let parameters = Parameters::new(4, 1 << 14).expect("valid parameters");
        let blob = |segments: u64| {
            let object = BlobObject {
                object_id: [1; 32].into(),
                registered_epoch: Epoch(1),
                end_epoch: Epoch(9),
                size: segments << 14,
                deletable: false,
                certified_epoch: None,
            };
            BlobRecord { objects: vec![object], invalid: None }
        };
        assert_eq!(counted(Some(&blob(3)), 0, &parameters), 0..3);
        assert!(counted(Some(&blob(3)), 7, &parameters).is_empty());
        let long = blob(5_000);
        assert_eq!(counted(Some(&long), 0, &parameters), 0..SEGMENTS_PER_HOLDINGS_MAX);
        assert_eq!(counted(Some(&long), 4_096, &parameters), 4_096..5_000);
        assert!(counted(Some(&long), u32::MAX, &parameters).is_empty());
        assert!(counted(None, 0, &parameters).is_empty());
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
