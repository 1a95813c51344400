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

use crate::places::{Place, SliverRow};
use crate::tables::{self, BUNDLES, CERTIFICATES, CONTENT, HOLES, SHORT, SLIVERS, meta};
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
    assert_eq!(store.check().expect("readable"), Vec::<String>::new());
    let view = store.view().expect("readable");
    assert_eq!(tables::number(&view, meta::SCHEMA).expect("read"), Some(7));
    let Some(directory) = directory else { return };
    let mut bundles = BTreeMap::new();
    for row in view.open_table(BUNDLES).expect("opens").iter().expect("iterates") {
        let (id, row) = row.expect("readable");
        bundles.insert(format!("{:016x}", id.value()), row.value().1);
    }
    let files = bundle_files(directory).into_iter().map(|path| {
        let name = path.file_name().expect("named").to_string_lossy().into_owned();
        (name, path.metadata().expect("exists").len())
    });
    assert_eq!(files.collect::<BTreeMap<_, _>>(), bundles, "bundle files and rows");
    assert_eq!(std::fs::read_dir(directory.join("incoming")).expect("listed").count(), 0);
    check_holes(&view, directory);
}

/// Checks that the disk has back what is nobody's, or that it is noted.
fn check_holes(view: &ReadTransaction, directory: &Path) {
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
    for path in bundle_files(directory) {
        let name = path.file_name().expect("named").to_string_lossy().into_owned();
        let id = u64::from_str_radix(&name, 16).expect("a number");
        let mut bytes = std::fs::read(&path).expect("readable");
        live[&id].iter().for_each(|range| bytes[range.clone()].fill(0));
        let is_noted = holes.get(id).expect("read").is_some();
        assert!(is_noted || bytes == vec![0; bytes.len()], "bundle {id} keeps what is nobody's");
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
