//! A disk under the index that can be told to take no more changes.
//!
//! Promises: once frozen, nothing more is written, cut off or synced: the file stays as a power cut would leave it, whatever redb
//! still wants of it. Does not: refuse reads, or decide when; and locks are given back as ever.

use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{BackendError, StorageBackend};

/// Whether the disk takes changes; clones are of the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frozen(Arc<AtomicBool>);

impl Frozen {
    /// From here on no change is taken.
    pub(crate) fn freeze(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        match self.0.load(Ordering::Acquire) {
            true => Err(io::Error::other("the store was given up; nothing more is written")),
            false => Ok(()),
        }
    }
}

/// A backend that asks first whether it may change anything.
#[derive(Debug)]
pub(crate) struct Freezing<B> {
    /// Where the bytes are.
    pub(crate) inner: B,
    /// Whether they may change.
    pub(crate) frozen: Frozen,
}

type Locked<T> = Result<T, BackendError>;

impl<B: StorageBackend> StorageBackend for Freezing<B> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.frozen.check()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.frozen.check()?;
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.frozen.check()?;
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.inner.query_lock_range(start, end)
    }
}
