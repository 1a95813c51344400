//! Strangers that make nodes work for short blobs, which are the cheapest to ask for: each costs a hash per symbol.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use haulout_actors::network::{Protocol, Stream};
use haulout_protocol::blob::BlobId;
use haulout_protocol::committee::Committee;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::encoding::{EncodedShort, Parameters, encode_short};
use haulout_protocol::sliver::pair_of_shard;
use haulout_protocol::wire::{self, sliver};
use haulout_tests::{KIB, sample_blob};

use crate::assault::Assault;

/// Streams of each stranger to each node for either flood.
const STREAMS: usize = 10;
/// As long as a short blob may be: the most hashing for one question.
const LENGTH: usize = 64 * KIB;
/// Blobs of the strangers, stored again and again.
const BLOBS: u64 = 16;

/// What the strangers need to know to be served.
struct Knowledge {
    parameters: Parameters,
    committee: Arc<Committee>,
    blobs: Vec<EncodedShort>,
    /// Uploads begun, and those that a node took.
    begun: AtomicUsize,
    taken: AtomicUsize,
    /// Gets that a node served.
    served: AtomicUsize,
}

/// Uploads of short blobs that nobody pays for, and gets of symbols with their proofs, beside honest short blobs.
pub(crate) async fn floods_of_short_blobs() {
    let mut attack = Assault::beside(4 * KIB).await;
    let prey = attack.prey(LENGTH).await;
    let position = attack.position().await;
    let blob = |seed| encode_short(&position.parameters, &sample_blob(seed, LENGTH));
    let known = Arc::new(Knowledge {
        parameters: position.parameters,
        committee: position.committee,
        blobs: (0..BLOBS).map(blob).collect(),
        begun: AtomicUsize::new(0),
        taken: AtomicUsize::new(0),
        served: AtomicUsize::new(0),
    });
    let reader = known.clone();
    attack.send(Protocol::Sliver, STREAMS, move |stream| {
        let known = reader.clone();
        async move { known.read(stream, &prey).await }
    });
    let writer = known.clone();
    attack.send_to(Protocol::Sliver, STREAMS, move |peer, stream| {
        let known = writer.clone();
        async move { known.upload(stream, &peer).await }
    });
    attack.judge("floods of short blobs").await;
    assert!(known.served.load(Ordering::Relaxed) > 0, "no stranger was served a proof");
    assert!(known.taken.load(Ordering::Relaxed) > 0, "no stranger's symbols were taken");
}

impl Knowledge {
    /// Takes all symbols that a node has of a blob, and the proof that they share.
    async fn read(&self, mut stream: Stream, blob_id: &BlobId) -> Result<()> {
        let request = sliver::Request::GetShort {
            blob_id: *blob_id.as_bytes(),
            symbols: (0..self.parameters.shards()).collect(),
            with_proof: true,
            trace: None,
        };
        stream.write_frame(&request).await?;
        stream.flush().await?;
        let reply = stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await?;
        let sliver::Reply::Short { symbols, proof_bytes } = reply else { bail!("{reply:?}") };
        let symbol_bytes = self.parameters.short_symbol_bytes(u32::try_from(LENGTH)?);
        stream.read_bytes(u32::try_from(symbols.len())? * symbol_bytes).await?;
        stream.read_bytes(proof_bytes).await?;
        self.served.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Sends a node its share of a blob, true and proved, and asks for nothing.
    async fn upload(&self, mut stream: Stream, peer: &PeerId) -> Result<()> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let blob = &self.blobs[number % self.blobs.len()];
        let member = self.committee.member_by_peer(peer).context("a node is a member")?;
        let (header, blob_id) = (blob.header().to_bytes(), blob.header().blob_id());
        let header_bytes = u32::try_from(header.len())?;
        let put = sliver::Request::Put { blob_id: *blob_id.as_bytes(), header_bytes, trace: None };
        stream.write_frame(&put).await?;
        stream.write_all(&header).await?;
        let place = |shard| pair_of_shard(&self.parameters, &blob_id, 0, shard).0;
        let shards = &self.committee.members()[member].shards;
        let mut places: Vec<_> = shards.iter().copied().map(place).collect();
        places.sort_unstable();
        let proof = blob.prove(&places).context("a member has shards")?.to_bytes();
        let proof_bytes = u32::try_from(proof.len())?;
        let symbols = places.clone();
        stream.write_frame(&sliver::Request::Short { symbols, proof_bytes }).await?;
        for place in places {
            stream.write_all(&blob.symbol(place)).await?;
        }
        stream.write_all(&proof).await?;
        stream.flush().await?;
        loop {
            match stream.read_frame(wire::LIST_FRAME_BYTES_MAX).await? {
                sliver::Reply::Ready { .. } => (),
                sliver::Reply::Stored { .. } => {
                    self.taken.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                other => bail!("{other:?}"),
            }
        }
    }
}
