//! Finds out what the network knows of a blob: its header, or why there is none.
//!
//! Promises: a header handed out matches the blob id; "does not exist" is said only when members with more than a
//! third of the shards say so and none knows better, so at least one correct node said it; every answer comes in
//! bounded time. Does not: fetch slivers.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::machine::standing;
use haulout_protocol::wire::blob::{State, Status};
use tokio::time::{Instant, timeout_at};

use super::Session;
use super::node::{self, AskError};
use crate::limits;

/// What the committee says of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What most of the weight that answered says; nothing when too few answered.
    pub state: Option<State>,
    /// Shards of the members that answered.
    pub answered: u16,
    /// Members that did not answer, by name, and why.
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
    #[error("blob {0} is registered but not certified; its writer has to finish the upload")]
    NotCertified(BlobId),
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

/// Adds up what members say, by the weight of their shards.
#[derive(Debug)]
struct Tally<'a> {
    session: &'a Session,
    answers: Vec<standing::Answer>,
    silent: Vec<(String, String)>,
    waiting: u16,
}

impl<'a> Tally<'a> {
    fn new(session: &'a Session) -> Self {
        let waiting = session.committee.shards();
        Tally { session, answers: Vec::new(), silent: Vec::new(), waiting }
    }

    fn add(&mut self, member: usize, answer: Result<Status, AskError>) {
        let weight = self.session.committee.weight(member);
        self.waiting -= weight;
        match answer {
            Ok(status) => self.answers.push((weight, status.state)),
            Err(error) => self.silent.push((self.session.name(member), error.to_string())),
        }
    }

    fn state(&self) -> Option<State> {
        standing::state(&self.session.committee, &self.answers)
    }

    fn is_settled(&self) -> bool {
        standing::is_settled(&self.session.committee, &self.answers, self.waiting)
    }

    fn finish(self) -> Standing {
        let answered = self.answers.iter().map(|(weight, _)| weight).sum();
        Standing { state: self.state(), answered, silent: self.silent }
    }
}

/// Asks every member what it knows of the blob, until the answer is settled. Once a correct member denies the blob and
/// nobody knows better, silent members get [`limits::DENIAL_WAIT_MAX`] more: nodes that are up answer in milliseconds.
pub async fn standing(session: &Session, blob_id: &BlobId) -> Standing {
    let mut tally = Tally::new(session);
    let members = 0..session.committee.members().len();
    let ask = async |member: usize| (member, node::status(session, member, blob_id).await);
    let mut answers: FuturesUnordered<_> =
        members.filter(|member| session.committee.weight(*member) > 0).map(ask).collect();
    let mut denial_ends: Option<Instant> = None;
    loop {
        let answer = match denial_ends {
            None => answers.next().await,
            Some(end) => timeout_at(end, answers.next()).await.unwrap_or(None),
        };
        let Some((member, answer)) = answer else { break };
        tally.add(member, answer);
        if tally.is_settled() {
            break;
        }
        denial_ends = match tally.state() {
            Some(State::Nonexistent) => {
                denial_ends.or_else(|| Some(Instant::now() + limits::DENIAL_WAIT_MAX))
            }
            _ => None,
        };
    }
    drop(answers);
    tally.finish()
}

/// Members asked for the header at once; the next one is asked when one of them cannot help.
const HEADER_REQUESTS: usize = 3;

/// The verified header of a blob, or why there is none.
pub async fn header(session: &Session, blob_id: &BlobId) -> Result<BlobHeader, LocateError> {
    let preference = session.preference();
    let mut members: Vec<_> =
        (0..preference.len()).filter(|member| session.committee.weight(*member) > 0).collect();
    members.sort_by_key(|member| preference[*member]);
    let requests =
        members.into_iter().map(async |member| node::header(session, member, blob_id).await);
    let mut headers =
        std::pin::pin!(futures::stream::iter(requests).buffer_unordered(HEADER_REQUESTS));
    let mut standing = std::pin::pin!(standing(session, blob_id));
    let mut known: Option<Standing> = None;
    loop {
        tokio::select! {
            biased;
            header = headers.next() => match header {
                Some(Ok(header)) => return Ok(header),
                Some(Err(_)) => (),
                None => {
                    let standing = match known {
                        Some(standing) => standing,
                        None => standing.await,
                    };
                    return Err(explain(session, blob_id, standing));
                }
            },
            found = &mut standing, if known.is_none() => {
                if is_gone(&found) {
                    return Err(explain(session, blob_id, found));
                }
                known = Some(found);
            }
        }
    }
}

/// Why a blob cannot be had any more, if the committee says that it is gone: a header outlives its blob a little.
pub(super) async fn gone(session: &Session, blob_id: &BlobId) -> Option<LocateError> {
    let standing = standing(session, blob_id).await;
    is_gone(&standing).then(|| explain(session, blob_id, standing))
}

fn is_gone(standing: &Standing) -> bool {
    matches!(standing.state, Some(State::Nonexistent | State::Invalid | State::Expired { .. }))
}

fn explain(session: &Session, blob_id: &BlobId, standing: Standing) -> LocateError {
    let blob_id = *blob_id;
    match standing.state {
        Some(State::Nonexistent) => LocateError::NotFound(blob_id),
        Some(State::Registered { .. }) => LocateError::NotCertified(blob_id),
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
