//! What must go because its paid time is over, found without going through everything.
//!
//! Promises: every blob with objects has a row in `DUE` for an epoch not later than the one in which something of it
//! has to go: its content at its last end, its objects [`KEPT_EPOCHS`] after that. A row means "look at this blob", no
//! more: what is removed is decided by the objects there are, so rows that came too early or are out of date do no
//! harm. Does not: touch blobs without objects, which are pending, or verdicts of invalid blobs, which are final.
//!
//! ```text
//! registered, extended      -> due at the object's end
//! one of several deleted    -> due at once: the others may have ended long ago
//! bytes arrive              -> due at the last end, in case the blob expired while they were under way
//! looked at, still covered  -> due at the last end
//! looked at, just over      -> content goes, due KEPT_EPOCHS after the last end
//! looked at, long over      -> objects go too
//! ```

use haulout_protocol::epoch::Epoch;
use redb::ReadableTable;

use crate::blobs;
use crate::content::{self, REMOVE_BLOBS_MAX, Removed};
use crate::due::set_due;
use crate::error::StoreError;
use crate::tables::{self, BlobKey, DueKey, ObjectKey, Tables};

/// Epochs for which the objects of an expired blob stay known after the last of them ended.
pub const KEPT_EPOCHS: u32 = 64;

/// Removes what is over in that epoch, a bounded number of blobs at once.
pub(crate) fn expire(tables: &mut Tables<'_>, epoch: Epoch) -> Result<Removed, StoreError> {
    let mut due = Vec::new();
    let end = tables::due_key(epoch.0, &[0xff; 32]);
    for row in tables.due.range::<&DueKey>(..=&end)?.take(REMOVE_BLOBS_MAX + 1) {
        due.push(*row?.0.value());
    }
    let mut removed = Removed::default();
    for (count, key) in due.iter().enumerate() {
        if removed.is_enough(count) {
            removed.more = true;
            break;
        }
        tables.due.remove(key)?;
        look_at(tables, &tables::blob_of_due(key), epoch, &mut removed)?;
    }
    Ok(removed)
}

/// Removes what is over of one blob. If something of it stays it is due again, later than `epoch`.
fn look_at(
    tables: &mut Tables<'_>,
    blob: &BlobKey,
    epoch: Epoch,
    removed: &mut Removed,
) -> Result<(), StoreError> {
    let (count, last_end) = blobs::count_and_end(tables, blob)?;
    removed.rows = removed.rows.saturating_add(count);
    let Some(last_end) = last_end else { return Ok(()) };
    if epoch.0 < last_end {
        return set_due(tables, blob, Epoch(last_end));
    }
    // Not pending, because objects stand for it: only the one total changes.
    content::remove(tables, blob, removed)?;
    let kept_until = last_end.saturating_add(KEPT_EPOCHS);
    if epoch.0 < kept_until {
        debug_assert!(tables.content.get(blob)?.is_none(), "what is over is not held");
        return set_due(tables, blob, Epoch(kept_until));
    }
    let objects = tables::objects_of(blob);
    tables.objects.retain_in::<&ObjectKey, _>(tables::keys(&objects), |_, _| false)?;
    Ok(())
}

#[cfg(test)]
mod tests;
