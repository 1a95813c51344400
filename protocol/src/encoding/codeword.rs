//! Extends rows and columns of the source matrix to codewords, and hashes the symbols of a codeword.
//!
//! Promises: repair symbols equal those of one library call per codeword. Does not: know rows from columns.
//!
//! Narrow symbols are coded in groups that fill a shard of about [`SHARD_BYTES`]; wide ones are coded piece by piece.
//! Either way the library works within the processor's cache, where it is fastest.

use std::ops::Range;

use reed_solomon_simd::EncoderResult;
use reed_solomon_simd::rate::{DefaultRateEncoder, RateEncoder};

use super::engine::FastEngine;
use super::lanes::{CHUNK, LeafHasher};
use super::layout::Layout;
use crate::crypto::Digest;

/// Shard width at which the library codes fastest with a thousand shards: their working set just fits a 2 MiB cache.
const SHARD_BYTES: usize = 1024;
/// Up to this many symbols a codeword's pieces may be [`SHORT_CODEWORD_PIECE`] long and still fit the cache.
const SHORT_CODEWORD: usize = 48;
/// One BLAKE3 chunk for each lane of the widest SIMD.
const SHORT_CODEWORD_PIECE: usize = 16 * CHUNK;

/// Computes repair symbols with one encoder, again and again.
pub(super) struct Extender {
    source: usize,
    total: usize,
    symbol: usize,
    encoder: DefaultRateEncoder<FastEngine>,
    shard: Vec<u8>,
}

impl Extender {
    /// For codewords of `total` symbols of `symbol` bytes, of which the first `source` are given.
    pub(super) fn new(source: usize, total: usize, symbol: usize) -> Self {
        let encoder = DefaultRateEncoder::new(source, total - source, 2, FastEngine::new(), None)
            .expect("the library codes every split of up to 65535 shards into source and repair");
        Extender { source, total, symbol, encoder, shard: Vec::new() }
    }

    /// Whether symbols are coded in groups rather than in pieces.
    pub(super) fn is_narrow(&self) -> bool {
        self.symbol <= CHUNK
    }

    /// Cuts a range of codewords into even groups of narrow symbols.
    pub(super) fn groups(
        &self,
        codewords: Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> + use<> {
        let count = codewords.len();
        let groups =
            (count * self.symbol).div_ceil(SHARD_BYTES + SHARD_BYTES / 4).clamp(1, count.max(1));
        let cut = move |i: usize| codewords.start + i * count / groups;
        (0..groups).map(move |i| cut(i)..cut(i + 1)).filter(|group| !group.is_empty())
    }

    /// Cuts wide symbols into pieces.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let step = if self.total <= SHORT_CODEWORD { SHORT_CODEWORD_PIECE } else { SHARD_BYTES };
        let symbol = self.symbol;
        (0..symbol).step_by(step).map(move |start| start..symbol.min(start + step))
    }

    /// Extends a group of codewords, packed as the layout says: `pack` puts their `i`-th source symbols into a shard.
    pub(super) fn extend_group(
        &mut self,
        group: usize,
        pack: impl Fn(usize, &Layout, &mut [u8]),
    ) -> (Layout, EncoderResult<'_>) {
        let layout = Layout::new(self.symbol, group);
        let bytes = layout.shard_bytes();
        self.reset(bytes);
        self.shard.resize(bytes, 0);
        for i in 0..self.source {
            pack(i, &layout, &mut self.shard);
            self.encoder
                .add_original_shard(&self.shard)
                .expect("the shard is as long as announced");
        }
        (layout, self.encode())
    }

    /// Extends one codeword, or the same piece of all its symbols.
    pub(super) fn extend<'a>(
        &mut self,
        bytes: usize,
        symbol: impl Fn(usize) -> &'a [u8],
    ) -> EncoderResult<'_> {
        self.reset(bytes);
        for i in 0..self.source {
            self.encoder.add_original_shard(symbol(i)).expect("the shard is as long as announced");
        }
        self.encode()
    }

    fn reset(&mut self, bytes: usize) {
        self.encoder
            .reset(self.source, self.total - self.source, bytes)
            .expect("the counts were accepted before and symbol sizes are even");
    }

    fn encode(&mut self) -> EncoderResult<'_> {
        self.encoder.encode().expect("all source shards were added")
    }
}

impl std::fmt::Debug for Extender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Extender { source, total, symbol, .. } = self;
        write!(formatter, "Extender({source} of {total} symbols of {symbol} bytes)")
    }
}

/// A repair symbol that the library has just computed.
pub(super) fn repair<'a>(result: &'a EncoderResult<'_>, index: usize) -> &'a [u8] {
    result.recovery(index).expect("there are as many repair symbols as were asked for")
}

/// Leaf digests of all symbols of one codeword of wide symbols; `keep` sees every piece of every repair symbol.
pub(super) fn hash_wide<'a>(
    extender: &mut Extender,
    hasher: &mut LeafHasher,
    symbol: impl Fn(usize) -> &'a [u8],
    mut keep: impl FnMut(usize, Range<usize>, &[u8]),
    digests: &mut [Digest],
) {
    let source = extender.source;
    for piece in extender.pieces() {
        let result = extender.extend(piece.len(), |i| &symbol(i)[piece.clone()]);
        hasher.absorb(piece.start, |i| match i.checked_sub(source) {
            None => &symbol(i)[piece.clone()],
            Some(index) => repair(&result, index),
        });
        for (index, bytes) in result.recovery_iter().enumerate() {
            keep(index, piece.clone(), bytes);
        }
    }
    hasher.hash_absorbed(digests);
}
