//! Tests of the store as a whole.

mod crash;
mod folders;
mod images;
mod model;
mod reading;
mod removing;
mod repairing;
mod room;
mod scrubbing;
mod writing;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use tempfile::tempdir;

use super::*;
use crate::testing::*;

const LARGE: usize = 20_000;
const SMALL: usize = 3_000;

fn open(path: &Path) -> Store {
    Store::open(path, sample_options()).expect("opens")
}

async fn check_round_trip(store: &Store, directory: Option<&Path>) {
    let blob = sample_blob(1);
    store.put_header(&blob, b"header".to_vec(), 7).await.expect("stored");
    store.put_certificate(&blob, b"certificate".to_vec()).await.expect("stored");
    for (segment, length) in [(0, LARGE), (1, SMALL), (2, 0), (3, 300_000)] {
        write_segment(store, 1, segment, &shards(3..7), length, 7).await.expect("stored");
        check_segment(store, 1, segment, &shards(3..7), length);
    }
    assert_eq!(store.header(&blob).expect("read").as_deref(), Some(b"header".as_slice()));
    assert_eq!(store.certificate(&blob).expect("read").as_deref(), Some(b"certificate".as_slice()));
    assert_eq!(store.header(&sample_blob(2)).expect("read"), None);
    assert_eq!(store.sliver(&blob, 0, ShardIndex(7), Axis::Primary).expect("read"), None);
    assert_eq!(store.stored_segments(&blob, &shards(3..7)).expect("read"), [0, 1, 2, 3]);
    assert_eq!(store.stored_segments(&blob, &shards(3..8)).expect("read"), []);
    assert!(store.holds(&blob, 4, &shards(4..6)).expect("read"));
    assert!(!store.holds(&blob, 5, &shards(4..6)).expect("read"));
    let counted = |segments, of| store.count_slivers(&blob, segments, &shards(of)).expect("read");
    assert_eq!(counted(2..5, 4..9), [(3, 3), (3, 3), (0, 0)], "shards 4, 5 and 6 of two segments");
    assert_eq!(counted(0..1, 7..9), [(0, 0)]);
    check_consistent(store, directory);
}

#[tokio::test]
async fn memory_returns_what_was_written() {
    let store = Store::in_memory().expect("opens");
    check_round_trip(&store, None).await;
    assert_eq!(store.usage().expect("read").free_bytes, None);
}

#[tokio::test]
async fn disk_returns_what_was_written_also_after_a_restart() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    check_round_trip(&store, Some(directory.path())).await;
    drop(store);
    let store = open(directory.path());
    check_segment(&store, 1, 0, &shards(3..7), LARGE);
    check_segment(&store, 1, 1, &shards(3..7), SMALL);
    assert!(store.holds(&sample_blob(1), 4, &shards(3..7)).expect("read"));
    check_consistent(&store, Some(directory.path()));
}

#[tokio::test]
async fn small_slivers_need_no_file_and_many_of_them_share_one() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    write_segment(&store, 1, 0, &shards(0..4), SMALL, 0).await.expect("stored");
    assert_eq!(bundle_files(directory.path()).len(), 0);
    write_segment(&store, 1, 1, &shards(0..100), SMALL, 0).await.expect("stored");
    assert_eq!(bundle_files(directory.path()).len(), 1);
    check_segment(&store, 1, 1, &shards(0..100), SMALL);
    check_consistent(&store, Some(directory.path()));
}

#[tokio::test]
async fn a_blob_is_held_only_with_header_proof_and_both_slivers() {
    let store = Store::in_memory().expect("opens");
    let blob = sample_blob(1);
    let mut writer = store.segment_writer(blob, 0, 0).expect("starts");
    writer.append(ShardIndex(0), Axis::Primary, b"primary").expect("appended");
    writer.commit().await.expect("stored");
    assert_eq!(store.stored_segments(&blob, &shards(0..1)).expect("read"), []);
    let mut writer = store.segment_writer(blob, 0, 0).expect("starts");
    writer.append(ShardIndex(0), Axis::Secondary, b"secondary").expect("appended");
    writer.commit().await.expect("stored");
    assert_eq!(store.stored_segments(&blob, &shards(0..1)).expect("read"), [], "without a proof");
    let mut writer = store.segment_writer(blob, 0, 0).expect("starts");
    writer.append_proof(ShardIndex(0), b"proof").expect("appended");
    writer.commit().await.expect("stored");
    assert_eq!(store.stored_segments(&blob, &shards(0..1)).expect("read"), [0]);
    assert!(!store.holds(&blob, 1, &shards(0..1)).expect("read"), "the header is missing");
    store.put_header(&blob, b"header".to_vec(), 0).await.expect("stored");
    assert!(store.holds(&blob, 1, &shards(0..1)).expect("read"));
    check_consistent(&store, None);
}

#[tokio::test]
async fn a_sliver_appended_twice_is_written_once() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    let mut writer = store.segment_writer(sample_blob(1), 0, 0).expect("starts");
    for byte in [1, 2] {
        writer.append(ShardIndex(0), Axis::Primary, &[byte; LARGE]).expect("appended");
        writer.append(ShardIndex(0), Axis::Secondary, &[byte; SMALL]).expect("appended");
    }
    writer.commit().await.expect("stored");
    let read = store.sliver(&sample_blob(1), 0, ShardIndex(0), Axis::Primary).expect("read");
    assert!(read.as_deref() == Some([1; LARGE].as_slice()));
    check_consistent(&store, Some(directory.path()));
}

#[tokio::test]
async fn a_writer_that_is_dropped_leaves_nothing() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    let mut writer = store.segment_writer(sample_blob(1), 0, 0).expect("starts");
    writer.append(ShardIndex(0), Axis::Primary, &[1; LARGE]).expect("appended");
    assert_eq!(fs::read_dir(directory.path().join("incoming")).expect("listed").count(), 1);
    drop(writer);
    check_consistent(&store, Some(directory.path()));
    assert_eq!(store.pair_proof(&sample_blob(1), 0, ShardIndex(0)).expect("read"), None);
}

#[tokio::test]
async fn writing_a_segment_again_replaces_it_and_frees_the_old_bundle() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    write_segment(&store, 1, 0, &shards(0..4), LARGE, 0).await.expect("stored");
    let before = store.usage().expect("read").content_bytes;
    // Half of it first: the old bundle stays for the other half.
    write_segment(&store, 1, 0, &shards(0..2), LARGE, 0).await.expect("stored");
    assert_eq!(bundle_files(directory.path()).len(), 2);
    check_consistent(&store, Some(directory.path()));
    write_segment(&store, 1, 0, &shards(0..4), LARGE, 0).await.expect("stored");
    assert_eq!(bundle_files(directory.path()).len(), 1);
    check_consistent(&store, Some(directory.path()));
    check_segment(&store, 1, 0, &shards(0..4), LARGE);
    assert_eq!(store.usage().expect("read").content_bytes, before);
}

#[tokio::test]
async fn unregistered_bytes_are_pending_until_registered_or_forgotten() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    store.put_header(&sample_blob(1), vec![0; 100], 1000).await.expect("stored");
    write_segment(&store, 1, 0, &shards(0..2), LARGE, 1001).await.expect("stored");
    write_segment(&store, 2, 0, &shards(0..2), LARGE, 2000).await.expect("stored");
    assert_eq!(store.pending_bytes().expect("read"), store.usage().expect("read").content_bytes);

    store.apply(10, vec![registered(2, 1)]).await.expect("applied");
    assert_eq!(store.forget_pending(1000).await.expect("forgotten"), 0, "not older than that");
    let bytes = store.pending_bytes().expect("read");
    assert_eq!(store.forget_pending(3000).await.expect("forgotten"), bytes);
    assert_eq!(store.header(&sample_blob(1)).expect("read"), None);
    assert_eq!(store.pair_proof(&sample_blob(1), 0, ShardIndex(0)).expect("read"), None);
    assert_eq!(store.sliver(&sample_blob(1), 0, ShardIndex(0), Axis::Primary).expect("read"), None);
    check_segment(&store, 2, 0, &shards(0..2), LARGE);
    check_consistent(&store, Some(directory.path()));

    store.apply(11, vec![registered(2, 2), deleted(2, 1)]).await.expect("applied");
    assert_eq!(
        store.forget_pending(u64::MAX).await.expect("forgotten"),
        0,
        "another object remains"
    );
    store.apply(12, vec![deleted(2, 2)]).await.expect("applied");
    assert!(store.forget_pending(1).await.expect("forgotten") > 0, "due at once");
    assert_eq!(store.usage().expect("read").content_bytes, 0);
    assert_eq!(bundle_files(directory.path()).len(), 0);
    check_consistent(&store, Some(directory.path()));
}

#[tokio::test]
async fn what_a_writer_comes_back_for_is_pending_from_then_on() {
    let store = Store::in_memory().expect("opens");
    for blob in 1..=3 {
        store.put_header(&sample_blob(blob), vec![0; 68], 10).await.expect("stored");
    }
    store.apply(0, vec![registered(3, 1)]).await.expect("applied");
    for blob in [1, 3, 4] {
        store.renew_pending(&sample_blob(blob), 20).await.expect("renewed, or nothing to renew");
        check_consistent(&store, None);
    }
    store.renew_pending(&sample_blob(1), 15).await.expect("late, and nothing to do");
    let since = [1, 2, 3, 4].map(|blob| store.pending_since(&sample_blob(blob)).expect("read"));
    assert_eq!(since, [Some(20), Some(10), None, None]);
    assert_eq!(store.forget_pending(20).await.expect("forgotten"), 100, "nobody came back for it");
    assert!(store.header(&sample_blob(1)).expect("read").is_some());
    assert_eq!(store.forget_pending(21).await.expect("forgotten"), 100);
    assert_eq!(store.header(&sample_blob(1)).expect("read"), None);
    assert!(store.header(&sample_blob(3)).expect("read").is_some(), "somebody pays for it");
    check_consistent(&store, None);
}

#[tokio::test]
async fn forgetting_many_blobs_takes_several_transactions_and_gets_all() {
    let store = Store::in_memory().expect("opens");
    for blob in 0..150 {
        store.put_header(&sample_blob(blob), vec![0; 68], blob).await.expect("stored");
    }
    assert_eq!(store.forget_pending(140).await.expect("forgotten"), 140 * 100);
    assert_eq!(store.pending_bytes().expect("read"), 10 * 100);
    check_consistent(&store, None);
}

#[tokio::test]
async fn checkpoints_apply_once_and_in_order() {
    let store = Store::in_memory().expect("opens");
    assert_eq!(store.position().expect("read"), None);
    store.apply(41, vec![registered(1, 1)]).await.expect("any start is fine");
    store.apply(41, vec![registered(2, 1)]).await.expect("already applied");
    store.apply(3, vec![registered(2, 1)]).await.expect("already applied");
    assert_eq!(store.blob(&sample_blob(2)).expect("read"), None);
    let gap = store.apply(43, vec![registered(2, 1)]).await;
    assert!(matches!(gap, Err(StoreError::Gap { expected: 42, found: 43 })), "{gap:?}");
    assert_eq!(store.blob(&sample_blob(2)).expect("read"), None);
    store.apply(42, Vec::new()).await.expect("the next one");
    assert_eq!(store.position().expect("read"), Some(42));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_checkpoints_in_flight_apply_in_order() {
    let directory = tempdir().expect("created");
    let options = Options { queue_bytes: 2000, ..sample_options() };
    let store = Store::open(directory.path(), options).expect("opens");
    let mut waiting = Vec::new();
    for number in 0..600 {
        let mut call = Box::pin(store.apply(number, vec![registered(number, 1)]));
        if poll_once(&mut call).await.is_pending() {
            waiting.push(call);
        }
    }
    for call in waiting {
        call.await.expect("in order");
    }
    assert_eq!(store.position().expect("read"), Some(599));
}

#[tokio::test]
async fn a_gap_does_not_hold_up_its_neighbours() {
    let store = Store::in_memory().expect("opens");
    store.apply(0, Vec::new()).await.expect("applied");
    let (blob_1, blob_2) = (sample_blob(1), sample_blob(2));
    let (first, gap, second) = tokio::join!(
        store.put_header(&blob_1, b"one".to_vec(), 0),
        store.apply(9, vec![registered(3, 1)]),
        store.put_header(&blob_2, b"two".to_vec(), 0),
    );
    assert!(first.is_ok() && second.is_ok());
    assert!(matches!(gap, Err(StoreError::Gap { expected: 1, found: 9 })));
}

#[test]
fn a_second_store_on_the_directory_learns_who_holds_it() {
    let directory = tempdir().expect("created");
    let first = open(directory.path());
    let second = Store::open(directory.path(), sample_options());
    let Err(error @ StoreError::AlreadyRunning { pid, .. }) = second else { panic!("{second:?}") };
    assert_eq!(pid, Some(std::process::id()));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())));
    drop(first);
    open(directory.path());
}

#[tokio::test]
async fn a_full_disk_refuses_blobs_and_serves_what_it_has() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    write_segment(&store, 1, 0, &shards(0..2), LARGE, 0).await.expect("stored");
    drop(store);
    let options = Options { reserve_bytes: u64::MAX, ..Options::default() };
    let store = Store::open(directory.path(), options).expect("opens");
    let refused = store.segment_writer(sample_blob(2), 0, 0);
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    let refused = store.put_header(&sample_blob(2), Vec::new(), 0).await;
    assert!(refused.is_err_and(|error| error.is_transient()));
    store.apply(0, vec![registered(1, 1)]).await.expect("the chain goes on inside the reserve");
    check_segment(&store, 1, 0, &shards(0..2), LARGE);
    check_consistent(&store, Some(directory.path()));
}

/// Changes one byte of the only bundle of the store.
fn flip(directory: &Path, offset: u64) {
    let files = bundle_files(directory);
    let file = OpenOptions::new().read(true).write(true).open(&files[0]).expect("opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("read");
    file.write_all_at(&[byte[0] ^ 1], offset).expect("written");
}

async fn next_write(store: &Store) {
    store.put_certificate(&sample_blob(99), Vec::new()).await.expect("stored");
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_named_and_healed_by_writing_again() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    store.put_header(&sample_blob(1), Vec::new(), 0).await.expect("stored");
    write_segment(&store, 1, 0, &shards(0..2), LARGE, 0).await.expect("stored");
    flip(directory.path(), bytes_of(LARGE) + 5);
    let read = || store.sliver(&sample_blob(1), 0, ShardIndex(0), Axis::Secondary);
    let Err(StoreError::Corrupt { what }) = read() else { panic!("{:?}", read()) };
    assert!(what.starts_with("the secondary sliver of shard 0 in segment 0 of blob "), "{what}");
    assert!(
        store.sliver(&sample_blob(1), 0, ShardIndex(0), Axis::Primary).expect("read").is_some()
    );
    // The mark was queued by the read, so it is committed with or before the next write.
    next_write(&store).await;
    assert!(!store.holds(&sample_blob(1), 1, &shards(0..2)).expect("read"));
    assert!(store.holds(&sample_blob(1), 1, &shards(1..2)).expect("read"));
    let counted = store.count_slivers(&sample_blob(1), 0..1, &shards(0..2)).expect("read");
    assert_eq!(counted, [(2, 1)], "what is damaged is not there");
    assert!(matches!(read(), Err(StoreError::Corrupt { .. })));
    write_segment(&store, 1, 0, &shards(0..1), LARGE, 0).await.expect("stored");
    assert!(store.holds(&sample_blob(1), 1, &shards(0..2)).expect("read"));
    check_segment(&store, 1, 0, &shards(0..2), LARGE);
    check_consistent(&store, Some(directory.path()));
}

#[tokio::test]
async fn a_truncated_bundle_is_noticed_at_once_and_at_the_next_start() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    store.put_header(&sample_blob(1), Vec::new(), 0).await.expect("stored");
    write_segment(&store, 1, 0, &shards(0..2), LARGE, 0).await.expect("stored");
    write_segment(&store, 1, 1, &shards(0..2), SMALL, 0).await.expect("stored");
    let file =
        OpenOptions::new().write(true).open(&bundle_files(directory.path())[0]).expect("opens");
    file.set_len(bytes_of(3 * LARGE) + 10).expect("truncated");
    let last = store.sliver(&sample_blob(1), 0, ShardIndex(1), Axis::Secondary);
    assert!(matches!(last, Err(StoreError::Corrupt { .. })), "{last:?}");
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.stored_segments(&sample_blob(1), &shards(0..1)).expect("read"), [1]);
    check_consistent(&store, Some(directory.path()));
    write_segment(&store, 1, 0, &shards(0..2), LARGE, 0).await.expect("stored");
    assert!(store.holds(&sample_blob(1), 2, &shards(0..2)).expect("read"));
    check_consistent(&store, Some(directory.path()));
}

#[tokio::test]
async fn a_lost_bundle_is_corrupt_then_missing_and_an_unknown_one_is_removed() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    write_segment(&store, 1, 0, &shards(0..2), LARGE, 0).await.expect("stored");
    let path = bundle_files(directory.path()).remove(0);
    fs::rename(&path, path.with_file_name("00000000000000ff")).expect("renamed");
    let lost = store.sliver(&sample_blob(1), 0, ShardIndex(0), Axis::Primary);
    assert!(matches!(lost, Err(StoreError::Corrupt { .. })), "{lost:?}");
    drop(store);
    fs::write(directory.path().join("incoming/12"), b"half").expect("written");
    let store = open(directory.path());
    assert_eq!(bundle_files(directory.path()).len(), 0);
    let missing = store.sliver(&sample_blob(1), 0, ShardIndex(0), Axis::Primary);
    assert_eq!(missing.expect("read"), None);
    check_consistent(&store, Some(directory.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_are_all_acknowledged_and_all_durable() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    let mut tasks = tokio::task::JoinSet::new();
    for blob in 0..48 {
        let store = store.clone();
        tasks.spawn(async move {
            store.put_header(&sample_blob(blob), sample_bytes(blob, 73), 0).await.expect("stored");
            let length = if blob % 2 == 0 { LARGE } else { SMALL };
            write_segment(&store, blob, 0, &shards(0..3), length, 0).await.expect("stored");
        });
    }
    tasks.join_all().await;
    drop(store);
    let store = open(directory.path());
    for blob in 0..48 {
        assert!(store.holds(&sample_blob(blob), 1, &shards(0..3)).expect("read"));
        check_segment(&store, blob, 0, &shards(0..3), if blob % 2 == 0 { LARGE } else { SMALL });
    }
    check_consistent(&store, Some(directory.path()));
}

#[tokio::test]
async fn a_value_larger_than_the_queue_still_gets_through() {
    let directory = tempdir().expect("created");
    let options = Options { queue_bytes: 1000, ..sample_options() };
    let store = Store::open(directory.path(), options).expect("opens");
    let bytes = sample_bytes(1, 5000);
    let blob_ids = [sample_blob(1), sample_blob(2)];
    let (first, second) = tokio::join!(
        store.put_header(&blob_ids[0], bytes.clone(), 0),
        store.put_header(&blob_ids[1], bytes.clone(), 0),
    );
    assert!(first.is_ok() && second.is_ok());
    let huge = store.put_header(&blob_ids[0], vec![0; VALUE_BYTES_MAX + 1], 0).await;
    assert!(matches!(huge, Err(StoreError::TooLarge { .. })));
}

#[test]
fn the_header_of_a_blob_of_32_tib_is_the_largest_value() {
    /// Bytes of a segment and of what a header says of it.
    const SEGMENT: (usize, usize) = (32 << 20, 64);
    let largest = (32 << 40) / SEGMENT.0 * SEGMENT.1;
    let size = check_size("a header", &vec![0; largest]);
    assert_eq!(size.expect("small enough"), largest);
    let refused = check_size("a header", &vec![0; largest + 1]);
    let Err(StoreError::TooLarge { what: "a header", bytes, max }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((bytes, max), (bytes_of(largest) + 1, bytes_of(largest)));
}

#[tokio::test]
async fn a_commit_whose_caller_went_away_happens_whole_or_not_at_all() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    for blob in 0..20 {
        let mut writer = store.segment_writer(sample_blob(blob), 0, 0).expect("starts");
        writer.append(ShardIndex(0), Axis::Primary, &[7; LARGE]).expect("appended");
        let mut commit = Box::pin(writer.commit());
        // Polled once or not at all, then dropped.
        if blob % 2 == 0 {
            let _ = poll_once(&mut commit).await;
        }
    }
    drop(store);
    let store = loop {
        // Abandoned commits may hold the last clone for a moment.
        match Store::open(directory.path(), sample_options()) {
            Ok(store) => break store,
            Err(StoreError::AlreadyRunning { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    check_consistent(&store, Some(directory.path()));
    for blob in (1..20).step_by(2) {
        assert_eq!(store.pair_proof(&sample_blob(blob), 0, ShardIndex(0)).expect("read"), None);
    }
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context))
    })
    .await
}
