//! What a node waits for that has no part in this epoch, or leaves: no fault of it, and told with the next step.
//!
//! Promises: follows from what the ledger says of it. Does not: ask anybody.

use haulout_node::stakes::Role;

use crate::control::Trouble;
use crate::probe::ChainFacts;
use crate::state::NodeCard;

/// How such a node stands.
pub(super) struct Standing {
    /// In one word.
    pub(super) word: &'static str,
    /// What it waits for, and what brings that.
    pub(super) told: Trouble,
}

/// How a node stands beside the committee; nothing of one that serves and stays, or that the ledger does not know.
pub(super) fn of(card: &NodeCard, facts: &ChainFacts) -> Option<Standing> {
    let standing = |word, cause: String, next_step: String| {
        Some(Standing { word, told: Trouble { cause, next_step } })
    };
    let name = &card.name;
    let shards = facts.shards.get(&card.peer_id).map_or(0, Vec::len);
    if card.is_leaving {
        return match shards {
            0 => standing(
                "leaving",
                "it has no shards any more; it is stopped and forgotten when the others have all that was in them".to_owned(),
                format!("`devnet wait {name}=gone` returns when it is gone"),
            ),
            _ => standing(
                "leaving",
                format!("it serves its {shards} shards until a later epoch gives them to others"),
                format!("`devnet epoch next`, then `devnet wait {name}=gone`"),
            ),
        };
    }
    if shards > 0 || card.node_id.is_empty() {
        return None;
    }
    let (chosen_for, next) = (facts.next_choice, "`devnet epoch next` begins the next epoch now");
    match facts.roles.get(&card.node_id).unwrap_or(&Role::Candidate) {
        Role::Committee => None,
        Role::Next => standing(
            "candidate",
            format!("it is chosen for epoch {}", facts.epoch.saturating_add(1)),
            next.to_owned(),
        ),
        Role::Candidate => standing(
            "candidate",
            format!(
                "the committee of epoch {chosen_for} is chosen by stake, and this node has some"
            ),
            next.to_owned(),
        ),
        Role::Unstaked => standing(
            "candidate",
            "nobody staked with it, so no epoch gives it shards".to_owned(),
            format!("`haulout stake add {name} 500WAL`, then `devnet epoch next`"),
        ),
        Role::Outside => standing(
            "outside",
            "it told the ledger that it leaves, and has no shards any more".to_owned(),
            format!("`devnet remove {name} --graceful` stops and forgets it"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::banner::tests::sample_card;

    #[test]
    fn whoever_has_no_part_in_this_epoch_hears_what_it_waits_for_and_what_brings_it() {
        let card = sample_card(4, 8);
        let mut facts = ChainFacts {
            epoch: 2,
            checkpoint: 9,
            phase: String::new(),
            next_choice: 4,
            shards: BTreeMap::new(),
            roles: BTreeMap::new(),
        };
        let node = NodeCard { name: "n6".into(), ..card.nodes[0].clone() };
        for (role, cause, step) in [
            (Role::Next, "chosen for epoch 3", "`devnet epoch next`"),
            (Role::Candidate, "the committee of epoch 4", "`devnet epoch next`"),
            (Role::Unstaked, "nobody staked", "`haulout stake add n6 500WAL`"),
            (Role::Outside, "leaves", "`devnet remove n6 --graceful`"),
        ] {
            facts.roles.insert(node.node_id.clone(), role);
            let Standing { told, .. } = of(&node, &facts).unwrap();
            assert!(told.cause.contains(cause) && told.next_step.contains(step), "{told:?}");
        }
        let leaving = NodeCard { is_leaving: true, ..node.clone() };
        let told = of(&leaving, &facts).unwrap().told;
        assert!(told.next_step.starts_with("`devnet wait n6=gone`"), "{told:?}");
        facts.shards.insert(node.peer_id.clone(), vec![1, 5]);
        let told = of(&leaving, &facts).unwrap().told;
        assert!(told.cause.contains("its 2 shards"), "{told:?}");
        assert!(told.next_step.starts_with("`devnet epoch next`"), "{told:?}");
        assert!(of(&node, &facts).is_none(), "who serves and stays waits for nothing");
    }
}
