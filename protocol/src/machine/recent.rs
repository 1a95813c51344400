//! How often something happened in the last minute.
//!
//! Promises: what happened is counted for [`WINDOW_SECONDS`] and then forgotten, to within a second; memory does not grow,
//! however much happens. Does not: read a clock.

use super::Timestamp;

/// How long what happened counts, in seconds: long enough for whoever looks every half a minute to see it.
pub const WINDOW_SECONDS: u64 = 60;

/// Seconds told apart: those of the window, and the one that is not over yet.
const SLOTS: usize = 61;

/// The count of the last minute.
#[derive(Clone, Debug)]
pub struct Recent {
    /// How much happened in the second that is in the slot.
    counts: [u64; SLOTS],
    /// The last second counted in.
    second: u64,
}

impl Default for Recent {
    fn default() -> Self {
        Recent { counts: [0; SLOTS], second: 0 }
    }
}

impl Recent {
    /// It happened.
    pub fn note(&mut self, now: Timestamp) {
        self.pass(now);
        let slot = slot(self.second);
        self.counts[slot] = self.counts[slot].saturating_add(1);
    }

    /// How often it happened lately.
    pub fn count(&mut self, now: Timestamp) -> u64 {
        self.pass(now);
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Forgets what is too old. Time that turns back changes nothing.
    fn pass(&mut self, now: Timestamp) {
        let second = now.0 / 1_000;
        let passed = second.saturating_sub(self.second).min(WINDOW_SECONDS + 1);
        for back in 0..passed {
            self.counts[slot(second - back)] = 0;
        }
        self.second = self.second.max(second);
    }
}

/// The slot of a second.
fn slot(second: u64) -> usize {
    usize::try_from(second % (WINDOW_SECONDS + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_happened_counts_for_a_minute_and_is_forgotten_then() {
        let mut recent = Recent::default();
        recent.note(Timestamp(500));
        recent.note(Timestamp(30_000));
        assert_eq!(recent.count(Timestamp(30_000)), 2);
        assert_eq!(recent.count(Timestamp(60_999)), 2);
        assert_eq!(recent.count(Timestamp(61_000)), 1);
        assert_eq!(recent.count(Timestamp(91_000)), 0);
        assert_eq!(recent.count(Timestamp(u64::MAX)), 0);
    }

    proptest! {
        #[test]
        fn it_counts_what_a_list_of_all_that_happened_counts(
            steps in prop::collection::vec(0_u64..100_000, 1..200),
        ) {
            let (mut recent, mut all, mut now) = (Recent::default(), Vec::new(), 0);
            for step in steps {
                now += step;
                recent.note(Timestamp(now));
                all.push(now / 1_000);
                let lately = all.iter().filter(|second| now / 1_000 - **second <= WINDOW_SECONDS);
                prop_assert_eq!(recent.count(Timestamp(now)), u64::try_from(lately.count()).unwrap());
            }
        }
    }
}
