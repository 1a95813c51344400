//! An upload against scripted nodes: every order of answers ends in a certificate, or in a failure that names names.

use std::collections::VecDeque;

use super::*;
use crate::committee::tests::sample_committee;
use crate::crypto::SecretKey;
use crate::message;

const NETWORK: NetworkId = NetworkId::from_bytes([3; 32]);

/// What a scripted node does.
#[derive(Clone, Copy, PartialEq)]
enum Node {
    Honest,
    Unreachable,
    Silent,
    Forger,
    HasEverything,
    NextEpoch,
    /// Dead: not even the dialling ends.
    Mute,
}

struct World {
    upload: Upload,
    nodes: Vec<Node>,
    keys: Vec<SecretKey>,
    now: Timestamp,
    most_in_memory: usize,
    encoded: usize,
    sent: usize,
    end: Option<Effect>,
    certificate: Option<Certificate>,
    blamed: Vec<usize>,
    dropped: Vec<(usize, String)>,
    registered: bool,
}

impl World {
    fn new(nodes: &[Node], segments: u32) -> Self {
        let count = u8::try_from(nodes.len()).expect("a handful of nodes");
        let (committee, keys) = sample_committee(count, 20);
        World {
            upload: Upload::new(committee, NETWORK, BlobId::from_bytes([5; 32]), segments, 2),
            nodes: nodes.to_vec(),
            keys,
            now: Timestamp(0),
            most_in_memory: 0,
            encoded: 0,
            sent: 0,
            end: None,
            certificate: None,
            blamed: Vec::new(),
            dropped: Vec::new(),
            registered: false,
        }
    }

    fn answer(&mut self, effect: Effect) -> Option<Input> {
        let segments = self.upload.segments;
        match effect {
            Effect::Open { member } => match self.nodes[member] {
                Node::Mute => None,
                Node::Unreachable => Some(Input::Failed { member, reason: "unreachable".into() }),
                Node::HasEverything => {
                    Some(Input::Ready { member, stored: (0..segments).collect() })
                }
                Node::Honest | Node::Silent | Node::Forger | Node::NextEpoch => {
                    Some(Input::Ready { member, stored: BTreeSet::new() })
                }
            },
            Effect::Register => {
                self.registered = true;
                Some(Input::Registered { persistence: Persistence::Permanent })
            }
            Effect::Encode { segment } => {
                self.encoded += 1;
                Some(Input::Encoded { segment })
            }
            Effect::Send { member, segment } => {
                self.sent += 1;
                (self.nodes[member] != Node::Silent).then_some(Input::Sent { member, segment })
            }
            Effect::Finish { member } => {
                let committee = &self.upload.committee;
                let message = message::blob_certificate_message(
                    &NETWORK,
                    committee.epoch(),
                    &self.upload.blob_id,
                    &Persistence::Permanent,
                );
                let forged = self.nodes[member] == Node::Forger;
                let signature = self.keys[member].sign(if forged { b"forged" } else { &message });
                let late = self.nodes[member] == Node::NextEpoch;
                let epoch = Epoch(committee.epoch().0 + u32::from(late));
                Some(Input::Confirmed { member, epoch, signature })
            }
            Effect::Certify(certificate) => {
                self.certificate = Some(*certificate);
                Some(Input::Certified)
            }
            Effect::Blame { member, .. } => {
                self.blamed.push(member);
                None
            }
            Effect::Done | Effect::Fail(_) => {
                assert!(self.end.replace(effect).is_none(), "an upload ends once");
                None
            }
            Effect::Drop { member, reason } => {
                self.dropped.push((member, reason));
                None
            }
            Effect::Release { .. } => None,
        }
    }

    fn run(mut self) -> Self {
        let mut inputs = VecDeque::from([Input::Started]);
        for _ in 0..10_000 {
            let input = match inputs.pop_front() {
                Some(input) => input,
                None => match self.upload.deadline() {
                    Some(deadline) => {
                        self.now = deadline;
                        Input::TimeReached
                    }
                    None => return self,
                },
            };
            let effects = self.upload.handle(self.now, input);
            self.most_in_memory = self.most_in_memory.max(self.upload.in_memory.len());
            for effect in effects {
                inputs.extend(self.answer(effect));
            }
        }
        panic!("the upload does not end");
    }
}

#[test]
fn an_upload_to_honest_nodes_is_certified_by_all_of_them_and_bounded_in_memory() {
    let world = World::new(&[Node::Honest; 5], 9).run();
    assert_eq!(world.end, Some(Effect::Done));
    assert!(world.most_in_memory <= 2);
    assert_eq!((world.encoded, world.sent), (9, 45));
    let (committee, _) = sample_committee(5, 20);
    let certificate = world.certificate.expect("a certificate");
    assert!(certificate.verify_blob(&committee, &NETWORK).is_ok());
}

#[test]
fn one_node_of_five_may_be_unreachable_silent_or_a_forger() {
    for bad in [Node::Unreachable, Node::Silent, Node::Forger] {
        let world =
            World::new(&[Node::Honest, bad, Node::Honest, Node::Honest, Node::Honest], 3).run();
        assert_eq!(world.end, Some(Effect::Done));
        assert_eq!(world.blamed, if bad == Node::Forger { vec![1] } else { vec![] });
    }
}

#[test]
fn without_a_quorum_nothing_is_paid_and_the_failure_names_the_nodes() {
    let nodes = [Node::Unreachable, Node::Honest, Node::Honest, Node::Unreachable, Node::Honest];
    let world = World::new(&nodes, 3).run();
    assert!(!world.registered);
    match world.end {
        Some(Effect::Fail(failure)) => {
            // The last of them was asked, and has not answered when the others settle it.
            assert_eq!((failure.reachable, failure.silent, failure.quorum), (8, 4, 14));
            let told = "only 8 of 20 shards can confirm (4 more have not answered yet); 14 needed";
            assert_eq!(failure.to_string(), told);
            let failed = failure.members.iter().filter(|(_, reason)| *reason == "unreachable");
            assert_eq!(failed.map(|(member, _)| *member).collect::<Vec<_>>(), [0, 3]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_liar_is_named_also_if_the_others_fail_before_there_can_be_a_quorum() {
    let nodes = [Node::Honest, Node::Forger, Node::NextEpoch, Node::NextEpoch, Node::Honest];
    let world = World::new(&nodes, 3).run();
    assert_eq!(world.blamed, [1]);
    let Some(Effect::Fail(failure)) = world.end else { panic!("{:?}", world.end) };
    assert!(failure.members.contains_key(&1) && failure.reachable == 8, "{failure:?}");
}

#[test]
fn nodes_that_have_heard_of_the_next_epoch_are_not_blamed_and_the_failure_says_so() {
    let nodes = [Node::Honest, Node::NextEpoch, Node::NextEpoch, Node::NextEpoch, Node::NextEpoch];
    let world = World::new(&nodes, 3).run();
    assert!(world.certificate.is_none() && world.blamed.is_empty());
    assert!(matches!(world.end, Some(Effect::Fail(Failure { other_epoch: true, .. }))));
    let one = [Node::Honest, Node::Honest, Node::Honest, Node::NextEpoch, Node::Honest];
    assert_eq!(World::new(&one, 3).run().end, Some(Effect::Done), "a quorum is in our epoch");
}

#[test]
fn silent_nodes_beyond_the_tolerance_fail_the_upload_in_bounded_time() {
    let mut world =
        World::new(&[Node::Silent, Node::Honest, Node::Honest, Node::Silent, Node::Honest], 1);
    let mut effects = world.upload.handle(world.now, Input::Started);
    while let Some(effect) = effects.pop() {
        if let Some(input) = world.answer(effect) {
            effects.extend(world.upload.handle(world.now, input));
        }
    }
    assert!(
        world.end.is_none(),
        "12 of 20 shards are no quorum, but the silent ones may still answer"
    );
    for member in [0, 3] {
        let input = Input::Failed { member, reason: "no answer".into() };
        for effect in world.upload.handle(world.now, input) {
            world.answer(effect);
        }
    }
    assert!(matches!(world.end, Some(Effect::Fail(_))));
}

#[test]
fn a_node_that_never_answered_is_not_called_slow() {
    for (late, reason) in [
        (Node::Mute, "did not answer while the others took all of it"),
        (Node::Silent, "too slow for this upload"),
    ] {
        let nodes = [Node::Honest, late, Node::Honest, Node::Honest, Node::Honest];
        let world = World::new(&nodes, 3).run();
        assert_eq!(world.end, Some(Effect::Done));
        assert_eq!(world.dropped, [(1, reason.to_owned())]);
    }
}

#[test]
fn a_resumed_upload_sends_nothing_that_is_stored_already() {
    let world = World::new(&[Node::HasEverything; 5], 4).run();
    assert_eq!(world.end, Some(Effect::Done));
    // Until the last node has answered it may lack everything: the window is encoded for it, and no more.
    assert!(
        world.encoded <= 2 && world.sent == 0,
        "{} encoded, {} sent",
        world.encoded,
        world.sent
    );
    let mixed = [
        Node::HasEverything,
        Node::Honest,
        Node::HasEverything,
        Node::HasEverything,
        Node::HasEverything,
    ];
    let world = World::new(&mixed, 4).run();
    assert_eq!((world.encoded, world.sent), (4, 4));
}
