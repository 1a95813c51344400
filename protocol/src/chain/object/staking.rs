//! What the stake side stores: BCS twins of its objects.
//!
//! Promises: field order as in `contracts.md` 4.5 and 4.6, with what the rules need beyond them at
//! the end; a Move `Table` is [`Rows`], of which an object holds id and size. Its entries are
//! dynamic fields of the table's id, each an object of its own:
//!
//! ```text
//! StakingInner  pools          Field<ID, Pool>           by node
//!               stake_history  Field<u32, u64>           by epoch
//!               by_peer        Field<vector<u8>, ID>     by libp2p key
//!               by_bls         Field<vector<u8>, ID>     by BLS key
//! Pool          rates          Field<u32, Rate>          by epoch
//!               stake_at       Field<u32, u64>           by epoch
//! ```
//! Does not: hold the rules; and [`super::Staking`] and [`super::StakingPool`] are the short views
//! that clients read today.

mod rows;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Entry, NodeInfo};
use crate::chain::ObjectId;

pub use rows::Rows;

/// Which node holds which shards, sorted by node id.
pub type ShardMap = Vec<Entry<ObjectId, Vec<u16>>>;

/// Amounts by the epoch in which they are due, sorted by epoch.
pub type Pending = Vec<Entry<u32, u64>>;

/// Where an epoch is on its way to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EpochState {
    /// The new committee copies its shards.
    Sync {
        /// Shards whose holders reported that they have them.
        weight: u16,
        /// When the epoch began.
        started_ms: u64,
    },
    /// The committee holds its shards; the next one is not chosen yet.
    Done {
        /// Since when.
        since_ms: u64,
    },
    /// The next committee is chosen.
    Selected {
        /// Since when the epoch was `Done`.
        since_ms: u64,
    },
}

/// What a share was worth at an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rate {
    /// One for one: nobody had a share.
    Flat,
    /// So many tokens for so many shares.
    Variable {
        /// Tokens at work.
        tokens: u64,
        /// Shares they belong to; more than tokens after a slashing.
        shares: u64,
    },
}

/// What a node asks for its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asks {
    /// For storing one MiB for one epoch.
    pub storage: u64,
    /// For writing one MiB.
    pub write: u64,
}

/// Who may do what the node's hot key may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authority {
    /// Whoever signs as this account.
    Account(ObjectId),
    /// Whoever presents this object.
    Object(ObjectId),
}

/// One node and the money behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Who the node is and where to find it.
    pub node: NodeInfo,
    /// The operator's own money, which faults are paid from first.
    pub bond: u64,
    /// Stake at work, with its rewards.
    pub active: u64,
    /// Stake that starts to work in a later epoch.
    pub pending: u64,
    /// What was taken out of `active` for receipts that may be paid now.
    pub unbonded: u64,
    /// Shares of `active`.
    pub shares: u64,
    /// What a share was worth, by epoch.
    pub rates: Rows<u32, Rate>,
    /// Stake at work in the epochs in which the node was in the committee.
    pub stake_at: Rows<u32, u64>,
    /// Stake by the epoch in which it starts to work.
    pub pending_stake: Pending,
    /// Shares by the epoch in which they leave.
    pub pending_unstake_shares: Pending,
    /// Principal asked back before it started to work, by the epoch in which it leaves.
    pub pre_active: Pending,
    /// What the operator earned.
    pub commission: u64,
    /// The part of it that cannot be collected before the next `voting_end`.
    pub commission_blocked: u64,
    /// The operator's part of rewards, in ten-thousandths.
    pub commission_bps: u16,
    /// Later parts, by the epoch in which they apply.
    pub pending_commission: Pending,
    /// The epoch up to which everything due was done.
    pub last_epoch: u32,
    /// What the node asks.
    pub asks: Asks,
    /// Encoded bytes the node says it can hold.
    pub capacity: u64,
    /// Principal of the receipts that wait to be paid.
    pub withdrawing: u64,
    /// The epoch in which the operator asked to leave.
    pub exit_epoch: Option<u32>,
    /// The libp2p key to come, with the epoch in which it applies.
    pub next_peer_key: Option<Entry<u32, Vec<u8>>>,
    /// Who collects the commission.
    pub commission_receiver: Authority,
    /// Who votes for the node.
    pub governance_authority: Authority,
}

/// What a receipt of stake is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StakedState {
    /// Working, or about to.
    Staked,
    /// Asked back.
    Withdrawing {
        /// The epoch from which it is paid.
        withdraw_epoch: u32,
    },
}

/// A receipt of stake; the money itself is in the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staked {
    /// The object's id.
    pub id: ObjectId,
    /// The node staked with.
    pub node_id: ObjectId,
    /// What was paid in.
    pub principal: u64,
    /// The first epoch in which it works.
    pub activation_epoch: u32,
    /// What it is doing.
    pub state: StakedState,
    /// Proposals it voted on.
    pub vote_locks: Vec<ObjectId>,
}

/// The operator's hot key to one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCap {
    /// The object's id.
    pub id: ObjectId,
    /// The node.
    pub node_id: ObjectId,
}

/// A node of the [`ActiveSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveNode {
    /// The node.
    pub node_id: ObjectId,
    /// Its stake at the next selection.
    pub staked_amount: u64,
}

/// Every node with stake: most stake first, then by ascending id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveSet {
    /// The nodes.
    pub nodes: Vec<ActiveNode>,
    /// The sum of their stakes.
    pub total_stake: u64,
}

/// The epoch, its committee and everybody's stake: `StakingInner` on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staking {
    /// The object's id.
    pub id: ObjectId,
    /// The version of the rules this object follows.
    pub version: u64,
    /// The current epoch.
    pub epoch: u32,
    /// How far the epoch is.
    pub state: EpochState,
    /// Shards of the network.
    pub n_shards: u16,
    /// Every node.
    pub pools: Rows<ObjectId, Arc<Pool>>,
    /// The nodes with stake.
    pub active_set: ActiveSet,
    /// The current committee.
    pub committee: ShardMap,
    /// The committee of the epoch before.
    pub previous: ShardMap,
    /// The committee of the next epoch, once it is chosen.
    pub next: Option<ShardMap>,
    /// The keys the next committee will sign with, sorted by node id.
    pub next_keys: Vec<Entry<ObjectId, Vec<u8>>>,
    /// Bytes the next committee can hold.
    pub next_capacity: u64,
    /// Stake at work in each epoch's committee.
    pub stake_history: Rows<u32, u64>,
    /// Members that did not report their shards before the sync timeout, sorted.
    pub stalled: Vec<ObjectId>,
    /// Members that reported their shards in this epoch, in order.
    pub synced: Vec<ObjectId>,
    /// Before this moment epoch zero does not end.
    pub first_epoch_start_ms: u64,
    /// Prices before the current epoch, from which this epoch's may move one step.
    pub price_base: Asks,
    /// Which node uses a libp2p key.
    pub by_peer: Rows<Vec<u8>, ObjectId>,
    /// Which node uses a BLS key.
    pub by_bls: Rows<Vec<u8>, ObjectId>,
}
