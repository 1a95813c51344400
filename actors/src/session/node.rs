//! Single questions to single nodes, checked before anyone believes the answers.

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::machine::Blame;
use haulout_protocol::sliver::SliverIndex;
use haulout_protocol::wire::blob::{Answer, Question, Request};
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
pub(super) async fn ask(
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
        Question::Status | Question::Certificate => SMALL_FRAME_BYTES_MAX,
    };
    match stream.read_frame(limit).await {
        Ok(Answer::Refused(refusal)) => Err(AskError::Refused(refusal)),
        Ok(answer) => Ok(answer),
        Err(error) => {
            blame_stream(session, member, &error);
            Err(error.into())
        }
    }
}

/// Blames a member for an answer of another kind than the question; says so for people.
pub(super) fn wrong_answer(session: &Session, member: usize) -> AskError {
    lied(session, member, Blame::Malformed)
}

/// Blames a member whose bytes broke the protocol; a broken connection is nobody's fault.
pub(super) fn blame_stream(session: &Session, member: usize, error: &StreamError) {
    if let Some(blame) = error.blame() {
        session.network.blame(session.peer(member), blame);
    }
}

fn lied(session: &Session, member: usize, reason: Blame) -> AskError {
    session.network.blame(session.peer(member), reason);
    AskError::Wrong(reason)
}

/// The blob's header, verified against its id.
pub(super) async fn header(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
) -> Result<BlobHeader, AskError> {
    match ask(session, member, blob_id, Question::Header).await? {
        Answer::Header(bytes) => BlobHeader::read_verified(&bytes, &session.parameters, blob_id)
            .map_err(|_| lied(session, member, Blame::WrongProof)),
        _ => Err(wrong_answer(session, member)),
    }
}

/// A segment's sliver index, verified against its commitment.
pub(super) async fn index(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
    segment: u32,
    header: &BlobHeader,
) -> Result<SliverIndex, AskError> {
    let expected = header.segments.get(segment as usize).map(|commitment| commitment.slivers_root);
    match ask(session, member, blob_id, Question::Index { segment }).await? {
        Answer::Index(bytes) => SliverIndex::from_bytes(&bytes, &session.parameters)
            .ok()
            .filter(|index| Some(index.root()) == expected)
            .ok_or_else(|| lied(session, member, Blame::WrongProof)),
        _ => Err(wrong_answer(session, member)),
    }
}
