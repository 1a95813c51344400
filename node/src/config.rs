//! Configuration: files, environment and flags become one validated value, read once.
//!
//! Precedence, highest first: flags, `HAULOUT_<SECTION>__<KEY>` variables, then either the file
//! given with `--config`, or `./haulout.toml`, the active context and
//! `~/.config/haulout/client.toml` (with `--context`, that context outranks `./haulout.toml`).
//! Promises: unknown keys are errors, and every error names the file and line (or the variable,
//! or the flag), the key and the fix; relative paths belong to the file that names them.
//! Does not: touch the network, read keys, or look at the environment by itself below this file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::committee::NodeId;
use haulout_protocol::machine::ledger_history::TrustedCheckpoint;
use haulout_protocol::message::NetworkId;

use crate::contexts;
use crate::error::{Error, Kind, Result};
use crate::terminal;
use file::{File, Leads};
use layers::{Layer, Layers};

mod file;
mod layers;
mod node_file;
mod values;

pub use node_file::NodeFile;
pub(crate) use node_file::exists as node_file_exists;
pub use values::Prefer;
pub(crate) use values::{Size, address, bootstrap, servers};

/// How long a node may take to stop before it is cut off.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of the disk that a node leaves free.
const KEEP_FREE: u64 = 256 << 20;
/// A repair waits for peers most of its time.
const REPAIRS_AT_ONCE: usize = haulout_actors::limits::REPAIRS_AT_ONCE;
/// Everything that is stored is read again within this time.
const SCRUB_EVERY: Duration = haulout_actors::limits::SCRUB_EVERY;
/// How far a node's clock may be from the ledger's: checkpoints reach us within seconds of their time.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
/// Bytes of memory for the database's cache.
const CACHE: u64 = 64 << 20;
/// How long a client waits for the ledger and the network when it starts.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`: this file, and no other.
    pub file: Option<PathBuf>,
    /// `--context`: this context in place of the active one.
    pub context: Option<String>,
    /// The environment, as pairs.
    pub env: Vec<(String, String)>,
    /// Flags that set keys.
    pub flags: Vec<Setting>,
}

/// A flag that sets a key.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What the user typed, for example `--bootstrap`.
    pub flag: &'static str,
    /// The section of the file.
    pub section: &'static str,
    /// The key in the section.
    pub key: &'static str,
    /// The value, written as in an environment variable.
    pub value: String,
}

/// The merged settings, before a role asks for what it needs.
#[derive(Clone, Debug)]
pub struct Config {
    file: File,
    layers: Layers,
    /// Sui's own configuration, if this user has one.
    sui: Option<PathBuf>,
}

/// Where the wallet's key is, and whose it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletPlace {
    /// The file.
    pub source: WalletSource,
    /// The account that was chosen; else the key file's, or Sui's active one.
    pub address: Option<ObjectId>,
    /// The setting that names the file, and where it is set: for error messages.
    pub setting: String,
}

/// A file with the wallet's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalletSource {
    /// A key file.
    KeyFile(PathBuf),
    /// Sui's `client.yaml`, which names a keystore.
    Sui(PathBuf),
}

/// How to take part in the peer-to-peer network.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Which network.
    pub id: NetworkId,
    /// Peers to start from; each address ends in `/p2p/<peer id>`.
    pub bootstrap: Vec<String>,
    /// Addresses to listen on.
    pub listen: Vec<String>,
    /// Addresses under which others reach us.
    pub external: Vec<String>,
    /// Which transport to try first.
    pub prefer: Prefer,
}

/// Where the ledger is, and which objects on it are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainConfig {
    /// Addresses of Sui gRPC servers, at least one; the next is asked when one fails.
    pub rpc: Vec<String>,
    /// The package of the contracts.
    pub package: ObjectId,
    /// The system object.
    pub system: ObjectId,
    /// The staking object.
    pub staking: ObjectId,
    /// The parameters object.
    pub params: ObjectId,
    /// The treasury object.
    pub treasury: ObjectId,
    /// From which checkpoint on the ledger must prove what it says.
    pub trusted: Option<TrustedCheckpoint>,
}

/// Everything a storage node needs.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The peer-to-peer network.
    pub network: NetworkConfig,
    /// The ledger.
    pub chain: ChainConfig,
    /// Where everything this node stores lives.
    pub data_dir: PathBuf,
    /// File of the peer's identity key.
    pub network_key: PathBuf,
    /// File of the key that signs confirmations.
    pub protocol_key: PathBuf,
    /// The node's object on the ledger; found by its peer id when not given.
    pub node_id: Option<NodeId>,
    /// The operator's wallet, which pays for what the node tells the ledger; without it the node
    /// only listens.
    pub wallet: Option<WalletPlace>,
    /// A name for logs and traces.
    pub name: Option<String>,
    /// Where metrics and health are served.
    pub http: Option<SocketAddr>,
    /// How long stopping may take.
    pub stop_within: Duration,
    /// Bytes of the disk that are never used.
    pub keep_free: u64,
    /// How far the machine's clock may be from the ledger's before the node says that it is wrong.
    pub clock_tolerance: Duration,
    /// Blobs repaired at once, from what others hold; 0 repairs nothing.
    pub repairs_at_once: usize,
    /// Within what time everything that is stored is read again; zero reads nothing again.
    pub scrub_every: Duration,
    /// Bytes of memory for the database's cache.
    pub cache: usize,
}

/// Everything a client needs.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The peer-to-peer network.
    pub network: NetworkConfig,
    /// The ledger.
    pub chain: ChainConfig,
    /// The wallet that pays; needed for writes only.
    pub wallet: Option<WalletPlace>,
    /// Where temporary copies of piped input live, and where those who share a wallet take turns.
    pub state_dir: PathBuf,
    /// How long to wait for the ledger and the network at the start, for the ledger whenever it does
    /// not answer, and in a read for anything new.
    pub timeout: Duration,
}

impl ClientConfig {
    /// Where processes that share a wallet take turns.
    pub(crate) fn turns_dir(&self) -> PathBuf {
        self.state_dir.join("turns")
    }
}

impl Config {
    /// A commented file with every key.
    pub fn example() -> &'static str {
        include_str!("config/example.toml")
    }

    /// Reads and merges all sources.
    pub fn load(sources: &Sources) -> Result<Self> {
        let mut layers = Layers::default();
        for (path, required) in Self::files(sources)? {
            match std::fs::read_to_string(&path) {
                Ok(text) => layers.push(Layer::from_file(&path, &text)?),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {}
                Err(error) => return Err(unreadable(&path, error, sources)),
            }
        }
        for (name, value) in &sources.env {
            if let Some(layer) = Layer::from_variable(name, value)? {
                layers.push(layer);
            }
        }
        for setting in &sources.flags {
            layers.push(Layer::from_setting(setting)?);
        }
        let sui = sui_config(&sources.env).filter(|path| path.exists());
        Ok(Self { file: layers.merge()?, layers, sui })
    }

    /// Reads one file's text; `source` is named in errors and anchors relative paths. Nothing else
    /// is read, so there is no wallet that the text does not name.
    pub fn from_toml(text: &str, source: &Path) -> Result<Self> {
        let mut layers = Layers::default();
        layers.push(Layer::from_file(source, text)?);
        Ok(Self { file: layers.merge()?, layers, sui: None })
    }

    /// The files to read, lowest rank first, and whether each must exist.
    fn files(sources: &Sources) -> Result<Vec<(PathBuf, bool)>> {
        if let Some(path) = &sources.file {
            if path.as_os_str().is_empty() {
                let message = "--config, or HAULOUT_CONFIG, is empty and names no file";
                return Err(Error::new(Kind::Config, message).hint("name a file, or leave it out"));
            }
            return Ok(vec![(path.clone(), true)]);
        }
        let mut files = vec![(contexts::config_home().join("client.toml"), false)];
        let project = (PathBuf::from("haulout.toml"), false);
        match &sources.context {
            Some(name) => files.extend([project, (contexts::path(name)?, true)]),
            None => {
                files.extend(
                    contexts::active()?
                        .map(|name| contexts::path(&name))
                        .transpose()?
                        .map(|path| (path, true)),
                );
                files.push(project);
            }
        }
        Ok(files)
    }

    /// What a storage node needs, or the first thing that is missing.
    pub fn node(&self) -> Result<NodeConfig> {
        let file = &self.file;
        self.leads_to_folder(file.node.data_dir.as_deref(), "node", "data_dir")?;
        self.leads_to_folder(file.keys.dir.as_deref(), "keys", "dir")?;
        self.leads_to_file(file.keys.network.as_deref(), "keys", "network")?;
        self.leads_to_file(file.keys.protocol.as_deref(), "keys", "protocol")?;
        let data_dir = self.need(file.node.data_dir.clone(), "node", "data_dir")?;
        let keys = file.keys.dir.clone().unwrap_or_else(|| data_dir.join("keys"));
        Ok(NodeConfig {
            network: self.network()?,
            chain: self.chain()?,
            network_key: file.keys.network.clone().unwrap_or_else(|| keys.join("network.key")),
            protocol_key: file.keys.protocol.clone().unwrap_or_else(|| keys.join("protocol.key")),
            node_id: file.node.id.as_ref().map(|id| NodeId::from_bytes(id.0.into())),
            // A service spends from a wallet that was named, and from no other.
            wallet: self.wallet().filter(|_| self.names_wallet()),
            name: file.node.name.clone(),
            http: file.http.listen,
            stop_within: file.node.stop_within.map_or(STOP_WITHIN, |time| time.0),
            keep_free: file.node.keep_free.map_or(KEEP_FREE, |size| size.0),
            clock_tolerance: file.node.clock_tolerance.map_or(CLOCK_TOLERANCE, |time| time.0),
            repairs_at_once: file
                .node
                .repairs_at_once
                .map_or(REPAIRS_AT_ONCE, |count| count.0.into()),
            scrub_every: file.node.scrub_every.map_or(SCRUB_EVERY, |every| every.0),
            cache: usize::try_from(file.node.cache.map_or(CACHE, |size| size.0))
                .map_err(|_| Error::new(Kind::Config, "node.cache exceeds the address space"))?,
            data_dir,
        })
    }

    /// What a client needs, or the first thing that is missing.
    pub fn client(&self) -> Result<ClientConfig> {
        let file = &self.file;
        self.leads_to_folder(file.client.state_dir.as_deref(), "client", "state_dir")?;
        Ok(ClientConfig {
            network: self.network()?,
            chain: self.chain()?,
            wallet: self.wallet(),
            state_dir: self.state_dir(),
            timeout: file.client.timeout.map_or(TIMEOUT, |time| time.0),
        })
    }

    /// Where the wallet is: in the key file named, else where Sui keeps its own; needs no other
    /// setting.
    pub fn wallet(&self) -> Option<WalletPlace> {
        let wallet = &self.file.wallet;
        let sui = || wallet.sui_config.clone().or_else(|| self.sui.clone());
        let (source, key) = match &wallet.key_file {
            Some(path) => (WalletSource::KeyFile(path.clone()), "key_file"),
            None => (WalletSource::Sui(sui()?), "sui_config"),
        };
        let setting = self.layers.setting("wallet", key);
        Some(WalletPlace { source, setting, address: wallet.address.as_ref().map(|id| id.0) })
    }

    /// Where a node serves metrics and health; needs no other setting.
    pub fn http(&self) -> Option<SocketAddr> {
        self.file.http.listen
    }

    /// Whether the configuration itself says where the wallet is.
    fn names_wallet(&self) -> bool {
        let wallet = &self.file.wallet;
        wallet.key_file.is_some() || wallet.sui_config.is_some()
    }

    /// Where a client may keep files; needs no other setting.
    pub fn state_dir(&self) -> PathBuf {
        self.file.client.state_dir.clone().unwrap_or_else(contexts::state_home)
    }

    fn network(&self) -> Result<NetworkConfig> {
        let network = &self.file.network;
        let texts = |list: &Option<values::List<values::Address>>| -> Vec<String> {
            list.iter().flat_map(|list| &list.0).map(|address| address.0.clone()).collect()
        };
        Ok(NetworkConfig {
            id: NetworkId::from_bytes((self.need(network.id.as_ref(), "network", "id")?.0).into()),
            bootstrap: network
                .bootstrap
                .iter()
                .flat_map(|list| &list.0)
                .map(|peer| peer.0.clone())
                .collect(),
            listen: texts(&network.listen),
            external: texts(&network.external),
            prefer: network.prefer.unwrap_or_default(),
        })
    }

    fn chain(&self) -> Result<ChainConfig> {
        let chain = &self.file.chain;
        Ok(ChainConfig {
            rpc: self.need(chain.rpc.as_ref(), "chain", "rpc")?.0.clone(),
            package: self.need(chain.package.as_ref(), "chain", "package")?.0,
            system: self.need(chain.system.as_ref(), "chain", "system")?.0,
            staking: self.need(chain.staking.as_ref(), "chain", "staking")?.0,
            params: self.need(chain.params.as_ref(), "chain", "params")?.0,
            treasury: self.need(chain.treasury.as_ref(), "chain", "treasury")?.0,
            trusted: chain.trusted.map(|trusted| trusted.0),
        })
    }

    /// Refuses a path at which there is something else than the folder it should be.
    fn leads_to_folder(&self, path: Option<&Path>, section: &str, key: &str) -> Result<()> {
        match path.filter(|path| path.exists() && !path.is_dir()) {
            Some(path) => Err(misled(&self.layers.setting(section, key), path, Leads::ToFolder)),
            None => Ok(()),
        }
    }

    /// Refuses a path at which there is something else than the file it should be.
    fn leads_to_file(&self, path: Option<&Path>, section: &str, key: &str) -> Result<()> {
        match path.filter(|path| path.exists() && !path.is_file()) {
            Some(path) => Err(misled(&self.layers.setting(section, key), path, Leads::ToFile)),
            None => Ok(()),
        }
    }

    /// The value, or an error that names the key and the three ways to set it.
    fn need<T>(&self, value: Option<T>, section: &str, key: &str) -> Result<T> {
        value.ok_or_else(|| {
            let variable = format!("HAULOUT_{}__{}", section.to_uppercase(), key.to_uppercase());
            Error::new(
                Kind::Config,
                format!("{section}.{key} is not set (read: {})", self.layers.names()),
            )
            .hint(format!(
                "`devnet up -d` starts a network on this machine and its context; for another one add \
                 `{key} = ...` under [{section}], set {variable}, or choose a context with \
                 `haulout context use NAME`; `haulout config` prints an example"
            ))
            .detail("key", format!("{section}.{key}"))
        })
    }
}

/// The error of a file that must be there: of a context if it is one's, else of `--config`.
fn unreadable(path: &Path, error: std::io::Error, sources: &Sources) -> Error {
    let message = format!("cannot read the configuration {}", terminal::path(path));
    let hint = match path.file_stem().and_then(|name| name.to_str()) {
        _ if sources.file.is_some() => {
            "check the path; `haulout config` prints an example to start from".to_owned()
        }
        Some(name) if sources.context.is_none() => format!(
            "the context \"{name}\" is active and has no file: `haulout context rm {name}` forgets it, \
             `haulout context use NAME` chooses another"
        ),
        _ => "`haulout context ls` lists the contexts there are".to_owned(),
    };
    Error::new(Kind::Config, message).because(error).hint(hint)
}

impl WalletPlace {
    /// Refuses a setting that names no file at all.
    ///
    /// # Errors
    /// If there is nothing, or something that is no file; the error names the setting.
    pub fn check(&self) -> Result<()> {
        let (WalletSource::KeyFile(path) | WalletSource::Sui(path)) = &self.source;
        match path.is_file() {
            true => Ok(()),
            false => Err(misled(&self.setting, path, Leads::ToFile)),
        }
    }
}

/// The error of a setting whose path leads to nothing, or to something else than it should.
fn misled(setting: &str, path: &Path, leads: Leads) -> Error {
    let found = match std::fs::metadata(path) {
        Ok(facts) if facts.is_dir() => "is a folder".to_owned(),
        Ok(facts) if facts.is_file() => "is a file".to_owned(),
        Ok(_) => "is a device or a pipe".to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        Err(error) => format!("cannot be looked at: {error}"),
    };
    let (shown, wanted) = (terminal::path(path), leads.word());
    let message = format!("{setting} names {shown}, which {found}; it must be a {wanted}");
    Error::new(Kind::Config, message).hint(format!("correct {setting}"))
}

/// Where Sui's tools keep their configuration.
fn sui_config(env: &[(String, String)]) -> Option<PathBuf> {
    let value = |name: &str| {
        let found = env.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| PathBuf::from(value))
    };
    let folder = value("SUI_CONFIG_DIR");
    let folder = folder.or_else(|| Some(value("HOME")?.join(".sui").join("sui_config")));
    Some(folder?.join("client.yaml"))
}

#[cfg(test)]
mod tests;
