//! Finds out what the network knows of a blob: its header, or why there is none.
//!
//! Promises: a header handed out matches the blob id; "does not exist" is said when members with more than a third of
//! the shards, which have read the ledger as far as we have, say so: at least one of them is correct, and dead nodes are
//! not waited for; slow nodes are asked again until the reader's patience is over, which bounds every answer: what is not
//! settled by then is not said.
//! Does not: fetch slivers.

use std::collections::BTreeMap;
use std::time::Duration;

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::retry::End;
use haulout_protocol::machine::standing;
use haulout_protocol::wire::blob::{Registration, State, Status};
use tokio::time::{Instant, timeout, timeout_at};

use super::client::Session;
use super::node;
use super::progress::Unhelpful;
use crate::asking::{AskError, Inquiry, Obstacle};
use crate::limits;

/// What the committee says of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What a correct member stands behind; nothing when too few answered that have read the ledger as far as we have.
    pub state: Option<State>,
    /// Shards of the members that answered.
    pub answered: u16,
    /// Members that did not answer, by name, and why; without a state, also those that have not read far enough.
    pub silent: Vec<(String, String)>,
}

/// Why a blob's header cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// No live blob has this id.
    #[error("no blob with id {0} is stored; if it was just written, ask again in a moment")]
    NotFound(BlobId),
    /// Its time is over.
    #[error("blob {blob_id} expired at epoch {end_epoch}")]
    Expired {
        /// Which blob.
        blob_id: BlobId,
        /// First epoch in which it was gone.
        end_epoch: u32,
    },
    /// Its writer encoded it wrongly, and the committee said so.
    #[error("blob {0} was encoded inconsistently by its writer and is marked invalid")]
    Invalid(BlobId),
    /// Registered, but its upload never finished.
    #[error("blob {blob_id} is registered, not certified: its upload was not finished{}", told(.registration, *.end_epoch))]
    NotCertified {
        /// Which blob.
        blob_id: BlobId,
        /// First epoch in which it is gone.
        end_epoch: u32,
        /// The object that stands for it, if enough members say the same.
        registration: Option<Registration>,
    },
    /// It is certified, and nobody gives its header.
    #[error("blob {blob_id} is certified, but none of the nodes that answer has its header")]
    NoHeader {
        /// Which blob.
        blob_id: BlobId,
        /// Whether all members said that they do not have it.
        is_lost: bool,
        /// Members that did not give it.
        members: Vec<Unhelpful>,
    },
    /// Too few nodes answer to say.
    #[error("too few nodes answer to find blob {blob_id}: only {answered} of {shards} shards")]
    Unavailable {
        /// Which blob.
        blob_id: BlobId,
        /// Shards of the members that answered.
        answered: u16,
        /// Shards in all.
        shards: u16,
        /// Members that did not answer, by name, and why.
        silent: Vec<(String, String)>,
    },
}

/// Where and until when a blob is registered, for people.
fn told(registration: &Option<Registration>, end_epoch: u32) -> String {
    match registration {
        Some(Registration { object, registered_epoch, end_epoch, .. }) => format!(
            " (object {}, since epoch {registered_epoch}, storage until epoch {end_epoch})",
            ObjectId::from_bytes(*object)
        ),
        None => format!(" (storage until epoch {end_epoch})"),
    }
}

/// Adds up what members say, by the weight of their shards.
#[derive(Debug)]
struct Tally<'a> {
    session: &'a Session,
    answers: BTreeMap<usize, standing::Answer>,
    /// Members that gave no answer the last time, and why.
    failed: BTreeMap<usize, String>,
    /// Shards of the members that never will.
    refused: u16,
}

impl<'a> Tally<'a> {
    fn new(session: &'a Session) -> Self {
        Tally { session, answers: BTreeMap::new(), failed: BTreeMap::new(), refused: 0 }
    }

    /// Takes an answer; whether the member is asked again. One that has not read as far as we have may know better soon.
    fn add(&mut self, member: usize, answer: Result<Status, AskError>) -> End {
        let weight = self.session.committee.weight(member);
        match answer {
            Ok(Status { checkpoint, state, .. }) => {
                self.failed.remove(&member);
                self.answers.insert(member, standing::Answer { weight, checkpoint, state });
                match checkpoint >= self.session.checkpoint || self.is_settled() {
                    true => End::Done,
                    false => End::Again { after_ms: 0 },
                }
            }
            Err(error) => {
                let end = error.end();
                if end == End::Never {
                    self.refused += weight;
                }
                self.failed.insert(member, error.to_string());
                end
            }
        }
    }

    fn said(&self) -> Vec<standing::Answer> {
        self.answers.values().copied().collect()
    }

    fn is_settled(&self) -> bool {
        let asked_at = self.session.checkpoint;
        let said = self.said();
        let final_answers = said.iter().filter(|answer| answer.checkpoint >= asked_at);
        let heard: u16 = final_answers.map(|answer| answer.weight).sum();
        let awaited = self.session.committee.shards().saturating_sub(heard + self.refused);
        standing::is_settled(&self.session.committee, &said, awaited, asked_at)
    }

    /// Names those of whom nothing was heard at all.
    fn note_silence(&mut self, members: &[usize]) {
        for member in members.iter().filter(|member| !self.answers.contains_key(member)) {
            let silence = || "gave no answer in time".to_owned();
            self.failed.entry(*member).or_insert_with(silence);
        }
    }

    /// Names those that may know better as soon as they have read on.
    fn note_lag(&mut self) {
        let asked_at = self.session.checkpoint;
        let behind = self.answers.iter().filter(|(_, answer)| answer.checkpoint < asked_at);
        for (member, _) in behind {
            self.failed.entry(*member).or_insert_with(|| "is behind the ledger".to_owned());
        }
    }

    /// What is settled. Members behind the ledger deny what has just been certified, and those not heard might have said so.
    fn finish(mut self) -> Standing {
        let state = match self.is_settled() {
            true => standing::state(&self.session.committee, &self.said()),
            false => None,
        };
        if state.is_none() {
            self.note_lag();
        }
        let answered = self.answers.values().map(|answer| answer.weight).sum();
        let named = |(member, reason)| (self.session.name(member), reason);
        let silent = self.failed.clone().into_iter().map(named).collect();
        Standing { state, answered, silent }
    }
}

/// Asks every member what it knows of the blob, until the answer is settled by what they have read of the ledger: slow
/// members, and those that have not read as far as we have, are asked again.
pub async fn standing(session: &Session, blob_id: &BlobId) -> Standing {
    ask_everybody(session, blob_id, Duration::ZERO).await
}

/// Asks every member what it knows of the blob, and waits for all that answer: at most [`limits::STATUS_STRAGGLERS_MAX`]
/// past the moment in which the answer is settled.
pub async fn census(session: &Session, blob_id: &BlobId) -> Standing {
    ask_everybody(session, blob_id, limits::STATUS_STRAGGLERS_MAX).await
}

async fn ask_everybody(session: &Session, blob_id: &BlobId, stragglers: Duration) -> Standing {
    let mut tally = Tally::new(session);
    let members = session.members_by_pace();
    let ask = async |member: usize| (member, node::status(session, member, blob_id).await);
    let inquiry = Inquiry::start(session.inquiry(usize::MAX), members.clone(), ask);
    let judge = |member, answer| {
        let end = tally.add(member, answer);
        (end, tally.is_settled())
    };
    inquiry.ask_everybody(stragglers, judge).await;
    if !stragglers.is_zero() || !tally.is_settled() {
        tally.note_silence(&members);
    }
    tally.finish()
}

/// Members asked for the header at once; the next one is asked when one of them cannot help or is slow.
pub(super) const HEADER_REQUESTS: usize = 3;

/// A blob that can be read, as far as its header tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Its header, verified.
    pub header: BlobHeader,
    /// When it was certified; known only while shards move, when that says who has it.
    pub certified: Option<Epoch>,
}

/// The verified header of a blob that the ledger is known to keep; nothing if no member gives one.
pub(crate) async fn held_header(session: &Session, blob_id: &BlobId) -> Option<BlobHeader> {
    let ask = async |member: usize| (member, node::header(session, member, blob_id).await);
    let mut members = session.readers_by_pace();
    members.retain(|member| session.peer(*member) != session.network.identity());
    let mut headers = Inquiry::start(session.inquiry(HEADER_REQUESTS), members, ask);
    loop {
        match headers.next().await? {
            (_, Ok(header)) => return Some(header),
            (member, Err(error)) => headers.judged(member, error.end()),
        }
    }
}

/// The verified header of a blob, or why there is none. While shards move, those that have them from before are asked, too.
pub async fn header(session: &Session, blob_id: &BlobId) -> Result<Located, LocateError> {
    let ask = async |member: usize| (member, node::header(session, member, blob_id).await);
    let members = session.readers_by_pace();
    let mut headers = Inquiry::start(session.inquiry(HEADER_REQUESTS), members, ask);
    let mut standing = std::pin::pin!(standing(session, blob_id));
    let mut known: Option<Standing> = None;
    let mut reasons = BTreeMap::new();
    loop {
        tokio::select! {
            biased;
            header = headers.next() => match header {
                Some((_, Ok(header))) => {
                    let certified = match known {
                        Some(standing) => certified_in(&standing),
                        None if session.roster.is_changing() => {
                            let waited = timeout(limits::STATUS_STRAGGLERS_MAX, standing).await;
                            waited.ok().as_ref().and_then(certified_in)
                        }
                        None => None,
                    };
                    return Ok(Located { header, certified });
                }
                Some((member, Err(error))) => {
                    headers.judged(member, error.end());
                    reasons.insert(session.name(member), (error.to_string(), error.obstacle()));
                }
                None => {
                    let mut standing = match known {
                        Some(standing) => standing,
                        None => standing.await,
                    };
                    if let Some(State::Certified { .. }) = standing.state {
                        return Err(no_header(session.readers_by_pace().len(), *blob_id, reasons));
                    }
                    // Being behind says more than not having the header, which follows from it.
                    let without = reasons.into_iter().map(|(name, (reason, _))| (name, reason));
                    let mut silent: BTreeMap<_, _> = without.collect();
                    silent.extend(standing.silent);
                    standing.silent = silent.into_iter().collect();
                    return Err(explain(session, blob_id, standing).await);
                }
            },
            found = &mut standing, if known.is_none() => {
                if is_gone(&found) {
                    return Err(explain(session, blob_id, found).await);
                }
                known = Some(found);
            }
        }
    }
}

/// The error of a certified blob whose header nobody of so many gives. It is lost only if each of them said that he lacks it.
fn no_header(
    asked: usize,
    blob_id: BlobId,
    reasons: BTreeMap<String, (String, Obstacle)>,
) -> LocateError {
    let unhelpful = |(name, (reason, obstacle))| Unhelpful { name, reason, obstacle };
    let members: Vec<_> = reasons.into_iter().map(unhelpful).collect();
    let lacks = |member: &&Unhelpful| member.obstacle == Obstacle::Lacks;
    let is_lost = members.iter().filter(lacks).count() == asked;
    LocateError::NoHeader { blob_id, is_lost, members }
}

/// Why a blob cannot be read that nodes have a header of, if the committee says that it is gone, for a header outlives its
/// blob a little, or that it was never certified. Who asks has waited for the slow already, and it is only said better.
pub(super) async fn not_readable(session: &Session, blob_id: &BlobId) -> Option<LocateError> {
    let standing = standing(session, blob_id);
    let standing = timeout(limits::STATUS_STRAGGLERS_MAX, standing).await.ok()?;
    let is_registered = matches!(standing.state, Some(State::Registered { .. }));
    match is_gone(&standing) || is_registered {
        true => Some(explain(session, blob_id, standing).await),
        false => None,
    }
}

/// When a blob was certified, as the committee says.
fn certified_in(standing: &Standing) -> Option<Epoch> {
    match standing.state {
        Some(State::Certified { certified_epoch, .. }) => Some(Epoch(certified_epoch)),
        _ => None,
    }
}

fn is_gone(standing: &Standing) -> bool {
    matches!(standing.state, Some(State::Nonexistent | State::Invalid | State::Expired { .. }))
}

async fn explain(session: &Session, blob_id: &BlobId, standing: Standing) -> LocateError {
    let blob_id = *blob_id;
    match standing.state {
        Some(State::Nonexistent) => LocateError::NotFound(blob_id),
        Some(State::Registered { end_epoch }) => {
            let registration = registration(session, &blob_id).await;
            LocateError::NotCertified { blob_id, end_epoch, registration }
        }
        Some(State::Expired { end_epoch }) => LocateError::Expired { blob_id, end_epoch },
        Some(State::Invalid) => LocateError::Invalid(blob_id),
        Some(State::Certified { .. }) | None => LocateError::Unavailable {
            blob_id,
            answered: standing.answered,
            shards: session.committee.shards(),
            silent: standing.silent,
        },
    }
}

/// The object that stands for a blob, once members with more than a third of the shards say the same. It only completes
/// what is said, so the slow are waited for no longer than for a status.
pub async fn registration(session: &Session, blob_id: &BlobId) -> Option<Registration> {
    let ask = async |member: usize| (member, node::registration(session, member, blob_id).await);
    let mut inquiry = Inquiry::start(session.inquiry(usize::MAX), session.members_by_pace(), ask);
    let mut said: BTreeMap<Registration, u16> = BTreeMap::new();
    let end = Instant::now() + limits::STATUS_STRAGGLERS_MAX;
    loop {
        let (member, answer) = timeout_at(end, inquiry.next()).await.ok()??;
        inquiry.judged(member, answer.as_ref().map_or_else(AskError::end, |_| End::Done));
        if let Ok(Some(registration)) = answer {
            let weight = said.entry(registration).or_default();
            *weight = weight.saturating_add(session.committee.weight(member));
            if session.committee.is_one_correct(*weight) {
                return Some(registration);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use haulout_protocol::crypto::PeerId;
    use haulout_protocol::encoding::Parameters;
    use haulout_protocol::machine::roster::Roster;

    use super::*;
    use crate::network::OpenError;
    use crate::sample::{NETWORK, sample_committee, sample_network};

    const CERTIFIED: State = State::Certified { certified_epoch: 1, end_epoch: 5 };

    /// What the inquiry that began at checkpoint 100 ends with, when of five members with 20 shards each the first said
    /// this, having read so far, and the others cannot be reached.
    fn found(said: &[(u64, State)]) -> Standing {
        let peers: Vec<_> = (1..=5).map(|byte| PeerId::from_key([byte; 32])).collect();
        let committee = Arc::new(sample_committee(&peers, 100));
        let session = Session {
            network: sample_network(1),
            network_id: NETWORK,
            roster: Arc::new(Roster::settled(committee.clone())),
            committee,
            parameters: Parameters::new(100, 1 << 14).expect("valid parameters"),
            checkpoint: 100,
            patience: Duration::ZERO,
        };
        let mut tally = Tally::new(&session);
        for (member, (checkpoint, state)) in said.iter().enumerate() {
            tally.add(member, Ok(Status { checkpoint: *checkpoint, epoch: 1, state: *state }));
        }
        for member in said.len()..peers.len() {
            tally.add(member, Err(AskError::Open(OpenError::TimedOut)));
        }
        tally.finish()
    }

    #[test]
    fn members_behind_the_ledger_deny_nothing_while_those_that_may_know_better_are_silent() {
        for denial in [
            State::Nonexistent,
            State::Registered { end_epoch: 5 },
            State::Expired { end_epoch: 1 },
        ] {
            let standing = found(&[(99, denial); 2]);
            assert_eq!((standing.state, standing.answered), (None, 40));
            assert_eq!(standing.silent.len(), 5, "{:?}", standing.silent);
            let behind = |(_, reason): &&(String, String)| reason == "is behind the ledger";
            assert_eq!(standing.silent.iter().filter(behind).count(), 2, "{:?}", standing.silent);
        }
    }

    #[test]
    fn a_denial_by_members_that_have_read_far_enough_stands_whoever_is_dead() {
        let standing = found(&[(100, State::Nonexistent); 3]);
        assert_eq!(standing.state, Some(State::Nonexistent));
        assert_eq!(standing.silent.len(), 2, "only the dead: {:?}", standing.silent);
        assert_eq!(found(&[(99, State::Nonexistent); 4]).state, None, "all may know better soon");
        assert_eq!(found(&[(99, CERTIFIED); 2]).state, Some(CERTIFIED));
    }
}
