//! Whom the network turned away lately.
//!
//! Promises: every connection, stream or session that found no room, or had to make room for another, is counted where
//! it happens and for a minute; counting never waits. Does not: count who was turned away for what it did, or remember who it was.

use std::collections::BTreeMap;
use std::sync::Mutex;

use haulout_protocol::machine::Timestamp;
use haulout_protocol::machine::conditions::{Entrance, TurnedAway};
use haulout_protocol::machine::guests::Class;
use haulout_protocol::machine::recent::Recent;
use tokio::time::Instant;

use super::lock::lock;

/// The counts of one network; they outlive the swarm.
#[derive(Debug)]
pub(super) struct Refusals {
    started: Instant,
    counts: Mutex<BTreeMap<(Entrance, Class), Recent>>,
}

impl Default for Refusals {
    fn default() -> Self {
        Refusals { started: Instant::now(), counts: Mutex::default() }
    }
}

impl Refusals {
    fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Somebody was turned away.
    pub(super) fn note(&self, entrance: Entrance, class: Class) {
        self.note_at(self.now(), entrance, class);
    }

    fn note_at(&self, now: Timestamp, entrance: Entrance, class: Class) {
        lock(&self.counts).entry((entrance, class)).or_default().note(now);
    }

    /// Who was, lately.
    pub(super) fn lately(&self) -> TurnedAway {
        self.lately_at(self.now())
    }

    fn lately_at(&self, now: Timestamp) -> TurnedAway {
        let mut turned_away = TurnedAway::default();
        for ((entrance, class), recent) in lock(&self.counts).iter_mut() {
            turned_away.add(*entrance, *class, recent.count(now));
        }
        turned_away
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_turned_away_counts_for_a_minute() {
        let refusals = Refusals::default();
        let note = |seconds: u64, entrance, class| {
            refusals.note_at(Timestamp(seconds * 1_000), entrance, class);
        };
        let lately = |seconds: u64| refusals.lately_at(Timestamp(seconds * 1_000));
        assert_eq!(lately(0), TurnedAway::default());
        note(0, Entrance::Connection, Class::Member);
        note(0, Entrance::Connection, Class::Stranger);
        note(0, Entrance::Connection, Class::Stranger);
        note(0, Entrance::Stream, Class::Payer);
        note(30, Entrance::Stream, Class::Member);
        note(30, Entrance::Memory, Class::Member);
        let all = TurnedAway {
            members: 1,
            strangers: 2,
            streams: 2,
            streams_of_members: 1,
            memory: 1,
            memory_of_members: 1,
        };
        assert_eq!(lately(60), all);
        assert_eq!(lately(61), TurnedAway { members: 0, strangers: 0, streams: 1, ..all });
        assert_eq!(lately(91), TurnedAway::default());
    }
}
