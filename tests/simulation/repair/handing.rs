//! Former owners of shards are asked for what is missing of them, page by page, as the machine of the handover decides.
//!
//! Promises: what is kept was checked as nodes check it, and is what was written, or that is a violation; so is a liar that
//! is asked again in the same look. Does not: rebuild.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::backlog;
use haulout_protocol::machine::handover::{
    Came, Effect, Handover, How, Input, Lost, Sound, Terms, check,
};
use haulout_protocol::machine::retry::End;
use haulout_protocol::machine::{Blame, Machine, RequestId};
use haulout_protocol::sliver::{Axis, ShardIndex};
use haulout_protocol::wire;
use haulout_protocol::wire::shard::{Entry, PairLayout, Reply, Request};
use haulout_protocol::wire::sliver;
use haulout_storage::StoreError;

use super::Ask;
use crate::check::Invariant;
use crate::env::{Env, Part, Parts, StreamId};
use crate::node::Node;
use crate::reading::end_of;

/// What goes behind a request for a page: here all protocols share a stream.
pub(crate) const SHARDS: &[u8] = b"shard/1";
/// Short, because runs are.
const PATIENCE_MS: u64 = 5_000;
const LATE_MS: u64 = 2_000;
const PAGES_MAX: usize = 3;
/// Few, so that a former owner is asked for several pages.
const PAIRS_MAX: usize = 2;

/// The handover of one look.
pub(super) struct Handing {
    /// Of which epoch it is.
    pub(super) epoch: Epoch,
    machine: Handover,
    lengths: BTreeMap<BlobId, u64>,
    /// Who was caught lying in this look.
    liars: BTreeSet<usize>,
}

/// A page as it was read: what came of each entry.
struct Read<'a> {
    entry: &'a Entry,
    header: Option<Bytes>,
    pairs: Vec<(ShardIndex, Bytes)>,
    missing: Vec<ShardIndex>,
}

/// Why a page was not read to its end.
enum Stop {
    Nonsense,
    Refused(End),
}

impl Node {
    /// A look begins: nobody was caught in it yet.
    pub(super) fn begin_handing(&mut self, env: &mut Env) {
        let terms = Terms {
            patience_ms: PATIENCE_MS,
            late_ms: LATE_MS,
            pages_max: PAGES_MAX,
            pairs_max: PAIRS_MAX,
            noise: env.random.next(),
        };
        let roster = env.roster(self.epoch);
        let machine = Handover::new(self.parameters, &roster, Some(self.index), terms);
        self.close_pages(env);
        let (lengths, liars) = (BTreeMap::new(), BTreeSet::new());
        self.repairs.handing = Some(Handing { epoch: self.epoch, machine, lengths, liars });
    }

    fn close_pages(&mut self, env: &mut Env) {
        let is_page = |ask: &Ask| matches!(ask, Ask::Page { .. });
        let pages = self.repairs.asks.iter().filter(|(_, ask)| is_page(ask));
        for stream in pages.map(|(stream, _)| *stream).collect::<Vec<_>>() {
            self.repairs.asks.remove(&stream);
            env.close(stream);
        }
    }

    /// These are missing: what nobody hands over is settled at once.
    pub(super) fn hand_over(&mut self, env: &mut Env, blobs: &[BlobId]) -> Vec<backlog::Input> {
        let Some(store) = self.store.clone() else { return Vec::new() };
        let (mut lost, mut lengths) = (Vec::new(), BTreeMap::new());
        for blob in blobs {
            let lacking = &self.repairs.lacking[blob];
            let record = store.blob(blob).expect("readable").expect("it was listed a moment ago");
            let bytes = record.size().expect("a certified blob has a length");
            lengths.insert(*blob, bytes);
            let (has_header, pairs) = (lacking.has_header, lacking.pairs.clone());
            lost.push(Lost { blob: *blob, bytes, has_header, pairs });
        }
        drop(store);
        if let Some(handing) = self.repairs.handing.as_mut() {
            handing.lengths = lengths;
        }
        self.hand(env, Input::Seen(lost))
    }

    /// Lets the machine decide, and carries out what it says.
    pub(super) fn hand(&mut self, env: &mut Env, input: Input) -> Vec<backlog::Input> {
        let task = self.task();
        let mut settled = Vec::new();
        let Some(handing) = self.repairs.handing.as_mut() else { return settled };
        let mut asked = Vec::new();
        for effect in handing.machine.handle(env.timestamp(), input) {
            env.note(format_args!("n{} handover: {effect:?}", self.index));
            match effect {
                Effect::Ask { request, owner, entries } => {
                    if handing.liars.contains(&owner) {
                        let what = format!("n{} asks n{owner} after its lie", self.index);
                        env.violated(Invariant::SoundRepair, what);
                    }
                    let stream = env.open(task, owner);
                    let page = Request { entries: entries.clone(), trace: None };
                    self.repairs.asks.insert(stream, Ask::Page { request, entries });
                    env.send_up(stream, vec![Part::with(wire::encode(&page), SHARDS)]);
                    asked.push(request);
                }
                Effect::Cancel { request } => {
                    let is_it =
                        |ask: &Ask| matches!(ask, Ask::Page { request: of, .. } if *of == request);
                    let found = self.repairs.asks.iter().find(|(_, ask)| is_it(ask));
                    if let Some(stream) = found.map(|(stream, _)| *stream) {
                        self.repairs.asks.remove(&stream);
                        env.close(stream);
                    }
                }
                Effect::Settled { blob, has_header, left } => {
                    let is_whole = has_header && left.is_empty();
                    if let Some(lacking) = self.repairs.lacking.get_mut(&blob) {
                        (lacking.has_header, lacking.pairs) = (has_header, left);
                    }
                    settled.push(backlog::Input::Settled { blob, is_whole });
                }
                Effect::Silent { .. } => {}
                Effect::Blame { owner, reason } => {
                    handing.liars.insert(owner);
                    if env.settings.lies[owner].is_none() {
                        let what = format!("n{} blames n{owner}: {reason}", self.index);
                        env.violated(Invariant::NobodyHonestBlamed, what);
                    }
                }
            }
        }
        for request in asked {
            settled.extend(self.hand(env, Input::Asked { request }));
        }
        settled
    }

    /// Tells the machine, and the backlog of what follows.
    pub(super) fn handed(&mut self, env: &mut Env, input: Input) {
        for input in self.hand(env, input) {
            self.drive(env, input);
        }
    }

    /// A page came.
    pub(super) fn take_page(&mut self, env: &mut Env, stream: StreamId, parts: &Parts) {
        let Some(Ask::Page { request, entries }) = self.repairs.asks.remove(&stream) else {
            return;
        };
        env.close(stream);
        let (read, stop) = self.read_page(&entries, parts);
        let (mut came, mut lie) = (Came::default(), None);
        for of in read {
            if lie.is_some() {
                break;
            }
            match self.keep_entry(env, of, &mut came) {
                Ok(found) => lie = found,
                Err(error) => return self.failed(env, &error),
            }
            if self.store.is_none() {
                return;
            }
        }
        let how = match (lie, stop) {
            (Some(lie), _) => How::Lied(lie),
            (None, Some(Stop::Nonsense)) => How::Lied(Blame::Malformed),
            (None, Some(Stop::Refused(end))) => How::Over(end),
            (None, None) => How::Over(End::Done),
        };
        self.handed(env, Input::Ended { request, came, how });
    }

    /// What came, entry by entry, and why there is no more of it.
    fn read_page<'a>(&self, entries: &'a [Entry], parts: &Parts) -> (Vec<Read<'a>>, Option<Stop>) {
        let mut frames = parts.iter();
        let mut next = || {
            let part = frames.next().ok_or(Stop::Nonsense)?;
            match wire::decode(&part.frame) {
                Ok(Reply::Refused(refusal)) => Err(Stop::Refused(end_of(&refusal))),
                Ok(reply) => Ok((reply, part.raw.clone())),
                // Here all protocols share a stream, and refusals are those of slivers.
                Err(_) => match wire::decode(&part.frame) {
                    Ok(sliver::Reply::Refused(refusal)) => Err(Stop::Refused(end_of(&refusal))),
                    _ => Err(Stop::Nonsense),
                },
            }
        };
        let mut read = Vec::new();
        let mut all = || {
            for entry in entries {
                let (pairs, missing) = (Vec::new(), Vec::new());
                read.push(Read { entry, header: None, pairs, missing });
                let of = read.last_mut().ok_or(Stop::Nonsense)?;
                self.read_entry(of, &mut next)?;
            }
            match next()? {
                (Reply::End, _) => Ok(()),
                _ => Err(Stop::Nonsense),
            }
        };
        let stop = all().err();
        (read, stop)
    }

    fn read_entry(
        &self,
        of: &mut Read<'_>,
        next: &mut impl FnMut() -> Result<(Reply, Bytes), Stop>,
    ) -> Result<(), Stop> {
        let blob_id = BlobId::from_bytes(of.entry.blob_id);
        let handing = self.repairs.handing.as_ref().ok_or(Stop::Nonsense)?;
        let bytes = handing.lengths.get(&blob_id).copied().ok_or(Stop::Nonsense)?;
        let shards = of.entry.shards.iter().copied().map(ShardIndex);
        if of.entry.with_header {
            match next()? {
                (Reply::Header { .. }, raw) => of.header = Some(raw),
                (Reply::Absent, _) => {
                    of.missing.extend(shards);
                    return Ok(());
                }
                _ => return Err(Stop::Nonsense),
            }
        }
        for (place, shard) in shards.clone().enumerate() {
            let (_, layout) =
                PairLayout::new(&self.parameters, (&blob_id, bytes), of.entry.segment, shard);
            match next()? {
                (Reply::Pair { .. }, raw) if raw.len() == layout.bytes() => {
                    of.pairs.push((shard, raw));
                }
                (Reply::Missing, _) => of.missing.push(shard),
                (Reply::Absent, _) if place == 0 && !of.entry.with_header => {
                    of.missing.extend(shards);
                    return Ok(());
                }
                _ => return Err(Stop::Nonsense),
            }
        }
        Ok(())
    }

    /// Checks what came of an entry, and keeps it; what is wrong with it.
    fn keep_entry(
        &mut self,
        env: &mut Env,
        of: Read<'_>,
        came: &mut Came,
    ) -> Result<Option<Blame>, StoreError> {
        let Some(store) = self.store.clone() else { return Ok(None) };
        let Read { entry, header, pairs, missing } = of;
        let (blob_id, segment) = (BlobId::from_bytes(entry.blob_id), entry.segment);
        came.missing.extend(missing.iter().map(|shard| (blob_id, segment, *shard)));
        if let Some(bytes) = header {
            if BlobHeader::read_verified(&bytes, &self.parameters, &blob_id).is_err() {
                return Ok(Some(Blame::WrongProof));
            }
            self.wait(store.put_header(&blob_id, bytes.to_vec(), 0))?;
            came.headers.push(blob_id);
        }
        let header = self.sound(&store, store.header(&blob_id))?;
        let header = header.and_then(|it| BlobHeader::from_bytes(&it, &self.parameters).ok());
        let of_use: Vec<_> =
            pairs.iter().map(|(shard, _)| *shard).filter(|it| self.shards.contains(it)).collect();
        let useless = pairs.iter().filter(|(shard, _)| !of_use.contains(shard) || header.is_none());
        came.missing.extend(useless.map(|(shard, _)| (blob_id, segment, *shard)));
        let Some(header) = header else { return Ok(None) };
        let pairs = pairs.into_iter().filter(|(shard, _)| of_use.contains(shard)).collect();
        let of = (&blob_id, header.length);
        let Some(checked) = check(&self.parameters, &header, of, segment, pairs) else {
            return Ok(None);
        };
        let mut writer = store.segment_writer(blob_id, segment, 0)?;
        for Sound { shard, proof, slivers } in &checked.sound {
            self.check_handed(env, (&blob_id, segment, *shard), slivers);
            writer.append_proof(*shard, proof)?;
            for (axis, sliver) in Axis::BOTH.into_iter().zip(slivers) {
                writer.append(*shard, axis, sliver)?;
            }
        }
        if !checked.sound.is_empty() {
            self.wait(writer.commit())?;
            came.kept.extend(checked.sound.iter().map(|sound| (blob_id, segment, sound.shard)));
        }
        Ok(checked.lie)
    }

    /// What is kept is what was written.
    fn check_handed(
        &self,
        env: &mut Env,
        (blob_id, segment, shard): (&BlobId, u32, ShardIndex),
        slivers: &[Bytes; 2],
    ) {
        let encoded = env.encoded(blob_id, segment);
        let length = env.blobs.iter().find(|known| known.blob_id == *blob_id);
        let length = length.expect("a blob").header.length;
        let (pair, _) = PairLayout::new(&self.parameters, (blob_id, length), segment, shard);
        let right =
            Axis::BOTH.map(|axis| encoded.sliver(axis, pair.sliver_index(axis, &self.parameters)));
        if *slivers != right {
            let what = format!("n{} keeps another pair {pair:?} than was written", self.index);
            env.violated(Invariant::SoundRepair, what);
        }
    }

    /// The stream of a page is lost.
    pub(super) fn page_lost(&mut self, env: &mut Env, request: RequestId) {
        let how = How::Over(End::Again { after_ms: 0 });
        self.handed(env, Input::Ended { request, came: Came::default(), how });
    }
}
