//! Money: rewards, and the example of a whole economy.

use super::*;
use crate::rules::accounting;

#[test]
fn t83_the_burn_is_three_percent_rounded_down() {
    for (rewards, burned) in [(0, 0), (33, 0), (34, 1), (1_000, 30)] {
        let (world, _) = World::with_stakes(10, &[40]);
        let closing = Closing { rewards, used: 1, ..Closing::default() };
        let paid = staking::distribute(&world.staking, &world.params, &closing).unwrap();
        assert_eq!(paid.burned, burned);
        assert_eq!(paid.burned + paid.kept[0] + paid.dust, rewards);
    }
}

/// A committee of 400, 300, 200 and 100 shards, without anything behind it.
fn four() -> Staking {
    let mut staking = staking::new(id(1), 1000, 0, 0);
    staking.committee = entries(
        [(1, 0..400), (2, 400..700), (3, 700..900), (4, 900..1000)]
            .map(|(node, shards)| (node, shards.collect())),
    );
    staking
}

#[test]
fn rewards_follow_shards_and_what_is_served() {
    let denied = BTreeMap::from([(id(3), 1_000)]);
    let mut closing = Closing { rewards: 1_000, used: 10_000, denied, ..Closing::default() };
    let paid = staking::distribute(&four(), &params(), &closing).unwrap();
    assert_eq!((paid.kept, paid.dust), (vec![395, 296, 178, 98], 3));
    closing.performance = BTreeMap::from([(id(3), 5_000), (id(4), 9_000)]);
    let paid = staking::distribute(&four(), &params(), &closing).unwrap();
    assert_eq!(paid.kept, [395, 296, 89, 88]);
    assert_eq!((paid.forfeited, paid.forfeit_burned), (99, 49));
}

#[test]
fn t84_rewards_nobody_earned_are_carried_over() {
    let all = |bytes| (1..=4).map(|node| (id(node), bytes)).collect();
    for (used, denied) in [(0, BTreeMap::new()), (10, all(10)), (10, all(u64::MAX))] {
        let closing = Closing { rewards: 1_000, used, denied, ..Closing::default() };
        let paid = staking::distribute(&four(), &params(), &closing).unwrap();
        assert_eq!((paid.kept, paid.dust), (vec![0; 4], 970));
    }
}

#[test]
fn the_example_economy_adds_up_to_the_unit() {
    let (mut world, _) = World::with_stakes(100, &[400, 250, 200, 100, 50]);
    assert_eq!([1, 2, 3, 4, 5].map(|node| world.shards(node)), [40, 25, 20, 10, 5]);
    // 5 units for 4 epochs at 100, and written at 20.
    let mut ring = accounting::new_ring(1, 4);
    for ahead in 0..4 {
        accounting::add_rewards(&mut ring, ahead, 500).unwrap();
    }
    accounting::add_rewards(&mut ring, 0, 100).unwrap();
    let head: Vec<_> = ring.entries.iter().map(|entry| entry.rewards).collect();
    assert_eq!(head, [600, 500, 500, 500]);
    world.select();
    world.now_ms += DAY;
    let closing = Closing {
        rewards: head[0],
        used: 5_087_200,
        performance: BTreeMap::from([(world.node(3), 7_500)]),
        ..Closing::default()
    };
    let before = world.funds();
    let opening = world.epoch_change(closing).unwrap();
    let rewarded = world.events.iter().rev().find_map(|event| match event {
        StakeEvent::RewardsDistributed(event) => Some(event.clone()),
        _ => None,
    });
    let rewarded = rewarded.unwrap();
    let kept: BTreeMap<_, _> = rewarded.node_ids.iter().zip(&rewarded.kept).collect();
    let kept = [1, 2, 3, 4, 5].map(|node| *kept[&world.node(node)]);
    assert_eq!(kept, [232, 145, 87, 58, 29]);
    assert_eq!((rewarded.burned, rewarded.forfeited), (18, 29));
    assert_eq!((opening.burned, opening.treasury, opening.dust), (18 + 14, 15, 2));
    assert_eq!(world.pool(1).commission, 23);
    assert_eq!(world.pool(1).active, 400 * WAL + 209);
    let nodes = world.funds() - before;
    let in_ring = head[1..].iter().sum::<u64>() + opening.dust;
    assert_eq!((opening.burned, opening.treasury, nodes, in_ring), (32, 15, 551, 1_502));
    assert_eq!(opening.burned + opening.treasury + nodes + in_ring, 2_100);
}

#[test]
fn t85_a_node_that_leaves_is_paid_and_a_newcomer_is_not() {
    let (mut world, receipts) = World::with_stakes(10, &[40, 40, 40]);
    let mut leaving = receipts[2].clone();
    world.request(&mut leaving).unwrap();
    world.register(4).unwrap();
    world.stake(4, 40 * WAL).unwrap();
    world.next_epoch(1_000);
    assert_eq!((world.shards(3), world.shards(4) > 0), (0, true));
    assert!(world.pool(3).commission > 0);
    assert_eq!(world.pool(4).active, 40 * WAL);
    assert_eq!(world.pool(4).last_epoch, 2);
}
