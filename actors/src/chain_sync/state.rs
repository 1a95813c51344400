//! What chain sync knows and hears, and what all of its parts do: run a task, wait, say aloud, count.
//!
//! Does not: decide what is due; `chain_sync` does.

use haulout_protocol::machine::conditions::ClockDifference;
use haulout_protocol::machine::ledger_history::{Doubt, Verified};
use haulout_storage::StoreError;
use ractor::ActorRef;
use tracing::{Instrument, Span, error, warn};

use super::follow::Follow;
use super::reasons::{Look, Reasons};
use crate::chain::{
    CallError, Chain, Checkpoint, Checkpoints, FollowError, SystemView, ViewError, Witness,
};
use crate::context::Context;
use crate::network::Network;
use crate::pauses::Pauses;
use crate::tasks::Tasks;

/// Facts the actor reacts to.
pub(crate) enum Message {
    /// What a server of the ledger says of the network.
    SystemRead(usize, Result<Box<SystemView>, ViewError>),
    /// What it says is durable, or had not to be.
    SystemKept(Result<(), StoreError>),
    /// The next checkpoints, or why there are none.
    BatchFetched(Box<Checkpoints>, Result<Vec<Checkpoint>, FollowError>),
    /// They are durable.
    BatchStored(Result<Applied, StoreError>),
    /// What the ledger says of its time, after it was not ours.
    TimeExplained(ClockDifference, Result<u64, CallError>),
    /// The pause after a failure is over.
    RetryDue,
    /// It is time to look at all servers.
    LookDue,
    /// What they show.
    Looked(Vec<Look>),
}

/// What a stored batch changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applied {
    pub(super) last: Verified,
    /// Whether the network is not what we last read.
    pub(super) network_changed: bool,
}

/// What the actor starts with.
pub(crate) struct Arguments {
    pub(crate) context: Context,
    pub(crate) chain: Chain,
    pub(crate) network: Network,
    pub(crate) follow: Follow,
}

/// What the actor knows; all of it can be had again from the store and the ledger.
pub(crate) struct State {
    pub(super) context: Context,
    pub(super) chain: Chain,
    pub(super) network: Network,
    pub(super) follow: Follow,
    /// The last checkpoint applied.
    pub(super) applied: Option<Verified>,
    /// Where the next batch comes from; absent while a task has it.
    pub(super) checkpoints: Option<Box<Checkpoints>>,
    /// Whether the committee must be read before going on.
    pub(super) system_is_stale: bool,
    /// Whether it can only be read once more checkpoints are applied.
    pub(super) view_is_early: bool,
    /// Whether the store knows who signs the next checkpoint.
    pub(super) validators_are_kept: bool,
    /// Whether the ledger is being asked about its time.
    pub(super) is_asking_time: bool,
    /// What was verified when the last batch came, to compare servers with.
    pub(super) witness: Option<Witness>,
    pub(super) reasons: Reasons,
    pub(super) pauses: Pauses,
    pub(super) tasks: Tasks,
    pub(super) span: Span,
}

impl State {
    /// The ledger is not believed: says so once, and to all who sign.
    pub(super) fn distrust(&self, doubt: &Doubt) {
        if !self.chain.has_choice() {
            self.context.metrics.ledger_doubted(doubt.verdict.as_str());
        }
        if self.context.trust.doubt(*doubt) {
            error!(error = %doubt, next_step = doubt.next_step(), "the ledger is not believed");
        }
    }

    /// Waits a little longer each time the ledger fails us.
    pub(super) fn retry(&mut self, myself: &ActorRef<Message>, error: &dyn std::error::Error) {
        self.context.metrics.chain_failed();
        self.context.trust.failed(error);
        let pause = self.pauses.next();
        warn!(%error, ?pause, "the ledger failed us; trying again");
        drop(myself.send_after(pause, || Message::RetryDue));
    }

    /// Publishes the gauges of the position.
    pub(super) fn count(&self) {
        let position = self.context.position.current();
        let shards = position.shards_of(&self.context.peer).len();
        let metrics = &self.context.metrics;
        let shards = u64::try_from(shards).unwrap_or(u64::MAX);
        metrics.set_position(position.checkpoint, position.epoch.0, shards);
    }

    /// Runs a task inside our span.
    pub(super) fn spawn<Work>(&mut self, myself: &ActorRef<Message>, work: Work)
    where
        Work: Future<Output = Message> + Send + 'static,
    {
        self.tasks.spawn(myself, work.instrument(self.span.clone()));
    }
}
