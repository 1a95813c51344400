//! One visitor with its stream, its place, and what it may use of what all share.
//!
//! Promises: whoever serves asks here for memory, a core and a turn before it uses them; a visit that fails says so to its
//! visitor if it can, to the log, to the peer book and to the metrics. Does not: know what is asked.

use std::time::Duration;

use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::conditions::Entrance;
use haulout_protocol::machine::duty::Duty;
use haulout_protocol::wire::Refusable;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::cores::Core;
use super::fault::{Fault, busy};
use super::host::Serving;
use super::memory::Held;
use super::service::Service;
use crate::limits;
use crate::network::{Place, Stream, StreamError};

/// One stream that a peer opened, and who opened it.
#[derive(Debug)]
pub(crate) struct Visit {
    /// Who.
    pub(crate) peer: PeerId,
    /// Its right to be served.
    pub(crate) place: Place,
    /// Its stream.
    pub(crate) stream: Stream,
    service: Service,
    serving: Serving,
    closing: CancellationToken,
}

/// Says that a visit was ended properly: [`Visit::end`] makes one.
#[derive(Debug)]
pub(crate) struct Ended(());

/// Runs something that blocks where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Panicked)
}

/// What so many bytes count for in memory.
pub(crate) fn charged(bytes: usize) -> usize {
    bytes.max(usize::try_from(limits::SESSION_MEMORY_MIN).unwrap_or(0))
}

impl Visit {
    pub(super) fn new(
        serving: &Serving,
        service: Service,
        peer: PeerId,
        mut stream: Stream,
        closing: &CancellationToken,
    ) -> Self {
        stream.set_idle_timeout(service.idle);
        let place = stream.place().expect("a stream that a peer opened has a place");
        Visit { peer, place, stream, service, serving: serving.clone(), closing: closing.clone() }
    }

    fn duty(&self) -> Duty {
        self.service.protocol.duty()
    }

    /// The next frame of the visitor.
    pub(crate) async fn frame<Request: bincode::Decode<()>>(
        &mut self,
    ) -> Result<Request, StreamError> {
        self.stream.read_frame(self.service.frame_bytes_max).await
    }

    /// The next frame of a visitor that may pause before it; nothing if it wants no more, or we end.
    pub(crate) async fn frame_after<Request: bincode::Decode<()>>(
        &mut self,
        pause: Duration,
    ) -> Result<Option<Request>, StreamError> {
        self.stream.allow_pause(pause);
        let closing = self.closing.clone();
        tokio::select! {
            next = self.frame() => match next {
                Err(StreamError::Closed | StreamError::TimedOut(_)) => Ok(None),
                next => next.map(Some),
            },
            () = closing.cancelled() => Ok(None),
        }
    }

    /// Waits for room in memory; the bytes may be there as long as it is held. Whoever holds room must not ask for more,
    /// or two visits could wait for each other.
    pub(crate) async fn room(&self, bytes: usize) -> Result<Held, Fault> {
        let room = self.serving.shared.memory.room(&self.place, self.duty(), bytes).await;
        room.ok_or_else(|| self.without_room())
    }

    /// Waits for room for what a whole upload needs. It has a memory of its own, because whoever holds it asks for room for
    /// segments, too.
    pub(crate) async fn room_for_upload(&self, bytes: usize) -> Result<Held, Fault> {
        let room = self.serving.shared.uploads.room(&self.place, self.duty(), bytes).await;
        room.ok_or_else(|| self.without_room())
    }

    /// Room in memory, if there is some now.
    pub(crate) fn try_room(&self, bytes: usize) -> Option<Held> {
        self.serving.shared.memory.try_room(&self.place, self.duty(), bytes)
    }

    /// Waits for the right to keep a core busy: for one piece of work, as a sliver.
    pub(crate) async fn core(&self) -> Core {
        self.serving.core(self.duty()).await
    }

    /// Waits for a core and does this behind everything else that wants one. It may block.
    pub(crate) async fn in_background<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.serving.in_background(self.duty(), work).await.ok_or(Fault::Panicked)
    }

    /// The visitor wants something: whoever reads beside it has company.
    pub(crate) fn note(&self) {
        self.serving.shared.readers.note(&self.place);
    }

    /// How long the visitor has to wait for its turn to read so many bytes.
    pub(crate) fn turn(&self, bytes: usize) -> Result<Duration, Fault> {
        let turn = self.serving.shared.readers.pause(&self.place, self.duty(), bytes);
        turn.ok_or_else(|| self.without_room())
    }

    /// There was no room in memory for too long, or there would be no turn.
    fn without_room(&self) -> Fault {
        let network = &self.serving.shared.network;
        network.note_turned_away(Entrance::Memory, self.place.guest().class);
        busy()
    }

    /// Says how it ended: to the visitor, to the log, to the peer book, to the metrics.
    pub(crate) async fn end<Reply: Refusable>(mut self, served: Result<(), Fault>) -> Ended {
        if let Err(fault) = served {
            self.tell(&fault);
            if let Some(refusal) = fault.refusal() {
                // The peer may be gone; then nobody needs the answer.
                if self.stream.write_frame(&Reply::refusing(refusal)).await.is_err() {
                    return Ended(());
                }
            } else {
                return Ended(());
            }
        }
        let _ = self.stream.close().await;
        Ended(())
    }

    fn tell(&self, fault: &Fault) {
        let (peer, shared) = (self.peer, &self.serving.shared);
        shared.metrics.session_refused(fault.word());
        if let Some(blame) = fault.blame() {
            warn!(%peer, reason = %fault, "peer broke the protocol");
            shared.metrics.peer_blamed(blame.as_str());
            shared.network.blame(peer, blame);
        } else if let Some(what) = fault.of_this_node() {
            error!(%peer, error = %fault, "{what}");
        } else {
            debug!(%peer, reason = %fault, "session ended early");
        }
    }
}
