//! How many bytes of each blob are held, since when, and which of them nobody has paid for.
//!
//! Promises: a blob with bytes but no object on chain is *pending* from its first byte, or from when a writer came back for
//! it; totals change in the same
//! transaction as the bytes; bytes of a blob that has objects are due when those end. Does not: keep time (callers bring
//! theirs) or remove anything on its own.

use std::collections::BTreeSet;

use redb::{ReadTransaction, ReadableTable};

use crate::blobs::has_objects;
use crate::due;
use crate::error::StoreError;
use crate::places::{Place, SliverRow};
use crate::tables::{
    self, BlobKey, CONTENT, PENDING, PairKey, PendingKey, SegmentKey, SliverKey, Tables, bytes_of,
    meta,
};

/// Blobs looked at in one transaction, so that others' writes are not held up for long.
pub(crate) const REMOVE_BLOBS_MAX: usize = 64;
/// Bundles that nothing points to after one transaction: their files are unlinked before the next one.
pub(crate) const REMOVE_BUNDLES_MAX: usize = 64;

/// What one transaction of removing did, and how much it may do.
#[derive(Debug)]
pub(crate) struct Removed {
    /// Rows after which it takes no further segment; one segment goes as a whole.
    rows_max: usize,
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
    /// Nothing yet.
    pub(crate) fn nothing(rows_max: usize) -> Self {
        Removed { rows_max, bytes: 0, rows: 0, more: false, bundles: BTreeSet::new() }
    }

    /// Whether the next segment is for another transaction.
    pub(crate) fn is_enough(&self) -> bool {
        self.rows >= self.rows_max || self.bundles.len() >= REMOVE_BUNDLES_MAX
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
    let is_pending = tables.pending.get(&key)?.is_some();
    debug_assert!(is_pending != has_objects(tables, blob)?, "what nobody pays for is pending");
    if is_pending {
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
    rows_max: usize,
) -> Result<Removed, StoreError> {
    let mut due = Vec::new();
    let end = tables::pending_key(before_ms, &[0; 32]);
    for row in tables.pending.range::<&PendingKey>(..&end)?.take(REMOVE_BLOBS_MAX + 1) {
        due.push(*row?.0.value());
    }
    let mut removed = Removed::nothing(rows_max);
    for (count, key) in due.iter().enumerate() {
        let is_for_later = count == REMOVE_BLOBS_MAX || removed.is_enough();
        if is_for_later || !remove(tables, &tables::blob_of_pending(key), &mut removed)? {
            removed.more = true;
            break;
        }
        tables.pending.remove(key)?;
    }
    debug_assert!(
        removed.more || tables.pending.range::<&PendingKey>(..&end)?.next().is_none(),
        "nothing that is due is left"
    );
    Ok(removed)
}

/// Removes what is held of a blob, a segment at least and then as long as the transaction may; whether nothing is left. What
/// is left is counted, so a crash in between loses nothing but time, and a blob that is paid for again lacks what went.
pub(crate) fn remove(
    tables: &mut Tables<'_>,
    blob: &BlobKey,
    removed: &mut Removed,
) -> Result<bool, StoreError> {
    let (mut bytes, mut next) = (0_u64, first_segment(tables, blob)?);
    while let Some(segment) = next {
        bytes += remove_segment(tables, &segment, removed)?;
        next = first_segment(tables, blob)?;
        if removed.is_enough() {
            break;
        }
    }
    let is_done = next.is_none();
    if is_done {
        bytes += remove_values(tables, blob, removed)?;
        tables.certificates.remove(blob)?;
        tables.wanting.remove(blob)?;
    }
    if bytes > 0 {
        account(tables, blob, 0, bytes, 0)?;
    }
    if is_done {
        let left = tables.content.remove(blob)?.map_or(0, |row| row.value().0);
        debug_assert_eq!(left, 0, "the bytes of a blob are those of its rows");
    }
    removed.bytes = removed.bytes.saturating_add(bytes);
    Ok(is_done)
}

/// The first segment of which there is a sliver or a proof.
fn first_segment(tables: &Tables<'_>, blob: &BlobKey) -> Result<Option<SegmentKey>, StoreError> {
    let segments = tables::segments_of(blob);
    let slivers = tables::slivers_of(segments.clone());
    let sliver = tables.slivers.range::<&SliverKey>(tables::keys(&slivers))?.next().transpose()?;
    let pairs = tables::pairs_of(segments);
    let proof = tables.proofs.range::<&PairKey>(tables::keys(&pairs))?.next().transpose()?;
    let sliver = sliver.map(|(key, _)| tables::segment_of_sliver(key.value()));
    let proof = proof.map(|(key, _)| tables::segment_of_pair(key.value()));
    Ok(sliver.into_iter().chain(proof).min())
}

/// Removes slivers and proofs of a segment; their bytes.
fn remove_segment(
    tables: &mut Tables<'_>,
    segment: &SegmentKey,
    removed: &mut Removed,
) -> Result<u64, StoreError> {
    let (mut bytes, mut rows, mut is_small) = (0_u64, 0, false);
    let slivers = tables::slivers_of(*segment..=*segment);
    for row in tables.slivers.range::<&SliverKey>(tables::keys(&slivers))? {
        let row = SliverRow::from_tuple(row?.1.value());
        (bytes, rows) = (bytes.saturating_add(u64::from(row.length)), rows + 1);
        match row.place {
            Place::Inline => is_small = true,
            // All slivers of a bundle belong to one segment, so the whole bundle goes.
            Place::Bundle { id, .. } => {
                if removed.bundles.insert(id) {
                    tables.bundles.remove(id)?;
                    tables.holes.remove(id)?;
                }
            }
        }
    }
    tables.slivers.retain_in::<&SliverKey, _>(tables::keys(&slivers), |_, _| false)?;
    if is_small {
        tables.small.retain_in::<&SliverKey, _>(tables::keys(&slivers), |_, _| false)?;
    }
    let pairs = tables::pairs_of(*segment..=*segment);
    tables.proofs.retain_in::<&PairKey, _>(tables::keys(&pairs), |_, proof| {
        (bytes, rows) = (bytes.saturating_add(bytes_of(proof.len())), rows + 1);
        false
    })?;
    removed.rows = removed.rows.saturating_add(rows);
    Ok(bytes)
}

/// Removes header and short blob; their bytes.
fn remove_values(
    tables: &mut Tables<'_>,
    blob: &BlobKey,
    removed: &mut Removed,
) -> Result<u64, StoreError> {
    let mut bytes = 0_u64;
    for table in [&mut tables.headers, &mut tables.short, &mut tables.short_proofs] {
        if let Some(value) = table.remove(blob)? {
            bytes = bytes.saturating_add(bytes_of(value.value().len()));
            removed.rows = removed.rows.saturating_add(1);
        }
    }
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
    fn a_transaction_takes_so_many_rows_or_sixty_four_bundles_and_no_more() {
        let removed = |rows, bundles| {
            let bundles = (0..bundles).collect();
            Removed { rows, bundles, ..Removed::nothing(2_000) }
        };
        assert!(!removed(1_999, 63).is_enough());
        assert!(removed(2_000, 0).is_enough() && removed(0, 64).is_enough());
    }
}
