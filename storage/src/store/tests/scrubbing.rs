//! Everything stored is read again, slice by slice, and what rotted is known though nobody asked for it.

use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::epoch_change::Holding;

use super::repairing::spoil;
use super::*;
use crate::tables::{SHORT_PROOFS, SMALL as SMALL_SLIVERS, SliverKey};
use crate::{Scope, ScrubPlace, Scrubbed};

/// Slivers of both places, proofs, headers, certificates and short blobs, of more blobs than one.
async fn filled(directory: &Path) -> Store {
    let store = open(directory);
    let blobs = 1..=4;
    let effects = blobs.clone().flat_map(|blob| {
        let object = u8::try_from(blob).expect("few");
        [registered_until(blob, object, 9), certified_until(blob, object, 2, 9)]
    });
    store.apply(1, effects.collect()).await.expect("applied");
    store.set_shards(vec![(ShardIndex(0), Some(Holding::Held))]).await.expect("set");
    for blob in blobs {
        store.put_certificate(&sample_blob(blob), sample_bytes(blob, 90)).await.expect("stored");
        if blob == 4 {
            store.put_short(&sample_blob(blob), sample_short(blob, 0..2), 0).await.expect("stored");
            continue;
        }
        store.put_header(&sample_blob(blob), sample_bytes(blob, 137), 0).await.expect("stored");
        for (segment, length) in [(0, LARGE), (1, SMALL)] {
            write_segment(&store, blob, segment, &shards(0..2), length, 0).await.expect("stored");
        }
    }
    store
}

/// Reads all of it in slices of that size, from a place to the end and from the beginning to that place.
async fn tour(store: &Store, from: ScrubPlace, bytes: u64) -> (Scrubbed, u64) {
    let (mut all, mut slices, mut at, mut is_past_end) = (Scrubbed::default(), 0, from, false);
    loop {
        let read = store.scrub(at, bytes).await.expect("read");
        all.bytes += read.bytes;
        all.rotten += read.rotten;
        all.unreadable += read.unreadable;
        slices += 1;
        let has_wrapped = is_past_end;
        is_past_end |= read.next.is_none();
        at = read.next.unwrap_or_default();
        if is_past_end && (at >= from || has_wrapped && read.next.is_none()) {
            return (all, slices);
        }
    }
}

/// From the beginning, in one slice.
async fn look(store: &Store) -> Scrubbed {
    tour(store, ScrubPlace::default(), u64::MAX).await.0
}

/// The pairs that the store lists as missing of that blob, and whether its header is.
fn lacking(store: &Store, blob: u64) -> Option<(bool, Vec<(u32, u16)>)> {
    let shards = shards(0..2);
    let scope = Scope { epoch: Epoch(3), shards: &shards, arriving_since_ms: u64::MAX };
    let page = store.missing(&scope, |_| 2, None).expect("read");
    let found = page.lacking.into_iter().find(|one| one.blob_id == sample_blob(blob))?;
    let pairs = found.pairs.into_iter().map(|(segment, shard)| (segment, shard.0)).collect();
    Some((found.has_header, pairs))
}

#[tokio::test]
async fn every_stored_byte_is_read_wherever_a_tour_begins_and_however_small_its_slices_are() {
    let directory = tempdir().expect("created");
    let store = filled(directory.path()).await;
    let certificates = 4 * (32 + 90);
    let stored = store.usage().expect("read").content_bytes + certificates;
    let (all, slices) = tour(&store, ScrubPlace::default(), u64::MAX).await;
    assert_eq!((all.bytes, all.rotten, all.unreadable, slices), (stored, 0, 0, 1));
    for bytes in [1, 700, 30_000] {
        let (all, slices) = tour(&store, ScrubPlace::default(), bytes).await;
        assert_eq!(all.bytes, stored, "each byte once, in {slices} slices");
        assert!(slices > 4, "{slices} slices of {bytes}");
        for drawn in [[0; 32], [0x55; 32], [0xff; 32], *sample_blob(2).as_bytes()] {
            let (all, _) = tour(&store, ScrubPlace::drawn(drawn), bytes).await;
            assert!((stored..=stored + 2 * bytes_of(LARGE)).contains(&all.bytes), "{drawn:?}");
        }
    }
    let empty = Store::in_memory().expect("opens");
    assert_eq!(look(&empty).await, Scrubbed::default());
}

#[tokio::test]
async fn what_rotted_is_missing_from_then_on_though_nobody_read_it() {
    let directory = tempdir().expect("created");
    let store = filled(directory.path()).await;
    for blob in 1..=4 {
        assert_eq!(lacking(&store, blob), None);
    }
    next_write(&store).await; // notes of whole blobs are gone
    let blobs: Vec<_> = (1..=4).map(|blob| *sample_blob(blob).as_bytes()).collect();
    let sliver =
        tables::sliver_key(&tables::segment_key(&blobs[0], 1), ShardIndex(1), Axis::Primary);
    spoil::<&SliverKey>(&store, SMALL_SLIVERS, &sliver);
    spoil(&store, HEADERS, &blobs[1]);
    let proof = tables::pair_key(&tables::segment_key(&blobs[2], 0), ShardIndex(0));
    spoil::<&tables::PairKey>(&store, PROOFS, &proof);
    spoil(&store, SHORT_PROOFS, &blobs[3]);
    spoil(&store, CERTIFICATES, &blobs[2]);
    let read = look(&store).await;
    assert_eq!((read.rotten, store.rot_found()), (5, 5));
    assert_eq!(lacking(&store, 1), Some((true, vec![(1, 1)])));
    assert_eq!(lacking(&store, 2), Some((false, vec![])));
    assert_eq!(lacking(&store, 3), Some((true, vec![(0, 0)])));
    assert_eq!(lacking(&store, 4), Some((false, vec![(0, 0), (0, 1)])));
    assert_eq!(store.certificate(&sample_blob(3)).expect("forgotten"), None);
    assert_eq!(store.rotten_values().expect("read"), 3, "header, proof and short blob");
    assert_eq!(look(&store).await.rotten, 0, "what is known is no news");
    drop(store);
    let store = open(directory.path());
    assert_eq!(lacking(&store, 1), Some((true, vec![(1, 1)])), "after a restart, too");
    assert_eq!(lacking(&store, 2), Some((false, vec![])));

    store.put_header(&sample_blob(2), sample_bytes(2, 137), 0).await.expect("stored");
    store.put_short(&sample_blob(4), sample_short(4, 0..2), 0).await.expect("stored");
    for (blob, segment, length) in [(1, 1, SMALL), (3, 0, LARGE)] {
        write_segment(&store, blob, segment, &shards(0..2), length, 0).await.expect("stored");
    }
    assert_eq!(look(&store).await.rotten, 0);
    for blob in 1..=4 {
        assert_eq!(lacking(&store, blob), None);
    }
    check_consistent(&store, Some(directory.path()));
}

#[tokio::test]
async fn a_flipped_bit_in_a_file_is_found_and_so_is_a_file_that_is_gone() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    write_segment(&store, 1, 0, &shards(0..2), LARGE, 0).await.expect("stored");
    assert_eq!(look(&store).await.rotten, 0);
    flip(directory.path(), bytes_of(LARGE) + 5);
    assert_eq!(look(&store).await.rotten, 1);
    assert_eq!(store.stored_segments(&sample_blob(1), &shards(1..2)).expect("read"), [0]);
    assert_eq!(store.stored_segments(&sample_blob(1), &shards(0..1)).expect("read"), []);
    fs::remove_file(bundle_files(directory.path()).remove(0)).expect("removed");
    assert_eq!(look(&store).await.rotten, 3, "the others");
    assert_eq!(store.stored_segments(&sample_blob(1), &shards(1..2)).expect("read"), []);
}

#[tokio::test]
async fn what_cannot_be_read_now_is_counted_and_not_taken_for_rot() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    for segment in [0, 1] {
        write_segment(&store, 1, segment, &shards(0..1), LARGE, 0).await.expect("stored");
    }
    let path = bundle_files(directory.path()).remove(0);
    let aside = directory.path().join("aside");
    fs::rename(&path, &aside).expect("renamed");
    fs::create_dir(&path).expect("created");
    let read = look(&store).await;
    assert_eq!((read.rotten, read.unreadable), (0, 2), "and the rest is read all the same");
    assert_eq!(read.bytes, store.usage().expect("read").content_bytes);
    fs::remove_dir(&path).expect("removed");
    fs::rename(&aside, &path).expect("renamed");
    assert_eq!(look(&store).await.unreadable, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sliver_that_is_replaced_while_it_is_read_is_not_called_rotten() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    write_segment(&store, 1, 0, &shards(0..1), LARGE, 0).await.expect("stored");
    let scrubbing = tokio::spawn({
        let store = store.clone();
        async move {
            for _ in 0..300 {
                assert_eq!(look(&store).await.rotten, 0);
            }
        }
    });
    while !scrubbing.is_finished() {
        write_segment(&store, 1, 0, &shards(0..1), LARGE, 0).await.expect("stored");
    }
    scrubbing.await.expect("nothing rotted");
}
