//! Twin of `system`: buying space, registering and certifying blobs.
//!
//! Promises: every payment ends as a reward in the ring; nothing is reserved beyond capacity.

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{CertifyBlob, RegisterBlob, ReserveSpace};
use haulout_protocol::chain::event::{Event, StoragePurchased};
use haulout_protocol::chain::object::{Blob, Coin, Params, Storage, System};

use super::{Context, accounting, blob, bls, messages, storage, wal};

/// The unit prices are given in.
const UNIT_BYTES: u64 = 1 << 20;

fn price(unit_price: u64, bytes: u64) -> Result<u64, Abort> {
    unit_price.checked_mul(bytes.div_ceil(UNIT_BYTES)).ok_or(Abort::AccountingOverflow)
}

/// Buys `size` bytes for epochs `start..end`; a start in the past means now.
pub(crate) fn reserve_space(
    context: &mut Context,
    system: &mut System,
    call: &ReserveSpace,
    coin: &mut Coin,
) -> Result<Storage, Abort> {
    let epoch = system.committee.epoch;
    let start = call.start_epoch.max(epoch);
    if call.end_epoch <= start || call.end_epoch - epoch > system.ring.length {
        return Err(Abort::BadEpochs);
    }
    let per_epoch = price(system.storage_price, call.size)?;
    let epochs = u64::from(call.end_epoch - start);
    let total = per_epoch.checked_mul(epochs).ok_or(Abort::AccountingOverflow)?;
    let paid = wal::pay(coin, total, call.max_total)?;
    let storage = storage::create(context, start, call.end_epoch, call.size)?;
    for ahead in start - epoch..call.end_epoch - epoch {
        let used = accounting::increase_used(&mut system.ring, ahead, call.size)?;
        if used > system.total_capacity {
            return Err(Abort::StorageExceeded);
        }
        if ahead == 0 {
            system.used_capacity = used;
        }
        accounting::add_rewards(&mut system.ring, ahead, per_epoch)?;
    }
    context.events.push(Event::StoragePurchased(StoragePurchased {
        epoch,
        object_id: storage.id,
        start,
        end: call.end_epoch,
        size: call.size,
        paid,
    }));
    Ok(storage)
}

/// Registers a blob in space bought before; the write fee goes to the current committee.
pub(crate) fn register_blob(
    context: &mut Context,
    system: &mut System,
    params: &Params,
    storage: Storage,
    call: &RegisterBlob,
    coin: &mut Coin,
) -> Result<Blob, Abort> {
    let (blob, encoded) = blob::new(context, system.committee.epoch, params, storage, call)?;
    let fee = price(system.write_price, encoded)?;
    let paid = wal::pay(coin, fee, call.max_total)?;
    accounting::add_rewards(&mut system.ring, 0, paid)?;
    Ok(blob)
}

/// Certifies a blob with the signature of a quorum.
pub(crate) fn certify_blob(
    context: &mut Context,
    system: &System,
    blob: &mut Blob,
    call: &CertifyBlob,
) -> Result<(), Abort> {
    bls::verify_quorum(&system.committee, &call.signature, &call.signers, &call.message)?;
    let certified = messages::blob_certificate(system, &call.message)?;
    blob::certify(context, system.committee.epoch, blob, certified)
}
