//! The files that nodes and clients of a devnet read: keys and configuration.
//!
//! Promises: what is written is what `haulout` reads, nothing more; keys that exist are kept.
//! Does not: start anything, or know where the devnet's folder is.

use std::path::{Path, PathBuf};

use haulout_node::error::{Error, Kind, Result};
use haulout_node::keys::{self, Secret};
use haulout_node::whole_file;
use haulout_protocol::machine::ledger_history::TrustedCheckpoint;
use serde::Serialize;

use crate::genesis::{Account, NodeGenesis};
use crate::ledger::GenesisIds;

/// The key of a node's operator, beside the node's own.
const OPERATOR_KEY: &str = "operator.key";

/// Where the ledger answers, and the names of our objects on it.
#[derive(Clone, Debug)]
pub(crate) struct ChainPlace {
    pub(crate) rpc: String,
    pub(crate) ids: GenesisIds,
    /// Its first checkpoint, once it has one.
    pub(crate) trusted: Option<TrustedCheckpoint>,
}

#[derive(Serialize)]
struct File {
    network: NetworkSection,
    chain: ChainSection,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<KeysSection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet: Option<WalletSection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<NodeSection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<HttpSection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<ClientSection>,
}

#[derive(Serialize)]
struct NetworkSection {
    id: String,
    bootstrap: Vec<String>,
    listen: Vec<String>,
}

#[derive(Serialize)]
struct ChainSection {
    rpc: String,
    package: String,
    system: String,
    staking: String,
    params: String,
    treasury: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted: Option<String>,
}

#[derive(Serialize)]
struct KeysSection {
    dir: PathBuf,
}

#[derive(Serialize)]
struct WalletSection {
    key_file: PathBuf,
}

#[derive(Serialize)]
struct NodeSection {
    data_dir: PathBuf,
    name: String,
}

#[derive(Serialize)]
struct HttpSection {
    listen: String,
}

#[derive(Serialize)]
struct ClientSection {
    state_dir: PathBuf,
}

/// The configuration of one node whose folder is `folder`, and which finds the others from these addresses; without a port
/// it has no HTTP.
pub(crate) fn node_toml(
    chain: &ChainPlace,
    bootstrap: Vec<String>,
    node: &NodeGenesis,
    folder: &Path,
    http_port: Option<u16>,
) -> Result<String> {
    to_toml(&File {
        network: network_section(chain, bootstrap, node.listen().to_vec()),
        chain: chain_section(chain),
        keys: Some(KeysSection { dir: folder.join("keys") }),
        wallet: Some(WalletSection { key_file: folder.join("keys").join(OPERATOR_KEY) }),
        node: Some(NodeSection { data_dir: folder.to_path_buf(), name: node.name.clone() }),
        http: http_port.map(|port| HttpSection { listen: format!("127.0.0.1:{port}") }),
        client: None,
    })
}

/// The configuration of a client that pays with the key in `wallet`, and finds the network from these addresses.
pub(crate) fn client_toml(
    chain: &ChainPlace,
    bootstrap: Vec<String>,
    wallet: &Path,
    state: &Path,
) -> Result<String> {
    to_toml(&File {
        network: network_section(chain, bootstrap, vec![]),
        chain: chain_section(chain),
        keys: None,
        wallet: Some(WalletSection { key_file: wallet.to_path_buf() }),
        node: None,
        http: None,
        client: Some(ClientSection { state_dir: state.to_path_buf() }),
    })
}

fn network_section(
    chain: &ChainPlace,
    bootstrap: Vec<String>,
    listen: Vec<String>,
) -> NetworkSection {
    NetworkSection { id: chain.ids.network_id.to_string(), bootstrap, listen }
}

fn chain_section(chain: &ChainPlace) -> ChainSection {
    ChainSection {
        rpc: chain.rpc.clone(),
        package: chain.ids.package.to_string(),
        system: chain.ids.system.to_string(),
        staking: chain.ids.staking.to_string(),
        params: chain.ids.params.to_string(),
        treasury: chain.ids.treasury.to_string(),
        trusted: chain.trusted.map(|trusted| trusted.to_string()),
    }
}

fn to_toml(file: &File) -> Result<String> {
    toml::to_string(file)
        .map_err(|error| Error::new(Kind::Internal, "cannot write TOML").because(error))
}

/// The configuration of the node whose folder this is.
pub(crate) fn node_config(folder: &Path) -> PathBuf {
    folder.join("node.toml")
}

/// Writes a node's folder: its keys once, its configuration anew. Returns the configuration's path.
pub(crate) fn write_node(folder: &Path, node: &NodeGenesis, text: &str) -> Result<PathBuf> {
    let keys = folder.join("keys");
    keep_key(&keys.join("network.key"), &Secret::new(keys::Kind::Ed25519, node.network_key))?;
    let protocol = Secret::new(keys::Kind::Bls12381, *node.protocol_key.to_bytes());
    keep_key(&keys.join("protocol.key"), &protocol)?;
    keep_key(&keys.join(OPERATOR_KEY), &Secret::new(keys::Kind::Ed25519, node.account))?;
    let path = node_config(folder);
    whole_file::replace(&path, text.as_bytes())?;
    Ok(path)
}

/// Writes the key file of an account, once.
pub(crate) fn write_account(folder: &Path, account: &Account) -> Result<PathBuf> {
    let path = folder.join(format!("{}.key", account.name));
    keep_key(&path, &Secret::new(keys::Kind::Ed25519, account.secret))?;
    Ok(path)
}

fn keep_key(path: &Path, secret: &Secret) -> Result<()> {
    if path.exists() { Ok(()) } else { keys::create(path, secret) }
}
