//! Rot of the index's own pages, at which redb panics: nobody who opens, reads, writes or closes the store sees that panic, the
//! store says what is wrong, and a clean stop leaves no less than a power cut.

use haulout_protocol::epoch::Epoch;
use tokio::runtime::{Builder, Runtime};

use super::repairing::spoil;
use super::*;
use crate::{Scope, ScrubPlace};

/// Bytes at the beginning of a page that say what it is and how much is in it.
const TELLING: [usize; 4] = [0, 2, 5, 14];
const PAGE: usize = 4096;

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("starts")
}

/// Writes something into every table.
async fn fill(store: &Store) {
    for number in 1..=9_u64 {
        let blob = sample_blob(number);
        let effects = vec![registered_until(number, 1, 9), certified_until(number, 1, 2, 9)];
        store.apply(number, effects).await.expect("applied");
        if number % 3 == 0 {
            store.put_header(&blob, sample_bytes(number, 137), 0).await.expect("stored");
            let length = if number == 3 { LARGE } else { SMALL };
            write_segment(store, number, 0, &shards(0..2), length, 0).await.expect("stored");
        } else {
            store.put_short(&blob, sample_short(number, 0..7), 0).await.expect("stored");
        }
        store.put_certificate(&blob, sample_bytes(number, 300)).await.expect("stored");
    }
}

/// A store as a power cut leaves it, and its index.
fn sample_image() -> (tempfile::TempDir, Vec<u8>) {
    let directory = tempdir().expect("created");
    let store = open(directory.path());
    runtime().block_on(fill(&store));
    let image = fs::read(directory.path().join("index.redb")).expect("read");
    drop(store);
    (directory, image)
}

/// The places of pages that hold anything.
fn pages(image: &[u8]) -> impl Iterator<Item = usize> {
    let places = (0..image.len()).step_by(PAGE);
    places.filter(|at| image[*at..*at + PAGE].iter().any(|byte| *byte != 0))
}

/// A directory with that index, a bit of which is another, and the same bundles.
fn spoilt(origin: &Path, image: &[u8], at: usize) -> tempfile::TempDir {
    let directory = tempdir().expect("created");
    for bundle in bundle_files(origin) {
        let copy = directory.path().join(bundle.strip_prefix(origin).expect("below"));
        fs::create_dir_all(copy.parent().expect("a folder")).expect("created");
        fs::copy(bundle, copy).expect("copied");
    }
    let mut image = image.to_vec();
    image[at] ^= 0x80;
    fs::write(directory.path().join("index.redb"), image).expect("written");
    directory
}

/// Reads all there is in every way. A panic ends the test; errors are expected.
fn read_all(store: &Store) {
    for number in 1..=9_u64 {
        let blob = sample_blob(number);
        let _ = (store.header(&blob), store.short(&blob), store.certificate(&blob));
        let _ = (store.blob(&blob), store.pair_proof(&blob, 0, ShardIndex(1)));
        let _ = store.sliver(&blob, 0, ShardIndex(1), Axis::Primary);
    }
    let all = shards(0..2);
    let scope = Scope { epoch: Epoch(3), shards: &all, arriving_since_ms: u64::MAX };
    let _ = (store.missing(&scope, |_| 1, None), store.rotten_values(), store.shards());
    let _ = (store.position(), store.usage(), store.census(Epoch(3)), store.filling());
    if let Ok(order) = store.order() {
        let _ = (order.bytes(), order.byte_at(0), order.bytes_before(5, 0));
    }
}

/// Writes and removes. A panic ends the test; errors are expected.
async fn write_all(store: &Store) {
    let _ = store.apply(10, vec![registered_until(99, 1, 9)]).await;
    let _ = store.put_short(&sample_blob(99), sample_short(99, 0..7), 0).await;
    let _ = store.expire(Epoch(20)).await;
    let _ = store.forget_pending(u64::MAX).await;
}

#[test]
fn no_rotten_page_is_a_panic_and_a_clean_stop_leaves_what_a_power_cut_leaves() {
    let (origin, image) = sample_image();
    let (runtime, mut failed, mut kept) = (runtime(), 0, 0);
    for at in pages(&image).flat_map(|page| TELLING.map(|within| page + within)) {
        println!("{at:#x}");
        let directory = spoilt(origin.path(), &image, at);
        let Ok(store) = Store::open(directory.path(), sample_options()) else { continue };
        read_all(&store);
        runtime.block_on(write_all(&store));
        let failure = store.failure();
        failed += usize::from(failure.is_some());
        assert!(failure.is_none_or(|it| it.contains("is damaged")), "{at:#x}");
        let cut = tempdir().expect("created");
        let copied = fs::copy(directory.path().join("index.redb"), cut.path().join("index.redb"));
        copied.expect("copied");
        drop(store);
        if Store::open(cut.path(), sample_options()).is_ok() {
            kept += 1;
            let reopened = Store::open(directory.path(), sample_options());
            assert!(reopened.is_ok(), "{at:#x}: {reopened:?}");
        }
    }
    assert!(failed > 20 && kept > failed, "{failed} failed, {kept} opened after a power cut");
}

#[test]
fn a_rotten_page_at_the_start_is_damage_and_neither_a_panic_nor_another_version() {
    let (origin, image) = sample_image();
    let (mut opened, mut refused) = (0, 0);
    for at in pages(&image).flat_map(|page| [page, page + 4, page + 12]) {
        println!("{at:#x}");
        let directory = spoilt(origin.path(), &image, at);
        match Store::open(directory.path(), sample_options()) {
            Ok(_) => opened += 1,
            Err(StoreError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("{at:#x}: {error:?}"),
        }
    }
    assert!(opened > 5 && refused > 5, "{opened} opened, {refused} refused");
}

/// Makes a page of a closed store's index, of so many rows, one that cannot be read: that which holds these bytes and keeps this
/// from being read.
fn spoil_page(directory: &Path, held: &[u8], rows: usize, is_unreadable: impl Fn(&Store) -> bool) {
    let path = directory.join("index.redb");
    let image = fs::read(&path).expect("read");
    let holds_it =
        |page: &usize| image[*page..*page + PAGE].windows(held.len()).any(|it| it == held);
    // Pages that are used for something else by now may hold what is left of it.
    let is_it = |page: usize| {
        let mut spoilt = image.clone();
        // Where each value ends, in four bytes, is read only when somebody asks for its row.
        (1..=rows).for_each(|row| spoilt[page + 4 * row + 3] ^= 0x80);
        fs::write(&path, spoilt).expect("written");
        Store::open(directory, sample_options()).is_ok_and(|store| is_unreadable(&store))
    };
    assert!(pages(&image).filter(holds_it).any(is_it), "it lies somewhere");
}

/// A store in which the page that holds all headers cannot be read.
async fn without_headers(directory: &Path) -> Store {
    let (store, blob, last) = (open(directory), sample_blob(9), sample_bytes(777, 2_000));
    fill(&store).await;
    store.put_header(&blob, last.clone(), 0).await.expect("stored");
    drop(store);
    spoil_page(directory, &last, 3, |store| store.header(&blob).is_err());
    open(directory)
}

/// A store in which the page that holds all certificates cannot be read.
async fn without_certificates(directory: &Path) -> Store {
    let (store, blob, last) = (open(directory), sample_blob(9), sample_bytes(777, 200));
    fill(&store).await;
    store.put_certificate(&blob, last.clone()).await.expect("stored");
    drop(store);
    spoil_page(directory, &last, 9, |store| store.certificate(&blob).is_err());
    open(directory)
}

/// Reads all of it, in slices; what was found rotten, and what could not be read.
async fn tour(store: &Store) -> (u64, u64) {
    let (mut from, mut found, mut unreadable) = (ScrubPlace::default(), 0, 0);
    loop {
        let read = store.scrub(from, 20_000).await.expect("a tour goes on");
        (found, unreadable) = (found + read.rotten, unreadable + read.unreadable);
        let Some(next) = read.next else { return (found, unreadable) };
        assert!(next > from, "it leads on");
        from = next;
    }
}

#[tokio::test]
async fn a_page_that_only_reads_meet_is_named_once_and_for_all_and_the_rest_is_served() {
    let directory = tempdir().expect("created");
    let store = without_headers(directory.path()).await;
    assert_eq!(store.failure(), None, "nobody met it yet");
    for _ in 0..2 {
        let read = store.header(&sample_blob(3));
        let Err(error @ StoreError::DamagedIndex { .. }) = read else { panic!("{read:?}") };
        assert!(!error.is_transient());
        assert!(error.to_string().contains("move the store's folder away"), "{error}");
    }
    let failure = store.failure().expect("named");
    assert!(failure.contains(&directory.path().display().to_string()), "{failure}");
    assert_eq!(store.rot_found(), 0, "nobody knows what was there: it is not to be repaired");
    check_segment(&store, 3, 0, &shards(0..2), LARGE);
    store.put_certificate(&sample_blob(3), vec![7; 90]).await.expect("taken");
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.certificate(&sample_blob(3)).expect("read").as_deref(), Some(&[7; 90][..]));
}

#[tokio::test]
async fn a_scrub_gets_past_a_page_that_cannot_be_read_and_blames_no_write() {
    let directory = tempdir().expect("created");
    let store = without_headers(directory.path()).await;
    spoil(&store, CERTIFICATES, sample_blob(1).as_bytes());
    assert_eq!(
        tour(&store).await,
        (1, 3),
        "what is rotten is found, and three headers are not read"
    );
    let failure = store.failure().expect("named");
    assert!(failure.contains("is damaged") && !failure.contains("written"), "{failure}");
}

#[tokio::test]
async fn a_scrub_gets_past_a_page_that_hides_which_blobs_there_are() {
    let directory = tempdir().expect("created");
    let store = without_certificates(directory.path()).await;
    let (found, unreadable) = tour(&store).await;
    assert!(found == 0 && (1..=256).contains(&unreadable), "{found} {unreadable}");
}

#[tokio::test]
async fn what_reads_find_rotten_while_the_queue_is_full_is_noted_by_a_later_read() {
    let store = Store::in_memory().expect("opens");
    let (blob, all) = (sample_blob(3), shards(0..2));
    fill(&store).await;
    let lacks_header = || {
        let scope = Scope { epoch: Epoch(3), shards: &all, arriving_since_ms: u64::MAX };
        let page = store.missing(&scope, |_| 1, None).expect("read");
        page.lacking.iter().any(|one| one.blob_id == blob && !one.has_header)
    };
    assert!(!lacks_header());
    store.settled().await; // notes of whole blobs are gone
    spoil(&store, HEADERS, blob.as_bytes());
    let full = store.admit(usize::MAX).await.expect("all of the queue is somebody's");
    assert!(store.header(&blob).is_err());
    drop(full);
    store.settled().await;
    assert!(!lacks_header(), "there was no room for the note");
    assert!(store.header(&blob).is_err());
    store.settled().await;
    assert!(lacks_header());
}
