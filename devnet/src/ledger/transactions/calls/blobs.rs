//! Calls about blobs and the texts attached to them.

use haulout_protocol::chain::call::{ExtendBlob, RegisterBlob};

use super::{Call, Results};
use crate::ledger::objects::Resource;
use crate::ledger::transactions::machine::{Machine, Use};
use haulout_protocol::rules::{blob, system};

pub(super) fn register_blob(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let arguments = RegisterBlob {
        blob_id: call.pure(machine, 3)?,
        root: call.pure(machine, 4)?,
        size: call.pure(machine, 5)?,
        encoding_type: call.pure(machine, 6)?,
        deletable: call.pure(machine, 7)?,
        max_total: call.pure(machine, 9)?,
    };
    let mut system = call.system(machine, 0, Use::Mutable)?;
    let params = call.params(machine, 1)?;
    let storage = call.storage(machine, 2, Use::Value)?;
    let mut payment = call.payment(machine, 8, Use::Mutable)?;
    let blob = system::register_blob(
        &mut machine.context,
        &mut system,
        &params,
        storage,
        &arguments,
        &mut payment,
    )
    .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::System(system));
    call.put_back(machine, 1, Resource::Params(params));
    call.put_back_payment(machine, 8, payment);
    Ok(vec![Resource::Blob(blob)])
}

pub(super) fn extend_blob(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let arguments =
        ExtendBlob { epochs: call.pure(machine, 2)?, max_total: call.pure(machine, 4)? };
    let mut system = call.system(machine, 0, Use::Mutable)?;
    let mut blob = call.blob(machine, 1, Use::Mutable)?;
    let mut payment = call.payment(machine, 3, Use::Mutable)?;
    let context = &mut machine.context;
    system::extend_blob(context, &mut system, &mut blob, &arguments, &mut payment)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::System(system));
    call.put_back(machine, 1, Resource::Blob(blob));
    call.put_back_payment(machine, 3, payment);
    Ok(Vec::new())
}

pub(super) fn extend_blob_with_resource(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let system = call.system(machine, 0, Use::Immutable)?;
    let mut blob = call.blob(machine, 1, Use::Mutable)?;
    let extension = call.storage(machine, 2, Use::Value)?;
    system::extend_blob_with_resource(&mut machine.context, &system, &mut blob, extension)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::System(system));
    call.put_back(machine, 1, Resource::Blob(blob));
    Ok(Vec::new())
}

pub(super) fn delete_blob(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let system = call.system(machine, 0, Use::Immutable)?;
    let blob = call.blob(machine, 1, Use::Value)?;
    let storage = system::delete_blob(&mut machine.context, &system, blob)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::System(system));
    Ok(vec![Resource::Storage(storage)])
}

pub(super) fn burn_blob(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let system = call.system(machine, 0, Use::Immutable)?;
    let blob = call.blob(machine, 1, Use::Value)?;
    system::burn_blob(&mut machine.context, &system, blob)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::System(system));
    Ok(Vec::new())
}

pub(super) fn add_metadata(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let blob = call.blob(machine, 0, Use::Mutable)?;
    blob::add_metadata(&mut machine.context, &blob)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::Blob(blob));
    Ok(Vec::new())
}

pub(super) fn set_metadata_pair(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let (key, value) = (call.pure(machine, 1)?, call.pure(machine, 2)?);
    let blob = call.blob(machine, 0, Use::Mutable)?;
    blob::insert_or_update_metadata_pair(&mut machine.context, &blob, key, value)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::Blob(blob));
    Ok(Vec::new())
}

pub(super) fn remove_metadata_pair(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let key: String = call.pure(machine, 1)?;
    let blob = call.blob(machine, 0, Use::Mutable)?;
    blob::remove_metadata_pair(&mut machine.context, &blob, &key)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::Blob(blob));
    Ok(Vec::new())
}

pub(super) fn take_metadata(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let blob = call.blob(machine, 0, Use::Mutable)?;
    blob::take_metadata(&mut machine.context, &blob)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::Blob(blob));
    Ok(Vec::new())
}
