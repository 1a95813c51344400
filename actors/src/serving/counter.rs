//! A counter: where the visitors of one protocol are served, each by a task of its own.
//!
//! Promises: visits end with their counter, and so with the actor that opened it, however that ends; a panic ends one visit,
//! and so does the loss of its place: whatever it waited for, it holds nothing any more. Does not: bound how many there are;
//! their places do.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span, debug, error, info_span};

use super::host::Serving;
use super::service::Service;
use super::visit::{Ended, Visit};
use crate::limits;
use crate::network::Incoming;

/// A protocol that is served as long as this lives.
#[derive(Debug)]
pub(crate) struct Counter {
    serving: AbortOnDropHandle<()>,
    closing: CancellationToken,
}

impl Counter {
    /// Lets nobody in any more, and lets visits finish for a little while.
    pub(crate) async fn close(self) {
        self.closing.cancel();
        // A panic of it has ended all visits.
        let _ = self.serving.await;
    }
}

impl Serving {
    /// Opens a counter: `serve` makes the task that serves a visitor. The last one to open a counter for a protocol gets all
    /// its visitors.
    pub(crate) fn open<Serve, Task>(&self, service: Service, serve: Serve) -> Counter
    where
        Serve: Fn(Visit) -> Task + Send + 'static,
        Task: Future<Output = Ended> + Send + 'static,
    {
        let closing = CancellationToken::new();
        let incoming = self.shared.network.accept(service.protocol);
        let visits = Visits {
            serving: self.clone(),
            service,
            serve,
            closing: closing.clone(),
            running: JoinSet::new(),
        };
        let task = tokio::spawn(visits.run(incoming).instrument(Span::current()));
        Counter { serving: AbortOnDropHandle::new(task), closing }
    }
}

/// The visits of one counter.
struct Visits<Serve> {
    serving: Serving,
    service: Service,
    serve: Serve,
    closing: CancellationToken,
    running: JoinSet<()>,
}

impl<Serve, Task> Visits<Serve>
where
    Serve: Fn(Visit) -> Task + Send + 'static,
    Task: Future<Output = Ended> + Send + 'static,
{
    /// Serves whoever comes until the counter closes, or another one takes over.
    async fn run(mut self, mut incoming: Incoming) {
        let closing = self.closing.clone();
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                Some(ended) = self.running.join_next() => noted(ended),
                visitor = incoming.next() => match visitor {
                    Some((peer, stream)) => {
                        let visit = Visit::new(&self.serving, self.service, peer, stream, &closing);
                        self.begin(visit);
                    }
                    None => break,
                },
            }
        }
        drop(incoming);
        let finish = async { while self.running.join_next().await.is_some() {} };
        let late = async {
            closing.cancelled().await;
            tokio::time::sleep(limits::SESSIONS_GRACE).await;
        };
        tokio::select! {
            () = finish => {}
            () = late => debug!("sessions were cut off"),
        }
    }

    fn begin(&mut self, visit: Visit) {
        let span = info_span!("session", peer = %visit.peer, protocol = ?self.service.protocol);
        let (serving, place) = (self.serving.clone(), visit.place.clone());
        let task = (self.serve)(visit);
        let served = async move {
            tokio::select! {
                _ended = task => {}
                () = place.evicted() => serving.turned_out(&place),
            }
        };
        self.running.spawn(served.instrument(span));
    }
}

/// A visit is over; a panic of its task is a fault of ours.
fn noted(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a session panicked");
    }
}
