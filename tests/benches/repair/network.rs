//! A devnet of real processes, its nodes' own words, and blobs in it.
//!
//! Promises: leaves no process and no folder, however it ends; what a verb of the devnet refuses is an error with its words.
//! Does not: judge.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use haulout_actors::session::upload::{PutOptions, Source};
use haulout_node::config::Config;
use haulout_node::{LedgerClient, LightClient, probe};
use haulout_protocol::blob::BlobId;
use haulout_tests::{quiet, sample_blob};
use serde_json::Value;

/// What the program is called when it is a devnet.
pub(crate) const DEVNET: &str = "devnet";
/// Long enough for any repair that ends.
const PATIENCE: &str = "1800s";
/// Blobs that are stored at a time.
const PUTS_AT_ONCE: usize = 8;
/// Epochs for which blobs are stored: longer than any measure.
const EPOCHS: u32 = 40;

/// One storage node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What the devnet calls it.
    pub(crate) name: String,
    health: SocketAddr,
}

/// A blob that was stored: its id, and what its bytes are made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    /// Its id.
    pub(crate) id: BlobId,
    /// Makes its bytes, with its length.
    pub(crate) seed: u64,
    /// Its bytes' number.
    pub(crate) length: usize,
}

/// The devnet.
#[derive(Debug)]
pub(crate) struct Network {
    folder: tempfile::TempDir,
    client: String,
    state: PathBuf,
    /// Its nodes.
    pub(crate) nodes: Vec<Node>,
}

impl Network {
    /// A hundred shards on so many nodes.
    pub(crate) fn start(nodes: usize, epoch: &str) -> Result<Arc<Self>> {
        let folder = tempfile::tempdir()?;
        let count = nodes.to_string();
        let arguments = ["up", "-d", "--nodes", &count, "--epoch", epoch, "--port-base", "0"];
        let card = verb(folder.path(), &arguments)?;
        let client = card["client_config"].as_str().context("no client's configuration")?;
        let state = Path::new(client).parent().context("no folder")?.to_owned();
        let client = fs::read_to_string(client)?;
        let nodes = card["nodes"].as_array().context("no nodes")?.iter().map(|node| {
            let url = node["metrics"].as_str().context("no address")?;
            let health = url.split('/').find_map(|part| part.parse().ok());
            let name = node["name"].as_str().context("no name")?.to_owned();
            Ok(Node { name, health: health.context("no port")? })
        });
        let nodes = nodes.collect::<Result<_>>()?;
        Ok(Arc::new(Network { folder, client, state, nodes }))
    }

    /// Runs a verb of the devnet.
    pub(crate) async fn devnet(self: &Arc<Self>, arguments: &[&str]) -> Result<Value> {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let network = Arc::clone(self);
        let run = move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            verb(network.folder.path(), &arguments)
        };
        tokio::task::spawn_blocking(run).await?
    }

    /// Ends nodes at once, takes their disks away, starts them, and waits until nobody lacks anything; how long it took since they
    /// were started.
    pub(crate) async fn lose_and_heal(self: &Arc<Self>, nodes: &[&str]) -> Result<Duration> {
        self.devnet(&[&["kill"], nodes].concat()).await?;
        self.devnet(&[&["restart", "--wipe"], nodes].concat()).await?;
        self.healed().await
    }

    /// Waits until nobody lacks anything; how long it took.
    pub(crate) async fn healed(self: &Arc<Self>) -> Result<Duration> {
        let began = Instant::now();
        self.devnet(&["wait", "repaired", "--timeout", PATIENCE]).await?;
        Ok(began.elapsed())
    }

    fn config(&self) -> Result<Config> {
        // Keys are named relative to the folder of the file.
        Ok(Config::from_toml(&self.client, &self.state.join("client.toml"))?)
    }

    /// A light client of its own.
    pub(crate) async fn client(&self) -> Result<LightClient> {
        Ok(LightClient::connect(self.config()?.client()?).await?)
    }

    /// A client of the ledger alone, with a wallet.
    pub(crate) async fn ledger(&self) -> Result<LedgerClient> {
        Ok(LedgerClient::connect(self.config()?.client()?).await?)
    }

    /// Stores blobs of these lengths.
    pub(crate) async fn store(&self, lengths: &[usize], salt: u64) -> Result<Vec<Stored>> {
        let client = self.client().await?;
        let seeded = (salt..).zip(lengths.iter().copied());
        let puts = stream::iter(seeded).map(async |(seed, length)| {
            let options = PutOptions { epochs: EPOCHS, deletable: false, force: false };
            let source = Source::Memory(sample_blob(seed, length).into());
            let id = client.put(source, options, &quiet()).await?.blob_id;
            anyhow::Ok(Stored { id, seed, length })
        });
        let stored = puts.buffer_unordered(PUTS_AT_ONCE).try_collect().await?;
        client.close().await;
        Ok(stored)
    }

    /// What a node says of its repairs.
    pub(crate) async fn repairs(&self, node: &Node) -> Result<Value> {
        let health = probe::health(node.health).await.context("a node does not say how it is")?;
        Ok(health.json()["repairs"].clone())
    }

    /// The nodes that lack something, or do not answer, with how many shards.
    pub(crate) async fn lacking(&self) -> Result<BTreeMap<String, u64>> {
        let mut lacking = BTreeMap::new();
        for node in &self.nodes {
            let health = probe::health(node.health).await;
            let missing = health.and_then(|health| health.number("shards_missing"));
            if missing != Some(0) {
                lacking.insert(node.name.clone(), missing.unwrap_or(0));
            }
        }
        Ok(lacking)
    }

    /// Bytes on the disk of a node: its slivers, whatever else.
    pub(crate) fn disk(&self, node: &Node) -> Result<u64> {
        let folder = self.state.join(&node.name).join("store");
        ensure!(folder.is_dir(), "{} is no folder", folder.display());
        blocks(&folder)
    }

    /// Processor time that each node has used, in seconds.
    pub(crate) async fn processor_seconds(self: &Arc<Self>) -> Result<Vec<(String, f64)>> {
        let status = self.devnet(&["status"]).await;
        let processes = match &status {
            Ok(status) => status["nodes"].as_array().cloned().unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let used = processes.iter().filter_map(|node| {
            let pid = node["pid"].as_u64()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
            let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
            Some((node["name"].as_str()?.to_owned(), (ticks(11)? + ticks(12)?) / 100.0))
        });
        Ok(used.collect())
    }
}

/// What a folder takes of its disk.
fn blocks(folder: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { blocks(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Err(error) = verb(self.folder.path(), &["down", "--purge"]) {
            println!("the devnet was left behind: {error:#}");
        }
    }
}

/// Runs a verb of the devnet command, which is this program.
fn verb(folder: &Path, arguments: &[&str]) -> Result<Value> {
    let output = Command::new(env::current_exe()?)
        .arg0(DEVNET)
        .args(arguments)
        .arg("--json")
        .env("XDG_STATE_HOME", folder.join("state"))
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env_remove("HAULOUT_CONFIG")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    // The devnet that does all it should with a node killed on purpose is DEGRADED.
    let is_fine = output.status.success() || output.status.code() == Some(17);
    ensure!(is_fine, "devnet {}: {said}", arguments.join(" "));
    let last = said.lines().last().unwrap_or("null");
    serde_json::from_str(last).with_context(|| format!("devnet {}: {said}", arguments.join(" ")))
}
