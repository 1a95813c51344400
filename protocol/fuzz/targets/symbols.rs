//! Recovery symbols and inconsistency proofs from peers: any bytes give an answer, and a value's own bytes give the value
//! again. An honest segment has no proof, whatever a peer sends.
#![no_main]

use bytes::Bytes;
use haulout_protocol::encoding::{
    self, EncodedSegment, ExpandedSliver, Parameters, RecoverySymbol, SegmentPosition,
};
use haulout_protocol::inconsistency::{self, InconsistencyProof};
use haulout_protocol::sliver::Axis;
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
        let index = self.encoded.index();
        let verdict = symbol.verify(&self.parameters, self.length(), axis, target, index);
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
        let (commitment, index) = (self.encoded.commitment(), self.encoded.index());
        let verdict = proof.check(&self.parameters, self.position, &commitment, index);
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
        let (commitment, index) = (self.encoded.commitment(), self.encoded.index());
        let repair = inconsistency::prove_sliver(
            &self.parameters,
            self.position,
            &commitment,
            index,
            axis,
            target,
            symbols.clone(),
        );
        if let Ok(repair) = repair {
            let sliver = self.encoded.sliver(axis, target);
            assert_eq!(repair, inconsistency::Repair::Sliver(sliver));
        }
        self.refuse(&InconsistencyProof::Sliver { axis, sliver: target, symbols });
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
    segment.refuse(&InconsistencyProof::Content { axis, slivers: parts });
});
