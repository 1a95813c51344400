//! How much room each kind of write wants, to the byte, and that nothing is written with less.

use std::sync::atomic::{AtomicU64, Ordering};

use haulout_protocol::epoch::Epoch;
use tempfile::TempDir;

use super::*;
use crate::files::{FileChange, Witness};

const MIB: u64 = 1 << 20;

/// A disk with as much room as we say.
#[derive(Clone, Debug)]
struct Room(Arc<AtomicU64>);

impl Witness for Room {
    fn see(&self, _: FileChange<'_>) -> std::io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> Option<u64> {
        Some(self.0.load(Ordering::SeqCst))
    }
}

struct World {
    store: Store,
    room: Room,
    _directory: TempDir,
}

impl World {
    fn with_reserve(reserve_bytes: u64) -> World {
        let directory = tempdir().expect("created");
        let room = Room(Arc::new(AtomicU64::new(u64::MAX)));
        let options = Options { reserve_bytes, ..Options::default() };
        let files = Files::seen_by(room.clone());
        let store = Store::open_with(directory.path(), options, &files).expect("opens");
        World { store, room, _directory: directory }
    }

    /// The write works with that much room, and is refused by its needs with a byte less.
    async fn needs<Done>(
        &self,
        bytes: u64,
        write: impl AsyncFn(&Store) -> Result<Done, StoreError>,
    ) {
        self.room.0.store(bytes - 1, Ordering::SeqCst);
        let refused = write(&self.store).await.err();
        let Some(error @ StoreError::Full { free, needed }) = refused else {
            panic!("{refused:?} with {} bytes free", bytes - 1)
        };
        assert!(error.is_transient());
        assert_eq!((free, needed), (bytes - 1, bytes));
        self.room.0.store(bytes, Ordering::SeqCst);
        assert!(write(&self.store).await.is_ok(), "with {bytes} bytes free");
        self.room.0.store(u64::MAX, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn content_leaves_the_reserve_and_the_chain_leaves_16_mib() {
    let world = World::with_reserve(256 * MIB);
    world
        .needs(257 * MIB, async |store| {
            store.put_header(&sample_blob(1), vec![1; 1 << 20], 0).await
        })
        .await;
    world
        .needs(256 * MIB + 10, async |store| {
            let mut writer = store.segment_writer(sample_blob(1), 0, 0)?;
            writer.append_proof(ShardIndex(0), &[0; 10])?;
            writer.commit().await
        })
        .await;
    world
        .needs(256 * MIB + 20_000, async |store| {
            let mut writer = store.segment_writer(sample_blob(1), 1, 0)?;
            writer.append(ShardIndex(0), Axis::Primary, &[0; 20_000])?;
            writer.commit().await
        })
        .await;
    let position = world.store.position().expect("read").map_or(0, |last| last + 1);
    let effects = || vec![registered_until(1, 1, 5)];
    world.needs(16 * MIB, async |store| store.apply(position, effects()).await).await;
    world.needs(16 * MIB, async |store| store.set_shards(Vec::new()).await).await;
}

#[tokio::test]
async fn what_goes_into_the_index_is_counted_twice() {
    let world = World::with_reserve(16 * MIB);
    world
        .needs(18 * MIB, async |store| store.put_header(&sample_blob(1), vec![1; 1 << 20], 0).await)
        .await;
    world
        .needs(18 * MIB, async |store| {
            store.put_certificate(&sample_blob(1), vec![1; 1 << 20]).await
        })
        .await;
    // A proof has its hash with it.
    let sealed = 2 * (640 + 32);
    let small = 2 * 5000;
    world
        .needs(16 * MIB + sealed + small, async |store| {
            let mut writer = store.segment_writer(sample_blob(1), 0, 0)?;
            writer.append_proof(ShardIndex(0), &[0; 640])?;
            writer.append(ShardIndex(0), Axis::Primary, &[0; 5000])?;
            writer.commit().await
        })
        .await;
}

#[tokio::test]
async fn removing_wants_2_mib_and_goes_on_where_nothing_else_does() {
    let world = World::with_reserve(256 * MIB);
    world.store.put_header(&sample_blob(1), vec![0; 68], 0).await.expect("stored");
    world.needs(2 * MIB, async |store| store.forget_pending(1).await).await;
    world.needs(2 * MIB, async |store| store.expire(Epoch(1)).await).await;
    world.store.put_header(&sample_blob(2), vec![0; 68], 0).await.expect("stored");
    world.room.0.store(2 * MIB, Ordering::SeqCst);
    let (certificate, forgotten) = {
        let blob = sample_blob(2);
        tokio::join!(world.store.put_certificate(&blob, Vec::new()), world.store.forget_pending(1))
    };
    assert!(matches!(certificate, Err(StoreError::Full { .. })), "{certificate:?}");
    assert_eq!(forgotten.expect("forgotten"), 100);
}

#[tokio::test]
async fn a_reserve_below_the_floors_is_all_that_stays_free() {
    let world = World::with_reserve(MIB);
    world.needs(MIB, async |store| store.apply(0, Vec::new()).await).await;
    world.needs(MIB, async |store| store.forget_pending(1).await).await;
}
