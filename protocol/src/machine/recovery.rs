//! Rebuilds the pairs of one segment that a node lost: whom to ask for symbols, when there are enough, whom to blame.
//!
//! Promises: symbols are asked for without proofs first, no more than the pairs' own bytes unless a node is slow, silent or
//! wrong; what was rebuilt is kept only if its pair is the one that was committed to; once it is not, every symbol has to be
//! proved, liars are blamed, and a segment whose proved symbols still give other pairs was encoded wrongly by its writer. A
//! pair whose neighbours' proofs cannot be had is rebuilt together with those below the lowest node that anybody's proof
//! shows. Ends in all pairs, in [`Failure::Inconsistent`], or, as soon as too few may still answer, in a failure that names who
//! did not help. Does not: rebuild, verify symbols or open streams itself.
//! Source: `protocol.md` section 8.

use std::collections::{BTreeMap, BTreeSet};

use super::attendance::Attendance;
use super::questions::Questions;
use super::responsiveness::{Pace, Preference, preferences};
use super::retry::{ABSENT_TIMES, End};
use super::roster::Roster;
use super::{Blame, Machine, RequestId, Timestamp};
use crate::blob::BlobId;
use crate::crypto::Digest;
use crate::encoding::Parameters;
use crate::pairs::{GROUP_PAIRS, KnownPairs, PairProof, PairRoots};
use crate::sliver::{Axis, PairIndex, shard_of_pair};

mod recognition;

/// What can happen to a recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time to ask.
    Started,
    /// A source's symbols for all targets came, of the right lengths. With a proof, each was verified, and so was it.
    Arrived {
        /// The request it answers.
        request: RequestId,
        /// Which pair they come from.
        source: PairIndex,
        /// The source's proof, if symbols were to be proved.
        proof: Option<PairProof>,
    },
    /// A pair's proof came, verified.
    Proved {
        /// The request it answers.
        request: RequestId,
        /// Which pair.
        pair: PairIndex,
        /// Its proof.
        proof: PairProof,
    },
    /// The node lacks what was asked for.
    Missing {
        /// The request it answers.
        request: RequestId,
        /// Which pair is missing.
        pair: PairIndex,
    },
    /// The symbols that came now with their proofs are not those that came of this source before. Comes before its arrival.
    Differs {
        /// Which.
        source: PairIndex,
    },
    /// What came with this request proves nothing; it is over.
    Lied {
        /// Which.
        request: RequestId,
    },
    /// The request is over, well or not; what it still owes will not come by it.
    Ended {
        /// Which request.
        request: RequestId,
        /// How it ended.
        end: End,
    },
    /// What the symbols gave.
    Rebuilt {
        /// The roots of each target's slivers.
        roots: BTreeMap<PairIndex, PairRoots>,
        /// Whether proved symbols prove the writer's fault.
        is_inconsistent: bool,
    },
    /// The deadline passed.
    TimeReached,
}

/// What a recovery can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask a member for symbols of its pairs.
    Ask {
        /// Names the request in later inputs.
        request: RequestId,
        /// Index of the member on the roster.
        member: usize,
        /// Which slivers give the symbols.
        axis: Axis,
        /// Of which pairs.
        sources: Vec<PairIndex>,
        /// For which pairs, those to be rebuilt.
        targets: Vec<PairIndex>,
        /// Whether every symbol is to be proved.
        with_proofs: bool,
    },
    /// Ask a member for the proofs of its pairs.
    AskProofs {
        /// Names the request in later inputs.
        request: RequestId,
        /// Index of the member on the roster.
        member: usize,
        /// Of which pairs.
        pairs: Vec<PairIndex>,
    },
    /// Nobody waits for this request any more.
    Cancel {
        /// Which request.
        request: RequestId,
    },
    /// Forget the symbols that came: they are not for all targets.
    Restart,
    /// Rebuild the targets from symbols of these sources, and from the pairs at hand.
    Rebuild {
        /// Which pairs.
        targets: Vec<PairIndex>,
        /// The pairs whose primary, and whose secondary slivers gave symbols.
        sources: [Vec<PairIndex>; 2],
        /// Whether the symbols, all of them proved and as many as the pairs hold, are to prove the writer's fault if they do
        /// not give what was committed to.
        accuse: bool,
    },
    /// These pairs are the ones that were committed to: keep them.
    Keep {
        /// Which, of those that were lost.
        pairs: Vec<PairIndex>,
    },
    /// A member owes an answer for so long that others are asked, or is asked on trial: remember it until it answers.
    Silent {
        /// Which.
        member: usize,
    },
    /// A member lied.
    Blame {
        /// Which.
        member: usize,
        /// How.
        reason: Blame,
    },
    /// All pairs are rebuilt.
    Finish,
    /// There is no way to them.
    Fail(Failure),
}

/// Why pairs cannot be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Too few symbols can be had.
    #[error("only {available} of {needed} symbols for each {axis} sliver can be had")]
    Unavailable {
        /// Which slivers would give them.
        axis: Axis,
        /// Slivers whose symbols came or may still come.
        available: usize,
        /// Slivers whose symbols are needed.
        needed: usize,
        /// Members that did not help.
        members: Vec<usize>,
    },
    /// Proved symbols give other pairs than were committed to: the writer encoded the segment wrongly.
    #[error("the blob was encoded inconsistently by its writer")]
    Inconsistent,
    /// The same, but of pairs of which no proof shows what they should be.
    #[error("nobody's proof shows what the rebuilt pairs should be")]
    Unrecognised,
}

/// What is asked of members, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    /// Symbols of a pair's sliver.
    Symbols(Axis, PairIndex),
    /// A pair's proof.
    Proof(PairIndex),
}

impl Thing {
    fn pair(self) -> PairIndex {
        match self {
            Thing::Symbols(_, pair) | Thing::Proof(pair) => pair,
        }
    }
}

/// What symbols are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// They are believed, until they give other pairs than were committed to.
    Trusting,
    /// They count with their proofs only: somebody lied, or the writer did.
    Proving,
    /// Proved ones gave other pairs: there have to be enough to prove the writer's fault.
    Accusing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Gathering,
    Rebuilding,
    Over,
}

/// What a node has of a segment, and what it lacks.
#[derive(Clone, Debug)]
pub struct Stock {
    /// The pairs to rebuild.
    pub lost: BTreeSet<PairIndex>,
    /// The pairs that are here, whole, each with its verified proof: they give symbols, and cost nothing.
    pub held: BTreeMap<PairIndex, PairProof>,
    /// Our own place among those who are asked.
    pub ourselves: Option<usize>,
}

/// How a recovery asks.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What to expect of each member.
    pub paces: Vec<Pace>,
    /// Gives up after so long without anything new, in milliseconds.
    pub patience_ms: u64,
    /// Spreads the pauses of many nodes; any number.
    pub noise: u64,
}

/// The recovery of one segment's pairs.
#[derive(Debug)]
pub struct SegmentRecovery {
    parameters: Parameters,
    owners: Vec<usize>,
    ourselves: Option<usize>,
    paces: Vec<Pace>,
    preferences: Vec<Preference>,
    patience_ms: u64,
    lost: BTreeSet<PairIndex>,
    local: BTreeSet<PairIndex>,
    /// What is rebuilt: what is lost, and what is recognised only together with it.
    targets: BTreeSet<PairIndex>,
    known: KnownPairs,
    phase: Phase,
    stage: Stage,
    held: BTreeSet<Thing>,
    missing: BTreeSet<Thing>,
    members: Attendance,
    questions: Questions<Thing>,
    progress_at: Option<Timestamp>,
    seen: Timestamp,
}

impl SegmentRecovery {
    /// A recovery of pairs of a `segment` whose commitment has this `slivers_root`, from those who have the other pairs,
    /// or had them before, as long as these move.
    pub fn new(
        parameters: Parameters,
        roster: &Roster,
        (blob_id, segment, slivers_root): (&BlobId, u32, Digest),
        stock: Stock,
        terms: Terms,
    ) -> Self {
        let owner = |pair| {
            let shard = shard_of_pair(&parameters, blob_id, segment, PairIndex(pair));
            let owners = roster.owners(shard, None);
            owners.expect("a committee owns every shard of its network").likely
        };
        let members = roster.len();
        let mut paces = terms.paces;
        paces.resize(members, Pace::Untried);
        let shares: Vec<_> = (0..members).map(|member| roster.share(member)).collect();
        let needed = usize::from(parameters.source(Axis::Secondary));
        let Stock { lost, held, ourselves } = stock;
        let mut known = KnownPairs::new(&parameters, slivers_root);
        // A proof that does not verify, though it did when it was stored, teaches nothing.
        let learnt = |(pair, proof): (&PairIndex, &PairProof)| {
            known.learn(*pair, proof).is_ok().then_some(*pair)
        };
        let local: BTreeSet<_> =
            held.iter().filter(|(pair, _)| !lost.contains(pair)).filter_map(learnt).collect();
        SegmentRecovery {
            owners: (0..parameters.shards()).map(owner).collect(),
            ourselves,
            preferences: preferences(&paces, &shares, needed),
            paces,
            patience_ms: terms.patience_ms,
            targets: lost.clone(),
            lost,
            local,
            known,
            phase: Phase::Gathering,
            stage: Stage::Trusting,
            held: BTreeSet::new(),
            missing: BTreeSet::new(),
            members: Attendance::new(terms.noise),
            questions: Questions::default(),
            progress_at: None,
            seen: Timestamp(0),
            parameters,
        }
    }

    /// What proofs told of the segment's pairs; of those that were rebuilt and kept, their proofs.
    pub fn known(&self) -> &KnownPairs {
        &self.known
    }

    /// Who has a pair, by its index on the roster.
    pub fn owner_of(&self, pair: PairIndex) -> usize {
        self.owner(Thing::Proof(pair))
    }

    /// The pairs that are here and give symbols.
    pub fn local(&self) -> &BTreeSet<PairIndex> {
        &self.local
    }

    fn owner(&self, thing: Thing) -> usize {
        self.owners[usize::from(thing.pair().0)]
    }

    /// How many slivers of this axis have to give symbols, beyond those at hand. Rebuilt secondary slivers give the
    /// primary ones what they share with them, but nothing proves that.
    fn needed(&self, axis: Axis) -> usize {
        let across = usize::from(self.parameters.sliver_symbols(axis.other()));
        let shared = match axis {
            Axis::Secondary if self.stage < Stage::Accusing => self.targets.len(),
            Axis::Primary | Axis::Secondary => 0,
        };
        across.saturating_sub(self.local.len() + shared)
    }

    fn is_proving(&self) -> bool {
        self.stage >= Stage::Proving
    }

    fn held_of(&self, axis: Axis) -> usize {
        self.held
            .iter()
            .filter(|thing| matches!(thing, Thing::Symbols(of, _) if *of == axis))
            .count()
    }

    /// Slivers of this axis that others may hold.
    fn sources(&self, axis: Axis) -> impl Iterator<Item = Thing> {
        let pairs = (0..self.parameters.shards()).map(PairIndex);
        let free =
            move |pair: &PairIndex| !self.targets.contains(pair) && !self.local.contains(pair);
        pairs.filter(free).map(move |pair| Thing::Symbols(axis, pair))
    }

    /// Whether somebody else may give this, if whoever was not there so many times is not hoped for.
    fn may_come(&self, thing: Thing, absent_times: u32) -> bool {
        let owner = self.owner(thing);
        self.ourselves != Some(owner)
            && !self.missing.contains(&thing)
            && !self.members.is_gone(owner)
            && !self.members.is_absent(owner, absent_times)
    }

    /// Whether its holder may be asked for this now.
    fn is_free(&self, now: Timestamp, thing: Thing) -> bool {
        self.may_come(thing, u32::MAX)
            && !self.held.contains(&thing)
            && !self.questions.is_asked(thing)
            && !self.members.is_resting(now, self.owner(thing))
    }

    /// How gladly this is asked for: slivers that hold the segment's own symbols need no decoding.
    fn rank(&self, thing: Thing) -> (bool, Preference, bool, u16) {
        let owner = self.owner(thing);
        let axis = match thing {
            Thing::Symbols(axis, _) => axis,
            Thing::Proof(_) => Axis::Primary,
        };
        let index = thing.pair().sliver_index(axis, &self.parameters);
        let is_repair = index >= self.parameters.source(axis);
        (self.members.is_silent(owner), self.preferences[owner], is_repair, index)
    }

    /// Symbols to ask for now, as many as are still missing beyond those on their way; members on trial do not count.
    fn symbols_to_ask(&self, now: Timestamp, axis: Axis) -> Vec<Thing> {
        let of_axis = |thing: &&Thing| matches!(thing, Thing::Symbols(of, _) if *of == axis);
        let promised = self.questions.promised().filter(of_axis).count();
        let mut missing = self.needed(axis).saturating_sub(self.held_of(axis) + promised);
        let mut free: Vec<_> =
            self.sources(axis).filter(|thing| self.is_free(now, *thing)).collect();
        free.sort_by_key(|thing| self.rank(*thing));
        let mut wanted = Vec::new();
        for thing in free {
            if missing == 0 {
                break;
            }
            missing -= usize::from(self.paces[self.owner(thing)] != Pace::OnTrial);
            wanted.push(thing);
        }
        wanted
    }

    /// Asks for what is missing; one request for each member and kind.
    fn ask_more(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut wanted = self.proofs_to_ask(now);
        wanted.extend(Axis::BOTH.into_iter().flat_map(|axis| self.symbols_to_ask(now, axis)));
        let mut requests: BTreeMap<(usize, Option<Axis>), Vec<Thing>> = BTreeMap::new();
        for thing in wanted {
            let kind = match thing {
                Thing::Symbols(axis, _) => Some(axis),
                Thing::Proof(_) => None,
            };
            requests.entry((self.owner(thing), kind)).or_default().push(thing);
        }
        let mut effects = Vec::new();
        for ((member, kind), things) in requests {
            let request = self.questions.ask(now, member, self.paces[member], &things);
            let pairs: Vec<_> = things.iter().map(|thing| thing.pair()).collect();
            effects.push(match kind {
                None => Effect::AskProofs { request, member, pairs },
                Some(axis) => {
                    let targets = self.targets.iter().copied().collect();
                    let with_proofs = self.is_proving();
                    Effect::Ask { request, member, axis, sources: pairs, targets, with_proofs }
                }
            });
            if self.paces[member] == Pace::OnTrial {
                effects.push(Effect::Silent { member }); // one trial, until it answers
            }
        }
        effects
    }

    /// Whether symbols of enough slivers came.
    fn has_enough(&self) -> bool {
        Axis::BOTH.into_iter().all(|axis| self.held_of(axis) >= self.needed(axis))
    }

    /// Decides what the facts at hand allow: rebuild, ask, wait, or give up.
    fn advance(&mut self, now: Timestamp) -> Vec<Effect> {
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
            effects.extend(self.unavailable(u32::MAX));
            return effects;
        }
        if self.is_short(u32::MAX) {
            // What the others are asked for would be fetched in vain, and again each time.
            effects.extend(self.unavailable(u32::MAX));
            return effects;
        }
        let asked = self.ask_more(now);
        let is_stuck = asked.is_empty() && self.questions.are_all_late();
        effects.extend(asked);
        if is_stuck && self.is_short(ABSENT_TIMES) {
            effects.extend(self.unavailable(ABSENT_TIMES));
        }
        effects
    }

    /// Whether too few slivers may still give symbols, whoever answers.
    fn is_short(&self, absent_times: u32) -> bool {
        Axis::BOTH.into_iter().any(|axis| self.shortage(axis, absent_times).is_some())
    }

    fn gives_up_at(&self) -> Option<Timestamp> {
        self.progress_at.map(|progress| progress.after(self.patience_ms))
    }

    fn rebuild(&self) -> Effect {
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

    fn cancel_all(&mut self) -> Vec<Effect> {
        let open = self.questions.clear().into_iter();
        open.map(|request| Effect::Cancel { request }).collect()
    }

    /// Begins anew with other targets, or with proofs: what came is of no use any more.
    fn restart(&mut self) -> Vec<Effect> {
        let mut effects = self.cancel_all();
        self.held.clear();
        effects.push(Effect::Restart);
        effects
    }

    /// How many slivers of an axis may still give symbols, if that is too few.
    fn shortage(&self, axis: Axis, absent_times: u32) -> Option<usize> {
        let can_come =
            |thing: &Thing| self.held.contains(thing) || self.may_come(*thing, absent_times);
        let available = self.sources(axis).filter(can_come).count();
        (available < self.needed(axis)).then_some(available)
    }

    fn unavailable(&mut self, absent_times: u32) -> Vec<Effect> {
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

    fn end(&mut self, how: Effect) -> Vec<Effect> {
        self.phase = Phase::Over;
        vec![how]
    }

    /// Something was answered: what, if its request owed it. Each request asks for things of one kind.
    fn answered(&mut self, now: Timestamp, request: RequestId, pair: PairIndex) -> Option<Thing> {
        let [primary, secondary] = Axis::BOTH.map(|axis| Thing::Symbols(axis, pair));
        let mut things = [Thing::Proof(pair), primary, secondary].into_iter();
        let (thing, member) = things.find_map(|thing| {
            self.questions.answered(now, request, thing).map(|member| (thing, member))
        })?;
        self.members.answered(member);
        Some(thing)
    }

    fn arrived(
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

    fn ended(&mut self, now: Timestamp, request: RequestId, end: End) {
        let Some(question) = self.questions.end(now, request) else { return };
        if !question.owed.is_empty() {
            self.members.ended(now, question.member, question.asked_at, end);
        }
    }

    fn lied(&mut self, now: Timestamp, request: RequestId) -> Vec<Effect> {
        let Some(question) = self.questions.end(now, request) else { return Vec::new() };
        self.members.lied(question.member);
        vec![Effect::Blame { member: question.member, reason: Blame::WrongProof }]
    }

    /// Whoever sent other symbols before they had to be proved lied.
    fn differs(&self, source: PairIndex) -> Vec<Effect> {
        let member = self.owner(Thing::Proof(source));
        let blame = Effect::Blame { member, reason: Blame::WrongBytes };
        if self.is_proving() { vec![blame] } else { Vec::new() }
    }

    /// What the symbols gave: keeps what was committed to, and has the rest proved.
    fn rebuilt(
        &mut self,
        now: Timestamp,
        roots: &BTreeMap<PairIndex, PairRoots>,
        is_inconsistent: bool,
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
        effects.extend(match (self.lost.is_empty(), is_inconsistent, self.stage) {
            (true, ..) => self.end(Effect::Finish),
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
    fn go_on(&mut self, now: Timestamp, stage: Stage, mut effects: Vec<Effect>) -> Vec<Effect> {
        self.stage = stage;
        self.phase = Phase::Gathering;
        self.progress_at = Some(now);
        effects.extend(self.advance(now));
        effects
    }

    fn mark_late(&mut self, now: Timestamp) -> Vec<Effect> {
        let silent = self.questions.mark_late(now);
        self.members.fell_silent(&silent);
        silent.into_iter().map(|member| Effect::Silent { member }).collect()
    }
}

impl Machine for SegmentRecovery {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        self.seen = now;
        self.progress_at.get_or_insert(now);
        let mut effects = Vec::new();
        match input {
            Input::Started => {
                if self.lost.is_empty() {
                    return self.end(Effect::Finish);
                }
            }
            Input::Arrived { request, source, proof } => {
                self.arrived(now, request, (source, proof.as_ref()));
            }
            Input::Proved { request, pair, proof } => {
                self.arrived(now, request, (pair, Some(&proof)));
            }
            Input::Missing { request, pair } => {
                let thing = self.answered(now, request, pair);
                self.missing.extend(thing);
            }
            Input::Differs { source } => return self.differs(source),
            Input::Lied { request } => effects = self.lied(now, request),
            Input::Ended { request, end } => self.ended(now, request, end),
            Input::Rebuilt { roots, is_inconsistent } => {
                return self.rebuilt(now, &roots, is_inconsistent);
            }
            Input::TimeReached => effects = self.mark_late(now),
        }
        effects.extend(self.advance(now));
        effects
    }

    fn deadline(&self) -> Option<Timestamp> {
        if self.phase != Phase::Gathering {
            return None;
        }
        let rested = self.members.next(self.seen);
        [self.questions.deadline(), rested, self.gives_up_at()].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
