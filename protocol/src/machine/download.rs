//! Fetches one segment: whom to ask, when to hedge, when to decode, whom to blame.
//!
//! Promises: asks for no more slivers than needed unless a node is slow, silent, on trial or wrong; asks members that keep
//! pace first, and of those the systematic slivers, which need no decoding; a member that could not answer is asked again
//! until nothing arrived for as long as the reader is patient, so slow is not taken for dead, and one that is not there is
//! not waited for; while shards move, whoever may have one is asked, one after the other; ends in the segment's exact
//! bytes, in [`Failure::Inconsistent`] after enough *verified* slivers missed the content hash, or in
//! [`Failure::Unavailable`] naming the members that did not help. Does not: decode, verify or open streams itself.
//! Source: `protocol.md` section 4.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::attendance::Attendance;
use super::questions::Questions;
use super::responsiveness::{Pace, Preference, preferences};
use super::retry::End;
use super::roster::Roster;
use super::{Blame, Machine, RequestId, Timestamp};
use crate::blob::BlobId;
use crate::encoding::Parameters;
use crate::epoch::Epoch;
use crate::sliver::{self, Axis, PairIndex};
use crate::wire::sliver::Part;

mod invariants;
mod owners;
mod phases;

use owners::PairOwners;

/// What can happen to a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time to ask.
    Started,
    /// What was asked for of a pair came: a sliver of the right length, unverified; its proof, verified; or both.
    Arrived {
        /// The request it answers.
        request: RequestId,
        /// Which pair it belongs to.
        pair: PairIndex,
    },
    /// What came of a symbol now, with its proof, is not what came of it before. Comes before its arrival.
    Differs {
        /// Which.
        pair: PairIndex,
    },
    /// The node lacks what was asked for.
    Missing {
        /// The request it answers.
        request: RequestId,
        /// Which pair is missing.
        pair: PairIndex,
    },
    /// The request is over, well or not; pairs it still owes will not come by it.
    Ended {
        /// Which request.
        request: RequestId,
        /// How it ended.
        end: End,
    },
    /// The slivers were decoded; whether the bytes match the segment's content hash.
    Decoded {
        /// The answer.
        matches: bool,
    },
    /// The slivers held were checked against their proofs.
    Verified {
        /// Pairs whose slivers are wrong.
        wrong: Vec<PairIndex>,
    },
    /// The deadline passed.
    TimeReached,
}

/// What a download can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask a member for slivers, for the proofs of some that it sent, or for both.
    Ask {
        /// Names the request in later inputs.
        request: RequestId,
        /// Index of the member in the roster.
        member: usize,
        /// Which slivers.
        axis: Axis,
        /// What of each pair.
        part: Part,
        /// Of which pairs.
        pairs: Vec<PairIndex>,
    },
    /// Nobody waits for this request any more.
    Cancel {
        /// Which request.
        request: RequestId,
    },
    /// Decode these slivers and compare the content hash.
    Decode {
        /// Which slivers.
        axis: Axis,
        /// Of which pairs.
        pairs: Vec<PairIndex>,
        /// Whether the padding of a short blob is taken for zeros; else the row is decoded as it was committed to.
        padded: bool,
    },
    /// Check these slivers against their proofs.
    Verify {
        /// Which slivers.
        axis: Axis,
        /// Of which pairs.
        pairs: Vec<PairIndex>,
    },
    /// A member owes an answer for so long that others are asked, or is asked on trial: remember it until it answers.
    Silent {
        /// Which.
        member: usize,
    },
    /// Too few members are there for this segment; these were not, and are asked once more. Said once.
    Missed {
        /// Which.
        members: Vec<usize>,
    },
    /// A member lied.
    Blame {
        /// Which.
        member: usize,
        /// How.
        reason: Blame,
    },
    /// The decoded bytes are the segment.
    Finish,
    /// There is no way to the segment.
    Fail(Failure),
}

/// Why a segment cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Too few slivers can be had.
    #[error("only {available} of {needed} slivers can be had")]
    Unavailable {
        /// Slivers held or still obtainable.
        available: u16,
        /// Slivers needed.
        needed: u16,
        /// Slivers of which their members said that they do not have them: waiting brings none of these.
        lost: u16,
        /// Members that failed to deliver.
        members: Vec<usize>,
    },
    /// Enough verified slivers do not decode to the content: the blob was encoded wrongly.
    #[error("the blob was encoded inconsistently by its writer")]
    Inconsistent,
}

/// What a reader brings to a download.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What to expect of each member.
    pub paces: Vec<Pace>,
    /// Gives up after so long without anything new, in milliseconds.
    pub patience_ms: u64,
    /// Spreads the pauses of many readers; any number.
    pub noise: u64,
    /// When the blob was certified, if that is known: it says who is asked first for a shard that moved.
    pub certified: Option<Epoch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Gathering,
    Decoding,
    Verifying,
    Over,
}

/// The download of one segment.
#[derive(Debug)]
pub struct SegmentDownload {
    parameters: Parameters,
    owners: PairOwners,
    paces: Vec<Pace>,
    preferences: Vec<Preference>,
    patience_ms: u64,
    axis: Axis,
    phase: Phase,
    /// Of a short blob, the symbols that are zeros, as everybody knows.
    padding: Option<Range<u16>>,
    /// Whether they are not asked for: until proved symbols of the others decoded to something else than the blob.
    trusts_padding: bool,
    /// Whether a sliver counts only with its proof: once some decoded to something else than the segment.
    proving: bool,
    /// Pairs whose sliver came and whose proof is still to come.
    claimed: BTreeSet<PairIndex>,
    verified: BTreeSet<PairIndex>,
    held: BTreeSet<PairIndex>,
    lost: BTreeSet<PairIndex>,
    /// How many slivers of the first axis were held and lost when the other one was tried.
    first_axis: Option<(usize, usize)>,
    members: Attendance,
    is_short: bool,
    questions: Questions<PairIndex>,
    progress_at: Option<Timestamp>,
    seen: Timestamp,
}

impl SegmentDownload {
    /// A download of `segment` from the members of a roster.
    pub fn new(
        parameters: Parameters,
        roster: &Roster,
        blob_id: &BlobId,
        segment: u32,
        terms: Terms,
    ) -> Self {
        let owners = |pair| {
            let shard = sliver::shard_of_pair(&parameters, blob_id, segment, PairIndex(pair));
            let owners = roster.owners(shard, terms.certified);
            owners.expect("a committee owns every shard of its network")
        };
        let owners = PairOwners::new((0..parameters.shards()).map(owners).collect());
        let mut paces = terms.paces;
        paces.resize(roster.len(), Pace::Untried);
        let needed = usize::from(parameters.source(Axis::Primary));
        SegmentDownload {
            parameters,
            preferences: preferences(&paces, &owners.shares(roster.len()), needed),
            owners,
            paces,
            patience_ms: terms.patience_ms,
            axis: Axis::Primary,
            phase: Phase::Gathering,
            padding: None,
            trusts_padding: true,
            proving: false,
            claimed: BTreeSet::new(),
            verified: BTreeSet::new(),
            held: BTreeSet::new(),
            lost: BTreeSet::new(),
            first_axis: None,
            members: Attendance::new(terms.noise),
            is_short: false,
            questions: Questions::default(),
            progress_at: None,
            seen: Timestamp(0),
        }
    }

    /// The download of a short blob of this length: its symbols stand for primary slivers, and there are no others. As many
    /// as hold its bytes are enough, whichever they are; once somebody lied, as many with their proofs. If these are not the
    /// blob either, its padding may not be zeros, and as many as decode the row are needed.
    pub fn of_short(
        parameters: Parameters,
        roster: &Roster,
        blob_id: &BlobId,
        length: u32,
        terms: Terms,
    ) -> Self {
        let mut download = SegmentDownload::new(parameters, roster, blob_id, 0, terms);
        let data = parameters.short_data_symbols(length);
        download.padding = Some(data..parameters.primary_source());
        let shares = download.owners.shares(roster.len());
        download.preferences = preferences(&download.paces, &shares, usize::from(data));
        download
    }

    /// The same for whoever holds the primary slivers of some pairs itself, verified: they are asked of nobody.
    pub fn with_held(mut self, pairs: impl IntoIterator<Item = PairIndex>) -> Self {
        self.held.extend(pairs);
        self.verified.clone_from(&self.held);
        self
    }

    fn needed(&self) -> usize {
        let needed = match &self.padding {
            Some(padding) if self.trusts_padding => padding.start,
            _ => self.parameters.source(self.axis),
        };
        usize::from(needed)
    }

    /// Whether this is padding of a short blob, which nobody needs to be told.
    fn is_padding(&self, pair: PairIndex) -> bool {
        self.trusts_padding
            && self.padding.as_ref().is_some_and(|padding| padding.contains(&pair.0))
    }

    /// How many symbols nobody is asked for, because they are padding.
    pub fn unasked(&self) -> u16 {
        let padding = self.padding.clone().filter(|_| self.trusts_padding);
        padding.map_or(0, |padding| padding.end.saturating_sub(padding.start))
    }

    fn pairs(&self) -> impl Iterator<Item = PairIndex> {
        let all = (0..self.parameters.shards()).map(PairIndex);
        all.filter(|pair| !self.is_padding(*pair))
    }

    /// How gladly a member is asked for a pair. Among members that keep pace those win of which only the proof is missing,
    /// then systematic slivers, for they need no decoding.
    fn rank(&self, pair: PairIndex, member: usize) -> (Preference, bool, bool, u16) {
        let index = pair.sliver_index(self.axis, &self.parameters);
        let is_repair = index >= self.parameters.source(self.axis);
        let is_new = !self.claimed.contains(&pair);
        (self.preferences[member], is_new, is_repair, index)
    }

    /// What a pair is asked for.
    fn part(&self, pair: PairIndex) -> Part {
        match (self.proving, self.claimed.contains(&pair)) {
            (false, _) => Part::Sliver,
            // One proof for all symbols that it comes with.
            (true, true) if self.padding.is_none() => Part::Proof,
            (true, _) => Part::Both,
        }
    }

    /// The member that is asked for a pair now, if any is: the likelier one, unless only the other one answers. Nobody is
    /// asked for what is on its way already, unless that is late.
    fn chosen(&self, now: Timestamp, pair: PairIndex) -> Option<usize> {
        let usable = |member: &usize| {
            !self.members.is_gone(*member)
                && !self.members.is_resting(now, *member)
                && !self.questions.is_asked_of(pair, *member)
        };
        let is_slow = |member: &usize| {
            let preference = self.preferences[*member];
            self.members.is_silent(*member) || preference >= Preference::Silent { times: 0 }
        };
        let chosen = self.owners.remaining(pair).filter(usable).min_by_key(is_slow)?;
        let is_promised = self.owners.is_moved(pair) && self.questions.is_promised(pair);
        (!is_promised).then_some(chosen)
    }

    /// Pairs not held and not lost, each with the member that may be asked for it now; best first.
    fn candidates(&self, now: Timestamp) -> Vec<(PairIndex, usize)> {
        let open = |pair: &PairIndex| !self.held.contains(pair) && !self.lost.contains(pair);
        let chosen = |pair: PairIndex| Some((pair, self.chosen(now, pair)?));
        // Who fell silent is asked for more only if nobody else has it, and what is late may still come.
        let rank = |(pair, member): &(PairIndex, usize)| {
            let (is_silent, is_twice) =
                (self.members.is_silent(*member), self.questions.is_asked(*pair));
            (is_silent, is_twice, self.rank(*pair, *member))
        };
        let mut candidates: Vec<_> = self.pairs().filter(open).filter_map(chosen).collect();
        candidates.sort_by_cached_key(rank);
        candidates
    }

    /// Asks for as many pairs as are still missing, beyond those on their way. Members on trial are asked, not counted.
    fn ask_more(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut missing =
            self.needed().saturating_sub(self.held.len() + self.questions.promised().count());
        if missing == 0 {
            return Vec::new();
        }
        let mut by_member: BTreeMap<(usize, Part), Vec<PairIndex>> = BTreeMap::new();
        for (pair, member) in self.candidates(now) {
            if missing == 0 {
                break;
            }
            if self.owners.is_moved(pair) {
                self.questions.waive(pair);
            }
            by_member.entry((member, self.part(pair))).or_default().push(pair);
            missing -= usize::from(self.paces[member] != Pace::OnTrial);
        }
        let mut effects = Vec::new();
        for ((member, part), pairs) in by_member {
            let request = self.questions.ask(now, member, self.paces[member], &pairs);
            effects.push(Effect::Ask { request, member, axis: self.axis, part, pairs });
            if self.paces[member] == Pace::OnTrial {
                effects.push(Effect::Silent { member }); // one trial, until it answers
            }
        }
        effects
    }

    /// Decides what the facts at hand allow: decode, ask, wait, switch the axis, or give up.
    fn advance(&mut self, now: Timestamp) -> Vec<Effect> {
        if self.phase != Phase::Gathering {
            return Vec::new();
        }
        if self.held.len() >= self.needed() {
            return self.enough();
        }
        if self.gives_up_at().is_some_and(|end| end <= now) {
            return self.unavailable();
        }
        let mut effects = self.ask_more(now);
        if effects.is_empty() && self.questions.are_all_late() {
            effects.extend(self.stuck(now));
        }
        effects
    }

    fn gives_up_at(&self) -> Option<Timestamp> {
        self.progress_at.map(|progress| progress.after(self.patience_ms))
    }

    fn arrived(&mut self, now: Timestamp, request: RequestId, pair: PairIndex, held: bool) {
        let Some(member) = self.questions.answered(now, request, pair) else { return };
        self.members.answered(member);
        self.claimed.remove(&pair);
        if held {
            self.progress_at = Some(now);
            self.held.insert(pair);
            if self.owners.is_moved(pair) {
                self.owners.sent(pair, member);
                self.questions.waive(pair);
            }
        } else if self.owners.lacks(pair, member) && !self.held.contains(&pair) {
            self.lost.insert(pair);
        }
    }

    /// Whoever sent other bytes of a symbol before it had to prove it lied.
    fn differs(&self, pair: PairIndex) -> Vec<Effect> {
        let is_lie = self.padding.is_some() && self.proving && self.claimed.contains(&pair);
        let member = is_lie.then(|| self.owners.sender(pair));
        let blame = |member| Effect::Blame { member, reason: Blame::WrongBytes };
        member.map(blame).into_iter().collect()
    }

    fn ended(&mut self, now: Timestamp, request: RequestId, end: End) {
        let Some(question) = self.questions.end(now, request) else { return };
        if !question.owed.is_empty() {
            self.members.ended(now, question.member, question.asked_at, end);
        }
    }

    fn mark_late(&mut self, now: Timestamp) -> Vec<Effect> {
        let silent = self.questions.mark_late(now);
        self.members.fell_silent(&silent);
        silent.into_iter().map(|member| Effect::Silent { member }).collect()
    }

    fn take(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        self.seen = now;
        self.progress_at.get_or_insert(now);
        let mut effects = Vec::new();
        match input {
            Input::Started => (),
            Input::Arrived { request, pair } => self.arrived(now, request, pair, true),
            Input::Differs { pair } => return self.differs(pair),
            Input::Missing { request, pair } => self.arrived(now, request, pair, false),
            Input::Ended { request, end } => self.ended(now, request, end),
            Input::TimeReached => effects = self.mark_late(now),
            Input::Decoded { matches } => return self.decoded(now, matches),
            Input::Verified { wrong } => return self.got_verified(now, &wrong),
        }
        effects.extend(self.advance(now));
        effects
    }
}

impl Machine for SegmentDownload {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        let effects = self.take(now, input);
        debug_assert_eq!(self.broken(), None);
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
