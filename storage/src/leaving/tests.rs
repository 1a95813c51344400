//! A shard that left takes nothing of the others with it, and the disk gets its bytes back.

use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::encode_short;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::epoch_change::Holding;
use haulout_protocol::merkle::MultiProof;
use haulout_protocol::sliver::pair_of_shard;
use tempfile::tempdir;

use super::*;
use crate::testing::*;
use crate::{ShortBlob, Store};

/// Large enough for a bundle.
const LARGE: usize = 20_000;
const LOCKED: Holding = Holding::Locked { since: Epoch(2) };

fn parameters() -> Parameters {
    let parameters = Parameters::new(20, 1 << 16).expect("valid parameters");
    parameters.with_short_blobs(1 << 16).expect("valid parameters")
}

/// Removes a shard and says how many calls and bytes that took.
async fn drop_all(store: &Store, shard: u16, directory: Option<&std::path::Path>) -> (usize, u64) {
    let (mut calls, mut bytes) = (0, 0);
    loop {
        let dropped = store.drop_shard(ShardIndex(shard), &parameters()).await.expect("removed");
        (calls, bytes) = (calls + 1, bytes + dropped.bytes);
        check_consistent(store, directory);
        let is_left = store.leaving().expect("read").contains(&ShardIndex(shard));
        assert_eq!(is_left, !dropped.is_done);
        if dropped.is_done {
            return (calls, bytes);
        }
    }
}

/// Bytes that the disk keeps for the bundles.
fn allocated(directory: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let blocks = |path: std::path::PathBuf| path.metadata().expect("exists").blocks() * 512;
    bundle_files(directory).into_iter().map(blocks).sum()
}

#[tokio::test]
async fn a_shard_that_left_frees_its_disk_and_leaves_the_others_whole() {
    let directory = tempdir().expect("created");
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    store.apply(0, vec![registered(1, 1)]).await.expect("applied");
    for (blob, segment, length) in [(1, 0, LARGE), (1, 1, 300), (2, 0, LARGE), (3, 7, 4 * LARGE)] {
        write_segment(&store, blob, segment, &shards(0..4), length, 5).await.expect("stored");
    }
    let (before, on_disk) =
        (store.usage().expect("read").content_bytes, allocated(directory.path()));
    let of_one = u64::try_from(2 * (LARGE + 300 + LARGE + 4 * LARGE) + 4 * (640 + 32)).unwrap();
    assert_eq!(drop_all(&store, 2, Some(directory.path())).await.1, of_one);
    assert_eq!(store.usage().expect("read").content_bytes, before - of_one);
    let (freed, blocks) = (on_disk - allocated(directory.path()), 2 * 3 * 4096);
    let of_bundles = u64::try_from(2 * 6 * LARGE).unwrap();
    assert!(freed + blocks >= of_bundles, "{freed} of {of_bundles} bytes are back");
    for (blob, segment, length) in [(1, 0, LARGE), (1, 1, 300), (2, 0, LARGE), (3, 7, 4 * LARGE)] {
        check_segment(&store, blob, segment, &[0, 1, 3].map(ShardIndex), length);
        for axis in Axis::BOTH {
            let gone = store.sliver(&sample_blob(blob), segment, ShardIndex(2), axis);
            assert_eq!(gone.expect("read"), None);
        }
        let proof = store.pair_proof(&sample_blob(blob), segment, ShardIndex(2));
        assert_eq!(proof.expect("read"), None);
    }
    for shard in [0, 1, 3] {
        drop_all(&store, shard, Some(directory.path())).await;
    }
    assert_eq!(
        store.usage().expect("read"),
        crate::Usage { free_bytes: store.usage().unwrap().free_bytes, ..Default::default() }
    );
    assert_eq!(bundle_files(directory.path()).len(), 0);
}

#[tokio::test]
async fn a_shard_that_is_ours_is_not_removed_and_the_store_goes_on() {
    let store = Store::in_memory().expect("opens");
    write_segment(&store, 1, 0, &shards(0..2), 300, 5).await.expect("stored");
    let ours = [Holding::Held, Holding::Missing { since: Epoch(2) }];
    for holding in ours {
        store.set_shards(vec![(ShardIndex(1), Some(holding))]).await.expect("set");
        let refused = store.drop_shard(ShardIndex(1), &parameters()).await;
        assert!(matches!(refused, Err(StoreError::ShardInUse { shard: ShardIndex(1) })));
    }
    store.set_shards(vec![(ShardIndex(1), Some(LOCKED))]).await.expect("set");
    check_segment(&store, 1, 0, &shards(0..2), 300);
    drop_all(&store, 1, None).await;
    assert!(store.shards().expect("read").is_empty());
    check_segment(&store, 1, 0, &shards(0..1), 300);
}

#[tokio::test]
async fn what_was_begun_goes_on_after_a_restart_and_stops_when_the_shard_is_back() {
    let directory = tempdir().expect("created");
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    let segments = u32::try_from(SEGMENTS_MAX).expect("small") + 1;
    for segment in 0..segments {
        write_segment(&store, 1, segment, &shards(0..2), 1, 5).await.expect("stored");
    }
    let first = store.drop_shard(ShardIndex(0), &parameters()).await.expect("removed");
    assert!(!first.is_done);
    drop(store);
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    assert_eq!(store.leaving().expect("read"), shards(0..1));
    let stored = store.stored_segments(&sample_blob(1), &shards(0..1)).expect("read");
    assert_eq!(stored, [segments - 1], "as much as one transaction takes");
    let held = vec![(ShardIndex(0), Some(Holding::Held))];
    store.set_shards(held).await.expect("set");
    assert!(store.leaving().expect("read").is_empty());
    assert!(store.drop_shard(ShardIndex(0), &parameters()).await.is_err());
    store.set_shards(vec![(ShardIndex(0), None)]).await.expect("set");
    drop_all(&store, 0, Some(directory.path())).await;
    let stored = store.stored_segments(&sample_blob(1), &shards(0..1)).expect("read");
    assert!(stored.is_empty());
    check_segment(&store, 1, segments - 1, &shards(1..2), 1);
}

/// A short blob as a node of these shards keeps it.
fn short_of(range: std::ops::Range<u16>) -> (BlobId, ShortBlob) {
    let encoded = encode_short(&parameters(), &[7; 3000]);
    let blob_id = encoded.header().blob_id();
    let place = |shard: u16| pair_of_shard(&parameters(), &blob_id, 0, ShardIndex(shard)).0;
    let mut placed: Vec<_> = range.map(|shard| (place(shard), ShardIndex(shard))).collect();
    placed.sort_unstable();
    let places: Vec<_> = placed.iter().map(|(place, _)| *place).collect();
    let symbol = |(place, shard): &(u16, ShardIndex)| (*shard, encoded.symbol(*place));
    let blob = ShortBlob {
        header: encoded.header().to_bytes().into(),
        symbols: placed.iter().map(symbol).collect(),
        proof: encoded.prove(&places).expect("there are such symbols").to_bytes().into(),
    };
    (blob_id, blob)
}

#[tokio::test]
async fn a_short_blob_loses_the_symbol_and_still_proves_the_others() {
    let store = Store::in_memory().expect("opens");
    let (blob_id, blob) = short_of(0..5);
    store.put_short(&blob_id, blob, 5).await.expect("stored");
    drop_all(&store, 4, None).await;
    drop_all(&store, 9, None).await;
    let left = short_of(0..4).1;
    assert!(MultiProof::from_bytes(&left.proof).is_some());
    assert_eq!(store.short(&blob_id).expect("read"), Some(left), "as if no more had come");
    for shard in 0..4 {
        drop_all(&store, shard, None).await;
    }
    assert_eq!(store.short(&blob_id).expect("read"), None);
    assert_eq!(store.usage().expect("read"), crate::Usage::default());
}

#[tokio::test]
async fn a_short_blob_that_rotted_stays_as_it_is() {
    let store = Store::in_memory().expect("opens");
    let (blob_id, blob) = short_of(0..2);
    store.put_short(&blob_id, blob, 5).await.expect("stored");
    spoil_short(&store, &blob_id);
    assert_eq!(drop_all(&store, 0, None).await.1, 0);
    assert!(store.short(&blob_id).is_err());
}

#[tokio::test]
async fn a_sliver_that_is_written_again_leaves_a_hole_that_an_expiry_gives_back() {
    let directory = tempdir().expect("created");
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    write_segment(&store, 1, 0, &shards(0..3), 4 * LARGE, 5).await.expect("stored");
    let before = allocated(directory.path());
    write_segment(&store, 1, 0, &shards(1..2), 4 * LARGE, 5).await.expect("stored");
    assert!(allocated(directory.path()) > before);
    store.expire(Epoch(1)).await.expect("expired");
    let blocks = 2 * 4096 + 4096;
    assert!(allocated(directory.path()) <= before + blocks);
    check_segment(&store, 1, 0, &shards(0..3), 4 * LARGE);
    check_consistent(&store, Some(directory.path()));
}

#[tokio::test]
async fn what_becomes_nobodys_while_the_disk_gets_bytes_back_stays_noted() {
    let directory = tempdir().expect("created");
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    write_segment(&store, 1, 0, &shards(0..4), LARGE, 5).await.expect("stored");
    write_segment(&store, 1, 0, &shards(1..2), LARGE, 5).await.expect("stored");
    let seen = holes::first(&store.view().expect("readable"), 9).expect("read");
    write_segment(&store, 1, 0, &shards(2..3), LARGE, 5).await.expect("stored");
    let transaction = store.database().begin_write().expect("begins");
    let bundles: Vec<_> = seen.iter().map(|one| (one.bundle, one.live)).collect();
    let mut tables = Tables::open(&transaction).expect("opens");
    holes::settle(&mut tables, &bundles).expect("settled");
    drop(tables);
    transaction.commit().expect("committed");
    let noted = holes::first(&store.view().expect("readable"), 9).expect("read");
    assert_eq!((seen.len(), noted.len()), (1, 1));
    assert_eq!(noted[0].live, seen[0].live - 2);
}
