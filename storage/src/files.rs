//! What the store does to files and folders, besides what redb does to its own.
//!
//! Promises: each function is one change, made at once and not buffered, and its error names what was tried on what;
//! the tests of power cuts see every change, in the order of all of them, before it is made. Does not: decide what
//! must be durable when: its callers do, and those tests judge them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
#[cfg(test)]
use std::sync::Arc;

use crate::error::StoreError;
#[cfg(target_os = "linux")]
use crate::tables::bytes_of;

/// A change to files or folders.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests of power cuts read all of it"))]
pub(crate) enum FileChange<'a> {
    /// A folder and those above it that are missing.
    CreateFolder(&'a Path),
    /// An empty file where there was none.
    Create(&'a Path),
    /// Bytes at the end of a file.
    Append(&'a Path, &'a [u8]),
    /// A file's bytes are durable from here on; its name may not be.
    Sync(&'a Path),
    /// Another name.
    Rename(&'a Path, &'a Path),
    /// Bytes that are not needed any more: from this offset so many are zeros, and the disk has the room back.
    Punch(&'a Path, u64, u64),
    /// No file any more.
    Remove(&'a Path),
    /// A folder's names are durable from here on.
    SyncFolder(&'a Path),
}

impl FileChange<'_> {
    /// The change as a verb, and the path it is about.
    fn words(&self) -> (&'static str, &Path) {
        match self {
            FileChange::CreateFolder(path) | FileChange::Create(path) => ("create", path),
            FileChange::Append(path, _) => ("write", path),
            FileChange::Sync(path) | FileChange::SyncFolder(path) => ("sync", path),
            FileChange::Rename(path, _) => ("rename", path),
            FileChange::Punch(path, ..) => ("free a part of", path),
            FileChange::Remove(path) => ("remove", path),
        }
    }
}

/// Sees changes before they are made, and may refuse them as a broken disk would.
#[cfg(test)]
pub(crate) trait Witness: std::fmt::Debug + Send + Sync {
    /// Called for every change.
    fn see(&self, change: FileChange<'_>) -> std::io::Result<()>;

    /// How much room there is to be; the disk's own if nothing is said.
    fn free_bytes(&self) -> Option<u64> {
        None
    }
}

/// The files of one store. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    #[cfg(test)]
    witness: Option<Arc<dyn Witness>>,
}

impl Files {
    /// Files that somebody watches.
    #[cfg(test)]
    pub(crate) fn seen_by(witness: impl Witness + 'static) -> Self {
        Files { witness: Some(Arc::new(witness)) }
    }

    /// Creates a folder and those above it that are missing; fine if it exists.
    pub(crate) fn create_folder(&self, path: &Path) -> Result<(), StoreError> {
        self.change(FileChange::CreateFolder(path), || fs::create_dir_all(path))
    }

    /// Creates a file where there was none.
    pub(crate) fn create(&self, path: &Path) -> Result<File, StoreError> {
        let create = || OpenOptions::new().write(true).create_new(true).open(path);
        self.change(FileChange::Create(path), create)
    }

    /// Writes to a file just created.
    pub(crate) fn append(
        &self,
        file: &mut File,
        path: &Path,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.change(FileChange::Append(path, bytes), || file.write_all(bytes))
    }

    /// Makes a file's bytes durable.
    pub(crate) fn sync(&self, file: &File, path: &Path) -> Result<(), StoreError> {
        self.change(FileChange::Sync(path), || file.sync_data())
    }

    /// Gives a file another name; what had that name goes.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.change(FileChange::Rename(from, to), || fs::rename(from, to))
    }

    /// Gives the disk a part of a file back, which keeps its length and reads as zeros there.
    pub(crate) fn punch(
        &self,
        file: &File,
        path: &Path,
        offset: u64,
        length: u64,
    ) -> Result<(), StoreError> {
        self.change(FileChange::Punch(path, offset, length), || punch(file, offset, length))
    }

    /// Removes a file; fine if there is none.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        self.change(FileChange::Remove(path), || match fs::remove_file(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        })
    }

    /// Makes a folder's names durable.
    pub(crate) fn sync_folder(&self, path: &Path) -> Result<(), StoreError> {
        let sync = || File::open(path).and_then(|folder| folder.sync_all());
        self.change(FileChange::SyncFolder(path), sync)
    }

    /// Bytes free for us on the disk of a folder.
    pub(crate) fn free_bytes(&self, folder: &Path) -> Result<u64, StoreError> {
        #[cfg(test)]
        if let Some(free) = self.witness.as_ref().and_then(|witness| witness.free_bytes()) {
            return Ok(free);
        }
        let disk = rustix::fs::statvfs(folder)
            .map_err(|error| StoreError::io("measure", folder)(error.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn change<Done>(
        &self,
        change: FileChange<'_>,
        make: impl FnOnce() -> std::io::Result<Done>,
    ) -> Result<Done, StoreError> {
        let (action, path) = change.words();
        #[cfg(test)]
        if let Some(witness) = &self.witness {
            witness.see(change).map_err(StoreError::io(action, path))?;
        }
        make().map_err(StoreError::io(action, path))
    }
}

#[cfg(target_os = "linux")]
fn punch(file: &File, offset: u64, length: u64) -> std::io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, flags, offset, length)?)
}

#[cfg(not(target_os = "linux"))]
fn punch(_: &File, _: u64, _: u64) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Reads a part of a file from the disk, also if the system has it in memory, and has the system keep nothing of it. Where it
/// cannot be told so, the bytes may be those in memory.
pub(crate) fn read_from_disk(file: &File, offset: u64, bytes: &mut [u8]) -> std::io::Result<()> {
    advise(file, offset, bytes.len());
    let read = file.read_exact_at(bytes, offset);
    advise(file, offset, bytes.len());
    read
}

#[cfg(target_os = "linux")]
fn advise(file: &File, offset: u64, length: usize) {
    use rustix::fs::{Advice, fadvise};
    // Pages that the part shares with others are forgotten, too, and nothing is read ahead.
    const PAGE: u64 = 4096;
    let start = offset / PAGE * PAGE;
    let end = offset.saturating_add(bytes_of(length)).next_multiple_of(PAGE);
    let length = std::num::NonZeroU64::new(end.saturating_sub(start));
    let advised = fadvise(file, start, length, Advice::DontNeed);
    if let Err(error) = advised.and_then(|()| fadvise(file, 0, None, Advice::Random)) {
        tracing::debug!(%error, "the system may read from memory what was to be read from the disk");
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_: &File, _: u64, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_nothing_is_fine_and_removing_a_folder_as_a_file_is_not() {
        let directory = tempfile::tempdir().expect("created");
        let files = Files::default();
        files.remove(&directory.path().join("nothing")).expect("fine");
        let refused = files.remove(directory.path());
        assert!(matches!(refused, Err(StoreError::Io { action: "remove", .. })), "{refused:?}");
    }

    #[test]
    fn a_file_is_created_only_where_there_was_none() {
        let directory = tempfile::tempdir().expect("created");
        let path = directory.path().join("file");
        let files = Files::default();
        files.create(&path).expect("new");
        let refused = files.create(&path);
        assert!(matches!(refused, Err(StoreError::Io { action: "create", .. })), "{refused:?}");
    }
}
