//! Operations on whole segments.

use std::hint::black_box;

use bytes::Bytes;

use super::limits::{all, raw_decode, raw_encode, raw_hash, raw_hash_of};
use super::{Work, Workload};
use crate::encoding::matrix::Shape;
use crate::encoding::parameters::{Parameters, index};
use crate::encoding::{
    Buffers, SegmentPosition, decode_segment_checked, encode_segment, encode_segment_into,
    identify_segment_into,
};
use crate::sliver::Axis;

/// What a writer or reader of whole segments keeps for the next.
const KEPT_BYTES: usize = 160 << 20;

/// Bytes that look random, in segments.
pub(super) struct Blob {
    pub(super) parameters: Parameters,
    pub(super) segments: Vec<(SegmentPosition, Bytes)>,
}

impl Blob {
    pub(super) fn new(parameters: &Parameters, blob_bytes: u64) -> Self {
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

    /// The sizes of each segment.
    pub(super) fn shapes(&self) -> impl Iterator<Item = Shape> {
        let length = |position: &SegmentPosition| position.length(&self.parameters);
        let positions = self.segments.iter().map(|(position, _)| position);
        positions.map(move |position| Shape::new(&self.parameters, length(position)))
    }

    pub(super) fn encode(self) -> Workload {
        let (limit, buffers) = (self.encode_limit(), Buffers::new(KEPT_BYTES));
        let work = move || {
            for (position, bytes) in &self.segments {
                let bytes = bytes.clone();
                black_box(encode_segment_into(&buffers, &self.parameters, *position, bytes));
            }
        };
        Workload { work: Box::new(work), limit }
    }

    pub(super) fn identify(self) -> Workload {
        let (limit, buffers) = (self.encode_limit(), Buffers::new(KEPT_BYTES));
        let work = move || {
            for (position, bytes) in &self.segments {
                black_box(identify_segment_into(&buffers, &self.parameters, *position, bytes));
            }
        };
        Workload { work: Box::new(work), limit }
    }

    pub(super) fn decode_systematic(self) -> Workload {
        let source = 0..self.parameters.source(Axis::Primary);
        Workload { limit: self.content_limit(), work: self.decode(Axis::Primary, source) }
    }

    /// From slivers of which at most so many are repair.
    pub(super) fn decode_repair(self, axis: Axis, most: u16) -> Workload {
        let source = self.parameters.source(axis);
        let first = most.min(self.parameters.shards() - source);
        let mut parts = vec![self.content_limit()];
        for shape in self.shapes() {
            let codewords = match axis {
                Axis::Primary => shape.columns,
                Axis::Secondary => shape.rows,
            };
            parts.push(raw_decode(shape.source(axis), shape.shards, codewords * shape.symbol));
        }
        Workload { limit: all(parts), work: self.decode(axis, first..first + source) }
    }

    /// Decoding from these slivers, and the check of what comes out.
    fn decode(self, axis: Axis, slivers: impl Iterator<Item = u16> + Clone) -> Work {
        let parameters = self.parameters;
        let prepare = |(position, bytes)| {
            let encoded = encode_segment(&parameters, position, bytes);
            let sliver = |i| (i, Bytes::copy_from_slice(&encoded.sliver(axis, i)));
            let given: Vec<_> = slivers.clone().map(sliver).collect();
            (position, given, encoded.commitment().content)
        };
        let prepared: Vec<_> = self.segments.into_iter().map(prepare).collect();
        let buffers = Buffers::new(KEPT_BYTES);
        Box::new(move || {
            for (position, given, content) in &prepared {
                decode_segment_checked(&buffers, &parameters, *position, axis, given, content)
                    .expect("the slivers are enough and honest");
            }
        })
    }

    fn encode_limit(&self) -> Work {
        let mut parts = vec![self.content_limit()];
        for Shape { shards, rows, columns, symbol } in self.shapes() {
            parts.push(raw_encode(columns, shards, rows * symbol));
            parts.push(raw_encode(rows, shards, shards * symbol));
            let leaf = symbol.next_multiple_of(64);
            // Each symbol once, and a block for each node of its row's tree and of its column's.
            parts.push(raw_hash(shards * shards * (leaf + 2 * 64)));
        }
        all(parts)
    }

    fn content_limit(&self) -> Work {
        raw_hash_of(self.segments.iter().map(|(_, bytes)| bytes.clone()).collect())
    }
}
