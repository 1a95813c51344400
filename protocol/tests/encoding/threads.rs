//! Any number of threads.

use bytes::Bytes;
use haulout_protocol::encoding::{
    Buffers, EncodedSegment, Pipeline, SegmentPosition, encode_segment_into, identify_segment,
};
use haulout_protocol::sliver::Axis;

use crate::{parameters, sample};

fn all_slivers(encoded: &EncodedSegment, shards: u16) -> Vec<Bytes> {
    let of = |axis| (0..shards).map(move |i| encoded.sliver(axis, i));
    of(Axis::Primary).chain(of(Axis::Secondary)).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    for (shards, bytes) in [(4, 3 << 20), (10, 1 << 20), (67, 2_000_001), (1000, 1 << 20)] {
        let parameters = parameters(shards);
        let blob = sample(bytes as u64, bytes);
        let position = SegmentPosition { segment: 0, blob_bytes: bytes as u64 };
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let buffers = Buffers::new(0);
                let encoded = encode_segment_into(&buffers, &parameters, position, blob.clone());
                let identified = identify_segment(&parameters, position, &blob);
                let header = Pipeline::new(&parameters, 9).identify(&blob[..], |_| ()).unwrap();
                assert_eq!(identified, encoded.commitment());
                assert_eq!(header.segments, [identified]);
                (encoded.commitment(), all_slivers(&encoded, shards))
            })
        };
        let one = with(1);
        for threads in [2, 3, 7] {
            assert!(with(threads) == one, "{threads} threads, n={shards}");
        }
    }
}
