//! One stream from its first frame to its end: what all sessions share and how they end.
//!
//! Promises: a session that fails says so to its peer if it can, and the fault lands with whoever
//! made it: the peer is blamed for what it sent, our own store's failures are errors of ours.

use std::sync::Arc;
use std::time::Duration;

use haulout_protocol::blob::BlobId;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::conditions::Entrance;
use haulout_protocol::machine::guests::Progress;
use haulout_protocol::sliver::ShardIndex;
use haulout_protocol::wire::{self, Refusal, blob, sliver};
use haulout_storage::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, debug, error, info_span, warn};

use super::memory::{Held, Memory};
use super::pending::Pending;
use super::readers::Readers;
use super::short::SHORT_ROWS;
use super::{Arguments, Patience};
use crate::context::Context;
use crate::network::{Blame, Network, Place, Protocol, Stream, StreamError};
use crate::position::Position;
use crate::{limits, trace};

/// What all sessions share.
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) network: Network,
    pub(super) patience: Patience,
    pub(super) pending: Pending,
    /// Room for what sessions hold for a segment or an answer.
    memory: Memory,
    /// Room for what they hold for a whole upload.
    headers: Memory,
    /// Whose turn it is to read.
    pub(super) readers: Readers,
    /// Held while the row of a short blob is read and written again.
    pub(super) short_rows: [tokio::sync::Mutex<()>; SHORT_ROWS],
    /// One permit per sliver being checked.
    checks: Arc<Semaphore>,
    /// Cancelled when the actor ends: sessions between two requests end then.
    pub(super) closing: CancellationToken,
}

/// One stream and who opened it.
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: PeerId,
    pub(super) place: Place,
    pub(super) stream: Stream,
}

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// We do not do it.
    #[error("{0}")]
    Refused(Refusal),
    /// The peer sent what it must not send.
    #[error("{reason}")]
    Blamed { blame: Blame, reason: String },
    /// The stream broke.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// Our store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Our own code failed.
    #[error("a task of ours panicked")]
    Panicked,
}

impl Fault {
    /// A frame that makes no sense where it came.
    pub(super) fn out_of_place(what: &str) -> Fault {
        Fault::Blamed { blame: Blame::Malformed, reason: format!("{what} is out of place") }
    }

    /// What the peer hears; nothing if the stream is broken anyway.
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Fault::Refused(refusal) => Some(refusal.clone()),
            Fault::Blamed { reason, .. } => Some(Refusal::Invalid(reason.clone())),
            Fault::Stream(StreamError::Malformed(error)) => {
                Some(Refusal::Invalid(error.to_string()))
            }
            Fault::Stream(error @ StreamError::TooLarge { .. }) => {
                Some(Refusal::Invalid(error.to_string()))
            }
            Fault::Stream(_) => None,
            Fault::Store(StoreError::Full { .. }) => Some(Refusal::Full),
            Fault::Store(_) | Fault::Panicked => Some(Refusal::Internal),
        }
    }

    /// What the peer is to blame for.
    fn blame(&self) -> Option<Blame> {
        match self {
            Fault::Blamed { blame, .. } => Some(*blame),
            // The peer opened the stream, and others wait for its place.
            Fault::Stream(StreamError::TimedOut(_) | StreamError::TooSlow) => Some(Blame::Slow),
            Fault::Stream(error) => error.blame(),
            Fault::Refused(_) | Fault::Store(_) | Fault::Panicked => None,
        }
    }

    /// What an operator of this node must know: its disk, not its program, is most often what failed.
    fn of_this_node(&self) -> Option<&'static str> {
        match self {
            Fault::Store(StoreError::Corrupt { .. }) => {
                Some("rot: stored bytes are not those that were written, so a peer was not served")
            }
            Fault::Store(StoreError::Full { .. }) => {
                Some("the disk is full, so a peer's bytes were not taken")
            }
            Fault::Store(_) => Some("the store failed, so a peer was not served"),
            Fault::Panicked => Some("a fault of the program, so a peer was not served"),
            Fault::Refused(_) | Fault::Blamed { .. } | Fault::Stream(_) => None,
        }
    }

    /// One word for metrics.
    fn word(&self) -> &'static str {
        match self {
            Fault::Refused(Refusal::NotFound) => "not_found",
            Fault::Refused(Refusal::Busy { .. }) => "busy",
            Fault::Refused(Refusal::NotRegistered) => "not_registered",
            Fault::Refused(Refusal::NotMember) => "not_member",
            Fault::Refused(Refusal::Full) | Fault::Store(StoreError::Full { .. }) => "full",
            Fault::Refused(Refusal::Invalid(_)) | Fault::Blamed { .. } => "invalid",
            Fault::Refused(Refusal::Internal) | Fault::Store(_) | Fault::Panicked => "internal",
            Fault::Stream(_) => "stream",
        }
    }
}

impl Shared {
    pub(super) fn new(arguments: Arguments, pending_on_disk: u64) -> Shared {
        let Arguments { context, network, patience } = arguments;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Shared {
            context,
            network,
            patience,
            pending: Pending::new(patience.bounds, pending_on_disk),
            memory: Memory::new(patience.memory),
            headers: Memory::new(limits::HEADER_MEMORY),
            readers: Readers::new(patience.readers),
            short_rows: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            checks: Arc::new(Semaphore::new(cores.min(limits::SLIVER_CHECKS_MAX))),
            closing: CancellationToken::new(),
        }
    }

    /// A session lost its place to another. Whoever never came to say what it wants is slow; others were just slower than
    /// others, or wait for somebody else.
    pub(super) fn turned_out(&self, place: &Place) {
        let (progress, guest) = (place.progress(), place.guest());
        let peer = guest.peer;
        self.network.note_turned_away(Entrance::Stream, guest.class);
        self.context.metrics.session_refused("evicted");
        debug!(?progress, "the place of a session was given to another");
        if is_crawling(place.has_asked(), &progress) {
            self.context.metrics.peer_blamed(Blame::Slow.as_str());
            self.network.blame(peer, Blame::Slow);
        }
    }

    /// Waits for the right to keep a core busy.
    pub(super) async fn core(&self) -> OwnedSemaphorePermit {
        self.checks.clone().acquire_owned().await.expect("we never close the semaphore")
    }

    /// The shards we own at this position.
    pub(super) fn own_shards(&self, position: &Position) -> Result<Vec<ShardIndex>, Fault> {
        match position.shards_of(&self.context.peer) {
            [] => Err(Fault::Refused(Refusal::NotMember)),
            shards => Ok(shards.to_vec()),
        }
    }
}

/// Whether whoever lost its place never meant to use it.
fn is_crawling(has_asked: bool, progress: &Progress) -> bool {
    !has_asked && progress.rate() < limits::CRAWL_BYTES_PER_SECOND
}

/// Runs something that blocks where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Panicked)
}

/// What so many bytes count for in memory.
pub(super) fn charged(bytes: usize) -> usize {
    bytes.max(usize::try_from(limits::SESSION_MEMORY_MIN).unwrap_or(0))
}

/// Says that a bound of ours is reached.
pub(super) fn busy() -> Fault {
    Fault::Refused(Refusal::Busy { retry_after_ms: limits::BUSY_RETRY_AFTER_MS })
}

impl Session {
    /// Waits for room in memory; the bytes may be there as long as it is held. Whoever holds room must not ask for more,
    /// or two sessions could wait for each other.
    pub(super) async fn room(&self, bytes: usize) -> Result<Held, Fault> {
        let room = self.shared.memory.room(&self.place, bytes).await;
        room.ok_or_else(|| self.without_room())
    }

    /// Waits for room for a header. It has a memory of its own, because whoever holds it asks for segments, too.
    pub(super) async fn room_for_header(&self, bytes: usize) -> Result<Held, Fault> {
        let room = self.shared.headers.room(&self.place, bytes).await;
        room.ok_or_else(|| self.without_room())
    }

    /// How long a reader has to wait for its turn.
    pub(super) fn turn(&self, bytes: usize) -> Result<Duration, Fault> {
        self.shared.readers.pause(&self.place, bytes).ok_or_else(|| self.without_room())
    }

    /// There was no room in memory for too long, or there would be no turn.
    fn without_room(&self) -> Fault {
        self.shared.network.note_turned_away(Entrance::Memory, self.place.guest().class);
        busy()
    }

    /// Room in memory, if there is some now.
    pub(super) fn try_room(&self, bytes: usize) -> Option<Held> {
        self.shared.memory.try_room(&self.place, bytes)
    }

    /// Serves a stream of `sliver/1`.
    pub(super) async fn serve_slivers(mut self) {
        let first = self.stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await;
        let served = match first {
            Ok(first) => self.serve_requests(first).await,
            Err(error) => Err(error.into()),
        };
        self.end(served, sliver::Reply::Refused).await;
    }

    /// Serves what a peer wants, one thing after the other: of short blobs a stream takes and gives any number.
    async fn serve_requests(&mut self, first: sliver::Request) -> Result<(), Fault> {
        let mut next = Some(first);
        while let Some(request) = next {
            next = match request {
                sliver::Request::Get { blob_id, segment, axis, part, pairs, trace } => {
                    let blob_id = BlobId::from_bytes(blob_id);
                    let span = serve_span(&self.peer, &blob_id, segment);
                    self.place.asked();
                    trace::adopt(&span, trace);
                    let wanted = super::get::Wanted { blob_id, segment, axis, part, pairs };
                    self.send_slivers(wanted).instrument(span).await?;
                    None
                }
                sliver::Request::GetShort { blob_id, symbols, with_proof, trace } => {
                    let blob_id = BlobId::from_bytes(blob_id);
                    let span = serve_span(&self.peer, &blob_id, 0);
                    self.place.asked();
                    trace::adopt(&span, trace);
                    let wanted = super::short::WantedSymbols { blob_id, symbols, with_proof };
                    self.send_symbols(wanted).instrument(span).await?;
                    self.next_after_short().await?
                }
                sliver::Request::Put { blob_id, header_bytes, trace } => {
                    let blob_id = BlobId::from_bytes(blob_id);
                    let span = receive_span(&self.peer, &blob_id);
                    self.shared.readers.note(&self.place);
                    trace::adopt(&span, trace);
                    self.take_slivers(blob_id, header_bytes).instrument(span).await?
                }
                sliver::Request::Confirm { blob_id, deletable, trace } => {
                    let blob_id = BlobId::from_bytes(blob_id);
                    let span = receive_span(&self.peer, &blob_id);
                    self.place.asked();
                    trace::adopt(&span, trace);
                    let persistence = sliver::Request::persistence(deletable);
                    self.confirm_short(blob_id, persistence).instrument(span).await?;
                    self.next_after_short().await?
                }
                _ => return Err(Fault::out_of_place("the first frame")),
            };
        }
        Ok(())
    }

    /// What the peer wants next. It may be encoding, or feeding slower nodes.
    pub(super) async fn next_request(&mut self) -> Result<sliver::Request, Fault> {
        self.stream.allow_pause(self.shared.patience.pause);
        Ok(self.stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await?)
    }

    /// What the peer wants after a short blob; nothing if it wants no more, or we end. What it paid for is done, so whoever
    /// named a paid blob is a stranger again: else it would read as if it had paid.
    pub(super) async fn next_after_short(&mut self) -> Result<Option<sliver::Request>, Fault> {
        if !self.place.demote() {
            return Ok(None);
        }
        let closing = self.shared.closing.clone();
        tokio::select! {
            next = self.next_request() => match next {
                Err(Fault::Stream(StreamError::Closed | StreamError::TimedOut(_))) => Ok(None),
                next => next.map(Some),
            },
            () = closing.cancelled() => Ok(None),
        }
    }

    /// Serves a stream of `blob/1`.
    pub(super) async fn serve_blob(mut self) {
        let first = self.stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await;
        let served = match first.map_err(Fault::from) {
            Ok(blob::Request { blob_id, question, trace }) => {
                self.place.asked();
                let blob_id = BlobId::from_bytes(blob_id);
                let span = answer_span(&self.peer, &blob_id, &question);
                trace::adopt(&span, trace);
                self.answer(blob_id, question).instrument(span).await
            }
            Err(fault) => Err(fault),
        };
        self.end(served, blob::Answer::Refused).await;
    }

    /// Says how it ended: to the peer, to the log, to the peer book, to the metrics.
    async fn end<Reply: bincode::Encode + Send + Sync>(
        mut self,
        served: Result<(), Fault>,
        refuse: impl FnOnce(Refusal) -> Reply,
    ) {
        let fault = match served {
            Ok(()) => return drop(self.stream.close().await),
            Err(fault) => fault,
        };
        let (peer, metrics) = (self.peer, &self.shared.context.metrics);
        metrics.session_refused(fault.word());
        if let Some(blame) = fault.blame() {
            warn!(%peer, reason = %fault, "peer broke the protocol");
            metrics.peer_blamed(blame.as_str());
            self.shared.network.blame(peer, blame);
        } else if let Some(what) = fault.of_this_node() {
            error!(%peer, error = %fault, "{what}");
        } else {
            debug!(%peer, reason = %fault, "session ended early");
        }
        if let Some(reply) = fault.refusal().map(refuse) {
            // The peer may be gone; then nobody needs the answer.
            if self.stream.write_frame(&reply).await.is_ok() {
                drop(self.stream.close().await);
            }
        }
    }
}

/// The span of a get, on our side.
fn serve_span(peer: &PeerId, blob_id: &BlobId, segment: u32) -> Span {
    info_span!(
        "serve",
        otel.kind = "server",
        rpc.system = "libp2p",
        rpc.service = Protocol::Sliver.service(),
        rpc.method = "get",
        haulout.peer.id = %peer,
        haulout.blob.id = %blob_id,
        haulout.segment = segment,
    )
}

/// The span of a put, on our side.
fn receive_span(peer: &PeerId, blob_id: &BlobId) -> Span {
    info_span!(
        "receive",
        otel.kind = "server",
        rpc.system = "libp2p",
        rpc.service = Protocol::Sliver.service(),
        rpc.method = "put",
        haulout.peer.id = %peer,
        haulout.blob.id = %blob_id,
    )
}

/// The span of a question about a blob, on our side.
fn answer_span(peer: &PeerId, blob_id: &BlobId, question: &blob::Question) -> Span {
    info_span!(
        "answer",
        otel.kind = "server",
        rpc.system = "libp2p",
        rpc.service = Protocol::Blob.service(),
        rpc.method = ?question,
        haulout.peer.id = %peer,
        haulout.blob.id = %blob_id,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_the_ledger_is_not_blamed_and_who_drips_is() {
        let waits = Progress { moved: 500, waited_ms: 9_000, waiting_ms: 9_000 };
        assert!(!is_crawling(true, &waits), "it sent its header, and waits for its registration");
        assert!(is_crawling(false, &waits));
        let fast = Progress { moved: 1 << 20, ..waits };
        assert!(!is_crawling(false, &fast), "others were faster");
    }
}
