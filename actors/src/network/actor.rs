//! The actor behind the network's handle: it starts the swarm task, and fails when that ends.
//!
//! Promises: the sockets are freed however it ends, and peers hear of it if there is time. Does not: handle what happens on the
//! network (`swarm` does).

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use super::commands::Command;
use super::shared::Shared;
use super::swarm::Driver;
use crate::limits;

/// Facts the actor reacts to.
pub(super) enum Message {
    SwarmEnded(String),
}

/// Starts the swarm task and fails when it ends.
pub(super) struct NetworkActor;

/// The swarm task, and the way to it.
pub(super) struct State {
    shared: Arc<Shared>,
    sender: mpsc::Sender<Command>,
    task: tokio::task::AbortHandle,
}

impl Drop for State {
    /// `post_stop` does not run after a panic or a kill; the sockets must be freed all the same.
    fn drop(&mut self) {
        self.withdraw();
        self.task.abort();
    }
}

impl State {
    /// Nobody should command this swarm any more; a successor's way stays as it is.
    fn withdraw(&self) {
        self.shared.commands.send_if_modified(|current| {
            let ours = current.as_ref().is_some_and(|sender| sender.same_channel(&self.sender));
            if ours {
                *current = None;
            }
            ours
        });
    }
}

impl Actor for NetworkActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arc<Shared>;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        shared: Arc<Shared>,
    ) -> Result<State, ActorProcessingErr> {
        let (sender, commands) = mpsc::channel(limits::NETWORK_COMMANDS_LEN);
        let driver = Driver::start(shared.clone(), sender.clone(), commands).await?;
        let task = tokio::spawn(driver.run());
        shared.commands.send_replace(Some(sender.clone()));
        let state = State { shared, sender, task: task.abort_handle() };
        tokio::spawn(async move {
            let why = match task.await {
                Ok(()) => "the swarm task ended".to_owned(),
                Err(error) => format!("the swarm task failed: {error}"),
            };
            let _ = myself.cast(Message::SwarmEnded(why));
        });
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        _: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::SwarmEnded(why) => Err(why.into()),
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<Message>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        // Peers should learn at once that we left, and the next swarm should find the ports free.
        state.withdraw();
        let left = async {
            let _ = state.sender.send(Command::Leave).await;
            let _ = state.shared.sockets.acquire().await;
        };
        if timeout(limits::SWARM_LEAVE_TIMEOUT, left).await.is_err() {
            debug!("the swarm did not leave in time; ending it");
        }
        Ok(())
    }
}
