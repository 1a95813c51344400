//! The arithmetic under the Reed-Solomon library: its own engine, or a faster one where the processor has the instructions.
//!
//! Promises: the same bytes whichever engine runs. Does not: choose rates or lay out shards; the library does.

use reed_solomon_simd::engine::{DefaultEngine, Engine, GF_ORDER, GfElement, ShardsRefMut, utils};

#[cfg(target_arch = "x86_64")]
use super::gfni::Gfni;
use super::locator;

/// Which arithmetic the code uses on this processor: `gfni` or `library`.
pub fn engine_name() -> &'static str {
    match FastEngine::new() {
        #[cfg(target_arch = "x86_64")]
        FastEngine::Gfni(_) => "gfni",
        FastEngine::Library(_) => "library",
    }
}

/// Blocks that are multiplied at once where the library does it: they stay in the fastest cache.
const BLOCKS: usize = 64;

/// The fastest engine of this processor, with a memory for patterns of erasures.
pub(super) enum FastEngine {
    /// Multiplies 64 bytes at once with affine maps.
    #[cfg(target_arch = "x86_64")]
    Gfni(Gfni),
    /// What the library finds best.
    Library(DefaultEngine),
}

impl FastEngine {
    /// Asks the processor what it can.
    pub(super) fn new() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(engine) = Gfni::detect() {
            return FastEngine::Gfni(engine);
        }
        FastEngine::Library(DefaultEngine::new())
    }

    /// Adds to each block of a sum the block at its place, times a factor, given by its logarithm.
    pub(super) fn multiply_add(&self, sum: &mut [[u8; 64]], x: &[[u8; 64]], log_m: GfElement) {
        match self {
            #[cfg(target_arch = "x86_64")]
            FastEngine::Gfni(engine) => engine.multiply_add(sum, x, log_m),
            FastEngine::Library(engine) => {
                let mut products = [[0; 64]; BLOCKS];
                for (sum, x) in sum.chunks_mut(BLOCKS).zip(x.chunks(BLOCKS)) {
                    let products = &mut products[..x.len()];
                    products.copy_from_slice(x);
                    engine.mul(products, log_m);
                    utils::xor(sum, products);
                }
            }
        }
    }

    fn inner(&self) -> &dyn Engine {
        match self {
            #[cfg(target_arch = "x86_64")]
            FastEngine::Gfni(engine) => engine,
            FastEngine::Library(engine) => engine,
        }
    }
}

impl Engine for FastEngine {
    fn fft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated: usize,
        skew: usize,
    ) {
        self.inner().fft(data, pos, size, truncated, skew);
    }

    fn ifft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated: usize,
        skew: usize,
    ) {
        self.inner().ifft(data, pos, size, truncated, skew);
    }

    fn mul(&self, x: &mut [[u8; 64]], log_m: GfElement) {
        self.inner().mul(x, log_m);
    }

    fn eval_poly(erasures: &mut [GfElement; GF_ORDER], truncated: usize) {
        locator::evaluate_remembered(erasures, truncated);
    }
}

#[cfg(test)]
mod tests {
    use reed_solomon_simd::rate::{
        DefaultRateDecoder, DefaultRateEncoder, RateDecoder, RateEncoder,
    };

    use super::*;

    /// All repair shards, and the source shards that are restored when half of them are lost.
    fn code<E: Engine>(
        engines: [E; 2],
        source: usize,
        total: usize,
        bytes: usize,
    ) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let mut noise = blake3::Hasher::new().finalize_xof();
        let mut shards = vec![vec![0; bytes]; source];
        shards.iter_mut().for_each(|shard| noise.fill(shard));
        let [first, second] = engines;
        let repair = total - source;
        let mut encoder = DefaultRateEncoder::new(source, repair, bytes, first, None).unwrap();
        shards.iter().for_each(|shard| encoder.add_original_shard(shard).unwrap());
        let coded: Vec<_> = encoder.encode().unwrap().recovery_iter().map(<[u8]>::to_vec).collect();
        let mut decoder = DefaultRateDecoder::new(source, repair, bytes, second, None).unwrap();
        let lost = repair.min(source.div_ceil(2));
        for (i, shard) in shards.iter().enumerate().skip(lost) {
            decoder.add_original_shard(i, shard).unwrap();
        }
        for (i, shard) in coded.iter().enumerate().take(lost) {
            decoder.add_recovery_shard(i, shard).unwrap();
        }
        let result = decoder.decode().unwrap();
        let restored: Vec<_> =
            result.restored_original_iter().map(|(_, shard)| shard.to_vec()).collect();
        assert_eq!(restored, shards[..lost]);
        (coded, restored)
    }

    #[test]
    fn every_engine_codes_the_same_bytes() {
        // Both rates of the library, one and several chunks, odd layers, tails of blocks.
        for (source, total) in [(1, 2), (2, 4), (3, 4), (4, 10), (7, 10), (34, 100), (67, 100)]
            .into_iter()
            .chain([(130, 133), (3, 259), (334, 1000), (667, 1000), (300, 2500)])
        {
            for bytes in [2, 62, 64, 66, 640] {
                let library = || FastEngine::Library(DefaultEngine::new());
                let expected = code([library(), library()], source, total, bytes);
                let found = code([FastEngine::new(), FastEngine::new()], source, total, bytes);
                assert!(found == expected, "{source} of {total}, {bytes} bytes");
            }
        }
    }
}
