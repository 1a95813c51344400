//! When a node re-reads which part of what it stores, so that all of it is read within a period.
//!
//! Promises: slices follow each other from a place that was drawn, past the end to the beginning and up to that place, so that
//! a node that restarts often reads its last bytes as often as its first; they are spread over nine tenths of the period, are
//! never faster than a rate, and rest for several times as long as they took, so that a busy disk sees less of them. Does not:
//! read, know what a place is, or draw.

use super::{Machine, Timestamp};

/// The smallest slice, where there is more: each costs a look into the index.
pub const SLICE_BYTES_MIN: u64 = 64 * 1024;
/// The largest: it is read without a pause.
pub const SLICE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Slices are cut for this pause between them.
const SLICE_EVERY_MS: u64 = 1_000;
/// The longest pause: what is stored may become a thousand times as much meanwhile. Where so little is stored that this is
/// not enough, it is read more often than it need be.
pub const PAUSE_MAX_MS: u64 = 60 * 60_000;
/// A slice is followed by a rest of so many times what it took.
pub const REST: u64 = 4;
/// The rest after a slice that could not be read.
pub const FAILURE_REST_MS: u64 = 60_000;

/// How fast it is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The period in which everything is to be read once, in milliseconds.
    pub every_ms: u64,
    /// Bytes a second that are never exceeded, even if it takes longer then.
    pub bytes_per_second: u64,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<Place> {
    /// So many bytes are stored; the first fact there must be.
    Started {
        /// Bytes.
        stored: u64,
    },
    /// A slice was read.
    Read {
        /// Its bytes.
        bytes: u64,
        /// What comes after it; nothing if it was the end.
        next: Option<Place>,
        /// How many bytes are stored now.
        stored: u64,
    },
    /// A slice could not be read.
    Failed {
        /// Where to go on, drawn: whatever it was that could not be read must not keep the rest from being read.
        elsewhere: Place,
    },
    /// The deadline passed.
    TimeReached,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect<Place> {
    /// Read a slice.
    Read {
        /// From here on.
        from: Place,
        /// Of about so many bytes.
        bytes: u64,
    },
    /// Everything was read once since a tour began.
    TourDone {
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
}

/// What it does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// Nothing was said yet.
    Nothing,
    Reading {
        since: Timestamp,
    },
    Resting {
        until: Timestamp,
    },
}

/// Reads everything, again and again. Places are ordered as they are read, and the default one comes before all others.
#[derive(Clone, Debug)]
pub struct Scrub<Place> {
    limits: Limits,
    /// Where the tour began, and when.
    start: Place,
    began: Timestamp,
    at: Place,
    /// Whether the tour is past the end.
    is_past_end: bool,
    /// Bytes of the tour so far, and bytes that are stored.
    read: u64,
    stored: u64,
    doing: Doing,
}

impl<Place: Copy + Ord + Default> Scrub<Place> {
    /// Begins at a place that was drawn.
    pub fn new(limits: Limits, start: Place) -> Self {
        Scrub {
            limits,
            start,
            began: Timestamp(0),
            at: start,
            is_past_end: false,
            read: 0,
            stored: 0,
            doing: Doing::Nothing,
        }
    }

    /// How much of the tour is done, in thousandths. It is an estimate: what is stored changes meanwhile.
    pub fn done_per_mille(&self) -> u64 {
        match self.stored {
            0 => 0,
            stored => per(self.read, 1000, stored).min(999),
        }
    }

    /// Bytes of the next slice: what the pace reads in a second.
    fn slice(&self) -> u64 {
        let pace = per(self.stored, SLICE_EVERY_MS, self.spread_ms());
        let fastest = per(self.limits.bytes_per_second, SLICE_EVERY_MS, 1000);
        pace.clamp(SLICE_BYTES_MIN, SLICE_BYTES_MAX).min(fastest.max(1))
    }

    /// The part of the period over which slices are spread; the rest makes up for what slows them down.
    fn spread_ms(&self) -> u64 {
        per(self.limits.every_ms, 9, 10).max(1)
    }

    /// How long after its beginning a slice of so many bytes, which took so long, is followed by the next.
    fn pause_ms(&self, bytes: u64, took_ms: u64) -> u64 {
        let share = match bytes.max(self.stored) {
            0 => self.spread_ms(),
            of => per(bytes, self.spread_ms(), of),
        };
        let slowest = per(bytes, 1000, self.limits.bytes_per_second.max(1));
        let rest = took_ms.saturating_mul(1 + REST);
        share.min(PAUSE_MAX_MS).max(slowest).max(rest).max(1)
    }

    fn read(
        &mut self,
        now: Timestamp,
        bytes: u64,
        next: Option<Place>,
        stored: u64,
    ) -> Vec<Effect<Place>> {
        let Doing::Reading { since } = self.doing else { return Vec::new() };
        (self.read, self.stored) = (self.read.saturating_add(bytes), stored);
        let pause = self.pause_ms(bytes, now.0.saturating_sub(since.0));
        self.doing = Doing::Resting { until: since.after(pause) };
        let has_wrapped = self.is_past_end;
        self.is_past_end |= next.is_none();
        self.at = next.unwrap_or_default();
        let is_done = self.is_past_end && (self.at >= self.start || has_wrapped && next.is_none());
        if !is_done {
            return Vec::new();
        }
        let took_ms = now.0.saturating_sub(self.began.0);
        self.begin(now, self.at);
        vec![Effect::TourDone { took_ms }]
    }

    /// A tour begins where the last one ended.
    fn begin(&mut self, now: Timestamp, start: Place) {
        (self.start, self.at, self.began) = (start, start, now);
        (self.is_past_end, self.read) = (false, 0);
    }

    fn next(&mut self, now: Timestamp) -> Vec<Effect<Place>> {
        match self.doing {
            Doing::Resting { until } if until <= now => {
                self.doing = Doing::Reading { since: now };
                vec![Effect::Read { from: self.at, bytes: self.slice() }]
            }
            _ => Vec::new(),
        }
    }
}

/// `a * b / c`.
fn per(a: u64, b: u64, c: u64) -> u64 {
    let whole = u128::from(a) * u128::from(b) / u128::from(c);
    u64::try_from(whole).unwrap_or(u64::MAX)
}

impl<Place: Copy + Ord + Default> Machine for Scrub<Place> {
    type Input = Input<Place>;
    type Effect = Effect<Place>;

    fn handle(&mut self, now: Timestamp, input: Input<Place>) -> Vec<Effect<Place>> {
        let mut effects = match input {
            Input::Started { stored } => {
                if self.doing == Doing::Nothing {
                    self.stored = stored;
                    self.begin(now, self.start);
                    self.doing = Doing::Resting { until: now };
                }
                Vec::new()
            }
            Input::Read { bytes, next, stored } => self.read(now, bytes, next, stored),
            Input::Failed { elsewhere } => {
                self.begin(now, elsewhere);
                self.doing = Doing::Resting { until: now.after(FAILURE_REST_MS) };
                Vec::new()
            }
            Input::TimeReached => Vec::new(),
        };
        effects.extend(self.next(now));
        effects
    }

    fn deadline(&self) -> Option<Timestamp> {
        match self.doing {
            Doing::Resting { until } => Some(until),
            Doing::Nothing | Doing::Reading { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
