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

/// Removes what is over in that epoch, a bounded number of blobs and rows at once.
pub(crate) fn expire(
    tables: &mut Tables<'_>,
    epoch: Epoch,
    rows_max: usize,
) -> Result<Removed, StoreError> {
    let mut due = Vec::new();
    let end = tables::due_key(epoch.0, &[0xff; 32]);
    for row in tables.due.range::<&DueKey>(..=&end)?.take(REMOVE_BLOBS_MAX + 1) {
        due.push(*row?.0.value());
    }
    let mut removed = Removed::nothing(rows_max);
    for (count, key) in due.iter().enumerate() {
        let is_for_later = count == REMOVE_BLOBS_MAX || removed.is_enough();
        if is_for_later || !look_at(tables, &tables::blob_of_due(key), epoch, &mut removed)? {
            removed.more = true;
            break;
        }
        // Whatever is due again is due after this epoch, so it has another row.
        tables.due.remove(key)?;
    }
    debug_assert!(
        removed.more || tables.due.range::<&DueKey>(..=&end)?.next().is_none(),
        "nothing that is due is left"
    );
    Ok(removed)
}

/// Removes what is over of one blob, as long as the transaction may; whether all of that is gone. If something of it stays
/// longer it is due again, later than `epoch`.
fn look_at(
    tables: &mut Tables<'_>,
    blob: &BlobKey,
    epoch: Epoch,
    removed: &mut Removed,
) -> Result<bool, StoreError> {
    let (count, last_end) = blobs::count_and_end(tables, blob)?;
    removed.rows = removed.rows.saturating_add(count);
    let Some(last_end) = last_end else { return Ok(true) };
    if epoch.0 < last_end {
        set_due(tables, blob, Epoch(last_end))?;
        return Ok(true);
    }
    // Not pending, because objects stand for it.
    if !content::remove(tables, blob, removed)? {
        return Ok(false);
    }
    let kept_until = last_end.saturating_add(KEPT_EPOCHS);
    if epoch.0 < kept_until {
        debug_assert!(tables.content.get(blob)?.is_none(), "what is over is not held");
        set_due(tables, blob, Epoch(kept_until))?;
        return Ok(true);
    }
    let objects = tables::objects_of(blob);
    tables.objects.retain_in::<&ObjectKey, _>(tables::keys(&objects), |_, _| false)?;
    Ok(true)
}

#[cfg(test)]
mod tests;
