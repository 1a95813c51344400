//! Calls about reserved space.

use haulout_protocol::chain::call::ReserveSpace;

use super::{Call, Results};
use crate::ledger::objects::Resource;
use crate::ledger::transactions::machine::{Machine, Use};
use haulout_protocol::rules::{storage, system};

pub(super) fn reserve_space(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let arguments = ReserveSpace {
        size: call.pure(machine, 1)?,
        start_epoch: call.pure(machine, 2)?,
        end_epoch: call.pure(machine, 3)?,
        max_total: call.pure(machine, 5)?,
    };
    let mut system = call.system(machine, 0, Use::Mutable)?;
    let mut payment = call.payment(machine, 4, Use::Mutable)?;
    let storage =
        system::reserve_space(&mut machine.context, &mut system, &arguments, &mut payment)
            .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::System(system));
    call.put_back_payment(machine, 4, payment);
    Ok(vec![Resource::Storage(storage)])
}

pub(super) fn split_by_epoch(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let epoch = call.pure(machine, 1)?;
    let mut storage = call.storage(machine, 0, Use::Mutable)?;
    let rest = storage::split_by_epoch(&mut machine.context, &mut storage, epoch)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::Storage(storage));
    Ok(vec![Resource::Storage(rest)])
}

pub(super) fn split_by_size(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let size = call.pure(machine, 1)?;
    let mut storage = call.storage(machine, 0, Use::Mutable)?;
    let rest = storage::split_by_size(&mut machine.context, &mut storage, size)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::Storage(storage));
    Ok(vec![Resource::Storage(rest)])
}

pub(super) fn fuse(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut first = call.storage(machine, 0, Use::Mutable)?;
    let second = call.storage(machine, 1, Use::Value)?;
    storage::fuse(&mut machine.context, &mut first, second)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::Storage(first));
    Ok(Vec::new())
}

pub(super) fn destroy(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let storage = call.storage(machine, 0, Use::Value)?;
    storage::destroy(&mut machine.context, storage);
    Ok(Vec::new())
}
