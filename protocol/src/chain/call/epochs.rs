//! What moves epochs on, and prices with them. Anybody may call these, except where a node speaks
//! of its own shards.
//!
//! Does not: know when; the ledger's clock decides.

use super::{Argument, Function, pure};

impl Function {
    /// `voting_end(&mut StakingInner, &System, &Params, &Clock)`: chooses the next committee.
    pub const VOTING_END: Self = Self { module: "staking", name: "voting_end" };
    /// `epoch_change(&mut StakingInner, &mut System, &Params, &mut Treasury, &Clock)`.
    pub const EPOCH_CHANGE: Self = Self { module: "staking", name: "epoch_change" };
    /// `epoch_sync_done(&mut StakingInner, &NodeCap, epoch, &Clock)`.
    pub const EPOCH_SYNC_DONE: Self = Self { module: "staking", name: "epoch_sync_done" };
    /// `force_sync_done(&mut StakingInner, &Params, &Clock)`.
    pub const FORCE_SYNC_DONE: Self = Self { module: "staking", name: "force_sync_done" };
    /// `update_prices(&StakingInner, &mut System, &Params)`: applies the votes at once.
    pub const UPDATE_PRICES: Self = Self { module: "staking", name: "update_prices" };
}

/// Ends the votes of an epoch: chooses the next committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VotingEnd;

impl VotingEnd {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        let staking = Argument::Staking { mutable: true };
        vec![staking, Argument::System { mutable: false }, Argument::Params, Argument::Clock]
    }
}

/// Ends an epoch: pays its committee and begins the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochChange;

impl EpochChange {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        let staking = Argument::Staking { mutable: true };
        let system = Argument::System { mutable: true };
        vec![staking, system, Argument::Params, Argument::Treasury, Argument::Clock]
    }
}

/// A node of the new committee says that it holds its shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochSyncDone {
    /// The epoch.
    pub epoch: u32,
}

impl EpochSyncDone {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        let staking = Argument::Staking { mutable: true };
        vec![staking, Argument::NodeCap, pure(&self.epoch), Argument::Clock]
    }
}

/// Ends a sync that takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForceSyncDone;

impl ForceSyncDone {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Staking { mutable: true }, Argument::Params, Argument::Clock]
    }
}

/// Applies the nodes' price votes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdatePrices;

impl UpdatePrices {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        let staking = Argument::Staking { mutable: false };
        vec![staking, Argument::System { mutable: true }, Argument::Params]
    }
}
