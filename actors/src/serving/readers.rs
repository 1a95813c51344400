//! The turns of those who read: strangers wait for theirs while others want something, too, and other duties while clients do.
//!
//! Promises: a visit that reads too much for its host waits before it holds any memory for what comes next, and for no
//! longer than for memory; members and writers who paid never wait. Does not: judge who
//! reads too much (`protocol` does).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use haulout_protocol::machine::Timestamp;
use haulout_protocol::machine::duty::Duty;
use haulout_protocol::machine::flows::{self, Flows};
use haulout_protocol::machine::pacing::{self, Turn};
use tokio::time::Instant;

use crate::limits;
use crate::network::Place;

/// Who reads from us, of all visits.
#[derive(Debug)]
pub(super) struct Readers {
    started: Instant,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    readers: pacing::Readers,
    flows: Flows,
}

impl Readers {
    pub(super) fn new(limits: pacing::Limits, flows: flows::Limits) -> Readers {
        let table = Table { readers: pacing::Readers::new(limits), flows: Flows::new(flows) };
        Readers { started: Instant::now(), table: Mutex::new(table) }
    }

    fn with_table<T>(&self, change: impl FnOnce(&mut Table, Timestamp) -> T) -> T {
        let elapsed = self.started.elapsed().as_millis();
        let now = Timestamp(u64::try_from(elapsed).unwrap_or(u64::MAX));
        change(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// Somebody has said what it wants: whoever reads beside it has company.
    pub(super) fn note(&self, place: &Place) {
        self.with_table(|table, now| table.readers.note(place.guest(), now));
    }

    /// How long somebody has to wait before it reads so many bytes for this duty of ours; nothing if for too long.
    pub(super) fn pause(&self, place: &Place, duty: Duty, bytes: usize) -> Option<Duration> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).max(limits::READ_BYTES_MIN);
        let turns = self.with_table(|table, now| {
            let own = table.readers.ask(place.guest(), bytes, now);
            [own, if own == Turn::Later { own } else { table.flows.ask(duty, bytes, now) }]
        });
        let pauses = turns.map(|turn| match turn {
            Turn::Now => Some(0),
            Turn::After(milliseconds) => Some(milliseconds),
            Turn::Later => None,
        });
        let [own, of_duty] = pauses;
        Some(Duration::from_millis(own?.max(of_duty?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repair_waits_for_its_turn_beside_clients_and_clients_never_do() {
        let flows = flows::Limits { company_ms: u64::MAX, ..limits::FLOWS };
        let (readers, place) = (Readers::new(limits::READERS, flows), Place::sample());
        let at_once = Some(Duration::ZERO);
        for _ in 0..2 {
            assert_eq!(
                readers.pause(&place, Duty::Repair, 1 << 34),
                at_once,
                "nobody else is here"
            );
        }
        assert_eq!(readers.pause(&place, Duty::Clients, 1), at_once);
        assert_eq!(readers.pause(&place, Duty::Repair, 1 << 34), at_once, "in advance");
        assert_eq!(readers.pause(&place, Duty::Repair, 1), None, "it had more than its share");
        assert_eq!(readers.pause(&place, Duty::Handover, 1), at_once, "another duty's share");
        assert_eq!(readers.pause(&place, Duty::Clients, 1 << 34), at_once);
    }
}
