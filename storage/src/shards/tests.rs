//! Which shards the node has survives restarts, and changes happen together.

use tempfile::tempdir;

use super::*;
use crate::Store;
use crate::testing::{check_consistent, sample_options};

fn missing(since: u32) -> Option<Holding> {
    Some(Holding::Missing { since: Epoch(since) })
}

#[tokio::test]
async fn a_new_store_has_no_shards() {
    let store = Store::in_memory().expect("opens");
    assert!(store.shards().expect("read").is_empty());
    store.set_shards(Vec::new()).await.expect("nothing to do");
    assert!(store.shards().expect("read").is_empty());
}

#[tokio::test]
async fn shards_are_gained_completed_and_given_up() {
    let store = Store::in_memory().expect("opens");
    let held = Some(Holding::Held);
    let changes = vec![(ShardIndex(7), missing(3)), (ShardIndex(2), held), (ShardIndex(0), held)];
    store.set_shards(changes).await.expect("set");
    let expected = BTreeMap::from([
        (ShardIndex(0), Holding::Held),
        (ShardIndex(2), Holding::Held),
        (ShardIndex(7), Holding::Missing { since: Epoch(3) }),
    ]);
    assert_eq!(store.shards().expect("read"), expected);

    let changes = vec![(ShardIndex(7), held), (ShardIndex(0), None), (ShardIndex(9), None)];
    store.set_shards(changes.clone()).await.expect("set");
    store.set_shards(changes).await.expect("the same again");
    let expected = BTreeMap::from([(ShardIndex(2), Holding::Held), (ShardIndex(7), Holding::Held)]);
    assert_eq!(store.shards().expect("read"), expected);
}

#[tokio::test]
async fn of_two_changes_to_one_shard_the_later_holds() {
    let store = Store::in_memory().expect("opens");
    let changes = vec![(ShardIndex(1), missing(3)), (ShardIndex(1), missing(4))];
    store.set_shards(changes).await.expect("set");
    let expected = BTreeMap::from([(ShardIndex(1), Holding::Missing { since: Epoch(4) })]);
    assert_eq!(store.shards().expect("read"), expected);
    let changes = vec![(ShardIndex(1), None), (ShardIndex(u16::MAX), missing(u32::MAX))];
    store.set_shards(changes).await.expect("set");
    let last = Holding::Missing { since: Epoch(u32::MAX) };
    assert_eq!(store.shards().expect("read"), BTreeMap::from([(ShardIndex(u16::MAX), last)]));
}

#[tokio::test]
async fn a_shard_that_another_has_is_locked_until_it_is_released_or_back() {
    let store = Store::in_memory().expect("opens");
    let locked = Holding::Locked { since: Epoch(6) };
    for state in [locked, Holding::Held, locked, Holding::Missing { since: Epoch(7) }] {
        store.set_shards(vec![(ShardIndex(1), Some(state))]).await.expect("set");
        assert_eq!(store.shards().expect("read"), BTreeMap::from([(ShardIndex(1), state)]));
    }
}

#[tokio::test]
async fn shards_survive_a_restart() {
    let directory = tempdir().expect("created");
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    let changes: Vec<_> = (0..1000).map(|shard| (ShardIndex(shard), missing(5))).collect();
    store.set_shards(changes).await.expect("set");
    store.set_shards(vec![(ShardIndex(4), Some(Holding::Held))]).await.expect("set");
    drop(store);
    let store = Store::open(directory.path(), sample_options()).expect("opens");
    let shards = store.shards().expect("read");
    assert_eq!(shards.len(), 1000);
    assert_eq!(shards.get(&ShardIndex(4)), Some(&Holding::Held));
    assert_eq!(shards.get(&ShardIndex(5)).copied(), missing(5));
    check_consistent(&store, Some(directory.path()));
}
