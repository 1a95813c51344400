//! Pauses between attempts that go on until one succeeds.
//!
//! Promises: each pause is at least the shortest and less than the longest; they double, and are
//! drawn by chance, so that nodes that lost the same server at the same moment do not return to it
//! together.
//! Does not: sleep, count attempts, or know what is attempted.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// The pauses of one series of attempts.
pub(crate) struct Pauses {
    plan: ExponentialBuilder,
    longest: Duration,
    series: ExponentialBackoff,
}

impl Pauses {
    /// Pauses from `shortest` on, each of them shorter than `longest`.
    pub(crate) fn between(shortest: Duration, longest: Duration) -> Self {
        let plan = ExponentialBuilder::new()
            .with_min_delay(shortest)
            // Chance adds up to as much again.
            .with_max_delay((longest / 2).max(shortest))
            .without_max_times()
            .with_jitter();
        Pauses { plan, longest, series: plan.build() }
    }

    /// The pause after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        self.series.next().unwrap_or(self.longest)
    }

    /// Begins anew: an attempt succeeded.
    pub(crate) fn reset(&mut self) {
        self.series = self.plan.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    #[test]
    fn pauses_double_by_chance_and_stay_below_the_longest() {
        let mut pauses = Pauses::between(SHORTEST, LONGEST);
        for least in [100, 200, 400, 800, 1600, 2500, 2500, 2500] {
            let (pause, least) = (pauses.next(), Duration::from_millis(least));
            assert!(pause >= least && pause <= least * 2 && pause <= LONGEST, "{pause:?}");
        }
        pauses.reset();
        assert!(pauses.next() <= SHORTEST * 2);
    }

    #[test]
    fn two_that_failed_together_do_not_return_together() {
        let series = || {
            let mut pauses = Pauses::between(SHORTEST, LONGEST);
            [(); 8].map(|()| pauses.next())
        };
        assert_ne!(series(), series());
    }
}
