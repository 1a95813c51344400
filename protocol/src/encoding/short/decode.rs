//! Symbols to short blob.
//!
//! Promises: as many symbols as hold the blob's bytes decode it, whichever they are, and the result is what the header
//! commits to; wrong input is an error, never a panic. Does not: say which symbol was wrong when the content is; proofs do.

use bytes::Bytes;

use super::Row;
use crate::blob::BlobHeader;
use crate::crypto::Digest;
use crate::encoding::decoder::decode_matrix;
use crate::encoding::matrix::Shape;
use crate::encoding::parameters::Parameters;
use crate::encoding::{SegmentPosition, content_digest};
use crate::sliver::Axis;

/// Why symbols are not those of a short blob, or do not give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShortError {
    /// A header of segments, or of a length that is not short in this network.
    #[error("the header is not of a short blob of this network; its blob has {0} bytes")]
    NotShort(u64),
    /// Past the last shard.
    #[error("there is no symbol {0}")]
    NoSuchSymbol(u16),
    /// The same symbol twice, or symbols not in ascending order where there is one form.
    #[error("symbol {0} was given twice, or is not in its place in the order")]
    OutOfOrder(u16),
    /// Not of the size that the blob's length asks for.
    #[error("symbol {index} has {found} bytes instead of {expected}")]
    WrongLength {
        /// The symbol.
        index: u16,
        /// What the blob's length asks for.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// Too few.
    #[error("{found} symbols are not enough; {needed} are")]
    TooFew {
        /// How many came that count.
        found: usize,
        /// How many are enough.
        needed: usize,
    },
    /// More symbols than a proof has, or fewer.
    #[error("a proof has exactly {needed} symbols, not {found}")]
    WrongCount {
        /// How many there must be.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// At least one symbol, or the proof, is not the one committed to: whoever sent them is at fault.
    #[error("the symbols do not belong to the blob, or their proof does not")]
    Unproved,
    /// Some symbols are wrong, or the blob was encoded wrongly: what they give is not what was committed to.
    #[error("the symbols decode to other bytes than the blob's header commits to")]
    WrongContent,
    /// A proof that the writer is at fault shows that it is not.
    #[error("the blob is the one that was committed to")]
    Consistent,
}

/// Rebuilds a short blob from as many of its symbols as hold its bytes, whichever they are, and checks it against the
/// header. More are welcome: those that hold the blob's bytes are used first. Symbols of padding are known and not counted.
///
/// # Errors
/// The header is not of a short blob, symbols are too few or not of one blob, or they give other content.
pub fn decode_short(
    parameters: &Parameters,
    header: &BlobHeader,
    symbols: &[(u16, Bytes)],
) -> Result<Bytes, ShortError> {
    let (row, commitment) = Row::of(parameters, header)?;
    let decoded = row.decode_padded(&row.in_order(symbols)?)?;
    row.is_content(parameters, &decoded, &commitment.content)
        .then_some(decoded)
        .ok_or(ShortError::WrongContent)
}

/// Rebuilds a short blob from symbols that were all proved, as they were committed to: padding is not taken for zeros, so as
/// many are needed as decode the row.
///
/// # Errors
/// As [`decode_short`]; content that is not what the header commits to is then the writer's fault.
pub fn decode_short_committed(
    parameters: &Parameters,
    header: &BlobHeader,
    symbols: &[(u16, Bytes)],
) -> Result<Bytes, ShortError> {
    let (row, commitment) = Row::of(parameters, header)?;
    let mut given = row.in_order(symbols)?;
    if given.len() < row.source {
        return Err(ShortError::TooFew { found: given.len(), needed: row.source });
    }
    given.truncate(row.source);
    let decoded = row.decode(&given);
    row.is_content(parameters, &decoded, &commitment.content)
        .then_some(decoded)
        .ok_or(ShortError::WrongContent)
}

impl Row {
    /// Distinct symbols of this row in order.
    fn in_order<'a>(
        &self,
        symbols: &'a [(u16, Bytes)],
    ) -> Result<Vec<(usize, &'a [u8])>, ShortError> {
        let mut given: Vec<(usize, &[u8])> = Vec::with_capacity(symbols.len());
        for (index, bytes) in symbols {
            self.check_symbol(*index, bytes)?;
            given.push((usize::from(*index), bytes));
        }
        given.sort_unstable_by_key(|(index, _)| *index);
        match given.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(twice) => Err(self.out_of_order(twice[0].0)),
            None => Ok(given),
        }
    }

    /// Whether a symbol can be one of this row, by its index and size.
    pub(super) fn check_symbol(&self, index: u16, bytes: &[u8]) -> Result<(), ShortError> {
        if usize::from(index) >= self.shards {
            return Err(ShortError::NoSuchSymbol(index));
        }
        match (self.symbol, bytes.len()) {
            (expected, found) if expected == found => Ok(()),
            (expected, found) => Err(ShortError::WrongLength { index, expected, found }),
        }
    }

    pub(super) fn out_of_order(&self, index: usize) -> ShortError {
        ShortError::OutOfOrder(u16::try_from(index).expect("checked to be below the shard count"))
    }

    /// Whether this symbol is all zeros, as everybody knows.
    pub(super) fn is_padding(&self, index: usize) -> bool {
        (self.data..self.source).contains(&index)
    }

    /// The blob from distinct symbols in order, with zeros in place of those of padding.
    pub(super) fn decode_padded(&self, given: &[(usize, &[u8])]) -> Result<Bytes, ShortError> {
        let zeros = vec![0; self.symbol];
        let counted = given.iter().copied().filter(|(index, _)| !self.is_padding(*index));
        let mut given: Vec<(usize, &[u8])> = counted.take(self.data).collect();
        if given.len() < self.data {
            return Err(ShortError::TooFew { found: given.len(), needed: self.data });
        }
        let known = given.partition_point(|(index, _)| *index < self.data);
        given.splice(known..known, (self.data..self.source).map(|index| (index, &*zeros)));
        Ok(self.decode(&given))
    }

    /// The blob from just as many symbols as decode the row, in order, each as it is.
    pub(super) fn decode(&self, given: &[(usize, &[u8])]) -> Bytes {
        let Row { shards, source: rows, symbol, .. } = *self;
        // A matrix of one column: its rows are the symbols.
        let shape = Shape { shards, rows, columns: 1, symbol };
        let mut blob = vec![0; self.data * symbol];
        decode_matrix(&shape, Axis::Primary, given, &mut blob, |_| ());
        blob.truncate(self.length);
        blob.into()
    }

    pub(super) fn is_content(
        &self,
        parameters: &Parameters,
        blob: &[u8],
        content: &Digest,
    ) -> bool {
        let position = SegmentPosition { segment: 0, blob_bytes: self.length as u64 };
        content_digest(parameters, position, blob) == *content
    }
}
