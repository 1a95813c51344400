//! A devnet of real processes under attack, and honest clients beside it.
//!
//! Promises: every honest operation is a fresh client with a connection of its own, its failure is kept in words, and how
//! long it took is measured; a siege that ends, in whatever way, leaves no process. Does not: attack.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};
use haulout_actors::limits::STRANGERS_ROOM;
use haulout_node::config::Config;
use haulout_node::{LightClient, probe};
use haulout_protocol::machine::conditions::Name;
use haulout_tests::{KIB, eventually, get, put, sample_blob};
use serde_json::Value;

use crate::stranger::give_up;

/// What the program is called when it is a devnet.
pub(crate) const DEVNET: &str = "devnet";

/// Honest operations at least, before an attack, to know what is normal, and during it.
const OPERATIONS_MIN: usize = 6;
/// Clients of a crowd that store a blob at a time: all of them stay, and one wallet pays for them.
const CROWD_AT_ONCE: usize = 8;
/// What a node may grow by, in KiB: twice the memory of its sessions, because transports buffer what these send, too.
const GROWTH_MAX: u64 = 512 * 1024;
/// How long a node may take to give back what an attack took.
const RELIEF: Duration = Duration::from_secs(60);

/// One node under attack.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The process.
    pub(crate) pid: u64,
    /// Its name among peers.
    pub(crate) peer_id: String,
    /// Where it listens, for QUIC and TCP.
    pub(crate) port: u16,
    /// Where it says how it is.
    health: SocketAddr,
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
    /// Where the ledger answers.
    pub(crate) ledger: String,
    /// The network's id in hex, as protocol names carry its beginning.
    pub(crate) network: String,
    /// How long the blobs of honest clients are.
    length: usize,
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

/// Whether it is judged how slow honest clients became, and whether memory is given back: only on a machine that nobody
/// else uses, with `kernel.sched_autogroup_enabled=0`, so that strangers get no time that others want.
pub(crate) fn is_strict() -> bool {
    knob("HAULOUT_ATTACK_STRICT", 0) == 1
}

fn knob(name: &str, usual: u64) -> u64 {
    env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

impl Siege {
    /// Starts four nodes with seven shards, and honest clients whose blobs are segments.
    pub(crate) fn start() -> Siege {
        Siege::beside(100 * KIB)
    }

    /// The same with honest clients whose blobs are so long.
    pub(crate) fn beside(length: usize) -> Siege {
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
            health: address_of(node["metrics"].as_str().unwrap()),
        });
        let client = fs::read_to_string(card["client_config"].as_str().unwrap()).unwrap();
        let settings: toml::Table = client.parse().unwrap();
        Siege {
            client,
            ledger: settings["chain"]["rpc"].as_str().unwrap().to_owned(),
            targets: targets.collect(),
            network: card["chain"]["network"].as_str().unwrap().to_owned(),
            folder,
            length,
            operations: 0,
        }
    }

    /// What is normal: operations while nobody attacks.
    pub(crate) async fn calm(&mut self) -> Figures {
        if !is_strict() {
            return self.work(Duration::ZERO).await;
        }
        eprintln!("memory is {:?} KiB at the start", self.memory());
        self.crowd().await;
        let left = Instant::now();
        // Memory grows with what is stored, attack or not: the same work before shows how much.
        let figures = self.work(duration()).await;
        // The crowd has the time that strangers have, to be forgotten.
        while left.elapsed() < RELIEF {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        figures
    }

    /// As many honest clients at once as one address may bring, each of which stores a blob, and which leave together.
    ///
    /// What an attack costs is measured against a node that has had company. One that has just started has tables of
    /// transports that never shrink, caches and pages of the store still to fill: its first crowd, honest or not, leaves it
    /// some MiB larger.
    async fn crowd(&mut self) {
        let first = self.operations + 1;
        let clients = u64::try_from(STRANGERS_ROOM.of_address).unwrap();
        self.operations += clients;
        let company = stream::iter(first..first + clients).map(async |number| {
            let client = self.client().await.unwrap();
            put(&client, &sample_blob(number, self.length)).await.unwrap();
            client
        });
        let company: Vec<LightClient> = company.buffer_unordered(CROWD_AT_ONCE).collect().await;
        for client in company {
            client.close().await;
        }
    }

    /// Honest operations for as long as an attack lasts.
    pub(crate) async fn endure(&mut self) -> Figures {
        self.work(duration()).await
    }

    /// Honest operations, one after the other.
    async fn work(&mut self, time: Duration) -> Figures {
        let (mut figures, until) = (Figures::default(), Instant::now() + time);
        while Instant::now() < until || figures.took.len() < OPERATIONS_MIN {
            self.operate(&mut figures).await;
        }
        figures
    }

    /// Stores a blob with one fresh client and reads it with another.
    async fn operate(&mut self, figures: &mut Figures) {
        self.operations += 1;
        let blob = sample_blob(self.operations, self.length);
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

    /// Waits until every node says this of itself, and nothing with it that strangers should not be able to bring about.
    pub(crate) async fn names(&self, condition: Name) {
        for target in &self.targets {
            eventually(&format!("a node says: {condition}"), async || {
                let health = probe::health(target.health).await;
                health.is_some_and(|health| {
                    assert!(health.serves(), "{:?}", health.conditions());
                    health.conditions().iter().any(|told| told.name == condition.as_str())
                })
            })
            .await;
        }
    }

    /// Starts the last node again, and waits until it says whether others reach it: whether they do.
    pub(crate) async fn is_last_node_reached_anew(&mut self) -> bool {
        let name = format!("n{}", self.targets.len());
        let restarted = devnet(self.folder.path(), &["restart", &name]);
        assert!(restarted.status.success(), "{}", String::from_utf8_lossy(&restarted.stderr));
        let card = devnet(self.folder.path(), &["status", "--json"]);
        let card: Value = serde_json::from_slice(&card.stdout).unwrap();
        let last = self.targets.last_mut().unwrap();
        let of_node = |node: &&Value| node["name"] == name.as_str();
        let node = card["nodes"].as_array().unwrap().iter().find(of_node).unwrap();
        last.pid = node["pid"].as_u64().unwrap();
        let doors = async || {
            let health = probe::health(last.health).await?;
            let doors = health.json()["reachability"]["doors"].as_array()?.clone();
            let tried = |door: &Value| door["tried"].as_u64().unwrap_or(0) > 0;
            doors.iter().any(tried).then_some(doors)
        };
        eventually("others tried to reach the node", async || doors().await.is_some()).await;
        let doors = doors().await.unwrap_or_default();
        doors.iter().any(|door| door["reached"].as_u64().unwrap_or(0) > 0)
    }

    /// Memory each node holds, in KiB.
    pub(crate) fn memory(&self) -> Vec<u64> {
        self.targets.iter().map(|target| resident(target.pid).unwrap()).collect()
    }

    /// Says what an attack did, and fails if an honest client noticed, a node ended, or grew too large. Ends the attack.
    pub(crate) async fn judge(
        &self,
        attack: &str,
        calm: &Figures,
        under: &Figures,
        memory_before: &[u64],
    ) {
        let memory = self.memory(); // fails if a process is gone
        let grown = memory.iter().zip(memory_before).map(|(now, was)| now.saturating_sub(*was));
        let grown = grown.max().unwrap();
        eprintln!(
            "{attack}: {} of {} puts with gets succeeded; p50 {:?}, p99 {:?}, in calm {:?} and {:?}; memory {memory:?} KiB, \
             grown by {grown} KiB at most",
            under.took.len() - under.failures.len(),
            under.took.len(),
            under.quantile(50),
            under.quantile(99),
            calm.quantile(50),
            calm.quantile(99),
        );
        assert_eq!(calm.failures, [""; 0], "before the attack");
        assert_eq!(under.failures, [""; 0], "under attack");
        assert!(grown <= GROWTH_MAX, "{attack}: a node grew by {grown} KiB");
        give_up();
        if is_strict() {
            self.judge_strictly(calm, under, memory_before).await;
        }
    }

    async fn judge_strictly(&self, calm: &Figures, under: &Figures, memory_before: &[u64]) {
        let ended = Instant::now();
        let is_relieved = || {
            let mut both = self.memory().into_iter().zip(memory_before);
            both.all(|(now, was)| now <= was + was / 10)
        };
        while !is_relieved() && ended.elapsed() < RELIEF {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        eprintln!(
            "memory is {:?} KiB {:?} later, {memory_before:?} before",
            self.memory(),
            ended.elapsed()
        );
        assert!(is_relieved(), "nodes keep what the attack took");
        assert!(under.quantile(99) <= 2 * calm.quantile(99), "honest clients became too slow");
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

fn address_of(url: &str) -> SocketAddr {
    url.split('/').find_map(|part| part.parse().ok()).unwrap()
}

/// Memory of a process that is its own, in KiB: not what it has mapped of files, which the system takes back at need.
fn resident(pid: u64) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("a node ended")?;
    let line =
        status.lines().find(|line| line.starts_with("RssAnon:")).context("a node is dead")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
}
