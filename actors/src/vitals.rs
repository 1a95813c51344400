//! How a node is: the facts of all its parts, put together for whoever asks.
//!
//! Promises: an answer comes from memory or from the store's index, so it arrives while actors restart; what is said
//! follows from facts by one table (`haulout_protocol::machine::conditions`). Does not: judge, or mend anything.

mod measuring;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use haulout_protocol::machine::conditions::{self, ClockDifference, Condition, Facts, Stored};
use haulout_protocol::machine::epoch_change::Holding;
use haulout_storage::StoreError;

pub(crate) use self::measuring::{Arguments, VitalsActor};
use crate::context::Context;
use crate::supervisor::{ChildState, Health};
use crate::tree::Tree;

/// What was measured last: written by those who measure, read by whoever asks; a cheap clone.
#[derive(Clone, Debug)]
pub struct Vitals {
    clock_tolerance_ms: u64,
    measured: Arc<Mutex<Measured>>,
}

#[derive(Clone, Debug, Default)]
struct Measured {
    stored: Stored,
    clock: Option<ClockDifference>,
}

impl Default for Vitals {
    /// For whoever has no opinion of its clock, as clients have none.
    fn default() -> Vitals {
        Vitals::new(Duration::MAX)
    }
}

impl Vitals {
    /// Nothing is measured yet; our clock may be so far from the ledger's.
    pub fn new(clock_tolerance: Duration) -> Vitals {
        let clock_tolerance_ms = u64::try_from(clock_tolerance.as_millis()).unwrap_or(u64::MAX);
        Vitals { clock_tolerance_ms, measured: Arc::default() }
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the store is.
    pub(crate) fn set_stored(&self, stored: Stored) {
        self.measured().stored = stored;
    }

    /// A proven checkpoint of that time came, at this moment of our clock; whether the ledger has no later one.
    pub(crate) fn note_clock(&self, ours_ms: u64, ledger_ms: u64, is_latest: bool) {
        let found = ClockDifference::of(ours_ms, ledger_ms, is_latest, self.clock_tolerance_ms);
        let mut measured = self.measured();
        measured.clock = found.or(measured.clock);
    }
}

/// What is not well with a node, the worst first.
pub fn conditions(context: &Context, tree: &Tree) -> Vec<Condition> {
    let mut down = Vec::new();
    collect_down(&tree.health(), &mut down);
    let Measured { mut stored, clock } = context.vitals.measured().clone();
    match shards_missing(context) {
        Ok(missing) => stored.shards_missing = missing,
        Err(error) => stored.failure = stored.failure.or_else(|| Some(error.to_string())),
    }
    let ledger = context.trust.facts();
    let turned_away = tree.network().turned_away();
    conditions::conditions(&Facts { down, ledger, clock, turned_away, stored })
}

/// How many shards a node was given and does not have.
pub fn shards_missing(context: &Context) -> Result<usize, StoreError> {
    let shards = context.store.shards()?;
    Ok(shards.values().filter(|holding| **holding != Holding::Held).count())
}

/// Adds the names of all actors that do not run.
fn collect_down(health: &[Health], down: &mut Vec<String>) {
    for child in health {
        if child.state != ChildState::Running {
            down.push(child.name.clone());
        }
        collect_down(&child.children, down);
    }
}

#[cfg(test)]
mod tests;
