//! Power cuts: after every operation on the database, on files and on folders, every plausible state of the disk must
//! open and hold everything acknowledged by then. And failing disks: after an error nothing more is acknowledged.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use tempfile::TempDir;

use super::folders::{Folders, Kept, next};
use super::*;
use crate::files::{FileChange, Witness};
use crate::rot::Sealed;
use haulout_protocol::machine::epoch_change::Holding;

/// Large enough for a bundle.
const BUNDLED: usize = 16 * 1024;

#[derive(Clone, Debug)]
enum Operation {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
    File(OwnedChange),
}

/// A [`FileChange`] that is remembered.
#[derive(Clone, Debug)]
enum OwnedChange {
    CreateFolder(PathBuf),
    Create(PathBuf),
    Append(PathBuf, Vec<u8>),
    /// The bytes are the file's, if they came past us.
    Sync(PathBuf, Option<Vec<u8>>),
    Rename(PathBuf, PathBuf),
    Punch(PathBuf, u64, u64),
    Remove(PathBuf),
    SyncFolder(PathBuf),
}

impl OwnedChange {
    fn of(change: FileChange<'_>) -> Self {
        match change {
            FileChange::CreateFolder(path) => OwnedChange::CreateFolder(path.to_owned()),
            FileChange::Create(path) => OwnedChange::Create(path.to_owned()),
            FileChange::Append(path, bytes) => OwnedChange::Append(path.to_owned(), bytes.to_vec()),
            FileChange::Sync(path) => {
                let is_ours = path.extension().is_none();
                let unseen = (!is_ours).then(|| fs::read(path).expect("read"));
                OwnedChange::Sync(path.to_owned(), unseen)
            }
            FileChange::Rename(from, to) => OwnedChange::Rename(from.to_owned(), to.to_owned()),
            FileChange::Punch(path, offset, length) => {
                OwnedChange::Punch(path.to_owned(), offset, length)
            }
            FileChange::Remove(path) => OwnedChange::Remove(path.to_owned()),
            FileChange::SyncFolder(path) => OwnedChange::SyncFolder(path.to_owned()),
        }
    }

    fn replay(&self, folders: &mut Folders) {
        let (change, unseen) = match self {
            OwnedChange::CreateFolder(path) => (FileChange::CreateFolder(path), None),
            OwnedChange::Create(path) => (FileChange::Create(path), None),
            OwnedChange::Append(path, bytes) => (FileChange::Append(path, bytes), None),
            OwnedChange::Sync(path, unseen) => (FileChange::Sync(path), unseen.clone()),
            OwnedChange::Rename(from, to) => (FileChange::Rename(from, to), None),
            OwnedChange::Punch(path, offset, length) => {
                (FileChange::Punch(path, *offset, *length), None)
            }
            OwnedChange::Remove(path) => (FileChange::Remove(path), None),
            OwnedChange::SyncFolder(path) => (FileChange::SyncFolder(path), None),
        };
        folders.apply(change, unseen);
    }
}

/// A disk that remembers what was done to it, and breaks after so many operations. The database is in memory; files
/// are real, and what a power cut would leave of them is worked out from the operations.
#[derive(Clone, Debug)]
struct Disk {
    state: Arc<Mutex<DiskState>>,
    breaks_at: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct DiskState {
    bytes: Vec<u8>,
    log: Vec<Operation>,
    /// The first operation that failed.
    refused: Option<Operation>,
}

impl Disk {
    fn with(bytes: Vec<u8>) -> Self {
        let state = DiskState { bytes, ..DiskState::default() };
        Disk {
            state: Arc::new(Mutex::new(state)),
            breaks_at: Arc::new(AtomicUsize::new(usize::MAX)),
        }
    }

    /// A store whose database and whose bundles in that directory are on this disk.
    fn open(&self, directory: &Path) -> Store {
        let database = schema::create_in(self.clone(), MEMORY_CACHE_BYTES).expect("opens");
        let files = Files::seen_by(self.clone());
        // So few that most of what goes does so in several transactions.
        let options = Options { removed_at_once: 3, ..sample_options() };
        Store::over(database, directory, options, files, None).expect("opens")
    }

    fn done(&self) -> usize {
        self.state.lock().expect("no panics").log.len()
    }

    fn log(&self) -> Vec<Operation> {
        self.state.lock().expect("no panics").log.clone()
    }

    fn perform(&self, operation: Operation) -> std::io::Result<()> {
        let mut state = self.state.lock().expect("no panics");
        if state.log.len() >= self.breaks_at.load(Ordering::SeqCst) {
            state.refused.get_or_insert(operation);
            return Err(std::io::Error::other("the disk broke"));
        }
        replay(&mut state.bytes, &operation);
        state.log.push(operation);
        Ok(())
    }
}

impl Witness for Disk {
    fn see(&self, change: FileChange<'_>) -> std::io::Result<()> {
        self.perform(Operation::File(OwnedChange::of(change)))
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
        Operation::Sync | Operation::File(_) => {}
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

/// A shard that is written with the others and removed by every second step.
const LEAVING: ShardIndex = ShardIndex(900);

/// Bytes that a shard stores of a blob of these tests, all of which the chain says to have 1000 bytes.
const OF_A_BLOB: u64 = (2 + 3) * 168;

fn parameters() -> Parameters {
    Parameters::new(4, 1 << 16).expect("valid parameters")
}

/// The shards of each step's segment.
fn written() -> Vec<ShardIndex> {
    [shards(0..2), vec![LEAVING]].concat()
}

/// Marks a sliver as a scrub does that finds it rotten, and a certificate beside it.
async fn mark_rotten(store: &Store, blob: u64) -> Result<(), StoreError> {
    let segment = tables::segment_key(sample_blob(blob).as_bytes(), 0);
    let key = tables::sliver_key(&segment, ShardIndex(0), Axis::Primary);
    let row = slivers::row(&store.view()?, &key)?.expect("it was written");
    let values = vec![Sealed::Certificate(*sample_blob(blob).as_bytes())];
    store.write(Change::Rotten { slivers: vec![(key, row)], values }, 1).await.map(drop)
}

/// Writes, forgets, expires, changes and removes shards and follows the chain; calls back after each acknowledged step. Stops at the first error.
async fn run(
    store: &Store,
    steps: u64,
    mut acknowledged: impl FnMut(u64),
) -> Result<(), StoreError> {
    for step in 1..=steps {
        store.put_header(&sample_blob(step), sample_bytes(step, 73), step).await?;
        write_segment(store, step, 0, &written(), length_of(step), step).await?;
        if step.is_multiple_of(3) {
            store.put_header(&sample_blob(step + 1000), vec![1; 500], 1).await?;
            write_segment(store, step + 1000, 0, &shards(0..1), BUNDLED, 1).await?;
            write_segment(store, step + 1000, 4, &shards(0..1), 700, 1).await?;
            store.forget_pending(2).await?;
            for (segment, length) in [(0, BUNDLED), (1, 700), (2, BUNDLED)] {
                write_segment(store, step + 2000, segment, &shards(0..1), length, step).await?;
            }
        }
        store.set_shards(shards_after(step)).await?;
        let short = registered_until(step + 2000, 1, u32::try_from(step).expect("few steps"));
        let number = u32::try_from(step).expect("few steps");
        let certified = certified_until(step, 1, number, LATER);
        let effects = vec![registered_until(step, 1, LATER), certified, short];
        store.apply(step, effects).await?;
        store.expire(Epoch(u32::try_from(step).expect("few steps"))).await?;
        if step > 1 {
            // A repair: one pair of what is there, written again.
            let before = step - 1;
            write_segment(store, before, 0, &shards(0..1), length_of(before), step).await?;
        }
        if step.is_multiple_of(2) {
            write_segment(store, step + 3000, 0, &shards(0..1), 700, step).await?;
            mark_rotten(store, step + 3000).await?;
            while !store.drop_shard(LEAVING, &parameters()).await?.is_done {}
        }
        acknowledged(step);
    }
    Ok(())
}

/// Every third segment is small: it goes into the database alone.
fn length_of(step: u64) -> usize {
    if step.is_multiple_of(3) { 700 } else { BUNDLED }
}

/// A directory for images: in memory if this machine has such a place, because there are thousands of them.
fn sample_directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempdir() }.expect("created")
}

/// Everything acknowledged is there, and at most the step after it.
fn check(bytes: Vec<u8>, directory: &Path, acknowledged: u64) {
    let store = Disk::with(bytes).open(directory);
    check_consistent(&store, Some(directory));
    let position = store.position().expect("read").unwrap_or(0);
    assert!(
        (acknowledged..=acknowledged + 1).contains(&position),
        "{position}, acknowledged {acknowledged}"
    );
    for step in 1..=acknowledged {
        assert!(store.holds(&sample_blob(step), 1, &shards(0..2)).expect("read"), "step {step}");
        check_segment(&store, step, 0, &shards(0..2), length_of(step));
        assert_eq!(remains(&store, step + 2000), (false, false, true), "step {step} expired");
        let rotten = store.stored_segments(&sample_blob(step + 3000), &shards(0..1));
        assert_eq!(rotten.expect("read"), [], "step {step} forgot what it had found rotten");
        let left = store.stored_segments(&sample_blob(step), &[LEAVING]).expect("read");
        // The step after may be under way, and remove what the last one left.
        let is_gone = step <= acknowledged / 2 * 2;
        assert!(!is_gone || left.is_empty(), "step {step} left a shard behind");
    }
    let order = store.order().expect("read");
    assert_eq!(order.checkpoint().unwrap_or(0), position);
    assert_eq!(order.bytes_before(acknowledged + 1, 0).expect("read"), acknowledged * OF_A_BLOB);
    let states = store.shards().expect("read");
    let last = states.last_key_value().map_or(0, |(shard, _)| u64::from(shard.0));
    assert!((acknowledged..=acknowledged + 1).contains(&last), "shards of step {last}");
    let expected = (1..=last).flat_map(shards_after);
    let expected: BTreeMap<_, _> =
        expected.filter_map(|(shard, state)| Some((shard, state?))).collect();
    assert_eq!(states.into_iter().collect::<BTreeMap<_, _>>(), expected);
}

/// The database of the image at a cut: what was durable, and what is kept of the operations since.
fn image_of(durable: &[u8], since: &[Operation], mut kept: Kept) -> Vec<u8> {
    let mut bytes = durable.to_vec();
    for operation in since {
        let is_kept = match &mut kept {
            Kept::Nothing => false,
            Kept::Everything | Kept::Bytes => true,
            Kept::Names => matches!(operation, Operation::Length(_)),
            Kept::Some(seed) => matches!(operation, Operation::Length(_)) || next(seed) & 1 == 0,
        };
        if is_kept {
            replay(&mut bytes, operation);
        }
    }
    bytes
}

/// What was done to a disk, from when a store was open on it.
struct Recorded {
    directory: TempDir,
    log: Vec<Operation>,
    start: usize,
    /// After so many operations this step was acknowledged.
    acknowledged: Vec<(usize, u64)>,
}

async fn record(steps: u64) -> Recorded {
    let (directory, disk) = (sample_directory(), Disk::with(Vec::new()));
    let store = disk.open(directory.path());
    store.set_parameters(&parameters()).await.expect("told");
    let start = disk.done();
    let mut acknowledged = vec![(start, 0)];
    run(&store, steps, |step| acknowledged.push((disk.done(), step))).await.expect("a good disk");
    let log = disk.log();
    Recorded { directory, log, start, acknowledged }
}

/// How much each image keeps of what was not synced, of files and of the database: one of them has what is kept of the files
/// against all that is kept of the database, and the other way round.
fn of_both(seed: &mut u64) -> Vec<(Kept, Kept)> {
    let of_files = Kept::all(next(seed));
    let of_database = [Kept::Nothing, Kept::Everything, Kept::Everything, Kept::Names];
    let of_database = of_database.into_iter().chain([Kept::Some(next(seed))]);
    of_files.into_iter().zip(of_database).collect()
}

impl Recorded {
    /// Builds images of the disk after each operation, as much of each as `kept` says, and checks them, as if what
    /// `forgotten` says had never been asked for; how many they were.
    fn check_images(
        &self,
        forgotten: impl Fn(&Operation) -> bool,
        mut kept: impl FnMut() -> Vec<(Kept, Kept)>,
    ) -> usize {
        let (mut durable, mut folders) = (Vec::new(), Folders::below(self.directory.path()));
        let (mut synced, mut images) = (0, 0);
        for cut in 1..=self.log.len() {
            match &self.log[cut - 1] {
                operation if forgotten(operation) && cut > self.start => {}
                Operation::File(change) => change.replay(&mut folders),
                Operation::Sync => {
                    let since = &self.log[synced..cut];
                    since.iter().for_each(|operation| replay(&mut durable, operation));
                    synced = cut;
                }
                Operation::Write(..) | Operation::Length(_) => {}
            }
            if cut < self.start {
                continue;
            }
            let past = self.acknowledged.iter().rev().find(|(at, _)| *at <= cut);
            let (_, acknowledged) = past.expect("the first is at the start");
            for (files, database) in kept() {
                let image = sample_directory();
                folders.leave_in(image.path(), files);
                let database = image_of(&durable, &self.log[synced..cut], database);
                check(database, image.path(), *acknowledged);
                images += 1;
            }
        }
        images
    }
}

/// How many images to check at least: some thousands, or as many as this says. `HAULOUT_CRASH_IMAGES=100000` takes an hour;
/// so do four runs of 25000, each with another number in `HAULOUT_CRASH_PART`, at any time.
fn images_wanted() -> usize {
    of_environment("HAULOUT_CRASH_IMAGES").map_or(1, |wanted| wanted.try_into().expect("64 bits"))
}

fn of_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().expect("a number"))
}

#[tokio::test]
async fn every_power_cut_leaves_what_was_acknowledged() {
    let recorded = record(4).await;
    let mut seed = 0x9e37_79b9_u64.wrapping_add(of_environment("HAULOUT_CRASH_PART").unwrap_or(0));
    next(&mut seed); // parts whose numbers are neighbours have nothing else in common
    let mut images = recorded.check_images(|_| false, || of_both(&mut seed));
    while images < images_wanted() {
        // Other orders of the threads, and of what was not synced any part, each image another.
        let recorded = record(7).await;
        let random = |seed: &mut u64| (Kept::Some(next(seed)), Kept::Some(next(seed)));
        let several = || (0..5).map(|_| random(&mut seed)).collect();
        images += recorded.check_images(|_| false, several);
        println!("{images} images");
    }
}

/// Whether some image of a disk that does not do this is found to lack something.
fn is_noticed(recorded: &Recorded, forgotten: fn(&Operation) -> bool) -> bool {
    let seed = &mut 7;
    let checked = || recorded.check_images(forgotten, || of_both(seed));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(checked)).is_err()
}

#[tokio::test]
async fn a_disk_that_forgets_what_was_synced_is_noticed() {
    let recorded = record(2).await;
    let of_database = |operation: &Operation| matches!(operation, Operation::Sync);
    let of_a_file =
        |operation: &Operation| matches!(operation, Operation::File(OwnedChange::Sync(..)));
    let of_a_folder =
        |operation: &Operation| matches!(operation, Operation::File(OwnedChange::SyncFolder(_)));
    assert!(!is_noticed(&recorded, |_| false), "a good disk");
    assert!(is_noticed(&recorded, of_database));
    assert!(is_noticed(&recorded, of_a_file));
    assert!(is_noticed(&recorded, of_a_folder));
}

#[test]
fn every_power_cut_while_a_store_is_created_leaves_none_or_a_whole_one() {
    let (root, disk) = (sample_directory(), Disk::with(Vec::new()));
    let directory = root.path().join("above/data");
    let store = Store::open_with(&directory, sample_options(), &Files::seen_by(disk.clone()));
    drop(store.expect("opens"));
    let log = disk.log();
    let mut folders = Folders::below(root.path());
    for (cut, operation) in log.iter().enumerate() {
        let Operation::File(change) = operation else { panic!("redb has its own file here") };
        change.replay(&mut folders);
        for kept in Kept::all(u64::try_from(cut).expect("small")) {
            let image = sample_directory();
            folders.leave_in(image.path(), kept);
            let directory = image.path().join("above/data");
            let exists = directory.join("index.redb").exists();
            assert!(exists || cut + 1 < log.len(), "a store that was opened is there: {kept:?}");
            drop(Store::open(&directory, sample_options()).expect("opens"));
        }
    }
}

/// Whether the store may go on after this operation failed: nothing it said was durable is in doubt.
fn is_harmless(refused: &Operation) -> bool {
    let Operation::File(change) = refused else { return false };
    // What is only given back to the disk goes on without it, to what the disk refuses next.
    let goes_on = matches!(change, OwnedChange::Remove(_) | OwnedChange::Punch(..));
    !goes_on && !matches!(change, OwnedChange::Sync(..) | OwnedChange::SyncFolder(_))
}

#[tokio::test]
async fn after_a_disk_error_nothing_is_acknowledged_until_it_is_opened_again() {
    let (directory, disk) = (sample_directory(), Disk::with(Vec::new()));
    let store = disk.open(directory.path());
    store.set_parameters(&parameters()).await.expect("told");
    let start = disk.done();
    run(&store, 5, |_| ()).await.expect("a good disk");
    let end = disk.done();
    let log = disk.log();
    let is_of_a_file = |at: &usize| matches!(log[*at], Operation::File(_));
    for breaks_at in (start..end).filter(|at| at % 3 == 0 || is_of_a_file(at)) {
        let (directory, disk) = (sample_directory(), Disk::with(Vec::new()));
        let store = disk.open(directory.path());
        store.set_parameters(&parameters()).await.expect("told");
        disk.breaks_at.store(breaks_at, Ordering::SeqCst);
        let mut acknowledged = 0;
        let error = run(&store, 5, |step| acknowledged = step).await.expect_err("it broke");
        let refused = disk.state.lock().expect("no panics").refused.clone().expect("it broke");
        // The write that met the broken disk may still say how; those after it are refused.
        let said = matches!(error, StoreError::Poisoned { .. } | StoreError::Io { .. });
        assert!(said, "{refused:?}: {error:?}");
        if is_harmless(&refused) {
            assert!(error.is_transient(), "{refused:?}: {error:?}");
            store.check_space(0).expect("the store goes on");
        } else {
            let later = store.put_certificate(&sample_blob(1), Vec::new()).await;
            let Err(StoreError::Poisoned { reason }) = later else { panic!("{later:?}") };
            assert!(reason.ends_with("the disk broke"), "{refused:?}: {reason}");
            assert!(store.segment_writer(sample_blob(1), 0, 0).is_err());
        }
        drop(store);
        let bytes = disk.state.lock().expect("no panics").bytes.clone();
        check(bytes, directory.path(), acknowledged);
    }
}

#[tokio::test]
async fn what_waits_during_a_commit_is_the_next_one_together() {
    const WRITES: u64 = 50;
    let disk = Disk::with(Vec::new());
    let store = Store::in_backend(disk.clone(), QUEUE_REQUESTS_MAX).expect("opens");
    let syncs = || disk.log().iter().filter(|one| matches!(one, Operation::Sync)).count();
    let before = syncs();
    store.put_header(&sample_blob(1000), Vec::new(), 0).await.expect("stored");
    let of_one = syncs() - before;
    let before = syncs();
    let mut waiting = Vec::new();
    {
        // While we hold the disk the writer gets no further than into its first commit.
        let _held = disk.state.lock().expect("no panics");
        for blob in 0..WRITES {
            let store = store.clone();
            let blob = sample_blob(blob);
            let mut write = Box::pin(async move { store.put_header(&blob, Vec::new(), 0).await });
            let mut context = Context::from_waker(Waker::noop());
            assert!(write.as_mut().poll(&mut context).is_pending());
            waiting.push(write);
        }
    }
    for write in waiting {
        write.await.expect("stored");
    }
    let commits = (syncs() - before) / of_one;
    assert!(commits <= 3, "{WRITES} writes took {commits} commits");
}
