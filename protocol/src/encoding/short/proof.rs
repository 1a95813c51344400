//! Symbols of short blobs that their holders proved, and proofs that a writer encoded a short blob inconsistently.
//!
//! Promises: symbols that were accepted are those committed to; a proof that checks convinces whoever has the header, and
//! an honest blob has none. Does not: decide what follows.
//!
//! A header is wrong in one of two ways: some `P` committed symbols decode to other content than was committed to, or the
//! content that was committed to encodes to other symbols. Either can be shown with at most about the blob's own bytes.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{EncodedShort, Row, ShortError, encode_short};
use crate::blob::{BlobHeader, SegmentCommitment};
use crate::crypto;
use crate::encoding::parameters::Parameters;
use crate::merkle::{MultiProof, PartialTree};

/// Checks symbols that came together, in ascending order, against the header; gives what their proof tells of the tree.
///
/// # Errors
/// The header is not of a short blob, or some symbol or the proof is not the one committed to.
pub fn check_short(
    parameters: &Parameters,
    header: &BlobHeader,
    symbols: &[(u16, Bytes)],
    proof: &MultiProof,
) -> Result<PartialTree, ShortError> {
    let (row, commitment) = Row::of(parameters, header)?;
    row.check(&commitment, symbols, proof)
}

impl Row {
    fn check(
        &self,
        commitment: &SegmentCommitment,
        symbols: &[(u16, impl AsRef<[u8]>)],
        proof: &MultiProof,
    ) -> Result<PartialTree, ShortError> {
        let mut leaves = Vec::with_capacity(symbols.len());
        for (index, bytes) in symbols {
            self.check_symbol(*index, bytes.as_ref())?;
            let place = usize::from(*index);
            if leaves.last().is_some_and(|(last, _)| *last >= place) {
                return Err(ShortError::OutOfOrder(*index));
            }
            leaves.push((place, crypto::hash_symbol(bytes.as_ref())));
        }
        let opened = proof.open(&leaves, self.shards).ok_or(ShortError::Unproved)?;
        match opened.root() == commitment.slivers_root {
            true => Ok(opened),
            false => Err(ShortError::Unproved),
        }
    }
}

/// The symbols of one short blob that were proved so far.
#[derive(Clone, Debug)]
pub struct ProvedSymbols {
    parameters: Parameters,
    row: Row,
    commitment: SegmentCommitment,
    symbols: BTreeMap<u16, Bytes>,
    known: Option<PartialTree>,
}

/// What proved symbols give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShortDecoded {
    /// The blob that was committed to.
    Blob(Bytes),
    /// Other bytes: the writer is at fault.
    Inconsistent(ShortInconsistency),
}

impl ProvedSymbols {
    /// None yet, of the blob with this header.
    ///
    /// # Errors
    /// The header is not of a short blob.
    pub fn new(parameters: &Parameters, header: &BlobHeader) -> Result<Self, ShortError> {
        let (row, commitment) = Row::of(parameters, header)?;
        let symbols = BTreeMap::new();
        Ok(ProvedSymbols { parameters: *parameters, row, commitment, symbols, known: None })
    }

    /// Adds what one holder sent, in ascending order.
    ///
    /// # Errors
    /// Something that it sent is not what was committed to, and nothing is added: the holder is to blame.
    pub fn add(&mut self, symbols: &[(u16, Bytes)], proof: &MultiProof) -> Result<(), ShortError> {
        let opened = self.row.check(&self.commitment, symbols, proof)?;
        match &mut self.known {
            Some(known) => assert!(known.merge(&opened), "both have the root that was checked"),
            None => self.known = Some(opened),
        }
        self.symbols.extend(symbols.iter().cloned());
        Ok(())
    }

    /// How many symbols were proved, those of padding included.
    pub fn count(&self) -> usize {
        self.symbols.len()
    }

    /// The blob, or the proof that its writer is at fault.
    ///
    /// # Errors
    /// Too few: those that hold the blob's bytes give other content, and `P` are needed to show that the writer is at fault.
    pub fn decode(&self) -> Result<ShortDecoded, ShortError> {
        let given: Vec<(usize, &[u8])> =
            self.symbols.iter().map(|(index, bytes)| (usize::from(*index), &**bytes)).collect();
        let blob = self.row.decode_padded(&given);
        if let Some(blob) = blob.ok().filter(|blob| self.is_content(blob)) {
            return Ok(ShortDecoded::Blob(blob));
        }
        let (found, needed) = (self.symbols.len(), self.row.source);
        let too_few = ShortError::TooFew { found, needed };
        let chosen: Vec<_> = self.symbols.iter().take(needed).collect();
        if chosen.len() < needed {
            return Err(too_few);
        }
        let given: Vec<(usize, &[u8])> =
            chosen.iter().map(|(index, bytes)| (usize::from(**index), &***bytes)).collect();
        let blob = self.row.decode(&given);
        if self.is_content(&blob) {
            return Ok(ShortDecoded::Blob(blob));
        }
        let indexes: Vec<_> = given.iter().map(|(index, _)| *index).collect();
        let proof = self.known.as_ref().and_then(|known| known.prove_many(&indexes));
        let symbols = chosen.iter().map(|(index, bytes)| (**index, bytes.to_vec())).collect();
        let proof = proof.ok_or(too_few)?;
        Ok(ShortDecoded::Inconsistent(ShortInconsistency::Symbols { symbols, proof }))
    }

    fn is_content(&self, blob: &[u8]) -> bool {
        self.row.is_content(&self.parameters, blob, &self.commitment.content)
    }
}

/// What the content of a short blob gives to whoever lacks symbols of it.
#[derive(Clone, Debug)]
pub enum ShortRepair {
    /// All symbols, as they were committed to.
    Symbols(EncodedShort),
    /// They were committed to wrongly: the writer is at fault.
    Inconsistent(ShortInconsistency),
}

/// Recovers all symbols from a blob that was read, or proves that its writer committed to others.
///
/// # Errors
/// The header is not of a short blob, or not of this one: nothing is known about the writer.
pub fn repair_short(
    parameters: &Parameters,
    header: &BlobHeader,
    blob: &[u8],
) -> Result<ShortRepair, ShortError> {
    let (row, commitment) = Row::of(parameters, header)?;
    if blob.len() != row.length || !row.is_content(parameters, blob, &commitment.content) {
        return Err(ShortError::WrongContent);
    }
    let encoded = encode_short(parameters, blob);
    if encoded.commitment() == commitment {
        return Ok(ShortRepair::Symbols(encoded));
    }
    Ok(ShortRepair::Inconsistent(ShortInconsistency::Content { blob: blob.to_vec() }))
}

/// Evidence that the writer of a short blob is at fault, which anyone can check who has the header.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum ShortInconsistency {
    /// These committed symbols decode to other content than was committed to.
    Symbols {
        /// Just as many symbols as decode the row, in ascending order, those of padding as any other.
        symbols: Vec<(u16, Vec<u8>)>,
        /// Their place in the tree.
        proof: MultiProof,
    },
    /// The content that was committed to encodes to other symbols.
    Content {
        /// All of it.
        blob: Vec<u8>,
    },
}

impl ShortInconsistency {
    /// Whether this shows that the writer of the blob with this header is at fault.
    ///
    /// # Errors
    /// The proof shows nothing, for the reason that the error gives.
    pub fn check(&self, parameters: &Parameters, header: &BlobHeader) -> Result<(), ShortError> {
        match self {
            ShortInconsistency::Symbols { symbols, proof } => {
                let (row, commitment) = Row::of(parameters, header)?;
                // Surplus is refused, so that a proof is no larger than needed.
                if symbols.len() != row.source {
                    let (needed, found) = (row.source, symbols.len());
                    return Err(ShortError::WrongCount { needed, found });
                }
                row.check(&commitment, symbols, proof)?;
                let given = symbols.iter().map(|(index, bytes)| (usize::from(*index), &**bytes));
                let blob = row.decode(&given.collect::<Vec<(usize, &[u8])>>());
                match row.is_content(parameters, &blob, &commitment.content) {
                    true => Err(ShortError::Consistent),
                    false => Ok(()),
                }
            }
            ShortInconsistency::Content { blob } => match repair_short(parameters, header, blob)? {
                ShortRepair::Symbols(_) => Err(ShortError::Consistent),
                ShortRepair::Inconsistent(_) => Ok(()),
            },
        }
    }
}
