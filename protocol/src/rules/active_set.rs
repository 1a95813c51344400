//! Twin of `active_set`: the nodes with stake, in the order in which they are chosen.
//!
//! Promises: most stake first, then by ascending id, whatever the order of changes; nobody is
//! forgotten: a node that falls behind the last place returns by itself when others leave.

use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::object::staking::{ActiveNode, ActiveSet};

/// The set of these nodes; those without stake are left out.
pub fn from_stakes(stakes: impl IntoIterator<Item = (ObjectId, u64)>) -> Result<ActiveSet, Abort> {
    let nodes = stakes.into_iter().filter(|(_, stake)| *stake > 0);
    let nodes = nodes.map(|(node_id, staked_amount)| ActiveNode { node_id, staked_amount });
    let mut set = ActiveSet { nodes: nodes.collect(), total_stake: 0 };
    set.nodes.sort_by_key(place);
    let mut stakes = set.nodes.iter().map(|node| node.staked_amount);
    let total = stakes.try_fold(0_u64, u64::checked_add);
    set.total_stake = total.ok_or(Abort::ActiveSetOverflow)?;
    Ok(set)
}

/// Sets a node's stake; zero removes it.
pub fn insert_or_update(set: &mut ActiveSet, node_id: ObjectId, stake: u64) -> Result<(), Abort> {
    remove(set, &node_id);
    if stake == 0 {
        return Ok(());
    }
    let total = set.total_stake.checked_add(stake).ok_or(Abort::ActiveSetOverflow)?;
    let node = ActiveNode { node_id, staked_amount: stake };
    let at = set.nodes.partition_point(|other| place(other) < place(&node));
    set.nodes.insert(at, node);
    set.total_stake = total;
    Ok(())
}

/// Takes a node out.
pub fn remove(set: &mut ActiveSet, node_id: &ObjectId) {
    if let Some(at) = set.nodes.iter().position(|node| node.node_id == *node_id) {
        let removed = set.nodes.remove(at);
        set.total_stake = set.total_stake.saturating_sub(removed.staked_amount);
    }
}

/// The nodes that are chosen.
pub fn top(set: &ActiveSet, max_nodes: u16) -> &[ActiveNode] {
    &set.nodes[..set.nodes.len().min(usize::from(max_nodes))]
}

fn place(node: &ActiveNode) -> (std::cmp::Reverse<u64>, ObjectId) {
    (std::cmp::Reverse(node.staked_amount), node.node_id)
}
