//! One node loses its disk: how many bytes come for each that it lost, how fast beside a raw stream, and what readers notice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use haulout_actors::network::{
    Network as Peers, NetworkOptions, Protocol, Role, Stream, StreamError, Transport,
};
use haulout_actors::supervisor::{Budget, Plan, Strategy, Supervisor};
use haulout_protocol::message::NetworkId;

use crate::network::Network;
use crate::readers::{Reader, quantile, some};

const NODES: usize = 5;
const MIB: usize = 1 << 20;
/// Blobs as long as this carry the bytes that are lost.
const BLOB: usize = 64 * MIB;
/// A node with a fifth of the shards keeps about so many hundredths of each stored byte.
const KEPT_PERCENT: usize = 91;
/// What is read meanwhile.
const READ: usize = MIB;
const READS: usize = 400;

/// A node loses about so many mebibytes of slivers.
pub(crate) async fn measure(mib: usize) -> Result<()> {
    let network = Network::start(NODES, "24h")?;
    let blobs = (mib * 100 / KEPT_PERCENT).div_ceil(BLOB / MIB).max(1);
    network.store(&vec![BLOB; blobs], 2_000).await?;
    let read = network.store(&[READ; 4], 2_900).await?;
    let node = network.nodes.last().context("no nodes")?.clone();
    let lost = network.disk(&node)?;
    let calm = some(&network, &read, READS).await?;
    let raw = raw_stream(lost.min(1 << 30)).await?;

    let before = network.processor_seconds().await?;
    let reader = Reader::start(Arc::clone(&network), read.clone());
    let began = Instant::now();
    network.lose_and_heal(&[&node.name]).await?;
    let seconds = began.elapsed().as_secs_f64();
    let busy = reader.stop().await?;
    let after = network.processor_seconds().await?;

    let received = network.repairs(&node).await?["received_bytes"].as_u64().unwrap_or(0);
    let ratio = received as f64 / lost as f64;
    println!(
        "  {} lost {} MiB on its disk and received {} MiB: {ratio:.2} of it",
        node.name,
        lost >> 20,
        received >> 20
    );
    let speed = (lost >> 20) as f64 / seconds;
    println!(
        "  healed in {seconds:.1} s, start included, {speed:.0} MiB/s; a raw stream does {raw:.0} MiB/s: {:.2} of it",
        speed / raw
    );
    for (name, used) in after {
        let was = before.iter().find(|(other, _)| *other == name).map_or(0.0, |(_, was)| *was);
        let used = if name == node.name { used } else { used - was };
        println!("  {name} used {used:.1} s of processor time");
    }
    let (calm, busy) = (
        [50, 99].map(|percent| quantile(&calm, percent)),
        [50, 99].map(|percent| quantile(&busy, percent)),
    );
    println!(
        "  reads of 1 MiB: p50 {:.0} ms, p99 {:.0} ms; without repair {:.0} and {:.0}: {:.2} of the p99",
        busy[0],
        busy[1],
        calm[0],
        calm[1],
        busy[1] / calm[1]
    );
    // Alone, without a reader.
    let began = Instant::now();
    network.lose_and_heal(&[&node.name]).await?;
    let alone = (lost >> 20) as f64 / began.elapsed().as_secs_f64();
    println!("  without readers {alone:.0} MiB/s: {:.2} of the raw stream", alone / raw);
    Ok(())
}

async fn peer(seed: u8) -> Result<(Peers, Supervisor)> {
    let network = Peers::new(NetworkOptions {
        secret_key: [seed; 32],
        network: NetworkId::from_bytes([7; 32]),
        listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".to_owned()],
        external: Vec::new(),
        bootstrap: Vec::new(),
        role: Role::Server,
        prefer: Transport::Quic,
        registry: Arc::default(),
    })?;
    let plan = Plan {
        name: "raw".to_owned(),
        strategy: Strategy::OneForOne,
        budget: Budget { restarts: 0, window: Duration::from_secs(1) },
        children: vec![network.child()],
        on_restart: None,
    };
    Ok((network, Supervisor::start(plan).await?))
}

/// Mebibytes a second of a stream between two peers that carries so many bytes and nothing else.
async fn raw_stream(bytes: u64) -> Result<f64> {
    let (reader, reading) = peer(1).await?;
    let (server, serving) = peer(2).await?;
    let shown = server.addresses().wait_for(|shown| !shown.is_empty()).await?.clone();
    reader.add_addresses(server.identity(), shown);
    let mut incoming = server.accept(Protocol::Blob);
    tokio::spawn(async move {
        while let Some((_, stream)) = incoming.next().await {
            serve(stream).await.expect("the reader stays");
        }
    });
    let mut stream = reader.open(server.identity(), Protocol::Blob).await?;
    let mut chunk = vec![0; MIB];
    let mebibytes = (bytes >> 20).max(1);
    let began = Instant::now();
    stream.write_frame(&mebibytes).await?;
    stream.flush().await?;
    for _ in 0..mebibytes {
        stream.read_exact(&mut chunk).await?;
    }
    let speed = mebibytes as f64 / began.elapsed().as_secs_f64();
    reading.shutdown().await;
    serving.shutdown().await;
    Ok(speed)
}

async fn serve(mut stream: Stream) -> Result<(), StreamError> {
    let chunk = vec![7; MIB];
    let wanted: u64 = stream.read_frame(64).await?;
    for _ in 0..wanted {
        stream.write_all(&chunk).await?;
    }
    stream.close().await
}
