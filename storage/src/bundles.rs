//! Bundle files: the large slivers of one segment, written together, lying together.
//!
//! Promises: a bundle that has its name is complete and on stable storage, folder entry included; one that was never
//! named leaves nothing behind; the reserve stays free. Does not: know what is inside, or which bundles are needed:
//! the index does, and [`Bundles::all`] lets the store compare at start.
//!
//! ```text
//! incoming/<id>             being written; emptied at every start
//! bundles/<id / 4096>/<id>  complete: slivers back to back, no header (places and hashes are in the index)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Poison, StoreError};
use crate::files::{self, Files};
use crate::tables::bytes_of;

/// Bundles per folder are two to this power: large folders are slow, many folders cost a sync each.
const FOLDER_SHIFT: u32 = 12;

/// Where bytes of a bundle are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// From memory, if the system has them there.
    Fast,
    /// From the disk, and the system need not keep them: others' bytes stay in memory instead.
    FromDisk,
}

/// The bundle files of one store.
#[derive(Debug)]
pub(crate) struct Bundles {
    directory: PathBuf,
    reserve_bytes: u64,
    next_id: AtomicU64,
    /// Folders whose own entry was made durable since the store was opened.
    folders: Mutex<BTreeSet<PathBuf>>,
    poison: Arc<Poison>,
    files: Files,
}

impl Bundles {
    /// Prepares the folders and removes half-written files.
    pub(crate) fn open(
        directory: &Path,
        reserve_bytes: u64,
        poison: Arc<Poison>,
        files: Files,
    ) -> Result<Self, StoreError> {
        let bundles = Bundles {
            directory: directory.to_owned(),
            reserve_bytes,
            next_id: AtomicU64::new(1),
            folders: Mutex::default(),
            poison,
            files,
        };
        for folder in [bundles.incoming(), bundles.complete()] {
            bundles.files.create_folder(&folder)?;
        }
        for file in list(&bundles.incoming())? {
            bundles.files.remove(&file)?;
        }
        bundles.files.sync_folder(directory)?;
        Ok(bundles)
    }

    fn incoming(&self) -> PathBuf {
        self.directory.join("incoming")
    }

    fn complete(&self) -> PathBuf {
        self.directory.join("bundles")
    }

    fn folder(&self, id: u64) -> PathBuf {
        self.complete().join(format!("{:013x}", id >> FOLDER_SHIFT))
    }

    fn path(&self, id: u64) -> PathBuf {
        self.folder(id).join(format!("{id:016x}"))
    }

    /// Whether bundles exist in that data directory, opened or not.
    pub(crate) fn exist_in(directory: &Path) -> Result<bool, StoreError> {
        let complete = directory.join("bundles");
        if !complete.exists() {
            return Ok(false);
        }
        for folder in list(&complete)? {
            if !list(&folder)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Every bundle file and its length; none is numbered like one of them or like `used` from now on.
    pub(crate) fn all(&self, used: u64) -> Result<BTreeMap<u64, u64>, StoreError> {
        let mut found = BTreeMap::new();
        for folder in list(&self.complete())? {
            for path in list(&folder)? {
                let name = path.file_name().and_then(|name| name.to_str());
                let Some(id) = name.and_then(|name| u64::from_str_radix(name, 16).ok()) else {
                    continue;
                };
                let length = fs::metadata(&path).map_err(StoreError::io("read", &path))?.len();
                found.insert(id, length);
            }
        }
        let last = found.last_key_value().map_or(0, |(id, _)| *id).max(used);
        self.next_id.store(last.saturating_add(1), Ordering::Relaxed);
        Ok(found)
    }

    /// Bytes free for this store on its disk.
    pub(crate) fn free_bytes(&self) -> Result<u64, StoreError> {
        self.files.free_bytes(&self.directory)
    }

    /// Bytes that are never used for blobs.
    pub(crate) fn reserve_bytes(&self) -> u64 {
        self.reserve_bytes
    }

    /// Refuses if `bytes` more would leave less than the reserve, or less than `floor` if that is smaller.
    pub(crate) fn check_free(&self, bytes: u64, floor: u64) -> Result<(), StoreError> {
        let needed = bytes.saturating_add(self.reserve_bytes.min(floor));
        let free = self.free_bytes()?;
        if free < needed { Err(StoreError::Full { free, needed }) } else { Ok(()) }
    }

    /// Starts a bundle.
    pub(crate) fn start(self: &Arc<Self>) -> Result<BundleWriter, StoreError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let path = self.incoming().join(format!("{id:016x}"));
        let file = self.files.create(&path)?;
        Ok(BundleWriter {
            bundles: Arc::clone(self),
            file,
            id,
            length: 0,
            remains: Remains { path: Some(path), files: self.files.clone() },
        })
    }

    /// Reads part of a bundle.
    pub(crate) fn read(
        &self,
        id: u64,
        offset: u64,
        length: u32,
        reading: Reading,
    ) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        let file = File::open(self.path(id))?;
        match reading {
            Reading::Fast => file.read_exact_at(&mut bytes, offset)?,
            Reading::FromDisk => files::read_from_disk(&file, offset, &mut bytes)?,
        }
        Ok(bytes)
    }

    /// Gives the disk parts of a bundle back; fine if the bundle is gone. Where files cannot have holes the bytes stay until
    /// the bundle goes.
    pub(crate) fn punch(&self, id: u64, ranges: &[(u64, u64)]) -> Result<(), StoreError> {
        let path = self.path(id);
        let file = match OpenOptions::new().write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(StoreError::io("open", &path))?,
        };
        for (offset, length) in ranges {
            match self.files.punch(&file, &path, *offset, *length) {
                Err(StoreError::Io { source, .. }) if has_no_holes(&source) => {
                    tracing::debug!(path = %path.display(), "no holes here: bytes stay until the bundle goes");
                    return Ok(());
                }
                punched => punched?,
            }
        }
        self.synced(self.files.sync(&file, &path))
    }

    /// Removes a bundle nothing points to. If that fails it is an orphan, and the next start removes it.
    pub(crate) fn remove(&self, id: u64) {
        remove_or_warn(&self.files, &self.path(id));
    }

    /// The error of a read that may succeed later.
    pub(crate) fn read_error(&self, id: u64, source: io::Error) -> StoreError {
        StoreError::Io { action: "read", path: self.path(id), source }
    }

    /// Makes a complete file durable under its name.
    fn place(&self, file: &File, incoming: &Path, id: u64) -> Result<(), StoreError> {
        let (folder, path) = (self.folder(id), self.path(id));
        self.synced(self.files.sync(file, incoming))?;
        self.ensure_folder(&folder)?;
        self.files.rename(incoming, &path)?;
        let synced = self.synced(self.files.sync_folder(&folder));
        if synced.is_err() {
            remove_or_warn(&self.files, &path);
        }
        synced
    }

    /// Makes sure that the folder exists and stays. Writers wait for the one that creates it.
    fn ensure_folder(&self, folder: &Path) -> Result<(), StoreError> {
        let mut durable = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.contains(folder) {
            return Ok(());
        }
        self.files.create_folder(folder)?;
        self.synced(self.files.sync_folder(&self.complete()))?;
        durable.insert(folder.to_owned());
        Ok(())
    }

    /// A failed sync means that the disk no longer keeps its word, unless it is only full.
    fn synced(&self, result: Result<(), StoreError>) -> Result<(), StoreError> {
        let error = match result {
            Err(error) => self.name_full(error, 0),
            Ok(()) => return Ok(()),
        };
        if let StoreError::Io { source, path, .. } = &error {
            self.poison.set(format!("sync of {} failed: {source}", path.display()));
        }
        Err(error)
    }

    /// Calls a full disk by its name.
    fn name_full(&self, error: StoreError, bytes: u64) -> StoreError {
        match &error {
            StoreError::Io { source, .. } if is_full(source) => StoreError::Full {
                free: self.free_bytes().unwrap_or(0),
                needed: bytes.saturating_add(self.reserve_bytes),
            },
            _ => error,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn has_no_holes(error: &io::Error) -> bool {
    let not_supported = rustix::io::Errno::OPNOTSUPP.raw_os_error();
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(not_supported)
}

/// A bundle being written; dropping it removes the file.
#[derive(Debug)]
pub(crate) struct BundleWriter {
    bundles: Arc<Bundles>,
    file: File,
    id: u64,
    length: u64,
    remains: Remains,
}

impl BundleWriter {
    /// The bundle's number.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Bytes written so far: the offset of what comes next.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.remains.path.as_deref().unwrap_or(Path::new("a bundle"));
        let written = self.bundles.files.append(&mut self.file, path, bytes);
        let count = bytes_of(bytes.len());
        written.map_err(|error| self.bundles.name_full(error, count))?;
        self.length = self.length.saturating_add(count);
        Ok(())
    }

    /// Makes the bundle durable under its name. It is removed again unless [`PlacedBundle::keep`] is called.
    pub(crate) fn finish(mut self) -> Result<PlacedBundle, StoreError> {
        let written = self.file.metadata().map(|file| file.len());
        debug_assert!(written.is_ok_and(|bytes| bytes == self.length), "all was written");
        let incoming = self.remains.path.clone();
        let incoming = incoming.expect("only finish takes the path, and it consumes the writer");
        self.bundles.place(&self.file, &incoming, self.id)?;
        self.remains.path = None;
        let remains =
            Remains { path: Some(self.bundles.path(self.id)), files: self.bundles.files.clone() };
        Ok(PlacedBundle { id: self.id, length: self.length, remains })
    }
}

/// A complete, durable bundle that the index does not know yet.
#[derive(Debug)]
pub(crate) struct PlacedBundle {
    /// The bundle's number.
    pub(crate) id: u64,
    /// Its length in bytes.
    pub(crate) length: u64,
    remains: Remains,
}

impl PlacedBundle {
    /// From here on the index decides: either it points to the file, or the next start removes it.
    pub(crate) fn keep(&mut self) {
        self.remains.path = None;
    }
}

/// A file that goes when its owner goes.
#[derive(Debug)]
struct Remains {
    path: Option<PathBuf>,
    files: Files,
}

impl Drop for Remains {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            remove_or_warn(&self.files, path);
        }
    }
}

fn remove_or_warn(files: &Files, path: &Path) {
    if let Err(error) = files.remove(path) {
        tracing::warn!(path = %path.display(), %error, "could not remove a bundle; the next start will");
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(folder).map_err(StoreError::io("list", folder))?;
    entries.map(|entry| Ok(entry.map_err(StoreError::io("list", folder))?.path())).collect()
}

#[cfg(test)]
mod tests;
