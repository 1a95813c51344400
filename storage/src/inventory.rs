//! Counting what should be here and is not, and what is here and is not what was written.
//!
//! Promises: one pass over one snapshot, in the memory of one row; a blob whose first bytes came lately is not called
//! incomplete, because its writer may be at it. Does not: read slivers' bytes (a damaged one is known once a read found
//! it), or fetch what is missing.

use haulout_protocol::epoch::Epoch;
use haulout_protocol::sliver::ShardIndex;
use redb::{ReadTransaction, ReadableTable};

use crate::census::{self, Standing};
use crate::error::StoreError;
use crate::short;
use crate::slivers::{self, SliverRow};
use crate::tables::{self, BlobKey, CONTENT, HEADERS, INVALID, SLIVERS};

/// What an inventory is of.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    /// The epoch in which blobs must be live.
    pub epoch: Epoch,
    /// The shards whose slivers should be here.
    pub shards: &'a [ShardIndex],
    /// Blobs whose first bytes came since then, in milliseconds of the writers' clock, may still be on their way.
    pub arriving_since_ms: u64,
}

/// What there is and what there is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Live certified blobs.
    pub certified: u64,
    /// Those of them of which a header, or a proof or sliver of the shards is not here, or is damaged.
    pub incomplete: u64,
    /// Slivers that a read found to be other bytes than were written, whatever blob they are of, and headers, pair proofs and
    /// certificates that are so still.
    pub rotten: u64,
}

/// Takes it; `segments_of` says how many segments a blob of so many bytes has.
pub(crate) fn take(
    view: &ReadTransaction,
    scope: &Scope<'_>,
    segments_of: impl Fn(u64) -> u64,
) -> Result<Inventory, StoreError> {
    let (invalid, content) = (view.open_table(INVALID)?, view.open_table(CONTENT)?);
    let shards = slivers::sorted(scope.shards);
    let mut inventory = Inventory::default();
    census::each_blob(view, scope.epoch, |standing| {
        let Standing { blob, live_bytes: Some(bytes), .. } = standing else { return Ok(()) };
        if invalid.get(blob)?.is_some() {
            return Ok(());
        }
        inventory.certified += 1;
        let since_ms = content.get(blob)?.map(|row| row.value().1);
        let is_arriving = since_ms.is_some_and(|since_ms| since_ms >= scope.arriving_since_ms);
        if !shards.is_empty()
            && !is_arriving
            && !is_complete(view, blob, segments_of(*bytes), &shards)?
        {
            inventory.incomplete += 1;
        }
        Ok(())
    })?;
    for row in view.open_table(SLIVERS)?.iter()? {
        inventory.rotten += u64::from(SliverRow::from_tuple(row?.1.value()).damaged);
    }
    Ok(inventory)
}

/// Whether everything of a blob is here that should be.
fn is_complete(
    view: &ReadTransaction,
    blob: &BlobKey,
    segments: u64,
    shards: &[ShardIndex],
) -> Result<bool, StoreError> {
    if view.open_table(HEADERS)?.get(blob)?.is_none() {
        return short::holds(view, blob, shards);
    }
    // More than there can be are not here.
    let Ok(segments) = u32::try_from(segments) else { return Ok(false) };
    for segment in 0..segments {
        if !slivers::segment_is_complete(view, &tables::segment_key(blob, segment), shards)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
