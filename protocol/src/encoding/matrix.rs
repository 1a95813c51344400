//! The source matrix of a segment: its bytes row by row, zero-padded, without copying what the segment fills.

use bytes::Bytes;

use super::Parameters;
use super::parameters::index;
use crate::sliver::Axis;

/// The sizes of one segment's expanded matrix, ready for indexing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// `n`: rows, and columns, of the expanded matrix.
    pub(super) shards: usize,
    /// `P`: rows of the source matrix.
    pub(super) rows: usize,
    /// `S`: columns of the source matrix.
    pub(super) columns: usize,
    /// `s`: bytes of a symbol.
    pub(super) symbol: usize,
}

impl Shape {
    pub(super) fn new(parameters: &Parameters, segment_length: u32) -> Self {
        Shape {
            shards: usize::from(parameters.shards()),
            rows: usize::from(parameters.primary_source()),
            columns: usize::from(parameters.secondary_source()),
            symbol: index(parameters.symbol_bytes(segment_length)),
        }
    }

    /// Bytes of a primary sliver: a row of the source matrix.
    pub(super) fn row_bytes(&self) -> usize {
        self.columns * self.symbol
    }

    /// Bytes of a secondary sliver: a column of the source matrix.
    pub(super) fn column_bytes(&self) -> usize {
        self.rows * self.symbol
    }

    /// Symbols that decode a codeword along this axis, as many as slivers of the axis decode the segment.
    pub(super) fn source(&self, axis: Axis) -> usize {
        match axis {
            Axis::Primary => self.rows,
            Axis::Secondary => self.columns,
        }
    }
}

/// Bytes for the rows that a segment does not fill.
#[derive(Clone, Debug)]
pub(super) struct Padding {
    /// The segment's end and zeros; empty if it ends with a row.
    straddling: Bytes,
    /// A row of zeros; empty if no row needs it.
    zeros: Bytes,
}

impl Padding {
    pub(super) fn new(shape: &Shape, segment: &[u8]) -> Self {
        let row = shape.row_bytes();
        let rest = &segment[segment.len() / row * row..];
        let mut straddling = Vec::new();
        if !rest.is_empty() {
            straddling = rest.to_vec();
            straddling.resize(row, 0);
        }
        let is_full = segment.len().div_ceil(row) == shape.rows;
        let zeros = if is_full { Vec::new() } else { vec![0; row] };
        Padding { straddling: straddling.into(), zeros: zeros.into() }
    }

    /// All rows of the source matrix.
    pub(super) fn rows<'a>(&'a self, shape: &Shape, segment: &'a [u8]) -> Vec<&'a [u8]> {
        let (whole, _) = segment.split_at(segment.len() / shape.row_bytes() * shape.row_bytes());
        let straddling = (!self.straddling.is_empty()).then_some(&*self.straddling);
        let filled = whole.chunks_exact(shape.row_bytes()).chain(straddling);
        filled.chain(std::iter::repeat(&*self.zeros)).take(shape.rows).collect()
    }

    /// A systematic secondary sliver: a column of the source matrix, gathered.
    pub(super) fn column(&self, shape: &Shape, segment: &[u8], column: usize) -> Bytes {
        let place = column * shape.symbol;
        let mut bytes = Vec::with_capacity(shape.column_bytes());
        for row in self.rows(shape, segment) {
            bytes.extend_from_slice(&row[place..][..shape.symbol]);
        }
        bytes.into()
    }

    /// A systematic primary sliver: a slice of the segment wherever the segment fills it.
    pub(super) fn sliver(&self, shape: &Shape, segment: &Bytes, row: usize) -> Bytes {
        let (start, end) = (row * shape.row_bytes(), (row + 1) * shape.row_bytes());
        if end <= segment.len() {
            segment.slice(start..end)
        } else if start < segment.len() {
            self.straddling.clone()
        } else {
            self.zeros.clone()
        }
    }
}
