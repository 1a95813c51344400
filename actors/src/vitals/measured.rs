//! What was measured of a node last, for whoever asks.
//!
//! Promises: an answer comes from memory. Does not: measure, or judge.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use haulout_protocol::blob::BlobId;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::conditions::{ClockDifference, Stored};
use haulout_protocol::machine::reachability::Reachability;
use haulout_storage::Scrubbed;

/// What a node lacks of what the network keeps, and what it did about that since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// The checkpoint at which a look through the store began that found nothing missing or on its way, when the node had
    /// read the ledger to its end; nothing if one found something missing since.
    pub complete_at: Option<u64>,
    /// Incomplete blobs that the last look found.
    pub incomplete: u64,
    /// Pairs, and symbols of short blobs, that were repaired.
    pub pairs: u64,
    /// Bytes that came for them.
    pub received_bytes: u64,
}

/// A blob that could not be repaired several times in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// How many slivers of it others may have, of the segment of which the fewest are left.
    pub have: u16,
    /// How many of them it takes.
    pub needed: u16,
    /// Whether its writer encoded it wrongly, so that no number is enough.
    pub is_faulty: bool,
}

/// How much is missing of what belongs in a node's shards, counted through the whole store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Blobs of which something is missing.
    pub blobs: u64,
    /// Pairs, and symbols of short blobs, that are missing.
    pub pairs: u64,
    /// When nothing will be missing any more, if it goes on as since it was counted first; nothing while that cannot be said.
    pub left: Option<Duration>,
}

/// A number that should fall to nothing, and where it began.
#[derive(Clone, Copy, Debug)]
struct Falling {
    began: Instant,
    first: u64,
    last: u64,
}

impl Falling {
    /// The same after another count; a number that rose begins anew.
    fn next(self, now: Instant, count: u64) -> Falling {
        match count > self.last {
            true => Falling { began: now, first: count, last: count },
            false => Falling { last: count, ..self },
        }
    }

    /// How long it takes to nothing, if it goes on so.
    fn left(self, now: Instant) -> Option<Duration> {
        let done = self.first.checked_sub(self.last).filter(|done| *done > 0)?;
        let spent = now.saturating_duration_since(self.began).as_secs_f64();
        // Both numbers are counts of pairs, and an estimate needs no more digits than a float has.
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let left = spent * self.last as f64 / done as f64;
        Duration::try_from_secs_f64(left).ok()
    }
}

/// How far a node is with reading again what it stores, since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbing {
    /// Bytes read.
    pub read_bytes: u64,
    /// Values among them that were not what was written.
    pub rotten: u64,
    /// Slivers that the system did not let us read.
    pub unreadable: u64,
    /// How much of the tour that is under way is done, in thousandths, as far as can be told.
    pub tour_per_mille: u64,
    /// How often everything was read once.
    pub tours: u64,
    /// When the last of these tours ended, by our clock, in milliseconds since 1970.
    pub last_tour_ms: Option<u64>,
}

/// What was measured last: written by those who measure, read by whoever asks; a cheap clone.
#[derive(Clone, Debug)]
pub struct Vitals {
    clock_tolerance_ms: u64,
    measured: Arc<Mutex<Measured>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Nothing before the first look.
    pub(super) stored: Option<Stored>,
    /// Shards that are ours in this epoch and not here; nothing before the committee is judged.
    pub(super) shards_missing: Option<(Epoch, usize)>,
    repairs: Repairs,
    /// How many blobs cannot be repaired now, and some of them.
    stuck: (usize, Vec<(BlobId, Stuck)>),
    /// Blobs and pairs that are missing, as they were counted last; nothing while nothing is.
    missing: Option<(u64, Falling)>,
    scrubbing: Scrubbing,
    /// Nothing before anybody was asked.
    pub(super) reachability: Option<Reachability>,
    pub(super) clock: Option<ClockDifference>,
    /// How far the ledger's time was moved ahead, as it said when it was asked last.
    time_moved_ms: u64,
}

impl Default for Vitals {
    /// For whoever has no opinion of its clock, as clients have none.
    fn default() -> Vitals {
        Vitals::new(Duration::MAX)
    }
}

impl Vitals {
    /// Nothing is measured yet; our clock may be so far from the ledger's.
    pub fn new(clock_tolerance: Duration) -> Vitals {
        let clock_tolerance_ms = u64::try_from(clock_tolerance.as_millis()).unwrap_or(u64::MAX);
        Vitals { clock_tolerance_ms, measured: Arc::default() }
    }

    pub(super) fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the store is.
    pub(crate) fn set_stored(&self, stored: Stored) {
        self.measured().stored = Some(stored);
    }

    /// So many of the shards that an epoch gives us are not here.
    pub(crate) fn set_shards_missing(&self, epoch: Epoch, missing: usize) {
        self.measured().shards_missing = Some((epoch, missing));
    }

    /// How many shards this epoch gives the node that it does not have; nothing while it has not judged that yet, which
    /// takes until it has read the ledger to its end.
    pub fn shards_missing(&self, epoch: Epoch) -> Option<usize> {
        let judged = self.measured().shards_missing.filter(|(judged, _)| *judged == epoch);
        judged.map(|(_, missing)| missing)
    }

    /// What the node lacks, and what it did about that.
    pub fn repairs(&self) -> Repairs {
        self.measured().repairs
    }

    /// How much is missing, as it was counted last.
    pub fn missing(&self) -> Missing {
        let Some((blobs, pairs)) = self.measured().missing else { return Missing::default() };
        let is_stuck = self.measured().stuck.0 > 0;
        // What cannot be repaired has no pace.
        let left = pairs.left(Instant::now()).filter(|_| !is_stuck);
        Missing { blobs, pairs: pairs.last, left }
    }

    /// How many blobs could not be repaired again and again, and some of them by name.
    pub fn stuck(&self) -> (usize, Vec<(BlobId, Stuck)>) {
        self.measured().stuck.clone()
    }

    /// So many blobs cannot be repaired now, these among them.
    pub(crate) fn set_stuck(&self, count: usize, named: Vec<(BlobId, Stuck)>) {
        self.measured().stuck = (count, named);
    }

    /// So many blobs and pairs are missing.
    pub(crate) fn set_missing(&self, blobs: u64, pairs: u64) {
        let now = Instant::now();
        let mut measured = self.measured();
        let began = Falling { began: now, first: pairs, last: pairs };
        let falling = measured.missing.map_or(began, |(_, before)| before.next(now, pairs));
        measured.missing = (blobs > 0).then_some((blobs, falling));
    }

    /// Bytes free on the disk, and how many of them are never used; nothing before the first look.
    pub fn disk(&self) -> Option<(u64, u64)> {
        let stored = self.measured().stored.clone()?;
        Some((stored.free_bytes?, stored.reserve_bytes))
    }

    /// What peers found that were asked to dial us back; nothing before one was asked.
    pub fn reachability(&self) -> Option<Reachability> {
        self.measured().reachability.clone()
    }

    /// What peers found that were asked to dial us back.
    pub(crate) fn set_reachability(&self, found: Reachability) {
        self.measured().reachability = Some(found);
    }

    /// A look through the store found so many incomplete blobs so far.
    pub(crate) fn set_incomplete(&self, incomplete: u64) {
        let repairs = &mut self.measured().repairs;
        repairs.incomplete = incomplete;
        repairs.complete_at = repairs.complete_at.filter(|_| incomplete == 0);
    }

    /// A look through the store that began at that checkpoint found nothing missing or on its way.
    pub(crate) fn set_complete(&self, checkpoint: u64) {
        self.measured().repairs.complete_at = Some(checkpoint);
    }

    /// So many pairs were repaired from so many bytes.
    pub(crate) fn note_repaired(&self, pairs: u64, received_bytes: u64) {
        let repairs = &mut self.measured().repairs;
        repairs.pairs = repairs.pairs.saturating_add(pairs);
        repairs.received_bytes = repairs.received_bytes.saturating_add(received_bytes);
    }

    /// How far the node is with reading again what it stores.
    pub fn scrubbing(&self) -> Scrubbing {
        self.measured().scrubbing
    }

    /// So much of the tour that is under way is done.
    pub(crate) fn set_tour(&self, per_mille: u64) {
        self.measured().scrubbing.tour_per_mille = per_mille;
    }

    /// A slice was read again.
    pub(crate) fn note_scrubbed(&self, read: &Scrubbed) {
        let scrubbing = &mut self.measured().scrubbing;
        scrubbing.read_bytes = scrubbing.read_bytes.saturating_add(read.bytes);
        scrubbing.rotten = scrubbing.rotten.saturating_add(read.rotten);
        scrubbing.unreadable = scrubbing.unreadable.saturating_add(read.unreadable);
    }

    /// Everything was read once.
    pub(crate) fn note_tour(&self, now_ms: u64) {
        let scrubbing = &mut self.measured().scrubbing;
        scrubbing.tours = scrubbing.tours.saturating_add(1);
        scrubbing.last_tour_ms = Some(now_ms);
    }

    /// A proven checkpoint of that time came, at this moment of our clock; whether the ledger has no later one. A
    /// difference that is too much, also after what the ledger said last of its time, is not noted but returned: the
    /// ledger may explain it.
    pub(crate) fn note_clock(
        &self,
        ours_ms: u64,
        ledger_ms: u64,
        is_latest: bool,
    ) -> Option<ClockDifference> {
        let found = ClockDifference::of(ours_ms, ledger_ms, is_latest, self.clock_tolerance_ms)?;
        let mut measured = self.measured();
        let left = found.explained(measured.time_moved_ms);
        if left.is_too_much() {
            return Some(found);
        }
        measured.clock = Some(left);
        None
    }

    /// A difference was too much, and the ledger says that its time was moved ahead by so much.
    pub(crate) fn note_explained(&self, found: ClockDifference, moved_ms: u64) {
        let mut measured = self.measured();
        measured.time_moved_ms = moved_ms;
        measured.clock = Some(found.explained(moved_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falls_says_when_it_is_over_and_what_rises_begins_anew() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let first = Falling { began, first: 100, last: 100 };
        assert_eq!(first.left(after(5)), None, "nothing is known of its pace yet");
        let half = first.next(after(10), 50);
        assert_eq!(half.left(after(10)), Some(Duration::from_secs(10)));
        let most = half.next(after(15), 25);
        assert_eq!(most.left(after(15)), Some(Duration::from_secs(5)));
        let more = most.next(after(20), 70);
        assert_eq!((more.first, more.left(after(21))), (70, None));
    }

    #[test]
    fn what_is_missing_is_told_until_nothing_is() {
        let vitals = Vitals::default();
        assert_eq!(vitals.missing(), Missing::default());
        vitals.set_missing(3, 60);
        assert_eq!((vitals.missing().blobs, vitals.missing().pairs), (3, 60));
        vitals.set_missing(1, 6);
        assert!(vitals.missing().left.is_some());
        let stuck = Stuck { have: 2, needed: 3, is_faulty: false };
        vitals.set_stuck(1, vec![(BlobId::from_bytes([1; 32]), stuck)]);
        assert_eq!(vitals.missing().left, None, "nobody can say when what cannot end is over");
        vitals.set_stuck(0, Vec::new());
        vitals.set_missing(0, 0);
        assert_eq!(vitals.missing(), Missing::default());
    }
}
