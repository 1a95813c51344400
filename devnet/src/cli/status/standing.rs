//! What a node waits for that has no part in this epoch, or leaves: no fault of it, and told with the next step.
//!
//! Promises: follows from what the ledger says of it. Does not: ask anybody.

use haulout_node::stakes::Role;
use haulout_node::terminal;

use crate::control::Trouble;
use crate::genesis;
use crate::probe::ChainFacts;
use crate::state::{Card, NodeCard};
use crate::typed::counted;

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
                format!(
                    "it serves {} until a later epoch gives others what is in them",
                    counted(u16::try_from(shards).unwrap_or(u16::MAX), "shard")
                ),
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

/// Nodes that were removed while the ledger counts on them still: nobody has what is in their shards.
pub(super) fn gone(card: &Card, facts: &ChainFacts) -> Vec<(String, Trouble)> {
    let left = card.removed.iter().filter_map(|name| {
        let peer = genesis::peer_id_of(card.seed, genesis::number_of(name)?).to_string();
        let shards = facts.shards.get(&peer).map(Vec::len).filter(|shards| *shards > 0)?;
        let folder = card.client_config.parent()?.join(name);
        let config = terminal::path(&folder.join("node.toml"));
        let shards = counted(u16::try_from(shards).unwrap_or(u16::MAX), "shard");
        let (cause, next_step) = match facts.leaving.contains(&peer) {
            true => (
                format!(
                    "it was removed, and has told the ledger; it counts on {shards} of it until a later epoch gives them to others"
                ),
                "`devnet epoch next` ends this epoch; what was in them is repaired by their new owners".to_owned(),
            ),
            false => (
                format!(
                    "it was removed, and the ledger counts on {shards} of it as long as it has stake"
                ),
                format!(
                    "`haulout --config {config} node exit --yes` tells the ledger; from the epoch after it (`devnet epoch next`) on \
                     others have them"
                ),
            ),
        };
        Some((name.clone(), Trouble { cause, next_step }))
    });
    left.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::banner::tests::sample_card;

    #[test]
    fn whoever_has_no_part_in_this_epoch_hears_what_it_waits_for_and_what_brings_it() {
        let card = sample_card(4, 8);
        let mut facts = crate::cli::status::tests::chain().unwrap();
        (facts.next_choice, facts.shards) = (4, BTreeMap::new());
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
        assert!(told.cause.contains("serves 2 shards"), "{told:?}");
        assert!(told.next_step.starts_with("`devnet epoch next`"), "{told:?}");
        assert!(of(&node, &facts).is_none(), "who serves and stays waits for nothing");
    }

    #[test]
    fn a_node_that_was_removed_is_told_as_long_as_the_ledger_counts_on_it() {
        let card = Card { removed: vec!["n6".into(), "n7".into()], ..sample_card(4, 8) };
        let mut facts = crate::cli::status::tests::chain().unwrap();
        assert!(gone(&card, &facts).is_empty());
        facts.shards.insert(genesis::peer_id_of(card.seed, 7).to_string(), vec![3]);
        let told = gone(&card, &facts);
        assert_eq!((told.len(), told[0].0.as_str()), (1, "n7"));
        let step = &told[0].1.next_step;
        assert!(step.starts_with("`haulout --config /n7/node.toml node exit --yes`"), "{step}");
        assert!(told[0].1.cause.contains("counts on 1 shard of it"), "{told:?}");
        facts.leaving.insert(genesis::peer_id_of(card.seed, 7).to_string());
        let (_, told) = gone(&card, &facts).remove(0);
        assert!(told.next_step.starts_with("`devnet epoch next`"), "it was told already: {told:?}");
        assert!(!told.next_step.contains("node exit"), "{told:?}");
    }
}
