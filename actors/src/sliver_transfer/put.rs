//! Takes uploads: header, segments, slivers in; one signed confirmation out of each.
//!
//! Promises: the header is checked against the blob id, each pair proof against the header, each
//! sliver against its proof, before anything of it is stored; room in memory is asked for a segment as
//! a whole, and never while some is held; whoever registered waits for nobody who did not.
//! Does not: keep anything of a segment that did not arrive in full, or sign (`confirm` does).

use std::sync::Arc;

use haulout_protocol::blob::{BlobHeader, BlobId, Encoding, SegmentCommitment};
use haulout_protocol::crypto::Digest;
use haulout_protocol::encoding::{Parameters, SliverVerifier};
use haulout_protocol::pairs::{PairProof, PairRoots};
use haulout_protocol::sliver::{Axis, PairIndex, ShardIndex, shard_of_pair};
use haulout_protocol::wire::sliver::{Reply, Request};
use haulout_protocol::wire::{self, Refusal};
use haulout_storage::{SegmentWriter, StoreError};
use tokio::task::JoinHandle;
use tracing::{Instrument, Span, debug, debug_span};

use super::pending::Claim;
use super::session::Session;
use crate::context::now_ms;
use crate::network::{Blame, StreamError};
use crate::serving::{Fault, Held, blocking, busy, charged};

/// What is known of an upload once its header is checked.
pub(super) struct Upload {
    pub(super) blob_id: BlobId,
    pub(super) header: Arc<BlobHeader>,
    /// The header's bytes until they are stored: before the blob is registered they come with the first segment, and those
    /// of a short blob always come with its symbols.
    pub(super) unstored: Option<Vec<u8>>,
    /// Room for a long header, as it came and as it is read.
    _room: Option<Held>,
    pub(super) parameters: Parameters,
    pub(super) segments: u32,
    pub(super) shards: Vec<ShardIndex>,
    pub(super) is_registered: bool,
    /// Whether all of it was here before.
    pub(super) is_stored: bool,
}

/// A segment the writer is about to send.
#[derive(Clone, Copy)]
struct Announced {
    segment: u32,
    pairs: u16,
}

/// A pair whose proof came and holds.
struct Pair {
    shard: ShardIndex,
    pair: PairIndex,
    roots: PairRoots,
    proof: Vec<u8>,
}

/// One sliver that arrived, not yet checked.
struct Received {
    shard: ShardIndex,
    axis: Axis,
    /// Place in its axis.
    index: u16,
    /// What its symbols must hash to.
    root: Digest,
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
    fn of(segment: u32, pairs: u16) -> Self {
        Spans {
            verify: debug_span!("verify", haulout.segment = segment, pairs),
            store: debug_span!("store", haulout.segment = segment, pairs),
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
    /// Serves a put from its header to its confirmation; what the writer asks for after a short blob.
    pub(super) async fn take_slivers(
        &mut self,
        blob_id: BlobId,
        header_bytes: u32,
    ) -> Result<Option<Request>, Fault> {
        let mut upload = self.open_upload(blob_id, header_bytes).await?;
        let mut request = self.next_request().await?;
        loop {
            request = match request {
                Request::Segment { segment, pairs } => {
                    let announced = Announced { segment, pairs };
                    self.take_segment(&mut upload, announced).await?;
                    self.reply(&Reply::Stored { segment }).await?;
                    self.next_request().await?
                }
                Request::Finish { deletable } => {
                    let persistence = Request::persistence(deletable);
                    let confirm = debug_span!("confirm", haulout.blob.id = %blob_id);
                    self.confirm(&mut upload, persistence).instrument(confirm).await?;
                    return Ok(None);
                }
                // The node has the blob already, and its writer knows.
                next @ (Request::Put { .. }
                | Request::Confirm { .. }
                | Request::GetShort { .. })
                    if upload.header.encoding == Encoding::Short && upload.is_stored =>
                {
                    return Ok(Some(next));
                }
                Request::Short { symbols, proof_bytes } => {
                    self.take_short(&mut upload, &symbols, proof_bytes).await?;
                    self.reply(&Reply::Stored { segment: 0 }).await?;
                    match self.next_after_short().await? {
                        Some(finish @ Request::Finish { .. }) => finish,
                        next => return Ok(next),
                    }
                }
                Request::Get { .. }
                | Request::GetShort { .. }
                | Request::Put { .. }
                | Request::Confirm { .. }
                | Request::Pair { .. }
                | Request::Sliver { .. } => {
                    return Err(Fault::out_of_place("a frame of an upload"));
                }
            };
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
            true => Some(self.visit.room_for_upload(2 * as_usize(header_bytes)).await?),
            false => None,
        };
        let header = self.visit.stream.read_bytes(header_bytes).await?;
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
            is_stored: false,
        };
        if !self.has_no_registration(&mut upload).await? {
            self.keep_header(&mut upload).await?;
        }
        let stored = self.stored(&upload).await?;
        debug!(segments, already = stored.len(), "upload began");
        upload.is_stored = stored.len() == as_usize(segments);
        self.visit.place.asked();
        self.reply(&Reply::Ready { stored }).await?;
        Ok(upload)
    }

    /// The segments that need not be sent. What came on an earlier stream, and nobody paid for, is not forgotten while its
    /// writer is told that it is here, pays for it, and asks for the confirmation.
    async fn stored(&self, upload: &Upload) -> Result<Vec<u32>, Fault> {
        let (store, blob_id) = (&self.shared.context.store, upload.blob_id);
        let look = || {
            let (store, shards) = (store.clone(), upload.shards.clone());
            blocking(move || {
                let pending_since = store.pending_since(&blob_id)?;
                Ok::<_, StoreError>((pending_since, store.stored_segments(&blob_id, &shards)?))
            })
        };
        let (pending_since, stored) = look().await??;
        let now_ms = now_ms();
        if pending_since.is_none_or(|since_ms| since_ms >= now_ms) {
            return Ok(stored);
        }
        store.renew_pending(&blob_id, now_ms).await?;
        self.shared.pending.renew(&blob_id, now_ms);
        Ok(look().await??.1)
    }

    /// Stores the header, if it is not stored yet; that of a short blob is stored with its symbols.
    pub(super) async fn keep_header(&self, upload: &mut Upload) -> Result<(), Fault> {
        if upload.header.encoding == Encoding::Short {
            return Ok(());
        }
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
        let Announced { segment, pairs } = announced;
        let commitment = announced.check(upload)?;
        let parameters = upload.parameters;
        let length = parameters.segment_length(upload.header.length, segment);
        let of_axis = |axis| parameters.sliver_bytes(axis, length);
        let proof_bytes = usize::try_from(parameters.pair_proof_bytes()).unwrap_or(usize::MAX);
        let pair_bytes = proof_bytes + of_axis(Axis::Primary) + of_axis(Axis::Secondary);
        let pending_bytes = pair_bytes * upload.shards.len();
        // The proofs until all is durable; one sliver that is checked, and one that arrives.
        let largest = of_axis(Axis::Primary).max(of_axis(Axis::Secondary));
        let memory_bytes = charged(proof_bytes * upload.shards.len() + 2 * largest);
        let (claim, _room) = self.make_room(upload, pending_bytes, memory_bytes).await?;
        let (store, blob_id) = (self.shared.context.store.clone(), upload.blob_id);
        let writer = blocking(move || store.segment_writer(blob_id, segment, now_ms())).await??;
        let verifier = SliverVerifier::new(&parameters, length);
        let spans = Spans::of(segment, pairs);
        let mut work = Work::Idle(Box::new(Sink { verifier, writer, spans }));
        let mut seen = Vec::with_capacity(usize::from(pairs));
        for _ in 0..pairs {
            let mut pair = self
                .receive_pair(upload, (segment, &commitment), claim.as_ref(), &mut seen)
                .await?;
            let (mut proof, mut axes) = (Some(std::mem::take(&mut pair.proof)), Vec::new());
            for _ in Axis::BOTH {
                // The next sliver arrives while the one before is checked and written.
                let received = self
                    .receive_sliver(&parameters, length, claim.as_ref(), &pair, &mut axes)
                    .await?;
                let proof = proof.take();
                let mut sink = work.finish().await?;
                let core = self.visit.core().await;
                work = Work::Busy(tokio::task::spawn_blocking(move || {
                    let _core = core;
                    sink.keep(proof, received).map(|()| sink)
                }));
            }
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

    /// Reads a pair's proof and checks it, after making sure that the pair is ours.
    async fn receive_pair(
        &mut self,
        upload: &Upload,
        (segment, commitment): (u32, &SegmentCommitment),
        claim: Option<&Claim>,
        seen: &mut Vec<PairIndex>,
    ) -> Result<Pair, Fault> {
        let frame = self.visit.frame().await?;
        let Request::Pair { pair } = frame else {
            return Err(Fault::out_of_place("a frame between pairs"));
        };
        let (parameters, pair) = (&upload.parameters, PairIndex(pair));
        if pair.0 >= parameters.shards() || seen.contains(&pair) {
            return Err(Fault::out_of_place("a pair that there is not, or that was sent before"));
        }
        seen.push(pair);
        let shard = shard_of_pair(parameters, &upload.blob_id, segment, pair);
        if !upload.shards.contains(&shard) {
            let reason = format!("shard {shard} is not ours in this epoch");
            return Err(Fault::Refused(Refusal::Invalid(reason)));
        }
        let mut proof = vec![0; PairProof::bytes_of(pair, parameters)];
        if claim.is_some_and(|claim| !claim.grow(proof.len())) {
            return Err(busy());
        }
        self.visit.stream.read_exact(&mut proof).await?;
        // Some twenty hashes of a block: not worth another thread.
        let read = PairProof::read_verified(&proof, pair, parameters, &commitment.slivers_root);
        let roots = read.map_err(|error| Fault::Blamed {
            blame: Blame::WrongProof,
            reason: format!("segment {segment}: {error}"),
        })?;
        Ok(Pair { shard, pair, roots: roots.roots, proof })
    }

    /// Reads one sliver of a pair after making sure that there is room for it on the disk.
    async fn receive_sliver(
        &mut self,
        parameters: &Parameters,
        length: u32,
        claim: Option<&Claim>,
        pair: &Pair,
        axes: &mut Vec<Axis>,
    ) -> Result<Received, Fault> {
        let frame = self.visit.frame().await?;
        let Request::Sliver { axis, bytes } = frame else {
            return Err(Fault::out_of_place("a frame between slivers"));
        };
        let expected = parameters.sliver_bytes(axis, length);
        if axes.contains(&axis) || usize::try_from(bytes) != Ok(expected) {
            return Err(Fault::out_of_place("a sliver of this pair and size"));
        }
        axes.push(axis);
        if claim.is_some_and(|claim| !claim.grow(expected)) {
            return Err(busy());
        }
        let mut bytes = vec![0; expected];
        self.visit.stream.read_exact(&mut bytes).await?;
        let index = pair.pair.sliver_index(axis, parameters);
        Ok(Received { shard: pair.shard, axis, index, root: *pair.roots.of(axis), bytes })
    }

    /// Room for a segment, on the disk and in memory. Without a registration there is a claim on the disk, which grows as
    /// the bytes come; where there is no room for bytes without one, it is waited for: the writer registers as soon as a
    /// quorum is ready, and then waits for nobody who did not.
    pub(super) async fn make_room(
        &mut self,
        upload: &mut Upload,
        pending_bytes: usize,
        memory_bytes: usize,
    ) -> Result<(Option<Claim>, Held), Fault> {
        if self.has_no_registration(upload).await? {
            if let Some((claim, room)) = self.claim_room(upload, pending_bytes, memory_bytes) {
                return Ok((Some(claim), room));
            }
            let Upload { blob_id, is_registered, .. } = upload;
            let patience = self.shared.patience.registration_wait;
            let wait = self.wait_registered(blob_id, is_registered, None, patience);
            wait.await?.ok_or_else(busy)?;
        }
        Ok((None, self.visit.room(memory_bytes).await?))
    }

    /// The same for a short blob, whose writer comes again if there is no room without a registration: other puts wait for
    /// its stream.
    pub(super) async fn make_room_at_once(
        &mut self,
        upload: &mut Upload,
        pending_bytes: usize,
        memory_bytes: usize,
    ) -> Result<(Option<Claim>, Held), Fault> {
        if !self.has_no_registration(upload).await? {
            return Ok((None, self.visit.room(memory_bytes).await?));
        }
        let claimed = self.claim_room(upload, pending_bytes, memory_bytes);
        claimed.map(|(claim, room)| (Some(claim), room)).ok_or_else(busy)
    }

    async fn has_no_registration(&self, upload: &mut Upload) -> Result<bool, Fault> {
        let Upload { blob_id, is_registered, .. } = upload;
        Ok(!*is_registered && self.is_registered(blob_id, is_registered, None).await?.is_none())
    }

    /// Room for bytes that nobody pays for, if there is some now.
    fn claim_room(
        &self,
        upload: &Upload,
        pending_bytes: usize,
        memory_bytes: usize,
    ) -> Option<(Claim, Held)> {
        let (guest, blob_id) = (self.visit.place.guest(), upload.blob_id);
        let header_bytes = upload.unstored.as_ref().map_or(0, Vec::len);
        let pending = self.shared.pending.clone();
        let claim = pending.claim(&guest, blob_id);
        let has_room =
            pending.has_room(&guest, blob_id, header_bytes.saturating_add(pending_bytes));
        if !has_room || !claim.grow(header_bytes) {
            return None;
        }
        self.visit.try_room(memory_bytes).map(|room| (claim, room))
    }

    /// Sends one frame at once.
    pub(super) async fn reply(&mut self, reply: &Reply) -> Result<(), Fault> {
        self.visit.stream.write_frame(reply).await?;
        Ok(self.visit.stream.flush().await?)
    }
}

impl Sink {
    /// Checks a sliver and adds it to the segment, and its pair's proof if that was not added before. Blocks.
    fn keep(&mut self, proof: Option<Vec<u8>>, received: Received) -> Result<(), Fault> {
        let Received { shard, axis, index, root, bytes } = received;
        let verifier = &mut self.verifier;
        let checked = self.spans.verify.in_scope(|| verifier.verify(axis, index, &bytes, &root));
        checked.map_err(|error| Fault::Blamed {
            blame: Blame::WrongBytes,
            reason: format!("{axis} sliver {index}: {error}"),
        })?;
        let writer = &mut self.writer;
        Ok(self.spans.store.in_scope(|| {
            proof.map_or(Ok(()), |proof| writer.append_proof(shard, &proof))?;
            writer.append(shard, axis, &bytes)
        })?)
    }
}

impl Announced {
    /// What the header says of the segment, if it has one and the announcement fits it and our shards.
    fn check(&self, upload: &Upload) -> Result<SegmentCommitment, Fault> {
        let invalid = |reason: &str| Fault::Refused(Refusal::Invalid(reason.to_owned()));
        if upload.header.encoding != Encoding::Segments {
            return Err(Fault::out_of_place("a segment of a short blob"));
        }
        let commitment = upload.header.segments.get(as_usize(self.segment));
        let commitment = *commitment.ok_or_else(|| invalid("there is no such segment"))?;
        if usize::from(self.pairs) != upload.shards.len() {
            return Err(invalid("a segment takes a pair for each of our shards"));
        }
        Ok(commitment)
    }
}

/// A length from the wire.
pub(super) fn as_usize(number: u32) -> usize {
    usize::try_from(number).expect("we run on at least 32 bits")
}

/// The axis as a label.
pub(super) fn axis_word(axis: Axis) -> &'static str {
    match axis {
        Axis::Primary => "primary",
        Axis::Secondary => "secondary",
    }
}
