//! Slivers extended along their own direction: all `n` symbols, to hash them or to serve them for recovery.
//!
//! Promises: the symbols and leaves that the encoder had; a symbol and its proof cost two copies once the sliver is
//! expanded. Does not: check that a sliver is the one committed to, or keep expanded slivers; the node does.
//!
//! Symbol `t` of a sliver is the one it shares with sliver `t` of the other axis: its **target** when that is recovered.

use std::ops::Range;

use bytes::Bytes;

use super::codeword::{Extender, hash_wide, repair};
use super::direct::Direct;
use super::lanes::LeafHasher;
use super::layout::copy;
use super::matrix::Shape;
use super::parameters::Parameters;
use super::repair::RecoverySymbol;
use crate::crypto::Digest;
use crate::merkle::{Proof, Tree};
use crate::sliver::Axis;

/// Why a sliver has no such symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// The sliver is not of the size that the segment's length asks for.
    #[error("{axis} slivers of this segment have {expected} bytes, not {found}")]
    WrongLength {
        /// Which kind.
        axis: Axis,
        /// What the segment's length asks for.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// The target is past the last shard.
    #[error("{axis} slivers have no symbol {target}")]
    NoSuchSymbol {
        /// Which kind of sliver was asked for symbols.
        axis: Axis,
        /// The symbol asked for.
        target: u16,
    },
}

/// A sliver with its whole Merkle tree: serves any symbol, with its proof, without coding or hashing. Holds all `n`
/// symbols and about 64 bytes more for each.
#[derive(Clone, Debug)]
pub struct ExpandedSliver {
    symbol: usize,
    source: Bytes,
    repair: Bytes,
    tree: Tree,
}

impl ExpandedSliver {
    /// Extends and hashes a sliver of a segment of this length, given in bytes. Costs as much as to verify it.
    ///
    /// # Errors
    /// [`ExpandError::WrongLength`].
    pub fn new(
        parameters: &Parameters,
        segment_length: u32,
        axis: Axis,
        bytes: Bytes,
    ) -> Result<Self, ExpandError> {
        check_length(parameters, segment_length, axis, &bytes)?;
        let shape = Shape::new(parameters, segment_length);
        let symbol = shape.symbol;
        let mut repair = vec![0; shape.shards * symbol - bytes.len()];
        let mut leaves = vec![[0; 32]; shape.shards];
        let keep = |index: usize, piece: Range<usize>, bytes: &[u8]| {
            copy(&mut repair[index * symbol..][piece], bytes);
        };
        Expander::new(shape).hash(axis, &bytes, keep, &mut leaves);
        Ok(ExpandedSliver { symbol, source: bytes, repair: repair.into(), tree: Tree::new(leaves) })
    }

    /// The root that its pair's proof has if this is the sliver that was committed to.
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// The symbol shared with this sliver of the other axis: a slice without a copy.
    ///
    /// # Panics
    /// If the target is not below the shard count.
    pub fn symbol(&self, target: u16) -> Bytes {
        let start = usize::from(target) * self.symbol;
        match start.checked_sub(self.source.len()) {
            None => self.source.slice(start..start + self.symbol),
            Some(start) => self.repair.slice(start..start + self.symbol),
        }
    }

    /// Proves that the symbol for this target stands at its place in the sliver.
    ///
    /// # Panics
    /// If the target is not below the shard count.
    pub fn proof(&self, target: u16) -> Proof {
        self.tree.prove(usize::from(target)).expect("a target is below the shard count")
    }

    /// The symbol for this target with its proof, as sent by the holder of sliver `source`: this one.
    ///
    /// # Panics
    /// If the target is not below the shard count.
    pub fn recovery_symbol(&self, source: u16, target: u16) -> RecoverySymbol {
        RecoverySymbol { source, bytes: self.symbol(target).into(), proof: self.proof(target) }
    }
}

/// The symbols of a sliver for these targets, in their order, without proofs: nothing is hashed. Symbols that the sliver
/// itself holds are slices of it, and if all are, nothing is coded either.
///
/// # Errors
/// [`ExpandError`].
pub fn recovery_symbols(
    parameters: &Parameters,
    segment_length: u32,
    axis: Axis,
    bytes: &Bytes,
    targets: &[u16],
) -> Result<Vec<Bytes>, ExpandError> {
    check_length(parameters, segment_length, axis, bytes)?;
    if let Some(target) = targets.iter().find(|target| **target >= parameters.shards()) {
        return Err(ExpandError::NoSuchSymbol { axis, target: *target });
    }
    let shape = Shape::new(parameters, segment_length);
    let (source, symbol) = (shape.source(axis.other()), shape.symbol);
    let mut wanted: Vec<usize> =
        targets.iter().filter_map(|target| usize::from(*target).checked_sub(source)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let repair = Bytes::from(extend(&shape, axis, bytes, &wanted));
    let slice = |buffer: &Bytes, place: usize| buffer.slice(place * symbol..(place + 1) * symbol);
    let serve = |target: &u16| match usize::from(*target).checked_sub(source) {
        None => slice(bytes, usize::from(*target)),
        Some(index) => slice(&repair, wanted.partition_point(|other| *other < index)),
    };
    Ok(targets.iter().map(serve).collect())
}

/// The wanted repair symbols of a sliver, one after another.
fn extend(shape: &Shape, axis: Axis, bytes: &[u8], wanted: &[usize]) -> Vec<u8> {
    let symbol = shape.symbol;
    let mut symbols = vec![0; wanted.len() * symbol];
    if wanted.is_empty() {
        return symbols;
    }
    let source = shape.source(axis.other());
    if let Some(direct) = Direct::extend([source, shape.shards], wanted, symbol) {
        let given: Vec<_> = bytes.chunks_exact(symbol).collect();
        for (place, target) in symbols.chunks_exact_mut(symbol).enumerate() {
            direct.compute(place, &given, target);
        }
        return symbols;
    }
    let mut extender = Extender::new(source, shape.shards, symbol);
    for piece in extender.pieces() {
        let given = |i: usize| &bytes[i * symbol..][piece.clone()];
        let result = extender.extend(piece.len(), given);
        for (place, index) in symbols.chunks_exact_mut(symbol).zip(wanted) {
            copy(&mut place[piece.clone()], repair(&result, *index));
        }
    }
    symbols
}

fn check_length(
    parameters: &Parameters,
    segment_length: u32,
    axis: Axis,
    bytes: &[u8],
) -> Result<(), ExpandError> {
    let expected = parameters.sliver_bytes(axis, segment_length);
    match bytes.len() {
        found if found == expected => Ok(()),
        found => Err(ExpandError::WrongLength { axis, expected, found }),
    }
}

/// Extends and hashes slivers of equal segments, again and again with the same memory.
#[derive(Debug)]
pub(super) struct Expander {
    shape: Shape,
    primary: Option<Extender>,
    secondary: Option<Extender>,
    hasher: LeafHasher,
}

impl Expander {
    pub(super) fn new(shape: Shape) -> Self {
        let hasher = LeafHasher::new(shape.shards, shape.symbol);
        Expander { shape, primary: None, secondary: None, hasher }
    }

    /// Leaf digests of all symbols of a sliver of the right length; `keep` sees every piece of every repair symbol.
    pub(super) fn hash(
        &mut self,
        axis: Axis,
        bytes: &[u8],
        mut keep: impl FnMut(usize, Range<usize>, &[u8]),
        digests: &mut [Digest],
    ) {
        let Shape { shards, symbol, .. } = self.shape;
        let extender = match axis {
            Axis::Primary => &mut self.primary,
            Axis::Secondary => &mut self.secondary,
        };
        // A sliver is coded along its own direction: a row has as many source symbols as there are columns.
        let source = self.shape.source(axis.other());
        let extender = extender.get_or_insert_with(|| Extender::new(source, shards, symbol));
        let given = |i: usize| &bytes[i * symbol..][..symbol];
        if !extender.is_narrow() {
            return hash_wide(extender, &mut self.hasher, given, keep, digests);
        }
        let result = extender.extend(symbol, given);
        let slot = self.hasher.slot_bytes();
        let symbols = bytes.chunks_exact(symbol).chain(result.recovery_iter());
        for (slot, bytes) in self.hasher.slots_mut().chunks_exact_mut(slot).zip(symbols) {
            copy(&mut slot[..symbol], bytes);
        }
        for (index, bytes) in result.recovery_iter().enumerate() {
            keep(index, 0..symbol, bytes);
        }
        self.hasher.hash_slots(digests);
    }
}
