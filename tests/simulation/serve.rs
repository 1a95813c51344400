//! What a node does with streams: takes uploads in, confirms them, hands out slivers and headers.
//!
//! Promises: everything is checked before it is stored, by the functions and machines that real nodes use. Does not: admit,
//! pace or bound: one stream more or less is nothing here.

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::{ExpandedSliver, SliverVerifier};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::confirmation::{self, Facts, Registration, Verdict};
use haulout_protocol::message::{Persistence, blob_certificate_message};
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::{Axis, PairIndex, ShardIndex, pair_of_shard, shard_of_pair};
use haulout_protocol::wire::blob::{Answer, Question};
use haulout_protocol::wire::sliver::{Part as Wanted, Reply, Request};
use haulout_protocol::wire::{self, Refusal, blob, shard, symbol};
use haulout_storage::{Store, StoreError};

use crate::check::Invariant;
use crate::env::{Env, Event, NETWORK, Part, Parts, StreamId};
use crate::node::Node;
use crate::repair::SYMBOLS;
use crate::repair::handing::SHARDS;
use crate::settings::Lie;

/// How long a session waits for a registration.
const REGISTRATION_WAIT_MS: u64 = 5_000;
/// When a writer may ask again.
const RETRY_AFTER_MS: u32 = 200;

/// An upload that comes in.
#[derive(Debug)]
pub(crate) struct Session {
    blob_id: BlobId,
    header: BlobHeader,
    unstored: Option<Vec<u8>>,
    /// What is asked to be confirmed, and until when its registration is waited for.
    asked: Option<(Persistence, u64)>,
}

/// Why a message is answered otherwise than it wants.
enum Stop {
    Refuse(Refusal),
    Disk(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Disk(error)
    }
}

fn invalid(reason: impl std::fmt::Display) -> Stop {
    Stop::Refuse(Refusal::Invalid(reason.to_string()))
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("small")
}

impl Node {
    /// Takes a message.
    pub(crate) fn take(&mut self, env: &mut Env, stream: StreamId, parts: &Parts) {
        let Some(store) = self.store.clone() else { return };
        if self.lie == Some(Lie::Silent) {
            return;
        }
        let Some(first) = parts.first() else { return };
        if first.raw == SYMBOLS {
            let taken = self.send_symbols(env, &store, first);
            drop(store);
            return self.reply(env, stream, taken);
        }
        if first.raw == SHARDS {
            let taken = self.send_page(env, &store, first);
            drop(store);
            return self.reply(env, stream, taken);
        }
        let taken = match wire::decode::<Request>(&first.frame) {
            Ok(Request::Put { blob_id, .. }) => {
                self.open_upload(env, &store, (stream, blob_id), first)
            }
            Ok(Request::Segment { segment, pairs }) => {
                self.take_segment(env, &store, stream, (segment, pairs), &parts[1..])
            }
            Ok(Request::Finish { deletable }) => {
                let until = env.now + REGISTRATION_WAIT_MS;
                if let Some(session) = self.sessions.get_mut(&stream) {
                    session.asked = Some((Request::persistence(deletable), until));
                }
                env.at(until, Event::Patience { node: self.index, stream });
                drop(store);
                return self.confirm(env, stream);
            }
            Ok(Request::Get { blob_id, segment, axis, part, pairs, .. }) => {
                let wanted = (BlobId::from_bytes(blob_id), segment, axis, part);
                self.send_slivers(env, &store, wanted, &pairs)
            }
            Ok(_) => Err(invalid("not spoken here")),
            Err(_) => match wire::decode::<blob::Request>(&first.frame) {
                Ok(request) => self.answer(&store, &request),
                Err(error) => Err(invalid(error)),
            },
        };
        drop(store);
        self.reply(env, stream, taken);
    }

    fn reply(&mut self, env: &mut Env, stream: StreamId, taken: Result<Parts, Stop>) {
        match taken {
            Ok(parts) if parts.is_empty() => {}
            Ok(parts) => env.send_down(stream, parts),
            Err(Stop::Disk(error)) => self.failed(env, &error),
            Err(Stop::Refuse(refusal)) => {
                env.note(format_args!("n{} refuses {stream}: {refusal}", self.index));
                self.sessions.remove(&stream);
                env.send_down(stream, vec![Part::frame(wire::encode(&Reply::Refused(refusal)))]);
            }
        }
    }

    // Uploads.

    fn open_upload(
        &mut self,
        env: &mut Env,
        store: &Store,
        (stream, blob_id): (StreamId, [u8; 32]),
        part: &Part,
    ) -> Result<Parts, Stop> {
        let blob_id = BlobId::from_bytes(blob_id);
        let header = BlobHeader::read_verified(&part.raw, &self.parameters, &blob_id);
        let header = header.map_err(invalid)?;
        let unstored = Some(part.raw.to_vec());
        let mut session = Session { blob_id, header, unstored, asked: None };
        let record = store.blob(&blob_id)?;
        if record.is_some_and(|record| record.is_registered(self.epoch)) {
            self.keep_header(env, store, &mut session)?;
        } else if store.pending_since(&blob_id)?.is_some_and(|since_ms| since_ms < env.now) {
            self.wait(store.renew_pending(&blob_id, env.now))?;
        }
        let stored = match self.lie {
            Some(Lie::HasItAll | Lie::KeepsNothing) => {
                (0..u32::try_from(session.header.segments.len()).expect("few")).collect()
            }
            _ => store.stored_segments(&blob_id, &self.shards)?,
        };
        self.sessions.insert(stream, session);
        Ok(vec![Part::frame(wire::encode(&Reply::Ready { stored }))])
    }

    fn keep_header(
        &self,
        env: &Env,
        store: &Store,
        session: &mut Session,
    ) -> Result<(), StoreError> {
        let Some(bytes) = session.unstored.take() else { return Ok(()) };
        self.wait(store.put_header(&session.blob_id, bytes, env.now))
    }

    fn take_segment(
        &mut self,
        env: &mut Env,
        store: &Store,
        stream: StreamId,
        (segment, pairs): (u32, u16),
        parts: &[Part],
    ) -> Result<Parts, Stop> {
        let Some(mut session) = self.sessions.remove(&stream) else { return Ok(Vec::new()) };
        let index = usize::try_from(segment).expect("64 bits");
        let commitment = session.header.segments.get(index).copied();
        let commitment = commitment.ok_or_else(|| invalid("there is no such segment"))?;
        if usize::from(pairs) != self.shards.len() {
            return Err(invalid("a segment takes a pair for each of our shards"));
        }
        let parameters = self.parameters;
        let length = parameters.segment_length(session.header.length, segment);
        let mut verifier = SliverVerifier::new(&parameters, length);
        let mut writer = store.segment_writer(session.blob_id, segment, env.now)?;
        let mut current = None;
        for part in parts {
            match wire::decode::<Request>(&part.frame).map_err(invalid)? {
                Request::Pair { pair } => {
                    let pair = PairIndex(pair);
                    let shard = shard_of_pair(&parameters, &session.blob_id, segment, pair);
                    let root = &commitment.slivers_root;
                    let proof = PairProof::read_verified(&part.raw, pair, &parameters, root);
                    let proof = proof.map_err(invalid)?;
                    if !self.shards.contains(&shard) {
                        return Err(invalid("a shard of another node"));
                    }
                    writer.append_proof(shard, &part.raw)?;
                    current = Some((pair, shard, proof.roots));
                }
                Request::Sliver { axis, .. } => {
                    let (pair, shard, roots) = current.ok_or_else(|| invalid("no pair"))?;
                    let sliver = pair.sliver_index(axis, &parameters);
                    let checked = verifier.verify(axis, sliver, &part.raw, roots.of(axis));
                    checked.map_err(invalid)?;
                    writer.append(shard, axis, &part.raw)?;
                }
                _ => return Err(invalid("a frame out of place")),
            }
        }
        self.keep_header(env, store, &mut session)?;
        self.wait(writer.commit())?;
        env.note(format_args!("n{} keeps {} {segment}", self.index, session.blob_id.short()));
        self.sessions.insert(stream, session);
        Ok(vec![Part::frame(wire::encode(&Reply::Stored { segment }))])
    }

    /// Judges all sessions that wait for a registration.
    pub(crate) fn wake_sessions(&mut self, env: &mut Env) {
        let waiting = self.sessions.iter().filter(|(_, session)| session.asked.is_some());
        let waiting: Vec<_> = waiting.map(|(stream, _)| *stream).collect();
        waiting.into_iter().for_each(|stream| self.confirm(env, stream));
    }

    /// Judges one session that asked for its confirmation.
    pub(crate) fn confirm(&mut self, env: &mut Env, stream: StreamId) {
        let Some(store) = self.store.clone() else { return };
        let Some(mut session) = self.sessions.remove(&stream) else { return };
        let Some((persistence, until)) = session.asked else {
            self.sessions.insert(stream, session);
            return;
        };
        let verdict = self.judge_upload(env, &store, &mut session, persistence);
        drop(store);
        let taken = match verdict {
            Ok(Verdict::Wait) if env.now < until => {
                self.sessions.insert(stream, session);
                return;
            }
            Ok(Verdict::Wait) => Err(Stop::Refuse(Refusal::NotRegistered)),
            Ok(Verdict::Incomplete) => Err(invalid("some of our slivers are missing")),
            Ok(Verdict::Refuse(refusal)) => Err(Stop::Refuse(refusal)),
            Ok(Verdict::Sign) => Ok(self.sign(env, &session, persistence)),
            Err(error) => Err(Stop::Disk(error)),
        };
        self.reply(env, stream, taken);
    }

    fn judge_upload(
        &mut self,
        env: &mut Env,
        store: &Store,
        session: &mut Session,
        persistence: Persistence,
    ) -> Result<Verdict, StoreError> {
        if matches!(self.lie, Some(Lie::KeepsNothing | Lie::HasItAll)) {
            return Ok(Verdict::Sign);
        }
        let record = store.blob(&session.blob_id)?;
        let registration = record.map_or(Registration::Unseen, |record| {
            record.registration(Some(persistence), self.epoch)
        });
        if registration == Registration::Seen {
            self.keep_header(env, store, session)?;
        }
        let segments = u32::try_from(session.header.segments.len()).expect("few");
        let facts = Facts {
            registration,
            is_member: !self.shards.is_empty(),
            is_durable: store.holds(&session.blob_id, segments, &self.shards)?,
            may_act: self.may_act(env),
        };
        Ok(confirmation::judge(&facts, RETRY_AFTER_MS))
    }

    fn sign(&mut self, env: &mut Env, session: &Session, persistence: Persistence) -> Parts {
        let (blob_id, mut epoch) = (session.blob_id, self.epoch);
        if self.lie == Some(Lie::OtherEpoch) {
            epoch = Epoch(epoch.0 + 1);
        }
        let message = blob_certificate_message(&NETWORK, epoch, &blob_id, &persistence);
        let mut signature = self.key.sign(&message).to_bytes();
        if self.lie == Some(Lie::Forges) {
            signature = self.key.sign(b"something else").to_bytes();
        }
        env.note(format_args!("n{} signs {} in {epoch}", self.index, blob_id.short()));
        if self.lie.is_none() {
            self.confirmed.insert((blob_id, persistence), self.shards.clone());
            let segments = u32::try_from(session.header.segments.len()).expect("few");
            self.check_durable(env, &blob_id, segments);
            let is_paid = env.ledger.objects_of(&blob_id).next().is_some();
            if !is_paid && self.checkpoint == Some(env.ledger.last()) {
                let what = format!("n{} signs {} unpaid", self.index, blob_id.short());
                env.violated(Invariant::NoUnpaidState, what);
            }
        }
        vec![Part::frame(wire::encode(&Reply::Confirmed { epoch: epoch.0, signature }))]
    }

    // Reads.

    fn registered(&self, store: &Store, blob_id: &BlobId) -> Result<u64, Stop> {
        let record = store.blob(blob_id)?.filter(|record| record.is_registered(self.epoch));
        let length = record.and_then(|record| record.size());
        length.ok_or(Stop::Refuse(Refusal::NotFound))
    }

    fn send_slivers(
        &mut self,
        env: &mut Env,
        store: &Store,
        (blob_id, segment, axis, part): (BlobId, u32, Axis, Wanted),
        pairs: &[u16],
    ) -> Result<Parts, Stop> {
        let length = self.registered(store, &blob_id)?;
        if u64::from(segment) >= self.parameters.segment_count(length) {
            return Err(Stop::Refuse(Refusal::NotFound));
        }
        let mut parts = Vec::new();
        for pair in pairs {
            let found = self.read_pair(store, (&blob_id, segment, axis, part), PairIndex(*pair))?;
            match found {
                Some(found) if self.lie != Some(Lie::Withholds) => parts.extend(found),
                _ => parts.push(Part::frame(wire::encode(&Reply::Missing { pair: *pair }))),
            }
        }
        parts.push(Part::frame(wire::encode(&Reply::End)));
        env.note(format_args!("n{} serves {} {segment} {pairs:?}", self.index, blob_id.short()));
        Ok(parts)
    }

    /// Symbols for another node's repair.
    fn send_symbols(&mut self, env: &mut Env, store: &Store, part: &Part) -> Result<Parts, Stop> {
        let request = wire::decode::<symbol::Request>(&part.frame).map_err(invalid)?;
        let blob_id = BlobId::from_bytes(request.blob_id);
        let length = self.registered(store, &blob_id)?;
        if u64::from(request.segment) >= self.parameters.segment_count(length) {
            return Err(Stop::Refuse(Refusal::NotFound));
        }
        let length = self.parameters.segment_length(length, request.segment);
        let mut parts = Vec::new();
        for source in &request.sources {
            match self.symbols_of(store, &request, length, PairIndex(*source))? {
                Some(raw) if self.lie != Some(Lie::Withholds) => {
                    let reply = symbol::Reply::Symbols { source: *source, bytes: length_of(&raw) };
                    parts.push(Part::with(wire::encode(&reply), raw));
                }
                _ => {
                    let reply = symbol::Reply::Missing { source: *source };
                    parts.push(Part::frame(wire::encode(&reply)));
                }
            }
        }
        parts.push(Part::frame(wire::encode(&symbol::Reply::End)));
        env.note(format_args!("n{} gives symbols of {}", self.index, blob_id.short()));
        Ok(parts)
    }

    /// A page for the new owner of shards that were ours.
    fn send_page(&mut self, env: &mut Env, store: &Store, part: &Part) -> Result<Parts, Stop> {
        let request = wire::decode::<shard::Request>(&part.frame).map_err(invalid)?;
        let length_of = |blob_id: &BlobId| self.registered(store, blob_id).ok();
        let is_sound = request.is_sound(self.parameters.shards());
        if !is_sound || !request.fits(&self.parameters, length_of) {
            let what = format!("n{} is asked for a page that nobody may ask for", self.index);
            env.violated(Invariant::NobodyHonestBlamed, what);
        }
        let mut parts = Vec::new();
        for entry in &request.entries {
            match self.page_entry(store, entry)? {
                Some(found) if self.lie != Some(Lie::Withholds) => parts.extend(found),
                _ => parts.push(Part::frame(wire::encode(&shard::Reply::Absent))),
            }
        }
        parts.push(Part::frame(wire::encode(&shard::Reply::End)));
        env.note(format_args!("n{} hands over {} entries", self.index, request.entries.len()));
        Ok(parts)
    }

    /// What there is of an entry of a page, or what a liar gives in its place; nothing if it has to be absent.
    fn page_entry(&self, store: &Store, entry: &shard::Entry) -> Result<Option<Parts>, StoreError> {
        let blob_id = BlobId::from_bytes(entry.blob_id);
        let length = match self.registered(store, &blob_id) {
            Ok(length) => length,
            Err(Stop::Disk(error)) => return Err(error),
            Err(Stop::Refuse(_)) => return Ok(None),
        };
        if u64::from(entry.segment) >= self.parameters.segment_count(length) {
            return Ok(None);
        }
        let mut parts = Vec::new();
        if entry.with_header {
            let Some(header) = self.sound(store, store.header(&blob_id))? else { return Ok(None) };
            let mut header = header.to_vec();
            if matches!(self.lie, Some(Lie::WrongBytes | Lie::WrongProofs)) {
                header[9] ^= 1;
            }
            let reply = shard::Reply::Header { bytes: length_of(&header) };
            parts.push(Part::with(wire::encode(&reply), header));
        }
        for shard in entry.shards.iter().copied().map(ShardIndex) {
            let pair = pair_of_shard(&self.parameters, &blob_id, entry.segment, shard);
            let of = |axis, part| (&blob_id, entry.segment, axis, part);
            let first = self.read_pair(store, of(Axis::Primary, Wanted::Both), pair)?;
            let second = self.read_pair(store, of(Axis::Secondary, Wanted::Sliver), pair)?;
            parts.push(match (first, second) {
                (Some(first), Some(second)) => {
                    let raw: Vec<_> =
                        first.iter().chain(&second).map(|part| &part.raw[..]).collect();
                    let raw = raw.concat();
                    let reply = shard::Reply::Pair { bytes: length_of(&raw) };
                    Part::with(wire::encode(&reply), raw)
                }
                _ => Part::frame(wire::encode(&shard::Reply::Missing)),
            });
        }
        Ok(Some(parts))
    }

    /// What one source gives, or what a liar gives in its place.
    fn symbols_of(
        &self,
        store: &Store,
        request: &symbol::Request,
        length: u32,
        source: PairIndex,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let (blob_id, axis) = (BlobId::from_bytes(request.blob_id), request.axis);
        let part = if request.with_proofs { Wanted::Both } else { Wanted::Sliver };
        let found = self.read_pair(store, (&blob_id, request.segment, axis, part), source)?;
        let Some(mut found) = found else { return Ok(None) };
        let sliver = found.pop().map(|part| part.raw).unwrap_or_default();
        let place = |target: &u16| PairIndex(*target).sliver_index(axis.other(), &self.parameters);
        let Ok(expanded) = ExpandedSliver::new(&self.parameters, length, axis, sliver) else {
            return Ok(Some(vec![0])); // cut short
        };
        let mut raw = found.pop().map(|part| part.raw.to_vec()).unwrap_or_default();
        for place in request.targets.iter().map(place) {
            let mut symbol = expanded.symbol(place).to_vec();
            match self.lie {
                Some(Lie::WrongSymbols) if !request.with_proofs => symbol[0] ^= 1,
                Some(Lie::ForgedSymbols) => symbol[0] ^= 1,
                _ => {}
            }
            raw.extend_from_slice(&symbol);
            if request.with_proofs {
                raw.extend_from_slice(expanded.proof(place).siblings.as_flattened());
            }
        }
        Ok(Some(raw))
    }

    /// What was asked for of a pair, if all of that is there.
    fn read_pair(
        &self,
        store: &Store,
        (blob_id, segment, axis, part): (&BlobId, u32, Axis, Wanted),
        pair: PairIndex,
    ) -> Result<Option<Parts>, StoreError> {
        let of = |pair| shard_of_pair(&self.parameters, blob_id, segment, pair);
        let mut shard = of(pair);
        if self.lie == Some(Lie::OtherPair) {
            shard = self.shards[self.shards.len() - 1];
        }
        let mut parts = Vec::new();
        if part.has_proof() {
            let Some(proof) = self.sound(store, store.pair_proof(blob_id, segment, shard))? else {
                return Ok(None);
            };
            let mut proof = proof.to_vec();
            if self.lie == Some(Lie::WrongProofs) {
                proof[0] ^= 1;
            }
            let frame = Reply::Proof { pair: pair.0, bytes: length_of(&proof) };
            parts.push(Part::with(wire::encode(&frame), proof));
        }
        if part.has_sliver() {
            let Some(sliver) = self.sound(store, store.sliver(blob_id, segment, shard, axis))?
            else {
                return Ok(None);
            };
            let mut sliver = sliver.to_vec();
            match self.lie {
                Some(Lie::WrongBytes) => sliver[0] ^= 1,
                Some(Lie::CutShort) => drop(sliver.pop()),
                _ => {}
            }
            let frame = Reply::Sliver { pair: pair.0, bytes: length_of(&sliver) };
            parts.push(Part::with(wire::encode(&frame), sliver));
        }
        Ok(Some(parts))
    }

    /// What was read; what rotted counts as missing.
    pub(crate) fn sound<T>(
        &self,
        store: &Store,
        read: Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match read {
            Err(StoreError::Corrupt { .. }) => {
                // The store notes it by the way; here everything happens in its turn.
                let turn = store.keep(haulout_storage::Kept::Validators, Vec::new());
                self.wait(turn).map(|()| None)
            }
            other => other,
        }
    }

    fn answer(&mut self, store: &Store, request: &blob::Request) -> Result<Parts, Stop> {
        let blob_id = BlobId::from_bytes(request.blob_id);
        self.registered(store, &blob_id)?;
        if request.question != Question::Header || self.lie == Some(Lie::Withholds) {
            return Err(Stop::Refuse(Refusal::NotFound));
        }
        let header = self.sound(store, store.header(&blob_id))?;
        let mut header = header.ok_or(Stop::Refuse(Refusal::NotFound))?.to_vec();
        if matches!(self.lie, Some(Lie::WrongBytes | Lie::WrongProofs)) {
            header[9] ^= 1;
        }
        let frame = Answer::Header { bytes: length_of(&header) };
        Ok(vec![Part::with(wire::encode(&frame), header)])
    }

    /// Whether a shard's primary, and its secondary sliver of a segment can be had here, whoever's it is.
    pub(crate) fn holds_of(&self, blob_id: &BlobId, segment: u32, shard: ShardIndex) -> [bool; 2] {
        let Some(store) = &self.store else { return [false, false] };
        let counted = store.count_slivers(blob_id, segment..segment + 1, &[shard]);
        let (primary, secondary) =
            counted.ok().and_then(|counts| counts.first().copied()).unwrap_or((0, 0));
        [primary > 0, secondary > 0]
    }
}

/// The parts of a segment that a member is sent.
pub(crate) fn share(
    parameters: &haulout_protocol::encoding::Parameters,
    blob_id: &BlobId,
    (segment, encoded): (u32, &haulout_protocol::encoding::EncodedSegment),
    shards: &[haulout_protocol::sliver::ShardIndex],
) -> Parts {
    let pairs = u16::try_from(shards.len()).expect("few");
    let mut parts = vec![Part::frame(wire::encode(&Request::Segment { segment, pairs }))];
    for shard in shards {
        let pair = pair_of_shard(parameters, blob_id, segment, *shard);
        let proof = encoded.pairs().prove(pair).to_bytes();
        parts.push(Part::with(wire::encode(&Request::Pair { pair: pair.0 }), proof));
        for axis in Axis::BOTH {
            let sliver = encoded.sliver(axis, pair.sliver_index(axis, parameters));
            let bytes = length_of(&sliver);
            parts.push(Part::with(wire::encode(&Request::Sliver { axis, bytes }), sliver));
        }
    }
    parts
}
