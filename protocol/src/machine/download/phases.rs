//! The phases of a segment's download after asking: enough to decode, stuck, decoded, checked, given up.
//!
//! Promises: a phase hears only its own answers; slow members are waited for, and those that are not there only while
//! the others may suffice. Does not: ask, or count what arrives.

use std::collections::BTreeSet;

use super::{Effect, Failure, Phase, SegmentDownload};
use crate::machine::retry::ABSENT_TIMES;
use crate::machine::{Blame, Timestamp};
use crate::sliver::{Axis, PairIndex};

/// More often than anybody is asked.
const NEVER: u32 = u32::MAX;

/// How many pairs.
fn number(pairs: usize) -> u16 {
    u16::try_from(pairs).expect("a segment has fewer pairs than u16::MAX")
}

impl SegmentDownload {
    fn cancel_all(&mut self) -> Vec<Effect> {
        let open = self.questions.clear().into_iter();
        open.map(|request| Effect::Cancel { request }).collect()
    }

    pub(super) fn enough(&mut self) -> Vec<Effect> {
        let mut effects = self.cancel_all();
        let unverified: Vec<_> = self.held.difference(&self.verified).copied().collect();
        // A symbol of a short blob was checked with the proof it came with.
        if self.proving && self.padding.is_none() && !unverified.is_empty() {
            self.phase = Phase::Verifying;
            effects.push(Effect::Verify { axis: self.axis, pairs: unverified });
        } else {
            self.phase = Phase::Decoding;
            let pairs = self.held.iter().copied().take(self.needed()).collect();
            let padded = self.padding.is_some() && self.trusts_padding;
            effects.push(Effect::Decode { axis: self.axis, pairs, padded });
        }
        effects
    }

    /// Nobody can be asked now. The other axis helps if its slivers are at hand, or if too few of this one can come;
    /// otherwise those that are slow, or could not answer, are waited for, and those that are not there a little.
    pub(super) fn stuck(&mut self, now: Timestamp) -> Vec<Effect> {
        let late: BTreeSet<_> = self.questions.late_members().collect();
        let is_ready = |member: usize| {
            !self.members.is_gone(member)
                && !self.members.is_resting(now, member)
                && !late.contains(&member)
        };
        let is_at_hand = |pair: &PairIndex| self.owners.all(*pair).iter().any(is_ready);
        let at_hand = self.pairs().filter(is_at_hand).count();
        let other = usize::from(self.parameters.source(Axis::Secondary));
        // Of those that are not there, who is hoped for: all, or whoever was missed for the first time.
        let fails = |times| self.obtainable(times) < self.needed();
        let other_may_come = |times| self.present(times) >= other;
        let other_helps = at_hand >= other
            || [NEVER, ABSENT_TIMES].into_iter().any(|times| fails(times) && other_may_come(times));
        if self.axis == Axis::Primary && self.padding.is_none() && other_helps {
            self.switch_axis(now)
        } else if fails(ABSENT_TIMES) {
            self.unavailable()
        } else if fails(1) {
            self.short()
        } else {
            Vec::new()
        }
    }

    /// Slivers of this axis that are held, or that members may still send.
    fn obtainable(&self, absent_times: u32) -> usize {
        let may_come = |pair: &PairIndex| {
            let mut owners = self.owners.remaining(*pair);
            self.held.contains(pair)
                || !self.lost.contains(pair) && owners.any(|it| self.is_present(it, absent_times))
        };
        self.pairs().filter(may_come).count()
    }

    /// Pairs of members that may still answer.
    fn present(&self, absent_times: u32) -> usize {
        let is_there = |pair: &PairIndex| {
            self.owners.all(*pair).iter().any(|it| self.is_present(it, absent_times))
        };
        self.pairs().filter(is_there).count()
    }

    /// Whether a member may still answer.
    fn is_present(&self, member: usize, absent_times: u32) -> bool {
        !self.members.is_gone(member) && !self.members.is_absent(member, absent_times)
    }

    /// How many pairs nobody has, if those of whom this holds have nothing of the segment.
    pub fn without(&self, has_nothing: impl Fn(usize) -> bool) -> u16 {
        let is_lost = |pair: &PairIndex| self.owners.all(*pair).iter().all(&has_nothing);
        number(self.pairs().filter(is_lost).count())
    }

    /// Says once that members are missed.
    fn short(&mut self) -> Vec<Effect> {
        let is_news = !std::mem::replace(&mut self.is_short, true);
        let members = is_news.then(|| self.members.absent().collect());
        members.map(|members| Effect::Missed { members }).into_iter().collect()
    }

    fn switch_axis(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = self.cancel_all();
        self.first_axis = Some((self.held.len(), self.lost.len()));
        self.axis = Axis::Secondary;
        for set in [&mut self.held, &mut self.claimed, &mut self.verified, &mut self.lost] {
            set.clear();
        }
        self.owners.forget();
        effects.extend(self.advance(now));
        effects
    }

    pub(super) fn unavailable(&mut self) -> Vec<Effect> {
        let shortage = self.shortage(self.held.len()); // it names also those whose requests end now
        let mut effects = self.cancel_all();
        effects.extend(self.fail(shortage));
        effects
    }

    /// What is missing, told of the axis that comes closer to enough.
    fn shortage(&self, held: usize) -> Failure {
        let of = |axis, held, lost| (self.parameters.source(axis), number(held), number(lost));
        let now = (number(self.needed()), number(held), number(self.lost.len()));
        let first = self.first_axis.map(|(held, lost)| of(Axis::Primary, held, lost));
        let missing = |(needed, held, _): &(u16, u16, u16)| needed.saturating_sub(*held);
        let (needed, available, lost) =
            first.filter(|first| missing(first) <= missing(&now)).unwrap_or(now);
        Failure::Unavailable { available, needed, lost, members: self.unhelpful() }
    }

    fn unhelpful(&self) -> Vec<usize> {
        let lacking = self.lost.iter().flat_map(|pair| self.owners.all(*pair).iter());
        let mut members = self.members.unhelpful();
        members.extend(self.questions.late_members().chain(lacking));
        members.into_iter().collect()
    }

    fn fail(&mut self, failure: Failure) -> Vec<Effect> {
        self.phase = Phase::Over;
        vec![Effect::Fail(failure)]
    }

    pub(super) fn decoded(&mut self, now: Timestamp, matches: bool) -> Vec<Effect> {
        if self.phase != Phase::Decoding {
            return Vec::new();
        }
        if matches {
            self.phase = Phase::Over;
            return vec![Effect::Finish];
        }
        if self.proving && self.unasked() > 0 {
            // Nobody lied about these, so the writer may have committed to other padding than zeros.
            self.trusts_padding = false;
            self.phase = Phase::Gathering;
            self.progress_at = Some(now);
            return self.advance(now);
        }
        if self.proving {
            return self.fail(Failure::Inconsistent);
        }
        // Somebody lied, or the writer did: from here on slivers count with their proofs only.
        self.proving = true;
        self.claimed = self.held.difference(&self.verified).copied().collect();
        self.held.clone_from(&self.verified);
        self.phase = Phase::Gathering;
        self.progress_at = Some(now);
        self.advance(now)
    }

    pub(super) fn got_verified(&mut self, now: Timestamp, wrong: &[PairIndex]) -> Vec<Effect> {
        if self.phase != Phase::Verifying {
            return Vec::new();
        }
        let wrong: Vec<_> = wrong.iter().filter(|pair| self.held.contains(pair)).copied().collect();
        let liars: BTreeSet<_> = wrong.iter().map(|pair| self.owners.sender(*pair)).collect();
        for pair in &wrong {
            self.held.remove(pair);
        }
        self.verified = self.held.clone();
        for liar in &liars {
            self.members.lied(*liar);
        }
        self.phase = Phase::Gathering;
        self.progress_at = Some(now);
        let blame = |member| Effect::Blame { member, reason: Blame::WrongBytes };
        let mut effects: Vec<_> = liars.into_iter().map(blame).collect();
        effects.extend(self.advance(now));
        effects
    }
}
