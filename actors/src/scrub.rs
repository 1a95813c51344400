//! Reads again what is stored, a little at a time, so that what rotted is found before somebody needs it.
//!
//! Promises: all of it within the operator's period, as far as [`limits::SCRUB_BYTES_PER_SECOND`] and a busy disk let it; each
//! start begins at a place that is drawn; what rotted is missing for the store from then on, so that recovery brings it again.
//! Does not: repair, or read where others wait.

use std::time::Duration;

use haulout_protocol::machine::Machine;
use haulout_protocol::machine::scrub::{Effect, Input, Limits, Scrub};
use haulout_storage::{ScrubPlace, Scrubbed, StoreError};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::AbortHandle;
use tracing::{info, warn};

use crate::asking::Clock;
use crate::context::{Context, now_ms};
use crate::limits;
use crate::tasks::Tasks;

/// The actor.
pub(crate) struct ScrubActor;

/// Facts the actor reacts to.
pub(crate) enum Message {
    /// It is known how much is stored, before anything was read.
    Measured(Result<u64, StoreError>),
    /// A slice was read, and it is known how much is stored.
    SliceRead(Result<(Scrubbed, u64), StoreError>),
    /// The machine wants to be called again.
    TimeReached,
}

/// What the actor starts with.
#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) context: Context,
}

/// What the actor knows. A restart begins elsewhere, and loses no more than the tour that was under way.
pub(crate) struct State {
    context: Context,
    machine: Scrub<ScrubPlace>,
    clock: Clock,
    tasks: Tasks,
    alarm: Option<AbortHandle>,
}

impl Drop for State {
    fn drop(&mut self) {
        self.alarm.take().inspect(AbortHandle::abort);
    }
}

impl Actor for ScrubActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments { context } = arguments;
        let every_ms = u64::try_from(context.scrub_every.as_millis()).unwrap_or(u64::MAX);
        let limits = Limits { every_ms, bytes_per_second: limits::SCRUB_BYTES_PER_SECOND };
        let (machine, clock) = (Scrub::new(limits, drawn()), Clock::start());
        let mut state = State { context, machine, clock, tasks: Tasks::default(), alarm: None };
        if every_ms > 0 {
            let context = state.context.clone();
            state.tasks.spawn(&myself, async move { Message::Measured(measured(&context).await) });
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let input = match message {
            Message::Measured(stored) => Input::Started { stored: stored.unwrap_or(0) },
            Message::SliceRead(Ok((read, stored))) => state.read(&read, stored),
            Message::SliceRead(Err(error)) => {
                warn!(%error, "what is stored could not be read again; it is tried later, and elsewhere");
                Input::Failed { elsewhere: drawn() }
            }
            Message::TimeReached => Input::TimeReached,
        };
        state.advance(&myself, input);
        Ok(())
    }
}

impl State {
    /// Lets the machine decide, carries out what it says, and sets the alarm.
    fn advance(&mut self, myself: &ActorRef<Message>, input: Input<ScrubPlace>) {
        for effect in self.machine.handle(self.clock.now(), input) {
            match effect {
                Effect::Read { from, bytes } => {
                    let context = self.context.clone();
                    self.tasks.spawn(myself, async move {
                        Message::SliceRead(read(&context, from, bytes).await)
                    });
                }
                Effect::TourDone { took_ms } => {
                    self.context.metrics.scrub_tour_ended(now_ms());
                    self.context.vitals.note_tour(now_ms());
                    let so_far = self.context.vitals.scrubbing();
                    info!(
                        took_s = took_ms / 1000,
                        rotten = so_far.rotten,
                        unreadable = so_far.unreadable,
                        "everything that is stored was read again"
                    );
                }
            }
        }
        let done = self.machine.done_per_mille();
        self.context.metrics.set_scrub_tour(done);
        self.context.vitals.set_tour(done);
        self.set_alarm(myself);
    }

    /// Tells whoever asks what was read, and the machine.
    fn read(&self, read: &Scrubbed, stored: u64) -> Input<ScrubPlace> {
        self.context.metrics.scrubbed(read);
        self.context.vitals.note_scrubbed(read);
        Input::Read { bytes: read.bytes, next: read.next, stored }
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

/// A place that nobody can foresee; the beginning, where the system has no randomness.
fn drawn() -> ScrubPlace {
    let mut bytes = [0; 32];
    match getrandom::fill(&mut bytes) {
        Ok(()) => ScrubPlace::drawn(bytes),
        Err(_) => ScrubPlace::default(),
    }
}

async fn read(
    context: &Context,
    from: ScrubPlace,
    bytes: u64,
) -> Result<(Scrubbed, u64), StoreError> {
    let read = context.store.scrub(from, bytes).await?;
    Ok((read, measured(context).await?))
}

/// How many bytes are stored.
async fn measured(context: &Context) -> Result<u64, StoreError> {
    let store = context.store.clone();
    let usage = tokio::task::spawn_blocking(move || store.usage()).await;
    usage.expect("measuring neither panics nor is cut off").map(|usage| usage.content_bytes)
}

#[cfg(test)]
mod tests;
