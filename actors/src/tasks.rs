//! The tasks of one actor: whatever waits runs here and ends in exactly one message; and what wakes it again and again.
//!
//! Promises: tasks end with their actor, however it ends; an actor ends with a task that panics,
//! so that no message is waited for in vain; an actor has one alarm, set anew each time.
//! Does not: bound their number; each actor takes a permit before it starts one.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use ractor::{ActorRef, Message};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span, error};

use crate::position::PositionWatch;

/// The tasks of one actor; part of its state.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    running: JoinSet<()>,
}

impl Tasks {
    /// Runs `work` and hands what comes of it to the actor.
    pub(crate) fn spawn<M, Work>(&mut self, actor: &ActorRef<M>, work: Work)
    where
        M: Message,
        Work: Future<Output = M> + Send + 'static,
    {
        while self.running.try_join_next().is_some() {}
        let actor = actor.clone();
        let guarded = async move {
            match AssertUnwindSafe(work).catch_unwind().await {
                // An actor that is gone has no use for the result.
                Ok(message) => drop(actor.cast(message)),
                Err(_) => {
                    error!("a task panicked; its actor starts again");
                    actor.get_cell().kill();
                }
            }
        };
        self.running.spawn(guarded.instrument(Span::current()));
    }
}

/// Tells an actor whenever the position moved, the first time at once; several moves may be one message. Ends with the handle.
pub(crate) fn follow<M: Message>(
    position: &PositionWatch,
    actor: ActorRef<M>,
    moved: impl Fn() -> M + Send + 'static,
) -> AbortOnDropHandle<()> {
    let mut position = position.subscribe();
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            position.mark_unchanged();
            if actor.cast(moved()).is_err() || position.changed().await.is_err() {
                return; // the actor is gone; its successor follows by itself
            }
        }
    }))
}

/// What wakes an actor when its machine wants to be called again; part of its state.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<AbortOnDropHandle<()>>);

impl Alarm {
    /// Sends a message after that time in place of what was to be sent before; without a time, nothing.
    pub(crate) fn set<M: Message>(
        &mut self,
        actor: &ActorRef<M>,
        wait: Option<Duration>,
        message: M,
    ) {
        self.0 = wait.map(|wait| {
            let actor = actor.clone();
            AbortOnDropHandle::new(tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                // An actor that is gone needs no alarm.
                drop(actor.cast(message));
            }))
        });
    }
}
