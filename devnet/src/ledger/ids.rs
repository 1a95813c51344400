//! The ids of what genesis creates.
//!
//! Promises: they follow from a configuration. Does not: create anything.

use haulout_protocol::chain::{self, ObjectId};

/// The ids that follow from a [`GenesisConfig`](super::GenesisConfig).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisIds {
    /// What certificates and protocol names call the network.
    pub network_id: ObjectId,
    /// The package whose types and functions the ledger knows.
    pub package: ObjectId,
    /// The shared `System`.
    pub system: ObjectId,
    /// The shared `Params`.
    pub params: ObjectId,
    /// The shared `Staking`.
    pub staking: ObjectId,
    /// The shared `Treasury`.
    pub treasury: ObjectId,
    /// The staking pool of each node, in the order of [`GenesisConfig::nodes`](super::GenesisConfig).
    pub nodes: Vec<ObjectId>,
}

impl GenesisIds {
    /// The shared state of stake and epochs, which stake's transactions change; `staking` and the
    /// pools are views of it.
    pub fn staking_inner(&self) -> ObjectId {
        chain::staking_inner(&self.staking)
    }
}
