//! Apportionment and the movement of shards, number for number.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::rules::active_set;
use crate::rules::apportion::{apportion, effective_stake, max_shards};
use crate::rules::committee::{initialize, transition};

#[test]
fn t77_apportionment_gives_the_rows_of_the_table() {
    let rows: [(&[u64], u16, &[u16]); 6] = [
        (&[4000, 2000, 1000], 10, &[6, 3, 1]),
        (&[1000, 1000, 1000], 10, &[4, 3, 3]),
        (&[700, 200, 100], 13, &[9, 3, 1]),
        (&[900, 50, 50], 10, &[7, 2, 1]),
        (&[900, 50, 30, 20], 100, &[50, 25, 15, 10]),
        (&[40 * WAL, 25 * WAL, 20 * WAL, 10 * WAL, 5 * WAL], 1000, &[400, 250, 200, 100, 50]),
    ];
    for (stakes, shards, expected) in rows {
        assert_eq!(apportion(stakes, shards).unwrap(), expected, "{stakes:?} of {shards}");
    }
    for (nodes, shards, cap) in
        [(1, 10, 20), (4, 10, 5), (10, 100, 20), (19, 1000, 106), (20, 1000, 100), (3, 10, 7)]
    {
        assert_eq!(max_shards(nodes, shards), cap, "{nodes} nodes, {shards} shards");
    }
    assert_eq!(apportion(&[5], 7), Ok(vec![7]));
    assert_eq!(apportion(&[], 7), Err(Abort::NoStake));
    let many = apportion(&vec![WAL; 1000], 1000).unwrap();
    assert!(many.iter().all(|count| *count == 1));
}

#[test]
fn t78_twenty_nodes_can_share_fewer_than_ten_shards() {
    let counts = apportion(&[WAL; 20], 9).unwrap();
    assert_eq!(counts[..9], [1; 9]);
    assert_eq!(counts[9..], [0; 11]);
}

#[test]
fn stake_counts_less_the_more_its_node_asks() {
    let of = |ask| effective_stake(1000, ask, 100, 5_000, 2_000).unwrap();
    assert_eq!([90, 100, 110, 120, 150, 200].map(of), [1000, 1000, 950, 900, 800, 800]);
    assert_eq!(effective_stake(1000, u64::MAX, u64::MAX, 5_000, 2_000), Ok(1000));
    assert_eq!(effective_stake(1000, 1, 0, 5_000, 2_000), Ok(800));
    assert_eq!(effective_stake(1000, 0, 0, 5_000, 2_000), Ok(1000));
}

#[test]
fn t79_shards_move_as_the_examples_say() {
    let old = entries([(1, vec![0, 1, 2, 3]), (2, vec![4, 5, 6]), (3, vec![7, 8, 9])]);
    let next = transition(&old, entries([(4, 2), (2, 4), (1, 2), (3, 2)])).unwrap();
    let expected = [(1, vec![0, 1]), (2, vec![4, 5, 6, 3]), (3, vec![7, 8]), (4, vec![9, 2])];
    assert_eq!(next, entries(expected));

    let five = initialize(&entries((1..=5).map(|node| (node, 2))));
    let three = transition(&five, entries([(1, 4), (2, 3), (3, 3)])).unwrap();
    let expected = [(1, vec![0, 1, 9, 8]), (2, vec![2, 3, 7]), (3, vec![4, 5, 6])];
    assert_eq!(three, entries(expected));
    let four = transition(&three, entries([(2, 3), (3, 3), (4, 2), (5, 2)])).unwrap();
    let expected = [(2, vec![2, 3, 7]), (3, vec![4, 5, 6]), (4, vec![8, 9]), (5, vec![1, 0])];
    assert_eq!(four, entries(expected));

    let fewer = transition(&four, entries([(2, 9)]));
    assert_eq!(fewer, Err(Abort::InvalidShardAssignment));
}

#[test]
fn t62_the_order_of_the_active_set_is_stake_then_id_whatever_happened_before() {
    let mut set = active_set::from_stakes([(id(3), 5), (id(1), 5), (id(2), 9)]).unwrap();
    active_set::insert_or_update(&mut set, id(4), 5).unwrap();
    active_set::insert_or_update(&mut set, id(2), 1).unwrap();
    active_set::insert_or_update(&mut set, id(3), 0).unwrap();
    let order: Vec<_> =
        set.nodes.iter().map(|node| (node.node_id.as_bytes()[0], node.staked_amount)).collect();
    assert_eq!(order, [(1, 5), (4, 5), (2, 1)]);
    assert_eq!(set.total_stake, 11);
    assert_eq!(active_set::top(&set, 2).len(), 2);
}

/// The same method with exact fractions, one shard at a time.
fn naive(stakes: &[u64], shards: u16) -> Vec<u16> {
    let cap = max_shards(stakes.len(), shards);
    let mut counts = vec![0_u16; stakes.len()];
    for _ in 0..shards {
        let open = (0..stakes.len()).filter(|index| counts[*index] < cap);
        let best = open.reduce(|best, index| {
            let mine = u128::from(stakes[index]) * (u128::from(counts[best]) + 1);
            let theirs = u128::from(stakes[best]) * (u128::from(counts[index]) + 1);
            if mine > theirs { index } else { best }
        });
        counts[best.unwrap()] += 1;
    }
    counts
}

/// A hundred thousand committees, small ones so that it takes a second or two; larger ones are
/// below. Many stakes are equal or tiny, where rounding would show first.
#[test]
fn t77_a_hundred_thousand_small_committees_are_dealt_as_by_exact_fractions() {
    let mut state = 7_u64;
    let mut next = |bound: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for _ in 0..100_000 {
        let (nodes, most) = (1 + next(8), [3, 100, 1 << 30][usize::try_from(next(3)).unwrap()]);
        let scale = [1, WAL, u64::MAX / (8 << 30)][usize::try_from(next(3)).unwrap()];
        let stakes: Vec<_> = (0..nodes).map(|_| (1 + next(most)) * scale).collect();
        let shards = u16::try_from(1 + next(40)).unwrap();
        let counts = apportion(&stakes, shards).unwrap();
        assert_eq!(counts, naive(&stakes, shards), "{stakes:?}, {shards} shards");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn t77_every_shard_is_dealt_as_by_exact_fractions(
        stakes in proptest::collection::vec(1_u64..1_000_000_000_000, 1..60),
        shards in 1_u16..300,
    ) {
        let counts = apportion(&stakes, shards).unwrap();
        let dealt: u32 = counts.iter().copied().map(u32::from).sum();
        prop_assert_eq!(dealt, u32::from(shards));
        prop_assert!(counts.iter().all(|count| *count <= max_shards(stakes.len(), shards)));
        prop_assert_eq!(counts, naive(&stakes, shards));
    }

    #[test]
    fn t79_movement_is_minimal_and_every_shard_has_one_holder(
        steps in proptest::collection::vec(
            proptest::collection::btree_map(1_u8..30, 1_u64..1_000, 1..20), 2..8),
        shards in 20_u16..200,
    ) {
        let mut held = Vec::new();
        for stakes in steps {
            let stakes: Vec<_> = stakes.into_iter().collect();
            let values: Vec<_> = stakes.iter().map(|(_, stake)| *stake).collect();
            let counts = apportion(&values, shards).unwrap();
            let counts = entries(stakes.iter().map(|(node, _)| *node).zip(counts));
            let next = match held.is_empty() {
                true => initialize(&counts),
                false => transition(&held, counts.clone()).unwrap(),
            };
            let all: BTreeSet<_> = next.iter().flat_map(|member| member.value.clone()).collect();
            prop_assert_eq!(all, (0..shards).collect::<BTreeSet<_>>());
            let sum: usize = next.iter().map(|member| member.value.len()).sum();
            prop_assert_eq!(sum, usize::from(shards));
            prop_assert!(next.is_sorted_by_key(|member| member.key));
            let owners: BTreeMap<u16, ObjectId> = held.iter()
                .flat_map(|member: &Entry<ObjectId, Vec<u16>>| {
                    member.value.iter().map(|shard| (*shard, member.key))
                }).collect();
            let (mut moved, mut least) = (0, 0);
            for member in &next {
                let before = committee::shards_of(&held, &member.key).map_or(0, <[u16]>::len);
                least += member.value.len().saturating_sub(before);
                moved += member.value.iter()
                    .filter(|shard| owners.get(shard) != Some(&member.key)).count();
            }
            prop_assert_eq!(moved, least);
            held = next;
        }
    }
}
