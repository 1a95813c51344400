//! `settings.json`: what makes one devnet itself, and who came and went since it was born.
//!
//! Promises: the same settings give the same keys, ids and addresses; the layout before this one is read, too. Does not:
//! decide what a devnet may be (`crate::settings` does).

use serde::{Deserialize, Serialize};

use crate::genesis;
use crate::schema;

/// What makes one devnet itself: the same settings give the same keys, ids and addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The version of this file's layout.
    pub(crate) schema: u32,
    /// Everything random is derived from it.
    pub(crate) seed: u64,
    /// How many storage nodes it was born with.
    pub(crate) nodes: u16,
    /// How many shards they share.
    pub(crate) shards: u16,
    /// The bytes of a segment, of every blob of this network.
    pub(crate) segment_bytes: u32,
    /// The bytes of the longest short blob; zero if none is short.
    pub(crate) short_bytes_max: u32,
    /// How long an epoch lasts.
    pub(crate) epoch_ms: u64,
    /// What each node it was born with staked for each of its shards, in FROST.
    pub(crate) stake_per_shard: u64,
    /// Where the ledger listens for gRPC.
    pub(crate) ledger_port: u16,
    /// Where its faucet listens.
    pub(crate) faucet_port: u16,
    /// Where each node that it was born with listens, in order.
    pub(crate) node_ports: Vec<NodePorts>,
    /// Nodes that came later, in order; those that are gone, too, because their keys are never used again.
    pub(crate) added: Vec<Added>,
    /// Nodes, by number, that go when others have their shards.
    pub(crate) leaving: Vec<u16>,
    /// Nodes, by number, that are gone for good.
    pub(crate) removed: Vec<u16>,
}

/// A node that came after the devnet was born.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Added {
    /// n6 is number six.
    pub(crate) number: u16,
    /// Where it listens.
    pub(crate) ports: NodePorts,
    /// What the ledger calls it; nothing before it is registered.
    pub(crate) node_id: Option<String>,
}

/// The ports of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodePorts {
    /// QUIC over UDP, and TCP, on the same number.
    pub(crate) peer: u16,
    /// Health and metrics.
    pub(crate) http: u16,
}

impl Settings {
    /// The numbers of the nodes that there are, in order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u16> {
        let all = (1..=self.nodes).chain(self.added.iter().map(|added| added.number));
        all.filter(|number| !self.removed.contains(number))
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.numbers().map(genesis::node_name).collect()
    }

    /// The number that no node has or had.
    pub(crate) fn next_number(&self) -> u16 {
        self.added.last().map_or(self.nodes, |added| added.number).saturating_add(1)
    }

    /// Every port that is somebody's.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        let nodes = self.node_ports.iter().chain(self.added.iter().map(|added| &added.ports));
        let nodes = nodes.flat_map(|ports| [ports.peer, ports.http]);
        nodes.chain([self.ledger_port, self.faucet_port])
    }
}

/// What the settings of every version have.
#[derive(Deserialize)]
pub(super) struct Layout {
    pub(super) schema: u32,
}

/// The layout before nodes came and went, and before stake moved shards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsBefore {
    #[serde(rename = "schema")]
    _schema: u32,
    seed: u64,
    nodes: u16,
    shards: u16,
    segment_bytes: u32,
    short_bytes_max: u32,
    epoch_ms: u64,
    ledger_port: u16,
    faucet_port: u16,
    node_ports: Vec<NodePorts>,
}

impl From<SettingsBefore> for Settings {
    fn from(before: SettingsBefore) -> Self {
        Settings {
            schema: schema::SCHEMA,
            seed: before.seed,
            nodes: before.nodes,
            shards: before.shards,
            segment_bytes: before.segment_bytes,
            short_bytes_max: before.short_bytes_max,
            epoch_ms: before.epoch_ms,
            stake_per_shard: genesis::STAKE_PER_SHARD_BEFORE,
            ledger_port: before.ledger_port,
            faucet_port: before.faucet_port,
            node_ports: before.node_ports,
            added: Vec::new(),
            leaving: Vec::new(),
            removed: Vec::new(),
        }
    }
}
