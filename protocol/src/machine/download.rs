//! Fetches one segment: whom to ask, when to hedge, when to decode, whom to blame.
//!
//! Promises: asks for no more slivers than needed unless a node is slow, silent or wrong; ends in the segment's exact
//! bytes, in [`Failure::Inconsistent`] after enough *verified* slivers missed the content hash, or in
//! [`Failure::Unavailable`] naming the members that did not help. Does not: decode, verify or open streams itself.
//! Source: `protocol.md` section 4.

use std::collections::{BTreeMap, BTreeSet};

use super::{Blame, Machine, RequestId, Timestamp};
use crate::blob::BlobId;
use crate::committee::Committee;
use crate::encoding::Parameters;
use crate::sliver::{self, Axis, PairIndex};

/// A request without progress for so long is hedged: others are asked for what it owes.
pub const HEDGE_AFTER_MS: u64 = 400;

/// What can happen to a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time to ask.
    Started,
    /// A sliver of the right length came, unverified.
    Arrived {
        /// The request it answers.
        request: RequestId,
        /// Which pair it belongs to.
        pair: PairIndex,
    },
    /// The node lacks a sliver.
    Missing {
        /// The request it answers.
        request: RequestId,
        /// Which pair is missing.
        pair: PairIndex,
    },
    /// The request is over, well or not; pairs it still owes will not come.
    Ended {
        /// Which request.
        request: RequestId,
    },
    /// The slivers were decoded; whether the bytes match the segment's content hash.
    Decoded {
        /// The answer.
        matches: bool,
    },
    /// A verified sliver index is at hand, or no node could give one.
    Indexed {
        /// Whether there is one.
        found: bool,
    },
    /// The slivers held were checked against the index.
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
    /// Ask a member for slivers.
    Ask {
        /// Names the request in later inputs.
        request: RequestId,
        /// Index of the member in the committee.
        member: usize,
        /// Which slivers.
        axis: Axis,
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
    },
    /// Fetch the sliver index from any of these members and verify it against the header.
    FetchIndex {
        /// Whom to ask, best first.
        members: Vec<usize>,
    },
    /// Check these slivers against the index.
    Verify {
        /// Which slivers.
        axis: Axis,
        /// Of which pairs.
        pairs: Vec<PairIndex>,
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
        /// Members that failed to deliver.
        members: Vec<usize>,
    },
    /// Enough verified slivers do not decode to the content: the blob was encoded wrongly.
    #[error("the blob was encoded inconsistently by its writer")]
    Inconsistent,
}

#[derive(Debug)]
struct Question {
    member: usize,
    owed: BTreeSet<PairIndex>,
    hedge_at: Timestamp,
    hedged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Gathering,
    Decoding,
    Indexing,
    Verifying,
    Over,
}

/// The download of one segment.
#[derive(Debug)]
pub struct SegmentDownload {
    parameters: Parameters,
    owners: Vec<usize>,
    preference: Vec<usize>,
    axis: Axis,
    phase: Phase,
    indexed: bool,
    verified: BTreeSet<PairIndex>,
    held: BTreeSet<PairIndex>,
    lost: BTreeSet<PairIndex>,
    bad_members: BTreeSet<usize>,
    failed_members: BTreeSet<usize>,
    questions: BTreeMap<RequestId, Question>,
    next_request: u64,
}

impl SegmentDownload {
    /// A download of `segment` from the committee. `preference[member]` ranks members: lower is asked first, and
    /// `usize::MAX` only if nothing else is left.
    pub fn new(
        parameters: Parameters,
        committee: &Committee,
        blob_id: &BlobId,
        segment: u32,
        preference: Vec<usize>,
    ) -> Self {
        let owner = |pair| {
            let shard = sliver::shard_of_pair(&parameters, blob_id, segment, PairIndex(pair));
            committee.member_of_shard(shard).expect("a committee owns every shard of its network")
        };
        SegmentDownload {
            owners: (0..parameters.shards()).map(owner).collect(),
            parameters,
            preference,
            axis: Axis::Primary,
            phase: Phase::Gathering,
            indexed: false,
            verified: BTreeSet::new(),
            held: BTreeSet::new(),
            lost: BTreeSet::new(),
            bad_members: BTreeSet::new(),
            failed_members: BTreeSet::new(),
            questions: BTreeMap::new(),
            next_request: 0,
        }
    }

    fn needed(&self) -> usize {
        usize::from(self.parameters.source(self.axis))
    }

    fn owner(&self, pair: PairIndex) -> usize {
        self.owners[usize::from(pair.0)]
    }

    /// How gladly a pair is asked for: systematic slivers of preferred members first.
    fn rank(&self, pair: PairIndex) -> (usize, bool, u16) {
        let preference = self.preference.get(self.owner(pair)).copied().unwrap_or(usize::MAX);
        let index = pair.sliver_index(self.axis, &self.parameters);
        let is_repair = index >= self.parameters.source(self.axis);
        // An unreachable member comes last; among reachable ones systematic slivers win, for they need no decoding.
        if preference == usize::MAX { (1, is_repair, index) } else { (0, is_repair, index) }
    }

    fn is_asked(&self, pair: PairIndex) -> bool {
        self.questions.values().any(|question| question.owed.contains(&pair))
    }

    /// Pairs not held, not lost, of members that have not failed us.
    fn candidates(&self) -> Vec<PairIndex> {
        let all = (0..self.parameters.shards()).map(PairIndex);
        let usable = |pair: &PairIndex| {
            let owner = self.owner(*pair);
            !self.held.contains(pair)
                && !self.lost.contains(pair)
                && !self.bad_members.contains(&owner)
                && !self.failed_members.contains(&owner)
        };
        let mut pairs: Vec<_> = all.filter(usable).collect();
        pairs.sort_by_key(|pair| self.rank(*pair));
        pairs
    }

    /// Asks for as many pairs as are still missing, beyond those promised by requests in good standing.
    fn ask_more(&mut self, now: Timestamp) -> Vec<Effect> {
        let promised: BTreeSet<_> = self
            .questions
            .values()
            .filter(|question| !question.hedged)
            .flat_map(|question| question.owed.iter().copied())
            .collect();
        let missing = self.needed().saturating_sub(self.held.len() + promised.len());
        let candidates = self.candidates();
        let fresh: Vec<_> = candidates
            .iter()
            .filter(|pair| !self.is_asked(**pair))
            .take(missing)
            .copied()
            .collect();
        let mut by_member: BTreeMap<usize, Vec<PairIndex>> = BTreeMap::new();
        for pair in fresh {
            by_member.entry(self.owner(pair)).or_default().push(pair);
        }
        let mut effects = Vec::new();
        for (member, pairs) in by_member {
            let request = RequestId(self.next_request);
            self.next_request += 1;
            let owed = pairs.iter().copied().collect();
            let hedge_at = now.after(HEDGE_AFTER_MS);
            self.questions.insert(request, Question { member, owed, hedge_at, hedged: false });
            effects.push(Effect::Ask { request, member, axis: self.axis, pairs });
        }
        effects
    }

    /// Decides what the facts at hand allow: decode, ask, switch the axis, or give up.
    fn advance(&mut self, now: Timestamp) -> Vec<Effect> {
        if self.phase != Phase::Gathering {
            return Vec::new();
        }
        if self.held.len() >= self.needed() {
            return self.enough();
        }
        let mut effects = self.ask_more(now);
        if self.questions.is_empty() {
            effects.extend(self.switch_axis_or_fail(now));
        }
        effects
    }

    fn enough(&mut self) -> Vec<Effect> {
        let mut effects: Vec<_> =
            self.questions.keys().map(|request| Effect::Cancel { request: *request }).collect();
        self.questions.clear();
        let unverified: Vec<_> = self.held.difference(&self.verified).copied().collect();
        if self.indexed && !unverified.is_empty() {
            self.phase = Phase::Verifying;
            effects.push(Effect::Verify { axis: self.axis, pairs: unverified });
        } else {
            self.phase = Phase::Decoding;
            let pairs = self.held.iter().copied().take(self.needed()).collect();
            effects.push(Effect::Decode { axis: self.axis, pairs });
        }
        effects
    }

    fn switch_axis_or_fail(&mut self, now: Timestamp) -> Vec<Effect> {
        if self.axis == Axis::Primary {
            let available = u16::try_from(self.held.len()).expect("fewer pairs than u16::MAX");
            let needed = self.parameters.source(Axis::Primary);
            let gone = |pair: &u16| {
                let owner = self.owner(PairIndex(*pair));
                self.failed_members.contains(&owner) || self.bad_members.contains(&owner)
            };
            let reachable = (0..self.parameters.shards()).filter(|pair| !gone(pair)).count();
            if reachable < usize::from(self.parameters.source(Axis::Secondary)) {
                return self.fail(Failure::Unavailable {
                    available,
                    needed,
                    members: self.unhelpful(),
                });
            }
            self.axis = Axis::Secondary;
            for set in [&mut self.held, &mut self.verified, &mut self.lost] {
                set.clear();
            }
            return self.advance(now);
        }
        let available = u16::try_from(self.held.len()).expect("fewer pairs than u16::MAX");
        let needed = self.parameters.source(self.axis);
        self.fail(Failure::Unavailable { available, needed, members: self.unhelpful() })
    }

    fn unhelpful(&self) -> Vec<usize> {
        let lacking = self.lost.iter().map(|pair| self.owner(*pair));
        let members: BTreeSet<_> =
            self.failed_members.union(&self.bad_members).copied().chain(lacking).collect();
        members.into_iter().collect()
    }

    fn fail(&mut self, failure: Failure) -> Vec<Effect> {
        self.phase = Phase::Over;
        vec![Effect::Fail(failure)]
    }

    fn arrived(&mut self, now: Timestamp, request: RequestId, pair: PairIndex, held: bool) {
        let Some(question) = self.questions.get_mut(&request) else { return };
        if !question.owed.remove(&pair) {
            return;
        }
        question.hedge_at = now.after(HEDGE_AFTER_MS);
        question.hedged = false;
        if held {
            self.held.insert(pair)
        } else {
            self.lost.insert(pair)
        };
    }

    fn ended(&mut self, request: RequestId) {
        if let Some(question) = self.questions.remove(&request)
            && !question.owed.is_empty()
        {
            self.failed_members.insert(question.member);
        }
    }

    fn hedge(&mut self, now: Timestamp) {
        for question in self.questions.values_mut() {
            question.hedged |= question.hedge_at <= now;
        }
    }

    fn decoded(&mut self, matches: bool) -> Vec<Effect> {
        if self.phase != Phase::Decoding {
            return Vec::new();
        }
        if matches {
            self.phase = Phase::Over;
            return vec![Effect::Finish];
        }
        if self.indexed {
            return self.fail(Failure::Inconsistent);
        }
        self.phase = Phase::Indexing;
        let mut members: Vec<_> = (0..self.preference.len())
            .filter(|member| !self.failed_members.contains(member))
            .collect();
        members.sort_by_key(|member| self.preference[*member]);
        vec![Effect::FetchIndex { members }]
    }

    fn got_index(&mut self, found: bool) -> Vec<Effect> {
        if !found {
            let needed = self.parameters.source(self.axis);
            let members = self.unhelpful();
            return self.fail(Failure::Unavailable { available: 0, needed, members });
        }
        self.indexed = true;
        self.enough()
    }

    fn got_verified(&mut self, now: Timestamp, wrong: Vec<PairIndex>) -> Vec<Effect> {
        if self.phase != Phase::Verifying {
            return Vec::new();
        }
        let liars: BTreeSet<_> = wrong.iter().map(|pair| self.owner(*pair)).collect();
        for pair in &wrong {
            self.held.remove(pair);
        }
        self.verified = self.held.clone();
        self.bad_members.extend(&liars);
        self.phase = Phase::Gathering;
        let blame = |member| Effect::Blame { member, reason: Blame::WrongBytes };
        let mut effects: Vec<_> = liars.into_iter().map(blame).collect();
        effects.extend(self.advance(now));
        effects
    }
}

impl Machine for SegmentDownload {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        match input {
            Input::Started => (),
            Input::Arrived { request, pair } => self.arrived(now, request, pair, true),
            Input::Missing { request, pair } => self.arrived(now, request, pair, false),
            Input::Ended { request } => self.ended(request),
            Input::TimeReached => self.hedge(now),
            Input::Decoded { matches } => return self.decoded(matches),
            Input::Indexed { found } => return self.got_index(found),
            Input::Verified { wrong } => return self.got_verified(now, wrong),
        }
        self.advance(now)
    }

    fn deadline(&self) -> Option<Timestamp> {
        let waiting = self.questions.values().filter(|question| !question.hedged);
        waiting.map(|question| question.hedge_at).min()
    }
}

#[cfg(test)]
mod tests;
