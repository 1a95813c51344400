//! Who gets the turn, in which order, and what happens to those who never end theirs.

use std::os::unix::fs::FileExt;
use std::path::Path;

use futures::{StreamExt, poll, stream};
use sui_sdk_types::Digest;

use super::*;

const ACCOUNT: ObjectId = ObjectId::from_bytes([7; 32]);
const LEDGER: ObjectId = ObjectId::from_bytes([1; 32]);

/// How long a fact may take to become true; it only decides how late a failure is told.
const FACT_PATIENCE: Duration = Duration::from_secs(60);

/// Queues of their own: to the system, as those of two processes.
fn two_processes(folder: &Path, stuck_after: Duration) -> [Turns; 2] {
    [(); 2].map(|()| Turns { stuck_after, ..Turns::new(Some(folder.into()), LEDGER) })
}

fn file(folder: &Path, ending: &str) -> std::fs::File {
    let name = format!("{}-{}.{ending}", hex::encode(ACCOUNT), hex::encode(LEDGER));
    std::fs::File::options().read(true).write(true).open(folder.join(name)).unwrap()
}

/// The count of signs of life.
fn count(folder: &Path) -> u64 {
    let mut count = [0; 8];
    file(folder, "lock").read_exact_at(&mut count, 0).unwrap();
    u64::from_be_bytes(count)
}

/// Waits until a process is the next to get the turn.
async fn until_somebody_is_next(folder: &Path) {
    let is_next = async {
        while file(folder, "next").try_lock().is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(FACT_PATIENCE, is_next).await.unwrap();
}

#[tokio::test]
async fn a_process_that_had_its_turn_lets_those_that_wait_go_first() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = two_processes(folder.path(), limits::CHAIN_TURN_STUCK_MAX);
    let turn = first.take(&ACCOUNT).await;
    let order = Mutex::new(Vec::new());
    let waits = async {
        let _turn = second.take(&ACCOUNT).await;
        order.lock().unwrap().push("second");
    };
    let returns = async {
        until_somebody_is_next(folder.path()).await;
        drop(turn);
        let _turn = first.take(&ACCOUNT).await;
        order.lock().unwrap().push("first");
    };
    tokio::join!(waits, returns);
    assert_eq!(*order.lock().unwrap(), ["second", "first"]);
}

#[tokio::test]
async fn a_process_hands_its_turn_from_task_to_task_but_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = two_processes(folder.path(), limits::CHAIN_TURN_STUCK_MAX);
    let turn = first.take(&ACCOUNT).await;
    let begun = count(folder.path());
    let order = Mutex::new(Vec::new());
    let in_a_row = usize::try_from(limits::CHAIN_TURNS_IN_A_ROW_MAX).unwrap();
    let ours = stream::iter(0..3 * in_a_row).for_each_concurrent(None, async |number| {
        let _turn = first.take(&ACCOUNT).await;
        order.lock().unwrap().push(number);
    });
    let other = async {
        let _turn = second.take(&ACCOUNT).await;
        order.lock().unwrap().push(usize::MAX);
    };
    let begins = async {
        until_somebody_is_next(folder.path()).await;
        drop(turn);
    };
    tokio::join!(ours, other, begins);
    let order = order.into_inner().unwrap();
    let others_place = order.iter().position(|number| *number == usize::MAX).unwrap();
    assert!(others_place < in_a_row, "{order:?}");
    let ours: Vec<_> = order.into_iter().filter(|number| *number != usize::MAX).collect();
    assert!(ours.is_sorted(), "in the order they asked: {ours:?}");
    let locked = count(folder.path()) - begun;
    assert!(locked <= 6, "the file was locked {locked} times for {} turns", ours.len());
}

#[tokio::test]
async fn a_task_that_was_stopped_passes_its_turn_on() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = two_processes(folder.path(), limits::CHAIN_TURN_STUCK_MAX);
    let turn = first.take(&ACCOUNT).await;
    let mut stopped_before = Box::pin(first.take(&ACCOUNT));
    let mut stopped_after = Box::pin(first.take(&ACCOUNT));
    let mut waits = Box::pin(first.take(&ACCOUNT));
    for waiting in [&mut stopped_before, &mut stopped_after, &mut waits] {
        assert!(poll!(waiting).is_pending());
    }
    drop(stopped_before);
    drop(turn);
    drop(stopped_after); // its turn has come, and it never looked
    drop(tokio::time::timeout(FACT_PATIENCE, waits).await.unwrap());
    assert!(second.take(&ACCOUNT).await.held.is_some(), "the lock is free again");
}

#[tokio::test]
async fn another_wallet_does_not_wait_in_this_process_or_another() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = two_processes(folder.path(), limits::CHAIN_TURN_STUCK_MAX);
    let _turn = first.take(&ACCOUNT).await;
    for process in [first, second] {
        let other = process.take(&ObjectId::from_bytes([8; 32])).await;
        assert!(other.held.is_some());
    }
}

#[tokio::test]
async fn a_turn_that_never_ends_is_not_waited_for_for_ever_nor_twice() {
    let folder = tempfile::tempdir().unwrap();
    let stuck_after = Duration::from_millis(300);
    let [first, second] = two_processes(folder.path(), stuck_after);
    let _stuck = first.take(&ACCOUNT).await;
    let begun = Instant::now();
    assert!(second.take(&ACCOUNT).await.held.is_none(), "it goes on without the lock");
    assert!(begun.elapsed() >= stuck_after);
    let files = second.account(&ACCOUNT).files.as_ref().unwrap().stuck_at();
    assert_eq!(files, Some(count(folder.path())), "the next turn knows, and does not wait");
    assert!(second.take(&ACCOUNT).await.held.is_none());
}

#[tokio::test]
async fn a_turn_that_lasts_shows_that_it_is_alive() {
    let folder = tempfile::tempdir().unwrap();
    let [process, _] = two_processes(folder.path(), limits::CHAIN_TURN_STUCK_MAX);
    let mut turn = process.take(&ACCOUNT).await;
    let begun = count(folder.path());
    let work = async {
        while count(folder.path()) < begun + 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let shown = turn.during_with(work, Duration::from_millis(5));
    tokio::time::timeout(FACT_PATIENCE, shown).await.unwrap();
}

#[tokio::test]
async fn word_of_a_transaction_reaches_the_next_process_and_old_files_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = two_processes(folder.path(), limits::CHAIN_TURN_STUCK_MAX);
    drop(first.take(&ACCOUNT).await);
    assert_eq!(file(folder.path(), "lock").metadata().unwrap().len(), 8, "as it was before");
    let mut turn = first.take(&ACCOUNT).await;
    assert_eq!(turn.memory().unseen(), None);
    let word = Word { digest: Digest::new([3; 32]), left_ms: Some(9) };
    turn.memory().wait_for(word);
    turn.leave_word().await;
    drop(turn);
    assert_eq!(second.take(&ACCOUNT).await.memory().unseen(), Some(word));
    assert_eq!(count(folder.path()), 3, "and the count goes on");
    // A version that knows no time wrote another digest over it: the time is not that of this one.
    file(folder.path(), "lock").write_all_at(&[4; 32], 8).unwrap();
    let other = Word { digest: Digest::new([4; 32]), left_ms: None };
    assert_eq!(first.take(&ACCOUNT).await.memory().unseen(), Some(other));
    file(folder.path(), "lock").set_len(40).unwrap();
    assert_eq!(second.take(&ACCOUNT).await.memory().unseen(), Some(other), "as files were before");
}

#[tokio::test]
async fn word_of_a_transaction_that_was_seen_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = two_processes(folder.path(), limits::CHAIN_TURN_STUCK_MAX);
    let word = Word { digest: Digest::new([3; 32]), left_ms: Some(9) };
    let mut turn = first.take(&ACCOUNT).await;
    turn.memory().wait_for(word);
    turn.leave_word().await;
    drop(turn);
    let mut turn = second.take(&ACCOUNT).await;
    turn.memory().seen(&word.digest);
    turn.leave_word().await;
    drop(turn);
    let [third, _] = two_processes(folder.path(), limits::CHAIN_TURN_STUCK_MAX);
    assert_eq!(third.take(&ACCOUNT).await.memory().unseen(), None);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_costs_the_turns_and_nothing_else() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let turns = Turns::new(Some(file.path().into()), LEDGER);
    assert!(turns.take(&ACCOUNT).await.held.is_none());
}
