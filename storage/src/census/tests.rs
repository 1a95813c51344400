//! What is counted as live. That it agrees with `BlobRecord` is in the model test.

use super::*;
use crate::testing::*;
use crate::{BlobEffect, Store};

async fn store_with(effects: Vec<BlobEffect>) -> Store {
    let store = Store::in_memory().expect("opens");
    store.apply(0, effects).await.expect("applied");
    store
}

fn live(store: &Store, epoch: u32) -> u64 {
    store.census(Epoch(epoch)).expect("read").live
}

#[tokio::test]
async fn only_live_certified_blobs_count() {
    assert_eq!(live(&store_with(Vec::new()).await, 5), 0);
    let store = store_with(vec![
        registered_until(1, 1, 9),
        registered_until(2, 1, 9),
        certified_until(2, 1, 3, 9),
        registered_until(3, 1, 9),
        certified_until(3, 1, 4, 9),
    ])
    .await;
    assert_eq!(live(&store, 8), 2, "blob 1 was never certified");
    assert_eq!(live(&store, 9), 0, "over");
}

#[tokio::test]
async fn several_objects_count_as_one_blob_while_a_certified_one_lives() {
    let store = store_with(vec![
        registered_until(1, 1, 5),
        certified_until(1, 1, 2, 5),
        registered_until(1, 2, 9),
        certified_until(1, 2, 4, 9),
        registered_until(1, 3, 20),
    ])
    .await;
    assert_eq!((live(&store, 4), live(&store, 8)), (1, 1));
    assert_eq!(live(&store, 9), 0, "the object that goes on is not certified");
}

#[tokio::test]
async fn an_invalid_blob_does_not_count_and_one_that_is_here_counts_like_any_other() {
    let effects = vec![registered_until(1, 1, 9), certified_until(1, 1, 2, 9), invalidated(1, 3)];
    assert_eq!(live(&store_with(effects).await, 4), 0);
    let effects = vec![registered_until(1, 1, 9), certified_until(1, 1, 2, 9)];
    let store = store_with(effects).await;
    store.put_header(&sample_blob(1), vec![1], 0).await.expect("stored");
    assert_eq!(live(&store, 4), 1);
}
