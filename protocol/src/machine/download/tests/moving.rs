//! A download while shards move from one committee to the next.

use super::*;
use crate::chain::object::staking::EpochState;
use crate::committee::Committee;
use crate::machine::roster::tests::moved;
use crate::sliver::ShardIndex;

const CHANGING: EpochState = EpochState::Sync { weight: 0, started_ms: 0 };
const DONE: EpochState = EpochState::Done { since_ms: 0 };

/// Five nodes with four shards each, and what became of them when these moved.
fn committees(moves: &[(u16, usize)]) -> (Committee, Arc<Committee>) {
    let (previous, _) = sample_committee(5, 20);
    let committee = Arc::new(moved(&previous, moves));
    (previous, committee)
}

/// The reader of a blob that was certified before, from nodes that do this; of shards that moved, only the owners before
/// have anything.
fn world(moves: &[(u16, usize)], phase: EpochState, nodes: &[Node]) -> World {
    let (previous, committee) = committees(moves);
    let roster = Roster::new(committee, Some(&previous), &phase);
    let mut world = World::of(&roster, nodes, Terms { certified: Some(Epoch(1)), ..terms() });
    world.lacking = moved_pairs(moves).map(|(pair, to)| (to, pair)).collect();
    world
}

/// The pairs of the shards that moved, with their new owners.
fn moved_pairs(moves: &[(u16, usize)]) -> impl Iterator<Item = (PairIndex, usize)> {
    let parameters = Parameters::new(20, 1024).expect("valid");
    moves.iter().map(move |(shard, to)| {
        (sliver::pair_of_shard(&parameters, &BLOB, 0, ShardIndex(*shard)), *to)
    })
}

/// Every shard of the last node goes to others.
const LEAVING: [(u16, usize); 4] = [(4, 0), (9, 1), (14, 2), (19, 3)];

#[test]
fn during_a_change_shards_are_read_from_their_owners_before() {
    let world = world(&LEAVING, CHANGING, &[Node::Honest; 5]).run();
    assert_eq!((world.end, world.asked), (Some(Effect::Finish), 8), "nobody is asked in vain");
    let senders = moved_pairs(&LEAVING).filter_map(|(pair, _)| world.held.get(&pair));
    let senders: BTreeSet<_> = senders.copied().collect();
    assert_eq!(senders, BTreeSet::from([4]));
}

#[test]
fn after_the_change_a_shard_its_new_owner_does_not_have_is_read_from_the_owner_before() {
    // Only the first node and what the last one had are there.
    let nodes = [Node::Honest, Node::Dead, Node::Dead, Node::Dead, Node::Honest];
    for phase in [CHANGING, DONE, EpochState::Selected { since_ms: 0 }] {
        let world = world(&LEAVING, phase, &nodes).run();
        assert_eq!(world.end, Some(Effect::Finish), "{phase:?}");
        assert!(world.blamed.is_empty(), "to be still copying is no fault");
        assert_eq!(world.held.values().filter(|member| **member == 4).count(), 4, "{phase:?}");
    }
}

#[test]
fn a_shard_whose_owner_before_is_gone_or_silent_is_read_from_its_owner_now() {
    // All of the last node's shards are with the first one, which has copied them; nobody else is there.
    let moves = [(4, 0), (9, 0), (14, 0), (19, 0)];
    for (gone, patience_ms) in
        [(Node::Dead, 0), (Node::Empty, 0), (Node::Absent(u64::MAX), DIAL_MS), (Node::Silent, 400)]
    {
        let nodes = [Node::Honest, Node::Dead, Node::Dead, Node::Dead, gone];
        let mut world = world(&moves, CHANGING, &nodes);
        world.lacking.clear();
        let world = world.run();
        assert_eq!(world.end, Some(Effect::Finish), "{gone:?}");
        assert!(world.held.values().all(|member| *member == 0), "{gone:?}");
        assert!(world.now.0 <= patience_ms, "{gone:?} held it up until {:?}", world.now);
    }
}

#[test]
fn an_owner_that_was_silent_a_moment_ago_is_not_asked_for_what_the_other_one_has() {
    let moves = [(4, 0), (9, 0), (14, 0), (19, 0)];
    let (previous, committee) = committees(&moves);
    let roster = Roster::new(committee, Some(&previous), &CHANGING);
    let nodes = [Node::Honest, Node::Dead, Node::Dead, Node::Dead, Node::Silent];
    let mut paces = vec![Pace::Untried; 5];
    paces[4] = Pace::Silent { times: 1 };
    let world = World::of(&roster, &nodes, Terms { paces, ..terms() }).run();
    assert_eq!((world.end, world.now), (Some(Effect::Finish), Timestamp(0)));
    assert!(!world.asked_of.contains(&4));
}

#[test]
fn what_came_after_the_change_began_is_asked_of_the_owner_now_first() {
    let (previous, committee) = committees(&LEAVING);
    let roster = Roster::new(committee, Some(&previous), &CHANGING);
    let terms = Terms { certified: Some(Epoch(2)), ..terms() };
    let world = World::of(&roster, &[Node::Honest; 5], terms).run();
    assert_eq!((world.end, world.asked), (Some(Effect::Finish), 8));
    assert!(!world.asked_of.contains(&4), "it left before this blob came");
}

#[test]
fn a_shard_that_neither_of_its_owners_has_is_lost_and_both_are_named() {
    let nodes = [Node::Empty, Node::Empty, Node::Honest, Node::Empty, Node::Empty];
    match world(&LEAVING, CHANGING, &nodes).run().end {
        Some(Effect::Fail(Failure::Unavailable { available, needed, lost, members })) => {
            assert_eq!((available, needed, lost), (4, 8, 16));
            assert_eq!(members, [0, 1, 2, 3, 4]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_lied_about_a_moved_shard_is_blamed_and_its_other_owner_is_asked() {
    for (liar, phase) in [(4, CHANGING), (0, DONE)] {
        let moves = [(4, 0), (9, 0), (14, 0), (19, 0)];
        let mut nodes = [Node::Honest, Node::Dead, Node::Dead, Node::Honest, Node::Honest];
        nodes[liar] = Node::Liar;
        let mut world = world(&moves, phase, &nodes);
        world.lacking.clear();
        let world = world.run();
        assert_eq!(world.end, Some(Effect::Finish), "{phase:?}");
        assert_eq!(world.blamed, BTreeSet::from([liar]), "{phase:?}");
    }
}

fn moves() -> impl Strategy<Value = Vec<(u16, usize)>> {
    proptest::collection::vec((0_u16..20, 0_usize..4), 0..12)
}

proptest! {
    /// Of each shard, some of its two owners have something; whoever is there and honest sends it.
    #[test]
    fn a_segment_is_read_whenever_honest_owners_before_or_now_hold_enough_of_it(
        moves in moves(), nodes in super::nodes(), has_copied in proptest::bits::u32::ANY,
        phase in prop_oneof![Just(CHANGING), Just(DONE)],
        certified in prop_oneof![Just(None), Just(Some(Epoch(1))), Just(Some(Epoch(2)))],
    ) {
        let mut nodes = nodes;
        nodes.resize(5, Node::Honest);
        // The last node keeps a shard, so that members keep their indexes.
        let moves: BTreeMap<u16, usize> =
            moves.into_iter().filter(|(shard, _)| shard / 5 > 0).collect();
        let moves: Vec<_> = moves.into_iter().collect();
        let (previous, committee) = committees(&moves);
        let roster = Roster::new(committee.clone(), Some(&previous), &phase);
        let mut world = World::of(&roster, &nodes, Terms { certified, ..terms() });
        let parameters = Parameters::new(20, 1024).expect("valid");
        let mut readable = 0;
        for shard in (0..20).map(ShardIndex) {
            let pair = sliver::pair_of_shard(&parameters, &BLOB, 0, shard);
            let owners = [&previous, &*committee].map(|it| it.member_of_shard(shard).expect("all"));
            let [before, now] = owners;
            let is_here = |member: usize| nodes[member] == Node::Honest;
            if before == now || has_copied & (1 << shard.0) != 0 {
                readable += u32::from(is_here(before) || is_here(now));
            } else {
                world.lacking.insert((now, pair));
                readable += u32::from(is_here(before));
            }
        }
        let world = world.run();
        prop_assert!(world.end == Some(Effect::Finish) || readable < 8, "{:?}", world.end);
        for member in world.blamed {
            prop_assert_eq!(nodes[member], Node::Liar);
        }
    }
}
