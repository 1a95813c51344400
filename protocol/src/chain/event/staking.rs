//! What the stake side says: its events, in the field order of `contracts.md` 4.14.
//!
//! Promises: one list gives the structs, the enum, names and decoding, so they cannot disagree.
//! Does not: hold `EpochChangeStart`, `Burned` and `PricesUpdated`, which both sides say.

use serde::{Deserialize, Serialize};

use crate::chain::ObjectId;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $kind:ty,)*
    })*) => {
        $($(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind,)* })*

        /// Any event of nodes, stake and epochs.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum StakeEvent { $($(#[$doc])* $name($name),)* }

        impl StakeEvent {
            /// The names of all of them.
            pub const NAMES: &[&str] = &[$(stringify!($name),)*];

            /// The struct name of the event.
            pub fn name(&self) -> &'static str {
                match self { $(StakeEvent::$name(_) => stringify!($name),)* }
            }

            pub(super) fn serialise(&self) -> bcs::Result<Vec<u8>> {
                match self { $(StakeEvent::$name(event) => bcs::to_bytes(event),)* }
            }

            /// Nothing for a name that is not of this side.
            pub(super) fn decode(name: &str, bytes: &[u8]) -> Option<bcs::Result<Self>> {
                match name {
                    $(stringify!($name) => Some(bcs::from_bytes(bytes).map(StakeEvent::$name)),)*
                    _ => None,
                }
            }
        }

        $(impl From<$name> for super::Event {
            fn from(event: $name) -> Self { super::Event::Stake(StakeEvent::$name(event)) }
        })*
    };
}

events! {
    /// The next committee was chosen.
    EpochParametersSelected {
        /// The epoch it will serve.
        next_epoch: u32,
        /// Its nodes, sorted by id.
        nodes: Vec<ObjectId>,
        /// How many shards each will hold.
        shards: Vec<u16>,
        /// Bytes it can hold.
        capacity: u64,
    }
    /// A quorum of the new committee holds its shards.
    EpochChangeDone {
        /// The epoch.
        epoch: u32,
    }
    /// A node holds its shards.
    ShardsReceived {
        /// The epoch.
        epoch: u32,
        /// The node.
        node_id: ObjectId,
        /// Its shards.
        shards: Vec<u16>,
    }
    /// The sync was declared over without a quorum.
    EpochSyncForced {
        /// The epoch.
        epoch: u32,
        /// Who had not reported, sorted.
        missing: Vec<ObjectId>,
    }
    /// A committee was paid.
    RewardsDistributed {
        /// The epoch it served.
        epoch: u32,
        /// What the epoch had earned, before the burn.
        total: u64,
        /// What of it was burned.
        burned: u64,
        /// What members lost for missing work.
        forfeited: u64,
        /// The members, sorted by id.
        node_ids: Vec<ObjectId>,
        /// What each was paid.
        kept: Vec<u64>,
    }
    /// A node came.
    NodeRegistered {
        /// The epoch.
        epoch: u32,
        /// The node.
        node_id: ObjectId,
        /// Its libp2p peer id.
        peer_id: Vec<u8>,
        /// Where it says it listens.
        multiaddrs: Vec<Vec<u8>>,
        /// Its BLS key.
        bls_pk: Vec<u8>,
        /// Its part of rewards.
        commission_bps: u16,
    }
    /// A node changed something about itself.
    NodeUpdated {
        /// The epoch.
        epoch: u32,
        /// The node.
        node_id: ObjectId,
        /// 0 name, 1 multiaddrs, 2 BLS key, 3 peer key, 4 metadata, 5 votes, 6 commission,
        /// 7 authorities.
        field: u8,
    }
    /// A node wants to leave.
    NodeExitRequested {
        /// The epoch.
        epoch: u32,
        /// The node.
        node_id: ObjectId,
    }
    /// A node left with its bond.
    NodeExited {
        /// The epoch.
        epoch: u32,
        /// The node.
        node_id: ObjectId,
        /// What it got back.
        bond: u64,
    }
    /// Stake was paid in.
    Staked {
        /// The epoch.
        epoch: u32,
        /// The node.
        node_id: ObjectId,
        /// The receipt.
        object_id: ObjectId,
        /// How much.
        amount: u64,
        /// The first epoch in which it works.
        activation_epoch: u32,
    }
    /// Stake was asked back.
    UnstakeRequested {
        /// The epoch.
        epoch: u32,
        /// The node.
        node_id: ObjectId,
        /// The receipt.
        object_id: ObjectId,
        /// The epoch from which it is paid.
        withdraw_epoch: u32,
    }
    /// Stake was paid out.
    Unstaked {
        /// The epoch.
        epoch: u32,
        /// The node.
        node_id: ObjectId,
        /// The receipt, which is gone.
        object_id: ObjectId,
        /// What had been paid in.
        principal: u64,
        /// What was paid out.
        paid: u64,
    }
    /// An operator took its earnings.
    CommissionCollected {
        /// The epoch.
        epoch: u32,
        /// The node.
        node_id: ObjectId,
        /// How much.
        amount: u64,
    }
    /// A pool entered an epoch.
    PoolSettled {
        /// The epoch.
        epoch: u32,
        /// The node.
        node_id: ObjectId,
        /// What the node earned in the epoch before.
        reward: u64,
        /// The operator's part.
        commission: u64,
        /// Stake at work now.
        stake: u64,
        /// Shares of it.
        shares: u64,
    }
}
