//! Calls that begin, prolong and end the life of a blob.
//!
//! Does not: say which of its arguments the caller owns.

use super::{Argument, pure};

/// `register_blob(&mut System, &Params, Storage, blob_id, root, size, encoding, deletable,
/// &mut Coin<WAL>, max_total) -> Blob`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBlob {
    /// The blob's id.
    pub blob_id: [u8; 32],
    /// The root the id is derived from.
    pub root: [u8; 32],
    /// Bytes before encoding.
    pub size: u64,
    /// How it is encoded.
    pub encoding_type: u8,
    /// Whether the owner may delete it before its storage ends.
    pub deletable: bool,
    /// The most the caller agrees to pay for writing.
    pub max_total: u64,
}

impl RegisterBlob {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![
            Argument::System { mutable: true },
            Argument::Params,
            Argument::Storage,
            pure(&self.blob_id),
            pure(&self.root),
            pure(&self.size),
            pure(&self.encoding_type),
            pure(&self.deletable),
            Argument::Payment,
            pure(&self.max_total),
        ]
    }
}

/// `extend_blob(&mut System, &mut Blob, epochs, &mut Coin<WAL>, max_total)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendBlob {
    /// How many epochs more.
    pub epochs: u32,
    /// The most the caller agrees to pay.
    pub max_total: u64,
}

impl ExtendBlob {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![
            Argument::System { mutable: true },
            Argument::Blob,
            pure(&self.epochs),
            Argument::Payment,
            pure(&self.max_total),
        ]
    }
}

/// `extend_blob_with_resource(&System, &mut Blob, Storage)`: with space bought before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendBlobWithResource;

impl ExtendBlobWithResource {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::System { mutable: false }, Argument::Blob, Argument::Storage]
    }
}

/// `delete_blob(&System, Blob) -> Storage`: the space can be used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteBlob;

impl DeleteBlob {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::System { mutable: false }, Argument::Blob]
    }
}

/// `burn_blob(&System, Blob)`: object and space end; nodes keep the data as long as was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BurnBlob;

impl BurnBlob {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::System { mutable: false }, Argument::Blob]
    }
}
