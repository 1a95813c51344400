//! Counting the blobs the network answers for, to know what a newly assigned shard ought to contain.
//!
//! Promises: one pass over one snapshot, in the memory of one row, whatever the chain said; counts by the same rule as
//! [`BlobRecord`](crate::BlobRecord). Does not: name the blobs, or look at which slivers are there.

use haulout_protocol::epoch::Epoch;
use redb::{ReadTransaction, ReadableTable};

use crate::error::StoreError;
use crate::tables::{self, BlobKey, CONTENT, INVALID, OBJECTS, ObjectRow};

/// How many blobs the network answers for in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Live certified blobs that were first certified before that epoch. Expired objects that are still known count for
    /// "first": a blob that expired and was paid for again is an earlier one.
    pub earlier: u64,
    /// Live certified blobs of which nothing is stored here.
    pub absent: u64,
}

/// What the rows of one blob said.
pub(crate) struct Standing {
    /// The blob.
    pub(crate) blob: BlobKey,
    /// The blob's length as a certified object says that covers it; nothing if none does.
    pub(crate) live_bytes: Option<u64>,
    first_certified: Option<u32>,
}

impl Standing {
    fn new(blob: BlobKey) -> Self {
        Standing { blob, live_bytes: None, first_certified: None }
    }

    fn add(&mut self, row: ObjectRow, epoch: Epoch) {
        let (_, end, bytes, _, Some(certified)) = row else { return };
        if epoch.0 < end {
            self.live_bytes = Some(bytes);
        }
        self.first_certified =
            Some(self.first_certified.map_or(certified, |first| first.min(certified)));
    }
}

/// Counts.
pub(crate) fn take(view: &ReadTransaction, epoch: Epoch) -> Result<Census, StoreError> {
    let (invalid, content) = (view.open_table(INVALID)?, view.open_table(CONTENT)?);
    let mut census = Census::default();
    each_blob(view, epoch, |standing| {
        if standing.live_bytes.is_some() && invalid.get(&standing.blob)?.is_none() {
            let is_earlier = standing.first_certified.is_some_and(|first| first < epoch.0);
            census.earlier += u64::from(is_earlier);
            census.absent += u64::from(content.get(&standing.blob)?.is_none());
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
