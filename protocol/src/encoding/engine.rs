//! The arithmetic under the Reed-Solomon library: its own engine, or a faster one where the processor has the instructions.
//!
//! Promises: the same bytes whichever engine runs. Does not: choose rates or lay out shards; the library does.

use reed_solomon_simd::engine::{DefaultEngine, Engine, GF_ORDER, GfElement, ShardsRefMut};

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
