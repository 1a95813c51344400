//! Few symbols of a codeword straight from their definition: sums of given symbols, each times a factor.
//!
//! A transform computes all symbols of a codeword, wanted or not. For a few of them the sums take fewer multiplications,
//! and they touch only what is given and what is wanted.
//! Promises: the library's bytes. Does not: know a field or a code of its own; the factors are what the library's coder
//! makes of ones and zeros.

use reed_solomon_simd::engine::{GfElement, tables};
use reed_solomon_simd::rate::{DefaultRateDecoder, DefaultRateEncoder, RateDecoder, RateEncoder};

use super::engine::FastEngine;
use super::layout::BLOCK;

/// Low (or high) bytes of the elements in a block.
const HALF: usize = BLOCK / 2;
/// Blocks of a sum that are computed before the next: they stay in the fastest cache.
const TILE: usize = 128;
/// Slivers shorter than this are coded sooner than the factors are known, in bytes.
const SLIVER_BYTES_MIN: usize = 2048;
/// Terms of sums that take as long as one step of a transform, whose shards are read and written again and again: measured
/// where both have the processor's fastest instructions.
const TERMS_PER_STEP: usize = 2;

/// The factors of some wanted symbols of a codeword, by what is given of it.
pub(super) struct Direct {
    engine: FastEngine,
    /// How many symbols are given.
    given: usize,
    /// Logarithms of the factors, wanted symbol by wanted symbol; none for a factor of zero.
    logarithms: Vec<Option<GfElement>>,
}

impl Direct {
    /// Factors by which just as many given symbols as decode a codeword of `total`, of which the first `source` are its
    /// source, give some missing ones of these; nothing if the library is faster for slivers of so many bytes.
    ///
    /// Given and wanted are places in the codeword, in order.
    pub(super) fn decode(
        [source, total]: [usize; 2],
        given: &[usize],
        wanted: &[usize],
        bytes: usize,
    ) -> Option<Self> {
        // The decoder transforms twice, over the source and the repair.
        if !is_faster(given.len() * wanted.len(), 2 * transform(total), bytes) {
            return None;
        }
        let units = Units::new(given.len());
        let (engine, shard) = (FastEngine::new(), units.shard_bytes());
        let mut decoder = DefaultRateDecoder::new(source, total - source, shard, engine, None)
            .expect("the library codes every split of the shards");
        for (place, symbol) in given.iter().enumerate() {
            let unit = units.shard(place);
            let added = match symbol.checked_sub(source) {
                None => decoder.add_original_shard(*symbol, unit),
                Some(repair) => decoder.add_recovery_shard(repair, unit),
            };
            added.expect("symbols are distinct, in range and equally long");
        }
        let result = decoder.decode().expect("as many symbols as needed were added");
        let shards = wanted.iter().map(|symbol| {
            result
                .restored_original(*symbol)
                .expect("wanted symbols are missing ones of the source")
        });
        Some(Direct::new(&units, shards))
    }

    /// Factors by which the `source` symbols of a codeword of `total` give some repair symbols, by their places past the
    /// source; nothing if the library is faster for slivers of so many bytes.
    pub(super) fn extend(
        [source, total]: [usize; 2],
        wanted: &[usize],
        bytes: usize,
    ) -> Option<Self> {
        if !is_faster(source * wanted.len(), transform(total), bytes) {
            return None;
        }
        let units = Units::new(source);
        let (engine, shard) = (FastEngine::new(), units.shard_bytes());
        let mut encoder = DefaultRateEncoder::new(source, total - source, shard, engine, None)
            .expect("the library codes every split of the shards");
        for place in 0..source {
            encoder.add_original_shard(units.shard(place)).expect("units are equally long");
        }
        let result = encoder.encode().expect("all source symbols were added");
        let shards = wanted
            .iter()
            .map(|repair| result.recovery(*repair).expect("wanted symbols are repair symbols"));
        Some(Direct::new(&units, shards))
    }

    fn new<'a>(units: &Units, wanted: impl Iterator<Item = &'a [u8]>) -> Self {
        let logarithms = wanted.flat_map(|shard| units.logarithms(shard)).collect();
        Direct { engine: FastEngine::new(), given: units.count, logarithms }
    }

    /// Computes a wanted symbol, or the same piece of it that is given of the others: whole blocks and a tail, as the
    /// library takes them.
    pub(super) fn compute(&self, wanted: usize, given: &[&[u8]], target: &mut [u8]) {
        debug_assert_eq!(given.len(), self.given);
        let logarithms = &self.logarithms[wanted * self.given..][..self.given];
        let terms = given.iter().zip(logarithms).filter_map(|(it, log)| Some((*it, (*log)?)));
        let (blocks, tail) = target.as_chunks_mut::<BLOCK>();
        for (tile, at) in blocks.chunks_mut(TILE).zip((0..).step_by(TILE)) {
            tile.as_flattened_mut().fill(0);
            for (bytes, logarithm) in terms.clone() {
                let (from, _) = bytes.as_chunks();
                self.engine.multiply_add(tile, &from[at..at + tile.len()], logarithm);
            }
        }
        if tail.is_empty() {
            return;
        }
        let mut sum = [0; BLOCK];
        for (bytes, logarithm) in terms {
            let (_, rest) = bytes.as_chunks::<BLOCK>();
            let mut block = [0; BLOCK];
            let (low, high) = rest.split_at(rest.len() / 2);
            block[..low.len()].copy_from_slice(low);
            block[HALF..HALF + high.len()].copy_from_slice(high);
            let (sum, block) = (std::slice::from_mut(&mut sum), std::slice::from_ref(&block));
            self.engine.multiply_add(sum, block, logarithm);
        }
        let (low, high) = tail.split_at_mut(tail.len() / 2);
        low.copy_from_slice(&sum[..low.len()]);
        high.copy_from_slice(&sum[HALF..HALF + high.len()]);
    }
}

/// About how many steps, a multiplication each, a transform over so many points takes.
fn transform(total: usize) -> usize {
    let points = total.next_power_of_two();
    points * points.ilog2() as usize / 2
}

fn is_faster(terms: usize, steps: usize, bytes: usize) -> bool {
    bytes >= SLIVER_BYTES_MIN && terms > 0 && terms <= steps * TERMS_PER_STEP
}

/// The unit vectors of some symbols: in its own element one, in all others zero.
struct Units {
    count: usize,
    shards: Vec<u8>,
}

impl Units {
    fn new(count: usize) -> Self {
        let mut units = Units { count, shards: Vec::new() };
        let shard = units.shard_bytes();
        units.shards.resize(count * shard, 0);
        let [low, high] = tables::get_exp_log().exp[0].to_le_bytes();
        for (symbol, bytes) in units.shards.chunks_exact_mut(shard).enumerate() {
            let place = Units::place(symbol);
            (bytes[place], bytes[place + HALF]) = (low, high);
        }
        units
    }

    fn shard_bytes(&self) -> usize {
        self.count.div_ceil(HALF) * BLOCK
    }

    fn shard(&self, symbol: usize) -> &[u8] {
        &self.shards[symbol * self.shard_bytes()..][..self.shard_bytes()]
    }

    /// Where a symbol's own element has its low byte.
    fn place(symbol: usize) -> usize {
        symbol / HALF * BLOCK + symbol % HALF
    }

    /// By which factors a shard that was coded from the units is their sum.
    fn logarithms(&self, shard: &[u8]) -> Vec<Option<GfElement>> {
        let log = &tables::get_exp_log().log;
        let element = |symbol| {
            let place = Units::place(symbol);
            GfElement::from_le_bytes([shard[place], shard[place + HALF]])
        };
        let logarithm = |symbol| match element(symbol) {
            0 => None,
            factor => Some(log[usize::from(factor)]),
        };
        (0..self.count).map(logarithm).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All symbols of a codeword.
    fn codeword(source: usize, total: usize, bytes: usize, seed: u64) -> Vec<Vec<u8>> {
        let mut noise = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        let mut symbols = vec![vec![0; bytes]; source];
        symbols.iter_mut().for_each(|symbol| noise.fill(symbol));
        let repair = reed_solomon_simd::encode(source, total - source, &symbols);
        symbols.extend(repair.expect("a supported split"));
        symbols
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn sums_give_what_the_library_gives(
            (source, total) in prop_oneof![
                Just((1, 2)), Just((2, 4)), Just((3, 4)), Just((4, 10)), Just((7, 10)),
                Just((34, 100)), Just((67, 100)), Just((334, 1000)), Just((667, 1000)),
            ],
            bytes in prop_oneof![Just(2048_usize), Just(2050), Just(2110), Just(16386)],
            order in proptest::collection::vec(any::<u32>(), 1000),
            seed: u64,
        ) {
            let symbols = codeword(source, total, bytes, seed);
            let mut given: Vec<_> = (0..total).collect();
            given.sort_by_key(|symbol| order[*symbol]);
            given.truncate(source);
            given.sort_unstable();
            let missing: Vec<_> = (0..source).filter(|symbol| !given.contains(symbol)).collect();
            let repair: Vec<_> = (0..total - source).step_by(1 + total / 20).collect();
            let shards = |symbols: &[Vec<u8>], of: &[usize]| -> Vec<Vec<u8>> {
                of.iter().map(|symbol| symbols[*symbol].clone()).collect()
            };
            let both = [
                (Direct::decode([source, total], &given, &missing, bytes), shards(&symbols, &given), shards(&symbols, &missing)),
                (Direct::extend([source, total], &repair, bytes), symbols[..source].to_vec(), shards(&symbols[source..], &repair)),
            ];
            for (direct, given, expected) in both {
                let Some(direct) = direct else { continue };
                let given: Vec<&[u8]> = given.iter().map(|symbol| &**symbol).collect();
                for (place, expected) in expected.iter().enumerate() {
                    let mut found = vec![0xff; bytes];
                    direct.compute(place, &given, &mut found);
                    prop_assert!(found == *expected, "wanted symbol {place}");
                }
            }
        }
    }

    #[test]
    fn few_symbols_are_summed_and_many_or_narrow_ones_are_transformed() {
        let given: Vec<_> = (4..38).collect();
        let decode = |wanted: &[usize], bytes| Direct::decode([34, 100], &given, wanted, bytes);
        assert!(decode(&[0, 1, 2, 3], 1 << 20).is_some());
        assert!(decode(&[0], 100).is_none(), "the factors would take longer than the symbols");
        assert!(decode(&[], 1 << 20).is_none(), "there is nothing to compute");
        let all: Vec<_> = (0..66).collect();
        assert!(Direct::extend([34, 100], &all[..9], 1 << 20).is_some());
        assert!(Direct::extend([34, 100], &all, 1 << 20).is_none());
    }

    #[test]
    fn the_arithmetic_of_the_library_sums_the_same() {
        use reed_solomon_simd::engine::DefaultEngine;
        let symbols = codeword(7, 10, 16450, 1);
        let fastest = Direct::extend([7, 10], &[0, 2], 16450).expect("few symbols");
        let engine = FastEngine::Library(DefaultEngine::new());
        let plain = Direct { engine, given: 7, logarithms: fastest.logarithms.clone() };
        let given: Vec<&[u8]> = symbols[..7].iter().map(|symbol| &**symbol).collect();
        for (place, repair) in [7, 9].into_iter().enumerate() {
            let mut found = vec![0; 16450];
            plain.compute(place, &given, &mut found);
            assert!(found == symbols[repair], "repair symbol {repair}");
        }
    }
}
