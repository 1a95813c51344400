//! What can go wrong with the store, and what to do about it.
//!
//! Promises: every error names the thing it is about and the next step; errors of the disk that make later writes
//! untrustworthy are kept in `Poison` and refuse all of them. Does not: log, or decide about retries beyond
//! [`StoreError::is_transient`].

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use haulout_protocol::sliver::ShardIndex;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process (or this one) has the directory open.
    #[error("{} is in use by {}; stop it or choose another data directory", path.display(), holder(*pid))]
    AlreadyRunning {
        /// The data directory.
        path: PathBuf,
        /// The process that holds it; unknown in the instant between its taking the lock and writing its number.
        pid: Option<u32>,
    },
    /// Accepting the bytes would eat into the reserve.
    #[error("disk full: {free} bytes free, {needed} needed including the reserve; free some space")]
    Full {
        /// Bytes free now.
        free: u64,
        /// Bytes that would have to be free.
        needed: u64,
    },
    /// Stored bytes are not the bytes that were written; they were not returned.
    #[error("{what} is corrupt on this disk and is not used; check the disk")]
    Corrupt {
        /// Which bytes.
        what: String,
    },
    /// The store cannot be opened as it is. Nothing was changed.
    #[error(
        "the store cannot be opened because of {}: {reason}; no file of it was removed", path.display()
    )]
    Damaged {
        /// The file or directory at fault.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Written by another version of this software.
    #[error(
        "the store has schema {found}, this program knows {supported}; run the version that wrote it"
    )]
    UnknownSchema {
        /// Version in the store.
        found: u64,
        /// Version of this program.
        supported: u64,
    },
    /// A checkpoint was skipped.
    #[error(
        "checkpoint {found} does not follow, {expected} comes next; fetch the missing ones first"
    )]
    Gap {
        /// The only acceptable next checkpoint.
        expected: u64,
        /// The one given.
        found: u64,
    },
    /// An earlier failure made the disk untrustworthy: this handle refuses all writes.
    #[error("the store refuses writes since a disk error ({reason}); check the disk, then restart")]
    Poisoned {
        /// The earlier failure.
        reason: String,
    },
    /// What is stored of a shard may not go, because the shard is this node's.
    #[error(
        "shard {shard} is this node's; only a shard that was locked or given up can be removed"
    )]
    ShardInUse {
        /// Which.
        shard: ShardIndex,
    },
    /// A value above its limit.
    #[error("{what} has {bytes} bytes, more than the {max} allowed")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The operating system refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// The index database failed.
    #[error("the index database failed; restart, and check the disk if it happens again")]
    Database {
        /// Its answer.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether trying again, unchanged, can help without anybody stopping, repairing or replacing something.
    pub fn is_transient(&self) -> bool {
        match self {
            StoreError::Full { .. } | StoreError::Io { .. } => true,
            StoreError::AlreadyRunning { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Damaged { .. }
            | StoreError::UnknownSchema { .. }
            | StoreError::Gap { .. }
            | StoreError::ShardInUse { .. }
            | StoreError::Poisoned { .. }
            | StoreError::TooLarge { .. }
            | StoreError::Database { .. } => false,
        }
    }

    /// Adapter for `map_err` on calls of the operating system.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::Io { action, path, source }
    }
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(detail) => {
                StoreError::Corrupt { what: format!("the index database ({detail})") }
            }
            other => StoreError::Database { source: Box::new(other) },
        }
    }
}

impl From<redb::StorageError> for StoreError {
    fn from(error: redb::StorageError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<redb::TableError> for StoreError {
    fn from(error: redb::TableError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<redb::TransactionError> for StoreError {
    fn from(error: redb::TransactionError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<redb::CommitError> for StoreError {
    fn from(error: redb::CommitError) -> Self {
        redb::Error::from(error).into()
    }
}

/// Remembers the first failure after which nothing this handle writes can be trusted to be durable.
#[derive(Debug, Default)]
pub(crate) struct Poison(OnceLock<String>);

impl Poison {
    /// Refuses all later writes; the first reason stays.
    pub(crate) fn set(&self, reason: impl Into<String>) {
        let reason = reason.into();
        if self.0.set(reason.clone()).is_ok() {
            tracing::error!(%reason, "the store takes no more writes");
        }
    }

    /// An error if an earlier failure was recorded.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.0.get() {
            Some(reason) => Err(StoreError::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// The failure that was recorded, if one was.
    pub(crate) fn recorded(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// The error for a caller whose request got no answer.
    pub(crate) fn reason(&self) -> StoreError {
        let reason = self.0.get().cloned().unwrap_or_else(|| "its writer ended".to_owned());
        StoreError::Poisoned { reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_disk_and_a_refusing_system_are_worth_another_try() {
        let path = PathBuf::from("data");
        let again = [
            StoreError::Full { free: 1, needed: 2 },
            StoreError::Io { action: "read", path: path.clone(), source: io::Error::other("busy") },
        ];
        assert!(again.iter().all(StoreError::is_transient));
        let never = [
            StoreError::AlreadyRunning { path: path.clone(), pid: None },
            StoreError::Corrupt { what: "a sliver".to_owned() },
            StoreError::Damaged { path, reason: "noise".to_owned() },
            StoreError::UnknownSchema { found: 1, supported: 2 },
            StoreError::Gap { expected: 1, found: 2 },
            StoreError::ShardInUse { shard: ShardIndex(1) },
            StoreError::Poisoned { reason: "a disk error".to_owned() },
            StoreError::TooLarge { what: "a header", bytes: 2, max: 1 },
            StoreError::Database { source: "no answer".into() },
        ];
        assert!(!never.iter().any(StoreError::is_transient));
    }

    #[test]
    fn a_holder_without_a_number_is_still_named() {
        let error = StoreError::AlreadyRunning { path: PathBuf::from("data"), pid: None };
        assert!(error.to_string().contains("another process"), "{error}");
    }

    #[test]
    fn the_first_reason_to_refuse_writes_stays() {
        let poison = Poison::default();
        assert!(poison.check().is_ok());
        poison.set("first");
        poison.set("second");
        for error in [poison.check().expect_err("poisoned"), poison.reason()] {
            let StoreError::Poisoned { reason } = error else { panic!("{error:?}") };
            assert_eq!(reason, "first");
        }
    }

    #[test]
    fn a_corrupt_index_is_corrupt_and_any_other_failure_of_it_is_not() {
        let corrupt = StoreError::from(redb::Error::Corrupted("a page".to_owned()));
        assert!(matches!(&corrupt, StoreError::Corrupt { what } if what.contains("a page")));
        let other = StoreError::from(redb::Error::PreviousIo);
        assert!(matches!(other, StoreError::Database { .. }), "{other:?}");
    }
}
