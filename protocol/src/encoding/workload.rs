//! What the code is measured by: each operation, prepared once and run again and again, and beside it the limit, which is
//! the raw arithmetic that the operation cannot do without.
//!
//! The limit is `reed-solomon-simd`, as it comes, over the same shards, and BLAKE3 over the same bytes, each called in the
//! way it is fastest; what moves, packs or allocates is not in it. Promises: an operation does all of its work every time.
//! Does not: know a clock; the caller times [`Workload::run`] against [`Workload::run_limit`].

use std::fmt;
use std::hint::black_box;

use bytes::Bytes;
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

use super::matrix::Shape;
use super::parameters::{Parameters, index};
use super::{
    Buffers, SegmentPosition, SliverVerifier, decode_segment_checked, encode_segment,
    encode_segment_into, identify_segment,
};
use crate::sliver::Axis;

/// Shard width at which the library is fast for any number of shards.
const WIDTH: usize = 1024;
/// Bytes the library's decoder may work on and stay in the cache.
const WORKING_SET: usize = 2 << 20;
/// What a writer or reader of whole segments keeps for the next.
const KEPT_BYTES: usize = 160 << 20;

/// Something the code does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// All slivers, their index and the commitment. Limit: both directions of the code and every hash.
    Encode,
    /// Only the commitment. Limit: that of [`Operation::Encode`].
    Identify,
    /// The segment from its own rows, content checked. Limit: hashing the content.
    DecodeSystematic,
    /// The segment from repair primaries, content checked. Limit: the library's decoder, and hashing the content.
    DecodeRepair,
    /// The segment from as many repair secondaries as there are, content checked. Limit: as above.
    DecodeSecondary,
    /// One primary sliver against its root. Limit: one call of that shape, and hashing its symbols once.
    VerifyPrimary,
    /// One secondary sliver against its root. Limit: as above.
    VerifySecondary,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 7] = [
        Operation::Encode,
        Operation::Identify,
        Operation::DecodeSystematic,
        Operation::DecodeRepair,
        Operation::DecodeSecondary,
        Operation::VerifyPrimary,
        Operation::VerifySecondary,
    ];

    /// The name on the command line and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Encode => "encode",
            Operation::Identify => "identify",
            Operation::DecodeSystematic => "decode-systematic",
            Operation::DecodeRepair => "decode-repair",
            Operation::DecodeSecondary => "decode-secondary",
            Operation::VerifyPrimary => "verify-primary",
            Operation::VerifySecondary => "verify-secondary",
        }
    }
}

/// An operation on a blob, and its limit, ready to run.
pub struct Workload {
    work: Box<dyn FnMut()>,
    limit: Box<dyn FnMut()>,
}

impl Workload {
    /// Prepares an operation on a blob of this many bytes, segment after segment.
    pub fn new(operation: Operation, parameters: &Parameters, blob_bytes: u64) -> Self {
        let blob = Blob::new(parameters, blob_bytes);
        let primary = Axis::Primary;
        match operation {
            Operation::Encode => Workload { limit: blob.encode_limit(), work: blob.encode() },
            Operation::Identify => Workload { limit: blob.encode_limit(), work: blob.identify() },
            Operation::DecodeSystematic => {
                let source = 0..parameters.source(primary);
                Workload { limit: blob.content_limit(), work: blob.decode(primary, source) }
            }
            Operation::DecodeRepair => blob.decode_repair(primary),
            Operation::DecodeSecondary => blob.decode_repair(Axis::Secondary),
            Operation::VerifyPrimary => blob.verify(primary),
            Operation::VerifySecondary => blob.verify(Axis::Secondary),
        }
    }

    /// Does the operation once.
    pub fn run(&mut self) {
        (self.work)();
    }

    /// Does once what the operation cannot do without.
    pub fn run_limit(&mut self) {
        (self.limit)();
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Workload")
    }
}

/// Bytes that look random, in segments.
struct Blob {
    parameters: Parameters,
    segments: Vec<(SegmentPosition, Bytes)>,
}

impl Blob {
    fn new(parameters: &Parameters, blob_bytes: u64) -> Self {
        let count = parameters.segment_count(blob_bytes);
        let segment = |segment: u64| {
            let segment = u32::try_from(segment).expect("workloads are of few segments");
            let position = SegmentPosition { segment, blob_bytes };
            let mut bytes = vec![0; index(position.length(parameters))];
            blake3::Hasher::new().update(&segment.to_le_bytes()).finalize_xof().fill(&mut bytes);
            (position, bytes.into())
        };
        Blob { parameters: *parameters, segments: (0..count).map(segment).collect() }
    }

    fn shapes(&self) -> impl Iterator<Item = Shape> {
        let length = |position: &SegmentPosition| position.length(&self.parameters);
        self.segments
            .iter()
            .map(move |(position, _)| Shape::new(&self.parameters, length(position)))
    }

    fn encode(self) -> Box<dyn FnMut()> {
        let buffers = Buffers::new(KEPT_BYTES);
        Box::new(move || {
            for (position, bytes) in &self.segments {
                let bytes = bytes.clone();
                black_box(encode_segment_into(&buffers, &self.parameters, *position, bytes));
            }
        })
    }

    fn identify(self) -> Box<dyn FnMut()> {
        Box::new(move || {
            for (position, bytes) in &self.segments {
                black_box(identify_segment(&self.parameters, *position, bytes));
            }
        })
    }

    fn encode_limit(&self) -> Box<dyn FnMut()> {
        let mut parts: Vec<Box<dyn FnMut()>> = vec![self.content_limit()];
        for Shape { shards, rows, columns, symbol } in self.shapes() {
            parts.push(raw_encode(columns, shards, rows * symbol));
            parts.push(raw_encode(rows, shards, shards * symbol));
            let leaf = symbol.next_multiple_of(64);
            // Each symbol once, and a block for each node of its row's tree and of its column's.
            parts.push(raw_hash(shards * shards * (leaf + 2 * 64)));
        }
        all(parts)
    }

    fn content_limit(&self) -> Box<dyn FnMut()> {
        all(self.segments.iter().map(|(_, bytes)| raw_hash(bytes.len())).collect())
    }

    /// Decoding from these slivers, and the check of what comes out.
    fn decode(self, axis: Axis, slivers: impl Iterator<Item = u16> + Clone) -> Box<dyn FnMut()> {
        let parameters = self.parameters;
        let prepared: Vec<_> = self
            .segments
            .into_iter()
            .map(|(position, bytes)| {
                let encoded = encode_segment(&parameters, position, bytes);
                let sliver = |i| (i, Bytes::copy_from_slice(&encoded.sliver(axis, i)));
                let given: Vec<_> = slivers.clone().map(sliver).collect();
                (position, given, encoded.commitment().content)
            })
            .collect();
        let buffers = Buffers::new(KEPT_BYTES);
        Box::new(move || {
            for (position, given, content) in &prepared {
                decode_segment_checked(&buffers, &parameters, *position, axis, given, content)
                    .expect("the slivers are enough and honest");
            }
        })
    }

    fn decode_repair(self, axis: Axis) -> Workload {
        let shards = self.parameters.shards();
        let source = self.parameters.source(axis);
        let mut parts: Vec<Box<dyn FnMut()>> = vec![self.content_limit()];
        for shape in self.shapes() {
            let codewords = match axis {
                Axis::Primary => shape.columns,
                Axis::Secondary => shape.rows,
            };
            parts.push(raw_decode(shape.source(axis), shape.shards, codewords * shape.symbol));
        }
        Workload { limit: all(parts), work: self.decode(axis, shards - source..shards) }
    }

    fn verify(self, axis: Axis) -> Workload {
        let parameters = self.parameters;
        let sliver = parameters.shards() - 1; // never systematic
        let mut limits: Vec<Box<dyn FnMut()>> = Vec::new();
        for shape in self.shapes() {
            let Shape { shards, symbol, .. } = shape;
            let source = usize::from(parameters.sliver_symbols(axis));
            limits.push(raw_encode(source, shards, symbol));
            limits.push(raw_hash(shards * symbol.next_multiple_of(64)));
        }
        let prepared = self.segments.into_iter().map(|(position, bytes)| {
            let encoded = encode_segment(&parameters, position, bytes);
            let root = *encoded.index().sliver_root(axis, sliver);
            let verifier = SliverVerifier::new(&parameters, position.length(&parameters));
            (verifier, Bytes::copy_from_slice(&encoded.sliver(axis, sliver)), root)
        });
        let mut prepared: Vec<_> = prepared.collect();
        let work = move || {
            for (verifier, bytes, root) in &mut prepared {
                verifier.verify(axis, sliver, bytes, root).expect("an honest sliver");
            }
        };
        Workload { work: Box::new(work), limit: all(limits) }
    }
}

/// One after the other.
fn all(mut parts: Vec<Box<dyn FnMut()>>) -> Box<dyn FnMut()> {
    Box::new(move || parts.iter_mut().for_each(|part| part()))
}

/// How many calls, of how many bytes a shard, code shards of this many bytes.
fn calls(bytes: usize, width: usize) -> (usize, usize) {
    (bytes.div_ceil(width), bytes.min(width))
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    noise
}

/// The library's encoder over shards of this many bytes in all.
fn raw_encode(source: usize, total: usize, bytes: usize) -> Box<dyn FnMut()> {
    let (calls, width) = calls(bytes, WIDTH);
    let mut encoder =
        ReedSolomonEncoder::new(source, total - source, width).expect("a supported split");
    let shard = noise(width);
    Box::new(move || {
        for _call in 0..calls {
            for _shard in 0..source {
                encoder.add_original_shard(&shard).expect("as long as announced");
            }
            black_box(encoder.encode().expect("all shards were added").recovery(0));
        }
    })
}

/// The library's decoder, as few of the source shards given as can be.
fn raw_decode(source: usize, total: usize, bytes: usize) -> Box<dyn FnMut()> {
    // Every call begins with work that does not depend on the width: with few shards, wide ones are faster.
    let width = WIDTH.max(WORKING_SET / (2 * total.next_power_of_two()));
    let (calls, width) = calls(bytes, width);
    let repair = source.min(total - source);
    let mut decoder =
        ReedSolomonDecoder::new(source, total - source, width).expect("a supported split");
    let shard = noise(width);
    Box::new(move || {
        for _call in 0..calls {
            for i in repair..source {
                decoder.add_original_shard(i, &shard).expect("as long as announced");
            }
            for i in 0..repair {
                decoder.add_recovery_shard(i, &shard).expect("as long as announced");
            }
            black_box(decoder.decode().expect("as many as needed").restored_original(0));
        }
    })
}

/// BLAKE3 over this many bytes, from a buffer that stays in the cache.
fn raw_hash(bytes: usize) -> Box<dyn FnMut()> {
    const BUFFER: usize = 1 << 20;
    let buffer = noise(bytes.min(BUFFER));
    Box::new(move || {
        for start in (0..bytes).step_by(BUFFER) {
            black_box(blake3::hash(&buffer[..buffer.len().min(bytes - start)]));
        }
    })
}
