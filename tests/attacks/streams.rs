//! Strangers that speak our own protocols: slowly, in bulk, for what is not theirs, and again and again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use haulout_actors::network::{Protocol, Stream};
use haulout_protocol::blob::{BlobHeader, BlobId, Encoding, SegmentCommitment};
use haulout_protocol::machine::conditions::Name;
use haulout_protocol::sliver::Axis;
use haulout_protocol::wire::{self, Refusal, blob, sliver};
use haulout_tests::KIB;

use crate::assault::Assault;

/// Streams of each stranger to each node: as many as a client of ours opens.
const STREAMS: usize = 20;
/// Longer than the blobs of honest clients, so that readers have something to wait for.
const PREY_BYTES: usize = 8 * 1024 * KIB;

/// Streams that move a byte each second, or none.
pub(crate) async fn slow_streams() {
    let mut attack = Assault::begin().await;
    attack.send(Protocol::Sliver, STREAMS, |mut stream| async move {
        stream.write_all(&wire::SMALL_FRAME_BYTES_MAX.to_be_bytes()).await?;
        loop {
            stream.write_all(&[0]).await?;
            stream.flush().await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    attack.is_named(Name::PlacesExhausted);
    attack.judge("slow streams").await;
}

/// Uploads that announce the longest header there may be, send almost all of it, and stop.
pub(crate) async fn headers_that_never_end() {
    let mut attack = Assault::begin().await;
    attack.send(Protocol::Sliver, STREAMS, |mut stream| async move {
        let header_bytes = wire::HEADER_BYTES_MAX;
        let put = sliver::Request::Put { blob_id: [7; 32], header_bytes, trace: None };
        stream.write_frame(&put).await?;
        let part = vec![0; 64 * KIB];
        for _ in 0..255 {
            stream.write_all(&part).await?;
        }
        stream.flush().await?;
        until_cut_off(stream).await
    });
    attack.judge("headers that never end").await;
}

/// Long headers that nobody paid for, and questions for them.
pub(crate) async fn unpaid_headers() {
    let commitment = SegmentCommitment { slivers_root: [1; 32], content: [2; 32] };
    let header = BlobHeader {
        encoding: Encoding::Segments,
        length: 1 << 42,
        segments: vec![commitment; 1 << 17],
    };
    let (blob_id, bytes) = (*header.blob_id().as_bytes(), Arc::new(header.to_bytes()));
    let mut attack = Assault::begin().await;
    attack.send(Protocol::Sliver, 2, move |mut stream| {
        let bytes = bytes.clone();
        async move {
            let header_bytes = u32::try_from(bytes.len())?;
            let put = sliver::Request::Put { blob_id, header_bytes, trace: None };
            stream.write_frame(&put).await?;
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            until_cut_off(stream).await
        }
    });
    attack.send(Protocol::Blob, STREAMS - 2, move |mut stream| async move {
        let question = blob::Question::Header;
        stream.write_frame(&blob::Request { blob_id, question, trace: None }).await?;
        stream.flush().await?;
        let answer: blob::Answer = stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await?;
        let is_refused = matches!(answer, blob::Answer::Refused(_));
        assert!(is_refused, "a header nobody paid for was served: {answer:?}");
        Ok(())
    });
    attack.judge("unpaid headers").await;
}

/// Uploads that announce a segment and send nothing of it.
pub(crate) async fn claims_without_bytes() {
    let mut attack = Assault::begin().await;
    attack.send(Protocol::Sliver, STREAMS, |mut stream| async move {
        begin_upload(&mut stream).await?;
        // Seven shards at four nodes: three nodes have two.
        let segment = sliver::Request::Segment { segment: 0, pairs: 2 };
        stream.write_frame(&segment).await?;
        stream.flush().await?;
        until_cut_off(stream).await
    });
    attack.judge("claims without bytes").await;
}

/// Uploads that wait for a registration which never comes, and send on as much as the transport takes.
pub(crate) async fn bytes_nobody_reads() {
    let mut attack = Assault::begin().await;
    attack.send(Protocol::Sliver, STREAMS, |mut stream| async move {
        begin_upload(&mut stream).await?;
        stream.write_frame(&sliver::Request::Finish { deletable: None }).await?;
        let bytes = vec![0; 64 * KIB];
        loop {
            stream.write_all(&bytes).await?;
        }
    });
    attack.judge("bytes nobody reads").await;
}

/// Sends the header of a blob of one segment, and waits until the node wants more.
async fn begin_upload(stream: &mut Stream) -> Result<()> {
    let commitment = SegmentCommitment { slivers_root: [1; 32], content: [2; 32] };
    let header =
        BlobHeader { encoding: Encoding::Segments, length: 32 << 20, segments: vec![commitment] };
    let bytes = header.to_bytes();
    let (blob_id, header_bytes) = (*header.blob_id().as_bytes(), u32::try_from(bytes.len())?);
    stream.write_frame(&sliver::Request::Put { blob_id, header_bytes, trace: None }).await?;
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    let ready: sliver::Reply = stream.read_frame(wire::LIST_FRAME_BYTES_MAX).await?;
    ensure!(matches!(ready, sliver::Reply::Ready { .. }), "{ready:?}");
    Ok(())
}

/// Gets that name one pair as often as a frame has room for.
pub(crate) async fn pairs_named_again_and_again() {
    let mut attack = Assault::begin().await;
    let blob_id = attack.prey(PREY_BYTES).await;
    attack.send(Protocol::Sliver, STREAMS, move |mut stream| async move {
        ask(&mut stream, &blob_id, (0..4096).map(|place| place % 7).collect()).await?;
        let reply: sliver::Reply = stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await?;
        let is_refused = matches!(reply, sliver::Reply::Refused(Refusal::Invalid(_)));
        assert!(is_refused, "pairs named twice were served: {reply:?}");
        Ok(())
    });
    attack.judge("pairs named again and again").await;
}

/// Readers that take all they can get, beside some that take nothing of what they asked for.
pub(crate) async fn greedy_readers() {
    let mut attack = Assault::begin().await;
    let blob_id = attack.prey(PREY_BYTES).await;
    attack.send(Protocol::Sliver, STREAMS / 2, move |mut stream| async move {
        ask(&mut stream, &blob_id, (0..7).collect()).await?;
        until_cut_off(stream).await
    });
    attack.send(Protocol::Sliver, STREAMS / 2, move |mut stream| async move {
        ask(&mut stream, &blob_id, (0..7).collect()).await?;
        loop {
            // Whether the node has had enough shows when one writes.
            stream.write_all(&[0]).await?;
            stream.flush().await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    attack.judge("greedy readers").await;
}

async fn ask(stream: &mut Stream, blob_id: &BlobId, pairs: Vec<u16>) -> Result<()> {
    let (blob_id, segment, axis) = (*blob_id.as_bytes(), 0, Axis::Primary);
    let part = sliver::Part::Sliver;
    stream
        .write_frame(&sliver::Request::Get { blob_id, segment, axis, part, pairs, trace: None })
        .await?;
    Ok(stream.flush().await?)
}

/// Reads what comes, until the node ends the stream.
async fn until_cut_off(mut stream: Stream) -> Result<()> {
    stream.set_idle_timeout(Duration::from_secs(60));
    let mut bytes = vec![0; 64 * KIB];
    loop {
        stream.read_exact(&mut bytes).await?;
    }
}
