//! The index database, behind its door.
//!
//! Promises: whatever redb does with a damaged file, when it is opened, read, written or closed, is an error and no panic; what
//! was given up, or found damaged, is closed without a write. Does not: know tables or versions; that is `schema.rs`.
//!
//! Why closing must not write then: redb panics in the middle of a transaction, so what it knows of its free pages is in doubt.
//! What it writes on closing leaves that out, the next start reads every page to find it again, and ends at the rotten one, every
//! time. What a power cut leaves opens at once: the last commit brought its free pages with it.

use std::path::Path;
use std::sync::Arc;

use redb::{Builder, Database, ReadTransaction, ReadableDatabase, StorageBackend};

use crate::door::Door;
use crate::error::StoreError;
use crate::freezing::{Freezing, Frozen};

/// The index of one store.
#[derive(Debug)]
pub(crate) struct Index {
    /// There until this is dropped.
    database: Option<Database>,
    frozen: Frozen,
    door: Arc<Door>,
}

impl Index {
    /// Opens the database in that backend, or makes one there if the backend is empty. The place is for people.
    pub(crate) fn open_in(
        backend: impl StorageBackend,
        cache_bytes: usize,
        place: &Path,
    ) -> Result<Index, StoreError> {
        let (door, frozen) = (Arc::new(Door::new(place)), Frozen::default());
        let backend = Freezing { inner: backend, frozen: frozen.clone() };
        let database = door.pass(|| {
            let opened = Builder::new().set_cache_size(cache_bytes).create_with_backend(backend);
            opened.map_err(|error| redb::Error::from(error).into())
        })?;
        Ok(Index { database: Some(database), frozen, door })
    }

    /// Does something with the database. A transaction must begin and end in it.
    pub(crate) fn pass<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.as_ref().expect("it is there until this is dropped");
        self.door.pass(|| work(database))
    }

    /// Looks at a snapshot.
    pub(crate) fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.pass(|database| look(&database.begin_read()?))
    }

    /// The door, for those who keep a snapshot.
    pub(crate) fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// Nothing that was written from here on could be relied upon, so nothing is, be it on closing.
    pub(crate) fn give_up(&self) {
        self.frozen.freeze();
    }

    /// The database itself, for tests that spoil it.
    #[cfg(test)]
    pub(crate) fn database(&self) -> &Database {
        self.database.as_ref().expect("it is there until this is dropped")
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        if self.door.found().is_some() {
            self.give_up();
        }
        let database = self.database.take();
        let closed = self.door.pass(|| {
            drop(database);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::warn!(%error, "the index was not closed; it is as a power cut would leave it");
        }
    }
}
