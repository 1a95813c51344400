//! The shards of which this node has something: one row each, with what it has.
//!
//! Promises: a shard is *held* only because the caller said so, or because a look at everything that could be missing of it
//! found nothing; changes that were given together happen together; a shard that is ours is not removed. Does not: know who is
//! assigned what, or look at slivers.
//!
//! ```text
//! gained   -> missing: every certified blob is noted, and looked at until nothing of it is missing
//! filled   -> held
//! lost     -> locked: readers still have it, nobody fetches what is missing of it
//! released -> leaving: no row here any more, its slivers go; see `leaving.rs`
//! back     -> missing or held again, from whichever of these it was
//! ```

use std::collections::BTreeMap;

use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::epoch_change::Holding;
use haulout_protocol::sliver::ShardIndex;
use redb::{ReadTransaction, ReadableTable};

use crate::error::StoreError;
use crate::tables::{SHARD_STATES, Tables};
use crate::wanting;

/// States as rows name them.
const HELD: u8 = 0;
const MISSING: u8 = 1;
const LOCKED: u8 = 2;

/// Reads a row of `SHARD_STATES`.
fn from_row((state, since): (u8, u32)) -> Result<Holding, StoreError> {
    let since = Epoch(since);
    match state {
        HELD => Ok(Holding::Held),
        MISSING => Ok(Holding::Missing { since }),
        LOCKED => Ok(Holding::Locked { since }),
        _ => Err(StoreError::Corrupt { what: format!("the state {state} of a shard") }),
    }
}

/// The row of `SHARD_STATES` for it.
pub(crate) fn as_row(holding: Holding) -> (u8, u32) {
    match holding {
        Holding::Held => (HELD, 0),
        Holding::Missing { since } => (MISSING, since.0),
        Holding::Locked { since } => (LOCKED, since.0),
    }
}

/// Every shard of which this node has something and has not begun to remove it.
pub(crate) fn read(view: &ReadTransaction) -> Result<BTreeMap<ShardIndex, Holding>, StoreError> {
    let mut shards = BTreeMap::new();
    for row in view.open_table(SHARD_STATES)?.iter()? {
        let (shard, state) = row?;
        shards.insert(ShardIndex(shard.value()), from_row(state.value())?);
    }
    Ok(shards)
}

/// Writes the changes in order. Writing them twice changes nothing.
pub(crate) fn set(
    tables: &mut Tables<'_>,
    changes: &[(ShardIndex, Option<Holding>)],
) -> Result<(), StoreError> {
    let mut is_new = false;
    for (shard, state) in changes {
        let before = match state {
            Some(state) => {
                // What is left of it stays.
                tables.leaving.remove(shard.0)?;
                tables.shard_states.insert(shard.0, as_row(*state))?
            }
            None => tables.shard_states.remove(shard.0)?,
        };
        let before = before.map(|before| from_row(before.value())).transpose()?;
        let was_ours = before.is_some_and(|before| before.is_ours());
        is_new |= !was_ours && state.is_some_and(|state| state.is_ours());
        // Nor was it looked at by whoever believed that it was whole.
        let is_missing = |state: Option<Holding>| matches!(state, Some(Holding::Missing { .. }));
        is_new |= is_missing(*state) && !is_missing(before);
    }
    // What was looked at was looked at without it.
    if is_new { wanting::note_all(tables) } else { Ok(()) }
}

/// Nothing is missing of these shards; those that changed since somebody looked stay as they are.
pub(crate) fn fill(
    tables: &mut Tables<'_>,
    shards: &[(ShardIndex, Epoch)],
) -> Result<(), StoreError> {
    for (shard, since) in shards {
        let missing = as_row(Holding::Missing { since: *since });
        let is_same = tables.shard_states.get(shard.0)?.is_some_and(|row| row.value() == missing);
        if is_same {
            tables.shard_states.insert(shard.0, as_row(Holding::Held))?;
        }
    }
    Ok(())
}

/// A shard's row goes, because what is stored of it will.
///
/// # Errors
/// It is ours.
pub(crate) fn give_up(tables: &mut Tables<'_>, shard: ShardIndex) -> Result<(), StoreError> {
    let state = tables.shard_states.get(shard.0)?.map(|row| from_row(row.value())).transpose()?;
    if state.is_some_and(|state| state.is_ours()) {
        return Err(StoreError::ShardInUse { shard });
    }
    tables.shard_states.remove(shard.0)?;
    Ok(())
}

#[cfg(test)]
mod tests;
