//! The shape of a configuration file: sections and keys, all optional.
//!
//! Promises: refuses what it does not know. Does not: decide what a role needs (`config.rs`).

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::values::{
    Address, Bootstrap, Count, Id, List, Period, Prefer, Recurrence, Servers, Size, Trusted,
};

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leads {
    ToFile,
    ToFolder,
}

/// Keys that hold paths, made absolute where they are read.
pub(super) const PATHS: [(&str, &str, Leads); 7] = [
    ("keys", "dir", Leads::ToFolder),
    ("keys", "network", Leads::ToFile),
    ("keys", "protocol", Leads::ToFile),
    ("wallet", "key_file", Leads::ToFile),
    ("wallet", "sui_config", Leads::ToFile),
    ("node", "data_dir", Leads::ToFolder),
    ("client", "state_dir", Leads::ToFolder),
];

impl Leads {
    /// What there should be, in words.
    pub(super) fn word(self) -> &'static str {
        match self {
            Leads::ToFile => "file",
            Leads::ToFolder => "folder",
        }
    }
}

/// A whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) network: Network,
    pub(super) chain: Chain,
    pub(super) keys: Keys,
    pub(super) wallet: Wallet,
    pub(super) node: Node,
    pub(super) http: Http,
    pub(super) client: Client,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Network {
    pub(super) id: Option<Id>,
    pub(super) bootstrap: Option<List<Bootstrap>>,
    pub(super) listen: Option<List<Address>>,
    pub(super) external: Option<List<Address>>,
    pub(super) prefer: Option<Prefer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Chain {
    pub(super) rpc: Option<Servers>,
    pub(super) package: Option<Id>,
    pub(super) system: Option<Id>,
    pub(super) staking: Option<Id>,
    pub(super) params: Option<Id>,
    pub(super) treasury: Option<Id>,
    pub(super) trusted: Option<Trusted>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Keys {
    pub(super) dir: Option<PathBuf>,
    pub(super) network: Option<PathBuf>,
    pub(super) protocol: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wallet {
    pub(super) key_file: Option<PathBuf>,
    pub(super) sui_config: Option<PathBuf>,
    pub(super) address: Option<Id>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Node {
    pub(super) data_dir: Option<PathBuf>,
    pub(super) id: Option<Id>,
    pub(super) name: Option<String>,
    pub(super) stop_within: Option<Period>,
    pub(super) keep_free: Option<Size>,
    pub(super) cache: Option<Size>,
    pub(super) clock_tolerance: Option<Period>,
    pub(super) repairs_at_once: Option<Count>,
    pub(super) scrub_every: Option<Recurrence>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    pub(super) listen: Option<SocketAddr>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Client {
    pub(super) state_dir: Option<PathBuf>,
    pub(super) timeout: Option<Period>,
}
