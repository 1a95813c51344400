//! The door through which all reads and writes of the index go.
//!
//! Promises: a panic behind it comes back as [`StoreError::DamagedIndex`], as redb panics at pages that are not what it wrote; the
//! first damage is remembered, and logged once. Does not: know tables, or tell a rotten page from a fault of the program: the
//! reason names the line that panicked.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::sync::{Once, OnceLock};

use crate::error::StoreError;

thread_local! {
    /// Whether this thread is behind a door.
    static IS_BEHIND: Cell<bool> = const { Cell::new(false) };
    /// The line that panicked there last.
    static LINE: Cell<Option<String>> = const { Cell::new(None) };
}

/// The door of one index.
#[derive(Debug)]
pub(crate) struct Door {
    place: PathBuf,
    found: OnceLock<String>,
}

impl Door {
    /// The door of the index that is there.
    pub(crate) fn new(place: &Path) -> Self {
        quieten();
        Door { place: place.to_owned(), found: OnceLock::new() }
    }

    /// Does something behind the door. What it changed in memory before it panicked is changed.
    pub(crate) fn pass<T>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let was_behind = IS_BEHIND.replace(true);
        let passed = panic::catch_unwind(AssertUnwindSafe(work));
        IS_BEHIND.set(was_behind);
        let passed = passed.unwrap_or_else(|panic| {
            let line = LINE.take().unwrap_or_else(|| "an unknown line".to_owned());
            let reason = format!("a page of it cannot be read: {} at {line}", message(&*panic));
            Err(StoreError::DamagedIndex { reason })
        });
        if let Err(StoreError::DamagedIndex { reason }) = &passed {
            self.note(reason);
        }
        passed
    }

    /// What is damaged, and where, once something was found so.
    pub(crate) fn found(&self) -> Option<&str> {
        self.found.get().map(String::as_str)
    }

    fn note(&self, reason: &str) {
        let place = self.place.display();
        if self.found.set(format!("the index in {place} is damaged ({reason})")).is_ok() {
            tracing::error!(
                %reason,
                "the index in {place} is damaged; check the disk, then stop the node, move that folder away and start it again: \
                 what belongs there is fetched from the other nodes"
            );
        }
    }
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Keeps what redb panics at behind a door from standard error: whoever reads a damaged page again and again would fill the
/// disk with it. All other panics are shown as before.
fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let is_behind = IS_BEHIND.get();
            if is_behind {
                LINE.set(panic.location().map(ToString::to_string));
            }
            if !(is_behind && is_of_redb(panic)) {
                before(panic);
            }
        }));
    });
}

fn is_of_redb(panic: &PanicHookInfo<'_>) -> bool {
    panic.location().is_some_and(|line| line.file().contains("redb-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_behind_the_door_is_an_error_with_its_line_and_the_first_is_remembered() {
        let door = Door::new(Path::new("data/store"));
        assert_eq!(door.pass(|| Ok(7)).expect("nothing happened"), 7);
        assert!(door.pass::<()>(|| Err(StoreError::Gap { expected: 1, found: 2 })).is_err());
        assert_eq!(door.found(), None, "other errors are no damage");
        for text in ["first", "second"] {
            let Err(error) = door.pass::<()>(|| panic!("{text}")) else { panic!("it passed") };
            assert!(matches!(error, StoreError::DamagedIndex { .. }), "{error:?}");
            assert!(error.to_string().contains(text), "{error}");
            assert!(error.to_string().contains("door.rs:"), "{error}");
        }
        let found = door.found().expect("remembered");
        assert!(found.contains("data/store") && found.contains("first"), "{found}");
    }

    #[test]
    fn what_redb_calls_corrupted_is_damage_too() {
        let door = Door::new(Path::new("data/store"));
        let corrupted = || Err::<(), _>(redb::Error::Corrupted("a page".to_owned()).into());
        assert!(door.pass(corrupted).is_err());
        assert!(door.found().is_some_and(|found| found.contains("a page")));
    }
}
