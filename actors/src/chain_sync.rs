//! Follows the ledger: checkpoints into the store, then the `position` watch.
//!
//! Promises: only proven checkpoints move us, and on a node the network is read as they prove it;
//! their effects reach the store in order and exactly once, each in one transaction with the cursor;
//! the watch never shows a checkpoint that is not durable; a ledger that is silent or not believed is
//! retried with a pause that doubles up to [`limits::CHAIN_BACKOFF_MAX`], and named in `trust`. After
//! a kill it goes on from the store's cursor. It also tells the network where the ledger says that
//! the committee's members are.
//! Does not: act on events; whoever needs to watches the position and reads the store.

use haulout_protocol::machine::chain_sync::{changes_network, following};
use haulout_protocol::machine::conditions::ClockDifference;
use haulout_protocol::machine::ledger_history::Verified;
use haulout_storage::{BlobEffect, Kept, Store, StoreError};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tracing::{debug, error, info, info_span};

pub use self::follow::Follow;
use self::reading::read_proven;
use self::reasons::Reasons;
pub(crate) use self::state::Arguments;
use self::state::{Applied, Message, State};
use crate::chain::{CallError, Checkpoint, Checkpoints, FollowError, Start, SystemView, ViewError};
use crate::context::now_ms;
use crate::limits;
use crate::network::{self, Network};
use crate::pauses::Pauses;
use crate::position::Position;
use crate::tasks::Tasks;

pub(crate) mod follow;
pub(crate) mod kept;
mod reading;
mod reasons;
mod servers;
mod state;

/// The actor.
pub(crate) struct ChainSyncActor;

impl Actor for ChainSyncActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments { context, chain, network, follow } = arguments;
        let chain = chain.impatient(); // an outage is waited for and counted here
        let start = match follow {
            Follow::Blobs => {
                let store = context.store.clone();
                tokio::task::spawn_blocking(move || kept::start(&store)).await??
            }
            Follow::Committees => {
                let position = context.position.current();
                let (sequence, time_ms) = (position.checkpoint, position.ledger_ms);
                let last = Some(Verified { sequence, digest: None, time_ms });
                Start { last, validators: None }
            }
        };
        let span = info_span!("chain_sync", ledger = %chain.url());
        let (applied, validators_are_kept) = (start.last, start.validators.is_some());
        let checkpoints = Some(Box::new(chain.checkpoints(start)));
        context.trust.expect();
        let mut state = State {
            context,
            chain,
            network,
            follow,
            applied,
            checkpoints,
            system_is_stale: true,
            // Before the first checkpoint nothing can be proven.
            view_is_early: follow == Follow::Blobs && applied.is_none(),
            validators_are_kept,
            is_asking_time: false,
            witness: None,
            reasons: Reasons::default(),
            pauses: Pauses::between(limits::CHAIN_BACKOFF_MIN, limits::CHAIN_BACKOFF_MAX),
            tasks: Tasks::default(),
            span,
        };
        introduce(&state.network, &state.context.position.current());
        if state.chain.has_choice() {
            drop(myself.send_after(limits::CHAIN_LOOK_INTERVAL, || Message::LookDue));
        }
        state.go_on(&myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let span = state.span.clone();
        let _entered = span.enter();
        match message {
            Message::SystemRead(server, read) => state.system_read(&myself, server, read),
            Message::SystemKept(kept) => {
                kept?;
                state.go_on(&myself);
            }
            Message::BatchFetched(source, batch) => state.fetched(&myself, source, batch),
            Message::BatchStored(stored) => state.stored(&myself, stored?),
            Message::TimeExplained(found, moved_ms) => state.time_explained(found, moved_ms),
            Message::RetryDue => state.go_on(&myself),
            Message::LookDue => state.look(&myself),
            Message::Looked(looks) => state.looked(&myself, looks),
        }
        Ok(())
    }
}

impl State {
    /// Starts the one task that is due: reading the committee or fetching a batch.
    fn go_on(&mut self, myself: &ActorRef<Message>) {
        if self.system_is_stale && !self.view_is_early {
            let (server, store) = (self.chain.server(), self.context.store.clone());
            let chain = self.chain.clone();
            let proven = self.applied.filter(|_| self.follow == Follow::Blobs);
            self.spawn(myself, async move {
                let read = match proven {
                    Some(last) => read_proven(&chain.at(server), &store, &last).await,
                    // What nobody proves is what most servers say, not only the one that is followed.
                    None => chain.system().await.map_err(ViewError::from),
                };
                Message::SystemRead(server, read.map(Box::new))
            });
        } else if let Some(mut source) = self.checkpoints.take() {
            self.spawn(myself, async move {
                let batch = source.next_batch().await;
                Message::BatchFetched(source, batch)
            });
        }
    }

    /// The network as the ledger proves it goes to everybody, under our own checkpoint.
    fn system_read(
        &mut self,
        myself: &ActorRef<Message>,
        server: usize,
        read: Result<Box<SystemView>, ViewError>,
    ) {
        let view = match read {
            Ok(view) => *view,
            Err(ViewError::Early) => {
                debug!("too far behind the ledger to read the network");
                self.view_is_early = true;
                return self.go_on(myself);
            }
            Err(ViewError::Doubt(doubt)) => return self.failed(myself, server, &doubt.into()),
            Err(ViewError::Call(error)) => return self.failed(myself, server, &error.into()),
            Err(ViewError::Store(error)) => {
                error!(%error, "the store cannot be read");
                return self.retry(myself, &error);
            }
        };
        let mut position = view.position;
        if self.follow == Follow::Blobs {
            self.context.trust.set_one_word(!position.is_proven && self.applied.is_some());
        }
        if position.epoch != self.context.position.current().epoch {
            info!(epoch = %position.epoch, "the epoch began");
        }
        position.checkpoint = self.applied.map_or(0, |applied| applied.sequence);
        introduce(&self.network, &position);
        self.check_keys(&position);
        self.context.position.set(position);
        self.system_is_stale = false;
        self.pauses.reset();
        self.count();
        // What is kept counts as proven when it is read again.
        if self.follow == Follow::Blobs && !self.context.position.current().is_proven {
            return self.go_on(myself);
        }
        let (store, source) = (self.context.store.clone(), view.source);
        self.spawn(myself, async move {
            Message::SystemKept(store.keep(Kept::Network, source.to_bytes()).await)
        });
    }

    /// Says aloud, and to all who sign, if our keys are not those that the ledger lists for us.
    fn check_keys(&self, position: &Position) {
        if self.follow == Follow::Committees {
            return; // a client is nobody
        }
        let fault = self.context.check_keys(position).err();
        if let Some(fault) = &fault {
            error!(error = %fault, next_step = fault.next_step(), "this node's keys are wrong");
        }
        self.context.trust.set_keys(fault);
    }

    /// Stores what the next checkpoints change.
    fn fetched(
        &mut self,
        myself: &ActorRef<Message>,
        source: Box<Checkpoints>,
        batch: Result<Vec<Checkpoint>, FollowError>,
    ) {
        let (is_latest, is_live) = (source.lag() == 0, source.is_live());
        self.context.metrics.set_chain_lag(source.lag());
        let (server, validators) = (source.server(), source.validators());
        self.witness = self.chain.has_choice().then(|| source.witness());
        self.checkpoints = Some(source);
        let batch = match batch {
            Ok(batch) => batch,
            Err(FollowError::Moved) => return self.go_on(myself),
            Err(error) => return self.failed(myself, server, &error),
        };
        self.pauses.reset();
        if let Some(last) = batch.last().filter(|_| is_latest) {
            // While we catch up, what a server shows is old because we are.
            self.chain.follows(server, last.time_ms);
            self.name_servers();
        }
        self.context.trust.heard();
        let applied = self.applied.map(|applied| applied.sequence);
        let due = following(applied, batch, |checkpoint| checkpoint.sequence);
        let Some(last) = due.last().map(Checkpoint::verified) else {
            // The list has no holes; if it had, start it anew.
            let start = Start { last: self.applied, validators };
            self.checkpoints = Some(Box::new(self.chain.checkpoints(start)));
            return self.go_on(myself);
        };
        let network_changed = due.iter().any(|one| one.events.iter().any(changes_network));
        let done = Applied { last, network_changed };
        self.compare_clocks(myself, last.time_ms, is_live);
        let first = validators.filter(|_| !self.validators_are_kept);
        self.validators_are_kept |= first.is_some();
        let (store, follow) = (self.context.store.clone(), self.follow);
        self.spawn(myself, async move {
            if follow == Follow::Blobs
                && let Err(error) = write(&store, due, first).await
            {
                return Message::BatchStored(Err(error));
            }
            Message::BatchStored(Ok(done))
        });
    }

    /// Compares our clock with the time of a checkpoint that came just now; asks the ledger if they are far apart.
    fn compare_clocks(&mut self, myself: &ActorRef<Message>, ledger_ms: u64, is_live: bool) {
        let found = self.context.vitals.note_clock(now_ms(), ledger_ms, is_live);
        let Some(found) = found.filter(|_| !self.is_asking_time) else { return };
        self.is_asking_time = true;
        let chain = self.chain.clone();
        self.spawn(
            myself,
            async move { Message::TimeExplained(found, chain.time_moved_ms().await) },
        );
    }

    /// The ledger explains its time, or it does not: then the next checkpoint is a reason to ask again.
    fn time_explained(&mut self, found: ClockDifference, moved_ms: Result<u64, CallError>) {
        self.is_asking_time = false;
        match moved_ms {
            Ok(moved_ms) => self.context.vitals.note_explained(found, moved_ms),
            Err(error) => debug!(%error, "the ledger does not explain its time"),
        }
    }

    /// What is durable becomes everybody's position.
    fn stored(&mut self, myself: &ActorRef<Message>, done: Applied) {
        self.applied = Some(done.last);
        // What most servers did not agree on a moment ago, they may agree on now.
        let is_one_word = !self.context.position.current().is_proven && self.chain.has_choice();
        self.system_is_stale |= done.network_changed || is_one_word;
        self.view_is_early = false;
        let mut position = self.context.position.current();
        position.checkpoint = done.last.sequence;
        position.ledger_ms = position.ledger_ms.max(done.last.time_ms);
        self.context.position.set(position);
        self.count();
        debug!(checkpoint = done.last.sequence, "position moved");
        self.go_on(myself);
    }
}

/// Makes checkpoints durable: the store's one writer takes them in this order and commits them
/// together. `first` are the validators to come, if they are not kept yet.
async fn write(
    store: &Store,
    due: Vec<Checkpoint>,
    first: Option<Vec<u8>>,
) -> Result<(), StoreError> {
    let last = due.len().saturating_sub(1);
    let mut first = first;
    let writes = due.into_iter().enumerate().map(|(index, checkpoint)| {
        let late = if index == last { first.take() } else { None };
        let proof = kept::proof(&checkpoint, checkpoint.validators.clone().or(late));
        store.apply_proven(
            checkpoint.sequence,
            checkpoint.events.iter().filter_map(BlobEffect::of).collect(),
            proof,
        )
    });
    // All of them are in line before any is waited for.
    futures::future::try_join_all(writes.collect::<Vec<_>>()).await.map(drop)
}

/// Tells the network where the members of this committee and those around it are, as the ledger says.
fn introduce(network: &Network, position: &Position) {
    for member in position.committee.members() {
        let addresses = member.addresses.iter();
        let addresses = addresses.filter_map(|bytes| network::address_from_bytes(bytes)).collect();
        network.add_addresses(member.peer_id, addresses);
    }
    for neighbour in position.neighbours.iter() {
        let addresses = neighbour.addresses.iter();
        let addresses = addresses.filter_map(|bytes| network::address_from_bytes(bytes)).collect();
        network.add_addresses(neighbour.peer_id, addresses);
    }
}
