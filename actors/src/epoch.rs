//! Carries the node from one committee to the next, and the network from one epoch to the next.
//!
//! Promises: for every epoch the store says which of our shards are here before the ledger hears of
//! it, and a shard that is not here is named aloud and never reported; any node sends the steps that
//! anybody may send, in its turn, and stops when somebody did; what nobody pays for any more goes,
//! once verified checkpoints prove that its time is over; what is here of others' shards goes once
//! their owners told the ledger that they have them.
//! Does not: fill shards (recovery does), or move them from their former owners.

use std::collections::BTreeSet;
use std::time::Duration;

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::object::staking::NodeCap;
use haulout_protocol::committee::NodeId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::epoch_change::{self, Facts, Holding, Plan};
use haulout_protocol::machine::epoch_steps::{self, Effect, EpochSteps, Input, Situation, Step};
use haulout_protocol::machine::{Machine, Timestamp};
use haulout_protocol::sliver::ShardIndex;
use haulout_storage::{Kept, Store, StoreError};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use crate::chain::{CallError, Chain, Wallet};
use crate::context::Context;
use crate::limits;
use crate::position::Position;
use crate::tasks::{Alarm, Tasks, follow};

/// The actor.
pub(crate) struct EpochActor;

/// Facts the actor reacts to.
pub(crate) enum Message {
    /// The ledger moved on.
    PositionAdvanced,
    /// What an epoch's committee means for us is known and durable.
    CommitteeJudged(Epoch, Result<Plan, StoreError>),
    /// Whether shards that were missing are held by now.
    MissingLooked(Result<bool, StoreError>),
    /// Bytes nobody pays for any more are gone.
    ExpiredRemoved(Result<u64, StoreError>),
    /// What was stored of shards that are others' is gone.
    ShardsReleased(Result<u64, StoreError>),
    /// A step is on the ledger, or why not; with the key to our node if it was needed.
    StepSent(Step, Result<Option<NodeCap>, CallError>),
    /// Our turn may have come.
    TimeReached,
}

/// What the actor starts with.
#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) context: Context,
}

/// What the actor knows; all of it can be had again from the store and the ledger.
pub(crate) struct State {
    context: Context,
    machine: EpochSteps,
    /// The last epoch whose committee was judged, and what it means for us.
    judged: Option<(Epoch, Plan)>,
    /// Whether a committee is being judged.
    judging: bool,
    /// Whether it is being looked whether what was missing is held by now.
    looking: bool,
    /// Whether shards that are others' are being removed.
    releasing: bool,
    /// For which epoch, and after so many reports of members, which only become more, that was begun last.
    released: Option<(Epoch, usize)>,
    /// The key to our node, once it was needed.
    cap: Option<NodeCap>,
    /// The ledger's time, and when we heard of it.
    heard: (u64, Instant),
    tasks: Tasks,
    _watcher: AbortOnDropHandle<()>,
    alarm: Alarm,
}

impl Actor for EpochActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let context = arguments.context;
        if context.operator.is_none() {
            warn!(
                "no operator's wallet: this node cannot tell the ledger that it holds its shards, \
                 and earns nothing; set wallet.key_file"
            );
        }
        let _watcher = follow(&context.position, myself, || Message::PositionAdvanced);
        let heard = (context.position.current().ledger_ms, Instant::now());
        let machine = EpochSteps::default();
        let (judged, judging, looking, releasing) = (None, false, false, false);
        let released = None;
        let (cap, alarm) = (None, Alarm::default());
        let tasks = Tasks::default();
        Ok(State {
            context,
            machine,
            judged,
            judging,
            looking,
            releasing,
            released,
            cap,
            heard,
            tasks,
            _watcher,
            alarm,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::PositionAdvanced => state.follow(&myself),
            Message::CommitteeJudged(epoch, plan) => {
                state.judging = false;
                if let Some(plan) = unless_put_off(plan)? {
                    state.judged(&myself, epoch, plan);
                }
            }
            Message::MissingLooked(is_held) => {
                state.looking = false;
                let is_held = unless_put_off(is_held)?.unwrap_or(false);
                state.missing_looked(&myself, is_held);
            }
            Message::ExpiredRemoved(bytes) => report_expired(unless_put_off(bytes)?.unwrap_or(0)),
            Message::ShardsReleased(bytes) => {
                state.releasing = false;
                match unless_put_off(bytes)? {
                    Some(bytes) => report_released(bytes),
                    None => state.released = None,
                }
            }
            Message::StepSent(step, sent) => state.sent(&myself, step, sent),
            Message::TimeReached => state.advance(&myself, Input::TimeReached),
        }
        Ok(())
    }
}

impl State {
    /// Looks where the ledger is, and judges a committee we have not judged.
    fn follow(&mut self, myself: &ActorRef<Message>) {
        let position = self.context.position.current();
        if position.ledger_ms > self.heard.0 {
            self.heard = (position.ledger_ms, Instant::now());
        }
        let judged = self.judged.as_ref().map(|(epoch, _)| *epoch);
        let has_caught_up = position.checkpoint >= position.read_at;
        let may_act = self.context.trust.may_act(&position);
        if epoch_change::is_due(judged, position.epoch, has_caught_up, may_act) && !self.judging {
            self.judging = true;
            let (store, epoch) = (self.context.store.clone(), position.epoch);
            let ours = position.shards_of(&self.context.peer).to_vec();
            self.tasks.spawn(myself, async move {
                Message::CommitteeJudged(epoch, judge(store, epoch, ours).await)
            });
        }
        if !self.looking && self.judged.as_ref().is_some_and(|(_, plan)| !plan.may_report()) {
            self.looking = true;
            let (store, ours) =
                (self.context.store.clone(), position.shards_of(&self.context.peer).to_vec());
            self.tasks
                .spawn(myself, async move { Message::MissingLooked(are_held(store, ours).await) });
        }
        self.release(myself, &position);
        let situation = self.situation(&position);
        self.advance(myself, Input::Moved(situation));
    }

    /// Judges the committee again if everything that was missing was filled meanwhile; the store knows.
    fn missing_looked(&mut self, myself: &ActorRef<Message>, is_held: bool) {
        if is_held {
            self.judged = None;
            self.follow(myself);
        }
    }

    /// What the ledger says, and whether we may report.
    fn situation(&self, position: &Position) -> Situation {
        let node = position.node_of(&self.context.peer);
        let holds = |(epoch, plan): &(Epoch, Plan)| *epoch == position.epoch && plan.may_report();
        Situation {
            epoch: position.epoch,
            state: position.phase,
            duration_ms: position.timing.duration_ms,
            sync_timeout_ms: position.timing.sync_timeout_ms,
            turn: epoch_steps::turn(&position.committee, node, &position.phase),
            may_report: node.is_some() && self.judged.as_ref().is_some_and(holds),
        }
    }

    /// A committee is judged: says what it means, and goes on.
    fn judged(&mut self, myself: &ActorRef<Message>, epoch: Epoch, plan: Plan) {
        if !plan.lost.is_empty() {
            info!(%epoch, shards = %listed(&plan.lost), "shards are others' from this epoch on");
        }
        if !plan.missing.is_empty() {
            warn!(
                %epoch,
                shards = %listed(&plan.missing),
                "not everything that the network stored in these shards is here; it is repaired, and \
                 they are reported when it is"
            );
        }
        self.context.metrics.set_shards_missing(plan.missing.len());
        self.context.vitals.set_shards_missing(epoch, plan.missing.len());
        self.judged = Some((epoch, plan));
        let store = self.context.store.clone();
        self.tasks.spawn(myself, async move { Message::ExpiredRemoved(store.expire(epoch).await) });
        self.follow(myself);
    }

    /// Removes what is stored of shards that others say they have, one run at a time, whenever more of them said so.
    fn release(&mut self, myself: &ActorRef<Message>, position: &Position) {
        let judged = self.judged.as_ref().map(|(epoch, _)| *epoch);
        let told = (position.epoch, position.synced.len());
        let is_news = judged == Some(position.epoch) && self.released != Some(told);
        if self.releasing || !is_news || !self.context.trust.may_act(position) {
            return;
        }
        (self.releasing, self.released) = (true, Some(told));
        let (store, parameters) = (self.context.store.clone(), position.parameters);
        let (epoch, synced) = (position.epoch, position.synced_shards());
        self.tasks.spawn(myself, async move {
            Message::ShardsReleased(release(store, (epoch, synced), parameters).await)
        });
    }

    /// A step was answered.
    fn sent(
        &mut self,
        myself: &ActorRef<Message>,
        step: Step,
        sent: Result<Option<NodeCap>, CallError>,
    ) {
        let epoch = self.context.position.current().epoch;
        let input = match sent {
            Ok(cap) => {
                info!(%epoch, step = name(step), "a step of the epoch is on the ledger");
                self.cap = cap.or(self.cap);
                Input::Done
            }
            Err(error) if error.abort() == Some(Abort::DuplicateSync) => Input::Done,
            Err(error) if error.abort().is_some() => {
                debug!(%epoch, step = name(step), %error, "the ledger does not take the step now");
                Input::Failed
            }
            Err(error) => {
                warn!(%epoch, step = name(step), %error, "a step of the epoch was not sent");
                Input::Failed
            }
        };
        self.advance(myself, input);
    }

    /// Lets the machine decide, carries out what it says, and sets the alarm.
    fn advance(&mut self, myself: &ActorRef<Message>, input: Input) {
        let (Some(chain), Some(wallet)) = (&self.context.chain, &self.context.operator) else {
            return; // a node without a wallet only listens
        };
        let (chain, wallet) = (chain.clone(), wallet.clone());
        for Effect::Send(step) in self.machine.handle(self.now(), input) {
            let position = self.context.position.current();
            let call = Call {
                chain: chain.clone(),
                wallet: wallet.clone(),
                node: position.node_of(&self.context.peer),
                epoch: position.epoch,
                cap: self.cap,
            };
            self.tasks.spawn(myself, async move { Message::StepSent(step, call.send(step).await) });
        }
        self.set_alarm(myself);
    }

    /// Wakes us when the machine wants to be called again.
    fn set_alarm(&mut self, myself: &ActorRef<Message>) {
        let now = self.now();
        let wait = self.machine.deadline().map(|deadline| deadline.0.saturating_sub(now.0));
        // Longer waits end with the ledger's heartbeat, which calls us anyway.
        let wait = wait.map(|wait| Duration::from_millis(wait).min(limits::EPOCH_ALARM_MAX));
        self.alarm.set(myself, wait, Message::TimeReached);
    }

    /// The ledger's time, as far as we can tell: never ahead of it.
    fn now(&self) -> Timestamp {
        let (ledger_ms, heard) = self.heard;
        let since = u64::try_from(heard.elapsed().as_millis()).unwrap_or(u64::MAX);
        Timestamp(ledger_ms).after(since)
    }
}

/// One call on its way.
struct Call {
    chain: Chain,
    wallet: Wallet,
    node: Option<NodeId>,
    epoch: Epoch,
    cap: Option<NodeCap>,
}

impl Call {
    /// Sends a step; returns the key to our node if the step needed it.
    async fn send(self, step: Step) -> Result<Option<NodeCap>, CallError> {
        let Call { chain, wallet, node, epoch, cap } = self;
        match step {
            Step::EndVoting => chain.end_voting(&wallet).await?,
            Step::ChangeEpoch => chain.change_epoch(&wallet).await?,
            Step::ForceSync => chain.force_sync(&wallet).await?,
            Step::ReportShards => {
                let missing = || CallError::NotFound { what: format!("node key of {wallet}") };
                let node = node.ok_or_else(missing)?;
                let cap = match cap {
                    Some(cap) => cap,
                    None => chain.node_cap(&wallet, &node).await?.ok_or_else(missing)?,
                };
                chain.report_shards(&wallet, &cap, epoch).await?;
                return Ok(Some(cap));
            }
        };
        Ok(None)
    }
}

/// Whether the store says that all of these shards are held.
async fn are_held(store: Store, ours: Vec<ShardIndex>) -> Result<bool, StoreError> {
    let known = tokio::task::spawn_blocking(move || store.shards()).await;
    let known = known.expect("reading neither panics nor is cut off")?;
    Ok(ours.iter().all(|shard| known.get(shard) == Some(&Holding::Held)))
}

/// Judges a committee and makes the verdict durable.
async fn judge(store: Store, epoch: Epoch, ours: Vec<ShardIndex>) -> Result<Plan, StoreError> {
    let reader = store.clone();
    let judged = tokio::task::spawn_blocking(move || {
        let (known, census) = (reader.shards()?, reader.census(epoch)?);
        let last = judged_last(&reader)?;
        let facts =
            Facts { epoch, ours: &ours, judged: last, known: &known, live_blobs: census.live };
        Ok::<_, StoreError>((epoch_change::plan(&facts), last))
    });
    let (plan, last) = judged.await.expect("judging neither panics nor is cut off")?;
    if !plan.changes.is_empty() {
        store.set_shards(plan.changes.clone()).await?;
    }
    // After what follows from it: between the two, it is judged once more.
    if last != Some(epoch) {
        store.keep(Kept::Judged, epoch.0.to_le_bytes().to_vec()).await?;
    }
    Ok(plan)
}

/// The epoch whose committee was judged last.
fn judged_last(store: &Store) -> Result<Option<Epoch>, StoreError> {
    let kept = store.kept(Kept::Judged)?;
    let number = kept.and_then(|bytes| bytes.first_chunk().copied()).map(u32::from_le_bytes);
    Ok(number.map(Epoch))
}

/// Removes what is stored of shards whose owners in this epoch have them, a little at a time, and what an earlier run began.
async fn release(
    store: Store,
    of: (Epoch, BTreeSet<ShardIndex>),
    parameters: Parameters,
) -> Result<u64, StoreError> {
    let mut bytes = 0;
    let mut done = BTreeSet::new();
    // Each time anew: a shard may be ours again by now, or be lost again.
    while let Some(shard) = next_released(&store, &of, &done).await? {
        match store.drop_shard(shard, &parameters).await {
            Err(StoreError::ShardInUse { .. }) => drop(done.insert(shard)), // it is ours again
            dropped => {
                let dropped = dropped?;
                bytes += dropped.bytes;
                if dropped.is_done {
                    done.insert(shard);
                }
            }
        }
        tokio::time::sleep(limits::RELEASE_PAUSE).await; // readers and writers come first
    }
    Ok(bytes)
}

/// A shard that may go and was not seen to its end.
async fn next_released(
    store: &Store,
    of: &(Epoch, BTreeSet<ShardIndex>),
    done: &BTreeSet<ShardIndex>,
) -> Result<Option<ShardIndex>, StoreError> {
    let (reader, (epoch, synced)) = (store.clone(), of.clone());
    let shards = tokio::task::spawn_blocking(move || {
        let known = reader.shards()?;
        let mut shards = epoch_change::released(&known, epoch, |shard| synced.contains(&shard));
        // What an earlier run began has no row any more; if it has one, it is somebody's matter again.
        shards.extend(reader.leaving()?.into_iter().filter(|shard| !known.contains_key(shard)));
        Ok::<_, StoreError>(shards)
    });
    let shards = shards.await.expect("reading neither panics nor is cut off")?;
    Ok(shards.into_iter().find(|shard| !done.contains(shard)))
}

/// What was done; nothing if the disk refused it for now: the next epoch, or the next word of the ledger, tries again.
fn unless_put_off<T>(done: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match done {
        Err(error) if error.is_transient() => {
            warn!(%error, "the store could not be changed for the new epoch; it is tried again");
            Ok(None)
        }
        done => done.map(Some),
    }
}

fn report_released(bytes: u64) {
    if bytes > 0 {
        info!(bytes, "shards that are others' were removed");
    }
}

fn report_expired(bytes: u64) {
    if bytes > 0 {
        info!(bytes, "blobs whose time is over were removed");
    }
}

/// Shards as people read them: `3, 8, 13`, cut off after a few.
fn listed(shards: &[ShardIndex]) -> String {
    let named: Vec<_> = shards.iter().take(16).map(ToString::to_string).collect();
    let more = if shards.len() > named.len() { ", ..." } else { "" };
    format!("{}{more} ({} in all)", named.join(", "), shards.len())
}

/// A step as logs name it.
fn name(step: Step) -> &'static str {
    match step {
        Step::EndVoting => "voting_end",
        Step::ChangeEpoch => "epoch_change",
        Step::ReportShards => "epoch_sync_done",
        Step::ForceSync => "force_sync_done",
    }
}

#[cfg(test)]
mod tests;
