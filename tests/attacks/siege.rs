//! A devnet of real processes under attack, and honest clients beside it.
//!
//! Promises: every honest operation is a fresh client with a connection of its own, its failure is kept in words, and how
//! long it took is measured; a siege that ends, in whatever way, leaves no process. Does not: attack.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use haulout_node::LightClient;
use haulout_node::config::Config;
use haulout_tests::{KIB, get, put, sample_blob};
use serde_json::Value;

/// What the program is called when it is a devnet.
pub(crate) const DEVNET: &str = "devnet";

/// Honest operations before an attack, to know what is normal.
const CALM_OPERATIONS: usize = 6;

/// One node under attack.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The process.
    pub(crate) pid: u64,
    /// Its name among peers.
    pub(crate) peer_id: String,
    /// Where it listens, for QUIC and TCP.
    pub(crate) port: u16,
}

/// What honest clients saw.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    took: Vec<Duration>,
    failures: Vec<String>,
}

/// The devnet.
pub(crate) struct Siege {
    folder: tempfile::TempDir,
    client: String,
    /// The nodes.
    pub(crate) targets: Vec<Target>,
    /// The network's id in hex, as protocol names carry its beginning.
    pub(crate) network: String,
    operations: u64,
}

/// How long an attack lasts.
pub(crate) fn duration() -> Duration {
    Duration::from_secs(knob("HAULOUT_ATTACK_SECONDS", 5))
}

/// How many times as strong as the weakest that once sufficed.
pub(crate) fn scale() -> usize {
    usize::try_from(knob("HAULOUT_ATTACK_SCALE", 1)).unwrap()
}

fn knob(name: &str, usual: u64) -> u64 {
    env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

impl Siege {
    /// Starts four nodes with seven shards.
    pub(crate) fn start() -> Siege {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["up", "-d", "--nodes", "4", "--shards", "7", "--port-base", "0", "--json"];
        let output = devnet(folder.path(), &arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "devnet up: {stderr}");
        let card: Value = serde_json::from_slice(&output.stdout).unwrap();
        let targets = card["nodes"].as_array().unwrap().iter().map(|node| Target {
            pid: node["pid"].as_u64().unwrap(),
            peer_id: node["peer_id"].as_str().unwrap().to_owned(),
            port: port_of(node["address"].as_str().unwrap()),
        });
        Siege {
            client: fs::read_to_string(card["client_config"].as_str().unwrap()).unwrap(),
            targets: targets.collect(),
            network: card["chain"]["network"].as_str().unwrap().to_owned(),
            folder,
            operations: 0,
        }
    }

    /// What is normal: a few operations while nobody attacks.
    pub(crate) async fn calm(&mut self) -> Figures {
        let mut figures = Figures::default();
        for _ in 0..CALM_OPERATIONS {
            self.operate(&mut figures).await;
        }
        figures
    }

    /// Honest operations, one after the other, for as long as an attack lasts.
    pub(crate) async fn endure(&mut self) -> Figures {
        let (mut figures, until) = (Figures::default(), Instant::now() + duration());
        while Instant::now() < until || figures.took.len() < CALM_OPERATIONS {
            self.operate(&mut figures).await;
        }
        figures
    }

    /// Stores a blob with one fresh client and reads it with another.
    async fn operate(&mut self, figures: &mut Figures) {
        self.operations += 1;
        let blob = sample_blob(self.operations, 100 * KIB);
        let began = Instant::now();
        if let Err(error) = self.put_and_get(&blob).await {
            figures.failures.push(format!("{error:#}"));
        }
        figures.took.push(began.elapsed());
    }

    async fn put_and_get(&self, blob: &[u8]) -> Result<()> {
        let writer = self.client().await?;
        let stored = put(&writer, blob).await;
        writer.close().await;
        let reader = self.client().await?;
        let got = get(&reader, &stored?.blob_id).await;
        reader.close().await;
        ensure!(got? == blob, "other bytes came back");
        Ok(())
    }

    /// A client that knows the network and nobody in it.
    pub(crate) async fn client(&self) -> Result<LightClient> {
        let config = Config::from_toml(&self.client, Path::new("client.toml"))?.client()?;
        LightClient::connect(config).await.context("cannot connect")
    }

    /// Memory each node holds, in KiB.
    pub(crate) fn memory(&self) -> Vec<u64> {
        self.targets.iter().map(|target| resident(target.pid).unwrap()).collect()
    }

    /// Says what an attack did, and fails if an honest client noticed or a node ended.
    pub(crate) fn judge(
        &self,
        attack: &str,
        calm: &Figures,
        under: &Figures,
        memory_before: &[u64],
    ) {
        let memory = self.memory(); // fails if a process is gone
        let grown = memory.iter().zip(memory_before).map(|(now, was)| now.saturating_sub(*was));
        eprintln!(
            "{attack}: {} of {} puts with gets succeeded; p50 {:?}, p99 {:?}, in calm {:?} and {:?}; memory {memory:?} KiB, \
             grown by {} KiB at most",
            under.took.len() - under.failures.len(),
            under.took.len(),
            under.quantile(50),
            under.quantile(99),
            calm.quantile(50),
            calm.quantile(99),
            grown.max().unwrap(),
        );
        assert_eq!(calm.failures, [""; 0], "before the attack");
        assert_eq!(under.failures, [""; 0], "under attack");
    }
}

impl Figures {
    fn quantile(&self, percent: usize) -> Duration {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
    }
}

impl Drop for Siege {
    fn drop(&mut self) {
        devnet(self.folder.path(), &["down", "--purge"]);
    }
}

/// Runs a verb of the devnet command, which is this program.
fn devnet(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env::current_exe().unwrap())
        .arg0(DEVNET)
        .args(arguments)
        .env("XDG_STATE_HOME", folder.join("state"))
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env_remove("HAULOUT_CONFIG")
        .output()
        .unwrap()
}

fn port_of(address: &str) -> u16 {
    address.split('/').find_map(|part| part.parse().ok()).unwrap()
}

fn resident(pid: u64) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("a node ended")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("a node is dead")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
}
