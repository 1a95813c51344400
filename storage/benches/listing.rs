//! How long a store of a million certified blobs takes to say what is missing, and where a byte lies among them.
//!
//! Run with `cargo bench --workspace --bench listing`; `-- --blobs 100000` fills a smaller store. Fills one in a temporary
//! directory, which takes minutes, and measures: the first page of what is missing, when everything is noted as after a start
//! with a new shard, when nothing is missing, and when one blob in a hundred is; all pages of those; a pick of a byte in the
//! order of certification; and what pages add to the memory of the process.

#![allow(clippy::print_stdout, reason = "a benchmark reports on the terminal")]

use std::time::{Duration, Instant};

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::sliver::ShardIndex;
use haulout_storage::{BlobEffect, Options, PageEnd, Scope, ShortBlob, Store};

const SHARD: ShardIndex = ShardIndex(0);
const EPOCH: Epoch = Epoch(2);
const BLOB_BYTES: u64 = 1_000;
const BATCH: u64 = 1_000;
const LOOKS: usize = 200;
const PICKS: u64 = 10_000;

fn blob(number: u64) -> BlobId {
    BlobId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn certified(number: u64) -> [BlobEffect; 2] {
    let mut object_id = [0; 32];
    object_id[..8].copy_from_slice(&number.to_le_bytes());
    let (blob_id, object_id) = (blob(number), ObjectId::from_bytes(object_id));
    let (epoch, end_epoch, size) = (Epoch(1), Epoch(100), BLOB_BYTES);
    [
        BlobEffect::Registered { blob_id, object_id, epoch, end_epoch, size, deletable: false },
        BlobEffect::Certified { blob_id, object_id, epoch, end_epoch },
    ]
}

fn short() -> ShortBlob {
    ShortBlob {
        header: vec![1; 73].into(),
        symbols: vec![(SHARD, vec![2; 128].into())],
        proof: vec![3; 160].into(),
    }
}

/// Certifies blobs and stores what belongs here of them, many at once.
async fn fill(store: &Store, blobs: std::ops::Range<u64>, checkpoint: &mut u64) {
    for first in blobs.clone().step_by(usize::try_from(BATCH).expect("small")) {
        let last = (first + BATCH).min(blobs.end);
        let mut puts = tokio::task::JoinSet::new();
        for number in first..last {
            let store = store.clone();
            puts.spawn(async move { store.put_short(&blob(number), short(), 0).await });
        }
        let effects = (first..last).flat_map(certified).collect();
        store.apply(*checkpoint, effects).await.expect("applied");
        *checkpoint += 1;
        puts.join_all().await.into_iter().for_each(|put| put.expect("stored"));
    }
}

/// The first page after `after`: how many blobs it names, where it ended, and what it took.
fn page(store: &Store, after: Option<PageEnd>) -> (usize, Option<PageEnd>, Duration) {
    let scope = Scope { epoch: EPOCH, shards: &[SHARD], arriving_since_ms: u64::MAX };
    let began = Instant::now();
    let page = store.missing(&scope, |_| 1, after).expect("read");
    (page.lacking.len(), page.end, began.elapsed())
}

/// First pages, again and again: median and the slowest of a hundred.
fn first_pages(store: &Store, what: &str) {
    let mut named = 0;
    let looks = (0..LOOKS).map(|_| {
        let (lacking, _, took) = page(store, None);
        named = lacking;
        took
    });
    let mut looks: Vec<_> = looks.collect();
    looks.sort_unstable();
    let (median, slow) = (looks[LOOKS / 2], looks[LOOKS * 99 / 100]);
    println!("{what}: first page {median:?}, p99 {slow:?}, names {named} blobs");
}

/// A number of `/proc/self/status`, in KiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn blobs_wanted() -> u64 {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == "--blobs");
    let number = at.and_then(|at| arguments.get(at + 1));
    number.map_or(1_000_000, |number| number.parse().expect("--blobs takes a number"))
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    let directory = tempfile::tempdir().expect("created");
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let store = Store::open(directory.path(), options).expect("opens");
    let (blobs, mut checkpoint) = (blobs_wanted(), 0);
    let parameters = Parameters::new(100, 1 << 25).expect("valid parameters");
    let parameters = parameters.with_short_blobs(1 << 16).expect("valid parameters");
    runtime.block_on(store.set_parameters(&parameters)).expect("told");
    let began = Instant::now();
    runtime.block_on(fill(&store, 0..blobs, &mut checkpoint));
    println!("filled with {blobs} certified blobs in {:?}", began.elapsed());

    first_pages(&store, "every blob is noted");
    let (before, began) = (memory("VmRSS"), Instant::now());
    let (mut after, mut pages) = (None, 0);
    loop {
        let (_, end, _) = page(&store, after);
        pages += 1;
        after = end;
        if after.is_none() {
            break;
        }
    }
    println!("every blob is noted: {pages} pages in {:?}", began.elapsed());
    // What the looks queued is written with or before this.
    runtime.block_on(store.apply(checkpoint, Vec::new())).expect("applied");
    checkpoint += 1;
    while page(&store, None).1.is_some() {}
    first_pages(&store, "nothing is missing");
    for first in (blobs..blobs + blobs / 100).step_by(usize::try_from(BATCH).expect("small")) {
        let last = (first + BATCH).min(blobs + blobs / 100);
        let more = (first..last).flat_map(certified).collect();
        runtime.block_on(store.apply(checkpoint, more)).expect("applied");
        checkpoint += 1;
    }
    first_pages(&store, "one blob in a hundred is missing");
    let (began, mut named, mut after) = (Instant::now(), 0, None);
    loop {
        let (lacking, end, _) = page(&store, after);
        (named, after) = (named + lacking, end);
        if after.is_none() {
            break;
        }
    }
    println!("all pages of them: {named} blobs in {:?}", began.elapsed());
    println!("memory: {before} KiB before the pages, {} KiB after them", memory("VmRSS"));

    let order = store.order().expect("read");
    let (bytes, began) = (order.bytes().expect("read"), Instant::now());
    for pick in 0..PICKS {
        let position = bytes / PICKS * pick;
        assert!(order.byte_at(position).expect("read").is_some(), "it is within");
    }
    let picks = u32::try_from(PICKS).expect("small");
    println!("a byte of {bytes} in the order of certification: {:?}", began.elapsed() / picks);
}
