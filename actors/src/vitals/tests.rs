//! What is measured becomes a condition, and stops to be one.

use std::time::Duration;

use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::conditions::Name;
use haulout_protocol::machine::epoch_change::Holding;
use haulout_protocol::sliver::{Axis, ShardIndex};
use haulout_storage::{BlobEffect, Options, Store, StoreError};

use super::*;
use crate::sample::{eventually, position_of, sample_committee, sample_context, sample_network};
use crate::tree::Role;

#[test]
fn one_resting_actor_anywhere_is_named_and_none_is_when_all_run() {
    let child = |name: &str, state, children| Health {
        name: name.to_owned(),
        state,
        restarts: 0,
        children,
    };
    let gossip = |state| child("gossip", state, vec![]);
    let tree = |state| [child("services", ChildState::Running, vec![gossip(state)])];
    for (state, expected) in [
        (ChildState::Running, vec![]),
        (ChildState::Waiting, vec!["gossip"]),
        (ChildState::Stopped, vec!["gossip"]),
    ] {
        let mut down = Vec::new();
        collect_down(&tree(state), &mut down);
        assert_eq!(down, expected);
    }
}

fn clock_of(vitals: &Vitals) -> bool {
    let facts = Facts { clock: vitals.measured().clock, ..Facts::default() };
    conditions::conditions(&facts).iter().any(|condition| condition.name == Name::ClockWrong)
}

#[test]
fn a_clock_far_from_the_ledgers_is_named_until_it_is_set() {
    let vitals = Vitals::new(Duration::from_secs(60));
    let hour = 3_600_000;
    // A ledger whose time nobody moved, as it says when it is asked.
    let note = |ours, ledger, latest| {
        if let Some(found) = vitals.note_clock(ours, ledger, latest) {
            vitals.note_explained(found, 0);
        }
    };
    assert!(!clock_of(&vitals), "the ledger told nothing yet");
    note(10 * hour, 9 * hour, false);
    assert!(!clock_of(&vitals), "an old checkpoint says nothing of a clock that is ahead");
    for (ours, latest, expected) in [
        (11 * hour, true, true),
        (10 * hour + 60_000, true, false),
        (9 * hour, false, true),  // the future is never old
        (11 * hour, false, true), // what was found stays until something else is
        (10 * hour - 60_000, true, false),
    ] {
        note(ours, 10 * hour, latest);
        assert_eq!(clock_of(&vitals), expected, "{ours} {latest}");
    }
}

#[test]
fn a_ledger_whose_time_was_moved_is_asked_once_and_hides_no_clock_that_is_wrong() {
    let vitals = Vitals::new(Duration::from_secs(60));
    let hour = 3_600_000;
    let found = vitals.note_clock(10 * hour, 34 * hour, true).expect("a day is too much");
    assert!(!clock_of(&vitals), "nothing is said before the ledger was asked");
    vitals.note_explained(found, 24 * hour);
    assert!(!clock_of(&vitals));
    assert_eq!(vitals.note_clock(11 * hour, 35 * hour, true), None, "it need not be asked again");
    // Our clock is set back by two hours.
    let found = vitals.note_clock(9 * hour, 35 * hour, true).expect("two hours are too much");
    vitals.note_explained(found, 24 * hour);
    assert!(clock_of(&vitals));
    // The ledger's time is moved on, and our clock is right again.
    let found = vitals.note_clock(11 * hour, 59 * hour, true).expect("it was moved again");
    vitals.note_explained(found, 48 * hour);
    assert!(!clock_of(&vitals));
}

/// A blob of one segment that the ledger says is certified.
fn certified(number: u8) -> (haulout_protocol::blob::BlobId, Vec<BlobEffect>) {
    let blob_id = haulout_protocol::blob::BlobId::from_bytes([number; 32]);
    let object_id = haulout_protocol::chain::ObjectId::from_bytes([number; 32]);
    let (epoch, end_epoch) = (Epoch(0), Epoch(9));
    let (size, deletable) = (1, false);
    let effects = vec![
        BlobEffect::Registered { blob_id, object_id, epoch, end_epoch, size, deletable },
        BlobEffect::Certified { blob_id, object_id, epoch, end_epoch },
    ];
    (blob_id, effects)
}

/// A node over a store on disk, alone in its committee with four shards, which are here.
async fn start(folder: &std::path::Path, options: Options) -> (Context, Tree) {
    let network = sample_network(1);
    let position = position_of(sample_committee(&[network.identity()], 4));
    let mut context = sample_context(position, network.identity(), 0);
    context.store = Store::open(folder, options).unwrap();
    let shards = (0..4).map(|shard| (ShardIndex(shard), Some(Holding::Held))).collect();
    context.store.set_shards(shards).await.unwrap();
    let tree = Tree::start(context.clone(), network, Role::StorageNode).await.unwrap();
    (context, tree)
}

async fn store_segment(store: &Store, blob: haulout_protocol::blob::BlobId) {
    store.put_header(&blob, vec![1], 0).await.unwrap();
    let mut writer = store.segment_writer(blob, 0, 0).unwrap();
    for shard in 0..4 {
        writer.append_proof(ShardIndex(shard), &[2]).unwrap();
        for axis in Axis::BOTH {
            writer.append(ShardIndex(shard), axis, &[7; 20_000]).unwrap();
        }
    }
    writer.commit().await.unwrap();
}

fn names(context: &Context, tree: &Tree) -> Vec<Name> {
    conditions(context, tree).into_iter().map(|condition| condition.name).collect()
}

fn without_reserve() -> Options {
    Options { reserve_bytes: 0, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn incomplete_blobs_and_rot_are_found_counted_and_over_when_they_are_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (context, tree) = start(folder.path(), without_reserve()).await;
    let (blob, effects) = certified(1);
    let said = |expected: &'static [Name]| {
        let (context, tree) = (context.clone(), tree.clone());
        eventually("the node says how it is", move || names(&context, &tree) == expected)
    };
    // Who has not judged the epoch before knows less of its shards.
    let judged = async || {
        let context = context.clone();
        let is_judged = move || {
            let epoch = context.position.current().epoch;
            context.vitals.shards_missing(epoch).is_some()
        };
        eventually("the epoch is judged", is_judged).await;
    };
    judged().await;
    said(&[]).await;
    // A new epoch is a reason to look at once, unlike a checkpoint.
    let move_on = async || {
        let mut position = context.position.current();
        position.epoch = Epoch(position.epoch.0 + 1);
        context.position.set(position);
        judged().await;
    };
    context.store.apply(0, effects).await.unwrap();
    move_on().await;
    said(&[Name::BlobsIncomplete]).await;
    let counted = |expected: (u64, u64)| {
        let context = context.clone();
        eventually("the node says how much is missing", move || {
            let missing = context.vitals.missing();
            (missing.blobs, missing.pairs) == expected
        })
    };
    counted((1, 4)).await;
    store_segment(&context.store, blob).await;
    move_on().await;
    said(&[]).await;
    counted((0, 0)).await;

    for folder in std::fs::read_dir(folder.path().join("bundles")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            std::fs::write(file.unwrap().path(), vec![8; 160_000]).unwrap();
        }
    }
    let read = context.store.sliver(&blob, 0, ShardIndex(0), Axis::Primary);
    assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
    move_on().await;
    said(&[Name::RotFound, Name::BlobsIncomplete]).await;
    store_segment(&context.store, blob).await;
    move_on().await;
    said(&[]).await;
    tree.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_beyond_the_reserve_is_named_and_refuses_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let reserve_bytes = u64::MAX / 4;
    let options = Options { reserve_bytes, ..Options::default() };
    let (context, tree) = start(folder.path(), options).await;
    eventually("the node says that it is full", || names(&context, &tree) == [Name::DiskFull])
        .await;
    let refused = context.store.put_header(&certified(1).0, vec![1], 0).await;
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    let cause = conditions(&context, &tree).remove(0).cause;
    assert!(cause.contains(&reserve_bytes.to_string()), "{cause}");
    tree.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_shard_is_held_again_once_all_of_it_was_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let (context, tree) = start(folder.path(), without_reserve()).await;
    let (blob, effects) = certified(1);
    context.store.apply(0, effects).await.unwrap();
    let since = Holding::Missing { since: Epoch(0) };
    let missing = (0..2).map(|shard| (ShardIndex(shard), Some(since))).collect();
    context.store.set_shards(missing).await.unwrap();
    let held = |store: &Store| {
        let shards = store.shards().unwrap();
        shards.values().filter(|holding| **holding == Holding::Held).count()
    };
    assert_eq!(held(&context.store), 2);
    // What belongs in shards that are not whole is missing, too.
    let vitals = context.vitals.clone();
    eventually("all that is missing is counted", move || vitals.missing().pairs == 4).await;
    store_segment(&context.store, blob).await;
    let store = context.store.clone();
    eventually("all four are held", move || held(&store) == 4).await;
    drop(tree);
}
