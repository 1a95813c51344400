//! What is not a whole store of this version is refused, with the reason, and left alone.

use std::fs::{self, OpenOptions};

use tempfile::{TempDir, tempdir};

use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::epoch_change::Holding;
use haulout_protocol::sliver::ShardIndex;

use super::*;
use crate::tables::{ENDS, PLACED, PLACES, SUMS, WANTING};
use crate::testing::*;
use crate::{Kept, Scope, Store, StoreError};

/// A closed store with two segments in it.
fn sample_store() -> TempDir {
    let directory = tempdir().expect("created");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
    runtime.block_on(async {
        let store = Store::open(directory.path(), sample_options()).expect("opens");
        for segment in 0..2 {
            write_segment(&store, 1, segment, &shards(0..3), 20_000, 0).await.expect("stored");
        }
    });
    directory
}

/// What lies in `version-4`, a store of the first version that later ones take over.
async fn fill(store: &Store) {
    store.apply(7, vec![registered(1, 1), registered(2, 2)]).await.expect("applied");
    store.set_shards(vec![(ShardIndex(0), Some(Holding::Held))]).await.expect("set");
    store.put_header(&sample_blob(1), sample_bytes(1, 137), 5).await.expect("stored");
    for (segment, length) in [(0, 20_000), (1, 300)] {
        write_segment(store, 1, segment, &shards(0..3), length, 5).await.expect("stored");
    }
    store.put_certificate(&sample_blob(1), sample_bytes(9, 200)).await.expect("stored");
    store.put_short(&sample_blob(2), sample_short(2, 0..3), 5).await.expect("stored");
    store.keep(Kept::Checkpoint, sample_bytes(3, 90)).await.expect("kept");
}

/// What lies in `version-5` besides: certified blobs, one of which lacks a segment, and a shard that was gained.
async fn fill_more(store: &Store) {
    let certified = [certified_until(1, 1, 2, 5), certified_until(2, 2, 2, 5)];
    store.apply(8, certified.to_vec()).await.expect("applied");
    let third = [registered_until(3, 3, 5), certified_until(3, 3, 3, 5)];
    store.apply(9, third.to_vec()).await.expect("applied");
    let missing = Holding::Missing { since: Epoch(3) };
    store.set_shards(vec![(ShardIndex(2), Some(missing))]).await.expect("set");
}

/// Whether all of it is there.
fn check_filled(store: &Store) {
    let (long, short) = (sample_blob(1), sample_blob(2));
    assert!(store.position().expect("read") >= Some(7));
    assert_eq!(store.shards().expect("read").get(&ShardIndex(0)), Some(&Holding::Held));
    check_segment(store, 1, 0, &shards(0..3), 20_000);
    check_segment(store, 1, 1, &shards(0..3), 300);
    assert!(store.holds(&long, 2, &shards(0..3)).expect("read"));
    assert!(store.certificate(&long).expect("read").is_some());
    assert_eq!(store.short(&short).expect("read"), Some(sample_short(2, 0..3)));
    assert!(store.blob(&short).expect("read").is_some_and(|record| record.is_registered(Epoch(1))));
    assert_eq!(store.kept(Kept::Checkpoint).expect("read").as_deref(), Some(&*sample_bytes(3, 90)));
}

/// Copies a folder of files and folders.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("created");
    for entry in fs::read_dir(from).expect("listed") {
        let (from, name) = entry.map(|entry| (entry.path(), entry.file_name())).expect("listed");
        match from.is_dir() {
            true => copy(&from, &to.join(name)),
            false => drop(fs::copy(&from, to.join(name)).expect("copied")),
        }
    }
}

#[test]
fn a_store_of_version_4_is_opened_with_all_it_holds() {
    let directory = tempdir().expect("created");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schema/version-4");
    copy(&kept, directory.path());
    for _ in 0..2 {
        let store = Store::open(directory.path(), sample_options()).expect("opens");
        check_filled(&store);
        check_consistent(&store, Some(directory.path()));
    }
}

/// Blobs in the order of certification, all of one length; none of them has an event.
async fn ordered(store: &Store) -> Vec<BlobId> {
    let parameters = Parameters::new(7, 1024).expect("valid parameters");
    store.set_parameters(&parameters).await.expect("told");
    let order = store.order().expect("read");
    let of_one = order.bytes().expect("read") / 3;
    let at = |number| order.byte_at(number * of_one).expect("read").expect("within");
    let bytes = [0, 1, 2].map(at).to_vec();
    assert!(bytes.iter().all(|byte| byte.certified.is_none() && byte.offset == 0));
    bytes.into_iter().map(|byte| byte.blob_id).collect()
}

/// By epoch, those of one epoch by id.
fn expected_order() -> Vec<BlobId> {
    let mut first = vec![sample_blob(1), sample_blob(2)];
    first.sort_unstable();
    [first, vec![sample_blob(3)]].concat()
}

#[tokio::test]
async fn a_store_of_version_6_gives_its_certified_blobs_places() {
    let directory = tempdir().expect("created");
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    fill(&store).await;
    fill_more(&store).await;
    drop(store);
    set_version(directory.path(), 6);
    let database = Database::open(directory.path().join("index.redb")).expect("opens");
    let transaction = database.begin_write().expect("begins");
    transaction.delete_table(PLACED).expect("deleted");
    transaction.delete_table(PLACES).expect("deleted");
    transaction.delete_table(ENDS).expect("deleted");
    transaction.delete_table(SUMS).expect("deleted");
    let mut numbers = transaction.open_table(META).expect("opens");
    numbers.remove(meta::ORDER_LAST).expect("removed");
    drop(numbers);
    transaction.commit().expect("committed");
    drop(database);
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    check_filled(&store);
    check_consistent(&store, Some(directory.path()));
    assert_eq!(store.shards().expect("read").len(), 2);
    assert_eq!(ordered(&store).await, expected_order());
}

#[tokio::test]
async fn a_store_of_version_5_is_opened_with_all_it_holds_and_all_its_shards() {
    let directory = tempdir().expect("created");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schema/version-5");
    copy(&kept, directory.path());
    for _ in 0..2 {
        let store = Store::open(directory.path(), sample_options()).expect("opens");
        check_filled(&store);
        check_consistent(&store, Some(directory.path()));
        assert_eq!(store.position().expect("read"), Some(9));
        let states = store.shards().expect("read");
        assert_eq!(states.get(&ShardIndex(2)), Some(&Holding::Missing { since: Epoch(3) }));
        assert_eq!(states.len(), 2);
        let held = shards(0..1);
        let scope = Scope { epoch: Epoch(3), shards: &held, arriving_since_ms: u64::MAX };
        let page = store.missing(&scope, |_| 2, None).expect("read");
        let lacking: Vec<_> = page.lacking.iter().map(|lacking| lacking.blob_id).collect();
        assert_eq!(lacking, [sample_blob(3)], "of which nothing is here");
        assert_eq!(ordered(&store).await, expected_order());
    }
}

/// Makes a store one of version 4, which had no table of blobs to look at.
fn as_version_4(directory: &Path) {
    set_version(directory, 4);
    let database = Database::open(directory.join("index.redb")).expect("opens");
    let transaction = database.begin_write().expect("begins");
    assert!(transaction.delete_table(WANTING).expect("deleted"));
    transaction.commit().expect("committed");
}

#[tokio::test]
async fn of_a_store_of_version_4_every_certified_blob_is_looked_at() {
    let directory = tempdir().expect("created");
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    let certified = |blob| [registered_until(blob, 1, 9), certified_until(blob, 1, 2, 9)];
    let effects = [certified(1).to_vec(), certified(2).to_vec(), vec![registered(3, 1)]].concat();
    store.apply(1, effects).await.expect("applied");
    drop(store);
    as_version_4(directory.path());
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    let held = shards(0..1);
    let scope = Scope { epoch: Epoch(3), shards: &held, arriving_since_ms: u64::MAX };
    let lacking = store.missing(&scope, |_| 1, None).expect("read").lacking;
    let blobs: Vec<_> = lacking.into_iter().map(|lacking| lacking.blob_id).collect();
    let mut expected = vec![sample_blob(1), sample_blob(2)];
    expected.sort_unstable();
    assert_eq!(blobs, expected);
}

/// Writes such a store to the folder that `HAULOUT_WRITE_STORE` names; without it, to one that goes again.
#[tokio::test]
async fn a_store_that_is_closed_and_compacted_opens_with_all_it_holds() {
    let temporary = tempdir().expect("created");
    let named = std::env::var_os("HAULOUT_WRITE_STORE").map(PathBuf::from);
    let directory = named.unwrap_or_else(|| temporary.path().to_owned());
    let store = Store::open(&directory, sample_options()).expect("opens");
    fill(&store).await;
    fill_more(&store).await;
    drop(store);
    let mut database = Database::open(directory.join("index.redb")).expect("opens");
    assert!(database.compact().expect("compacts"));
    drop(database);
    check_filled(&Store::open(&directory, sample_options()).expect("opens"));
}

/// Opening is refused for a reason that contains `reason`, and no bundle was removed.
fn check_damaged(directory: &Path, reason: &str) {
    let before = bundle_files(directory).len();
    let error = Store::open(directory, sample_options()).expect_err("refused");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(reason) && text.contains("no file of it was removed"), "{text}");
    assert_eq!(bundle_files(directory).len(), before);
}

#[test]
fn garbage_is_refused() {
    let directory = sample_store();
    fs::write(directory.path().join("index.redb"), sample_bytes(1, 100_000)).expect("written");
    check_damaged(directory.path(), "");
}

#[test]
fn an_empty_or_truncated_index_is_refused() {
    for length in [0, 1, 100, 4096, 10_000, 40_000] {
        let directory = sample_store();
        let file = OpenOptions::new()
            .write(true)
            .open(directory.path().join("index.redb"))
            .expect("opens");
        file.set_len(length).expect("truncated");
        drop(file);
        check_damaged(directory.path(), "");
    }
}

#[test]
fn a_missing_index_is_refused_while_bundles_exist() {
    let directory = sample_store();
    fs::remove_file(directory.path().join("index.redb")).expect("removed");
    check_damaged(directory.path(), "the index is missing");
}

fn set_version(directory: &Path, version: u64) {
    let database = Database::open(directory.join("index.redb")).expect("opens");
    let transaction = database.begin_write().expect("begins");
    transaction.open_table(META).expect("opens").insert(meta::SCHEMA, version).expect("written");
    transaction.commit().expect("committed");
}

#[test]
fn older_and_newer_versions_are_refused_by_number_and_left_alone() {
    let directory = sample_store();
    for version in [1, 2, SCHEMA_OLDEST - 1, SCHEMA + 1, 77] {
        set_version(directory.path(), version);
        let error = Store::open(directory.path(), sample_options()).expect_err("refused");
        let StoreError::UnknownSchema { found, supported: SCHEMA } = error else {
            panic!("{error:?}")
        };
        assert_eq!(found, version);
        assert!(error.to_string().contains("run the version that wrote it"), "{error}");
    }
    set_version(directory.path(), SCHEMA);
    let store = Store::open(directory.path(), sample_options()).expect("as it was");
    check_segment(&store, 1, 1, &shards(0..3), 20_000);
}

#[test]
fn somebody_elses_database_is_refused() {
    let directory = tempdir().expect("created");
    drop(Database::create(directory.path().join("index.redb")).expect("created"));
    let refused = Store::open(directory.path(), sample_options());
    assert!(matches!(refused, Err(StoreError::UnknownSchema { found: 0, .. })), "{refused:?}");
}

#[test]
fn a_creation_that_was_interrupted_is_started_again() {
    let directory = tempdir().expect("created");
    fs::write(directory.path().join("index.redb.new"), b"half").expect("written");
    Store::open(directory.path(), sample_options()).expect("opens");
    assert!(!directory.path().join("index.redb.new").exists());
}
