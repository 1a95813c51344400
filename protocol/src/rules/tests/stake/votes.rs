//! Prices and capacity.

use super::*;
use crate::rules::staking::{clamp_price, quorum_above, quorum_below};

const VOTES: [(u64, u16); 5] = [(100, 40), (120, 25), (150, 20), (90, 10), (500, 5)];

#[test]
fn t81_price_and_capacity_are_what_a_quorum_can_live_with() {
    assert_eq!(quorum_below(&VOTES, 100), 120);
    assert_eq!(quorum_above(&VOTES, 100), 100);
    assert_eq!(quorum_below(&[(10, 30), (20, 30), (30, 30), (1000, 10)], 100), 30);
    assert_eq!(quorum_below(&[], 100), u64::MAX);
    assert_eq!(quorum_above(&[], 100), 0);
    // A third of the shards cannot move the price past all others, up or down.
    for wild in [0, u64::MAX] {
        assert_eq!(quorum_below(&[(50, 67), (wild, 33)], 100), 50);
    }
}

#[test]
fn t82_a_price_moves_one_step_per_epoch() {
    for (voted, base, expected) in [
        (1_000, 100, 125),
        (0, 100, 75),
        (110, 100, 110),
        (7, u64::MAX, 7),
        (9, 1, 2),
        (9, 0, 1),
        (u64::MAX, u64::MAX - 1, u64::MAX),
    ] {
        assert_eq!(clamp_price(voted, base, 2_500), Ok(expected), "{voted} from {base}");
    }
}

#[test]
fn t82_prices_of_an_epoch_are_bounded_by_the_price_before_it_however_often_they_are_updated() {
    let (mut world, _) = World::with_stakes(10, &[40, 40, 40]);
    assert_eq!(world.prices, Asks { storage: 100, write: 20 }, "the first price is free");
    let vote = |world: &mut World, price| {
        for number in 1..=3 {
            let cap = world.caps[&number];
            world
                .run(|context, staking, _, _| {
                    staking::set_storage_price_vote(context, staking, &cap, price)
                })
                .unwrap();
        }
    };
    world.next_epoch(0);
    vote(&mut world, 1_000);
    for _ in 0..3 {
        let update = |context: &mut Context<'_>, staking: &mut Staking, params: &StakeParams, _| {
            staking::update_prices(context, staking, params)
        };
        world.prices = world.run(update).unwrap();
        assert_eq!(world.prices.storage, 125);
    }
    world.next_epoch(0);
    assert_eq!(world.prices.storage, 156);
    vote(&mut world, 1);
    world.next_epoch(0);
    assert_eq!(world.prices.storage, 117);
}

#[test]
fn t81_a_capacity_vote_counts_for_the_whole_network_and_never_overflows() {
    let (mut world, _) = World::with_stakes(10, &[40, 40, 40]);
    for (number, capacity) in [(1, u64::MAX), (2, u64::MAX), (3, u64::MAX)] {
        let cap = world.caps[&number];
        world
            .run(|context, staking, _, _| {
                staking::set_node_capacity_vote(context, staking, &cap, capacity)
            })
            .unwrap();
    }
    world.select();
    assert_eq!(world.staking.next_capacity, u64::MAX);
    let opening = world.change(0);
    assert_eq!(opening.capacity, u64::MAX);
    let cap = world.caps[&1];
    for capacity in [4_000, 3_000] {
        for number in 1..=3 {
            let cap = NodeCap { node_id: world.node(number), ..cap };
            world
                .run(|context, staking, _, _| {
                    staking::set_node_capacity_vote(context, staking, &cap, capacity)
                })
                .unwrap();
        }
    }
    world.select();
    // Shards 4, 3, 3: the largest that a quorum can carry is the vote of those with three.
    let closing = Closing { next_used: 8_000, ..Closing::default() };
    world.now_ms += DAY;
    assert_eq!(world.staking.next_capacity, 7_500);
    assert_eq!(world.epoch_change(closing).unwrap().capacity, 8_000, "never below what is used");
}
