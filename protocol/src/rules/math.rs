//! The one multiplication of the rules.
//!
//! Promises: nothing wraps; what does not fit is the overflow code of the module that asked.

use crate::chain::abort::Abort;

/// All of something, in ten-thousandths.
pub const ALL_BPS: u16 = 10_000;

/// `floor(a * b / c)`; a product beyond 128 bits, a quotient beyond 64 or `c = 0` is an overflow.
pub fn mul_div_floor(
    a: impl Into<u128>,
    b: impl Into<u128>,
    c: impl Into<u128>,
    overflow: Abort,
) -> Result<u64, Abort> {
    let quotient = a.into().checked_mul(b.into()).and_then(|product| product.checked_div(c.into()));
    quotient.and_then(|quotient| u64::try_from(quotient).ok()).ok_or(overflow)
}

/// So many ten-thousandths of an amount, rounded down.
pub fn share_bps(amount: u64, bps: u16, overflow: Abort) -> Result<u64, Abort> {
    mul_div_floor(amount, bps, ALL_BPS, overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let overflow = Abort::PoolOverflow;
        assert_eq!(mul_div_floor(7_u64, 3_u64, 2_u64, overflow), Ok(10));
        assert_eq!(mul_div_floor(u64::MAX, u64::MAX, u64::MAX, overflow), Ok(u64::MAX));
        assert_eq!(mul_div_floor(u64::MAX, 2_u64, 1_u64, overflow), Err(overflow));
        assert_eq!(mul_div_floor(u128::MAX, 2_u64, u128::MAX, overflow), Err(overflow));
        assert_eq!(mul_div_floor(1_u64, 1_u64, 0_u64, overflow), Err(overflow));
        assert_eq!(share_bps(33, 300, overflow), Ok(0));
        assert_eq!(share_bps(34, 300, overflow), Ok(1));
    }
}
