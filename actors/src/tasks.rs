//! The tasks of one actor: whatever waits runs here and ends in exactly one message.
//!
//! Promises: tasks end with their actor, however it ends; an actor ends with a task that panics,
//! so that no message is waited for in vain.
//! Does not: bound their number; each actor takes a permit before it starts one.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use ractor::{ActorRef, Message};
use tokio::task::JoinSet;
use tracing::{Instrument, Span, error};

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
