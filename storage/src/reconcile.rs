//! At start: makes the bundle files and the index agree again after a crash.
//!
//! Promises: files no row points to go (they were never acknowledged, or their rows were deleted); slivers whose file is
//! gone or shorter than promised are forgotten, so that the node knows it misses them. Does not: read the bytes;
//! every later read checks those.

use redb::{Database, Durability, ReadableDatabase, ReadableTable};

use crate::bundles::Bundles;
use crate::error::StoreError;
use crate::slivers;
use crate::tables::{BUNDLES, Tables};

/// Compares and repairs; writes only if something was lost.
pub(crate) fn run(database: &Database, bundles: &Bundles) -> Result<(), StoreError> {
    let view = database.begin_read()?;
    let table = view.open_table(BUNDLES)?;
    let last = table.last()?.map_or(0, |(id, _)| id.value());
    let mut files = bundles.all(last)?;
    let mut lost = Vec::new();
    for row in table.iter()? {
        let (id, row) = row?;
        let (id, (_, expected, _)) = (id.value(), row.value());
        match files.remove(&id) {
            Some(length) if length >= expected => {}
            Some(_) | None => lost.push(id),
        }
    }
    let orphans = files.len();
    files.into_keys().for_each(|id| bundles.remove(id));
    if orphans > 0 {
        tracing::info!(orphans, "removed bundles left behind by an interrupted write or delete");
    }
    drop(table);
    drop(view);
    if !lost.is_empty() {
        tracing::warn!(
            bundles = lost.len(),
            "bundles are gone or short; their slivers are missing"
        );
        forget_lost(database, &lost)?;
        lost.iter().for_each(|id| bundles.remove(*id));
    }
    Ok(())
}

fn forget_lost(database: &Database, lost: &[u64]) -> Result<(), StoreError> {
    let mut transaction = database.begin_write()?;
    let durable = transaction.set_durability(Durability::Immediate);
    durable.map_err(|error| StoreError::from(redb::Error::from(error)))?;
    transaction.set_quick_repair(true);
    {
        let mut tables = Tables::open(&transaction)?;
        for id in lost {
            slivers::forget_bundle(&mut tables, *id)?;
        }
    }
    transaction.commit()?;
    Ok(())
}
