//! How fast a client writes a blob to five nodes and reads it, beside a raw stream of the same bytes.
//!
//! Run with `cargo bench -p haulout-tests --bench fetch`; `-- --mib 64` reads less, `-- --short` only reads a short blob again
//! and again, over connections that are open, and says how long that takes. Five real nodes and two clients live
//! in this process and share its cores. For QUIC and for TCP, rounds alternate between a `put`, a raw stream of our own
//! swarm to one peer (nothing but bytes) and a `get` through the public client (five nodes, slivers, decoding, content
//! check). The ratio of the medians is the result; absolute figures are this machine's.

#![allow(clippy::print_stdout, reason = "a benchmark reports on the terminal")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use haulout_actors::network::{
    Network, NetworkOptions, Protocol, Role, Stream, StreamError, Transport,
};
use haulout_actors::session::download::Consistency;
use haulout_actors::session::upload::{PutOptions, Source};
use haulout_actors::supervisor::{Budget, Plan, Strategy, Supervisor};
use haulout_devnet::Devnet;
use haulout_node::config::{NetworkConfig, Prefer};
use haulout_node::{LightClient, StorageNode};
use haulout_protocol::message::NetworkId;
use haulout_tests::{quiet, sample_blob};

const MIB: usize = 1 << 20;
const ROUNDS: usize = 5;
const SHORT_ROUNDS: usize = 400;

/// Two peers of our own network and nothing above: the limit.
struct Raw {
    reader: Network,
    server: Network,
    supervisors: Vec<Supervisor>,
}

async fn start_peer(seed: u8, listen: &str, prefer: Transport) -> Result<(Network, Supervisor)> {
    let network = Network::new(NetworkOptions {
        secret_key: [seed; 32],
        network: NetworkId::from_bytes([7; 32]),
        listen: vec![listen.to_owned()],
        external: Vec::new(),
        bootstrap: Vec::new(),
        role: Role::Server,
        prefer,
        registry: std::sync::Arc::default(),
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

impl Raw {
    async fn start(prefer: Transport) -> Result<Self> {
        let listen = match prefer {
            Transport::Quic => "/ip4/127.0.0.1/udp/0/quic-v1",
            Transport::Tcp => "/ip4/127.0.0.1/tcp/0",
        };
        let (reader, reading) = start_peer(1, listen, prefer).await?;
        let (server, serving) = start_peer(2, listen, prefer).await?;
        let mut addresses = server.addresses();
        let shown = addresses.wait_for(|shown| !shown.is_empty()).await?.clone();
        reader.add_addresses(server.identity(), shown);
        let mut incoming = server.accept(Protocol::Blob);
        tokio::spawn(async move {
            while let Some((_, stream)) = incoming.next().await {
                serve(stream).await.expect("the reader stays");
            }
        });
        Ok(Raw { reader, server, supervisors: vec![reading, serving] })
    }

    /// Seconds to read so many bytes into a buffer that is used again.
    async fn read(&self, bytes: usize) -> Result<f64> {
        let mut stream = self.reader.open(self.server.identity(), Protocol::Blob).await?;
        let mut chunk = vec![0; MIB];
        let started = Instant::now();
        stream.write_frame(&(bytes as u64)).await?;
        stream.flush().await?;
        for _ in 0..bytes / MIB {
            stream.read_exact(&mut chunk).await?;
        }
        Ok(started.elapsed().as_secs_f64())
    }
}

async fn serve(mut stream: Stream) -> Result<(), StreamError> {
    let chunk = vec![7; MIB];
    let wanted: u64 = stream.read_frame(64).await?;
    for _ in 0..wanted / MIB as u64 {
        stream.write_all(&chunk).await?;
    }
    stream.close().await
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A devnet whose nodes and clients have one transport only.
struct Network5 {
    devnet: Devnet,
    nodes: Vec<StorageNode>,
    prefer: Prefer,
}

impl Network5 {
    async fn start(prefer: Prefer) -> Result<Self> {
        let mut builder = Devnet::builder().nodes(5).shards(100).seed(1).segment_bytes(1 << 25);
        for index in 0..5 {
            builder = builder.without_node(index);
        }
        let mut network = Network5 { devnet: builder.start().await?, nodes: Vec::new(), prefer };
        for index in 0..5 {
            let mut config = network.devnet.node_config(index)?;
            network.narrow(&mut config.network);
            network.nodes.push(StorageNode::start(config).await?);
        }
        Ok(network)
    }

    fn narrow(&self, config: &mut NetworkConfig) {
        config.prefer = self.prefer;
        if self.prefer == Prefer::Tcp {
            config.listen.retain(|address| address.contains("/tcp/"));
            for address in &mut config.bootstrap {
                *address = address.replace("/udp/", "/tcp/").replace("/quic-v1", "");
            }
        } else {
            config.listen.retain(|address| address.contains("/quic-v1"));
        }
    }

    async fn client(&self) -> Result<LightClient> {
        let mut config = self.devnet.client_config("alice")?;
        self.narrow(&mut config.network);
        Ok(LightClient::connect(config).await?)
    }

    async fn shutdown(self) {
        for node in self.nodes {
            node.shutdown().await;
        }
        self.devnet.shutdown().await;
    }
}

async fn measure(bytes: usize, prefer: Prefer) -> Result<()> {
    let (name, transport) = match prefer {
        Prefer::Quic => ("quic", Transport::Quic),
        Prefer::Tcp => ("tcp", Transport::Tcp),
    };
    let network = Network5::start(prefer).await?;
    let client = network.client().await?;
    let options = PutOptions { epochs: 1, deletable: false, force: false };
    let raw = Raw::start(transport).await?;
    let (mut raw_seconds, mut get_seconds, mut put_seconds) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let source = Source::Memory(sample_blob(round as u64, bytes).into());
        let started = Instant::now();
        let blob_id = client.put(source, options, &quiet()).await?.blob_id;
        let put_round = started.elapsed().as_secs_f64();
        let raw_round = raw.read(bytes).await?;
        let started = Instant::now();
        client.get(&blob_id, Consistency::Default, &mut tokio::io::sink(), &quiet()).await?;
        let get_round = started.elapsed().as_secs_f64();
        // The first round opens connections and warms the disk's cache.
        if round > 0 {
            raw_seconds.push(raw_round);
            get_seconds.push(get_round);
            put_seconds.push(put_round);
        }
    }
    let speed = |seconds: f64| (bytes / MIB) as f64 / seconds;
    let (raw_speed, get_speed) = (speed(median(raw_seconds)), speed(median(get_seconds)));
    let ratio = get_speed / raw_speed;
    println!("{name:<5} raw stream         {raw_speed:>7.0} MiB/s");
    println!("{name:<5} get from 5 nodes   {get_speed:>7.0} MiB/s   {ratio:.2} of raw");
    println!("{name:<5} put to 5 nodes     {:>7.0} MiB/s", speed(median(put_seconds)));
    client.close().await;
    for supervisor in raw.supervisors {
        supervisor.shutdown().await;
    }
    network.shutdown().await;
    Ok(())
}

/// How long a warm get of 4 KiB takes.
async fn measure_short() -> Result<()> {
    let network = Network5::start(Prefer::Quic).await?;
    let client = network.client().await?;
    let source = Source::Memory(sample_blob(1, 4096).into());
    let options = PutOptions { epochs: 1, deletable: false, force: false };
    let blob_id = client.put(source, options, &quiet()).await?.blob_id;
    let mut milliseconds = Vec::new();
    for round in 0..=SHORT_ROUNDS {
        let started = Instant::now();
        client.get(&blob_id, Consistency::Default, &mut tokio::io::sink(), &quiet()).await?;
        if round > 0 {
            milliseconds.push(started.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    milliseconds.sort_by(f64::total_cmp);
    let at = |share: usize| milliseconds[(milliseconds.len() - 1) * share / 100];
    let (half, most) = (at(50), at(99));
    println!("quic  get of 4 KiB, warm   p50 {half:.2} ms   p99 {most:.2} ms");
    client.close().await;
    network.shutdown().await;
    Ok(())
}

fn mib_from_arguments() -> Result<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--mib").skip(1);
    arguments.next().map_or(Ok(256), |text| text.parse().context("--mib takes a whole number"))
}

#[tokio::main]
async fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == "--short") {
        return measure_short().await;
    }
    let bytes = mib_from_arguments()? * MIB;
    println!("{} MiB from 5 nodes of 20 shards each, medians of {ROUNDS} rounds", bytes / MIB);
    for prefer in [Prefer::Quic, Prefer::Tcp] {
        measure(bytes, prefer).await?;
    }
    Ok(())
}
