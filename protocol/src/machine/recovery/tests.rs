//! A recovery against scripted nodes with real symbols: what can be rebuilt is, liars are blamed, the end is always reached.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::committee::Committee;
use crate::committee::tests::sample_committee;
use crate::encoding::{EncodedSegment, SegmentPosition, encode_segment, recovery_symbols};
use crate::epoch::Epoch;
use crate::machine::questions::HEDGE_AFTER_MS;
use crate::rebuild::{SourceSymbols, rebuild_pairs};
use crate::sliver::pair_of_shard;

/// What a scripted node does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    /// Has everything.
    Honest,
    /// Has nothing.
    Empty,
    /// Refuses for good.
    Dead,
    /// Never answers.
    Silent,
    /// Sends other symbols, while nothing has to be proved.
    Liar,
    /// The same, and its proofs prove nothing.
    Forger,
    /// Has slivers, but no proof.
    Proofless,
    /// Is not there.
    Absent,
    /// Cannot be reached, for whatever reason.
    Unreachable,
}

const LENGTH: u32 = 1000;
const PATIENCE_MS: u64 = 30_000;

struct World {
    parameters: Parameters,
    segment: EncodedSegment,
    recovery: SegmentRecovery,
    nodes: Vec<Node>,
    now: Timestamp,
    /// Symbols that came, by the axis of their slivers, and the member that lied about them.
    came: BTreeMap<(Axis, PairIndex), (SourceSymbols, bool)>,
    earlier: BTreeSet<PairIndex>,
    symbols: usize,
    kept: BTreeSet<PairIndex>,
    blamed: BTreeSet<usize>,
    silent: BTreeSet<usize>,
    widened: usize,
    reads: usize,
    is_inconsistent: bool,
    /// Pairs that go missing here before anything is rebuilt.
    gone: BTreeSet<PairIndex>,
    end: Option<Effect>,
}

fn terms() -> Terms {
    Terms { paces: Vec::new(), said: BTreeMap::new(), patience_ms: PATIENCE_MS, noise: 3 }
}

/// The last node lost pairs of a segment; the nodes before it are scripted.
fn world(nodes: &[Node], shards: u16) -> World {
    let parameters = Parameters::new(shards, 1024).expect("valid parameters");
    let count = u8::try_from(nodes.len() + 1).expect("a handful of nodes");
    let (committee, _) = sample_committee(count, shards);
    let blob = BlobId::from_bytes([7; 32]);
    let position = SegmentPosition { segment: 0, blob_bytes: u64::from(LENGTH) };
    let bytes: Vec<u8> = (0..LENGTH).map(|at| (at * 31 % 253).to_le_bytes()[0]).collect();
    let segment = encode_segment(&parameters, position, bytes.into());
    let us = nodes.len();
    let lost = committee.members()[us].shards.iter();
    let lost = lost.map(|shard| pair_of_shard(&parameters, &blob, 0, *shard)).collect();
    let stock = Stock { lost, held: BTreeMap::new(), ourselves: Some(us) };
    let terms = terms();
    let root = segment.commitment().slivers_root;
    let recovery = SegmentRecovery::new(
        parameters,
        &Roster::settled(committee.into()),
        (&blob, 0, root),
        stock,
        terms,
    );
    World {
        parameters,
        segment,
        recovery,
        nodes: nodes.to_vec(),
        now: Timestamp(0),
        came: BTreeMap::new(),
        earlier: BTreeSet::new(),
        symbols: 0,
        kept: BTreeSet::new(),
        blamed: BTreeSet::new(),
        silent: BTreeSet::new(),
        widened: 0,
        reads: 0,
        is_inconsistent: false,
        gone: BTreeSet::new(),
        end: None,
    }
}

impl World {
    fn lost(&self) -> BTreeSet<PairIndex> {
        self.recovery.lost.clone()
    }

    /// What a source gives; a liar turns a bit of each symbol.
    fn give(
        &self,
        axis: Axis,
        source: PairIndex,
        targets: &[PairIndex],
        lies: bool,
    ) -> SourceSymbols {
        let places: Vec<_> =
            targets.iter().map(|it| it.sliver_index(axis.other(), &self.parameters)).collect();
        let sliver = self.segment.sliver(axis, source.sliver_index(axis, &self.parameters));
        let symbols = recovery_symbols(&self.parameters, LENGTH, axis, &sliver, &places);
        let mut symbols = symbols.expect("a sliver of its length");
        if lies {
            for symbol in &mut symbols {
                let mut bytes = symbol.to_vec();
                bytes[0] ^= 1;
                *symbol = Bytes::from(bytes);
            }
        }
        SourceSymbols { source, symbols }
    }

    fn ask(&mut self, effect: &Effect) -> Vec<Input> {
        let Effect::Ask { request, member, axis, sources, targets, with_proofs } = effect else {
            unreachable!("only questions are asked")
        };
        let request = *request;
        let node = self.nodes[*member];
        assert!(sources.iter().all(|source| !targets.contains(source)), "a target gives nothing");
        let mut inputs = Vec::new();
        for source in sources {
            let lies = matches!(node, Node::Liar | Node::Forger) && !with_proofs;
            match node {
                Node::Empty => inputs.push(Input::Missing { request, pair: *source }),
                Node::Proofless if *with_proofs => {
                    inputs.push(Input::Missing { request, pair: *source });
                }
                Node::Forger if *with_proofs => return vec![Input::Lied { request }],
                Node::Honest | Node::Liar | Node::Forger | Node::Proofless => {
                    self.symbols += targets.len();
                    if *with_proofs && self.earlier.contains(source) && node == Node::Liar {
                        inputs.push(Input::Differs { source: *source });
                    }
                    let given = self.give(*axis, *source, targets, lies);
                    self.came.insert((*axis, *source), (given, lies));
                    let proof = with_proofs.then(|| self.segment.pairs().prove(*source));
                    inputs.push(Input::Arrived { request, source: *source, proof });
                }
                Node::Dead => return vec![Input::Ended { request, end: End::Never }],
                Node::Absent => return vec![Input::Ended { request, end: End::Absent }],
                Node::Unreachable => {
                    return vec![Input::Ended { request, end: End::Again { after_ms: 0 } }];
                }
                Node::Silent => return Vec::new(),
            }
        }
        inputs.push(Input::Ended { request, end: End::Done });
        inputs
    }

    fn ask_proofs(&self, request: RequestId, member: usize, pairs: &[PairIndex]) -> Vec<Input> {
        let prove = |pair: &PairIndex| match self.nodes[member] {
            Node::Honest | Node::Liar => {
                let proof = self.segment.pairs().prove(*pair);
                Input::Proved { request, pair: *pair, proof }
            }
            Node::Forger => Input::Lied { request },
            _ => Input::Missing { request, pair: *pair },
        };
        match self.nodes[member] {
            Node::Silent => Vec::new(),
            Node::Dead => vec![Input::Ended { request, end: End::Never }],
            Node::Absent => vec![Input::Ended { request, end: End::Absent }],
            Node::Unreachable => vec![Input::Ended { request, end: End::Again { after_ms: 0 } }],
            _ => {
                let proofs = pairs.iter().map(prove);
                proofs.chain([Input::Ended { request, end: End::Done }]).collect()
            }
        }
    }

    fn rebuild(&self, targets: &[PairIndex], sources: &[Vec<PairIndex>; 2], accuse: bool) -> Input {
        let of = |axis: Axis, pairs: &[PairIndex]| -> Vec<SourceSymbols> {
            let came = |pair: &PairIndex| self.came[&(axis, *pair)].0.clone();
            let mut symbols: Vec<_> = pairs.iter().map(came).collect();
            let local = self.recovery.local().iter().filter(|pair| !self.gone.contains(pair));
            symbols.extend(local.map(|pair| self.give(axis, *pair, targets, false)));
            symbols
        };
        let [primary, secondary] = sources;
        let (primary, secondary) = (of(Axis::Primary, primary), of(Axis::Secondary, secondary));
        let rebuilt = rebuild_pairs(&self.parameters, LENGTH, targets, [&primary, &secondary]);
        let gone: BTreeSet<_> = self.recovery.local().intersection(&self.gone).copied().collect();
        assert!(rebuilt.is_ok() || !gone.is_empty(), "enough symbols");
        let rebuilt = rebuilt.unwrap_or_default().into_iter();
        let mut roots: BTreeMap<_, _> = rebuilt.map(|it| (it.pair, it.roots)).collect();
        if self.is_inconsistent {
            roots.values_mut().for_each(|roots| roots.primary[0] ^= 1);
        }
        Input::Rebuilt { roots, is_inconsistent: self.is_inconsistent && accuse, gone }
    }

    /// What a reader finds: whoever lied to it has to prove what it sends.
    fn read(&mut self) -> Input {
        self.reads += 1;
        let of = |kinds: &[Node]| -> usize {
            let pairs = (0..self.parameters.shards()).map(PairIndex);
            let held = pairs.filter(|pair| {
                let owner = self.nodes.get(self.recovery.owner_of(*pair));
                owner.is_some_and(|node| kinds.contains(node))
            });
            held.count()
        };
        let is_lied_to = of(&[Node::Liar, Node::Forger]) > 0;
        let slivers = match is_lied_to {
            true => of(&[Node::Honest, Node::Liar]),
            false => of(&[Node::Honest, Node::Proofless]),
        };
        if slivers < usize::from(self.parameters.primary_source()) {
            return Input::Unread { is_inconsistent: false };
        }
        let mut proofs: BTreeMap<_, _> =
            self.lost().into_iter().map(|pair| (pair, self.segment.pairs().prove(pair))).collect();
        if self.is_inconsistent {
            proofs.values_mut().for_each(|proof| proof.roots.primary[0] ^= 1);
        }
        Input::Read { proofs }
    }

    fn answer(&mut self, effect: Effect) -> Vec<Input> {
        match effect {
            Effect::Read => return vec![self.read()],
            Effect::Ask { .. } => return self.ask(&effect),
            Effect::AskProofs { request, member, pairs } => {
                return self.ask_proofs(request, member, &pairs);
            }
            Effect::Rebuild { targets, sources, accuse } => {
                return vec![self.rebuild(&targets, &sources, accuse)];
            }
            Effect::Restart => {
                self.widened += usize::from(!self.recovery.is_proving());
                let came = std::mem::take(&mut self.came);
                self.earlier.extend(came.into_keys().map(|(_, pair)| pair));
            }
            Effect::Keep { pairs } => self.kept.extend(pairs),
            Effect::Silent { member } => drop(self.silent.insert(member)),
            Effect::Blame { member, .. } => drop(self.blamed.insert(member)),
            Effect::Cancel { .. } => (),
            Effect::Finish | Effect::Fail(_) => {
                assert!(self.end.replace(effect).is_none(), "a recovery ends once");
            }
        }
        Vec::new()
    }

    fn run(mut self) -> World {
        let mut inputs = VecDeque::from([Input::Started]);
        for _ in 0..10_000 {
            if self.end.is_some() && inputs.is_empty() {
                return self;
            }
            if inputs.is_empty() {
                let deadline = self.recovery.deadline().expect("somebody is waited for");
                self.now = deadline.max(self.now);
                inputs.push_back(Input::TimeReached);
            }
            let input = inputs.pop_front().expect("waiting brings something");
            for effect in self.recovery.handle(self.now, input) {
                inputs.extend(self.answer(effect));
            }
        }
        panic!("the recovery does not end");
    }
}

#[test]
fn honest_nodes_move_less_than_the_lost_pairs_hold() {
    // Twenty shards on five nodes: eight rows, fourteen columns, four pairs lost.
    let world = world(&[Node::Honest; 4], 20);
    let lost = world.lost();
    let world = world.run();
    assert_eq!((world.end, world.now), (Some(Effect::Finish), Timestamp(0)));
    assert_eq!(world.kept, lost);
    assert_eq!(world.symbols, 4 * (8 + 14 - 4), "the pairs hold {} symbols", 4 * (8 + 14));
}

/// One pair is lost, and its node has the other three; with that pair.
fn with_three_at_hand() -> (World, PairIndex) {
    let mut world = world(&[Node::Honest; 4], 20);
    let mut all = world.lost().into_iter();
    let lost = all.next().expect("there are four");
    let held = all.map(|pair| (pair, world.segment.pairs().prove(pair))).collect();
    let stock = Stock { lost: [lost].into(), held, ourselves: Some(4) };
    let (committee, _) = sample_committee(5, 20);
    let terms = terms();
    let of = (&BlobId::from_bytes([7; 32]), 0, world.segment.commitment().slivers_root);
    world.recovery = SegmentRecovery::new(
        world.parameters,
        &Roster::settled(committee.into()),
        of,
        stock,
        terms,
    );
    (world, lost)
}

#[test]
fn pairs_at_hand_give_symbols_for_nothing() {
    let (world, lost) = with_three_at_hand();
    let world = world.run();
    assert_eq!((world.end, world.kept), (Some(Effect::Finish), [lost].into()));
    assert_eq!(world.symbols, 8 + 14 - 2 * 3 - 1);
}

#[test]
fn a_pair_at_hand_that_rots_meanwhile_is_made_up_for_by_others_and_nobody_is_suspected() {
    let (mut world, lost) = with_three_at_hand();
    world.gone.extend(world.recovery.local().first().copied());
    let world = world.run();
    assert_eq!((world.end, world.kept), (Some(Effect::Finish), [lost].into()));
    // What came stays of use: one more of each kind is asked for.
    assert_eq!(world.symbols, 8 + 14 - 2 * 3 - 1 + 2);
    assert!(world.blamed.is_empty() && world.earlier.is_empty());
}

#[test]
fn a_silent_node_costs_a_moment_and_a_dead_one_nothing() {
    let lost = world(&[Node::Honest; 4], 20).lost();
    let silent = world(&[Node::Silent, Node::Honest, Node::Honest, Node::Honest], 20).run();
    assert_eq!((silent.end, &silent.kept), (Some(Effect::Finish), &lost));
    assert_eq!((silent.now, silent.silent), (Timestamp(HEDGE_AFTER_MS), [0].into()));
    for node in [Node::Dead, Node::Empty, Node::Proofless] {
        let other = world(&[node, Node::Honest, Node::Honest, Node::Honest], 20).run();
        assert_eq!((other.end, other.now), (Some(Effect::Finish), Timestamp(0)), "{node:?}");
        assert_eq!(other.kept, lost, "{node:?}");
    }
}

#[test]
fn liars_are_named_and_change_nothing() {
    for node in [Node::Liar, Node::Forger] {
        let world = world(&[Node::Honest, node, Node::Honest, Node::Honest], 20);
        let lost = world.lost();
        let world = world.run();
        assert_eq!(world.end, Some(Effect::Finish), "{node:?}");
        assert_eq!((world.kept, world.blamed), (lost, [1].into()), "{node:?}");
    }
}

#[test]
fn an_inconsistent_segment_is_told_from_a_lie_by_proved_symbols_only() {
    let mut world = world(&[Node::Honest; 4], 20);
    world.is_inconsistent = true;
    let world = world.run();
    assert_eq!(world.end, Some(Effect::Fail(Failure::Inconsistent)));
    assert!(world.kept.is_empty() && world.blamed.is_empty());
    assert_eq!(world.recovery.stage, Stage::Accusing);
}

#[test]
fn pairs_whose_group_nobody_proves_are_rebuilt_together_and_recognised() {
    // Sixty shards on six nodes. Nobody but one proves anything; its pairs are in all groups of sixteen.
    let mut nodes = [Node::Proofless; 5];
    nodes[2] = Node::Honest;
    let near = world(&nodes, 60).run();
    assert_eq!((near.end, near.widened), (Some(Effect::Finish), 0));
    // Nobody at all: the whole segment would have to be rebuilt, and there is nobody to rebuild it from; so it is read.
    let nobody = world(&[Node::Proofless; 5], 60);
    let lost = nobody.lost();
    let nobody = nobody.run();
    assert!(nobody.widened > 0);
    assert_eq!((nobody.end, nobody.reads, nobody.kept), (Some(Effect::Finish), 1, lost));
}

/// Two of five nodes are left with eight of twenty pairs, as many as are enough to read.
const FEW: [Node; 4] = [Node::Empty, Node::Honest, Node::Empty, Node::Honest];

#[test]
fn a_segment_of_which_too_little_is_left_for_symbols_is_read_as_a_whole() {
    let world = world(&FEW, 20);
    let lost = world.lost();
    let world = world.run();
    assert_eq!((&world.end, &world.kept, world.reads), (&Some(Effect::Finish), &lost, 1));
    for pair in lost {
        assert_eq!(world.recovery.known().prove(pair), Some(world.segment.pairs().prove(pair)));
    }
}

#[test]
fn where_members_say_what_they_hold_nothing_is_fetched_in_vain() {
    for (nodes, end, reads) in [
        (FEW, None, 1),
        // Seven pairs are left: not even a reader comes to its end.
        ([Node::Empty, Node::Empty, Node::Empty, Node::Honest], Some(4), 0),
    ] {
        let mut world = world(&nodes, 20);
        let said = |(member, node): (usize, &Node)| match node {
            Node::Empty => (member, [0, 0]),
            _ => (member, [4, 4]),
        };
        world.recovery.said = nodes.iter().enumerate().map(said).collect();
        let world = world.run();
        assert_eq!((world.symbols, world.reads), (0, reads), "{:?}", world.end);
        match end {
            None => assert_eq!(world.end, Some(Effect::Finish)),
            Some(left) => assert!(matches!(
                world.end,
                Some(Effect::Fail(Failure::Unavailable { available, .. })) if available == left
            )),
        }
    }
}

#[test]
fn a_segment_that_reads_well_and_encodes_to_other_pairs_is_its_writers_fault_and_nothing_is_kept() {
    let mut world = world(&FEW, 20);
    world.is_inconsistent = true;
    let world = world.run();
    assert_eq!(world.end, Some(Effect::Fail(Failure::Inconsistent)));
    assert!(world.kept.is_empty() && world.blamed.is_empty());
}

#[test]
fn a_group_that_was_lost_with_its_proofs_is_recognised_below_a_neighbours_path() {
    // Forty shards: groups of sixteen, sixteen and eight pairs. All of the last group is lost with its holders.
    let mut world = world(&[Node::Honest; 4], 40);
    let lost: BTreeSet<_> = (32..40).map(PairIndex).collect();
    let stock = Stock { lost: lost.clone(), held: BTreeMap::new(), ourselves: None };
    let (committee, _) = sample_committee(4, 40);
    let terms = terms();
    let of = (&BlobId::from_bytes([7; 32]), 0, world.segment.commitment().slivers_root);
    world.recovery = SegmentRecovery::new(
        world.parameters,
        &Roster::settled(committee.into()),
        of,
        stock,
        terms,
    );
    let world = world.run();
    assert_eq!((world.end, world.kept), (Some(Effect::Finish), lost.clone()));
    for pair in lost {
        assert_eq!(world.recovery.known().prove(pair), Some(world.segment.pairs().prove(pair)));
    }
}

#[test]
fn a_silent_neighbour_of_a_lost_group_does_not_stop_its_repair() {
    // Forty shards; the last group has eight pairs: four are lost, and who has the others is silent or cannot be reached.
    for node in [Node::Silent, Node::Unreachable] {
        let blob = BlobId::from_bytes([7; 32]);
        let parameters = Parameters::new(40, 1024).expect("valid parameters");
        let (sample, _) = sample_committee(5, 40);
        let mut members = sample.members().to_vec();
        let pairs = [0..12, 12..24, 24..32, 36..40, 32..36];
        for (member, pairs) in members.iter_mut().zip(pairs) {
            let shard = |pair| shard_of_pair(&parameters, &blob, 0, PairIndex(pair));
            member.shards = pairs.map(shard).collect();
            member.shards.sort_unstable();
        }
        let committee = Committee::new(Epoch(1), 40, members).expect("a sound committee");
        let mut world = world(&[Node::Honest, Node::Honest, Node::Honest, node], 40);
        let lost: BTreeSet<_> = (32..36).map(PairIndex).collect();
        let stock = Stock { lost: lost.clone(), held: BTreeMap::new(), ourselves: Some(4) };
        let terms = terms();
        let of = (&blob, 0, world.segment.commitment().slivers_root);
        let roster = Roster::settled(committee.into());
        world.recovery = SegmentRecovery::new(parameters, &roster, of, stock, terms);
        let world = world.run();
        assert_eq!((&world.end, &world.kept), (&Some(Effect::Finish), &lost), "{node:?}");
        assert!(world.now < Timestamp(PATIENCE_MS), "{node:?}");
    }
}

#[test]
fn too_few_nodes_are_an_end_that_names_those_that_did_not_help() {
    let nodes = [Node::Dead, Node::Honest, Node::Absent, Node::Empty];
    let world = world(&nodes, 20).run();
    let Some(Effect::Fail(Failure::Unavailable { members, .. })) = world.end else {
        panic!("{:?}", world.end)
    };
    assert_eq!(members, [0, 2, 3]);
    assert!(world.now < Timestamp(PATIENCE_MS), "nobody is waited for without hope");
    let silent = world_of_silence();
    assert_eq!(silent.now, Timestamp(PATIENCE_MS));
}

#[test]
fn what_cannot_be_enough_is_not_waited_for_and_not_fetched() {
    // Eight of twenty pairs are left, and ten secondary slivers have to give symbols: it ends when nine may.
    let world = world(&[Node::Empty, Node::Empty, Node::Silent, Node::Silent], 20).run();
    assert!(matches!(
        world.end,
        Some(Effect::Fail(Failure::Unavailable { available: 9, needed: 10, .. }))
    ));
    assert_eq!(world.now, Timestamp(0));
}

fn world_of_silence() -> World {
    let world = world(&[Node::Silent; 4], 20).run();
    assert!(
        matches!(world.end, Some(Effect::Fail(Failure::Unavailable { .. }))),
        "{:?}",
        world.end
    );
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whoever_else_fails_the_pairs_come_back_or_it_is_said_why(
        kinds in proptest::collection::vec(0_usize..9, 3..9),
        shards in 10_u16..70,
    ) {
        const KINDS: [Node; 9] = [
            Node::Honest, Node::Empty, Node::Dead, Node::Silent,
            Node::Liar, Node::Forger, Node::Proofless, Node::Absent, Node::Unreachable,
        ];
        let nodes: Vec<_> = kinds.iter().map(|kind| KINDS[*kind]).collect();
        let world = world(&nodes, shards);
        let lost = world.lost();
        // What is lost counts as a fault, too.
        let (committee, _) = sample_committee(u8::try_from(nodes.len() + 1).unwrap_or(u8::MAX), shards);
        let weight = |member: usize| usize::from(committee.weight(member));
        let others = nodes.iter().enumerate().filter(|(_, node)| **node != Node::Honest);
        let faulty: usize = others.map(|(member, _)| weight(member)).sum::<usize>() + weight(nodes.len());
        let world = world.run();
        for member in &world.blamed {
            prop_assert!(matches!(nodes[*member], Node::Liar | Node::Forger), "{:?}", nodes);
        }
        match &world.end {
            Some(Effect::Finish) => prop_assert_eq!(&world.kept, &lost),
            Some(Effect::Fail(Failure::Unavailable { .. })) => {
                prop_assert!(faulty > usize::from(world.parameters.faults()), "{:?}", nodes);
                let honest = nodes.iter().enumerate().filter(|(_, node)| **node == Node::Honest);
                let left: usize = honest.map(|(member, _)| weight(member)).sum();
                let readable = usize::from(world.parameters.primary_source());
                prop_assert!(left < readable, "{} of {} are left: {:?}", left, readable, nodes);
            }
            end => prop_assert!(false, "{:?} of {:?}", end, nodes),
        }
    }
}
