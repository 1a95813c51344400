//! Rebuilds the pairs of one segment that a node lost: whom to ask for symbols, when there are enough, whom to blame.
//!
//! `asking` says what is asked of whom, `deciding` what follows from what came, `recognition` which pairs are right.
//!
//! Promises: symbols are asked for without proofs first, no more than the pairs' own bytes unless a node is slow, silent or
//! wrong; what was rebuilt is kept only if its pair is the one that was committed to; once it is not, every symbol has to be
//! proved, liars are blamed, and a segment whose proved symbols still give other pairs was encoded wrongly by its writer. A
//! pair whose neighbours' proofs cannot be had is rebuilt together with those below the lowest node that anybody's proof
//! shows. Where too few are left for symbols and enough to read, the segment is read as a whole, once. Ends in all pairs, in
//! [`Failure::Inconsistent`], or, as soon as too few may still answer, in a failure that names who did not help. Does not:
//! rebuild, read, verify symbols or open streams itself.
//! Source: `protocol.md` section 8.

use std::collections::{BTreeMap, BTreeSet};

use super::attendance::Attendance;
use super::questions::Questions;
use super::responsiveness::{Pace, Preference, preferences};
use super::retry::End;
use super::roster::Roster;
use super::{Blame, Machine, RequestId, Timestamp};
use crate::blob::BlobId;
use crate::crypto::Digest;
use crate::encoding::Parameters;
use crate::pairs::{KnownPairs, PairProof, PairRoots};
use crate::sliver::{Axis, PairIndex, shard_of_pair};

mod asking;
mod deciding;
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
        /// Pairs that were here when the recovery began and are not any more: they rotted, or nobody pays for them now.
        gone: BTreeSet<PairIndex>,
    },
    /// The segment was read and encoded.
    Read {
        /// The proof of each lost pair, as the bytes that were read give it; unverified.
        proofs: BTreeMap<PairIndex, PairProof>,
    },
    /// The segment cannot be read.
    Unread {
        /// Whether verified slivers do not decode to what was committed to.
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
    /// Too few give symbols: read the whole segment, as a reader does, and encode it. The symbols that came are of no use
    /// any more.
    Read,
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
    /// The whole segment is being read.
    Reading,
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
    /// How many primary and how many secondary slivers of the segment each member says that it holds; nothing of those who
    /// said nothing. Nobody is believed to hold more than that, and nothing is fetched that cannot be enough.
    pub said: BTreeMap<usize, [u16; 2]>,
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
    said: BTreeMap<usize, [u16; 2]>,
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
            said: terms.said,
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

    /// The pairs that are lost still.
    pub fn lost(&self) -> &BTreeSet<PairIndex> {
        &self.lost
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
            Input::Rebuilt { roots, is_inconsistent, gone } => {
                return self.rebuilt(now, &roots, is_inconsistent, &gone);
            }
            Input::Read { proofs } => return self.read(&proofs),
            Input::Unread { is_inconsistent } => return self.unread(is_inconsistent),
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
