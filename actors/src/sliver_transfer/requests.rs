//! One stream from its first frame to its end.
//!
//! Promises: what a peer asks for is served one thing after the other. Does not: bound what it costs; `serving` does.

use haulout_protocol::blob::BlobId;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::wire::{blob, sliver};
use tracing::{Instrument, Span, info_span};

use super::get::Wanted;
use super::session::Session;
use super::short::WantedSymbols;
use crate::network::Protocol;
use crate::serving::{Ended, Fault};
use crate::trace;

impl Session {
    /// Serves a stream of `sliver/1`.
    pub(super) async fn serve_slivers(mut self) -> Ended {
        let served = match self.visit.frame().await {
            Ok(first) => self.serve_requests(first).await,
            Err(error) => Err(error.into()),
        };
        self.visit.end::<sliver::Reply>(served).await
    }

    /// Serves what a peer wants, one thing after the other: of short blobs a stream takes and gives any number.
    async fn serve_requests(&mut self, first: sliver::Request) -> Result<(), Fault> {
        let mut next = Some(first);
        while let Some(request) = next {
            next = match request {
                sliver::Request::Get { blob_id, segment, axis, part, pairs, trace } => {
                    let blob_id = BlobId::from_bytes(blob_id);
                    let span = serve_span(&self.visit.peer, &blob_id, segment);
                    self.visit.place.asked();
                    trace::adopt(&span, trace);
                    let wanted = Wanted { blob_id, segment, axis, part, pairs };
                    self.send_slivers(wanted).instrument(span).await?;
                    None
                }
                sliver::Request::GetShort { blob_id, symbols, with_proof, trace } => {
                    let blob_id = BlobId::from_bytes(blob_id);
                    let span = serve_span(&self.visit.peer, &blob_id, 0);
                    self.visit.place.asked();
                    trace::adopt(&span, trace);
                    let wanted = WantedSymbols { blob_id, symbols, with_proof };
                    self.send_symbols(wanted).instrument(span).await?;
                    self.next_after_short().await?
                }
                sliver::Request::Put { blob_id, header_bytes, trace } => {
                    let blob_id = BlobId::from_bytes(blob_id);
                    let span = receive_span(&self.visit.peer, &blob_id);
                    self.visit.note();
                    trace::adopt(&span, trace);
                    self.take_slivers(blob_id, header_bytes).instrument(span).await?
                }
                sliver::Request::Confirm { blob_id, deletable, trace } => {
                    let blob_id = BlobId::from_bytes(blob_id);
                    let span = receive_span(&self.visit.peer, &blob_id);
                    self.visit.place.asked();
                    trace::adopt(&span, trace);
                    let persistence = sliver::Request::persistence(deletable);
                    self.confirm_short(blob_id, persistence).instrument(span).await?;
                    self.next_after_short().await?
                }
                _ => return Err(Fault::out_of_place("the first frame")),
            };
        }
        Ok(())
    }

    /// Serves a stream of `blob/1`.
    pub(super) async fn serve_blob(mut self) -> Ended {
        let served = match self.visit.frame().await.map_err(Fault::from) {
            Ok(blob::Request { blob_id, question, trace }) => {
                self.visit.place.asked();
                let blob_id = BlobId::from_bytes(blob_id);
                let span = answer_span(&self.visit.peer, &blob_id, &question);
                trace::adopt(&span, trace);
                self.answer(blob_id, question).instrument(span).await
            }
            Err(fault) => Err(fault),
        };
        self.visit.end::<blob::Answer>(served).await
    }
}

/// The span of a get, on our side.
fn serve_span(peer: &PeerId, blob_id: &BlobId, segment: u32) -> Span {
    info_span!(
        "serve",
        otel.kind = "server",
        rpc.system = "libp2p",
        rpc.service = Protocol::Sliver.service(),
        rpc.method = "get",
        haulout.peer.id = %peer,
        haulout.blob.id = %blob_id,
        haulout.segment = segment,
    )
}

/// The span of a put, on our side.
fn receive_span(peer: &PeerId, blob_id: &BlobId) -> Span {
    info_span!(
        "receive",
        otel.kind = "server",
        rpc.system = "libp2p",
        rpc.service = Protocol::Sliver.service(),
        rpc.method = "put",
        haulout.peer.id = %peer,
        haulout.blob.id = %blob_id,
    )
}

/// The span of a question about a blob, on our side.
fn answer_span(peer: &PeerId, blob_id: &BlobId, question: &blob::Question) -> Span {
    info_span!(
        "answer",
        otel.kind = "server",
        rpc.system = "libp2p",
        rpc.service = Protocol::Blob.service(),
        rpc.method = ?question,
        haulout.peer.id = %peer,
        haulout.blob.id = %blob_id,
    )
}
