//! Proofs that the writer of a blob encoded one of its segments inconsistently.
//!
//! Promises: a proof that checks shows the writer's fault, whoever made the proof; a segment that was encoded as the
//! protocol says has none. Does not: find out which node lied about an unproved symbol, or say what follows from a proof.
//! Source: `protocol.md` sections 4 and 8.
//!
//! Two things can be wrong. Symbols from their committed places may decode to a **sliver** with another root than the
//! index gives. Or slivers may match the index and decode to **content** with another digest than the commitment gives.

use bytes::Bytes;

use crate::blob::SegmentCommitment;
use crate::encoding::{
    DecodeError, Parameters, RecoverError, RecoverySymbol, SegmentPosition, SliverError,
    SliverVerifier, SymbolError, content_digest, decode_segment, recover_sliver,
};
use crate::sliver::{Axis, SliverIndex};

/// Evidence that anyone can check who has the segment's commitment and its sliver index.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum InconsistencyProof {
    /// These symbols decode to another sliver than was committed to.
    Sliver {
        /// Which kind of sliver.
        axis: Axis,
        /// The sliver.
        sliver: u16,
        /// Just as many symbols as recover it.
        symbols: Vec<RecoverySymbol>,
    },
    /// These slivers, which match the index, decode to other bytes than were committed to.
    Content {
        /// Which kind of slivers.
        axis: Axis,
        /// Just as many slivers as decode the segment, each with its index.
        slivers: Vec<(u16, Vec<u8>)>,
    },
}

/// Why a proof shows nothing, or why there is none to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InconsistencyError {
    /// Past the end of the blob.
    #[error("the blob has no segment {0}")]
    NoSuchSegment(u32),
    /// The index to check against is not the segment's.
    #[error("the sliver index does not match the segment's commitment")]
    WrongIndex,
    /// More symbols or slivers than needed, or fewer.
    #[error("a proof has exactly {needed} symbols or slivers, not {found}")]
    WrongCount {
        /// How many are needed.
        needed: usize,
        /// How many came.
        found: usize,
    },
    /// A symbol is not from its place in a committed sliver.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// The symbols recover nothing.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// A sliver is not the one committed to.
    #[error(transparent)]
    Sliver(#[from] SliverError),
    /// The slivers decode to nothing.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The symbols decode to the sliver that was committed to.
    #[error("the symbols give the {axis} sliver {sliver} that was committed to")]
    ConsistentSliver {
        /// Which kind.
        axis: Axis,
        /// The sliver.
        sliver: u16,
    },
    /// The slivers decode to the content that was committed to.
    #[error("the slivers give the content that was committed to")]
    ConsistentContent,
}

/// What proved symbols give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// The sliver that was committed to.
    Sliver(Bytes),
    /// There is none: the writer is at fault.
    Inconsistent(InconsistencyProof),
}

/// What verified slivers give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// The segment that was committed to.
    Segment(Bytes),
    /// Other bytes: the writer is at fault.
    Inconsistent(InconsistencyProof),
}

/// Recovers a sliver from proved symbols, or proves that the writer left none to recover. Surplus symbols are ignored,
/// those that the sliver itself holds coming first.
///
/// # Errors
/// The index is not the segment's, or the symbols are too few, or one is wrong: nothing is known about the writer. The
/// error names the source of a wrong symbol.
///
/// # Panics
/// If the index is that of a network with fewer shards.
pub fn prove_sliver(
    parameters: &Parameters,
    position: SegmentPosition,
    commitment: &SegmentCommitment,
    index: &SliverIndex,
    axis: Axis,
    sliver: u16,
    mut symbols: Vec<RecoverySymbol>,
) -> Result<Repair, InconsistencyError> {
    check_segment(parameters, position, commitment, index)?;
    symbols.sort_by_key(|symbol| symbol.source);
    symbols.truncate(usize::from(parameters.sliver_symbols(axis)));
    let length = position.length(parameters);
    Ok(match recover(parameters, length, index, axis, sliver, &symbols)? {
        Some(sliver) => Repair::Sliver(sliver),
        None => Repair::Inconsistent(InconsistencyProof::Sliver { axis, sliver, symbols }),
    })
}

/// Decodes a segment from slivers of one axis, or proves that the writer committed to other content. Surplus slivers are
/// ignored, systematic ones coming first.
///
/// # Errors
/// The index is not the segment's, or the slivers are too few, or one does not match the index: nothing is known about
/// the writer. The error names a wrong sliver.
///
/// # Panics
/// If the index is that of a network with fewer shards.
pub fn prove_content(
    parameters: &Parameters,
    position: SegmentPosition,
    commitment: &SegmentCommitment,
    index: &SliverIndex,
    axis: Axis,
    mut slivers: Vec<(u16, Bytes)>,
) -> Result<Decoded, InconsistencyError> {
    check_segment(parameters, position, commitment, index)?;
    slivers.sort_by_key(|(sliver, _)| *sliver);
    slivers.truncate(usize::from(parameters.source(axis)));
    if let Some(segment) = decode(parameters, position, commitment, index, axis, &slivers)? {
        return Ok(Decoded::Segment(segment));
    }
    let slivers = slivers.into_iter().map(|(sliver, bytes)| (sliver, bytes.into())).collect();
    Ok(Decoded::Inconsistent(InconsistencyProof::Content { axis, slivers }))
}

impl InconsistencyProof {
    /// Whether this shows that the writer of the segment with this commitment is at fault.
    ///
    /// # Errors
    /// The proof shows nothing, for the reason that the error gives.
    ///
    /// # Panics
    /// If the index is that of a network with fewer shards.
    pub fn check(
        &self,
        parameters: &Parameters,
        position: SegmentPosition,
        commitment: &SegmentCommitment,
        index: &SliverIndex,
    ) -> Result<(), InconsistencyError> {
        check_segment(parameters, position, commitment, index)?;
        match self {
            InconsistencyProof::Sliver { axis, sliver, symbols } => {
                let (axis, sliver, length) = (*axis, *sliver, position.length(parameters));
                check_count(symbols.len(), parameters.sliver_symbols(axis))?;
                match recover(parameters, length, index, axis, sliver, symbols)? {
                    Some(_) => Err(InconsistencyError::ConsistentSliver { axis, sliver }),
                    None => Ok(()),
                }
            }
            InconsistencyProof::Content { axis, slivers } => {
                check_count(slivers.len(), parameters.source(*axis))?;
                let own = |(sliver, bytes): &(u16, Vec<u8>)| (*sliver, bytes.clone().into());
                let slivers: Vec<_> = slivers.iter().map(own).collect();
                match decode(parameters, position, commitment, index, *axis, &slivers)? {
                    Some(_) => Err(InconsistencyError::ConsistentContent),
                    None => Ok(()),
                }
            }
        }
    }
}

fn check_segment(
    parameters: &Parameters,
    position: SegmentPosition,
    commitment: &SegmentCommitment,
    index: &SliverIndex,
) -> Result<(), InconsistencyError> {
    if u64::from(position.segment) >= parameters.segment_count(position.blob_bytes) {
        return Err(InconsistencyError::NoSuchSegment(position.segment));
    }
    if index.root() != commitment.slivers_root {
        return Err(InconsistencyError::WrongIndex);
    }
    Ok(())
}

/// Surplus is refused, so that a proof is no larger than needed and no part of it goes unused.
fn check_count(found: usize, needed: u16) -> Result<(), InconsistencyError> {
    match usize::from(needed) {
        needed if needed == found => Ok(()),
        needed => Err(InconsistencyError::WrongCount { needed, found }),
    }
}

/// The sliver that was committed to; `None` if these symbols, each from its committed place, decode to another.
fn recover(
    parameters: &Parameters,
    segment_length: u32,
    index: &SliverIndex,
    axis: Axis,
    sliver: u16,
    symbols: &[RecoverySymbol],
) -> Result<Option<Bytes>, InconsistencyError> {
    for symbol in symbols {
        symbol.verify(parameters, segment_length, axis, sliver, index)?;
    }
    let symbols: Vec<_> = symbols.iter().map(|symbol| (symbol.source, &symbol.bytes)).collect();
    let bytes = recover_sliver(parameters, segment_length, axis, &symbols)?;
    let mut verifier = SliverVerifier::new(parameters, segment_length);
    match verifier.verify(axis, sliver, &bytes, index.sliver_root(axis, sliver)) {
        Ok(()) => Ok(Some(bytes)),
        Err(SliverError::WrongRoot { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The segment that was committed to; `None` if these slivers, each matching the index, decode to another.
fn decode(
    parameters: &Parameters,
    position: SegmentPosition,
    commitment: &SegmentCommitment,
    index: &SliverIndex,
    axis: Axis,
    slivers: &[(u16, Bytes)],
) -> Result<Option<Bytes>, InconsistencyError> {
    let length = position.length(parameters);
    let mut verifier = SliverVerifier::new(parameters, length);
    for (sliver, bytes) in slivers {
        if *sliver >= parameters.shards() {
            return Err(SliverError::NoSuchSliver { axis, index: *sliver }.into());
        }
        verifier.verify(axis, *sliver, bytes, index.sliver_root(axis, *sliver))?;
    }
    let segment = decode_segment(parameters, length, axis, slivers)?;
    let is_committed = content_digest(parameters, position, &segment) == commitment.content;
    Ok(is_committed.then_some(segment))
}
