//! What a new node shall be: from flags, and a ticket or a configuration.
//!
//! Promises: every setting is one that a configuration may have, and every path is absolute. Does not: look at disk or network,
//! except whether the files are there already.

use std::path::{Path, PathBuf};

use haulout_protocol::machine::reachability::Reachability;

use super::{Init, trust};
use crate::checks::{self, Check};
use crate::cli::Cli;
use crate::config::{self, ClientConfig, NodeFile, WalletPlace, WalletSource};
use crate::contexts;
use crate::error::{Error, Kind, Result};
use crate::keys;
use crate::stakes;
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
    /// What is believed because a ticket says so; nothing without one.
    pub(super) trust: Option<Check>,
    /// Whether somebody said where others reach the node.
    is_external_named: bool,
}

impl Plan {
    pub(super) fn new(init: &Init, cli: &Cli) -> Result<Plan> {
        let (mut client, trust) = source(init, cli)?;
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
        let name = init.name.clone().unwrap_or_else(machine_name);
        stakes::check_name(&name)?;
        let file = NodeFile {
            network: client.network.id,
            bootstrap: client.network.bootstrap.clone(),
            listen,
            external,
            chain: client.chain.clone(),
            wallet,
            data_dir,
            name,
            http: init.http,
        };
        Ok(Plan { file, path, client, trust, is_external_named })
    }

    /// Where somebody said that others reach the node.
    pub(super) fn named_external(&self) -> &[String] {
        if self.is_external_named { &self.file.external } else { &[] }
    }

    /// Peers see this machine so. Where nobody said anything else, and those that came in agree on an address, that is it;
    /// otherwise what was guessed stays, and what a peer says against it is for the operator to judge.
    pub(super) fn seen_at(&mut self, found: &Reachability) -> Option<Check> {
        if self.is_external_named {
            return None;
        }
        // None if the node listens at no address of that kind: the guess is better than nothing.
        let at = |ip| Some(checks::at(ip, &self.file.listen)).filter(|at| !at.is_empty());
        if let Some(ip) = found.agreed_at() {
            if let Some(agreed) = at(ip) {
                self.file.external = agreed;
            }
            return None;
        }
        let seen = found.seen_at();
        let other = seen
            .iter()
            .filter_map(|ip| at(*ip))
            .find(|at| at.iter().any(|it| !self.file.external.contains(it)))?;
        let shown = seen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let kept = match self.file.external.is_empty() {
            true => "no address is taken".to_owned(),
            false => format!("{} stays", self.file.external.join(", ")),
        };
        Some(Check::doubtful(
            "seen at",
            format!("{shown}, as peers say; it takes two that came in and agree: {kept}"),
            format!(
                "if others reach this machine there, run it again with --external {}",
                other.join(",")
            ),
        ))
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

/// The network and its ledger, and how far they are trusted if they come from a ticket.
fn source(init: &Init, cli: &Cli) -> Result<(ClientConfig, Option<Check>)> {
    let Some(text) = &init.ticket else {
        let config =
            cli.load_from(init.from.clone().or_else(|| cli.common.config.clone()), Vec::new())?;
        return Ok((ClientConfig { wallet: None, ..config.client()? }, None));
    };
    let ticket = Ticket::read(text, ticket::now())?;
    let trust = trust::check(&ticket);
    let client = ClientConfig {
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
    };
    Ok((client, Some(trust)))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use haulout_protocol::chain::ObjectId;
    use haulout_protocol::crypto::PeerId;
    use haulout_protocol::message::NetworkId;
    use haulout_protocol::wire::reach::{Door, Tried};

    use super::*;
    use crate::checks::Outcome;

    const GUESS: &str = "/ip4/10.0.0.5/tcp/8008";

    /// A node that listens on all addresses of IPv4, and guesses that it is reached at [`GUESS`].
    fn plan() -> Plan {
        let id = ObjectId::from_bytes([1; 32]);
        let network = NetworkId::from_bytes([7; 32]);
        let chain = config::ChainConfig {
            rpc: vec!["http://a".to_owned()],
            package: id,
            system: id,
            staking: id,
            params: id,
            treasury: id,
            trusted: None,
        };
        let network_config = config::NetworkConfig {
            id: network,
            bootstrap: Vec::new(),
            listen: Vec::new(),
            external: Vec::new(),
            prefer: config::Prefer::default(),
        };
        let file = NodeFile {
            network,
            bootstrap: Vec::new(),
            listen: vec!["/ip4/0.0.0.0/tcp/8008".to_owned()],
            external: vec![GUESS.to_owned()],
            chain: chain.clone(),
            wallet: PathBuf::new(),
            data_dir: PathBuf::new(),
            name: String::new(),
            http: ([127, 0, 0, 1], 1).into(),
        };
        let client = ClientConfig {
            network: network_config,
            chain,
            wallet: None,
            state_dir: PathBuf::new(),
            timeout: Duration::from_secs(1),
        };
        Plan { file, path: PathBuf::new(), client, trust: None, is_external_named: false }
    }

    /// Peers that came in and see the machine at these addresses.
    fn told(addresses: &[&str]) -> Reachability {
        let mut found = Reachability::of(&[Door::Tcp(8008)]);
        for (at, ip) in (1..).zip(addresses) {
            let answer = (ip.parse().unwrap(), vec![Tried::Reached]);
            found.note(PeerId::from_key([at; 32]), Ok(answer));
        }
        found
    }

    #[test]
    fn two_peers_that_came_in_are_believed_and_one_is_only_told_of() {
        let mut alone = plan();
        let check = alone.seen_at(&told(&["203.0.113.9"])).unwrap();
        assert_eq!(alone.file.external, [GUESS]);
        assert_eq!(check.outcome, Outcome::Doubtful);
        let next = check.next_step.unwrap();
        assert!(next.ends_with("--external /ip4/203.0.113.9/tcp/8008"), "{next}");
        let mut agreed = plan();
        assert!(agreed.seen_at(&told(&["203.0.113.7"; 2])).is_none());
        assert_eq!(agreed.file.external, ["/ip4/203.0.113.7/tcp/8008"]);
        let mut as_guessed = plan();
        assert!(
            as_guessed.seen_at(&told(&["10.0.0.5"])).is_none(),
            "as on a devnet of one machine"
        );
        let mut named = Plan { is_external_named: true, ..plan() };
        assert!(named.seen_at(&told(&["203.0.113.7"; 2])).is_none());
        assert_eq!(named.file.external, [GUESS]);
    }

    #[test]
    fn an_address_of_a_kind_that_the_node_does_not_listen_at_erases_no_guess() {
        let mut plan = plan();
        assert!(plan.seen_at(&told(&["2001:db8::7"; 2])).is_none());
        assert_eq!(plan.file.external, [GUESS]);
    }
}
