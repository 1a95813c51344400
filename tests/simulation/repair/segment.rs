//! One segment that a node repairs: carries out what the machine of its recovery decides.
//!
//! Promises: what is kept is what was written, or that is a violation. Does not: choose segments.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use haulout_protocol::encoding::{SegmentPosition, encode_segment, recovery_symbols};
use haulout_protocol::machine::recovery::{Effect, Failure, Input};
use haulout_protocol::machine::responsiveness::Pace;
use haulout_protocol::machine::{Machine, download};
use haulout_protocol::rebuild::{RebuiltPair, SourceSymbols, rebuild_pairs};
use haulout_protocol::sliver::{Axis, PairIndex, shard_of_pair};
use haulout_protocol::wire;
use haulout_protocol::wire::sliver::{self, Part as Wanted};
use haulout_protocol::wire::symbol::Request;
use haulout_storage::StoreError;

use super::{Ask, PATIENCE_MS, SYMBOLS};
use crate::check::Invariant;
use crate::env::{Env, Part};
use crate::node::Node;
use crate::reading::{Of, Reading};

impl Node {
    pub(super) fn end_segment(&mut self, env: &mut Env, failure: Option<Failure>) {
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

    pub(super) fn feed(&mut self, env: &mut Env, input: Input) {
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
            Effect::Read => self.begin_reading(env),
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
        let (mut all, mut gone) = ([Vec::new(), Vec::new()], BTreeSet::new());
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
                let Some(sliver) = sliver else {
                    gone.insert(*source);
                    continue;
                };
                let symbols = recovery_symbols(&parameters, length, axis, &sliver, &places).ok();
                all[place]
                    .extend(symbols.map(|symbols| SourceSymbols { source: *source, symbols }));
            }
        }
        let [primaries, secondaries] = &all;
        let rebuilt = rebuild_pairs(&parameters, length, targets, [primaries, secondaries]);
        // Too few, where a sliver of ours went missing: nothing is recognised then.
        let rebuilt = rebuilt.unwrap_or_default();
        segment.rebuilt = rebuilt.into_iter().map(|pair| (pair.pair, pair)).collect();
        let roots = segment.rebuilt.iter().map(|(pair, it)| (*pair, it.roots)).collect();
        Some(Input::Rebuilt { roots, is_inconsistent: false, gone })
    }

    fn keep_pairs(&mut self, env: &mut Env, pairs: &[PairIndex]) {
        let Some(store) = self.store.clone() else { return };
        let (parameters, job) =
            (self.parameters, self.repairs.job.as_mut().expect("it is being done"));
        let blob_id = job.blob_id;
        let segment = job.current.as_mut().expect("it is being done");
        let encoded = env.encoded(&blob_id, segment.number);
        for pair in pairs {
            let right =
                Axis::BOTH.map(|axis| encoded.sliver(axis, pair.sliver_index(axis, &parameters)));
            if segment.rebuilt[pair].slivers != right {
                let what = format!("n{} keeps another pair {pair:?} than was written", self.index);
                return env.violated(Invariant::SoundRepair, what);
            }
        }
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

    /// Too few give symbols: all of the segment is read, and what is here of it is used.
    fn begin_reading(&mut self, env: &mut Env) {
        let Some(store) = self.store.clone() else { return };
        let roster = env.roster(self.epoch);
        let terms = download::Terms {
            paces: vec![Pace::Untried; roster.len()],
            patience_ms: PATIENCE_MS,
            noise: env.random.next(),
            certified: None,
        };
        let job = self.repairs.job.as_ref().expect("it is being done");
        let (blob_id, header) = (job.blob_id, job.header.clone().expect("it came first"));
        let current = job.current.as_ref().expect("it is being done");
        let mut held = BTreeMap::new();
        for pair in current.machine.local() {
            let shard = shard_of_pair(&self.parameters, &blob_id, current.number, *pair);
            let sliver = store.sliver(&blob_id, current.number, shard, Axis::Primary);
            match self.sound(&store, sliver) {
                Ok(sliver) => held.extend(sliver.map(|sliver| (*pair, sliver))),
                Err(error) => {
                    drop(store);
                    return self.failed(env, &error);
                }
            }
        }
        let of = Of { blob_id, header, segment: current.number };
        let who = (self.task(), format!("n{} reads", self.index));
        let reading = Reading::begin(env, who, &roster, of, terms, held);
        let job = self.repairs.job.as_mut().expect("it is being done");
        job.current.as_mut().expect("it is being done").reading = Some(reading);
    }

    /// Looks whether the whole segment was read.
    pub(super) fn look_at_reading(&mut self, env: &mut Env) {
        let current = self.repairs.job.as_mut().and_then(|job| job.current.as_mut());
        let Some(current) = current else { return };
        let end = current.reading.as_mut().and_then(|reading| reading.end.take());
        let Some(end) = end else { return };
        current.reading = None;
        let Ok(content) = end else {
            return self.feed(env, Input::Unread { is_inconsistent: false });
        };
        let (lost, number) = (current.machine.lost().clone(), current.number);
        let job = self.repairs.job.as_mut().expect("it is being done");
        let blob_bytes = job.header.as_ref().expect("it came first").length;
        let position = SegmentPosition { segment: number, blob_bytes };
        let encoded = encode_segment(&self.parameters, position, content);
        let sliver = |axis, pair: &PairIndex| {
            encoded.sliver(axis, pair.sliver_index(axis, &self.parameters))
        };
        let rebuilt = |pair: &PairIndex| {
            let slivers = Axis::BOTH.map(|axis| sliver(axis, pair));
            (*pair, RebuiltPair { pair: *pair, slivers, roots: encoded.pairs().roots(*pair) })
        };
        let current = job.current.as_mut().expect("it is being done");
        current.rebuilt = lost.iter().map(rebuilt).collect();
        let proofs = lost.iter().map(|pair| (*pair, encoded.pairs().prove(*pair))).collect();
        self.feed(env, Input::Read { proofs });
    }
}
