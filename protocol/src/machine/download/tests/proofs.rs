//! What a download does once somebody lied, and how it reads short blobs.

use super::*;

#[test]
fn only_proofs_are_asked_for_what_is_at_hand_and_both_for_what_takes_its_place() {
    let nodes = [Node::Honest, Node::Liar, Node::Honest, Node::Honest, Node::Honest];
    let (mut world, mut parts) = (World::new(&nodes, 20), BTreeMap::new());
    let mut inputs = VecDeque::from([Input::Started]);
    while let Some(input) = inputs.pop_front() {
        for effect in world.download.handle(world.now, input) {
            if let Effect::Ask { part, pairs, .. } = &effect {
                *parts.entry(*part).or_insert(0) += pairs.len();
            }
            inputs.extend(world.answer(effect));
        }
    }
    assert_eq!(world.end, Some(Effect::Finish));
    assert_eq!(parts[&Part::Sliver], 8);
    assert_eq!(parts[&Part::Proof], 8, "each sliver at hand is proved by who sent it");
    let of_liar = world.held.values().filter(|member| **member == 1).count();
    assert_eq!(parts[&Part::Both], of_liar, "what was wrong is replaced with its proof");
}

#[test]
fn a_member_that_proves_nothing_is_done_without() {
    let nodes = [Node::Honest, Node::Liar, Node::Proofless, Node::Honest, Node::Honest];
    let world = World::new(&nodes, 20).run();
    assert_eq!(world.end, Some(Effect::Finish));
    assert_eq!(world.blamed, BTreeSet::from([1]), "to have lost a proof is no lie");
}

#[test]
fn a_member_that_is_silent_when_asked_for_proofs_costs_one_hedge() {
    let nodes = [Node::Honest, Node::Liar, Node::Honest, Node::Honest, Node::Honest];
    let mut world = World::new(&nodes, 20);
    let mut inputs = VecDeque::from([Input::Started]);
    while world.end.is_none() {
        if inputs.is_empty() {
            inputs.extend(world.wait());
        }
        for effect in world.download.handle(world.now, inputs.pop_front().expect("something")) {
            let is_ignored =
                matches!(&effect, Effect::Ask { member: 0, part, .. } if *part != Part::Sliver);
            if !is_ignored {
                inputs.extend(world.answer(effect));
            }
        }
    }
    assert_eq!((world.end, world.now), (Some(Effect::Finish), Timestamp(HEDGE_AFTER_MS)));
}

#[test]
fn a_short_blob_is_read_from_the_symbols_that_hold_its_bytes() {
    // Seven of twenty symbols decode; three of 128 bytes hold 300.
    let world = World::of_short(&[Node::Honest; 5], 20, 300).run();
    assert_eq!((world.end, world.asked), (Some(Effect::Finish), 3));
    assert!(world.held.keys().all(|pair| pair.0 < 3));
    let nodes = [Node::Dead, Node::Dead, Node::Empty, Node::Dead, Node::Honest];
    let world = World::of_short(&nodes, 20, 300).run();
    assert_eq!(world.end, Some(Effect::Finish), "any three symbols will do");
    let nodes = [Node::Dead, Node::Dead, Node::Empty, Node::Dead, Node::Dead];
    let world = World::of_short(&nodes, 20, 300).run();
    let Some(Effect::Fail(Failure::Unavailable { available, needed, lost, .. })) = world.end else {
        panic!("{:?}", world.end)
    };
    assert_eq!((available, needed), (0, 3));
    assert!(lost > 0);
}

#[test]
fn who_sends_wrong_symbols_of_a_short_blob_is_named_and_what_holds_its_bytes_is_proved() {
    let nodes = [Node::Liar, Node::Honest, Node::Honest, Node::Honest, Node::Honest];
    for (length, data) in [(300, 3), (60_000, 8)] {
        let world = World::of_short(&nodes, 20, length).run();
        assert_eq!((world.end, world.blamed), (Some(Effect::Finish), BTreeSet::from([0])));
        assert_eq!(world.asked, 2 * data, "each symbol once more, and no padding");
    }
    // If proved symbols are not the blob, its padding is asked for, and then it is the writer's fault.
    let mut world = World::of_short(&[Node::Honest; 5], 20, 300);
    world.inconsistent = true;
    let world = world.run();
    assert_eq!(world.end, Some(Effect::Fail(Failure::Inconsistent)));
    assert!(world.blamed.is_empty());
    assert_eq!(world.asked, 3 + 8, "the proved ones are padding, too, and none is asked for again");
}
