//! Twin of `system`: buying space, the life of blobs, what the committee says, the next epoch.
//!
//! Promises: every payment ends as a reward in the ring; nothing is reserved beyond capacity; an
//! id the committee declared invalid is never registered, certified or extended again.

use crate::chain::abort::Abort;
use crate::chain::call::{
    CertifyBlob, ExtendBlob, InvalidateBlobId, RegisterBlob, ReserveSpace, SetProtocolVersion,
};
use crate::chain::event::{Event, InvalidBlobId, ProtocolVersionUpdated, StoragePurchased};
use crate::chain::object::staking::Asks;
use crate::chain::object::{Blob, Coin, FutureAccounting, Params, Storage, System, Treasury};

use super::bls::Threshold;
use super::staking::Opening;
use super::{Context, accounting, blob, bls, messages, storage, wal};

/// The version of these rules.
pub const VERSION: u64 = 1;
/// The unit prices are given in.
const UNIT_BYTES: u64 = 1 << 20;

fn check_version(system: &System) -> Result<(), Abort> {
    match system.version == VERSION {
        true => Ok(()),
        false => Err(Abort::SystemVersion),
    }
}

fn check_valid(context: &Context<'_>, system: &System, blob_id: &[u8; 32]) -> Result<(), Abort> {
    match context.fields.is_invalid(&system.invalid.id, blob_id) {
        true => Err(Abort::BlobInvalid),
        false => Ok(()),
    }
}

fn price(unit_price: u64, bytes: u64) -> Result<u64, Abort> {
    unit_price.checked_mul(bytes.div_ceil(UNIT_BYTES)).ok_or(Abort::SystemOverflow)
}

/// What so many encoded bytes cost for so many epochs at a price per MiB and epoch, in the token's smallest unit; an
/// overflow if it fits no number.
pub fn storage_price(unit_price: u64, bytes: u64, epochs: u32) -> Result<u64, Abort> {
    let per_epoch = price(unit_price, bytes)?;
    per_epoch.checked_mul(u64::from(epochs)).ok_or(Abort::SystemOverflow)
}

/// What writing so many encoded bytes costs at a price per MiB, in the token's smallest unit; an overflow if it fits no
/// number.
pub fn write_price(unit_price: u64, bytes: u64) -> Result<u64, Abort> {
    price(unit_price, bytes)
}

/// Pays for `size` bytes in some epochs from `ahead` of the current one on, and reserves them:
/// first the payment, then the room in every epoch. Says what it cost.
fn buy(
    system: &mut System,
    ahead: std::ops::Range<u32>,
    size: u64,
    coin: &mut Coin,
    max_total: u64,
) -> Result<u64, Abort> {
    let per_epoch = price(system.storage_price, size)?;
    let total = storage_price(system.storage_price, size, ahead.end - ahead.start)?;
    let paid = wal::pay(coin, total, max_total)?;
    if size == 0 {
        return Err(Abort::ZeroSize);
    }
    for ahead in ahead {
        let used = accounting::increase_used(&mut system.ring, ahead, size)?;
        if used > system.total_capacity {
            return Err(Abort::StorageExceeded);
        }
        if ahead == 0 {
            system.used_capacity = used;
        }
        accounting::add_rewards(&mut system.ring, ahead, per_epoch)?;
    }
    Ok(paid)
}

/// Buys `size` bytes for epochs `start..end`; a start in the past means now.
pub fn reserve_space(
    context: &mut Context<'_>,
    system: &mut System,
    call: &ReserveSpace,
    coin: &mut Coin,
) -> Result<Storage, Abort> {
    check_version(system)?;
    let epoch = system.committee.epoch;
    let (start, end) = (call.start_epoch.max(epoch), call.end_epoch);
    if end <= start || end - epoch > system.ring.length {
        return Err(Abort::BadEpochs);
    }
    let paid = buy(system, start - epoch..end - epoch, call.size, coin, call.max_total)?;
    let storage = storage::create(context, start, end, call.size)?;
    let (object_id, size) = (storage.id, call.size);
    let bought = StoragePurchased { epoch, object_id, start, end, size, paid };
    context.events.push(Event::StoragePurchased(bought));
    Ok(storage)
}

/// Registers a blob in space bought before; the write fee goes to the current committee.
pub fn register_blob(
    context: &mut Context<'_>,
    system: &mut System,
    params: &Params,
    storage: Storage,
    call: &RegisterBlob,
    coin: &mut Coin,
) -> Result<Blob, Abort> {
    check_version(system)?;
    check_valid(context, system, &call.blob_id)?;
    let (blob, encoded) = blob::new(context, system.committee.epoch, params, storage, call)?;
    let fee = write_price(system.write_price, encoded)?;
    let paid = wal::pay(coin, fee, call.max_total)?;
    accounting::add_rewards(&mut system.ring, 0, paid)?;
    Ok(blob)
}

/// Certifies a blob with the signature of a quorum.
pub fn certify_blob(
    context: &mut Context<'_>,
    system: &System,
    blob: &mut Blob,
    call: &CertifyBlob,
) -> Result<(), Abort> {
    check_version(system)?;
    let CertifyBlob { signature, signers, message } = call;
    bls::verify(&system.committee, Threshold::Quorum, signature, signers, message)?;
    let certified = messages::blob_certificate(system, message)?;
    check_valid(context, system, &blob.blob_id)?;
    blob::certify(context, system.committee.epoch, blob, certified)
}

/// Buys more epochs for a certified blob, for all the bytes of its storage.
pub fn extend_blob(
    context: &mut Context<'_>,
    system: &mut System,
    blob: &mut Blob,
    call: &ExtendBlob,
    coin: &mut Coin,
) -> Result<(), Abort> {
    check_version(system)?;
    check_valid(context, system, &blob.blob_id)?;
    let epoch = system.committee.epoch;
    let certified = blob::check_extendable(epoch, blob)?;
    let begin = blob.storage.end_epoch - epoch; // a blob that can be extended has not ended
    let end = begin.checked_add(call.epochs).filter(|end| *end <= system.ring.length);
    let ahead = begin..end.filter(|end| *end > begin).ok_or(Abort::BadEpochs)?;
    buy(system, ahead, blob.storage.storage_size, coin, call.max_total)?;
    let end = blob.storage.end_epoch.checked_add(call.epochs).ok_or(Abort::SystemOverflow)?;
    blob.storage.end_epoch = end;
    blob::say_certified(context, certified, blob, true);
    Ok(())
}

/// Prolongs a certified blob with space bought before.
pub fn extend_blob_with_resource(
    context: &mut Context<'_>,
    system: &System,
    blob: &mut Blob,
    extension: Storage,
) -> Result<(), Abort> {
    check_version(system)?;
    check_valid(context, system, &blob.blob_id)?;
    blob::extend_with(context, system.committee.epoch, blob, extension)
}

/// Deletes a blob; its space stays reserved and can be used for another.
pub fn delete_blob(
    context: &mut Context<'_>,
    system: &System,
    blob: Blob,
) -> Result<Storage, Abort> {
    check_version(system)?;
    blob::delete(context, system.committee.epoch, blob)
}

/// Destroys a blob object with its space; what was reserved stays reserved.
pub fn burn_blob(context: &mut Context<'_>, system: &System, blob: Blob) -> Result<(), Abort> {
    check_version(system)?;
    blob::burn(context, system.committee.epoch, blob)
}

/// Notes that no bytes belong to a blob id; at least one correct member has seen the proof.
pub fn invalidate_blob_id(
    context: &mut Context<'_>,
    system: &mut System,
    call: &InvalidateBlobId,
) -> Result<(), Abort> {
    check_version(system)?;
    let InvalidateBlobId { signature, signers, message } = call;
    bls::verify(&system.committee, Threshold::OneCorrect, signature, signers, message)?;
    let blob_id = *messages::invalid_blob(system, message)?.as_bytes();
    if context.fields.is_invalid(&system.invalid.id, &blob_id) {
        return Err(Abort::AlreadyInvalid);
    }
    let epoch = system.committee.epoch;
    context.fields.add_invalid(&system.invalid.id, &blob_id, epoch);
    system.invalid.size = system.invalid.size.checked_add(1).ok_or(Abort::SystemOverflow)?;
    context.events.push(Event::InvalidBlobId(InvalidBlobId { epoch, blob_id }));
    Ok(())
}

/// Notes the protocol version that a quorum speaks from some epoch on.
pub fn set_protocol_version(
    context: &mut Context<'_>,
    system: &mut System,
    call: &SetProtocolVersion,
) -> Result<(), Abort> {
    check_version(system)?;
    let SetProtocolVersion { signature, signers, message } = call;
    bls::verify(&system.committee, Threshold::Quorum, signature, signers, message)?;
    let (start, protocol_version) = messages::protocol_version(system, message)?;
    let (epoch, start_epoch) = (system.committee.epoch, start.0);
    if start_epoch < epoch {
        return Err(Abort::EpochMismatch);
    }
    if protocol_version <= system.protocol_version {
        return Err(Abort::StaleVersion);
    }
    system.protocol_version = protocol_version;
    let updated = ProtocolVersionUpdated { epoch, start_epoch, protocol_version };
    context.events.push(Event::ProtocolVersionUpdated(updated));
    Ok(())
}

/// Spreads a gift over the committees of the next epochs; the current one gets the remainder.
pub fn add_subsidy(
    context: &mut Context<'_>,
    system: &mut System,
    coin: Coin,
    epochs: u32,
) -> Result<(), Abort> {
    check_version(system)?;
    if epochs == 0 || epochs > system.ring.length {
        return Err(Abort::BadEpochs);
    }
    let Coin { id, balance } = coin;
    let (each, rest) = (balance / u64::from(epochs), balance % u64::from(epochs));
    accounting::add_rewards(&mut system.ring, 0, rest)?;
    for ahead in 0..epochs {
        accounting::add_rewards(&mut system.ring, ahead, each)?;
    }
    context.deleted.insert(id);
    Ok(())
}

/// Takes over the epoch that the stake side has begun: its committee, capacity and prices, and what
/// is left of the money of the epoch that ends, whose entry is handed out. The rest was paid to
/// nodes or is burned here; the stake side says so.
pub fn advance(
    system: &mut System,
    treasury: &mut Treasury,
    opening: &Opening,
) -> Result<FutureAccounting, Abort> {
    check_version(system)?;
    if system.committee.epoch.checked_add(1) != Some(opening.committee.epoch) {
        return Err(Abort::EpochMismatch);
    }
    let ended = accounting::pop(&mut system.ring)?;
    if ended.epoch != system.committee.epoch {
        return Err(Abort::EpochMismatch);
    }
    wal::leave_supply(treasury, opening.burned)?;
    // The network has no treasury of its own yet: what forfeits leave is paid to the next committee.
    let carried = opening.dust.checked_add(opening.treasury).ok_or(Abort::SystemOverflow)?;
    accounting::add_rewards(&mut system.ring, 0, carried)?;
    system.committee = opening.committee.clone();
    system.used_capacity = accounting::lookup(&mut system.ring, 0)?.used_capacity;
    system.total_capacity = opening.capacity.max(system.used_capacity);
    set_prices(system, opening.prices)?;
    Ok(ended)
}

/// Sets the prices that the nodes voted for; the stake side bounded and announced them.
pub fn set_prices(system: &mut System, prices: Asks) -> Result<(), Abort> {
    check_version(system)?;
    (system.storage_price, system.write_price) = (prices.storage, prices.write);
    system.last_price_epoch = system.committee.epoch;
    Ok(())
}
