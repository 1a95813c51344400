//! Effects of events on what is known of a blob.

use super::*;
use crate::Store;
use crate::testing::{deleted, registered, sample_blob};

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
