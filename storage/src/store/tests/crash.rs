//! SIGKILL at random moments: a child process writes and reports what was acknowledged, the parent kills it, opens the
//! store and looks for everything reported.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use haulout_protocol::epoch::Epoch;

use super::*;
use haulout_protocol::machine::epoch_change::Holding;

/// Set for the child only: where to write, and the first blob number to use.
const DIRECTORY: &str = "HAULOUT_STORAGE_CRASH_DIRECTORY";
const FIRST: &str = "HAULOUT_STORAGE_CRASH_FIRST";
const TASKS: u64 = 4;
/// Far above what opening takes, also on a busy machine, and far below reading every byte of a large store.
const REOPENING_MAX: Duration = Duration::from_secs(30);
const BLOBS_PER_ROUND: u64 = 100_000;
/// First number of the blobs that the chain mentions.
const CHAIN_BLOBS: u64 = 1_000_000_000;
/// Always changed together.
const SHARDS: [ShardIndex; 3] = [ShardIndex(0), ShardIndex(7), ShardIndex(999)];

/// A child that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Fails only if it is dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn report(line: &str) {
    let mut out = std::io::stdout().lock();
    // The parent stops listening when it kills us.
    let _ = writeln!(out, "\nack {line} .").and_then(|()| out.flush());
}

fn length_of(blob: u64) -> usize {
    if blob.is_multiple_of(3) { SMALL } else { LARGE }
}

/// Every seventh blob is due to be forgotten as soon as it is written.
fn is_forgotten(blob: u64) -> bool {
    blob % 7 == 6
}

fn is_expired(blob: u64) -> bool {
    blob.is_multiple_of(4)
}

async fn write_forever(store: Store, mut blob: u64) {
    loop {
        let now_ms = if is_forgotten(blob) { 1 } else { 1000 };
        store.put_header(&sample_blob(blob), sample_bytes(blob, 73), now_ms).await.expect("stored");
        for segment in 0..2 {
            write_segment(&store, blob, segment, &shards(0..3), length_of(blob), now_ms)
                .await
                .expect("stored");
        }
        if is_forgotten(blob) {
            store.forget_pending(2).await.expect("forgotten");
            report(&format!("forgot {blob}"));
        } else {
            report(&format!("put {blob}"));
        }
        blob += TASKS;
    }
}

async fn follow_chain(store: Store) {
    let mut checkpoint = store.position().expect("read").map_or(0, |position| position + 1);
    loop {
        // Paid for until an epoch that comes at once, or for longer than this test knows.
        let blob = checkpoint + CHAIN_BLOBS;
        let end = if is_expired(blob) { 5 } else { 1000 };
        write_segment(&store, blob, 0, &shards(0..3), LARGE, 1000).await.expect("stored");
        store.apply(checkpoint, vec![registered_until(blob, 1, end)]).await.expect("applied");
        report(&format!("apply {checkpoint}"));
        if is_expired(blob) {
            store.expire(Epoch(5)).await.expect("expired");
            report(&format!("expire {blob}"));
        }
        let since = Epoch(u32::try_from(checkpoint).expect("small"));
        let missing = Some(Holding::Missing { since });
        store.set_shards(SHARDS.map(|shard| (shard, missing)).to_vec()).await.expect("set");
        report(&format!("shards {checkpoint}"));
        checkpoint += 1;
    }
}

/// Not a test of its own: what the child runs. Does nothing unless it was told where.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer_process() {
    let (Some(directory), Ok(first)) = (std::env::var_os(DIRECTORY), std::env::var(FIRST)) else {
        return;
    };
    let first: u64 = first.parse().expect("a number");
    let store = open(Path::new(&directory));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(write_forever(store.clone(), first + task));
    }
    tasks.spawn(follow_chain(store));
    tasks.join_all().await;
}

/// Runs the child until it acknowledged so many things, kills it, and returns what it acknowledged.
fn run_and_kill(directory: &Path, first: u64, acknowledged: usize) -> Vec<(String, u64)> {
    let child = Command::new(std::env::current_exe().expect("known"))
        .args(["--exact", "store::tests::crash::writer_process", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = Killed(child.expect("starts"));
    let out = BufReader::new(child.0.stdout.take().expect("piped"));
    let mut reports = out.lines().map_while(Result::ok).filter_map(|line| {
        // A line the kill cut short has no full stop.
        let (what, number) = line.strip_prefix("ack ")?.strip_suffix(" .")?.split_once(' ')?;
        Some((what.to_owned(), number.parse().expect("a number")))
    });
    let mut seen: Vec<_> = reports.by_ref().take(acknowledged).collect();
    assert_eq!(seen.len(), acknowledged, "the child ended early");
    child.0.kill().expect("still running");
    child.0.wait().expect("ended");
    // What was reported between our last look and its death counts too.
    seen.extend(reports);
    seen
}

/// All of them were changed together, and not before what was acknowledged.
fn check_shards(store: &Store, acknowledged: Option<u64>) {
    let since = store.shards().expect("read").into_values().map(|state| match state {
        Holding::Missing { since } => u64::from(since.0),
        Holding::Held | Holding::Locked { .. } => panic!("nobody said so"),
    });
    let since: Vec<_> = since.collect();
    assert!(since.is_empty() || since.len() == SHARDS.len(), "{since:?}");
    assert!(since.windows(2).all(|pair| pair[0] == pair[1]), "{since:?}");
    assert!(since.first().copied() >= acknowledged, "{since:?}, acknowledged {acknowledged:?}");
}

#[test]
fn everything_acknowledged_survives_sigkill_and_nothing_else_is_left() {
    let directory = tempdir().expect("created");
    let mut put = BTreeSet::new();
    let mut forgotten = BTreeSet::new();
    let mut expired = BTreeSet::new();
    let (mut applied, mut changed) = (None, None);
    let mut first = 0;
    // Moments spread from "hardly started" to "well under way".
    for acknowledged in [1, 40, 3, 17, 90, 5, 60, 29] {
        for (what, number) in run_and_kill(directory.path(), first, acknowledged) {
            match what.as_str() {
                "put" => drop(put.insert(number)),
                "forgot" => drop(forgotten.insert(number)),
                "expire" => drop(expired.insert(number)),
                "shards" => changed = changed.max(Some(number)),
                _ => applied = applied.max(Some(number)),
            }
        }
        first += BLOBS_PER_ROUND;
        let started = Instant::now();
        let store = open(directory.path());
        assert!(started.elapsed() < REOPENING_MAX, "reopening took {:?}", started.elapsed());
        check_consistent(&store, Some(directory.path()));
        for blob in &put {
            assert!(
                store.holds(&sample_blob(*blob), 2, &shards(0..3)).expect("read"),
                "blob {blob}"
            );
            check_segment(&store, *blob, 0, &shards(0..3), length_of(*blob));
            check_segment(&store, *blob, 1, &shards(0..3), length_of(*blob));
        }
        for blob in &forgotten {
            assert_eq!(store.header(&sample_blob(*blob)).expect("read"), None, "blob {blob}");
            assert_eq!(
                store.pair_proof(&sample_blob(*blob), 1, ShardIndex(0)).expect("read"),
                None,
                "blob {blob}"
            );
        }
        assert!(store.position().expect("read") >= applied);
        for blob in &expired {
            assert_eq!(remains(&store, *blob), (false, false, true), "blob {blob}");
        }
        check_shards(&store, changed);
    }
    assert!(put.len() > 20 && !forgotten.is_empty() && applied.is_some(), "the child did nothing");
    assert!(!expired.is_empty() && changed.is_some(), "the child did nothing");
}
