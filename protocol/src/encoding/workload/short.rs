//! Operations on short blobs.

use std::hint::black_box;

use bytes::Bytes;

use super::limits::{all, raw_decode, raw_encode, raw_hash, raw_hash_of};
use super::{Work, Workload};
use crate::encoding::parameters::{Parameters, index};
use crate::encoding::{
    Buffers, EncodedShort, SHORT_BYTES_MAX, ShortEncoder, check_short, decode_short, encode_short,
};

/// What a writer of short blobs keeps for the next.
const KEPT_BYTES: usize = 16 << 20;

/// Nodes among which a sample deals the symbols.
const NODES: u16 = 100;

/// Bytes that look random and are short in their network.
pub(super) struct Short {
    parameters: Parameters,
    bytes: Bytes,
}

impl Short {
    /// # Panics
    /// If no network has short blobs of this length.
    pub(super) fn new(parameters: &Parameters, blob_bytes: u64) -> Self {
        let most = SHORT_BYTES_MAX.min(parameters.segment_bytes());
        let parameters = parameters.with_short_blobs(most).expect("not more than there can be");
        assert!(parameters.is_short(blob_bytes), "{blob_bytes} bytes are not short");
        let length = u32::try_from(blob_bytes).expect("short blobs are short");
        let mut bytes = vec![0; index(length)];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        Short { parameters, bytes: bytes.into() }
    }

    fn length(&self) -> u32 {
        u32::try_from(self.bytes.len()).expect("short blobs are short")
    }

    fn symbol(&self) -> usize {
        index(self.parameters.short_symbol_bytes(self.length()))
    }

    fn shards(&self) -> usize {
        usize::from(self.parameters.shards())
    }

    fn source(&self) -> usize {
        usize::from(self.parameters.primary_source())
    }

    pub(super) fn encode(self) -> Workload {
        // Each symbol once, and a block for each inner node.
        let hashes = raw_hash(self.shards() * (self.symbol() + 64));
        let codeword = raw_encode(self.source(), self.shards(), self.symbol());
        let limit = all(vec![self.content_limit(), codeword, hashes]);
        let mut encoder = ShortEncoder::new(&self.parameters, &Buffers::new(KEPT_BYTES));
        let work = move || {
            black_box(encoder.encode(&self.bytes));
        };
        Workload { work: Box::new(work), limit }
    }

    pub(super) fn decode_systematic(self) -> Workload {
        let data = self.parameters.short_data_symbols(self.length());
        Workload { limit: self.content_limit(), work: self.decode(0..data) }
    }

    pub(super) fn decode_repair(self) -> Workload {
        let (shards, data) =
            (self.parameters.shards(), self.parameters.short_data_symbols(self.length()));
        let codeword = raw_decode(self.source(), self.shards(), self.symbol());
        let limit = all(vec![self.content_limit(), codeword]);
        let repair = self.parameters.primary_source().max(shards - data)..shards;
        let own = 0..data - u16::try_from(repair.len()).expect("not more than the shards");
        Workload { limit, work: self.decode(own.chain(repair)) }
    }

    fn decode(self, indexes: impl Iterator<Item = u16>) -> Work {
        let encoded = encode_short(&self.parameters, &self.bytes);
        let symbols = symbols(&encoded, indexes);
        Box::new(move || {
            decode_short(&self.parameters, encoded.header(), &symbols)
                .expect("the symbols are enough and honest");
        })
    }

    pub(super) fn verify(self) -> Workload {
        let encoded = encode_short(&self.parameters, &self.bytes);
        let shards = self.parameters.shards();
        let indexes: Vec<_> = (0..shards).step_by(usize::from(NODES.min(shards / 2))).collect();
        let symbols = symbols(&encoded, indexes.iter().copied());
        let proof = encoded.prove(&indexes).expect("there are such symbols");
        let blocks = symbols.len() * self.symbol() / 64 + symbols.len() + proof.siblings.len();
        let work = move || {
            let checked = check_short(&self.parameters, encoded.header(), &symbols, &proof);
            black_box(checked.expect("the symbols are honest"));
        };
        Workload { work: Box::new(work), limit: raw_hash(64 * blocks) }
    }

    fn content_limit(&self) -> Work {
        raw_hash_of(vec![self.bytes.clone()])
    }
}

fn symbols(encoded: &EncodedShort, indexes: impl Iterator<Item = u16>) -> Vec<(u16, Bytes)> {
    indexes.map(|index| (index, encoded.symbol(index))).collect()
}
