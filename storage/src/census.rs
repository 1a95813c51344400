//! Counting the blobs the network answers for, to know whether a newly assigned shard ought to contain anything.
//!
//! Promises: one pass over one snapshot, in the memory of one row, whatever the chain said; counts by the same rule as
//! [`BlobRecord`](crate::BlobRecord). Does not: name the blobs, or look at which slivers are there.

use haulout_protocol::epoch::Epoch;
use redb::{ReadTransaction, ReadableTable};

use crate::error::StoreError;
use crate::tables::{self, BlobKey, INVALID, OBJECTS, ObjectRow};

/// How many blobs the network answers for in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Live certified blobs that are not invalid.
    pub live: u64,
}

/// What the rows of one blob said.
pub(crate) struct Standing {
    /// The blob.
    pub(crate) blob: BlobKey,
    /// The blob's length as a certified object says that covers it; nothing if none does.
    pub(crate) live_bytes: Option<u64>,
}

impl Standing {
    fn new(blob: BlobKey) -> Self {
        Standing { blob, live_bytes: None }
    }

    fn add(&mut self, row: ObjectRow, epoch: Epoch) {
        let (_, end, bytes, _, Some(_)) = row else { return };
        if epoch.0 < end {
            self.live_bytes = Some(bytes);
        }
    }
}

/// Counts.
pub(crate) fn take(view: &ReadTransaction, epoch: Epoch) -> Result<Census, StoreError> {
    let invalid = view.open_table(INVALID)?;
    let mut census = Census::default();
    each_blob(view, epoch, |standing| {
        if standing.live_bytes.is_some() && invalid.get(&standing.blob)?.is_none() {
            census.live += 1;
        }
        Ok(())
    })?;
    Ok(census)
}

/// Hands over what the rows of each blob say for that epoch, one blob after the other.
pub(crate) fn each_blob(
    view: &ReadTransaction,
    epoch: Epoch,
    mut each: impl FnMut(&Standing) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    // Rows of one blob are neighbours.
    let mut current: Option<Standing> = None;
    for row in view.open_table(OBJECTS)?.iter()? {
        let (key, row) = row?;
        let blob = tables::blob_of_object(key.value());
        let standing = match &mut current {
            Some(standing) if standing.blob == blob => standing,
            other => {
                other.as_ref().map_or(Ok(()), &mut each)?;
                other.insert(Standing::new(blob))
            }
        };
        standing.add(row.value(), epoch);
    }
    current.as_ref().map_or(Ok(()), &mut each)
}

#[cfg(test)]
mod tests;
