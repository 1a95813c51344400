//! Values that hang on objects by a name: verdicts about blob ids, and the metadata of blobs.
//!
//! Promises: a transaction sees its own changes and nobody else does before it succeeds.
//! Does not: know ids or types of dynamic fields, or which object a transaction must name to reach
//! one. Tables of stake are read and changed in the state of stake itself.

use std::collections::BTreeMap;

use crate::chain::ObjectId;
use crate::chain::object::Metadata;

/// What hangs on objects that no running transaction has changed.
pub trait Stored: std::fmt::Debug {
    /// Whether the table with this id has an entry for a blob id.
    fn is_invalid(&self, table: &ObjectId, blob_id: &[u8; 32]) -> bool;

    /// The metadata of a blob, if it has any.
    fn metadata(&self, blob: &ObjectId) -> Option<Metadata>;
}

/// Nothing hangs anywhere.
impl Stored for () {
    fn is_invalid(&self, _table: &ObjectId, _blob_id: &[u8; 32]) -> bool {
        false
    }

    fn metadata(&self, _blob: &ObjectId) -> Option<Metadata> {
        None
    }
}

/// What a transaction changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New entries of tables of invalid blob ids: by table and blob id the epoch of the verdict.
    pub invalid: BTreeMap<(ObjectId, [u8; 32]), u32>,
    /// The metadata of blobs now; nothing if it is gone.
    pub metadata: BTreeMap<ObjectId, Option<Metadata>>,
}

/// What hangs on objects as a running transaction sees it.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    stored: &'a dyn Stored,
    changes: Changes,
}

impl<'a> Fields<'a> {
    /// Before a transaction's first change.
    pub(super) fn new(stored: &'a dyn Stored) -> Self {
        Fields { stored, changes: Changes::default() }
    }

    /// Whether a table has an entry for a blob id.
    pub(super) fn is_invalid(&self, table: &ObjectId, blob_id: &[u8; 32]) -> bool {
        self.changes.invalid.contains_key(&(*table, *blob_id))
            || self.stored.is_invalid(table, blob_id)
    }

    /// Adds an entry to a table.
    pub(super) fn add_invalid(&mut self, table: &ObjectId, blob_id: &[u8; 32], epoch: u32) {
        self.changes.invalid.insert((*table, *blob_id), epoch);
    }

    /// The metadata of a blob, if it has any.
    pub(super) fn metadata(&self, blob: &ObjectId) -> Option<Metadata> {
        match self.changes.metadata.get(blob) {
            Some(metadata) => metadata.clone(),
            None => self.stored.metadata(blob),
        }
    }

    /// Sets the metadata of a blob; nothing removes it.
    pub(super) fn set_metadata(&mut self, blob: &ObjectId, metadata: Option<Metadata>) {
        self.changes.metadata.insert(*blob, metadata);
    }

    /// What changed.
    pub(super) fn into_changes(self) -> Changes {
        self.changes
    }
}
