//! A download against scripted nodes: what is obtainable is obtained, liars are blamed, and the end is always reached.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::committee::tests::sample_committee;
use crate::machine::questions::HEDGE_AFTER_MS;
use crate::machine::responsiveness::{REST_MS, Responsiveness};

mod moving;
mod proofs;

/// What a scripted node does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    Honest,
    Dead,
    Silent,
    Liar,
    Empty,
    /// Sends slivers, but no proof of any.
    Proofless,
    /// Answers "busy" until this moment.
    Busy(u64),
    /// Sends everything, so many milliseconds after it was asked.
    Slow(u64),
    /// Is not there until this moment: each dial says so after four seconds.
    Absent(u64),
}

const PATIENCE_MS: u64 = 30_000;
/// How long a dial takes that is refused.
const DIAL_MS: u64 = 4_000;

const BLOB: BlobId = BlobId::from_bytes([7; 32]);

/// So many members among whom the shards are dealt, and nothing moved.
fn roster(members: usize, shards: u16) -> Roster {
    let members = u8::try_from(members).expect("a handful of nodes");
    Roster::settled(Arc::new(sample_committee(members, shards).0))
}

fn terms() -> Terms {
    Terms { paces: Vec::new(), patience_ms: PATIENCE_MS, noise: 3, certified: None }
}

struct World {
    download: SegmentDownload,
    nodes: Vec<Node>,
    /// What single members do not have, though they answer.
    lacking: BTreeSet<(usize, PairIndex)>,
    now: Timestamp,
    asked: usize,
    blamed: BTreeSet<usize>,
    held: BTreeMap<PairIndex, usize>,
    /// Symbols that came with their proofs, and so are right.
    proved: BTreeSet<PairIndex>,
    asked_of: BTreeSet<usize>,
    silent: Vec<usize>,
    missed: Option<Vec<usize>>,
    later: Vec<(Timestamp, Vec<Input>)>,
    inconsistent: bool,
    end: Option<Effect>,
}

impl World {
    fn new(nodes: &[Node], shards: u16) -> Self {
        World::expecting(nodes, shards, vec![Pace::Untried; nodes.len()])
    }

    fn expecting(nodes: &[Node], shards: u16, paces: Vec<Pace>) -> Self {
        World::of(&roster(nodes.len(), shards), nodes, Terms { paces, ..terms() })
    }

    /// The download from the members of a roster, of which each does this.
    fn of(roster: &Roster, nodes: &[Node], terms: Terms) -> Self {
        let parameters = Parameters::new(roster.committee().shards(), 1024).expect("valid");
        World {
            download: SegmentDownload::new(parameters, roster, &BLOB, 0, terms),
            nodes: nodes.to_vec(),
            lacking: BTreeSet::new(),
            now: Timestamp(0),
            asked: 0,
            blamed: BTreeSet::new(),
            held: BTreeMap::new(),
            proved: BTreeSet::new(),
            asked_of: BTreeSet::new(),
            silent: Vec::new(),
            missed: None,
            later: Vec::new(),
            inconsistent: false,
            end: None,
        }
    }

    /// The download of a short blob of this length from equal nodes.
    fn of_short(nodes: &[Node], shards: u16, length: u32) -> Self {
        let parameters = Parameters::new(shards, 1 << 16).expect("valid parameters");
        let parameters = parameters.with_short_blobs(1 << 16).expect("valid parameters");
        let roster = roster(nodes.len(), shards);
        let download = SegmentDownload::of_short(parameters, &roster, &BLOB, length, terms());
        World { download, ..World::new(nodes, shards) }
    }

    fn is_wrong(&self, pair: &PairIndex) -> bool {
        !self.proved.contains(pair)
            && self.held.get(pair).is_none_or(|member| self.nodes[*member] == Node::Liar)
    }

    fn answer(&mut self, effect: Effect) -> Vec<Input> {
        match effect {
            Effect::Ask { request, member, part, pairs, .. } => {
                self.asked += pairs.len();
                self.asked_of.insert(member);
                let mut inputs = Vec::new();
                let mut end = End::Done;
                match self.nodes[member] {
                    Node::Silent => return inputs,
                    Node::Dead => end = End::Never,
                    Node::Absent(back) if self.now.0 < back => end = End::Absent,
                    Node::Busy(free) if self.now.0 < free => end = End::Again { after_ms: 500 },
                    Node::Empty => inputs
                        .extend(pairs.iter().map(|pair| Input::Missing { request, pair: *pair })),
                    Node::Proofless if part != Part::Sliver => inputs
                        .extend(pairs.iter().map(|pair| Input::Missing { request, pair: *pair })),
                    Node::Proofless
                    | Node::Honest
                    | Node::Liar
                    | Node::Busy(_)
                    | Node::Slow(_)
                    | Node::Absent(_) => {
                        if self.download.padding.is_some() && part.has_proof() {
                            let is_lie = |pair: &&PairIndex| self.is_wrong(pair);
                            let held = pairs.iter().filter(|pair| self.held.contains_key(pair));
                            let lies =
                                held.filter(is_lie).map(|pair| Input::Differs { pair: *pair });
                            inputs.extend(lies.collect::<Vec<_>>());
                            self.proved.extend(&pairs);
                        }
                        let lacks = |pair: &PairIndex| self.lacking.contains(&(member, *pair));
                        let (missing, there): (Vec<_>, Vec<_>) = pairs.into_iter().partition(lacks);
                        self.held.extend(there.iter().map(|pair| (*pair, member)));
                        let arrived = |pair| Input::Arrived { request, pair };
                        inputs.extend(there.into_iter().map(arrived));
                        let missed = |pair| Input::Missing { request, pair };
                        inputs.extend(missing.into_iter().map(missed));
                    }
                }
                inputs.push(Input::Ended { request, end });
                let delay = match self.nodes[member] {
                    Node::Slow(delay) => delay,
                    Node::Absent(back) if self.now.0 < back => DIAL_MS,
                    _ => return inputs,
                };
                self.later.push((self.now.after(delay), std::mem::take(&mut inputs)));
                inputs
            }
            Effect::Decode { pairs, .. } => {
                let matches = !self.inconsistent && !pairs.iter().any(|pair| self.is_wrong(pair));
                vec![Input::Decoded { matches }]
            }
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
            Effect::Missed { members } => {
                assert!(self.missed.replace(members).is_none(), "it is said once");
                Vec::new()
            }
            Effect::Silent { member } => {
                self.silent.push(member);
                Vec::new()
            }
            Effect::Finish | Effect::Fail(_) => {
                assert!(self.end.replace(effect).is_none(), "a download ends once");
                Vec::new()
            }
        }
    }

    /// What happens when nothing is left to do at this moment: time passes, to whatever comes first.
    fn wait(&mut self) -> Vec<Input> {
        let deadline = self.download.deadline().expect("somebody is waited for, not for ever");
        let due = self.later.iter().map(|(at, _)| *at).min().filter(|at| *at <= deadline);
        self.now = due.unwrap_or(deadline).max(self.now);
        let now = self.now;
        let (arrived, later) = self.later.drain(..).partition(|(at, _)| *at <= now);
        self.later = later;
        let arrived: Vec<(Timestamp, Vec<Input>)> = arrived;
        match due {
            Some(_) => arrived.into_iter().flat_map(|(_, inputs)| inputs).collect(),
            None => vec![Input::TimeReached],
        }
    }

    fn run(self) -> Self {
        self.run_after(Vec::new())
    }

    /// Runs to the end after these inputs; time passes only when nothing else can happen.
    fn run_after(mut self, first: Vec<Input>) -> Self {
        let mut inputs = VecDeque::from([Input::Started]);
        inputs.extend(first);
        for _ in 0..10_000 {
            if self.end.is_some() && inputs.is_empty() {
                return self;
            }
            if inputs.is_empty() {
                inputs.extend(self.wait());
            }
            let input = inputs.pop_front().expect("waiting brings something");
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
        Some(Effect::Fail(Failure::Unavailable { available, needed, lost, members })) => {
            assert_eq!((available, needed, lost), (4, 8, 4));
            assert!(members.contains(&1));
            assert!(members.contains(&0) && members.contains(&3) && !members.contains(&2));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_members_do_not_have_is_told_as_lost_and_of_the_axis_that_needs_less() {
    let nodes = [Node::Empty, Node::Empty, Node::Honest, Node::Empty, Node::Empty];
    match World::new(&nodes, 20).run().end {
        Some(Effect::Fail(Failure::Unavailable { available, needed, lost, members })) => {
            assert_eq!((available, needed, lost), (4, 8, 16));
            assert_eq!(members, [0, 1, 3, 4]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_silent_member_costs_one_hedge_and_is_reported() {
    let nodes = [Node::Silent, Node::Honest, Node::Honest, Node::Honest, Node::Honest];
    let world = World::new(&nodes, 20).run();
    assert_eq!((world.end, world.now), (Some(Effect::Finish), Timestamp(HEDGE_AFTER_MS)));
    assert_eq!(world.silent, [0]);
}

#[test]
fn a_member_that_was_silent_before_is_not_asked_while_others_suffice() {
    let nodes = [Node::Silent, Node::Honest, Node::Honest, Node::Honest, Node::Honest];
    let mut paces = vec![Pace::Untried; 5];
    paces[0] = Pace::Silent { times: 1 };
    let world = World::expecting(&nodes, 20, paces).run();
    assert_eq!((world.end, world.now), (Some(Effect::Finish), Timestamp(0)));
    assert!(!world.asked_of.contains(&0));
}

#[test]
fn a_second_segment_does_not_wait_for_a_node_that_was_silent_in_the_first_which_is_tried_again_later()
 {
    let nodes = [Node::Silent, Node::Honest, Node::Honest, Node::Honest, Node::Honest];
    let mut peers = [Responsiveness::default(); 5];
    // What the reader remembers of each node when it asks for a segment at this moment, and what it learns.
    let mut segment = |at: u64| {
        let paces = peers.iter().map(|peer| peer.pace(Timestamp(at), 0)).collect();
        let world = World::expecting(&nodes, 20, paces).run();
        assert_eq!(world.end, Some(Effect::Finish));
        world.silent.iter().for_each(|member| peers[*member].fell_silent(Timestamp(at)));
        (world.now.0, world.asked_of.contains(&0))
    };
    assert_eq!(segment(0), (HEDGE_AFTER_MS, true));
    assert_eq!(segment(1_000), (0, false), "the second does not even ask it");
    assert_eq!(segment(REST_MS), (0, true), "later it is tried, and not waited for");
    assert_eq!(segment(REST_MS + 1), (0, false), "one trial is enough for a while");
}

#[test]
fn a_member_on_trial_is_asked_and_not_waited_for() {
    let mut nodes = [Node::Honest; 5];
    nodes[0] = Node::Silent;
    let mut paces = vec![Pace::Untried; 5];
    paces[0] = Pace::OnTrial;
    let world = World::expecting(&nodes, 20, paces.clone()).run();
    assert_eq!((world.end, world.now), (Some(Effect::Finish), Timestamp(0)));
    assert!(world.asked_of.contains(&0));
    assert_eq!(world.silent, [0], "the next segment need not try it again");
    let world = World::expecting(&[Node::Honest; 5], 20, paces).run();
    assert!(world.download.held.iter().any(|pair| world.held[pair] == 0), "what it sends is used");
}

#[test]
fn members_that_lag_are_asked_last_and_systematic_slivers_win_among_equals() {
    let expected = |milliseconds| Pace::Expected { milliseconds };
    let equal = [10, 40, 20, 60, 30].map(expected).to_vec();
    let world = World::expecting(&[Node::Honest; 5], 20, equal).run();
    assert!(world.held.keys().all(|pair| pair.0 < 8), "about equal: nothing is decoded");
    let lagging = [10, 40, 900, 60, 30].map(expected).to_vec();
    let world = World::expecting(&[Node::Honest; 5], 20, lagging).run();
    assert_eq!(world.end, Some(Effect::Finish));
    assert!(!world.asked_of.contains(&2), "the one that lags is left in peace");
}

#[test]
fn nobody_is_hedged_sooner_than_it_is_known_to_answer() {
    let nodes = [Node::Slow(900); 5];
    let paces = vec![Pace::Expected { milliseconds: 900 }; 5];
    let world = World::expecting(&nodes, 20, paces).run();
    assert_eq!((world.asked, world.silent.as_slice()), (8, [].as_slice()), "no needless request");
}

#[test]
fn a_request_that_trickles_is_hedged_when_the_others_are_long_done() {
    let parameters = Parameters::new(20, 1024).expect("valid parameters");
    let mut download = SegmentDownload::new(parameters, &roster(5, 20), &BLOB, 0, terms());
    let mut asked = download.handle(Timestamp(0), Input::Started);
    let Some(Effect::Ask { request: slow, pairs: owed, .. }) = asked.pop() else { panic!() };
    for effect in asked {
        let Effect::Ask { request, pairs, .. } = effect else { panic!("{effect:?}") };
        for pair in pairs {
            assert_eq!(download.handle(Timestamp(10), Input::Arrived { request, pair }), []);
        }
        let ended = Input::Ended { request, end: End::Done };
        assert_eq!(download.handle(Timestamp(10), ended), []);
    }
    assert!(owed.len() > 1, "the slow one owes more than it will send");
    let trickle = Input::Arrived { request: slow, pair: owed[0] };
    assert_eq!(download.handle(Timestamp(350), trickle), [], "it makes progress");
    let due = download.deadline().expect("the slow one is watched");
    assert!(due < Timestamp(350 + HEDGE_AFTER_MS), "{due:?}");
    let hedge = download.handle(due, Input::TimeReached);
    assert!(matches!(hedge[..], [Effect::Ask { .. }, ..]), "{hedge:?}");
}

#[test]
fn busy_is_not_dead_and_members_are_asked_until_they_have_time() {
    let world = World::new(&[Node::Busy(20_000); 5], 20).run();
    assert_eq!(world.end, Some(Effect::Finish));
    assert!((20_000..27_000).contains(&world.now.0), "{:?}", world.now);
}

#[test]
fn a_reader_gives_up_when_nothing_came_for_as_long_as_it_is_patient() {
    let nodes = [Node::Busy(u64::MAX), Node::Silent, Node::Honest, Node::Dead, Node::Dead];
    let world = World::new(&nodes, 20).run();
    assert_eq!(world.now, Timestamp(PATIENCE_MS));
    let Some(Effect::Fail(Failure::Unavailable { members, .. })) = world.end else { panic!() };
    assert_eq!(members, [0, 1, 3, 4], "all but the honest one");
}

#[test]
fn when_all_refuse_for_good_nothing_is_waited_for() {
    let world = World::new(&[Node::Dead, Node::Dead, Node::Empty, Node::Dead, Node::Dead], 20);
    let world = world.run();
    assert_eq!(world.now, Timestamp(0));
    assert!(matches!(world.end, Some(Effect::Fail(Failure::Unavailable { .. }))));
}

#[test]
fn members_that_are_not_there_are_tried_once_more_and_not_waited_for() {
    let mut nodes = [Node::Absent(u64::MAX); 5];
    nodes[2] = Node::Honest;
    let world = World::new(&nodes, 20).run();
    let Some(Effect::Fail(Failure::Unavailable { available, members, .. })) = world.end else {
        panic!("{:?}", world.end)
    };
    assert_eq!((available, members.as_slice()), (4, [0, 1, 3, 4].as_slice()));
    assert!((2 * DIAL_MS..3 * DIAL_MS).contains(&world.now.0), "{:?}", world.now);
    assert_eq!(world.missed.as_deref(), Some([0, 1, 3, 4].as_slice()), "said when it was known");
}

#[test]
fn a_member_that_is_back_serves_and_a_slow_one_is_waited_for() {
    let mut nodes = [Node::Absent(DIAL_MS + 50); 5];
    nodes[2] = Node::Honest;
    assert_eq!(World::new(&nodes, 20).run().end, Some(Effect::Finish), "back when asked again");
    let mut nodes = [Node::Absent(u64::MAX); 5];
    (nodes[1], nodes[2]) = (Node::Slow(20_000), Node::Honest);
    let world = World::new(&nodes, 20).run();
    assert_eq!(world.end, Some(Effect::Finish));
    assert!((20_000..22_000).contains(&world.now.0), "{:?}", world.now);
}

#[test]
fn where_enough_members_are_there_nobody_misses_the_others() {
    let mut nodes = [Node::Honest; 5];
    (nodes[0], nodes[3]) = (Node::Absent(u64::MAX), Node::Absent(u64::MAX));
    let world = World::new(&nodes, 20).run();
    assert_eq!((world.end, world.missed), (Some(Effect::Finish), None));
}

fn any_input() -> impl Strategy<Value = Input> {
    let request = (0_u64..12).prop_map(RequestId);
    let pair = (0_u16..70).prop_map(PairIndex);
    let end = prop_oneof![
        Just(End::Done),
        Just(End::Never),
        Just(End::Absent),
        any::<u64>().prop_map(|after_ms| End::Again { after_ms })
    ];
    prop_oneof![
        Just(Input::Started),
        (request.clone(), pair.clone())
            .prop_map(|(request, pair)| Input::Arrived { request, pair }),
        pair.clone().prop_map(|pair| Input::Differs { pair }),
        (request.clone(), pair.clone())
            .prop_map(|(request, pair)| Input::Missing { request, pair }),
        (request, end).prop_map(|(request, end)| Input::Ended { request, end }),
        any::<bool>().prop_map(|matches| Input::Decoded { matches }),
        proptest::collection::vec(pair, 0..5).prop_map(|wrong| Input::Verified { wrong }),
        Just(Input::TimeReached),
    ]
}

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let node = prop_oneof![
        4 => Just(Node::Honest), 1 => Just(Node::Dead), 1 => Just(Node::Silent),
        1 => Just(Node::Liar), 1 => Just(Node::Empty), 1 => Just(Node::Proofless), 1 => Just(Node::Absent(u64::MAX)),
    ];
    proptest::collection::vec(node, 4..9)
}

#[test]
fn what_a_reader_holds_itself_is_asked_of_nobody_and_never_doubted() {
    // Nine shards on three nodes, of which five are enough: one node has three, and two are at hand.
    for (second, blamed) in [(Node::Dead, vec![]), (Node::Liar, vec![1])] {
        let nodes = [Node::Honest, second, Node::Dead];
        let roster = roster(3, 9);
        let mut world = World::new(&nodes, 9);
        let parameters = world.download.parameters;
        let owner = |pair: &PairIndex| {
            let shard = sliver::shard_of_pair(&parameters, &BLOB, 0, *pair);
            roster.owners(shard, None).expect("there is such a shard").likely
        };
        let held: Vec<_> = (0..9).map(PairIndex).filter(|pair| owner(pair) == 2).take(2).collect();
        world.held.extend(held.iter().map(|pair| (*pair, 0)));
        world.download = world.download.with_held(held);
        let world = world.run();
        assert_eq!(world.end, Some(Effect::Finish), "{second:?}");
        assert_eq!(world.blamed, blamed.into_iter().collect(), "{second:?}");
        assert_ne!(World::new(&nodes, 9).run().end, Some(Effect::Finish), "{second:?}");
    }
}

proptest! {
    #[test]
    fn whatever_is_said_in_whatever_order_a_download_ends_once_and_well(
        inputs in proptest::collection::vec(any_input(), 0..40), nodes in nodes(), shards in 9_u16..40,
    ) {
        let world = World::new(&nodes, shards).run_after(inputs);
        prop_assert!(matches!(world.end, Some(Effect::Finish | Effect::Fail(_))));
        prop_assert_eq!(world.download.deadline(), None);
        let mut download = world.download;
        for input in [Input::Started, Input::TimeReached, Input::Decoded { matches: true }] {
            prop_assert_eq!(download.handle(world.now, input), []);
        }
    }

    #[test]
    fn a_short_blob_is_read_whenever_as_many_honest_symbols_as_decode_are_there(
        nodes in nodes(), shards in 9_u16..40, length in 0_u32..65_536,
    ) {
        let (committee, _) = sample_committee(u8::try_from(nodes.len()).expect("few"), shards);
        let honest: u16 = nodes.iter().enumerate().filter(|(_, node)| **node == Node::Honest)
            .map(|(member, _)| committee.weight(member)).sum();
        let needed = Parameters::new(shards, 1024).expect("valid").primary_source();
        let world = World::of_short(&nodes, shards, length).run();
        prop_assert!(world.end == Some(Effect::Finish) || honest < needed, "{:?}", world.end);
        for member in world.blamed {
            prop_assert_eq!(nodes[member], Node::Liar);
        }
    }

    #[test]
    fn a_segment_is_read_exactly_when_honest_nodes_hold_enough_of_it(nodes in nodes(), shards in 9_u16..40) {
        let (committee, _) = sample_committee(u8::try_from(nodes.len()).expect("few"), shards);
        let honest: u16 = nodes.iter().enumerate().filter(|(_, node)| **node == Node::Honest)
            .map(|(member, _)| committee.weight(member)).sum();
        let needed = Parameters::new(shards, 1024).expect("valid").primary_source();
        let world = World::new(&nodes, shards).run();
        let is_read = world.end == Some(Effect::Finish);
        // Slivers without proofs are enough where nobody lies.
        let proofless = nodes.contains(&Node::Proofless);
        prop_assert!(is_read == (honest >= needed) || is_read && proofless, "{:?}", world.end);
        for member in world.blamed {
            prop_assert_eq!(nodes[member], Node::Liar);
        }
    }
}
