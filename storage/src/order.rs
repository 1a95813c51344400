//! Live certified blobs in the order in which they were certified, and how many bytes a shard stores of them up to each.
//!
//! Promises: what is here follows from the chain's events and the epoch alone, so that nodes that applied the same ones say
//! the same; which blob holds the byte at a position is found with two reads for each doubling of the blobs there were,
//! whatever was deleted since. Does not: know what of them is stored here, or what lies where in a blob's bytes, which
//! follows from its length.
//!
//! Each blob has a place: a number that grows with every certification and is never used again. Bytes are summed in a binary
//! indexed tree over places (the sum at place `i` is of the `lowest bit of i` places up to and with `i`): one row for each
//! place at most, none where nothing is left, and nothing that is rebuilt or moved when a blob goes.
//!
//! ```text
//! certified, and it was not, or its time was over -> a new place, the last
//! certified by another object, extended           -> the same place, a later end
//! deleted, another certified object stands for it -> the same place, that one's end
//! deleted, found invalid, over                    -> no place
//! ```

use std::collections::BTreeMap;

use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::sliver::Axis;
use redb::{ReadTransaction, ReadableTable};

use crate::error::StoreError;
use crate::tables::{
    self, BlobKey, DueKey, EventKey, ObjectKey, PLACED, SUMS, Tables, bytes_of, event_key, meta,
};

/// Blobs that lose their place in one transaction.
const EXPIRED_MAX: usize = 1_000;

/// What the chain says of a blob now.
struct Standing {
    /// The first epoch in which no certified object covers it.
    end: u32,
    /// Its length.
    bytes: u64,
}

/// Gives a blob its place, keeps it or takes it, as the objects that stand for it have it after an event. `epoch` is that of
/// the event, if it says so; what ended by then had lost its place.
pub(crate) fn update(
    tables: &mut Tables<'_>,
    blob: &BlobKey,
    event: &EventKey,
    epoch: Option<Epoch>,
) -> Result<(), StoreError> {
    let done = number(tables, meta::ORDER_EPOCH)?;
    let is_over = |end: u32| u64::from(end) <= done || epoch.is_some_and(|epoch| end <= epoch.0);
    let before = tables.places.get(blob)?.map(|row| row.value());
    let before = match before {
        Some((place, end)) if is_over(end) => {
            remove(tables, blob, place, end)?;
            None
        }
        before => before,
    };
    let standing = standing(tables, blob)?.filter(|standing| !is_over(standing.end));
    match (before, standing) {
        (None, Some(standing)) => append(tables, blob, event, &standing),
        (Some((place, end)), None) => remove(tables, blob, place, end),
        (Some((place, end)), Some(standing)) if end != standing.end => {
            tables.ends.remove(&tables::due_key(end, blob))?;
            tables.ends.insert(&tables::due_key(standing.end, blob), ())?;
            tables.places.insert(blob, (place, standing.end))?;
            Ok(())
        }
        (Some(_), Some(_)) | (None, None) => Ok(()),
    }
}

fn standing(tables: &Tables<'_>, blob: &BlobKey) -> Result<Option<Standing>, StoreError> {
    if tables.invalid.get(blob)?.is_some() {
        return Ok(None);
    }
    let mut standing: Option<Standing> = None;
    for row in tables.objects.range::<&ObjectKey>(tables::keys(&tables::objects_of(blob)))? {
        let (_, end, bytes, _, Some(_)) = row?.1.value() else { continue };
        let last = standing.map_or(end, |standing| standing.end.max(end));
        standing = Some(Standing { end: last, bytes });
    }
    Ok(standing)
}

fn append(
    tables: &mut Tables<'_>,
    blob: &BlobKey,
    event: &EventKey,
    standing: &Standing,
) -> Result<(), StoreError> {
    let place = number(tables, meta::ORDER_LAST)?.saturating_add(1);
    let stored = parameters(tables)?.map_or(0, |parameters| stored(&parameters, standing.bytes));
    debug_assert!(
        tables.placed.last()?.is_none_or(|(_, row)| row.value().3 <= event),
        "places are in the order of events"
    );
    let old = tables.placed.insert(place, (blob, standing.bytes, stored, event))?;
    debug_assert!(old.is_none(), "a place is never used again");
    drop(old);
    tables.places.insert(blob, (place, standing.end))?;
    tables.ends.insert(&tables::due_key(standing.end, blob), ())?;
    tables.meta.insert(meta::ORDER_LAST, place)?;
    sum_up(tables, place, stored)
}

/// The sum at the last place: what is stored there, and the sums of the places below that it covers.
fn sum_up(tables: &mut Tables<'_>, place: u64, stored: u64) -> Result<(), StoreError> {
    let (mut sum, mut below) = (stored, place - 1);
    while below > place - lowest_bit(place) {
        sum = sum.saturating_add(tables.sums.get(below)?.map_or(0, |sum| sum.value()));
        below -= lowest_bit(below);
    }
    if sum > 0 {
        tables.sums.insert(place, sum)?;
    }
    Ok(())
}

fn remove(tables: &mut Tables<'_>, blob: &BlobKey, place: u64, end: u32) -> Result<(), StoreError> {
    tables.places.remove(blob)?;
    tables.ends.remove(&tables::due_key(end, blob))?;
    let stored = tables.placed.remove(place)?.map_or(0, |row| row.value().2);
    let (mut at, last) = (place, number(tables, meta::ORDER_LAST)?);
    while at <= last && stored > 0 {
        let sum = tables.sums.get(at)?.map_or(0, |sum| sum.value());
        debug_assert!(sum >= stored, "a sum holds what it is the sum of");
        match sum.saturating_sub(stored) {
            0 => tables.sums.remove(at)?.map(drop),
            sum => tables.sums.insert(at, sum)?.map(drop),
        };
        at = at.saturating_add(lowest_bit(at));
    }
    Ok(())
}

/// Takes the places of blobs whose time is over in that epoch, a bounded number at once; whether there are more.
pub(crate) fn expire(tables: &mut Tables<'_>, epoch: Epoch) -> Result<bool, StoreError> {
    let mut over = Vec::new();
    let last = tables::due_key(epoch.0, &[0xff; 32]);
    for row in tables.ends.range::<&DueKey>(..=&last)?.take(EXPIRED_MAX + 1) {
        over.push(*row?.0.value());
    }
    for key in over.iter().take(EXPIRED_MAX) {
        let blob = tables::blob_of_due(key);
        let row = tables.places.get(&blob)?.map(|row| row.value());
        if let Some((place, end)) = row {
            remove(tables, &blob, place, end)?;
        }
    }
    let more = over.len() > EXPIRED_MAX;
    if !more {
        let done = number(tables, meta::ORDER_EPOCH)?.max(u64::from(epoch.0));
        tables.meta.insert(meta::ORDER_EPOCH, done)?;
    }
    Ok(more)
}

/// Remembers the network's numbers, which say how many bytes a shard stores of a blob. What was certified before they were
/// known is summed up now.
pub(crate) fn set_parameters(tables: &mut Tables<'_>, new: &Parameters) -> Result<(), StoreError> {
    if parameters(tables)?.as_ref() == Some(new) {
        return Ok(());
    }
    tables.meta.insert(meta::SHARDS, u64::from(new.shards()))?;
    tables.meta.insert(meta::SEGMENT_BYTES, u64::from(new.segment_bytes()))?;
    tables.meta.insert(meta::SHORT_BYTES, u64::from(new.short_bytes_max()))?;
    let last = number(tables, meta::ORDER_LAST)?;
    let mut place = 0;
    while place < last {
        place += 1;
        let row = tables.placed.get(place)?.map(|row| {
            let (blob, bytes, _, event) = row.value();
            (*blob, bytes, *event)
        });
        let mut weight = 0;
        if let Some((blob, bytes, event)) = row {
            weight = stored(new, bytes);
            tables.placed.insert(place, (&blob, bytes, weight, &event))?;
        }
        sum_up(tables, place, weight)?;
    }
    Ok(())
}

/// Gives every certified blob of an older store a place, in the order of epochs, and in each of blob ids: the order of their
/// events within an epoch is not known any more.
pub(crate) fn take_over(tables: &mut Tables<'_>) -> Result<(), StoreError> {
    let mut first: BTreeMap<BlobKey, u32> = BTreeMap::new();
    for row in tables.objects.iter()? {
        let (key, row) = row?;
        let (_, _, _, _, Some(certified)) = row.value() else { continue };
        let epoch = first.entry(tables::blob_of_object(key.value())).or_insert(certified);
        *epoch = certified.min(*epoch);
    }
    let mut blobs: Vec<_> = first.into_iter().map(|(blob, epoch)| (epoch, blob)).collect();
    blobs.sort_unstable();
    for (_, blob) in blobs {
        update(tables, &blob, &tables::EVENT_UNKNOWN, None)?;
    }
    Ok(())
}

fn parameters(tables: &Tables<'_>) -> Result<Option<Parameters>, StoreError> {
    let of = |name| Ok::<_, StoreError>(tables.meta.get(name)?.map(|number| number.value()));
    Ok(read_parameters(of(meta::SHARDS)?, of(meta::SEGMENT_BYTES)?, of(meta::SHORT_BYTES)?))
}

fn read_parameters(
    shards: Option<u64>,
    segment_bytes: Option<u64>,
    short_bytes: Option<u64>,
) -> Option<Parameters> {
    let shards = u16::try_from(shards?).ok()?;
    let parameters = Parameters::new(shards, u32::try_from(segment_bytes?).ok()?).ok()?;
    parameters.with_short_blobs(u32::try_from(short_bytes?).ok()?).ok()
}

/// The network's numbers, if the store was told.
pub(crate) fn known_parameters(view: &ReadTransaction) -> Result<Option<Parameters>, StoreError> {
    let of = |name| tables::number(view, name);
    Ok(read_parameters(of(meta::SHARDS)?, of(meta::SEGMENT_BYTES)?, of(meta::SHORT_BYTES)?))
}

/// Bytes of slivers, or of the symbol of a short blob, that each shard stores of a blob of this length.
fn stored(parameters: &Parameters, blob_bytes: u64) -> u64 {
    if parameters.is_short(blob_bytes) {
        let length = u32::try_from(blob_bytes).unwrap_or(u32::MAX);
        return u64::from(parameters.short_symbol_bytes(length));
    }
    let of_segment = |length: u32| -> u64 {
        Axis::BOTH.iter().map(|axis| bytes_of(parameters.sliver_bytes(*axis, length))).sum()
    };
    let segment_bytes = parameters.segment_bytes();
    let rest = blob_bytes % u64::from(segment_bytes);
    let rest = u32::try_from(rest).expect("a remainder is smaller than its divisor");
    let last = if rest > 0 || blob_bytes == 0 { of_segment(rest) } else { 0 };
    let whole = blob_bytes / u64::from(segment_bytes);
    whole.saturating_mul(of_segment(segment_bytes)).saturating_add(last)
}

fn number(tables: &Tables<'_>, name: &str) -> Result<u64, StoreError> {
    Ok(tables.meta.get(name)?.map_or(0, |number| number.value()))
}

/// The lowest bit that is set.
fn lowest_bit(place: u64) -> u64 {
    place & place.wrapping_neg()
}

/// The order as it was at one moment. Holds a snapshot of the store, so it is not to be kept.
#[derive(Debug)]
pub struct Order {
    view: ReadTransaction,
    last: u64,
    epoch: Option<Epoch>,
    checkpoint: Option<u64>,
}

/// A byte that a shard stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredByte {
    /// Of which blob.
    pub blob_id: BlobId,
    /// The blob's length in bytes.
    pub blob_bytes: u64,
    /// Which of the bytes that a shard stores of it.
    pub offset: u64,
    /// The checkpoint of the blob's certification, and how many effects on blobs came before it there; nothing for a blob that
    /// was certified before this store knew: such blobs are in no order that other nodes have.
    pub certified: Option<(u64, u32)>,
}

impl Order {
    pub(crate) fn new(view: ReadTransaction) -> Result<Self, StoreError> {
        let last = tables::number(&view, meta::ORDER_LAST)?.unwrap_or(0);
        let epoch = tables::number(&view, meta::ORDER_EPOCH)?;
        let epoch = epoch.and_then(|epoch| u32::try_from(epoch).ok()).map(Epoch);
        let checkpoint = tables::number(&view, meta::CHECKPOINT)?;
        Ok(Order { view, last, epoch, checkpoint })
    }

    /// The last epoch for which [`Store::expire`](crate::Store::expire) took out what was over; none if it never did.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// The last checkpoint whose events are in it.
    pub fn checkpoint(&self) -> Option<u64> {
        self.checkpoint
    }

    /// Bytes that each shard stores of all of them.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        self.bytes_until(self.last)
    }

    /// Bytes that each shard stores of those that were certified before an event: in an earlier checkpoint, or in this one with
    /// fewer effects on blobs before it.
    pub fn bytes_before(&self, checkpoint: u64, effects: u32) -> Result<u64, StoreError> {
        let (event, placed) = (event_key(checkpoint, effects), self.view.open_table(PLACED)?);
        // The last place whose event came before; places without a blob are passed over.
        let (mut before, mut from) = (0, self.last.saturating_add(1));
        while before + 1 < from {
            let middle = before + (from - before) / 2;
            match placed.range(middle..from)?.next().transpose()? {
                Some((place, row)) if *row.value().3 < event => before = place.value(),
                Some(_) | None => from = middle,
            }
        }
        self.bytes_until(before)
    }

    /// The byte at a position, counted from zero; nothing past the last one.
    pub fn byte_at(&self, position: u64) -> Result<Option<StoredByte>, StoreError> {
        let sums = self.view.open_table(SUMS)?;
        let (mut place, mut offset) = (0_u64, position);
        let mut step = if self.last == 0 { 0 } else { 1_u64 << self.last.ilog2() };
        while step > 0 {
            let next = place + step;
            if next <= self.last {
                let sum = sums.get(next)?.map_or(0, |sum| sum.value());
                if sum <= offset {
                    (place, offset) = (next, offset - sum);
                }
            }
            step /= 2;
        }
        let row = self.view.open_table(PLACED)?.get(place.saturating_add(1))?;
        Ok(row.map(|row| {
            let (blob, blob_bytes, stored, event) = row.value();
            debug_assert!(offset < stored, "the sums lead to a blob that has the byte");
            let blob_id = BlobId::from_bytes(*blob);
            StoredByte { blob_id, blob_bytes, offset, certified: tables::event_of(event) }
        }))
    }

    /// Bytes of the places up to and with this one.
    fn bytes_until(&self, place: u64) -> Result<u64, StoreError> {
        let sums = self.view.open_table(SUMS)?;
        let (mut bytes, mut at) = (0_u64, place);
        while at > 0 {
            bytes = bytes.saturating_add(sums.get(at)?.map_or(0, |sum| sum.value()));
            at -= lowest_bit(at);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
