//! One node's stream of an upload: header, segments, and the confirmation at the end.

use std::sync::Arc;

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::crypto::Signature;
use haulout_protocol::encoding::EncodedSegment;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::Blame;
use haulout_protocol::machine::upload::Input;
use haulout_protocol::sliver::{self, Axis};
use haulout_protocol::wire::HEADER_FRAME_BYTES_MAX;
use haulout_protocol::wire::sliver::{Reply, Request};
use tokio::sync::mpsc;
use tracing::{Instrument, debug_span};

use super::{Event, stored_set};
use crate::network::{Protocol, Stream, StreamError};
use crate::session::Session;
use crate::session::node::{self, AskError};
use crate::trace;

/// What the upload asks of a node's stream.
#[derive(Debug)]
pub(super) enum Command {
    /// Send the node's slivers of this segment.
    Segment(u32, Arc<EncodedSegment>),
    /// Ask for the confirmation, bound to this object if the blob may be deleted.
    Finish(Option<ObjectId>),
}

/// Sends to one member; reports everything as inputs of the upload's machine.
pub(super) struct Sender {
    session: Session,
    blob_id: BlobId,
    header: Arc<BlobHeader>,
    member: usize,
}

impl Sender {
    pub(super) fn new(
        session: Session,
        blob_id: BlobId,
        header: Arc<BlobHeader>,
        member: usize,
    ) -> Self {
        Sender { session, blob_id, header, member }
    }

    pub(super) async fn run(self, mut queue: mpsc::Receiver<Command>, events: mpsc::Sender<Event>) {
        let member = self.member;
        if let Err(error) = self.serve(&mut queue, &events).await {
            error.report(&self.session, member);
            let reason = error.to_string();
            let _ = events.send(Event::Input(Input::Failed { member, reason })).await;
        }
    }

    async fn serve(
        &self,
        queue: &mut mpsc::Receiver<Command>,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), AskError> {
        let member = self.member;
        let report = async |input| drop(events.send(Event::Input(input)).await);
        let mut stream =
            self.session.network.open(self.session.peer(member), Protocol::Sliver).await?;
        let put = Request::Put {
            blob_id: *self.blob_id.as_bytes(),
            header: self.header.to_bytes(),
            trace: trace::current(),
        };
        stream.write_frame(&put).await?;
        stream.flush().await?;
        match stream.read_frame(HEADER_FRAME_BYTES_MAX).await? {
            Reply::Ready { stored } => {
                let stored = stored_set(stored, self.header.segments.len());
                report(Input::Ready { member, stored }).await;
            }
            other => return Err(unexpected(other)),
        }
        while let Some(command) = queue.recv().await {
            match command {
                Command::Segment(segment, encoded) => {
                    let sent = self.send(&mut stream, segment, &encoded).await;
                    drop(encoded);
                    if let Err(error) = sent {
                        return Err(refusal_behind(&mut stream, error).await);
                    }
                    report(Input::Sent { member, segment }).await;
                }
                Command::Finish(deletable) => {
                    let confirmed = finish(&mut stream, deletable);
                    let (epoch, signature) = confirmed.instrument(debug_span!("confirm")).await?;
                    report(Input::Confirmed { member, epoch, signature }).await;
                }
            }
        }
        let _ = stream.close().await;
        Ok(())
    }

    async fn send(
        &self,
        stream: &mut Stream,
        segment: u32,
        encoded: &EncodedSegment,
    ) -> Result<(), StreamError> {
        let shards = &self.session.committee.members()[self.member].shards;
        let slivers = u16::try_from(2 * shards.len()).unwrap_or(u16::MAX);
        let index = encoded.index().to_bytes();
        stream.write_frame(&Request::Segment { segment, index, slivers }).await?;
        let parameters = &self.session.parameters;
        for shard in shards {
            let pair = sliver::pair_of_shard(parameters, &self.blob_id, segment, *shard);
            for axis in [Axis::Primary, Axis::Secondary] {
                let sliver = encoded.sliver(axis, pair.sliver_index(axis, parameters));
                let bytes = u32::try_from(sliver.len())
                    .expect("a sliver is shorter than its segment's 32 MiB");
                stream.write_frame(&Request::Sliver { axis, pair: pair.0, bytes }).await?;
                stream.write_all(&sliver).await?;
            }
        }
        stream.flush().await
    }
}

/// Asks for the confirmation; acknowledgements of segments come before it.
async fn finish(
    stream: &mut Stream,
    deletable: Option<ObjectId>,
) -> Result<(Epoch, Signature), AskError> {
    stream.write_frame(&Request::Finish { deletable }).await?;
    stream.flush().await?;
    loop {
        match stream.read_frame(HEADER_FRAME_BYTES_MAX).await? {
            Reply::Stored { .. } => (),
            Reply::Confirmed { epoch, signature } => {
                let signature = Signature::from_bytes(&signature);
                let signature = signature.map_err(|_| AskError::Wrong(Blame::WrongProof))?;
                return Ok((Epoch(epoch), signature));
            }
            other => return Err(unexpected(other)),
        }
    }
}

/// A node that refuses says why before it ends the stream; the write that failed says less.
async fn refusal_behind(stream: &mut Stream, error: StreamError) -> AskError {
    loop {
        match stream.read_frame(HEADER_FRAME_BYTES_MAX).await {
            Ok(Reply::Stored { .. }) => (),
            Ok(Reply::Refused(refusal)) => return AskError::Refused(refusal),
            Ok(_) | Err(_) => return AskError::Stream(error),
        }
    }
}

fn unexpected(reply: Reply) -> AskError {
    match reply {
        Reply::Refused(refusal) => AskError::Refused(refusal),
        _ => node::nonsense(),
    }
}
