//! What goes at which epoch, what stays, and that nothing is forgotten on the way.

use tempfile::tempdir;

use super::*;
use crate::testing::*;
use crate::{BlobEffect, Store};

const CONTENT_BYTES: u64 = 32 + 100;

async fn apply(store: &Store, effects: Vec<BlobEffect>) {
    let next = store.position().expect("read").map_or(0, |position| position + 1);
    store.apply(next, effects).await.expect("applied");
}

async fn put(store: &Store, blob: u64) {
    store.put_header(&sample_blob(blob), vec![7; 100], 0).await.expect("stored");
    store.put_certificate(&sample_blob(blob), vec![8; 50]).await.expect("stored");
}

/// A store with one blob that is held and about which the chain said that.
async fn store_with(effects: Vec<BlobEffect>) -> Store {
    let store = Store::in_memory().expect("opens");
    apply(&store, effects).await;
    put(&store, 1).await;
    store
}

async fn expire(store: &Store, epoch: u32) -> u64 {
    let bytes = store.expire(Epoch(epoch)).await.expect("expired");
    check_consistent(store, None);
    bytes
}

/// Content, certificate, objects.
const ALL: (bool, bool, bool) = (true, true, true);
const OBJECTS: (bool, bool, bool) = (false, false, true);
const NOTHING: (bool, bool, bool) = (false, false, false);

#[tokio::test]
async fn content_goes_at_its_end_and_objects_sixty_four_epochs_later() {
    let store = store_with(vec![registered_until(1, 1, 5)]).await;
    assert_eq!(expire(&store, 4).await, 0);
    assert_eq!(remains(&store, 1), ALL);
    assert_eq!(expire(&store, 5).await, CONTENT_BYTES);
    assert_eq!(remains(&store, 1), OBJECTS);
    let record = store.blob(&sample_blob(1)).expect("read").expect("a reader is told");
    assert_eq!(record.end_epoch(), Some(Epoch(5)));
    assert!(!record.is_registered(Epoch(5)));
    assert_eq!(expire(&store, 5 + KEPT_EPOCHS - 1).await, 0);
    assert_eq!(remains(&store, 1), OBJECTS);
    assert_eq!(expire(&store, 5 + KEPT_EPOCHS).await, 0);
    assert_eq!(remains(&store, 1), NOTHING);
    assert_eq!(store.blob(&sample_blob(1)).expect("read"), None);
    let view = store.view().expect("opens");
    let due = view.open_table(tables::DUE).expect("opens");
    assert!(due.first().expect("read").is_none(), "nothing to look at is left behind");
}

#[tokio::test]
async fn everything_of_a_blob_goes_also_its_files() {
    let directory = tempdir().expect("created");
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    apply(&store, vec![registered_until(1, 1, 5), registered_until(2, 1, 6)]).await;
    for blob in [1, 2] {
        put(&store, blob).await;
        write_segment(&store, blob, 0, &shards(0..3), 20_000, 0).await.expect("stored");
        write_segment(&store, blob, 1, &shards(0..3), 3_000, 0).await.expect("stored");
    }
    let before = store.usage().expect("read").content_bytes;
    assert_eq!(store.expire(Epoch(5)).await.expect("expired"), before / 2);
    assert_eq!(
        store
            .pair_proof(&sample_blob(1), 0, haulout_protocol::sliver::ShardIndex(0))
            .expect("read"),
        None
    );
    assert_eq!(store.stored_segments(&sample_blob(1), &[]).expect("read"), []);
    assert_eq!(bundle_files(directory.path()).len(), 1);
    check_consistent(&store, Some(directory.path()));
    check_segment(&store, 2, 0, &shards(0..3), 20_000);
    drop(store);
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    assert_eq!(store.expire(Epoch(6)).await.expect("expired"), before / 2);
    assert_eq!(store.usage().expect("read").content_bytes, 0);
    assert_eq!(bundle_files(directory.path()).len(), 0);
    check_consistent(&store, Some(directory.path()));
}

#[tokio::test]
async fn an_extended_blob_is_not_expired_at_its_old_end() {
    let store = store_with(vec![registered_until(1, 1, 5), certified_until(1, 1, 2, 5)]).await;
    apply(&store, vec![certified_until(1, 1, 2, 9)]).await;
    for epoch in 5..9 {
        assert_eq!(expire(&store, epoch).await, 0);
        assert_eq!(remains(&store, 1), ALL, "epoch {epoch}");
    }
    apply(&store, vec![certified_until(1, 1, 2, 12)]).await;
    assert_eq!(expire(&store, 9).await, 0, "extended in its last epoch");
    assert_eq!(expire(&store, 12).await, CONTENT_BYTES);
}

#[tokio::test]
async fn a_blob_with_two_objects_lives_until_the_later_end() {
    let store = store_with(vec![registered_until(1, 1, 9), registered_until(1, 2, 5)]).await;
    assert_eq!(expire(&store, 5).await, 0);
    assert_eq!(expire(&store, 8).await, 0);
    assert_eq!(remains(&store, 1), ALL);
    assert_eq!(expire(&store, 9).await, CONTENT_BYTES);
    assert_eq!(expire(&store, 5 + KEPT_EPOCHS).await, 0);
    let record =
        store.blob(&sample_blob(1)).expect("read").expect("known until the later end's time");
    assert_eq!(record.objects.len(), 2);
    expire(&store, 9 + KEPT_EPOCHS).await;
    assert_eq!(remains(&store, 1), NOTHING);
}

#[tokio::test]
async fn when_the_longer_object_is_deleted_the_blob_goes_at_the_next_expiry() {
    let store = store_with(vec![registered_until(1, 1, 5), registered_until(1, 2, 9)]).await;
    assert_eq!(expire(&store, 7).await, 0);
    apply(&store, vec![deleted(1, 2)]).await;
    assert_eq!(expire(&store, 4).await, 0, "still covered then");
    assert_eq!(expire(&store, 7).await, CONTENT_BYTES);
    assert_eq!(remains(&store, 1), OBJECTS);
    apply(&store, vec![deleted(1, 1)]).await;
    assert_eq!(remains(&store, 1), NOTHING);
    check_consistent(&store, None);
}

#[tokio::test]
async fn skipped_epochs_are_made_up_for() {
    let store = Store::in_memory().expect("opens");
    for blob in 1..=8 {
        let end = u32::try_from(blob).expect("small") + 3;
        apply(&store, vec![registered_until(blob, 1, end)]).await;
        put(&store, blob).await;
    }
    assert_eq!(expire(&store, 5).await, 2 * CONTENT_BYTES);
    assert_eq!(expire(&store, 9).await, 4 * CONTENT_BYTES, "those of 6, 7, 8 and 9");
    let left: Vec<_> = (1..=8).filter(|blob| remains(&store, *blob) == ALL).collect();
    assert_eq!(left, [7, 8]);
    assert_eq!(expire(&store, 1000).await, 2 * CONTENT_BYTES, "content and objects at once");
    assert!((1..=8).all(|blob| remains(&store, blob) == NOTHING));
}

#[tokio::test]
async fn expiring_twice_does_nothing_the_second_time() {
    let store = store_with(vec![registered_until(1, 1, 5), registered_until(2, 1, 9)]).await;
    put(&store, 2).await;
    assert_eq!(expire(&store, 5).await, CONTENT_BYTES);
    assert_eq!(expire(&store, 5).await, 0);
    assert_eq!(expire(&store, 3).await, 0, "nor does an earlier epoch");
    assert_eq!((remains(&store, 1), remains(&store, 2)), (OBJECTS, ALL));
}

#[tokio::test]
async fn an_invalid_blob_goes_at_its_end_and_stays_invalid() {
    let store = store_with(vec![registered_until(1, 1, 5), invalidated(1, 3)]).await;
    assert_eq!(expire(&store, 4).await, 0, "it was paid for until then");
    assert_eq!(expire(&store, 5).await, CONTENT_BYTES);
    assert_eq!(remains(&store, 1), OBJECTS);
    expire(&store, 5 + KEPT_EPOCHS).await;
    let record = store.blob(&sample_blob(1)).expect("read").expect("the verdict is final");
    assert_eq!((record.objects.len(), record.invalid), (0, Some(Epoch(3))));
}

#[tokio::test]
async fn a_blob_that_is_paid_for_again_after_its_end_stays() {
    let store = store_with(vec![registered_until(1, 1, 5)]).await;
    assert_eq!(expire(&store, 5).await, CONTENT_BYTES);
    apply(&store, vec![registered_until(1, 2, 80)]).await;
    put(&store, 1).await;
    assert_eq!(expire(&store, 5 + KEPT_EPOCHS).await, 0);
    assert_eq!(remains(&store, 1), ALL);
    assert_eq!(expire(&store, 80).await, CONTENT_BYTES);
}

#[tokio::test]
async fn bytes_that_arrive_after_the_end_go_at_the_next_expiry() {
    let store = store_with(vec![registered_until(1, 1, 5)]).await;
    assert_eq!(expire(&store, 5).await, CONTENT_BYTES);
    put(&store, 1).await;
    assert_eq!(store.pending_bytes().expect("read"), 0, "an object is known");
    check_consistent(&store, None);
    assert_eq!(expire(&store, 6).await, CONTENT_BYTES);
    store.put_certificate(&sample_blob(1), vec![8; 50]).await.expect("stored");
    expire(&store, 7).await;
    assert_eq!(remains(&store, 1), OBJECTS, "a certificate alone goes too");
    expire(&store, 5 + KEPT_EPOCHS).await;
    put(&store, 1).await;
    assert_eq!(store.pending_bytes().expect("read"), CONTENT_BYTES, "now nobody paid for it");
    assert_eq!(expire(&store, 1000).await, 0, "pending blobs have their own rule");
    assert_eq!(store.forget_pending(1).await.expect("forgotten"), CONTENT_BYTES);
}

#[tokio::test]
async fn many_blobs_take_several_transactions_and_all_go() {
    let store = Store::in_memory().expect("opens");
    let many = 3 * u64::try_from(REMOVE_BLOBS_MAX).expect("small") + 1;
    apply(&store, (0..many).map(|blob| registered_until(blob, 1, 5)).collect()).await;
    for blob in 0..many {
        put(&store, blob).await;
    }
    // Given up half-way: what was done stays done, and the next call does the rest.
    let mut call = Box::pin(store.expire(Epoch(5)));
    let polled = std::future::poll_fn(|context| {
        std::task::Poll::Ready(call.as_mut().poll(context).is_pending())
    });
    assert!(polled.await, "the writer has a thread of its own");
    drop(call);
    put(&store, many).await;
    let left = store.usage().expect("read").content_bytes;
    assert_eq!(left, (many - 64 + 1) * CONTENT_BYTES, "one transaction takes so many");
    assert_eq!(expire(&store, 5).await, left - CONTENT_BYTES);
    assert_eq!(store.pending_bytes().expect("read"), CONTENT_BYTES);
}

#[tokio::test]
async fn a_blob_at_the_end_of_time_goes_too() {
    let store = store_with(vec![registered_until(1, 1, u32::MAX)]).await;
    assert_eq!(expire(&store, u32::MAX - 1).await, 0);
    assert_eq!(expire(&store, u32::MAX).await, CONTENT_BYTES);
    assert_eq!(remains(&store, 1), NOTHING);
}
