//! Answers what is asked of a blob: headers, commitments, certificates, and what the ledger says.
//!
//! Promises: nothing is read before there is room for it; of a blob that nobody registered only that is said.
//! Does not: hand out slivers, or believe anybody but the store.

use bytes::Bytes;
use std::ops::Range;

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::wire::blob::{
    Answer, Held as Holding, ObjectState, ObjectStatus, Question, Registration,
    SEGMENTS_PER_HOLDINGS_MAX, State, Status,
};
use haulout_protocol::wire::{self, Refusal};
use haulout_storage::{BlobObject, BlobRecord, Store, StoreError};
use tracing::{Instrument, debug, debug_span};

use super::session::Session;
use crate::limits;
use crate::position::Position;
use crate::serving::{Fault, blocking, charged};

impl Session {
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
            bytes => Some(self.visit.room(charged(bytes)).await?),
        };
        let _core = match question {
            Question::Commitment { .. } | Question::Holdings { .. } => {
                Some(self.visit.core().await)
            }
            _ => None,
        };
        let (store, peer) = (self.shared.context.store.clone(), self.shared.context.peer);
        let answer = blocking(move || look_up(&store, &blob_id, question, (&position, &peer)));
        let answer = answer.instrument(debug_span!("read", haulout.blob.id = %blob_id)).await??;
        debug!(?question, "answered");
        self.visit.stream.write_frame(&answer.frame).await?;
        self.visit.stream.write_all(&answer.behind).await?;
        Ok(self.visit.stream.flush().await?)
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
