//! What the ledger can be told: the functions of the Move package and the order of their
//! arguments.
//!
//! Promises: names, order and BCS encoding of arguments are written down here once, for those
//! who build transactions and for the embedded ledger that executes them.
//! Does not: build transactions, choose coins or sign.

mod blob;
mod certificate;
mod epochs;
mod metadata;
mod receipts;
mod setting;
mod staking;
mod storage;
mod token;

use serde::Serialize;

pub use blob::{BurnBlob, DeleteBlob, ExtendBlob, ExtendBlobWithResource, RegisterBlob};
pub use certificate::{CertifyBlob, InvalidateBlobId, SetProtocolVersion};
pub use epochs::{EpochChange, EpochSyncDone, ForceSyncDone, UpdatePrices, VotingEnd};
pub use metadata::{AddMetadata, RemoveMetadataPair, SetMetadataPair, TakeMetadata};
pub use receipts::{JoinStaked, RequestWithdrawStake, SplitStaked, StakeWithPool, WithdrawStake};
pub use setting::{CollectCommissionAsSender, NodeSetting, SetCommissionReceiverAsSender};
pub use staking::*;
pub use storage::{DestroyStorage, FuseStorage, ReserveSpace, SplitByEpoch, SplitBySize};
pub use token::{AddSubsidy, BurnWal};

/// A public function of the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// The module that declares it.
    pub module: &'static str,
    /// Its name inside the module.
    pub name: &'static str,
}

impl Function {
    /// Buys space; see [`ReserveSpace`].
    pub const RESERVE_SPACE: Self = Self { module: "system", name: "reserve_space" };
    /// Splits space in time; see [`SplitByEpoch`].
    pub const SPLIT_BY_EPOCH: Self = Self { module: "storage", name: "split_by_epoch" };
    /// Splits space in size; see [`SplitBySize`].
    pub const SPLIT_BY_SIZE: Self = Self { module: "storage", name: "split_by_size" };
    /// Joins space; see [`FuseStorage`].
    pub const FUSE_STORAGE: Self = Self { module: "storage", name: "fuse" };
    /// Throws space away; see [`DestroyStorage`].
    pub const DESTROY_STORAGE: Self = Self { module: "storage", name: "destroy" };
    /// Registers a blob; see [`RegisterBlob`].
    pub const REGISTER_BLOB: Self = Self { module: "system", name: "register_blob" };
    /// Extends a blob for money; see [`ExtendBlob`].
    pub const EXTEND_BLOB: Self = Self { module: "system", name: "extend_blob" };
    /// Extends a blob with space; see [`ExtendBlobWithResource`].
    pub const EXTEND_BLOB_WITH_RESOURCE: Self =
        Self { module: "system", name: "extend_blob_with_resource" };
    /// Deletes a blob; see [`DeleteBlob`].
    pub const DELETE_BLOB: Self = Self { module: "system", name: "delete_blob" };
    /// Destroys a blob object; see [`BurnBlob`].
    pub const BURN_BLOB: Self = Self { module: "system", name: "burn_blob" };
    /// Certifies a blob; see [`CertifyBlob`].
    pub const CERTIFY_BLOB: Self = Self { module: "system", name: "certify_blob" };
    /// Declares a blob id invalid; see [`InvalidateBlobId`].
    pub const INVALIDATE_BLOB_ID: Self = Self { module: "system", name: "invalidate_blob_id" };
    /// Changes the protocol version; see [`SetProtocolVersion`].
    pub const SET_PROTOCOL_VERSION: Self = Self { module: "system", name: "set_protocol_version" };
    /// Attaches empty metadata; see [`AddMetadata`].
    pub const ADD_METADATA: Self = Self { module: "blob", name: "add_metadata" };
    /// Sets a pair of metadata; see [`SetMetadataPair`].
    pub const SET_METADATA_PAIR: Self =
        Self { module: "blob", name: "insert_or_update_metadata_pair" };
    /// Removes a pair of metadata; see [`RemoveMetadataPair`].
    pub const REMOVE_METADATA_PAIR: Self = Self { module: "blob", name: "remove_metadata_pair" };
    /// Removes all metadata; see [`TakeMetadata`].
    pub const TAKE_METADATA: Self = Self { module: "blob", name: "take_metadata" };
    /// Gives to future committees; see [`AddSubsidy`].
    pub const ADD_SUBSIDY: Self = Self { module: "system", name: "add_subsidy" };
    /// Takes WAL out of the supply; see [`BurnWal`].
    pub const BURN_WAL: Self = Self { module: "wal", name: "burn" };
}

/// One argument of a call: a place the caller fills with an object, or a plain value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// The shared `System`, taken by mutable or immutable reference.
    System {
        /// Whether the call changes it.
        mutable: bool,
    },
    /// The shared `Params`, taken by immutable reference.
    Params,
    /// The shared `Treasury`, taken by mutable reference.
    Treasury,
    /// The coin that pays, taken by mutable reference, or by value where all of it is meant.
    Payment,
    /// The storage the call is about: an owned object or an earlier result.
    Storage,
    /// The storage that joins another and ends with that, taken by value.
    OtherStorage,
    /// The blob the call is about: an owned object or an earlier result.
    Blob,
    /// The shared state of stake and epochs; see [`crate::chain::staking_inner`].
    Staking {
        /// Whether the call changes it.
        mutable: bool,
    },
    /// Sui's clock, taken by immutable reference.
    Clock,
    /// The receipt of stake the call is about.
    Receipt,
    /// The receipt that joins another and ends with that, taken by value.
    OtherReceipt,
    /// The operator's key to the node the call is about, taken by immutable reference.
    NodeCap,
    /// A plain value in BCS.
    Pure(Vec<u8>),
}

fn pure(value: &(impl Serialize + ?Sized)) -> Argument {
    Argument::Pure(bcs::to_bytes(value).expect("numbers, flags and vectors always serialise"))
}
