//! The turns of those who read slivers: strangers wait for theirs while others want something, too.
//!
//! Promises: a visit that reads too much for its host waits before it holds any memory for what comes next, and for no
//! longer than for memory; members and writers who paid never wait. Does not: judge who reads too much (`protocol` does).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use haulout_protocol::machine::Timestamp;
use haulout_protocol::machine::pacing::{self, Turn};
use tokio::time::Instant;

use crate::limits;
use crate::network::Place;

/// Who reads from us, of all visits.
#[derive(Debug)]
pub(super) struct Readers {
    started: Instant,
    table: Mutex<pacing::Readers>,
}

impl Readers {
    pub(super) fn new(limits: pacing::Limits) -> Readers {
        let table = Mutex::new(pacing::Readers::new(limits));
        Readers { started: Instant::now(), table }
    }

    fn with_table<T>(&self, change: impl FnOnce(&mut pacing::Readers, Timestamp) -> T) -> T {
        let elapsed = self.started.elapsed().as_millis();
        let now = Timestamp(u64::try_from(elapsed).unwrap_or(u64::MAX));
        change(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// Somebody has said what it wants: whoever reads beside it has company.
    pub(super) fn note(&self, place: &Place) {
        self.with_table(|readers, now| readers.note(place.guest(), now));
    }

    /// How long somebody has to wait before it reads so many bytes; nothing if for too long.
    pub(super) fn pause(&self, place: &Place, bytes: usize) -> Option<Duration> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).max(limits::READ_BYTES_MIN);
        match self.with_table(|readers, now| readers.ask(place.guest(), bytes, now)) {
            Turn::Now => Some(Duration::ZERO),
            Turn::After(milliseconds) => Some(Duration::from_millis(milliseconds)),
            Turn::Later => None,
        }
    }
}
