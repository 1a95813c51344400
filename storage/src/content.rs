//! How many bytes of each blob are held, since when, and which of them nobody has paid for.
//!
//! Promises: a blob with bytes but no object on chain is *pending* from its first byte, or from when a writer came back for
//! it; totals change in the same
//! transaction as the bytes; bytes of a blob that has objects are due when those end. Does not: keep time (callers bring
//! theirs) or remove anything on its own.

use std::collections::BTreeSet;

use redb::{ReadTransaction, ReadableTable};

use crate::due;
use crate::error::StoreError;
use crate::places::{Place, SliverRow};
use crate::tables::{
    self, BlobKey, CONTENT, PENDING, PairKey, PendingKey, SliverKey, Tables, meta,
};

/// Blobs looked at in one transaction, so that others' writes are not held up for long.
pub(crate) const REMOVE_BLOBS_MAX: usize = 64;
/// Rows after which a transaction takes no further blob; one blob goes as a whole.
const REMOVE_ROWS_MAX: usize = 10_000;

/// What one transaction of removing did.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Bytes of content removed.
    pub(crate) bytes: u64,
    /// Slivers and objects gone through.
    pub(crate) rows: usize,
    /// Whether there is more to remove.
    pub(crate) more: bool,
    /// Bundles nothing points to any more.
    pub(crate) bundles: BTreeSet<u64>,
}

impl Removed {
    /// Whether the next blob, before which so many were looked at, is for another transaction.
    pub(crate) fn is_enough(&self, blobs: usize) -> bool {
        blobs >= REMOVE_BLOBS_MAX || self.rows >= REMOVE_ROWS_MAX
    }
}

/// Stores a certificate. It goes with the blob's content and is not counted.
pub(crate) fn put_certificate(
    tables: &mut Tables<'_>,
    blob: &BlobKey,
    bytes: &[u8],
) -> Result<(), StoreError> {
    tables.certificates.insert(blob, tables::seal(bytes).as_slice())?;
    due::watch(tables, blob).map(drop)
}

/// Notes that a blob's content grew and shrank by so many bytes.
pub(crate) fn account(
    tables: &mut Tables<'_>,
    blob: &BlobKey,
    added: u64,
    removed: u64,
    now_ms: u64,
) -> Result<(), StoreError> {
    let row = tables.content.get(blob)?.map(|row| row.value());
    let (bytes, since_ms) = row.unwrap_or((0, now_ms));
    let key = tables::pending_key(since_ms, blob);
    if row.is_none() && !due::watch(tables, blob)? {
        tables.pending.insert(&key, ())?;
    }
    let now = bytes.saturating_add(added);
    debug_assert!(removed <= now, "a blob loses no more bytes than it has");
    tables.content.insert(blob, (now.saturating_sub(removed), since_ms))?;
    add(tables, meta::CONTENT_BYTES, added, removed)?;
    if tables.pending.get(&key)?.is_some() {
        add(tables, meta::PENDING_BYTES, added, removed)?;
    }
    Ok(())
}

/// Forgets that there is something of a blob, if nothing is left.
pub(crate) fn forget_if_empty(tables: &mut Tables<'_>, blob: &BlobKey) -> Result<(), StoreError> {
    let row = tables.content.get(blob)?.map(|row| row.value());
    let Some((0, since_ms)) = row else { return Ok(()) };
    let slivers = tables::slivers_of(tables::segments_of(blob));
    if tables.slivers.range::<&SliverKey>(tables::keys(&slivers))?.next().is_some() {
        return Ok(()); // slivers without bytes
    }
    tables.content.remove(blob)?;
    if tables.pending.remove(&tables::pending_key(since_ms, blob))?.is_some() {
        tables.certificates.remove(blob)?;
    }
    Ok(())
}

/// Somebody paid for the blob: its bytes are no longer pending.
pub(crate) fn set_registered(tables: &mut Tables<'_>, blob: &BlobKey) -> Result<(), StoreError> {
    let Some((bytes, since_ms)) = tables.content.get(blob)?.map(|row| row.value()) else {
        return Ok(());
    };
    if tables.pending.remove(&tables::pending_key(since_ms, blob))?.is_some() {
        add(tables, meta::PENDING_BYTES, 0, bytes)?;
    }
    Ok(())
}

/// No object stands for the blob any more: its bytes, if any, are pending since the beginning of time.
pub(crate) fn set_unregistered(tables: &mut Tables<'_>, blob: &BlobKey) -> Result<(), StoreError> {
    let Some((bytes, since_ms)) = tables.content.get(blob)?.map(|row| row.value()) else {
        tables.certificates.remove(blob)?;
        tables.wanting.remove(blob)?;
        return Ok(());
    };
    if tables.pending.remove(&tables::pending_key(since_ms, blob))?.is_none() {
        add(tables, meta::PENDING_BYTES, bytes, 0)?;
    }
    tables.content.insert(blob, (bytes, 0))?;
    tables.pending.insert(&tables::pending_key(0, blob), ())?;
    Ok(())
}

/// Since when a blob's bytes are pending; nothing if there are none, or somebody pays for them.
pub(crate) fn pending_since(
    view: &ReadTransaction,
    blob: &BlobKey,
) -> Result<Option<u64>, StoreError> {
    let Some((_, since_ms)) = view.open_table(CONTENT)?.get(blob)?.map(|row| row.value()) else {
        return Ok(None);
    };
    let pending = view.open_table(PENDING)?.get(&tables::pending_key(since_ms, blob))?;
    Ok(pending.map(|_| since_ms))
}

/// A writer came back for the blob: what is pending of it is so from now on.
pub(crate) fn renew(
    tables: &mut Tables<'_>,
    blob: &BlobKey,
    now_ms: u64,
) -> Result<(), StoreError> {
    let Some((bytes, since_ms)) = tables.content.get(blob)?.map(|row| row.value()) else {
        return Ok(());
    };
    if since_ms < now_ms && tables.pending.remove(&tables::pending_key(since_ms, blob))?.is_some() {
        tables.pending.insert(&tables::pending_key(now_ms, blob), ())?;
        tables.content.insert(blob, (bytes, now_ms))?;
    }
    Ok(())
}

/// Removes what is pending since before that time, a bounded number of blobs at once.
pub(crate) fn forget_pending(
    tables: &mut Tables<'_>,
    before_ms: u64,
) -> Result<Removed, StoreError> {
    let mut due = Vec::new();
    let end = tables::pending_key(before_ms, &[0; 32]);
    for row in tables.pending.range::<&PendingKey>(..&end)?.take(REMOVE_BLOBS_MAX + 1) {
        due.push(*row?.0.value());
    }
    let mut removed = Removed::default();
    for (count, key) in due.iter().enumerate() {
        if removed.is_enough(count) {
            removed.more = true;
            break;
        }
        let bytes = remove(tables, &tables::blob_of_pending(key), &mut removed)?;
        tables.pending.remove(key)?;
        add(tables, meta::PENDING_BYTES, 0, bytes)?;
    }
    Ok(removed)
}

/// Removes everything held of a blob and returns how many bytes that was. Whether they were pending is the caller's.
pub(crate) fn remove(
    tables: &mut Tables<'_>,
    blob: &BlobKey,
    removed: &mut Removed,
) -> Result<u64, StoreError> {
    let slivers = tables::slivers_of(tables::segments_of(blob));
    for row in tables.slivers.range::<&SliverKey>(tables::keys(&slivers))? {
        removed.rows = removed.rows.saturating_add(1);
        // All slivers of a bundle belong to one segment, so the whole bundle goes.
        if let Place::Bundle { id, .. } = SliverRow::from_tuple(row?.1.value()).place
            && removed.bundles.insert(id)
        {
            tables.bundles.remove(id)?;
            tables.holes.remove(id)?;
        }
    }
    tables.slivers.retain_in::<&SliverKey, _>(tables::keys(&slivers), |_, _| false)?;
    tables.small.retain_in::<&SliverKey, _>(tables::keys(&slivers), |_, _| false)?;
    let pairs = tables::pairs_of(tables::segments_of(blob));
    tables.proofs.retain_in::<&PairKey, _>(tables::keys(&pairs), |_, _| false)?;
    tables.headers.remove(blob)?;
    tables.short.remove(blob)?;
    tables.short_proofs.remove(blob)?;
    tables.certificates.remove(blob)?;
    tables.wanting.remove(blob)?;
    let bytes = tables.content.remove(blob)?.map_or(0, |row| row.value().0);
    add(tables, meta::CONTENT_BYTES, 0, bytes)?;
    removed.bytes = removed.bytes.saturating_add(bytes);
    Ok(bytes)
}

fn add(tables: &mut Tables<'_>, name: &str, added: u64, removed: u64) -> Result<(), StoreError> {
    let total = tables.meta.get(name)?.map_or(0, |total| total.value()).saturating_add(added);
    debug_assert!(removed <= total, "{name}: all blobs lose no more bytes than they have");
    tables.meta.insert(name, total.saturating_sub(removed))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_takes_sixty_four_blobs_or_ten_thousand_rows_and_no_more() {
        let removed = |rows| Removed { rows, ..Removed::default() };
        assert!(!removed(0).is_enough(63) && removed(0).is_enough(64));
        assert!(!removed(9_999).is_enough(0) && removed(10_000).is_enough(0));
    }
}
