//! Finds what is missing of certified blobs here, and repairs it from what others hold.
//!
//! Promises: what is missing is asked of the store, so a restart goes on where the last run was; a few blobs are repaired at
//! a time, within a memory of their own, what former owners of shards have is fetched from these first; how far it is is said in the log now and then; a blob that was encoded wrongly ends
//! invalid on the ledger, and is missed no more. Symbols for the repairs of others, and signatures that a blob was encoded
//! wrongly, are for members, and so is what shards hold that moved. Does not: read slivers to see whether they rotted (who serves
//! them does), or say whose shards are.
//! Source: `protocol.md` section 8.

mod attest;
mod blob;
mod handover;
mod job;
mod looking;
mod memory;
mod question;
mod rebuilding;
mod segment;
mod serve;
mod short;
mod short_fault;
mod survey;
mod told;
mod verdict;
mod whole;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::Machine;
use haulout_protocol::machine::backlog::{Backlog, Effect, Input, Outcome};
use haulout_protocol::machine::handover::Lost;
use haulout_protocol::wire::SMALL_FRAME_BYTES_MAX;
use haulout_storage::{Lacking, PageEnd, StoreError};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

use self::blob::{Repair, Repaired};
use self::handover::{HandingOver, News, Settled, Tools, Way};
use self::looking::{Look, Seen};
use self::memory::Memory;
use self::told::Told;
use crate::asking::Clock;
use crate::context::Context;
use crate::limits;
use crate::network::{Network, Protocol};
use crate::serving::{Counter, Service, Serving};
use crate::tasks::{Alarm, Tasks, follow};
use crate::vitals::measured::Stuck;

/// The actor.
pub(crate) struct RecoveryActor;

/// Facts the actor reacts to.
pub(crate) enum Message {
    /// The ledger moved on: something may be missing, or be had, that was not before.
    PositionAdvanced,
    /// A page of what is missing was read, of the look with this number.
    Looked(u64, Box<Result<Seen, StoreError>>),
    /// Something became of a page that a former owner of shards was asked for.
    Handed(News),
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
    /// Incomplete blobs that it passed over, because they may be on their way.
    arriving: u64,
    /// Where its next page begins.
    next: Option<PageEnd>,
    /// What is missing of the last page's blobs, and how long these are, if shards moved.
    lacking: BTreeMap<BlobId, Lacking>,
    lengths: BTreeMap<BlobId, u64>,
    /// What former owners are asked for in the look; each has a number.
    handing_over: Option<HandingOver>,
    looks: u64,
    memory: Memory,
    serving: Serving,
    told: Told,
    /// What the last repair of blobs that could not be repaired found of them.
    stuck: BTreeMap<BlobId, Stuck>,
    tasks: Tasks,
    counters: Vec<Counter>,
    _watcher: AbortOnDropHandle<()>,
    alarm: Alarm,
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
        let service = |protocol| Service {
            protocol,
            frame_bytes_max: SMALL_FRAME_BYTES_MAX,
            idle: limits::STREAM_CREDIT,
        };
        let (served, members) = (context.clone(), network.clone());
        let symbols = serving.open(service(Protocol::Symbol), move |visit| {
            serve::serve(served.clone(), members.is_member(&visit.peer), visit)
        });
        let (served, members) = (context.clone(), network.clone());
        let turns = Arc::new(Semaphore::new(limits::VERDICTS_AT_ONCE));
        let verdicts = serving.open(service(Protocol::Verdict), move |visit| {
            let is_member = members.is_member(&visit.peer);
            attest::serve(served.clone(), is_member, turns.clone(), visit)
        });
        let (served, members) = (context.clone(), network.clone());
        let shards = serving.open(service(Protocol::Shard), move |visit| {
            handover::serve::serve(served.clone(), members.is_member(&visit.peer), visit)
        });
        let at_once = context.repairs_at_once;
        Ok(State {
            _watcher: follow(&context.position, myself, || Message::PositionAdvanced),
            context,
            network,
            machine: Backlog::new(at_once),
            clock: Clock::start(),
            look: None,
            arriving: 0,
            next: None,
            lacking: BTreeMap::new(),
            lengths: BTreeMap::new(),
            handing_over: None,
            looks: 0,
            memory: Memory::default(),
            serving,
            told: Told::default(),
            stuck: BTreeMap::new(),
            tasks: Tasks::default(),
            counters: vec![symbols, verdicts, shards],
            alarm: Alarm::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::PositionAdvanced => state.moved_on(&myself),
            // Of a look that is out of date nothing is of use.
            Message::Looked(look, seen) if look == state.looks => state.looked(&myself, *seen),
            Message::Looked(..) => {}
            Message::Handed(news) => state.handed(&myself, news),
            Message::RepairEnded(blob, repaired) => state.repaired(&myself, blob, *repaired),
            Message::TimeReached => state.wake(&myself),
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
    /// The ledger moved on; a look of another epoch asks former owners of other shards than those that are missing now.
    fn moved_on(&mut self, myself: &ActorRef<Message>) {
        let is_outdated = self.look.as_ref().is_some_and(|look| look.is_outdated(&self.context));
        self.advance(myself, if is_outdated { Input::Outdated } else { Input::Stirred });
    }

    fn looked(&mut self, myself: &ActorRef<Message>, seen: Result<Seen, StoreError>) {
        let Seen { lacking, lengths, arriving, end } = match seen {
            Ok(seen) => seen,
            Err(failure) => {
                error!(error = %failure, "the store cannot be looked at, so nothing is repaired");
                return self.advance(myself, Input::LookFailed);
            }
        };
        self.next = end;
        self.arriving = self.arriving.saturating_add(arriving);
        let blobs = lacking.iter().map(|lacking| lacking.blob_id).collect();
        let lacking = lacking.into_iter().map(|lacking| (lacking.blob_id, lacking));
        (self.lacking, self.lengths) = (lacking.collect(), lengths);
        self.advance(myself, Input::Seen { blobs, is_last: self.next.is_none() });
    }

    fn repaired(&mut self, myself: &ActorRef<Message>, blob: BlobId, repaired: Repaired) {
        self.told.repaired(&repaired);
        self.context.metrics.repaired(repaired.pairs, repaired.bytes);
        self.context.vitals.note_repaired(repaired.pairs, repaired.bytes);
        let Repaired { outcome, left, needed, .. } = repaired;
        let stuck =
            Stuck { have: left.unwrap_or(0), needed, is_faulty: outcome == Outcome::Hopeless };
        if left.is_some() || stuck.is_faulty {
            self.stuck.insert(blob, stuck);
        }
        self.advance(myself, Input::Done { blob, outcome, left });
        self.told.say_now_and_then(&self.machine);
    }

    /// Something became of a page of a former owner.
    fn handed(&mut self, myself: &ActorRef<Message>, news: News) {
        let (pairs, bytes) = (news.pairs(), news.bytes);
        if pairs > 0 {
            self.told.handed(pairs, bytes);
            self.context.metrics.handed(pairs, bytes);
            self.context.vitals.note_repaired(pairs, bytes);
        }
        let (tasks, clock) = (&mut self.tasks, &self.clock);
        let way = Way { actor: myself, tasks, clock, message: Message::Handed };
        let settled = self.handing_over.as_mut().map(|it| it.hear(way, news));
        self.settle(myself, settled.unwrap_or_default());
    }

    /// Lets the machines see what time it is.
    fn wake(&mut self, myself: &ActorRef<Message>) {
        let (tasks, clock) = (&mut self.tasks, &self.clock);
        let way = Way { actor: myself, tasks, clock, message: Message::Handed };
        let settled = self.handing_over.as_mut().map(|it| it.wake(way));
        self.settle(myself, settled.unwrap_or_default());
        // What was on its way is here by now, or it is missing.
        let input = if self.arriving > 0 { Input::Stirred } else { Input::TimeReached };
        self.advance(myself, input);
    }

    /// Former owners have nothing more to give of these: what is left of them is repaired.
    fn settle(&mut self, myself: &ActorRef<Message>, settled: Vec<Settled>) {
        for settled in settled {
            let input = self.note_settled(settled);
            self.advance(myself, input);
        }
        self.told.say_now_and_then(&self.machine);
        self.set_alarm(myself);
    }

    fn note_settled(&mut self, settled: Settled) -> Input {
        let Settled { blob, has_header, left } = settled;
        let is_whole = has_header && left.is_empty();
        if is_whole {
            self.told.whole();
        }
        if let Some(lacking) = self.lacking.get_mut(&blob) {
            (lacking.has_header, lacking.pairs) = (has_header, left);
        }
        Input::Settled { blob, is_whole }
    }

    /// Asks former owners for what is missing of these blobs; those that have nothing of one are done with it at once.
    fn hand_over(&mut self, myself: &ActorRef<Message>, blobs: Vec<BlobId>) -> Vec<Input> {
        let (mut lost, mut settled) = (Vec::new(), Vec::new());
        for blob in blobs {
            let Some(lacking) = self.lacking.get(&blob) else {
                settled.push(Input::Settled { blob, is_whole: false });
                continue;
            };
            let Lacking { has_header, pairs, .. } = lacking;
            match self.lengths.get(&blob) {
                Some(bytes) => {
                    let (bytes, has_header, pairs) = (*bytes, *has_header, pairs.clone());
                    lost.push(Lost { blob, bytes, has_header, pairs });
                }
                None => settled.push(Input::Settled { blob, is_whole: false }),
            }
        }
        let (tasks, clock) = (&mut self.tasks, &self.clock);
        let way = Way { actor: myself, tasks, clock, message: Message::Handed };
        let at_once = self.handing_over.as_mut().map(|it| it.see(way, lost)).unwrap_or_default();
        settled.extend(at_once.into_iter().map(|it| self.note_settled(it)));
        settled
    }

    /// Lets the machine decide, carries out what it says, and sets the alarm.
    fn advance(&mut self, myself: &ActorRef<Message>, input: Input) {
        if self.context.repairs_at_once == 0 {
            return; // the operator wants none
        }
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.machine.handle(self.clock.now(), input) {
                match effect {
                    Effect::Look { is_first } => self.look(myself, is_first),
                    Effect::HandOver(blobs) => inputs.extend(self.hand_over(myself, blobs)),
                    Effect::Repair(blob) => self.repair(myself, blob),
                    Effect::Complete => self.complete(),
                }
            }
        }
        self.context.metrics.set_incomplete(self.machine.seen());
        self.context.vitals.set_incomplete(self.machine.seen());
        self.tell_stuck();
        self.set_alarm(myself);
    }

    /// Says which blobs cannot be repaired now, a few of them by name.
    fn tell_stuck(&mut self) {
        self.stuck.retain(|blob, _| self.machine.failures(blob) > 0);
        while self.stuck.len() > limits::STUCK_REMEMBERED_MAX {
            self.stuck.pop_last();
        }
        let stuck = self.stuck.iter().filter(|(blob, _)| self.machine.is_stuck(blob));
        let named = stuck.take(limits::STUCK_TOLD_MAX).map(|(blob, stuck)| (*blob, *stuck));
        self.context.vitals.set_stuck(self.machine.stuck(), named.collect());
    }

    fn look(&mut self, myself: &ActorRef<Message>, is_first: bool) {
        if is_first {
            let look = Look::begin(&self.context);
            self.looks = self.looks.wrapping_add(1);
            let tools = Tools {
                context: self.context.clone(),
                serving: self.serving.clone(),
                memory: self.memory.clone(),
            };
            let handing_over = HandingOver::begin(self.looks, tools, &self.network, &look.position);
            self.handing_over = Some(handing_over);
            (self.look, self.next, self.arriving) = (Some(look), None, 0);
        }
        let (Some(look), next) = (self.look.clone(), self.next) else { return };
        let (store, number) = (self.context.store.clone(), self.looks);
        self.tasks.spawn(myself, async move {
            let seen = tokio::task::spawn_blocking(move || look.page(&store, next)).await;
            let seen = seen.expect("looking neither panics nor is cut off");
            Message::Looked(number, Box::new(seen))
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
            serving: self.serving.clone(),
            failures: self.machine.failures(&blob),
            lacking,
        };
        self.tasks
            .spawn(myself, async move { Message::RepairEnded(blob, Box::new(repair.run().await)) });
    }

    /// A look found nothing missing.
    fn complete(&mut self) {
        self.told.complete();
        let knew_all = self.look.as_ref().filter(|look| look.knows_all() && self.arriving == 0);
        if let Some(look) = knew_all {
            self.context.vitals.set_complete(look.position.checkpoint);
        }
    }

    /// Wakes us when the machine wants to be called again.
    fn set_alarm(&mut self, myself: &ActorRef<Message>) {
        let now = self.clock.now();
        let handing_over = self.handing_over.as_ref().and_then(HandingOver::deadline);
        let deadline = [self.machine.deadline(), handing_over].into_iter().flatten().min();
        let wanted = deadline.map(|it| Duration::from_millis(it.0.saturating_sub(now.0)));
        let arriving = (self.arriving > 0).then_some(limits::ARRIVING_LOOK_EVERY);
        let wait = [wanted, arriving].into_iter().flatten().min();
        self.alarm.set(myself, wait, Message::TimeReached);
    }
}
