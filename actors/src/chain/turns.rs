//! Whose turn it is to spend from a wallet.
//!
//! Two transactions that name the same version of a coin cannot both happen, and on some ledgers
//! the coin is then locked for a day. So those who share a wallet take turns: tasks of a process by
//! a mutex, processes of a machine by an advisory lock on a file of the client's state folder.
//!
//! Promises: a turn ends when it is dropped, however its process ends; a turn that does not end is
//! waited for as long as others get theirs, and then for [`limits::CHAIN_TURN_STUCK_MAX`].
//! Does not: keep other machines out, and no correctness hangs on it: a transaction whose objects
//! moved is not taken, and is built anew.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use haulout_protocol::chain::ObjectId;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::limits;

/// The queue of everybody in this process who spends on one ledger.
#[derive(Debug)]
pub(super) struct Turns {
    /// Where the files of wallets are; without it only this process takes turns.
    folder: Option<PathBuf>,
    /// Which ledger this is.
    ledger: ObjectId,
    /// How long a turn may last while nobody else gets one.
    stuck_after: Duration,
    /// The opened files by account; nothing for those that cannot be opened.
    files: Mutex<BTreeMap<ObjectId, Option<Arc<File>>>>,
}

/// The right to build and send a transaction of a wallet.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    file: Option<Arc<File>>,
    _process: MutexGuard<'a, BTreeMap<ObjectId, Option<Arc<File>>>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.file.as_ref().map(|file| file.unlock()) {
            warn!(%error, "a wallet's lock file cannot be unlocked");
        }
    }
}

impl Turns {
    /// Turns on a ledger, which one of its objects names.
    pub(super) fn new(folder: Option<PathBuf>, ledger: ObjectId) -> Turns {
        let stuck_after = limits::CHAIN_TURN_STUCK_MAX;
        Turns { folder, ledger, stuck_after, files: Mutex::default() }
    }

    /// Waits for the turn of an account.
    pub(super) async fn take(&self, account: &ObjectId) -> Turn<'_> {
        let mut files = self.files.lock().await;
        let file = match (&self.folder, files.get(account)) {
            (None, _) => None,
            (_, Some(known)) => known.clone(),
            (Some(folder), None) => {
                let file = open(folder.clone(), name(account, &self.ledger)).await;
                files.insert(*account, file.clone());
                file
            }
        };
        let is_ours = match &file {
            Some(file) => lock(file, self.stuck_after).await,
            None => false,
        };
        Turn { file: file.filter(|_| is_ours), _process: files }
    }
}

/// What the file of an account is called.
fn name(account: &ObjectId, ledger: &ObjectId) -> String {
    format!("{}-{}.lock", hex::encode(account), hex::encode(ledger))
}

/// Opens a lock file off the runtime's threads.
async fn open(folder: PathBuf, name: String) -> Option<Arc<File>> {
    let path = folder.join(name);
    let opened = blocking({
        let path = path.clone();
        move || open_file(&folder, &path)
    });
    match opened.await {
        Ok(file) => Some(Arc::new(file)),
        Err(error) => {
            // Whoever cannot take turns still loses no money, only time.
            warn!(path = %path.display(), %error, "processes that share this wallet cannot take turns");
            None
        }
    }
}

fn open_file(folder: &Path, path: &Path) -> io::Result<File> {
    std::fs::create_dir_all(folder)?;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Waits for the lock; `false` if whoever has it seems to be stuck.
async fn lock(file: &Arc<File>, stuck_after: Duration) -> bool {
    let mut pauses = ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(limits::CHAIN_TURN_LOOK_MIN)
        .with_max_delay(limits::CHAIN_TURN_LOOK_MAX)
        .without_max_times()
        .build();
    let (mut seen, mut since) = (None, Instant::now());
    loop {
        let file = file.clone();
        let count = match blocking(move || try_lock(&file)).await {
            Ok(None) => return true,
            Ok(Some(count)) => count,
            Err(error) => {
                warn!(%error, "a wallet's lock file cannot be locked");
                return false;
            }
        };
        // Turns that others got show that the queue moves.
        if seen != Some(count) {
            (seen, since) = (Some(count), Instant::now());
        }
        if since.elapsed() >= stuck_after {
            warn!("another process holds the wallet's lock and does not go on; not waiting for it");
            return false;
        }
        tokio::time::sleep(pauses.next().unwrap_or(Duration::ZERO)).await;
    }
}

/// Takes the lock and counts the turn; says how many turns were counted if somebody else has it.
fn try_lock(file: &File) -> io::Result<Option<u64>> {
    let mut count = [0; 8];
    let read = file.read_at(&mut count, 0)?;
    let count = if read == count.len() { u64::from_be_bytes(count) } else { 0 };
    match file.try_lock() {
        Ok(()) => {
            if let Err(error) = file.write_at(&count.wrapping_add(1).to_be_bytes(), 0) {
                debug!(%error, "a turn was not counted");
            }
            Ok(None)
        }
        Err(std::fs::TryLockError::WouldBlock) => Ok(Some(count)),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Runs a call of the file system off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    const ACCOUNT: ObjectId = ObjectId::from_bytes([7; 32]);

    /// Queues with files of their own: to the system, as those of two processes.
    fn two_processes(folder: &Path, stuck_after: Duration) -> [Turns; 2] {
        [(); 2].map(|()| Turns {
            stuck_after,
            ..Turns::new(Some(folder.into()), ObjectId::from_bytes([1; 32]))
        })
    }

    #[tokio::test]
    async fn the_second_process_gets_its_turn_when_the_first_ends_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = two_processes(folder.path(), limits::CHAIN_TURN_STUCK_MAX);
        let turn = first.take(&ACCOUNT).await;
        let mut other = pin!(second.take(&ACCOUNT));
        let waited = tokio::time::timeout(Duration::from_millis(200), &mut other).await;
        assert!(waited.is_err(), "it has no turn while the first has it");
        drop(turn);
        assert!(other.await.file.is_some());
    }

    #[tokio::test]
    async fn another_wallet_does_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = two_processes(folder.path(), limits::CHAIN_TURN_STUCK_MAX);
        let _turn = first.take(&ACCOUNT).await;
        assert!(second.take(&ObjectId::from_bytes([8; 32])).await.file.is_some());
    }

    #[tokio::test]
    async fn a_turn_that_never_ends_is_not_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let stuck_after = Duration::from_millis(100);
        let [first, second] = two_processes(folder.path(), stuck_after);
        let _stuck = first.take(&ACCOUNT).await;
        let begun = Instant::now();
        let turn = second.take(&ACCOUNT).await;
        assert!(turn.file.is_none(), "it goes on without the lock");
        assert!(begun.elapsed() >= stuck_after);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_used_costs_the_turns_and_nothing_else() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let turns = Turns::new(Some(file.path().into()), ObjectId::from_bytes([1; 32]));
        assert!(turns.take(&ACCOUNT).await.file.is_none());
    }
}
