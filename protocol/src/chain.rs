//! The typed twin of the contracts, as clients, nodes and the embedded ledger see them.
//!
//! Promises: every layout here serialises with BCS to the bytes the Move package stores, emits
//! or takes as an argument (guarded by golden tests), and every name is written down once.
//! Does not: talk to a ledger, know a Sui crate, or decide what a call does to the state.

pub mod abort;
pub mod amount;
pub mod call;
pub mod event;
pub mod object;
pub mod params;
mod view;

#[cfg(test)]
mod tests;

use crate::crypto::blake2b_256;

pub use crate::object_id::{ObjectId, ParseObjectIdError};
pub use view::{CommitteeViewError, committee, neighbour, neighbours, previous_committee};

/// Where every Sui network has its clock: the shared object `0x6`.
pub const CLOCK: ObjectId = {
    let mut id = [0; 32];
    id[31] = 6;
    ObjectId::from_bytes(id)
};

/// The name of a struct declared by the package: where Move declares it and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeName {
    /// The module that declares the struct.
    pub module: &'static str,
    /// The struct's name inside its module.
    pub name: &'static str,
}

impl TypeName {
    /// The shared object with the committee's keys, prices, capacity and accounting.
    pub const SYSTEM: Self = Self { module: "system", name: "System" };
    /// The shared object with everything fixed at genesis.
    pub const PARAMS: Self = Self { module: "params", name: "Params" };
    /// The shared object with the epoch and the shards of its committee.
    pub const STAKING: Self = Self { module: "staking", name: "Staking" };
    /// One shared object per node; its id is the node id.
    pub const STAKING_POOL: Self = Self { module: "staking_pool", name: "StakingPool" };
    /// A node and the money behind it, in the table of all nodes.
    pub const POOL: Self = Self { module: "staking_pool", name: "Pool" };
    /// What a share of a pool was worth, in the pool's table of rates.
    pub const RATE: Self = Self { module: "staking_pool", name: "Rate" };
    /// Reserved space, owned by whoever paid for it.
    pub const STORAGE: Self = Self { module: "storage", name: "Storage" };
    /// A registered, perhaps certified, blob.
    pub const BLOB: Self = Self { module: "blob", name: "Blob" };
    /// The texts attached to a blob.
    pub const METADATA: Self = Self { module: "blob", name: "Metadata" };
    /// The shared object that knows the supply of the token.
    pub const TREASURY: Self = Self { module: "wal", name: "Treasury" };
    /// The state of stake and epochs, of which `Staking` and the pools are views.
    pub const STAKING_INNER: Self = Self { module: "staking", name: "StakingInner" };
    /// A receipt of stake, owned by whoever staked.
    pub const STAKED: Self = Self { module: "staked", name: "Staked" };
    /// The operator's hot key to one node.
    pub const NODE_CAP: Self = Self { module: "node_registry", name: "NodeCap" };
    /// The marker type of the token.
    pub const WAL: Self = Self { module: "wal", name: "WAL" };

    /// The full name under a package, as queries and type filters write it.
    pub fn qualified(&self, package: &ObjectId) -> String {
        format!("{package}::{}::{}", self.module, self.name)
    }
}

/// The id of the state of stake and epochs that belongs to a `Staking` object; calls that change
/// stake name it, readers mostly want the view.
pub fn staking_inner(staking: &ObjectId) -> ObjectId {
    blake2b_256(&[b"haulout staking state", staking.as_bytes()]).into()
}

/// The full name of the token's coin type, for balance queries and coin selection.
pub fn wal_coin_type(package: &ObjectId) -> String {
    format!("0x2::coin::Coin<{}>", TypeName::WAL.qualified(package))
}
