//! Finds what is missing of certified blobs here, and repairs it from what others hold.
//!
//! Promises: what is missing is asked of the store, so a restart goes on where the last run was; a few blobs are repaired at
//! a time, within a memory of their own; how far it is is said in the log now and then. Symbols for the repairs of
//! others are served to members. Does not: read slivers to see whether they rotted (who serves them does), or move shards.
//! Source: `protocol.md` section 8.

mod blob;
mod handover;
mod job;
mod looking;
mod question;
mod rebuilding;
mod segment;
mod serve;
mod short;
mod told;

use std::collections::BTreeMap;
use std::time::Duration;

use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::Machine;
use haulout_protocol::machine::backlog::{Backlog, Effect, Input, Outcome};
use haulout_protocol::wire::SMALL_FRAME_BYTES_MAX;
use haulout_storage::{Lacking, PageEnd, StoreError};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::AbortHandle;
use tracing::error;

use self::blob::{Repair, Repaired};
use self::looking::{Look, Seen};
use self::told::Told;
use crate::asking::Clock;
use crate::context::Context;
use crate::limits;
use crate::network::{Network, Protocol};
use crate::serving::{Counter, Service, Serving};
use crate::tasks::Tasks;

/// The actor.
pub(crate) struct RecoveryActor;

/// Facts the actor reacts to.
pub(crate) enum Message {
    /// The ledger moved on: something may be missing, or be had, that was not before.
    PositionAdvanced,
    /// A page of what is missing was read.
    Looked(Box<Result<Seen, StoreError>>),
    /// The repair of a blob is over.
    RepairEnded(BlobId, Box<Repaired>),
    /// The machine wants to be called again.
    TimeReached,
}

/// What the actor starts with.
#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) context: Context,
    pub(crate) network: Network,
    pub(crate) serving: Serving,
}

/// What the actor knows; all of it can be had again from the store.
pub(crate) struct State {
    context: Context,
    network: Network,
    machine: Backlog,
    clock: Clock,
    /// The look that is under way, or was the last.
    look: Option<Look>,
    /// Where its next page begins.
    next: Option<PageEnd>,
    /// What is missing of the last page's blobs.
    lacking: BTreeMap<BlobId, Lacking>,
    memory: blob::Memory,
    told: Told,
    tasks: Tasks,
    counter: Option<Counter>,
    watcher: AbortHandle,
    alarm: Option<AbortHandle>,
}

impl Drop for State {
    fn drop(&mut self) {
        self.watcher.abort();
        self.alarm.take().inspect(AbortHandle::abort);
    }
}

impl Actor for RecoveryActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments { context, network, serving } = arguments;
        let service = Service {
            protocol: Protocol::Symbol,
            frame_bytes_max: SMALL_FRAME_BYTES_MAX,
            idle: limits::STREAM_CREDIT,
        };
        let (served, members) = (context.clone(), network.clone());
        let counter = serving.open(service, move |visit| {
            serve::serve(served.clone(), members.is_member(&visit.peer), visit)
        });
        let at_once = context.repairs_at_once;
        Ok(State {
            watcher: tokio::spawn(watch(context.clone(), myself)).abort_handle(),
            context,
            network,
            machine: Backlog::new(at_once),
            clock: Clock::start(),
            look: None,
            next: None,
            lacking: BTreeMap::new(),
            memory: blob::Memory::default(),
            told: Told::default(),
            tasks: Tasks::default(),
            counter: Some(counter),
            alarm: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::PositionAdvanced => state.advance(&myself, Input::Stirred),
            Message::Looked(seen) => state.looked(&myself, *seen),
            Message::RepairEnded(blob, repaired) => state.repaired(&myself, blob, *repaired),
            Message::TimeReached => state.advance(&myself, Input::TimeReached),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<Message>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(counter) = state.counter.take() {
            counter.close().await;
        }
        Ok(())
    }
}

impl State {
    fn looked(&mut self, myself: &ActorRef<Message>, seen: Result<Seen, StoreError>) {
        let Seen { lacking, end } = match seen {
            Ok(seen) => seen,
            Err(failure) => {
                error!(error = %failure, "the store cannot be looked at, so nothing is repaired");
                return self.advance(myself, Input::LookFailed);
            }
        };
        self.next = end;
        let blobs = lacking.iter().map(|lacking| lacking.blob_id).collect();
        let lacking = lacking.into_iter().map(|lacking| (lacking.blob_id, lacking));
        self.lacking = lacking.collect();
        self.advance(myself, Input::Seen { blobs, is_last: self.next.is_none() });
    }

    fn repaired(&mut self, myself: &ActorRef<Message>, blob: BlobId, repaired: Repaired) {
        self.told.repaired(&repaired);
        self.context.metrics.repaired(repaired.pairs, repaired.bytes);
        self.context.vitals.note_repaired(repaired.pairs, repaired.bytes);
        self.advance(myself, Input::Done { blob, outcome: repaired.outcome });
        self.told.say_now_and_then(&self.machine);
    }

    /// Lets the machine decide, carries out what it says, and sets the alarm.
    fn advance(&mut self, myself: &ActorRef<Message>, input: Input) {
        if self.context.repairs_at_once == 0 {
            return; // the operator wants none
        }
        for effect in self.machine.handle(self.clock.now(), input) {
            match effect {
                Effect::Look { is_first } => self.look(myself, is_first),
                Effect::Repair(blob) => self.repair(myself, blob),
                Effect::Complete => self.complete(),
            }
        }
        self.context.metrics.set_incomplete(self.machine.seen());
        self.context.vitals.set_incomplete(self.machine.seen(), false);
        self.set_alarm(myself);
    }

    fn look(&mut self, myself: &ActorRef<Message>, is_first: bool) {
        if is_first {
            (self.look, self.next) = (Some(Look::begin(&self.context)), None);
        }
        let (Some(look), next) = (self.look.clone(), self.next) else { return };
        let store = self.context.store.clone();
        self.tasks.spawn(myself, async move {
            let seen = tokio::task::spawn_blocking(move || look.page(&store, next)).await;
            let seen = seen.expect("looking neither panics nor is cut off");
            Message::Looked(Box::new(seen))
        });
    }

    fn repair(&mut self, myself: &ActorRef<Message>, blob: BlobId) {
        let Some(lacking) = self.lacking.remove(&blob) else {
            // Only blobs of the last page are repaired, so this does not happen; the blob is found again.
            let repaired = Repaired { outcome: Outcome::Failed, ..Repaired::default() };
            self.tasks.spawn(myself, async move { Message::RepairEnded(blob, Box::new(repaired)) });
            return;
        };
        let repair = Repair {
            context: self.context.clone(),
            network: self.network.clone(),
            position: self.context.position.current(),
            memory: self.memory.clone(),
            lacking,
        };
        self.tasks
            .spawn(myself, async move { Message::RepairEnded(blob, Box::new(repair.run().await)) });
    }

    /// A look found nothing missing.
    fn complete(&mut self) {
        self.told.complete();
        let knows_all = self.look.as_ref().is_some_and(Look::knows_all);
        self.context.vitals.set_incomplete(0, knows_all);
    }

    /// Wakes us when the machine wants to be called again.
    fn set_alarm(&mut self, myself: &ActorRef<Message>) {
        self.alarm.take().inspect(AbortHandle::abort);
        let Some(deadline) = self.machine.deadline() else { return };
        let wait = Duration::from_millis(deadline.0.saturating_sub(self.clock.now().0));
        let myself = myself.clone();
        let alarm = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            // An actor that is gone needs no alarm.
            drop(myself.cast(Message::TimeReached));
        });
        self.alarm = Some(alarm.abort_handle());
    }
}

/// Tells the actor whenever the position moved; several moves may be one message.
async fn watch(context: Context, actor: ActorRef<Message>) {
    let mut position = context.position.subscribe();
    loop {
        position.mark_unchanged();
        if actor.cast(Message::PositionAdvanced).is_err() || position.changed().await.is_err() {
            return; // the actor is gone; its successor starts its own watch
        }
    }
}
