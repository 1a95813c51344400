//! The recovery of one segment's pairs: carries out what the machine decides.
//!
//! Promises: what is kept was recognised as what was committed to, and is durable; in memory are the symbols of one segment
//! and the pairs rebuilt from them, or the segment while it is read as a whole. Does not: decide whom to ask or blame, or
//! when to read.

use std::collections::{BTreeMap, VecDeque};

use haulout_protocol::machine::duty::Duty;
use haulout_protocol::machine::recovery::{Effect, Failure, Input, SegmentRecovery, Stock, Terms};
use haulout_protocol::machine::retry::End;
use haulout_protocol::machine::{Blame, Machine, RequestId};
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::{Axis, PairIndex, ShardIndex, pair_of_shard, shard_of_pair};
use haulout_protocol::writer_fault::WriterFault;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, debug, debug_span, info, warn};

use super::job::{Faulty, Job, Kept, Moved, RepairError};
use super::memory::Room;
use super::question::{Event, Given, Question, Wanted};
use super::rebuilding::{Material, Rebuilt};
use super::whole::{self, Found, Whole};
use crate::asking::{AskError, Clock};

/// Events a segment's requests may have waiting.
const EVENTS_WAITING_MAX: usize = 64;

/// The recovery of one segment.
pub(super) struct Recovery<'a> {
    job: &'a Job,
    clock: Clock,
    machine: SegmentRecovery,
    symbols: BTreeMap<(Axis, PairIndex), Given>,
    /// What came of sources before everything had to be proved.
    unproved: BTreeMap<(Axis, PairIndex), Given>,
    rebuilt: Rebuilt,
    /// What it holds of the memory of repairs; nothing only while it waits for another part.
    room: Option<Room>,
    requests: BTreeMap<RequestId, AbortOnDropHandle<()>>,
    events: mpsc::Sender<Event>,
    inbox: mpsc::Receiver<Event>,
    moved: Moved,
}

impl<'a> Recovery<'a> {
    /// Begins with what is here, and so much memory.
    pub(super) async fn begin(job: &'a Job, room: Room) -> Result<Recovery<'a>, RepairError> {
        let (session, parameters) = (&job.session, job.session.parameters);
        let (asked, held) = (
            job.clone(),
            tokio::task::spawn_blocking({
                let job = job.clone();
                move || job.held()
            }),
        );
        let held = held.await.map_err(|_| RepairError::Ended)??;
        let pair =
            |shard: &ShardIndex| pair_of_shard(&parameters, &asked.blob_id, asked.segment, *shard);
        let stock =
            Stock { lost: asked.lost.iter().map(pair).collect(), held, ourselves: job.ourselves() };
        let length = job.length();
        let symbol = u64::from(parameters.symbol_bytes(length));
        let targets = u64::try_from(stock.lost.len()).unwrap_or(u64::MAX);
        let terms = Terms {
            paces: session.paces(symbol.saturating_mul(targets)),
            said: job.said.clone(),
            patience_ms: session.patience_ms(),
            noise: session.noise().wrapping_add(u64::from(job.segment)),
        };
        let root = job.header.segments[job.segment as usize].slivers_root;
        let of = (&job.blob_id, job.segment, root);
        let (events, inbox) = mpsc::channel(EVENTS_WAITING_MAX);
        Ok(Recovery {
            machine: SegmentRecovery::new(parameters, &session.roster, of, stock, terms),
            job,
            clock: Clock::start(),
            symbols: BTreeMap::new(),
            unproved: BTreeMap::new(),
            rebuilt: Rebuilt::default(),
            room: Some(room),
            requests: BTreeMap::new(),
            events,
            inbox,
            moved: Moved::default(),
        })
    }

    /// Runs to the end; what was moved, and why that was not everything.
    pub(super) async fn run(mut self) -> (Moved, Result<(), RepairError>) {
        let end = self.work().await;
        (self.moved, end)
    }

    async fn work(&mut self) -> Result<(), RepairError> {
        let mut inputs = VecDeque::from([Input::Started]);
        loop {
            while let Some(input) = inputs.pop_front() {
                for effect in self.machine.handle(self.clock.now(), input) {
                    match effect {
                        Effect::Finish => return Ok(()),
                        Effect::Fail(failure) => return Err(self.failed(failure)),
                        effect => inputs.extend(self.perform(effect).await?),
                    }
                }
            }
            let deadline = self.machine.deadline();
            tokio::select! {
                event = self.inbox.recv() => {
                    inputs.extend(event.into_iter().flat_map(|event| self.take(event)));
                }
                () = self.clock.until(deadline) => inputs.push_back(Input::TimeReached),
            }
        }
    }

    /// Why it failed; with what shows it, if the writer is to blame.
    fn failed(&mut self, failure: Failure) -> RepairError {
        let Job { header, segment, .. } = self.job;
        match (failure, self.rebuilt.fault.take()) {
            (Failure::Inconsistent, Some(proof)) => {
                let fault = WriterFault::Segment { segment: *segment, proof: *proof };
                RepairError::Faulty(Box::new(Faulty { header: header.clone(), fault }))
            }
            (failure, _) => failure.into(),
        }
    }

    fn take(&mut self, event: Event) -> Vec<Input> {
        match event {
            Event::Arrived { request, axis, source, given, proof } => {
                let bytes: usize = given.symbols.iter().map(bytes::Bytes::len).sum();
                self.moved.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
                let before = self.unproved.remove(&(axis, source));
                let differs = before.is_some_and(|before| before.contradicts(&given));
                self.symbols.insert((axis, source), given);
                let differs = differs.then_some(Input::Differs { source });
                differs.into_iter().chain([Input::Arrived { request, source, proof }]).collect()
            }
            Event::Proved { request, pair, proof } => {
                let bytes = PairProof::bytes_of(pair, &self.job.session.parameters);
                self.moved.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
                vec![Input::Proved { request, pair, proof }]
            }
            Event::Missing { request, pair } => vec![Input::Missing { request, pair }],
            Event::Ended { request, member, result } => {
                self.requests.remove(&request);
                vec![self.ended(request, member, result)]
            }
        }
    }

    fn ended(&self, request: RequestId, member: usize, result: Result<(), AskError>) -> Input {
        let Err(error) = result else { return Input::Ended { request, end: End::Done } };
        let (session, peer) = (&self.job.session, self.job.session.peer(member));
        debug!(blob_id = %self.job.blob_id.short(), member = %session.name(member), %error, "symbols did not come");
        if let AskError::Wrong(_) = error {
            return Input::Lied { request }; // the machine blames
        }
        session.asker().report(peer, &error);
        Input::Ended { request, end: error.end() }
    }

    async fn perform(&mut self, effect: Effect) -> Result<Option<Input>, RepairError> {
        match effect {
            Effect::Ask { request, member, axis, sources, targets, with_proofs } => {
                let wanted = Wanted { axis, sources, targets, with_proofs };
                self.ask(request, member, async move |question: Question, events| {
                    question.symbols(wanted, &events).await
                });
            }
            Effect::AskProofs { request, member, pairs } => {
                self.ask(request, member, async move |question: Question, events| {
                    question.proofs(pairs, &events).await
                });
            }
            Effect::Cancel { request } => drop(self.requests.remove(&request)),
            Effect::Restart => {
                let symbols = std::mem::take(&mut self.symbols);
                self.unproved
                    .extend(symbols.into_iter().filter(|(_, given)| given.proved.is_empty()));
            }
            Effect::Rebuild { targets, sources, accuse } => {
                return self.rebuild(targets, &sources, accuse).await.map(Some);
            }
            Effect::Read => return self.read().await.map(Some),
            Effect::Keep { pairs } => self.keep(&pairs).await?,
            Effect::Silent { member } => {
                let session = &self.job.session;
                session.asker().fell_silent(session.peer(member));
            }
            Effect::Blame { member, reason } => {
                let session = &self.job.session;
                warn!(member = %session.name(member), %reason, "a member gave wrong symbols");
                session.asker().blame(session.peer(member), reason);
            }
            Effect::Finish | Effect::Fail(_) => (),
        }
        Ok(None)
    }

    fn ask<Ask, Task>(&mut self, request: RequestId, member: usize, ask: Ask)
    where
        Ask: FnOnce(Question, mpsc::Sender<Event>) -> Task + Send + 'static,
        Task: Future<Output = Result<(), AskError>> + Send,
    {
        let Job { session, blob_id, header, segment, .. } = self.job;
        let question = Question {
            session: session.clone(),
            blob_id: *blob_id,
            header: header.clone(),
            segment: *segment,
            request,
            member,
        };
        let events = self.events.clone();
        let task = async move {
            let result = ask(question, events.clone()).await;
            // Whoever asked may have what it needs by now.
            let _ = events.send(Event::Ended { request, member, result }).await;
        };
        let span = session.fetch_span(member, blob_id, *segment);
        let task = AbortOnDropHandle::new(tokio::spawn(task.instrument(span)));
        self.requests.insert(request, task);
    }

    async fn rebuild(
        &mut self,
        targets: Vec<PairIndex>,
        sources: &[Vec<PairIndex>; 2],
        accuse: bool,
    ) -> Result<Input, RepairError> {
        let of = |axis: Axis, sources: &[PairIndex]| {
            let given =
                |source: &PairIndex| Some((*source, self.symbols.get(&(axis, *source))?.clone()));
            sources.iter().filter_map(given).collect::<Vec<_>>()
        };
        let [primary, secondary] = sources;
        let material = Material {
            job: self.job.clone(),
            given: [of(Axis::Primary, primary), of(Axis::Secondary, secondary)],
            local: self.machine.local().clone(),
            known: self.machine.known().clone(),
            targets,
        };
        let span = debug_span!("rebuild", haulout.segment = self.job.segment);
        let work = move || span.in_scope(|| material.rebuild(accuse));
        let rebuilt = self.job.serving.in_background(Duty::Repair, work).await;
        self.rebuilt = rebuilt.ok_or(RepairError::Ended)??;
        let roots = self.rebuilt.pairs.iter().map(|(pair, rebuilt)| (*pair, rebuilt.roots));
        let is_inconsistent = self.rebuilt.fault.is_some();
        let gone = std::mem::take(&mut self.rebuilt.gone);
        Ok(Input::Rebuilt { roots: roots.collect(), is_inconsistent, gone })
    }

    /// Reads the whole segment; what came of symbols is given back first.
    async fn read(&mut self) -> Result<Input, RepairError> {
        let job = self.job;
        self.symbols.clear();
        self.unproved.clear();
        info!(blob_id = %job.blob_id, segment = job.segment, "too few nodes hold symbols of a segment, so all of it is read");
        let room = self.room.take().ok_or(RepairError::Ended)?;
        let (fetched, encoded) = whole::memory_bytes(job);
        let room = self.room.insert(room.instead(fetched, encoded).await);
        let lost = self.machine.lost().iter().copied().collect();
        let here = (self.machine.local().clone(), self.machine.known().clone());
        let Whole { found, fault, bytes } = whole::read(job, here, lost, room).await?;
        self.moved.bytes += bytes;
        let (pairs, input) = match found {
            Found::Pairs { pairs, proofs } => (pairs, Input::Read { proofs }),
            Found::Nothing { is_inconsistent } => {
                (BTreeMap::new(), Input::Unread { is_inconsistent })
            }
        };
        self.rebuilt = Rebuilt { pairs, fault, ..Rebuilt::default() };
        Ok(input)
    }

    /// Now that it is known what is right, it is known who sent something else before it had to be proved.
    async fn blame_liars(&mut self, kept: &[Kept]) -> Result<(), RepairError> {
        if self.unproved.is_empty() {
            return Ok(());
        }
        let unproved = std::mem::take(&mut self.unproved);
        let (job, kept) =
            (self.job.clone(), kept.iter().map(|kept| (kept.shard, kept.slivers.clone())));
        let kept: Vec<_> = kept.collect();
        let judged = move || job.liars(&kept, &unproved);
        let judged = self.job.serving.in_background(Duty::Repair, judged).await;
        let session = &self.job.session;
        for source in judged.ok_or(RepairError::Ended)? {
            let member = self.machine.owner_of(source);
            warn!(member = %session.name(member), "a member gave wrong symbols");
            session.asker().blame(session.peer(member), Blame::WrongBytes);
        }
        Ok(())
    }

    /// Makes rebuilt pairs durable.
    async fn keep(&mut self, pairs: &[PairIndex]) -> Result<(), RepairError> {
        let Job { session, blob_id, segment, .. } = self.job;
        let parameters = session.parameters;
        let mut kept = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let proof = self.machine.known().prove(*pair);
            let (Some(rebuilt), Some(proof)) = (self.rebuilt.pairs.remove(pair), proof) else {
                continue; // the machine keeps what it recognised, and that is rebuilt and known
            };
            let shard = shard_of_pair(&parameters, blob_id, *segment, *pair);
            kept.push(Kept { shard, proof: proof.to_bytes(), slivers: rebuilt.slivers });
        }
        self.blame_liars(&kept).await?;
        self.moved.pairs += u64::try_from(kept.len()).unwrap_or(u64::MAX);
        self.job.keep(kept).await
    }
}
