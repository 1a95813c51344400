//! Which incomplete blobs a node repairs now, which rest, and when it looks for more.
//!
//! Promises: what is incomplete is found in the store, page by page, and never remembered; a blob is repaired once former
//! owners of shards have nothing more to give of it, and those of which they have are waited for while others are repaired; a
//! few blobs are repaired at a time, of those that were tried before the one with the fewest slivers left first; one that cannot be repaired rests longer
//! each time and holds up nobody; whatever may have changed is looked at soon, and the word that nothing is missing follows
//! from a look that began after it. Does not: look, or repair.
//! Source: `protocol.md` section 8.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Machine, Timestamp};
use crate::blob::BlobId;

/// Looks begin no closer together, unless the one before led to repairs: a node that follows the ledger hears of
/// something every second.
pub const LOOK_PAUSE_MS: u64 = 1_000;
/// The first rest of a blob that could not be repaired.
pub const REST_MIN_MS: u64 = 1_000;
/// The longest: nodes that were down come back at any time, and nothing else tells us.
pub const REST_MAX_MS: u64 = 5 * 60_000;
/// Blobs whose rests are remembered. One that is forgotten is tried again by the next look, which is why looks are rarer then.
pub const RESTING_MAX: usize = 4_096;
/// Looks begin no closer together while so many blobs cannot be repaired that rests are forgotten: each of these is tried
/// once in that time, and no more.
pub const CROWDED_PAUSE_MS: u64 = 60_000;

/// So many repairs in a row that brought nothing are no accident.
pub const STUCK_AFTER: u32 = 2;

/// What came of the repair of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was missing is here.
    Repaired,
    /// Something of it is here that was not before.
    Advanced,
    /// Nothing came.
    Failed,
    /// Its writer encoded it wrongly, so that there is nothing to repair.
    Hopeless,
}

/// What can happen to a backlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Something may be missing, or can be had, that was not before.
    Stirred,
    /// A page of incomplete blobs was read.
    Seen {
        /// Which blobs.
        blobs: Vec<BlobId>,
        /// Whether there is no page after it.
        is_last: bool,
    },
    /// Former owners have nothing more to give of a blob.
    Settled {
        /// Which.
        blob: BlobId,
        /// Whether nothing is missing of it any more, as far as was seen.
        is_whole: bool,
    },
    /// The store could not be read.
    LookFailed,
    /// What the look that is under way began with is not so any more: other shards are ours, or others had them. If none is
    /// under way, something may be missing.
    Outdated,
    /// A repair is over.
    Done {
        /// Which blob's.
        blob: BlobId,
        /// How it ended.
        outcome: Outcome,
        /// How many slivers others may have of what is missing of it, as far as that became known.
        left: Option<u16>,
    },
    /// The deadline passed.
    TimeReached,
}

/// What a backlog can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read a page of incomplete blobs.
    Look {
        /// Whether it is the first; else the one after the last.
        is_first: bool,
    },
    /// See whether former owners of shards have what is missing of these blobs of the last page; each is to be settled.
    HandOver(Vec<BlobId>),
    /// Repair this blob, of the last page.
    Repair(BlobId),
    /// Nothing is missing, as far as was known when the look began.
    Complete,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Timestamp,
    times: u32,
    /// Slivers that others may have of it.
    left: u16,
    /// Whether the look that is under way found it, or its repair ended meanwhile: what is gone needs no rest.
    is_seen: bool,
}

/// Where a look through the store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Look {
    #[default]
    Idle,
    /// A page is being read.
    Reading,
    /// Its blobs are being repaired.
    Working { is_last: bool },
}

/// The backlog of one node.
#[derive(Debug)]
pub struct Backlog {
    at_once: usize,
    look: Look,
    /// When the last look began.
    began: Option<Timestamp>,
    /// Incomplete blobs that it saw.
    seen: u64,
    /// Whether something was repaired since it began.
    has_moved: bool,
    /// Whether something may have changed since it began.
    is_stirred: bool,
    /// Blobs of the last page that are not settled.
    awaited: BTreeSet<BlobId>,
    queue: VecDeque<BlobId>,
    running: BTreeSet<BlobId>,
    resting: BTreeMap<BlobId, Rest>,
}

impl Backlog {
    /// Repairs so many blobs at once.
    pub fn new(at_once: usize) -> Self {
        Backlog {
            at_once,
            look: Look::Idle,
            began: None,
            seen: 0,
            has_moved: false,
            is_stirred: false,
            awaited: BTreeSet::new(),
            queue: VecDeque::new(),
            running: BTreeSet::new(),
            resting: BTreeMap::new(),
        }
    }

    /// How many blobs are being repaired.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Incomplete blobs that the look which is under way, or was the last, saw so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// How often in a row a blob could not be repaired, as far as that is remembered.
    pub fn failures(&self, blob: &BlobId) -> u32 {
        self.resting.get(blob).map_or(0, |rest| rest.times)
    }

    /// How many blobs could not be repaired at least twice in a row, as far as that is remembered: others do not have enough of
    /// them now, and waiting alone brings nothing.
    pub fn stuck(&self) -> usize {
        self.resting.values().filter(|rest| rest.times >= STUCK_AFTER).count()
    }

    /// Whether a blob is one of these.
    pub fn is_stuck(&self, blob: &BlobId) -> bool {
        self.failures(blob) >= STUCK_AFTER
    }

    fn is_resting(&self, now: Timestamp, blob: &BlobId) -> bool {
        self.resting.get(blob).is_some_and(|rest| rest.until > now)
    }

    fn saw(&mut self, now: Timestamp, blobs: Vec<BlobId>, is_last: bool) -> Vec<Effect> {
        if self.look != Look::Reading {
            return Vec::new();
        }
        self.look = Look::Working { is_last };
        self.seen = self.seen.saturating_add(u64::try_from(blobs.len()).unwrap_or(u64::MAX));
        for blob in &blobs {
            self.resting.entry(*blob).and_modify(|rest| rest.is_seen = true);
        }
        let is_due = |blob: &BlobId| !self.running.contains(blob) && !self.is_resting(now, blob);
        let mut due: Vec<_> = blobs.into_iter().filter(is_due).collect();
        due.sort_by_key(|blob| self.left(blob));
        self.awaited = due.iter().copied().collect();
        if due.is_empty() { Vec::new() } else { vec![Effect::HandOver(due)] }
    }

    /// What is about to be lost comes first. Of what was never tried nothing is known.
    fn left(&self, blob: &BlobId) -> u16 {
        self.resting.get(blob).map_or(u16::MAX, |rest| rest.left)
    }

    fn settled(&mut self, blob: BlobId, is_whole: bool) {
        if !self.awaited.remove(&blob) {
            return;
        }
        if is_whole {
            self.has_moved = true;
            self.resting.remove(&blob);
            return;
        }
        let left = self.left(&blob);
        let place = self.queue.partition_point(|other| self.left(other) <= left);
        self.queue.insert(place, blob);
    }

    /// Begins again at once; repairs that run go on, because what they bring is of use if the shard still is ours.
    fn outdated(&mut self) {
        self.is_stirred = true;
        if self.look != Look::Idle {
            (self.look, self.began, self.seen) = (Look::Idle, None, self.seen.max(1));
            self.awaited.clear();
            self.queue.clear();
        }
    }

    fn done(&mut self, now: Timestamp, blob: BlobId, outcome: Outcome, left: Option<u16>) {
        if !self.running.remove(&blob) {
            return;
        }
        let times = self.resting.get(&blob).map_or(0, |rest| rest.times);
        let rest = match outcome {
            Outcome::Repaired | Outcome::Advanced => {
                self.has_moved = true;
                self.resting.remove(&blob);
                return;
            }
            Outcome::Failed => REST_MIN_MS.saturating_mul(1 << times.min(20)).min(REST_MAX_MS),
            Outcome::Hopeless => REST_MAX_MS,
        };
        let left = left.unwrap_or(u16::MAX);
        let rest =
            Rest { until: now.after(rest), times: times.saturating_add(1), left, is_seen: true };
        self.resting.insert(blob, rest);
        if self.resting.len() > RESTING_MAX {
            let first = self.resting.iter().min_by_key(|(_, rest)| rest.until);
            let first = first.map(|(blob, _)| *blob);
            self.resting.retain(|blob, _| Some(*blob) != first);
        }
    }

    /// Starts what can be started, and goes on looking.
    fn advance(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Look::Working { is_last } = self.look {
            while self.running.len() < self.at_once
                && let Some(blob) = self.queue.pop_front()
            {
                self.running.insert(blob);
                effects.push(Effect::Repair(blob));
            }
            match (self.queue.is_empty() && self.awaited.is_empty(), is_last) {
                (true, false) => {
                    self.look = Look::Reading;
                    effects.push(Effect::Look { is_first: false });
                }
                (true, true) => {
                    self.look = Look::Idle;
                    self.resting.retain(|_, rest| rest.is_seen);
                    if self.seen == 0 {
                        effects.push(Effect::Complete);
                    }
                }
                _ => (),
            }
        }
        if self.look == Look::Idle && self.begins_at().is_some_and(|at| at <= now) {
            (self.look, self.began, self.seen) = (Look::Reading, Some(now), 0);
            (self.has_moved, self.is_stirred) = (false, false);
            self.resting.values_mut().for_each(|rest| rest.is_seen = false);
            effects.push(Effect::Look { is_first: true });
        }
        effects
    }

    /// When the next look begins, if there is a reason for one.
    fn begins_at(&self) -> Option<Timestamp> {
        let Some(began) = self.began else { return self.is_stirred.then_some(Timestamp(0)) };
        let pause = match self.resting.len() < RESTING_MAX {
            true => LOOK_PAUSE_MS,
            false => CROWDED_PAUSE_MS,
        };
        if self.has_moved && self.running.is_empty() && pause == LOOK_PAUSE_MS {
            return Some(began);
        }
        let rested = match self.seen {
            0 => None,
            _ if !self.running.is_empty() => None, // the end of each is a reason
            _ => Some(self.resting.values().map(|rest| rest.until).min().unwrap_or(began)),
        };
        let stirred = (self.is_stirred || self.has_moved).then_some(began);
        let reason = [rested, stirred].into_iter().flatten().min()?;
        Some(reason.max(began.after(pause)))
    }
}

impl Machine for Backlog {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Stirred => self.is_stirred = true,
            Input::Seen { blobs, is_last } => effects = self.saw(now, blobs, is_last),
            Input::Settled { blob, is_whole } => self.settled(blob, is_whole),
            Input::LookFailed => {
                // Nothing is known of what there is, so nothing is called complete.
                (self.look, self.is_stirred, self.seen) = (Look::Idle, true, self.seen.max(1));
                self.began = Some(now);
            }
            Input::Outdated => self.outdated(),
            Input::Done { blob, outcome, left } => self.done(now, blob, outcome, left),
            Input::TimeReached => (),
        }
        effects.extend(self.advance(now));
        debug_assert!(self.running.len() <= self.at_once, "only a few are repaired at once");
        debug_assert!(self.resting.len() <= RESTING_MAX, "few rests are remembered");
        debug_assert!(
            self.queue.iter().all(|blob| !self.running.contains(blob)),
            "no blob is repaired twice at the same time"
        );
        effects
    }

    fn deadline(&self) -> Option<Timestamp> {
        if self.look == Look::Idle { self.begins_at() } else { None }
    }
}

#[cfg(test)]
mod tests;
