//! The short views of the state of stake, which clients read instead of all of it.
//!
//! Promises: whoever changes the state changes its views in the same transaction; a view that
//! would say what it said stays as it is.
//! Does not: let anybody change a view.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{EpochState, Pool, Staking as State};
use haulout_protocol::chain::object::{Staking, StakingPool};
use sui_sdk_types::Address;

use crate::ledger::objects::{Resource, StoredFields};

/// The views that are not what they were, after a transaction that kept these objects.
pub(super) fn changed(stored: &StoredFields<'_>, kept: &[Resource]) -> Vec<Resource> {
    let state = kept.iter().find_map(|object| match object {
        Resource::StakingInner(state) => Some(state),
        _ => None,
    });
    let Some(state) = state else { return Vec::new() };
    let nodes = state.pools.iter().filter_map(|(id, pool)| node(stored, id, pool));
    epoch(stored, state).into_iter().chain(nodes).collect()
}

fn epoch(stored: &StoredFields<'_>, state: &State) -> Option<Resource> {
    let Resource::Staking(old) = read(stored, &stored.names.staking)? else { return None };
    let epoch_started_ms = match state.state {
        EpochState::Sync { started_ms, .. } => started_ms,
        EpochState::Done { .. } | EpochState::Selected { .. } => old.epoch_started_ms,
    };
    let committee = state.committee.clone();
    let (epoch, state) = (state.epoch, state.state);
    let new = Staking { epoch, state, epoch_started_ms, committee, ..old.clone() };
    (new != old).then_some(Resource::Staking(new))
}

fn node(stored: &StoredFields<'_>, id: &ObjectId, pool: &Pool) -> Option<Resource> {
    let new = StakingPool { id: *id, node_info: pool.node.clone() };
    match read(stored, &Address::new(*id)) {
        Some(Resource::StakingPool(old)) if old == new => None,
        _ => Some(Resource::StakingPool(new)),
    }
}

fn read(stored: &StoredFields<'_>, id: &Address) -> Option<Resource> {
    Resource::read(stored.names, stored.objects.get(id)?)
}
