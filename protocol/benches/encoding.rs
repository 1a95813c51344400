//! Encoding, identifying, decoding and verifying, beside the primitives they are made of.
//!
//! Times are of the processor, not of the wall, so that they mean something on a busy machine; they are of one thread, so
//! run without the feature `parallel`. `limit` is what `reed-solomon-simd` and `blake3` need for the same symbols and
//! nodes when called in the way they are fastest.
//!
//! `cargo bench -p haulout-protocol -- encode/1000` runs a part.

#![allow(clippy::disallowed_methods, reason = "a bench reads clocks, the crate must not")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use haulout_protocol::encoding::{
    Buffers, Parameters, SEGMENT_BYTES, SegmentPosition, SliverVerifier, decode_segment_into,
    encode_segment, encode_segment_into, identify_segment,
};
use haulout_protocol::sliver::Axis;
use reed_solomon_simd::ReedSolomonEncoder;

const SHARDS: [u16; 3] = [10, 100, 1000];
const LENGTHS: [(&str, u32); 3] = [("1KiB", 1 << 10), ("1MiB", 1 << 20), ("32MiB", 1 << 25)];
/// What a writer or reader of whole segments keeps for the next.
const KEPT_BYTES: usize = 160 << 20;

/// Processor time of this thread; wall time where the system does not tell.
fn thread_time(start: Instant) -> Duration {
    let nanoseconds = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

fn processor_time<R>(iterations: u64, mut work: impl FnMut() -> R) -> Duration {
    let start = Instant::now();
    let before = thread_time(start);
    for _iteration in 0..iterations {
        black_box(work());
    }
    (thread_time(start) - before).max(Duration::from_nanos(1))
}

fn sample(length: u32) -> Bytes {
    let mut bytes = vec![0; usize::try_from(length).expect("a segment")];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes.into()
}

fn each_case(
    criterion: &mut Criterion,
    name: &str,
    mut bench: impl FnMut(&Parameters, SegmentPosition, Bytes) -> Box<dyn FnMut()>,
) {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    for shards in SHARDS {
        let parameters = Parameters::new(shards, SEGMENT_BYTES).expect("valid parameters");
        for (label, length) in LENGTHS {
            let id = BenchmarkId::new(shards.to_string(), label);
            group.throughput(Throughput::Bytes(u64::from(length)));
            // Made once and only if asked for: the closure below is called for every sample.
            let mut work = None;
            group.bench_function(id, |bencher| {
                let work = work.get_or_insert_with(|| {
                    let position = SegmentPosition { segment: 0, blob_bytes: u64::from(length) };
                    let mut work = bench(&parameters, position, sample(length));
                    work();
                    work
                });
                bencher.iter_custom(|iterations| processor_time(iterations, &mut *work));
            });
        }
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    each_case(criterion, "encode", |parameters, position, segment| {
        let parameters = *parameters;
        let buffers = Buffers::new(KEPT_BYTES);
        Box::new(move || {
            black_box(encode_segment_into(&buffers, &parameters, position, segment.clone()));
        })
    });
}

fn identify(criterion: &mut Criterion) {
    each_case(criterion, "identify", |parameters, position, segment| {
        let parameters = *parameters;
        Box::new(move || {
            black_box(identify_segment(&parameters, position, &segment));
        })
    });
}

fn decode(criterion: &mut Criterion) {
    let cases = [("decode-repair", 0), ("decode-mixed", 1), ("decode-systematic", 2)];
    for (name, systematic_halves) in cases {
        each_case(criterion, name, |parameters, position, segment| {
            let (parameters, length) = (*parameters, position.length(parameters));
            let encoded = encode_segment(&parameters, position, segment);
            let needed = parameters.primary_source();
            let systematic = 0..needed * systematic_halves / 2;
            let repair = needed..2 * needed - systematic.end;
            let sliver = |index| (index, encoded.sliver(Axis::Primary, index));
            let slivers: Vec<_> = systematic.chain(repair).map(sliver).collect();
            let buffers = Buffers::new(KEPT_BYTES);
            Box::new(move || {
                let axis = Axis::Primary;
                let decoded = decode_segment_into(&buffers, &parameters, length, axis, &slivers);
                black_box(decoded).expect("the slivers are enough");
            })
        });
    }
}

fn verify(criterion: &mut Criterion) {
    for (name, axis) in [("verify-primary", Axis::Primary), ("verify-secondary", Axis::Secondary)] {
        each_case(criterion, name, |parameters, position, segment| {
            let encoded = encode_segment(parameters, position, segment);
            let sliver = encoded.sliver(axis, 3);
            let root = *encoded.index().sliver_root(axis, 3);
            let mut verifier = SliverVerifier::new(parameters, position.length(parameters));
            Box::new(move || verifier.verify(axis, 3, &sliver, &root).expect("an honest sliver"))
        });
    }
}

/// What the primitives need for all symbols and tree nodes of a segment.
fn limit(criterion: &mut Criterion) {
    each_case(criterion, "limit-reed-solomon", |parameters, position, _| {
        const WIDTH: usize = 1024;
        let symbol = position_symbol(parameters, position);
        let shards = usize::from(parameters.shards());
        let (rows, columns) =
            (usize::from(parameters.primary_source()), usize::from(parameters.secondary_source()));
        let new = |source| ReedSolomonEncoder::new(source, shards - source, WIDTH);
        let mut row_encoder = new(columns).expect("a supported split");
        let mut column_encoder = new(rows).expect("a supported split");
        let shard = sample(1 << 10);
        Box::new(move || {
            for (encoder, source, codewords) in
                [(&mut row_encoder, columns, rows), (&mut column_encoder, rows, shards)]
            {
                for _call in 0..(codewords * symbol).div_ceil(WIDTH) {
                    (0..source).for_each(|_| encoder.add_original_shard(&shard).expect("fits"));
                    black_box(encoder.encode().expect("complete").recovery(0));
                }
            }
        })
    });
    each_case(criterion, "limit-blake3", |parameters, position, _| {
        let leaf = position_symbol(parameters, position).next_multiple_of(64);
        let symbols = usize::from(parameters.shards()).pow(2);
        let bytes = symbols * (leaf + 2 * 64);
        let buffer = sample(1 << 20);
        Box::new(move || {
            for start in (0..bytes).step_by(buffer.len()) {
                black_box(blake3::hash(&buffer[..buffer.len().min(bytes - start)]));
            }
        })
    });
}

fn position_symbol(parameters: &Parameters, position: SegmentPosition) -> usize {
    let symbol = parameters.symbol_bytes(position.length(parameters));
    usize::try_from(symbol).expect("a symbol fits memory")
}

criterion_group!(benches, encode, identify, decode, verify, limit);
criterion_main!(benches);
