//! What counts as missing and as rotten, how it stops to, and that nobody looks at what is whole.

use std::os::unix::fs::FileExt;

use haulout_protocol::machine::epoch_change::Holding;
use haulout_protocol::sliver::Axis;
use tempfile::tempdir;

use super::*;
use crate::tables::HEADERS;
use crate::testing::*;
use crate::writer::Change;
use crate::{BlobEffect, Filling, Store};

/// Large enough for a bundle file.
const LARGE: usize = 20_000;

/// How many blobs lack something of shards 0 and 1 in epoch 3, and how many values are rotten; blobs have two segments, and
/// none is on its way.
fn look(store: &Store) -> (usize, u64) {
    since(store, u64::MAX)
}

fn since(store: &Store, arriving_since_ms: u64) -> (usize, u64) {
    let page = page(store, arriving_since_ms, None);
    assert_eq!(page.end, None, "all fits one page");
    (page.lacking.len(), page.rotten + store.rotten_values().expect("read"))
}

fn page(store: &Store, arriving_since_ms: u64, after: Option<PageEnd>) -> Page {
    let shards = shards(0..2);
    let scope = Scope { epoch: Epoch(3), shards: &shards, arriving_since_ms };
    store.missing(&scope, |bytes| bytes.div_ceil(500), after).expect("read")
}

/// Blobs that are noted. What a look queued is committed with or before what is written here.
async fn noted(store: &Store) -> u64 {
    store.put_certificate(&sample_blob(9), Vec::new()).await.expect("stored");
    let view = store.view().expect("readable");
    redb::ReadableTableMetadata::len(&view.open_table(WANTING).expect("opens")).expect("counted")
}

/// A blob of 1000 bytes is certified.
fn certified(blob: u64) -> [BlobEffect; 2] {
    [registered_until(blob, 1, 9), certified_until(blob, 1, 2, 9)]
}

#[tokio::test]
async fn a_blob_is_incomplete_until_header_and_all_segments_of_our_shards_are_here() {
    let store = Store::in_memory().expect("opens");
    assert_eq!(look(&store), (0, 0));
    store.apply(0, certified(1).to_vec()).await.expect("applied");
    assert_eq!(look(&store), (1, 0), "nothing is here");
    write_segment(&store, 1, 0, &shards(0..2), 10, 5).await.expect("stored");
    write_segment(&store, 1, 1, &shards(0..1), 10, 5).await.expect("stored");
    assert_eq!(look(&store), (1, 0), "no header, and nothing of shard 1 in segment 1");
    store.put_header(&sample_blob(1), vec![1], 5).await.expect("stored");
    assert_eq!(look(&store), (1, 0), "nothing of shard 1 in segment 1");
    write_segment(&store, 1, 1, &shards(0..2), 10, 5).await.expect("stored");
    assert_eq!(look(&store), (0, 0));
    // What nobody certified, and what is over, is nobody's duty.
    store.apply(1, vec![registered_until(2, 1, 9)]).await.expect("applied");
    let over = vec![registered_until(3, 1, 3), certified_until(3, 1, 2, 3)];
    store.apply(2, over).await.expect("applied");
    assert_eq!(look(&store), (0, 0));
}

#[tokio::test]
async fn a_blob_that_began_to_arrive_lately_is_not_called_incomplete() {
    let store = Store::in_memory().expect("opens");
    store.apply(0, certified(1).to_vec()).await.expect("applied");
    write_segment(&store, 1, 0, &shards(0..2), 10, 500).await.expect("stored");
    assert_eq!(since(&store, 500), (0, 0));
    assert_eq!(noted(&store).await, 1, "and is looked at again");
    assert_eq!(since(&store, 501), (1, 0));
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
    assert_eq!((look(&store), store.rot_found()), ((0, 0), 0));
    for path in bundle_files(directory.path()) {
        let file = std::fs::OpenOptions::new().write(true).open(path).expect("opens");
        file.write_all_at(&[0; 8], 5).expect("written");
    }
    let read = |segment| store.sliver(&sample_blob(1), segment, ShardIndex(0), Axis::Primary);
    assert!(read(0).is_err() && read(1).is_err());
    // The marks were queued by the reads, so they are committed with or before the next write.
    store.put_certificate(&sample_blob(9), Vec::new()).await.expect("stored");
    assert_eq!((look(&store), store.rot_found()), ((1, 2), 2));
    assert!(read(0).is_err());
    assert_eq!(store.rot_found(), 2, "nothing new");
    write_segment(&store, 1, 0, &shards(0..1), LARGE, 0).await.expect("stored");
    drop(store);
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    assert_eq!(look(&store), (1, 1), "it is known after a restart, too");
    write_segment(&store, 1, 1, &shards(0..1), LARGE, 0).await.expect("stored");
    assert_eq!(look(&store), (0, 0));
}

/// A whole blob of two segments.
async fn whole(store: &Store, blob: u64) {
    store.put_header(&sample_blob(blob), vec![1], 0).await.expect("stored");
    for segment in 0..2 {
        write_segment(store, blob, segment, &shards(0..2), 10, 0).await.expect("stored");
    }
}

#[tokio::test]
async fn a_blob_that_was_found_whole_is_not_looked_at_until_something_is_noted_of_it() {
    let store = Store::in_memory().expect("opens");
    whole(&store, 1).await;
    store.apply(0, certified(1).to_vec()).await.expect("applied");
    store.apply(1, certified(2).to_vec()).await.expect("applied");
    assert_eq!((look(&store), noted(&store).await), ((1, 0), 1), "the second is missing");
    store.apply(2, vec![certified_until(1, 1, 2, 12)]).await.expect("applied");
    assert_eq!(noted(&store).await, 2, "it was extended");
    assert_eq!((look(&store), noted(&store).await), ((1, 0), 1));
    store.apply(3, vec![deleted(2, 1)]).await.expect("applied");
    assert_eq!(noted(&store).await, 0, "nobody's duty any more");
}

#[tokio::test]
async fn a_note_that_came_after_a_look_stays() {
    let store = Store::in_memory().expect("opens");
    whole(&store, 1).await;
    store.apply(0, certified(1).to_vec()).await.expect("applied");
    let seen = super::page(
        &store.view().expect("readable"),
        &Scope { epoch: Epoch(3), shards: &shards(0..2), arriving_since_ms: u64::MAX },
        |_| 2,
        None,
    );
    let blobs = seen.expect("read").whole;
    assert_eq!(blobs.len(), 1);
    store.apply(1, vec![certified_until(1, 1, 2, 12)]).await.expect("applied");
    store.mention(Change::Whole { blobs });
    assert_eq!(noted(&store).await, 1);
}

#[tokio::test]
async fn a_blob_of_many_segments_is_looked_at_in_pages_and_whole_only_if_all_of_it_is() {
    let store = Store::in_memory().expect("opens");
    let bytes = 500 * u64::from(2 * PAGE_SEGMENTS_MAX + 2);
    let mut long = certified(1);
    let BlobEffect::Registered { size, .. } = &mut long[0] else {
        panic!("it is registered first")
    };
    *size = bytes;
    store.apply(0, long.to_vec()).await.expect("applied");
    store.apply(1, certified(2).to_vec()).await.expect("applied");
    let (mut after, mut pairs, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = page(&store, u64::MAX, after);
        pairs.extend(page.lacking.into_iter().flat_map(|lacking| {
            let named = move |(segment, shard)| (lacking.blob_id, segment, shard);
            lacking.pairs.into_iter().map(named)
        }));
        pages += 1;
        after = page.end;
        if after.is_none() {
            break;
        }
    }
    let expected = 2 * (2 * PAGE_SEGMENTS_MAX as usize + 2) + 2 * 2;
    assert_eq!((pages, pairs.len()), (3, expected));
    pairs.dedup();
    assert_eq!(pairs.len(), expected, "each once");
    assert_eq!(noted(&store).await, 2, "the last page of it alone does not make it whole");
}

#[tokio::test]
async fn what_is_noted_between_two_pages_of_a_blob_is_not_forgotten_with_the_last() {
    let store = Store::in_memory().expect("opens");
    let segments = PAGE_SEGMENTS_MAX + 1;
    let mut long = certified(1);
    let BlobEffect::Registered { size, .. } = &mut long[0] else {
        panic!("it is registered first")
    };
    *size = 500 * u64::from(segments);
    store.put_header(&sample_blob(1), vec![1], 0).await.expect("stored");
    for segment in 0..segments {
        write_segment(&store, 1, segment, &shards(0..2), 10, 0).await.expect("stored");
    }
    store.apply(0, long.to_vec()).await.expect("applied");
    let first = page(&store, u64::MAX, None);
    assert!(first.lacking.is_empty() && first.end.is_some());
    store.apply(1, vec![certified_until(1, 1, 2, 12)]).await.expect("applied");
    let mut after = first.end;
    while let Some(end) = after {
        after = page(&store, u64::MAX, Some(end)).end;
        if after.is_some() {
            assert_eq!(noted(&store).await, 1, "it is looked at from its beginning again");
        }
    }
    assert_eq!(noted(&store).await, 0);
}

#[tokio::test]
async fn a_shard_that_becomes_held_has_every_certified_blob_looked_at_again() {
    let store = Store::in_memory().expect("opens");
    whole(&store, 1).await;
    store.apply(0, certified(1).to_vec()).await.expect("applied");
    assert_eq!((look(&store), noted(&store).await), ((0, 0), 0));
    let held = |shard| vec![(ShardIndex(shard), Some(Holding::Held))];
    store.set_shards(held(1)).await.expect("set");
    assert_eq!(noted(&store).await, 1);
    assert_eq!((look(&store), noted(&store).await), ((0, 0), 0));
    store.set_shards(held(1)).await.expect("set");
    assert_eq!(noted(&store).await, 0, "it was held before");
}

fn missing_since(epoch: u32) -> Option<Holding> {
    Some(Holding::Missing { since: Epoch(epoch) })
}

/// Shards that were missing and of which nothing is any more.
async fn fill(store: &Store) -> Vec<u16> {
    let filled = store.filled_shards(Epoch(3), |bytes| bytes.div_ceil(500)).expect("read");
    store.hold_filled(filled.clone()).await.expect("set");
    filled.into_iter().map(|(shard, _)| shard.0).collect()
}

#[tokio::test]
async fn a_missing_shard_is_held_once_nothing_of_it_is_missing() {
    let store = Store::in_memory().expect("opens");
    whole(&store, 1).await;
    store.put_short(&sample_blob(2), sample_short(2, 0..2), 0).await.expect("stored");
    let effects = [certified(1), certified(2), certified(4)].concat();
    store.apply(0, effects).await.expect("applied");
    assert_eq!(store.filling().expect("read"), Filling { certified: 3, noted: 3 });
    let gained = [1, 2].map(|shard| (ShardIndex(shard), missing_since(3)));
    store.set_shards(gained.to_vec()).await.expect("set");
    assert_eq!(fill(&store).await, [], "of the last blob nothing is here");
    whole(&store, 4).await;
    assert_eq!(fill(&store).await, [1], "and of shard 2 nothing at all");
    assert_eq!(store.shards().expect("read")[&ShardIndex(1)], Holding::Held);
    // A look for shards 0 and 1 leaves the notes that shard 2 needs.
    assert_eq!((look(&store), noted(&store).await), ((0, 0), 3));
    for blob in [1, 4] {
        for segment in 0..2 {
            write_segment(&store, blob, segment, &shards(2..3), 10, 0).await.expect("stored");
        }
    }
    assert_eq!(fill(&store).await, [], "the short blob's symbol");
    store.put_short(&sample_blob(2), sample_short(2, 0..3), 0).await.expect("stored");
    assert_eq!(fill(&store).await, [2]);
    assert_eq!((look(&store), noted(&store).await), ((0, 0), 0));
    assert_eq!(store.filling().expect("read"), Filling { certified: 3, noted: 0 });
}

#[tokio::test]
async fn no_shard_is_held_without_a_header_though_another_lacks_more() {
    let store = Store::in_memory().expect("opens");
    store.apply(0, certified(1).to_vec()).await.expect("applied");
    let gained = [1, 2].map(|shard| (ShardIndex(shard), missing_since(3)));
    store.set_shards(gained.to_vec()).await.expect("set");
    for segment in 0..2 {
        write_segment(&store, 1, segment, &shards(1..2), 10, 0).await.expect("stored");
    }
    assert_eq!(fill(&store).await, [], "of shard 1 all is here but the header");
    store.put_header(&sample_blob(1), vec![1], 0).await.expect("stored");
    assert_eq!(fill(&store).await, [1]);
}

#[tokio::test]
async fn a_shard_that_changed_since_a_look_is_not_held_because_of_it() {
    let store = Store::in_memory().expect("opens");
    store.set_shards(vec![(ShardIndex(1), missing_since(3))]).await.expect("set");
    let filled = store.filled_shards(Epoch(3), |_| 1).expect("read");
    assert_eq!(filled, [(ShardIndex(1), Epoch(3))]);
    for state in [missing_since(4), Some(Holding::Locked { since: Epoch(4) }), None] {
        store.set_shards(vec![(ShardIndex(1), state)]).await.expect("set");
        store.hold_filled(filled.clone()).await.expect("nothing to do");
        assert_eq!(store.shards().expect("read").get(&ShardIndex(1)), state.as_ref());
    }
}

#[tokio::test]
async fn what_is_called_invalid_is_missed_no_more_and_keeps_no_shard_missing() {
    let store = Store::in_memory().expect("opens");
    store.apply(0, certified(1).to_vec()).await.expect("applied");
    store.set_shards(vec![(ShardIndex(1), missing_since(3))]).await.expect("set");
    assert_eq!((look(&store).0, fill(&store).await), (1, vec![]));
    store.apply(1, vec![invalidated(1, 3)]).await.expect("applied");
    assert_eq!((look(&store).0, fill(&store).await), (0, vec![1]));
    assert_eq!(noted(&store).await, 0);
}

#[tokio::test]
async fn a_blob_without_its_header_keeps_every_shard_missing() {
    let store = Store::in_memory().expect("opens");
    store.apply(0, certified(1).to_vec()).await.expect("applied");
    for segment in 0..2 {
        write_segment(&store, 1, segment, &shards(0..2), 10, 0).await.expect("stored");
    }
    store.set_shards(vec![(ShardIndex(1), missing_since(3))]).await.expect("set");
    assert_eq!(fill(&store).await, []);
    store.put_header(&sample_blob(1), vec![1], 0).await.expect("stored");
    assert_eq!(fill(&store).await, [1]);
}

#[tokio::test]
async fn a_rotten_header_counts_as_none_and_has_its_blob_looked_at() {
    let store = Store::in_memory().expect("opens");
    whole(&store, 1).await;
    store.apply(0, certified(1).to_vec()).await.expect("applied");
    assert_eq!((look(&store), noted(&store).await), ((0, 0), 0));
    let write = store.database().begin_write().expect("begins");
    let blob = sample_blob(1);
    write.open_table(HEADERS).expect("opens").insert(blob.as_bytes(), &[0; 40][..]).expect("set");
    write.commit().expect("committed");
    assert!(!store.holds(&blob, 2, &shards(0..2)).expect("read"), "nothing is signed for it");
    assert!(store.header(&blob).is_err());
    assert_eq!(noted(&store).await, 1);
    assert_eq!(look(&store), (1, 1));
    store.put_header(&blob, vec![1], 0).await.expect("stored");
    assert_eq!((look(&store), noted(&store).await), ((0, 0), 0));
}
