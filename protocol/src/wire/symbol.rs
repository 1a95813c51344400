//! `symbol/1`: symbols from which a node rebuilds pairs that it lost.
//!
//! One [`Request`] frame, then for each source in its order [`Reply::Symbols`] and raw bytes, or [`Reply::Missing`]; then
//! [`Reply::End`]. A source gives one symbol for each target: the one that its sliver shares with the target's sliver of the
//! other axis. With proofs, the raw bytes begin with the source's pair proof, and each symbol is followed by its way to its
//! sliver's root, so that anybody who has the blob's header can check them. Any time the node may say [`Reply::Refused`]
//! and end the stream.
//!
//! Promises: how many raw bytes follow is known from the request. Does not: verify what came.

use bincode::{Decode, Encode};
use bytes::Bytes;

use super::{Refusal, TraceContext};
use crate::encoding::{Parameters, RecoverySymbol};
use crate::merkle::{self, Proof};
use crate::pairs::{PairProof, PairProofError};
use crate::sliver::{Axis, PairIndex};

/// What a node asks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// The bytes of the blob's id.
    pub blob_id: [u8; 32],
    /// Which segment.
    pub segment: u32,
    /// Which sliver of each source gives symbols.
    pub axis: Axis,
    /// The pairs that give symbols, each at most once.
    pub sources: Vec<u16>,
    /// The pairs that are to be rebuilt, each at most once, and none of them a source.
    pub targets: Vec<u16>,
    /// Whether every symbol is to be proved.
    pub with_proofs: bool,
    /// The caller's span.
    pub trace: Option<TraceContext>,
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// Announces the raw bytes of one source.
    Symbols {
        /// Which pair.
        source: u16,
        /// How many raw bytes follow.
        bytes: u32,
    },
    /// The node lacks that source's sliver, or its proof.
    Missing {
        /// Which pair.
        source: u16,
    },
    /// Nothing more comes.
    End,
    /// Not this time; the stream ends.
    Refused(Refusal),
}

super::refusable!(Reply);

/// The symbols of one source as they are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    proof: usize,
    symbol: usize,
    path: usize,
    targets: usize,
}

impl Layout {
    /// Of what `source` gives to so many targets of a segment of this length, in bytes.
    ///
    /// # Panics
    /// If the source is not below the shard count.
    pub fn new(
        parameters: &Parameters,
        segment_length: u32,
        source: PairIndex,
        targets: usize,
        with_proofs: bool,
    ) -> Self {
        let symbol = usize::try_from(parameters.symbol_bytes(segment_length)).unwrap_or(usize::MAX);
        let (proof, path) = match with_proofs {
            true => (
                PairProof::bytes_of(source, parameters),
                merkle::height(usize::from(parameters.shards())),
            ),
            false => (0, 0),
        };
        Layout { proof, symbol, path, targets }
    }

    /// How many raw bytes that is.
    pub fn bytes(&self) -> usize {
        self.targets.saturating_mul(self.symbol + 32 * self.path).saturating_add(self.proof)
    }

    /// The symbols in raw bytes of this length, in the order of the targets.
    ///
    /// # Panics
    /// If the bytes are not as many as [`Layout::bytes`].
    pub fn symbols(&self, bytes: &Bytes) -> Vec<Bytes> {
        assert_eq!(bytes.len(), self.bytes(), "a layout reads as many bytes as it has");
        let start = |target: usize| self.proof + target * (self.symbol + 32 * self.path);
        (0..self.targets).map(|it| bytes.slice(start(it)..start(it) + self.symbol)).collect()
    }

    /// The pair proof and the proved symbols in raw bytes of this length, none of them verified. `source` is the sliver
    /// that the symbols come from.
    ///
    /// # Errors
    /// The pair proof is none.
    ///
    /// # Panics
    /// If the bytes are not as many as [`Layout::bytes`], or the layout has no proofs.
    pub fn proved(
        &self,
        bytes: &Bytes,
        parameters: &Parameters,
        (pair, axis): (PairIndex, Axis),
    ) -> Result<(PairProof, Vec<RecoverySymbol>), PairProofError> {
        let symbols = self.symbols(bytes);
        let proof = PairProof::from_bytes(&bytes[..self.proof], pair, parameters)?;
        let source = pair.sliver_index(axis, parameters);
        let step = self.symbol + 32 * self.path;
        let proved = symbols.into_iter().enumerate().map(|(place, symbol)| {
            let path = &bytes[self.proof + place * step + self.symbol..][..32 * self.path];
            let siblings = path.as_chunks::<32>().0.to_vec();
            RecoverySymbol { source, bytes: symbol.into(), proof: Proof { siblings } }
        });
        Ok((proof, proved.collect()))
    }
}

#[cfg(test)]
mod tests;
