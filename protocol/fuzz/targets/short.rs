//! Symbols, proofs and inconsistency proofs of short blobs from peers: any bytes give an answer, and a value's own bytes give
//! the value again. An honest blob has no proof against its writer, whatever a peer sends.
#![no_main]

use bytes::Bytes;
use haulout_protocol::encoding::{
    self, EncodedShort, Parameters, ProvedSymbols, ShortDecoded, ShortInconsistency,
};
use haulout_protocol::merkle::MultiProof;
use haulout_protocol::wire;
use libfuzzer_sys::fuzz_target;

struct Blob {
    parameters: Parameters,
    bytes: Bytes,
    encoded: EncodedShort,
}

impl Blob {
    fn honest(shards: u8, length: u16) -> Blob {
        let parameters =
            Parameters::new(4 + u16::from(shards % 28), 4096).expect("valid parameters");
        let parameters = parameters.with_short_blobs(4096).expect("not more than a segment");
        let bytes: Bytes =
            (0..length % 4097).map(|i| i.wrapping_mul(31).to_le_bytes()[0]).collect();
        let encoded = encoding::encode_short(&parameters, &bytes);
        Blob { parameters, bytes, encoded }
    }

    fn refuse(&self, claim: &ShortInconsistency) {
        let verdict = claim.check(&self.parameters, self.encoded.header());
        assert!(verdict.is_err(), "an honest blob has no proof against its writer");
    }

    /// Symbols that a peer sends, with the proof of others, or with their own but for what the fuzzer changes.
    fn hear(&self, symbols: &[(u16, Vec<u8>)], changes: &[(u16, u8)], bytes: &[u8]) {
        let header = self.encoded.header();
        let owned = |(index, bytes): &(u16, Vec<u8>)| (*index, Bytes::from(bytes.clone()));
        let sent: Vec<_> = symbols.iter().map(owned).collect();
        if let Ok(blob) = encoding::decode_short(&self.parameters, header, &sent) {
            assert_eq!(blob, self.bytes);
        }
        let mut proved =
            ProvedSymbols::new(&self.parameters, header).expect("the header is of a short blob");
        if let Ok(proof) = wire::decode::<MultiProof>(bytes) {
            assert_eq!(wire::encode(&proof), bytes, "one form");
            let _ = proved.add(&sent, &proof);
        }
        for (index, change) in changes.iter().take(64) {
            let index = index % self.parameters.shards();
            let mut bytes = self.encoded.symbol(index).to_vec();
            bytes[0] ^= change;
            let proof = self.encoded.prove(&[index]).expect("there is such a symbol");
            let added = proved.add(&[(index, bytes.into())], &proof);
            assert_eq!(added.is_ok(), *change == 0, "a symbol that was changed is not proved");
        }
        if let Ok(decoded) = proved.decode() {
            assert_eq!(decoded, ShortDecoded::Blob(self.bytes.clone()));
        }
    }
}

type Input = (u8, u16, Vec<u8>, Vec<(u16, u8)>, Vec<(u16, Vec<u8>)>);

fuzz_target!(|input: Input| {
    let (shards, length, bytes, changes, symbols) = input;
    let blob = Blob::honest(shards, length);
    blob.hear(&symbols, &changes, &bytes);
    if let Ok(claim) = wire::decode::<ShortInconsistency>(&bytes) {
        assert_eq!(wire::encode(&claim), bytes, "one form");
        blob.refuse(&claim);
    }
    let proof = wire::decode::<MultiProof>(&bytes).unwrap_or_default();
    blob.refuse(&ShortInconsistency::Symbols { symbols, proof });
    blob.refuse(&ShortInconsistency::Content { blob: bytes });
});
