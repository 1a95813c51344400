//! Random histories against a model that is a few maps.

use std::collections::{BTreeMap, BTreeSet};

use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use proptest::prelude::*;

use super::*;
use crate::{BlobEffect, Census, KEPT_EPOCHS};
use haulout_protocol::machine::epoch_change::Holding;

#[derive(Clone, Debug)]
enum Step {
    Header { blob: u64, now_ms: u64 },
    Segment { blob: u64, segment: u32, shards: u16, length: usize, now_ms: u64 },
    Certificate { blob: u64 },
    Register { blob: u64, object: u8, end: u32 },
    Certify { blob: u64, object: u8, epoch: u32, end: u32 },
    Invalidate { blob: u64 },
    Delete { blob: u64, object: u8 },
    Forget { before_ms: u64 },
    Expire { epoch: u32 },
    Shards { changes: Vec<(ShardIndex, Option<Holding>)> },
    Drop { shard: u16 },
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
        1 => blob.clone().prop_map(|blob| Step::Certificate { blob }),
        4 => (blob.clone(), object.clone(), 1..8_u32)
            .prop_map(|(blob, object, end)| Step::Register { blob, object, end }),
        3 => (blob.clone(), object.clone(), 0..8_u32, 1..12_u32)
            .prop_map(|(blob, object, epoch, end)| Step::Certify { blob, object, epoch, end }),
        1 => blob.clone().prop_map(|blob| Step::Invalidate { blob }),
        2 => (blob, object).prop_map(|(blob, object)| Step::Delete { blob, object }),
        1 => now_ms.prop_map(|before_ms| Step::Forget { before_ms }),
        4 => epoch_to_expire().prop_map(|epoch| Step::Expire { epoch }),
        1 => prop::collection::vec(shard_change(), 0..4).prop_map(|changes| Step::Shards { changes }),
        3 => (0..4_u16).prop_map(|shard| Step::Drop { shard }),
        1 => Just(Step::Reopen),
    ]
}

/// Not in order: they may be skipped, repeated, and come from a caller who is behind.
fn epoch_to_expire() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..12_u32, 1 => KEPT_EPOCHS..KEPT_EPOCHS + 12]
}

fn shard_change() -> impl Strategy<Value = (ShardIndex, Option<Holding>)> {
    let state = prop_oneof![
        Just(None),
        Just(Some(Holding::Held)),
        (0..9_u32).prop_map(|since| Some(Holding::Missing { since: Epoch(since) })),
        (0..9_u32).prop_map(|since| Some(Holding::Locked { since: Epoch(since) })),
    ];
    ((0..4_u16).prop_map(ShardIndex), state)
}

#[derive(Default)]
struct Model {
    checkpoint: u64,
    headers: BTreeSet<u64>,
    /// Length of each pair's slivers.
    slivers: BTreeMap<(u64, u32, u16), usize>,
    /// End epoch of each object and when it was first certified.
    objects: BTreeMap<(u64, u8), (u32, Option<u32>)>,
    invalid: BTreeSet<u64>,
    certificates: BTreeSet<u64>,
    /// Since when there is content.
    since: BTreeMap<u64, u64>,
    shards: BTreeMap<ShardIndex, Holding>,
}

impl Model {
    fn is_registered(&self, blob: u64) -> bool {
        self.objects.keys().any(|(of, _)| *of == blob)
    }

    fn forget(&mut self, before_ms: u64) {
        let due = self
            .since
            .iter()
            .filter(|(blob, since)| **since < before_ms && !self.is_registered(**blob));
        for blob in due.map(|(blob, _)| *blob).collect::<Vec<_>>() {
            self.remove(blob);
        }
    }

    fn remove(&mut self, blob: u64) {
        self.since.remove(&blob);
        self.headers.remove(&blob);
        self.certificates.remove(&blob);
        self.slivers.retain(|(of, _, _), _| *of != blob);
    }

    fn certify(&mut self, blob: u64, object: u8, epoch: u32, new_end: u32) {
        if let Some((end, certified)) = self.objects.get_mut(&(blob, object)) {
            *end = new_end;
            *certified = Some(certified.map_or(epoch, |first| first.min(epoch)));
        }
    }

    fn delete(&mut self, blob: u64, object: u8) {
        self.objects.remove(&(blob, object));
        if self.is_registered(blob) {
            return;
        }
        match self.since.get_mut(&blob) {
            Some(since) => *since = 0,
            None => drop(self.certificates.remove(&blob)),
        }
    }

    fn expire(&mut self, epoch: u32) {
        for blob in 0..4 {
            let ends = self.objects.iter().filter(|((of, _), _)| *of == blob);
            let Some(last) = ends.map(|(_, (end, _))| *end).max() else { continue };
            if last > epoch {
                continue;
            }
            self.remove(blob);
            if last + KEPT_EPOCHS <= epoch {
                self.objects.retain(|(of, _), _| *of != blob);
            }
        }
    }

    fn census(&self, store: &Store, epoch: Epoch) -> Census {
        let mut census = Census::default();
        for blob in 0..4 {
            let record = store.blob(&sample_blob(blob)).expect("read").unwrap_or_default();
            if record.is_certified(epoch) {
                census.live += 1;
            }
        }
        census
    }

    fn check_chain(&self, store: &Store) {
        assert_eq!(store.position().expect("read"), self.checkpoint.checked_sub(1));
        for blob in 0..4 {
            let record = store.blob(&sample_blob(blob)).expect("read").unwrap_or_default();
            let found = record.objects.iter().map(|object| {
                let certified = object.certified_epoch.map(|epoch| epoch.0);
                ((blob, object.object_id.as_bytes()[0]), (object.end_epoch.0, certified))
            });
            let expected = self.objects.iter().filter(|((of, _), _)| *of == blob);
            assert!(found.eq(expected.map(|(key, row)| (*key, *row))), "blob {blob}");
            assert_eq!(record.invalid.is_some(), self.invalid.contains(&blob));
        }
        assert_eq!(store.shards().expect("read"), self.shards);
        for epoch in (0..13).map(Epoch) {
            assert_eq!(store.census(epoch).expect("read"), self.census(store, epoch), "{epoch}");
        }
    }

    fn check(&self, store: &Store) {
        self.check_chain(store);
        for blob in 0..4 {
            let id = sample_blob(blob);
            assert_eq!(store.header(&id).expect("read").is_some(), self.headers.contains(&blob));
            let certificate = store.certificate(&id).expect("read");
            assert_eq!(certificate.is_some(), self.certificates.contains(&blob));
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

async fn apply(store: &Store, model: &mut Model, effect: BlobEffect) {
    store.apply(model.checkpoint, vec![effect]).await.expect("applied");
    model.checkpoint += 1;
}

async fn put(store: &Store, model: &mut Model, step: &Step) {
    match *step {
        Step::Header { blob, now_ms } => {
            let header = sample_bytes(blob, 73);
            store.put_header(&sample_blob(blob), header, now_ms).await.expect("stored");
            model.headers.insert(blob);
            model.since.entry(blob).or_insert(now_ms);
        }
        Step::Segment { blob, segment, shards: count, length, now_ms } => {
            let shards = shards(0..count);
            write_segment(store, blob, segment, &shards, length, now_ms).await.expect("stored");
            model.slivers.extend((0..count).map(|shard| ((blob, segment, shard), length)));
            model.since.entry(blob).or_insert(now_ms);
        }
        Step::Certificate { blob } => {
            store.put_certificate(&sample_blob(blob), vec![1]).await.expect("stored");
            model.certificates.insert(blob);
        }
        _ => unreachable!("the caller matched it"),
    }
}

async fn take(store: &Store, model: &mut Model, step: Step) {
    match step {
        Step::Header { .. } | Step::Segment { .. } | Step::Certificate { .. } => {
            put(store, model, &step).await;
        }
        Step::Register { blob, object, end } => {
            apply(store, model, registered_until(blob, object, end)).await;
            model.objects.insert((blob, object), (end, None));
        }
        Step::Certify { blob, object, epoch, end } => {
            apply(store, model, certified_until(blob, object, epoch, end)).await;
            model.certify(blob, object, epoch, end);
        }
        Step::Invalidate { blob } => {
            apply(store, model, invalidated(blob, 1)).await;
            model.invalid.insert(blob);
        }
        Step::Delete { blob, object } => {
            apply(store, model, deleted(blob, object)).await;
            model.delete(blob, object);
        }
        Step::Forget { before_ms } => {
            store.forget_pending(before_ms).await.expect("forgotten");
            model.forget(before_ms);
        }
        Step::Expire { epoch } => {
            let before = store.usage().expect("read");
            let bytes = store.expire(Epoch(epoch)).await.expect("expired");
            model.expire(epoch);
            let after = store.usage().expect("read");
            assert_eq!(before.content_bytes - after.content_bytes, bytes);
            assert_eq!(before.pending_bytes, after.pending_bytes);
        }
        Step::Shards { changes } => {
            store.set_shards(changes.clone()).await.expect("set");
            for (shard, state) in changes {
                match state {
                    Some(state) => drop(model.shards.insert(shard, state)),
                    None => drop(model.shards.remove(&shard)),
                }
            }
        }
        Step::Drop { shard } => drop_shard(store, model, ShardIndex(shard)).await,
        Step::Reopen => {}
    }
}

/// Removes a shard unless it is ours.
async fn drop_shard(store: &Store, model: &mut Model, shard: ShardIndex) {
    let parameters = Parameters::new(4, 1 << 16).expect("valid parameters");
    if model.shards.get(&shard).is_some_and(Holding::is_ours) {
        let refused = store.drop_shard(shard, &parameters).await;
        assert!(matches!(refused, Err(StoreError::ShardInUse { .. })), "{refused:?}");
        return;
    }
    while !store.drop_shard(shard, &parameters).await.expect("removed").is_done {}
    model.shards.remove(&shard);
    model.slivers.retain(|(_, _, of), _| *of != shard.0);
    let is_left = |blob: &u64| {
        model.headers.contains(blob) || model.slivers.keys().any(|(of, _, _)| of == blob)
    };
    let empty: Vec<_> = model.since.keys().copied().filter(|blob| !is_left(blob)).collect();
    for blob in empty {
        model.since.remove(&blob);
        if !model.is_registered(blob) {
            model.certificates.remove(&blob);
        }
    }
}

async fn play(steps: Vec<Step>, directory: Option<&Path>) {
    let open_store = || directory.map_or_else(|| Store::in_memory().expect("opens"), open);
    let mut store = open_store();
    let mut model = Model::default();
    for step in steps {
        if matches!(step, Step::Reopen) && directory.is_some() {
            drop(store);
            store = open_store();
        }
        take(&store, &mut model, step).await;
        check_consistent(&store, directory);
        model.check_chain(&store);
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
