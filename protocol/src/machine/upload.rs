//! A put: whom to send, when to register, when a quorum is reached, whom to leave behind.
//!
//! Promises: nothing is registered (paid) before a quorum of nodes answered; at most `window` encoded segments are in
//! memory; a slow node costs nothing past the quorum; a certificate holds only verified confirmations; when a quorum
//! is out of reach the failure names every node that did not help. Does not: encode, send, sign transactions.
//! Source: `protocol.md` section 5.

mod confirmations;
mod invariants;

use std::collections::{BTreeMap, BTreeSet};

use super::{Blame, Machine, Timestamp};
use crate::blob::BlobId;
use crate::certificate::Certificate;
use crate::committee::Committee;
use crate::crypto::Signature;
use crate::epoch::Epoch;
use crate::message::{NetworkId, Persistence};

/// A node that lags a segment behind a quorum for so long is left behind. Longer than a busy disk's worst pause: a node
/// that is left behind lacks the blob until it is repaired.
pub const LAG_MS: u64 = 5_000;
/// After the certificate, nodes that have not confirmed yet get so long to finish.
pub const STRAGGLERS_MS: u64 = 2_000;

/// What can happen to an upload.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time to open streams.
    Started,
    /// A node answered, and already holds these segments in full.
    Ready {
        /// Index of the member.
        member: usize,
        /// Segments it holds.
        stored: BTreeSet<u32>,
    },
    /// A segment is encoded and in memory.
    Encoded {
        /// Which.
        segment: u32,
    },
    /// All bytes of a segment left for a node.
    Sent {
        /// Index of the member.
        member: usize,
        /// Which segment.
        segment: u32,
    },
    /// The blob is registered on chain, as this kind of object.
    Registered {
        /// What the confirmations must say.
        persistence: Persistence,
    },
    /// A node confirmed; not yet verified.
    Confirmed {
        /// Index of the member.
        member: usize,
        /// The epoch it signed for.
        epoch: Epoch,
        /// Its signature over the blob certificate's message.
        signature: Signature,
    },
    /// A node is of no use any more.
    Failed {
        /// Index of the member.
        member: usize,
        /// Why, for people.
        reason: String,
    },
    /// The certificate is on chain.
    Certified,
    /// The deadline passed.
    TimeReached,
}

/// What an upload can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open a stream to the member and offer the header.
    Open {
        /// Index of the member.
        member: usize,
    },
    /// Register the blob on chain.
    Register,
    /// Encode a segment into memory.
    Encode {
        /// Which.
        segment: u32,
    },
    /// Queue a segment's slivers to a member.
    Send {
        /// Index of the member.
        member: usize,
        /// Which segment.
        segment: u32,
    },
    /// Nobody needs this segment's slivers any more: free them.
    Release {
        /// Which.
        segment: u32,
    },
    /// Everything is sent: ask the member for its confirmation.
    Finish {
        /// Index of the member.
        member: usize,
    },
    /// A member lied.
    Blame {
        /// Index of the member.
        member: usize,
        /// How.
        reason: Blame,
    },
    /// Stop sending to a member.
    Drop {
        /// Index of the member.
        member: usize,
        /// Why, for people.
        reason: String,
    },
    /// A quorum confirmed: put the certificate on chain.
    Certify(Box<Certificate>),
    /// The blob is certified and the stragglers had their time.
    Done,
    /// A quorum is out of reach.
    Fail(Failure),
}

/// Why a put cannot be certified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only {reachable} of {shards} shards can confirm{}; {quorum} needed", unheard(*.silent))]
pub struct Failure {
    /// Shards of the members that answered and are still of use.
    pub reachable: u16,
    /// Shards of the members that have not answered, so that nobody knows.
    pub silent: u16,
    /// Shards in all.
    pub shards: u16,
    /// Shards of a quorum.
    pub quorum: u16,
    /// Members that failed, and why.
    pub members: BTreeMap<usize, String>,
    /// Whether a member is in another epoch: then the ledger's committee of now may do.
    pub other_epoch: bool,
}

/// What is said of shards whose members have not answered.
pub fn unheard(shards: u16) -> String {
    if shards == 0 { String::new() } else { format!(" ({shards} more have not answered yet)") }
}

#[derive(Debug, Default)]
struct Peer {
    ready: bool,
    stored: BTreeSet<u32>,
    sent: BTreeSet<u32>,
    finishing: bool,
    /// Came, and is not verified yet.
    claimed: Option<Signature>,
    confirmed: Option<Signature>,
}

impl Peer {
    /// Why nothing more is waited for; who never answered may be dead, and is not called slow.
    fn lateness(&self) -> String {
        match self.ready {
            true => "too slow for this upload".to_owned(),
            false => "did not answer while the others took all of it".to_owned(),
        }
    }
}

/// One blob on its way to a committee.
#[derive(Debug)]
pub struct Upload {
    committee: Committee,
    network: NetworkId,
    blob_id: BlobId,
    segments: u32,
    window: usize,
    peers: BTreeMap<usize, Peer>,
    failed: BTreeMap<usize, String>,
    other_epoch: bool,
    next_segment: u32,
    in_memory: BTreeSet<u32>,
    encoded: BTreeSet<u32>,
    persistence: Option<Persistence>,
    registering: bool,
    certifying: bool,
    certified: bool,
    over: bool,
    lag_deadline: Option<Timestamp>,
}

impl Upload {
    /// An upload of `segments` segments with at most `window` of them encoded in memory.
    pub fn new(
        committee: Committee,
        network: NetworkId,
        blob_id: BlobId,
        segments: u32,
        window: usize,
    ) -> Self {
        let members = (0..committee.members().len()).filter(|member| committee.weight(*member) > 0);
        Upload {
            peers: members.map(|member| (member, Peer::default())).collect(),
            committee,
            network,
            blob_id,
            segments,
            window: window.max(1),
            failed: BTreeMap::new(),
            other_epoch: false,
            next_segment: 0,
            in_memory: BTreeSet::new(),
            encoded: BTreeSet::new(),
            persistence: None,
            registering: false,
            certifying: false,
            certified: false,
            over: false,
            lag_deadline: None,
        }
    }

    fn weight_of(&self, wanted: impl Fn(&Peer) -> bool) -> u16 {
        let members = self.peers.iter().filter(|(_, peer)| wanted(peer));
        members.map(|(member, _)| self.committee.weight(*member)).sum()
    }

    /// Weight of the members whose confirmations are verified.
    pub fn confirmed_weight(&self) -> u16 {
        self.weight_of(|peer| peer.confirmed.is_some())
    }

    /// Weight of the members whose confirmations came, verified or not: for progress displays.
    pub fn claimed_weight(&self) -> u16 {
        self.weight_of(|peer| peer.confirmed.or(peer.claimed).is_some())
    }

    fn is_sent(&self, peer: &Peer, segment: u32) -> bool {
        peer.sent.contains(&segment) || peer.stored.contains(&segment)
    }

    fn everything_sent(&self, peer: &Peer) -> bool {
        peer.ready && (0..self.segments).all(|segment| self.is_sent(peer, segment))
    }

    fn fail_member(&mut self, member: usize, reason: String) {
        if self.peers.get(&member).is_some_and(|peer| peer.confirmed.is_none()) {
            self.peers.remove(&member);
            self.failed.insert(member, reason);
        }
    }

    fn ready(&mut self, member: usize, stored: BTreeSet<u32>) -> Vec<Effect> {
        let Some(peer) = self.peers.get_mut(&member) else { return Vec::new() };
        peer.ready = true;
        peer.stored = stored;
        let waiting: Vec<_> = self.encoded.difference(&peer.stored).copied().collect();
        waiting.into_iter().map(|segment| Effect::Send { member, segment }).collect()
    }

    fn encoded(&mut self, segment: u32) -> Vec<Effect> {
        self.encoded.insert(segment);
        let needs = |peer: &Peer| peer.ready && !peer.stored.contains(&segment);
        let members = self.peers.iter().filter(|(_, peer)| needs(peer));
        members.map(|(member, _)| Effect::Send { member: *member, segment }).collect()
    }

    /// Segments that no peer needs any more leave memory; peers that lag behind a quorum leave the upload.
    fn release_and_leave_behind(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        let oldest = self.encoded.iter().copied().find(|segment| {
            let weight = self.weight_of(|peer| self.is_sent(peer, *segment));
            self.committee.is_quorum(weight)
                && self.peers.values().any(|peer| !self.is_sent(peer, *segment))
        });
        match (oldest, self.lag_deadline) {
            (None, _) => self.lag_deadline = None,
            (Some(_), None) => self.lag_deadline = Some(now.after(LAG_MS)),
            (Some(segment), Some(deadline)) if deadline <= now => {
                let laggards: Vec<_> = self
                    .peers
                    .iter()
                    .filter(|(_, peer)| !self.is_sent(peer, segment))
                    .map(|(member, peer)| (*member, peer.lateness()))
                    .collect();
                for (member, reason) in laggards {
                    self.fail_member(member, reason.clone());
                    effects.push(Effect::Drop { member, reason });
                }
                self.lag_deadline = None;
            }
            (Some(_), Some(_)) => (),
        }
        let done: Vec<_> = self
            .encoded
            .iter()
            .copied()
            .filter(|segment| {
                !self.peers.is_empty()
                    && self.peers.values().all(|peer| self.is_sent(peer, *segment))
            })
            .collect();
        for segment in done {
            self.in_memory.remove(&segment);
            self.encoded.remove(&segment);
            effects.push(Effect::Release { segment });
        }
        effects
    }

    /// Encodes the next segments anybody still needs, as the window allows.
    fn encode_more(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.next_segment < self.segments && self.in_memory.len() < self.window {
            let segment = self.next_segment;
            self.next_segment += 1;
            let needed = self.peers.values().any(|peer| !peer.stored.contains(&segment));
            if needed {
                self.in_memory.insert(segment);
                effects.push(Effect::Encode { segment });
            }
        }
        effects
    }

    fn finish_members(&mut self) -> Vec<Effect> {
        if self.persistence.is_none() {
            return Vec::new();
        }
        let complete: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| !peer.finishing && self.everything_sent(peer))
            .map(|(member, _)| *member)
            .collect();
        for member in &complete {
            self.peers.get_mut(member).expect("the member was just listed").finishing = true;
        }
        complete.into_iter().map(|member| Effect::Finish { member }).collect()
    }

    fn certify(&mut self) -> Vec<Effect> {
        let Some(persistence) = self.persistence else { return Vec::new() };
        if self.certifying || !self.committee.is_quorum(self.confirmed_weight()) {
            return Vec::new();
        }
        self.certifying = true;
        let message = self.message(&persistence);
        let confirmations: Vec<_> = self
            .peers
            .iter()
            .filter_map(|(member, peer)| Some((*member, peer.confirmed?)))
            .collect();
        let certificate = Certificate::aggregate(&self.committee, message, &confirmations);
        let certificate = certificate.expect("every confirmation was verified and counts once");
        vec![Effect::Certify(Box::new(certificate))]
    }

    fn fail_without_quorum(&mut self) -> Vec<Effect> {
        if self.certifying || self.committee.is_quorum(self.weight_of(|_| true)) {
            return Vec::new();
        }
        let mut effects = self.verify_claimed(); // whoever lied is named, too
        let reachable = self.weight_of(|peer| peer.ready);
        let silent = self.weight_of(|peer| !peer.ready);
        self.over = true;
        let waiting = self.peers.iter().filter(|(_, peer)| !peer.ready);
        let waiting = waiting.map(|(member, _)| (*member, "has not answered yet".to_owned()));
        let members = self.failed.clone().into_iter().chain(waiting).collect();
        let (shards, quorum) = (self.committee.shards(), self.committee.quorum());
        let failure =
            Failure { reachable, silent, shards, quorum, members, other_epoch: self.other_epoch };
        effects.push(Effect::Fail(failure));
        effects
    }

    /// After the certificate the rest of the members get a little time, then the upload ends.
    fn end(&mut self, now: Timestamp) -> Vec<Effect> {
        let waiting = self.peers.values().any(|peer| peer.confirmed.is_none());
        let patience_over = self.lag_deadline.is_some_and(|deadline| deadline <= now);
        if waiting && !patience_over {
            return Vec::new();
        }
        self.over = true;
        let rest = self.peers.iter().filter(|(_, peer)| peer.confirmed.is_none());
        let dropped =
            rest.map(|(member, peer)| Effect::Drop { member: *member, reason: peer.lateness() });
        let mut effects: Vec<_> = dropped.collect();
        effects.push(Effect::Done);
        effects
    }

    fn advance(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = self.verify_confirmations();
        if self.certified {
            effects.extend(self.end(now));
            return effects;
        }
        effects.extend(self.release_and_leave_behind(now));
        let failure = self.fail_without_quorum();
        if !failure.is_empty() {
            effects.extend(failure);
            return effects;
        }
        let answered = self.weight_of(|peer| peer.ready);
        if self.committee.is_quorum(answered) {
            if !self.registering {
                self.registering = true;
                effects.push(Effect::Register);
            }
            effects.extend(self.encode_more());
        }
        effects.extend(self.finish_members());
        effects.extend(self.certify());
        effects
    }
}

impl Machine for Upload {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        if self.over {
            return Vec::new();
        }
        let mut effects = match input {
            Input::Started => {
                self.peers.keys().map(|member| Effect::Open { member: *member }).collect()
            }
            Input::Ready { member, stored } => self.ready(member, stored),
            Input::Encoded { segment } => self.encoded(segment),
            Input::Sent { member, segment } => {
                if let Some(peer) = self.peers.get_mut(&member) {
                    peer.sent.insert(segment);
                }
                Vec::new()
            }
            Input::Registered { persistence } => {
                self.persistence = Some(persistence);
                Vec::new()
            }
            Input::Confirmed { member, epoch, signature } => {
                self.confirmed(member, epoch, signature)
            }
            Input::Failed { member, reason } => {
                self.fail_member(member, reason);
                Vec::new()
            }
            Input::Certified => {
                self.certified = true;
                self.lag_deadline = Some(now.after(STRAGGLERS_MS));
                Vec::new()
            }
            Input::TimeReached => Vec::new(),
        };
        effects.extend(self.advance(now));
        debug_assert_eq!(self.broken(), None);
        effects
    }

    fn deadline(&self) -> Option<Timestamp> {
        if self.over { None } else { self.lag_deadline }
    }
}

#[cfg(test)]
mod tests;
