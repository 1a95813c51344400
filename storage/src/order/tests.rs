//! The order of certification against a list, and that nodes that know the same say the same.

use haulout_protocol::chain::ObjectId;
use proptest::prelude::*;
use tempfile::tempdir;

use super::*;
use crate::testing::*;
use crate::{BlobEffect, Store};

/// Segments of 1 KiB, blobs of up to 600 bytes are short.
fn sample_parameters() -> Parameters {
    let parameters = Parameters::new(7, 1024).expect("valid parameters");
    parameters.with_short_blobs(600).expect("valid parameters")
}

/// Every length that a blob of these tests has, by its number.
fn length_of(blob: u64) -> u64 {
    [0, 1, 600, 601, 1024, 1025, 5000][usize::try_from(blob).expect("small") % 7]
}

fn registered_as(blob: u64, object: u8, epoch: u32, end: u32) -> BlobEffect {
    BlobEffect::Registered {
        blob_id: sample_blob(blob),
        object_id: ObjectId::from_bytes([object; 32]),
        epoch: Epoch(epoch),
        end_epoch: Epoch(end),
        size: length_of(blob),
        deletable: true,
    }
}

/// Registered and certified in that epoch.
fn certified_as(blob: u64, object: u8, epoch: u32, end: u32) -> Vec<BlobEffect> {
    vec![registered_as(blob, object, epoch, end), certified_until(blob, object, epoch, end)]
}

/// Blobs in the store's order, with how many bytes a shard stores of each, read byte by byte at the borders.
fn listed(order: &Order) -> Vec<(BlobId, u64)> {
    let (mut listed, mut at) = (Vec::new(), 0);
    while let Some(first) = order.byte_at(at).expect("read") {
        assert_eq!(first.offset, 0, "the blob before ended");
        let bytes = stored(&sample_parameters(), first.blob_bytes);
        let last = order.byte_at(at + bytes - 1).expect("read").expect("within");
        assert_eq!((last.blob_id, last.offset), (first.blob_id, bytes - 1));
        listed.push((first.blob_id, bytes));
        at += bytes;
    }
    assert_eq!(order.bytes().expect("read"), at);
    listed
}

#[test]
fn a_shard_stores_the_slivers_of_its_pairs() {
    let parameters = sample_parameters();
    for bytes in [601, 1024, 1025, 5000] {
        let segments = u32::try_from(parameters.segment_count(bytes)).expect("few");
        let of = |segment| {
            let length = parameters.segment_length(bytes, segment);
            Axis::BOTH.map(|axis| bytes_of(parameters.sliver_bytes(axis, length)))
        };
        let sum: u64 = (0..segments).flat_map(of).sum();
        assert_eq!(stored(&parameters, bytes), sum, "{bytes} bytes");
    }
    assert_eq!(stored(&parameters, 600), u64::from(parameters.short_symbol_bytes(600)));
    let none = Parameters::new(7, 1024).expect("valid parameters");
    assert_eq!(stored(&none, 0), 2 * (3 + 5), "an empty blob has a segment");
}

#[tokio::test]
async fn a_blob_keeps_its_place_until_no_certified_object_stands_for_it() {
    let store = Store::in_memory().expect("opens");
    store.set_parameters(&sample_parameters()).await.expect("told");
    let blobs = || -> Vec<_> {
        let order = store.order().expect("read");
        listed(&order).into_iter().map(|(blob, _)| blob).collect()
    };
    let [one, two, three] = [1, 2, 3].map(sample_blob);
    let mut first = certified_as(1, 1, 1, 3);
    first.extend(certified_as(2, 2, 1, 9));
    store.apply(4, first).await.expect("applied");
    store.apply(5, vec![registered_as(3, 3, 1, 9)]).await.expect("applied");
    assert_eq!(blobs(), [one, two], "registered is not certified");
    store.apply(6, certified_as(1, 4, 2, 5)).await.expect("applied");
    store.apply(7, vec![certified_until(3, 3, 2, 9), deleted(1, 1)]).await.expect("applied");
    assert_eq!(blobs(), [one, two, three], "another object stands for it");
    let order = store.order().expect("read");
    let certified = |position| order.byte_at(position).expect("read").map(|byte| byte.certified);
    assert_eq!(certified(0), Some(Some((4, 1))), "the first one's");
    assert_eq!(certified(order.bytes().expect("read") - 1), Some(Some((7, 0))));
    assert_eq!(order.checkpoint(), Some(7));
    store.apply(8, vec![deleted(1, 4)]).await.expect("applied");
    store.apply(9, certified_as(1, 5, 2, 9)).await.expect("applied");
    assert_eq!(blobs(), [two, three, one]);
    store.apply(10, vec![invalidated(3, 2)]).await.expect("applied");
    assert_eq!(blobs(), [two, one]);
    store.apply(11, certified_as(3, 6, 2, 9)).await.expect("applied");
    assert_eq!(blobs(), [two, one], "the verdict is final");
    store.expire(Epoch(9)).await.expect("expired");
    assert_eq!((blobs(), store.order().expect("read").epoch()), (vec![], Some(Epoch(9))));
    check_consistent(&store, None);
}

#[tokio::test]
async fn what_was_certified_before_the_numbers_were_known_is_summed_up_when_they_are() {
    let directory = tempdir().expect("created");
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    for blob in 1..40 {
        let object = u8::try_from(blob).expect("small");
        store.apply(blob, certified_as(blob, object, 1, 9)).await.expect("applied");
    }
    store.apply(40, vec![deleted(7, 7), deleted(39, 39)]).await.expect("applied");
    assert_eq!(store.order().expect("read").bytes().expect("read"), 0);
    store.set_parameters(&sample_parameters()).await.expect("told");
    check_consistent(&store, Some(directory.path()));
    let blobs = (1..39).filter(|blob| *blob != 7);
    let of = |blob| (sample_blob(blob), stored(&sample_parameters(), length_of(blob)));
    let expected: Vec<_> = blobs.map(of).collect();
    drop(store);
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    assert_eq!(listed(&store.order().expect("read")), expected);
    store.set_parameters(&sample_parameters()).await.expect("told again");
    assert_eq!(listed(&store.order().expect("read")), expected);
}

#[tokio::test]
async fn many_blobs_that_are_over_lose_their_places_in_several_transactions() {
    let store = Store::in_memory().expect("opens");
    store.set_parameters(&sample_parameters()).await.expect("told");
    let blobs = 2 * u64::try_from(EXPIRED_MAX).expect("small") + 3;
    let effects = (0..blobs).flat_map(|blob| certified_as(blob, 1, 1, 4)).collect();
    store.apply(1, effects).await.expect("applied");
    store.apply(2, certified_as(blobs, 1, 1, 5)).await.expect("applied");
    store.expire(Epoch(4)).await.expect("expired");
    let left = listed(&store.order().expect("read"));
    assert_eq!(left.into_iter().map(|(blob, _)| blob).collect::<Vec<_>>(), [sample_blob(blobs)]);
}

/// What the ledger says, one event each.
#[derive(Clone, Copy, Debug)]
enum Step {
    Certify { blob: u64, epochs: u32 },
    Extend { object: usize, epochs: u32 },
    Delete { object: usize },
    Invalidate { blob: u64 },
    Epoch,
}

fn step() -> impl Strategy<Value = Step> {
    let (blob, object, epochs) = (0..9_u64, 0..200_usize, 1..5_u32);
    prop_oneof![
        6 => (blob.clone(), epochs.clone()).prop_map(|(blob, epochs)| Step::Certify { blob, epochs }),
        2 => (object.clone(), epochs).prop_map(|(object, epochs)| Step::Extend { object, epochs }),
        3 => object.prop_map(|object| Step::Delete { object }),
        1 => (0..40_u64).prop_map(|blob| Step::Invalidate { blob }),
        2 => Just(Step::Epoch),
    ]
}

/// The same as a list.
#[derive(Default)]
struct Model {
    epoch: u32,
    /// Blob, first certified, end.
    objects: BTreeMap<u8, (u64, u32, u32)>,
    next: u8,
    invalid: Vec<u64>,
    order: Vec<(u64, u64)>,
}

impl Model {
    fn is_live(&self, blob: u64) -> bool {
        let mut ends = self.objects.values().filter(|object| object.0 == blob);
        !self.invalid.contains(&blob) && ends.any(|object| object.2 > self.epoch)
    }

    /// Blobs in order, those whose time is over left out; a blob that is new has its place from this checkpoint on.
    fn look(&mut self, checkpoint: u64) {
        let order = std::mem::take(&mut self.order);
        self.order = order.into_iter().filter(|(blob, _)| self.is_live(*blob)).collect();
        for blob in 0..9 {
            if self.is_live(blob) && self.order.iter().all(|(other, _)| *other != blob) {
                self.order.push((blob, checkpoint));
            }
        }
    }

    /// The event of a step, if there is such a thing to happen.
    fn take(&mut self, step: Step) -> Vec<BlobEffect> {
        let live: Vec<u8> = self
            .objects
            .iter()
            .filter(|(_, object)| object.2 > self.epoch)
            .map(|(id, _)| *id)
            .collect();
        let pick = |object: usize| live.get(object % live.len().max(1)).copied();
        match step {
            Step::Certify { blob, epochs } if self.next < 250 && !self.invalid.contains(&blob) => {
                self.next += 1;
                let end = self.epoch + epochs;
                self.objects.insert(self.next, (blob, self.epoch, end));
                certified_as(blob, self.next, self.epoch, end)
            }
            Step::Extend { object, epochs } => {
                let Some(id) = pick(object) else { return Vec::new() };
                let (blob, certified, end) = self.objects[&id];
                self.objects.insert(id, (blob, certified, end + epochs));
                vec![certified_until(blob, id, certified, end + epochs)]
            }
            Step::Delete { object } => {
                let Some(id) = pick(object) else { return Vec::new() };
                let (blob, _, _) = self.objects.remove(&id).expect("it is live");
                vec![deleted(blob, id)]
            }
            Step::Invalidate { blob } if blob < 9 => {
                self.invalid.push(blob);
                vec![invalidated(blob, self.epoch)]
            }
            Step::Certify { .. } | Step::Invalidate { .. } => Vec::new(),
            Step::Epoch => {
                self.epoch += 1;
                Vec::new()
            }
        }
    }

    fn check(&self, store: &Store) {
        let order = store.order().expect("read");
        let of = |(blob, _): &(u64, u64)| {
            (sample_blob(*blob), stored(&sample_parameters(), length_of(*blob)))
        };
        assert_eq!(listed(&order), self.order.iter().map(of).collect::<Vec<_>>());
        for before in 0..self.order.last().map_or(2, |(_, last)| last + 2) {
            let until = self.order.iter().take_while(|(_, at)| *at < before);
            let sum: u64 = until.map(|one| of(one).1).sum();
            assert_eq!(order.bytes_before(before, 0).expect("read"), sum, "before {before}");
        }
        for (number, one) in self.order.iter().enumerate() {
            // Its certification came after one other effect in its checkpoint, the registration.
            let before: u64 = self.order[..number].iter().map(|one| of(one).1).sum();
            assert_eq!(order.bytes_before(one.1, 1).expect("read"), before);
            assert_eq!(order.bytes_before(one.1, 2).expect("read"), before + of(one).1);
        }
    }
}

async fn play(steps: Vec<(Step, bool)>) {
    let (prompt, late) = (Store::in_memory().expect("opens"), Store::in_memory().expect("opens"));
    let mut model = Model::default();
    for (checkpoint, (step, is_noticed)) in (1..).zip(steps) {
        let effects = model.take(step);
        model.look(checkpoint);
        // One is told the numbers at once, the other when something was certified.
        if checkpoint == 1 {
            prompt.set_parameters(&sample_parameters()).await.expect("told");
        }
        for store in [&prompt, &late] {
            store.apply(checkpoint, effects.clone()).await.expect("applied");
        }
        prompt.expire(Epoch(model.epoch)).await.expect("expired");
        model.check(&prompt);
        if is_noticed {
            late.set_parameters(&sample_parameters()).await.expect("told");
            late.expire(Epoch(model.epoch)).await.expect("expired");
            model.check(&late);
        }
        for store in [&prompt, &late] {
            check_consistent(store, None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn nodes_that_know_the_same_events_say_the_same_whenever_they_take_out_what_is_over(
        steps in prop::collection::vec((step(), prop::bool::weighted(0.3)), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
        runtime.block_on(play(steps));
    }
}
