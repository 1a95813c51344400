//! Takes slivers in, hands slivers out, and answers what else peers ask of a blob.
//!
//! Promises: a stream is served only while it has its place, given before it is accepted, so a full
//! node says "busy" instead of buffering, and whoever keeps it waiting makes room; no byte is read,
//! from a peer or from the disk, before there is room for it in memory; a sliver goes stream, check,
//! store inside one task and never enters a mailbox; a confirmation is signed only over what is
//! durable and registered; bytes without a registration are bounded and forgotten after
//! [`limits::PENDING_TIME_MAX`]. Does not: look for missing slivers, or know who uploads.

mod answers;
mod confirm;
mod get;
mod memory;
mod pending;
mod put;
mod readers;
mod session;
mod short;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::{pacing, rations};
use haulout_storage::StoreError;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{Instrument, debug, info_span};

pub(crate) use self::pending::Bounds;
use self::session::Session;
use crate::context::{Context, now_ms};
use crate::limits;
use crate::network::{Incoming, Network, Protocol, Stream};
use crate::tasks::Tasks;

/// The actor.
pub(crate) struct SliverTransferActor;

/// Facts the actor reacts to.
pub(crate) enum Message {
    /// A peer opened a stream, and there is a place for it.
    StreamArrived(Box<Arrival>),
    /// It is time to look for bytes that waited too long.
    SweepDue,
    /// That look is over.
    SweepDone(Result<(), StoreError>),
}

/// A stream with its right to be served.
pub(crate) struct Arrival {
    peer: PeerId,
    protocol: Protocol,
    stream: Stream,
}

/// What the actor starts with.
#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) context: Context,
    pub(crate) network: Network,
    pub(crate) patience: Patience,
}

/// Bounds that tests set lower.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) bounds: Bounds,
    pub(crate) memory: rations::Limits,
    pub(crate) readers: pacing::Limits,
    pub(crate) pending_time: Duration,
    pub(crate) sweep_interval: Duration,
    pub(crate) registration_wait: Duration,
    pub(crate) idle: Duration,
    pub(crate) pause: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            bounds: Bounds::default(),
            memory: limits::SESSION_MEMORY,
            readers: limits::READERS,
            pending_time: limits::PENDING_TIME_MAX,
            sweep_interval: limits::PENDING_SWEEP_INTERVAL,
            registration_wait: limits::REGISTRATION_WAIT_MAX,
            idle: limits::STREAM_CREDIT,
            pause: limits::UPLOAD_PAUSE_MAX,
        }
    }
}

/// What the actor knows: what all sessions share, and which run.
pub(crate) struct State {
    shared: Arc<session::Shared>,
    sessions: JoinSet<()>,
    tasks: Tasks,
    doors: Vec<AbortHandle>,
}

impl Drop for State {
    fn drop(&mut self) {
        for door in &self.doors {
            door.abort(); // `post_stop` does not run after a panic or a kill
        }
        self.shared.closing.cancel();
    }
}

impl Actor for SliverTransferActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let store = arguments.context.store.clone();
        let on_disk = tokio::task::spawn_blocking(move || store.pending_bytes()).await??;
        let network = arguments.network.clone();
        let shared = Arc::new(session::Shared::new(arguments, on_disk));
        let open = |protocol| {
            let door = accept(protocol, network.accept(protocol), myself.clone());
            tokio::spawn(door).abort_handle()
        };
        let introducing = introduce(shared.context.clone(), network.clone());
        let doors = vec![
            open(Protocol::Sliver),
            open(Protocol::Blob),
            tokio::spawn(introducing).abort_handle(),
        ];
        drop(myself.send_after(shared.patience.sweep_interval, || Message::SweepDue));
        Ok(State { shared, sessions: JoinSet::new(), tasks: Tasks::default(), doors })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::StreamArrived(arrival) => state.serve(*arrival),
            Message::SweepDue => state.sweep(&myself),
            Message::SweepDone(done) => {
                done?; // our own store fails: we are broken, and the supervisor should know
                drop(myself.send_after(state.shared.patience.sweep_interval, || Message::SweepDue));
            }
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<Message>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.close().await;
        Ok(())
    }
}

impl State {
    /// Stops accepting, then lets sessions finish for a little while.
    async fn close(&mut self) {
        for door in &self.doors {
            door.abort();
        }
        self.shared.closing.cancel();
        let finish = async { while self.sessions.join_next().await.is_some() {} };
        if tokio::time::timeout(limits::SESSIONS_GRACE, finish).await.is_err() {
            debug!(sessions = self.sessions.len(), "sessions were cut off");
        }
    }

    /// Starts the task that serves one stream. A panic there ends that session alone, and so does the loss of its place:
    /// whatever it waited for, it holds nothing any more.
    fn serve(&mut self, arrival: Arrival) {
        while let Some(ended) = self.sessions.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a session panicked");
            }
        }
        let Arrival { peer, protocol, mut stream } = arrival;
        stream.set_idle_timeout(self.shared.patience.idle);
        let place = stream.place().expect("a stream that a peer opened has a place");
        let shared = self.shared.clone();
        let session = Session { shared: self.shared.clone(), peer, place: place.clone(), stream };
        let span = info_span!("session", %peer, ?protocol);
        let served = async move {
            let serve = async {
                match protocol {
                    Protocol::Sliver => session.serve_slivers().await,
                    Protocol::Blob => session.serve_blob().await,
                }
            };
            tokio::select! {
                () = serve => {}
                () = place.evicted() => shared.turned_out(&place),
            }
        };
        self.sessions.spawn(served.instrument(span));
    }

    /// Starts the task that forgets bytes which waited too long for their registration.
    fn sweep(&mut self, myself: &ActorRef<Message>) {
        let shared = self.shared.clone();
        self.tasks.spawn(myself, async move { Message::SweepDone(sweep(&shared).await) });
    }
}

/// Hands over each stream that was accepted; their places bound how many there are.
async fn accept(protocol: Protocol, mut incoming: Incoming, actor: ActorRef<Message>) {
    while let Some((peer, stream)) = incoming.next().await {
        let arrival = Arrival { peer, protocol, stream };
        if actor.cast(Message::StreamArrived(Box::new(arrival))).is_err() {
            return; // the actor is gone; its successor opens its own door
        }
    }
}

/// Tells the network who serves in the committee, who did in the one before and who will in the next: they move shards.
/// The ledger names all of them; who served before is remembered besides, for a node that could not ask.
async fn introduce(context: Context, network: Network) {
    let mut moves = context.position.subscribe();
    let (mut epoch, mut members, mut before) = (None, BTreeSet::new(), BTreeSet::new());
    let mut told = BTreeSet::new();
    loop {
        let (committee, neighbours) = {
            let position = moves.borrow_and_update();
            (position.committee.clone(), position.neighbours.clone())
        };
        if epoch.replace(committee.epoch()) != Some(committee.epoch()) {
            let now = committee.members().iter().map(|member| member.peer_id).collect();
            before = std::mem::replace(&mut members, now);
        }
        let around = neighbours.iter().map(|neighbour| neighbour.peer_id);
        let trusted: BTreeSet<_> = members.union(&before).copied().chain(around).collect();
        if trusted != told {
            network.set_members(trusted.clone());
            told = trusted;
        }
        if moves.changed().await.is_err() {
            return;
        }
    }
}

/// One look at everything that is pending.
async fn sweep(shared: &Arc<session::Shared>) -> Result<(), StoreError> {
    let ours = shared.clone();
    read(move || settle_registered(&ours)).await?;
    let age = u64::try_from(shared.patience.pending_time.as_millis()).unwrap_or(u64::MAX);
    let before_ms = now_ms().saturating_sub(age);
    let freed = shared.context.store.forget_pending(before_ms).await?;
    if freed > 0 {
        debug!(bytes = freed, "forgot bytes that nobody registered");
    }
    let store = shared.context.store.clone();
    let on_disk = read(move || store.pending_bytes()).await?;
    shared.context.metrics.set_pending_bytes(shared.pending.sweep(before_ms, on_disk));
    Ok(())
}

/// What is registered by now is pending no more. Blocks.
fn settle_registered(shared: &session::Shared) -> Result<(), StoreError> {
    let (store, epoch) = (&shared.context.store, shared.context.position.current().epoch);
    for blob_id in shared.pending.blobs() {
        let record = store.blob(&blob_id)?;
        if record.is_some_and(|record| record.is_registered(epoch)) {
            shared.pending.settle(&blob_id);
        }
    }
    Ok(())
}

/// Reads the store where blocking is allowed.
async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.expect("reading neither panics nor is cut off")
}

#[cfg(test)]
mod tests;
