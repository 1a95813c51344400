//! T124: how large the objects of an epoch change are, with 150 nodes and 1000 shards.
//!
//! Sui holds an object to 250 KiB (256 000 bytes) and a transaction to 1024 accesses of dynamic
//! fields. Pools, their histories and the keys in use are tables, as `contracts.md` 4.6 has them.

use super::*;
use crate::chain::object::staking::Rows;
use crate::rules::accounting;

/// The most bytes of an object on Sui.
const OBJECT_BYTES_MAX: usize = 250 * 1024;
/// The most dynamic fields that a transaction on Sui may touch.
const FIELDS_MAX: usize = 1024;
const NODES: u8 = 150;

fn bytes(value: &impl serde::Serialize) -> usize {
    bcs::to_bytes(value).unwrap().len()
}

/// The bytes of each field that differs between two states: an entry is an id, a name and a value.
fn changes(before: Option<&Staking>, after: &Staking) -> Vec<usize> {
    let mut sizes = vec![];
    for (node, pool) in after.pools.changes(before.map(|before| &before.pools)) {
        let old = before.and_then(|before| before.pools.get(node));
        sizes.push(32 + bytes(node) + pool.map_or(0, |pool| bytes(&**pool)));
        let Some(pool) = pool else { continue };
        note(&mut sizes, &pool.rates, old.map(|old| &old.rates));
        note(&mut sizes, &pool.stake_at, old.map(|old| &old.stake_at));
    }
    note(&mut sizes, &after.stake_history, before.map(|before| &before.stake_history));
    note(&mut sizes, &after.by_peer, before.map(|before| &before.by_peer));
    note(&mut sizes, &after.by_bls, before.map(|before| &before.by_bls));
    sizes
}

fn note<Key: Ord + serde::Serialize, Row: PartialEq + serde::Serialize>(
    sizes: &mut Vec<usize>,
    after: &Rows<Key, Row>,
    before: Option<&Rows<Key, Row>>,
) {
    let changed = after.changes(before);
    sizes.extend(changed.iter().map(|(name, row)| 32 + bytes(name) + row.map_or(0, bytes)));
}

/// The largest committee, `epochs` epochs after the first.
fn world(epochs: u32) -> World {
    let mut world = World::new(1000);
    world.params.max_nodes = NODES.into();
    for number in 1..=NODES {
        world.register(number).unwrap();
        world.stake(number, (100 + u64::from(number)) * WAL).unwrap();
    }
    for _ in 0..=epochs {
        world.next_epoch(1_000_000_000);
    }
    world
}

#[test]
fn t124_the_system_object_is_well_within_a_sui_object() {
    let mut world = world(0);
    world.select();
    world.now_ms += DAY / 2;
    let opening = world.epoch_change(Closing::default()).unwrap();
    let ring = accounting::new_ring(1, 53);
    let system = crate::rules::tests::sample_system();
    let system = crate::chain::object::System { committee: opening.committee, ring, ..system };
    let size = bytes(&system);
    assert!(size < OBJECT_BYTES_MAX / 10, "{size} bytes");
}

/// A member of the committee and how it is written down: its pool, its rate, its stake in the epoch.
const FIELDS_OF_A_MEMBER: usize = 3;

/// Sui bounds what a transaction touches of dynamic fields. With the same committee before and after,
/// an epoch change writes 451 of them, and reads 150 more: the rate of the epoch before of each
/// pool, which stake that left early is counted by.
///
/// What this does not show, because the rules have no bound for it: a node that is only in one of
/// two committees is settled as well. If all 150 were replaced at once, the change would write
/// 2 * 300 + 150 + 1 = 751 and read 300 more, 1051 in all; and each BLS key that takes effect writes
/// 2. On Sui the settling of nodes that leave would have to be a transaction of its own.
#[test]
fn t124_after_a_hundred_epochs_every_object_and_every_epoch_change_is_within_the_limits_of_sui() {
    let mut world = world(100);
    world.select();
    world.now_ms += DAY / 2;
    let before = world.staking.clone();
    assert_eq!((before.committee.len(), before.epoch), (usize::from(NODES), 101));
    let closing = Closing { rewards: 1_000_000_000, used: 1_000, ..Closing::default() };
    world.epoch_change(closing).unwrap();
    let touched = changes(Some(&before), &world.staking);
    assert_eq!(touched.len(), usize::from(NODES) * FIELDS_OF_A_MEMBER + 1);
    let read = usize::from(NODES);
    assert!(touched.len() + read < FIELDS_MAX, "{} fields", touched.len());

    let core = bytes(&world.staking);
    assert!(core < OBJECT_BYTES_MAX / 5, "{core} bytes");
    let all = changes(None, &world.staking);
    let entries = usize::from(NODES) * (2 * 102 + 3) + 102;
    assert_eq!(all.len(), entries, "rates, stakes, pools, two keys of each node, and the history");
    let largest = all.iter().max().unwrap();
    assert!(*largest < 1024, "{largest} bytes in a field");
}

#[test]
fn t124_the_state_of_stake_does_not_grow_with_its_epochs() {
    let (young, older) = (world(1).staking, world(5).staking);
    assert_eq!(bytes(&young), bytes(&older));
    let size = |staking: &Staking| staking.pools.values().map(|pool| bytes(&**pool)).max();
    assert_eq!(size(&young), size(&older));
}
