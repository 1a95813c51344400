//! What a repair writes into a certified blob: a pair or a part of it, a header, a short blob; nothing else changes, and the
//! store stops calling it missing.

use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use redb::{Key, ReadableTable, TableDefinition};

use super::*;
use crate::Scope;
use crate::files::{FileChange, Witness};
use crate::tables::{BlobKey, PairKey, SHORT_PROOFS, SMALL as SMALL_SLIVERS, SliverKey};

const SEGMENTS: u32 = 2;

/// A certified blob of two segments, the first one in a bundle, the second in the index; all of shards 0 to 2 is here.
async fn whole(directory: &Path) -> Store {
    let store = open(directory);
    let effects = vec![registered_until(1, 1, 9), certified_until(1, 1, 2, 9)];
    store.apply(1, effects).await.expect("applied");
    store.put_header(&sample_blob(1), sample_bytes(1, 137), 0).await.expect("stored");
    for (segment, length) in [(0, LARGE), (1, SMALL)] {
        write_segment(&store, 1, segment, &shards(0..3), length, 0).await.expect("stored");
    }
    assert_eq!(lacking(&store), (true, vec![], 0));
    store
}

/// Whether the header is here, the pairs that are not, and how much is rotten.
fn lacking(store: &Store) -> (bool, Vec<(u32, u16)>, u64) {
    let shards = shards(0..3);
    let scope = Scope { epoch: Epoch(3), shards: &shards, arriving_since_ms: u64::MAX };
    let page = store.missing(&scope, |_| SEGMENTS.into(), None).expect("read");
    let pair = |(segment, shard): (u32, ShardIndex)| (segment, shard.0);
    let has_header = page.lacking.iter().all(|one| one.has_header);
    let pairs = page.lacking.into_iter().flat_map(|one| one.pairs).map(pair).collect();
    (has_header, pairs, page.rotten + store.rotten_values().expect("read"))
}

/// Changes a bit of a value behind the back of the store's writer.
pub(super) fn spoil<K: Key + 'static>(
    store: &Store,
    table: TableDefinition<'static, K, &'static [u8]>,
    key: K::SelfType<'_>,
) {
    let transaction = store.database().begin_write().expect("begins");
    let mut rows = transaction.open_table(table).expect("opens");
    let mut value = rows.get(&key).expect("read").expect("stored").value().to_vec();
    value[33] ^= 1;
    rows.insert(key, value.as_slice()).expect("written");
    drop(rows);
    transaction.commit().expect("committed");
}

/// Writes parts of one shard's pair.
async fn mend(store: &Store, segment: u32, shard: u16, axes: &[Axis], with_proof: bool) {
    let length = if segment == 0 { LARGE } else { SMALL };
    let (shard, mut writer) =
        (ShardIndex(shard), store.segment_writer(sample_blob(1), segment, 0).expect("starts"));
    if with_proof {
        writer.append_proof(shard, &sample_proof(1, shard)).expect("appended");
    }
    for axis in axes {
        let sliver = sample_sliver(1, segment, shard, *axis, length);
        writer.append(shard, *axis, &sliver).expect("appended");
    }
    writer.commit().await.expect("stored");
}

/// All is as it was written, also after a restart.
fn check_whole(store: Store, directory: &Path) {
    drop(store);
    let store = open(directory);
    check_segment(&store, 1, 0, &shards(0..3), LARGE);
    check_segment(&store, 1, 1, &shards(0..3), SMALL);
    assert!(store.holds(&sample_blob(1), SEGMENTS, &shards(0..3)).expect("read"));
    assert_eq!(lacking(&store), (true, vec![], 0));
    check_consistent(&store, Some(directory));
}

#[tokio::test]
async fn a_pair_that_was_never_here_is_written_beside_the_others() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    let effects = vec![registered_until(1, 1, 9), certified_until(1, 1, 2, 9)];
    store.apply(1, effects).await.expect("applied");
    write_segment(&store, 1, 0, &shards(0..2), LARGE, 0).await.expect("stored");
    write_segment(&store, 1, 1, &shards(1..3), SMALL, 0).await.expect("stored");
    assert_eq!(lacking(&store), (false, vec![(0, 2), (1, 0)], 0));
    mend(&store, 0, 2, &Axis::BOTH, true).await;
    assert_eq!(lacking(&store), (false, vec![(1, 0)], 0));
    mend(&store, 1, 0, &[Axis::Primary], true).await;
    assert_eq!(lacking(&store), (false, vec![(1, 0)], 0), "half of it");
    mend(&store, 1, 0, &[Axis::Secondary], false).await;
    assert_eq!(lacking(&store), (false, vec![], 0));
    store.put_header(&sample_blob(1), sample_bytes(1, 137), 0).await.expect("stored");
    check_whole(store, directory.path());
}

#[tokio::test]
async fn a_sliver_that_rotted_is_written_alone_and_its_mark_is_gone() {
    let directory = tempdir().expect("created");
    let store = whole(directory.path()).await;
    let small = tables::sliver_key(
        &tables::segment_key(sample_blob(1).as_bytes(), 1),
        ShardIndex(2),
        Axis::Primary,
    );
    spoil::<&SliverKey>(&store, SMALL_SLIVERS, &small);
    flip(directory.path(), bytes_of(LARGE) + 5);
    let (first, third) = (ShardIndex(0), ShardIndex(2));
    assert!(store.sliver(&sample_blob(1), 0, first, Axis::Secondary).is_err());
    assert!(store.sliver(&sample_blob(1), 1, third, Axis::Primary).is_err());
    next_write(&store).await;
    assert_eq!(lacking(&store), (true, vec![(0, 0), (1, 2)], 2));
    mend(&store, 0, 0, &[Axis::Secondary], false).await;
    assert_eq!(lacking(&store), (true, vec![(1, 2)], 1));
    mend(&store, 1, 2, &[Axis::Primary], false).await;
    check_whole(store, directory.path());
}

#[tokio::test]
async fn a_proof_that_rotted_is_written_alone() {
    let directory = tempdir().expect("created");
    let store = whole(directory.path()).await;
    let key = tables::pair_key(&tables::segment_key(sample_blob(1).as_bytes(), 0), ShardIndex(1));
    spoil::<&PairKey>(&store, PROOFS, &key);
    assert!(store.pair_proof(&sample_blob(1), 0, ShardIndex(1)).is_err());
    next_write(&store).await;
    assert_eq!(lacking(&store), (true, vec![(0, 1)], 1));
    mend(&store, 0, 1, &[], true).await;
    check_whole(store, directory.path());
}

#[tokio::test]
async fn a_header_that_rotted_is_written_alone() {
    let directory = tempdir().expect("created");
    let store = whole(directory.path()).await;
    spoil::<&BlobKey>(&store, HEADERS, sample_blob(1).as_bytes());
    assert!(store.header(&sample_blob(1)).is_err());
    next_write(&store).await;
    assert_eq!(lacking(&store), (false, vec![], 1));
    store.put_header(&sample_blob(1), sample_bytes(1, 137), 0).await.expect("stored");
    check_whole(store, directory.path());
}

#[tokio::test]
async fn a_short_blob_lists_the_symbols_it_lacks_and_is_mended_by_a_whole_row() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    let effects = vec![registered_until(1, 1, 9), certified_until(1, 1, 2, 9)];
    store.apply(1, effects).await.expect("applied");
    let blob = sample_blob(1);
    let put = |last| store.put_short(&blob, sample_short(1, 0..last), 0);
    put(1).await.expect("stored");
    assert_eq!(lacking(&store), (false, vec![(0, 1), (0, 2)], 0));
    put(3).await.expect("stored");
    assert_eq!(lacking(&store), (true, vec![], 0));
    spoil_short(&store, &blob);
    assert!(store.short(&blob).is_err());
    next_write(&store).await;
    assert_eq!(lacking(&store), (false, vec![(0, 0), (0, 1), (0, 2)], 1));
    put(3).await.expect("stored");
    assert_eq!(lacking(&store), (true, vec![], 0));
    spoil::<&BlobKey>(&store, SHORT_PROOFS, blob.as_bytes());
    assert!(store.short(&blob).is_err());
    next_write(&store).await;
    assert_eq!(lacking(&store).2, 1);
    put(3).await.expect("stored");
    assert_eq!(lacking(&store), (true, vec![], 0));
    assert_eq!(store.short(&blob).expect("read"), Some(sample_short(1, 0..3)));
    check_consistent(&store, Some(directory.path()));
}

/// A disk that takes nothing back.
#[derive(Debug)]
struct Keeping;

impl Witness for Keeping {
    fn see(&self, change: FileChange<'_>) -> std::io::Result<()> {
        match change {
            FileChange::Punch(..) => Err(std::io::ErrorKind::PermissionDenied.into()),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_disk_that_takes_nothing_back_is_asked_again_and_holds_up_nobody() {
    let directory = tempdir().expect("created");
    let files = Files::seen_by(Keeping);
    let store = Store::open_with(directory.path(), sample_options(), &files).expect("opens");
    write_segment(&store, 1, 0, &shards(0..3), LARGE, 0).await.expect("stored");
    write_segment(&store, 1, 0, &shards(1..2), LARGE, 0).await.expect("stored");
    let noted = |store: &Store| -> usize {
        let view = store.view().expect("readable");
        crate::holes::first(&view, 9).expect("read").len()
    };
    store.expire(Epoch(1)).await.expect("it is nobody's fault");
    assert_eq!(noted(&store), 1);
    check_consistent(&store, Some(directory.path()));
    let parameters = Parameters::new(4, 1 << 16).expect("valid parameters");
    let dropped = store.drop_shard(ShardIndex(2), &parameters).await.expect("its rows are gone");
    assert!(dropped.is_done && store.leaving().expect("read").is_empty());
    drop(store);
    let store = open(directory.path());
    store.expire(Epoch(2)).await.expect("expired");
    assert_eq!(noted(&store), 0);
    check_segment(&store, 1, 0, &shards(0..2), LARGE);
    check_consistent(&store, Some(directory.path()));
}
