//! The read of one segment: carries out what the machine of its download decides, for readers and for nodes that repair.
//!
//! Promises: nobody honest is blamed without a violation. Does not: wake itself, or compare what was read.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::{
    Buffers, SegmentPosition, SliverVerifier, decode_segment_checked,
};
use haulout_protocol::machine::download::{Effect, Failure, Input, SegmentDownload, Terms};
use haulout_protocol::machine::retry::End;
use haulout_protocol::machine::roster::Roster;
use haulout_protocol::machine::{Machine, RequestId};
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::{Axis, PairIndex};
use haulout_protocol::wire::sliver::{Part as Wanted, Reply, Request};
use haulout_protocol::wire::{self, Refusal};

use crate::check::Invariant;
use crate::env::{Env, Part, Parts, StreamId, TaskId};

/// One request for slivers.
struct Ask {
    request: RequestId,
    member: usize,
    axis: Axis,
    part: Wanted,
    owed: Vec<u16>,
}

/// Which segment.
#[derive(Clone, Debug)]
pub(crate) struct Of {
    pub(crate) blob_id: BlobId,
    pub(crate) header: BlobHeader,
    pub(crate) segment: u32,
}

/// One read.
pub(crate) struct Reading {
    task: TaskId,
    /// As the trace calls whoever reads.
    who: String,
    of: Of,
    machine: SegmentDownload,
    asks: BTreeMap<StreamId, Ask>,
    slivers: BTreeMap<(Axis, PairIndex), Bytes>,
    proofs: BTreeMap<PairIndex, PairProof>,
    decoded: Bytes,
    /// How it ended.
    pub(crate) end: Option<Result<Bytes, Failure>>,
}

/// When who refused like this is asked again.
pub(crate) fn end_of(refusal: &Refusal) -> End {
    match refusal {
        Refusal::Busy { retry_after_ms } => End::Again { after_ms: u64::from(*retry_after_ms) },
        refusal if refusal.is_transient() => End::Again { after_ms: 0 },
        _ => End::Never,
    }
}

impl Reading {
    /// Begins, for whoever holds these primary slivers itself.
    pub(crate) fn begin(
        env: &mut Env,
        (task, who): (TaskId, String),
        roster: &Roster,
        of: Of,
        terms: Terms,
        held: BTreeMap<PairIndex, Bytes>,
    ) -> Reading {
        let parameters = env.settings.parameters;
        let machine = SegmentDownload::new(parameters, roster, &of.blob_id, of.segment, terms);
        let machine = machine.with_held(held.keys().copied());
        let slivers = held.into_iter().map(|(pair, sliver)| ((Axis::Primary, pair), sliver));
        let mut reading = Reading {
            task,
            who,
            of,
            machine,
            asks: BTreeMap::new(),
            slivers: slivers.collect(),
            proofs: BTreeMap::new(),
            decoded: Bytes::new(),
            end: None,
        };
        reading.feed(env, Input::Started);
        reading
    }

    /// When it wants to be called again.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.machine.deadline().map(|deadline| deadline.0)
    }

    /// Ends all its streams.
    pub(crate) fn close(&mut self, env: &mut Env) {
        std::mem::take(&mut self.asks).into_keys().for_each(|stream| env.close(stream));
    }

    /// Tells the machine something.
    pub(crate) fn feed(&mut self, env: &mut Env, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.machine.handle(env.timestamp(), input) {
                env.note(format_args!("{}: {effect:?}", self.who));
                inputs.extend(self.perform(env, effect));
                if self.end.is_some() {
                    return self.close(env);
                }
            }
        }
    }

    fn perform(&mut self, env: &mut Env, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Ask { request, member, axis, part, pairs } => {
                let owed = pairs.iter().map(|pair| pair.0).collect();
                self.ask(env, Ask { request, member, axis, part, owed });
            }
            Effect::Cancel { request } => {
                let found = self.asks.iter().find(|(_, ask)| ask.request == request);
                if let Some(stream) = found.map(|(stream, _)| *stream) {
                    self.asks.remove(&stream);
                    env.close(stream);
                }
            }
            Effect::Decode { axis, pairs, .. } => return Some(self.decode(env, axis, &pairs)),
            Effect::Verify { axis, pairs } => return Some(self.verify(env, axis, &pairs)),
            Effect::Silent { .. } | Effect::Missed { .. } => {}
            Effect::Blame { member, reason } => {
                if env.settings.lies[member].is_none() {
                    let what = format!("{} blames n{member}: {reason}", self.who);
                    env.violated(Invariant::NobodyHonestBlamed, what);
                }
            }
            Effect::Finish => self.end = Some(Ok(std::mem::take(&mut self.decoded))),
            Effect::Fail(failure) => {
                if failure == Failure::Inconsistent {
                    let what = format!("{} calls a sound blob wrongly encoded", self.who);
                    env.violated(Invariant::ReadAgreement, what);
                }
                self.end = Some(Err(failure));
            }
        }
        None
    }

    fn ask(&mut self, env: &mut Env, ask: Ask) {
        let stream = env.open(self.task, ask.member);
        let request = Request::Get {
            blob_id: *self.of.blob_id.as_bytes(),
            segment: self.of.segment,
            axis: ask.axis,
            part: ask.part,
            pairs: ask.owed.clone(),
            trace: None,
        };
        self.asks.insert(stream, ask);
        env.send_up(stream, vec![Part::frame(wire::encode(&request))]);
    }

    fn position(&self) -> SegmentPosition {
        SegmentPosition { segment: self.of.segment, blob_bytes: self.of.header.length }
    }

    fn held(&self, env: &Env, axis: Axis, pairs: &[PairIndex]) -> Vec<(PairIndex, u16, Bytes)> {
        let parameters = &env.settings.parameters;
        let sliver = |pair: &PairIndex| {
            let bytes = self.slivers.get(&(axis, *pair))?.clone();
            Some((*pair, pair.sliver_index(axis, parameters), bytes))
        };
        pairs.iter().filter_map(sliver).collect()
    }

    fn decode(&mut self, env: &Env, axis: Axis, pairs: &[PairIndex]) -> Input {
        let held = self.held(env, axis, pairs).into_iter();
        let slivers: Vec<_> = held.map(|(_, index, bytes)| (index, bytes)).collect();
        let index = usize::try_from(self.of.segment).expect("small");
        let content = &self.of.header.segments[index].content;
        let (parameters, position) = (&env.settings.parameters, self.position());
        let buffers = Buffers::new(0);
        let decoded =
            decode_segment_checked(&buffers, parameters, position, axis, &slivers, content);
        let matches = decoded.is_ok();
        self.decoded = decoded.unwrap_or_default();
        Input::Decoded { matches }
    }

    fn verify(&mut self, env: &Env, axis: Axis, pairs: &[PairIndex]) -> Input {
        let parameters = &env.settings.parameters;
        let mut verifier = SliverVerifier::new(parameters, self.position().length(parameters));
        let mut wrong = Vec::new();
        for (pair, index, bytes) in self.held(env, axis, pairs) {
            let root = self.proofs.get(&pair).map(|proof| *proof.roots.of(axis));
            let is_right =
                root.is_some_and(|root| verifier.verify(axis, index, &bytes, &root).is_ok());
            if !is_right {
                wrong.push(pair);
            }
        }
        Input::Verified { wrong }
    }

    // Streams.

    /// Whether a stream is one of its own.
    pub(crate) fn owns(&self, stream: StreamId) -> bool {
        self.asks.contains_key(&stream)
    }

    /// A stream is over.
    pub(crate) fn ended(&mut self, env: &mut Env, stream: StreamId, end: End) {
        env.close(stream);
        if let Some(ask) = self.asks.remove(&stream) {
            self.feed(env, Input::Ended { request: ask.request, end });
        }
    }

    /// A message came on one of its streams.
    pub(crate) fn take(&mut self, env: &mut Env, stream: StreamId, parts: &Parts) {
        let mut parts = parts.iter();
        while let Some(part) = parts.next() {
            let (Some(ask), Ok(reply)) = (self.asks.get_mut(&stream), wire::decode(&part.frame))
            else {
                return;
            };
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
                    return Some(Input::Missing { request, pair });
                }
                self.keep(env, (axis, pair), sliver, proof)?;
                Some(Input::Arrived { request, pair })
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
        (axis, pair): (Axis, PairIndex),
        sliver: Option<Bytes>,
        proof: Option<Bytes>,
    ) -> Option<()> {
        let parameters = &env.settings.parameters;
        if let Some(proof) = proof {
            let index = usize::try_from(self.of.segment).expect("small");
            let root = &self.of.header.segments[index].slivers_root;
            let proof = PairProof::read_verified(&proof, pair, parameters, root).ok()?;
            self.proofs.insert(pair, proof);
        }
        if let Some(sliver) = sliver {
            let length = self.position().length(parameters);
            if sliver.len() != parameters.sliver_bytes(axis, length) {
                return None;
            }
            self.slivers.insert((axis, pair), sliver);
        }
        Some(())
    }
}

fn take(owed: &mut Vec<u16>, pair: u16) -> Option<()> {
    let at = owed.iter().position(|owed| *owed == pair)?;
    owed.swap_remove(at);
    Some(())
}
