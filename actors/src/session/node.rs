//! Single questions to single nodes, checked before anyone believes the answers.
//!
//! Promises: what is handed out was asked for and makes sense; whoever sends anything else is blamed. Does not: choose whom
//! to ask, or ask again.

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::crypto::Digest;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::machine::Blame;
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::PairIndex;
use haulout_protocol::wire::blob::{
    Answer, Held, ObjectStatus, Question, Registration, Request, Status,
};
use haulout_protocol::wire::{HEADER_BYTES_MAX, SMALL_FRAME_BYTES_MAX};

use super::client::Session;
use crate::asking::{AskError, Asked, nonsense};
use crate::network::{Protocol, StreamError};
use crate::trace;

/// One question, one answer without anything behind it, one stream.
async fn ask(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
    question: Question,
) -> Result<Answer, AskError> {
    let (answer, _) = ask_for_bytes(session, member, blob_id, question).await?;
    Ok(answer)
}

/// One question, one answer and the raw bytes behind it, one stream.
async fn ask_for_bytes(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
    question: Question,
) -> Result<(Answer, Vec<u8>), AskError> {
    let request = Request { blob_id: *blob_id.as_bytes(), question, trace: trace::current() };
    let mut asked = session.asker().ask(session.peer(member), Protocol::Blob, &request).await?;
    let answer = asked.frame(SMALL_FRAME_BYTES_MAX).await?;
    let (announced, max) = match answer {
        Answer::Header { bytes } => (bytes, HEADER_BYTES_MAX),
        _ => (0, 0),
    };
    if announced > max {
        return Err(StreamError::TooLarge { announced, max }.into());
    }
    let bytes = asked.bytes(announced).await?;
    asked.set_whole(true);
    Ok((answer, bytes))
}

/// Passes an answer on; a wrong one is blamed on the way.
async fn reported<T>(
    session: &Session,
    member: usize,
    answer: impl Future<Output = Result<T, AskError>>,
) -> Result<T, AskError> {
    answer.await.inspect_err(|error| session.asker().report(session.peer(member), error))
}

/// What the member has read of the blob on chain.
pub(super) async fn status(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
) -> Result<Status, AskError> {
    reported(session, member, async {
        match ask(session, member, blob_id, Question::Status).await? {
            Answer::Status(status) => Ok(status),
            _ => Err(nonsense()),
        }
    })
    .await
}

/// Until when the blob stays stored whatever its owners do, as the member has read it on chain.
pub(super) async fn permanence(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
) -> Result<Option<u32>, AskError> {
    reported(session, member, async {
        match ask(session, member, blob_id, Question::Permanence).await? {
            Answer::Permanence { end_epoch } => Ok(end_epoch),
            _ => Err(nonsense()),
        }
    })
    .await
}

/// The object that keeps the blob the longest, as the member has read it on chain.
pub(super) async fn registration(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
) -> Result<Option<Registration>, AskError> {
    reported(session, member, async {
        match ask(session, member, blob_id, Question::Registration).await? {
            Answer::Registration(registration) => Ok(registration),
            _ => Err(nonsense()),
        }
    })
    .await
}

/// What the member has read on chain of one object of the blob; up to this checkpoint at least, if it reads that in a moment.
pub(super) async fn object(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
    (object, checkpoint): (&ObjectId, u64),
) -> Result<ObjectStatus, AskError> {
    let question = Question::Object { object: *object.as_bytes(), checkpoint };
    reported(session, member, async {
        match ask(session, member, blob_id, question).await? {
            Answer::Object(status) => Ok(status),
            _ => Err(nonsense()),
        }
    })
    .await
}

/// What the member says it holds of the blob's segments from this one on: some of them, or none beyond the last.
pub(super) async fn holdings(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
    segment: u32,
) -> Result<Vec<Held>, AskError> {
    reported(session, member, async {
        match ask(session, member, blob_id, Question::Holdings { segment }).await? {
            Answer::Holdings(held) => Ok(held),
            _ => Err(nonsense()),
        }
    })
    .await
}

/// Reads a pair's proof of so many bytes, verified against the slivers root of its segment.
pub(crate) async fn pair_proof(
    asked: &mut Asked,
    parameters: &Parameters,
    (pair, root): (PairIndex, &Digest),
    bytes: u32,
) -> Result<PairProof, AskError> {
    if usize::try_from(bytes).ok() != Some(PairProof::bytes_of(pair, parameters)) {
        return Err(nonsense());
    }
    let proof = asked.bytes(bytes).await?;
    let read = PairProof::read_verified(&proof, pair, parameters, root);
    read.map_err(|_| AskError::Wrong(Blame::WrongProof))
}

/// The blob's header, verified against its id.
pub(super) async fn header(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
) -> Result<BlobHeader, AskError> {
    reported(session, member, async {
        match ask_for_bytes(session, member, blob_id, Question::Header).await? {
            (Answer::Header { .. }, bytes) => {
                BlobHeader::read_verified(&bytes, &session.parameters, blob_id)
                    .map_err(|_| AskError::Wrong(Blame::WrongProof))
            }
            _ => Err(nonsense()),
        }
    })
    .await
}
