//! Removing what is stored of a shard that is not ours any more.
//!
//! Promises: one transaction looks at no more than [`SEGMENTS_MAX`] segments, and the next one, be it after a crash, goes on
//! where it ended; nothing of another shard changes but the proof that a short blob's symbols share, which then proves those
//! that are left; it is over only when the disk has the bytes back, if it takes them. Does not: decide that a shard may go. A shard that is ours
//! is refused.
//!
//! Notes of what is missing are of blobs, not of shards: a look that finds nothing of our shards missing takes them.

use haulout_protocol::encoding::Parameters;
use haulout_protocol::sliver::{Axis, ShardIndex};
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

use crate::content::{self, Removed};
use crate::error::StoreError;
use crate::holes;
use crate::places::{Place, SliverRow};
use crate::shards;
use crate::short;
use crate::tables::{self, BlobKey, LEAVING, PairKey, SegmentKey, SliverKey, Tables, bytes_of};

/// Segments looked at in one transaction: some milliseconds, so that others' writes do not wait long.
pub(crate) const SEGMENTS_MAX: usize = 500;
/// Past the last segment.
const END: SegmentKey = [0xff; 36];

/// Every shard that is being removed.
pub(crate) fn read(view: &ReadTransaction) -> Result<Vec<ShardIndex>, StoreError> {
    let rows = view.open_table(LEAVING)?;
    rows.iter()?.map(|row| Ok(ShardIndex(row?.0.value()))).collect()
}

/// Removes the next part.
pub(crate) fn remove_part(
    tables: &mut Tables<'_>,
    shard: ShardIndex,
    parameters: &Parameters,
) -> Result<Removed, StoreError> {
    shards::give_up(tables, shard)?;
    debug_assert!(tables.shard_states.get(shard.0)?.is_none(), "what leaves is nobody's here");
    let begun = tables.leaving.get(shard.0)?.map(|row| *row.value());
    let (mut next, mut removed) = (begun.unwrap_or([0; 36]), Removed::nothing(SEGMENTS_MAX * 4));
    for _ in 0..SEGMENTS_MAX {
        if removed.is_enough() {
            break;
        }
        let Some(segment) = segment_from(tables, &next)? else {
            next = END;
            break;
        };
        remove_of(tables, &segment, shard, parameters, &mut removed)?;
        next = tables::next_key(&segment).unwrap_or(END);
    }
    tables.leaving.insert(shard.0, &next)?;
    Ok(removed)
}

/// Whether there is more to do for a shard; forgets that it is leaving if not. The last bundles are given back to the disk after
/// the transaction that removed their rows, so only the one after it can tell that the disk has them.
pub(crate) fn end(
    tables: &mut Tables<'_>,
    shard: ShardIndex,
    waits_for_disk: bool,
) -> Result<bool, StoreError> {
    let next = tables.leaving.get(shard.0)?.map(|row| *row.value());
    let more =
        next.is_some_and(|next| next != END) || waits_for_disk && !tables.holes.is_empty()?;
    if !more {
        tables.leaving.remove(shard.0)?;
    }
    Ok(more)
}

/// The first segment from there on of which anything is stored. Of a short blob it is the one there is.
fn segment_from(tables: &Tables<'_>, from: &SegmentKey) -> Result<Option<SegmentKey>, StoreError> {
    let (first, last) = (ShardIndex(0), ShardIndex(u16::MAX));
    let start = tables::sliver_key(from, first, Axis::Primary);
    let slivers = tables.slivers.range::<&SliverKey>(&start..)?.next().transpose()?;
    let slivers = slivers.map(|(key, _)| tables::segment_of_sliver(key.value()));
    let pairs = tables::pairs_of(*from..=END);
    debug_assert_eq!(*pairs.end(), tables::pair_key(&END, last));
    let proofs = tables.proofs.range::<&PairKey>(tables::keys(&pairs))?.next().transpose()?;
    let proofs = proofs.map(|(key, _)| tables::segment_of_pair(key.value()));
    let blob = tables::blob_of_segment(from);
    let blob = if tables::segment_number(from) == 0 { Some(blob) } else { tables::next_key(&blob) };
    let short = match blob {
        Some(blob) => tables.short.range::<&BlobKey>(&blob..)?.next().transpose()?,
        None => None,
    };
    let short = short.map(|(blob, _)| tables::segment_key(blob.value(), 0));
    Ok([slivers, proofs, short].into_iter().flatten().min())
}

/// Removes what is stored of one segment's pair.
fn remove_of(
    tables: &mut Tables<'_>,
    segment: &SegmentKey,
    shard: ShardIndex,
    parameters: &Parameters,
    removed: &mut Removed,
) -> Result<(), StoreError> {
    let (blob, mut bytes, mut rows) = (tables::blob_of_segment(segment), 0_u64, 0);
    for axis in Axis::BOTH {
        let key = tables::sliver_key(segment, shard, axis);
        let row = tables.slivers.remove(&key)?.map(|row| SliverRow::from_tuple(row.value()));
        let Some(row) = row else { continue };
        (bytes, rows) = (bytes.saturating_add(u64::from(row.length)), rows + 1);
        match row.place {
            Place::Inline => drop(tables.small.remove(&key)?),
            Place::Bundle { id, .. } => holes::release(tables, id, &mut removed.bundles)?,
        }
    }
    if let Some(proof) = tables.proofs.remove(&tables::pair_key(segment, shard))? {
        (bytes, rows) = (bytes.saturating_add(bytes_of(proof.value().len())), rows + 1);
    }
    if tables::segment_number(segment) == 0
        && let Some(less) = short::shrink(tables, &blob, shard, parameters)?
    {
        (bytes, rows) = (bytes.saturating_add(less), rows + 1);
    }
    if rows > 0 {
        content::account(tables, &blob, 0, bytes, 0)?;
        content::forget_if_empty(tables, &blob)?;
    }
    removed.rows = removed.rows.saturating_add(rows);
    removed.bytes = removed.bytes.saturating_add(bytes);
    Ok(())
}

#[cfg(test)]
mod tests;
