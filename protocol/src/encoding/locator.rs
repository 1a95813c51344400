//! A memory for the library's decoders: decoding begins with a polynomial that depends only on which symbols are missing.
//!
//! The library evaluates it anew at every call, with a transform of 65536 points that costs more than decoding a small
//! segment. Here the values of the last pattern are kept, per thread, and few points are evaluated directly.
//! Promises: the values the library computes, at all points its decoders read.

use std::cell::RefCell;

use reed_solomon_simd::engine::{DefaultEngine, Engine, GF_MODULUS, GF_ORDER, GfElement, tables};

/// Up to this many multiplications, the transform is slower than the definition.
const DIRECT_LIMIT: usize = 200_000;

/// What the last pattern of erasures gave.
struct Memory {
    truncated: usize,
    pattern: Vec<GfElement>,
    values: Vec<GfElement>,
}

thread_local! {
    static MEMORY: RefCell<Memory> =
        const { RefCell::new(Memory { truncated: 0, pattern: Vec::new(), values: Vec::new() }) };
}

/// Replaces erasures by the values of their polynomial; remembers those of the last pattern.
pub(super) fn evaluate_remembered(erasures: &mut [GfElement; GF_ORDER], truncated: usize) {
    let points = points_read(erasures, truncated);
    MEMORY.with_borrow_mut(|memory| {
        if memory.truncated != truncated || memory.pattern != erasures[..points] {
            memory.truncated = truncated;
            memory.pattern = erasures[..points].to_vec();
            evaluate(erasures, truncated, points);
            memory.values = erasures[..points].to_vec();
        } else {
            erasures[..points].copy_from_slice(&memory.values);
        }
    });
}

/// The decoders read no value past the points they transform: those before the end given, or, where all points after the
/// last shard count as erased, those up to the last that is not.
fn points_read(erasures: &[GfElement; GF_ORDER], truncated: usize) -> usize {
    const STEP: usize = 512; // a fold over a whole step is vectorised, a search is not
    if truncated < GF_ORDER {
        return truncated;
    }
    let is_erased = |step: &&[GfElement]| step.iter().fold(1, |all, erased| all & erased) == 1;
    let steps = erasures.rchunks(STEP).take_while(is_erased).count();
    GF_ORDER - steps * STEP
}

fn evaluate(erasures: &mut [GfElement; GF_ORDER], truncated: usize, points: usize) {
    let is_complement = truncated == GF_ORDER;
    // Over the whole field the logarithms add up to zero, so points that are not erased can be subtracted instead.
    let counted = GfElement::from(!is_complement);
    let factors: Vec<usize> = (0..points).filter(|point| erasures[*point] == counted).collect();
    if factors.len() * points > DIRECT_LIMIT {
        return DefaultEngine::eval_poly(erasures, truncated);
    }
    let log = &tables::get_exp_log().log;
    let modulus = u64::from(GF_MODULUS);
    for (point, value) in erasures[..points].iter_mut().enumerate() {
        let others = factors.iter().filter(|factor| **factor != point);
        let sum = others.map(|factor| u64::from(log[point ^ factor])).sum::<u64>() % modulus;
        let sum = if is_complement { modulus - sum } else { sum };
        *value =
            GfElement::try_from(sum).expect("a remainder of the field's order fits its element");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(erasures: [GfElement; GF_ORDER], truncated: usize) {
        let points = points_read(&erasures, truncated);
        let (mut expected, mut direct) = (erasures, erasures);
        DefaultEngine::eval_poly(&mut expected, truncated);
        evaluate(&mut direct, truncated, points);
        for point in 0..points {
            let (a, b) = (expected[point] % GF_MODULUS, direct[point] % GF_MODULUS);
            assert_eq!(a, b, "point {point} of {points}, truncated at {truncated}");
        }
        for _again in 0..2 {
            let mut cached = erasures;
            evaluate_remembered(&mut cached, truncated);
            assert!((0..points).all(|i| cached[i] % GF_MODULUS == expected[i] % GF_MODULUS));
        }
    }

    #[test]
    fn direct_and_remembered_values_equal_the_transform() {
        let mut erasures = [0; GF_ORDER];
        for i in [0, 3, 17, 40, 41, 42] {
            erasures[i] = 1;
        }
        agree(erasures, 50);
        agree(erasures, 64);
        erasures[60..].fill(1);
        agree(erasures, GF_ORDER);
        erasures[5] = 1;
        agree(erasures, GF_ORDER);
    }
}
