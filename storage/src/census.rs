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

/// What the rows of one blob said so far.
struct Standing {
    blob: BlobKey,
    /// Whether a certified object covers the blob.
    is_live: bool,
    first_certified: Option<u32>,
}

impl Standing {
    fn new(blob: BlobKey) -> Self {
        Standing { blob, is_live: false, first_certified: None }
    }

    fn add(&mut self, row: ObjectRow, epoch: Epoch) {
        let (_, end, _, _, Some(certified)) = row else { return };
        self.is_live |= epoch.0 < end;
        self.first_certified =
            Some(self.first_certified.map_or(certified, |first| first.min(certified)));
    }
}

/// Counts.
pub(crate) fn take(view: &ReadTransaction, epoch: Epoch) -> Result<Census, StoreError> {
    let (invalid, content) = (view.open_table(INVALID)?, view.open_table(CONTENT)?);
    let mut census = Census::default();
    let mut count = |standing: &Standing| -> Result<(), StoreError> {
        if standing.is_live && invalid.get(&standing.blob)?.is_none() {
            let is_earlier = standing.first_certified.is_some_and(|first| first < epoch.0);
            census.earlier += u64::from(is_earlier);
            census.absent += u64::from(content.get(&standing.blob)?.is_none());
        }
        Ok(())
    };
    // Rows of one blob are neighbours.
    let mut current: Option<Standing> = None;
    for row in view.open_table(OBJECTS)?.iter()? {
        let (key, row) = row?;
        let blob = tables::blob_of_object(key.value());
        let standing = match &mut current {
            Some(standing) if standing.blob == blob => standing,
            other => {
                other.as_ref().map_or(Ok(()), &mut count)?;
                other.insert(Standing::new(blob))
            }
        };
        standing.add(row.value(), epoch);
    }
    current.as_ref().map_or(Ok(()), &mut count)?;
    Ok(census)
}

#[cfg(test)]
mod tests;
