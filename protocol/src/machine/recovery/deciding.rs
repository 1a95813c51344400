//! What follows from what came to a recovery: rebuild, keep, have it proved, read the whole segment, blame, or give up.
//!
//! Promises: nothing is kept that was not recognised; it ends once. Does not: choose whom to ask.

use std::collections::{BTreeMap, BTreeSet};

use super::{Effect, Failure, Phase, SegmentRecovery, Stage, Thing};
use crate::machine::retry::{ABSENT_TIMES, End};
use crate::machine::{Blame, RequestId, Timestamp};
use crate::pairs::{PairProof, PairRoots};
use crate::sliver::{Axis, PairIndex};

impl SegmentRecovery {
    /// Decides what the facts at hand allow: rebuild, ask, wait, or give up.
    pub(super) fn advance(&mut self, now: Timestamp) -> Vec<Effect> {
        if self.phase != Phase::Gathering {
            return Vec::new();
        }
        let mut effects = self.widen(now);
        if self.has_enough() && self.can_recognise() {
            effects.extend(self.cancel_all());
            effects.push(self.rebuild());
            self.phase = Phase::Rebuilding;
            return effects;
        }
        if self.gives_up_at().is_some_and(|end| end <= now) {
            // Whoever was silent for so long is not waited for by a reader either.
            effects.extend(self.fall_back(u32::MAX, false));
            return effects;
        }
        if self.is_short(u32::MAX) {
            // What the others are asked for would be fetched in vain, and again each time.
            effects.extend(self.fall_back(u32::MAX, true));
            return effects;
        }
        let asked = self.ask_more(now);
        let is_stuck = asked.is_empty() && self.questions.are_all_late();
        effects.extend(asked);
        if is_stuck && self.is_short(ABSENT_TIMES) {
            effects.extend(self.fall_back(ABSENT_TIMES, true));
        }
        effects
    }

    /// Too few symbols may still come. A reader needs half as many slivers: where these may be had the segment is read as a
    /// whole, once; else it ends here, before anything is fetched in vain.
    fn fall_back(&mut self, absent_times: u32, hopes_for_late: bool) -> Vec<Effect> {
        let needed = usize::from(self.parameters.source(Axis::Primary));
        if self.readable(absent_times, hopes_for_late) < needed {
            return self.unavailable(absent_times);
        }
        let mut effects = self.cancel_all();
        self.phase = Phase::Reading;
        effects.push(Effect::Read);
        effects
    }

    /// The segment was read: keeps the pairs whose proofs lead to what was committed to. Bytes that are the content and
    /// encode to anything else are the writer's fault.
    pub(super) fn read(&mut self, proofs: &BTreeMap<PairIndex, PairProof>) -> Vec<Effect> {
        if self.phase != Phase::Reading {
            return Vec::new();
        }
        let mut pairs = Vec::new();
        for (pair, proof) in proofs {
            if self.lost.contains(pair) && self.known.learn(*pair, proof).is_ok() {
                self.lost.remove(pair);
                pairs.push(*pair);
            }
        }
        let mut effects = Vec::new();
        if !pairs.is_empty() {
            effects.push(Effect::Keep { pairs });
        }
        effects.extend(match self.lost.is_empty() {
            true => self.end(Effect::Finish),
            false => self.end(Effect::Fail(Failure::Inconsistent)),
        });
        effects
    }

    /// The segment cannot be read either.
    pub(super) fn unread(&mut self, is_inconsistent: bool) -> Vec<Effect> {
        match (self.phase, is_inconsistent) {
            (Phase::Reading, true) => self.end(Effect::Fail(Failure::Inconsistent)),
            (Phase::Reading, false) => self.unavailable(u32::MAX),
            _ => Vec::new(),
        }
    }

    pub(super) fn gives_up_at(&self) -> Option<Timestamp> {
        self.progress_at.map(|progress| progress.after(self.patience_ms))
    }

    pub(super) fn rebuild(&self) -> Effect {
        let of = |axis| {
            let pair = |thing: &Thing| match thing {
                Thing::Symbols(of, pair) if *of == axis => Some(*pair),
                Thing::Symbols(..) | Thing::Proof(_) => None,
            };
            self.held.iter().filter_map(pair).collect::<Vec<_>>()
        };
        Effect::Rebuild {
            targets: self.targets.iter().copied().collect(),
            sources: [of(Axis::Primary), of(Axis::Secondary)],
            accuse: self.stage == Stage::Accusing,
        }
    }

    pub(super) fn cancel_all(&mut self) -> Vec<Effect> {
        let open = self.questions.clear().into_iter();
        open.map(|request| Effect::Cancel { request }).collect()
    }

    /// Begins anew with other targets, or with proofs: what came is of no use any more.
    pub(super) fn restart(&mut self) -> Vec<Effect> {
        let mut effects = self.cancel_all();
        self.held.clear();
        effects.push(Effect::Restart);
        effects
    }

    pub(super) fn unavailable(&mut self, absent_times: u32) -> Vec<Effect> {
        let short = |axis: &Axis| self.shortage(*axis, absent_times).is_some();
        let axis = Axis::BOTH.into_iter().find(short).unwrap_or(Axis::Primary);
        let mut members = self.members.unhelpful();
        members.extend(self.questions.late_members());
        members.extend(self.missing.iter().map(|thing| self.owner(*thing)));
        let failure = Failure::Unavailable {
            axis: axis.other(),
            available: self.shortage(axis, absent_times).unwrap_or(self.held_of(axis)),
            needed: self.needed(axis),
            members: members.into_iter().collect(),
        };
        let mut effects = self.cancel_all();
        effects.extend(self.end(Effect::Fail(failure)));
        effects
    }

    pub(super) fn end(&mut self, how: Effect) -> Vec<Effect> {
        self.phase = Phase::Over;
        vec![how]
    }

    /// Something was answered: what, if its request owed it. Each request asks for things of one kind.
    pub(super) fn answered(
        &mut self,
        now: Timestamp,
        request: RequestId,
        pair: PairIndex,
    ) -> Option<Thing> {
        let [primary, secondary] = Axis::BOTH.map(|axis| Thing::Symbols(axis, pair));
        let mut things = [Thing::Proof(pair), primary, secondary].into_iter();
        let (thing, member) = things.find_map(|thing| {
            self.questions.answered(now, request, thing).map(|member| (thing, member))
        })?;
        self.members.answered(member);
        Some(thing)
    }

    pub(super) fn arrived(
        &mut self,
        now: Timestamp,
        request: RequestId,
        (pair, proof): (PairIndex, Option<&PairProof>),
    ) {
        let Some(thing) = self.answered(now, request, pair) else { return };
        // It was verified, so one that teaches nothing does not happen; what came with it does not count.
        if proof.is_some_and(|proof| self.known.learn(pair, proof).is_err()) {
            self.missing.insert(thing);
            return;
        }
        self.progress_at = Some(now);
        self.held.insert(thing);
    }

    pub(super) fn ended(&mut self, now: Timestamp, request: RequestId, end: End) {
        let Some(question) = self.questions.end(now, request) else { return };
        if !question.owed.is_empty() {
            self.members.ended(now, question.member, question.asked_at, end);
        }
    }

    pub(super) fn lied(&mut self, now: Timestamp, request: RequestId) -> Vec<Effect> {
        let Some(question) = self.questions.end(now, request) else { return Vec::new() };
        self.members.lied(question.member);
        vec![Effect::Blame { member: question.member, reason: Blame::WrongProof }]
    }

    /// Whoever sent other symbols before they had to be proved lied.
    pub(super) fn differs(&self, source: PairIndex) -> Vec<Effect> {
        let member = self.owner(Thing::Proof(source));
        let blame = Effect::Blame { member, reason: Blame::WrongBytes };
        if self.is_proving() { vec![blame] } else { Vec::new() }
    }

    /// What the symbols gave: keeps what was committed to, and has the rest proved. Where pairs of ours went missing meanwhile
    /// nobody lied: others give what those would have given.
    pub(super) fn rebuilt(
        &mut self,
        now: Timestamp,
        roots: &BTreeMap<PairIndex, PairRoots>,
        is_inconsistent: bool,
        gone: &BTreeSet<PairIndex>,
    ) -> Vec<Effect> {
        if self.phase != Phase::Rebuilding {
            return Vec::new();
        }
        let right = self.recognise(roots);
        let pairs: Vec<_> = right.intersection(&self.lost).copied().collect();
        self.lost.retain(|pair| !right.contains(pair));
        self.targets.retain(|pair| !right.contains(pair));
        let mut effects = Vec::new();
        if !pairs.is_empty() {
            effects.push(Effect::Keep { pairs });
        }
        let here = self.local.len();
        self.local.retain(|pair| !gone.contains(pair));
        let is_robbed = self.local.len() < here;
        effects.extend(match (self.lost.is_empty(), is_inconsistent, self.stage) {
            (true, ..) => self.end(Effect::Finish),
            (false, false, stage) if is_robbed => self.go_on(now, stage, Vec::new()),
            (false, true, _) => self.end(Effect::Fail(Failure::Inconsistent)),
            (false, false, Stage::Accusing) => self.end(Effect::Fail(Failure::Unrecognised)),
            (false, false, Stage::Proving) => self.go_on(now, Stage::Accusing, Vec::new()),
            (false, false, Stage::Trusting) => {
                let restart = self.restart();
                self.go_on(now, Stage::Proving, restart)
            }
        });
        effects
    }

    /// What was believed is not what was committed to: more has to be shown.
    pub(super) fn go_on(
        &mut self,
        now: Timestamp,
        stage: Stage,
        mut effects: Vec<Effect>,
    ) -> Vec<Effect> {
        self.stage = stage;
        self.phase = Phase::Gathering;
        self.progress_at = Some(now);
        effects.extend(self.advance(now));
        effects
    }

    pub(super) fn mark_late(&mut self, now: Timestamp) -> Vec<Effect> {
        let silent = self.questions.mark_late(now);
        self.members.fell_silent(&silent);
        silent.into_iter().map(|member| Effect::Silent { member }).collect()
    }
}
