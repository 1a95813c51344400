//! The lock files by which processes of one machine take turns with a wallet.
//!
//! Each wallet has two: whoever holds the second is the next to get the first, which is the turn.
//! So a process that had its turn does not get another one before those that wait.
//! In the first lie a count of signs of life (8 bytes, big-endian) and the digest of the last
//! transaction, if lists may not show it yet (32 bytes, zeros for none); both may be missing.
//!
//! Promises: a lock ends with its process, however that ends; nobody waits for ever.
//! Does not: know what a turn is for.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use sui_sdk_types::Digest;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::limits;

/// Where the digest begins, after the count.
const NOTE_AT: u64 = 8;

/// The lock files of one wallet.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    turn: PathBuf,
    next: PathBuf,
    stuck_after: Duration,
    trouble: Arc<Mutex<Trouble>>,
}

/// What went wrong before, so that it is said and waited for once.
#[derive(Debug, Default)]
struct Trouble {
    is_told: bool,
    /// The count of a holder that was given up.
    stuck_at: Option<u64>,
}

/// A lock that is held, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: Arc<File>,
    count: u64,
}

/// Why there is no lock.
enum NoLock {
    /// The file system does not give one.
    Unusable(io::Error),
    /// Whoever has it shows no sign of life; the count of them.
    Stuck(u64),
}

impl From<io::Error> for NoLock {
    fn from(error: io::Error) -> NoLock {
        NoLock::Unusable(error)
    }
}

impl Files {
    pub(super) fn new(folder: PathBuf, name: &str, stuck_after: Duration) -> Files {
        let turn = folder.join(format!("{name}.lock"));
        let next = folder.join(format!("{name}.next"));
        Files { folder, turn, next, stuck_after, trouble: Arc::default() }
    }

    /// Waits for the turn; says of which transaction its last holder left word. Nothing if there is no
    /// lock to be had: whoever cannot take turns still loses no money, only time.
    pub(super) async fn lock(&self) -> Option<(Lock, Option<Digest>)> {
        let locked = self.try_to_lock().await;
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match locked {
            Ok(locked) => {
                trouble.stuck_at = None;
                Some(locked)
            }
            Err(NoLock::Unusable(error)) => {
                if !std::mem::replace(&mut trouble.is_told, true) {
                    let path = self.turn.display();
                    warn!(%path, %error, "processes that share this wallet cannot take turns");
                }
                None
            }
            Err(NoLock::Stuck(count)) => {
                if trouble.stuck_at.replace(count) != Some(count) {
                    warn!(
                        "another process holds the wallet's lock and does not go on; not waiting for it"
                    );
                }
                None
            }
        }
    }

    /// The count of a holder that was given up.
    #[cfg(test)]
    pub(super) fn stuck_at(&self) -> Option<u64> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).stuck_at
    }

    async fn try_to_lock(&self) -> Result<(Lock, Option<Digest>), NoLock> {
        let (turn, next) = self.open().await?;
        let mut watch = Watch {
            stuck_after: self.stuck_after,
            given_up: self.trouble.lock().unwrap_or_else(PoisonError::into_inner).stuck_at,
            seen: None,
            since: Instant::now(),
        };
        wait_for(&next, &turn, &mut watch, limits::CHAIN_TURN_LOOK_MAX).await?;
        // Only one waits here, so it may look often.
        wait_for(&turn, &turn, &mut watch, limits::CHAIN_TURN_LOOK_MIN).await?;
        blocking(move || {
            let (count, note) = (read_count(&turn)?, read_note(&turn)?);
            let mut lock = Lock { file: turn, count };
            lock.write_count()?;
            Ok((lock, note))
        })
        .await
        .map_err(NoLock::Unusable)
    }

    /// Opens both files anew: a lock is that of an open file, and ends when this is closed.
    async fn open(&self) -> io::Result<(Arc<File>, Arc<File>)> {
        let (folder, turn, next) = (self.folder.clone(), self.turn.clone(), self.next.clone());
        blocking(move || {
            std::fs::create_dir_all(folder)?;
            Ok((open(&turn)?, open(&next)?))
        })
        .await
    }
}

impl Lock {
    /// Shows those who wait that the holder is alive.
    pub(super) async fn beat(&mut self) {
        let mut lock = Lock { file: self.file.clone(), count: self.count };
        let written = blocking(move || lock.write_count().map(|()| lock.count)).await;
        match written {
            Ok(count) => self.count = count,
            Err(error) => debug!(%error, "a sign of life was not written"),
        }
    }

    /// Leaves word of a transaction.
    pub(super) async fn note(&mut self, digest: Digest) {
        let file = self.file.clone();
        let written = blocking(move || file.write_all_at(digest.inner(), NOTE_AT)).await;
        if let Err(error) = written {
            warn!(%error, "other processes cannot be told of the wallet's last transaction");
        }
    }

    fn write_count(&mut self) -> io::Result<()> {
        self.count = self.count.wrapping_add(1);
        self.file.write_all_at(&self.count.to_be_bytes(), 0)
    }
}

/// Whether the turns of others go on.
struct Watch {
    stuck_after: Duration,
    given_up: Option<u64>,
    seen: Option<u64>,
    since: Instant,
}

impl Watch {
    /// Whether a count that is still this one shows that its holder is stuck.
    fn is_stuck(&mut self, count: u64) -> bool {
        if self.seen != Some(count) {
            (self.seen, self.since) = (Some(count), Instant::now());
        }
        self.given_up == Some(count) || self.since.elapsed() >= self.stuck_after
    }
}

/// Waits until a file is locked, looking at the count of signs of life in another one.
async fn wait_for(
    wanted: &Arc<File>,
    counter: &Arc<File>,
    watch: &mut Watch,
    pause_max: Duration,
) -> Result<(), NoLock> {
    let mut pauses = ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(limits::CHAIN_TURN_LOOK_MIN)
        .with_max_delay(pause_max)
        .without_max_times()
        .build();
    loop {
        let (file, counter) = (wanted.clone(), counter.clone());
        let count = blocking(move || match file.try_lock() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => read_count(&counter).map(Some),
            Err(TryLockError::Error(error)) => Err(error),
        });
        let Some(count) = count.await? else { return Ok(()) };
        if watch.is_stuck(count) {
            return Err(NoLock::Stuck(count));
        }
        tokio::time::sleep(pauses.next().unwrap_or(pause_max)).await;
    }
}

fn open(path: &Path) -> io::Result<Arc<File>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).open(path).map(Arc::new)
}

/// The count in a file; zero if it has none yet.
fn read_count(file: &File) -> io::Result<u64> {
    let mut count = [0; 8];
    let read = file.read_at(&mut count, 0)?;
    Ok(if read == count.len() { u64::from_be_bytes(count) } else { 0 })
}

/// The transaction of which a file tells; nothing in one that was written before there were such.
fn read_note(file: &File) -> io::Result<Option<Digest>> {
    let mut note = [0; Digest::LENGTH];
    let read = file.read_at(&mut note, NOTE_AT)?;
    let note = Digest::new(note);
    Ok((read == Digest::LENGTH && note != Digest::ZERO).then_some(note))
}

/// Runs a call of the file system off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
