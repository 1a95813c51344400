//! Locks of what the handles, the actor and the swarm task share.
//!
//! Promises: a panic of whoever held one does not spread. Does not: wait long; no lock is held across a wait.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, even if somebody panicked who held it: that is for the supervisor to answer.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
