//! A node's disk: what was synced stays, and of what was not a power cut keeps some, none or all.
//!
//! Promises: an image holds everything that was synced before the cut; after an error nothing is written any more.
//! Does not: know what a store is.

use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use haulout_storage::StorageBackend;

use crate::random::Random;

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing.
    Nothing,
    /// All of it.
    Everything,
    /// Each write by itself or not.
    Some,
}

impl Kept {
    /// All of them.
    pub(crate) const ALL: [Kept; 3] = [Kept::Nothing, Kept::Everything, Kept::Some];
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(start, data) => {
                bytes.resize(bytes.len().max(start + data.len()), 0);
                bytes[*start..start + data.len()].copy_from_slice(data);
            }
            Change::Length(length) => bytes.resize(*length, 0),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    current: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    done: u64,
    breaks_at: Option<u64>,
    is_full: bool,
    is_broken: bool,
}

/// A disk, or the handle of a store to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// A disk with these bytes, all of them durable.
    pub(crate) fn with(bytes: Vec<u8>) -> Self {
        let state = State { current: bytes.clone(), durable: bytes, ..State::default() };
        Disk(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets it break after so many more changes.
    pub(crate) fn break_after(&self, changes: u64) {
        let mut state = self.state();
        state.breaks_at = Some(state.done + changes);
    }

    /// From now on it takes no more, or again.
    pub(crate) fn set_full(&self, is_full: bool) {
        self.state().is_full = is_full;
    }

    /// Whether it refused something.
    pub(crate) fn is_broken(&self) -> bool {
        self.state().is_broken
    }

    /// Whether it did, or will.
    pub(crate) fn is_doomed(&self) -> bool {
        let state = self.state();
        state.is_broken || state.breaks_at.is_some()
    }

    /// Changes made so far, for traces.
    pub(crate) fn done(&self) -> u64 {
        self.state().done
    }

    /// What a power cut now would leave.
    pub(crate) fn image(&self, kept: Kept, random: &mut Random) -> Vec<u8> {
        let state = self.state();
        let mut bytes = state.durable.clone();
        for change in &state.unsynced {
            let is_kept = match kept {
                Kept::Nothing => false,
                Kept::Everything => true,
                Kept::Some => matches!(change, Change::Length(_)) || random.chance(500),
            };
            if is_kept {
                change.apply(&mut bytes);
            }
        }
        bytes
    }

    fn change(&self, change: Change) -> Result<()> {
        let mut state = self.state();
        state.admit()?;
        change.apply(&mut state.current);
        state.unsynced.push(change);
        Ok(())
    }
}

impl State {
    fn admit(&mut self) -> Result<()> {
        if self.is_broken || self.breaks_at.is_some_and(|at| self.done >= at) {
            self.is_broken = true;
            return Err(Error::other("the disk broke"));
        }
        if self.is_full {
            self.is_broken = true; // until the node starts again
            return Err(ErrorKind::StorageFull.into());
        }
        self.done += 1;
        Ok(())
    }
}

fn as_usize(number: u64) -> usize {
    usize::try_from(number).expect("small")
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64> {
        Ok(self.state().current.len().try_into().expect("small"))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let (state, start) = (self.state(), as_usize(offset));
        let bytes = state.current.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<()> {
        self.change(Change::Length(as_usize(length)))
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = self.state();
        state.admit()?;
        let State { durable, unsynced, .. } = &mut *state;
        unsynced.drain(..).for_each(|change| change.apply(durable));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.change(Change::Write(as_usize(offset), data.to_vec()))
    }
}

/// Images hold what was synced, all of it, and of the rest what they say.
pub(crate) fn keeps_what_was_synced() {
    let (disk, mut random) = (Disk::default(), Random::of(1, "disk"));
    disk.write(0, b"synced").unwrap();
    disk.sync_data().unwrap();
    disk.write(2, b"TTT").unwrap();
    assert_eq!(disk.image(Kept::Nothing, &mut random), b"synced");
    assert_eq!(disk.image(Kept::Everything, &mut random), b"syTTTd");
    disk.break_after(1);
    disk.write(6, b"!").unwrap();
    assert!(disk.sync_data().is_err() && disk.is_broken());
    assert!(disk.write(0, b"x").is_err(), "it stays broken");
    assert_eq!(disk.image(Kept::Everything, &mut random), b"syTTTd!");
    assert_eq!(disk.image(Kept::Nothing, &mut random), b"synced");
    let full = Disk::default();
    full.set_full(true);
    assert_eq!(full.write(0, b"x").unwrap_err().kind(), ErrorKind::StorageFull);
}
