//! Power cuts: after every operation on the database, every plausible state of the disk must open and hold everything
//! acknowledged by then. And failing disks: after an error nothing more is acknowledged.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use haulout_protocol::epoch::Epoch;

use super::*;
use haulout_protocol::machine::epoch_change::Holding;

#[derive(Clone, Debug)]
enum Operation {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
}

/// A disk that remembers what was done to it, and breaks after so many operations.
#[derive(Clone, Debug)]
struct Disk {
    state: Arc<Mutex<DiskState>>,
    breaks_at: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct DiskState {
    bytes: Vec<u8>,
    log: Vec<Operation>,
}

impl Disk {
    fn with(bytes: Vec<u8>) -> Self {
        let state = DiskState { bytes, log: Vec::new() };
        Disk {
            state: Arc::new(Mutex::new(state)),
            breaks_at: Arc::new(AtomicUsize::new(usize::MAX)),
        }
    }

    fn done(&self) -> usize {
        self.state.lock().expect("no panics").log.len()
    }

    fn perform(&self, operation: Operation) -> std::io::Result<()> {
        let mut state = self.state.lock().expect("no panics");
        if state.log.len() >= self.breaks_at.load(Ordering::SeqCst) {
            return Err(std::io::Error::other("the disk broke"));
        }
        replay(&mut state.bytes, &operation);
        state.log.push(operation);
        Ok(())
    }
}

fn replay(bytes: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Write(offset, data) => {
            let start = usize::try_from(*offset).expect("small");
            bytes.resize(bytes.len().max(start + data.len()), 0);
            bytes[start..start + data.len()].copy_from_slice(data);
        }
        Operation::Length(length) => bytes.resize(usize::try_from(*length).expect("small"), 0),
        Operation::Sync => {}
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> std::io::Result<u64> {
        Ok(bytes_of(self.state.lock().expect("no panics").bytes.len()))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let state = self.state.lock().expect("no panics");
        let start = usize::try_from(offset).expect("small");
        let bytes =
            state.bytes.get(start..start + out.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> std::io::Result<()> {
        self.perform(Operation::Length(length))
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.perform(Operation::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.perform(Operation::Write(offset, data.to_vec()))
    }
}

/// How long the blobs that must stay are paid for: beyond every epoch of these tests.
const LATER: u32 = 1000;

/// The shard of each step is missing, those of earlier steps are held.
fn shards_after(step: u64) -> Vec<(ShardIndex, Option<Holding>)> {
    let number = u16::try_from(step).expect("few steps");
    let missing = Holding::Missing { since: Epoch(u32::from(number)) };
    let held = (ShardIndex(number - 1), Some(Holding::Held));
    vec![(ShardIndex(number), Some(missing)), held]
}

/// Writes, forgets, expires, changes shards and follows the chain; calls back after each acknowledged step. Stops at the first error.
async fn run(
    store: &Store,
    steps: u64,
    mut acknowledged: impl FnMut(u64),
) -> Result<(), StoreError> {
    for step in 1..=steps {
        store.put_header(&sample_blob(step), sample_bytes(step, 73), step).await?;
        write_segment(store, step, 0, &shards(0..2), 700, step).await?;
        if step.is_multiple_of(3) {
            store.put_header(&sample_blob(step + 1000), vec![1; 500], 1).await?;
            store.forget_pending(2).await?;
            write_segment(store, step + 2000, 0, &shards(0..1), 700, step).await?;
        }
        store.set_shards(shards_after(step)).await?;
        let short = registered_until(step + 2000, 1, u32::try_from(step).expect("few steps"));
        store.apply(step, vec![registered_until(step, 1, LATER), short]).await?;
        store.expire(Epoch(u32::try_from(step).expect("few steps"))).await?;
        acknowledged(step);
    }
    Ok(())
}

/// Everything acknowledged is there, and at most the step after it.
fn check(bytes: Vec<u8>, acknowledged: u64) {
    let store = Store::in_backend(Disk::with(bytes)).expect("opens");
    check_consistent(&store, None);
    let position = store.position().expect("read").unwrap_or(0);
    assert!(
        (acknowledged..=acknowledged + 1).contains(&position),
        "{position}, acknowledged {acknowledged}"
    );
    for step in 1..=acknowledged {
        assert!(store.holds(&sample_blob(step), 1, &shards(0..2)).expect("read"), "step {step}");
        check_segment(&store, step, 0, &shards(0..2), 700);
        assert_eq!(remains(&store, step + 2000), (false, false, true), "step {step} expired");
    }
    let states = store.shards().expect("read");
    let last = states.last_key_value().map_or(0, |(shard, _)| u64::from(shard.0));
    assert!((acknowledged..=acknowledged + 1).contains(&last), "shards of step {last}");
    let expected = (1..=last).flat_map(shards_after);
    let expected: BTreeMap<_, _> =
        expected.filter_map(|(shard, state)| Some((shard, state?))).collect();
    assert_eq!(states.into_iter().collect::<BTreeMap<_, _>>(), expected);
}

#[tokio::test]
async fn every_power_cut_leaves_what_was_acknowledged() {
    let disk = Disk::with(Vec::new());
    let store = Store::in_backend(disk.clone()).expect("opens");
    let start = disk.done();
    let mut acknowledgements = vec![(start, 0)];
    run(&store, 6, |step| acknowledgements.push((disk.done(), step))).await.expect("a good disk");
    let log = disk.state.lock().expect("no panics").log.clone();
    drop(store);

    let mut durable = Vec::new();
    log[..start].iter().for_each(|operation| replay(&mut durable, operation));
    let (mut synced, mut random) = (start, 0x9e37_79b9_u64);
    for cut in start..=log.len() {
        if cut > start && matches!(log[cut - 1], Operation::Sync) {
            log[synced..cut].iter().for_each(|operation| replay(&mut durable, operation));
            synced = cut;
        }
        let (_, acknowledged) = acknowledgements
            .iter()
            .rev()
            .find(|(at, _)| *at <= cut)
            .expect("the first is at the start");
        // Nothing, everything, or some of what was not yet synced reached the disk.
        for image in 0..3 {
            let mut bytes = durable.clone();
            for operation in &log[synced..cut] {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let kept = match image {
                    0 => false,
                    1 => true,
                    _ => matches!(operation, Operation::Length(_)) || random >> 63 == 0,
                };
                if kept {
                    replay(&mut bytes, operation);
                }
            }
            check(bytes, *acknowledged);
        }
    }
}

#[tokio::test]
async fn after_a_disk_error_nothing_is_acknowledged_until_it_is_opened_again() {
    let disk = Disk::with(Vec::new());
    let store = Store::in_backend(disk.clone()).expect("opens");
    let start = disk.done();
    run(&store, 5, |_| ()).await.expect("a good disk");
    let end = disk.done();
    for breaks_at in (start..end).step_by(3) {
        let disk = Disk::with(Vec::new());
        let store = Store::in_backend(disk.clone()).expect("opens");
        disk.breaks_at.store(breaks_at, Ordering::SeqCst);
        let mut acknowledged = 0;
        let error = run(&store, 5, |step| acknowledged = step).await.expect_err("it broke");
        assert!(matches!(error, StoreError::Poisoned { .. }), "{error:?}");
        let refused = store.put_certificate(&sample_blob(1), Vec::new()).await;
        assert!(matches!(refused, Err(StoreError::Poisoned { .. })), "{refused:?}");
        assert!(store.segment_writer(sample_blob(1), 0, Vec::new(), 0).is_err());
        drop(store);
        let bytes = disk.state.lock().expect("no panics").bytes.clone();
        check(bytes, acknowledged);
    }
}
