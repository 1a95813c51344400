//! Calls that move epochs on, and prices with them.

use super::{Call, Results};
use crate::ledger::objects::Resource;
use crate::ledger::transactions::machine::{Machine, Use};
use haulout_protocol::rules::{epochs, staking, system};

pub(super) fn voting_end(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let system = call.system(machine, 1, Use::Immutable)?;
    let params = call.params(machine, 2)?;
    let now_ms = call.now_ms(machine, 3)?;
    epochs::voting_end(&mut machine.context, &mut state, &system, &params, now_ms)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    call.put_back(machine, 1, Resource::System(system));
    call.put_back(machine, 2, Resource::Params(params));
    Ok(Vec::new())
}

pub(super) fn epoch_change(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let mut system = call.system(machine, 1, Use::Mutable)?;
    let params = call.params(machine, 2)?;
    let mut treasury = call.treasury(machine, 3)?;
    let now_ms = call.now_ms(machine, 4)?;
    let context = &mut machine.context;
    epochs::epoch_change(context, &mut state, &mut system, &params, &mut treasury, now_ms)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    call.put_back(machine, 1, Resource::System(system));
    call.put_back(machine, 2, Resource::Params(params));
    call.put_back(machine, 3, Resource::Treasury(treasury));
    Ok(Vec::new())
}

pub(super) fn epoch_sync_done(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let epoch = call.pure(machine, 2)?;
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let cap = call.node_cap(machine, 1)?;
    let now_ms = call.now_ms(machine, 3)?;
    staking::epoch_sync_done(&mut machine.context, &mut state, &cap, epoch, now_ms)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    call.put_back(machine, 1, Resource::NodeCap(cap));
    Ok(Vec::new())
}

pub(super) fn force_sync_done(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let params = call.stake_params(machine, 1)?;
    let now_ms = call.now_ms(machine, 2)?;
    staking::force_sync_done(&mut machine.context, &mut state, &params, now_ms)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    Ok(Vec::new())
}

pub(super) fn update_prices(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let state = call.staking_inner(machine, Use::Immutable)?;
    let mut system = call.system(machine, 1, Use::Mutable)?;
    let params = call.stake_params(machine, 2)?;
    staking::update_prices(&mut machine.context, &state, &params)
        .and_then(|prices| system::set_prices(&mut system, prices))
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    call.put_back(machine, 1, Resource::System(system));
    Ok(Vec::new())
}
