//! How fast bytes travel between two peers of one machine, and what our framing costs.
//!
//! Run with `cargo bench -p haulout-actors --bench transfer`. For QUIC and for TCP it moves the
//! same bytes over the same swarms twice: raw (one stream, nothing but bytes), and as a node serves
//! slivers (a request, then per sliver a frame and its bytes, hashed by the reader). The rows of
//! one transport alternate, because the machine's speed changes while we measure.

#![allow(clippy::print_stdout, reason = "a benchmark reports on the terminal")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use haulout_actors::network::{
    Network, NetworkOptions, Protocol, Role, Stream, StreamError, Transport,
};
use haulout_actors::supervisor::{Budget, Plan, Strategy, Supervisor};
use haulout_protocol::message::NetworkId;

const MIB: usize = 1 << 20;
const TRANSFER_BYTES: usize = 256 * MIB;
const ROUNDS: usize = 5;
/// A primary sliver of a full segment with 100 shards is about 960 KiB.
const SLIVER_BYTES: usize = 960 * 1024;

/// One peer under its supervisor.
struct Peer {
    network: Network,
    supervisor: Supervisor,
}

async fn start(seed: u8, listen: &str) -> Peer {
    let network = Network::new(NetworkOptions {
        secret_key: [seed; 32],
        network: NetworkId::from_bytes([7; 32]),
        listen: vec![listen.to_owned()],
        external: Vec::new(),
        bootstrap: Vec::new(),
        role: Role::Server,
        prefer: Transport::Quic,
        registry: Arc::default(),
    })
    .expect("the options are valid");
    let plan = Plan {
        name: "bench".to_owned(),
        strategy: Strategy::OneForOne,
        budget: Budget { restarts: 0, window: Duration::from_secs(1) },
        children: vec![network.child()],
        on_restart: None,
    };
    Peer { supervisor: Supervisor::start(plan).await.expect("the network starts"), network }
}

/// Writes what the reader asks for, raw.
async fn serve_raw(mut stream: Stream) -> Result<(), StreamError> {
    let chunk = vec![7; MIB];
    let wanted: u64 = stream.read_frame(64).await?;
    for _ in 0..wanted / MIB as u64 {
        stream.write_all(&chunk).await?;
    }
    stream.close().await
}

/// Writes what the reader asks for as slivers: a frame with the length, then the bytes.
async fn serve_framed(mut stream: Stream) -> Result<(), StreamError> {
    let sliver = vec![7; SLIVER_BYTES];
    let mut left: u64 = stream.read_frame(64).await?;
    while left > 0 {
        let length = left.min(SLIVER_BYTES as u64);
        stream.write_frame(&length).await?;
        stream.write_all(&sliver[..usize::try_from(length).expect("at most a sliver")]).await?;
        left -= length;
    }
    stream.close().await
}

async fn read_raw(mut stream: Stream) -> Result<(), StreamError> {
    let mut chunk = vec![0; MIB];
    stream.write_frame(&(TRANSFER_BYTES as u64)).await?;
    stream.flush().await?;
    for _ in 0..TRANSFER_BYTES / MIB {
        stream.read_exact(&mut chunk).await?;
    }
    Ok(())
}

async fn read_framed(mut stream: Stream) -> Result<(), StreamError> {
    let mut sliver = vec![0; SLIVER_BYTES];
    stream.write_frame(&(TRANSFER_BYTES as u64)).await?;
    stream.flush().await?;
    let (mut left, mut content) = (TRANSFER_BYTES, blake3::Hasher::new());
    while left > 0 {
        let length: u64 = stream.read_frame(64).await?;
        let length = usize::try_from(length).expect("at most a sliver");
        stream.read_exact(&mut sliver[..length]).await?;
        content.update(&sliver[..length]);
        left -= length;
    }
    std::hint::black_box(content.finalize());
    Ok(())
}

fn mib_per_second(elapsed: Duration) -> f64 {
    (TRANSFER_BYTES / MIB) as f64 / elapsed.as_secs_f64()
}

fn median(mut speeds: Vec<f64>) -> f64 {
    speeds.sort_by(f64::total_cmp);
    speeds[speeds.len() / 2]
}

async fn measure(name: &str, listen: &str) {
    let (reader, server) = (start(1, listen).await, start(2, listen).await);
    let mut addresses = server.network.addresses();
    let shown = addresses.wait_for(|shown| !shown.is_empty()).await.expect("the peer lives");
    let there = shown.clone();
    reader.network.add_addresses(server.network.identity(), there);

    let mut raw = server.network.accept(Protocol::Blob);
    let mut framed = server.network.accept(Protocol::Sliver);
    let serving = tokio::spawn(async move {
        loop {
            let served = tokio::select! {
                Some((_, stream)) = raw.next() => serve_raw(stream).await,
                Some((_, stream)) = framed.next() => serve_framed(stream).await,
                else => return,
            };
            served.expect("the reader stays");
        }
    });

    let (mut raw_speeds, mut framed_speeds) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let peer = server.network.identity();
        let stream = reader.network.open(peer, Protocol::Blob).await.expect("it accepts");
        let started = Instant::now();
        read_raw(stream).await.expect("the server stays");
        raw_speeds.push(mib_per_second(started.elapsed()));

        let stream = reader.network.open(peer, Protocol::Sliver).await.expect("it accepts");
        let started = Instant::now();
        read_framed(stream).await.expect("the server stays");
        framed_speeds.push(mib_per_second(started.elapsed()));
    }
    let (raw, framed) = (median(raw_speeds), median(framed_speeds));
    println!("{name:<5} raw stream        {raw:>8.0} MiB/s");
    println!("{name:<5} framed and hashed {framed:>8.0} MiB/s   {:.2} of raw", framed / raw);
    reader.supervisor.shutdown().await;
    server.supervisor.shutdown().await;
    serving.abort();
}

#[tokio::main]
async fn main() {
    println!("{} MiB, median of {ROUNDS}", TRANSFER_BYTES / MIB);
    measure("quic", "/ip4/127.0.0.1/udp/0/quic-v1").await;
    measure("tcp", "/ip4/127.0.0.1/tcp/0").await;
}
