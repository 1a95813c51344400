//! Streams that are used in turn: many short exchanges with one peer need few streams.
//!
//! Promises: no more than [`limits::STREAMS_LENT_MAX`] streams to a peer bring blobs by turns, no more than
//! [`limits::STREAMS_CONFIRMING_MAX`] ask for confirmations, and no more are kept; one that nobody uses for [`limits::STREAM_KEPT_MAX`] is closed; whoever opens a stream of its own never waits for one that is
//! only kept. Does not: know whether the peer has ended a stream meanwhile; whoever finds that begins anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use haulout_protocol::crypto::PeerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::frames::{Stream, StreamError};
use super::lock::lock;
use crate::limits;

/// The desks of all peers.
#[derive(Debug, Default)]
pub(super) struct Lending {
    desks: Mutex<BTreeMap<PeerId, Arc<Desk>>>,
}

/// The streams towards one peer.
#[derive(Debug)]
pub(super) struct Desk {
    bringing: Arc<Semaphore>,
    confirming: Arc<Semaphore>,
    /// All our streams towards the peer.
    permits: Arc<Semaphore>,
    /// Those that nobody has now, and since when; whatever was used last comes first.
    kept: Mutex<Vec<(Instant, Stream)>>,
}

/// What a stream is borrowed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// To bring a blob: as long as its bytes take.
    Bring,
    /// To ask for a confirmation: the node may have to wait for the ledger.
    Confirm,
}

impl Desk {
    fn new(permits: Arc<Semaphore>) -> Arc<Self> {
        Arc::new(Desk {
            bringing: Arc::new(Semaphore::new(limits::STREAMS_LENT_MAX)),
            confirming: Arc::new(Semaphore::new(limits::STREAMS_CONFIRMING_MAX)),
            permits,
            kept: Mutex::default(),
        })
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self, errand: Errand) -> OwnedSemaphorePermit {
        let turns = match errand {
            Errand::Bring => self.bringing.clone(),
            Errand::Confirm => self.confirming.clone(),
        };
        turns.acquire_owned().await.expect("we never close the semaphore")
    }

    /// A stream that nobody has now.
    pub(super) fn take_kept(&self) -> Option<Stream> {
        lock(&self.kept).pop().map(|(_, stream)| stream)
    }

    /// Closes all that nobody has now.
    pub(super) fn close_kept(&self) {
        lock(&self.kept).clear();
    }
}

impl Lending {
    /// The desk of a peer; the permits are all ours towards it.
    pub(super) fn desk(&self, peer: PeerId, permits: impl FnOnce() -> Arc<Semaphore>) -> Arc<Desk> {
        lock(&self.desks).entry(peer).or_insert_with(|| Desk::new(permits())).clone()
    }

    /// Closes the one that was kept the longest: somebody needs its permit.
    pub(super) fn close_one(&self, peer: PeerId) {
        let desk = lock(&self.desks).get(&peer).cloned();
        let Some(desk) = desk else { return };
        let mut kept = lock(&desk.kept);
        if !kept.is_empty() {
            drop(kept.remove(0));
        }
    }

    /// Closes what was kept for too long, and forgets peers without streams.
    pub(super) fn sweep(&self, now: Instant) {
        let mut desks = lock(&self.desks);
        desks.retain(|_, desk| {
            let mut kept = lock(&desk.kept);
            kept.retain(|(since, _)| now.duration_since(*since) < limits::STREAM_KEPT_MAX);
            !kept.is_empty() || Arc::strong_count(desk) > 1
        });
    }
}

/// A stream of `sliver/1` on loan. Dropped, it is closed; see [`Borrowed::give_back`].
#[derive(Debug)]
pub struct Borrowed {
    stream: Stream,
    was_used: bool,
    desk: Arc<Desk>,
    /// Whoever has a stream by turns has one.
    turn: Option<OwnedSemaphorePermit>,
}

impl Borrowed {
    /// A stream of this desk, by turns or not.
    pub(super) fn new(stream: Stream, was_used: bool, desk: Arc<Desk>) -> Self {
        Borrowed { stream, was_used, desk, turn: None }
    }

    /// The same, with a turn.
    pub(super) fn in_turn(self, turn: Option<OwnedSemaphorePermit>) -> Self {
        Borrowed { turn, ..self }
    }

    /// Closes the stream; its desk, and the turn.
    pub(super) fn close(self) -> (Arc<Desk>, Option<OwnedSemaphorePermit>) {
        let Borrowed { stream, desk, turn, .. } = self;
        drop(stream);
        (desk, turn)
    }

    /// The stream.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Whether an exchange failed as it does on a stream that the peer ended while nobody had it: nothing was done.
    pub fn had_ended(&self, error: &StreamError) -> bool {
        use StreamError::{Closed, Evicted, Io};
        self.was_used && matches!(error, Closed | Evicted | Io(_))
    }

    /// For the next one; only between two exchanges. If somebody waits to open one, it is closed instead.
    pub fn give_back(self) {
        let Borrowed { stream, desk, .. } = self;
        let mut kept = lock(&desk.kept);
        if desk.permits.available_permits() > 0 && kept.len() < limits::STREAMS_LENT_MAX {
            kept.push((Instant::now(), stream));
        }
    }
}
