//! Failing writes, failing syncs and free space.

use std::process::Command;

use haulout_protocol::sliver::{Axis, ShardIndex};
use tempfile::tempdir;

use super::*;
use crate::Store;
use crate::testing::*;

fn sample_bundles(directory: &Path) -> Arc<Bundles> {
    Arc::new(Bundles::open(directory, 0, Arc::default(), Files::default()).expect("opens"))
}

#[test]
fn a_failed_sync_refuses_all_later_writes_but_a_full_disk_does_not() {
    let directory = tempdir().expect("created");
    let bundles = sample_bundles(directory.path());
    let failed = |kind: io::ErrorKind| Err(StoreError::io("sync", directory.path())(kind.into()));
    assert!(bundles.synced(failed(io::ErrorKind::StorageFull)).is_err());
    assert!(bundles.poison.check().is_ok());
    assert!(bundles.synced(failed(io::ErrorKind::Other)).is_err());
    assert!(matches!(bundles.poison.check(), Err(StoreError::Poisoned { .. })));
}

#[test]
fn a_bundle_that_is_not_kept_is_removed_before_and_after_it_has_its_name() {
    let directory = tempdir().expect("created");
    let bundles = sample_bundles(directory.path());
    drop(bundles.start().expect("starts"));
    drop(bundles.start().expect("starts").finish().expect("placed"));
    assert!(bundles.all(0).expect("listed").is_empty());
    let mut kept = bundles.start().expect("starts").finish().expect("placed");
    kept.keep();
    assert_eq!(bundles.all(0).expect("listed").len(), 1);
}

#[test]
fn numbers_are_never_used_twice() {
    let directory = tempdir().expect("created");
    let bundles = sample_bundles(directory.path());
    bundles.all(6000).expect("listed");
    let mut first = bundles.start().expect("starts").finish().expect("placed");
    first.keep();
    assert_eq!(first.id, 6001);
    let path = "bundles/0000000000001/0000000000001771";
    assert!(directory.path().join(path).is_file(), "4096 bundles share a folder");
    let bundles = sample_bundles(directory.path());
    bundles.all(0).expect("listed");
    assert_eq!(bundles.start().expect("starts").id(), 6002);
}

#[test]
fn free_space_is_checked_against_reserve_and_floor() {
    let directory = tempdir().expect("created");
    let bundles = Bundles::open(directory.path(), u64::MAX, Arc::default(), Files::default());
    let bundles = bundles.expect("opens");
    assert!(matches!(bundles.check_free(0, u64::MAX), Err(StoreError::Full { .. })));
    assert!(bundles.check_free(0, 1).is_ok());
    let bundles = sample_bundles(directory.path());
    assert!(bundles.check_free(1, u64::MAX).is_ok());
    assert!(bundles.check_free(u64::MAX, 0).is_err());
}

const DIRECTORY: &str = "HAULOUT_STORAGE_LIMITED_DIRECTORY";

/// Not a test of its own: runs where files cannot grow beyond 1 MiB, if told where.
#[tokio::test]
async fn limited_process() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let store = Store::open(directory, sample_options()).expect("opens");
    write_segment(&store, 1, 0, &shards(0..2), 20_000, 0).await.expect("stored");
    let mut writer = store.segment_writer(sample_blob(2), 0, 0).expect("starts");
    let failed = writer.append(ShardIndex(0), Axis::Primary, &[1; 3 << 20]);
    assert!(matches!(failed, Err(StoreError::Io { action: "write", .. })), "{failed:?}");
    drop(writer);
    check_consistent(&store, Some(directory));
    check_segment(&store, 1, 0, &shards(0..2), 20_000);
    write_segment(&store, 3, 0, &shards(0..2), 20_000, 0).await.expect("smaller things still fit");
    fs::write(directory.join("passed"), b"").expect("written");
}

#[test]
fn a_write_that_fails_half_way_leaves_nothing_and_stops_nothing() {
    let directory = tempdir().expect("created");
    let test = std::env::current_exe().expect("known");
    // The shell's blocks are 512 or 1024 bytes.
    let script =
        "trap '' XFSZ; ulimit -f 2048; exec \"$0\" --exact bundles::tests::limited_process";
    let run =
        Command::new("sh").args(["-c", script]).arg(test).env(DIRECTORY, directory.path()).output();
    let run = run.expect("runs");
    assert!(directory.path().join("passed").exists(), "{}", String::from_utf8_lossy(&run.stdout));
}
