//! The lock files by which processes of one machine take turns with a wallet.
//!
//! Each wallet has two: whoever holds the second is the next to get the first, which is the turn.
//! So a process that had its turn does not get another one before those that wait.
//! In the first lie a count of signs of life (8 bytes, big-endian), the digest of the last
//! transaction, if lists may not show it yet (32 bytes, zeros for none), and when it was left, by the
//! ledger's time (8 bytes, big-endian), with the first 8 bytes of the digest again, because versions that
//! know no time write the digest alone. Each of them may be missing.
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

use crate::chain::memory::Word;
use crate::limits;

/// Where the digest begins, after the count.
const WORD_AT: u64 = 8;

/// Bytes of the digest with the time and what ties them together.
const WORD_BYTES: usize = Digest::LENGTH + 16;

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
    pub(super) async fn lock(&self) -> Option<(Lock, Option<Word>)> {
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

    async fn try_to_lock(&self) -> Result<(Lock, Option<Word>), NoLock> {
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
            let (count, word) = (read_count(&turn)?, read_word(&turn)?);
            let mut lock = Lock { file: turn, count };
            lock.write_count()?;
            Ok((lock, word))
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

    /// Leaves word of a transaction, or takes back what was left.
    pub(super) async fn leave(&mut self, word: Option<Word>) {
        let file = self.file.clone();
        let bytes = word.as_ref().map_or([0; WORD_BYTES], to_bytes);
        let written = blocking(move || file.write_all_at(&bytes, WORD_AT)).await;
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
fn read_word(file: &File) -> io::Result<Option<Word>> {
    let mut bytes = [0; WORD_BYTES];
    let read = file.read_at(&mut bytes, WORD_AT)?;
    let Some((digest, rest)) = bytes.split_first_chunk::<{ Digest::LENGTH }>() else {
        return Ok(None);
    };
    let digest = Digest::new(*digest);
    if read < Digest::LENGTH || digest == Digest::ZERO {
        return Ok(None);
    }
    let left_ms = rest.split_first_chunk::<8>().and_then(|(time, tie)| {
        (read == WORD_BYTES && digest.inner().starts_with(tie)).then_some(u64::from_be_bytes(*time))
    });
    Ok(Some(Word { digest, left_ms: left_ms.filter(|time| *time > 0) }))
}

/// The form in which [`read_word`] reads it.
fn to_bytes(word: &Word) -> [u8; WORD_BYTES] {
    let mut bytes = [0; WORD_BYTES];
    let (digest, rest) = bytes.split_at_mut(Digest::LENGTH);
    let (time, tie) = rest.split_at_mut(8);
    digest.copy_from_slice(word.digest.inner());
    time.copy_from_slice(&word.left_ms.unwrap_or(0).to_be_bytes());
    tie.copy_from_slice(&word.digest.inner()[..8]);
    bytes
}

/// Runs a call of the file system off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
