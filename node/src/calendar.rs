//! Epochs as dates.
//!
//! Promises: an epoch that has not begun never has a date in the past; where the ledger states no
//! duration there is no date rather than a wrong one.
//! Does not: know time zones, or foresee that the duration of an epoch changes: dates of later
//! epochs are estimates.

use std::time::{SystemTime, UNIX_EPOCH};

use haulout_actors::context::Position;
use haulout_protocol::chain::object::staking::EpochState;
use jiff::Timestamp;

/// How a moment is written.
const MOMENT: &str = "%Y-%m-%d %H:%M UTC";

/// When epochs begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// The current epoch.
    pub epoch: u32,
    /// When it began, in milliseconds since 1970: from then on its length counts.
    pub started_ms: u64,
    /// How long an epoch lasts; 0 if nobody knows.
    pub duration_ms: u64,
    /// The time now.
    pub now_ms: u64,
}

impl Calendar {
    /// The calendar of what the ledger says, seen at this moment of our clock.
    pub fn now(position: &Position) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::new(position, u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    /// The calendar of what the ledger says.
    pub fn new(position: &Position, now_ms: u64) -> Self {
        Calendar {
            epoch: position.epoch.0,
            started_ms: begun_ms(position),
            duration_ms: position.timing.duration_ms,
            // A devnet's ledger may have been told to run ahead of our clock.
            now_ms: now_ms.max(position.ledger_ms),
        }
    }

    /// When the current epoch ends by its duration.
    pub fn due_ms(&self) -> Option<u64> {
        if self.started_ms == 0 || self.duration_ms == 0 {
            return None;
        }
        self.started_ms.checked_add(self.duration_ms)
    }

    /// Whether the next epoch should have begun already.
    pub fn is_overdue(&self) -> bool {
        self.due_ms().is_some_and(|due| due < self.now_ms)
    }

    /// When an epoch begins or began, as far as we can say.
    pub fn begins_ms(&self, epoch: u32) -> Option<u64> {
        let due = self.due_ms()?;
        if epoch <= self.epoch {
            let back = u64::from(self.epoch - epoch).checked_mul(self.duration_ms)?;
            return self.started_ms.checked_sub(back);
        }
        let later = u64::from(epoch - self.epoch - 1).checked_mul(self.duration_ms)?;
        due.max(self.now_ms).checked_add(later)
    }

    /// The date on which an epoch begins.
    pub fn date(&self, epoch: u32) -> Option<String> {
        self.begins_ms(epoch).map(utc)
    }

    /// An exclusive end for people: the epoch, and about when that is.
    pub fn until(&self, end_epoch: u32) -> String {
        match self.date(end_epoch) {
            Some(date) => format!("epoch {end_epoch}, about {date}"),
            None => format!("epoch {end_epoch}"),
        }
    }
}

/// Since when an epoch's length counts: a new committee first takes over its shards.
fn begun_ms(position: &Position) -> u64 {
    match position.phase {
        EpochState::Sync { started_ms, .. } => started_ms,
        EpochState::Done { since_ms } | EpochState::Selected { since_ms } => since_ms,
    }
}

/// A moment, to the minute: `2027-02-20 14:00 UTC`. The calendar ends with the year 9999.
pub fn utc(milliseconds: u64) -> String {
    let moment =
        i64::try_from(milliseconds).ok().and_then(|it| Timestamp::from_millisecond(it).ok());
    moment.map_or_else(
        || format!("after {}", Timestamp::MAX.strftime(MOMENT)),
        |moment| moment.strftime(MOMENT).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn calendar(now_ms: u64) -> Calendar {
        Calendar { epoch: 5, started_ms: 100 * HOUR, duration_ms: HOUR, now_ms }
    }

    #[test]
    fn moments_read_as_dates_of_the_gregorian_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_703_980_800, "2023-12-31 00:00 UTC"),
            (1_704_067_200, "2024-01-01 00:00 UTC"),
            (1_803_132_000, "2027-02-20 14:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (253_370_764_800, "9999-01-01 00:00 UTC"),
        ] {
            assert_eq!(utc(seconds * 1000), text, "{seconds}");
        }
        assert_eq!(utc(u64::MAX), "after 9999-12-30 22:00 UTC");
    }

    #[test]
    fn epochs_follow_each_other_by_their_duration() {
        let calendar = calendar(100 * HOUR + 1);
        assert_eq!(calendar.begins_ms(5), Some(100 * HOUR));
        assert_eq!(calendar.begins_ms(6), Some(101 * HOUR));
        assert_eq!(calendar.begins_ms(16), Some(111 * HOUR));
        assert_eq!(calendar.begins_ms(3), Some(98 * HOUR));
        assert!(!calendar.is_overdue());
    }

    #[test]
    fn an_epoch_that_has_not_begun_has_no_date_in_the_past() {
        let calendar = calendar(300 * HOUR);
        assert!(calendar.is_overdue());
        assert_eq!(calendar.begins_ms(6), Some(300 * HOUR));
        assert_eq!(calendar.begins_ms(8), Some(302 * HOUR));
    }

    #[test]
    fn where_nothing_is_known_there_is_no_date() {
        for unknown in
            [Calendar { duration_ms: 0, ..calendar(1) }, Calendar { started_ms: 0, ..calendar(1) }]
        {
            assert_eq!((unknown.due_ms(), unknown.date(7)), (None, None));
            assert_eq!(unknown.until(7), "epoch 7");
        }
        let far = Calendar { duration_ms: u64::MAX / 2, ..calendar(1) };
        assert_eq!(far.begins_ms(u32::MAX), None);
    }
}
