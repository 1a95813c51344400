//! What is counted as live, as earlier and as absent. That it agrees with `BlobRecord` is in the model test.

use super::*;
use crate::testing::*;
use crate::{BlobEffect, Store};

async fn store_with(effects: Vec<BlobEffect>) -> Store {
    let store = Store::in_memory().expect("opens");
    store.apply(0, effects).await.expect("applied");
    store
}

fn census(store: &Store, epoch: u32) -> (u64, u64) {
    let census = store.census(Epoch(epoch)).expect("read");
    (census.earlier, census.absent)
}

#[tokio::test]
async fn a_network_without_blobs_has_nothing_earlier_and_nothing_absent() {
    assert_eq!(census(&store_with(Vec::new()).await, 5), (0, 0));
}

#[tokio::test]
async fn only_live_certified_blobs_count_and_earlier_ones_are_told_apart() {
    let store = store_with(vec![
        registered_until(1, 1, 9),
        registered_until(2, 1, 9),
        certified_until(2, 1, 3, 9),
        registered_until(3, 1, 9),
        certified_until(3, 1, 4, 9),
    ])
    .await;
    assert_eq!(census(&store, 3), (0, 2), "certified in that epoch is not before it");
    assert_eq!(census(&store, 4), (1, 2));
    assert_eq!(census(&store, 5), (2, 2), "blob 1 was never certified");
    assert_eq!(census(&store, 8), (2, 2));
    assert_eq!(census(&store, 9), (0, 0), "over");
}

#[tokio::test]
async fn several_objects_count_as_one_blob_certified_when_the_first_was() {
    let store = store_with(vec![
        registered_until(1, 1, 5),
        certified_until(1, 1, 2, 5),
        registered_until(1, 2, 9),
        certified_until(1, 2, 4, 9),
        registered_until(1, 3, 20),
    ])
    .await;
    assert_eq!(census(&store, 4), (1, 1));
    assert_eq!(census(&store, 8), (1, 1));
    assert_eq!(census(&store, 9), (0, 0), "the object that goes on is not certified");
}

#[tokio::test]
async fn an_invalid_blob_does_not_count() {
    let effects = vec![registered_until(1, 1, 9), certified_until(1, 1, 2, 9), invalidated(1, 3)];
    assert_eq!(census(&store_with(effects).await, 4), (0, 0));
}

#[tokio::test]
async fn a_blob_of_which_anything_is_stored_is_not_absent() {
    let effects =
        (1..=3).flat_map(|blob| [registered_until(blob, 1, 9), certified_until(blob, 1, 2, 9)]);
    let store = store_with(effects.collect()).await;
    store.put_header(&sample_blob(1), vec![1], 0).await.expect("stored");
    write_segment(&store, 2, 0, &shards(0..1), 10, 0).await.expect("stored");
    write_segment(&store, 4, 0, &shards(0..1), 10, 0).await.expect("stored");
    assert_eq!(census(&store, 3), (3, 1), "blob 4 is stored, but nobody certified it");
}
