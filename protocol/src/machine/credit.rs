//! How long a peer may keep us waiting on one stream: it earns time with the bytes it moves.
//!
//! Promises: a stream on which nothing moves is over after the terms' time; one that moves at the least rate or faster
//! never is; what was earned is never worth more than the terms' time, so nobody saves up for a pause. Does not: read a
//! clock, or count the time we need ourselves.

/// What a stream must achieve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long nothing may move, in milliseconds; also the credit a stream begins with.
    pub credit_ms: u64,
    /// The least rate, in bytes per second.
    pub bytes_per_second: u64,
}

/// What is left of a peer's credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    terms: Terms,
    left_us: u64,
}

impl Credit {
    /// A full credit.
    pub fn new(terms: Terms) -> Self {
        Credit { terms, left_us: terms.credit_ms.saturating_mul(1_000) }
    }

    /// How long the next wait may be, in microseconds.
    pub fn left_us(&self) -> u64 {
        self.left_us
    }

    /// So many bytes moved after a wait of so many microseconds. The wait is paid first: bytes come after it.
    pub fn moved(&mut self, bytes: u64, waited_us: u64) {
        let earned = u128::from(bytes) * 1_000_000 / u128::from(self.terms.bytes_per_second.max(1));
        let earned = u64::try_from(earned).unwrap_or(u64::MAX);
        let full = self.terms.credit_ms.saturating_mul(1_000);
        self.left_us = self.left_us.saturating_sub(waited_us).saturating_add(earned).min(full);
    }

    /// Whether the peer has used up its credit.
    pub fn is_used_up(&self) -> bool {
        self.left_us == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TERMS: Terms = Terms { credit_ms: 5_000, bytes_per_second: 32 * 1024 };

    /// How long a peer lasts that moves `bytes` each `every_us`, in microseconds; nothing if it is never cut off.
    fn lasts(bytes: u64, every_us: u64) -> Option<u64> {
        let mut credit = Credit::new(TERMS);
        let mut passed = 0;
        for _ in 0..100_000 {
            if every_us >= credit.left_us() {
                return Some(passed + credit.left_us());
            }
            passed += every_us;
            credit.moved(bytes, every_us);
        }
        None
    }

    #[test]
    fn a_peer_that_drips_lasts_little_longer_than_a_silent_one() {
        assert_eq!(lasts(0, 6_000_000), Some(5_000_000));
        for every_us in [90_000, 1_000_000, 4_900_000] {
            let lasted = lasts(1, every_us).expect("it is cut off");
            assert!(lasted < 5_100_000, "a byte each {every_us} us lasts {lasted} us");
        }
    }

    #[test]
    fn no_amount_of_bytes_buys_a_longer_pause_than_the_terms_allow() {
        let mut credit = Credit::new(TERMS);
        credit.moved(1 << 40, 10);
        assert_eq!(credit.left_us(), 5_000_000);
        credit.moved(0, 5_000_000);
        assert!(credit.is_used_up());
    }

    proptest! {
        #[test]
        fn the_least_rate_is_enough_for_ever_and_half_of_it_is_not(every_us in 1_000_u64..2_000_000) {
            let enough = (every_us * TERMS.bytes_per_second).div_ceil(1_000_000);
            prop_assert_eq!(lasts(enough, every_us), None);
            // Half the rate uses up half of each wait.
            let lasted = lasts(enough / 2, every_us);
            prop_assert!(lasted.is_some_and(|us| us <= 11_000_000 + 2 * every_us), "{:?}", lasted);
        }
    }
}
