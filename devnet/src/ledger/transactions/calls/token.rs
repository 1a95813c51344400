//! Calls that give WAL away.

use super::{Call, Results};
use crate::ledger::objects::Resource;
use crate::ledger::transactions::machine::{Machine, Use};
use haulout_protocol::rules::{system, wal};

pub(super) fn add_subsidy(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let epochs = call.pure(machine, 2)?;
    let mut system = call.system(machine, 0, Use::Mutable)?;
    let gift = call.payment(machine, 1, Use::Value)?;
    system::add_subsidy(&mut machine.context, &mut system, gift, epochs)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::System(system));
    Ok(Vec::new())
}

pub(super) fn burn(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut treasury = call.treasury(machine, 0)?;
    let coin = call.payment(machine, 1, Use::Value)?;
    wal::burn(&mut machine.context, &mut treasury, coin)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::Treasury(treasury));
    Ok(Vec::new())
}
