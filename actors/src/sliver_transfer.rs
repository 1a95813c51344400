//! Takes slivers in, hands slivers out, and answers what else peers ask of a blob.
//!
//! Promises: a sliver goes stream, check, store inside one task and never enters a mailbox; a
//! confirmation is signed only over what is durable and registered; bytes without a registration are
//! bounded and forgotten after [`limits::PENDING_TIME_MAX`](crate::limits::PENDING_TIME_MAX).
//! Does not: decide who is served (`serving` does), look for missing slivers, or know who uploads.

mod answers;
mod confirm;
mod get;
mod patience;
mod pending;
mod put;
mod requests;
mod session;
mod short;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use haulout_protocol::wire::SMALL_FRAME_BYTES_MAX;
use haulout_storage::StoreError;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

pub(crate) use self::patience::Patience;
#[cfg(test)]
pub(crate) use self::pending::Bounds;
use self::session::{Session, Shared};
use crate::context::{Context, now_ms};
use crate::network::{Network, Protocol};
use crate::serving::{Counter, Service, Serving};
use crate::tasks::Tasks;

/// The actor.
pub(crate) struct SliverTransferActor;

/// Facts the actor reacts to.
pub(crate) enum Message {
    /// It is time to look for bytes that waited too long.
    SweepDue,
    /// That look is over.
    SweepDone(Result<(), StoreError>),
}

/// What the actor starts with.
#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) context: Context,
    pub(crate) network: Network,
    pub(crate) serving: Serving,
    pub(crate) patience: Patience,
}

/// What the actor knows: what all sessions share, and where they run.
pub(crate) struct State {
    shared: Arc<Shared>,
    tasks: Tasks,
    counters: Vec<Counter>,
    _introducing: AbortOnDropHandle<()>,
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
        let Arguments { context, network, serving, patience } = arguments;
        let store = context.store.clone();
        let on_disk = tokio::task::spawn_blocking(move || store.pending_bytes()).await??;
        let introducing = tokio::spawn(introduce(context.clone(), network));
        let shared = Arc::new(Shared::new(context, patience, on_disk));
        let counters = counters(&serving, &shared);
        drop(myself.send_after(shared.patience.sweep_interval, || Message::SweepDue));
        let _introducing = AbortOnDropHandle::new(introducing);
        Ok(State { shared, tasks: Tasks::default(), counters, _introducing })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
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
        join_all(state.counters.drain(..).map(Counter::close)).await;
        Ok(())
    }
}

impl State {
    /// Starts the task that forgets bytes which waited too long for their registration.
    fn sweep(&mut self, myself: &ActorRef<Message>) {
        let shared = self.shared.clone();
        self.tasks.spawn(myself, async move { Message::SweepDone(sweep(&shared).await) });
    }
}

/// Opens the counters where peers bring and ask for what we store.
fn counters(serving: &Serving, shared: &Arc<Shared>) -> Vec<Counter> {
    let service = |protocol| Service {
        protocol,
        frame_bytes_max: SMALL_FRAME_BYTES_MAX,
        idle: shared.patience.idle,
    };
    let (slivers, blobs) = (shared.clone(), shared.clone());
    let slivers = serving.open(service(Protocol::Sliver), move |visit| {
        Session { shared: slivers.clone(), visit }.serve_slivers()
    });
    let blobs = serving.open(service(Protocol::Blob), move |visit| {
        Session { shared: blobs.clone(), visit }.serve_blob()
    });
    vec![slivers, blobs]
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
async fn sweep(shared: &Arc<Shared>) -> Result<(), StoreError> {
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
fn settle_registered(shared: &Shared) -> Result<(), StoreError> {
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
