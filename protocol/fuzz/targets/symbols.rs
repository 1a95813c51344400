//! Recovery symbols and inconsistency proofs from peers: any bytes give an answer, and a value's own bytes give the value
//! again. An honest segment has no proof, whatever a peer sends.
#![no_main]

use bytes::Bytes;
use haulout_protocol::encoding::{
    self, EncodedSegment, ExpandedSliver, Parameters, RecoverySymbol, SegmentPosition,
};
use haulout_protocol::inconsistency::{Evidence, InconsistencyProof, Repair};
use haulout_protocol::pairs::KnownPairs;
use haulout_protocol::sliver::{Axis, PairIndex};
use haulout_protocol::wire;
use libfuzzer_sys::fuzz_target;

struct Segment {
    parameters: Parameters,
    position: SegmentPosition,
    encoded: EncodedSegment,
}

impl Segment {
    fn honest(shards: u8, length: u16) -> Segment {
        let parameters =
            Parameters::new(4 + u16::from(shards % 28), 1024).expect("valid parameters");
        let length = length % 1025;
        let position = SegmentPosition { segment: 0, blob_bytes: u64::from(length) };
        let bytes: Bytes = (0..length).map(|i| (i * 31 + i / 256).to_le_bytes()[0]).collect();
        let encoded = encoding::encode_segment(&parameters, position, bytes);
        Segment { parameters, position, encoded }
    }

    fn length(&self) -> u32 {
        self.position.length(&self.parameters)
    }

    fn read_symbol(&self, axis: Axis, target: u16, bytes: &[u8]) {
        let Ok(symbol) = wire::decode::<RecoverySymbol>(bytes) else { return };
        assert_eq!(wire::encode(&symbol), bytes, "one form");
        let source = symbol.source.min(self.parameters.shards() - 1);
        let root = self.encoded.pairs().sliver_root(axis.other(), source);
        let verdict = symbol.verify(&self.parameters, self.length(), axis, target, root);
        if verdict.is_ok() {
            let sliver = self.encoded.sliver(axis.other(), symbol.source);
            let expanded =
                ExpandedSliver::new(&self.parameters, self.length(), axis.other(), sliver)
                    .expect("the encoder's slivers have the right length");
            assert_eq!(expanded.recovery_symbol(symbol.source, target), symbol);
        }
    }

    fn read_proof(&self, bytes: &[u8]) {
        let Ok(proof) = wire::decode::<InconsistencyProof>(bytes) else { return };
        assert_eq!(wire::encode(&proof), bytes, "one form");
        self.refuse(&proof);
    }

    fn refuse(&self, proof: &InconsistencyProof) {
        let commitment = self.encoded.commitment();
        let verdict = proof.check(&self.parameters, self.position, &commitment);
        assert!(verdict.is_err(), "an honest segment has no proof");
    }

    /// Symbols that verify, but for what the fuzzer changes, from any sources for any target.
    fn prove(&self, axis: Axis, target: u16, changes: &[(u16, u8)]) {
        let (length, shards) = (self.length(), self.parameters.shards());
        let serve = |(source, change): &(u16, u8)| {
            let (source, target) = (source % shards, target % shards);
            let sliver = self.encoded.sliver(axis.other(), source);
            let expanded = ExpandedSliver::new(&self.parameters, length, axis.other(), sliver)
                .expect("the encoder's slivers have the right length");
            let mut symbol = expanded.recovery_symbol(source, target);
            symbol.bytes[0] ^= change;
            symbol
        };
        let symbols: Vec<_> = changes.iter().take(64).map(serve).collect();
        let (parameters, commitment) = (&self.parameters, &self.encoded.commitment());
        let pairs = &self.known();
        let evidence = Evidence { parameters, position: self.position, commitment, pairs };
        if let Ok(repair) = evidence.prove_sliver(axis, target % shards, symbols.clone()) {
            let sliver = self.encoded.sliver(axis, target % shards);
            assert_eq!(repair, Repair::Found(sliver));
        }
        let groups = pairs.groups_of((0..shards).map(PairIndex), None).expect("all are known");
        self.refuse(&InconsistencyProof::Sliver { axis, sliver: target, symbols, groups });
    }

    /// What the proofs of all pairs tell.
    fn known(&self) -> KnownPairs {
        let tree = self.encoded.pairs();
        let mut known = KnownPairs::new(&self.parameters, tree.root());
        for pair in (0..self.parameters.shards()).map(PairIndex) {
            known.learn(pair, &tree.prove(pair)).expect("the encoder's own proof");
        }
        known
    }
}

type Input = (u8, u16, bool, u16, Vec<u8>, Vec<(u16, u8)>, Vec<(u16, Vec<u8>)>);

fuzz_target!(|input: Input| {
    let (shards, length, secondary, target, bytes, changes, parts) = input;
    let segment = Segment::honest(shards, length);
    let axis = if secondary { Axis::Secondary } else { Axis::Primary };
    segment.read_symbol(axis, target, &bytes);
    segment.read_proof(&bytes);
    segment.prove(axis, target, &changes);
    let length = segment.length();
    if let Ok(sliver) = encoding::recover_sliver(&segment.parameters, length, axis, &parts) {
        assert_eq!(sliver.len(), segment.parameters.sliver_bytes(axis, length));
    }
    let targets: Vec<u16> = changes.iter().map(|(target, _)| *target).collect();
    let _ = encoding::recovery_symbols(&segment.parameters, length, axis, &bytes.into(), &targets);
    let pairs = (0..segment.parameters.shards()).map(PairIndex);
    let groups = segment.known().groups_of(pairs, None).expect("all are known");
    segment.refuse(&InconsistencyProof::Content { axis, slivers: parts, groups });
});
