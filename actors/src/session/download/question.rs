//! One request to one node for parts of a segment, or for symbols of a short blob.
//!
//! Promises: what arrives is what was asked for, of the right length, and where proofs were asked for they hold; a node
//! that sends anything else is named. Does not: judge slivers by their proofs; that is not done beside the network.

use std::sync::Arc;

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId, Encoding};
use haulout_protocol::machine::RequestId;
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::{Axis, PairIndex};
use haulout_protocol::wire::SMALL_FRAME_BYTES_MAX;
use haulout_protocol::wire::sliver::{Part, Reply, Request};
use tokio::sync::mpsc;

use crate::asking::{AskError, Asked, nonsense};
use crate::network::Protocol;
use crate::session::client::Session;
use crate::session::node::pair_proof;
use crate::session::symbols::symbols;
use crate::trace;

/// What came of a pair: as much as was asked for.
pub(super) struct Parts {
    /// The sliver, or the symbol of a short blob.
    pub(super) sliver: Option<Bytes>,
    /// Verified. A symbol that came with a proof is verified itself, and the proof is not kept.
    pub(super) proof: Option<PairProof>,
}

/// What a request's task reports.
pub(super) enum Event {
    Arrived { request: RequestId, pair: PairIndex, parts: Parts },
    Missing { request: RequestId, pair: PairIndex },
    Ended { request: RequestId, member: usize, result: Result<(), AskError> },
}

/// One request to one node.
pub(super) struct Question {
    pub(super) session: Session,
    pub(super) blob_id: BlobId,
    pub(super) header: Arc<BlobHeader>,
    pub(super) segment: u32,
    pub(super) request: RequestId,
    pub(super) member: usize,
    pub(super) axis: Axis,
    pub(super) part: Part,
    pub(super) pairs: Vec<PairIndex>,
}

impl Question {
    /// Asks, and reports what comes.
    pub(super) async fn run(&self, events: &mpsc::Sender<Event>) -> Result<(), AskError> {
        match self.header.encoding {
            Encoding::Segments => self.pairs(events).await,
            Encoding::Short => self.symbols(events).await,
        }
    }

    async fn pairs(&self, events: &mpsc::Sender<Event>) -> Result<(), AskError> {
        let request = Request::Get {
            blob_id: *self.blob_id.as_bytes(),
            segment: self.segment,
            axis: self.axis,
            part: self.part,
            pairs: self.pairs.iter().map(|pair| pair.0).collect(),
            trace: trace::current(),
        };
        let peer = self.session.peer(self.member);
        let mut asked = self.session.asker().ask(peer, Protocol::Sliver, &request).await?;
        let mut owed: Vec<_> = self.pairs.clone();
        let request = self.request;
        loop {
            let event = match asked.frame(SMALL_FRAME_BYTES_MAX).await? {
                Reply::Missing { pair } => Event::Missing { request, pair: take(&mut owed, pair)? },
                Reply::Sliver { pair, bytes } if !self.part.has_proof() => {
                    let pair = take(&mut owed, pair)?;
                    let sliver = Some(self.sliver(&mut asked, bytes).await?);
                    Event::Arrived { request, pair, parts: Parts { sliver, proof: None } }
                }
                Reply::Proof { pair, bytes } if self.part.has_proof() => {
                    let pair = take(&mut owed, pair)?;
                    let root = &self.header.segments[self.segment as usize].slivers_root;
                    let of = (pair, root);
                    let proof = pair_proof(&mut asked, &self.session.parameters, of, bytes).await?;
                    let proof = Some(proof);
                    let sliver = match self.part.has_sliver() {
                        true => Some(self.sliver_behind(&mut asked, pair).await?),
                        false => None,
                    };
                    Event::Arrived { request, pair, parts: Parts { sliver, proof } }
                }
                Reply::End => return Ok(()),
                _ => return Err(nonsense()),
            };
            asked.set_whole(owed.is_empty());
            if events.send(event).await.is_err() {
                return Ok(());
            }
        }
    }

    /// The sliver that follows its pair's proof.
    async fn sliver_behind(&self, asked: &mut Asked, pair: PairIndex) -> Result<Bytes, AskError> {
        match asked.frame(SMALL_FRAME_BYTES_MAX).await? {
            Reply::Sliver { pair: sent, bytes } if sent == pair.0 => {
                self.sliver(asked, bytes).await
            }
            _ => Err(nonsense()),
        }
    }

    async fn sliver(&self, asked: &mut Asked, bytes: u32) -> Result<Bytes, AskError> {
        let parameters = &self.session.parameters;
        let length = parameters.segment_length(self.header.length, self.segment);
        if bytes as usize != parameters.sliver_bytes(self.axis, length) {
            return Err(nonsense());
        }
        let mut sliver = vec![0; bytes as usize];
        asked.exact(&mut sliver).await?;
        Ok(sliver.into())
    }

    /// Asks for symbols of a short blob, on a stream that others use before and after; they come all together.
    async fn symbols(&self, events: &mpsc::Sender<Event>) -> Result<(), AskError> {
        let (of, with_proof) = ((&self.blob_id, &*self.header), self.part.has_proof());
        let came = symbols(&self.session, self.member, of, (&self.pairs, with_proof)).await?;
        let request = self.request;
        let arrived = came.symbols.into_iter().map(|(place, symbol)| {
            let parts = Parts { sliver: Some(symbol), proof: None };
            Event::Arrived { request, pair: PairIndex(place), parts }
        });
        let missing = came.missing.into_iter().map(|pair| Event::Missing { request, pair });
        for event in arrived.chain(missing) {
            if events.send(event).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn take(owed: &mut Vec<PairIndex>, pair: u16) -> Result<PairIndex, AskError> {
    let at = owed.iter().position(|owed| owed.0 == pair);
    at.map(|at| owed.swap_remove(at)).ok_or_else(nonsense)
}
