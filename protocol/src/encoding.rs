//! The erasure code: segments of a blob to slivers and back.
//!
//! Promises: the two-dimensional code of `protocol.md` section 2 and the commitments of section 3, the same bytes on every
//! machine and for any number of threads; memory for a few segments, never for a blob. Does not: do I/O or keep state.
//!
//! [`encode_segment`] gives everything a writer sends, [`identify_segment`] only what names the blob, [`decode_segment`]
//! what a reader wants, and [`verify_sliver`] what a node asks of every sliver it is given. [`recovery_symbols`] and
//! [`ExpandedSliver`] serve the symbols from which [`recover_sliver`] rebuilds a sliver that a node lacks. A blob that is
//! short in its network is one row of symbols instead of a matrix: [`encode_short`] and its neighbours.

mod buffers;
mod codeword;
pub(crate) mod content;
mod decoder;
mod direct;
mod encoder;
mod engine;
mod expanded;
#[cfg(target_arch = "x86_64")]
mod gfni;
pub(crate) mod kind;
pub(crate) mod lanes;
mod layout;
mod locator;
mod matrix;
pub(crate) mod parameters;
mod pipeline;
mod position;
mod repair;
mod short;
mod threads;
mod verifier;
pub mod walrus;
pub mod workload;

use bytes::Bytes;

pub use buffers::Buffers;
pub use content::{content_digest, merge_content};
pub use decoder::{DecodeError, decode_segment, decode_segment_checked, decode_segment_into};
pub use engine::engine_name;
pub use expanded::{ExpandError, ExpandedSliver, recovery_symbols};
pub use parameters::{
    MAX_SHARDS, MIN_SEGMENT_BYTES, MIN_SHARDS, Parameters, ParametersError, SEGMENT_BYTES,
    SHORT_BYTES, SHORT_BYTES_MAX,
};
pub use pipeline::{MIN_IN_FLIGHT, Pipeline, header_of};
pub use position::SegmentPosition;
pub use repair::{RecoverError, RecoverySymbol, SymbolError, recover_sliver};
pub use short::{
    EncodedShort, ProvedSymbols, ShortDecoded, ShortEncoder, ShortError, ShortInconsistency,
    ShortRepair, check_short, decode_short, decode_short_committed, encode_short, identify_short,
    repair_short,
};
pub use verifier::{SliverError, SliverVerifier, verify_sliver};

use crate::blob::SegmentCommitment;
use crate::pairs::PairTree;
use crate::sliver::Axis;
use matrix::{Padding, Shape};

/// A segment with all its slivers: repair slivers in two large buffers, systematic ones in the segment itself.
#[derive(Clone, Debug)]
pub struct EncodedSegment {
    shape: Shape,
    commitment: SegmentCommitment,
    pairs: PairTree,
    segment: Bytes,
    padding: Padding,
    primary_repair: Bytes,
    secondary_repair: Bytes,
}

impl EncodedSegment {
    /// What the blob's header says of this segment.
    pub fn commitment(&self) -> SegmentCommitment {
        self.commitment
    }

    /// The roots of all slivers, and the proof of each pair.
    pub fn pairs(&self) -> &PairTree {
        &self.pairs
    }

    /// A sliver: a slice without a copy, but for the systematic secondaries, which are gathered from the segment.
    ///
    /// # Panics
    /// If the sliver is not below the shard count.
    pub fn sliver(&self, axis: Axis, index: u16) -> Bytes {
        let (shape, index) = (&self.shape, usize::from(index));
        assert!(index < shape.shards, "{axis} sliver {index} is past the last shard");
        let slice = |buffer: &Bytes, place: usize, bytes: usize| {
            buffer.slice(place * bytes..(place + 1) * bytes)
        };
        match axis {
            Axis::Primary if index < shape.rows => self.padding.sliver(shape, &self.segment, index),
            Axis::Primary => slice(&self.primary_repair, index - shape.rows, shape.row_bytes()),
            Axis::Secondary => match index.checked_sub(shape.columns) {
                None => self.padding.column(shape, &self.segment, index),
                Some(repair) => slice(&self.secondary_repair, repair, shape.column_bytes()),
            },
        }
    }
}

/// Encodes a segment: all slivers, the proofs of their pairs and the commitment. Needs about 3.5 times its bytes, the segment included.
///
/// # Panics
/// If the segment is not as long as its position says.
pub fn encode_segment(
    parameters: &Parameters,
    position: SegmentPosition,
    segment: Bytes,
) -> EncodedSegment {
    encode_segment_into(&Buffers::new(0), parameters, position, segment)
}

/// Like [`encode_segment`], into memory that was used before: worth a third of the time when segments follow each other.
///
/// # Panics
/// If the segment is not as long as its position says.
pub fn encode_segment_into(
    buffers: &Buffers,
    parameters: &Parameters,
    position: SegmentPosition,
    segment: Bytes,
) -> EncodedSegment {
    let (shape, padding) = prepare(parameters, position, &segment);
    let ((slivers, pairs), content) = threads::both(
        || encoder::encode(buffers, &shape, &padding.rows(&shape, &segment)),
        || content_digest(parameters, position, &segment),
    );
    EncodedSegment {
        shape,
        commitment: SegmentCommitment { slivers_root: pairs.root(), content },
        pairs,
        padding,
        segment,
        primary_repair: buffers.share(slivers.primary_repair),
        secondary_repair: buffers.share(slivers.secondary_repair),
    }
}

/// Computes what names a segment, without keeping slivers: half a segment of memory is enough.
///
/// # Panics
/// If the segment is not as long as its position says.
pub fn identify_segment(
    parameters: &Parameters,
    position: SegmentPosition,
    segment: &[u8],
) -> SegmentCommitment {
    identify_segment_into(&Buffers::new(0), parameters, position, segment)
}

/// Like [`identify_segment`], with memory that was used before.
///
/// # Panics
/// If the segment is not as long as its position says.
pub fn identify_segment_into(
    buffers: &Buffers,
    parameters: &Parameters,
    position: SegmentPosition,
    segment: &[u8],
) -> SegmentCommitment {
    let (shape, padding) = prepare(parameters, position, segment);
    let (pairs, content) = threads::both(
        || encoder::identify(buffers, &shape, &padding.rows(&shape, segment)),
        || content_digest(parameters, position, segment),
    );
    SegmentCommitment { slivers_root: pairs.root(), content }
}

fn prepare(parameters: &Parameters, position: SegmentPosition, segment: &[u8]) -> (Shape, Padding) {
    let length = position.length(parameters);
    assert_eq!(
        segment.len(),
        parameters::index(length),
        "a segment is as long as its position says"
    );
    let shape = Shape::new(parameters, length);
    let padding = Padding::new(&shape, segment);
    (shape, padding)
}
