//! The writer thread: what waits is committed together, and its end is everybody's.

use super::*;
use crate::files::{FileChange, Witness};

/// A disk driver that panics when a file is removed: the writer thread removes bundles nobody needs.
#[derive(Debug)]
struct PanicsAtRemoval;

impl Witness for PanicsAtRemoval {
    fn see(&self, change: FileChange<'_>) -> std::io::Result<()> {
        assert!(!matches!(change, FileChange::Remove(path) if path.extension().is_none()), "a bug");
        Ok(())
    }
}

#[tokio::test]
async fn after_a_panic_of_the_writer_every_write_is_refused_for_that_reason() {
    let directory = tempdir().expect("created");
    let files = Files::seen_by(PanicsAtRemoval);
    let store = Store::open_with(directory.path(), sample_options(), &files).expect("opens");
    write_segment(&store, 1, 0, &shards(0..1), LARGE, 0).await.expect("stored");
    let replaced = write_segment(&store, 1, 0, &shards(0..1), LARGE, 0).await;
    assert!(matches!(replaced, Err(StoreError::Poisoned { .. })), "{replaced:?}");
    // The thread may still be unwinding when its caller hears of it.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let refused = store.put_certificate(&sample_blob(1), Vec::new()).await;
        let Err(StoreError::Poisoned { reason }) = refused else { panic!("{refused:?}") };
        if reason == "the writer thread panicked" {
            break;
        }
        assert!(std::time::Instant::now() < until, "{reason}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn slivers_below_16_kib_stay_in_the_index_up_to_256_kib_a_segment() {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    let bundled = async |segment: u32, lengths: &[usize]| {
        let before = bundle_files(directory.path()).len();
        let mut writer = store.segment_writer(sample_blob(1), segment, 0)?;
        for (shard, length) in (0..).zip(lengths) {
            writer.append(ShardIndex(shard), Axis::Primary, &vec![7; *length])?;
        }
        writer.commit().await?;
        Ok::<_, StoreError>(bundle_files(directory.path()).len() - before)
    };
    assert_eq!(bundled(0, &[16 * 1024 - 1]).await.expect("stored"), 0);
    assert_eq!(bundled(1, &[16 * 1024]).await.expect("stored"), 1);
    let of_8_kib = [8 * 1024; 32];
    assert_eq!(bundled(2, &of_8_kib).await.expect("stored"), 0, "256 KiB are small");
    let one_more = [&of_8_kib[..], &[1]].concat();
    assert_eq!(bundled(3, &one_more).await.expect("stored"), 1, "one byte more is not");
    check_consistent(&store, Some(directory.path()));
}
