//! A reader: asks for the header, then carries out what the machine of each segment's download decides.
//!
//! Promises: what it hands over is compared with what was written. Does not: remember anything from one read to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use haulout_protocol::blob::BlobHeader;
use haulout_protocol::encoding::{
    Buffers, SegmentPosition, SliverVerifier, decode_segment_checked,
};
use haulout_protocol::machine::download::{self, Effect, Failure, SegmentDownload, Terms};
use haulout_protocol::machine::inquiry::{self, Inquiry};
use haulout_protocol::machine::responsiveness::Pace;
use haulout_protocol::machine::retry::End;
use haulout_protocol::machine::roster::Roster;
use haulout_protocol::machine::{Machine, RequestId};
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::{Axis, PairIndex};
use haulout_protocol::wire::blob::{self, Answer, Question};
use haulout_protocol::wire::sliver::{Part as Wanted, Reply, Request};
use haulout_protocol::wire::{self, Refusal};

use crate::check::Invariant;
use crate::env::{Env, Event, Part, Parts, StreamId, TaskId};
use crate::task::State;

/// How long a reader waits for anything new.
const PATIENCE_MS: u64 = 20_000;
/// Members asked for a header at once.
const WIDTH: usize = 2;

/// One request for slivers.
struct Ask {
    request: RequestId,
    member: usize,
    axis: Axis,
    part: Wanted,
    owed: Vec<u16>,
}

/// One read.
pub(crate) struct Get {
    id: TaskId,
    pub(crate) blob: usize,
    roster: Roster,
    inquiry: Inquiry,
    headers: BTreeMap<StreamId, usize>,
    header: Option<BlobHeader>,
    segment: u32,
    machine: Option<SegmentDownload>,
    asks: BTreeMap<StreamId, Ask>,
    slivers: BTreeMap<(Axis, PairIndex), Bytes>,
    proofs: BTreeMap<PairIndex, PairProof>,
    decoded: Bytes,
    bytes: Vec<u8>,
    wake_at: Option<u64>,
    pub(crate) state: State,
}

fn end_of(refusal: &Refusal) -> End {
    match refusal {
        Refusal::Busy { retry_after_ms } => End::Again { after_ms: u64::from(*retry_after_ms) },
        refusal if refusal.is_transient() => End::Again { after_ms: 0 },
        _ => End::Never,
    }
}

impl Get {
    pub(crate) fn new(env: &mut Env, id: TaskId, blob: usize) -> Get {
        let roster = Roster::settled(Arc::new(env.committee(env.ledger.epoch())));
        let mut order: Vec<usize> = (0..roster.len()).collect();
        env.random.shuffle(&mut order);
        let noise = env.random.next();
        let mut get = Get {
            id,
            blob,
            roster,
            inquiry: Inquiry::new(order, WIDTH, PATIENCE_MS, noise),
            headers: BTreeMap::new(),
            header: None,
            segment: 0,
            machine: None,
            asks: BTreeMap::new(),
            slivers: BTreeMap::new(),
            proofs: BTreeMap::new(),
            decoded: Bytes::new(),
            bytes: Vec::new(),
            wake_at: None,
            state: State::Running,
        };
        get.inquire(env, inquiry::Input::Started);
        get
    }

    fn end(&mut self, env: &mut Env, state: State) {
        env.note(format_args!("get {} of {}: {state:?}", self.id, self.blob));
        self.close_all(env);
        self.state = state;
    }

    fn close_all(&mut self, env: &mut Env) {
        std::mem::take(&mut self.headers).into_keys().for_each(|stream| env.close(stream));
        std::mem::take(&mut self.asks).into_keys().for_each(|stream| env.close(stream));
    }

    // The header.

    fn inquire(&mut self, env: &mut Env, input: inquiry::Input) {
        for effect in self.inquiry.handle(env.timestamp(), input) {
            match effect {
                inquiry::Effect::Ask { member } => {
                    let stream = env.open(self.id, member);
                    self.headers.insert(stream, member);
                    let blob_id = *env.blobs[self.blob].blob_id.as_bytes();
                    let question = Question::Header;
                    let request = blob::Request { blob_id, question, trace: None };
                    env.send_up(stream, vec![Part::frame(wire::encode(&request))]);
                }
                inquiry::Effect::GiveUp => {
                    return self.end(env, State::Failed("no header".to_owned()));
                }
            }
        }
        self.set_alarm(env);
    }

    /// What a member says of the header.
    fn take_header(&mut self, env: &mut Env, member: usize, part: &Part) {
        let known = &env.blobs[self.blob];
        let read = BlobHeader::read_verified(&part.raw, &env.settings.parameters, &known.blob_id);
        let end = match (wire::decode::<Answer>(&part.frame), read) {
            (Ok(Answer::Header { .. }), Ok(header)) => {
                self.header = Some(header);
                self.close_all(env);
                return self.begin_segment(env);
            }
            (Ok(Answer::Refused(refusal)), _) => end_of(&refusal),
            _ => match wire::decode::<Reply>(&part.frame) {
                Ok(Reply::Refused(refusal)) => end_of(&refusal),
                _ => End::Never,
            },
        };
        self.inquire(env, inquiry::Input::Ended { member, end });
    }

    // Segments.

    fn begin_segment(&mut self, env: &mut Env) {
        let known = &env.blobs[self.blob];
        let terms = Terms {
            paces: vec![Pace::Untried; self.roster.len()],
            patience_ms: PATIENCE_MS,
            noise: env.random.next(),
            certified: None,
        };
        let parameters = env.settings.parameters;
        let machine =
            SegmentDownload::new(parameters, &self.roster, &known.blob_id, self.segment, terms);
        self.machine = Some(machine);
        self.slivers.clear();
        self.proofs.clear();
        self.feed(env, download::Input::Started);
    }

    fn feed(&mut self, env: &mut Env, input: download::Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let Some(machine) = self.machine.as_mut() else { return };
            for effect in machine.handle(env.timestamp(), input) {
                env.note(format_args!("get {}: {effect:?}", self.id));
                inputs.extend(self.perform(env, effect));
                if self.state != State::Running {
                    return;
                }
            }
        }
        self.set_alarm(env);
    }

    fn perform(&mut self, env: &mut Env, effect: Effect) -> Option<download::Input> {
        match effect {
            Effect::Ask { request, member, axis, part, pairs } => {
                let owed = pairs.iter().map(|pair| pair.0).collect();
                self.ask(env, Ask { request, member, axis, part, owed });
            }
            Effect::Cancel { request } => {
                let found = self.asks.iter().find(|(_, ask)| ask.request == request);
                if let Some((stream, _)) = found.map(|(stream, ask)| (*stream, ask.member)) {
                    self.asks.remove(&stream);
                    env.close(stream);
                }
            }
            Effect::Decode { axis, pairs, .. } => return Some(self.decode(env, axis, &pairs)),
            Effect::Verify { axis, pairs } => return Some(self.verify(env, axis, &pairs)),
            Effect::Silent { .. } | Effect::Missed { .. } => {}
            Effect::Blame { member, reason } => {
                if env.settings.lies[member].is_none() {
                    let what = format!("get {} blames n{member}: {reason}", self.id);
                    env.violated(Invariant::NobodyHonestBlamed, what);
                }
            }
            Effect::Finish => self.finish_segment(env),
            Effect::Fail(failure) => {
                if failure == Failure::Inconsistent {
                    let what = format!("get {} calls a sound blob wrongly encoded", self.id);
                    env.violated(Invariant::ReadAgreement, what);
                }
                self.end(env, State::Failed(failure.to_string()));
            }
        }
        None
    }

    fn ask(&mut self, env: &mut Env, ask: Ask) {
        let stream = env.open(self.id, ask.member);
        let request = Request::Get {
            blob_id: *env.blobs[self.blob].blob_id.as_bytes(),
            segment: self.segment,
            axis: ask.axis,
            part: ask.part,
            pairs: ask.owed.clone(),
            trace: None,
        };
        self.asks.insert(stream, ask);
        env.send_up(stream, vec![Part::frame(wire::encode(&request))]);
    }

    fn position(&self, env: &Env) -> SegmentPosition {
        SegmentPosition { segment: self.segment, blob_bytes: env.blobs[self.blob].header.length }
    }

    fn held(&self, env: &Env, axis: Axis, pairs: &[PairIndex]) -> Vec<(PairIndex, u16, Bytes)> {
        let parameters = &env.settings.parameters;
        let sliver = |pair: &PairIndex| {
            let bytes = self.slivers.get(&(axis, *pair))?.clone();
            Some((*pair, pair.sliver_index(axis, parameters), bytes))
        };
        pairs.iter().filter_map(sliver).collect()
    }

    fn decode(&mut self, env: &Env, axis: Axis, pairs: &[PairIndex]) -> download::Input {
        let held = self.held(env, axis, pairs).into_iter();
        let slivers: Vec<_> = held.map(|(_, index, bytes)| (index, bytes)).collect();
        let header = self.header.as_ref().expect("it comes first");
        let index = usize::try_from(self.segment).expect("small");
        let content = &header.segments[index].content;
        let (parameters, position) = (&env.settings.parameters, self.position(env));
        let buffers = Buffers::new(0);
        let decoded =
            decode_segment_checked(&buffers, parameters, position, axis, &slivers, content);
        let matches = decoded.is_ok();
        self.decoded = decoded.unwrap_or_default();
        download::Input::Decoded { matches }
    }

    fn verify(&mut self, env: &Env, axis: Axis, pairs: &[PairIndex]) -> download::Input {
        let parameters = &env.settings.parameters;
        let mut verifier = SliverVerifier::new(parameters, self.position(env).length(parameters));
        let mut wrong = Vec::new();
        for (pair, index, bytes) in self.held(env, axis, pairs) {
            let root = self.proofs.get(&pair).map(|proof| *proof.roots.of(axis));
            let is_right =
                root.is_some_and(|root| verifier.verify(axis, index, &bytes, &root).is_ok());
            if !is_right {
                wrong.push(pair);
            }
        }
        download::Input::Verified { wrong }
    }

    fn finish_segment(&mut self, env: &mut Env) {
        let decoded = std::mem::take(&mut self.decoded);
        self.bytes.extend_from_slice(&decoded);
        self.close_all(env);
        self.segment += 1;
        let segments = self.header.as_ref().map_or(0, |header| header.segments.len());
        if usize::try_from(self.segment).expect("small") < segments {
            return self.begin_segment(env);
        }
        self.machine = None;
        if self.bytes != env.blobs[self.blob].bytes {
            let what = format!("get {} hands over other bytes than were written", self.id);
            env.violated(Invariant::ReadIntegrity, what);
        }
        self.end(env, State::Done);
    }

    // Streams.

    /// A stream is lost, or silent for too long.
    pub(crate) fn lost(&mut self, env: &mut Env, stream: StreamId) {
        self.ended(env, stream, End::Again { after_ms: 0 });
    }

    fn ended(&mut self, env: &mut Env, stream: StreamId, end: End) {
        env.close(stream);
        if let Some(member) = self.headers.remove(&stream) {
            self.inquire(env, inquiry::Input::Ended { member, end });
        } else if let Some(ask) = self.asks.remove(&stream) {
            self.feed(env, download::Input::Ended { request: ask.request, end });
        }
    }

    /// A message came.
    pub(crate) fn take(&mut self, env: &mut Env, stream: StreamId, parts: &Parts) {
        if self.state != State::Running {
            return;
        }
        if let Some(member) = self.headers.remove(&stream) {
            env.close(stream);
            if let Some(part) = parts.first() {
                self.take_header(env, member, part);
            }
            return;
        }
        let mut parts = parts.iter();
        while let Some(part) = parts.next() {
            let (Some(ask), Ok(reply)) = (self.asks.get_mut(&stream), wire::decode(&part.frame))
            else {
                return;
            };
            let segment = self.segment;
            let taken = match reply {
                Reply::Missing { pair } => take(&mut ask.owed, pair).map(|()| (pair, None, None)),
                Reply::Sliver { pair, .. } if !ask.part.has_proof() => {
                    take(&mut ask.owed, pair).map(|()| (pair, Some(part.raw.clone()), None))
                }
                Reply::Proof { pair, .. } if ask.part.has_proof() => {
                    let sliver = match ask.part.has_sliver() {
                        true => parts.next().map(|part| part.raw.clone()),
                        false => None,
                    };
                    take(&mut ask.owed, pair).map(|()| (pair, sliver, Some(part.raw.clone())))
                }
                Reply::End => return self.ended(env, stream, End::Done),
                Reply::Refused(refusal) => return self.ended(env, stream, end_of(&refusal)),
                _ => None,
            };
            let (request, axis) = (ask.request, ask.axis);
            let input = taken.and_then(|(pair, sliver, proof)| {
                let pair = PairIndex(pair);
                if sliver.is_none() && proof.is_none() {
                    return Some(download::Input::Missing { request, pair });
                }
                self.keep(env, (segment, axis, pair), sliver, proof)?;
                Some(download::Input::Arrived { request, pair })
            });
            match input {
                Some(input) => self.feed(env, input),
                None => return self.ended(env, stream, End::Never),
            }
        }
    }

    /// Keeps what came of a pair, if it is as long as it must be and its proof holds.
    fn keep(
        &mut self,
        env: &Env,
        (segment, axis, pair): (u32, Axis, PairIndex),
        sliver: Option<Bytes>,
        proof: Option<Bytes>,
    ) -> Option<()> {
        let parameters = &env.settings.parameters;
        if let Some(proof) = proof {
            let header = self.header.as_ref()?;
            let root = &header.segments[usize::try_from(segment).expect("small")].slivers_root;
            let proof = PairProof::read_verified(&proof, pair, parameters, root).ok()?;
            self.proofs.insert(pair, proof);
        }
        if let Some(sliver) = sliver {
            let length = self.position(env).length(parameters);
            if sliver.len() != parameters.sliver_bytes(axis, length) {
                return None;
            }
            self.slivers.insert((axis, pair), sliver);
        }
        Some(())
    }

    // Time.

    fn deadline(&self) -> Option<u64> {
        let deadline = match &self.machine {
            Some(machine) => machine.deadline(),
            None => self.inquiry.deadline(),
        };
        deadline.map(|deadline| deadline.0)
    }

    fn set_alarm(&mut self, env: &mut Env) {
        let Some(deadline) = self.deadline().filter(|_| self.state == State::Running) else {
            return;
        };
        if self.wake_at.is_none_or(|at| at > deadline || at < env.now) {
            self.wake_at = Some(deadline);
            env.at(deadline, Event::Wake { task: self.id });
        }
    }

    /// It is time.
    pub(crate) fn wake(&mut self, env: &mut Env) {
        if self.state != State::Running {
            return;
        }
        self.wake_at = None;
        if self.deadline().is_none_or(|deadline| deadline > env.now) {
            return self.set_alarm(env);
        }
        match &self.machine {
            Some(_) => self.feed(env, download::Input::TimeReached),
            None => self.inquire(env, inquiry::Input::TimeReached),
        }
    }
}

fn take(owed: &mut Vec<u16>, pair: u16) -> Option<()> {
    let at = owed.iter().position(|owed| *owed == pair)?;
    owed.swap_remove(at);
    Some(())
}
