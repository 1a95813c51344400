//! Requests to members that are under way, and which of them nobody counts on any more.
//!
//! Promises: a request counts as late when nothing of it arrived for a while (silent), when the others were long done
//! (overdue), or from the start when its member is on trial; what silence means fits what the member was measured at.
//! Does not: decide whom to ask instead.

use std::collections::{BTreeMap, BTreeSet};

use super::responsiveness::Pace;
use super::{RequestId, Timestamp};

/// A request without progress for so long is hedged: others are asked for what it owes. A member that is known to need
/// longer gets longer.
pub(super) const HEDGE_AFTER_MS: u64 = 400;
/// A member known to be slow gets more time, but never more than this.
const HEDGE_AFTER_MAX_MS: u64 = 4_000;
/// So many times what others needed for as much is too long.
const OVERDUE_FACTOR: u64 = 3;

/// One request to one member.
#[derive(Debug)]
pub(super) struct Question<T> {
    pub(super) member: usize,
    pub(super) owed: BTreeSet<T>,
    /// What somebody else was asked for, or sent: it is not counted on, and taken if it comes.
    waived: BTreeSet<T>,
    asked: usize,
    pub(super) asked_at: Timestamp,
    patience_ms: u64,
    silent_at: Timestamp,
    is_silent: bool,
    is_overdue: bool,
    is_on_trial: bool,
}

impl<T> Question<T> {
    pub(super) fn is_late(&self) -> bool {
        self.is_silent || self.is_overdue || self.is_on_trial
    }
}

/// All requests under way, each for some things that one member has.
#[derive(Debug)]
pub(super) struct Questions<T> {
    open: BTreeMap<RequestId, Question<T>>,
    next: u64,
    /// Of the requests that were answered, the slowest: what it took, and for how many pairs.
    slowest: Option<(u64, usize)>,
}

impl<T> Default for Questions<T> {
    fn default() -> Self {
        Questions { open: BTreeMap::new(), next: 0, slowest: None }
    }
}

impl<T: Copy + Ord> Questions<T> {
    /// A new request.
    pub(super) fn ask(
        &mut self,
        now: Timestamp,
        member: usize,
        pace: Pace,
        things: &[T],
    ) -> RequestId {
        let patience_ms = match pace {
            Pace::Expected { milliseconds } => milliseconds
                .saturating_mul(OVERDUE_FACTOR)
                .clamp(HEDGE_AFTER_MS, HEDGE_AFTER_MAX_MS),
            Pace::Untried | Pace::OnTrial | Pace::Silent { .. } | Pace::Banned => HEDGE_AFTER_MS,
        };
        let request = RequestId(self.next);
        self.next += 1;
        let question = Question {
            member,
            owed: things.iter().copied().collect(),
            waived: BTreeSet::new(),
            asked: things.len(),
            asked_at: now,
            patience_ms,
            silent_at: now.after(patience_ms),
            is_silent: false,
            is_overdue: false,
            is_on_trial: pace == Pace::OnTrial,
        };
        self.open.insert(request, question);
        request
    }

    /// A thing came, or the word that it is missing. The member, if the request owed it.
    pub(super) fn answered(
        &mut self,
        now: Timestamp,
        request: RequestId,
        thing: T,
    ) -> Option<usize> {
        let question = self.open.get_mut(&request)?;
        let is_due = question.owed.remove(&thing) || question.waived.remove(&thing);
        is_due.then(|| {
            question.silent_at = now.after(question.patience_ms);
            question.is_silent = false;
            question.is_on_trial = false;
            question.member
        })
    }

    /// The request is over.
    pub(super) fn end(&mut self, now: Timestamp, request: RequestId) -> Option<Question<T>> {
        let question = self.open.remove(&request)?;
        if question.owed.is_empty() && question.waived.is_empty() {
            let took = now.0.saturating_sub(question.asked_at.0);
            self.slowest = self.slowest.max(Some((took, question.asked)));
        }
        Some(question)
    }

    /// Marks what is late by now; the members that fell silent.
    pub(super) fn mark_late(&mut self, now: Timestamp) -> Vec<usize> {
        let mut silent = Vec::new();
        let slowest = self.slowest;
        for question in self.open.values_mut() {
            if question.silent_at <= now && !question.is_silent {
                question.is_silent = true;
                silent.push(question.member);
            }
            question.is_overdue |= overdue_at(slowest, question).is_some_and(|at| at <= now);
        }
        silent
    }

    /// When the next request becomes late.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let silent = self.open.values().filter(|question| !question.is_silent);
        let overdue = self.open.values().filter(|question| !question.is_late());
        let overdue = overdue.filter_map(|question| overdue_at(self.slowest, question));
        silent.map(|question| question.silent_at).chain(overdue).min()
    }

    /// What is on its way, from members we count on.
    pub(super) fn promised(&self) -> impl Iterator<Item = &T> {
        let counted = self.open.values().filter(|question| !question.is_late());
        counted.flat_map(|question| &question.owed)
    }

    pub(super) fn is_asked(&self, thing: T) -> bool {
        self.open.values().any(|question| question.owed.contains(&thing))
    }

    /// Whether this member was asked for a thing, and may still send it.
    pub(super) fn is_asked_of(&self, thing: T, member: usize) -> bool {
        let mut of_member = self.open.values().filter(|question| question.member == member);
        of_member.any(|question| question.owed.contains(&thing) || question.waived.contains(&thing))
    }

    /// Whether a thing is on its way from a member we count on.
    pub(super) fn is_promised(&self, thing: T) -> bool {
        let mut counted = self.open.values().filter(|question| !question.is_late());
        counted.any(|question| question.owed.contains(&thing))
    }

    /// Nobody counts on those that were asked for a thing so far.
    pub(super) fn waive(&mut self, thing: T) {
        for question in self.open.values_mut() {
            if question.owed.remove(&thing) {
                question.waived.insert(thing);
            }
        }
    }

    /// Members that owe us something for too long.
    pub(super) fn late_members(&self) -> impl Iterator<Item = usize> {
        self.open.values().filter(|question| question.is_late()).map(|question| question.member)
    }

    /// Whether nobody is left that we count on.
    pub(super) fn are_all_late(&self) -> bool {
        let is_idle =
            |question: &Question<T>| question.owed.is_empty() && !question.waived.is_empty();
        self.open.values().all(|question| question.is_late() || is_idle(question))
    }

    /// Whether nothing is asked for.
    pub(super) fn are_none(&self) -> bool {
        self.open.is_empty()
    }

    /// Ends all of them.
    pub(super) fn clear(&mut self) -> Vec<RequestId> {
        std::mem::take(&mut self.open).into_keys().collect()
    }
}

/// When a request takes too long beside the slowest that was answered.
fn overdue_at<T>(slowest: Option<(u64, usize)>, question: &Question<T>) -> Option<Timestamp> {
    let (took, pairs) = slowest?;
    let share = u64::try_from(question.asked.div_ceil(pairs.max(1))).unwrap_or(u64::MAX);
    let fair = took.saturating_mul(share).saturating_mul(OVERDUE_FACTOR);
    Some(question.asked_at.after(HEDGE_AFTER_MS.saturating_add(fair)))
}
