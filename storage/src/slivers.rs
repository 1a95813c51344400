//! Slivers, headers and pair proofs as stored: where they lie, reading them, and knowing which are there.
//!
//! Promises: bytes that leave here hash to what was written; what was found damaged counts as missing until it is
//! written again. Does not: check slivers against their proofs; that was done before they came.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use haulout_protocol::blob::BlobId;
use haulout_protocol::sliver::{Axis, ShardIndex};
use redb::{ReadTransaction, ReadableTable};

use crate::bundles::{Bundles, Reading};
use crate::content;
use crate::error::StoreError;
use crate::holes;
use crate::places::{Place, SliverRow};
use crate::short;
use crate::tables::{
    self, BlobKey, HEADERS, PROOFS, PairKey, SLIVERS, SMALL, SegmentKey, SliverKey, Tables,
};
use crate::wanting;

/// What a look for a sliver found.
#[derive(Debug)]
pub(crate) enum Found {
    /// Its bytes, checked.
    Bytes(Bytes),
    /// No such sliver.
    Nothing,
    /// A row, but not the bytes it promises.
    Damaged(SliverRow),
    /// A row whose bundle is gone: it was replaced since, or the file was lost.
    Gone(SliverRow),
}

/// A sliver's row.
pub(crate) fn row(
    view: &ReadTransaction,
    key: &SliverKey,
) -> Result<Option<SliverRow>, StoreError> {
    let row = view.open_table(SLIVERS)?.get(key)?;
    Ok(row.map(|row| SliverRow::from_tuple(row.value())))
}

impl Found {
    /// The row, if it promises bytes that are not there and nobody knew.
    pub(crate) fn rotten(&self) -> Option<SliverRow> {
        match self {
            Found::Damaged(row) | Found::Gone(row) => Some(*row).filter(|row| !row.damaged),
            Found::Bytes(_) | Found::Nothing => None,
        }
    }
}

/// Looks for a sliver once.
pub(crate) fn find(
    view: &ReadTransaction,
    bundles: Option<&Bundles>,
    key: &SliverKey,
) -> Result<Found, StoreError> {
    match row(view, key)? {
        Some(row) => read(view, bundles, key, row, Reading::Fast),
        None => Ok(Found::Nothing),
    }
}

/// Reads the sliver that a row of the view promises.
pub(crate) fn read(
    view: &ReadTransaction,
    bundles: Option<&Bundles>,
    key: &SliverKey,
    row: SliverRow,
    reading: Reading,
) -> Result<Found, StoreError> {
    if row.damaged {
        return Ok(Found::Damaged(row));
    }
    let bytes = match row.place {
        Place::Inline => match view.open_table(SMALL)?.get(key)? {
            Some(bytes) => bytes.value().to_vec(),
            None => return Ok(Found::Damaged(row)),
        },
        Place::Bundle { id, offset } => {
            let Some(bundles) = bundles else { return Ok(Found::Damaged(row)) };
            match bundles.read(id, offset, row.length, reading) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Found::Gone(row));
                }
                Err(error) if is_lost(&error) => return Ok(Found::Damaged(row)),
                Err(error) => return Err(bundles.read_error(id, error)),
            }
        }
    };
    if *blake3::hash(&bytes).as_bytes() == row.digest {
        Ok(Found::Bytes(Bytes::from(bytes)))
    } else {
        Ok(Found::Damaged(row))
    }
}

/// Whether the error says that these bytes cannot be read at all, rather than not now.
fn is_lost(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    error.kind() == io::ErrorKind::UnexpectedEof || error.raw_os_error() == Some(EIO)
}

/// Whether a short blob with a symbol for every given shard is durable; or the header, and the proof and both slivers of every given shard for segments `0..segments` are durable.
pub(crate) fn holds(
    view: &ReadTransaction,
    blob_id: &BlobId,
    segments: u32,
    shards: &[ShardIndex],
) -> Result<bool, StoreError> {
    match has_header(view, blob_id.as_bytes())? {
        None => return short::holds(view, blob_id.as_bytes(), shards),
        Some(false) => return Ok(false),
        Some(true) => {}
    }
    let shards = sorted(shards);
    for segment in 0..segments {
        if !segment_is_complete(view, &tables::segment_key(blob_id.as_bytes(), segment), &shards)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the header of a blob that is not short is here and as it was written; nothing if there is none.
pub(crate) fn has_header(
    view: &ReadTransaction,
    blob: &BlobKey,
) -> Result<Option<bool>, StoreError> {
    let header = view.open_table(HEADERS)?.get(blob)?;
    Ok(header.map(|header| tables::unseal(header.value()).is_some()))
}

/// The segments with the proof and both slivers of every given shard.
pub(crate) fn complete_segments(
    view: &ReadTransaction,
    blob_id: &BlobId,
    shards: &[ShardIndex],
) -> Result<Vec<u32>, StoreError> {
    let shards = sorted(shards);
    let proofs = view.open_table(PROOFS)?;
    let (mut complete, mut next) = (Vec::new(), Some(0));
    // From the first pair of one segment to the first of another.
    while let Some(first) = next {
        let blob = blob_id.as_bytes();
        let segments = tables::segment_key(blob, first)..=tables::segment_key(blob, u32::MAX);
        let pairs = tables::pairs_of(segments);
        let Some(row) = proofs.range::<&PairKey>(tables::keys(&pairs))?.next() else { break };
        let segment = tables::segment_of_pair(row?.0.value());
        let number = tables::segment_number(&segment);
        if segment_is_complete(view, &segment, &shards)? {
            complete.push(number);
        }
        next = number.checked_add(1);
    }
    if complete.is_empty() && short::holds(view, blob_id.as_bytes(), &shards)? {
        complete.push(0);
    }
    Ok(complete)
}

/// Shards as their rows lie, each once.
pub(crate) fn sorted(shards: &[ShardIndex]) -> Vec<ShardIndex> {
    let mut shards = shards.to_vec();
    shards.sort_unstable();
    shards.dedup();
    shards
}

/// Whether the proof and both slivers of every shard are there and not known to be damaged. Walks the segment's
/// rows and the wanted ones side by side; both are in key order, and the shards must be.
pub(crate) fn segment_is_complete(
    view: &ReadTransaction,
    segment: &SegmentKey,
    shards: &[ShardIndex],
) -> Result<bool, StoreError> {
    debug_assert!(shards.is_sorted(), "rows and wanted slivers are walked side by side");
    let proofs = view.open_table(PROOFS)?;
    for shard in shards {
        let proof = proofs.get(&tables::pair_key(segment, *shard))?;
        if proof.is_none_or(|proof| tables::unseal(proof.value()).is_none()) {
            return Ok(false);
        }
    }
    let slivers = view.open_table(SLIVERS)?;
    let mut rows =
        slivers.range::<&SliverKey>(tables::keys(&tables::slivers_of(*segment..=*segment)))?;
    for wanted in shards
        .iter()
        .flat_map(|shard| Axis::BOTH.map(|axis| tables::sliver_key(segment, *shard, axis)))
    {
        loop {
            let Some(row) = rows.next().transpose()? else { return Ok(false) };
            let (key, row) = row;
            if *key.value() == wanted {
                if SliverRow::from_tuple(row.value()).damaged {
                    return Ok(false);
                }
                break;
            }
            if *key.value() > wanted {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// How many slivers of the given shards are there and not known to be damaged, primary and secondary ones, in each of these
/// segments. A symbol of a short blob counts as both. The shards must be sorted.
pub(crate) fn count(
    view: &ReadTransaction,
    blob_id: &BlobId,
    segments: Range<u32>,
    shards: &[ShardIndex],
) -> Result<Vec<(u16, u16)>, StoreError> {
    debug_assert!(shards.is_sorted(), "shards are searched in order");
    if let Some(held) = short::count(view, blob_id.as_bytes(), shards)? {
        return Ok(segments.map(|_| (held, held)).collect());
    }
    let slivers = view.open_table(SLIVERS)?;
    let mut counts = Vec::new();
    for segment in segments {
        let segment = tables::segment_key(blob_id.as_bytes(), segment);
        let mut count = (0, 0);
        for row in
            slivers.range::<&SliverKey>(tables::keys(&tables::slivers_of(segment..=segment)))?
        {
            let (key, row) = row?;
            let (shard, axis) = tables::place_of_sliver(key.value());
            if shards.binary_search(&shard).is_ok() && !SliverRow::from_tuple(row.value()).damaged {
                match axis {
                    Axis::Primary => count.0 += 1,
                    Axis::Secondary => count.1 += 1,
                }
            }
        }
        counts.push(count);
    }
    Ok(counts)
}

/// Marks a sliver as damaged, unless it was written again in the meantime.
pub(crate) fn mark_damaged(
    tables: &mut Tables<'_>,
    key: &SliverKey,
    seen: &SliverRow,
) -> Result<(), StoreError> {
    let row = tables.slivers.get(key)?.map(|row| SliverRow::from_tuple(row.value()));
    if row == Some(*seen) {
        tables.slivers.insert(key, SliverRow { damaged: true, ..*seen }.as_tuple())?;
        wanting::note(tables, &tables::blob_of_sliver(key))?;
    }
    Ok(())
}

/// Forgets a bundle whose file is gone or short, and every sliver in it.
pub(crate) fn forget_bundle(tables: &mut Tables<'_>, bundle: u64) -> Result<(), StoreError> {
    let Some(segment) = holes::forget(tables, bundle)? else { return Ok(()) };
    let is_in_it = |row: &SliverRow| matches!(row.place, Place::Bundle { id, .. } if id == bundle);
    let mut removed = 0_u64;
    let slivers = tables::slivers_of(segment..=segment);
    for row in tables.slivers.range::<&SliverKey>(tables::keys(&slivers))? {
        let row = SliverRow::from_tuple(row?.1.value());
        removed = removed.saturating_add(if is_in_it(&row) { u64::from(row.length) } else { 0 });
    }
    // Rows may not outlive the bundle: its number will be used again.
    tables.slivers.retain_in::<&SliverKey, _>(tables::keys(&slivers), |_, row| {
        !is_in_it(&SliverRow::from_tuple(row))
    })?;
    let blob = tables::blob_of_segment(&segment);
    wanting::note(tables, &blob)?;
    content::account(tables, &blob, 0, removed, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_lost_when_they_end_early_or_the_medium_fails() {
        const ENOSPC: i32 = 28;
        assert!(is_lost(&io::ErrorKind::UnexpectedEof.into()));
        assert!(is_lost(&io::Error::from_raw_os_error(5)));
        assert!(!is_lost(&io::Error::from_raw_os_error(ENOSPC)));
        assert!(!is_lost(&io::ErrorKind::NotFound.into()));
    }
}
