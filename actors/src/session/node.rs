//! Single questions to single nodes, checked before anyone believes the answers.

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::Blame;
use haulout_protocol::machine::responsiveness::Sample;
use haulout_protocol::machine::retry::End;
use haulout_protocol::wire::blob::{
    Answer, Held, ObjectStatus, Question, Registration, Request, Status,
};
use haulout_protocol::wire::{HEADER_BYTES_MAX, Refusal, SMALL_FRAME_BYTES_MAX};

use super::{Obstacle, Session};
use crate::network::{Borrowed, Network, OpenError, Protocol, StreamError};
use crate::trace;
use tokio::time::Instant;

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

impl AskError {
    /// Whether a borrowed stream had ended before anybody asked.
    pub(super) fn is_of_old(&self, lent: &Borrowed) -> bool {
        matches!(self, AskError::Stream(error) if lent.had_ended(error))
    }
}

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
    let peer = session.peer(member);
    let mut stream = session.network.open(peer, Protocol::Blob).await?;
    let mut stopwatch = Stopwatch::start(&session.network, peer);
    let request = Request { blob_id: *blob_id.as_bytes(), question, trace: trace::current() };
    stream.write_frame(&request).await?;
    stream.flush().await?;
    let answer = stream.read_frame(SMALL_FRAME_BYTES_MAX).await?;
    stopwatch.heard(0);
    let (announced, max) = match answer {
        Answer::Header { bytes } => (bytes, HEADER_BYTES_MAX),
        _ => (0, 0),
    };
    if announced > max {
        return Err(StreamError::TooLarge { announced, max }.into());
    }
    let bytes = stream.read_bytes(announced).await?;
    stopwatch.heard(u64::from(announced));
    stopwatch.is_whole = true;
    match answer {
        Answer::Refused(refusal) => Err(AskError::Refused(refusal)),
        answer => Ok((answer, bytes)),
    }
}

/// The error of an answer that makes no sense where it came.
pub(super) fn nonsense() -> AskError {
    AskError::Wrong(Blame::Malformed)
}

/// Measures one answer of a peer; what it measured is noted when it is dropped, be the request done or cancelled.
pub(super) struct Stopwatch {
    network: Network,
    peer: PeerId,
    asked: Instant,
    first: Option<Instant>,
    last: Instant,
    bytes: u64,
    /// Whether everything asked for came.
    pub(super) is_whole: bool,
}

impl Stopwatch {
    /// Starts with the question. Reaching the peer is not measured: that says more of us than of the peer.
    pub(super) fn start(network: &Network, peer: PeerId) -> Self {
        let asked = Instant::now();
        let network = network.clone();
        Stopwatch { network, peer, asked, first: None, last: asked, bytes: 0, is_whole: false }
    }

    /// A frame of the answer came, or so many bytes behind one.
    pub(super) fn heard(&mut self, bytes: u64) {
        self.last = Instant::now();
        self.first.get_or_insert(self.last);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        let Some(first) = self.first else { return };
        let between = |from: Instant, to: Instant| {
            u64::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(u64::MAX)
        };
        let end = if self.is_whole { self.last } else { Instant::now() };
        let sample = Sample {
            wait_ms: between(self.asked, first),
            bytes: self.bytes,
            transfer_ms: between(first, end),
            is_whole: self.is_whole,
        };
        self.network.answered(self.peer, self.last, sample);
    }
}

impl AskError {
    /// Whether the member may be asked again, and when.
    pub(super) fn end(&self) -> End {
        let again = End::Again { after_ms: 0 };
        match self {
            AskError::Open(OpenError::Refused) => End::Absent,
            AskError::Open(error) if error.is_transient() => again,
            AskError::Stream(error) if error.is_transient() => again,
            AskError::Refused(Refusal::Busy { retry_after_ms }) => {
                End::Again { after_ms: u64::from(*retry_after_ms) }
            }
            AskError::Refused(refusal) if refusal.is_transient() => again,
            AskError::Open(_) | AskError::Stream(_) | AskError::Refused(_) | AskError::Wrong(_) => {
                End::Never
            }
        }
    }

    /// What keeps the member from helping.
    pub(super) fn obstacle(&self) -> Obstacle {
        match self {
            AskError::Open(OpenError::KeptWaiting | OpenError::Busy | OpenError::Overloaded)
            | AskError::Stream(StreamError::Evicted)
            | AskError::Refused(Refusal::Busy { .. }) => Obstacle::Busy,
            AskError::Refused(Refusal::NotFound) => Obstacle::Lacks,
            AskError::Open(OpenError::Unsupported | OpenError::Banned)
            | AskError::Refused(_)
            | AskError::Wrong(_) => Obstacle::Refuses,
            AskError::Stream(error) if !error.is_transient() => Obstacle::Refuses,
            AskError::Open(_) | AskError::Stream(_) => Obstacle::Away,
        }
    }

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_slow_the_busy_and_the_unreachable_are_asked_again() {
        let again = End::Again { after_ms: 0 };
        assert_eq!(AskError::Open(OpenError::TimedOut).end(), again);
        assert_eq!(AskError::Open(OpenError::Busy).end(), again);
        assert_eq!(AskError::Open(OpenError::Refused).end(), End::Absent);
        assert_eq!(AskError::Open(OpenError::Unreachable(String::new())).end(), again);
        assert_eq!(AskError::Stream(StreamError::TimedOut(Duration::ZERO)).end(), again);
        assert_eq!(AskError::Stream(StreamError::TooSlow).end(), again);
        assert_eq!(AskError::Stream(StreamError::Closed).end(), again);
        assert_eq!(AskError::Refused(Refusal::Internal).end(), again);
        let busy = AskError::Refused(Refusal::Busy { retry_after_ms: 500 });
        assert_eq!(busy.end(), End::Again { after_ms: 500 });
    }

    #[test]
    fn away_busy_lacking_and_refusing_are_told_apart() {
        let of = |error: AskError| error.obstacle();
        for away in [OpenError::TimedOut, OpenError::Refused, OpenError::ConnectionLost] {
            assert_eq!(of(AskError::Open(away)), Obstacle::Away);
        }
        assert_eq!(of(AskError::Stream(StreamError::Closed)), Obstacle::Away);
        for busy in [OpenError::Busy, OpenError::KeptWaiting] {
            assert_eq!(of(AskError::Open(busy)), Obstacle::Busy);
        }
        assert_eq!(of(AskError::Refused(Refusal::Busy { retry_after_ms: 1 })), Obstacle::Busy);
        assert_eq!(of(AskError::Stream(StreamError::Evicted)), Obstacle::Busy);
        assert_eq!(of(AskError::Refused(Refusal::NotFound)), Obstacle::Lacks);
        for refusing in [AskError::Open(OpenError::Banned), nonsense()] {
            assert_eq!(of(refusing), Obstacle::Refuses);
        }
        assert_eq!(of(AskError::Refused(Refusal::NotMember)), Obstacle::Refuses);
    }

    #[test]
    fn liars_and_those_who_refuse_for_good_are_not() {
        let oversized = StreamError::TooLarge { announced: 2, max: 1 };
        for error in [
            AskError::Open(OpenError::Banned),
            AskError::Open(OpenError::Unsupported),
            AskError::Stream(oversized),
            AskError::Refused(Refusal::NotFound),
            AskError::Refused(Refusal::NotMember),
            nonsense(),
        ] {
            assert_eq!(error.end(), End::Never, "{error}");
        }
    }
}
