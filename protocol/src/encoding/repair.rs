//! Recovery of a sliver from the symbols that it shares with slivers of the other axis.
//!
//! Promises: enough symbols of one honest encoding, whichever they are, give back the sliver; a symbol that verifies is
//! the one its source sliver was committed with. Does not: notice unproved symbols that are wrong; the caller checks the
//! sliver against its root with [`super::SliverVerifier`].
//!
//! Primary sliver `i` comes from any `S` symbols `(i, j)` of secondary slivers `j`, secondary sliver `j` from any `P`
//! symbols `(i, j)` of primary slivers `i`.

use bytes::Bytes;

use super::decoder::decode_matrix;
use super::matrix::Shape;
use super::parameters::Parameters;
use crate::crypto::{self, Digest};
use crate::merkle::Proof;
use crate::sliver::Axis;

/// Why symbols do not recover a sliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// Too few.
    #[error("{found} symbols do not recover a {axis} sliver; {needed} do")]
    TooFew {
        /// Which kind of sliver is recovered.
        axis: Axis,
        /// How many symbols came.
        found: usize,
        /// How many are enough.
        needed: usize,
    },
    /// The sliver a symbol is said to come from is past the last shard.
    #[error("there is no {axis} sliver {source_sliver} for a symbol to come from")]
    NoSuchSource {
        /// Which kind of sliver the symbol comes from.
        axis: Axis,
        /// The index that came.
        source_sliver: u16,
    },
    /// Two symbols of the same sliver.
    #[error("{axis} sliver {source_sliver} gave two symbols")]
    Duplicate {
        /// Which kind of sliver the symbols come from.
        axis: Axis,
        /// The sliver.
        source_sliver: u16,
    },
    /// Not of the size that the segment's length asks for.
    #[error("the symbol of {axis} sliver {source_sliver} has {found} bytes instead of {expected}")]
    WrongLength {
        /// Which kind of sliver the symbol comes from.
        axis: Axis,
        /// The sliver.
        source_sliver: u16,
        /// What the segment's length asks for.
        expected: usize,
        /// What came.
        found: usize,
    },
}

/// Rebuilds a sliver of this axis from symbols that it shares with slivers of the other axis, each with the index of that
/// sliver. More than enough are welcome and cost nothing: those that the sliver itself holds are used first.
///
/// The segment's length is in bytes. Nothing is proved: symbols that do not belong together give a wrong sliver.
///
/// # Errors
/// [`RecoverError`].
pub fn recover_sliver(
    parameters: &Parameters,
    segment_length: u32,
    axis: Axis,
    symbols: &[(u16, impl AsRef<[u8]>)],
) -> Result<Bytes, RecoverError> {
    check(parameters, segment_length, axis, symbols)?;
    let shape = Shape::new(parameters, segment_length);
    // A sliver is decoded like a matrix of a single line, across which the other slivers are one symbol long.
    let line = match axis {
        Axis::Primary => Shape { rows: 1, ..shape },
        Axis::Secondary => Shape { columns: 1, ..shape },
    };
    let mut chosen: Vec<_> =
        symbols.iter().map(|(source, bytes)| (usize::from(*source), bytes.as_ref())).collect();
    chosen.sort_unstable_by_key(|(source, _)| *source);
    chosen.truncate(line.source(axis.other()));
    let mut sliver = vec![0; line.rows * line.row_bytes()];
    decode_matrix(&line, axis.other(), &chosen, &mut sliver, |_| ());
    Ok(sliver.into())
}

fn check(
    parameters: &Parameters,
    segment_length: u32,
    axis: Axis,
    symbols: &[(u16, impl AsRef<[u8]>)],
) -> Result<(), RecoverError> {
    let expected = Shape::new(parameters, segment_length).symbol;
    let mut seen = vec![false; usize::from(parameters.shards())];
    for (source_sliver, bytes) in symbols {
        let (axis, source_sliver, found) = (axis.other(), *source_sliver, bytes.as_ref().len());
        let Some(seen) = seen.get_mut(usize::from(source_sliver)) else {
            return Err(RecoverError::NoSuchSource { axis, source_sliver });
        };
        if std::mem::replace(seen, true) {
            return Err(RecoverError::Duplicate { axis, source_sliver });
        }
        if found != expected {
            return Err(RecoverError::WrongLength { axis, source_sliver, expected, found });
        }
    }
    let needed = usize::from(parameters.sliver_symbols(axis));
    match symbols.len() {
        found if found < needed => Err(RecoverError::TooFew { axis, found, needed }),
        _ => Ok(()),
    }
}

/// A symbol for the recovery of a sliver, with the proof that its source sliver was committed with it.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct RecoverySymbol {
    /// Index of the sliver it comes from, on the other axis than the sliver to recover.
    pub source: u16,
    /// The symbol.
    pub bytes: Vec<u8>,
    /// Its place in the tree of the source sliver.
    pub proof: Proof,
}

/// Why a symbol is not the one committed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// The sliver to recover is past the last shard.
    #[error("there is no {axis} sliver {target} to recover")]
    NoSuchTarget {
        /// Which kind of sliver is to be recovered.
        axis: Axis,
        /// The index that was claimed.
        target: u16,
    },
    /// The sliver it is said to come from is past the last shard.
    #[error("there is no {axis} sliver {source_sliver} for a symbol to come from")]
    NoSuchSource {
        /// Which kind of sliver the symbol comes from.
        axis: Axis,
        /// The index that was claimed.
        source_sliver: u16,
    },
    /// Not of the size that the segment's length asks for.
    #[error("the symbol of {axis} sliver {source_sliver} has {found} bytes instead of {expected}")]
    WrongLength {
        /// Which kind of sliver the symbol comes from.
        axis: Axis,
        /// The sliver.
        source_sliver: u16,
        /// What the segment's length asks for.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// Another symbol than the source sliver was committed with, or a wrong proof.
    #[error("symbol {target} of {axis} sliver {source_sliver} does not match its root")]
    WrongProof {
        /// Which kind of sliver the symbol comes from.
        axis: Axis,
        /// The sliver.
        source_sliver: u16,
        /// The symbol's place in it: the sliver to recover.
        target: u16,
    },
}

impl RecoverySymbol {
    /// Whether this is the symbol for the recovery of sliver `target` of this axis with which its source, the sliver with
    /// this root, was committed. The segment's length is in bytes.
    ///
    /// # Errors
    /// [`SymbolError`].
    pub fn verify(
        &self,
        parameters: &Parameters,
        segment_length: u32,
        axis: Axis,
        target: u16,
        root: &Digest,
    ) -> Result<(), SymbolError> {
        self.check_place(parameters, axis, target)?;
        let shards = parameters.shards();
        let (axis, source_sliver, found) = (axis.other(), self.source, self.bytes.len());
        let expected = Shape::new(parameters, segment_length).symbol;
        if found != expected {
            return Err(SymbolError::WrongLength { axis, source_sliver, expected, found });
        }
        let leaf = crypto::hash_symbol(&self.bytes);
        if self.proof.verify(&leaf, usize::from(target), usize::from(shards), root) {
            Ok(())
        } else {
            Err(SymbolError::WrongProof { axis, source_sliver, target })
        }
    }

    /// Whether there are such slivers to come from and to recover.
    ///
    /// # Errors
    /// [`SymbolError::NoSuchTarget`] and [`SymbolError::NoSuchSource`].
    pub fn check_place(
        &self,
        parameters: &Parameters,
        axis: Axis,
        target: u16,
    ) -> Result<(), SymbolError> {
        if target >= parameters.shards() {
            return Err(SymbolError::NoSuchTarget { axis, target });
        }
        if self.source >= parameters.shards() {
            let (axis, source_sliver) = (axis.other(), self.source);
            return Err(SymbolError::NoSuchSource { axis, source_sliver });
        }
        Ok(())
    }
}
