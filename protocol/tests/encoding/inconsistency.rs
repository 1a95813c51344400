//! Writers who encode a segment inconsistently are caught, and honest ones never are.

use bytes::Bytes;
use haulout_protocol::blob::SegmentCommitment;
use haulout_protocol::encoding::{
    Parameters, RecoverError, RecoverySymbol, SegmentPosition, SliverError, SymbolError,
    verify_sliver,
};
use haulout_protocol::inconsistency::{Evidence, InconsistencyError, InconsistencyProof, Repair};
use haulout_protocol::pairs::{KnownPairs, PairRoots, PairTree};
use haulout_protocol::sliver::{Axis, PairIndex, pair_of_sliver};
use haulout_protocol::{merkle, wire};
use proptest::prelude::*;

use crate::properties::{any_axis, any_network};
use crate::reference::{self, Symbol};
use crate::{length, only_segment, parameters, sample};

/// What a writer commits to: rows and columns need not agree.
#[derive(Clone)]
struct Writer {
    parameters: Parameters,
    position: SegmentPosition,
    rows: Vec<Vec<Symbol>>,
    columns: Vec<Vec<Symbol>>,
    content: [u8; 32],
}

/// A segment as its writer published it.
struct Published {
    writer: Writer,
    tree: PairTree,
    /// As told by the proofs of all pairs.
    known: KnownPairs,
    commitment: SegmentCommitment,
}

impl Writer {
    fn honest(shards: u16, blob: &Bytes) -> Writer {
        let parameters = parameters(shards);
        let rows = reference::expand(&parameters, blob);
        let column = |j: u16| rows.iter().map(|row| row[usize::from(j)].clone()).collect();
        Writer {
            parameters,
            position: only_segment(blob),
            columns: (0..shards).map(column).collect(),
            rows,
            content: *blake3::hash(blob).as_bytes(),
        }
    }

    /// Replaces a row by that of another blob: its holder has nothing to complain about.
    fn with_foreign_row(mut self, row: u16) -> Writer {
        let row = &mut self.rows[usize::from(row)];
        let mut source = row[..usize::from(self.parameters.secondary_source())].to_vec();
        source[0][0] ^= 1;
        *row = reference::extend(&source, row.len());
        self
    }

    /// Spoils a symbol, but only as its row commits to it.
    fn with_wrong_symbol(mut self, row: u16, column: u16) -> Writer {
        self.rows[usize::from(row)][usize::from(column)][0] ^= 1;
        self
    }

    fn with_wrong_content(mut self) -> Writer {
        self.content[7] ^= 1;
        self
    }

    fn publish(self) -> Published {
        let roots = |(row, column): (&Vec<Symbol>, &Vec<Symbol>)| PairRoots {
            primary: reference::sliver_root(row.iter()),
            secondary: reference::sliver_root(column.iter()),
        };
        let tree =
            PairTree::new(self.rows.iter().zip(self.columns.iter().rev()).map(roots).collect());
        let commitment = SegmentCommitment { slivers_root: tree.root(), content: self.content };
        let known = known(&self.parameters, &tree, 0..self.parameters.shards());
        Published { writer: self, tree, known, commitment }
    }
}

/// What the proofs of these pairs tell.
fn known(
    parameters: &Parameters,
    tree: &PairTree,
    pairs: impl IntoIterator<Item = u16>,
) -> KnownPairs {
    let mut known = KnownPairs::new(parameters, tree.root());
    for pair in pairs.into_iter().map(PairIndex) {
        known.learn(pair, &tree.prove(pair)).unwrap();
    }
    known
}

impl Published {
    fn codeword(&self, axis: Axis, sliver: u16) -> &[Symbol] {
        match axis {
            Axis::Primary => &self.writer.rows[usize::from(sliver)],
            Axis::Secondary => &self.writer.columns[usize::from(sliver)],
        }
    }

    fn sliver(&self, axis: Axis, sliver: u16) -> Bytes {
        let source = usize::from(self.writer.parameters.sliver_symbols(axis));
        self.codeword(axis, sliver)[..source].concat().into()
    }

    fn slivers(&self, axis: Axis, slivers: &[u16]) -> Vec<(u16, Bytes)> {
        slivers.iter().map(|sliver| (*sliver, self.sliver(axis, *sliver))).collect()
    }

    /// Symbols for a target, as their sources committed to them.
    fn symbols(&self, axis: Axis, target: u16, sources: &[u16]) -> Vec<RecoverySymbol> {
        let target = usize::from(target);
        let serve = |source: &u16| {
            let codeword = self.codeword(axis.other(), *source);
            let leaves: Vec<_> = codeword.iter().map(reference::leaf).collect();
            let proof = merkle::prove(&leaves, target).unwrap();
            RecoverySymbol { source: *source, bytes: codeword[target].clone(), proof }
        };
        sources.iter().map(serve).collect()
    }

    fn evidence<'a>(&'a self, pairs: &'a KnownPairs) -> Evidence<'a> {
        let Writer { parameters, position, .. } = &self.writer;
        Evidence { parameters, position: *position, commitment: &self.commitment, pairs }
    }

    fn repair(&self, axis: Axis, target: u16, sources: &[u16]) -> Repair<Bytes> {
        self.prove_sliver(axis, target, self.symbols(axis, target, sources)).unwrap()
    }

    fn prove_sliver(
        &self,
        axis: Axis,
        target: u16,
        symbols: Vec<RecoverySymbol>,
    ) -> Result<Repair<Bytes>, InconsistencyError> {
        self.evidence(&self.known).prove_sliver(axis, target, symbols)
    }

    /// Recovers a pair whose own proof is lost, from its neighbours' proofs and symbols of these slivers.
    fn repair_pair(&self, pair: PairIndex, sources: &[u16]) -> Repair<[Bytes; 2]> {
        let parameters = &self.writer.parameters;
        let others = (0..parameters.shards()).filter(|other| *other != pair.0);
        let known = known(parameters, &self.tree, others);
        let symbols = Axis::BOTH.map(|axis| {
            let is_other = |source: &u16| pair_of_sliver(axis.other(), *source, parameters) != pair;
            let sources: Vec<_> = sources.iter().copied().filter(is_other).collect();
            self.symbols(axis, pair.sliver_index(axis, parameters), &sources)
        });
        self.evidence(&known).prove_pair(pair, symbols).unwrap()
    }

    fn decode(&self, axis: Axis, slivers: &[u16]) -> Repair<Bytes> {
        self.evidence(&self.known).prove_content(axis, self.slivers(axis, slivers)).unwrap()
    }

    fn check(&self, proof: &InconsistencyProof) -> Result<(), InconsistencyError> {
        let Writer { parameters, position, .. } = &self.writer;
        proof.check(parameters, *position, &self.commitment)
    }

    /// A claim that a sliver is inconsistent, with the groups it needs.
    fn sliver_claim(
        &self,
        axis: Axis,
        sliver: u16,
        symbols: Vec<RecoverySymbol>,
    ) -> InconsistencyProof {
        let pair = |axis, sliver| pair_of_sliver(axis, sliver, &self.writer.parameters);
        let sources = symbols.iter().map(|symbol| pair(axis.other(), symbol.source));
        let spoken_of =
            sources.chain([pair(axis, sliver)]).filter(|pair| self.known.member(*pair).is_some());
        let groups = self.known.groups_of(spoken_of, None).unwrap();
        InconsistencyProof::Sliver { axis, sliver, symbols, groups }
    }

    /// A claim that content is inconsistent, with the groups it needs.
    fn content_claim(&self, axis: Axis, slivers: Vec<(u16, Bytes)>) -> InconsistencyProof {
        let shards = self.writer.parameters.shards();
        let known = slivers.iter().filter(|(sliver, _)| *sliver < shards);
        let pairs = known.map(|(sliver, _)| pair_of_sliver(axis, *sliver, &self.writer.parameters));
        let groups = self.known.groups_of(pairs, None).unwrap();
        let slivers = slivers.into_iter().map(|(sliver, bytes)| (sliver, bytes.into())).collect();
        InconsistencyProof::Content { axis, slivers, groups }
    }

    /// Whether the sliver exists that its root commits to.
    fn holds(&self, axis: Axis, sliver: u16) -> bool {
        let Writer { parameters, position, .. } = &self.writer;
        let (length, bytes) = (position.length(parameters), self.sliver(axis, sliver));
        let root = self.tree.sliver_root(axis, sliver);
        verify_sliver(parameters, length, axis, sliver, &bytes, root).is_ok()
    }
}

fn proof_of<T>(repair: Repair<T>) -> InconsistencyProof {
    match repair {
        Repair::Inconsistent(proof) => proof,
        Repair::Found(_) => panic!("it is not what was committed to"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn an_honest_segment_has_no_proof(
        (shards, order) in any_network(),
        axis in any_axis(),
        bytes in 0usize..20_000,
        seed: u64,
    ) {
        let blob = sample(seed, bytes);
        let published = Writer::honest(shards, &blob).publish();
        let target = order[order.len() / 2];
        let sliver = published.sliver(axis, target);
        prop_assert_eq!(published.repair(axis, target, &order), Repair::Found(sliver));
        prop_assert_eq!(published.decode(axis, &order), Repair::Found(blob));

        let needed = usize::from(published.writer.parameters.sliver_symbols(axis));
        let symbols = published.symbols(axis, target, &order[..needed]);
        let forged = published.sliver_claim(axis, target, symbols);
        let error = InconsistencyError::ConsistentSliver { axis, sliver: target };
        prop_assert_eq!(published.check(&forged), Err(error));

        let needed = usize::from(published.writer.parameters.source(axis));
        let forged = published.content_claim(axis, published.slivers(axis, &order[..needed]));
        prop_assert_eq!(published.check(&forged), Err(InconsistencyError::ConsistentContent));
    }

    #[test]
    fn a_pair_that_was_lost_with_its_proof_is_repaired_or_shown_to_be_inconsistent(
        (shards, order) in any_network(),
        bytes in 1usize..20_000,
        seed: u64,
    ) {
        let blob = sample(seed, bytes);
        let pair = PairIndex(order[0]);
        // Nobody knows the leaf of a pair that is alone in its group.
        prop_assume!(!pair.0.is_multiple_of(16) || pair.0 + 1 < shards);
        let honest = Writer::honest(shards, &blob).publish();
        let parameters = honest.writer.parameters;
        let slivers = Axis::BOTH.map(|axis| honest.sliver(axis, pair.sliver_index(axis, &parameters)));
        prop_assert_eq!(honest.repair_pair(pair, &order), Repair::Found(slivers));
        let row = pair.sliver_index(Axis::Primary, &parameters);
        let liar = Writer::honest(shards, &blob).with_foreign_row(row).publish();
        let proof = proof_of(liar.repair_pair(pair, &order));
        prop_assert_eq!(liar.check(&proof), Ok(()));
        prop_assert!(honest.check(&proof).is_err());
    }

    #[test]
    fn a_foreign_row_is_proved_by_whoever_needs_it(
        (shards, order) in any_network(),
        bytes in 1usize..20_000,
        seed: u64,
    ) {
        let (row, column) = (order[0], order[1]);
        let writer = Writer::honest(shards, &sample(seed, bytes)).with_foreign_row(row);
        let published = writer.publish();
        prop_assert!(published.holds(Axis::Primary, row), "its holder cannot tell");
        // All columns are honest: they give a row that nobody committed to.
        let proof = proof_of(published.repair(Axis::Primary, row, &order));
        prop_assert_eq!(published.check(&proof), Ok(()));
        // A column is only recovered without the row. Its first symbol, and every repair symbol, is foreign.
        let needed = usize::from(published.writer.parameters.primary_source());
        let foreign = [0, published.writer.parameters.secondary_source()];
        let with_row = &order[..needed];
        for column in foreign {
            let proof = proof_of(published.repair(Axis::Secondary, column, with_row));
            prop_assert_eq!(published.check(&proof), Ok(()));
        }
        let without_row = &order[1..=needed];
        let sliver = published.sliver(Axis::Secondary, column);
        let repair = published.repair(Axis::Secondary, column, without_row);
        prop_assert_eq!(repair, Repair::Found(sliver));
    }

    #[test]
    fn a_wrong_symbol_is_proved_by_whoever_needs_it(
        (shards, order) in any_network(),
        bytes in 1usize..20_000,
        seed: u64,
    ) {
        let (row, column) = (order[0], order[1]);
        let writer = Writer::honest(shards, &sample(seed, bytes)).with_wrong_symbol(row, column);
        let published = writer.publish();
        prop_assert!(!published.holds(Axis::Primary, row), "no row has that root");
        let proof = proof_of(published.repair(Axis::Primary, row, &order));
        prop_assert_eq!(published.check(&proof), Ok(()));
        let needed = usize::from(published.writer.parameters.primary_source());
        let with_row = &order[..needed];
        let proof = proof_of(published.repair(Axis::Secondary, column, with_row));
        prop_assert_eq!(published.check(&proof), Ok(()));
        // Everything that the wrong symbol is no part of can be recovered.
        for (axis, other, sources) in [
            (Axis::Primary, order[2], &order[..]),
            (Axis::Secondary, order[2], with_row),
            (Axis::Secondary, column, &order[1..=needed]),
        ] {
            let sliver = published.sliver(axis, other);
            prop_assert_eq!(published.repair(axis, other, sources), Repair::Found(sliver));
        }
    }

    #[test]
    fn wrong_content_is_proved_by_any_slivers_that_decode(
        (shards, order) in any_network(),
        axis in any_axis(),
        bytes in 0usize..20_000,
        seed: u64,
    ) {
        let published = Writer::honest(shards, &sample(seed, bytes)).with_wrong_content().publish();
        let sliver = published.sliver(axis, order[0]);
        prop_assert_eq!(published.repair(axis, order[0], &order), Repair::Found(sliver));
        let needed = usize::from(published.writer.parameters.source(axis));
        for slivers in [&order[..], &order[..needed]] {
            let proof = proof_of(published.decode(axis, slivers));
            prop_assert_eq!(published.check(&proof), Ok(()));
        }
    }
}

#[test]
fn any_flipped_bit_of_a_proof_makes_it_worthless() {
    let blob = sample(5, 300);
    let row = Writer::honest(7, &blob).with_foreign_row(5).publish();
    let symbol = Writer::honest(7, &blob).with_wrong_symbol(1, 6).publish();
    let content = Writer::honest(7, &blob).with_wrong_content().publish();
    let proofs = [
        (&row, proof_of(row.repair(Axis::Primary, 5, &[0, 2, 4, 5, 6]))),
        (&symbol, proof_of(symbol.repair(Axis::Secondary, 6, &[0, 1, 5]))),
        (&content, proof_of(content.decode(Axis::Primary, &[1, 3, 6]))),
        (&content, proof_of(content.decode(Axis::Secondary, &[0, 2, 3, 5, 6]))),
        (&row, proof_of(row.repair_pair(PairIndex(5), &[0, 1, 2, 3, 4, 6]))),
    ];
    for (published, proof) in proofs {
        let frame = wire::encode(&proof);
        assert_eq!(wire::decode(&frame), Ok(proof.clone()));
        assert_eq!(published.check(&proof), Ok(()));
        for bit in 0..frame.len() * 8 {
            let mut frame = frame.clone();
            frame[bit / 8] ^= 1 << (bit % 8);
            let read = wire::decode::<InconsistencyProof>(&frame);
            assert!(!read.is_ok_and(|proof| published.check(&proof).is_ok()), "bit {bit}");
        }
    }
}

#[test]
fn a_proof_counts_for_its_own_segment_only() {
    let blob = sample(5, 300);
    let liar = Writer::honest(7, &blob).with_foreign_row(5).publish();
    let honest = Writer::honest(7, &blob).publish();
    let proof = proof_of(liar.repair(Axis::Primary, 5, &[0, 2, 4, 5, 6]));
    let Writer { parameters, position, .. } = liar.writer;
    let check =
        |position, published: &Published| proof.check(&parameters, position, &published.commitment);
    assert_eq!(check(position, &liar), Ok(()));
    assert!(matches!(check(position, &honest), Err(InconsistencyError::Pairs(_))));
    let evidence = Evidence { commitment: &honest.commitment, ..liar.evidence(&liar.known) };
    let other = evidence.prove_content(Axis::Primary, liar.slivers(Axis::Primary, &[0, 1, 2]));
    assert_eq!(other, Err(InconsistencyError::WrongSegment));
    let wrong_proof =
        SymbolError::WrongProof { axis: Axis::Secondary, source_sliver: 0, target: 5 };
    let moved =
        honest.prove_sliver(Axis::Primary, 5, honest.symbols(Axis::Primary, 4, &[0, 1, 2, 3, 4]));
    assert_eq!(moved, Err(wrong_proof.into()));
    let past_the_end = SegmentPosition { segment: 1, ..position };
    assert_eq!(check(past_the_end, &liar), Err(InconsistencyError::NoSuchSegment(1)));
    let longer = SegmentPosition { blob_bytes: 400, ..position };
    let verdict = check(longer, &liar);
    assert!(matches!(verdict, Err(InconsistencyError::Symbol(SymbolError::WrongLength { .. }))));
}

#[test]
fn a_sliver_proof_that_is_taken_apart_says_what_is_wrong() {
    let liar = Writer::honest(7, &sample(5, 300)).with_foreign_row(5).publish();
    let axis = Axis::Primary;
    let symbols = liar.symbols(axis, 5, &[0, 2, 4, 5, 6]);
    let check = |sliver: u16, symbols: &[RecoverySymbol]| {
        liar.check(&liar.sliver_claim(axis, sliver, symbols.to_vec()))
    };
    assert_eq!(check(5, &symbols), Ok(()));
    let few = InconsistencyError::WrongCount { needed: 5, found: 4 };
    assert_eq!(check(5, &symbols[1..]), Err(few));
    let many = InconsistencyError::WrongCount { needed: 5, found: 6 };
    assert_eq!(check(5, &liar.symbols(axis, 5, &[0, 1, 2, 3, 4, 5])), Err(many));
    let twice = liar.symbols(axis, 5, &[0, 2, 4, 5, 5]);
    let error = RecoverError::Duplicate { axis: Axis::Secondary, source_sliver: 5 };
    assert_eq!(check(5, &twice), Err(error.into()));
    let error = SymbolError::WrongProof { axis: Axis::Secondary, source_sliver: 0, target: 3 };
    assert_eq!(check(3, &symbols), Err(error.into()));
    let InconsistencyProof::Sliver { groups, .. } = liar.sliver_claim(axis, 5, symbols.clone())
    else {
        unreachable!("it is about a sliver");
    };
    let claim = |axis, sliver, groups: &[_]| {
        let (symbols, groups) = (symbols.clone(), groups.to_vec());
        liar.check(&InconsistencyProof::Sliver { axis, sliver, symbols, groups })
    };
    let error = SymbolError::NoSuchTarget { axis, target: 7 };
    assert_eq!(claim(axis, 7, &groups), Err(error.into()));
    assert!(claim(axis.other(), 5, &groups).is_err());
    let unknown = claim(axis, 5, &[]);
    assert!(matches!(unknown, Err(InconsistencyError::UnknownPair(_))));
    let twice = [groups.clone(), groups].concat();
    assert_eq!(claim(axis, 5, &twice), Err(InconsistencyError::WrongGroups));
    let few = liar.prove_sliver(axis, 5, liar.symbols(axis, 5, &[1, 2]));
    let error = RecoverError::TooFew { axis, found: 2, needed: 5 };
    assert_eq!(few, Err(error.into()));
}

#[test]
fn a_content_proof_that_is_taken_apart_says_what_is_wrong() {
    let liar = Writer::honest(7, &sample(5, 300)).with_wrong_content().publish();
    let axis = Axis::Primary;
    let check = |slivers: Vec<(u16, Bytes)>| liar.check(&liar.content_claim(axis, slivers));
    let good = liar.slivers(axis, &[1, 3, 6]);
    assert_eq!(check(good.clone()), Ok(()));
    let few = InconsistencyError::WrongCount { needed: 3, found: 2 };
    assert_eq!(check(good[1..].to_vec()), Err(few));
    let many = InconsistencyError::WrongCount { needed: 3, found: 4 };
    assert_eq!(check(liar.slivers(axis, &[0, 1, 2, 3])), Err(many));
    assert!(matches!(check(liar.slivers(axis, &[1, 1, 6])), Err(InconsistencyError::Decode(_))));
    let mut swapped = good.clone();
    (swapped[0].0, swapped[1].0) = (3, 1);
    let error = SliverError::WrongRoot { axis, index: 3 };
    assert_eq!(check(swapped), Err(error.into()));
    let mut outside = good.clone();
    outside[2].0 = 7;
    let error = SliverError::NoSuchSliver { axis, index: 7 };
    assert_eq!(check(outside), Err(error.into()));
    let mut short = good;
    short[2].1 = short[2].1.slice(2..);
    assert!(matches!(
        check(short),
        Err(InconsistencyError::Sliver(SliverError::WrongLength { .. }))
    ));
}

#[test]
fn a_liar_among_the_sources_is_named_and_blames_nobody_else() {
    let published = Writer::honest(10, &sample(5, 3000)).publish();
    let mut symbols = published.symbols(Axis::Primary, 9, &[0, 1, 2, 3, 4, 5, 6]);
    symbols[4].bytes[0] ^= 1;
    let (axis, source_sliver, target) = (Axis::Secondary, 4, 9);
    let error = SymbolError::WrongProof { axis, source_sliver, target };
    assert_eq!(published.prove_sliver(Axis::Primary, 9, symbols), Err(error.into()));
}

#[test]
fn a_proof_about_a_large_segment_of_few_shards_fits_its_frame() {
    let blob = sample(6, 1 << 25);
    let content = Writer::honest(4, &blob).with_wrong_content();
    let published = content.with_wrong_symbol(3, 1).publish();
    for proof in [
        proof_of(published.repair(Axis::Primary, 3, &[0, 1, 2])),
        proof_of(published.decode(Axis::Primary, &[1, 2])),
    ] {
        let frame = wire::encode(&proof);
        assert!(u32::try_from(frame.len()).unwrap() <= wire::PROOF_FRAME_BYTES_MAX);
        let read: InconsistencyProof = wire::decode(&frame).unwrap();
        assert_eq!(published.check(&read), Ok(()));
    }
    assert_eq!(length(&blob), 1 << 25);
}
