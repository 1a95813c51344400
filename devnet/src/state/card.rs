//! `devnet.json`, schema 1: everything a program needs to use a running devnet.
//!
//! Promises: fields are only ever added within a schema. Does not: hold secrets; key files are
//! named by path.

use std::path::PathBuf;

use haulout_node::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

/// The identity card of a devnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) schema: u32,
    pub(crate) name: String,
    pub(crate) seed: u64,
    /// `starting`, `ready`, `degraded` (it runs, but for processes that ended or did not start), or `stopped`; a devnet
    /// that was killed leaves what it was behind, so ask `devnet status` when it matters.
    pub(crate) state: String,
    pub(crate) version: String,
    pub(crate) supervisor_pid: u32,
    pub(crate) shards: u16,
    pub(crate) segment_bytes: u32,
    /// How long an epoch lasts; absent in devnets made before epochs passed.
    #[serde(default)]
    pub(crate) epoch_ms: u64,
    pub(crate) chain: ChainCard,
    pub(crate) bootstrap: Vec<String>,
    pub(crate) accounts: Vec<AccountCard>,
    pub(crate) nodes: Vec<NodeCard>,
    /// Nodes that are gone for good, by name; absent in devnets made before nodes went.
    #[serde(default)]
    pub(crate) removed: Vec<String>,
    /// The context that `haulout` uses for this devnet.
    pub(crate) context: String,
    pub(crate) client_config: PathBuf,
}

impl Card {
    /// Where the ledger gives money away and lets its time pass.
    pub(crate) fn faucet_port(&self) -> Result<u16> {
        let port = self.chain.faucet.rsplit(':').next().and_then(|port| port.parse().ok());
        port.ok_or_else(|| self.damaged())
    }

    /// The error of a card that cannot be used.
    pub(crate) fn damaged(&self) -> Error {
        Error::new(Kind::Config, format!("the devnet.json of {:?} is damaged", self.name))
            .hint("start over with `devnet up --fresh`, which deletes its data")
    }
}

/// The ledger and what it holds of ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChainCard {
    /// `embedded`: the ledger of this crate, not a Sui validator.
    pub(crate) kind: String,
    /// The network's id, which every signature is bound to.
    pub(crate) network: String,
    pub(crate) rpc: String,
    pub(crate) faucet: String,
    pub(crate) pid: u32,
    /// What its process did when this was written: `running`, `paused`, `killed`, `exited`, or `new`.
    #[serde(default)]
    pub(crate) state: String,
    pub(crate) packages: Packages,
    pub(crate) system_object: String,
    pub(crate) staking_object: String,
    pub(crate) params_object: String,
    /// Absent in devnets made before there was one.
    #[serde(default)]
    pub(crate) treasury_object: String,
    /// The first checkpoint, as `chain.trusted` takes it; absent in devnets made before checkpoints were verified.
    #[serde(default)]
    pub(crate) trusted: Option<String>,
}

/// The Move packages by name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Packages {
    pub(crate) haulout: String,
}

/// One funded account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AccountCard {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) key_file: PathBuf,
}

/// One storage node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NodeCard {
    pub(crate) name: String,
    pub(crate) peer_id: String,
    /// What the ledger calls it; empty until it is registered.
    pub(crate) node_id: String,
    pub(crate) pid: u32,
    /// Dial this from anywhere on this machine; it can serve as a bootstrap address.
    pub(crate) address: String,
    pub(crate) http: String,
    pub(crate) metrics: String,
    pub(crate) log: PathBuf,
    /// Those that the ledger gave it when it was asked last; `devnet status` asks.
    pub(crate) shards: Vec<u16>,
    /// Whether it goes when others have its shards.
    #[serde(default)]
    pub(crate) is_leaving: bool,
    /// What its process did when this was written: `running`, `paused`, `killed`, `exited`, or `new`.
    #[serde(default)]
    pub(crate) state: String,
}
