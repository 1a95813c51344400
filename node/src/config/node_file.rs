//! The file of a new node: what it starts with, with a comment where one helps.
//!
//! Promises: what is written is read back as the same settings; its owner alone reads it, since a server's URL may hold a key; it
//! is never written over another.
//! Does not: choose settings, or make keys.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use haulout_protocol::message::NetworkId;
use toml::Value;

use super::{ChainConfig, Config};
use crate::error::{Error, Kind, Result};
use crate::terminal;

/// What a new node's file says; what is not named here is left to its default.
#[derive(Clone, Debug)]
pub struct NodeFile {
    /// Which network.
    pub network: NetworkId,
    /// Peers to start from; each address ends in `/p2p/<peer id>`.
    pub bootstrap: Vec<String>,
    /// Addresses to listen on.
    pub listen: Vec<String>,
    /// Addresses under which others reach the node, if not those.
    pub external: Vec<String>,
    /// The ledger.
    pub chain: ChainConfig,
    /// The operator's key file.
    pub wallet: PathBuf,
    /// Where everything the node stores lives.
    pub data_dir: PathBuf,
    /// The node's name.
    pub name: String,
    /// Where metrics and health are served.
    pub http: SocketAddr,
}

impl NodeFile {
    /// The text of the file.
    pub fn to_text(&self) -> String {
        let chain = &self.chain;
        let trusted = match chain.trusted {
            Some(trusted) => format!("trusted = {}", quoted(&trusted.to_string())),
            None => "# trusted = \"NUMBER:DIGEST\" # not known: the first answer of the ledger is believed".to_owned(),
        };
        let lines = [
            "# A storage node, as `haulout node init` wrote it. `haulout config` prints every key with what it means.".to_owned(),
            String::new(),
            "[network]".to_owned(),
            format!("id = {}", quoted(&self.network.to_string())),
            "# Peers to start from; the node finds all others through any one of them.".to_owned(),
            format!("bootstrap = {}", list(&self.bootstrap)),
            "# Where it accepts peers: open these ports in the firewall, UDP for QUIC and TCP.".to_owned(),
            format!("listen = {}", list(&self.listen)),
            "# The addresses others reach it at, if a router or a name is in between.".to_owned(),
            format!("external = {}", list(&self.external)),
            String::new(),
            "[chain]".to_owned(),
            "# Servers of the ledger: several, run by different people, keep one from lying to the node.".to_owned(),
            format!("rpc = {}", list(&chain.rpc)),
            format!("package = {}", quoted(&chain.package.to_string())),
            format!("system = {}", quoted(&chain.system.to_string())),
            format!("staking = {}", quoted(&chain.staking.to_string())),
            format!("params = {}", quoted(&chain.params.to_string())),
            format!("treasury = {}", quoted(&chain.treasury.to_string())),
            "# From this checkpoint on the ledger must prove what it says.".to_owned(),
            trusted,
            String::new(),
            "# The operator's account: it registers the node, owns its cap, and pays gas for what the node tells the ledger.".to_owned(),
            "[wallet]".to_owned(),
            format!("key_file = {}", quoted_path(&self.wallet)),
            String::new(),
            "[node]".to_owned(),
            "# Everything the node stores, and its keys (keys/, mode 0600). Back the keys up: they are the node.".to_owned(),
            format!("data_dir = {}", quoted_path(&self.data_dir)),
            format!("name = {}", quoted(&self.name)),
            "# Bytes of the disk that are never used.".to_owned(),
            "keep_free = \"256MiB\"".to_owned(),
            String::new(),
            "# Metrics and health, for the operator: not encrypted, so keep it on this machine.".to_owned(),
            "[http]".to_owned(),
            format!("listen = {}", quoted(&self.http.to_string())),
        ];
        lines.join("\n") + "\n"
    }

    /// Writes the file where none is yet, for its owner alone (mode 0600).
    ///
    /// # Errors
    /// [`Kind::File`] if there is one, or it cannot be written; [`Kind::Config`] if a setting could not be read back.
    pub fn create(&self, path: &Path) -> Result<()> {
        let text = self.to_text();
        Config::from_toml(&text, path)?.node()?;
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(path),
            _ => Error::from_io("write", path, error),
        };
        let mut options = std::fs::OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }
}

/// The error of a node's file that is there already.
pub(crate) fn exists(path: &Path) -> Error {
    let word = terminal::shell(&path.to_string_lossy());
    Error::new(Kind::File, format!("{} is there already, and is not written over", terminal::path(path))).hint(format!(
        "to look at that node: `haulout --config {word} node check`; for another one name another folder (--data-dir) or file (--file)"
    ))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A list with an entry on each line, or all on one if it is short.
fn list(texts: &[String]) -> String {
    match texts {
        [] => "[]".to_owned(),
        [one] => format!("[{}]", quoted(one)),
        many => {
            let lines: String = many.iter().map(|text| format!("  {},\n", quoted(text))).collect();
            format!("[\n{lines}]")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use haulout_protocol::chain::ObjectId;

    use super::*;

    fn sample_file(folder: &Path) -> NodeFile {
        let id = |byte| ObjectId::from_bytes([byte; 32]);
        let peer = "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";
        NodeFile {
            network: NetworkId::from_bytes([7; 32]),
            bootstrap: vec![format!("/ip4/203.0.113.7/udp/31416/quic-v1/p2p/{peer}")],
            listen: vec![
                "/ip4/0.0.0.0/udp/31416/quic-v1".to_owned(),
                "/ip4/0.0.0.0/tcp/31416".to_owned(),
            ],
            external: Vec::new(),
            chain: ChainConfig {
                rpc: vec!["http://a".to_owned(), "http://b".to_owned()],
                package: id(1),
                system: id(2),
                staking: id(3),
                params: id(4),
                treasury: id(5),
                trusted: Some("3:4btiuiMPvEENsttpZC7CZ53DruC3MAgfznDbASZ7DR6S".parse().unwrap()),
            },
            wallet: folder.join("keys/it's \"mine\".key"),
            data_dir: folder.to_owned(),
            name: "a \"tern\"\nx".to_owned(),
            http: "127.0.0.1:31417".parse().unwrap(),
        }
    }

    #[test]
    fn a_new_nodes_file_is_read_back_as_the_same_settings() {
        let folder = tempfile::tempdir().unwrap();
        for trusted in [true, false] {
            let mut written = sample_file(folder.path());
            written.chain.trusted = written.chain.trusted.filter(|_| trusted);
            let read = Config::from_toml(&written.to_text(), &folder.path().join("node.toml"));
            let read = read.unwrap().node().unwrap();
            assert_eq!((read.network.id, &read.chain), (written.network, &written.chain));
            assert_eq!(
                (&read.network.bootstrap, &read.network.listen),
                (&written.bootstrap, &written.listen)
            );
            assert_eq!((read.data_dir, read.name), (written.data_dir, Some(written.name)));
            let wallet = crate::config::WalletSource::KeyFile(written.wallet);
            assert_eq!(read.wallet.map(|place| place.source), Some(wallet));
            assert_eq!(read.http, Some(written.http));
        }
    }

    #[test]
    fn a_file_is_its_owners_alone_and_one_that_is_there_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.toml");
        sample_file(folder.path()).create(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "its owner alone reads it");
        let before = std::fs::read(&path).unwrap();
        let mut other = sample_file(folder.path());
        other.name = "other".to_owned();
        let error = other.create(&path).unwrap_err();
        assert_eq!(error.kind(), Kind::File);
        assert!(error.next_step().contains("node check`"), "{}", error.next_step());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
