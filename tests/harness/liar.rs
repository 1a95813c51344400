//! A peer that has a member's keys and speaks the wire, but does not tell the truth.
//!
//! Promises: every question is answered in the way of its [`Lie`], and how often it lied is counted.
//! Does not: hold anything; it only has to look like a member.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use haulout_actors::network::{Network, NetworkOptions, Protocol, Role, Stream, Transport};
use haulout_actors::supervisor::{Budget, Plan, Strategy, Supervisor};
use haulout_devnet::Devnet;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::crypto::PeerId;
use haulout_protocol::encoding::{
    EncodedShort, Parameters, SegmentPosition, encode_segment, encode_short, header_of,
};
use haulout_protocol::message::NetworkId;
use haulout_protocol::pairs::{PairProof, PairTree};
use haulout_protocol::sliver::{Axis, PairIndex, ShardIndex, pair_of_shard};
use haulout_protocol::wire::{self, Refusal, blob, shard, sliver};
use tokio::task::JoinHandle;

use crate::{eventually, sample_blob};

/// How a liar lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Slivers and symbols of the right length and wrong content, with the right proofs.
    WrongBytes,
    /// Headers and proofs that do not belong to the blob, slivers of a wrong length, and wrong symbols.
    WrongProofs,
    /// A frame that says it is four gigabytes long.
    OversizedFrames,
    /// Accepts everything and answers nothing.
    Silence,
    /// Has no time for slivers, and nothing to say of blobs, whenever it is asked.
    Busy,
}

/// What a node says that has no time.
const BUSY: Refusal = Refusal::Busy { retry_after_ms: 50 };

/// A running liar.
#[derive(Debug)]
pub struct Liar {
    supervisor: Supervisor,
    peer_id: PeerId,
    port: u16,
    answering: Vec<JoinHandle<()>>,
    told: Arc<AtomicUsize>,
    asked_for_slivers: Arc<AtomicUsize>,
    asked_for_shards: Arc<AtomicUsize>,
}

/// What the liar needs to know to lie well.
#[derive(Clone, Debug)]
struct Script {
    lie: Lie,
    parameters: Parameters,
    blob_bytes: u64,
    header: Arc<BlobHeader>,
    truth: Arc<Truth>,
    told: Arc<AtomicUsize>,
    asked_for_slivers: Arc<AtomicUsize>,
    asked_for_shards: Arc<AtomicUsize>,
}

/// What can be proved of the blob.
#[derive(Debug)]
enum Truth {
    /// The pairs of each segment.
    Segments(Vec<PairTree>),
    /// The symbols of a short blob.
    Short(Box<EncodedShort>),
}

impl Liar {
    /// Takes the place of a member that does not run, lying about blobs of this one's length; it knows the proofs of this
    /// one.
    pub async fn start(
        devnet: &Devnet,
        member: usize,
        lie: Lie,
        parameters: Parameters,
        blob: &[u8],
    ) -> Result<Self> {
        let keys = devnet.member_keys(member);
        let others = (0..devnet.members()).filter(|other| *other != member);
        let network = Network::new(NetworkOptions {
            secret_key: keys.network_key,
            network: NetworkId::from_bytes(devnet.ids().network_id.into()),
            listen: vec![
                format!("/ip4/127.0.0.1/udp/{}/quic-v1", keys.port),
                format!("/ip4/127.0.0.1/tcp/{}", keys.port),
            ],
            external: vec![],
            bootstrap: others.map(|other| devnet.address(other)).collect(),
            role: Role::Server,
            prefer: Transport::Quic,
            registry: Arc::new(Mutex::default()),
        })?;
        let supervisor = Supervisor::start(Plan {
            name: "liar".into(),
            strategy: Strategy::OneForOne,
            budget: Budget { restarts: 1, window: Duration::from_secs(60) },
            children: vec![network.child()],
            on_restart: None,
        })
        .await?;
        let told = Arc::new(AtomicUsize::new(0));
        let [asked_for_slivers, asked_for_shards] =
            [0, 0].map(|none| Arc::new(AtomicUsize::new(none)));
        let script = Script {
            lie,
            parameters,
            blob_bytes: u64::try_from(blob.len())?,
            header: Arc::new(header_of(&parameters, blob)),
            truth: Arc::new(Truth::of(&parameters, blob)),
            told: told.clone(),
            asked_for_slivers: asked_for_slivers.clone(),
            asked_for_shards: asked_for_shards.clone(),
        };
        let answering = [Protocol::Blob, Protocol::Sliver, Protocol::Shard]
            .map(|protocol| tokio::spawn(answer(network.clone(), protocol, script.clone())))
            .into();
        let (peer_id, port) = (network.identity(), keys.port);
        Ok(Self { supervisor, peer_id, port, answering, told, asked_for_slivers, asked_for_shards })
    }

    /// Who it is to its victims.
    pub fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// How many questions it has answered with a lie so far.
    pub fn told(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }

    /// How many requests for slivers or symbols, or to take some, it got so far.
    pub fn asked_for_slivers(&self) -> usize {
        self.asked_for_slivers.load(Ordering::Relaxed)
    }

    /// How many pages of what shards hold it was asked for so far.
    pub fn asked_for_shards(&self) -> usize {
        self.asked_for_shards.load(Ordering::Relaxed)
    }

    /// Leaves the network.
    pub async fn stop(self) {
        for task in self.answering {
            task.abort();
        }
        self.supervisor.shutdown().await;
        // QUIC says goodbye in the background and holds the socket meanwhile.
        let address = (std::net::Ipv4Addr::LOCALHOST, self.port);
        let is_free = async || std::net::UdpSocket::bind(address).is_ok();
        eventually("the liar's port is free", is_free).await;
    }
}

async fn answer(network: Network, protocol: Protocol, script: Script) {
    let mut incoming = network.accept(protocol);
    while let Some((_, stream)) = incoming.next().await {
        let script = script.clone();
        tokio::spawn(async move {
            // The other side may leave in disgust, which is what we want.
            let _ = match protocol {
                Protocol::Sliver => script.about_slivers(stream).await,
                Protocol::Shard => script.about_shards(stream).await,
                _ => script.about_blobs(stream).await,
            };
        });
    }
}

impl Script {
    async fn about_blobs(self, mut stream: Stream) -> Result<()> {
        let request: blob::Request = stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await?;
        self.told.fetch_add(1, Ordering::Relaxed);
        let mut behind = Vec::new();
        let mut noise = |length| {
            behind = sample_blob(13, length);
            u32::try_from(length).unwrap_or(u32::MAX)
        };
        let answer = match (self.lie, request.question) {
            (Lie::Silence, _) => return keep_waiting(stream).await,
            (Lie::OversizedFrames, _) => return oversize(stream).await,
            (Lie::Busy, _) => blob::Answer::Refused(BUSY),
            (Lie::WrongProofs, blob::Question::Header) => blob::Answer::Header { bytes: noise(72) },
            (_, blob::Question::Status) => blob::Answer::Status(blob::Status {
                checkpoint: u64::MAX,
                epoch: 1,
                state: blob::State::Nonexistent,
            }),
            _ => blob::Answer::Refused(Refusal::NotFound),
        };
        stream.write_frame(&answer).await?;
        stream.write_all(&behind).await?;
        stream.close().await?;
        Ok(())
    }

    async fn about_slivers(self, mut stream: Stream) -> Result<()> {
        let request: sliver::Request = stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await?;
        self.told.fetch_add(1, Ordering::Relaxed);
        self.asked_for_slivers.fetch_add(1, Ordering::Relaxed);
        match self.lie {
            Lie::Silence => return keep_waiting(stream).await,
            Lie::OversizedFrames => return oversize(stream).await,
            Lie::Busy => {
                stream.write_frame(&sliver::Reply::Refused(BUSY)).await?;
                return Ok(stream.close().await?);
            }
            Lie::WrongBytes | Lie::WrongProofs => {}
        }
        let (segment, axis, part, pairs) = match request {
            sliver::Request::Get { segment, axis, part, pairs, .. } => (segment, axis, part, pairs),
            sliver::Request::GetShort { symbols, with_proof, .. } => {
                return self.about_symbols(stream, symbols, with_proof).await;
            }
            _ => {
                stream.write_frame(&sliver::Reply::Refused(Refusal::Internal)).await?;
                return Ok(stream.close().await?);
            }
        };
        let bytes = self.sliver_bytes(segment, axis);
        for pair in pairs {
            if part.has_proof() {
                let proof = self.proof(segment, PairIndex(pair));
                let bytes = u32::try_from(proof.len())?;
                stream.write_frame(&sliver::Reply::Proof { pair, bytes }).await?;
                stream.write_all(&proof).await?;
            }
            if part.has_sliver() {
                let noise = sample_blob(u64::from(pair), bytes);
                let length = u32::try_from(noise.len())?;
                stream.write_frame(&sliver::Reply::Sliver { pair, bytes: length }).await?;
                stream.write_all(&noise).await?;
            }
        }
        stream.write_frame(&sliver::Reply::End).await?;
        Ok(stream.close().await?)
    }

    /// Hands over every pair of its blob that is asked for, and none of them is right; of other blobs it has nothing.
    async fn about_shards(self, mut stream: Stream) -> Result<()> {
        let request: shard::Request = stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await?;
        self.asked_for_shards.fetch_add(1, Ordering::Relaxed);
        match self.lie {
            Lie::Silence => return keep_waiting(stream).await,
            Lie::OversizedFrames => return oversize(stream).await,
            Lie::Busy => {
                stream.write_frame(&shard::Reply::Refused(BUSY)).await?;
                return Ok(stream.close().await?);
            }
            Lie::WrongBytes | Lie::WrongProofs => {}
        }
        for entry in request.entries {
            let blob_id = BlobId::from_bytes(entry.blob_id);
            if blob_id != self.header.blob_id() || matches!(*self.truth, Truth::Short(_)) {
                stream.write_frame(&shard::Reply::Absent).await?;
                continue;
            }
            if entry.with_header {
                let header = self.header.to_bytes();
                let bytes = u32::try_from(header.len())?;
                stream.write_frame(&shard::Reply::Header { bytes }).await?;
                stream.write_all(&header).await?;
            }
            for shard in entry.shards.into_iter().map(ShardIndex) {
                let pair = pair_of_shard(&self.parameters, &blob_id, entry.segment, shard);
                let mut raw = self.proof(entry.segment, pair);
                for axis in Axis::BOTH {
                    let bytes = self.sliver_bytes(entry.segment, axis);
                    raw.extend(sample_blob(u64::from(pair.0), bytes));
                }
                let bytes = u32::try_from(raw.len())?;
                stream.write_frame(&shard::Reply::Pair { bytes }).await?;
                stream.write_all(&raw).await?;
            }
        }
        stream.write_frame(&shard::Reply::End).await?;
        Ok(stream.close().await?)
    }

    /// Has every symbol that is asked for, and none of them is right.
    async fn about_symbols(
        self,
        mut stream: Stream,
        mut symbols: Vec<u16>,
        with_proof: bool,
    ) -> Result<()> {
        symbols.sort_unstable();
        let length = u32::try_from(self.blob_bytes)?;
        let bytes = usize::try_from(self.parameters.short_symbol_bytes(length))?;
        let noise = |symbol: &u16| sample_blob(u64::from(*symbol), bytes);
        let row: Vec<u8> = symbols.iter().flat_map(noise).collect();
        let proof = match &*self.truth {
            _ if !with_proof => Vec::new(),
            Truth::Short(encoded) if self.lie == Lie::WrongBytes => {
                encoded.prove(&symbols).map(|proof| proof.to_bytes()).unwrap_or_default()
            }
            _ => sample_blob(14, 32),
        };
        let proof_bytes = u32::try_from(proof.len())?;
        stream.write_frame(&sliver::Reply::Short { symbols, proof_bytes }).await?;
        stream.write_all(&row).await?;
        stream.write_all(&proof).await?;
        Ok(stream.close().await?)
    }

    fn proof(&self, segment: u32, pair: PairIndex) -> Vec<u8> {
        let Truth::Segments(known) = &*self.truth else { return Vec::new() };
        match usize::try_from(segment).ok().and_then(|segment| known.get(segment)) {
            Some(pairs) if self.lie == Lie::WrongBytes => pairs.prove(pair).to_bytes(),
            _ => sample_blob(u64::from(pair.0), PairProof::bytes_of(pair, &self.parameters)),
        }
    }

    fn sliver_bytes(&self, segment: u32, axis: Axis) -> usize {
        let length = self.parameters.segment_length(self.blob_bytes, segment);
        let honest = self.parameters.sliver_bytes(axis, length);
        if self.lie == Lie::WrongBytes { honest } else { honest + 2 }
    }
}

impl Truth {
    fn of(parameters: &Parameters, blob: &[u8]) -> Self {
        let blob_bytes = blob.len() as u64;
        if parameters.is_short(blob_bytes) {
            return Truth::Short(Box::new(encode_short(parameters, blob)));
        }
        let segments =
            blob.chunks(usize::try_from(parameters.segment_bytes()).unwrap_or(usize::MAX));
        let encode = |(segment, bytes): (u32, &[u8])| {
            let position = SegmentPosition { segment, blob_bytes };
            encode_segment(parameters, position, bytes.to_vec().into()).pairs().clone()
        };
        Truth::Segments((0..).zip(segments).map(encode).collect())
    }
}

/// Keeps the stream open until the other side has had enough.
async fn keep_waiting(mut stream: Stream) -> Result<()> {
    stream.read_exact(&mut [0; 1]).await?;
    Ok(())
}

/// A length prefix of four gigabytes, and a little of what it announces.
async fn oversize(mut stream: Stream) -> Result<()> {
    stream.write_all(&[0xff; 1024]).await?;
    stream.flush().await?;
    keep_waiting(stream).await
}
