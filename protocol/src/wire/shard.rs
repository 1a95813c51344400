//! `shard/1`: what shards hold, on its way from their former owners to the new ones, a page at a time.
//!
//! One [`Request`] frame with a page of what the new owner lacks. Then, in the order of its entries, what each asks for in
//! turn: the blob's header if it is wanted, [`Reply::Header`] and its raw bytes; for each shard the whole pair,
//! [`Reply::Pair`] and raw bytes, which are its proof, its primary and its secondary sliver; of a short blob, one
//! [`Reply::Short`] for all its shards together. In place of a pair may be [`Reply::Missing`], in place of all that an entry
//! asks for [`Reply::Absent`]. After the last one comes [`Reply::End`]. Any time the node may say [`Reply::Refused`] and end
//! the stream.
//!
//! Promises: a page is bounded in entries, pairs and bytes, and fits a small frame; how many raw bytes follow is known from
//! the request and the blob's length. Does not: keep a place between two pages (what is missing says where to go on), or
//! verify what came.

use std::collections::BTreeSet;

use bincode::{Decode, Encode};
use bytes::Bytes;

use super::{Refusal, TraceContext};
use crate::blob::{BlobHeader, BlobId};
use crate::encoding::Parameters;
use crate::pairs::PairProof;
use crate::sliver::{Axis, PairIndex, ShardIndex, pair_of_shard};

/// Most entries of a page.
pub const ENTRIES_MAX: usize = 256;
/// Most pairs of a page, all entries together. With as many entries as there may be, the frame is still a small one.
pub const PAIRS_MAX: usize = 1024;
/// Most bytes that a page may ask for, unless it asks for one pair alone: some seconds of a thin line, and many round trips
/// of a fast one.
pub const PAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What is missing of one segment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// The bytes of the blob's id.
    pub blob_id: [u8; 32],
    /// Which segment; of a short blob, the first.
    pub segment: u32,
    /// Whether the blob's header is missing, too. That of a short blob comes in any case.
    pub with_header: bool,
    /// The shards whose pairs are missing, in ascending order.
    pub shards: Vec<u16>,
}

/// What the new owner asks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// The page.
    pub entries: Vec<Entry>,
    /// The caller's span.
    pub trace: Option<TraceContext>,
}

/// What the former owner answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// Announces the raw bytes of the header.
    Header {
        /// How many.
        bytes: u32,
    },
    /// Announces the raw bytes of the pair whose turn it is.
    Pair {
        /// How many.
        bytes: u32,
    },
    /// Announces symbols of a short blob: the raw bytes of its header follow, then the symbols in this order, then the proof
    /// that they share.
    Short {
        /// Those of the shards asked for whose symbols the node has, in ascending order of their places in the blob.
        shards: Vec<u16>,
        /// How many bytes the header has.
        header_bytes: u32,
        /// How many bytes the proof has.
        proof_bytes: u32,
    },
    /// The node lacks the pair whose turn it is, or a part of it.
    Missing,
    /// The node lacks all that the entry asks for, or the header that is wanted with it.
    Absent,
    /// Nothing more comes.
    End,
    /// Not this time; the stream ends.
    Refused(Refusal),
}

super::refusable!(Reply);

/// What the parts of a segment count in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The blob's header, in bytes.
    pub header: u64,
    /// One pair with its proof; of a short blob, one symbol with its way to the root.
    pub pair: u64,
}

impl Cost {
    /// Of a segment of a blob of so many bytes.
    pub fn of(parameters: &Parameters, blob_bytes: u64, segment: u32) -> Cost {
        let long = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let header = BlobHeader::bytes_of(blob_bytes, parameters);
        if parameters.is_short(blob_bytes) {
            let length = u32::try_from(blob_bytes).unwrap_or(u32::MAX);
            let symbol = u64::from(parameters.short_symbol_bytes(length));
            return Cost { header, pair: symbol.saturating_add(parameters.symbol_proof_bytes()) };
        }
        let length = parameters.segment_length(blob_bytes, segment);
        let slivers = Axis::BOTH.map(|axis| long(parameters.sliver_bytes(axis, length)));
        let pair =
            slivers.iter().fold(parameters.pair_proof_bytes(), |sum, it| sum.saturating_add(*it));
        Cost { header, pair }
    }

    /// Of an entry that asks for so many pairs.
    pub fn of_pairs(&self, pairs: usize, with_header: bool) -> u64 {
        let pairs = u64::try_from(pairs).unwrap_or(u64::MAX);
        self.pair.saturating_mul(pairs).saturating_add(if with_header { self.header } else { 0 })
    }
}

impl Request {
    /// Whether it is a page that may be asked for in a network of so many shards: each segment of a blob once, each of its
    /// shards once, no more of both than there may be.
    pub fn is_sound(&self, shards: u16) -> bool {
        let segments: BTreeSet<_> =
            self.entries.iter().map(|entry| (entry.blob_id, entry.segment)).collect();
        let is_ascending = |entry: &Entry| entry.shards.windows(2).all(|two| two[0] < two[1]);
        let is_there = |entry: &Entry| entry.shards.last().is_some_and(|last| *last < shards);
        (1..=ENTRIES_MAX).contains(&self.entries.len())
            && segments.len() == self.entries.len()
            && self.pairs() <= PAIRS_MAX
            && self.entries.iter().all(|entry| is_ascending(entry) && is_there(entry))
    }

    /// Pairs that it asks for.
    pub fn pairs(&self) -> usize {
        self.entries.iter().map(|entry| entry.shards.len()).sum()
    }

    /// Whether it asks for no more bytes than a page may; the blobs have these lengths, those without one count nothing.
    pub fn fits(
        &self,
        parameters: &Parameters,
        length_of: impl Fn(&BlobId) -> Option<u64>,
    ) -> bool {
        let bytes = |entry: &Entry| {
            let length = length_of(&BlobId::from_bytes(entry.blob_id))?;
            let cost = Cost::of(parameters, length, entry.segment);
            Some(cost.of_pairs(entry.shards.len(), entry.with_header))
        };
        let all = self.entries.iter().filter_map(bytes).fold(0, u64::saturating_add);
        self.pairs() == 1 || all <= PAGE_BYTES_MAX
    }
}

/// One pair as it is on the wire: its proof, its primary and its secondary sliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairLayout {
    proof: usize,
    primary: usize,
    secondary: usize,
}

impl PairLayout {
    /// Of a shard's pair of a segment of a blob of so many bytes.
    ///
    /// # Panics
    /// If the shard is not below the shard count.
    pub fn new(
        parameters: &Parameters,
        (blob_id, blob_bytes): (&BlobId, u64),
        segment: u32,
        shard: ShardIndex,
    ) -> (PairIndex, Self) {
        let pair = pair_of_shard(parameters, blob_id, segment, shard);
        let length = parameters.segment_length(blob_bytes, segment);
        let [primary, secondary] = Axis::BOTH.map(|axis| parameters.sliver_bytes(axis, length));
        (pair, PairLayout { proof: PairProof::bytes_of(pair, parameters), primary, secondary })
    }

    /// How many raw bytes that is.
    pub fn bytes(&self) -> usize {
        self.proof.saturating_add(self.primary).saturating_add(self.secondary)
    }

    /// The proof and the two slivers in raw bytes of this length, none of them verified.
    ///
    /// # Panics
    /// If the bytes are not as many as [`PairLayout::bytes`].
    pub fn split(&self, bytes: &Bytes) -> (Bytes, [Bytes; 2]) {
        assert_eq!(bytes.len(), self.bytes(), "a layout reads as many bytes as it has");
        let slivers = bytes.slice(self.proof..);
        let pair = [slivers.slice(..self.primary), slivers.slice(self.primary..)];
        (bytes.slice(..self.proof), pair)
    }
}

#[cfg(test)]
mod tests;
