//! Notes of blobs to look at, because something of them may be missing here.
//!
//! Promises: each note has a number, and who looked at a blob takes back only the note that had it looked at. Does not: look;
//! that is `missing.rs`, which says what notes are for.

use redb::ReadableTable;

use crate::error::StoreError;
use crate::tables::{self, BlobKey, Tables, meta};

/// Has the blob looked at.
pub(crate) fn note(tables: &mut Tables<'_>, blob: &BlobKey) -> Result<(), StoreError> {
    let number = next_number(tables)?;
    let old = tables.wanting.insert(blob, number)?;
    debug_assert!(old.is_none_or(|old| old.value() < number), "notes are numbered in their order");
    Ok(())
}

/// The number of the next note.
fn next_number(tables: &mut Tables<'_>) -> Result<u64, StoreError> {
    let notes = tables.meta.get(meta::NOTES)?.map_or(0, |notes| notes.value()).saturating_add(1);
    tables.meta.insert(meta::NOTES, notes)?;
    Ok(notes)
}

/// Forgets notes of blobs that were found whole, but not those that came after the look.
pub(crate) fn settle(tables: &mut Tables<'_>, blobs: &[(BlobKey, u64)]) -> Result<(), StoreError> {
    for (blob, note) in blobs {
        let is_same = tables.wanting.get(blob)?.is_some_and(|now| now.value() == *note);
        if is_same {
            tables.wanting.remove(blob)?;
        }
    }
    Ok(())
}

/// Notes every certified blob: nothing says which of them are whole.
pub(crate) fn note_all(tables: &mut Tables<'_>) -> Result<(), StoreError> {
    let number = next_number(tables)?;
    let mut last = None;
    let certified = tables.objects.iter()?.map(|row| {
        let (key, row) = row?;
        Ok::<_, StoreError>(row.value().4.map(|_| tables::blob_of_object(key.value())))
    });
    for blob in certified {
        let Some(blob) = blob? else { continue };
        if last != Some(blob) {
            tables.wanting.insert(&blob, number)?;
            last = Some(blob);
        }
    }
    Ok(())
}
