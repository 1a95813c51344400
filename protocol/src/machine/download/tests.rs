//! A download against scripted nodes: what is obtainable is obtained, liars are blamed, and the end is always reached.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::committee::tests::sample_committee;

/// What a scripted node does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    Honest,
    Dead,
    Silent,
    Liar,
    Empty,
}

struct World {
    download: SegmentDownload,
    nodes: Vec<Node>,
    now: Timestamp,
    asked: usize,
    blamed: BTreeSet<usize>,
    held: BTreeMap<PairIndex, usize>,
    inconsistent: bool,
    end: Option<Effect>,
}

impl World {
    fn new(nodes: &[Node], shards: u16) -> Self {
        let count = u8::try_from(nodes.len()).expect("a handful of nodes");
        let (committee, _) = sample_committee(count, shards);
        let parameters = Parameters::new(shards, 1024).expect("valid parameters");
        let preference = vec![0; nodes.len()];
        let blob = BlobId::from_bytes([7; 32]);
        World {
            download: SegmentDownload::new(parameters, &committee, &blob, 0, preference),
            nodes: nodes.to_vec(),
            now: Timestamp(0),
            asked: 0,
            blamed: BTreeSet::new(),
            held: BTreeMap::new(),
            inconsistent: false,
            end: None,
        }
    }

    fn is_wrong(&self, pair: &PairIndex) -> bool {
        self.nodes[self.held[pair]] == Node::Liar
    }

    fn answer(&mut self, effect: Effect) -> Vec<Input> {
        match effect {
            Effect::Ask { request, member, pairs, .. } => {
                self.asked += pairs.len();
                let mut inputs = Vec::new();
                match self.nodes[member] {
                    Node::Silent => return inputs,
                    Node::Dead => (),
                    Node::Empty => inputs
                        .extend(pairs.iter().map(|pair| Input::Missing { request, pair: *pair })),
                    Node::Honest | Node::Liar => {
                        self.held.extend(pairs.iter().map(|pair| (*pair, member)));
                        inputs.extend(
                            pairs.iter().map(|pair| Input::Arrived { request, pair: *pair }),
                        );
                    }
                }
                inputs.push(Input::Ended { request });
                inputs
            }
            Effect::Decode { pairs, .. } => {
                let matches = !self.inconsistent && !pairs.iter().any(|pair| self.is_wrong(pair));
                vec![Input::Decoded { matches }]
            }
            Effect::FetchIndex { .. } => vec![Input::Indexed { found: true }],
            Effect::Verify { pairs, .. } => {
                vec![Input::Verified {
                    wrong: pairs.into_iter().filter(|pair| self.is_wrong(pair)).collect(),
                }]
            }
            Effect::Blame { member, .. } => {
                self.blamed.insert(member);
                Vec::new()
            }
            Effect::Cancel { .. } => Vec::new(),
            Effect::Finish | Effect::Fail(_) => {
                assert!(self.end.replace(effect).is_none(), "a download ends once");
                Vec::new()
            }
        }
    }

    /// Runs to the end; silent requests time out only when nothing else can happen.
    fn run(mut self) -> Self {
        let mut inputs = VecDeque::from([Input::Started]);
        for _ in 0..10_000 {
            if self.end.is_some() {
                return self;
            }
            let input = inputs.pop_front().unwrap_or_else(|| match self.download.deadline() {
                Some(deadline) => {
                    self.now = deadline;
                    Input::TimeReached
                }
                None => {
                    let request = self
                        .download
                        .questions
                        .keys()
                        .next()
                        .expect("somebody is being waited for");
                    Input::Ended { request: *request }
                }
            });
            for effect in self.download.handle(self.now, input) {
                inputs.extend(self.answer(effect));
            }
        }
        panic!("the download does not end");
    }
}

#[test]
fn honest_nodes_are_asked_for_exactly_the_systematic_slivers() {
    let world = World::new(&[Node::Honest; 5], 20).run();
    assert_eq!(world.end, Some(Effect::Finish));
    assert_eq!(world.asked, 8, "P of 20 shards is 8");
    assert!(world.held.keys().all(|pair| pair.0 < 8));
}

#[test]
fn liars_are_named_and_change_nothing() {
    let nodes = [Node::Honest, Node::Liar, Node::Honest, Node::Honest, Node::Honest];
    let world = World::new(&nodes, 20).run();
    assert_eq!(world.end, Some(Effect::Finish));
    assert_eq!(world.blamed, BTreeSet::from([1]));
}

#[test]
fn an_inconsistent_blob_is_an_error_and_nobody_is_blamed() {
    let mut world = World::new(&[Node::Honest; 5], 20);
    world.inconsistent = true;
    let world = world.run();
    assert_eq!(world.end, Some(Effect::Fail(Failure::Inconsistent)));
    assert!(world.blamed.is_empty());
}

#[test]
fn an_unavailable_segment_names_the_members_that_failed() {
    let nodes = [Node::Dead, Node::Empty, Node::Honest, Node::Silent, Node::Dead];
    match World::new(&nodes, 20).run().end {
        Some(Effect::Fail(Failure::Unavailable { available, needed, members })) => {
            assert_eq!((available, needed), (4, 8));
            assert!(members.contains(&0) && members.contains(&3) && !members.contains(&2));
        }
        other => panic!("{other:?}"),
    }
}

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let node = prop_oneof![
        4 => Just(Node::Honest), 1 => Just(Node::Dead), 1 => Just(Node::Silent),
        1 => Just(Node::Liar), 1 => Just(Node::Empty),
    ];
    proptest::collection::vec(node, 4..9)
}

proptest! {
    #[test]
    fn a_segment_is_read_exactly_when_honest_nodes_hold_enough_of_it(nodes in nodes(), shards in 9_u16..40) {
        let (committee, _) = sample_committee(u8::try_from(nodes.len()).expect("few"), shards);
        let honest: u16 = nodes.iter().enumerate().filter(|(_, node)| **node == Node::Honest)
            .map(|(member, _)| committee.weight(member)).sum();
        let needed = Parameters::new(shards, 1024).expect("valid").primary_source();
        let world = World::new(&nodes, shards).run();
        prop_assert_eq!(world.end == Some(Effect::Finish), honest >= needed, "{:?}", world.end);
        for member in world.blamed {
            prop_assert_eq!(nodes[member], Node::Liar);
        }
    }
}
