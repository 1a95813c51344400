//! One node's part of an upload: header, segments, and the confirmation at the end.
//!
//! Promises: a node that has no time, or gave the stream's place to another, is asked again while the client's patience
//! lasts, which begins anew with each step forward; what it has is not sent twice. Does not: return to a node that cannot
//! be reached, or that lost a segment we no longer hold. A short blob needs no stream of its own (`short`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::crypto::Signature;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::Blame;
use haulout_protocol::machine::upload::Input;
use haulout_protocol::wire::sliver::{Reply, Request};
use haulout_protocol::wire::{LIST_FRAME_BYTES_MAX, Refusal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::{Instrument, debug, debug_span};

use super::encoded::{Encoded, WINDOW, bytes_of, send_share};
use super::event::Event;
use crate::asking::{AskError, nonsense};
use crate::network::{OpenError, Protocol, Stream, StreamError};
use crate::pauses::Pauses;
use crate::session::client::Session;
use crate::{limits, trace};

/// What the upload asks of a node's stream.
#[derive(Debug)]
pub(super) enum Command {
    /// Send the node's slivers of this segment.
    Segment(u32, Arc<Encoded>),
    /// Ask for the confirmation, bound to this object if the blob may be deleted.
    Finish(Option<ObjectId>),
}

/// Sends to one member; reports everything as inputs of the upload's machine.
pub(super) struct Sender {
    session: Session,
    blob_id: BlobId,
    header: Arc<BlobHeader>,
    member: usize,
    /// What is under way: done again on a new stream.
    command: Option<Command>,
    /// Segments that left for the node.
    sent: BTreeSet<u32>,
    /// All of them, if the blob is no more than the window holds anyway: one may be lost with its stream.
    held: BTreeMap<u32, Arc<Encoded>>,
    /// The short blob that is sent, if it is one.
    short: Option<Arc<Encoded>>,
    /// Whether the node was ready before.
    was_ready: bool,
    /// Since when something is asked of the node that it has not done: while it waits for us, its time does not pass.
    moved: Instant,
}

impl Sender {
    pub(super) fn new(
        session: Session,
        blob_id: BlobId,
        header: Arc<BlobHeader>,
        member: usize,
    ) -> Self {
        Sender {
            session,
            blob_id,
            header,
            member,
            command: None,
            sent: BTreeSet::new(),
            held: BTreeMap::new(),
            short: None,
            was_ready: false,
            moved: Instant::now(),
        }
    }

    /// A sender of a short blob, which is sent as soon as the node is reached.
    pub(super) fn with_short(self, short: Option<Arc<Encoded>>) -> Self {
        Sender { short, ..self }
    }

    pub(super) async fn run(
        mut self,
        mut queue: mpsc::Receiver<Command>,
        events: &mpsc::Sender<Event>,
    ) {
        let member = self.member;
        let mut pauses =
            Pauses::between(limits::PUT_RETURN_PAUSE_MIN, limits::PUT_RETURN_PAUSE_MAX);
        loop {
            let served = match self.short {
                Some(_) => self.serve_short(&mut queue, events).await,
                None => self.serve(&mut queue, events).await,
            };
            let Err(error) = served else { return };
            self.session.asker().report(self.session.peer(member), &error);
            let pause = pauses.next();
            let deadline = self.moved + self.session.patience;
            if !is_passing(&error, self.was_ready) || Instant::now() + pause >= deadline {
                let reason = error.to_string();
                let _ = events.send(Event::Input(Input::Failed { member, reason })).await;
                return;
            }
            debug!(member = %self.session.name(member), %error, "going back to a node");
            sleep(pause).await;
        }
    }

    /// Serves the queue on one stream, from its header on.
    async fn serve(
        &mut self,
        queue: &mut mpsc::Receiver<Command>,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), AskError> {
        let member = self.member;
        let report = async |input| drop(events.send(Event::Input(input)).await);
        let mut stream =
            self.session.asker().open(self.session.peer(member), Protocol::Sliver).await?;
        let stored = begin(&mut stream, &self.header).await?;
        self.repeat(&mut stream, &stored).await?;
        if !self.was_ready {
            (self.was_ready, self.moved) = (true, Instant::now());
            report(Input::Ready { member, stored }).await;
        }
        loop {
            if self.command.is_none() {
                self.command = queue.recv().await;
                self.moved = Instant::now();
            }
            match &self.command {
                None => break,
                Some(Command::Segment(segment, encoded)) => {
                    let segment = *segment;
                    if let Err(error) = self.send(&mut stream, segment, encoded).await {
                        return Err(refusal_behind(&mut stream, error).await);
                    }
                    if self.header.segments.len() <= WINDOW {
                        self.held.insert(segment, encoded.clone());
                    }
                    self.command = None;
                    self.moved = Instant::now();
                    self.sent.insert(segment);
                    report(Input::Sent { member, segment }).await;
                }
                Some(Command::Finish(deletable)) => {
                    let confirmed = finish(&mut stream, *deletable);
                    let (epoch, signature) = confirmed.instrument(debug_span!("confirm")).await?;
                    (self.command, self.moved) = (None, Instant::now());
                    report(Input::Confirmed { member, epoch, signature }).await;
                }
            }
        }
        let _ = stream.close().await;
        Ok(())
    }

    /// Sends again what left on an earlier stream and never arrived.
    async fn repeat(&self, stream: &mut Stream, stored: &BTreeSet<u32>) -> Result<(), AskError> {
        for segment in self.sent.difference(stored) {
            let Some(encoded) = self.held.get(segment) else {
                // It is in nobody's memory any more.
                return Err(AskError::Refused(Refusal::NotFound));
            };
            if let Err(error) = self.send(stream, *segment, encoded).await {
                return Err(refusal_behind(stream, error).await);
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        stream: &mut Stream,
        segment: u32,
        encoded: &Encoded,
    ) -> Result<(), StreamError> {
        send_share(&self.session, self.member, &self.blob_id, stream, (segment, encoded)).await
    }
}

/// Whether the node may do it the next time: it has no time now, fell silent on an open stream, or ended it without a word.
/// One that never was ready and of whose machine nothing is heard is dead for all we know, and would be waited for in vain.
fn is_passing(error: &AskError, was_ready: bool) -> bool {
    match error {
        AskError::Open(OpenError::Unreachable(_) | OpenError::Refused) => false,
        AskError::Open(OpenError::TimedOut) => was_ready,
        AskError::Open(error) => error.is_transient(),
        AskError::Refused(Refusal::Busy { .. }) => true,
        AskError::Stream(StreamError::Closed | StreamError::TimedOut(_) | StreamError::Io(_)) => {
            true
        }
        AskError::Refused(_) | AskError::Stream(_) | AskError::Wrong(_) => false,
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
        match stream.read_frame(LIST_FRAME_BYTES_MAX).await? {
            Reply::Stored { .. } => (),
            reply => return confirmation(reply),
        }
    }
}

/// Reads a confirmation; it is not verified yet.
fn confirmation(reply: Reply) -> Result<(Epoch, Signature), AskError> {
    match reply {
        Reply::Confirmed { epoch, signature } => {
            let signature = Signature::from_bytes(&signature);
            let signature = signature.map_err(|_| AskError::Wrong(Blame::WrongProof))?;
            Ok((Epoch(epoch), signature))
        }
        other => Err(unexpected(other)),
    }
}

/// Offers a node a blob; the segments of it that the node has.
pub(super) async fn begin(
    stream: &mut Stream,
    header: &BlobHeader,
) -> Result<BTreeSet<u32>, AskError> {
    write_offer(stream, header).await?;
    stream.flush().await?;
    read_ready(stream, header).await
}

async fn write_offer(stream: &mut Stream, header: &BlobHeader) -> Result<(), StreamError> {
    let bytes = header.to_bytes();
    let put = Request::Put {
        blob_id: *header.blob_id().as_bytes(),
        header_bytes: bytes_of(&bytes),
        trace: trace::current(),
    };
    stream.write_frame(&put).await?;
    stream.write_all(&bytes).await
}

async fn read_ready(stream: &mut Stream, header: &BlobHeader) -> Result<BTreeSet<u32>, AskError> {
    match stream.read_frame(LIST_FRAME_BYTES_MAX).await? {
        Reply::Ready { stored } => Ok(stored_set(stored, header.segments.len())),
        other => Err(unexpected(other)),
    }
}

/// Segments a node holds already, as it says.
fn stored_set(stored: Vec<u32>, segments: usize) -> BTreeSet<u32> {
    stored.into_iter().filter(|segment| (*segment as usize) < segments).collect()
}

/// A node that refuses says why before it ends the stream; the write that failed says less.
async fn refusal_behind(stream: &mut Stream, error: StreamError) -> AskError {
    loop {
        match stream.read_frame(LIST_FRAME_BYTES_MAX).await {
            Ok(Reply::Ready { .. } | Reply::Stored { .. }) => (),
            Ok(Reply::Refused(refusal)) => return AskError::Refused(refusal),
            Ok(_) | Err(_) => return AskError::Stream(error),
        }
    }
}

pub(super) fn unexpected(reply: Reply) -> AskError {
    match reply {
        Reply::Refused(refusal) => AskError::Refused(refusal),
        _ => nonsense(),
    }
}

mod short;
#[cfg(test)]
mod tests;
