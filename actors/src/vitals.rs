//! How a node is: the facts of all its parts, put together for whoever asks.
//!
//! Promises: an answer comes from memory, so it arrives while actors restart; what is said
//! follows from facts by one table (`haulout_protocol::machine::conditions`). Does not: judge, or mend anything.

pub(crate) mod measured;
pub(crate) mod measuring;

use haulout_protocol::machine::conditions::{self, Condition, Facts};

use self::measured::Measured;
pub use self::measured::{Missing, Repairs, Scrubbing, Stuck, Vitals};
use crate::context::Context;
use crate::supervisor::{ChildState, Health};
use crate::tree::Tree;

/// What is not well with a node, the worst first.
pub fn conditions(context: &Context, tree: &Tree) -> Vec<Condition> {
    let mut down = Vec::new();
    collect_down(&tree.health(), &mut down);
    let Measured { stored, shards_missing, clock, .. } = context.vitals.measured().clone();
    let mut stored = stored.unwrap_or_default();
    stored.shards_missing = shards_missing.map_or(0, |(_, missing)| missing);
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
