//! A node that repairs what it lacks: looks through its store, asks others for headers and symbols, as the machines decide.
//!
//! Promises: what is kept was recognised by the machine. Does not: hand shards over, or prove a writer's fault: nobody encodes
//! wrongly here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::recovery_symbols;
use haulout_protocol::machine::backlog::{self, Backlog, Outcome};
use haulout_protocol::machine::recovery::{Effect, Failure, Input, SegmentRecovery, Stock, Terms};
use haulout_protocol::machine::responsiveness::Pace;
use haulout_protocol::machine::retry::End;
use haulout_protocol::machine::roster::Roster;
use haulout_protocol::machine::{Machine, RequestId};
use haulout_protocol::pairs::PairProof;
use haulout_protocol::rebuild::{RebuiltPair, SourceSymbols, rebuild_pairs};
use haulout_protocol::sliver::{Axis, PairIndex, ShardIndex, pair_of_shard, shard_of_pair};
use haulout_protocol::wire::blob::{self, Answer, Question};
use haulout_protocol::wire::sliver::{self, Part as Wanted};
use haulout_protocol::wire::symbol::{Layout, Reply, Request};
use haulout_protocol::wire::{self, Refusal};
use haulout_storage::{Lacking, PageEnd, Scope, Store, StoreError};

use crate::check::Invariant;
use crate::env::{Env, Event, Part, Parts, StreamId, TaskId};
use crate::node::Node;

/// Streams of the node with this index belong to the task behind this.
pub(crate) const REPAIRS: TaskId = 1 << 32;
/// What goes behind a request for symbols: here all protocols share a stream.
pub(crate) const SYMBOLS: &[u8] = b"symbol/1";
/// How long a node waits for anything new.
const PATIENCE_MS: u64 = 5_000;
/// How often a node looks whether there is something to do.
const LOOK_MS: u64 = 400;

/// What was asked on a stream.
enum Ask {
    Header,
    Symbols {
        request: RequestId,
        axis: Axis,
        owed: Vec<u16>,
        targets: Vec<PairIndex>,
        with_proofs: bool,
    },
    Proofs {
        request: RequestId,
        owed: Vec<u16>,
    },
}

/// The symbols of one source.
#[derive(Clone)]
struct Given {
    targets: Vec<PairIndex>,
    symbols: Vec<Bytes>,
}

/// One segment being repaired.
struct Segment {
    number: u32,
    machine: SegmentRecovery,
    given: BTreeMap<(Axis, PairIndex), Given>,
    earlier: BTreeMap<(Axis, PairIndex), Given>,
    rebuilt: BTreeMap<PairIndex, RebuiltPair>,
}

/// One blob being repaired.
struct Job {
    blob_id: BlobId,
    header: Option<BlobHeader>,
    /// Who may still be asked for it.
    members: Vec<usize>,
    segments: VecDeque<(u32, BTreeSet<ShardIndex>)>,
    current: Option<Segment>,
    has_failed: bool,
    has_moved: bool,
}

/// What a node is at.
pub(crate) struct Repairer {
    backlog: Backlog,
    next: Option<PageEnd>,
    lacking: BTreeMap<BlobId, Lacking>,
    job: Option<Job>,
    asks: BTreeMap<StreamId, Ask>,
}

impl Default for Repairer {
    fn default() -> Self {
        Repairer {
            backlog: Backlog::new(1),
            next: None,
            lacking: BTreeMap::new(),
            job: None,
            asks: BTreeMap::new(),
        }
    }
}

fn end_of(refusal: &Refusal) -> End {
    match refusal {
        Refusal::Busy { retry_after_ms } => End::Again { after_ms: u64::from(*retry_after_ms) },
        refusal if refusal.is_transient() => End::Again { after_ms: 0 },
        _ => End::Never,
    }
}

impl Node {
    fn task(&self) -> TaskId {
        REPAIRS + self.index
    }

    /// It is time to look whether something is missing, or late.
    pub(crate) fn repair(&mut self, env: &mut Env) {
        let (node, incarnation) = (self.index, self.incarnation);
        env.after(LOOK_MS, Event::Repair { node, incarnation });
        if self.store.is_none() || self.lie.is_some() || self.is_behind() {
            return;
        }
        self.drive(env, backlog::Input::Stirred);
        if self.repairs.job.as_ref().is_some_and(|job| job.current.is_some()) {
            self.feed(env, Input::TimeReached);
        }
    }

    fn drive(&mut self, env: &mut Env, input: backlog::Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.repairs.backlog.handle(env.timestamp(), input) {
                match effect {
                    backlog::Effect::Look { is_first } => {
                        if is_first {
                            self.repairs.next = None;
                        }
                        inputs.push_back(self.page());
                    }
                    backlog::Effect::Repair(blob) => self.begin(env, blob),
                    backlog::Effect::Complete => {}
                }
            }
        }
    }

    fn page(&mut self) -> backlog::Input {
        let Some(store) = self.store.clone() else { return backlog::Input::LookFailed };
        let scope = Scope { epoch: self.epoch, shards: &self.shards, arriving_since_ms: u64::MAX };
        let segments_of = |bytes| self.parameters.segment_count(bytes);
        let page = store.missing(&scope, segments_of, self.repairs.next).expect("readable");
        self.wait(store.settled());
        self.repairs.next = page.end;
        let blobs = page.lacking.iter().map(|lacking| lacking.blob_id).collect();
        self.repairs.lacking = page.lacking.into_iter().map(|it| (it.blob_id, it)).collect();
        backlog::Input::Seen { blobs, is_last: page.end.is_none() }
    }

    fn begin(&mut self, env: &mut Env, blob_id: BlobId) {
        let lacking = self.repairs.lacking.remove(&blob_id).expect("it was on the last page");
        let mut segments: BTreeMap<u32, BTreeSet<ShardIndex>> = BTreeMap::new();
        for (segment, shard) in lacking.pairs {
            segments.entry(segment).or_default().insert(shard);
        }
        let store = self.store.clone().expect("it was read a moment ago");
        let header = store.header(&blob_id).ok().flatten();
        let header = header.and_then(|bytes| BlobHeader::from_bytes(&bytes, &self.parameters).ok());
        let mut members: Vec<_> =
            (0..env.settings.shards.len()).filter(|member| *member != self.index).collect();
        env.random.shuffle(&mut members);
        env.note(format_args!("n{} repairs {}", self.index, blob_id.short()));
        self.repairs.job = Some(Job {
            blob_id,
            header: header.filter(|_| lacking.has_header),
            members,
            segments: segments.into_iter().collect(),
            current: None,
            has_failed: false,
            has_moved: false,
        });
        drop(store);
        self.go_on(env);
    }

    /// The header first, then segment by segment.
    fn go_on(&mut self, env: &mut Env) {
        let task = self.task();
        let Some(job) = self.repairs.job.as_mut() else { return };
        if job.header.is_none() {
            let Some(member) = job.members.pop() else {
                job.has_failed = true;
                return self.end_job(env);
            };
            let stream = env.open(task, member);
            self.repairs.asks.insert(stream, Ask::Header);
            let blob_id = *job.blob_id.as_bytes();
            let request = blob::Request { blob_id, question: Question::Header, trace: None };
            return env.send_up(stream, vec![Part::frame(wire::encode(&request))]);
        }
        let Some((number, lost)) = job.segments.pop_front() else { return self.end_job(env) };
        let blob_id = job.blob_id;
        let held = match self.held(&blob_id, number, &lost) {
            Ok(held) => held,
            Err(error) => return self.failed(env, &error),
        };
        let pair = |shard: &ShardIndex| pair_of_shard(&self.parameters, &blob_id, number, *shard);
        let stock =
            Stock { lost: lost.iter().map(pair).collect(), held, ourselves: Some(self.index) };
        let roster = Roster::settled(Arc::new(self.committee(env)));
        let terms = Terms {
            paces: vec![Pace::Untried; roster.len()],
            patience_ms: PATIENCE_MS,
            noise: env.random.next(),
        };
        let job = self.repairs.job.as_mut().expect("it is being done");
        let header = job.header.as_ref().expect("it came first");
        let root = header.segments[usize::try_from(number).expect("few")].slivers_root;
        let of = (&blob_id, number, root);
        job.current = Some(Segment {
            number,
            machine: SegmentRecovery::new(self.parameters, &roster, of, stock, terms),
            given: BTreeMap::new(),
            earlier: BTreeMap::new(),
            rebuilt: BTreeMap::new(),
        });
        self.feed(env, Input::Started);
    }

    fn held(
        &self,
        blob_id: &BlobId,
        segment: u32,
        lost: &BTreeSet<ShardIndex>,
    ) -> Result<BTreeMap<PairIndex, PairProof>, StoreError> {
        let Some(store) = self.store.clone() else { return Ok(BTreeMap::new()) };
        let mut held = BTreeMap::new();
        for shard in self.shards.iter().filter(|shard| !lost.contains(shard)) {
            let pair = pair_of_shard(&self.parameters, blob_id, segment, *shard);
            let proof = self.sound(&store, store.pair_proof(blob_id, segment, *shard))?;
            let proof =
                proof.and_then(|it| PairProof::from_bytes(&it, pair, &self.parameters).ok());
            held.extend(proof.map(|proof| (pair, proof)));
        }
        Ok(held)
    }

    fn end_job(&mut self, env: &mut Env) {
        self.close_asks(env);
        let Some(job) = self.repairs.job.take() else { return };
        let outcome = match (job.has_failed, job.has_moved) {
            (false, _) => Outcome::Repaired,
            (true, true) => Outcome::Advanced,
            (true, false) => Outcome::Failed,
        };
        env.note(format_args!("n{} {outcome:?} {}", self.index, job.blob_id.short()));
        self.drive(env, backlog::Input::Done { blob: job.blob_id, outcome });
    }

    fn close_asks(&mut self, env: &mut Env) {
        std::mem::take(&mut self.repairs.asks).into_keys().for_each(|stream| env.close(stream));
    }

    fn end_segment(&mut self, env: &mut Env, failure: Option<Failure>) {
        self.close_asks(env);
        if let Some(failure @ (Failure::Inconsistent | Failure::Unrecognised)) = &failure {
            let what = format!("n{} calls a sound blob wrongly encoded: {failure}", self.index);
            env.violated(Invariant::ReadAgreement, what);
        }
        if let Some(job) = self.repairs.job.as_mut() {
            job.has_failed |= failure.is_some();
            job.current = None;
        }
        self.go_on(env);
    }

    fn feed(&mut self, env: &mut Env, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let job = self.repairs.job.as_mut();
            let Some(segment) = job.and_then(|job| job.current.as_mut()) else { return };
            for effect in segment.machine.handle(env.timestamp(), input) {
                env.note(format_args!("n{} repair: {effect:?}", self.index));
                match effect {
                    Effect::Finish => return self.end_segment(env, None),
                    Effect::Fail(failure) => return self.end_segment(env, Some(failure)),
                    effect => inputs.extend(self.carry_out(env, effect)),
                }
                if self.store.is_none() {
                    return;
                }
            }
        }
    }

    fn carry_out(&mut self, env: &mut Env, effect: Effect) -> Option<Input> {
        let task = self.task();
        let numbers = |pairs: &[PairIndex]| pairs.iter().map(|pair| pair.0).collect::<Vec<_>>();
        let job = self.repairs.job.as_mut()?;
        let blob_id = *job.blob_id.as_bytes();
        let segment = job.current.as_mut()?;
        match effect {
            Effect::Ask { request, member, axis, sources, targets, with_proofs } => {
                let stream = env.open(task, member);
                let owed = numbers(&sources);
                let asked = Request {
                    blob_id,
                    segment: segment.number,
                    axis,
                    sources: owed.clone(),
                    targets: numbers(&targets),
                    with_proofs,
                    trace: None,
                };
                let ask = Ask::Symbols { request, axis, owed, targets, with_proofs };
                self.repairs.asks.insert(stream, ask);
                env.send_up(stream, vec![Part::with(wire::encode(&asked), SYMBOLS)]);
            }
            Effect::AskProofs { request, member, pairs } => {
                let stream = env.open(task, member);
                let asked = sliver::Request::Get {
                    blob_id,
                    segment: segment.number,
                    axis: Axis::Primary,
                    part: Wanted::Proof,
                    pairs: numbers(&pairs),
                    trace: None,
                };
                self.repairs.asks.insert(stream, Ask::Proofs { request, owed: numbers(&pairs) });
                env.send_up(stream, vec![Part::frame(wire::encode(&asked))]);
            }
            Effect::Cancel { request } => {
                let is_it = |ask: &Ask| match ask {
                    Ask::Header => false,
                    Ask::Symbols { request: of, .. } | Ask::Proofs { request: of, .. } => {
                        *of == request
                    }
                };
                let found = self.repairs.asks.iter().find(|(_, ask)| is_it(ask));
                if let Some(stream) = found.map(|(stream, _)| *stream) {
                    self.repairs.asks.remove(&stream);
                    env.close(stream);
                }
            }
            Effect::Restart => {
                let given = std::mem::take(&mut segment.given);
                segment.earlier.extend(given);
            }
            Effect::Rebuild { targets, sources, .. } => return self.rebuild(&targets, &sources),
            Effect::Keep { pairs } => self.keep_pairs(env, &pairs),
            Effect::Silent { .. } => {}
            Effect::Blame { member, reason } => {
                if env.settings.lies[member].is_none() {
                    let what = format!("n{} blames n{member}: {reason}", self.index);
                    env.violated(Invariant::NobodyHonestBlamed, what);
                }
            }
            Effect::Finish | Effect::Fail(_) => {}
        }
        None
    }

    fn rebuild(&mut self, targets: &[PairIndex], sources: &[Vec<PairIndex>; 2]) -> Option<Input> {
        let store = self.store.clone()?;
        let (parameters, job) = (self.parameters, self.repairs.job.as_mut()?);
        let (blob_id, length) = (job.blob_id, job.header.as_ref()?.length);
        let segment = job.current.as_mut()?;
        let length = parameters.segment_length(length, segment.number);
        let mut all = [Vec::new(), Vec::new()];
        for (place, axis) in Axis::BOTH.into_iter().enumerate() {
            for source in &sources[place] {
                let given = &segment.given[&(axis, *source)];
                let symbol = |target: &PairIndex| {
                    let at = given.targets.iter().position(|it| it == target)?;
                    Some(given.symbols[at].clone())
                };
                let symbols: Option<Vec<_>> = targets.iter().map(symbol).collect();
                let symbols = symbols.expect("symbols came for all targets");
                all[place].push(SourceSymbols { source: *source, symbols });
            }
            let places: Vec<_> =
                targets.iter().map(|it| it.sliver_index(axis.other(), &parameters)).collect();
            for source in segment.machine.local() {
                let shard = shard_of_pair(&parameters, &blob_id, segment.number, *source);
                let sliver = store.sliver(&blob_id, segment.number, shard, axis).ok().flatten();
                let symbols = sliver.and_then(|sliver| {
                    recovery_symbols(&parameters, length, axis, &sliver, &places).ok()
                });
                all[place]
                    .extend(symbols.map(|symbols| SourceSymbols { source: *source, symbols }));
            }
        }
        let [primaries, secondaries] = &all;
        let rebuilt = rebuild_pairs(&parameters, length, targets, [primaries, secondaries]);
        // Too few, where a sliver of ours rotted: nothing is recognised then.
        let rebuilt = rebuilt.unwrap_or_default();
        segment.rebuilt = rebuilt.into_iter().map(|pair| (pair.pair, pair)).collect();
        let roots = segment.rebuilt.iter().map(|(pair, it)| (*pair, it.roots)).collect();
        Some(Input::Rebuilt { roots, is_inconsistent: false })
    }

    fn keep_pairs(&mut self, env: &mut Env, pairs: &[PairIndex]) {
        let Some(store) = self.store.clone() else { return };
        let (parameters, job) =
            (self.parameters, self.repairs.job.as_mut().expect("it is being done"));
        let blob_id = job.blob_id;
        let segment = job.current.as_mut().expect("it is being done");
        let written = (|| {
            let mut writer = store.segment_writer(blob_id, segment.number, 0)?;
            for pair in pairs {
                let rebuilt = &segment.rebuilt[pair];
                let proof = segment.machine.known().prove(*pair).expect("it was recognised");
                let shard = shard_of_pair(&parameters, &blob_id, segment.number, *pair);
                writer.append_proof(shard, &proof.to_bytes())?;
                for (axis, sliver) in Axis::BOTH.into_iter().zip(&rebuilt.slivers) {
                    writer.append(shard, axis, sliver)?;
                }
            }
            Ok::<_, StoreError>(writer)
        })();
        job.has_moved = true;
        let kept = written.and_then(|writer| self.wait(writer.commit()));
        drop(store);
        if let Err(error) = kept {
            self.failed(env, &error);
        }
    }

    // Streams.

    /// A stream of a repair is lost.
    pub(crate) fn repair_lost(&mut self, env: &mut Env, stream: StreamId) {
        self.ask_ended(env, stream, End::Again { after_ms: 0 });
    }

    fn ask_ended(&mut self, env: &mut Env, stream: StreamId, end: End) {
        env.close(stream);
        match self.repairs.asks.remove(&stream) {
            None => {}
            Some(Ask::Header) => self.go_on(env),
            Some(Ask::Symbols { request, .. } | Ask::Proofs { request, .. }) => {
                self.feed(env, Input::Ended { request, end });
            }
        }
    }

    /// What came proves nothing.
    fn ask_lied(&mut self, env: &mut Env, stream: StreamId) {
        env.close(stream);
        match self.repairs.asks.remove(&stream) {
            None => {}
            Some(Ask::Header) => self.go_on(env),
            Some(Ask::Symbols { request, .. } | Ask::Proofs { request, .. }) => {
                self.feed(env, Input::Lied { request });
            }
        }
    }

    /// A message came for a repair.
    pub(crate) fn repair_take(&mut self, env: &mut Env, stream: StreamId, parts: &Parts) {
        if self.store.is_none() {
            return;
        }
        match self.repairs.asks.get(&stream) {
            None => {}
            Some(Ask::Header) => self.take_header(env, stream, parts),
            Some(Ask::Proofs { .. }) => self.take_proofs(env, stream, parts),
            Some(Ask::Symbols { .. }) => self.take_symbols(env, stream, parts),
        }
    }

    fn take_header(&mut self, env: &mut Env, stream: StreamId, parts: &Parts) {
        self.repairs.asks.remove(&stream);
        env.close(stream);
        let (Some(part), Some(job)) = (parts.first(), self.repairs.job.as_mut()) else { return };
        let read = BlobHeader::read_verified(&part.raw, &self.parameters, &job.blob_id);
        if let (Ok(Answer::Header { .. }), Ok(header)) = (wire::decode(&part.frame), read) {
            let (blob_id, bytes) = (job.blob_id, header.to_bytes());
            job.header = Some(header);
            let Some(store) = self.store.clone() else { return };
            let kept = self.wait(store.put_header(&blob_id, bytes, 0));
            drop(store);
            if let Err(error) = kept {
                return self.failed(env, &error);
            }
        }
        self.go_on(env);
    }

    fn take_proofs(&mut self, env: &mut Env, stream: StreamId, parts: &Parts) {
        for part in parts {
            let Some(Ask::Proofs { request, owed }) = self.repairs.asks.get_mut(&stream) else {
                return;
            };
            let request = *request;
            let input = match wire::decode::<sliver::Reply>(&part.frame) {
                Ok(sliver::Reply::End) => return self.ask_ended(env, stream, End::Done),
                Ok(sliver::Reply::Refused(refusal)) => {
                    return self.ask_ended(env, stream, end_of(&refusal));
                }
                Ok(sliver::Reply::Missing { pair }) => {
                    take(owed, pair).map(|pair| Input::Missing { request, pair })
                }
                Ok(sliver::Reply::Proof { pair, .. }) => take(owed, pair).and_then(|pair| {
                    let job = self.repairs.job.as_ref()?;
                    let number = usize::try_from(job.current.as_ref()?.number).expect("few");
                    let root = &job.header.as_ref()?.segments[number].slivers_root;
                    let proof = PairProof::read_verified(&part.raw, pair, &self.parameters, root);
                    Some(Input::Proved { request, pair, proof: proof.ok()? })
                }),
                _ => None,
            };
            match input {
                Some(input) => self.feed(env, input),
                None => return self.ask_lied(env, stream),
            }
        }
    }

    fn take_symbols(&mut self, env: &mut Env, stream: StreamId, parts: &Parts) {
        for part in parts {
            let Some(Ask::Symbols { request, axis, owed, targets, with_proofs }) =
                self.repairs.asks.get_mut(&stream)
            else {
                return;
            };
            let (request, axis, targets, with_proofs) =
                (*request, *axis, targets.clone(), *with_proofs);
            let source = match wire::decode::<Reply>(&part.frame) {
                Ok(Reply::End) => return self.ask_ended(env, stream, End::Done),
                Ok(Reply::Refused(refusal)) => {
                    return self.ask_ended(env, stream, end_of(&refusal));
                }
                Ok(Reply::Missing { source }) => {
                    let Some(pair) = take(owed, source) else { return self.ask_lied(env, stream) };
                    self.feed(env, Input::Missing { request, pair });
                    continue;
                }
                Ok(Reply::Symbols { source, .. }) => take(owed, source),
                // Here all protocols share a stream, and refusals are those of slivers.
                Err(_) => match wire::decode(&part.frame) {
                    Ok(sliver::Reply::Refused(refusal)) => {
                        return self.ask_ended(env, stream, end_of(&refusal));
                    }
                    _ => None,
                },
            };
            let read = source.and_then(|source| {
                let read = self.read_symbols((axis, source), &targets, with_proofs, &part.raw)?;
                Some((source, read))
            });
            let Some((source, (given, proof))) = read else { return self.ask_lied(env, stream) };
            let Some(segment) = self.repairs.job.as_mut().and_then(|job| job.current.as_mut())
            else {
                return;
            };
            let before = segment.earlier.remove(&(axis, source));
            let differs = before.is_some_and(|before| {
                let same = |(target, symbol): (&PairIndex, &Bytes)| {
                    let at = before.targets.iter().position(|it| it == target);
                    at.is_none_or(|at| before.symbols[at] == *symbol)
                };
                !given.targets.iter().zip(&given.symbols).all(same)
            });
            segment.given.insert((axis, source), given);
            if differs {
                self.feed(env, Input::Differs { source });
            }
            self.feed(env, Input::Arrived { request, source, proof });
        }
    }

    /// The symbols of a source, verified if they are proved.
    fn read_symbols(
        &self,
        (axis, source): (Axis, PairIndex),
        targets: &[PairIndex],
        with_proofs: bool,
        raw: &Bytes,
    ) -> Option<(Given, Option<PairProof>)> {
        let job = self.repairs.job.as_ref()?;
        let (header, segment) = (job.header.as_ref()?, job.current.as_ref()?);
        let length = self.parameters.segment_length(header.length, segment.number);
        let layout = Layout::new(&self.parameters, length, source, targets.len(), with_proofs);
        if raw.len() != layout.bytes() {
            return None;
        }
        let given = Given { targets: targets.to_vec(), symbols: layout.symbols(raw) };
        if !with_proofs {
            return Some((given, None));
        }
        let (proof, proved) = layout.proved(raw, &self.parameters, (source, axis)).ok()?;
        let root = &header.segments[usize::try_from(segment.number).expect("few")].slivers_root;
        proof.verify(source, &self.parameters, root).ok()?;
        for (target, symbol) in targets.iter().zip(&proved) {
            let across = axis.other();
            let place = target.sliver_index(across, &self.parameters);
            symbol.verify(&self.parameters, length, across, place, proof.roots.of(axis)).ok()?;
        }
        Some((given, Some(proof)))
    }

    /// Whether nothing of what the ledger keeps is missing here.
    pub(crate) fn is_complete(&self) -> bool {
        let Some(store) = self.store.as_ref() else { return false };
        let lacking = |store: &Store| {
            let scope =
                Scope { epoch: self.epoch, shards: &self.shards, arriving_since_ms: u64::MAX };
            let segments_of = |bytes| self.parameters.segment_count(bytes);
            let page = store.missing(&scope, segments_of, None).expect("readable");
            self.wait(store.settled());
            !page.lacking.is_empty() || page.end.is_some()
        };
        !lacking(store)
    }
}

fn take(owed: &mut Vec<u16>, pair: u16) -> Option<PairIndex> {
    let at = owed.iter().position(|owed| *owed == pair)?;
    Some(PairIndex(owed.swap_remove(at)))
}
