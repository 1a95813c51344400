//! The shards this node has: one row each, with what is missing of it.
//!
//! Promises: a shard is *held* only because the caller said so; changes that were given together happen together. Does
//! not: know who is assigned what, look at slivers, or remove those of a shard that was given up.

use std::collections::BTreeMap;

use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::epoch_change::Holding;
use haulout_protocol::sliver::ShardIndex;
use redb::{ReadTransaction, ReadableTable};

use crate::error::StoreError;
use crate::tables::{SHARDS, Tables};
use crate::wanting;

/// Reads a row of `SHARDS`: the epoch since which a shard is missing, if it is.
fn from_row(since: Option<u32>) -> Holding {
    since.map_or(Holding::Held, |since| Holding::Missing { since: Epoch(since) })
}

/// The row of `SHARDS` for it.
fn as_row(holding: Holding) -> Option<u32> {
    match holding {
        Holding::Held => None,
        Holding::Missing { since } => Some(since.0),
    }
}

/// Every shard this node has.
pub(crate) fn read(view: &ReadTransaction) -> Result<BTreeMap<ShardIndex, Holding>, StoreError> {
    let mut shards = BTreeMap::new();
    for row in view.open_table(SHARDS)?.iter()? {
        let (shard, since) = row?;
        shards.insert(ShardIndex(shard.value()), from_row(since.value()));
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
            Some(state) => tables.shards.insert(shard.0, as_row(*state))?,
            None => tables.shards.remove(shard.0)?,
        };
        let was_held = before.is_some_and(|before| from_row(before.value()) == Holding::Held);
        is_new |= !was_held && *state == Some(Holding::Held);
    }
    // What was looked at was looked at without it.
    if is_new { wanting::note_all(tables) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
