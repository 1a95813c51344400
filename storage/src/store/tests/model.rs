//! Random histories against a model that is a few maps.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Header { blob: u64, now_ms: u64 },
    Segment { blob: u64, segment: u32, shards: u16, length: usize, now_ms: u64 },
    Register { blob: u64, object: u8 },
    Delete { blob: u64, object: u8 },
    Forget { before_ms: u64 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let (blob, now_ms, object) = (0..4_u64, 1..50_u64, 0..3_u8);
    let length = prop_oneof![Just(0_usize), Just(100), Just(SMALL), Just(LARGE)];
    prop_oneof![
        2 => (blob.clone(), now_ms.clone()).prop_map(|(blob, now_ms)| Step::Header { blob, now_ms }),
        4 => (blob.clone(), 0..2_u32, 1..4_u16, length, now_ms.clone()).prop_map(
            |(blob, segment, shards, length, now_ms)| Step::Segment { blob, segment, shards, length, now_ms }
        ),
        2 => (blob.clone(), object.clone()).prop_map(|(blob, object)| Step::Register { blob, object }),
        2 => (blob, object).prop_map(|(blob, object)| Step::Delete { blob, object }),
        1 => now_ms.prop_map(|before_ms| Step::Forget { before_ms }),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default)]
struct Model {
    checkpoint: u64,
    headers: BTreeSet<u64>,
    /// Length of each pair's slivers.
    slivers: BTreeMap<(u64, u32, u16), usize>,
    objects: BTreeSet<(u64, u8)>,
    /// Since when there is content.
    since: BTreeMap<u64, u64>,
}

impl Model {
    fn is_registered(&self, blob: u64) -> bool {
        self.objects.iter().any(|(of, _)| *of == blob)
    }

    fn forget(&mut self, before_ms: u64) {
        let due = self
            .since
            .iter()
            .filter(|(blob, since)| **since < before_ms && !self.is_registered(**blob));
        for blob in due.map(|(blob, _)| *blob).collect::<Vec<_>>() {
            self.since.remove(&blob);
            self.headers.remove(&blob);
            self.slivers.retain(|(of, _, _), _| *of != blob);
        }
    }

    fn check(&self, store: &Store) {
        assert_eq!(store.position().expect("read"), self.checkpoint.checked_sub(1));
        for blob in 0..4 {
            let id = sample_blob(blob);
            assert_eq!(store.header(&id).expect("read").is_some(), self.headers.contains(&blob));
            let objects = store.blob(&id).expect("read").map_or(0, |record| record.objects.len());
            assert_eq!(objects, self.objects.iter().filter(|(of, _)| *of == blob).count());
            for (segment, shard) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
                let length = self.slivers.get(&(blob, segment, shard));
                for axis in Axis::BOTH {
                    let shard = ShardIndex(shard);
                    let found = store.sliver(&id, segment, shard, axis).expect("read");
                    let expected =
                        length.map(|length| sample_sliver(blob, segment, shard, axis, *length));
                    assert!(
                        found.as_deref() == expected.as_deref(),
                        "blob {blob} segment {segment}"
                    );
                }
            }
        }
    }
}

async fn play(steps: Vec<Step>, directory: Option<&Path>) {
    let open_store = || directory.map_or_else(|| Store::in_memory().expect("opens"), open);
    let mut store = open_store();
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Header { blob, now_ms } => {
                store
                    .put_header(&sample_blob(blob), sample_bytes(blob, 73), now_ms)
                    .await
                    .expect("stored");
                model.headers.insert(blob);
                model.since.entry(blob).or_insert(now_ms);
            }
            Step::Segment { blob, segment, shards: count, length, now_ms } => {
                let shards = shards(0..count);
                write_segment(&store, blob, segment, &shards, length, now_ms)
                    .await
                    .expect("stored");
                model.slivers.extend((0..count).map(|shard| ((blob, segment, shard), length)));
                model.since.entry(blob).or_insert(now_ms);
            }
            Step::Register { blob, object } => {
                store
                    .apply(model.checkpoint, vec![registered(blob, object)])
                    .await
                    .expect("applied");
                model.checkpoint += 1;
                model.objects.insert((blob, object));
            }
            Step::Delete { blob, object } => {
                store.apply(model.checkpoint, vec![deleted(blob, object)]).await.expect("applied");
                model.checkpoint += 1;
                model.objects.remove(&(blob, object));
                if !model.is_registered(blob) {
                    model.since.entry(blob).and_modify(|since| *since = 0);
                }
            }
            Step::Forget { before_ms } => {
                store.forget_pending(before_ms).await.expect("forgotten");
                model.forget(before_ms);
            }
            Step::Reopen if directory.is_some() => {
                drop(store);
                store = open_store();
            }
            Step::Reopen => {}
        }
        check_consistent(&store, directory);
    }
    model.check(&store);
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().expect("starts").block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn memory_behaves_like_the_model(steps in prop::collection::vec(step(), 1..30)) {
        run(play(steps, None));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn disk_behaves_like_the_model(steps in prop::collection::vec(step(), 1..25)) {
        let directory = tempdir().expect("created");
        run(play(steps, Some(directory.path())));
    }
}
