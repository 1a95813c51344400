//! Single questions to single nodes, checked before anyone believes the answers.

use haulout_protocol::blob::{BlobHeader, BlobId, SegmentCommitment};
use haulout_protocol::machine::Blame;
use haulout_protocol::sliver::SliverIndex;
use haulout_protocol::wire::blob::{Answer, Question, Request, Status};
use haulout_protocol::wire::{
    HEADER_FRAME_BYTES_MAX, INDEX_FRAME_BYTES_MAX, Refusal, SMALL_FRAME_BYTES_MAX,
};

use super::Session;
use crate::network::{OpenError, Protocol, StreamError};
use crate::trace;

/// Why a node gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("{0}")]
    Refused(Refusal),
    #[error("the node {0}")]
    Wrong(Blame),
}

/// One question, one answer, one stream.
async fn ask(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
    question: Question,
) -> Result<Answer, AskError> {
    let mut stream = session.network.open(session.peer(member), Protocol::Blob).await?;
    let request = Request { blob_id: *blob_id.as_bytes(), question, trace: trace::current() };
    stream.write_frame(&request).await?;
    stream.flush().await?;
    let limit = match question {
        Question::Header => HEADER_FRAME_BYTES_MAX,
        Question::Index { .. } => INDEX_FRAME_BYTES_MAX,
        Question::Status | Question::Certificate | Question::Permanence => SMALL_FRAME_BYTES_MAX,
    };
    match stream.read_frame(limit).await {
        Ok(Answer::Refused(refusal)) => Err(AskError::Refused(refusal)),
        Ok(answer) => Ok(answer),
        Err(error) => Err(error.into()),
    }
}

/// The error of an answer that makes no sense where it came.
pub(super) fn nonsense() -> AskError {
    AskError::Wrong(Blame::Malformed)
}

impl AskError {
    /// Blames the member if the error is its fault; a broken connection is nobody's.
    pub(super) fn report(&self, session: &Session, member: usize) {
        let blame = match self {
            AskError::Wrong(blame) => Some(*blame),
            AskError::Stream(error) => error.blame(),
            AskError::Open(_) | AskError::Refused(_) => None,
        };
        if let Some(blame) = blame {
            session.network.blame(session.peer(member), blame);
        }
    }
}

/// Passes an answer on; a wrong one is blamed on the way.
async fn reported<T>(
    session: &Session,
    member: usize,
    answer: impl Future<Output = Result<T, AskError>>,
) -> Result<T, AskError> {
    answer.await.inspect_err(|error| error.report(session, member))
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

/// The blob's header, verified against its id.
pub(super) async fn header(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
) -> Result<BlobHeader, AskError> {
    reported(session, member, async {
        match ask(session, member, blob_id, Question::Header).await? {
            Answer::Header(bytes) => {
                BlobHeader::read_verified(&bytes, &session.parameters, blob_id)
                    .map_err(|_| AskError::Wrong(Blame::WrongProof))
            }
            _ => Err(nonsense()),
        }
    })
    .await
}

/// A segment's sliver index, verified against its commitment.
pub(super) async fn index(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
    segment: u32,
    commitment: &SegmentCommitment,
) -> Result<SliverIndex, AskError> {
    reported(session, member, async {
        match ask(session, member, blob_id, Question::Index { segment }).await? {
            Answer::Index(bytes) => SliverIndex::from_bytes(&bytes, &session.parameters)
                .ok()
                .filter(|index| index.root() == commitment.slivers_root)
                .ok_or(AskError::Wrong(Blame::WrongProof)),
            _ => Err(nonsense()),
        }
    })
    .await
}
