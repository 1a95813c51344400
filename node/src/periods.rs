//! Periods of time as people write them, `30s`, `500 ms`, `1h 30m`, and as they read them.
//!
//! Promises: what is read is not negative, whole in milliseconds, and short enough to be added to
//! any moment of a clock.
//! Does not: read days and longer units, whose length depends on a calendar, or a number without a
//! unit.

use std::time::Duration;

use jiff::SignedDuration;

use crate::words;

/// No period is longer: half a billion years.
const LONGEST: Duration = Duration::from_millis(u64::MAX);

/// The period that a text names, or nothing if it names none.
pub fn parse(text: &str) -> Option<Duration> {
    let period = Duration::try_from(text.parse::<SignedDuration>().ok()?).ok()?;
    let whole = period.subsec_nanos().is_multiple_of(1_000_000);
    (whole && period <= LONGEST).then_some(period)
}

/// A period for people, in its largest whole unit: `14 days`, `90 minutes`, `30 seconds`, `500 ms`.
pub fn spoken(period: Duration) -> String {
    let seconds = period.as_secs();
    if seconds == 0 && !period.is_zero() {
        return format!("{} ms", period.as_millis());
    }
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let fits = |length: &u64| seconds >= *length && seconds.is_multiple_of(*length);
    let whole = units.into_iter().find(|(length, _)| fits(length));
    let (length, unit) = whole.unwrap_or((1, "second"));
    words::count(usize::try_from(seconds / length).unwrap_or(usize::MAX), unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_told_in_their_largest_whole_unit() {
        let of = |milliseconds| spoken(Duration::from_millis(milliseconds));
        let told = [86_400_000, 5_400_000, 60_000, 30_500, 500, 0].map(of);
        assert_eq!(told, ["1 day", "90 minutes", "1 minute", "30 seconds", "500 ms", "0 seconds"]);
    }

    #[test]
    fn periods_are_read_in_every_usual_form() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("030 s", 30_000),
            ("2m", 120_000),
            ("24h", 86_400_000),
            ("0s", 0),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("0.5s", 500),
            ("2 minutes", 120_000),
            ("PT30S", 30_000),
            ("4294967295h", 4_294_967_295 * 3_600_000),
            ("9223372036854775807ms", u64::MAX / 2),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_period_or_none_that_a_clock_can_take_is_refused() {
        for text in [
            "",
            "s",
            "30",
            "30x",
            "-5s",
            "5s ago",
            "1us",
            "1.5ms",
            "1d",
            "9223372036854775807s",
            "99999999999999999999s",
            "30s\n!",
            "½s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
