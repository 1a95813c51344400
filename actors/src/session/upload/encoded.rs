//! What a put sends nodes of: a segment with its slivers, or a short blob with its symbols.
//!
//! Promises: one way to hand a node its share of either, all of it in order. Does not: wait for what the node says.

use bytes::Bytes;
use haulout_protocol::blob::{BlobId, SegmentCommitment};
use haulout_protocol::encoding::{EncodedSegment, EncodedShort, Parameters};
use haulout_protocol::sliver::{self, Axis, ShardIndex};
use haulout_protocol::wire::sliver::Request;

use crate::network::{Stream, StreamError};
use crate::session::client::Session;

/// Encoded segments in memory at once: one being sent, one being encoded.
pub const WINDOW: usize = 2;

/// A segment or a short blob, encoded.
#[derive(Debug)]
pub(super) enum Encoded {
    /// A matrix of symbols.
    Segment(EncodedSegment),
    /// A row of symbols: a blob's only segment.
    Short(EncodedShort),
}

impl Encoded {
    /// What the blob's header says of it.
    pub(super) fn commitment(&self) -> SegmentCommitment {
        match self {
            Encoded::Segment(encoded) => encoded.commitment(),
            Encoded::Short(encoded) => encoded.commitment(),
        }
    }
}

/// How many raw bytes follow a frame.
pub(super) fn bytes_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("headers and slivers are shorter than 4 GiB")
}

/// Sends a member its share of one segment.
pub(super) async fn send_share(
    session: &Session,
    member: usize,
    blob_id: &BlobId,
    stream: &mut Stream,
    (segment, encoded): (u32, &Encoded),
) -> Result<(), StreamError> {
    let shards = &session.committee.members()[member].shards;
    let place = (&session.parameters, blob_id, segment);
    match encoded {
        Encoded::Segment(encoded) => send_pairs(stream, shards, place, encoded).await?,
        Encoded::Short(encoded) => send_symbols(stream, shards, place, encoded).await?,
    }
    stream.flush().await
}

/// Sends pairs, each after its proof.
async fn send_pairs(
    stream: &mut Stream,
    shards: &[ShardIndex],
    (parameters, blob_id, segment): (&Parameters, &BlobId, u32),
    encoded: &EncodedSegment,
) -> Result<(), StreamError> {
    let pairs = u16::try_from(shards.len()).unwrap_or(u16::MAX);
    stream.write_frame(&Request::Segment { segment, pairs }).await?;
    for shard in shards {
        let pair = sliver::pair_of_shard(parameters, blob_id, segment, *shard);
        stream.write_frame(&Request::Pair { pair: pair.0 }).await?;
        stream.write_all(&encoded.pairs().prove(pair).to_bytes()).await?;
        for axis in Axis::BOTH {
            let sliver = encoded.sliver(axis, pair.sliver_index(axis, parameters));
            let bytes = bytes_of(&sliver);
            stream.write_frame(&Request::Sliver { axis, bytes }).await?;
            stream.write_all(&sliver).await?;
        }
    }
    Ok(())
}

/// Sends symbols, and the proof that they share.
async fn send_symbols(
    stream: &mut Stream,
    shards: &[ShardIndex],
    (parameters, blob_id, segment): (&Parameters, &BlobId, u32),
    encoded: &EncodedShort,
) -> Result<(), StreamError> {
    let place = |shard: &ShardIndex| sliver::pair_of_shard(parameters, blob_id, segment, *shard).0;
    let mut places: Vec<u16> = shards.iter().map(place).collect();
    places.sort_unstable();
    let proof = encoded.prove(&places).map(|proof| proof.to_bytes()).unwrap_or_default();
    let symbols: Vec<Bytes> = places.iter().map(|place| encoded.symbol(*place)).collect();
    let announced = Request::Short { symbols: places, proof_bytes: bytes_of(&proof) };
    stream.write_frame(&announced).await?;
    stream.write_all(&symbols.concat()).await?;
    stream.write_all(&proof).await
}
