//! Slivers from peers: checking and decoding any bytes of any lengths gives an answer.
#![no_main]

use bytes::Bytes;
use haulout_protocol::encoding::{self, Parameters, SegmentPosition};
use haulout_protocol::sliver::Axis;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u16, bool, Vec<(u16, Vec<u8>)>)| {
    let (shards, length, secondary, slivers) = input;
    let parameters = Parameters::new(4 + u16::from(shards % 28), 1024).expect("valid parameters");
    let length = u32::from(length % 1025);
    let axis = if secondary { Axis::Secondary } else { Axis::Primary };
    let slivers: Vec<_> =
        slivers.into_iter().map(|(index, bytes)| (index, Bytes::from(bytes))).collect();
    for (index, bytes) in &slivers {
        let _ = encoding::verify_sliver(&parameters, length, axis, *index, bytes, &[0; 32]);
    }
    if let Ok(bytes) = encoding::decode_segment(&parameters, length, axis, &slivers) {
        assert_eq!(bytes.len(), length as usize);
        let position = SegmentPosition { segment: 0, blob_bytes: u64::from(length) };
        let _ = encoding::content_digest(&parameters, position, &bytes);
    }
});
