//! How a node is: the facts of all its parts, put together for whoever asks.
//!
//! Promises: an answer comes from memory, so it arrives while actors restart; what is said
//! follows from facts by one table (`haulout_protocol::machine::conditions`). Does not: judge, or mend anything.

mod measuring;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use haulout_protocol::machine::conditions::{self, ClockDifference, Condition, Facts, Stored};

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
    /// Nothing before the first look.
    stored: Option<Stored>,
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
        self.measured().stored = Some(stored);
    }

    /// How many shards the node was given and does not have; nothing before the first look at the store.
    pub fn shards_missing(&self) -> Option<usize> {
        self.measured().stored.as_ref().map(|stored| stored.shards_missing)
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
    let Measured { stored, clock } = context.vitals.measured().clone();
    let stored = stored.unwrap_or_default();
    let ledger = context.trust.facts();
    let turned_away = tree.network().turned_away();
    conditions::conditions(&Facts { down, ledger, clock, turned_away, stored })
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
