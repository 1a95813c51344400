//! T124: how large the objects of an epoch change are, with 150 nodes and 1000 shards.
//!
//! Sui holds an object to 250 KiB (256 000 bytes) and a transaction to 1024 accesses of dynamic
//! fields. In this ledger the state of stake is one object, with its pools inside; on Sui the pools
//! and their histories are tables, as `contracts.md` 4.6 has them.

use super::*;
use crate::ledger::rules::accounting;

/// The most bytes of an object on Sui.
const OBJECT_BYTES_MAX: usize = 250 * 1024;
const NODES: u8 = 150;

fn bytes(value: &impl serde::Serialize) -> usize {
    bcs::to_bytes(value).unwrap().len()
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
fn t124_without_its_pools_the_state_of_stake_is_well_within_a_sui_object() {
    let mut world = world(1);
    world.select();
    let mut staking = world.staking;
    assert_eq!(staking.committee.len(), usize::from(NODES));
    let largest = staking.pools.values().map(bytes).max().unwrap();
    assert!(largest < 1024, "a pool has {largest} bytes, and its tables do not count on Sui");
    staking.pools.clear();
    staking.by_peer.clear();
    staking.by_bls.clear();
    let size = bytes(&staking);
    assert!(size < OBJECT_BYTES_MAX / 5, "{size} bytes");
}

#[test]
fn t124_the_system_object_is_well_within_a_sui_object() {
    let mut world = world(0);
    world.select();
    world.now_ms += DAY / 2;
    let opening = world.epoch_change(Closing::default()).unwrap();
    let ring = accounting::new_ring(1, 53);
    let system = crate::ledger::rules::tests::sample_system();
    let system =
        haulout_protocol::chain::object::System { committee: opening.committee, ring, ..system };
    let size = bytes(&system);
    assert!(size < OBJECT_BYTES_MAX / 10, "{size} bytes");
}

#[test]
fn t124_as_one_object_with_all_pools_the_state_outgrows_a_sui_object_after_some_epochs() {
    let (young, older) = (world(1), world(3));
    let (young, older) = (bytes(&young.staking), bytes(&older.staking));
    // Each pool records a rate and its stake in every epoch it serves.
    let per_epoch = (older - young) / 2;
    let expected = usize::from(NODES) * (21 + 12) + 12;
    assert!(per_epoch.abs_diff(expected) < 1024, "{per_epoch} bytes per epoch, not {expected}");
    assert!(young < OBJECT_BYTES_MAX, "{young} bytes in a young network");
    let epochs = (OBJECT_BYTES_MAX - young) / per_epoch;
    assert!(epochs < 60, "about {epochs} epochs fit, so pools and histories must be tables on Sui");
}
