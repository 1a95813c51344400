//! Opening the index database: creating it, knowing its version, refusing what is not ours.
//!
//! Promises: a database under its final name is complete and has a version; the version before is taken over; one that is
//! damaged, of any other version or missing while bundles exist is refused, and no file is removed. Does not: fetch again what a damaged or older store held: a node that starts over begins empty.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::epoch_change::Holding;
use redb::backends::FileBackend;
use redb::{
    Database, Durability, ReadTransaction, ReadableTable, StorageBackend, TableDefinition,
    TableError, WriteTransaction,
};

use crate::bundles::Bundles;
use crate::error::StoreError;
use crate::files::Files;
use crate::index::Index;
use crate::order;
use crate::shards;
use crate::tables::{CONTENT, META, Tables, meta};
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

/// Opens the index of a data directory, or creates it where there is no store yet.
pub(crate) fn open(
    directory: &Path,
    cache_bytes: usize,
    files: &Files,
) -> Result<Index, StoreError> {
    let path = directory.join("index.redb");
    if !path.exists() {
        if Bundles::exist_in(directory)? {
            return Err(damaged(&path, "the index is missing, but bundles of slivers exist"));
        }
        create(directory, &path, cache_bytes, files)?;
    }
    let file = OpenOptions::new().read(true).write(true).open(&path);
    let file = file.map_err(StoreError::io("open", &path))?;
    let length = file.metadata().map_err(StoreError::io("read", &path))?.len();
    if length == 0 {
        // redb would make a new database of it.
        return Err(damaged(&path, "it is empty"));
    }
    let index = open_file(file, cache_bytes, directory).map_err(|error| match error {
        StoreError::Database { source } => damaged(&path, source),
        error => as_damaged(directory, error),
    })?;
    let checked = check_version(&index);
    checked.map(|()| index).map_err(|error| as_damaged(directory, error))
}

fn open_file(file: File, cache_bytes: usize, directory: &Path) -> Result<Index, StoreError> {
    let backend = FileBackend::new(file).map_err(redb::Error::from)?;
    Index::open_in(backend, cache_bytes, directory)
}

/// What stops the opening of the store in that directory, if it is the index.
pub(crate) fn as_damaged(directory: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::DamagedIndex { reason } => damaged(&directory.join("index.redb"), reason),
        error => error,
    }
}

/// Opens the index in the backend, or makes a new one if that is empty.
pub(crate) fn create_in(
    backend: impl StorageBackend,
    cache_bytes: usize,
) -> Result<Index, StoreError> {
    let index = Index::open_in(backend, cache_bytes, Path::new("memory"))?;
    initialise(&index)?;
    Ok(index)
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
    let database = OpenOptions::new().read(true).write(true).open(&new);
    let index = open_file(database.map_err(StoreError::io("open", &new))?, cache_bytes, directory)?;
    initialise(&index)?;
    drop(index);
    // What redb wrote when it closed the file is to be there as well.
    files.sync(&file, &new)?;
    files.rename(&new, path)?;
    files.sync_folder(directory)
}

/// Every table that is not there yet, empty, and the version; in one durable transaction.
fn initialise(index: &Index) -> Result<(), StoreError> {
    index.pass(|database| {
        let transaction = begin(database)?;
        Tables::open(&transaction)?.meta.insert(meta::SCHEMA, SCHEMA)?;
        transaction.commit()?;
        Ok(())
    })
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
fn check_version(index: &Index) -> Result<(), StoreError> {
    match index.read(read_version)? {
        Some(SCHEMA) => Ok(()),
        Some(older @ SCHEMA_OLDEST..SCHEMA) => index.pass(|database| take_over(database, older)),
        found => Err(StoreError::UnknownSchema { found: found.unwrap_or(0), supported: SCHEMA }),
    }
}

/// The version; nothing in what no version of ours wrote.
fn read_version(view: &ReadTransaction) -> Result<Option<u64>, StoreError> {
    let gone = || StoreError::DamagedIndex { reason: "its version is gone".to_owned() };
    match view.open_table(META) {
        Ok(table) => table.get(meta::SCHEMA)?.map(|version| Some(version.value())).ok_or_else(gone),
        // Somebody else's, or one whose table of numbers lost its name.
        Err(TableError::TableDoesNotExist(_)) => match view.open_table(CONTENT) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            _ => Err(gone()),
        },
        Err(error) => Err(error.into()),
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
