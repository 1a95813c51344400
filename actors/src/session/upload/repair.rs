//! Brings slivers that nodes lost back to them, from the bytes of the blob.
//!
//! Promises: pays nothing and needs no wallet, for nodes take slivers of a registered blob from whoever has them, and check
//! each against the blob's id; only what a node lacks is sent, one encoded segment at a time; whoever is not reached is
//! named. Does not: ask for confirmations, or return to a node that failed; whoever repairs again goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::Buffers;
use haulout_protocol::wire::LIST_FRAME_BYTES_MAX;
use haulout_protocol::wire::blob::State;
use haulout_protocol::wire::sliver::Reply;

use super::encoded::{Encoded, send_share};
use super::identify::{encode, identify, unchanged};
use super::outcome::PutError;
use super::sender::{begin as offer, unexpected};
use super::source::Source;
use crate::asking::AskError;
use crate::limits;
use crate::network::{Protocol, Stream};
use crate::session::client::Session;
use crate::session::locate;
use crate::session::progress::{Observer, Progress};

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// The blob.
    pub blob_id: BlobId,
    /// Its length in bytes.
    pub length: u64,
    /// Segments it has.
    pub segments: u32,
    /// Each node that owns shards, in the committee's order.
    pub nodes: Vec<RepairedNode>,
}

/// What a repair did for one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairedNode {
    /// Its name.
    pub name: String,
    /// Segments of which it got all its slivers.
    pub sent: u32,
    /// Why it did not get all that it lacks.
    pub failed: Option<String>,
}

/// One node while it is repaired.
struct Patient {
    member: usize,
    /// Open between two segments that it lacks, unless it tires of waiting.
    stream: Option<Stream>,
    lacks: BTreeSet<u32>,
    sent: u32,
    failed: Option<AskError>,
}

/// Sends each node the segments of the blob that it lacks. The blob must be certified: one
/// that is only registered is finished by its owner's put.
pub async fn repair(
    session: &Session,
    source: &Arc<Source>,
    observer: &Observer,
) -> Result<RepairReport, PutError> {
    let identified = identify(session, source, observer).await?;
    let header = identified.header;
    let segments = u32::try_from(header.segments.len()).unwrap_or(u32::MAX);
    let blob_id = header.blob_id();
    match locate::standing(session, &blob_id).await.state {
        Some(
            State::Nonexistent | State::Registered { .. } | State::Expired { .. } | State::Invalid,
        ) => return Err(PutError::NotStored(blob_id)),
        // Without enough answers to know, nodes that know better refuse or forget.
        None | Some(State::Certified { .. }) => {}
    }
    observer(Progress::Located { bytes: header.length });
    let members = session.members_by_pace().into_iter();
    let mut patients =
        join_all(members.map(|member| Patient::open(session, member, &header))).await;
    patients.sort_by_key(|patient| patient.member);
    let buffers = Buffers::new(limits::ENCODING_BYTES_KEPT_MAX);
    for segment in 0..segments {
        let mut lacking: Vec<_> =
            patients.iter_mut().filter(|patient| patient.lacks.first() == Some(&segment)).collect();
        if lacking.is_empty() {
            continue;
        }
        let encoded = match identified.encoded.get(&segment) {
            Some(encoded) => encoded.clone(),
            None => Arc::new(encode(session, &buffers, source, segment, header.length).await?),
        };
        let index = usize::try_from(segment).unwrap_or(usize::MAX);
        if header.segments.get(index) != Some(&encoded.commitment()) {
            return Err(source.changed().into());
        }
        let sending = lacking.iter_mut();
        join_all(sending.map(|patient| patient.take(session, &header, segment, &encoded))).await;
        let whole = u64::from(segment).saturating_add(1);
        let bytes = whole.saturating_mul(u64::from(session.parameters.segment_bytes()));
        observer(Progress::Transferred { bytes: bytes.min(header.length) });
    }
    unchanged(source).await?;
    let nodes = patients.into_iter().map(|patient| patient.end(session)).collect();
    Ok(RepairReport { blob_id, length: header.length, segments, nodes })
}

impl Patient {
    /// Asks a node which segments it has. Its first one may come late: the stream is not kept until then.
    async fn open(session: &Session, member: usize, header: &BlobHeader) -> Patient {
        let mut patient =
            Patient { member, stream: None, lacks: BTreeSet::new(), sent: 0, failed: None };
        match begin(session, member, header).await {
            Ok((mut stream, lacks)) => {
                patient.lacks = lacks;
                let _ = stream.close().await;
            }
            Err(error) => patient.fail(session, error),
        }
        patient
    }

    /// Sends the node its slivers of a segment, and waits until they are durable. Two segments may lie far apart: a stream that
    /// ended in between is opened once more.
    async fn take(
        &mut self,
        session: &Session,
        header: &BlobHeader,
        segment: u32,
        encoded: &Encoded,
    ) {
        let is_used = self.stream.is_some();
        let mut sent = self.send(session, header, segment, encoded).await;
        if is_used && sent.is_err() {
            self.stream = None;
            sent = self.send(session, header, segment, encoded).await;
        }
        self.lacks.remove(&segment);
        match sent {
            Ok(()) => self.sent += 1,
            Err(error) => self.fail(session, error),
        }
        if self.lacks.is_empty()
            && let Some(mut stream) = self.stream.take()
        {
            let _ = stream.close().await;
        }
    }

    async fn send(
        &mut self,
        session: &Session,
        header: &BlobHeader,
        segment: u32,
        encoded: &Encoded,
    ) -> Result<(), AskError> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(begin(session, self.member, header).await?.0),
        };
        let blob_id = header.blob_id();
        send_share(session, self.member, &blob_id, stream, (segment, encoded)).await?;
        match stream.read_frame(LIST_FRAME_BYTES_MAX).await? {
            Reply::Stored { segment: stored } if stored == segment => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Gives the node up.
    fn fail(&mut self, session: &Session, error: AskError) {
        session.asker().report(session.peer(self.member), &error);
        self.lacks.clear();
        self.stream = None;
        self.failed = Some(error);
    }

    fn end(self, session: &Session) -> RepairedNode {
        let failed = self.failed.map(|error| error.to_string());
        RepairedNode { name: session.name(self.member), sent: self.sent, failed }
    }
}

/// Begins an upload to a node; the segments it lacks.
async fn begin(
    session: &Session,
    member: usize,
    header: &BlobHeader,
) -> Result<(Stream, BTreeSet<u32>), AskError> {
    let mut stream = session.asker().open(session.peer(member), Protocol::Sliver).await?;
    let stored = offer(&mut stream, header).await?;
    let all = 0..u32::try_from(header.segments.len()).unwrap_or(u32::MAX);
    Ok((stream, all.filter(|segment| !stored.contains(segment)).collect()))
}
