//! What counts as incomplete and as rotten, and how it stops to.

use std::os::unix::fs::FileExt;

use haulout_protocol::sliver::Axis;
use tempfile::tempdir;

use super::*;
use crate::testing::*;
use crate::{BlobEffect, Store};

/// Large enough for a bundle file.
const LARGE: usize = 20_000;

/// An inventory for shards 0 and 1 in epoch 3 of blobs of two segments, none of which is on its way.
fn inventory(store: &Store) -> (u64, u64, u64) {
    since(store, u64::MAX)
}

fn since(store: &Store, arriving_since_ms: u64) -> (u64, u64, u64) {
    let shards = shards(0..2);
    let scope = Scope { epoch: Epoch(3), shards: &shards, arriving_since_ms };
    let inventory = store.inventory(&scope, |bytes| bytes.div_ceil(500)).expect("read");
    (inventory.certified, inventory.incomplete, inventory.rotten)
}

/// A blob of 1000 bytes is certified.
fn certified(blob: u64) -> [BlobEffect; 2] {
    [registered_until(blob, 1, 9), certified_until(blob, 1, 2, 9)]
}

#[tokio::test]
async fn a_blob_is_incomplete_until_header_and_all_segments_of_our_shards_are_here() {
    let store = Store::in_memory().expect("opens");
    assert_eq!(inventory(&store), (0, 0, 0));
    store.apply(0, certified(1).to_vec()).await.expect("applied");
    assert_eq!(inventory(&store), (1, 1, 0), "nothing is here");
    write_segment(&store, 1, 0, &shards(0..2), 10, 5).await.expect("stored");
    write_segment(&store, 1, 1, &shards(0..1), 10, 5).await.expect("stored");
    assert_eq!(inventory(&store), (1, 1, 0), "no header, and nothing of shard 1 in segment 1");
    store.put_header(&sample_blob(1), vec![1], 5).await.expect("stored");
    assert_eq!(inventory(&store), (1, 1, 0), "nothing of shard 1 in segment 1");
    write_segment(&store, 1, 1, &shards(0..2), 10, 5).await.expect("stored");
    assert_eq!(inventory(&store), (1, 0, 0));
    // What nobody certified, and what is over, is nobody's duty.
    store.apply(1, vec![registered_until(2, 1, 9)]).await.expect("applied");
    let over = vec![registered_until(3, 1, 3), certified_until(3, 1, 2, 3)];
    store.apply(2, over).await.expect("applied");
    assert_eq!(inventory(&store), (1, 0, 0));
}

#[tokio::test]
async fn a_blob_that_began_to_arrive_lately_is_not_called_incomplete() {
    let store = Store::in_memory().expect("opens");
    store.apply(0, certified(1).to_vec()).await.expect("applied");
    write_segment(&store, 1, 0, &shards(0..2), 10, 500).await.expect("stored");
    assert_eq!(since(&store, 500), (1, 0, 0));
    assert_eq!(since(&store, 501), (1, 1, 0));
}

#[tokio::test]
async fn a_damaged_sliver_is_rot_and_makes_its_blob_incomplete_until_it_is_written_again() {
    let directory = tempdir().expect("created");
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    store.apply(0, certified(1).to_vec()).await.expect("applied");
    store.put_header(&sample_blob(1), vec![1], 0).await.expect("stored");
    for segment in 0..2 {
        write_segment(&store, 1, segment, &shards(0..2), LARGE, 0).await.expect("stored");
    }
    assert_eq!((inventory(&store), store.rot_found()), ((1, 0, 0), 0));
    for path in bundle_files(directory.path()) {
        let file = std::fs::OpenOptions::new().write(true).open(path).expect("opens");
        file.write_all_at(&[0; 8], 5).expect("written");
    }
    let read = |segment| store.sliver(&sample_blob(1), segment, ShardIndex(0), Axis::Primary);
    assert!(read(0).is_err() && read(1).is_err());
    // The marks were queued by the reads, so they are committed with or before the next write.
    store.put_certificate(&sample_blob(9), Vec::new()).await.expect("stored");
    assert_eq!((inventory(&store), store.rot_found()), ((1, 1, 2), 2));
    assert!(read(0).is_err());
    assert_eq!(store.rot_found(), 2, "nothing new");
    write_segment(&store, 1, 0, &shards(0..1), LARGE, 0).await.expect("stored");
    drop(store);
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    assert_eq!(inventory(&store), (1, 1, 1), "it is known after a restart, too");
    write_segment(&store, 1, 1, &shards(0..1), LARGE, 0).await.expect("stored");
    assert_eq!(inventory(&store), (1, 0, 0));
}
