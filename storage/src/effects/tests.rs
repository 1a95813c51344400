//! Effects of events on what is known of a blob.

use super::*;
use crate::testing::{deleted, invalidated, registered, sample_blob};
use crate::{BlobRecord, Store};
use haulout_protocol::chain::event::{BlobCertified, BlobRegistered, EpochChangeStart};
use haulout_protocol::machine::confirmation::Registration;
use haulout_protocol::message::Persistence;

fn certified(object: u8, epoch: u32, end: u32) -> BlobEffect {
    let (epoch, end_epoch) = (Epoch(epoch), Epoch(end));
    BlobEffect::Certified {
        blob_id: sample_blob(1),
        object_id: ObjectId::from_bytes([object; 32]),
        epoch,
        end_epoch,
    }
}

fn deletable(object: u8, end: u32) -> BlobEffect {
    BlobEffect::Registered {
        blob_id: sample_blob(1),
        object_id: ObjectId::from_bytes([object; 32]),
        epoch: Epoch(2),
        end_epoch: Epoch(end),
        size: 1000,
        deletable: true,
    }
}

async fn record_after(effects: Vec<BlobEffect>) -> Option<BlobRecord> {
    let store = Store::in_memory().expect("opens");
    store.apply(0, effects).await.expect("applied");
    store.blob(&sample_blob(1)).expect("read")
}

#[tokio::test]
async fn a_registration_lasts_until_its_end_epoch() {
    let record = record_after(vec![registered(1, 1), registered(2, 2)]).await.expect("known");
    assert_eq!(record.objects.len(), 1, "the other blob's object is not ours");
    assert_eq!((record.size(), record.end_epoch()), (Some(1000), Some(Epoch(5))));
    assert!(record.is_registered(Epoch(4)) && !record.is_registered(Epoch(5)));
    assert!(!record.is_certified(Epoch(4)));
    assert!(record.permanent(Epoch(4)).is_some() && record.permanent(Epoch(5)).is_none());
}

#[tokio::test]
async fn certification_keeps_its_first_epoch_and_extension_moves_the_end() {
    let record = record_after(vec![registered(1, 1), certified(1, 2, 5), certified(1, 2, 9)]).await;
    let record = record.expect("known");
    assert_eq!(record.certified_epoch(), Some(Epoch(2)));
    assert!(record.is_certified(Epoch(8)) && !record.is_certified(Epoch(9)));
    let object = record.object(&ObjectId::from_bytes([1; 32])).expect("there");
    assert_eq!((object.registered_epoch, object.size), (Epoch(1), 1000));
}

#[tokio::test]
async fn several_objects_stand_for_one_blob() {
    let effects = vec![registered(1, 1), deletable(2, 20), certified(2, 3, 20)];
    let record = record_after(effects.clone()).await.expect("known");
    assert!(record.is_certified(Epoch(19)));
    assert_eq!(
        record.permanent(Epoch(1)).map(|object| object.object_id),
        Some(ObjectId::from_bytes([1; 32]))
    );
    assert_eq!(record.permanent(Epoch(6)), None);

    let effects = [effects, vec![deleted(1, 2)]].concat();
    let record = record_after(effects.clone()).await.expect("known");
    assert!(record.is_registered(Epoch(4)) && !record.is_certified(Epoch(4)));

    assert_eq!(record_after([effects, vec![deleted(1, 1)]].concat()).await, None);
}

#[tokio::test]
async fn an_invalid_blob_is_neither_registered_nor_certified() {
    let invalid = BlobEffect::Invalidated { blob_id: sample_blob(1), epoch: Epoch(3) };
    let record =
        record_after(vec![registered(1, 1), certified(1, 2, 5), invalid]).await.expect("known");
    assert_eq!(record.invalid, Some(Epoch(3)));
    assert!(!record.is_registered(Epoch(1)) && !record.is_certified(Epoch(3)));
}

#[tokio::test]
async fn an_unknown_object_is_certified_without_effect() {
    assert_eq!(record_after(vec![certified(1, 2, 5)]).await, None);
}

#[test]
fn only_blobs_of_our_encodings_are_kept() {
    let registered = |encoding_type| {
        Event::BlobRegistered(BlobRegistered {
            epoch: 3,
            blob_id: [1; 32],
            size: 9,
            encoding_type,
            end_epoch: 8,
            deletable: false,
            object_id: ObjectId::from_bytes([2; 32]),
        })
    };
    let events = [
        registered(1),
        Event::EpochChangeStart(EpochChangeStart { epoch: 3 }),
        registered(Encoding::Segments.number()),
        registered(Encoding::Short.number()),
        Event::BlobCertified(BlobCertified {
            epoch: 4,
            blob_id: [1; 32],
            end_epoch: 8,
            deletable: false,
            object_id: ObjectId::from_bytes([2; 32]),
            is_extension: false,
        }),
    ];
    let blob_id = BlobId::from_bytes([1; 32]);
    let effects: Vec<_> = events.iter().filter_map(BlobEffect::of).collect();
    assert_eq!(effects.len(), 3);
    assert!(effects[..2].iter().all(|effect| matches!(
        effect,
        BlobEffect::Registered { blob_id: id, epoch: Epoch(3), end_epoch: Epoch(8), size: 9, .. }
            if *id == blob_id
    )));
    assert!(matches!(&effects[2], BlobEffect::Certified { epoch: Epoch(4), .. }));
}

#[tokio::test]
async fn a_confirmation_speaks_of_a_permanent_object_or_of_its_own_deletable_one() {
    let one = Persistence::Deletable(ObjectId::from_bytes([1; 32]));
    let other = Persistence::Deletable(ObjectId::from_bytes([2; 32]));
    let (seen, unseen) = (Registration::Seen, Registration::Unseen);
    let record = record_after(vec![deletable(1, 6)]).await.expect("known");
    let said = |persistence, epoch| record.registration(persistence, Epoch(epoch));
    assert_eq!((said(Some(one), 5), said(None, 5)), (seen, seen));
    assert_eq!((said(Some(one), 6), said(None, 6)), (unseen, unseen), "it is over");
    assert_eq!((said(Some(other), 5), said(Some(Persistence::Permanent), 5)), (unseen, unseen));
    let record = record_after(vec![registered(1, 1)]).await.expect("known");
    let said = |persistence, epoch| record.registration(persistence, Epoch(epoch));
    assert_eq!((said(Some(Persistence::Permanent), 4), said(None, 4)), (seen, seen));
    assert_eq!(said(Some(one), 4), unseen, "nobody may delete it");
    let wrong = vec![registered(1, 1), invalidated(1, 3)];
    let record = record_after(wrong).await.expect("known");
    let said = |persistence| record.registration(persistence, Epoch(4));
    assert_eq!(said(None), Registration::Invalid);
    assert_eq!(said(Some(Persistence::Permanent)), Registration::Invalid);
}
