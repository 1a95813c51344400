//! Headers, pair proofs, certificates and announcements from peers.
#![no_main]

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::certificate::Certificate;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{self, NetworkId};
use haulout_protocol::pairs::{GroupProof, KnownPairs, PairProof};
use haulout_protocol::sliver::PairIndex;
use haulout_protocol::wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let parameters = Parameters::new(7, 1024).expect("valid parameters");
    let with_short = parameters.with_short_blobs(1000).expect("less than a segment");
    for parameters in [&parameters, &with_short] {
        if let Ok(header) = BlobHeader::from_bytes(bytes, parameters) {
            assert_eq!(header.to_bytes(), bytes, "one canonical form");
            assert_eq!(header.encoding, parameters.encoding_of(header.length));
            let _ = header.verify(&BlobId::from_bytes([0; 32]));
            let _ = header.content_hash(parameters);
        }
    }
    let mut known = KnownPairs::new(&parameters, [0; 32]);
    for pair in (0..8).map(PairIndex) {
        if let Ok(proof) = PairProof::from_bytes(bytes, pair, &parameters) {
            assert_eq!(proof.to_bytes(), bytes, "one canonical form");
            assert!(known.learn(pair, &proof).is_err(), "nobody knows such a hash");
        }
    }
    if let Ok(group) = wire::decode::<GroupProof>(bytes) {
        assert!(known.learn_group(&group).is_err(), "nobody knows such a hash");
    }
    if let Ok(certificate) = Certificate::from_bytes(bytes) {
        assert_eq!(certificate.to_bytes(), bytes, "one canonical form");
        assert!(certificate.signer_indexes().count() <= 8 * bytes.len());
    }
    let (network, epoch) = (NetworkId::from_bytes([1; 32]), Epoch(1));
    let _ = message::read_blob_certificate_message(bytes, &network, epoch);
    let _ = message::read_invalid_blob_message(bytes, &network, epoch);
    let _ = message::read_protocol_version_message(bytes, &network, epoch);
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(id) = text.parse::<BlobId>() {
            assert_eq!(id.to_string(), text, "one text per id");
        }
        let _ = text.parse::<haulout_protocol::crypto::PeerId>();
    }
});
