//! Calls about the texts attached to a blob.
//!
//! Does not: say which of its arguments the caller owns.

use super::{Argument, pure};

/// `add_metadata(&mut Blob)`: attaches an empty map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddMetadata;

impl AddMetadata {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Blob]
    }
}

/// `insert_or_update_metadata_pair(&mut Blob, key, value)`: attaches a map if there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMetadataPair {
    /// The key, at most 64 bytes.
    pub key: String,
    /// The value, at most 1 KiB.
    pub value: String,
}

impl SetMetadataPair {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Blob, pure(&self.key), pure(&self.value)]
    }
}

/// `remove_metadata_pair(&mut Blob, key)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveMetadataPair {
    /// The key.
    pub key: String,
}

impl RemoveMetadataPair {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Blob, pure(&self.key)]
    }
}

/// `take_metadata(&mut Blob)`: removes the map with all pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeMetadata;

impl TakeMetadata {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Blob]
    }
}
