//! Names a blob before a byte of it is sent: its header, computed segment by segment on the blocking pool.

use std::collections::BTreeMap;
use std::sync::Arc;

use haulout_protocol::blob::BlobHeader;
use haulout_protocol::encoding::{self, Buffers, Pipeline, SegmentPosition};
use haulout_protocol::wire;
use tracing::{Instrument, debug_span};

use super::encoded::{Encoded, WINDOW};
use super::outcome::PutError;
use super::source::{Source, SourceError};
use crate::limits;
use crate::session::client::Session;
use crate::session::progress::{Observer, Progress};

/// A blob's header, and the segments that were encoded on the way and fit into memory.
pub(super) struct Identified {
    pub(super) header: Arc<BlobHeader>,
    pub(super) encoded: BTreeMap<u32, Arc<Encoded>>,
}

/// The header of the source's bytes: what `blob-id` prints and `put` sends.
pub async fn header(
    session_parameters: encoding::Parameters,
    source: Arc<Source>,
    observer: &Observer,
) -> Result<BlobHeader, PutError> {
    let length = source.length();
    segment_count(&session_parameters, length)?;
    let observer = observer.clone();
    let work = move || {
        let pipeline = Pipeline::new(&session_parameters, limits::SEGMENTS_IDENTIFYING_MAX);
        let header = pipeline.identify(source.clone().reader(), |segment| {
            let bytes = u64::from(segment) * u64::from(session_parameters.segment_bytes());
            let last = session_parameters.segment_length(length, segment);
            observer(Progress::Identified { bytes: bytes + u64::from(last) });
        });
        let header = header.map_err(|error| source.unreadable(error))?;
        if header.length != length {
            return Err(source.changed());
        }
        source.check()?;
        Ok(header)
    };
    Ok(tokio::task::spawn_blocking(work).await.map_err(|_| PutError::Ended)??)
}

/// Fails if the source's bytes may not be those that were read from it.
pub(super) async fn unchanged(source: &Arc<Source>) -> Result<(), PutError> {
    let source = source.clone();
    let work = move || source.check();
    Ok(tokio::task::spawn_blocking(work).await.map_err(|_| PutError::Ended)??)
}

fn segment_count(parameters: &encoding::Parameters, length: u64) -> Result<u32, PutError> {
    let header_bytes_max = u64::from(wire::HEADER_BYTES_MAX);
    let count = parameters.segment_count(length);
    if count > header_bytes_max / 64 - 1 {
        return Err(PutError::TooLarge(length));
    }
    u32::try_from(count).map_err(|_| PutError::TooLarge(length))
}

/// Names the blob; keeps what was encoded for it if all of it fits the window.
pub(super) async fn identify(
    session: &Session,
    source: &Arc<Source>,
    observer: &Observer,
) -> Result<Identified, PutError> {
    let (parameters, length) = (session.parameters, source.length());
    let count = segment_count(&parameters, length)?;
    if count as usize > WINDOW {
        let header = header(parameters, source.clone(), observer).await?;
        return Ok(Identified { header: Arc::new(header), encoded: BTreeMap::new() });
    }
    let buffers = Buffers::new(0);
    let mut encoded = BTreeMap::new();
    let mut bytes = 0;
    for segment in 0..count {
        let result = encode(session, &buffers, source, segment, length).await?;
        bytes += u64::from(parameters.segment_length(length, segment));
        encoded.insert(segment, Arc::new(result));
        observer(Progress::Identified { bytes });
    }
    unchanged(source).await?;
    let segments = encoded.values().map(|segment| segment.commitment()).collect();
    let header = BlobHeader::new(&parameters, length, segments);
    Ok(Identified { header: Arc::new(header), encoded })
}

/// Encodes one segment, or a short blob, on the blocking pool.
pub(super) async fn encode(
    session: &Session,
    buffers: &Buffers,
    source: &Arc<Source>,
    segment: u32,
    blob_bytes: u64,
) -> Result<Encoded, PutError> {
    let (parameters, source, buffers) = (session.parameters, source.clone(), buffers.clone());
    let work = move || -> Result<Encoded, SourceError> {
        let data = source.segment(&parameters, segment)?;
        if parameters.is_short(blob_bytes) {
            return Ok(Encoded::Short(encoding::encode_short(&parameters, &data)));
        }
        let position = SegmentPosition { segment, blob_bytes };
        let encoded = encoding::encode_segment_into(&buffers, &parameters, position, data);
        Ok(Encoded::Segment(encoded))
    };
    let span = debug_span!("encode", haulout.segment = segment);
    let encoded = tokio::task::spawn_blocking(work).instrument(span).await;
    Ok(encoded.map_err(|_| PutError::Ended)??)
}
