//! A get: segments fetched from many nodes at once, decoded, checked and handed out in order.
//!
//! Promises: every byte handed out belongs to a segment whose content hash matched; at most [`SEGMENTS_AHEAD`] segments
//! are in memory; liars are blamed by name and change nothing. Does not: open sealed blobs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use haulout_protocol::blob::{BlobHeader, BlobId, Encoding};
use haulout_protocol::crypto::Digest;
use haulout_protocol::encoding::{self, Buffers, Parameters, SegmentPosition, SliverVerifier};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::download::{Effect, Failure, Input, SegmentDownload, Terms};
use haulout_protocol::machine::retry::End;
use haulout_protocol::machine::{Machine, RequestId};
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::{Axis, PairIndex};
use haulout_protocol::wire::sliver::Part;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, debug, debug_span, warn};

use super::client::Session;
use super::locate::{self, LocateError, Located};
use super::progress::{Observer, Progress, Unhelpful};
use crate::asking::{AskError, Clock, Obstacle};

mod question;

use question::{Event, Question};

/// Segments fetched or decoded at once: one to hand out, one on its way.
pub const SEGMENTS_AHEAD: usize = 2;

/// Events a segment's requests may have waiting: they stop reading when the decoder is behind.
const EVENTS_WAITING_MAX: usize = 64;

/// How much a reader checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// The bytes match the content hash: every reader gets the same bytes or an error.
    #[default]
    Default,
    /// Also encodes the bytes again and compares every root: every *subset* of slivers gives these bytes.
    Strict,
}

/// Why a blob cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// No header.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// Too few slivers of a segment can be had.
    #[error("{}", unavailable(*.is_short, *.segment, *.available, *.needed))]
    Unavailable {
        /// Which blob.
        blob_id: BlobId,
        /// Whether it is a short blob, which has symbols, and no segments.
        is_short: bool,
        /// Which segment.
        segment: u32,
        /// Slivers or symbols held or obtainable.
        available: u16,
        /// Slivers or symbols needed.
        needed: u16,
        /// Whether waiting is in vain: the nodes that hold these slivers' shards said that they do not have them.
        is_lost: bool,
        /// Members that failed to deliver.
        members: Vec<Unhelpful>,
    },
    /// The writer encoded the blob wrongly.
    #[error("{} was encoded inconsistently by its writer; nobody can read this blob", part(*.is_short, *.segment))]
    Inconsistent {
        /// Whether it is a short blob, which has no segments.
        is_short: bool,
        /// Which segment.
        segment: u32,
    },
    /// The bytes could not be written out.
    #[error("the blob's bytes cannot be written out")]
    Sink(#[from] std::io::Error),
    /// A worker ended before its time.
    #[error("the client is shutting down")]
    Ended,
}

/// What a reader calls a part of a blob: a short one has no parts.
fn part(is_short: bool, segment: u32) -> String {
    if is_short { "the blob".to_owned() } else { format!("segment {segment}") }
}

fn unavailable(is_short: bool, segment: u32, available: u16, needed: u16) -> String {
    let kind = if is_short { "symbols" } else { "slivers" };
    let part = part(is_short, segment);
    format!("{part} is unavailable: {available} of {needed} {kind} can be had")
}

impl GetError {
    /// Whether trying again, unchanged, can help.
    pub fn is_transient(&self) -> bool {
        match self {
            GetError::Locate(
                LocateError::Unavailable { .. } | LocateError::NotCertified { .. },
            ) => true,
            GetError::Locate(
                LocateError::NotFound(_) | LocateError::Expired { .. } | LocateError::Invalid(_),
            ) => false,
            GetError::Locate(LocateError::NoHeader { is_lost, .. })
            | GetError::Unavailable { is_lost, .. } => !is_lost,
            GetError::Ended => true,
            GetError::Inconsistent { .. } | GetError::Sink(_) => false,
        }
    }
}

/// What a get did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetReport {
    /// Length of the blob in bytes.
    pub length: u64,
    /// BLAKE3 hash of the blob, as `b3sum` prints it.
    pub content_hash: [u8; 32],
}

/// Writes the blob's bytes, in order and verified, to `sink`.
pub async fn get(
    session: &Session,
    blob_id: &BlobId,
    consistency: Consistency,
    sink: &mut (impl AsyncWrite + Unpin),
    observer: &Observer,
) -> Result<GetReport, GetError> {
    let span = debug_span!("locate", haulout.blob.id = %blob_id);
    let Located { header, certified } = locate::header(session, blob_id).instrument(span).await?;
    let header = Arc::new(header);
    let buffers = Buffers::new(SEGMENTS_AHEAD * session.parameters.segment_bytes() as usize);
    observer(Progress::Located { bytes: header.length });
    let count = u32::try_from(header.segments.len()).unwrap_or(u32::MAX);
    let fetch = |segment| {
        let task = Fetch::new(
            session.clone(),
            buffers.clone(),
            *blob_id,
            (header.clone(), certified),
            segment,
            consistency,
        );
        AbortOnDropHandle::new(tokio::spawn(task.run().in_current_span()))
    };
    let mut segments =
        std::pin::pin!(futures::stream::iter((0..count).map(fetch)).buffered(SEGMENTS_AHEAD));
    let mut bytes = 0;
    while let Some(segment) = segments.next().await {
        let segment = match segment.map_err(|_| GetError::Ended)? {
            Err(error @ GetError::Unavailable { .. }) => {
                let gone = locate::not_readable(session, blob_id).await;
                return Err(gone.map_or(error, GetError::Locate));
            }
            segment => segment?,
        };
        sink.write_all(&segment).await?;
        bytes += segment.len() as u64;
        observer(Progress::Transferred { bytes });
    }
    sink.flush().await?;
    let content_hash = header.content_hash(&session.parameters);
    Ok(GetReport { length: header.length, content_hash })
}

/// What a segment was decoded from.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) slivers: BTreeMap<(Axis, PairIndex), Bytes>,
    /// Proofs that came with them, verified.
    pub(crate) proofs: BTreeMap<PairIndex, PairProof>,
    /// Bytes that came.
    pub(crate) bytes: u64,
}

/// Reads one segment of a blob whose header is known, for whoever holds some of its primary slivers itself: its bytes, and what
/// came for it.
pub(crate) async fn segment(
    session: &Session,
    blob_id: &BlobId,
    header: &Arc<BlobHeader>,
    (segment, held): (u32, BTreeMap<PairIndex, Bytes>),
) -> (Result<Bytes, GetError>, Came) {
    let of = (header.clone(), None);
    let default = Consistency::Default;
    let mut fetch = Fetch::new(session.clone(), Buffers::new(0), *blob_id, of, segment, default);
    let here: usize = held.values().map(Bytes::len).sum();
    fetch.machine = fetch.machine.with_held(held.keys().copied());
    let held = held.into_iter().map(|(pair, sliver)| ((Axis::Primary, pair), sliver));
    fetch.slivers = held.collect();
    let end = fetch.work().await;
    let all: usize = fetch.slivers.values().map(Bytes::len).sum();
    let bytes = u64::try_from(all.saturating_sub(here)).unwrap_or(u64::MAX);
    (end.map(|()| fetch.decoded), Came { slivers: fetch.slivers, proofs: fetch.proofs, bytes })
}

/// The fetch of one segment: carries out what the machine decides.
struct Fetch {
    session: Session,
    buffers: Buffers,
    blob_id: BlobId,
    header: Arc<BlobHeader>,
    segment: u32,
    consistency: Consistency,
    clock: Clock,
    machine: SegmentDownload,
    slivers: BTreeMap<(Axis, PairIndex), Bytes>,
    proofs: BTreeMap<PairIndex, PairProof>,
    axis_of: BTreeMap<RequestId, Axis>,
    requests: BTreeMap<RequestId, AbortOnDropHandle<()>>,
    reasons: BTreeMap<usize, (String, Obstacle)>,
    decoded: Bytes,
    events: mpsc::Sender<Event>,
    inbox: mpsc::Receiver<Event>,
}

impl Fetch {
    fn new(
        session: Session,
        buffers: Buffers,
        blob_id: BlobId,
        (header, certified): (Arc<BlobHeader>, Option<Epoch>),
        segment: u32,
        consistency: Consistency,
    ) -> Self {
        let (events, inbox) = mpsc::channel(EVENTS_WAITING_MAX);
        let (parameters, roster) = (session.parameters, session.roster.clone());
        let length = parameters.segment_length(header.length, segment);
        let bytes = match header.encoding {
            Encoding::Segments => parameters.sliver_bytes(Axis::Primary, length),
            Encoding::Short => parameters.short_symbol_bytes(length) as usize,
        };
        let terms = Terms {
            paces: session.paces(u64::try_from(bytes).unwrap_or(u64::MAX)),
            patience_ms: session.patience_ms(),
            noise: session.noise().wrapping_add(u64::from(segment)),
            certified,
        };
        let machine = match header.encoding {
            Encoding::Segments => {
                SegmentDownload::new(parameters, &roster, &blob_id, segment, terms)
            }
            Encoding::Short => {
                SegmentDownload::of_short(parameters, &roster, &blob_id, length, terms)
            }
        };
        Fetch {
            machine,
            session,
            buffers,
            blob_id,
            header,
            segment,
            consistency,
            clock: Clock::start(),
            slivers: BTreeMap::new(),
            proofs: BTreeMap::new(),
            axis_of: BTreeMap::new(),
            requests: BTreeMap::new(),
            reasons: BTreeMap::new(),
            decoded: Bytes::new(),
            events,
            inbox,
        }
    }

    fn position(&self) -> SegmentPosition {
        SegmentPosition { segment: self.segment, blob_bytes: self.header.length }
    }

    fn length(&self) -> u32 {
        self.session.parameters.segment_length(self.header.length, self.segment)
    }

    async fn run(mut self) -> Result<Bytes, GetError> {
        self.work().await?;
        Ok(self.decoded)
    }

    /// Until the segment is decoded.
    async fn work(&mut self) -> Result<(), GetError> {
        let mut inputs = VecDeque::from([Input::Started]);
        loop {
            while let Some(input) = inputs.pop_front() {
                for effect in self.machine.handle(self.clock.now(), input) {
                    match effect {
                        Effect::Finish => return Ok(()),
                        Effect::Fail(failure) => return Err(self.explain(failure)),
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

    fn take(&mut self, event: Event) -> Vec<Input> {
        match event {
            Event::Arrived { request, pair, parts } => {
                // What comes of a request that was cancelled is nobody's: another member may have sent the same.
                let axis = self.axis_of.get(&request).copied();
                let axis = axis.filter(|_| self.requests.contains_key(&request));
                let Some(axis) = axis else { return Vec::new() };
                let mut inputs = Vec::new();
                if let Some(sliver) = parts.sliver {
                    let before = self.slivers.insert((axis, pair), sliver.clone());
                    let differs = before.is_some_and(|before| before != sliver);
                    inputs.extend(differs.then_some(Input::Differs { pair }));
                }
                if let Some(proof) = parts.proof {
                    self.proofs.insert(pair, proof);
                }
                inputs.push(Input::Arrived { request, pair });
                inputs
            }
            Event::Missing { request, pair } => vec![Input::Missing { request, pair }],
            Event::Ended { request, member, result } => {
                let end = match &result {
                    Ok(()) => End::Done,
                    Err(error) => error.end(),
                };
                if let Err(error) = result {
                    self.failed(member, &error);
                }
                self.requests.remove(&request);
                vec![Input::Ended { request, end }]
            }
        }
    }

    fn failed(&mut self, member: usize, error: &AskError) {
        debug!(blob_id = %self.blob_id.short(), member = %self.session.name(member), %error, "slivers did not come");
        self.reasons.insert(member, (error.to_string(), error.obstacle()));
        self.session.asker().report(self.session.peer(member), error);
    }

    fn silent(&mut self, member: usize) {
        let silence = || ("gave no answer in time".to_owned(), Obstacle::Away);
        self.reasons.entry(member).or_insert_with(silence);
        self.session.asker().fell_silent(self.session.peer(member));
    }

    /// Whoever waits shall know for what.
    fn missed(&self, members: &[usize]) {
        let name = |member: &usize| self.session.member(*member).name.clone();
        let nodes = members.iter().map(name).collect::<Vec<_>>().join(", ");
        warn!(
            segment = self.segment,
            nodes, "too few nodes are there; those that refuse are asked once more"
        );
    }

    async fn perform(&mut self, effect: Effect) -> Result<Option<Input>, GetError> {
        match effect {
            Effect::Ask { request, member, axis, part, pairs } => {
                self.ask(request, member, (axis, part), pairs);
            }
            Effect::Cancel { request } => drop(self.requests.remove(&request)),
            Effect::Decode { axis, pairs, padded } => {
                return self.decode(axis, pairs, padded).await.map(Some);
            }
            Effect::Verify { axis, pairs } => return self.verify(axis, pairs).await.map(Some),
            Effect::Silent { member } => self.silent(member),
            Effect::Missed { members } => self.missed(&members),
            Effect::Blame { member, reason } => {
                self.reasons.insert(member, (reason.to_string(), Obstacle::Refuses));
                self.session.asker().blame(self.session.peer(member), reason);
            }
            Effect::Finish | Effect::Fail(_) => (),
        }
        Ok(None)
    }

    fn ask(
        &mut self,
        request: RequestId,
        member: usize,
        (axis, part): (Axis, Part),
        pairs: Vec<PairIndex>,
    ) {
        self.axis_of.insert(request, axis);
        let question = Question {
            session: self.session.clone(),
            blob_id: self.blob_id,
            segment: self.segment,
            header: self.header.clone(),
            request,
            member,
            axis,
            part,
            pairs,
        };
        let events = self.events.clone();
        let task = async move {
            let result = question.run(&events).await;
            let _ = events.send(Event::Ended { request, member, result }).await;
        };
        let span = self.session.fetch_span(member, &self.blob_id, self.segment);
        let task = AbortOnDropHandle::new(tokio::spawn(task.instrument(span)));
        self.requests.insert(request, task);
    }

    fn held(&self, axis: Axis, pairs: &[PairIndex]) -> Vec<(PairIndex, u16, Bytes)> {
        let parameters = &self.session.parameters;
        let sliver = |pair: &PairIndex| {
            let bytes = self.slivers.get(&(axis, *pair))?.clone();
            Some((*pair, pair.sliver_index(axis, parameters), bytes))
        };
        pairs.iter().filter_map(sliver).collect()
    }

    async fn decode(
        &mut self,
        axis: Axis,
        pairs: Vec<PairIndex>,
        padded: bool,
    ) -> Result<Input, GetError> {
        let slivers: Vec<_> =
            self.held(axis, &pairs).into_iter().map(|(_, index, bytes)| (index, bytes)).collect();
        let (parameters, position) = (self.session.parameters, self.position());
        let commitment = self.header.segments[self.segment as usize];
        let strict = self.consistency == Consistency::Strict;
        let buffers = self.buffers.clone();
        let header = self.header.clone();
        let work = move || {
            if header.encoding == Encoding::Short {
                let blob = decode_symbols(&parameters, &header, &slivers, padded)?;
                let matches = !strict || encoding::header_of(&parameters, &blob) == *header;
                return matches.then_some(blob);
            }
            let content = &commitment.content;
            let decoded = encoding::decode_segment_checked(
                &buffers,
                &parameters,
                position,
                axis,
                &slivers,
                content,
            );
            let bytes = decoded.ok()?;
            let matches =
                !strict || encoding::identify_segment(&parameters, position, &bytes) == commitment;
            matches.then_some(bytes)
        };
        let span = debug_span!("decode", haulout.segment = self.segment);
        let decoded = tokio::task::spawn_blocking(work).instrument(span).await;
        let decoded = decoded.map_err(|_| GetError::Ended)?;
        let matches = decoded.is_some();
        self.decoded = decoded.unwrap_or_default();
        Ok(Input::Decoded { matches })
    }

    async fn verify(&mut self, axis: Axis, pairs: Vec<PairIndex>) -> Result<Input, GetError> {
        let root = |pair: &PairIndex| self.proofs.get(pair).map(|proof| *proof.roots.of(axis));
        let with_root = |(pair, sliver, bytes)| (pair, sliver, bytes, root(&pair));
        let slivers: Vec<_> = self.held(axis, &pairs).into_iter().map(with_root).collect();
        let (parameters, length) = (self.session.parameters, self.length());
        let work = move || {
            let mut verifier = SliverVerifier::new(&parameters, length);
            let is_wrong =
                |(pair, sliver, bytes, root): (PairIndex, u16, Bytes, Option<Digest>)| {
                    let mut verified = |root| verifier.verify(axis, sliver, &bytes, &root).is_ok();
                    (!root.is_some_and(&mut verified)).then_some(pair)
                };
            slivers.into_iter().filter_map(is_wrong).collect()
        };
        let span = debug_span!("verify", haulout.segment = self.segment);
        let wrong = tokio::task::spawn_blocking(work).instrument(span).await;
        let wrong = wrong.map_err(|_| GetError::Ended)?;
        Ok(Input::Verified { wrong })
    }

    fn explain(&self, failure: Failure) -> GetError {
        let (is_short, segment) = (self.header.encoding == Encoding::Short, self.segment);
        match failure {
            Failure::Inconsistent => GetError::Inconsistent { is_short, segment },
            Failure::Unavailable { available, needed, lost, members } => {
                let kind = if is_short { "symbols" } else { "slivers" };
                let lacking = || (format!("lacks {kind}"), Obstacle::Lacks);
                let unhelpful = |member: &usize| {
                    let (reason, obstacle) =
                        self.reasons.get(member).cloned().unwrap_or_else(lacking);
                    Unhelpful { name: self.session.name(*member), reason, obstacle }
                };
                let is_lost = self.is_lost(needed, lost);
                let members = members.iter().map(unhelpful).collect();
                let blob_id = self.blob_id;
                GetError::Unavailable {
                    blob_id,
                    is_short,
                    segment,
                    available,
                    needed,
                    is_lost,
                    members,
                }
            }
        }
    }

    /// Whether too few slivers would be there even if all members answered: some said that they lack single ones, others
    /// that they have nothing of the blob.
    fn is_lost(&self, needed: u16, lost: u16) -> bool {
        let has_nothing =
            |member: usize| matches!(self.reasons.get(&member), Some((_, Obstacle::Lacks)));
        let lost = lost.saturating_add(self.machine.without(has_nothing));
        // Nobody is asked for padding, so nobody says that it is lost.
        let asked = self.session.committee.shards().saturating_sub(self.machine.unasked());
        asked.saturating_sub(lost) < needed
    }
}

/// A short blob from its symbols, with zeros for padding, or as they were committed to, padding and all.
fn decode_symbols(
    parameters: &Parameters,
    header: &BlobHeader,
    symbols: &[(u16, Bytes)],
    padded: bool,
) -> Option<Bytes> {
    match padded {
        true => encoding::decode_short(parameters, header, symbols).ok(),
        false => encoding::decode_short_committed(parameters, header, symbols).ok(),
    }
}
