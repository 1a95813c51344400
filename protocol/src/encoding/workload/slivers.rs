//! Operations on single slivers and symbols.

use std::hint::black_box;

use bytes::Bytes;

use super::limits::{all, raw_decode, raw_encode, raw_hash};
use super::segments::Blob;
use super::{Work, Workload};
use crate::blob::SegmentCommitment;
use crate::encoding::matrix::Shape;
use crate::encoding::{
    EncodedSegment, ExpandedSliver, Parameters, RecoverySymbol, SegmentPosition, SliverVerifier,
    encode_segment, recover_sliver, recovery_symbols,
};
use crate::inconsistency::{Evidence, InconsistencyProof, Repair};
use crate::pairs::{KnownPairs, PairProof, PairTree};
use crate::sliver::{Axis, PairIndex};

/// A segment whose commitment holds a wrong root for one primary sliver, and that sliver's proved symbols.
struct Inconsistent {
    position: SegmentPosition,
    commitment: SegmentCommitment,
    pairs: KnownPairs,
    sliver: u16,
    symbols: Vec<RecoverySymbol>,
}

impl Inconsistent {
    fn new(parameters: &Parameters, position: SegmentPosition, encoded: &EncodedSegment) -> Self {
        let sliver = parameters.shards() - 1;
        let mut roots: Vec<_> =
            all_pairs(parameters).map(|pair| encoded.pairs().roots(pair)).collect();
        roots[usize::from(sliver)].primary[0] ^= 1;
        let tree = PairTree::new(roots);
        let commitment = SegmentCommitment { slivers_root: tree.root(), ..encoded.commitment() };
        let mut pairs = KnownPairs::new(parameters, tree.root());
        for pair in all_pairs(parameters) {
            pairs.learn(pair, &tree.prove(pair)).expect("a proof of this tree");
        }
        let symbol = |source| {
            let expanded = expand(parameters, position, encoded, Axis::Secondary, source);
            expanded.recovery_symbol(source, sliver)
        };
        let symbols = sources(parameters, Axis::Primary).map(symbol).collect();
        Inconsistent { position, commitment, pairs, sliver, symbols }
    }

    fn prove(&self, parameters: &Parameters) -> InconsistencyProof {
        let Inconsistent { position, commitment, pairs, .. } = self;
        let evidence = Evidence { parameters, position: *position, commitment, pairs };
        match evidence.prove_sliver(Axis::Primary, self.sliver, self.symbols.clone()) {
            Ok(Repair::Inconsistent(proof)) => proof,
            _ => unreachable!("the root is wrong"),
        }
    }
}

fn all_pairs(parameters: &Parameters) -> impl Iterator<Item = PairIndex> + use<> {
    (0..parameters.shards()).map(PairIndex)
}

/// The slivers of the other axis from which a sliver is recovered at worst: the last ones.
fn sources(parameters: &Parameters, axis: Axis) -> impl Iterator<Item = u16> + Clone + use<> {
    let shards = parameters.shards();
    shards - parameters.sliver_symbols(axis)..shards
}

fn expand(
    parameters: &Parameters,
    position: SegmentPosition,
    encoded: &EncodedSegment,
    axis: Axis,
    sliver: u16,
) -> ExpandedSliver {
    let length = position.length(parameters);
    ExpandedSliver::new(parameters, length, axis, encoded.sliver(axis, sliver))
        .expect("an honest sliver")
}

impl Blob {
    /// Encodes each segment and keeps what `prepare` makes of it.
    fn prepared<T>(
        self,
        prepare: impl Fn(&Parameters, SegmentPosition, &EncodedSegment) -> T,
    ) -> Vec<T> {
        let parameters = self.parameters;
        let prepare = |(position, bytes)| {
            let encoded = encode_segment(&parameters, position, bytes);
            prepare(&parameters, position, &encoded)
        };
        self.segments.into_iter().map(prepare).collect()
    }

    pub(super) fn verify(self, axis: Axis) -> Workload {
        let sliver = self.parameters.shards() - 1;
        let limit = self.verify_limit(axis);
        let mut prepared = self.prepared(|parameters, position, encoded| {
            let root = *encoded.pairs().sliver_root(axis, sliver);
            let verifier = SliverVerifier::new(parameters, position.length(parameters));
            (verifier, Bytes::copy_from_slice(&encoded.sliver(axis, sliver)), root)
        });
        let work = move || {
            for (verifier, bytes, root) in &mut prepared {
                verifier.verify(axis, sliver, bytes, root).expect("an honest sliver");
            }
        };
        Workload { work: Box::new(work), limit }
    }

    pub(super) fn serve_symbol(self) -> Workload {
        let (axis, parameters) = (Axis::Primary, self.parameters);
        let target = parameters.shards() - 1;
        let encode = |shape: Shape| raw_encode(shape.columns, shape.shards, shape.symbol);
        let limit = all(self.shapes().map(encode).collect());
        let prepared = self.prepared(|parameters, position, encoded| {
            (position.length(parameters), encoded.sliver(axis, 0))
        });
        let work = move || {
            for (length, bytes) in &prepared {
                let symbols = recovery_symbols(&parameters, *length, axis, bytes, &[target]);
                black_box(symbols.expect("an honest sliver"));
            }
        };
        Workload { work: Box::new(work), limit }
    }

    pub(super) fn serve_proved_symbol(self) -> Workload {
        let axis = Axis::Primary;
        let shards = self.parameters.shards();
        let limit = self.verify_limit(axis);
        let prepared = self.prepared(|parameters, position, encoded| {
            expand(parameters, position, encoded, axis, 0)
        });
        let mut target = 0;
        let work = move || {
            for expanded in &prepared {
                black_box((expanded.symbol(target), expanded.proof(target)));
            }
            target = (target + 1) % shards;
        };
        Workload { work: Box::new(work), limit }
    }

    pub(super) fn recover(self, axis: Axis) -> Workload {
        let parameters = self.parameters;
        let sliver = parameters.shards() - 1;
        let limit = self.recover_limit(axis);
        let mut prepared = self.prepared(|parameters, position, encoded| {
            let symbol = |source| {
                let expanded = expand(parameters, position, encoded, axis.other(), source);
                (source, expanded.symbol(sliver))
            };
            let symbols: Vec<_> = sources(parameters, axis).map(symbol).collect();
            let length = position.length(parameters);
            let root = *encoded.pairs().sliver_root(axis, sliver);
            (length, symbols, root, SliverVerifier::new(parameters, length))
        });
        let work = move || {
            for (length, symbols, root, verifier) in &mut prepared {
                let recovered = recover_sliver(&parameters, *length, axis, symbols);
                let recovered = recovered.expect("the symbols are enough");
                verifier.verify(axis, sliver, &recovered, root).expect("honest symbols");
            }
        };
        Workload { work: Box::new(work), limit }
    }

    pub(super) fn prove_pairs(self) -> Workload {
        let parameters = self.parameters;
        let shards = usize::from(parameters.shards());
        let limit = all(self.shapes().map(|_| raw_hash(2 * 64 * shards)).collect());
        let prepared = self.prepared(|parameters, _, encoded| {
            let roots = all_pairs(parameters).map(|pair| encoded.pairs().roots(pair));
            roots.collect::<Vec<_>>()
        });
        let work = move || {
            for roots in &prepared {
                let tree = PairTree::new(roots.clone());
                for pair in all_pairs(&parameters) {
                    black_box(tree.prove(pair).to_bytes());
                }
            }
        };
        Workload { work: Box::new(work), limit }
    }

    pub(super) fn verify_pair(self) -> Workload {
        let parameters = self.parameters;
        let proof_bytes = usize::try_from(parameters.pair_proof_bytes()).expect("below a kilobyte");
        let limit = all(self.shapes().map(|_| raw_hash(2 * proof_bytes)).collect());
        let pair = PairIndex(parameters.shards() / 2);
        let prepared = self.prepared(|_, _, encoded| {
            let root = encoded.commitment().slivers_root;
            (encoded.pairs().prove(pair).to_bytes(), root)
        });
        let work = move || {
            for (proof, root) in &prepared {
                let read = PairProof::read_verified(proof, pair, &parameters, root);
                black_box(read.expect("an honest proof"));
            }
        };
        Workload { work: Box::new(work), limit }
    }

    pub(super) fn prove_inconsistency(self) -> Workload {
        let (parameters, limit) = (self.parameters, self.prove_limit());
        let prepared = self.prepared(Inconsistent::new);
        let work = move || {
            for inconsistent in &prepared {
                black_box(inconsistent.prove(&parameters));
            }
        };
        Workload { work: Box::new(work), limit }
    }

    pub(super) fn check_inconsistency(self) -> Workload {
        let (parameters, limit) = (self.parameters, self.prove_limit());
        let prepared = self.prepared(|parameters, position, encoded| {
            let inconsistent = Inconsistent::new(parameters, position, encoded);
            let proof = inconsistent.prove(parameters);
            (position, inconsistent.commitment, proof)
        });
        let work = move || {
            for (position, commitment, proof) in &prepared {
                proof.check(&parameters, *position, commitment).expect("a valid proof");
            }
        };
        Workload { work: Box::new(work), limit }
    }

    fn verify_limit(&self, axis: Axis) -> Work {
        all(self.shapes().flat_map(|shape| expand_limit(&shape, axis)).collect())
    }

    fn recover_limit(&self, axis: Axis) -> Work {
        let of_segment = |shape: Shape| {
            let [encode, hash] = expand_limit(&shape, axis);
            [raw_decode(shape.source(axis.other()), shape.shards, shape.symbol), encode, hash]
        };
        all(self.shapes().flat_map(of_segment).collect())
    }

    fn prove_limit(&self) -> Work {
        let proofs = |Shape { shards, columns, symbol, .. }| {
            let levels = usize::BITS - usize::leading_zeros(shards - 1);
            raw_hash(columns * (usize::next_multiple_of(symbol, 64) + 64 * levels as usize))
        };
        let mut parts: Vec<_> = self.shapes().map(proofs).collect();
        parts.push(self.recover_limit(Axis::Primary));
        all(parts)
    }
}

/// One call that extends a sliver, and its symbols hashed once.
fn expand_limit(shape: &Shape, axis: Axis) -> [Work; 2] {
    let hashed = shape.shards * shape.symbol.next_multiple_of(64);
    [raw_encode(shape.source(axis.other()), shape.shards, shape.symbol), raw_hash(hashed)]
}
