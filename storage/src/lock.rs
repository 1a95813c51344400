//! One process per data directory.
//!
//! Promises: the lock goes with the process, however it ends; who is turned away learns who holds it. Does not: protect
//! against programs that ignore the lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::StoreError;

/// Holds the directory until dropped.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Takes the lock or says who has it.
    pub(crate) fn acquire(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join("lock");
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(StoreError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::AlreadyRunning {
                    path: directory.to_owned(),
                    pid: read_pid(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(StoreError::io("lock", &path)(source)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
        written.map_err(StoreError::io("write", &path))?;
        Ok(DirectoryLock { file })
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // So that nobody reads the number of a process that is gone; losing this write is harmless.
        let _ = self.file.set_len(0);
        // Closing is not enough: a child between fork and exec holds the file, and with it the lock, a little longer.
        let _ = self.file.unlock();
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    /// Digits of the largest 32-bit number.
    const DIGITS_MAX: u64 = 10;
    let mut text = String::new();
    file.take(DIGITS_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_goes_with_its_owner_although_a_child_still_has_the_file() {
        let directory = tempfile::tempdir().expect("created");
        let lock = DirectoryLock::acquire(directory.path()).expect("free");
        // What a child has between fork and exec.
        let _inherited = lock.file.try_clone().expect("cloned");
        drop(lock);
        let left = std::fs::read(directory.path().join("lock")).expect("read");
        assert!(left.is_empty(), "nobody reads the number of a process that is gone");
        DirectoryLock::acquire(directory.path()).expect("free again");
    }
}
