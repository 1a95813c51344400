//! Keyed BLAKE3 over many equal inputs at once: one input per SIMD lane.
//!
//! Promises: every digest equals `blake3::keyed_hash` of the same bytes. Does not: choose keys or build trees of leaves.
//! Uses `blake3::platform`, which is public but hidden: the one way to fill all lanes with separate short inputs.

use blake3::IncrementCounter;
use blake3::platform::Platform;

use crate::crypto::{self, Digest};

/// Bytes of a BLAKE3 block.
const BLOCK: usize = 64;
/// Bytes of a BLAKE3 chunk: the leaf of its own tree.
pub(super) const CHUNK: usize = 1024;
/// Inputs gathered for one call: a few times the widest SIMD degree.
const BATCH: usize = 64;

// Flags of the BLAKE3 compression function, from its specification.
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 2;
const PARENT: u8 = 4;
const ROOT: u8 = 8;
const KEYED: u8 = 16;

/// What one call hashes its inputs as.
#[derive(Clone, Copy)]
struct Mode {
    flags: u8,
    start: u8,
    end: u8,
    counter: u64,
    step: IncrementCounter,
}

impl Mode {
    /// Inputs of at most one chunk, whole.
    const WHOLE: Mode = Mode {
        flags: KEYED,
        start: CHUNK_START,
        end: CHUNK_END | ROOT,
        counter: 0,
        step: IncrementCounter::No,
    };

    /// The same chunk of different inputs, each longer than a chunk.
    const fn chunk(counter: u64) -> Mode {
        Mode { end: CHUNK_END, counter, ..Mode::WHOLE }
    }

    /// Consecutive chunks of one input.
    const fn run(counter: u64) -> Mode {
        Mode { step: IncrementCounter::Yes, ..Mode::chunk(counter) }
    }

    /// Parents of chaining values, of which a whole input's last is the root.
    const fn parent(is_root: bool) -> Mode {
        let end = if is_root { ROOT } else { 0 };
        Mode { flags: KEYED | PARENT, start: 0, end, counter: 0, step: IncrementCounter::No }
    }
}

/// Detects the CPU once and keeps the key as words.
#[derive(Clone, Copy, Debug)]
struct Lanes {
    platform: Platform,
    key: [u32; 8],
}

impl Lanes {
    fn new(key: &[u8; 32]) -> Self {
        let (words, _) = key.as_chunks::<4>();
        let word = |i: usize| u32::from_le_bytes(words[i]);
        Lanes { platform: Platform::detect(), key: std::array::from_fn(word) }
    }

    fn hash<const N: usize>(&self, inputs: &[&[u8; N]], mode: Mode, digests: &mut [Digest]) {
        let Mode { flags, start, end, counter, step } = mode;
        let out = digests.as_flattened_mut();
        self.platform.hash_many(inputs, &self.key, counter, step, flags, start, end, out);
    }

    /// Equal inputs that lie one after another; all with the same counter.
    fn hash_contiguous<const N: usize>(&self, inputs: &[u8], mode: Mode, digests: &mut [Digest]) {
        let (inputs, _) = inputs.as_chunks::<N>();
        for (inputs, digests) in inputs.chunks(BATCH).zip(digests.chunks_mut(BATCH)) {
            let mut batch = [&inputs[0]; BATCH];
            for (place, input) in batch.iter_mut().zip(inputs) {
                *place = input;
            }
            self.hash(&batch[..inputs.len()], mode, digests);
        }
    }

    /// Like [`Lanes::hash_contiguous`] with a length known only now: a multiple of a block, at most a chunk.
    fn hash_slots(&self, slots: &[u8], slot: usize, mode: Mode, digests: &mut [Digest]) {
        macro_rules! by_blocks {
            ($($blocks:literal)*) => {
                match slot / BLOCK {
                    $($blocks => self.hash_contiguous::<{ $blocks * BLOCK }>(slots, mode, digests),)*
                    _ => unreachable!("a slot is one to sixteen blocks"),
                }
            };
        }
        by_blocks!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
    }
}

/// Replaces every two digests by the keyed hash of both, and the length by half of it.
pub(crate) fn hash_pairs_in_place(key: &[u8; 32], digests: &mut Vec<Digest>) {
    let lanes = Lanes::new(key);
    let pairs = digests.len() / 2;
    let mut parents = [[0; 32]; BATCH];
    for first in (0..pairs).step_by(BATCH) {
        let count = BATCH.min(pairs - first);
        let children = digests[2 * first..2 * (first + count)].as_flattened();
        lanes.hash_contiguous::<BLOCK>(children, Mode::WHOLE, &mut parents[..count]);
        digests[first..first + count].copy_from_slice(&parents[..count]);
    }
    digests.truncate(pairs);
}

/// Leaf digests of symbols of whole blocks that lie one after another.
pub(super) fn hash_leaves(symbol: usize, symbols: &[u8], digests: &mut [Digest]) {
    if symbol <= CHUNK {
        let lanes = Lanes::new(crypto::role::symbol_key());
        return lanes.hash_slots(symbols, symbol, Mode::WHOLE, digests);
    }
    let mut hasher = LeafHasher::new(digests.len(), symbol);
    hasher.absorb(0, |i| &symbols[i * symbol..][..symbol]);
    hasher.hash_absorbed(digests);
}

/// Leaf digests of equal symbols, each zero-padded to whole blocks.
///
/// Symbols of up to a chunk are copied into slots and hashed together; longer ones are absorbed piece by piece, so that
/// they need never be in memory whole.
#[derive(Debug)]
pub(super) struct LeafHasher {
    lanes: Lanes,
    count: usize,
    symbol: usize,
    /// Bytes of a slot: the padded symbol, or the padded last chunk of one longer than a chunk.
    slot: usize,
    slots: Vec<u8>,
    /// Chunks of a padded symbol.
    chunks: usize,
    /// Chaining values of the chunks, symbol by symbol; empty if a symbol is one chunk.
    chaining: Vec<Digest>,
}

impl LeafHasher {
    /// For `count` symbols of `symbol` bytes.
    pub(super) fn new(count: usize, symbol: usize) -> Self {
        let padded = symbol.next_multiple_of(BLOCK);
        let chunks = padded.div_ceil(CHUNK);
        let slot = padded - (chunks - 1) * CHUNK;
        let chaining = if chunks > 1 { vec![[0; 32]; count * chunks] } else { Vec::new() };
        let lanes = Lanes::new(crypto::role::symbol_key());
        LeafHasher { lanes, count, symbol, slot, slots: vec![0; count * slot], chunks, chaining }
    }

    /// Where the symbols go, one per step of [`LeafHasher::slot_bytes`]; the padding stays zero. For symbols of one chunk.
    pub(super) fn slots_mut(&mut self) -> &mut [u8] {
        &mut self.slots
    }

    /// Distance from one symbol to the next in [`LeafHasher::slots_mut`].
    pub(super) fn slot_bytes(&self) -> usize {
        self.slot
    }

    /// Digests of the symbols in the slots.
    pub(super) fn hash_slots(&self, digests: &mut [Digest]) {
        self.lanes.hash_slots(&self.slots, self.slot, Mode::WHOLE, digests);
    }

    /// Takes the bytes from `start`, a multiple of a chunk, of every symbol; all pieces are equally long and end either
    /// at a multiple of a chunk or with the symbol.
    pub(super) fn absorb<'a>(&mut self, start: usize, piece: impl Fn(usize) -> &'a [u8]) {
        let first = start / CHUNK;
        let bytes = piece(0).len();
        let is_last = start + bytes == self.symbol;
        let full = if is_last { self.chunks - 1 - first } else { bytes / CHUNK };
        if full >= self.lanes.platform.simd_degree() {
            self.absorb_runs(first, full, &piece);
        } else {
            for chunk in 0..full {
                self.absorb_chunk(first + chunk, |i| &piece(i)[chunk * CHUNK..]);
            }
        }
        if is_last {
            self.absorb_tail(|i| &piece(i)[full * CHUNK..]);
        }
    }

    /// Consecutive chunks of each symbol in the lanes.
    fn absorb_runs<'a>(&mut self, first: usize, full: usize, piece: impl Fn(usize) -> &'a [u8]) {
        for symbol in 0..self.count {
            let (chunks, _) = piece(symbol)[..full * CHUNK].as_chunks::<CHUNK>();
            let digests = &mut self.chaining[symbol * self.chunks + first..][..full];
            let starts = (first..).step_by(BATCH);
            for ((start, run), digests) in
                starts.zip(chunks.chunks(BATCH)).zip(digests.chunks_mut(BATCH))
            {
                let mut batch = [&run[0]; BATCH];
                for (place, chunk) in batch.iter_mut().zip(run) {
                    *place = chunk;
                }
                self.lanes.hash(&batch[..run.len()], Mode::run(start as u64), digests);
            }
        }
    }

    /// The same chunk of many symbols in the lanes.
    fn absorb_chunk<'a>(&mut self, chunk: usize, bytes: impl Fn(usize) -> &'a [u8]) {
        let mut digests = [[0; 32]; BATCH];
        for first in (0..self.count).step_by(BATCH) {
            let count = BATCH.min(self.count - first);
            let input = |i: usize| bytes(i).first_chunk::<CHUNK>().expect("the chunk is full");
            let mut batch = [input(first); BATCH];
            for (place, symbol) in batch.iter_mut().zip(first..first + count) {
                *place = input(symbol);
            }
            self.lanes.hash(&batch[..count], Mode::chunk(chunk as u64), &mut digests[..count]);
            self.keep(first, chunk, &digests[..count]);
        }
    }

    /// The last chunk of every symbol, padded.
    fn absorb_tail<'a>(&mut self, bytes: impl Fn(usize) -> &'a [u8]) {
        for (symbol, slot) in self.slots.chunks_exact_mut(self.slot).enumerate() {
            let tail = bytes(symbol);
            slot[..tail.len()].copy_from_slice(tail);
        }
        let chunk = self.chunks - 1;
        let mut digests = vec![[0; 32]; self.count];
        let mode = Mode::chunk(chunk as u64);
        self.lanes.hash_slots(&self.slots, self.slot, mode, &mut digests);
        self.keep(0, chunk, &digests);
    }

    fn keep(&mut self, first: usize, chunk: usize, digests: &[Digest]) {
        for (symbol, digest) in (first..).zip(digests) {
            self.chaining[symbol * self.chunks + chunk] = *digest;
        }
    }

    /// Digests of the absorbed symbols.
    pub(super) fn hash_absorbed(&mut self, digests: &mut [Digest]) {
        let mut width = self.chunks;
        while width > 1 {
            self.merge_level(width);
            width = width.div_ceil(2);
        }
        digests.copy_from_slice(&self.chaining[..self.count]);
    }

    /// Pairs the chaining values of each symbol; an odd one rises unchanged, as BLAKE3's tree has it.
    fn merge_level(&mut self, width: usize) {
        let (pairs, next) = (width / 2, width.div_ceil(2));
        let mode = Mode::parent(width == 2);
        let mut parents = [[0; 32]; BATCH];
        let all = self.count * pairs;
        for first in (0..all).step_by(BATCH) {
            let count = BATCH.min(all - first);
            let children = |i: usize| {
                let place = i / pairs * width + i % pairs * 2;
                let pair = self.chaining[place..place + 2].as_flattened();
                pair.first_chunk::<BLOCK>().expect("two digests are one block")
            };
            let mut batch = [children(first); BATCH];
            for (place, pair) in batch.iter_mut().zip(first..first + count) {
                *place = children(pair);
            }
            self.lanes.hash(&batch[..count], mode, &mut parents[..count]);
            for (i, parent) in (first..).zip(&parents[..count]) {
                // Never overtakes a child still to be read: parents are fewer than children.
                self.chaining[i / pairs * next + i % pairs] = *parent;
                if width % 2 == 1 && i % pairs == pairs - 1 {
                    let symbol = i / pairs;
                    self.chaining[symbol * next + pairs] =
                        self.chaining[symbol * width + width - 1];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(count: usize, bytes: usize) -> Vec<Vec<u8>> {
        let byte = |i: usize, j: usize| (i * 31 + j * 7 + j / 256).to_le_bytes()[0];
        (0..count).map(|i| (0..bytes).map(|j| byte(i, j)).collect()).collect()
    }

    fn expected(symbols: &[Vec<u8>]) -> Vec<Digest> {
        let hash = |symbol: &Vec<u8>| {
            let mut padded = symbol.clone();
            padded.resize(symbol.len().next_multiple_of(BLOCK), 0);
            *blake3::keyed_hash(crypto::role::symbol_key(), &padded).as_bytes()
        };
        symbols.iter().map(hash).collect()
    }

    #[test]
    fn symbols_of_one_chunk_hash_as_the_library_hashes_them() {
        for bytes in [2, 6, 62, 64, 66, 152, 500, 960, 962, 1022, 1024] {
            for count in [1, 4, 10, 65, 200] {
                let symbols = symbols(count, bytes);
                let mut hasher = LeafHasher::new(count, bytes);
                let slot = hasher.slot_bytes();
                for (slot, symbol) in hasher.slots_mut().chunks_mut(slot).zip(&symbols) {
                    slot[..bytes].copy_from_slice(symbol);
                }
                let mut digests = vec![[0; 32]; count];
                hasher.hash_slots(&mut digests);
                assert_eq!(digests, expected(&symbols), "{count} symbols of {bytes} bytes");
            }
        }
    }

    #[test]
    fn longer_symbols_hash_as_the_library_hashes_them_however_they_are_cut() {
        for bytes in [1026, 1086, 2046, 2048, 2050, 5000, 14730, 37450, 81920, 70_000] {
            for (count, step) in [(4, 1024), (4, 16384), (10, 20480), (70, 1024), (70, 81920)] {
                let symbols = symbols(count, bytes);
                let mut hasher = LeafHasher::new(count, bytes);
                let mut digests = vec![[0; 32]; count];
                for _again in 0..2 {
                    for start in (0..bytes).step_by(step) {
                        let end = (start + step).min(bytes);
                        hasher.absorb(start, |i| &symbols[i][start..end]);
                    }
                    hasher.hash_absorbed(&mut digests);
                    assert_eq!(digests, expected(&symbols), "{count} of {bytes} by {step}");
                }
            }
        }
    }

    #[test]
    fn symbols_that_lie_in_a_row_hash_as_the_library_hashes_them() {
        for (count, bytes) in [(1, 64), (70, 128), (10, 1024), (10, 1088), (4, 1 << 15), (70, 2048)]
        {
            let symbols = symbols(count, bytes);
            let mut digests = vec![[0; 32]; count];
            hash_leaves(bytes, &symbols.concat(), &mut digests);
            assert_eq!(digests, expected(&symbols), "{count} symbols of {bytes} bytes");
        }
    }

    #[test]
    fn pairs_hash_as_inner_nodes() {
        let key = crypto::role::node_key();
        let leaves = expected(&symbols(300, 64));
        let mut folded = leaves.clone();
        hash_pairs_in_place(key, &mut folded);
        let parent = |pair: &[Digest]| crypto::hash_node(&pair[0], &pair[1]);
        assert_eq!(folded, leaves.chunks(2).map(parent).collect::<Vec<_>>());
    }
}
