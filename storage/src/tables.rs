//! Every table of the index database in one screen.
//!
//! Keys are fixed-width and big-endian, so that a range of keys is "everything of this blob" or "everything of this
//! segment", in order. Values are fixed-width tuples, or *sealed* bytes: a BLAKE3 hash, then what it is the hash of.
//! Does not: interpret any of it.

use std::ops::RangeInclusive;

use haulout_protocol::sliver::{Axis, ShardIndex};
use redb::{ReadTransaction, Table, TableDefinition, WriteTransaction};

use crate::error::StoreError;

/// A blob id.
pub(crate) type BlobKey = [u8; 32];
/// Blob id, object id.
pub(crate) type ObjectKey = [u8; 64];
/// Blob id, segment.
pub(crate) type SegmentKey = [u8; 36];
/// Blob id, segment, shard.
pub(crate) type PairKey = [u8; 38];
/// Blob id, segment, shard, axis (0 primary, 1 secondary).
pub(crate) type SliverKey = [u8; 39];
/// Milliseconds, blob id.
pub(crate) type PendingKey = [u8; 40];
/// Epoch, blob id.
pub(crate) type DueKey = [u8; 36];

/// Checkpoint, number of the effect in it.
pub(crate) type EventKey = [u8; 12];

/// Registered epoch, end epoch, size, deletable, certified epoch.
pub(crate) type ObjectRow = (u32, u32, u64, bool, Option<u32>);
/// Bundle (0 = in `SMALL`), offset, length, damaged, BLAKE3.
pub(crate) type SliverTuple = (u64, u64, u32, bool, &'static [u8; 32]);
/// Version, digest.
pub(crate) type ProvenRow = (u64, &'static [u8; 32]);
/// Blob, its length, bytes that a shard stores of it, certification.
pub(crate) type PlacedRow = (&'static BlobKey, u64, u64, &'static EventKey);
/// Segment, bytes, slivers that still point to it.
pub(crate) type BundleRow = (&'static SegmentKey, u64, u32);

/// Single numbers: schema version, chain position, totals.
pub(crate) const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
/// On-chain objects by the blob they stand for.
pub(crate) const OBJECTS: TableDefinition<'static, &ObjectKey, ObjectRow> =
    TableDefinition::new("objects");
/// Blobs found to be encoded wrongly, and the epoch of the verdict.
pub(crate) const INVALID: TableDefinition<'static, &BlobKey, u32> = TableDefinition::new("invalid");
/// Blob headers, sealed.
pub(crate) const HEADERS: TableDefinition<'static, &BlobKey, &[u8]> =
    TableDefinition::new("headers");
/// Availability certificates, sealed.
pub(crate) const CERTIFICATES: TableDefinition<'static, &BlobKey, &[u8]> =
    TableDefinition::new("certificates");
/// Pair proofs, sealed.
pub(crate) const PROOFS: TableDefinition<'static, &PairKey, &[u8]> = TableDefinition::new("proofs");
/// Short blobs, each with its header and the node's symbols, sealed; see `short.rs`.
pub(crate) const SHORT: TableDefinition<'static, &BlobKey, &[u8]> = TableDefinition::new("short");
/// The proofs of short blobs' symbols, sealed.
pub(crate) const SHORT_PROOFS: TableDefinition<'static, &BlobKey, &[u8]> =
    TableDefinition::new("short_proofs");
/// Where each sliver lies and its hash.
pub(crate) const SLIVERS: TableDefinition<'static, &SliverKey, SliverTuple> =
    TableDefinition::new("slivers");
/// The bytes of small slivers.
pub(crate) const SMALL: TableDefinition<'static, &SliverKey, &[u8]> = TableDefinition::new("small");
/// Bundle files that exist.
pub(crate) const BUNDLES: TableDefinition<'static, u64, BundleRow> =
    TableDefinition::new("bundles");
/// Per blob: bytes held, and since when.
pub(crate) const CONTENT: TableDefinition<'static, &BlobKey, (u64, u64)> =
    TableDefinition::new("content");
/// Blobs with bytes but no object on chain, oldest first.
pub(crate) const PENDING: TableDefinition<'static, &PendingKey, ()> =
    TableDefinition::new("pending");
/// Blobs to look at once an epoch has come, because something of them may have to go; see `expiry.rs`.
pub(crate) const DUE: TableDefinition<'static, &DueKey, ()> = TableDefinition::new("due");
/// Blobs to look at because something of them may be missing here, each with the number of the note; see `missing.rs`.
pub(crate) const WANTING: TableDefinition<'static, &BlobKey, u64> = TableDefinition::new("wanting");
/// What was verified of the ledger, by name, sealed; see `ledger.rs`.
pub(crate) const KEPT: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("kept");
/// Versions and digests of objects on the ledger that verified checkpoints prove.
pub(crate) const PROVEN: TableDefinition<'static, &[u8; 32], ProvenRow> =
    TableDefinition::new("proven");
/// Shards of which this node has something: state and epoch; see `shards.rs`.
pub(crate) const SHARD_STATES: TableDefinition<'static, u16, (u8, u32)> =
    TableDefinition::new("shard_states");
/// Shards whose rows are being removed, and the first segment that was not looked at; see `leaving.rs`.
pub(crate) const LEAVING: TableDefinition<'static, u16, &SegmentKey> =
    TableDefinition::new("leaving");
/// Bundles with bytes that no row points to and that the disk did not get back yet; see `holes.rs`.
pub(crate) const HOLES: TableDefinition<'static, u64, ()> = TableDefinition::new("holes");

/// Live certified blobs by their place in the order of certification: length, bytes that a shard stores, and the event that
/// gave it the place; see `order.rs`.
pub(crate) const PLACED: TableDefinition<'static, u64, PlacedRow> = TableDefinition::new("placed");
/// Their places and the first epoch in which none of their certified objects covers them.
pub(crate) const PLACES: TableDefinition<'static, &BlobKey, (u64, u32)> =
    TableDefinition::new("places");
/// The same by that epoch.
pub(crate) const ENDS: TableDefinition<'static, &DueKey, ()> = TableDefinition::new("ends");
/// Sums of what a shard stores of the blobs at some places: a binary indexed tree.
pub(crate) const SUMS: TableDefinition<'static, u64, u64> = TableDefinition::new("sums");

/// Names of the numbers in `META`.
pub(crate) mod meta {
    /// Version of this layout.
    pub(crate) const SCHEMA: &str = "schema";
    /// Last checkpoint whose effects are in the store.
    pub(crate) const CHECKPOINT: &str = "checkpoint";
    /// Bytes of headers, pair proofs, slivers and short blobs.
    pub(crate) const CONTENT_BYTES: &str = "content_bytes";
    /// The part of them that belongs to unregistered blobs.
    pub(crate) const PENDING_BYTES: &str = "pending_bytes";
    /// How often a blob was noted in `WANTING`.
    pub(crate) const NOTES: &str = "notes";
    /// The last place in the order of certification.
    pub(crate) const ORDER_LAST: &str = "order_last";
    /// The last epoch for which all that was over lost its place.
    pub(crate) const ORDER_EPOCH: &str = "order_epoch";
    /// The network's numbers: shards, bytes of a segment, bytes of the longest short blob.
    pub(crate) const SHARDS: &str = "shards";
    /// See there.
    pub(crate) const SEGMENT_BYTES: &str = "segment_bytes";
    /// See there.
    pub(crate) const SHORT_BYTES: &str = "short_bytes";
}

/// Every table, open for writing.
pub(crate) struct Tables<'txn> {
    pub(crate) meta: Table<'txn, &'static str, u64>,
    pub(crate) objects: Table<'txn, &'static ObjectKey, ObjectRow>,
    pub(crate) invalid: Table<'txn, &'static BlobKey, u32>,
    pub(crate) headers: Table<'txn, &'static BlobKey, &'static [u8]>,
    pub(crate) certificates: Table<'txn, &'static BlobKey, &'static [u8]>,
    pub(crate) proofs: Table<'txn, &'static PairKey, &'static [u8]>,
    pub(crate) short: Table<'txn, &'static BlobKey, &'static [u8]>,
    pub(crate) short_proofs: Table<'txn, &'static BlobKey, &'static [u8]>,
    pub(crate) slivers: Table<'txn, &'static SliverKey, SliverTuple>,
    pub(crate) small: Table<'txn, &'static SliverKey, &'static [u8]>,
    pub(crate) bundles: Table<'txn, u64, BundleRow>,
    pub(crate) content: Table<'txn, &'static BlobKey, (u64, u64)>,
    pub(crate) pending: Table<'txn, &'static PendingKey, ()>,
    pub(crate) due: Table<'txn, &'static DueKey, ()>,
    pub(crate) wanting: Table<'txn, &'static BlobKey, u64>,
    pub(crate) shard_states: Table<'txn, u16, (u8, u32)>,
    pub(crate) leaving: Table<'txn, u16, &'static SegmentKey>,
    pub(crate) holes: Table<'txn, u64, ()>,
    pub(crate) placed: Table<'txn, u64, PlacedRow>,
    pub(crate) places: Table<'txn, &'static BlobKey, (u64, u32)>,
    pub(crate) ends: Table<'txn, &'static DueKey, ()>,
    pub(crate) sums: Table<'txn, u64, u64>,
    pub(crate) kept: Table<'txn, &'static str, &'static [u8]>,
    pub(crate) proven: Table<'txn, &'static [u8; 32], ProvenRow>,
}

impl<'txn> Tables<'txn> {
    /// Opens all of them, creating those that do not exist.
    pub(crate) fn open(transaction: &'txn WriteTransaction) -> Result<Self, StoreError> {
        Ok(Tables {
            meta: transaction.open_table(META)?,
            objects: transaction.open_table(OBJECTS)?,
            invalid: transaction.open_table(INVALID)?,
            headers: transaction.open_table(HEADERS)?,
            certificates: transaction.open_table(CERTIFICATES)?,
            proofs: transaction.open_table(PROOFS)?,
            short: transaction.open_table(SHORT)?,
            short_proofs: transaction.open_table(SHORT_PROOFS)?,
            slivers: transaction.open_table(SLIVERS)?,
            small: transaction.open_table(SMALL)?,
            bundles: transaction.open_table(BUNDLES)?,
            content: transaction.open_table(CONTENT)?,
            pending: transaction.open_table(PENDING)?,
            due: transaction.open_table(DUE)?,
            wanting: transaction.open_table(WANTING)?,
            shard_states: transaction.open_table(SHARD_STATES)?,
            leaving: transaction.open_table(LEAVING)?,
            holes: transaction.open_table(HOLES)?,
            placed: transaction.open_table(PLACED)?,
            places: transaction.open_table(PLACES)?,
            ends: transaction.open_table(ENDS)?,
            sums: transaction.open_table(SUMS)?,
            kept: transaction.open_table(KEPT)?,
            proven: transaction.open_table(PROVEN)?,
        })
    }
}

/// One number of `META`.
pub(crate) fn number(view: &ReadTransaction, name: &str) -> Result<Option<u64>, StoreError> {
    Ok(view.open_table(META)?.get(name)?.map(|value| value.value()))
}

/// A range of keys as redb takes it.
pub(crate) fn keys<const N: usize>(range: &RangeInclusive<[u8; N]>) -> RangeInclusive<&[u8; N]> {
    range.start()..=range.end()
}

/// The key of one object of a blob.
pub(crate) fn object_key(blob: &BlobKey, object_id: &[u8; 32]) -> ObjectKey {
    let mut key = [0; 64];
    key[..32].copy_from_slice(blob);
    key[32..].copy_from_slice(object_id);
    key
}

/// Every object of a blob.
pub(crate) fn objects_of(blob: &BlobKey) -> RangeInclusive<ObjectKey> {
    object_key(blob, &[0; 32])..=object_key(blob, &[0xff; 32])
}

/// The key of a segment.
pub(crate) fn segment_key(blob: &BlobKey, segment: u32) -> SegmentKey {
    let mut key = [0; 36];
    key[..32].copy_from_slice(blob);
    key[32..].copy_from_slice(&segment.to_be_bytes());
    key
}

/// Every segment of a blob.
pub(crate) fn segments_of(blob: &BlobKey) -> RangeInclusive<SegmentKey> {
    segment_key(blob, 0)..=segment_key(blob, u32::MAX)
}

/// The key of a pair.
pub(crate) fn pair_key(segment: &SegmentKey, shard: ShardIndex) -> PairKey {
    let mut key = [0; 38];
    key[..36].copy_from_slice(segment);
    key[36..].copy_from_slice(&shard.0.to_be_bytes());
    key
}

/// Every pair from the first of one segment to the last of another.
pub(crate) fn pairs_of(segments: RangeInclusive<SegmentKey>) -> RangeInclusive<PairKey> {
    let (first, last) = (ShardIndex(0), ShardIndex(u16::MAX));
    pair_key(segments.start(), first)..=pair_key(segments.end(), last)
}

/// The segment a pair's key names.
pub(crate) fn segment_of_pair(key: &PairKey) -> SegmentKey {
    let (segment, _) = key.split_at(36);
    segment.try_into().expect("the first thirty-six of thirty-eight bytes")
}

/// The key of a sliver.
pub(crate) fn sliver_key(segment: &SegmentKey, shard: ShardIndex, axis: Axis) -> SliverKey {
    let axis = match axis {
        Axis::Primary => 0,
        Axis::Secondary => 1,
    };
    raw_sliver_key(segment, shard.0, axis)
}

fn raw_sliver_key(segment: &SegmentKey, shard: u16, axis: u8) -> SliverKey {
    let mut key = [0; 39];
    key[..36].copy_from_slice(segment);
    key[36..38].copy_from_slice(&shard.to_be_bytes());
    key[38] = axis;
    key
}

/// The shard and the axis that a sliver's key names.
pub(crate) fn place_of_sliver(key: &SliverKey) -> (ShardIndex, Axis) {
    let [.., high, low, axis] = *key;
    let axis = if axis == 0 { Axis::Primary } else { Axis::Secondary };
    (ShardIndex(u16::from_be_bytes([high, low])), axis)
}

/// The segment a sliver's key names.
pub(crate) fn segment_of_sliver(key: &SliverKey) -> SegmentKey {
    let (segment, _) = key.split_at(36);
    segment.try_into().expect("the first thirty-six of thirty-nine bytes")
}

/// The key after a key; none after the last there can be.
pub(crate) fn next_key<const N: usize>(key: &[u8; N]) -> Option<[u8; N]> {
    let mut next = *key;
    for byte in next.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(next);
        }
    }
    None
}

/// The blob a sliver's key names.
pub(crate) fn blob_of_sliver(key: &SliverKey) -> BlobKey {
    let (blob, _) = key.split_at(32);
    blob.try_into().expect("the first thirty-two of thirty-nine bytes")
}

/// Every sliver from the first of one segment to the last of another.
pub(crate) fn slivers_of(segments: RangeInclusive<SegmentKey>) -> RangeInclusive<SliverKey> {
    raw_sliver_key(segments.start(), 0, 0)..=raw_sliver_key(segments.end(), u16::MAX, u8::MAX)
}

/// The segment a segment's key names.
pub(crate) fn segment_number(key: &SegmentKey) -> u32 {
    let (_, segment) = key.split_at(32);
    u32::from_be_bytes(segment.try_into().expect("thirty-six bytes less a blob id are four"))
}

/// The blob a segment's key names.
pub(crate) fn blob_of_segment(key: &SegmentKey) -> BlobKey {
    let (blob, _) = key.split_at(32);
    blob.try_into().expect("the first thirty-two of thirty-six bytes")
}

/// The key of a pending blob.
pub(crate) fn pending_key(since_ms: u64, blob: &BlobKey) -> PendingKey {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&since_ms.to_be_bytes());
    key[8..].copy_from_slice(blob);
    key
}

/// The blob a pending key names.
pub(crate) fn blob_of_pending(key: &PendingKey) -> BlobKey {
    let (_, blob) = key.split_at(8);
    blob.try_into().expect("forty bytes less eight are a blob id")
}

/// The key of a blob that is due in that epoch.
pub(crate) fn due_key(epoch: u32, blob: &BlobKey) -> DueKey {
    let mut key = [0; 36];
    key[..4].copy_from_slice(&epoch.to_be_bytes());
    key[4..].copy_from_slice(blob);
    key
}

/// What stands for the event of a blob that was certified before events were kept.
pub(crate) const EVENT_UNKNOWN: EventKey = [0; 12];

/// The key of an event before which so many effects on blobs came in its checkpoint.
pub(crate) fn event_key(checkpoint: u64, effects: u32) -> EventKey {
    let mut key = EVENT_UNKNOWN;
    key[..8].copy_from_slice(&checkpoint.to_be_bytes());
    key[8..].copy_from_slice(&effects.saturating_add(1).to_be_bytes());
    key
}

/// The event a key names, if it is known.
pub(crate) fn event_of(key: &EventKey) -> Option<(u64, u32)> {
    let (checkpoint, number) = key.split_at(8);
    let checkpoint = checkpoint.try_into().expect("the first eight of twelve bytes");
    let number = number.try_into().expect("twelve bytes less eight are four");
    let effects = u32::from_be_bytes(number).checked_sub(1)?;
    Some((u64::from_be_bytes(checkpoint), effects))
}

/// The epoch a due key names.
pub(crate) fn epoch_of_due(key: &DueKey) -> u32 {
    let (epoch, _) = key.split_at(4);
    u32::from_be_bytes(epoch.try_into().expect("the first four of thirty-six bytes"))
}

/// The blob a due key names.
pub(crate) fn blob_of_due(key: &DueKey) -> BlobKey {
    let (_, blob) = key.split_at(4);
    blob.try_into().expect("thirty-six bytes less four are a blob id")
}

/// The blob an object's key names.
pub(crate) fn blob_of_object(key: &ObjectKey) -> BlobKey {
    let (blob, _) = key.split_at(32);
    blob.try_into().expect("the first thirty-two of sixty-four bytes")
}

/// Puts the hash of the bytes in front of them.
pub(crate) fn seal(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(32 + bytes.len());
    sealed.extend_from_slice(blake3::hash(bytes).as_bytes());
    sealed.extend_from_slice(bytes);
    sealed
}

/// The bytes in a sealed value, if they are still the ones that were sealed.
pub(crate) fn unseal(sealed: &[u8]) -> Option<&[u8]> {
    let (digest, bytes) = sealed.split_at_checked(32)?;
    (blake3::hash(bytes).as_bytes() == digest).then_some(bytes)
}

/// A length in memory as a count of bytes.
pub(crate) fn bytes_of(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
