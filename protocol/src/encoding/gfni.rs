//! An engine for the Reed-Solomon library that uses the affine instructions of newer x86 processors (GFNI with AVX-512).
//!
//! Multiplying by a constant in GF(2^16) is linear over bits, so it is four maps of 8 bits to 8 bits: from the low and
//! high bytes of an element to both. One instruction applies a map to 64 bytes; the library's table look-ups take eight
//! for as much. Two layers of a transform are done while their shards are in registers.
//! Promises: the transforms of the library's engines, byte for byte. Does not: exist on other processors.
//! Source: the transforms are those of Lin, Chung and Han, "Novel Polynomial Basis and Its Application to Reed-Solomon
//! Erasure Codes" (2014), in the order in which the library calls for them.

use std::sync::LazyLock;

use archmage::prelude::*;
use reed_solomon_simd::engine::{
    Engine, GF_BITS, GF_MODULUS, GF_ORDER, GfElement, ShardsRefMut, tables,
};

/// The library's unit of a shard: the low bytes of 32 elements, then their high bytes.
type Block = [u8; 64];

/// Bit matrices of a multiplication, one bit row a byte: low to low, high to low, low to high, high to high.
type Matrices = [u64; 4];

/// Matrices by the logarithm of the factor; the last are those of the factor zero.
static MATRICES: LazyLock<Vec<Matrices>> = LazyLock::new(|| {
    let tables = tables::get_exp_log();
    let of = |log_m| matrices(|x| tables::mul(x, log_m, &tables.exp, &tables.log));
    (0..=GF_MODULUS).map(of).chain([[0; 4]]).collect()
});

/// The matrices of a linear map, from what it does to each bit.
fn matrices(map: impl Fn(GfElement) -> GfElement) -> Matrices {
    let mut columns = [[0; 8]; 4];
    for bit in 0..GF_BITS {
        let [low, high] = map(1 << bit).to_le_bytes();
        columns[bit / 8][bit % 8] = low;
        columns[2 + bit / 8][bit % 8] = high;
    }
    // The instruction wants rows, the one of the highest bit first.
    columns.map(|columns| transpose(u64::from_le_bytes(columns)).swap_bytes())
}

/// Transposes 8 x 8 bits by swapping ever larger blocks (Hacker's Delight, 7-3).
fn transpose(mut bits: u64) -> u64 {
    for (shift, mask) in
        [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)]
    {
        let swapped = (bits ^ (bits >> shift)) & mask;
        bits ^= swapped ^ (swapped << shift);
    }
    bits
}

/// The engine; exists only where the processor has the instructions.
#[derive(Clone, Copy)]
pub(super) struct Gfni {
    token: X64V4xToken,
    matrices: &'static [Matrices],
    skew: &'static tables::Skew,
}

impl Gfni {
    /// The engine, if the processor can run it.
    pub(super) fn detect() -> Option<Self> {
        let token = X64V4xToken::summon()?;
        Some(Gfni { token, matrices: &MATRICES, skew: tables::get_skew() })
    }

    /// Adds to each block of a sum the block at its place, times a factor, given by its logarithm.
    pub(super) fn multiply_add(&self, sum: &mut [Block], x: &[Block], log_m: GfElement) {
        add_product(self.token, sum, x, &self.matrices[usize::from(log_m)]);
    }

    /// Matrices of the factor at this place of the transforms; a logarithm past all others stands for zero there.
    fn skew(&self, place: usize) -> &Matrices {
        match self.skew[place] {
            GF_MODULUS => &self.matrices[GF_ORDER],
            log => &self.matrices[usize::from(log)],
        }
    }
}

impl Engine for Gfni {
    fn fft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated: usize,
        skew: usize,
    ) {
        fft(self.token, self, data, pos, size, truncated, skew);
    }

    fn ifft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated: usize,
        skew: usize,
    ) {
        ifft(self.token, self, data, pos, size, truncated, skew);
    }

    fn mul(&self, x: &mut [Block], log_m: GfElement) {
        multiply(self.token, x, &self.matrices[usize::from(log_m)]);
    }
}

/// A multiplication, ready for registers: maps that stay within a half of a block, and maps that cross over.
#[derive(Clone, Copy)]
struct Factor {
    within: core::arch::x86_64::__m512i,
    across: core::arch::x86_64::__m512i,
}

#[rite(import_intrinsics)]
fn factor(_token: X64V4xToken, matrices: &Matrices) -> Factor {
    let [a, b, c, d] = matrices.map(u64::cast_signed);
    Factor {
        within: _mm512_set_epi64(d, d, d, d, a, a, a, a),
        across: _mm512_set_epi64(c, c, c, c, b, b, b, b),
    }
}

/// `sum + x * factor` for 32 elements.
#[rite(import_intrinsics)]
fn multiply_add(_token: X64V4xToken, sum: __m512i, x: __m512i, factor: Factor) -> __m512i {
    const XOR_OF_THREE: i32 = 0x96;
    let swapped = _mm512_shuffle_i64x2::<0b0100_1110>(x, x);
    let within = _mm512_gf2p8affine_epi64_epi8::<0>(x, factor.within);
    let across = _mm512_gf2p8affine_epi64_epi8::<0>(swapped, factor.across);
    _mm512_ternarylogic_epi64::<XOR_OF_THREE>(sum, within, across)
}

#[arcane(import_intrinsics)]
fn multiply(token: X64V4xToken, x: &mut [Block], matrices: &Matrices) {
    let factor = factor(token, matrices);
    for x in x {
        let product = multiply_add(token, _mm512_setzero_si512(), _mm512_loadu_si512(&*x), factor);
        _mm512_storeu_si512(x, product);
    }
}

#[arcane(import_intrinsics)]
fn add_product(token: X64V4xToken, sum: &mut [Block], x: &[Block], matrices: &Matrices) {
    let factor = factor(token, matrices);
    for (sum, x) in sum.iter_mut().zip(x) {
        let (before, x) = (_mm512_loadu_si512(&*sum), _mm512_loadu_si512(x));
        _mm512_storeu_si512(sum, multiply_add(token, before, x, factor));
    }
}

/// Four shards at equal distances.
type Four<'a> = (&'a mut [Block], &'a mut [Block], &'a mut [Block], &'a mut [Block]);

/// Two layers of the transform: factors of the first two shards, of the last two, and of the halves.
#[rite(import_intrinsics)]
fn fft_two_layers(token: X64V4xToken, shards: Four<'_>, [low, high, both]: [Factor; 3]) {
    let (first, second, third, fourth) = shards;
    for (((first, second), third), fourth) in first.iter_mut().zip(second).zip(third).zip(fourth) {
        let (mut a, mut b) = (_mm512_loadu_si512(&*first), _mm512_loadu_si512(&*second));
        let (mut c, mut d) = (_mm512_loadu_si512(&*third), _mm512_loadu_si512(&*fourth));
        a = multiply_add(token, a, c, both);
        c = _mm512_xor_si512(c, a);
        b = multiply_add(token, b, d, both);
        d = _mm512_xor_si512(d, b);
        a = multiply_add(token, a, b, low);
        b = _mm512_xor_si512(b, a);
        c = multiply_add(token, c, d, high);
        d = _mm512_xor_si512(d, c);
        _mm512_storeu_si512(first, a);
        _mm512_storeu_si512(second, b);
        _mm512_storeu_si512(third, c);
        _mm512_storeu_si512(fourth, d);
    }
}

/// Undoes [`fft_two_layers`].
#[rite(import_intrinsics)]
fn ifft_two_layers(token: X64V4xToken, shards: Four<'_>, [low, high, both]: [Factor; 3]) {
    let (first, second, third, fourth) = shards;
    for (((first, second), third), fourth) in first.iter_mut().zip(second).zip(third).zip(fourth) {
        let (mut a, mut b) = (_mm512_loadu_si512(&*first), _mm512_loadu_si512(&*second));
        let (mut c, mut d) = (_mm512_loadu_si512(&*third), _mm512_loadu_si512(&*fourth));
        b = _mm512_xor_si512(b, a);
        a = multiply_add(token, a, b, low);
        d = _mm512_xor_si512(d, c);
        c = multiply_add(token, c, d, high);
        c = _mm512_xor_si512(c, a);
        a = multiply_add(token, a, c, both);
        d = _mm512_xor_si512(d, b);
        b = multiply_add(token, b, d, both);
        _mm512_storeu_si512(first, a);
        _mm512_storeu_si512(second, b);
        _mm512_storeu_si512(third, c);
        _mm512_storeu_si512(fourth, d);
    }
}

/// One layer of the transform.
#[rite(import_intrinsics)]
fn fft_layer(token: X64V4xToken, first: &mut [Block], second: &mut [Block], factor: Factor) {
    for (first, second) in first.iter_mut().zip(second) {
        let b = _mm512_loadu_si512(&*second);
        let a = multiply_add(token, _mm512_loadu_si512(&*first), b, factor);
        _mm512_storeu_si512(first, a);
        _mm512_storeu_si512(second, _mm512_xor_si512(b, a));
    }
}

/// Undoes [`fft_layer`].
#[rite(import_intrinsics)]
fn ifft_layer(token: X64V4xToken, first: &mut [Block], second: &mut [Block], factor: Factor) {
    for (first, second) in first.iter_mut().zip(second) {
        let a = _mm512_loadu_si512(&*first);
        let b = _mm512_xor_si512(_mm512_loadu_si512(&*second), a);
        _mm512_storeu_si512(first, multiply_add(token, a, b, factor));
        _mm512_storeu_si512(second, b);
    }
}

/// Factors of two layers whose shards are `distance` apart and begin at `start`.
#[rite]
fn factors(token: X64V4xToken, engine: &Gfni, start: usize, distance: usize) -> [Factor; 3] {
    let at = |steps: usize| engine.skew(start + steps * distance - 1);
    [factor(token, at(1)), factor(token, at(3)), factor(token, at(2))]
}

#[arcane]
fn fft(
    token: X64V4xToken,
    engine: &Gfni,
    data: &mut ShardsRefMut<'_>,
    pos: usize,
    size: usize,
    truncated: usize,
    skew: usize,
) {
    let mut group = size;
    while group >= 4 {
        let distance = group / 4;
        for start in (0..truncated).step_by(group) {
            let factors = factors(token, engine, start + skew, distance);
            for i in pos + start..pos + start + distance {
                fft_two_layers(token, data.dist4_mut(i, distance), factors);
            }
        }
        group = distance;
    }
    if group == 2 {
        for start in (0..truncated).step_by(2) {
            let (first, second) = data.dist2_mut(pos + start, 1);
            fft_layer(token, first, second, factor(token, engine.skew(start + skew)));
        }
    }
}

#[arcane]
fn ifft(
    token: X64V4xToken,
    engine: &Gfni,
    data: &mut ShardsRefMut<'_>,
    pos: usize,
    size: usize,
    truncated: usize,
    skew: usize,
) {
    let mut distance = 1;
    while 4 * distance <= size {
        for start in (0..truncated).step_by(4 * distance) {
            let factors = factors(token, engine, start + skew, distance);
            for i in pos + start..pos + start + distance {
                ifft_two_layers(token, data.dist4_mut(i, distance), factors);
            }
        }
        distance *= 4;
    }
    if distance < size {
        let factor = factor(token, engine.skew(distance + skew - 1));
        for i in pos..pos + distance {
            let (first, second) = data.dist2_mut(i, distance);
            ifft_layer(token, first, second, factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_multiply_like_the_tables_of_the_library() {
        let Some(engine) = Gfni::detect() else { return };
        let tables = tables::get_exp_log();
        let elements: [GfElement; 32] =
            std::array::from_fn(|i| 0x9e37_u16.wrapping_mul(GfElement::try_from(i).unwrap()));
        for log_m in (0..=GF_MODULUS).step_by(13).chain([GF_MODULUS]) {
            let mut block = [0; 64];
            for (i, element) in elements.iter().enumerate() {
                [block[i], block[32 + i]] = element.to_le_bytes();
            }
            engine.mul(std::slice::from_mut(&mut block), log_m);
            for (i, element) in elements.iter().enumerate() {
                let product = GfElement::from_le_bytes([block[i], block[32 + i]]);
                let expected = tables::mul(*element, log_m, &tables.exp, &tables.log);
                assert_eq!(product, expected, "{element} times the factor of logarithm {log_m}");
            }
        }
    }

    #[test]
    fn transposing_swaps_rows_and_columns() {
        assert_eq!(transpose(0xff), 0x0101_0101_0101_0101);
        assert_eq!(transpose(1 << (8 * 2 + 5)), 1 << (8 * 5 + 2));
        assert_eq!(transpose(transpose(0x0123_4567_89ab_cdef)), 0x0123_4567_89ab_cdef);
    }
}
