//! Asks the committee whether a blob is stored as a server of the ledger says that it is.
//!
//! Promises: what counts as stored was read on the ledger by a correct member, which believes checkpoints only as far as it
//! verified them, whatever servers this client asks; members that are behind are asked again until they have read as far;
//! who is silent is waited for no longer than the client's patience. Does not: say whose object it is; that is the word of
//! the ledger's servers.

use std::collections::BTreeMap;
use std::fmt;

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::machine::retry::End;
use haulout_protocol::machine::witness::{Answer, Claim, Verdict, verdict, weight};
use tracing::debug;

use crate::asking::Inquiry;
use crate::chain::Chain;
use crate::session::client::Session;
use crate::session::node;

/// What a server of the ledger says of the object that stands for a put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) object: ObjectId,
    pub(super) claim: Claim,
    /// The checkpoint since which it is so, if that is known.
    pub(super) checkpoint: Option<u64>,
}

/// What a server of the ledger says of a blob, and the committee does not confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwitnessed {
    /// The blob.
    pub blob_id: BlobId,
    /// The object that is to keep it.
    pub object: ObjectId,
    /// Until when, as the server says.
    pub end_epoch: u32,
    /// The server's address.
    pub server: String,
    /// Whether nodes that have read the ledger as far say that it is not so, or never will read so far. If not, they are behind
    /// or silent.
    pub is_denied: bool,
    /// The checkpoint since which it is to be so, if that is far beyond what nodes have read.
    pub far_off: Option<u64>,
    /// Shards of the nodes that say that it is so.
    pub seen: u16,
    /// Shards in all.
    pub shards: u16,
    /// Members that did not say so, by name, and why.
    pub members: Vec<(String, String)>,
}

impl fmt::Display for Unwitnessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unwitnessed { object, end_epoch, server, seen, shards, .. } = self;
        write!(
            f,
            "the ledger's server {server} says that object {object} keeps the blob until epoch {end_epoch}, but "
        )?;
        if let Some(checkpoint) = self.far_off {
            return write!(
                f,
                "nodes are nowhere near checkpoint {checkpoint}, in which that is to be"
            );
        }
        match (self.is_denied, seen) {
            (true, _) => write!(f, "nodes that have read the ledger as far find it is not so"),
            (false, 0) => write!(f, "no node of the committee has seen that yet"),
            (false, _) => write!(f, "nodes of only {seen} of {shards} shards have seen that yet"),
        }
    }
}

/// What members said until now.
#[derive(Debug, Default)]
struct Heard {
    answers: BTreeMap<usize, Answer>,
    /// Members that gave no answer, and why.
    failed: BTreeMap<usize, String>,
}

impl Heard {
    fn answers(&self) -> Vec<Answer> {
        self.answers.values().copied().collect()
    }

    /// Why each member is no witness.
    fn reasons(&self, session: &Session, said: &Said, checkpoint: u64) -> Vec<(String, String)> {
        let others = self.answers.iter().filter(|(_, it)| !said.claim.is_seen(&it.status));
        let others = others.map(|(member, answer)| {
            let is_behind = answer.status.checkpoint < checkpoint;
            (*member, if is_behind { "is behind the ledger" } else { "finds it is not so" })
        });
        let mut all: BTreeMap<_, String> = self.failed.clone();
        all.extend(others.map(|(member, reason)| (member, reason.to_owned())));
        all.into_iter().map(|(member, reason)| (session.name(member), reason)).collect()
    }
}

/// Makes sure that the committee has read what is said.
pub(super) async fn witness(
    session: &Session,
    chain: &Chain,
    blob_id: &BlobId,
    said: &Said,
) -> Result<(), Box<Unwitnessed>> {
    let mut checkpoint = said.checkpoint.unwrap_or_default();
    let (mut judged, mut heard) = ask(session, blob_id, said, checkpoint).await;
    if judged == Verdict::Denied && said.checkpoint.is_none() {
        // Nobody knows since when it is so: perhaps only since a moment. What the ledger has now counts.
        match chain.impatient().latest_checkpoint().await {
            Ok(latest) => {
                checkpoint = latest;
                (judged, heard) = ask(session, blob_id, said, latest).await;
            }
            Err(error) => {
                debug!(%error, "the ledger does not say how far it is");
                judged = Verdict::Open;
            }
        }
    }
    let seen = weight(&heard.answers(), |status| said.claim.is_seen(status));
    if judged == Verdict::Seen {
        return Ok(());
    }
    let unwitnessed = Unwitnessed {
        blob_id: *blob_id,
        object: said.object,
        end_epoch: said.claim.end_epoch,
        server: chain.url().to_owned(),
        is_denied: matches!(judged, Verdict::Denied | Verdict::FarOff),
        far_off: (judged == Verdict::FarOff).then_some(checkpoint),
        seen,
        shards: session.committee.shards(),
        members: heard.reasons(session, said, checkpoint),
    };
    debug!(%blob_id, "{unwitnessed}");
    Err(Box::new(unwitnessed))
}

/// Asks every member until enough of them say that it is so, or that it is not and they have read up to the checkpoint.
async fn ask(
    session: &Session,
    blob_id: &BlobId,
    said: &Said,
    checkpoint: u64,
) -> (Verdict, Heard) {
    let ask = async |member: usize| {
        (member, node::object(session, member, blob_id, (&said.object, checkpoint)).await)
    };
    let mut inquiry = Inquiry::start(session.inquiry(usize::MAX), session.members_by_pace(), ask);
    let mut heard = Heard::default();
    loop {
        let (committee, answers) = (&session.committee, heard.answers());
        let judged = verdict(committee, &answers, &said.claim, checkpoint);
        if judged != Verdict::Open {
            return (judged, heard);
        }
        let Some((member, answer)) = inquiry.next().await else { return (judged, heard) };
        let end = match answer {
            Ok(status) => {
                heard.failed.remove(&member);
                let weight = session.committee.weight(member);
                heard.answers.insert(member, Answer { weight, status });
                match said.claim.is_seen(&status) || status.checkpoint >= checkpoint {
                    true => End::Done,
                    false => End::Again { after_ms: 0 },
                }
            }
            Err(error) => {
                heard.failed.insert(member, error.to_string());
                error.end()
            }
        };
        inquiry.judged(member, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_confirms_is_told_with_its_server_and_how_many_have_seen_it() {
        let unwitnessed = |is_denied, seen| Unwitnessed {
            blob_id: BlobId::from_bytes([1; 32]),
            object: ObjectId::from_bytes([2; 32]),
            end_epoch: 9,
            server: "http://liar".to_owned(),
            is_denied,
            far_off: None,
            seen,
            shards: 100,
            members: Vec::new(),
        };
        let told = |is_denied, seen| unwitnessed(is_denied, seen).to_string();
        assert!(told(true, 20).contains("http://liar says") && told(true, 20).contains("not so"));
        assert!(told(false, 0).ends_with("no node of the committee has seen that yet"));
        assert!(told(false, 20).ends_with("nodes of only 20 of 100 shards have seen that yet"));
        let far = Unwitnessed { far_off: Some(77), ..unwitnessed(true, 0) };
        assert!(far.to_string().contains("nowhere near checkpoint 77"), "{far}");
    }
}
