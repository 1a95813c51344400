//! The shards this node has: one row each, with what is missing of it.
//!
//! Promises: a shard is *held* only because the caller said so; changes that were given together happen together. Does
//! not: know who is assigned what, look at slivers, or remove those of a shard that was given up.

use std::collections::BTreeMap;

use haulout_protocol::epoch::Epoch;
use haulout_protocol::sliver::ShardIndex;
use redb::{ReadTransaction, ReadableTable};

use crate::error::StoreError;
use crate::tables::{SHARDS, Tables};

/// How much of a shard is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardState {
    /// Everything the network stored before is here.
    Held,
    /// Assigned since that epoch; its older slivers are not here.
    Missing {
        /// First epoch in which the shard was this node's.
        since: Epoch,
    },
}

impl ShardState {
    /// Reads a row of `SHARDS`.
    fn from_row(since: Option<u32>) -> Self {
        since.map_or(ShardState::Held, |since| ShardState::Missing { since: Epoch(since) })
    }

    /// The row of `SHARDS` for it.
    fn as_row(self) -> Option<u32> {
        match self {
            ShardState::Held => None,
            ShardState::Missing { since } => Some(since.0),
        }
    }
}

/// Every shard this node has.
pub(crate) fn read(view: &ReadTransaction) -> Result<BTreeMap<ShardIndex, ShardState>, StoreError> {
    let mut shards = BTreeMap::new();
    for row in view.open_table(SHARDS)?.iter()? {
        let (shard, since) = row?;
        shards.insert(ShardIndex(shard.value()), ShardState::from_row(since.value()));
    }
    Ok(shards)
}

/// Writes the changes in order. Writing them twice changes nothing.
pub(crate) fn set(
    tables: &mut Tables<'_>,
    changes: &[(ShardIndex, Option<ShardState>)],
) -> Result<(), StoreError> {
    for (shard, state) in changes {
        match state {
            Some(state) => drop(tables.shards.insert(shard.0, state.as_row())?),
            None => drop(tables.shards.remove(shard.0)?),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
