//! How much somebody used lately.
//!
//! Promises: what was used is forgotten by half in each second, however often more is added: whoever uses a little all the time
//! is remembered for no more than two seconds' worth of it. Does not: read a clock, or tell single uses apart.

use super::Timestamp;

/// What was used is forgotten by half in this time.
const HALF_LIFE_MS: u64 = 1_000;

/// Parts of one.
const PARTS: u128 = 1 << 20;
/// More than this is not told apart.
const PARTS_MAX: u128 = PARTS << 64;

/// An amount that is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lately {
    /// In parts, so that whoever adds often loses nothing to rounding.
    parts: u128,
    /// As of when.
    at: Timestamp,
}

impl Lately {
    /// What is left of it.
    pub(super) fn now(&self, now: Timestamp) -> u64 {
        u64::try_from(self.left(now) / PARTS).unwrap_or(u64::MAX)
    }

    fn left(&self, now: Timestamp) -> u128 {
        let passed = now.0.saturating_sub(self.at.0);
        let halves = u32::try_from(passed / HALF_LIFE_MS).unwrap_or(u32::MAX);
        let whole = self.parts.checked_shr(halves).unwrap_or(0);
        // Between two halvings as on a line, which is close enough.
        whole - whole / 2 * u128::from(passed % HALF_LIFE_MS) / u128::from(HALF_LIFE_MS)
    }

    /// So much more is used.
    pub(super) fn add(&mut self, amount: u64, now: Timestamp) {
        let more = u128::from(amount) * PARTS;
        *self = Lately { parts: (self.left(now) + more).min(PARTS_MAX), at: now.max(self.at) };
    }

    /// How much was used in each second, on average, if it was used evenly.
    pub(super) fn per_second(&self, now: Timestamp) -> u64 {
        // Each second adds what a half-life takes: what was used lately is two seconds' worth.
        self.now(now) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_forgotten() {
        let mut used = Lately::default();
        used.add(1_000, Timestamp(5_000));
        let left = [5_000, 5_500, 5_999, 6_000, 6_500, 500_000].map(|at| used.now(Timestamp(at)));
        assert_eq!(left, [1_000, 750, 500, 500, 375, 0]);
    }

    #[test]
    fn steady_use_is_remembered_for_what_it_is_however_often_it_comes() {
        for (every, amount) in [(1, 1), (1, 1_000), (10, 10), (500, 10), (999, 1_000)] {
            let mut used = Lately::default();
            for at in (0..3_600_000).step_by(every) {
                used.add(amount, Timestamp(at));
            }
            let each_second = amount * 1_000 / u64::try_from(every).expect("small");
            let seen = used.per_second(Timestamp(3_600_000));
            let (least, most) = (each_second / 2, each_second * 5 / 4 + amount);
            assert!(
                (least..=most).contains(&seen),
                "{amount} every {every} ms: {seen} of {each_second} a second"
            );
        }
    }

    #[test]
    fn nothing_overflows_and_a_clock_that_went_back_forgets_nothing() {
        let mut used = Lately::default();
        used.add(u64::MAX, Timestamp(u64::MAX));
        used.add(u64::MAX, Timestamp(0));
        assert_eq!(used.now(Timestamp(u64::MAX)), u64::MAX);
    }
}
