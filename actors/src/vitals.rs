//! How a node is: the facts of all its parts, put together for whoever asks.
//!
//! Promises: an answer comes from memory or from the store's index, so it arrives while actors restart; what is said
//! follows from facts by one table (`haulout_protocol::machine::conditions`). Does not: judge, or mend anything.

use haulout_protocol::machine::conditions::{self, Condition, Facts, Stored};
use haulout_protocol::machine::epoch_change::Holding;
use haulout_storage::StoreError;

use crate::context::Context;
use crate::supervisor::{ChildState, Health};
use crate::tree::Tree;

/// What is not well with a node, the worst first.
pub fn conditions(context: &Context, tree: &Tree) -> Vec<Condition> {
    let mut down = Vec::new();
    collect_down(&tree.health(), &mut down);
    conditions::conditions(&Facts {
        down,
        ledger: context.trust.facts(),
        stored: Stored {
            shards_missing: shards_missing(context).unwrap_or_default(),
            ..Stored::default()
        },
        ..Facts::default()
    })
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
mod tests {
    use super::*;

    #[test]
    fn one_resting_actor_anywhere_is_named_and_none_is_when_all_run() {
        let child = |name: &str, state, children| Health {
            name: name.to_owned(),
            state,
            restarts: 0,
            children,
        };
        let gossip = |state| child("gossip", state, vec![]);
        let tree = |state| [child("services", ChildState::Running, vec![gossip(state)])];
        for (state, expected) in [
            (ChildState::Running, vec![]),
            (ChildState::Waiting, vec!["gossip"]),
            (ChildState::Stopped, vec!["gossip"]),
        ] {
            let mut down = Vec::new();
            collect_down(&tree(state), &mut down);
            assert_eq!(down, expected);
        }
    }
}
