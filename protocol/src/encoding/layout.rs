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
            return copy(shard, symbol);
        }
        let (whole, half) = (self.whole(), self.tail_half());
        copy(&mut shard[i * whole..(i + 1) * whole], &symbol[..whole]);
        let (low, high) = symbol[whole..].split_at(half);
        let blocks = &mut shard[self.group * whole..];
        let mut done = 0;
        while done < half {
            let (block, place, count) = self.run(i, done);
            let block = &mut blocks[block..block + BLOCK];
            copy_short(&mut block[place..place + count], &low[done..done + count]);
            copy_short(&mut block[HALF + place..HALF + place + count], &high[done..done + count]);
            done += count;
        }
    }

    /// Reads symbol `i` of the group from its place.
    pub(super) fn unpack(&self, i: usize, shard: &[u8], symbol: &mut [u8]) {
        if self.group == 1 {
            return copy(symbol, shard);
        }
        let (whole, half) = (self.whole(), self.tail_half());
        let (head, tail) = symbol.split_at_mut(whole);
        copy(head, &shard[i * whole..(i + 1) * whole]);
        let (low, high) = tail.split_at_mut(half);
        let blocks = &shard[self.group * whole..];
        let mut done = 0;
        while done < half {
            let (block, place, count) = self.run(i, done);
            let block = &blocks[block..block + BLOCK];
            copy_short(&mut low[done..done + count], &block[place..place + count]);
            copy_short(&mut high[done..done + count], &block[HALF + place..HALF + place + count]);
            done += count;
        }
    }

    /// Puts all symbols of the group, given one after another, in their places.
    pub(super) fn pack_all(&self, symbols: &[u8], shard: &mut [u8]) {
        if self.is_plain() {
            return copy(&mut shard[..symbols.len()], symbols);
        }
        if self.whole() > 0 {
            let each = symbols.chunks_exact(self.symbol).enumerate();
            return each.for_each(|(i, symbol)| self.pack(i, symbol, shard));
        }
        let mut halves = vec![0; symbols.len()];
        let (low, high) = halves.split_at_mut(symbols.len() / 2);
        by_half(self.tail_half(), Split { symbols, low, high });
        let halves = low.chunks(HALF).zip(high.chunks(HALF));
        for (block, (low, high)) in shard.chunks_exact_mut(BLOCK).zip(halves) {
            block[..low.len()].copy_from_slice(low);
            block[HALF..HALF + high.len()].copy_from_slice(high);
        }
    }

    /// Reads all symbols of the group from their places, one after another.
    pub(super) fn unpack_all(&self, shard: &[u8], symbols: &mut [u8]) {
        if self.is_plain() {
            return copy(symbols, &shard[..symbols.len()]);
        }
        if self.whole() > 0 {
            let each = symbols.chunks_exact_mut(self.symbol).enumerate();
            return each.for_each(|(i, symbol)| self.unpack(i, shard, symbol));
        }
        let mut halves = vec![0; symbols.len()];
        let (low, high) = halves.split_at_mut(symbols.len() / 2);
        let parts = low.chunks_mut(HALF).zip(high.chunks_mut(HALF));
        for (block, (low, high)) in shard.chunks_exact(BLOCK).zip(parts) {
            low.copy_from_slice(&block[..low.len()]);
            high.copy_from_slice(&block[HALF..HALF + high.len()]);
        }
        by_half(self.tail_half(), Join { symbols, low, high });
    }

    /// Where the tail of symbol `i` goes on after `done` low bytes: block, place in its halves, and bytes that fit.
    fn run(&self, i: usize, done: usize) -> (usize, usize, usize) {
        let place = i * self.tail_half() + done;
        let room = HALF - place % HALF;
        (place / HALF * BLOCK, place % HALF, room.min(self.tail_half() - done))
    }
}

/// A loop over short symbols, compiled for each length of half a symbol.
trait ByHalf {
    fn run<const H: usize>(self);
}

fn by_half(half: usize, work: impl ByHalf) {
    macro_rules! by_half {
        ($($half:literal)*) => {
            match half {
                $($half => work.run::<$half>(),)*
                _ => unreachable!("half of a tail is shorter than half a block"),
            }
        };
    }
    by_half!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
}

/// Splits symbols into their low and high bytes.
struct Split<'a> {
    symbols: &'a [u8],
    low: &'a mut [u8],
    high: &'a mut [u8],
}

impl ByHalf for Split<'_> {
    fn run<const H: usize>(self) {
        let (symbols, _) = self.symbols.as_chunks::<H>();
        let targets =
            self.low.as_chunks_mut::<H>().0.iter_mut().zip(self.high.as_chunks_mut::<H>().0);
        for ([a, b], (low, high)) in symbols.as_chunks::<2>().0.iter().zip(targets) {
            (*low, *high) = (*a, *b);
        }
    }
}

/// Joins low and high bytes to symbols.
struct Join<'a> {
    symbols: &'a mut [u8],
    low: &'a [u8],
    high: &'a [u8],
}

impl ByHalf for Join<'_> {
    fn run<const H: usize>(self) {
        let (symbols, _) = self.symbols.as_chunks_mut::<H>();
        let sources = self.low.as_chunks::<H>().0.iter().zip(self.high.as_chunks::<H>().0);
        for ([a, b], (low, high)) in symbols.as_chunks_mut::<2>().0.iter_mut().zip(sources) {
            (*a, *b) = (*low, *high);
        }
    }
}

/// Copies; worth its own name because most symbols are shorter than a call of the system's copy is quick.
#[inline]
pub(super) fn copy(target: &mut [u8], source: &[u8]) {
    debug_assert_eq!(target.len(), source.len());
    if source.len() <= HALF {
        copy_short(target, source);
    } else {
        target.copy_from_slice(source);
    }
}

/// Copies up to 32 bytes as two pieces of fixed size that may overlap.
#[inline]
fn copy_short(target: &mut [u8], source: &[u8]) {
    debug_assert!(target.len() == source.len() && source.len() <= HALF);
    match source.len() {
        16.. => copy_ends::<16>(target, source),
        8.. => copy_ends::<8>(target, source),
        4.. => copy_ends::<4>(target, source),
        2.. => copy_ends::<2>(target, source),
        _ => copy_ends::<1>(target, source),
    }
}

#[inline]
fn copy_ends<const N: usize>(target: &mut [u8], source: &[u8]) {
    if let (Some(target), Some(source)) = (target.first_chunk_mut::<N>(), source.first_chunk::<N>())
    {
        *target = *source;
    }
    if let (Some(target), Some(source)) = (target.last_chunk_mut::<N>(), source.last_chunk::<N>()) {
        *target = *source;
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
                let (mut all, mut unpacked) = (vec![0; shard.len()], vec![0; symbol * group]);
                layout.pack_all(&symbols.concat(), &mut all);
                assert_eq!(all, shard);
                layout.unpack_all(&shard, &mut unpacked);
                assert_eq!(unpacked, symbols.concat());
                for (i, expected) in symbols.iter().enumerate() {
                    let mut found = vec![0; symbol];
                    layout.unpack(i, &shard, &mut found);
                    assert_eq!(&found, expected, "symbol {i} of {group} of {symbol} bytes");
                }
            }
        }
    }
}
