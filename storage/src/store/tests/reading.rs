//! Reads beside writes, and disks that say no.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sliver_that_is_replaced_while_it_is_read_is_found_again() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    write_segment(&store, 1, 0, &shards(0..1), LARGE, 0).await.expect("stored");
    let is_over = Arc::new(AtomicBool::new(false));
    let readers = [0, 1].map(|_| {
        let (store, is_over) = (store.clone(), Arc::clone(&is_over));
        tokio::task::spawn_blocking(move || {
            while !is_over.load(Ordering::SeqCst) {
                check_segment(&store, 1, 0, &shards(0..1), LARGE);
            }
        })
    });
    for _ in 0..100 {
        write_segment(&store, 1, 0, &shards(0..1), LARGE, 0).await.expect("stored");
    }
    is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.expect("every read found what was written");
    }
    assert_eq!(store.stored_segments(&sample_blob(1), &shards(0..1)).expect("read"), [0]);
}

#[tokio::test]
async fn a_bundle_that_cannot_be_read_now_is_not_taken_for_lost() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    write_segment(&store, 1, 0, &shards(0..1), LARGE, 0).await.expect("stored");
    let path = bundle_files(directory.path()).remove(0);
    let aside = directory.path().join("aside");
    fs::rename(&path, &aside).expect("renamed");
    fs::create_dir(&path).expect("created");
    let refused = store.sliver(&sample_blob(1), 0, ShardIndex(0), Axis::Primary);
    let Err(error @ StoreError::Io { action: "read", .. }) = refused else { panic!("{refused:?}") };
    assert!(error.is_transient());
    next_write(&store).await;
    assert_eq!(store.stored_segments(&sample_blob(1), &shards(0..1)).expect("read"), [0]);
    fs::remove_dir(&path).expect("removed");
    fs::rename(&aside, &path).expect("renamed");
    check_segment(&store, 1, 0, &shards(0..1), LARGE);
}
