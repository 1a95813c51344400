//! Evidence of a writer's fault from peers: any bytes give a verdict, a value's own bytes give the value again, and an honest
//! blob, short or not, stays valid whatever a peer sends.
#![no_main]

use haulout_protocol::blob::BlobHeader;
use haulout_protocol::encoding::{self, Parameters};
use haulout_protocol::wire;
use haulout_protocol::writer_fault::WriterFault;
use libfuzzer_sys::fuzz_target;

fn honest(parameters: &Parameters, length: u16) -> BlobHeader {
    let bytes: Vec<u8> = (0..length % 4097).map(|i| i.wrapping_mul(31).to_le_bytes()[0]).collect();
    encoding::header_of(parameters, &bytes)
}

fuzz_target!(|input: (u8, u16, Option<Vec<u8>>, Vec<u8>)| {
    let (shards, length, header, evidence) = input;
    let parameters = Parameters::new(4 + u16::from(shards % 28), 1024).expect("valid parameters");
    let parameters = parameters.with_short_blobs(1000).expect("not more than a segment");
    let blob = honest(&parameters, length);
    if let Ok(fault) = wire::decode::<WriterFault>(&evidence) {
        assert_eq!(wire::encode(&fault), evidence, "one form");
        assert!(fault.check(&parameters, &blob).is_err(), "an honest blob has no fault");
    }
    let header = header.unwrap_or_else(|| blob.to_bytes());
    let verdict = WriterFault::examine(&parameters, &blob.blob_id(), &header, evidence);
    assert!(verdict.is_err(), "an honest blob has no fault");
});
