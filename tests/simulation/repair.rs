//! A node that repairs what it lacks: looks through its store, asks former owners of shards for pairs, and others for headers
//! and symbols, as the machines decide.
//!
//! Promises: one blob at a time, and former owners beside it; what is kept was recognised by the machine. Does not: prove a
//! writer's fault: nobody encodes wrongly here.

pub(crate) mod handing;
mod segment;
mod streams;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::machine::backlog::{self, Backlog, Outcome};
use haulout_protocol::machine::handover;
use haulout_protocol::machine::recovery::{Input, SegmentRecovery, Stock, Terms};
use haulout_protocol::machine::responsiveness::Pace;
use haulout_protocol::machine::{Machine, RequestId, download};
use haulout_protocol::pairs::PairProof;
use haulout_protocol::rebuild::RebuiltPair;
use haulout_protocol::sliver::{Axis, PairIndex, ShardIndex, pair_of_shard};
use haulout_protocol::wire;
use haulout_protocol::wire::blob::{self, Question};
use haulout_protocol::wire::shard::Entry;
use haulout_storage::{Lacking, PageEnd, Scope, Store, StoreError};

use crate::env::{Env, Event, Part, StreamId, TaskId};
use crate::node::Node;
use crate::reading::Reading;
use crate::repair::handing::Handing;

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
    Page {
        request: RequestId,
        entries: Vec<Entry>,
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
    /// The read of all of it, once too few give symbols.
    reading: Option<Reading>,
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
    handing: Option<Handing>,
}

impl Default for Repairer {
    fn default() -> Self {
        Repairer {
            backlog: Backlog::new(1),
            next: None,
            lacking: BTreeMap::new(),
            job: None,
            asks: BTreeMap::new(),
            handing: None,
        }
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
        self.fill(env);
        self.handed(env, handover::Input::TimeReached);
        // Whoever had shards in another epoch is not asked for those of this one.
        let is_outdated = self.repairs.handing.as_ref().is_some_and(|it| it.epoch != self.epoch);
        let input = if is_outdated { backlog::Input::Outdated } else { backlog::Input::Stirred };
        self.drive(env, input);
        let current = self.repairs.job.as_mut().and_then(|job| job.current.as_mut());
        let Some(current) = current else { return };
        match current.reading.as_mut() {
            Some(reading) => {
                reading.feed(env, download::Input::TimeReached);
                self.look_at_reading(env);
            }
            None => self.feed(env, Input::TimeReached),
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
                            self.begin_handing(env);
                        }
                        inputs.push_back(self.page());
                    }
                    backlog::Effect::HandOver(blobs) => {
                        inputs.extend(self.hand_over(env, &blobs));
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
        let roster = env.roster(self.epoch);
        let terms = Terms {
            paces: vec![Pace::Untried; roster.len()],
            said: BTreeMap::new(),
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
            reading: None,
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
        self.drive(env, backlog::Input::Done { blob: job.blob_id, outcome, left: None });
    }

    /// Pages of former owners go on.
    fn close_asks(&mut self, env: &mut Env) {
        let current = self.repairs.job.as_mut().and_then(|job| job.current.as_mut());
        if let Some(reading) = current.and_then(|current| current.reading.as_mut()) {
            reading.close(env);
        }
        let is_page = |ask: &Ask| matches!(ask, Ask::Page { .. });
        let asks = std::mem::take(&mut self.repairs.asks);
        let (pages, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            asks.into_iter().partition(|(_, ask)| is_page(ask));
        self.repairs.asks = pages;
        others.into_keys().for_each(|stream| env.close(stream));
    }

    /// Whether nothing of what the ledger keeps is missing here.
    pub(crate) fn is_complete(&self) -> bool {
        let store = self.store.as_ref().filter(|_| self.judged == Some(self.epoch));
        let Some(store) = store else { return false };
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
