//! A put: a blob encoded segment by segment and sent to its committee until a quorum confirms.
//!
//! Promises: at most [`WINDOW`] encoded segments are in memory; what is paid follows from what the ledger says, not from
//! who answers in time; an interrupted put that is repeated sends only what nodes lack and pays only once. Does not:
//! seal the bytes. A blob longer than [`WINDOW`] segments is read twice: its id must be known before a byte is sent.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use haulout_protocol::blob::{BlobHeader, BlobId, Encoding};
use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::encoding::Buffers;
use haulout_protocol::machine::Machine;
use haulout_protocol::machine::put_plan::Plan;
use haulout_protocol::machine::upload::{Effect, Failure, Input, Upload};
use haulout_protocol::message::Persistence;
use haulout_protocol::wire::{self, announcement::Announcement};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, debug, debug_span};

use super::client::Session;
use super::progress::{Observer, Pending, Progress};
use crate::asking::Clock;
use crate::chain::{Chain, Wallet};
use crate::limits;
use crate::network::Topic;

mod deal;
mod encoded;
mod event;
mod identify;
mod outcome;
mod permanence;
mod repair;
mod sender;
mod source;
mod witness;

pub use crate::chain::Cost;
pub use deal::Agreed;
use deal::{Deal, Settled};
use encoded::Encoded;
pub use encoded::WINDOW;
use event::Event;
pub use identify::header;
use identify::{Identified, encode, identify, unchanged};
pub use outcome::{Earlier, Evidence, PutError, PutOptions, PutReport};
pub use repair::{RepairReport, RepairedNode, repair};
use sender::{Command, Sender};
pub use source::{Source, SourceError, SourceFile};
pub use witness::Unwitnessed;

/// Events waiting for the upload's task.
const EVENTS_WAITING_MAX: usize = 64;

/// Stores a blob and returns when it is certified; goes on where an attempt in an earlier epoch
/// was cut off.
pub async fn put(
    session: &Session,
    writer: Writer<'_>,
    source: &Arc<Source>,
    options: PutOptions,
    earlier: Earlier,
    observer: &Observer,
) -> Result<PutReport, PutError> {
    let span = debug_span!("identify", bytes = source.length());
    let identified = identify(session, source, observer).instrument(span).await?;
    debug!(blob_id = %identified.header.blob_id(), length = identified.header.length, "blob identified");
    unchanged(source).await?;
    let _only = writer.chain.only_put_of(&identified.header.blob_id()).await;
    let account = Some(writer.wallet.address());
    let deal = Deal::new(writer.chain, account, &identified.header, options, &earlier);
    let mut agreed = deal.plan(None).await?;
    let mut servers = writer.chain.urls().count();
    for _ in 0..limits::PUT_PLANS_MAX {
        let mut settled = Settled::of(agreed);
        if let Plan::Extend { .. } = settled.agreed.plan {
            // Nobody is asked to confirm what is certified, so there is time to ask who else keeps it.
            let until = deal.permanence(session, &settled.agreed).await;
            if until.is_some() {
                settled = Settled::of(deal.plan(until).await?);
            }
        }
        match settled.agreed.plan {
            Plan::Nothing { .. } => {
                let told = report(session, &identified.header, earlier.clone(), &settled);
                match deal.witness(session, &settled, told.end_epoch).await {
                    Ok(evidence) => return Ok(PutReport { evidence, ..told }),
                    Err(error) => {
                        // Nothing is done yet, and another server may tell what is so.
                        let may_ask = servers > 1 && deal.asks_another(&error, &settled);
                        servers = servers.saturating_sub(1);
                        if !may_ask {
                            return Err(error);
                        }
                        agreed = deal.plan(None).await?;
                    }
                }
            }
            Plan::Extend { .. } => match deal.complete(writer.wallet, &mut settled).await? {
                None => {
                    let told = report(session, &identified.header, earlier, &settled);
                    let evidence = deal.witness(session, &settled, told.end_epoch).await?;
                    return Ok(PutReport { evidence, ..told });
                }
                Some(moved) => agreed = moved,
            },
            Plan::Certify { .. } | Plan::Register { .. } => {
                observer(Progress::Located { bytes: source.length() });
                let deal = (deal, settled);
                let mut task =
                    Task::new(session, writer, source.clone(), deal, observer, identified);
                task.earlier = earlier;
                return task.run().await;
            }
        }
    }
    Err(PutError::Moved)
}

/// What a put of these bytes would do and cost now. Without an account nothing is known of what it owns.
pub async fn plan(
    session: &Session,
    chain: &Chain,
    account: Option<ObjectId>,
    source: &Arc<Source>,
    options: PutOptions,
    observer: &Observer,
) -> Result<(BlobId, Agreed), PutError> {
    let header = header(session.parameters, source.clone(), observer).await?;
    let deal = Deal::new(chain, account, &header, options, &Earlier::default());
    let agreed = deal.plan(None).await?;
    let agreed = match deal.permanence(session, &agreed).await {
        None => agreed,
        until => deal.plan(until).await?,
    };
    Ok((header.blob_id(), agreed))
}

/// The report of a put as far as the ledger knows of it: no node is named.
fn report(
    session: &Session,
    header: &BlobHeader,
    earlier: Earlier,
    settled: &Settled,
) -> PutReport {
    let plan = settled.told(earlier.plan);
    PutReport {
        blob_id: header.blob_id(),
        length: header.length,
        content_hash: header.content_hash(&session.parameters),
        end_epoch: plan.end_epoch(),
        object: settled.object.as_ref().map(|object| object.existing.object),
        plan,
        cost: earlier.cost.plus(settled.cost),
        shards: (0, session.committee.shards()),
        // Of somebody's permanent object the committee said so.
        evidence: Evidence::Nodes,
        unhelpful: Vec::new(),
    }
}

/// Who stores, and where that is written down.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The ledger.
    pub chain: &'a Chain,
    /// The account that pays.
    pub wallet: &'a Wallet,
}

/// The put of one blob: carries out what the machine decides.
struct Task<'a> {
    session: &'a Session,
    writer: Writer<'a>,
    source: Arc<Source>,
    deal: Deal,
    settled: Settled,
    /// Who else keeps the blob, while that is asked.
    asking: Option<AbortOnDropHandle<Option<u32>>>,
    observer: &'a Observer,
    header: Arc<BlobHeader>,
    blob_id: BlobId,
    clock: Clock,
    machine: Upload,
    encoded: BTreeMap<u32, Arc<Encoded>>,
    buffers: Buffers,
    senders: BTreeMap<usize, (mpsc::Sender<Command>, AbortOnDropHandle<()>)>,
    helpers: Vec<AbortOnDropHandle<()>>,
    /// What attempts in earlier epochs did.
    earlier: Earlier,
    unhelpful: BTreeMap<usize, String>,
    /// Why the blob counts as stored, once it does.
    evidence: Evidence,
    events: mpsc::Sender<Event>,
    inbox: mpsc::Receiver<Event>,
}

impl<'a> Task<'a> {
    fn new(
        session: &'a Session,
        writer: Writer<'a>,
        source: Arc<Source>,
        (deal, settled): (Deal, Settled),
        observer: &'a Observer,
        identified: Identified,
    ) -> Self {
        let (events, inbox) = mpsc::channel(EVENTS_WAITING_MAX);
        let blob_id = identified.header.blob_id();
        let count = u32::try_from(identified.header.segments.len()).unwrap_or(u32::MAX);
        let committee = session.committee.as_ref().clone();
        Task {
            machine: Upload::new(committee, session.network_id, blob_id, count, WINDOW),
            session,
            writer,
            source,
            deal,
            settled,
            asking: None,
            observer,
            header: identified.header,
            blob_id,
            clock: Clock::start(),
            encoded: identified.encoded,
            buffers: Buffers::new(limits::ENCODING_BYTES_KEPT_MAX),
            senders: BTreeMap::new(),
            helpers: Vec::new(),
            earlier: Earlier::default(),
            unhelpful: BTreeMap::new(),
            evidence: Evidence::Nodes,
            events,
            inbox,
        }
    }

    async fn run(mut self) -> Result<PutReport, PutError> {
        self.ask_who_keeps_it();
        let mut inputs = vec![Input::Started];
        loop {
            while let Some(input) = inputs.pop() {
                if let Input::Failed { member, reason } = &input {
                    self.unhelpful.insert(*member, reason.clone());
                }
                let is_confirmation = matches!(input, Input::Confirmed { .. });
                let effects = self.machine.handle(self.clock.now(), input);
                if is_confirmation {
                    (self.observer)(Progress::Confirmed { shards: self.machine.claimed_weight() });
                }
                for effect in effects {
                    match effect {
                        Effect::Done => return Ok(self.report()),
                        Effect::Fail(failure) => return Err(self.explain(failure)),
                        effect => inputs.extend(self.perform(effect)),
                    }
                }
            }
            let deadline = self.machine.deadline();
            tokio::select! {
                event = self.inbox.recv() => if let Some(event) = event {
                    match self.take(event)? {
                        ControlFlow::Continue(input) => inputs.push(input),
                        ControlFlow::Break(()) => return Ok(self.report()),
                    }
                },
                () = self.clock.until(deadline) => inputs.push(Input::TimeReached),
            }
        }
    }

    /// While nodes are reached, they are asked whether somebody's permanent object makes paying needless.
    fn ask_who_keeps_it(&mut self) {
        let (deal, session) = (self.deal.clone(), self.session.clone());
        let agreed = self.settled.agreed.clone();
        let asking = async move { deal.permanence(&session, &agreed).await };
        self.asking = Some(AbortOnDropHandle::new(tokio::spawn(asking.in_current_span())));
    }

    /// What an event means for the machine; nothing if the put is over, because nothing has to be stored.
    fn take(&mut self, event: Event) -> Result<ControlFlow<(), Input>, PutError> {
        Ok(ControlFlow::Continue(match event {
            Event::Input(input) => {
                if let Input::Ready { stored, .. } = &input
                    && self.header.encoding == Encoding::Short
                    && !stored.is_empty()
                {
                    (self.observer)(Progress::Transferred { bytes: self.header.length });
                }
                input
            }
            Event::Encoded(segment, encoded) => {
                self.encoded.insert(segment, Arc::new(self.unchanged(segment, encoded?)?));
                Input::Encoded { segment }
            }
            Event::Registered(settled) => {
                self.settled = settled?;
                let Some(object) = &self.settled.object else { return Ok(ControlFlow::Break(())) };
                let existing = object.existing;
                (self.observer)(Progress::Registered(Pending {
                    blob_id: self.blob_id,
                    object: existing.object,
                    end_epoch: existing.end_epoch,
                    deletable: existing.deletable,
                    paid: self.earlier.cost.plus(self.settled.cost),
                }));
                let persistence = match existing.deletable {
                    true => Persistence::Deletable(existing.object),
                    false => Persistence::Permanent,
                };
                Input::Registered { persistence }
            }
            Event::Certified(certified) => {
                let certified = certified.map_err(|error| self.not_certified(error));
                (self.settled, self.evidence) = certified?;
                Input::Certified
            }
            Event::Changed(error) => return Err(error),
        }))
    }

    /// A certificate of an epoch that ended is refused, and another one can be had. Where shards moved the ledger finds other
    /// signers or other weights in it before it looks at the epoch; we checked both against the committee that signed.
    fn not_certified(&self, error: PutError) -> PutError {
        let abort = match &error {
            PutError::Chain(error) => error.abort(),
            _ => None,
        };
        match abort {
            Some(
                Abort::WrongEpoch
                | Abort::EpochMismatch
                | Abort::InvalidBitmap
                | Abort::NotEnoughWeight
                | Abort::BadSignature,
            ) => self.epoch_ended(),
            _ => error,
        }
    }

    /// The end of an attempt whose epoch is over, with what was done until now.
    fn epoch_ended(&self) -> PutError {
        let mut done = self.earlier.clone();
        if let Some(object) = &self.settled.object {
            let plan = self.settled.told(done.plan);
            done.cost = done.cost.plus(self.settled.cost);
            done.end_epoch = Some(plan.end_epoch());
            done.object = Some(object.existing.object);
            done.plan = Some(plan);
        }
        PutError::EpochEnded(Box::new(done))
    }

    /// The file must not change between the reading that named the blob and the one that sends it.
    fn unchanged(&self, segment: u32, encoded: Encoded) -> Result<Encoded, PutError> {
        if self.header.segments.get(segment as usize) == Some(&encoded.commitment()) {
            return Ok(encoded);
        }
        Err(self.source.changed().into())
    }

    fn perform(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Open { member } => self.open(member),
            Effect::Register => self.register(),
            Effect::Encode { segment } => return self.start_encoding(segment),
            Effect::Send { member, segment } => {
                let segment = Command::Segment(segment, self.encoded.get(&segment)?.clone());
                return self.command(member, segment);
            }
            Effect::Release { segment } => {
                self.encoded.remove(&segment);
                let length = u64::from(self.session.parameters.segment_bytes());
                let bytes = (u64::from(segment) + 1).saturating_mul(length).min(self.header.length);
                (self.observer)(Progress::Transferred { bytes });
            }
            Effect::Finish { member } => {
                let deletable =
                    self.settled.object.as_ref().filter(|object| object.existing.deletable);
                let finish = Command::Finish(deletable.map(|object| object.existing.object));
                return self.command(member, finish);
            }
            Effect::Blame { member, reason } => {
                self.unhelpful.insert(member, reason.to_string());
                self.session.asker().blame(self.session.peer(member), reason);
            }
            Effect::Drop { member, reason } => {
                self.senders.remove(&member);
                self.unhelpful.entry(member).or_insert(reason);
            }
            Effect::Certify(certificate) => self.certify(*certificate),
            Effect::Done | Effect::Fail(_) => (),
        }
        None
    }

    fn open(&mut self, member: usize) {
        // A member's queue holds everything the machine can have in flight for it: the window and the finish.
        let (commands, queue) = mpsc::channel(WINDOW + 1);
        let short = self.encoded.get(&0).filter(|_| self.header.encoding == Encoding::Short);
        let sender = Sender::new(self.session.clone(), self.blob_id, self.header.clone(), member);
        let sender = sender.with_short(short.cloned());
        let events = self.events.clone();
        let task = async move {
            let ended = AssertUnwindSafe(sender.run(queue, &events)).catch_unwind().await;
            if ended.is_err() {
                let reason = "a task of this client panicked".to_owned();
                let _ = events.send(Event::Input(Input::Failed { member, reason })).await;
            }
        };
        let span = self.session.send_span(member, &self.blob_id);
        let task = AbortOnDropHandle::new(tokio::spawn(task.instrument(span)));
        self.senders.insert(member, (commands, task));
    }

    fn command(&mut self, member: usize, command: Command) -> Option<Input> {
        let (commands, _) = self.senders.get(&member)?;
        // A closed queue means that the sender ended: its report, which says why, is on the way.
        let _ = commands.try_send(command);
        None
    }

    fn start_encoding(&mut self, segment: u32) -> Option<Input> {
        if self.encoded.contains_key(&segment) {
            return Some(Input::Encoded { segment });
        }
        let (session, source) = (self.session.clone(), self.source.clone());
        let buffers = self.buffers.clone();
        let (events, length) = (self.events.clone(), self.header.length);
        self.help(async move {
            let encoded = encode(&session, &buffers, &source, segment, length).await;
            let _ = events.send(Event::Encoded(segment, encoded)).await;
        });
        None
    }

    fn register(&mut self) {
        let Some(asking) = self.asking.take() else { return };
        let (deal, wallet) = (self.deal.clone(), self.writer.wallet.clone());
        let (agreed, events) = (self.settled.agreed.clone(), self.events.clone());
        let span = debug_span!("register", haulout.blob.id = %self.blob_id);
        self.help(async move {
            let until = asking.await.ok().flatten();
            let settled = deal.settle(&wallet, agreed, until).instrument(span).await;
            let _ = events.send(Event::Registered(settled)).await;
        });
    }

    fn certify(&mut self, certificate: Certificate) {
        let done = (self.settled.clone(), self.earlier.plan.clone());
        let (wallet, events) = (self.writer.wallet.clone(), self.events.clone());
        let (session, deal) = (self.session.clone(), self.deal.clone());
        let span = debug_span!("certify", haulout.blob.id = %self.blob_id);
        let announcement = wire::encode(&Announcement { certificate: certificate.to_bytes() });
        let (source, observer) = (self.source.clone(), self.observer.clone());
        let certify = async move {
            if let Err(error) = unchanged(&source).await {
                let _ = events.send(Event::Changed(error)).await;
                return;
            }
            observer(Progress::Certifying);
            // Gossip is a hint: nodes that miss it read the event on chain.
            let announced = session.network.publish(Topic::Blob, announcement);
            let certify = deal.certify(&session, &wallet, done, &certificate);
            let (_, certified) = tokio::join!(announced, certify);
            let _ = events.send(Event::Certified(certified)).await;
        };
        self.help(certify.instrument(span));
    }

    fn help(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.helpers.push(AbortOnDropHandle::new(tokio::spawn(task.in_current_span())));
    }

    fn named(&self, members: &BTreeMap<usize, String>) -> Vec<(String, String)> {
        let named =
            |(member, reason): (&usize, &String)| (self.session.name(*member), reason.clone());
        members.iter().map(named).collect()
    }

    fn explain(&self, failure: Failure) -> PutError {
        if failure.other_epoch {
            return self.epoch_ended();
        }
        let Failure { reachable, silent, shards, quorum, members, .. } = failure;
        PutError::NoQuorum { reachable, silent, shards, quorum, members: self.named(&members) }
    }

    fn report(&self) -> PutReport {
        PutReport {
            shards: (self.machine.confirmed_weight(), self.session.committee.shards()),
            unhelpful: self.named(&self.unhelpful),
            evidence: self.evidence,
            ..report(self.session, &self.header, self.earlier.clone(), &self.settled)
        }
    }
}
