//! How the symbols of several codewords share one shard of the Reed-Solomon library.
//!
//! The code acts on 2-byte elements, whose low and high bytes the library keeps in the two halves of a 64-byte block; a
//! tail shorter than a block is halved likewise. So whole blocks of many symbols can stand one after another, and the
//! halves of their tails can fill common blocks: one call then codes many symbols, bit for bit as one by one.

/// Bytes of the library's block.
pub(super) const BLOCK: usize = 64;
/// Low (or high) bytes in a block.
const HALF: usize = BLOCK / 2;

/// A shard of `group` symbols of equal size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    symbol: usize,
    group: usize,
}

impl Layout {
    pub(super) fn new(symbol: usize, group: usize) -> Self {
        debug_assert!(symbol.is_multiple_of(2) && group > 0);
        Layout { symbol, group }
    }

    /// Bytes of the shard.
    pub(super) fn shard_bytes(&self) -> usize {
        if self.group == 1 {
            return self.symbol;
        }
        self.whole() * self.group + (self.tail_half() * self.group).div_ceil(HALF) * BLOCK
    }

    /// Whether a shard is just its symbols in a row. A single symbol is: the library halves its tail itself.
    pub(super) fn is_plain(&self) -> bool {
        self.group == 1 || self.tail_half() == 0
    }

    /// Bytes of a symbol in whole blocks.
    fn whole(&self) -> usize {
        self.symbol / BLOCK * BLOCK
    }

    /// Low bytes, and as many high bytes, in a symbol's tail.
    fn tail_half(&self) -> usize {
        self.symbol % BLOCK / 2
    }

    /// Puts symbol `i` of the group in its place.
    pub(super) fn pack(&self, i: usize, symbol: &[u8], shard: &mut [u8]) {
        if self.group == 1 {
            return shard.copy_from_slice(symbol);
        }
        let (whole, half) = (self.whole(), self.tail_half());
        shard[i * whole..(i + 1) * whole].copy_from_slice(&symbol[..whole]);
        let (low, high) = symbol[whole..].split_at(half);
        let blocks = &mut shard[self.group * whole..];
        let mut done = 0;
        while done < half {
            let (block, place, count) = self.run(i, done);
            let block = &mut blocks[block..block + BLOCK];
            block[place..place + count].copy_from_slice(&low[done..done + count]);
            block[HALF + place..HALF + place + count].copy_from_slice(&high[done..done + count]);
            done += count;
        }
    }

    /// Reads symbol `i` of the group from its place.
    pub(super) fn unpack(&self, i: usize, shard: &[u8], symbol: &mut [u8]) {
        if self.group == 1 {
            return symbol.copy_from_slice(shard);
        }
        let (whole, half) = (self.whole(), self.tail_half());
        let (head, tail) = symbol.split_at_mut(whole);
        head.copy_from_slice(&shard[i * whole..(i + 1) * whole]);
        let (low, high) = tail.split_at_mut(half);
        let blocks = &shard[self.group * whole..];
        let mut done = 0;
        while done < half {
            let (block, place, count) = self.run(i, done);
            let block = &blocks[block..block + BLOCK];
            low[done..done + count].copy_from_slice(&block[place..place + count]);
            high[done..done + count].copy_from_slice(&block[HALF + place..HALF + place + count]);
            done += count;
        }
    }

    /// Where the tail of symbol `i` goes on after `done` low bytes: block, place in its halves, and bytes that fit.
    fn run(&self, i: usize, done: usize) -> (usize, usize, usize) {
        let place = i * self.tail_half() + done;
        let room = HALF - place % HALF;
        (place / HALF * BLOCK, place % HALF, room.min(self.tail_half() - done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_come_back_from_any_group() {
        for symbol in [2, 4, 6, 30, 62, 64, 66, 126, 128, 152, 1022] {
            for group in [1, 2, 3, 7, 32, 33] {
                let layout = Layout::new(symbol, group);
                let byte =
                    |i: usize, j: usize| u8::try_from((i * 41 + j) % 255 + 1).expect("a byte");
                let symbols: Vec<Vec<u8>> =
                    (0..group).map(|i| (0..symbol).map(|j| byte(i, j)).collect()).collect();
                let mut shard = vec![0; layout.shard_bytes()];
                for (i, symbol) in symbols.iter().enumerate() {
                    layout.pack(i, symbol, &mut shard);
                }
                let filled = shard.iter().filter(|byte| **byte != 0).count();
                assert_eq!(filled, symbol * group, "no two symbols share a byte");
                for (i, expected) in symbols.iter().enumerate() {
                    let mut found = vec![0; symbol];
                    layout.unpack(i, &shard, &mut found);
                    assert_eq!(&found, expected, "symbol {i} of {group} of {symbol} bytes");
                }
            }
        }
    }
}
