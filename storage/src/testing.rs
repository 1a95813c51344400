//! What the tests of this crate share: sample values, a way to write a segment, and the check that everything in a
//! store agrees with everything else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::sliver::{Axis, ShardIndex};
use redb::{ReadTransaction, ReadableTable};

use crate::expiry::KEPT_EPOCHS;
use crate::places::{Place, SliverRow};
use crate::tables::{
    self, BUNDLES, CERTIFICATES, CONTENT, DUE, HEADERS, HOLES, OBJECTS, ObjectKey, PENDING, PROOFS,
    SHORT, SHORT_PROOFS, SLIVERS, SMALL, meta,
};
use crate::{BlobEffect, Options, ShortBlob, Store, StoreError};

/// Options that do not depend on how full the machine's disk is.
pub(crate) fn sample_options() -> Options {
    Options { reserve_bytes: 0, ..Options::default() }
}

pub(crate) fn sample_blob(number: u64) -> BlobId {
    BlobId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

pub(crate) fn sample_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn shards(range: std::ops::Range<u16>) -> Vec<ShardIndex> {
    range.map(ShardIndex).collect()
}

/// The bytes `write_segment` stores for a sliver.
pub(crate) fn sample_sliver(
    blob: u64,
    segment: u32,
    shard: ShardIndex,
    axis: Axis,
    length: usize,
) -> Vec<u8> {
    let axis = u64::from(axis == Axis::Secondary);
    sample_bytes(blob << 32 | u64::from(segment) << 20 | u64::from(shard.0) << 1 | axis, length)
}

/// The bytes `write_segment` stores for a pair's proof.
pub(crate) fn sample_proof(blob: u64, shard: ShardIndex) -> Vec<u8> {
    sample_bytes(blob << 16 | u64::from(shard.0), 640)
}

/// What a node with these shards keeps of a short blob, in another order than that of its shards.
pub(crate) fn sample_short(number: u64, shards: std::ops::Range<u16>) -> ShortBlob {
    let symbol =
        |shard: u16| (ShardIndex(shard), sample_bytes(number << 16 | u64::from(shard), 128).into());
    ShortBlob {
        header: sample_bytes(number, 73).into(),
        symbols: shards.rev().map(symbol).collect(),
        proof: sample_bytes(number, 320).into(),
    }
}

/// Flips a bit of a short blob's row, behind the back of the store's writer.
pub(crate) fn spoil_short(store: &Store, blob: &BlobId) {
    let transaction = store.database().begin_write().expect("begins");
    let mut table = transaction.open_table(SHORT).expect("opens");
    let mut row = table.get(blob.as_bytes()).expect("read").expect("stored").value().to_vec();
    row[40] ^= 1;
    table.insert(blob.as_bytes(), row.as_slice()).expect("written");
    drop(table);
    transaction.commit().expect("committed");
}

/// Writes a segment with the proof and both slivers of every shard.
pub(crate) async fn write_segment(
    store: &Store,
    blob: u64,
    segment: u32,
    shards: &[ShardIndex],
    length: usize,
    now_ms: u64,
) -> Result<(), StoreError> {
    let mut writer = store.segment_writer(sample_blob(blob), segment, now_ms)?;
    for shard in shards {
        writer.append_proof(*shard, &sample_proof(blob, *shard))?;
        for axis in Axis::BOTH {
            writer.append(*shard, axis, &sample_sliver(blob, segment, *shard, axis, length))?;
        }
    }
    writer.commit().await
}

/// Whether the store returns exactly what `write_segment` wrote.
pub(crate) fn check_segment(
    store: &Store,
    blob: u64,
    segment: u32,
    shards: &[ShardIndex],
    length: usize,
) {
    for shard in shards {
        for axis in Axis::BOTH {
            let found = store.sliver(&sample_blob(blob), segment, *shard, axis).expect("readable");
            let expected = Bytes::from(sample_sliver(blob, segment, *shard, axis, length));
            assert!(found == Some(expected), "blob {blob} segment {segment} shard {shard} {axis}");
        }
        let proof = store.pair_proof(&sample_blob(blob), segment, *shard).expect("readable");
        assert_eq!(proof.as_deref(), Some(sample_proof(blob, *shard).as_slice()));
    }
}

pub(crate) fn registered(blob: u64, object: u8) -> BlobEffect {
    registered_until(blob, object, 5)
}

pub(crate) fn registered_until(blob: u64, object: u8, end: u32) -> BlobEffect {
    BlobEffect::Registered {
        blob_id: sample_blob(blob),
        object_id: ObjectId::from_bytes([object; 32]),
        epoch: Epoch(1),
        end_epoch: Epoch(end),
        size: 1000,
        deletable: false,
    }
}

/// Certified in that epoch, or extended if it was certified before.
pub(crate) fn certified_until(blob: u64, object: u8, epoch: u32, end: u32) -> BlobEffect {
    let (epoch, end_epoch) = (Epoch(epoch), Epoch(end));
    BlobEffect::Certified {
        blob_id: sample_blob(blob),
        object_id: ObjectId::from_bytes([object; 32]),
        epoch,
        end_epoch,
    }
}

pub(crate) fn invalidated(blob: u64, epoch: u32) -> BlobEffect {
    BlobEffect::Invalidated { blob_id: sample_blob(blob), epoch: Epoch(epoch) }
}

pub(crate) fn deleted(blob: u64, object: u8) -> BlobEffect {
    BlobEffect::Deleted {
        blob_id: sample_blob(blob),
        object_id: ObjectId::from_bytes([object; 32]),
    }
}

/// Every file of the bundles in a data directory.
pub(crate) fn bundle_files(directory: &Path) -> Vec<PathBuf> {
    let list = |folder: PathBuf| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.expect("readable").path()).collect()
    };
    list(directory.join("bundles")).into_iter().flat_map(list).collect()
}

/// Checks everything the tables say about each other and, on disk, about the files.
pub(crate) fn check_consistent(store: &Store, directory: Option<&Path>) {
    let view = store.view().expect("readable");
    let mut live: BTreeMap<u64, u32> = BTreeMap::new();
    let mut content: BTreeMap<[u8; 32], u64> = BTreeMap::new();
    let mut inline = 0;
    let blob_of = |key: &[u8]| -> [u8; 32] { key[..32].try_into().expect("32 bytes") };
    for row in view.open_table(SLIVERS).expect("opens").iter().expect("iterates") {
        let (key, row) = row.expect("readable");
        let row = SliverRow::from_tuple(row.value());
        *content.entry(blob_of(key.value())).or_default() += u64::from(row.length);
        match row.place {
            Place::Inline => inline += 1,
            Place::Bundle { id, .. } => *live.entry(id).or_default() += 1,
        }
    }
    for row in view.open_table(PROOFS).expect("opens").iter().expect("iterates") {
        let (key, value) = row.expect("readable");
        *content.entry(blob_of(key.value())).or_default() += tables::bytes_of(value.value().len());
    }
    for row in view.open_table(HEADERS).expect("opens").iter().expect("iterates") {
        let (key, value) = row.expect("readable");
        *content.entry(blob_of(key.value())).or_default() += tables::bytes_of(value.value().len());
    }
    for table in [SHORT, SHORT_PROOFS] {
        for row in view.open_table(table).expect("opens").iter().expect("iterates") {
            let (key, value) = row.expect("readable");
            let bytes = tables::bytes_of(value.value().len());
            *content.entry(blob_of(key.value())).or_default() += bytes;
        }
    }
    assert_eq!(view.open_table(SMALL).expect("opens").iter().expect("iterates").count(), inline);

    let mut bundles = BTreeMap::new();
    for row in view.open_table(BUNDLES).expect("opens").iter().expect("iterates") {
        let (id, row) = row.expect("readable");
        let (_, bytes, count) = row.value();
        assert_eq!(
            live.remove(&id.value()),
            Some(count),
            "slivers that point to bundle {}",
            id.value()
        );
        bundles.insert(format!("{:016x}", id.value()), bytes);
    }
    assert!(live.is_empty(), "slivers point to bundles nobody knows: {live:?}");
    if let Some(directory) = directory {
        let files = bundle_files(directory).into_iter().map(|path| {
            let name = path.file_name().expect("named").to_string_lossy().into_owned();
            (name, path.metadata().expect("exists").len())
        });
        assert_eq!(files.collect::<BTreeMap<_, _>>(), bundles, "bundle files and rows");
        assert_eq!(std::fs::read_dir(directory.join("incoming")).expect("listed").count(), 0);
    }

    let mut pending_bytes = 0;
    let objects = view.open_table(OBJECTS).expect("opens");
    let pending = view.open_table(PENDING).expect("opens");
    let mut rows = BTreeMap::new();
    for row in view.open_table(CONTENT).expect("opens").iter().expect("iterates") {
        let (blob, row) = row.expect("readable");
        let (bytes, since_ms) = row.value();
        rows.insert(*blob.value(), bytes);
        let mut of_blob = objects
            .range::<&ObjectKey>(tables::keys(&tables::objects_of(blob.value())))
            .expect("iterates");
        let is_pending =
            pending.get(&tables::pending_key(since_ms, blob.value())).expect("read").is_some();
        assert_eq!(is_pending, of_blob.next().is_none(), "pending means no object on chain");
        pending_bytes += if is_pending { bytes } else { 0 };
    }
    assert_eq!(rows, content, "bytes per blob");
    let usage = store.usage().expect("readable");
    assert_eq!(usage.content_bytes, rows.values().sum::<u64>());
    assert_eq!(usage.pending_bytes, pending_bytes);
    assert_eq!(tables::number(&view, meta::SCHEMA).expect("read"), Some(6));
    check_due(&view);
    check_holes(&view, directory);
}

/// Checks that the disk has back what is nobody's, or that it is noted.
fn check_holes(view: &ReadTransaction, directory: Option<&Path>) {
    let holes = view.open_table(HOLES).expect("opens");
    let mut live: BTreeMap<u64, Vec<std::ops::Range<usize>>> = BTreeMap::new();
    for row in view.open_table(SLIVERS).expect("opens").iter().expect("iterates") {
        let row = SliverRow::from_tuple(row.expect("readable").1.value());
        if let Place::Bundle { id, offset } = row.place {
            let start = usize::try_from(offset).expect("small");
            let length = usize::try_from(row.length).expect("small");
            live.entry(id).or_default().push(start..start + length);
        }
    }
    for row in holes.iter().expect("iterates") {
        let bundle = row.expect("readable").0.value();
        assert!(live.contains_key(&bundle), "bundle {bundle} has holes, and nothing else");
    }
    for path in directory.map(bundle_files).into_iter().flatten() {
        let name = path.file_name().expect("named").to_string_lossy().into_owned();
        let id = u64::from_str_radix(&name, 16).expect("a number");
        let mut bytes = std::fs::read(&path).expect("readable");
        live[&id].iter().for_each(|range| bytes[range.clone()].fill(0));
        let is_noted = holes.get(id).expect("read").is_some();
        assert!(
            is_noted || bytes.iter().all(|byte| *byte == 0),
            "bundle {id} keeps what is nobody's"
        );
    }
}

/// Checks that nothing is forgotten when its time comes: every blob with objects is due soon enough.
fn check_due(view: &ReadTransaction) {
    let mut first_due: BTreeMap<[u8; 32], u32> = BTreeMap::new();
    for row in view.open_table(DUE).expect("opens").iter().expect("iterates") {
        let (key, _) = row.expect("readable");
        let epoch = u32::from_be_bytes(key.value()[..4].try_into().expect("4 bytes"));
        first_due.entry(tables::blob_of_due(key.value())).or_insert(epoch);
    }
    let mut ends: BTreeMap<[u8; 32], u32> = BTreeMap::new();
    for row in view.open_table(OBJECTS).expect("opens").iter().expect("iterates") {
        let (key, row) = row.expect("readable");
        let end = ends.entry(tables::blob_of_object(key.value())).or_default();
        *end = row.value().1.max(*end);
    }
    let content = view.open_table(CONTENT).expect("opens");
    let certificates = view.open_table(CERTIFICATES).expect("opens");
    for (blob, end) in ends {
        let has_content = content.get(&blob).expect("read").is_some()
            || certificates.get(&blob).expect("read").is_some();
        let latest = if has_content { end } else { end.saturating_add(KEPT_EPOCHS) };
        let due = first_due.get(&blob).copied();
        assert!(due.is_some_and(|due| due <= latest), "due {due:?}, not by {latest}");
    }
}

/// What is left of a blob: whether its content, its certificate and its objects are there.
pub(crate) fn remains(store: &Store, blob: u64) -> (bool, bool, bool) {
    let view = store.view().expect("readable");
    let id = sample_blob(blob);
    let content = view.open_table(CONTENT).expect("opens").get(id.as_bytes()).expect("read");
    let certificates = view.open_table(CERTIFICATES).expect("opens");
    let certificate = certificates.get(id.as_bytes()).expect("read");
    let record = store.blob(&id).expect("readable");
    let has_objects = record.is_some_and(|record| !record.objects.is_empty());
    (content.is_some(), certificate.is_some(), has_objects)
}
