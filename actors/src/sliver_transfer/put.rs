//! Takes an upload: header, segments, slivers in; one signed confirmation out.
//!
//! Promises: the header is checked against the blob id, each index against the header, each sliver
//! against its index, before anything of it is stored; the confirmation is signed only when the
//! ledger's registration, proven, and every sliver of all our shards are durable here; room in memory
//! is asked for a segment as a whole, and never while some is held; whoever registered waits for
//! nobody who did not. Does not: keep anything of a segment that did not arrive in full.

use std::sync::Arc;

use haulout_protocol::blob::{BlobHeader, BlobId, SegmentCommitment};
use haulout_protocol::crypto::Digest;
use haulout_protocol::encoding::{Parameters, SliverVerifier};
use haulout_protocol::message::{Persistence, blob_certificate_message};
use haulout_protocol::sliver::{
    Axis, INDEX_PAIR_BYTES, PairIndex, ShardIndex, SliverIndex, shard_of_pair,
};
use haulout_protocol::wire::sliver::{Reply, Request};
use haulout_protocol::wire::{self, Refusal};
use haulout_storage::SegmentWriter;
use tokio::task::JoinHandle;
use tracing::{Instrument, Span, debug, debug_span, info};

use super::memory::Held;
use super::pending::Claim;
use super::session::{Fault, Session, blocking, busy, charged};
use crate::context::{Position, now_ms};
use crate::limits;
use crate::network::{Blame, StreamError};

/// What is known of an upload once its header is checked.
struct Upload {
    blob_id: BlobId,
    header: Arc<BlobHeader>,
    /// The header's bytes until they are stored: before the blob is registered they come with the first segment.
    unstored: Option<Vec<u8>>,
    /// Room for a long header, as it came and as it is read.
    _room: Option<Held>,
    parameters: Parameters,
    segments: u32,
    shards: Vec<ShardIndex>,
    is_registered: bool,
}

/// A segment the writer is about to send.
#[derive(Clone, Copy)]
struct Announced {
    segment: u32,
    index_bytes: u32,
    slivers: u16,
}

/// One sliver that arrived, not yet checked.
struct Received {
    shard: ShardIndex,
    axis: Axis,
    /// Place in its axis.
    index: u16,
    bytes: Vec<u8>,
}

/// Where the checked slivers of one segment go.
struct Sink {
    verifier: SliverVerifier,
    writer: SegmentWriter,
    spans: Spans,
}

/// Where the time of a segment goes.
struct Spans {
    verify: Span,
    store: Span,
}

impl Spans {
    fn of(segment: u32, slivers: u16) -> Self {
        Spans {
            verify: debug_span!("verify", haulout.segment = segment, slivers),
            store: debug_span!("store", haulout.segment = segment, slivers),
        }
    }
}

/// The sink of a segment, here or with the task that fills it.
enum Work {
    Idle(Box<Sink>),
    Busy(JoinHandle<Result<Box<Sink>, Fault>>),
}

impl Work {
    /// Waits until the sink is free.
    async fn finish(self) -> Result<Box<Sink>, Fault> {
        match self {
            Work::Idle(sink) => Ok(sink),
            Work::Busy(task) => task.await.map_err(|_| Fault::Panicked)?,
        }
    }
}

impl Session {
    /// Serves a put from its header to its confirmation.
    pub(super) async fn take_slivers(
        &mut self,
        blob_id: BlobId,
        header_bytes: u32,
    ) -> Result<(), Fault> {
        let mut upload = self.open_upload(blob_id, header_bytes).await?;
        loop {
            // The writer may be encoding, or feeding slower nodes.
            self.stream.allow_pause(self.shared.patience.pause);
            match self.stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await? {
                Request::Segment { segment, index_bytes, slivers } => {
                    let announced = Announced { segment, index_bytes, slivers };
                    self.take_segment(&mut upload, announced).await?;
                    self.reply(&Reply::Stored { segment }).await?;
                }
                Request::Finish { deletable } => {
                    let persistence = Request::persistence(deletable);
                    let confirm = debug_span!("confirm", haulout.blob.id = %blob_id);
                    return self.confirm(&mut upload, persistence).instrument(confirm).await;
                }
                Request::Get { .. } | Request::Put { .. } | Request::Sliver { .. } => {
                    return Err(Fault::out_of_place("a frame of an upload"));
                }
            }
        }
    }

    /// Checks the header; says which segments need not be sent. What is paid for is kept at once.
    async fn open_upload(&mut self, blob_id: BlobId, header_bytes: u32) -> Result<Upload, Fault> {
        let position = self.shared.context.position.current();
        let parameters = position.parameters;
        let shards = self.shared.own_shards(&position)?;
        if header_bytes > wire::HEADER_BYTES_MAX {
            let max = wire::HEADER_BYTES_MAX;
            return Err(StreamError::TooLarge { announced: header_bytes, max }.into());
        }
        // Places bound the short ones: no longer than any frame.
        let room = match header_bytes > wire::SMALL_FRAME_BYTES_MAX {
            true => Some(self.room_for_header(2 * as_usize(header_bytes)).await?),
            false => None,
        };
        let header = self.stream.read_bytes(header_bytes).await?;
        let (bytes, header) = blocking(move || {
            let read = BlobHeader::read_verified(&header, &parameters, &blob_id);
            (header, read)
        })
        .instrument(debug_span!("verify", haulout.blob.id = %blob_id))
        .await?;
        let header = header.map_err(|error| Fault::Blamed {
            blame: Blame::WrongProof,
            reason: error.to_string(),
        })?;
        let segments = u32::try_from(header.segments.len())
            .map_err(|_| Fault::Refused(Refusal::Invalid("too many segments".to_owned())))?;
        let mut upload = Upload {
            blob_id,
            header: Arc::new(header),
            unstored: Some(bytes),
            _room: room,
            parameters,
            segments,
            shards,
            is_registered: false,
        };
        if self.is_registered(&mut upload, None).await?.is_some() {
            self.keep_header(&mut upload).await?;
        }
        let (store, shards) = (self.shared.context.store.clone(), upload.shards.clone());
        let stored = blocking(move || store.stored_segments(&blob_id, &shards)).await??;
        debug!(segments, already = stored.len(), "upload began");
        self.place.asked();
        self.reply(&Reply::Ready { stored }).await?;
        Ok(upload)
    }

    /// Stores the header, if it is not stored yet.
    async fn keep_header(&self, upload: &mut Upload) -> Result<(), Fault> {
        let Some(bytes) = upload.unstored.take() else { return Ok(()) };
        let kept = self.shared.context.store.put_header(&upload.blob_id, bytes, now_ms());
        let span = debug_span!("store", haulout.blob.id = %upload.blob_id);
        Ok(kept.instrument(span).await?)
    }

    /// Takes the slivers of one segment and makes them durable.
    async fn take_segment(
        &mut self,
        upload: &mut Upload,
        announced: Announced,
    ) -> Result<(), Fault> {
        let Announced { segment, index_bytes, slivers } = announced;
        let commitment = announced.check(upload)?;
        let parameters = upload.parameters;
        let length = parameters.segment_length(upload.header.length, segment);
        let of_axis = |axis| parameters.sliver_bytes(axis, length);
        let pair_bytes = of_axis(Axis::Primary) + of_axis(Axis::Secondary);
        let pending_bytes = as_usize(index_bytes) + pair_bytes * upload.shards.len();
        // The index as it came and as it is read; one sliver that is checked, and one that arrives.
        let largest = of_axis(Axis::Primary).max(of_axis(Axis::Secondary));
        let memory_bytes = charged(2 * as_usize(index_bytes) + 2 * largest);
        let (claim, _room) = self.make_room(upload, pending_bytes, memory_bytes).await?;
        if claim.as_ref().is_some_and(|claim| !claim.grow(as_usize(index_bytes))) {
            return Err(busy());
        }
        let index = self.stream.read_bytes(index_bytes).await?;

        let (store, blob_id) = (self.shared.context.store.clone(), upload.blob_id);
        let opened = blocking(move || {
            let known = SliverIndex::from_bytes(&index, &parameters)
                .ok()
                .filter(|known| known.root() == commitment.slivers_root)?;
            Some((known, store.segment_writer(blob_id, segment, index, now_ms())))
        });
        let (known, writer) = opened.await?.ok_or_else(|| Fault::Blamed {
            blame: Blame::WrongProof,
            reason: format!("the sliver index of segment {segment} does not match the header"),
        })?;
        let verifier = SliverVerifier::new(&parameters, length);
        let spans = Spans::of(segment, slivers);
        let mut work = Work::Idle(Box::new(Sink { verifier, writer: writer?, spans }));
        let mut seen = Vec::with_capacity(usize::from(slivers));
        for _ in 0..slivers {
            // The next sliver arrives while the one before is checked and written.
            let received =
                self.receive(upload, (segment, length), claim.as_ref(), &mut seen).await?;
            let root = *known.sliver_root(received.axis, received.index);
            let mut sink = work.finish().await?;
            let core = self.shared.core().await;
            work = Work::Busy(tokio::task::spawn_blocking(move || {
                let _core = core;
                sink.keep(&root, received).map(|()| sink)
            }));
        }
        let Sink { writer, spans, .. } = *work.finish().await?;
        drop(spans.verify);
        self.keep_header(upload).await?;
        writer.commit().instrument(spans.store).await?;
        if let Some(claim) = claim {
            claim.keep(now_ms());
        }
        let metrics = &self.shared.context.metrics;
        for axis in [Axis::Primary, Axis::Secondary] {
            let bytes = u64::try_from(of_axis(axis)).unwrap_or(u64::MAX);
            for _ in &upload.shards {
                metrics.sliver_stored(axis_word(axis), bytes);
            }
        }
        Ok(())
    }

    /// Reads one sliver after making sure that it is ours and that there is room for it on the disk.
    async fn receive(
        &mut self,
        upload: &Upload,
        (segment, length): (u32, u32),
        claim: Option<&Claim>,
        seen: &mut Vec<(Axis, u16)>,
    ) -> Result<Received, Fault> {
        let frame = self.stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await?;
        let Request::Sliver { axis, pair, bytes } = frame else {
            return Err(Fault::out_of_place("a frame between slivers"));
        };
        let parameters = &upload.parameters;
        let expected = parameters.sliver_bytes(axis, length);
        if pair >= parameters.shards() || usize::try_from(bytes) != Ok(expected) {
            return Err(Fault::out_of_place("a sliver of this place and size"));
        }
        let shard = shard_of_pair(parameters, &upload.blob_id, segment, PairIndex(pair));
        if !upload.shards.contains(&shard) {
            let reason = format!("shard {shard} is not ours in this epoch");
            return Err(Fault::Refused(Refusal::Invalid(reason)));
        }
        if seen.contains(&(axis, pair)) {
            return Err(Fault::out_of_place("a sliver sent twice"));
        }
        seen.push((axis, pair));
        if claim.is_some_and(|claim| !claim.grow(expected)) {
            return Err(busy());
        }
        let mut bytes = vec![0; expected];
        self.stream.read_exact(&mut bytes).await?;
        let index = PairIndex(pair).sliver_index(axis, parameters);
        Ok(Received { shard, axis, index, bytes })
    }

    /// Waits for the registration, makes sure that all is durable, and signs.
    async fn confirm(
        &mut self,
        upload: &mut Upload,
        persistence: Persistence,
    ) -> Result<(), Fault> {
        let position = self.wait_registered(upload, Some(persistence)).await?;
        let position = position.ok_or(Fault::Refused(Refusal::NotRegistered))?;
        self.keep_header(upload).await?;
        let shards = self.shared.own_shards(&position)?;
        let context = &self.shared.context;
        let (store, blob_id, segments) = (context.store.clone(), upload.blob_id, upload.segments);
        if !blocking(move || store.holds(&blob_id, segments, &shards)).await?? {
            let reason = "some of our slivers are missing; send them again".to_owned();
            return Err(Fault::Refused(Refusal::Invalid(reason)));
        }
        if !context.trust.may_act(&position) {
            // The ledger may prove itself again, or go on to where we are: the writer asks again.
            let retry_after_ms = limits::BUSY_RETRY_AFTER_MS;
            return Err(Fault::Refused(Refusal::Busy { retry_after_ms }));
        }
        let epoch = position.epoch;
        let message = blob_certificate_message(&context.network, epoch, &blob_id, &persistence);
        let key = context.keys.confirmation.as_ref();
        let signature = key.ok_or(Fault::Refused(Refusal::NotMember))?.sign(&message);
        let reply = Reply::Confirmed { epoch: epoch.0, signature: signature.to_bytes() };
        context.metrics.confirmation_signed();
        info!(%blob_id, %epoch, segments, "blob stored and confirmed");
        self.reply(&reply).await
    }

    /// Room for a segment, on the disk and in memory. Without a registration there is a claim on the disk, which grows as
    /// the bytes come; where there is no room for bytes without one, it is waited for: the writer registers as soon as a
    /// quorum is ready, and then waits for nobody who did not.
    async fn make_room(
        &mut self,
        upload: &mut Upload,
        pending_bytes: usize,
        memory_bytes: usize,
    ) -> Result<(Option<Claim>, Held), Fault> {
        if !upload.is_registered && self.is_registered(upload, None).await?.is_none() {
            let (guest, blob_id) = (self.place.guest(), upload.blob_id);
            let header_bytes = upload.unstored.as_ref().map_or(0, Vec::len);
            let pending = self.shared.pending.clone();
            let claim = pending.claim(&guest, blob_id);
            if pending.has_room(&guest, blob_id, header_bytes.saturating_add(pending_bytes))
                && claim.grow(header_bytes)
                && let Some(room) = self.try_room(memory_bytes)
            {
                return Ok((Some(claim), room));
            }
            drop(claim);
            self.wait_registered(upload, None).await?.ok_or_else(busy)?;
        }
        Ok((None, self.room(memory_bytes).await?))
    }

    /// Waits until our store has the registration; gives the position it was seen at.
    async fn wait_registered(
        &mut self,
        upload: &mut Upload,
        persistence: Option<Persistence>,
    ) -> Result<Option<Position>, Fault> {
        let mut moves = self.shared.context.position.subscribe();
        let deadline = tokio::time::Instant::now() + self.shared.patience.registration_wait;
        loop {
            moves.borrow_and_update();
            if let Some(position) = self.is_registered(upload, persistence).await? {
                return Ok(Some(position));
            }
            match tokio::time::timeout_at(deadline, moves.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok(None),
            }
        }
    }

    /// Whether the blob is registered as asked for, and at which position we saw it.
    async fn is_registered(
        &self,
        upload: &mut Upload,
        persistence: Option<Persistence>,
    ) -> Result<Option<Position>, Fault> {
        let position = self.shared.context.position.current();
        let epoch = position.epoch;
        let (store, blob_id) = (self.shared.context.store.clone(), upload.blob_id);
        let Some(record) = blocking(move || store.blob(&blob_id)).await?? else {
            return Ok(None);
        };
        if record.invalid.is_some() {
            let reason = "the blob was proven to be encoded wrongly".to_owned();
            return Err(Fault::Refused(Refusal::Invalid(reason)));
        }
        let is_registered = match persistence {
            None => record.is_registered(epoch),
            Some(Persistence::Permanent) => record.permanent(epoch).is_some(),
            Some(Persistence::Deletable(object)) => record
                .object(&object)
                .is_some_and(|object| object.deletable && object.is_live(epoch)),
        };
        if is_registered && !upload.is_registered {
            upload.is_registered = true;
            self.place.promote(&upload.blob_id);
            self.shared.pending.settle(&upload.blob_id);
        }
        Ok(is_registered.then_some(position))
    }

    /// Sends one frame at once.
    async fn reply(&mut self, reply: &Reply) -> Result<(), Fault> {
        self.stream.write_frame(reply).await?;
        Ok(self.stream.flush().await?)
    }
}

impl Sink {
    /// Checks a sliver and adds it to the segment. Blocks.
    fn keep(&mut self, root: &Digest, received: Received) -> Result<(), Fault> {
        let Received { shard, axis, index, bytes } = received;
        let verifier = &mut self.verifier;
        let checked = self.spans.verify.in_scope(|| verifier.verify(axis, index, &bytes, root));
        checked.map_err(|error| Fault::Blamed {
            blame: Blame::WrongBytes,
            reason: format!("{axis} sliver {index}: {error}"),
        })?;
        let writer = &mut self.writer;
        self.spans.store.in_scope(|| writer.append(shard, axis, &bytes))?;
        Ok(())
    }
}

impl Announced {
    /// What the header says of the segment, if it has one and the announcement fits it and our shards.
    fn check(&self, upload: &Upload) -> Result<SegmentCommitment, Fault> {
        let invalid = |reason: &str| Fault::Refused(Refusal::Invalid(reason.to_owned()));
        let commitment = upload.header.segments.get(as_usize(self.segment));
        let commitment = *commitment.ok_or_else(|| invalid("there is no such segment"))?;
        if usize::from(self.slivers) != 2 * upload.shards.len() {
            return Err(invalid("a segment takes two slivers for each of our shards"));
        }
        if as_usize(self.index_bytes) != usize::from(upload.parameters.shards()) * INDEX_PAIR_BYTES
        {
            return Err(Fault::out_of_place("a sliver index of this length"));
        }
        Ok(commitment)
    }
}

/// A length from the wire.
fn as_usize(number: u32) -> usize {
    usize::try_from(number).expect("we run on at least 32 bits")
}

/// The axis as a label.
pub(super) fn axis_word(axis: Axis) -> &'static str {
    match axis {
        Axis::Primary => "primary",
        Axis::Secondary => "secondary",
    }
}
