//! What comes on the streams of a node that repairs.
//!
//! Promises: what was to be proved is, before the machine hears of it. Does not: decide what follows.

use bytes::Bytes;
use haulout_protocol::blob::BlobHeader;
use haulout_protocol::machine::recovery::Input;
use haulout_protocol::machine::retry::End;
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::{Axis, PairIndex};
use haulout_protocol::wire;
use haulout_protocol::wire::blob::Answer;
use haulout_protocol::wire::sliver;
use haulout_protocol::wire::symbol::{Layout, Reply};

use super::{Ask, Given};
use crate::env::{Env, Parts, StreamId};
use crate::node::Node;
use crate::reading::{Reading, end_of};

impl Node {
    // Streams.

    /// A stream of a repair is lost.
    pub(crate) fn repair_lost(&mut self, env: &mut Env, stream: StreamId) {
        let end = End::Again { after_ms: 0 };
        match self.reading_on(stream) {
            Some(reading) => {
                reading.ended(env, stream, end);
                self.look_at_reading(env);
            }
            None => self.ask_ended(env, stream, end),
        }
    }

    /// The read of a whole segment to which a stream belongs.
    fn reading_on(&mut self, stream: StreamId) -> Option<&mut Reading> {
        let current = self.repairs.job.as_mut()?.current.as_mut()?;
        current.reading.as_mut().filter(|reading| reading.owns(stream))
    }

    fn ask_ended(&mut self, env: &mut Env, stream: StreamId, end: End) {
        env.close(stream);
        match self.repairs.asks.remove(&stream) {
            None => {}
            Some(Ask::Header) => self.go_on(env),
            Some(Ask::Page { request, .. }) => self.page_lost(env, request),
            Some(Ask::Symbols { request, .. } | Ask::Proofs { request, .. }) => {
                self.feed(env, Input::Ended { request, end });
            }
        }
    }

    /// What came proves nothing.
    fn ask_lied(&mut self, env: &mut Env, stream: StreamId) {
        env.close(stream);
        match self.repairs.asks.remove(&stream) {
            None | Some(Ask::Page { .. }) => {} // pages are judged as they are read
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
        if let Some(reading) = self.reading_on(stream) {
            reading.take(env, stream, parts);
            return self.look_at_reading(env);
        }
        match self.repairs.asks.get(&stream) {
            None => {}
            Some(Ask::Header) => self.take_header(env, stream, parts),
            Some(Ask::Proofs { .. }) => self.take_proofs(env, stream, parts),
            Some(Ask::Symbols { .. }) => self.take_symbols(env, stream, parts),
            Some(Ask::Page { .. }) => self.take_page(env, stream, parts),
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
}

fn take(owed: &mut Vec<u16>, pair: u16) -> Option<PairIndex> {
    let at = owed.iter().position(|owed| *owed == pair)?;
    Some(PairIndex(owed.swap_remove(at)))
}
