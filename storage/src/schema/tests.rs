//! What is not a whole store of this version is refused, with the reason, and left alone.

use std::fs::{self, OpenOptions};

use tempfile::{TempDir, tempdir};

use super::*;
use crate::testing::*;
use crate::{Store, StoreError};

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

/// Opening is refused for a reason that contains `reason`, and no bundle was removed.
fn check_damaged(directory: &Path, reason: &str) {
    let before = bundle_files(directory).len();
    let error = Store::open(directory, sample_options()).expect_err("refused");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(reason) && text.contains("nothing in it was changed"), "{text}");
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
    for version in [1, 2, 3, SCHEMA + 1, 77] {
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
