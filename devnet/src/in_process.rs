//! A devnet inside one process: the same ledger, nodes and clients, for tests.
//!
//! Promises: nothing is simulated; nodes speak libp2p over loopback and the ledger speaks gRPC.
//! Everything lives in a temporary folder on free ports, so that devnets run side by side.
//! Does not: kill. A node is stopped in order; what SIGKILL does is tested with processes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use haulout_node::config::{ClientConfig, Config, NodeConfig};
use haulout_node::error::{Error, Kind, Result};
use haulout_node::{LightClient, StorageNode};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::files::{self, ChainPlace};
use crate::genesis::{self, Genesis, NodeGenesis, PeerPort};
use crate::ledger::{GenesisIds, Ledger};
use crate::ledger_process;
use crate::ports::{self, Ports};

/// How long a stopped node's port may stay taken.
const PORT_PATIENCE: Duration = Duration::from_secs(10);

/// So many of the nodes before it a node starts from.
const BOOTSTRAP_MAX: usize = 4;

/// Between two looks at a port.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a devnet in one process shall be.
#[derive(Clone, Debug)]
pub struct Builder {
    nodes: u16,
    shards: u16,
    seed: u64,
    segment_bytes: u32,
    short_bytes_max: u32,
    epoch: Duration,
    stake_per_shard: u64,
    absent: Vec<usize>,
    repairs: bool,
}

impl Builder {
    /// How many storage nodes; 5 if nothing is said.
    #[must_use]
    pub fn nodes(mut self, nodes: u16) -> Self {
        self.nodes = nodes;
        self
    }

    /// How many shards they share; 100 if nothing is said.
    #[must_use]
    pub fn shards(mut self, shards: u16) -> Self {
        self.shards = shards;
        self
    }

    /// What every key and id is derived from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The bytes of a segment; small ones make small blobs have many.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u32) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// The bytes of the longest short blob, at most a segment's; zero for none.
    #[must_use]
    pub fn short_bytes_max(mut self, bytes: u32) -> Self {
        self.short_bytes_max = bytes;
        self
    }

    /// How long an epoch lasts: ten seconds at least, by the ledger's clock.
    #[must_use]
    pub fn epoch(mut self, length: Duration) -> Self {
        self.epoch = length;
        self
    }

    /// What each node stakes for each of its shards, in the token's smallest unit. Little makes the
    /// stake of others move shards.
    #[must_use]
    pub fn stake_per_shard(mut self, stake: u64) -> Self {
        self.stake_per_shard = stake;
        self
    }

    /// Has nodes keep what they have and repair nothing, so that what is lost stays lost.
    #[must_use]
    pub fn without_repairs(mut self) -> Self {
        self.repairs = false;
        self
    }

    /// Leaves this member's place empty: somebody else will speak with its keys, or nobody.
    #[must_use]
    pub fn without_node(mut self, index: usize) -> Self {
        self.absent.push(index);
        self
    }

    /// Starts the ledger, then the first node, then all others.
    pub async fn start(self) -> Result<Devnet> {
        let folder = tempfile::tempdir()
            .map_err(|error| Error::from_io("create a folder in", &std::env::temp_dir(), error))?;
        let ports = ports::choose(0, self.nodes)?;
        let genesis = genesis::genesis(&genesis::Request {
            seed: self.seed,
            shards: self.shards,
            segment_bytes: self.segment_bytes,
            short_bytes_max: self.short_bytes_max.min(self.segment_bytes),
            epoch_ms: genesis::check_epoch(self.epoch)?,
            stake_per_shard: self.stake_per_shard,
            ports: ports.nodes.iter().map(|ports| PeerPort(ports.peer)).collect(),
        })?;
        let rpc = format!("http://127.0.0.1:{}", ports.ledger);
        let chain = ChainPlace { rpc, ids: genesis.config.ids(), trusted: None };
        for account in &genesis.accounts {
            files::write_account(&folder.path().join("keys"), account)?;
        }
        let nodes = genesis.nodes.iter().map(|_| None).collect();
        let mut devnet = Devnet {
            folder,
            genesis,
            chain,
            ports,
            ledger: None,
            nodes,
            repairs: self.repairs,
            clients: AtomicUsize::new(0),
        };
        devnet.start_ledger().await?;
        let mut present = (0..devnet.nodes.len()).filter(|index| !self.absent.contains(index));
        // The first alone, because the others bootstrap from it.
        if let Some(first) = present.next() {
            devnet.start_node(first).await?;
        }
        let others: Vec<usize> = present.collect();
        let starting = others.iter().map(|index| devnet.node_config(*index));
        let starting = starting.collect::<Result<Vec<_>>>()?.into_iter().map(StorageNode::start);
        for (index, node) in others.into_iter().zip(join_all(starting).await) {
            devnet.nodes[index] = Some(node?);
        }
        Ok(devnet)
    }
}

/// A running devnet. Dropping it ends everything and deletes its folder.
#[derive(Debug)]
pub struct Devnet {
    folder: tempfile::TempDir,
    genesis: Genesis,
    chain: ChainPlace,
    ports: Ports,
    ledger: Option<RunningLedger>,
    nodes: Vec<Option<StorageNode>>,
    repairs: bool,
    clients: AtomicUsize,
}

#[derive(Debug)]
struct RunningLedger {
    ledger: Ledger,
    shutdown: CancellationToken,
    _guard: DropGuard,
    serving: JoinHandle<()>,
}

/// What a member of the committee knows, for a test that plays one.
#[derive(Clone, Debug)]
pub struct MemberKeys {
    /// The ed25519 secret of its peer id.
    pub network_key: [u8; 32],
    /// The BLS secret it signs with.
    pub protocol_key: [u8; 32],
    /// The ed25519 secret of its operator's account, which owns its cap and some SUI.
    pub account: [u8; 32],
    /// The port the ledger says it listens on, for QUIC and TCP.
    pub port: u16,
}

impl Devnet {
    /// Five nodes with a hundred shards, unless something else is asked.
    pub fn builder() -> Builder {
        Builder {
            nodes: crate::settings::NODES,
            shards: crate::settings::SHARDS,
            seed: crate::settings::SEED,
            segment_bytes: haulout_protocol::encoding::SEGMENT_BYTES,
            short_bytes_max: haulout_protocol::encoding::SHORT_BYTES,
            epoch: crate::settings::EPOCH,
            stake_per_shard: genesis::STAKE_PER_SHARD,
            absent: Vec::new(),
            repairs: true,
        }
    }

    /// How many members the committee has, running or not.
    pub fn members(&self) -> usize {
        self.nodes.len()
    }

    /// The name of a member, as errors and logs call it.
    pub fn name(&self, index: usize) -> &str {
        &self.genesis.nodes[index].name
    }

    /// A running node.
    pub fn node(&self, index: usize) -> Option<&StorageNode> {
        self.nodes[index].as_ref()
    }

    /// The secrets of a member.
    pub fn member_keys(&self, index: usize) -> MemberKeys {
        let node = &self.genesis.nodes[index];
        MemberKeys {
            network_key: node.network_key,
            protocol_key: *node.protocol_key.to_bytes(),
            account: node.account,
            port: node.port.0,
        }
    }

    /// The multiaddr of a node, to bootstrap from.
    pub fn address(&self, index: usize) -> String {
        self.genesis.nodes[index].address()
    }

    /// The running ledger, to let its time pass.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref().map(|running| &running.ledger)
    }

    /// Where the ledger answers.
    pub fn rpc(&self) -> &str {
        &self.chain.rpc
    }

    /// The names of our objects on the ledger.
    pub fn ids(&self) -> &GenesisIds {
        &self.chain.ids
    }

    /// The folder of everything, deleted when the devnet is dropped.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration of a node, as `start_node` uses it.
    pub fn node_config(&self, index: usize) -> Result<NodeConfig> {
        let node = &self.genesis.nodes[index];
        let folder = self.folder.path().join(&node.name);
        let before = self.genesis.nodes[..index].iter().take(BOOTSTRAP_MAX);
        let bootstrap = before.map(NodeGenesis::address).collect();
        let text = files::node_toml(&self.chain, bootstrap, node, &folder, None)?;
        let path = files::write_node(&folder, node, &text)?;
        let mut config = Config::from_toml(&text, &path)?.node()?;
        if !self.repairs {
            config.repairs_at_once = 0;
        }
        Ok(config)
    }

    /// The configuration of a new client of `alice`, `bob` or `carol`.
    pub fn client_config(&self, account: &str) -> Result<ClientConfig> {
        let number = self.clients.fetch_add(1, Ordering::Relaxed);
        let state = self.folder.path().join(format!("client-{number}"));
        let wallet = self.folder.path().join("keys").join(format!("{account}.key"));
        let bootstrap = self.genesis.nodes.iter().map(NodeGenesis::address).collect();
        let text = files::client_toml(&self.chain, bootstrap, &wallet, &state)?;
        Config::from_toml(&text, Path::new("client.toml"))?.client()
    }

    /// A new client of an account, connected.
    pub async fn client(&self, account: &str) -> Result<LightClient> {
        LightClient::connect(self.client_config(account)?).await
    }

    /// Starts a node that does not run; its store is as it was left.
    pub async fn start_node(&mut self, index: usize) -> Result<()> {
        let node = StorageNode::start(self.node_config(index)?).await?;
        self.nodes[index] = Some(node);
        Ok(())
    }

    /// Stops a node and waits until its ports and its store are free. Fine if it does not run.
    pub async fn stop_node(&mut self, index: usize) {
        if let Some(node) = self.nodes[index].take() {
            node.shutdown().await;
            // QUIC says goodbye to its peers in the background and holds the socket meanwhile.
            let until = tokio::time::Instant::now() + PORT_PATIENCE;
            let port = self.genesis.nodes[index].port.0;
            while !ports::is_free(port) && tokio::time::Instant::now() < until {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Deletes the store of a node that does not run: a lost disk.
    pub fn wipe_node(&self, index: usize) -> Result<()> {
        let store = self.folder.path().join(self.name(index)).join("store");
        if self.nodes[index].is_some() {
            return Err(Error::new(Kind::Usage, "a running node cannot be wiped"));
        }
        std::fs::remove_dir_all(&store).map_err(|error| Error::from_io("remove", &store, error))
    }

    /// Starts the ledger from its database.
    pub async fn start_ledger(&mut self) -> Result<()> {
        let grpc = ledger_process::bind(self.ports.ledger).await?;
        let faucet = ledger_process::bind(self.ports.faucet).await?;
        let (database, config) = (self.database(), self.genesis.config.clone());
        let opened = tokio::task::spawn_blocking(move || ledger_process::open(&database, config));
        let ledger: Ledger = opened.await.map_err(|error| {
            Error::new(Kind::Internal, "opening the ledger failed").because(error)
        })??;
        self.chain.trusted = Some(ledger.trusted());
        let shutdown = CancellationToken::new();
        let (token, served) = (shutdown.clone(), ledger.clone());
        let serving = tokio::spawn(async move {
            if let Err(error) = served.serve(grpc, faucet, token).await {
                tracing::error!(%error, "the ledger stopped");
            }
        });
        let guard = shutdown.clone().drop_guard();
        self.ledger = Some(RunningLedger { ledger, shutdown, _guard: guard, serving });
        Ok(())
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("ledger.redb")
    }

    /// Stops the ledger and waits until its database is closed. Fine if it does not run.
    pub async fn stop_ledger(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            let RunningLedger { ledger, shutdown, _guard, serving } = ledger;
            drop(ledger); // or its database stays open
            shutdown.cancel();
            // It ends in a panic only if the ledger is wrong, and then the test sees it by itself.
            let _ = serving.await;
        }
    }

    /// The address of the faucet.
    pub fn faucet(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.faucet))
    }

    /// Stops all nodes at once, then the ledger.
    pub async fn shutdown(mut self) {
        join_all(self.nodes.drain(..).flatten().map(StorageNode::shutdown)).await;
        self.stop_ledger().await;
    }
}
