//! Calls about receipts of stake alone; the money stays where it is.

use super::{Call, Results};
use crate::ledger::objects::Resource;
use crate::ledger::transactions::machine::{Machine, Use};
use haulout_protocol::rules::staked;

pub(super) fn split(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let amount = call.pure(machine, 2)?;
    let mut receipt = call.staked(machine, 0, Use::Mutable)?;
    let params = call.stake_params(machine, 1)?;
    let part = staked::split(&mut machine.context, &params, &mut receipt, amount)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::Staked(receipt));
    Ok(vec![Resource::Staked(part)])
}

pub(super) fn join(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut receipt = call.staked(machine, 0, Use::Mutable)?;
    let other = call.staked(machine, 1, Use::Value)?;
    machine.delete(other.id);
    staked::join(&mut receipt, other).map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::Staked(receipt));
    Ok(Vec::new())
}
