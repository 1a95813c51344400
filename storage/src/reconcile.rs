//! At start: makes the bundle files and the index agree again after a crash.
//!
//! Promises: files no row points to go (they were never acknowledged, or their rows were deleted); slivers whose file is
//! gone or shorter than promised are forgotten, so that the node knows it misses them. Does not: read the bytes;
//! every later read checks those.

use redb::{Database, Durability, ReadTransaction, ReadableTable};

use crate::bundles::Bundles;
use crate::error::StoreError;
use crate::index::Index;
use crate::slivers;
use crate::tables::{BUNDLES, Tables};

/// Compares and repairs; writes only if something was lost.
pub(crate) fn run(index: &Index, bundles: &Bundles) -> Result<(), StoreError> {
    let Compared { lost, orphans } = index.read(|view| compare(view, bundles))?;
    orphans.iter().for_each(|id| bundles.remove(*id));
    if !orphans.is_empty() {
        let orphans = orphans.len();
        tracing::info!(orphans, "removed bundles left behind by an interrupted write or delete");
    }
    if !lost.is_empty() {
        tracing::warn!(
            bundles = lost.len(),
            "bundles are gone or short; their slivers are missing"
        );
        index.pass(|database| forget_lost(database, &lost))?;
        lost.iter().for_each(|id| bundles.remove(*id));
    }
    Ok(())
}

/// Bundles that are on one side only.
struct Compared {
    /// Those that the index knows, but whose file is gone or short.
    lost: Vec<u64>,
    /// Files that no row points to.
    orphans: Vec<u64>,
}

fn compare(view: &ReadTransaction, bundles: &Bundles) -> Result<Compared, StoreError> {
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
    Ok(Compared { lost, orphans: files.into_keys().collect() })
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
