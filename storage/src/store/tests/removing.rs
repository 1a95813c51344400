//! What is over or unpaid goes in parts: in between all is consistent, others write, and a restart goes on.

use haulout_protocol::epoch::Epoch;

use super::*;
use crate::Scope;

const SEGMENTS: [(u32, usize); 4] = [(0, LARGE), (1, SMALL), (2, LARGE), (5, SMALL)];

fn open_with(directory: &Path, removed_at_once: usize) -> Store {
    let options = Options { removed_at_once, ..sample_options() };
    Store::open(directory, options).expect("opens")
}

/// Header, certificate and some segments of a blob.
async fn fill(store: &Store, blob: u64) {
    store.put_header(&sample_blob(blob), sample_bytes(blob, 137), 1).await.expect("stored");
    store.put_certificate(&sample_blob(blob), sample_bytes(blob, 90)).await.expect("stored");
    for (segment, length) in SEGMENTS {
        write_segment(store, blob, segment, &shards(0..2), length, 1).await.expect("stored");
    }
}

fn check_filled(store: &Store, blob: u64) {
    for (segment, length) in SEGMENTS {
        check_segment(store, blob, segment, &shards(0..2), length);
    }
    assert!(store.header(&sample_blob(blob)).expect("read").is_some());
}

/// Makes a change part by part, and says after how many parts nothing was left. Every third one is followed by a restart.
async fn in_parts(mut store: Store, directory: &Path, change: impl Fn() -> Change) -> (Store, u32) {
    for parts in 1.. {
        let done = store.write(change(), 0).await.expect("removed");
        check_consistent(&store, Some(directory));
        check_filled(&store, 9);
        if !done.more {
            return (store, parts);
        }
        if parts % 3 == 0 {
            drop(store);
            store = open_with(directory, 3);
        }
    }
    unreachable!("it ends")
}

#[tokio::test]
async fn what_is_over_goes_in_parts_and_a_restart_in_between_goes_on() {
    let directory = tempdir().expect("created");
    let store = open_with(directory.path(), 3);
    let blobs = 1..=4;
    let effects = blobs.clone().map(|blob| registered_until(blob, 1, 5));
    let effects = effects.chain([registered_until(9, 1, 8)]).collect();
    store.apply(1, effects).await.expect("applied");
    for blob in blobs.clone().chain([9]) {
        fill(&store, blob).await;
    }
    let of_one = store.usage().expect("read").content_bytes / 5;
    let expire = || Change::Expire { epoch: Epoch(5), rows_max: 3 };
    let (store, parts) = in_parts(store, directory.path(), expire).await;
    assert!(parts >= 16, "a segment a part, and {parts} parts");
    for blob in blobs {
        assert_eq!(remains(&store, blob), (false, false, true));
    }
    assert_eq!(store.usage().expect("read").content_bytes, of_one);
    assert_eq!(bundle_files(directory.path()).len(), 2, "those of the blob that is paid for");
}

#[tokio::test]
async fn what_nobody_pays_for_goes_in_parts() {
    let directory = tempdir().expect("created");
    let store = open_with(directory.path(), 3);
    store.apply(1, vec![registered_until(9, 1, 8)]).await.expect("applied");
    for blob in [1, 2, 9] {
        fill(&store, blob).await;
    }
    let forget = || Change::Forget { before_ms: 2, rows_max: 3 };
    let (store, parts) = in_parts(store, directory.path(), forget).await;
    assert!(parts >= 8, "a segment a part, and {parts} parts");
    let usage = store.usage().expect("read");
    assert_eq!((usage.pending_bytes, bundle_files(directory.path()).len()), (0, 2));
    assert_eq!(remains(&store, 1), (false, false, false));
}

#[tokio::test]
async fn what_is_paid_for_again_in_between_keeps_what_is_left_and_lacks_what_went() {
    let directory = tempdir().expect("created");
    let store = open_with(directory.path(), 3);
    store.apply(1, vec![registered_until(1, 1, 5)]).await.expect("applied");
    fill(&store, 1).await;
    for _ in 0..2 {
        let expire = Change::Expire { epoch: Epoch(5), rows_max: 3 };
        assert!(store.write(expire, 0).await.expect("removed").more);
    }
    let again = vec![registered_until(1, 2, 9), certified_until(1, 2, 5, 9)];
    store.apply(2, again).await.expect("applied");
    assert_eq!(store.expire(Epoch(5)).await.expect("expired"), 0);
    check_consistent(&store, Some(directory.path()));
    check_segment(&store, 1, 2, &shards(0..2), LARGE);
    let shards = shards(0..2);
    assert!(!store.holds(&sample_blob(1), 3, &shards).expect("read"), "nothing is signed for it");
    let scope = Scope { epoch: Epoch(5), shards: &shards, arriving_since_ms: u64::MAX };
    let page = store.missing(&scope, |_| 3, None).expect("read");
    let pairs: Vec<_> = page.lacking.into_iter().flat_map(|one| one.pairs).collect();
    let gone = |segment| shards.iter().map(move |shard| (segment, *shard));
    assert_eq!(pairs, gone(0).chain(gone(1)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_blob_of_more_objects_than_a_part_has_rows_goes_too() {
    let store = Store::in_memory().expect("opens");
    let effects = (1..=9).map(|object| registered_until(1, object, 5)).collect();
    store.apply(1, effects).await.expect("applied");
    fill(&store, 1).await;
    let mut parts = 0;
    loop {
        let expire = Change::Expire { epoch: Epoch(5), rows_max: 3 };
        parts += 1;
        if !store.write(expire, 0).await.expect("removed").more {
            break;
        }
        assert!(parts < 20, "it goes on");
    }
    assert_eq!(remains(&store, 1), (false, false, true));
    check_consistent(&store, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_write_while_much_goes() {
    let directory = tempdir().expect("created");
    let store = open_with(directory.path(), 3);
    let effects = (1..=40).map(|blob| registered_until(blob, 1, 5)).collect();
    store.apply(1, effects).await.expect("applied");
    for blob in 1..=40 {
        for segment in 0..3 {
            write_segment(&store, blob, segment, &shards(0..1), SMALL, 0).await.expect("stored");
        }
    }
    let expiring = tokio::spawn({
        let store = store.clone();
        async move { store.expire(Epoch(5)).await.expect("expired") }
    });
    let mut written = 0;
    while !expiring.is_finished() {
        store.put_header(&sample_blob(50), vec![7], 0).await.expect("stored");
        written += 1;
    }
    assert!(expiring.await.expect("no panic") > 0);
    assert!(written > 20, "{written} writes between more than a hundred parts");
}
