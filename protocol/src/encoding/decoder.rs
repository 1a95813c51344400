//! Slivers to segment.
//!
//! Promises: enough slivers of one honest encoding, whichever they are, give back the segment; wrong input is an error,
//! never a panic. Does not: say which sliver was wrong when the content is; see [`super::verify_sliver`].

use std::ops::Range;

use bytes::Bytes;
use reed_solomon_simd::rate::{DecoderWork, DefaultRateDecoder, RateDecoder};

use super::SegmentPosition;
use super::buffers::Buffers;
use super::content::ContentHasher;
use super::direct::Direct;
use super::engine::FastEngine;
use super::layout::{BLOCK, Layout, copy};
use super::matrix::Shape;
use super::parameters::{Parameters, index};
use crate::crypto::Digest;
use crate::sliver::Axis;

/// Bytes the library may work on at once and still stay in a processor's cache.
const WORKING_SET: usize = 2 << 20;

/// Bytes copied before they are looked at again, while they are in the cache.
const COPY_STEP: usize = 64 << 10;

/// Why slivers do not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Too few.
    #[error("{found} {axis} slivers do not decode a segment; {needed} do")]
    TooFew {
        /// Which kind.
        axis: Axis,
        /// How many came.
        found: usize,
        /// How many are enough.
        needed: usize,
    },
    /// Past the last shard.
    #[error("there is no {axis} sliver {index}")]
    NoSuchSliver {
        /// Which kind.
        axis: Axis,
        /// The index that came.
        index: u16,
    },
    /// The same sliver twice.
    #[error("{axis} sliver {index} was given twice")]
    Duplicate {
        /// Which kind.
        axis: Axis,
        /// The index that came twice.
        index: u16,
    },
    /// Not of the size that the segment's length asks for.
    #[error("{axis} sliver {index} has {found} bytes instead of {expected}")]
    WrongLength {
        /// Which kind.
        axis: Axis,
        /// The sliver.
        index: u16,
        /// What the segment's length asks for.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// Some are wrong, or the segment was encoded wrongly: what they give is not what was committed to.
    #[error("the {axis} slivers decode to other bytes than the blob's header commits to")]
    WrongContent {
        /// Which kind.
        axis: Axis,
    },
}

/// Rebuilds a segment from any `P` primary or any `S` secondary slivers. More are welcome and cost nothing: those that
/// hold the segment's own bytes are used first.
pub fn decode_segment(
    parameters: &Parameters,
    segment_length: u32,
    axis: Axis,
    slivers: &[(u16, Bytes)],
) -> Result<Bytes, DecodeError> {
    decode_segment_into(&Buffers::new(0), parameters, segment_length, axis, slivers)
}

/// Like [`decode_segment`], into memory that was used before.
pub fn decode_segment_into(
    buffers: &Buffers,
    parameters: &Parameters,
    segment_length: u32,
    axis: Axis,
    slivers: &[(u16, Bytes)],
) -> Result<Bytes, DecodeError> {
    check(parameters, segment_length, axis, slivers)?;
    let shape = Shape::new(parameters, segment_length);
    let matrix = decode(buffers, &shape, segment_length, axis, slivers, |_| ());
    Ok(buffers.share(matrix).slice(..index(segment_length)))
}

/// Like [`decode_segment_into`], and checks that the bytes are those the segment's commitment names as `content`.
pub fn decode_segment_checked(
    buffers: &Buffers,
    parameters: &Parameters,
    position: SegmentPosition,
    axis: Axis,
    slivers: &[(u16, Bytes)],
    content: &Digest,
) -> Result<Bytes, DecodeError> {
    let segment_length = position.length(parameters);
    check(parameters, segment_length, axis, slivers)?;
    let (shape, length) = (Shape::new(parameters, segment_length), index(segment_length));
    let mut hasher = ContentHasher::new(parameters, position);
    let advance = |known: &[u8]| hasher.advance(&known[..known.len().min(length)]);
    let matrix = decode(buffers, &shape, segment_length, axis, slivers, advance);
    if hasher.finish(&matrix[..length]) != *content {
        return Err(DecodeError::WrongContent { axis });
    }
    Ok(buffers.share(matrix).slice(..length))
}

/// The rows of the source matrix that hold the segment; `advance` sees them grow as far as they grow in order.
fn decode(
    buffers: &Buffers,
    shape: &Shape,
    segment_length: u32,
    axis: Axis,
    slivers: &[(u16, Bytes)],
    advance: impl FnMut(&[u8]),
) -> Vec<u8> {
    let rows = index(segment_length).div_ceil(shape.row_bytes()).max(1);
    let chosen = choose(shape, axis, slivers, rows);
    let mut matrix = buffers.take(rows * shape.row_bytes());
    decode_matrix(shape, axis, &chosen, &mut matrix, advance);
    matrix
}

fn check(
    parameters: &Parameters,
    segment_length: u32,
    axis: Axis,
    slivers: &[(u16, Bytes)],
) -> Result<(), DecodeError> {
    let expected = parameters.sliver_bytes(axis, segment_length);
    let mut seen = vec![false; usize::from(parameters.shards())];
    for (index, bytes) in slivers {
        let index = *index;
        let Some(seen) = seen.get_mut(usize::from(index)) else {
            return Err(DecodeError::NoSuchSliver { axis, index });
        };
        if std::mem::replace(seen, true) {
            return Err(DecodeError::Duplicate { axis, index });
        }
        if bytes.len() != expected {
            return Err(DecodeError::WrongLength { axis, index, expected, found: bytes.len() });
        }
    }
    let needed = usize::from(parameters.source(axis));
    match slivers.len() {
        found if found < needed => Err(DecodeError::TooFew { axis, found, needed }),
        _ => Ok(()),
    }
}

/// As many slivers as are needed for so many rows, in order, systematic ones first: the rows themselves if all are given.
fn choose<'a>(
    shape: &Shape,
    axis: Axis,
    slivers: &'a [(u16, Bytes)],
    rows: usize,
) -> Vec<(usize, &'a [u8])> {
    let given = || slivers.iter().map(|(index, bytes)| (usize::from(*index), &**bytes));
    let is_row = |(index, _): &(usize, _)| axis == Axis::Primary && *index < rows;
    let mut chosen: Vec<_> = given().filter(is_row).collect();
    if chosen.len() < rows {
        chosen = given().collect();
    }
    chosen.sort_unstable_by_key(|(index, _)| *index);
    chosen.truncate(shape.source(axis));
    chosen
}

/// Fills the first rows of the source matrix from just as many slivers as decode it, in order; `advance` sees the matrix
/// as far as its rows come in order.
pub(super) fn decode_matrix(
    shape: &Shape,
    axis: Axis,
    slivers: &[(usize, &[u8])],
    matrix: &mut [u8],
    advance: impl FnMut(&[u8]),
) {
    copy_source(shape, axis, slivers, matrix, advance);
    if slivers.iter().any(|(index, _)| *index >= shape.source(axis)) {
        let rows = matrix.len() / shape.row_bytes();
        Rebuild::new(shape, axis, slivers, rows).run(matrix);
    }
}

/// Puts the systematic slivers in their places.
fn copy_source(
    shape: &Shape,
    axis: Axis,
    slivers: &[(usize, &[u8])],
    matrix: &mut [u8],
    mut advance: impl FnMut(&[u8]),
) {
    let (row_bytes, symbol) = (shape.row_bytes(), shape.symbol);
    let rows = matrix.len() / row_bytes;
    match axis {
        Axis::Primary => {
            let count = slivers.partition_point(|(row, _)| *row < rows);
            for (place, (row, bytes)) in slivers[..count].iter().enumerate() {
                let mut end = row * row_bytes;
                for step in bytes.chunks(COPY_STEP) {
                    matrix[end..end + step.len()].copy_from_slice(step);
                    end += step.len();
                    if place == *row {
                        advance(&matrix[..end]);
                    }
                }
            }
        }
        Axis::Secondary => {
            let count = slivers.partition_point(|(column, _)| *column < shape.columns);
            for (row, target) in matrix.chunks_exact_mut(row_bytes).enumerate() {
                for (column, bytes) in &slivers[..count] {
                    let target = &mut target[column * symbol..][..symbol];
                    copy(target, &bytes[row * symbol..][..symbol]);
                }
            }
        }
    }
}

/// What decodes shards, one call after another.
enum Coder {
    /// Sums of what is given.
    Direct {
        direct: Direct,
        /// Memory for one shard.
        shard: Vec<u8>,
    },
    /// The library, and the memory it had at the last call.
    Library(Option<DecoderWork>),
}

/// Decoding of the systematic slivers that are missing: a codeword runs across the slivers.
struct Rebuild<'a> {
    shape: &'a Shape,
    axis: Axis,
    slivers: &'a [(usize, &'a [u8])],
    /// Systematic slivers that are wanted and not given, in order.
    wanted: Vec<usize>,
    /// Codewords that are wanted.
    codewords: usize,
}

impl<'a> Rebuild<'a> {
    /// For so many rows.
    fn new(shape: &'a Shape, axis: Axis, slivers: &'a [(usize, &'a [u8])], rows: usize) -> Self {
        let (systematic, codewords) = match axis {
            Axis::Primary => (rows, shape.columns),
            Axis::Secondary => (shape.columns, rows),
        };
        let is_given = |sliver: &usize| slivers.binary_search_by_key(sliver, |it| it.0).is_ok();
        let wanted = (0..systematic).filter(|sliver| !is_given(sliver)).collect();
        Rebuild { shape, axis, slivers, wanted, codewords }
    }

    fn run(&self, matrix: &mut [u8]) {
        let Shape { shards, symbol, .. } = *self.shape;
        let width = WORKING_SET / (2 * shards.next_power_of_two());
        let width = width.max(BLOCK) / BLOCK * BLOCK;
        let group = (width / symbol).clamp(1, self.codewords);
        let mut coder = self.coder();
        if symbol <= width {
            for start in (0..self.codewords).step_by(group) {
                let group = start..self.codewords.min(start + group);
                self.decode_group(group, &mut coder, matrix);
            }
        } else {
            for codeword in 0..self.codewords {
                for start in (0..symbol).step_by(width) {
                    let piece = start..symbol.min(start + width);
                    self.decode_piece(codeword, piece, &mut coder, matrix);
                }
            }
        }
    }

    /// The fastest way to decode them.
    fn coder(&self) -> Coder {
        let bytes = self.codewords * self.shape.symbol;
        let (source, total) = (self.shape.source(self.axis), self.shape.shards);
        let given: Vec<_> = self.slivers.iter().map(|(sliver, _)| *sliver).collect();
        match Direct::decode([source, total], &given, &self.wanted, bytes) {
            Some(direct) => Coder::Direct { direct, shard: Vec::new() },
            None => Coder::Library(None),
        }
    }

    /// Decodes a group of codewords, packed into one call.
    fn decode_group(&self, group: Range<usize>, coder: &mut Coder, matrix: &mut [u8]) {
        let symbol = self.shape.symbol;
        let layout = Layout::new(symbol, group.len());
        let of_group = |bytes: &'a [u8]| &bytes[group.start * symbol..group.end * symbol];
        let mut packed = Vec::new();
        let given: Vec<&[u8]> = if layout.is_plain() {
            self.slivers.iter().map(|(_, bytes)| of_group(bytes)).collect()
        } else {
            packed.resize(self.slivers.len() * layout.shard_bytes(), 0);
            let shards = packed.chunks_exact_mut(layout.shard_bytes());
            for ((_, bytes), shard) in self.slivers.iter().zip(shards) {
                layout.pack_all(of_group(bytes), shard);
            }
            packed.chunks_exact(layout.shard_bytes()).collect()
        };
        self.restore(coder, &given, |sliver, shard| {
            let start = self.place(sliver, group.start);
            if self.axis == Axis::Primary {
                layout.unpack_all(shard, &mut matrix[start..start + group.len() * symbol]);
                return;
            }
            for (place, codeword) in group.clone().enumerate() {
                let start = self.place(sliver, codeword);
                layout.unpack(place, shard, &mut matrix[start..start + symbol]);
            }
        });
    }

    /// Decodes the same piece of all symbols of one codeword.
    fn decode_piece(
        &self,
        codeword: usize,
        piece: Range<usize>,
        coder: &mut Coder,
        matrix: &mut [u8],
    ) {
        let start = codeword * self.shape.symbol;
        let piece_of = |bytes: &'a [u8]| &bytes[start + piece.start..start + piece.end];
        let given: Vec<_> = self.slivers.iter().map(|(_, bytes)| piece_of(bytes)).collect();
        self.restore(coder, &given, |sliver, shard| {
            let start = self.place(sliver, codeword);
            matrix[start + piece.start..start + piece.end].copy_from_slice(shard);
        });
    }

    /// Decodes one shard of each sliver; `keep` sees those that are wanted.
    fn restore(&self, coder: &mut Coder, given: &[&[u8]], mut keep: impl FnMut(usize, &[u8])) {
        let bytes = given[0].len();
        let work = match coder {
            Coder::Direct { direct, shard } => {
                shard.resize(bytes, 0);
                for (place, sliver) in self.wanted.iter().enumerate() {
                    direct.compute(place, given, shard);
                    keep(*sliver, shard);
                }
                return;
            }
            Coder::Library(work) => work,
        };
        let source = self.shape.source(self.axis);
        let repair = self.shape.shards - source;
        let engine = FastEngine::new();
        let mut decoder = DefaultRateDecoder::new(source, repair, bytes, engine, work.take())
            .expect("the library codes every split of the shards, and symbol sizes are even");
        for ((sliver, _), shard) in self.slivers.iter().zip(given) {
            let added = match sliver.checked_sub(source) {
                None => decoder.add_original_shard(*sliver, shard),
                Some(repair) => decoder.add_recovery_shard(repair, shard),
            };
            added.expect("slivers are distinct, in range and equally long");
        }
        let result = decoder.decode().expect("as many shards as needed were added");
        for sliver in &self.wanted {
            keep(*sliver, result.restored_original(*sliver).expect("wanted slivers are missing"));
        }
        drop(result);
        *work = Some(decoder.into_parts().1);
    }

    /// Where the symbol of a systematic sliver in a codeword starts in the matrix.
    fn place(&self, sliver: usize, codeword: usize) -> usize {
        let (row, column) = match self.axis {
            Axis::Primary => (sliver, codeword),
            Axis::Secondary => (codeword, sliver),
        };
        (row * self.shape.columns + column) * self.shape.symbol
    }
}
