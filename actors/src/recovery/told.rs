//! What a recovery says of itself in the log: when it begins, now and then, and when nothing is missing any more.
//!
//! Promises: at most a line each [`limits::REPAIR_TOLD_EVERY`] while it works. Does not: count for metrics.

use std::time::Instant;

use haulout_protocol::machine::backlog::Backlog;
use tracing::info;

use super::blob::Repaired;
use crate::limits;

/// What was done since the last time nothing was missing.
#[derive(Debug, Default)]
pub(super) struct Told {
    blobs: u64,
    pairs: u64,
    bytes: u64,
    last: Option<Instant>,
}

impl Told {
    /// A repair is over.
    pub(super) fn repaired(&mut self, repaired: &Repaired) {
        self.blobs += u64::from(repaired.pairs > 0);
        self.pairs += repaired.pairs;
        self.bytes += repaired.bytes;
    }

    /// Former owners of shards gave so many pairs.
    pub(super) fn handed(&mut self, pairs: u64, bytes: u64) {
        self.pairs += pairs;
        self.bytes += bytes;
    }

    /// Nothing is missing of a blob any more, and nothing had to be repaired.
    pub(super) fn whole(&mut self) {
        self.blobs += 1;
    }

    /// Says how far it is, unless that was said a moment ago.
    pub(super) fn say_now_and_then(&mut self, backlog: &Backlog) {
        if self.pairs == 0
            || self.last.is_some_and(|last| last.elapsed() < limits::REPAIR_TOLD_EVERY)
        {
            return;
        }
        self.last = Some(Instant::now());
        let Told { blobs, pairs, bytes, .. } = self;
        let (incomplete, running) = (backlog.seen(), backlog.running());
        info!(
            blobs,
            pairs,
            received_bytes = bytes,
            incomplete,
            running,
            "repairing what is missing here"
        );
    }

    /// Nothing is missing.
    pub(super) fn complete(&mut self) {
        if self.pairs > 0 {
            let Told { blobs, pairs, bytes, .. } = self;
            info!(
                blobs,
                pairs,
                received_bytes = bytes,
                "everything that was missing here is repaired"
            );
        }
        *self = Told::default();
    }
}
