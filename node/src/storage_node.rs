//! A storage node: configuration in, running actors out.
//!
//! Promises: everything that a person must repair (keys, ports, disk, ledger) fails before the
//! first actor starts, with its own kind; a ledger that is away holds up only a node that never read it; stopping finishes what was accepted and flushes.
//! Does not: handle signals or print; the command line does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use haulout_actors::chain::{ChainOptions, NetworkObjects, Wallet};
use haulout_actors::context::{Context, Keys, Parts};
use haulout_actors::metrics::Metrics;
use haulout_actors::network::{
    Network, NetworkError, NetworkOptions, Role as NetworkRole, Transport,
};
use haulout_actors::position::Position;
use haulout_actors::supervisor::StartError;
use haulout_actors::tree::{Role, Tree};
use haulout_actors::vitals::Vitals;
use haulout_protocol::crypto::{PeerId, SecretKey};
use haulout_protocol::machine::conditions::Condition;
use haulout_storage::{Options as StoreOptions, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ChainConfig, NetworkConfig, NodeConfig, Prefer};
use crate::endpoint::{self, Subject};
use crate::error::{Error, Kind, Result};
use crate::health_log;
use crate::keys::{self, Kind as KeyKind, Secret};
use crate::ports;
use crate::terminal;

/// How long a node waits for a ledger that does not answer before it says so: its actors try again
/// by themselves.
const LEDGER_PATIENCE: Duration = Duration::from_secs(5);

/// A running storage node.
#[derive(Debug)]
pub struct StorageNode {
    tree: Tree,
    context: Context,
    peer_id: PeerId,
    http: Option<SocketAddr>,
    stop_http: CancellationToken,
    tasks: TaskTracker,
    stop_within: Duration,
}

impl StorageNode {
    /// Starts a node; returns when it accepts peers.
    pub async fn start(config: NodeConfig) -> Result<Self> {
        let network_key = own_key(&config, &config.network_key, KeyKind::Ed25519)?;
        let protocol_key = own_key(&config, &config.protocol_key, KeyKind::Bls12381)?;
        let operator = config.wallet.as_ref().map(keys::load_wallet).transpose()?;
        ports::check_free(&config.network.listen)?;
        let http = match config.http {
            Some(address) => Some(endpoint::bind(address).await?),
            None => None,
        };
        let store = open_store(&config).await?;
        let confirmation = SecretKey::from_bytes(protocol_key.bytes()).ok_or_else(|| {
            let file = terminal::path(&config.protocol_key);
            Error::new(Kind::Config, format!("{file} holds no BLS secret key"))
        })?;
        let (network, node) = (*network_key.bytes(), config.node_id);
        let keys = Keys { network, confirmation: Some(confirmation), node };
        let role = Role::StorageNode;
        let chain = chain_options(&config.chain, LEDGER_PATIENCE, None);
        let identity = Identity { keys, operator };
        let prepared = prepare(&config.network, chain, store, identity, role, None).await?;
        let Prepared { mut context, swarm: network, .. } = prepared;
        context.vitals = Vitals::new(config.clock_tolerance);
        context.repairs_at_once = config.repairs_at_once;
        context.scrub_every = config.scrub_every;
        let peer_id = context.peer;
        let position = context.position.current();
        check_membership(&config, &context, &position)?;
        let tree = Tree::start(context.clone(), network, role).await.map_err(not_started)?;

        let stop_http = CancellationToken::new();
        let tasks = TaskTracker::new();
        let address = http.as_ref().and_then(|listener| listener.local_addr().ok());
        let subject = Subject { tree: tree.clone(), context: context.clone() };
        tasks.spawn(health_log::keep(subject.clone(), stop_http.clone()));
        if let Some(listener) = http {
            tasks.spawn(endpoint::serve(listener, subject, stop_http.clone()));
        }
        tracing::info!(peer = %peer_id, epoch = position.epoch.0, "node started");
        let stop_within = config.stop_within;
        Ok(Self { tree, context, peer_id, http: address, stop_http, tasks, stop_within })
    }

    /// Who this node is among peers.
    pub fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// The addresses it accepts peers on, each with its peer id at the end.
    pub fn addresses(&self) -> Vec<String> {
        let addresses = self.tree.network().addresses().borrow().clone();
        let suffix = format!("/p2p/{}", self.peer_id);
        addresses
            .into_iter()
            .map(|address| if address.ends_with(&suffix) { address } else { address + &suffix })
            .collect()
    }

    /// Where metrics and health are served.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// What the actors share: for tests and for the metrics exporter.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The actors, for health and for fault drills.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What is not well, the worst first.
    pub fn conditions(&self) -> Vec<Condition> {
        self.subject().conditions()
    }

    fn subject(&self) -> Subject {
        Subject { tree: self.tree.clone(), context: self.context.clone() }
    }

    /// Ends only when the node cannot go on by itself; says why.
    pub async fn ended(&self) -> Error {
        match self.tree.ended().await {
            Ok(()) => Error::new(Kind::Internal, "the node was shut down from elsewhere"),
            Err(reason) => Error::new(Kind::Internal, "the node gave up")
                .because(reason)
                .hint("see the log above; start it again, everything acknowledged is on disk"),
        }
    }

    /// Stops accepting, lets tasks finish, flushes and leaves the network, within the configured
    /// time. What is not done by then is dropped; nothing acknowledged is lost either way.
    pub async fn shutdown(self) {
        self.stop_http.cancel();
        self.tasks.close();
        let stopped = tokio::time::timeout(self.stop_within, async {
            self.tree.shutdown().await;
            self.tasks.wait().await;
        });
        match stopped.await {
            Ok(()) => tracing::info!("node stopped"),
            Err(_) => tracing::warn!(within = ?self.stop_within, "node cut off while stopping"),
        }
    }
}

/// The peer id of the node with this configuration; makes its key if the node is new.
pub fn identity(config: &NodeConfig) -> Result<PeerId> {
    let key = own_key(config, &config.network_key, KeyKind::Ed25519)?;
    let options = network_options(&config.network, *key.bytes(), Role::StorageNode);
    Ok(Network::new(options)?.identity())
}

/// A key of the node, made if the node is new. One that stored something, or that the ledger has a name for, is known
/// to others by its keys: with another one it would be somebody else, and serve nobody.
fn own_key(config: &NodeConfig, path: &Path, kind: KeyKind) -> Result<Secret> {
    let store = store_path(config);
    let has_stored = std::fs::read_dir(&store).is_ok_and(|mut files| files.next().is_some());
    let reason = match (has_stored, config.node_id) {
        _ if path.exists() => return keys::load(path, kind),
        (false, None) => return keys::load_or_create(path, kind),
        (true, _) => format!("its store {} is there", terminal::path(&store)),
        (false, Some(_)) => "node.id says which it is".to_owned(),
    };
    let file = terminal::path(path);
    let message = format!("the key file {file} is missing, and this node is not new: {reason}");
    Err(Error::new(Kind::Config, message).hint(
        "put the file back; a node whose keys are lost is lost, too: start another one with its own \
         node.data_dir and without node.id, and register it with `haulout node register`",
    ))
}

/// Where a node keeps what it stores for others.
fn store_path(config: &NodeConfig) -> PathBuf {
    config.data_dir.join("store")
}

/// Opens the store off the runtime's threads: it reads and may repair.
async fn open_store(config: &NodeConfig) -> Result<Store> {
    let path = store_path(config);
    let options = StoreOptions {
        reserve_bytes: config.keep_free,
        cache_bytes: config.cache,
        ..StoreOptions::default()
    };
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&path)
            .map_err(|error| Error::from_io("create the data directory", &path, error))?;
        Store::open(&path, options).map_err(Error::from)
    });
    opened
        .await
        .map_err(|error| Error::new(Kind::Internal, "opening the store failed").because(error))?
}

/// Where the ledger is, as the actors want to know it.
pub(crate) fn chain_options(
    chain: &ChainConfig,
    patience: Duration,
    turns: Option<PathBuf>,
) -> ChainOptions {
    ChainOptions {
        urls: chain.rpc.clone(),
        package: chain.package,
        system: chain.system,
        staking: chain.staking,
        params: chain.params,
        treasury: chain.treasury,
        patience,
        turns,
        trusted: chain.trusted,
    }
}

/// With what a process signs.
pub(crate) struct Identity {
    pub(crate) keys: Keys,
    /// The account a node pays with; clients pay with theirs themselves.
    pub(crate) operator: Option<Wallet>,
}

/// What the actors of a process start with.
pub(crate) struct Prepared {
    pub(crate) context: Context,
    pub(crate) swarm: Network,
    /// What the ledger said of the network, if it was asked.
    pub(crate) read: Option<NetworkObjects>,
}

/// Sets up the swarm, learns what the network is like, and puts together what the actors share.
/// `cache` is what is known of the network if neither store nor ledger tell.
pub(crate) async fn prepare(
    network: &NetworkConfig,
    chain: ChainOptions,
    store: Store,
    identity: Identity,
    role: Role,
    cache: Option<NetworkObjects>,
) -> Result<Prepared> {
    let Identity { keys, operator } = identity;
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), &network.id.to_string());
    let mut options = network_options(network, keys.network, role);
    options.registry = metrics.network_registry();
    let swarm = Network::new(options)?;
    let parts = Parts {
        store,
        chain,
        cache,
        keys,
        operator,
        peer: swarm.identity(),
        network: network.id,
        metrics,
        follow: role.follow(),
    };
    let (context, read) = Context::connect(parts).await?;
    Ok(Prepared { context, swarm, read })
}

/// The swarm's options, with a registry of its own.
fn network_options(network: &NetworkConfig, secret_key: [u8; 32], role: Role) -> NetworkOptions {
    NetworkOptions {
        secret_key,
        network: network.id,
        listen: network.listen.clone(),
        bootstrap: network.bootstrap.clone(),
        external: network.external.clone(),
        role: match role {
            Role::StorageNode => NetworkRole::Server,
            Role::Client => NetworkRole::Client,
        },
        prefer: match network.prefer {
            Prefer::Quic => Transport::Quic,
            Prefer::Tcp => Transport::Tcp,
        },
        registry: Arc::default(),
    }
}

/// A tree that did not start.
pub(crate) fn not_started(error: StartError) -> Error {
    match error.source.downcast::<NetworkError>() {
        Ok(network) => (*network).into(),
        Err(source) => Error::new(Kind::Internal, format!("{} does not start", error.child))
            .because(source)
            .hint("correct what the message names and start again"),
    }
}

/// Refuses keys that are not those of the node they would make us; warns an operator whose node
/// holds no shards, and one who configured another node's id.
fn check_membership(config: &NodeConfig, context: &Context, position: &Position) -> Result<()> {
    let found = context
        .check_keys(position)
        .map_err(|fault| Error::new(Kind::Config, fault.to_string()).hint(fault.next_step()))?;
    match (found, config.node_id) {
        (None, _) => tracing::warn!(
            peer = %context.peer,
            epoch = position.epoch.0,
            "this peer is not in the committee and stores nothing until it is"
        ),
        (Some(found), Some(expected)) if found != expected => tracing::warn!(
            %found,
            %expected,
            "node.id differs from the ledger's entry for this peer; the ledger's counts"
        ),
        _ => {}
    }
    Ok(())
}
