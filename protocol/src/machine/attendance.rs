//! Which members of a committee may be asked by somebody who needs several answers, and which are not waited for.
//!
//! Promises: who could not answer rests and is asked again, who is not there is counted once for all that was asked side by
//! side, who refused for good or lied is not asked any more, and an answer forgives what may be forgiven. Does not: choose.

use std::collections::{BTreeMap, BTreeSet};

use super::Timestamp;
use super::retry::{End, Rests};

/// How often a member was not there.
#[derive(Clone, Copy, Debug, Default)]
struct Absence {
    /// In a row.
    times: u32,
    since: Timestamp,
}

impl Absence {
    /// It was not there when it was asked at this moment; what was asked side by side counts once.
    fn note(&mut self, now: Timestamp, asked_at: Timestamp) {
        if self.times == 0 || asked_at >= self.since {
            (self.times, self.since) = (self.times.saturating_add(1), now);
        }
    }
}

/// The members, as far as they answered.
#[derive(Clone, Debug)]
pub(super) struct Attendance {
    liars: BTreeSet<usize>,
    failed: BTreeSet<usize>,
    /// Members that owed something for too long, and sent nothing since.
    silent: BTreeSet<usize>,
    /// Members that were not there when they were asked last, and how often in a row.
    absent: BTreeMap<usize, Absence>,
    rests: Rests,
}

impl Attendance {
    /// Nobody was asked yet. `noise` spreads the pauses of many who ask.
    pub(super) fn new(noise: u64) -> Self {
        Attendance {
            liars: BTreeSet::new(),
            failed: BTreeSet::new(),
            silent: BTreeSet::new(),
            absent: BTreeMap::new(),
            rests: Rests::new(noise),
        }
    }

    /// The member sent something that was asked for, or said that it lacks it.
    pub(super) fn answered(&mut self, member: usize) {
        self.rests.forgive(member);
        self.absent.remove(&member);
        self.silent.remove(&member);
    }

    /// A request of this moment ended though the member still owed something.
    pub(super) fn ended(&mut self, now: Timestamp, member: usize, asked_at: Timestamp, end: End) {
        match end {
            End::Again { after_ms } => {
                self.absent.remove(&member);
                self.rests.begin(now, member, after_ms);
            }
            End::Absent => {
                self.absent.entry(member).or_default().note(now, asked_at);
                self.rests.begin(now, member, 0);
            }
            End::Done | End::Never => drop(self.failed.insert(member)),
        }
    }

    /// Members owe something for too long.
    pub(super) fn fell_silent(&mut self, members: &[usize]) {
        self.silent.extend(members);
    }

    /// A member lied; whether that was not known.
    pub(super) fn lied(&mut self, member: usize) -> bool {
        self.liars.insert(member)
    }

    /// Whether nothing will come of this member any more.
    pub(super) fn is_gone(&self, member: usize) -> bool {
        self.liars.contains(&member) || self.failed.contains(&member)
    }

    /// Whether the member is left alone for a while.
    pub(super) fn is_resting(&self, now: Timestamp, member: usize) -> bool {
        self.rests.is_resting(now, member)
    }

    /// Whether the member owed something for too long, and sent nothing since.
    pub(super) fn is_silent(&self, member: usize) -> bool {
        self.silent.contains(&member)
    }

    /// Whether a member was not there so many times in a row.
    pub(super) fn is_absent(&self, member: usize, times: u32) -> bool {
        self.absent.get(&member).is_some_and(|absence| absence.times >= times)
    }

    /// Members that were not there when they were asked last.
    pub(super) fn absent(&self) -> impl Iterator<Item = usize> {
        self.absent.keys().copied()
    }

    /// Members from which nothing came, or not enough: gone, or resting.
    pub(super) fn unhelpful(&self) -> BTreeSet<usize> {
        let gone = self.liars.union(&self.failed).copied();
        gone.chain(self.rests.members()).collect()
    }

    /// When the next member that rests may be asked again.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.rests.next(now)
    }
}
