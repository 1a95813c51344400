//! A writer: carries out what the upload's machine decides.
//!
//! Promises: pays when the machine says so and not before; what it sends is what a real writer sends. Does not: go back to a
//! node whose stream was lost, as real senders do for a while: who puts again later does.

use std::collections::BTreeMap;

use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::committee::Committee;
use haulout_protocol::crypto::Signature;
use haulout_protocol::encoding::{EncodedSegment, SegmentPosition, encode_segment};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::upload::{Effect, Input, Upload};
use haulout_protocol::machine::{Blame, Machine};
use haulout_protocol::message::Persistence;
use haulout_protocol::wire;
use haulout_protocol::wire::announcement::Announcement;
use haulout_protocol::wire::sliver::{Reply, Request};

use crate::check::Invariant;
use crate::env::{ChainStep, Env, Event, NETWORK, Part, Parts, StreamId, TaskId};
use crate::serve::share;
use crate::task::State;

/// Attempts, one for each committee.
const ATTEMPTS_MAX: u32 = 4;
/// How long a transaction takes.
const CHAIN_MS: (u64, u64) = (20, 800);

/// What a writer wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) blob: usize,
    pub(crate) deletable: bool,
    pub(crate) epochs: u32,
    pub(crate) pays: bool,
}

/// One put.
pub(crate) struct Put {
    id: TaskId,
    pub(crate) order: Order,
    committee: Committee,
    machine: Upload,
    encoded: BTreeMap<u32, EncodedSegment>,
    streams: BTreeMap<usize, StreamId>,
    ready_weight: u16,
    object: Option<ObjectId>,
    certificate: Option<Certificate>,
    attempt: u32,
    wake_at: Option<u64>,
    pub(crate) state: State,
}

impl Put {
    pub(crate) fn new(env: &mut Env, id: TaskId, order: Order) -> Put {
        let committee = env.committee(env.ledger.epoch());
        let machine = machine(env, &committee, order.blob);
        let mut put = Put {
            id,
            order,
            committee,
            machine,
            encoded: BTreeMap::new(),
            streams: BTreeMap::new(),
            ready_weight: 0,
            object: None,
            certificate: None,
            attempt: 0,
            wake_at: None,
            state: State::Running,
        };
        put.feed(env, Input::Started);
        put
    }

    fn feed(&mut self, env: &mut Env, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            if self.state != State::Running {
                return;
            }
            for effect in self.machine.handle(env.timestamp(), input) {
                inputs.extend(self.perform(env, effect));
            }
        }
        self.set_alarm(env);
    }

    fn set_alarm(&mut self, env: &mut Env) {
        if let Some(deadline) = self.machine.deadline().map(|deadline| deadline.0)
            && self.wake_at.is_none_or(|at| at > deadline || at < env.now)
        {
            self.wake_at = Some(deadline);
            env.at(deadline, Event::Wake { task: self.id });
        }
    }

    fn perform(&mut self, env: &mut Env, effect: Effect) -> Option<Input> {
        env.note(format_args!("put {}: {}", self.id, told(&effect)));
        match effect {
            Effect::Open { member } => self.open(env, member),
            Effect::Register => self.register(env),
            Effect::Encode { segment } => return Some(self.encode(env, segment)),
            Effect::Send { member, segment } => self.send(env, member, segment),
            Effect::Release { segment } => drop(self.encoded.remove(&segment)),
            Effect::Finish { member } => self.finish(env, member),
            Effect::Blame { member, reason } => self.blame(env, member, reason),
            Effect::Drop { member, .. } => {
                if let Some(stream) = self.streams.remove(&member) {
                    env.close(stream);
                }
            }
            Effect::Certify(certificate) => self.certify(env, *certificate),
            Effect::Done => self.end(env, State::Done),
            Effect::Fail(failure) if failure.other_epoch => self.again(env),
            Effect::Fail(failure) => {
                if failure.reachable >= self.committee.quorum() {
                    let what = format!("put {} gives up with a quorum in reach", self.id);
                    env.violated(Invariant::WriteLiveness, what);
                }
                self.end(env, State::Failed(failure.to_string()));
            }
        }
        None
    }

    fn end(&mut self, env: &mut Env, state: State) {
        env.note(format_args!("put {} of {}: {state:?}", self.id, self.order.blob));
        std::mem::take(&mut self.streams).into_values().for_each(|stream| env.close(stream));
        self.encoded.clear();
        self.state = state;
    }

    /// The epoch ended: begins anew with the committee of now, and the object that was paid for.
    fn again(&mut self, env: &mut Env) {
        self.attempt += 1;
        if self.attempt >= ATTEMPTS_MAX {
            return self.end(env, State::Failed("epochs end too often".to_owned()));
        }
        std::mem::take(&mut self.streams).into_values().for_each(|stream| env.close(stream));
        self.encoded.clear();
        (self.ready_weight, self.certificate) = (0, None);
        self.committee = env.committee(env.ledger.epoch());
        self.machine = machine(env, &self.committee, self.order.blob);
        self.feed(env, Input::Started);
    }

    fn open(&mut self, env: &mut Env, member: usize) {
        let stream = env.open(self.id, member);
        self.streams.insert(member, stream);
        let known = &env.blobs[self.order.blob];
        let header = known.header.to_bytes();
        let header_bytes = u32::try_from(header.len()).expect("small");
        let put = Request::Put { blob_id: *known.blob_id.as_bytes(), header_bytes, trace: None };
        env.send_up(stream, vec![Part::with(wire::encode(&put), header)]);
    }

    fn encode(&mut self, env: &mut Env, segment: u32) -> Input {
        let known = &env.blobs[self.order.blob];
        let parameters = env.settings.parameters;
        let position = SegmentPosition { segment, blob_bytes: known.header.length };
        let start = usize::try_from(segment * parameters.segment_bytes()).expect("small");
        let end = start + usize::try_from(position.length(&parameters)).expect("small");
        let encoded = encode_segment(&parameters, position, known.bytes.slice(start..end));
        self.encoded.insert(segment, encoded);
        if self.encoded.len() > env.settings.window {
            let what = format!("put {} has {} segments in memory", self.id, self.encoded.len());
            env.violated(Invariant::BoundedResources, what);
        }
        Input::Encoded { segment }
    }

    fn send(&mut self, env: &mut Env, member: usize, segment: u32) {
        let (Some(stream), Some(encoded)) = (self.streams.get(&member), self.encoded.get(&segment))
        else {
            return;
        };
        let shards = &self.committee.members()[member].shards;
        let blob_id = env.blobs[self.order.blob].blob_id;
        let parts = share(&env.settings.parameters, &blob_id, (segment, encoded), shards);
        let stream = *stream;
        env.send_up(stream, parts);
        let takes = env.random.within(0..50);
        env.after(takes, Event::Left { stream, segment });
    }

    /// The bytes of a segment left for a node.
    pub(crate) fn left(&mut self, env: &mut Env, stream: StreamId, segment: u32) {
        if let Some(member) = self.member(stream) {
            self.feed(env, Input::Sent { member, segment });
        }
    }

    fn finish(&mut self, env: &mut Env, member: usize) {
        let Some(stream) = self.streams.get(&member).copied() else { return };
        if let Some(found) = env.streams.get_mut(&stream) {
            found.is_owed = true;
        }
        let deletable = self.object.filter(|_| self.order.deletable);
        env.send_up(stream, vec![Part::frame(wire::encode(&Request::Finish { deletable }))]);
    }

    fn blame(&mut self, env: &mut Env, member: usize, reason: Blame) {
        if env.settings.lies[member].is_none() {
            let what = format!("put {} blames n{member}: {reason}", self.id);
            env.violated(Invariant::NobodyHonestBlamed, what);
        }
    }

    // The ledger.

    fn register(&mut self, env: &mut Env) {
        if !self.committee.is_quorum(self.ready_weight) {
            let what = format!("put {} pays when {} shards answered", self.id, self.ready_weight);
            env.violated(Invariant::NoPaymentInVain, what);
        }
        let wait = env.random.within(CHAIN_MS.0..CHAIN_MS.1);
        let (task, step) = (self.id, ChainStep::Register);
        env.after(wait, Event::Chain { task, step });
    }

    fn certify(&mut self, env: &mut Env, certificate: Certificate) {
        self.certificate = Some(certificate);
        let wait = env.random.within(CHAIN_MS.0..CHAIN_MS.1);
        let (task, step) = (self.id, ChainStep::Certify);
        env.after(wait, Event::Chain { task, step });
    }

    /// A transaction is through.
    pub(crate) fn chain(&mut self, env: &mut Env, step: ChainStep) {
        if self.state != State::Running {
            return;
        }
        match step {
            ChainStep::Register => self.registered(env),
            ChainStep::Certify => self.certified(env),
        }
    }

    fn registered(&mut self, env: &mut Env) {
        if !self.order.pays {
            return self.end(env, State::Left);
        }
        let epoch = env.ledger.epoch().0;
        let is_live = |object: &ObjectId| {
            let blob = env.ledger.blobs.get(object);
            blob.is_some_and(|blob| epoch < blob.storage.end_epoch)
        };
        if !self.object.as_ref().is_some_and(is_live) {
            let header = env.blobs[self.order.blob].header.clone();
            let Order { deletable, epochs, .. } = self.order;
            match env.ledger.register(&header, deletable, epochs) {
                Ok(object) => self.object = Some(object),
                Err(abort) => return self.end(env, State::Failed(format!("{abort:?}"))),
            }
        }
        let persistence = match (self.object, self.order.deletable) {
            (Some(object), true) => Persistence::Deletable(object),
            _ => Persistence::Permanent,
        };
        self.feed(env, Input::Registered { persistence });
    }

    fn certified(&mut self, env: &mut Env) {
        let (Some(object), Some(certificate)) = (self.object, self.certificate.clone()) else {
            return;
        };
        match env.ledger.certify(&object, &certificate) {
            Ok(()) => {
                let certificate = certificate.to_bytes();
                env.gossip(&wire::encode(&Announcement { certificate }));
                self.feed(env, Input::Certified);
            }
            // Where shards moved, the ledger finds other signers or weights in it before it looks at the epoch.
            Err(
                Abort::WrongEpoch
                | Abort::EpochMismatch
                | Abort::InvalidBitmap
                | Abort::NotEnoughWeight
                | Abort::BadSignature,
            ) if self.committee.epoch() != env.ledger.epoch() => self.again(env),
            // Its owner deleted it, or its time ran out.
            Err(abort @ (Abort::WrongObject | Abort::ResourceBounds)) => {
                self.end(env, State::Failed(format!("{abort:?}")));
            }
            Err(abort) => {
                let what =
                    format!("the ledger refuses the certificate of put {}: {abort:?}", self.id);
                env.violated(Invariant::NoPaymentInVain, what);
            }
        }
    }

    // Streams.

    fn member(&self, stream: StreamId) -> Option<usize> {
        let found = self.streams.iter().find(|(_, other)| **other == stream);
        found.map(|(member, _)| *member)
    }

    /// A node is of no use.
    fn failed(&mut self, env: &mut Env, member: usize, reason: String) {
        if let Some(stream) = self.streams.remove(&member) {
            env.close(stream);
        }
        env.note(format_args!("put {}: n{member}: {reason}", self.id));
        self.feed(env, Input::Failed { member, reason });
    }

    /// A stream is lost, or silent for too long.
    pub(crate) fn lost(&mut self, env: &mut Env, stream: StreamId) {
        if let Some(member) = self.member(stream) {
            self.failed(env, member, "its stream ended".to_owned());
        }
    }

    /// A message came.
    pub(crate) fn take(&mut self, env: &mut Env, stream: StreamId, parts: &Parts) {
        let Some(member) = self.member(stream) else { return };
        let segments = env.blobs[self.order.blob].header.segments.len();
        for part in parts {
            match wire::decode::<Reply>(&part.frame) {
                Ok(Reply::Ready { stored }) => {
                    let exists =
                        |segment: &u32| usize::try_from(*segment).expect("small") < segments;
                    let stored = stored.into_iter().filter(exists).collect();
                    self.ready_weight += self.committee.weight(member);
                    if let Some(found) = env.streams.get_mut(&stream) {
                        found.is_owed = false;
                    }
                    self.feed(env, Input::Ready { member, stored });
                }
                Ok(Reply::Stored { .. }) => {}
                Ok(Reply::Confirmed { epoch, signature }) => {
                    if let Some(found) = env.streams.get_mut(&stream) {
                        found.is_owed = false;
                    }
                    match Signature::from_bytes(&signature) {
                        Ok(signature) => {
                            let epoch = Epoch(epoch);
                            self.feed(env, Input::Confirmed { member, epoch, signature });
                        }
                        Err(error) => self.failed(env, member, error.to_string()),
                    }
                }
                Ok(Reply::Refused(refusal)) => self.failed(env, member, refusal.to_string()),
                _ => self.failed(env, member, "nonsense".to_owned()),
            }
        }
    }

    /// It is time, unless the deadline moved since.
    pub(crate) fn wake(&mut self, env: &mut Env) {
        if self.state != State::Running {
            return;
        }
        self.wake_at = None;
        match self.machine.deadline().is_some_and(|deadline| deadline.0 <= env.now) {
            true => self.feed(env, Input::TimeReached),
            false => self.set_alarm(env),
        }
    }
}

fn machine(env: &Env, committee: &Committee, blob: usize) -> Upload {
    let known = &env.blobs[blob];
    let segments = u32::try_from(known.header.segments.len()).expect("few");
    Upload::new(committee.clone(), NETWORK, known.blob_id, segments, env.settings.window)
}

/// An effect in a few words, without the bytes of certificates.
fn told(effect: &Effect) -> String {
    match effect {
        Effect::Certify(certificate) => format!("Certify {:?}", certificate.signers),
        other => format!("{other:?}"),
    }
}
