//! The ledger on disk: every checkpoint, where each transaction is, and the objects as they are.
//!
//! Promises: a checkpoint, its index and its objects become durable together or not at all, so a
//! ledger killed at any moment reopens at its last checkpoint.
//! Does not: cache; the objects in use live in memory.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use sui_sdk_types::{Digest, Object};

use super::checkpoints::Checkpoint;
use super::objects::{Changes, Objects, VERSIONS_KEPT};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const CHECKPOINTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("checkpoints");
const DIGESTS: TableDefinition<'_, [u8; 32], u64> = TableDefinition::new("checkpoint digests");
const TRANSACTIONS: TableDefinition<'_, [u8; 32], (u64, u32)> =
    TableDefinition::new("transactions");
const OBJECTS: TableDefinition<'_, ([u8; 32], u64), &[u8]> = TableDefinition::new("objects");

/// Memory for the file's pages: what is in use is in memory already.
const CACHE_BYTES: usize = 16 << 20;
/// The key of the genesis configuration.
const GENESIS: &str = "genesis";
/// The key of the layout's version.
const SCHEMA: &str = "schema";
/// The layout this code reads and writes.
const SCHEMA_VERSION: &[u8] = &[6];

/// Why the ledger's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the ledger's file is in use by another process; stop that one first")]
    InUse,
    /// It was written by another version.
    #[error("the ledger's file was written by another version and has another layout")]
    Schema,
    /// Reading or writing failed.
    #[error("the ledger's file cannot be read or written; check the disk")]
    Database(#[source] Box<redb::Error>),
    /// A record does not decode.
    #[error("the ledger's file is damaged")]
    Damaged(#[from] bcs::Error),
    /// Objects that belong together are not all there.
    #[error("objects are missing in the ledger's file")]
    Incomplete,
}

/// Converts any of redb's errors.
fn database<E: Into<redb::Error>>(error: E) -> StoreError {
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse,
        error => StoreError::Database(Box::new(error)),
    }
}

/// An open ledger file.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
}

impl Store {
    /// Opens the file, creating it if it is not there.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = builder.create(path).map_err(self::database)?;
        let store = Store { database };
        match store.meta(SCHEMA)? {
            Some(version) if version == SCHEMA_VERSION => Ok(store),
            Some(_) => Err(StoreError::Schema),
            None => Ok(store),
        }
    }

    /// The genesis configuration; nothing in a new file.
    pub(super) fn genesis(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.meta(GENESIS)
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.database.begin_read().map_err(database)?;
        let table = match read.open_table(META) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(database(error)),
        };
        Ok(table.get(key).map_err(database)?.map(|value| value.value().to_vec()))
    }

    /// Makes a checkpoint durable with what it did; `genesis` comes with the first one.
    pub(super) fn append(
        &self,
        checkpoint: &Checkpoint,
        changes: &Changes,
        genesis: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let mut write = self.database.begin_write().map_err(database)?;
        write.set_quick_repair(true); // reopening after a kill must not scan the file
        if let Some(genesis) = genesis {
            let mut meta = write.open_table(META).map_err(database)?;
            meta.insert(SCHEMA, SCHEMA_VERSION).map_err(database)?;
            meta.insert(GENESIS, genesis).map_err(database)?;
        }
        let sequence = checkpoint.summary.sequence_number;
        {
            let mut table = write.open_table(CHECKPOINTS).map_err(database)?;
            table.insert(sequence, bcs::to_bytes(checkpoint)?.as_slice()).map_err(database)?;
            let mut table = write.open_table(DIGESTS).map_err(database)?;
            let digest = checkpoint.summary.digest().into_inner();
            table.insert(digest, sequence).map_err(database)?;
            let mut table = write.open_table(TRANSACTIONS).map_err(database)?;
            for (index, digest) in (0..).zip(checkpoint.digests()) {
                table.insert(digest.into_inner(), (sequence, index)).map_err(database)?;
            }
            let mut table = write.open_table(OBJECTS).map_err(database)?;
            for id in &changes.removed {
                let all = (*id.inner(), 0)..=(*id.inner(), u64::MAX);
                table.retain_in(all, |_, _| false).map_err(database)?;
            }
            for object in &changes.written {
                insert_version(&mut table, object)?;
            }
        }
        write.commit().map_err(database)
    }

    /// A checkpoint by its number.
    pub(super) fn checkpoint(&self, sequence: u64) -> Result<Option<Checkpoint>, StoreError> {
        let read = self.database.begin_read().map_err(database)?;
        let table = read.open_table(CHECKPOINTS).map_err(database)?;
        let found = table.get(sequence).map_err(database)?;
        Ok(found.map(|value| bcs::from_bytes(value.value())).transpose()?)
    }

    /// A checkpoint by its digest.
    pub(super) fn checkpoint_by_digest(
        &self,
        digest: &Digest,
    ) -> Result<Option<Checkpoint>, StoreError> {
        let read = self.database.begin_read().map_err(database)?;
        let table = read.open_table(DIGESTS).map_err(database)?;
        match table.get(digest.into_inner()).map_err(database)? {
            Some(sequence) => self.checkpoint(sequence.value()),
            None => Ok(None),
        }
    }

    /// The last checkpoint; nothing in a new file.
    pub(super) fn last_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let read = self.database.begin_read().map_err(database)?;
        let table = match read.open_table(CHECKPOINTS) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(database(error)),
        };
        let last = table.last().map_err(database)?;
        Ok(last.map(|(_, value)| bcs::from_bytes(value.value())).transpose()?)
    }

    /// The checkpoint of a transaction and the transaction's place in it.
    pub(super) fn transaction(
        &self,
        digest: &Digest,
    ) -> Result<Option<(Checkpoint, usize)>, StoreError> {
        let read = self.database.begin_read().map_err(database)?;
        let table = read.open_table(TRANSACTIONS).map_err(database)?;
        let Some(place) = table.get(digest.into_inner()).map_err(database)? else {
            return Ok(None);
        };
        let (sequence, index) = place.value();
        let index = usize::try_from(index).expect("32 bits fit a usize");
        Ok(self.checkpoint(sequence)?.map(|checkpoint| (checkpoint, index)))
    }

    /// All objects as they are now.
    pub(super) fn objects(&self) -> Result<Objects, StoreError> {
        let read = self.database.begin_read().map_err(database)?;
        let table = read.open_table(OBJECTS).map_err(database)?;
        let mut changes = Changes::default();
        for entry in table.iter().map_err(database)? {
            let (_, bytes) = entry.map_err(database)?;
            changes.written.push(bcs::from_bytes(bytes.value())?); // versions ascend per object
        }
        let mut objects = Objects::default();
        objects.apply(&changes);
        Ok(objects)
    }
}

/// Writes a version and drops those too old to keep.
fn insert_version(
    table: &mut redb::Table<'_, ([u8; 32], u64), &'static [u8]>,
    object: &Object,
) -> Result<(), StoreError> {
    let id = object.object_id().into_inner();
    table.insert((id, object.version()), bcs::to_bytes(object)?.as_slice()).map_err(database)?;
    let versions = table.range((id, 0)..=(id, u64::MAX)).map_err(database)?;
    let versions: Vec<_> = versions
        .map(|entry| entry.map(|(key, _)| key.value()).map_err(database))
        .collect::<Result<_, _>>()?;
    let old = versions.len().saturating_sub(VERSIONS_KEPT);
    for key in versions.into_iter().take(old) {
        table.remove(key).map_err(database)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_layout_before_is_refused_and_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.redb");
        let before = Database::create(&path).unwrap();
        let write = before.begin_write().unwrap();
        write.open_table(META).unwrap().insert(SCHEMA, &[5][..]).unwrap();
        write.commit().unwrap();
        drop(before);
        for _again in 0..2 {
            assert!(matches!(Store::open(&path), Err(StoreError::Schema)));
        }
    }
}
