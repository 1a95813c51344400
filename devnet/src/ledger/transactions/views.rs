//! The short views of the state of stake, which clients read instead of all of it.
//!
//! Promises: whoever changes the state changes its views in the same transaction; a view that
//! would say what it said stays as it is.
//! Does not: let anybody change a view.

use haulout_protocol::chain::object::staking::{EpochState, Staking as State};
use haulout_protocol::chain::object::{Staking, StakingPool};

use crate::ledger::objects::{Resource, StoredFields};

/// The views that are not what they were, now that the state is not.
pub(super) fn changed(stored: &StoredFields<'_>, old: &State, new: &State) -> Vec<Resource> {
    let nodes = new.pools.changes(Some(&old.pools)).into_iter().filter_map(|(id, pool)| {
        let before = old.pools.get(id).map(|pool| &pool.node);
        let node_info = pool.filter(|pool| before != Some(&pool.node))?.node.clone();
        Some(Resource::StakingPool(StakingPool { id: *id, node_info }))
    });
    epoch(stored, old, new).into_iter().chain(nodes).collect()
}

fn epoch(stored: &StoredFields<'_>, old: &State, new: &State) -> Option<Resource> {
    let shown = |state: &'_ State| (state.epoch, state.state);
    if shown(old) == shown(new) && old.committee == new.committee {
        return None;
    }
    let object = stored.objects.get(&stored.names.staking)?;
    let Resource::Staking(view) = Resource::read(stored.names, object)? else { return None };
    let epoch_started_ms = match new.state {
        EpochState::Sync { started_ms, .. } => started_ms,
        EpochState::Done { .. } | EpochState::Selected { .. } => view.epoch_started_ms,
    };
    let committee = new.committee.clone();
    let (epoch, state) = (new.epoch, new.state);
    Some(Resource::Staking(Staking { epoch, state, epoch_started_ms, committee, ..view }))
}
