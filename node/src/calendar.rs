//! Epochs as dates.
//!
//! Promises: what is due is told by the ledger's clock, and a date is when that comes on the clock of this
//! machine, which is the reader's; an epoch that has not begun never has a date in the past; where the ledger
//! states no duration there is no date rather than a wrong one.
//! Does not: know time zones, or foresee that the duration of an epoch changes: dates of later
//! epochs are estimates.

use std::time::{SystemTime, UNIX_EPOCH};

use haulout_actors::position::Position;
use haulout_protocol::chain::object::staking::EpochState;
use jiff::Timestamp;

/// How a moment is written.
const MOMENT: &str = "%Y-%m-%d %H:%M UTC";

/// So far two sound clocks may differ; dates are told to the minute.
const CLOCKS_DIFFER_MAX_MS: u64 = 60_000;

/// When epochs begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// The current epoch.
    pub epoch: u32,
    /// When it began, in milliseconds since 1970: from then on its length counts.
    pub started_ms: u64,
    /// How long an epoch lasts; 0 if nobody knows.
    pub duration_ms: u64,
    /// The time now, by the ledger's clock.
    pub now_ms: u64,
    /// How far the ledger's clock is ahead of this machine's, in milliseconds; 0 if they are the same.
    pub ahead_ms: u64,
}

impl Calendar {
    /// The calendar of what the ledger says, seen at this moment of our clock.
    pub fn now(position: &Position) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::new(position, u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    /// The calendar of what the ledger says, at a moment of this machine's clock.
    pub fn new(position: &Position, machine_ms: u64) -> Self {
        // A devnet's ledger may have been told to run ahead of our clock. One that seems to be behind it has
        // most likely not been heard of for a while.
        let ahead_ms = position.ledger_ms.saturating_sub(machine_ms);
        Calendar {
            epoch: position.epoch.0,
            started_ms: begun_ms(position),
            duration_ms: position.timing.duration_ms,
            now_ms: machine_ms.max(position.ledger_ms),
            ahead_ms: if ahead_ms > CLOCKS_DIFFER_MAX_MS { ahead_ms } else { 0 },
        }
    }

    /// When the current epoch ends by its duration, by the ledger's clock.
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

    /// When an epoch begins or began, as far as we can say, by the ledger's clock.
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
        self.begins_ms(epoch).map(|moment| self.shown(moment))
    }

    /// A moment of the ledger's clock as the date that this machine has then.
    pub fn shown(&self, ledger_ms: u64) -> String {
        utc(ledger_ms.saturating_sub(self.ahead_ms))
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
pub(crate) fn utc(milliseconds: u64) -> String {
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
    use crate::holdings::sample_position;

    const HOUR: u64 = 3_600_000;

    fn calendar(now_ms: u64) -> Calendar {
        Calendar { epoch: 5, started_ms: 100 * HOUR, duration_ms: HOUR, now_ms, ahead_ms: 0 }
    }

    #[test]
    fn dates_are_when_it_happens_by_this_machines_clock_though_the_ledgers_was_moved() {
        let mut position = sample_position(); // its epoch of a day has just begun
        let machine_ms = position.ledger_ms;
        position.ledger_ms += 240 * HOUR;
        position.phase = EpochState::Selected { since_ms: position.ledger_ms - HOUR };
        let moved = Calendar::new(&position, machine_ms);
        assert_eq!(moved.ahead_ms, 240 * HOUR);
        assert_eq!(moved.date(5).as_deref(), Some("2027-02-21 13:00 UTC"), "in 23 hours");
        assert_eq!(moved.date(7).as_deref(), Some("2027-02-23 13:00 UTC"));
        assert_eq!(moved.date(4).as_deref(), Some("2027-02-20 13:00 UTC"), "an hour ago");
        assert!(!moved.is_overdue());
        // Two clocks are never the same, and one of the past is of a ledger that was not heard of since.
        for ledger_ms in [machine_ms + CLOCKS_DIFFER_MAX_MS, machine_ms - 240 * HOUR] {
            assert_eq!(Calendar::new(&Position { ledger_ms, ..position }, machine_ms).ahead_ms, 0);
            position = sample_position();
        }
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
