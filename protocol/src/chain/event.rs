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

/// Any event of the package this version knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Space was bought.
    StoragePurchased(StoragePurchased),
    /// A blob was registered.
    BlobRegistered(BlobRegistered),
    /// A blob was certified.
    BlobCertified(BlobCertified),
    /// An epoch began.
    EpochChangeStart(EpochChangeStart),
    /// Nodes, stake and epochs.
    Stake(StakeEvent),
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

impl Event {
    /// The struct name of the event.
    pub fn name(&self) -> &'static str {
        match self {
            Event::StoragePurchased(_) => "StoragePurchased",
            Event::BlobRegistered(_) => "BlobRegistered",
            Event::BlobCertified(_) => "BlobCertified",
            Event::EpochChangeStart(_) => "EpochChangeStart",
            Event::Stake(event) => event.name(),
        }
    }

    /// The event's BCS bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = match self {
            Event::StoragePurchased(event) => bcs::to_bytes(event),
            Event::BlobRegistered(event) => bcs::to_bytes(event),
            Event::BlobCertified(event) => bcs::to_bytes(event),
            Event::EpochChangeStart(event) => bcs::to_bytes(event),
            Event::Stake(event) => event.serialise(),
        };
        bytes.expect("events hold only fixed-width fields, which always serialise")
    }

    /// Decodes an event of our package by its struct name; `None` for a name this version does
    /// not know, which a reader skips.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Option<Self>, EventError> {
        let decoded = match name {
            "StoragePurchased" => bcs::from_bytes(bytes).map(Event::StoragePurchased),
            "BlobRegistered" => bcs::from_bytes(bytes).map(Event::BlobRegistered),
            "BlobCertified" => bcs::from_bytes(bytes).map(Event::BlobCertified),
            "EpochChangeStart" => bcs::from_bytes(bytes).map(Event::EpochChangeStart),
            _ => match StakeEvent::decode(name, bytes) {
                Some(decoded) => decoded.map(Event::Stake),
                None => return Ok(None),
            },
        };
        decoded.map(Some).map_err(|source| EventError { name: name.to_owned(), source })
    }
}
