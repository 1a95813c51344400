//! What the ledger says: BCS twins of the events of the Move package.
//!
//! Promises: names and field order are fixed; an event of a type this version does not know is
//! told apart from one that does not decode.
//! Does not: order events or decide what follows from them.

mod staking;

use serde::{Deserialize, Serialize};

pub use staking::*;

use super::ObjectId;

/// The module that declares every event.
pub const MODULE: &str = "events";

/// Space was bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoragePurchased {
    /// The epoch of the purchase.
    pub epoch: u32,
    /// The new storage object.
    pub object_id: ObjectId,
    /// The first epoch covered.
    pub start: u32,
    /// The first epoch no longer covered.
    pub end: u32,
    /// Encoded bytes reserved.
    pub size: u64,
    /// What it cost.
    pub paid: u64,
}

/// A blob was registered: from now on nodes accept its slivers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRegistered {
    /// The epoch of registration.
    pub epoch: u32,
    /// The blob's id.
    pub blob_id: [u8; 32],
    /// Bytes before encoding.
    pub size: u64,
    /// How it is encoded.
    pub encoding_type: u8,
    /// The first epoch in which it may be forgotten.
    pub end_epoch: u32,
    /// Whether the owner may delete it before that.
    pub deletable: bool,
    /// The blob object.
    pub object_id: ObjectId,
}

/// A blob reached its point of availability: from now on the network answers for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobCertified {
    /// The epoch of certification.
    pub epoch: u32,
    /// The blob's id.
    pub blob_id: [u8; 32],
    /// The first epoch in which it may be forgotten.
    pub end_epoch: u32,
    /// Whether the owner may delete it before that.
    pub deletable: bool,
    /// The blob object.
    pub object_id: ObjectId,
    /// Whether the blob was certified before and only its end moved.
    pub is_extension: bool,
}

/// An epoch began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochChangeStart {
    /// The epoch.
    pub epoch: u32,
}

/// Storage was thrown away; what was paid stays paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageDestroyed {
    /// The storage object that no longer exists.
    pub object_id: ObjectId,
}

/// A blob was deleted by its owner; its storage lives on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobDeleted {
    /// The epoch of the deletion.
    pub epoch: u32,
    /// The blob's id.
    pub blob_id: [u8; 32],
    /// The first epoch in which it would have been forgotten anyway.
    pub end_epoch: u32,
    /// The blob object that no longer exists.
    pub object_id: ObjectId,
    /// Whether it had a certificate.
    pub was_certified: bool,
}

/// A blob object was destroyed with its storage; nodes keep the data until its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobBurned {
    /// The epoch of the destruction.
    pub epoch: u32,
    /// The blob's id.
    pub blob_id: [u8; 32],
    /// The blob object that no longer exists.
    pub object_id: ObjectId,
}

/// The committee showed that no bytes belong to this id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidBlobId {
    /// The epoch of the verdict.
    pub epoch: u32,
    /// The blob's id.
    pub blob_id: [u8; 32],
}

/// The committee agreed on another version of the protocol between nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolVersionUpdated {
    /// The epoch of the agreement.
    pub epoch: u32,
    /// The first epoch of the new version.
    pub start_epoch: u32,
    /// The new version.
    pub protocol_version: u64,
}

/// Prices changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricesUpdated {
    /// The epoch from which they hold.
    pub epoch: u32,
    /// Price of one MiB for one epoch.
    pub storage_price: u64,
    /// Price of writing one MiB.
    pub write_price: u64,
}

/// WAL left the supply for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burned {
    /// How much, in the smallest unit.
    pub amount: u64,
    /// 0 by its owner, 1 of an epoch's fees, 2 of forfeits, 3 of slashed stake.
    pub reason: u8,
}

/// A parameter of the network changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamChanged {
    /// The epoch of the change.
    pub epoch: u32,
    /// Which parameter.
    pub key: u16,
    /// What it was.
    pub old: u64,
    /// What it is.
    pub new: u64,
}

/// An event of a known name whose bytes are not that event.
#[derive(Debug, thiserror::Error)]
#[error("event {name} does not decode; is the ledger of another version?")]
pub struct EventError {
    /// The event's name.
    pub name: String,
    /// What BCS said.
    #[source]
    pub source: bcs::Error,
}

macro_rules! events {
    ($($(#[$doc:meta])* $event:ident = $name:literal,)*) => {
        /// Any event of the package this version knows.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $event($event),)*
            /// Nodes, stake and epochs.
            Stake(StakeEvent),
        }

        $(impl From<$event> for Event {
            fn from(event: $event) -> Self { Event::$event(event) }
        })*

        impl Event {
            /// The struct name of the event.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Event::$event(_) => $name,)*
                    Event::Stake(event) => event.name(),
                }
            }

            /// The event's BCS bytes.
            pub fn to_bytes(&self) -> Vec<u8> {
                let bytes = match self {
                    $(Event::$event(event) => bcs::to_bytes(event),)*
                    Event::Stake(event) => event.serialise(),
                };
                bytes.expect("events hold only plain fields, which always serialise")
            }

            /// Decodes an event of our package by its struct name; `None` for a name this
            /// version does not know, which a reader skips.
            pub fn decode(name: &str, bytes: &[u8]) -> Result<Option<Self>, EventError> {
                let decoded = match name {
                    $($name => bcs::from_bytes(bytes).map(Event::$event),)*
                    _ => match StakeEvent::decode(name, bytes) {
                        Some(decoded) => decoded.map(Event::Stake),
                        None => return Ok(None),
                    },
                };
                decoded.map(Some).map_err(|source| EventError { name: name.to_owned(), source })
            }
        }
    };
}

events! {
    /// Space was bought.
    StoragePurchased = "StoragePurchased",
    /// Space was thrown away.
    StorageDestroyed = "StorageDestroyed",
    /// A blob was registered.
    BlobRegistered = "BlobRegistered",
    /// A blob was certified, or a certified one extended.
    BlobCertified = "BlobCertified",
    /// A blob was deleted.
    BlobDeleted = "BlobDeleted",
    /// A blob object was destroyed.
    BlobBurned = "BlobBurned",
    /// A blob id was declared invalid.
    InvalidBlobId = "InvalidBlobID",
    /// Nodes agreed on another protocol version.
    ProtocolVersionUpdated = "ProtocolVersionUpdated",
    /// Prices changed.
    PricesUpdated = "PricesUpdated",
    /// WAL left the supply.
    Burned = "Burned",
    /// A parameter changed.
    ParamChanged = "ParamChanged",
    /// An epoch began.
    EpochChangeStart = "EpochChangeStart",
}
