//! When a blob is to be looked at because something of it may have to go.
//!
//! Promises: what has objects can be given a row in `DUE` for each epoch that matters. Does not: look, or remove; that is
//! `expiry.rs`, which says when rows come and go.

use haulout_protocol::epoch::Epoch;

use crate::blobs;
use crate::error::StoreError;
use crate::tables::{self, BlobKey, Tables};

/// Has the blob looked at by the first [`expire`](crate::Store::expire) of that epoch or a later one.
pub(crate) fn set_due(
    tables: &mut Tables<'_>,
    blob: &BlobKey,
    epoch: Epoch,
) -> Result<(), StoreError> {
    tables.due.insert(&tables::due_key(epoch.0, blob), ())?;
    Ok(())
}

/// Has the blob looked at when its last object ends, or next time if that is over; whether it has any.
///
/// Usually that is known already; but not if what arrives now was under way when the blob expired.
pub(crate) fn watch(tables: &mut Tables<'_>, blob: &BlobKey) -> Result<bool, StoreError> {
    let (_, last_end) = blobs::count_and_end(tables, blob)?;
    let Some(last_end) = last_end else { return Ok(false) };
    set_due(tables, blob, Epoch(last_end))?;
    Ok(true)
}
