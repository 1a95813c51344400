//! Calls that carry a signature of the committee.

use haulout_protocol::chain::call::{CertifyBlob, InvalidateBlobId, SetProtocolVersion};

use super::{Call, Results};
use crate::ledger::objects::Resource;
use crate::ledger::transactions::machine::{Machine, Use};
use haulout_protocol::rules::system;

pub(super) fn certify_blob(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let arguments = CertifyBlob {
        signature: call.pure(machine, 2)?,
        signers: call.pure(machine, 3)?,
        message: call.pure(machine, 4)?,
    };
    let system = call.system(machine, 0, Use::Immutable)?;
    let mut blob = call.blob(machine, 1, Use::Mutable)?;
    system::certify_blob(&mut machine.context, &system, &mut blob, &arguments)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::System(system));
    call.put_back(machine, 1, Resource::Blob(blob));
    Ok(Vec::new())
}

pub(super) fn invalidate_blob_id(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let arguments = InvalidateBlobId {
        signature: call.pure(machine, 1)?,
        signers: call.pure(machine, 2)?,
        message: call.pure(machine, 3)?,
    };
    let mut system = call.system(machine, 0, Use::Mutable)?;
    system::invalidate_blob_id(&mut machine.context, &mut system, &arguments)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::System(system));
    Ok(Vec::new())
}

pub(super) fn set_protocol_version(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let arguments = SetProtocolVersion {
        signature: call.pure(machine, 1)?,
        signers: call.pure(machine, 2)?,
        message: call.pure(machine, 3)?,
    };
    let mut system = call.system(machine, 0, Use::Mutable)?;
    system::set_protocol_version(&mut machine.context, &mut system, &arguments)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::System(system));
    Ok(Vec::new())
}
