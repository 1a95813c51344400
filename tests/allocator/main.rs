//! What the allocator of every program here gives back, in a process of its own.
//!
//! Promises: a few small objects that outlive many do not hold the pages of those that are gone.
//! Does not: bound what is taken, or know nodes (`attacks` does).

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]

use std::fs;

use haulout_tests::eventually;

/// As many objects as hundreds of connections have, of a size that shares slabs of seven pages by default.
const OBJECTS: usize = 200_000;
/// One in so many outlives the others: one in each of those slabs.
const ONE_OF: usize = 128;
/// The most that the survivors may hold: a page each and what the allocator notes of it; slabs of seven pages hold 44 MiB.
const HELD_KIB_MAX: u64 = 16 * 1024;

#[tokio::test]
async fn few_that_stay_do_not_keep_the_memory_of_many_that_went() {
    let before = own_kib();
    let objects: Vec<Box<[u8; 224]>> = (0..OBJECTS).map(|_| Box::new([0x5a; 224])).collect();
    let most = own_kib() - before;
    assert!(most > 2 * HELD_KIB_MAX, "{OBJECTS} objects took {most} KiB");
    let survivors: Vec<Box<[u8; 224]>> = objects.into_iter().step_by(ONE_OF).collect();
    eventually("what went is given back", async || {
        own_kib().saturating_sub(before) <= HELD_KIB_MAX
    })
    .await;
    assert_eq!(survivors.len(), OBJECTS.div_ceil(ONE_OF));
}

/// Memory of this process that is its own.
fn own_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
