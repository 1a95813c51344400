//! What a new node shall be: from flags, and a ticket or a configuration.
//!
//! Promises: every setting is one that a configuration may have, and every path is absolute. Does not: look at disk or network,
//! except whether the files are there already.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::Init;
use crate::checks;
use crate::cli::Cli;
use crate::config::{self, ClientConfig, NodeFile, WalletPlace, WalletSource};
use crate::contexts;
use crate::error::{Error, Kind, Result};
use crate::keys;
use crate::ticket::{self, Ticket};

/// Where a node accepts peers if nothing is said: QUIC and TCP on all addresses.
const LISTEN: [&str; 2] = ["/ip4/0.0.0.0/udp/31416/quic-v1", "/ip4/0.0.0.0/tcp/31416"];
/// How long an answer of the ledger is waited for, with a ticket.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// What a new node shall be, and where that is written.
pub(super) struct Plan {
    pub(super) file: NodeFile,
    pub(super) path: PathBuf,
    /// What asks the ledger for us.
    pub(super) client: ClientConfig,
    /// Whether somebody said where others reach the node.
    is_external_named: bool,
}

impl Plan {
    pub(super) fn new(init: &Init, cli: &Cli) -> Result<Plan> {
        let mut client = source(init, cli)?;
        let typed = cli.common.bootstrap.iter().map(|text| config::bootstrap(text));
        let typed: Vec<String> =
            typed.collect::<Result<_, _>>().map_err(|why| usage("--bootstrap", why))?;
        if !typed.is_empty() {
            client.network.bootstrap = typed;
        }
        let data_dir = init.data_dir.clone().unwrap_or_else(|| contexts::data_home().join("node"));
        let data_dir = absolute(&data_dir)?;
        let path = match &init.file {
            Some(file) => absolute(file)?,
            None => data_dir.join("node.toml"),
        };
        if path.exists() {
            return Err(config::node_file_exists(&path));
        }
        if init.file.is_some() {
            crate::cli::must_have_folder(&path)?;
        }
        let wallet = match &init.wallet {
            Some(wallet) => named_wallet(wallet)?,
            None => data_dir.join("keys").join("operator.key"),
        };
        let listen = addresses(&init.listen, "--listen")?;
        let listen = if listen.is_empty() { LISTEN.map(str::to_owned).to_vec() } else { listen };
        let mut external = addresses(&init.external, "--external")?;
        let is_external_named = !external.is_empty();
        if !is_external_named {
            external = checks::reached_at(&listen, &client.network.bootstrap);
        }
        let file = NodeFile {
            network: client.network.id,
            bootstrap: client.network.bootstrap.clone(),
            listen,
            external,
            chain: client.chain.clone(),
            wallet,
            data_dir,
            name: init.name.clone().unwrap_or_else(machine_name),
            http: init.http,
        };
        Ok(Plan { file, path, client, is_external_named })
    }

    /// Where somebody said that others reach the node.
    pub(super) fn named_external(&self) -> &[String] {
        if self.is_external_named { &self.file.external } else { &[] }
    }

    /// Peers see this machine here. Where nobody said anything else, and all of them see the same address, that is it.
    pub(super) fn seen_at(&mut self, seen: &[IpAddr]) {
        if let ([ip], false) = (seen, self.is_external_named) {
            self.file.external = checks::at(*ip, &self.file.listen);
        }
    }

    /// The files of the node's own keys.
    pub(super) fn keys(&self) -> (PathBuf, PathBuf) {
        let folder = self.file.data_dir.join("keys");
        (folder.join("network.key"), folder.join("protocol.key"))
    }

    /// Where the operator's key is.
    pub(super) fn wallet(&self) -> WalletPlace {
        wallet_at(&self.file.wallet)
    }
}

/// The network and its ledger.
fn source(init: &Init, cli: &Cli) -> Result<ClientConfig> {
    let Some(text) = &init.ticket else {
        let config =
            cli.load_from(init.from.clone().or_else(|| cli.common.config.clone()), Vec::new())?;
        return Ok(ClientConfig { wallet: None, ..config.client()? });
    };
    let ticket = Ticket::read(text, ticket::now())?;
    Ok(ClientConfig {
        network: config::NetworkConfig {
            id: ticket.network,
            bootstrap: ticket.bootstrap,
            listen: Vec::new(),
            external: Vec::new(),
            prefer: config::Prefer::default(),
        },
        chain: ticket.chain,
        wallet: None,
        state_dir: contexts::state_home(),
        timeout: TIMEOUT,
    })
}

/// Addresses of a flag, each checked.
fn addresses(texts: &[String], flag: &str) -> Result<Vec<String>> {
    let checked =
        texts.iter().flat_map(|text| text.split(',')).map(|text| config::address(text.trim()));
    checked.collect::<Result<_, _>>().map_err(|why| usage(flag, why))
}

fn usage(flag: &str, why: String) -> Error {
    Error::new(Kind::Usage, format!("{flag}: {why}"))
}

/// A key file that somebody named: it must be one.
fn named_wallet(path: &Path) -> Result<PathBuf> {
    let path = absolute(path)?;
    let place = WalletPlace { setting: "--wallet".to_owned(), ..wallet_at(&path) };
    keys::load_wallet(&place)?;
    Ok(path)
}

fn wallet_at(path: &Path) -> WalletPlace {
    let source = WalletSource::KeyFile(path.to_owned());
    WalletPlace { source, address: None, setting: "wallet.key_file".to_owned() }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    let failed = |error| Error::from_io("find", path, error);
    let absolute = std::path::absolute(path).map_err(failed)?;
    match absolute.to_str() {
        // It will stand in a file of text.
        None => {
            Err(Error::new(Kind::Usage, format!("{} is not UTF-8", crate::terminal::path(path))))
        }
        Some(_) => Ok(absolute),
    }
}

/// What this machine calls itself, if it is a name a node may have.
fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String =
        name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(32).collect();
    if name.is_empty() { "node".to_owned() } else { name }
}
