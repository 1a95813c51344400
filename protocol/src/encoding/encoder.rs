//! Segment to slivers, and the tree over their pairs.
//!
//! Promises: the same bytes for any number of threads. Works in two passes: first the rows give the repair columns, then
//! every column is extended, hashed and forgotten stripe by stripe while it is in the cache; the expanded matrix is never
//! in memory, only the nodes of the row trees above each stripe.

use std::ops::Range;

use super::buffers::Buffers;
use super::codeword::{Extender, hash_wide};
use super::lanes::LeafHasher;
use super::layout::{Layout, copy};
use super::matrix::Shape;
use super::threads::{cut, run_with, task_count};
use crate::crypto::Digest;
use crate::merkle;
use crate::pairs::PairTree;

/// Most columns hashed before their row trees are folded: a power of two, so that each stripe is a subtree of every row;
/// small, so that the leaf digests of a stripe stay in the cache.
const STRIPE_MAX: usize = 32;

/// The slivers that are not symbols of the segment, sliver after sliver.
#[derive(Debug)]
pub(super) struct Slivers {
    /// Primaries from `P` on.
    pub(super) primary_repair: Vec<u8>,
    /// Secondaries from `S` on.
    pub(super) secondary_repair: Vec<u8>,
}

/// All repair slivers, and the roots of all slivers.
pub(super) fn encode(buffers: &Buffers, shape: &Shape, rows: &[&[u8]]) -> (Slivers, PairTree) {
    let secondary_repair = extend_rows(buffers, shape, rows);
    let mut primary_repair = buffers.take((shape.shards - shape.rows) * shape.row_bytes());
    let source = Source { shape, rows, repair: &secondary_repair };
    let pairs = extend_columns(&source, Some(&mut primary_repair));
    (Slivers { primary_repair, secondary_repair }, pairs)
}

/// Only the roots of all slivers; needs half a segment of memory.
pub(super) fn identify(buffers: &Buffers, shape: &Shape, rows: &[&[u8]]) -> PairTree {
    let repair = buffers.share(extend_rows(buffers, shape, rows));
    extend_columns(&Source { shape, rows, repair: &repair }, None)
}

/// The first `P` symbols of all columns.
struct Source<'a> {
    shape: &'a Shape,
    rows: &'a [&'a [u8]],
    repair: &'a [u8],
}

impl Source<'_> {
    fn symbol(&self, column: usize, row: usize) -> &[u8] {
        let symbol = self.shape.symbol;
        match column.checked_sub(self.shape.columns) {
            None => &self.rows[row][column * symbol..][..symbol],
            Some(repair) => {
                &self.repair[repair * self.shape.column_bytes() + row * symbol..][..symbol]
            }
        }
    }

    /// Puts a row's symbols of a group of columns, which are either all in the segment or all past it, into a shard.
    fn pack(&self, columns: &Range<usize>, row: usize, layout: &Layout, shard: &mut [u8]) {
        let symbol = self.shape.symbol;
        if columns.end <= self.shape.columns {
            return layout
                .pack_all(&self.rows[row][columns.start * symbol..columns.end * symbol], shard);
        }
        for (place, column) in columns.clone().enumerate() {
            layout.pack(place, self.symbol(column, row), shard);
        }
    }
}

/// The repair columns, each of `P` symbols.
fn extend_rows(buffers: &Buffers, shape: &Shape, rows: &[&[u8]]) -> Vec<u8> {
    let mut columns = buffers.take((shape.shards - shape.columns) * shape.column_bytes());
    let cuts = cut(0..shape.rows, 1, task_count(shape.rows * shape.shards * shape.symbol));
    let parts = split_lines(&mut columns, shape.column_bytes(), shape.symbol, &cuts);
    let tasks: Vec<_> = cuts.into_iter().zip(parts).collect();
    let extender = || Extender::new(shape.columns, shape.shards, shape.symbol);
    run_with(tasks, extender, |extender, (range, mut part)| {
        extend_row_range(extender, shape, rows, range, &mut part);
    });
    columns
}

/// Writes the repair symbols of a range of rows; `columns` holds that range of every repair column.
fn extend_row_range(
    extender: &mut Extender,
    shape: &Shape,
    rows: &[&[u8]],
    range: Range<usize>,
    columns: &mut [&mut [u8]],
) {
    let symbol = shape.symbol;
    if extender.is_narrow() {
        for group in extender.groups(range.clone()) {
            let pack = |i: usize, layout: &Layout, shard: &mut [u8]| {
                for (place, row) in group.clone().enumerate() {
                    layout.pack(place, &rows[row][i * symbol..][..symbol], shard);
                }
            };
            let (layout, result) = extender.extend_group(group.len(), pack);
            for (column, shard) in columns.iter_mut().zip(result.recovery_iter()) {
                let target = &mut column[(group.start - range.start) * symbol..];
                layout.unpack_all(shard, &mut target[..group.len() * symbol]);
            }
        }
    } else {
        for row in range.clone() {
            for piece in extender.pieces() {
                let result =
                    extender.extend(piece.len(), |i| &rows[row][i * symbol..][piece.clone()]);
                for (column, bytes) in columns.iter_mut().zip(result.recovery_iter()) {
                    column[(row - range.start) * symbol..][piece.clone()].copy_from_slice(bytes);
                }
            }
        }
    }
}

/// A piece of the second pass: a range of columns and the places of what they yield.
#[derive(Default)]
struct ColumnTask<'a> {
    range: Range<usize>,
    /// The range of each repair row; empty when only roots are wanted.
    primary: Vec<&'a mut [u8]>,
}

/// Roots of a range of columns, and of the row trees above its stripes, stripe by stripe.
#[derive(Default)]
struct ColumnRoots {
    columns: Vec<Digest>,
    stripes: Vec<Digest>,
}

/// Extends and hashes all columns; fills the buffer of repair rows if given.
fn extend_columns(source: &Source<'_>, primary: Option<&mut [u8]>) -> PairTree {
    let shape = source.shape;
    let work = shape.shards * shape.shards * shape.symbol.next_multiple_of(64);
    let tasks = task_count(work);
    let stripe = stripe(shape.shards, tasks);
    let cuts = cut(0..shape.shards, stripe, tasks);
    let stored =
        |range: &Range<usize>| range.start.min(shape.columns)..range.end.min(shape.columns);
    let primary = match primary {
        None => cuts.iter().map(|_| Vec::new()).collect(),
        Some(primary) => {
            let stored: Vec<_> = cuts.iter().map(stored).collect();
            split_lines(primary, shape.row_bytes(), shape.symbol, &stored)
        }
    };
    let tasks = cuts.into_iter().zip(primary);
    let tasks = tasks.map(|(range, primary)| ColumnTask { range, primary }).collect();
    let worker = || ColumnWorker::new(source, stripe);
    let roots = run_with(tasks, worker, |worker, task| worker.run(task));
    let secondary: Vec<Digest> = roots.iter().flat_map(|roots| &roots.columns).copied().collect();
    let primary =
        fold_rows(shape.shards, roots.iter().flat_map(|roots| roots.stripes.chunks(shape.shards)));
    PairTree::from_slivers(&primary, &secondary)
}

/// Columns of a stripe, such that every task has its share of them.
fn stripe(shards: usize, tasks: usize) -> usize {
    match tasks {
        1 => STRIPE_MAX,
        _ => 1 << (shards / (2 * tasks)).clamp(1, STRIPE_MAX).ilog2(),
    }
}

/// Roots of the row trees from their nodes above each stripe.
fn fold_rows<'a>(
    shards: usize,
    stripes: impl Iterator<Item = &'a [Digest]> + Clone,
) -> Vec<Digest> {
    let mut width = stripes.clone().count();
    let mut nodes = Vec::with_capacity(width * shards);
    for row in 0..shards {
        nodes.extend(stripes.clone().map(|stripe| stripe[row]));
    }
    while width > 1 {
        width = merkle::fold_level(&mut nodes, shards, width);
    }
    nodes
}

/// One thread's state in the second pass.
struct ColumnWorker<'a> {
    source: &'a Source<'a>,
    task: ColumnTask<'a>,
    /// Columns of a whole stripe.
    width: usize,
    extender: Extender,
    hasher: LeafHasher,
    /// Leaf digests of one column.
    digests: Vec<Digest>,
    /// Leaf digests of one stripe, row by row.
    stripe: Vec<Digest>,
    roots: ColumnRoots,
}

impl<'a> ColumnWorker<'a> {
    fn new(source: &'a Source<'a>, width: usize) -> Self {
        let Shape { shards, rows, symbol, .. } = *source.shape;
        ColumnWorker {
            source,
            task: ColumnTask::default(),
            width,
            extender: Extender::new(rows, shards, symbol),
            hasher: LeafHasher::new(shards, symbol),
            digests: vec![[0; 32]; shards],
            stripe: Vec::new(),
            roots: ColumnRoots::default(),
        }
    }

    fn run(&mut self, task: ColumnTask<'a>) -> ColumnRoots {
        self.task = task;
        let Shape { shards, columns, .. } = *self.source.shape;
        let range = self.task.range.clone();
        for start in range.clone().step_by(self.width) {
            let stripe = start..range.end.min(start + self.width);
            self.stripe.clear();
            self.stripe.resize(shards * stripe.len(), [0; 32]);
            let border = columns.clamp(stripe.start, stripe.end);
            for part in [stripe.start..border, border..stripe.end] {
                if self.extender.is_narrow() {
                    for group in self.extender.groups(part) {
                        self.extend_group(&stripe, group);
                    }
                } else {
                    part.for_each(|column| self.extend_wide(&stripe, column));
                }
            }
            self.fold_stripe(stripe.len());
        }
        std::mem::take(&mut self.roots)
    }

    /// Whether the slivers that pass through this column are wanted.
    fn is_stored(&self, column: usize) -> bool {
        column < self.source.shape.columns && !self.task.primary.is_empty()
    }

    fn extend_group(&mut self, stripe: &Range<usize>, group: Range<usize>) {
        let Shape { rows, symbol, .. } = *self.source.shape;
        let is_stored = self.is_stored(group.start);
        let offset = (group.start - self.task.range.start) * symbol;
        let source = self.source;
        let pack =
            |row: usize, layout: &Layout, shard: &mut [u8]| source.pack(&group, row, layout, shard);
        let (layout, result) = self.extender.extend_group(group.len(), pack);
        let shards: Vec<&[u8]> = result.recovery_iter().collect();
        if is_stored {
            for (row, shard) in self.task.primary.iter_mut().zip(&shards) {
                layout.unpack_all(shard, &mut row[offset..offset + group.len() * symbol]);
            }
        }
        for (place, column) in group.enumerate() {
            let slot = self.hasher.slot_bytes();
            let (given, computed) = self.hasher.slots_mut().split_at_mut(rows * slot);
            for (row, slot) in given.chunks_exact_mut(slot).enumerate() {
                copy(&mut slot[..symbol], source.symbol(column, row));
            }
            let computed = computed.chunks_exact_mut(slot).enumerate();
            if is_stored {
                let place = (column - self.task.range.start) * symbol;
                for (row, slot) in computed {
                    copy(&mut slot[..symbol], &self.task.primary[row][place..][..symbol]);
                }
            } else {
                for ((_, slot), shard) in computed.zip(&shards) {
                    layout.unpack(place, shard, &mut slot[..symbol]);
                }
            }
            self.hasher.hash_slots(&mut self.digests);
            keep_column(&self.digests, column - stripe.start, &mut self.stripe, &mut self.roots);
        }
    }

    fn extend_wide(&mut self, stripe: &Range<usize>, column: usize) {
        let symbol = self.source.shape.symbol;
        let is_stored = self.is_stored(column);
        let place = (column - self.task.range.start) * symbol;
        let (source, primary) = (self.source, &mut self.task.primary);
        hash_wide(
            &mut self.extender,
            &mut self.hasher,
            |row| source.symbol(column, row),
            |row, piece, bytes| {
                if is_stored {
                    primary[row][place..][piece].copy_from_slice(bytes);
                }
            },
            &mut self.digests,
        );
        keep_column(&self.digests, column - stripe.start, &mut self.stripe, &mut self.roots);
    }

    /// Keeps of a stripe's leaf digests only the nodes they have in common in each row's tree.
    fn fold_stripe(&mut self, mut width: usize) {
        let levels = self.source.shape.shards.min(self.width).next_power_of_two().trailing_zeros();
        for _level in 0..levels {
            width = merkle::fold_level(&mut self.stripe, self.source.shape.shards, width);
        }
        self.roots.stripes.extend_from_slice(&self.stripe);
    }
}

/// Adds a column's leaf digests to its stripe, and its root to the roots.
fn keep_column(digests: &[Digest], place: usize, stripe: &mut [Digest], roots: &mut ColumnRoots) {
    let width = stripe.len() / digests.len();
    for (row, digest) in stripe.chunks_exact_mut(width).zip(digests) {
        row[place] = *digest;
    }
    roots.columns.push(merkle::root(digests));
}

/// For each range, that range of symbols of every line: so that threads can write to parts of the same lines.
fn split_lines<'a>(
    buffer: &'a mut [u8],
    line: usize,
    symbol: usize,
    ranges: &[Range<usize>],
) -> Vec<Vec<&'a mut [u8]>> {
    let lines = buffer.len() / line;
    let mut parts: Vec<_> = ranges.iter().map(|_| Vec::with_capacity(lines)).collect();
    for mut rest in buffer.chunks_exact_mut(line) {
        for (range, part) in ranges.iter().zip(&mut parts) {
            let (bytes, after) = rest.split_at_mut(range.len() * symbol);
            part.push(bytes);
            rest = after;
        }
    }
    parts
}
