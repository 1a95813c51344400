//! Where the store stands in the chain.
//!
//! Promises: the effects of a checkpoint, what it proves and the step past it are one transaction; a checkpoint takes effect once, and
//! none is skipped. Does not: check that the checkpoint is genuine.

use redb::ReadableTable;

use crate::effects::{self, BlobEffect};
use crate::error::StoreError;
use crate::ledger::{self, Proof};
use crate::tables::{Tables, event_key, meta};

/// Applies a checkpoint's effects if it is the next one; does nothing if it was applied before.
///
/// The first checkpoint ever may have any number: the caller decides where the story starts.
pub(crate) fn apply(
    tables: &mut Tables<'_>,
    checkpoint: u64,
    effects: &[BlobEffect],
    proof: &Proof,
) -> Result<(), StoreError> {
    let position = tables.meta.get(meta::CHECKPOINT)?.map(|position| position.value());
    if let Some(position) = position {
        if checkpoint <= position {
            return Ok(());
        }
        let expected = position.saturating_add(1);
        if checkpoint != expected {
            return Err(StoreError::Gap { expected, found: checkpoint });
        }
    }
    for (effect, number) in effects.iter().zip(0..) {
        effects::apply(tables, effect, &event_key(checkpoint, number))?;
    }
    ledger::write(tables, proof)?;
    tables.meta.insert(meta::CHECKPOINT, checkpoint)?;
    Ok(())
}
