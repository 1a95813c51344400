//! One question put to the members of a committee until enough of them have answered.
//!
//! Promises: a few members are asked at a time, more while those are slow; a member that could not answer is asked again
//! after a pause, so slow is not taken for dead; it ends when every member answered, refused for good, or was not there
//! twice in a row, or when its patience is over. Does not: judge answers; whoever has heard enough stops.

use std::collections::{BTreeMap, BTreeSet};

use super::questions::HEDGE_AFTER_MS;
use super::retry::{ABSENT_TIMES, End, Rests};
use super::{Machine, Timestamp};

/// What can happen to an inquiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time to ask.
    Started,
    /// A member's request is over.
    Ended {
        /// Index of the member.
        member: usize,
        /// How it ended.
        end: End,
    },
    /// The deadline passed.
    TimeReached,
}

/// What an inquiry can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask this member.
    Ask {
        /// Index of the member.
        member: usize,
    },
    /// Nobody is left to ask, or there is no more time.
    GiveUp,
}

/// One question, many members.
#[derive(Clone, Debug)]
pub struct Inquiry {
    order: Vec<usize>,
    width: usize,
    patience_ms: u64,
    ends_at: Option<Timestamp>,
    /// When something happened last.
    seen: Timestamp,
    /// Who is being asked, and until when the answer counts as on its way.
    asked: BTreeMap<usize, Timestamp>,
    over: BTreeSet<usize>,
    /// Members that were not there when they were asked last, and how often in a row.
    absent: BTreeMap<usize, u32>,
    rests: Rests,
    gave_up: bool,
}

impl Inquiry {
    /// Asks `width` members at a time, in this order, for so long. `noise` spreads the pauses of many clients.
    pub fn new(order: Vec<usize>, width: usize, patience_ms: u64, noise: u64) -> Self {
        Inquiry {
            order,
            width,
            patience_ms,
            ends_at: None,
            seen: Timestamp(0),
            asked: BTreeMap::new(),
            over: BTreeSet::new(),
            absent: BTreeMap::new(),
            rests: Rests::new(noise),
            gave_up: false,
        }
    }

    fn ended(&mut self, now: Timestamp, member: usize, end: End) {
        if self.asked.remove(&member).is_none() {
            return;
        }
        match end {
            End::Done | End::Never => drop(self.over.insert(member)),
            End::Again { after_ms } => {
                self.absent.remove(&member);
                self.rests.begin(now, member, after_ms);
            }
            End::Absent => {
                *self.absent.entry(member).or_default() += 1;
                self.rests.begin(now, member, 0);
            }
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        let is_absent =
            |member| self.absent.get(member).is_some_and(|times| *times >= ABSENT_TIMES);
        self.order.iter().all(|member| self.over.contains(member) || is_absent(member))
            || self.ends_at.is_some_and(|end| end <= now)
    }

    /// Asks until enough answers are on their way; who failed less often comes first.
    fn ask_more(&mut self, now: Timestamp) -> Vec<Effect> {
        let on_their_way = self.asked.values().filter(|until| **until > now).count();
        let is_free = |member: &usize| {
            !self.over.contains(member)
                && !self.asked.contains_key(member)
                && !self.rests.is_resting(now, *member)
        };
        let mut free: Vec<_> = self.order.iter().copied().filter(is_free).collect();
        free.sort_by_key(|member| self.rests.times(*member));
        free.truncate(self.width.saturating_sub(on_their_way));
        self.asked.extend(free.iter().map(|member| (*member, now.after(HEDGE_AFTER_MS))));
        free.into_iter().map(|member| Effect::Ask { member }).collect()
    }
}

impl Machine for Inquiry {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        if self.gave_up {
            return Vec::new();
        }
        self.seen = now;
        self.ends_at.get_or_insert(now.after(self.patience_ms));
        if let Input::Ended { member, end } = input {
            self.ended(now, member, end);
        }
        if self.is_over(now) {
            self.gave_up = true;
            return vec![Effect::GiveUp];
        }
        self.ask_more(now)
    }

    fn deadline(&self) -> Option<Timestamp> {
        let end = self.ends_at.filter(|_| !self.gave_up)?;
        let late = self.asked.values().copied().filter(|until| *until > self.seen).min();
        let rested = self.rests.next(self.seen);
        [late, rested, Some(end)].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
