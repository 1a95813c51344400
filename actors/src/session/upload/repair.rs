//! Brings slivers that nodes lost back to them, from the bytes of the blob.
//!
//! Promises: pays nothing and needs no wallet, for nodes take slivers of a registered blob from whoever has them, and check
//! each against the blob's id; only what a node lacks is sent, one encoded segment at a time; whoever is not reached is
//! named. Does not: ask for confirmations, or return to a node that failed; whoever repairs again goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::{Buffers, EncodedSegment};
use haulout_protocol::wire::LIST_FRAME_BYTES_MAX;
use haulout_protocol::wire::blob::State;
use haulout_protocol::wire::sliver::{Reply, Request};

use super::identify::{encode, identify, unchanged};
use super::sender::{bytes_of, send_slivers, unexpected};
use super::{PutError, Source, stored_set};
use crate::limits;
use crate::network::{Protocol, Stream};
use crate::session::locate;
use crate::session::node::AskError;
use crate::session::{Observer, Progress, Session};
use crate::trace;

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
    /// Segments of which it got all its slivers; or how far that came and why it ended.
    pub sent: Result<u32, String>,
}

/// One node while it is repaired.
struct Patient {
    member: usize,
    stream: Result<Stream, AskError>,
    lacks: BTreeSet<u32>,
    sent: u32,
}

/// Sends each node the segments of the blob that it lacks. The blob must be registered, or nodes keep little of it.
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
        Some(State::Nonexistent | State::Expired { .. } | State::Invalid) => {
            return Err(PutError::NotStored(blob_id));
        }
        // Without enough answers to know, nodes that know better refuse or forget.
        None | Some(State::Registered { .. } | State::Certified { .. }) => {}
    }
    observer(Progress::Located { bytes: header.length });
    let members = session.members_by_pace().into_iter();
    let mut patients =
        join_all(members.map(|member| Patient::open(session, member, &header))).await;
    patients.sort_by_key(|patient| patient.member);
    let buffers = Buffers::new(limits::ENCODING_BYTES_KEPT_MAX);
    for segment in 0..segments {
        let mut lacking: Vec<_> =
            patients.iter_mut().filter(|patient| patient.lacks.contains(&segment)).collect();
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
        join_all(sending.map(|patient| patient.take(session, &blob_id, segment, &encoded))).await;
        let whole = u64::from(segment).saturating_add(1);
        let bytes = whole.saturating_mul(u64::from(session.parameters.segment_bytes()));
        observer(Progress::Transferred { bytes: bytes.min(header.length) });
    }
    unchanged(source).await?;
    let nodes = patients.into_iter().map(|patient| patient.end(session)).collect();
    Ok(RepairReport { blob_id, length: header.length, segments, nodes })
}

impl Patient {
    /// Asks a node which segments it has.
    async fn open(session: &Session, member: usize, header: &BlobHeader) -> Patient {
        match begin(session, member, header).await {
            Ok((stream, lacks)) => Patient { member, stream: Ok(stream), lacks, sent: 0 },
            Err(error) => {
                error.report(session, member);
                Patient { member, stream: Err(error), lacks: BTreeSet::new(), sent: 0 }
            }
        }
    }

    /// Sends the node its slivers of a segment, and waits until they are durable.
    async fn take(
        &mut self,
        session: &Session,
        blob_id: &BlobId,
        segment: u32,
        encoded: &EncodedSegment,
    ) {
        let Ok(stream) = &mut self.stream else { return };
        let sent = async {
            send_slivers(session, self.member, blob_id, stream, (segment, encoded)).await?;
            match stream.read_frame(LIST_FRAME_BYTES_MAX).await? {
                Reply::Stored { segment: stored } if stored == segment => Ok(()),
                other => Err(unexpected(other)),
            }
        };
        match sent.await {
            Ok(()) => self.sent += 1,
            Err(error) => {
                error.report(session, self.member);
                self.lacks.clear();
                self.stream = Err(error);
            }
        }
    }

    fn end(self, session: &Session) -> RepairedNode {
        let sent = match self.stream {
            Ok(_) => Ok(self.sent),
            Err(error) => Err(error.to_string()),
        };
        RepairedNode { name: session.name(self.member), sent }
    }
}

/// Begins an upload to a node; the segments it lacks.
async fn begin(
    session: &Session,
    member: usize,
    header: &BlobHeader,
) -> Result<(Stream, BTreeSet<u32>), AskError> {
    let mut stream = session.network.open(session.peer(member), Protocol::Sliver).await?;
    let bytes = header.to_bytes();
    let put = Request::Put {
        blob_id: *header.blob_id().as_bytes(),
        header_bytes: bytes_of(&bytes),
        trace: trace::current(),
    };
    stream.write_frame(&put).await?;
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    match stream.read_frame(LIST_FRAME_BYTES_MAX).await? {
        Reply::Ready { stored } => {
            let stored = stored_set(stored, header.segments.len());
            let all = 0..u32::try_from(header.segments.len()).unwrap_or(u32::MAX);
            Ok((stream, all.filter(|segment| !stored.contains(segment)).collect()))
        }
        other => Err(unexpected(other)),
    }
}
