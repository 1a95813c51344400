//! How long others' writes wait while ten thousand blobs are removed at once, and what the disk has back.
//!
//! Run with `cargo bench --workspace --bench removing`; `-- --blobs 1000` removes fewer. Fills a store in a temporary directory
//! with blobs that are over in the same epoch, and one of many segments, writes small values one after the other, first alone
//! and then while all of it is removed, and measures each.

#![allow(clippy::print_stdout, reason = "a benchmark reports on the terminal")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::sliver::{Axis, ShardIndex};
use haulout_storage::{BlobEffect, Options, Store};

const END: Epoch = Epoch(5);
/// Segments of the long blob.
const SEGMENTS: u32 = 2_000;
/// Bytes of a sliver: just enough for a file of its own.
const SLIVER: usize = 16 * 1024;
const BATCH: u64 = 64;
const WRITES: usize = 500;

fn blob(number: u64) -> BlobId {
    BlobId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn registered(number: u64, end_epoch: Epoch) -> BlobEffect {
    let (blob_id, object_id) = (blob(number), ObjectId::from_bytes(*blob(number).as_bytes()));
    let (epoch, size) = (Epoch(1), 1_000);
    BlobEffect::Registered { blob_id, object_id, epoch, end_epoch, size, deletable: false }
}

/// A pair of slivers with its proof.
async fn fill(store: Store, number: u64, segment: u32) {
    let mut writer = store.segment_writer(blob(number), segment, 0).expect("starts");
    writer.append_proof(ShardIndex(0), &[3; 640]).expect("appended");
    for axis in Axis::BOTH {
        writer.append(ShardIndex(0), axis, &[7; SLIVER]).expect("appended");
    }
    writer.commit().await.expect("stored");
}

async fn fill_all(store: &Store, segments: impl Iterator<Item = (u64, u32)>) {
    let mut writes = tokio::task::JoinSet::new();
    for (number, segment) in segments {
        writes.spawn(fill(store.clone(), number, segment));
        if writes.len() == usize::try_from(BATCH).expect("small") {
            std::mem::take(&mut writes).join_all().await;
        }
    }
    writes.join_all().await;
}

/// How long one small write takes.
async fn write(store: &Store) -> Duration {
    let began = Instant::now();
    store.put_header(&blob(u64::MAX), vec![1; 137], 0).await.expect("stored");
    began.elapsed()
}

fn told(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!(
        "{what}: {} writes, median {:?}, p99 {:?}, slowest {:?}",
        took.len(),
        at(50),
        at(99),
        at(100)
    );
}

/// Bytes of the disk that a folder takes.
fn disk_bytes(folder: &Path) -> u64 {
    let entries =
        std::fs::read_dir(folder).expect("listed").map(|entry| entry.expect("read").path());
    entries
        .map(|path| match path.is_dir() {
            true => disk_bytes(&path),
            false => path.metadata().map_or(0, |file| file.blocks() * 512),
        })
        .sum()
}

fn blobs_wanted() -> u64 {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == "--blobs");
    let number = at.and_then(|at| arguments.get(at + 1));
    number.map_or(10_000, |number| number.parse().expect("--blobs takes a number"))
}

async fn run(directory: &Path) {
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let store = Store::open(directory, options).expect("opens");
    let blobs = blobs_wanted();
    let effects = (0..=blobs).map(|number| registered(number, END)).collect();
    store.apply(1, effects).await.expect("applied");
    let began = Instant::now();
    let segments = (0..blobs).map(|number| (number, 0));
    fill_all(&store, segments.chain((0..SEGMENTS).map(|segment| (blobs, segment)))).await;
    println!("{blobs} blobs of one segment and one of {SEGMENTS}, in {:?}", began.elapsed());
    let mut took = Vec::new();
    for _ in 0..WRITES {
        took.push(write(&store).await);
    }
    told("nothing is removed", took);
    println!(
        "on the disk: {} MiB in files, {} MiB in all",
        disk_bytes(&directory.join("bundles")) >> 20,
        disk_bytes(directory) >> 20
    );
    let (began, removing) = (Instant::now(), store.clone());
    let removing = tokio::spawn(async move { removing.expire(END).await.expect("removed") });
    let mut took = Vec::new();
    while !removing.is_finished() {
        took.push(write(&store).await);
    }
    let bytes = removing.await.expect("no panic");
    println!("removed {} MiB in {:?}", bytes >> 20, began.elapsed());
    told("meanwhile", took);
    println!(
        "on the disk: {} MiB in files, {} MiB in all",
        disk_bytes(&directory.join("bundles")) >> 20,
        disk_bytes(directory) >> 20
    );
}

fn main() {
    let directory = tempfile::tempdir().expect("created");
    tokio::runtime::Runtime::new().expect("starts").block_on(run(directory.path()));
}
