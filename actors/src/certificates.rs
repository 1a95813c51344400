//! Asks others for certificates that are not here: they rotted, were announced while this node was away, or were lost with its disk.
//!
//! Promises: what is kept was verified, as [`haulout_protocol::machine::certificate_answers`] says; a few blobs are asked for at
//! a time, each in bounded time; what nobody can give is asked for again by the next tour, at last once an hour, and makes this
//! node neither incomplete nor ill, for nothing that is stored depends on it. Does not: read certificates to see whether they
//! rotted (`scrub` does, and whoever serves them), or announce what it got.

mod fetching;

use std::time::Duration;

use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::Machine;
use haulout_protocol::machine::certificate_tours::{CertificateTours, Effect, Input};
use haulout_storage::{CertificatePlace, StoreError};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use self::fetching::{Fetching, PageDone};
use crate::asking::Clock;
use crate::context::Context;
use crate::network::Network;
use crate::tasks::{Alarm, Tasks, follow};

/// The actor.
pub(crate) struct CertificatesActor;

/// Facts the actor reacts to.
pub(crate) enum Message {
    /// The ledger moved on, perhaps to another epoch.
    PositionAdvanced,
    /// Others were asked for what a page lists.
    PageDone(Result<PageDone, StoreError>),
    /// The machine wants to be called again.
    TimeReached,
}

/// What the actor starts with.
#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) context: Context,
    pub(crate) network: Network,
}

/// What the actor knows; a restart begins a tour.
pub(crate) struct State {
    fetching: Fetching,
    machine: CertificateTours,
    clock: Clock,
    /// The epoch that the last tour was begun for.
    epoch: Option<Epoch>,
    /// Where the next page begins.
    next: CertificatePlace,
    /// Certificates that came in the tour, and those that nobody gave.
    kept: u64,
    left: u64,
    tasks: Tasks,
    alarm: Alarm,
    _watcher: AbortOnDropHandle<()>,
}

impl Actor for CertificatesActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments { context, network } = arguments;
        let watcher = follow(&context.position, myself, || Message::PositionAdvanced);
        Ok(State::begin(context, network, watcher))
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let input = match message {
            Message::PositionAdvanced => state.moved_on(),
            Message::PageDone(done) => Some(state.page_done(done)),
            Message::TimeReached => Some(Input::TimeReached),
        };
        if let Some(input) = input {
            state.advance(&myself, input);
        }
        Ok(())
    }
}

impl State {
    fn begin(context: Context, network: Network, watcher: AbortOnDropHandle<()>) -> State {
        State {
            fetching: Fetching { context, network },
            machine: CertificateTours::new(),
            clock: Clock::start(),
            epoch: None,
            next: CertificatePlace::default(),
            kept: 0,
            left: 0,
            tasks: Tasks::default(),
            alarm: Alarm::default(),
            _watcher: watcher,
        }
    }

    /// Only another epoch is a reason for another tour.
    fn moved_on(&mut self) -> Option<Input> {
        let epoch = self.fetching.context.position.current().epoch;
        let is_wanted = self.fetching.context.repairs_at_once > 0;
        let is_new = self.epoch.replace(epoch) != Some(epoch);
        (is_wanted && is_new).then_some(Input::Renewed)
    }

    fn page_done(&mut self, done: Result<PageDone, StoreError>) -> Input {
        let PageDone { kept, left, next } = match done {
            Ok(done) => done,
            Err(error) => {
                warn!(%error, "certificates that are not here are not asked for now; it is tried again later");
                return Input::Failed;
            }
        };
        (self.kept, self.left) = (self.kept.saturating_add(kept), self.left.saturating_add(left));
        self.next = next.unwrap_or_default();
        let is_last = next.is_none();
        if is_last && self.kept > 0 {
            info!(
                kept = self.kept,
                left = self.left,
                "others gave certificates that were not here"
            );
        } else if is_last && self.left > 0 {
            debug!(left = self.left, "nobody gives certificates that are not here");
        }
        Input::PageDone { is_last }
    }

    /// Lets the machine decide, carries out what it says, and sets the alarm.
    fn advance(&mut self, myself: &ActorRef<Message>, input: Input) {
        let now = self.clock.now();
        for Effect::Look { is_first } in self.machine.handle(now, input) {
            if is_first {
                (self.next, self.kept, self.left) = (CertificatePlace::default(), 0, 0);
            }
            let (fetching, from) = (self.fetching.clone(), self.next);
            self.tasks.spawn(myself, async move { Message::PageDone(fetching.page(from).await) });
        }
        let wait = self.machine.deadline();
        let wait = wait.map(|it| Duration::from_millis(it.0.saturating_sub(now.0)));
        self.alarm.set(myself, wait, Message::TimeReached);
    }
}

#[cfg(test)]
mod tests;
