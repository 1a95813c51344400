//! One request to one member for symbols, or for pair proofs.
//!
//! Promises: what arrives is what was asked for, of the right length, and where proofs were asked for they hold; a member
//! that sends anything else is named. Does not: know what symbols are right that were not to be proved; the rebuilt pair
//! tells.

use std::sync::Arc;

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::RecoverySymbol;
use haulout_protocol::machine::{Blame, RequestId};
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::{Axis, PairIndex};
use haulout_protocol::wire::SMALL_FRAME_BYTES_MAX;
use haulout_protocol::wire::sliver::{self, Part};
use haulout_protocol::wire::symbol::{Layout, Reply, Request};
use tokio::sync::mpsc;

use crate::asking::{AskError, Asked, nonsense};
use crate::network::Protocol;
use crate::session::Session;
use crate::trace;

/// The symbols of one source, one for each target.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) targets: Vec<PairIndex>,
    pub(super) symbols: Vec<Bytes>,
    /// The same with their proofs, verified, if they were to be proved.
    pub(super) proved: Vec<RecoverySymbol>,
}

impl Given {
    /// Whether what came now is not what came before, of a target that both speak of.
    pub(super) fn contradicts(&self, other: &Given) -> bool {
        self.targets
            .iter()
            .zip(&self.symbols)
            .any(|(target, symbol)| other.symbol(*target).is_some_and(|other| other != symbol))
    }

    /// What it gave to a target.
    pub(super) fn symbol(&self, target: PairIndex) -> Option<&Bytes> {
        let place = self.targets.iter().position(|it| *it == target)?;
        self.symbols.get(place)
    }

    /// The same with its proof.
    pub(super) fn proved(&self, target: PairIndex) -> Option<&RecoverySymbol> {
        let place = self.targets.iter().position(|it| *it == target)?;
        self.proved.get(place)
    }
}

/// What a request's task reports.
#[derive(Debug)]
pub(super) enum Event {
    Arrived {
        request: RequestId,
        axis: Axis,
        source: PairIndex,
        given: Given,
        proof: Option<PairProof>,
    },
    Proved {
        request: RequestId,
        pair: PairIndex,
        proof: PairProof,
    },
    Missing {
        request: RequestId,
        pair: PairIndex,
    },
    Ended {
        request: RequestId,
        member: usize,
        result: Result<(), AskError>,
    },
}

/// Of which segment, and of whom.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) session: Session,
    pub(super) blob_id: BlobId,
    pub(super) header: Arc<BlobHeader>,
    pub(super) segment: u32,
    pub(super) request: RequestId,
    pub(super) member: usize,
}

/// Symbols that are asked for.
pub(super) struct Wanted {
    pub(super) axis: Axis,
    pub(super) sources: Vec<PairIndex>,
    pub(super) targets: Vec<PairIndex>,
    pub(super) with_proofs: bool,
}

impl Question {
    /// Asks for symbols, and reports what comes.
    pub(super) async fn symbols(
        &self,
        wanted: Wanted,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), AskError> {
        let numbers = |pairs: &[PairIndex]| pairs.iter().map(|pair| pair.0).collect::<Vec<_>>();
        let request = Request {
            blob_id: *self.blob_id.as_bytes(),
            segment: self.segment,
            axis: wanted.axis,
            sources: numbers(&wanted.sources),
            targets: numbers(&wanted.targets),
            with_proofs: wanted.with_proofs,
            trace: trace::current(),
        };
        let peer = self.session.peer(self.member);
        let mut asked = self.session.asker().ask(peer, Protocol::Symbol, &request).await?;
        let mut owed = wanted.sources.clone();
        let request = self.request;
        loop {
            let event = match asked.frame(SMALL_FRAME_BYTES_MAX).await? {
                Reply::Missing { source } => {
                    Event::Missing { request, pair: take(&mut owed, source)? }
                }
                Reply::Symbols { source, bytes } => {
                    let source = take(&mut owed, source)?;
                    self.given(&mut asked, &wanted, source, bytes).await?
                }
                Reply::End => return Ok(()),
                Reply::Refused(_) => return Err(nonsense()),
            };
            asked.set_whole(owed.is_empty());
            if events.send(event).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Reads, and where they were to be proved verifies, the symbols of a source.
    async fn given(
        &self,
        asked: &mut Asked,
        wanted: &Wanted,
        source: PairIndex,
        bytes: u32,
    ) -> Result<Event, AskError> {
        let (parameters, request) = (&self.session.parameters, self.request);
        let length = parameters.segment_length(self.header.length, self.segment);
        let Wanted { axis, targets, with_proofs, .. } = wanted;
        let layout = Layout::new(parameters, length, source, targets.len(), *with_proofs);
        if usize::try_from(bytes).ok() != Some(layout.bytes()) {
            return Err(nonsense());
        }
        let raw = Bytes::from(asked.bytes(bytes).await?);
        let targets = targets.clone();
        let symbols = layout.symbols(&raw);
        if !with_proofs {
            let given = Given { targets, symbols, proved: Vec::new() };
            return Ok(Event::Arrived { request, axis: *axis, source, given, proof: None });
        }
        let wrong = || AskError::Wrong(Blame::WrongProof);
        let read = layout.proved(&raw, parameters, (source, *axis)).map_err(|_| wrong())?;
        let (proof, proved) = read;
        let root = &self.header.segments[self.segment as usize].slivers_root;
        proof.verify(source, parameters, root).map_err(|_| wrong())?;
        let sliver_root = proof.roots.of(*axis);
        for (target, symbol) in targets.iter().zip(&proved) {
            let across = axis.other();
            let place = target.sliver_index(across, parameters);
            let verified = symbol.verify(parameters, length, across, place, sliver_root);
            verified.map_err(|_| wrong())?;
        }
        let given = Given { targets, symbols, proved };
        Ok(Event::Arrived { request, axis: *axis, source, given, proof: Some(proof) })
    }

    /// Asks for pair proofs, and reports what comes.
    pub(super) async fn proofs(
        &self,
        pairs: Vec<PairIndex>,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), AskError> {
        let request = sliver::Request::Get {
            blob_id: *self.blob_id.as_bytes(),
            segment: self.segment,
            axis: Axis::Primary,
            part: Part::Proof,
            pairs: pairs.iter().map(|pair| pair.0).collect(),
            trace: trace::current(),
        };
        let peer = self.session.peer(self.member);
        let mut asked = self.session.asker().ask(peer, Protocol::Sliver, &request).await?;
        let (mut owed, request) = (pairs, self.request);
        let root = &self.header.segments[self.segment as usize].slivers_root;
        loop {
            let event = match asked.frame(SMALL_FRAME_BYTES_MAX).await? {
                sliver::Reply::Missing { pair } => {
                    Event::Missing { request, pair: take(&mut owed, pair)? }
                }
                sliver::Reply::Proof { pair, bytes } => {
                    let pair = take(&mut owed, pair)?;
                    let parameters = &self.session.parameters;
                    let proof =
                        crate::session::pair_proof(&mut asked, parameters, (pair, root), bytes);
                    Event::Proved { request, pair, proof: proof.await? }
                }
                sliver::Reply::End => return Ok(()),
                _ => return Err(nonsense()),
            };
            asked.set_whole(owed.is_empty());
            if events.send(event).await.is_err() {
                return Ok(());
            }
        }
    }
}

fn take(owed: &mut Vec<PairIndex>, pair: u16) -> Result<PairIndex, AskError> {
    let at = owed.iter().position(|owed| owed.0 == pair);
    at.map(|at| owed.swap_remove(at)).ok_or_else(nonsense)
}
