//! Blobs of any length as streams.

use std::io::{self, Read};

use bytes::Bytes;
use haulout_protocol::blob::BlobHeader;
use haulout_protocol::encoding::{Parameters, Pipeline, SegmentPosition, encode_segment};
use haulout_protocol::sliver::Axis;
use proptest::prelude::*;

use crate::sample;

/// Gives a few bytes at a time, and now and then is interrupted.
struct Trickle<'a> {
    bytes: &'a [u8],
    turn: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = buffer.len().min(self.turn % 7 * 100 + 1);
        self.bytes.read(&mut buffer[..count])
    }
}

fn header(parameters: &Parameters, blob: &Bytes) -> BlobHeader {
    let segments = crate::properties::segments(parameters, blob);
    let commitment = |(position, bytes): &(SegmentPosition, Bytes)| {
        encode_segment(parameters, *position, bytes.clone()).commitment()
    };
    BlobHeader::new(parameters, blob.len() as u64, segments.iter().map(commitment).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_stream_gives_the_header_and_the_segments_in_order(
        shards in 4u16..30,
        bytes in prop_oneof![0usize..30_000, (0usize..6).prop_map(|segments| segments * 4096)],
        in_flight in 0usize..20,
        seed: u64,
    ) {
        let parameters = Parameters::new(shards, 4096).unwrap();
        let blob = sample(seed, bytes);
        let expected = header(&parameters, &blob);
        let pipeline = Pipeline::new(&parameters, in_flight);
        let mut seen = Vec::new();
        let encoded = pipeline.encode(Trickle { bytes: &blob, turn: 0 }, |segment, encoded| {
            let rows = (0..parameters.primary_source()).map(|i| encoded.sliver(Axis::Primary, i));
            let rows: Vec<u8> = rows.flatten().collect();
            seen.push((segment, rows));
            io::Result::Ok(())
        });
        prop_assert_eq!(&encoded.unwrap(), &expected);
        let mut rest = &blob[..];
        for (place, (segment, rows)) in seen.iter().enumerate() {
            prop_assert_eq!(place, usize::try_from(*segment).unwrap());
            let (bytes, after) = rest.split_at(rest.len().min(4096));
            prop_assert_eq!(&rows[..bytes.len()], bytes);
            rest = after;
        }
        prop_assert!(rest.is_empty());
        let mut numbers = Vec::new();
        let identified = pipeline.identify(&blob[..], |segment| numbers.push(segment));
        prop_assert_eq!(identified.unwrap(), expected);
        prop_assert_eq!(numbers.len(), seen.len());
    }
}

#[test]
fn a_failing_reader_and_a_failing_sink_end_the_stream_with_their_errors() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let pipeline = Pipeline::new(&Parameters::new(4, 1024).unwrap(), 4);
    let blob = sample(1, 10_000);
    let reader = blob.chain(Broken);
    let result = pipeline.encode(reader, |_, _| io::Result::Ok(()));
    assert_eq!(result.unwrap_err().to_string(), "the disk is gone");
    let mut handed = 0;
    let result = pipeline.encode(io::repeat(7), |segment, _| {
        handed += 1;
        if segment == 3 { Err(io::Error::other("the peer is gone")) } else { Ok(()) }
    });
    assert_eq!(result.unwrap_err().to_string(), "the peer is gone");
    assert_eq!(handed, 4, "nothing is handed over after a failure");
}
