//! Opening the index database: creating it, knowing its version, refusing what is not ours.
//!
//! Promises: a database under its final name is complete and has a version; the version before is taken over; one that is
//! damaged, of any other version or missing while bundles exist is refused, and no file is removed. Does not: fetch again what a damaged or older store held: a node that starts over begins empty.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::epoch_change::Holding;
use redb::{
    Builder, Database, Durability, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, TableError, WriteTransaction,
};

use crate::bundles::Bundles;
use crate::error::StoreError;
use crate::files::Files;
use crate::order;
use crate::shards;
use crate::tables::{META, Tables, meta};
use crate::wanting;

/// Version of the layout in `tables.rs` and of the bundle files. 7 brought the order of certification. 6 brought states of shards that are more than
/// held or missing, and holes in bundles. 5 brought `WANTING`. Version 4 brought pair proofs in place
/// of sliver indexes, and short blobs; it is the first that later versions take over, and a store of before, which has no
/// proofs for its slivers, is refused.
const SCHEMA: u64 = 7;
/// The oldest version that is taken over.
const SCHEMA_OLDEST: u64 = 4;

/// Shards as versions 4 and 5 had them: since when their older slivers are missing, if they are.
const SHARDS_OF_5: TableDefinition<'static, u16, Option<u32>> = TableDefinition::new("shards");

/// Opens the database of a data directory, or creates it where there is no store yet.
pub(crate) fn open(
    directory: &Path,
    cache_bytes: usize,
    files: &Files,
) -> Result<Database, StoreError> {
    let path = directory.join("index.redb");
    if !path.exists() {
        if Bundles::exist_in(directory)? {
            return Err(damaged(&path, "the index is missing, but bundles of slivers exist"));
        }
        create(directory, &path, cache_bytes, files)?;
    }
    // redb checks little before it trusts a file; a damaged one may make it panic.
    let opened = catch_unwind(|| Builder::new().set_cache_size(cache_bytes).open(&path));
    let database = match opened {
        Ok(Ok(database)) => database,
        Ok(Err(error)) => return Err(damaged(&path, error)),
        Err(_) => return Err(damaged(&path, "it is not a valid redb file")),
    };
    match catch_unwind(AssertUnwindSafe(|| check_version(&database))) {
        Ok(Err(StoreError::Corrupt { what })) => Err(damaged(&path, what)),
        Ok(checked) => checked.map(|()| database),
        Err(_) => Err(damaged(&path, "its tables cannot be read")),
    }
}

/// Makes a new database in the backend.
pub(crate) fn create_in(
    backend: impl StorageBackend,
    cache_bytes: usize,
) -> Result<Database, StoreError> {
    let created = Builder::new().set_cache_size(cache_bytes).create_with_backend(backend);
    let database = created.map_err(|error| StoreError::from(redb::Error::from(error)))?;
    initialise(&database)?;
    Ok(database)
}

/// Creates beside and renames, so that a crash in between leaves no half-made index under the final name.
fn create(
    directory: &Path,
    path: &Path,
    cache_bytes: usize,
    files: &Files,
) -> Result<(), StoreError> {
    let new = directory.join("index.redb.new");
    files.remove(&new)?;
    let file = files.create(&new)?;
    let created = Builder::new().set_cache_size(cache_bytes).create(&new);
    let database = created.map_err(|error| StoreError::from(redb::Error::from(error)))?;
    initialise(&database)?;
    drop(database);
    // What redb wrote when it closed the file is to be there as well.
    files.sync(&file, &new)?;
    files.rename(&new, path)?;
    files.sync_folder(directory)
}

/// Every table that is not there yet, empty, and the version.
fn initialise(database: &Database) -> Result<(), StoreError> {
    change(database, |tables| {
        tables.meta.insert(meta::SCHEMA, SCHEMA)?;
        Ok(())
    })
}

/// One durable transaction over all tables; those that are not there yet are made.
fn change(
    database: &Database,
    change: impl FnOnce(&mut Tables<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let transaction = begin(database)?;
    change(&mut Tables::open(&transaction)?)?;
    transaction.commit()?;
    Ok(())
}

/// Begins a durable transaction.
fn begin(database: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database.begin_write()?;
    let durable = transaction.set_durability(Durability::Immediate);
    durable.map_err(|error| StoreError::from(redb::Error::from(error)))?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Takes over what an older version wrote.
fn check_version(database: &Database) -> Result<(), StoreError> {
    let view = database.begin_read()?;
    let found = match view.open_table(META) {
        Ok(table) => table.get(meta::SCHEMA)?.map(|version| version.value()),
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => None,
    };
    drop(view);
    match found {
        Some(SCHEMA) => Ok(()),
        Some(older @ SCHEMA_OLDEST..SCHEMA) => take_over(database, older),
        found => Err(StoreError::UnknownSchema { found: found.unwrap_or(0), supported: SCHEMA }),
    }
}

/// Makes a store of an older version one of this version, in one transaction.
fn take_over(database: &Database, older: u64) -> Result<(), StoreError> {
    let transaction = begin(database)?;
    let states = if older < 6 { take_states(&transaction)? } else { Vec::new() };
    {
        let mut tables = Tables::open(&transaction)?;
        for (shard, holding) in states {
            tables.shard_states.insert(shard, shards::as_row(holding))?;
        }
        if older < 6 {
            // Until then nobody looked for what is missing of shards that are not held.
            wanting::note_all(&mut tables)?;
        }
        order::take_over(&mut tables)?;
        tables.meta.insert(meta::SCHEMA, SCHEMA)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Shards as versions 4 and 5 had them; their table goes.
fn take_states(transaction: &WriteTransaction) -> Result<Vec<(u16, Holding)>, StoreError> {
    let mut states = Vec::new();
    for row in transaction.open_table(SHARDS_OF_5)?.iter()? {
        let (shard, since) = row?;
        let missing = |since| Holding::Missing { since: Epoch(since) };
        states.push((shard.value(), since.value().map_or(Holding::Held, missing)));
    }
    transaction.delete_table(SHARDS_OF_5)?;
    Ok(states)
}

fn damaged(path: &Path, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { path: PathBuf::from(path), reason: reason.to_string() }
}

#[cfg(test)]
mod tests;
