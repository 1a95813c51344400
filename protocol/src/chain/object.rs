//! What the ledger stores: BCS twins of the objects of the Move package.
//!
//! Promises: field order and widths equal Move's; `u256` and ids are 32 raw bytes, tables appear
//! as their id and size.
//! Does not: check that values make sense; whoever reads an object decides what to believe.

pub mod staking;

use serde::{Deserialize, Serialize};

use super::ObjectId;
use crate::encoding::{Parameters, ParametersError};

/// Entries of a Move `VecMap`, in insertion order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<Key, Value> {
    /// The key, unique within its map.
    pub key: Key,
    /// What the key stands for.
    pub value: Value,
}

/// A Move `Table` seen from outside: its entries live in dynamic fields of `id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The parent of the dynamic fields.
    pub id: ObjectId,
    /// How many entries there are.
    pub size: u64,
}

/// One dynamic field of another object: Sui's `dynamic_field::Field<Name, Value>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicField<Name, Value> {
    /// The field's own id, derived from its parent and its name.
    pub id: ObjectId,
    /// What it is called inside its parent.
    pub name: Name,
    /// What it holds.
    pub value: Value,
}

/// Texts that the owner of a blob attaches to it, in a dynamic field named [`METADATA_FIELD`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The pairs, the last changed one last.
    pub pairs: Vec<Entry<String, String>>,
}

/// The name of the dynamic field with a blob's [`Metadata`].
pub const METADATA_FIELD: &[u8] = b"metadata";

/// The token's mint, which can only burn: the supply was made once, at genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Treasury {
    /// The object's id.
    pub id: ObjectId,
    /// The id of Sui's `TreasuryCap` inside.
    pub cap_id: ObjectId,
    /// All WAL there is.
    pub total_supply: u64,
}

/// The centre of the storage side: committee keys, capacity, prices, accounting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// The object's id.
    pub id: ObjectId,
    /// The version of the rules this object follows.
    pub version: u64,
    /// Which network certificates must name.
    pub network_id: ObjectId,
    /// The committee whose certificates are accepted.
    pub committee: BlsCommittee,
    /// Bytes the network offers in the current epoch.
    pub total_capacity: u64,
    /// Bytes reserved in the current epoch.
    pub used_capacity: u64,
    /// Price of one MiB for one epoch.
    pub storage_price: u64,
    /// Price of writing one MiB.
    pub write_price: u64,
    /// The epoch in which prices last changed.
    pub last_price_epoch: u32,
    /// Usage and rewards of this epoch and those that can be reserved.
    pub ring: Ring,
    /// Blob ids the committee declared invalid, with the epoch in which it did.
    pub invalid: Table,
    /// What each node refuses to serve.
    pub deny: Vec<Entry<ObjectId, DenyInfo>>,
    /// The last event covered by a certified event blob.
    pub last_event_sequence: u64,
    /// The protocol version nodes agreed on.
    pub protocol_version: u64,
}

/// The committee as certificates are checked against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlsCommittee {
    /// The members; a certificate's bitmap counts in this order.
    pub members: Vec<BlsMember>,
    /// The sum of all weights.
    pub n_shards: u16,
    /// The epoch this committee serves.
    pub epoch: u32,
}

/// One member of a [`BlsCommittee`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlsMember {
    /// The compressed BLS12-381 key, 48 bytes.
    pub public_key: Vec<u8>,
    /// How many shards the member holds.
    pub weight: u16,
    /// The node, by the id of its staking pool.
    pub node_id: ObjectId,
}

/// Future epochs, as a ring so that an epoch change moves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    /// Where the current epoch's entry is.
    pub current_index: u32,
    /// How many epochs can be reserved.
    pub length: u32,
    /// The entries.
    pub entries: Vec<FutureAccounting>,
}

/// What is known about one epoch ahead of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FutureAccounting {
    /// The epoch.
    pub epoch: u32,
    /// Bytes reserved in it.
    pub used_capacity: u64,
    /// What its committee will be paid.
    pub rewards: u64,
}

/// What one node refuses to serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenyInfo {
    /// Grows with every update.
    pub sequence_number: u64,
    /// The root of the list.
    pub root: [u8; 32],
    /// How many bytes the list covers.
    pub bytes: u64,
}

/// Everything fixed at genesis, and what governance may change within rails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Params {
    /// The object's id.
    pub id: ObjectId,
    /// The version of the rules this object follows.
    pub version: u64,
    /// Which network this is.
    pub network_id: ObjectId,
    /// Shards of the network.
    pub n_shards: u16,
    /// Bytes of a full segment.
    pub segment_bytes: u32,
    /// Bytes of the longest short blob; zero if none is short.
    pub short_bytes_max: u32,
    /// How many copies of a header are paid for: the most nodes that a committee of the first epoch might have.
    pub header_replicas: u16,
    /// How many epochs ahead space can be reserved.
    pub max_epochs_ahead: u32,
    /// What governance may change: values by key, in the order of the keys.
    pub values: Vec<Entry<u16, u64>>,
}

impl Params {
    /// How blobs are encoded in the network.
    ///
    /// # Errors
    /// No network can have these numbers.
    pub fn parameters(&self) -> Result<Parameters, ParametersError> {
        Parameters::new(self.n_shards, self.segment_bytes)?.with_short_blobs(self.short_bytes_max)
    }
}

/// The epoch and who serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staking {
    /// The object's id.
    pub id: ObjectId,
    /// The version of the rules this object follows.
    pub version: u64,
    /// Shards of the network.
    pub n_shards: u16,
    /// The current epoch.
    pub epoch: u32,
    /// When the current epoch began, in milliseconds of ledger time.
    pub epoch_started_ms: u64,
    /// How long an epoch lasts.
    pub epoch_duration_ms: u64,
    /// The current committee: which node holds which shards, in the order of the BLS committee.
    pub committee: Vec<Entry<ObjectId, Vec<u16>>>,
    /// Where the epoch is on its way to the next.
    pub state: staking::EpochState,
}

/// One node and, through its id, everything the network calls it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StakingPool {
    /// The object's id, which is the node's id.
    pub id: ObjectId,
    /// Who the node is and where to find it.
    pub node_info: NodeInfo,
}

/// Who a node is and where to find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// The node's id.
    pub node_id: ObjectId,
    /// A name for people.
    pub name: String,
    /// The ed25519 key it speaks libp2p with, 32 bytes.
    pub peer_key: Vec<u8>,
    /// The libp2p peer id of that key, as a multihash of 38 bytes.
    pub peer_id: Vec<u8>,
    /// Binary multiaddrs without the peer id.
    pub multiaddrs: Vec<Vec<u8>>,
    /// The BLS key it signs confirmations with, 48 bytes.
    pub bls_public_key: Vec<u8>,
    /// The key it will sign with from the next selection on.
    pub next_bls_public_key: Option<Vec<u8>>,
    /// Free text by topic.
    pub metadata: Vec<Entry<String, String>>,
    /// 0 active, 1 exiting, 2 exited, 3 jailed.
    pub status: u8,
}

/// Reserved space: `storage_size` bytes in epochs `start_epoch..end_epoch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// The object's id.
    pub id: ObjectId,
    /// The first epoch covered.
    pub start_epoch: u32,
    /// The first epoch no longer covered.
    pub end_epoch: u32,
    /// Encoded bytes reserved.
    pub storage_size: u64,
}

/// A blob the ledger knows, with the space it lives in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// The object's id.
    pub id: ObjectId,
    /// The epoch of registration.
    pub registered_epoch: u32,
    /// The blob's id.
    pub blob_id: [u8; 32],
    /// Bytes before encoding.
    pub size: u64,
    /// How it is encoded.
    pub encoding_type: u8,
    /// The epoch of certification, once there is one.
    pub certified_epoch: Option<u32>,
    /// The space it occupies.
    pub storage: Storage,
    /// Whether the owner may delete it before it ends.
    pub deletable: bool,
    /// The listing or rental that forbids deleting it.
    pub locked_by: Option<ObjectId>,
}

/// Sui's clock: the time of the block, which transactions may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The object's id, which is [`CLOCK`](super::CLOCK).
    pub id: ObjectId,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
}

/// Any coin: `Coin<T>` has the same layout for every `T`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coin {
    /// The object's id.
    pub id: ObjectId,
    /// How much it holds, in the token's smallest unit.
    pub balance: u64,
}
