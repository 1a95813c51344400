//! A put: a blob encoded segment by segment and sent to its committee until a quorum confirms.
//!
//! Promises: at most [`WINDOW`] encoded segments are in memory; an interrupted put that is repeated sends only what
//! nodes lack and pays only once, because nodes say what they hold and the chain says what is registered. Does not:
//! seal the bytes. A blob longer than [`WINDOW`] segments is read twice: its id must be known before a byte is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::encoding::{Buffers, EncodedSegment};
use haulout_protocol::machine::Machine;
use haulout_protocol::machine::upload::{Effect, Failure, Input, Upload};
use haulout_protocol::message::Persistence;
use haulout_protocol::wire::{self, announcement::Announcement, blob::State};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, debug, debug_span};

use super::{Clock, Observer, Progress, Session, locate};
use crate::chain::{CallError, Chain, Registration, Wallet};
use crate::limits;
use crate::network::Topic;

mod identify;
mod sender;
mod source;

pub use crate::chain::Cost;
pub use identify::header;
use identify::{Identified, encode, identify, unchanged};
use sender::{Command, Sender};
pub use source::{Source, SourceError, SourceFile};

/// Encoded segments in memory at once: one being sent, one being encoded.
pub const WINDOW: usize = 2;

/// Events waiting for the upload's task.
const EVENTS_WAITING_MAX: usize = 64;

/// What to store a blob as.
#[derive(Clone, Copy, Debug)]
pub struct PutOptions {
    /// How many epochs to keep it, the current one included.
    pub epochs: u32,
    /// Whether the owner may delete it before.
    pub deletable: bool,
    /// Store it again even if it is certified for long enough already.
    pub force: bool,
}

/// What a put did.
#[derive(Clone, Debug)]
pub struct PutReport {
    /// The blob's id.
    pub blob_id: BlobId,
    /// Its length in bytes.
    pub length: u64,
    /// BLAKE3 hash of the blob, as `b3sum` prints it.
    pub content_hash: [u8; 32],
    /// First epoch in which it is gone.
    pub end_epoch: u32,
    /// The new object on chain; nothing if the blob was certified already.
    pub object: Option<ObjectId>,
    /// What registration and certificate cost, in FROST (10^-9 WAL) and MIST (10^-9 SUI).
    pub cost: Cost,
    /// Shards whose nodes confirmed this put, none if the blob was certified already; and shards in all.
    pub shards: (u16, u16),
    /// Members that did not help, by name, and why.
    pub unhelpful: Vec<(String, String)>,
}

/// What was done for a blob before the epoch ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// What it cost.
    pub cost: Cost,
    /// The end it was registered for.
    pub end_epoch: Option<u32>,
}

/// Why a blob cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Its bytes cannot be read, or changed meanwhile.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Too few nodes can confirm.
    #[error("only {reachable} of {shards} shards can confirm; {quorum} needed")]
    NoQuorum {
        /// Shards of the members still of use.
        reachable: u16,
        /// Shards in all.
        shards: u16,
        /// Shards of a quorum.
        quorum: u16,
        /// Members that failed, by name, and why.
        members: Vec<(String, String)>,
    },
    /// The epoch ended meanwhile: what was signed in it is worth nothing now. Going on with the
    /// committee of now sends nothing and pays nothing twice.
    #[error("the epoch ended while the blob was stored; store it again, nothing is paid twice")]
    EpochEnded(Earlier),
    /// The ledger refused or cannot be reached.
    #[error(transparent)]
    Chain(#[from] CallError),
    /// Longer than the header may commit to.
    #[error("the blob has {0} bytes, more than a header can commit to")]
    TooLarge(u64),
    /// A worker ended before its time.
    #[error("the client is shutting down")]
    Ended,
}

impl PutError {
    /// Whether trying again, unchanged, can help.
    pub fn is_transient(&self) -> bool {
        match self {
            PutError::NoQuorum { .. } | PutError::EpochEnded(_) | PutError::Ended => true,
            PutError::Chain(error) => error.is_transient(),
            PutError::Source(_) | PutError::TooLarge(_) => false,
        }
    }
}

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
    let blob_id = identified.header.blob_id();
    debug!(%blob_id, length = identified.header.length, "blob identified");
    let epoch = session.committee.epoch().0;
    let end_epoch = earlier.end_epoch.filter(|end| *end > epoch);
    let end_epoch = end_epoch.unwrap_or(epoch.saturating_add(options.epochs));
    let options = PutOptions { epochs: end_epoch.saturating_sub(epoch), ..options };
    if !options.force
        && let Some(end_epoch) = certified_until(session, &blob_id, end_epoch).await
    {
        return Ok(PutReport {
            blob_id,
            length: identified.header.length,
            content_hash: identified.header.content_hash(&session.parameters),
            end_epoch,
            object: None,
            cost: earlier.cost,
            shards: (0, session.committee.shards()),
            unhelpful: Vec::new(),
        });
    }
    observer(Progress::Located);
    let mut task = Task::new(session, writer, source.clone(), options, observer, identified);
    task.earlier = earlier.cost;
    task.run().await
}

/// The end of an existing certification that lasts at least as long as wanted. Slow nodes are not waited for: storing
/// a blob twice is dearer, not wrong.
async fn certified_until(session: &Session, blob_id: &BlobId, wanted: u32) -> Option<u32> {
    let standing = locate::standing(session, blob_id);
    let standing = tokio::time::timeout(limits::STANDING_WAIT_MAX, standing).await.ok()?;
    match standing.state {
        Some(State::Certified { end_epoch, .. }) if end_epoch >= wanted => Some(end_epoch),
        _ => None,
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

/// What the upload's helpers report.
enum Event {
    Input(Input),
    Encoded(u32, Result<EncodedSegment, PutError>),
    Registered(Result<Registered, CallError>),
    Certified(Result<u64, CallError>),
    /// The bytes are not those that were sent: what was confirmed is not certified.
    Changed(PutError),
}

/// A blob object to certify.
#[derive(Clone, Copy, Debug)]
struct Registered {
    object: ObjectId,
    end_epoch: u32,
    cost: Cost,
}

/// The put of one blob: carries out what the machine decides.
struct Task<'a> {
    session: &'a Session,
    writer: Writer<'a>,
    source: Arc<Source>,
    options: PutOptions,
    observer: &'a Observer,
    header: Arc<BlobHeader>,
    blob_id: BlobId,
    clock: Clock,
    machine: Upload,
    encoded: BTreeMap<u32, Arc<EncodedSegment>>,
    buffers: Buffers,
    senders: BTreeMap<usize, (mpsc::Sender<Command>, AbortOnDropHandle<()>)>,
    helpers: Vec<AbortOnDropHandle<()>>,
    registered: Option<Registered>,
    gas: u64,
    /// What attempts in earlier epochs cost.
    earlier: Cost,
    unhelpful: BTreeMap<usize, String>,
    events: mpsc::Sender<Event>,
    inbox: mpsc::Receiver<Event>,
}

impl<'a> Task<'a> {
    fn new(
        session: &'a Session,
        writer: Writer<'a>,
        source: Arc<Source>,
        options: PutOptions,
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
            options,
            observer,
            header: identified.header,
            blob_id,
            clock: Clock::start(),
            encoded: identified.encoded,
            buffers: Buffers::new(limits::ENCODING_BYTES_KEPT_MAX),
            senders: BTreeMap::new(),
            helpers: Vec::new(),
            registered: None,
            gas: 0,
            earlier: Cost::default(),
            unhelpful: BTreeMap::new(),
            events,
            inbox,
        }
    }

    async fn run(mut self) -> Result<PutReport, PutError> {
        let mut inputs = vec![Input::Started];
        loop {
            while let Some(input) = inputs.pop() {
                if let Input::Failed { member, reason } = &input {
                    self.unhelpful.insert(*member, reason.clone());
                }
                for effect in self.machine.handle(self.clock.now(), input) {
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
                    inputs.push(self.take(event)?);
                },
                () = self.clock.until(deadline) => inputs.push(Input::TimeReached),
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<Input, PutError> {
        Ok(match event {
            Event::Input(input) => {
                if let Input::Confirmed { .. } = input {
                    (self.observer)(Progress::Confirmed {
                        shards: self.machine.confirmed_weight(),
                    });
                }
                input
            }
            Event::Encoded(segment, encoded) => {
                self.encoded.insert(segment, Arc::new(self.unchanged(segment, encoded?)?));
                Input::Encoded { segment }
            }
            Event::Registered(registered) => {
                let registered = registered?;
                (self.observer)(Progress::Registered);
                self.registered = Some(registered);
                let persistence = match self.options.deletable {
                    true => Persistence::Deletable(registered.object),
                    false => Persistence::Permanent,
                };
                Input::Registered { persistence }
            }
            Event::Certified(gas) => {
                self.gas += gas.map_err(|error| self.not_certified(error))?;
                Input::Certified
            }
            Event::Changed(error) => return Err(error),
        })
    }

    /// A certificate of an epoch that ended is refused, and another one can be had.
    fn not_certified(&self, error: CallError) -> PutError {
        match error.abort() {
            Some(Abort::WrongEpoch | Abort::EpochMismatch) => PutError::EpochEnded(self.so_far()),
            _ => PutError::Chain(error),
        }
    }

    /// What was done until now.
    fn so_far(&self) -> Earlier {
        let end_epoch = self.registered.map(|registered| registered.end_epoch);
        Earlier { cost: self.cost(), end_epoch }
    }

    /// What was paid until now, in earlier epochs too.
    fn cost(&self) -> Cost {
        let paid = self.registered.map(|registered| registered.cost).unwrap_or_default();
        let earlier = self.earlier;
        Cost { wal: earlier.wal + paid.wal, gas: earlier.gas + paid.gas + self.gas }
    }

    /// The file must not change between the reading that named the blob and the one that sends it.
    fn unchanged(&self, segment: u32, encoded: EncodedSegment) -> Result<EncodedSegment, PutError> {
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
                let deletable = self.registered.filter(|_| self.options.deletable);
                let finish = Command::Finish(deletable.map(|registered| registered.object));
                return self.command(member, finish);
            }
            Effect::Blame { member, reason } => {
                self.unhelpful.insert(member, reason.to_string());
                self.session.network.blame(self.session.peer(member), reason);
            }
            Effect::Drop { member } => {
                self.senders.remove(&member);
                self.unhelpful.entry(member).or_insert_with(|| "too slow for this upload".into());
            }
            Effect::Certify(certificate) => self.certify(*certificate),
            Effect::Done | Effect::Fail(_) => (),
        }
        None
    }

    fn open(&mut self, member: usize) {
        // A member's queue holds everything the machine can have in flight for it: the window and the finish.
        let (commands, queue) = mpsc::channel(WINDOW + 1);
        let sender = Sender::new(self.session.clone(), self.blob_id, self.header.clone(), member);
        let events = self.events.clone();
        let task = async move { sender.run(queue, events).await };
        let span = self.session.send_span(member, &self.blob_id);
        let task = AbortOnDropHandle::new(tokio::spawn(task.instrument(span)));
        self.senders.insert(member, (commands, task));
    }

    fn command(&mut self, member: usize, command: Command) -> Option<Input> {
        let (commands, _) = self.senders.get(&member)?;
        // A full or closed queue means the sender ended; its own report may still be on the way.
        let failed = |_| Input::Failed { member, reason: "its stream ended".into() };
        commands.try_send(command).map_err(failed).err()
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
        let Writer { chain, wallet } = self.writer;
        let (chain, wallet, events) = (chain.clone(), wallet.clone(), self.events.clone());
        let registration = Registration {
            blob_id: self.blob_id,
            root: self.header.blob_root(),
            length: self.header.length,
            epochs: self.options.epochs,
            deletable: self.options.deletable,
        };
        self.help(async move {
            let span = debug_span!("register", haulout.blob.id = %registration.blob_id);
            let registered = register(&chain, &wallet, &registration).instrument(span).await;
            let _ = events.send(Event::Registered(registered)).await;
        });
    }

    fn certify(&mut self, certificate: Certificate) {
        let Some(registered) = self.registered else { return };
        let Writer { chain, wallet } = self.writer;
        let (chain, wallet, events) = (chain.clone(), wallet.clone(), self.events.clone());
        let network = self.session.network.clone();
        let span = debug_span!("certify", haulout.blob.id = %self.blob_id);
        let announcement = wire::encode(&Announcement { certificate: certificate.to_bytes() });
        let source = self.source.clone();
        let certify = async move {
            if let Err(error) = unchanged(&source).await {
                let _ = events.send(Event::Changed(error)).await;
                return;
            }
            // Gossip is a hint: nodes that miss it read the event on chain.
            let announced = network.publish(Topic::Blob, announcement);
            let (_, certified) = tokio::join!(
                announced,
                chain.certify_blob(&wallet, &registered.object, &certificate)
            );
            let gas = certified.map(|certified| certified.cost.gas);
            let _ = events.send(Event::Certified(gas)).await;
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
            return PutError::EpochEnded(self.so_far());
        }
        let Failure { reachable, shards, quorum, members, .. } = failure;
        PutError::NoQuorum { reachable, shards, quorum, members: self.named(&members) }
    }

    fn report(&self) -> PutReport {
        let registered = self.registered;
        PutReport {
            blob_id: self.blob_id,
            length: self.header.length,
            content_hash: self.header.content_hash(&self.session.parameters),
            end_epoch: registered.map_or(0, |registered| registered.end_epoch),
            object: registered.map(|registered| registered.object),
            cost: self.cost(),
            shards: (self.machine.confirmed_weight(), self.session.committee.shards()),
            unhelpful: self.named(&self.unhelpful),
        }
    }
}

/// Registers the blob, or takes up a registration an earlier, interrupted put left uncertified.
async fn register(
    chain: &Chain,
    wallet: &Wallet,
    registration: &Registration,
) -> Result<Registered, CallError> {
    if let Some(found) = chain.uncertified_blob(wallet, registration).await? {
        let cost = Cost::default();
        return Ok(Registered { object: found.object, end_epoch: found.end_epoch.0, cost });
    }
    let new = chain.register_blob(wallet, registration).await?;
    Ok(Registered { object: new.object, end_epoch: new.end_epoch.0, cost: new.cost })
}

/// Segments a node holds already, as it says.
fn stored_set(stored: Vec<u32>, segments: usize) -> BTreeSet<u32> {
    stored.into_iter().filter(|segment| (*segment as usize) < segments).collect()
}
