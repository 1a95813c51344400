//! Short blobs: one row of symbols, each with its place in one Merkle tree.
//!
//! Promises: the code of `protocol.md` section 3 for encoding 3, the same bytes on every machine; a thousand hashes for a
//! thousand shards. Does not: know who holds which symbol.
//!
//! `P` symbols of whole blocks hold the blob and zeros after it, and are extended to `n`. The root over all of them takes
//! the place of a segment's `slivers_root`. Whoever recovers a symbol fetches the whole blob, so nothing here is recovered
//! from less.

mod decode;
mod proof;

use bytes::Bytes;

use super::buffers::Buffers;
use super::codeword::Extender;
use super::parameters::{Parameters, index};
use super::{SegmentPosition, content_digest, lanes};
use crate::blob::{BlobHeader, Encoding, SegmentCommitment};
use crate::crypto::Digest;
use crate::merkle::{MultiProof, Tree};

pub use decode::{ShortError, decode_short, decode_short_committed};
pub use proof::{
    ProvedSymbols, ShortDecoded, ShortInconsistency, ShortRepair, check_short, repair_short,
};

/// The sizes of one short blob, ready for indexing.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// `n`: all symbols.
    shards: usize,
    /// `P`: symbols that decode the row.
    source: usize,
    /// Symbols that hold the blob's bytes.
    data: usize,
    /// `s`: bytes of a symbol.
    symbol: usize,
    /// Bytes of the blob.
    length: usize,
}

impl Row {
    fn new(parameters: &Parameters, length: u32) -> Self {
        Row {
            shards: usize::from(parameters.shards()),
            source: usize::from(parameters.primary_source()),
            data: usize::from(parameters.short_data_symbols(length)),
            symbol: index(parameters.short_symbol_bytes(length)),
            length: index(length),
        }
    }

    /// Of the blob with this header, and what the header says of it.
    fn of(
        parameters: &Parameters,
        header: &BlobHeader,
    ) -> Result<(Self, SegmentCommitment), ShortError> {
        match (header.encoding, &*header.segments, u32::try_from(header.length)) {
            (Encoding::Short, [commitment], Ok(length)) if parameters.is_short(header.length) => {
                Ok((Row::new(parameters, length), *commitment))
            }
            _ => Err(ShortError::NotShort(header.length)),
        }
    }
}

/// A short blob with all its symbols and their tree.
#[derive(Clone, Debug)]
pub struct EncodedShort {
    header: BlobHeader,
    symbol: usize,
    symbols: Bytes,
    tree: Tree,
}

impl EncodedShort {
    /// The blob's header.
    pub fn header(&self) -> &BlobHeader {
        &self.header
    }

    /// What the header says of the one segment.
    pub fn commitment(&self) -> SegmentCommitment {
        self.header.segments[0]
    }

    /// A symbol: a slice without a copy.
    ///
    /// # Panics
    /// If the symbol is not below the shard count.
    pub fn symbol(&self, index: u16) -> Bytes {
        let start = usize::from(index) * self.symbol;
        self.symbols.slice(start..start + self.symbol)
    }

    /// Proves symbols, named in ascending order, each once; `None` if they are none, out of order or past the last shard.
    pub fn prove(&self, indexes: &[u16]) -> Option<MultiProof> {
        let indexes: Vec<_> = indexes.iter().copied().map(usize::from).collect();
        self.tree.prove_many(&indexes)
    }

    /// Which of these symbols are not the blob's: what a reader who has the blob knows of those that sent them.
    pub fn wrong_among(&self, symbols: &[(u16, Bytes)]) -> Vec<u16> {
        let right = |index: &u16| {
            let start = usize::from(*index) * self.symbol;
            self.symbols.get(start..start + self.symbol)
        };
        let is_wrong = |(index, bytes): &&(u16, Bytes)| right(index) != Some(&**bytes);
        symbols.iter().filter(is_wrong).map(|(index, _)| *index).collect()
    }
}

/// Encodes one short blob after another of one network, in memory that was used before.
#[derive(Debug)]
pub struct ShortEncoder {
    parameters: Parameters,
    extender: Extender,
    buffers: Buffers,
}

impl ShortEncoder {
    /// For short blobs of this network. An encoded blob takes about three times its own bytes, and 192 bytes a shard more.
    pub fn new(parameters: &Parameters, buffers: &Buffers) -> Self {
        let (source, total) = (parameters.primary_source(), parameters.shards());
        let symbol = index(parameters.short_symbol_bytes(parameters.short_bytes_max()));
        let extender = Extender::new(usize::from(source), usize::from(total), symbol);
        ShortEncoder { parameters: *parameters, extender, buffers: buffers.clone() }
    }

    /// All symbols, their tree and the header.
    ///
    /// # Panics
    /// If the blob is not short in this network.
    pub fn encode(&mut self, blob: &[u8]) -> EncodedShort {
        let length = self.check(blob);
        let row = Row::new(&self.parameters, length);
        let mut symbols = self.buffers.take(row.shards * row.symbol);
        self.extend(&row, blob, &mut symbols);
        let mut leaves = vec![[0; 32]; row.shards];
        lanes::hash_leaves(row.symbol, &symbols, &mut leaves);
        let tree = Tree::new(leaves);
        let header = self.header(blob, tree.root());
        EncodedShort { header, symbol: row.symbol, symbols: self.buffers.share(symbols), tree }
    }

    /// Only the header.
    ///
    /// # Panics
    /// If the blob is not short in this network.
    pub fn identify(&mut self, blob: &[u8]) -> BlobHeader {
        self.encode(blob).header
    }

    fn check(&self, blob: &[u8]) -> u32 {
        let length = u32::try_from(blob.len()).ok();
        length
            .filter(|length| self.parameters.is_short(u64::from(*length)))
            .unwrap_or_else(|| panic!("a blob of {} bytes is not short here", blob.len()))
    }

    /// Fills the row. It fits the processor's cache whole, so there is nothing to cut or to group.
    fn extend(&mut self, row: &Row, blob: &[u8], symbols: &mut [u8]) {
        let (given, computed) = symbols.split_at_mut(row.source * row.symbol);
        given[..row.length].copy_from_slice(blob);
        given[row.length..].fill(0);
        let result = self.extender.extend(row.symbol, |i| &given[i * row.symbol..][..row.symbol]);
        for (symbol, shard) in computed.chunks_exact_mut(row.symbol).zip(result.recovery_iter()) {
            symbol.copy_from_slice(shard);
        }
    }

    fn header(&self, blob: &[u8], root: Digest) -> BlobHeader {
        let position = SegmentPosition { segment: 0, blob_bytes: blob.len() as u64 };
        let content = content_digest(&self.parameters, position, blob);
        let commitment = SegmentCommitment { slivers_root: root, content };
        BlobHeader::new(&self.parameters, position.blob_bytes, vec![commitment])
    }
}

/// All symbols of a short blob, their tree and the header. For many blobs, keep a [`ShortEncoder`].
///
/// # Panics
/// If the blob is not short in this network.
pub fn encode_short(parameters: &Parameters, blob: &[u8]) -> EncodedShort {
    ShortEncoder::new(parameters, &Buffers::new(0)).encode(blob)
}

/// The header of a short blob.
///
/// # Panics
/// If the blob is not short in this network.
pub fn identify_short(parameters: &Parameters, blob: &[u8]) -> BlobHeader {
    encode_short(parameters, blob).header
}
