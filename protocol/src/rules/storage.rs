//! Twin of `storage`: reserved space, which can be split and joined.
//!
//! Promises: the bytes reserved in any epoch stay the same whatever is split or fused; no storage
//! is empty, in time or in size.

use crate::chain::abort::Abort;
use crate::chain::event::{Event, StorageDestroyed};
use crate::chain::object::Storage;

use super::Context;

/// Space of a size for epochs `start..end`, which the caller has checked.
pub(super) fn create(
    context: &mut Context<'_>,
    start: u32,
    end: u32,
    size: u64,
) -> Result<Storage, Abort> {
    if size == 0 {
        return Err(Abort::ZeroSize);
    }
    Ok(Storage { id: context.fresh_id(), start_epoch: start, end_epoch: end, storage_size: size })
}

/// Cuts in time: the storage ends at `epoch`, the result begins there.
pub fn split_by_epoch(
    context: &mut Context<'_>,
    storage: &mut Storage,
    epoch: u32,
) -> Result<Storage, Abort> {
    if epoch <= storage.start_epoch || epoch >= storage.end_epoch {
        return Err(Abort::BadSplitEpoch);
    }
    let rest = create(context, epoch, storage.end_epoch, storage.storage_size)?;
    storage.end_epoch = epoch;
    Ok(rest)
}

/// Cuts in size: the storage keeps `size` bytes, the result gets the rest.
pub fn split_by_size(
    context: &mut Context<'_>,
    storage: &mut Storage,
    size: u64,
) -> Result<Storage, Abort> {
    let rest = storage.storage_size.checked_sub(size).ok_or(Abort::IncompatibleSize)?;
    if size == 0 || rest == 0 {
        return Err(Abort::ZeroSize);
    }
    let rest = create(context, storage.start_epoch, storage.end_epoch, rest)?;
    storage.storage_size = size;
    Ok(rest)
}

/// Joins two storages: in size if both begin together, in time otherwise.
pub fn fuse(context: &mut Context<'_>, first: &mut Storage, second: Storage) -> Result<(), Abort> {
    match first.start_epoch == second.start_epoch {
        true => fuse_amount(context, first, second),
        false => fuse_periods(context, first, second),
    }
}

/// Adds the bytes of a storage for exactly the same epochs.
fn fuse_amount(
    context: &mut Context<'_>,
    first: &mut Storage,
    second: Storage,
) -> Result<(), Abort> {
    let Storage { id, start_epoch, end_epoch, storage_size } = second;
    if first.start_epoch != start_epoch || first.end_epoch != end_epoch {
        return Err(Abort::IncompatibleEpochs);
    }
    let sum = first.storage_size.checked_add(storage_size).ok_or(Abort::StorageOverflow)?;
    first.storage_size = sum;
    context.deleted.insert(id);
    Ok(())
}

/// Adds the epochs of a storage of the same size, just after or just before.
pub(super) fn fuse_periods(
    context: &mut Context<'_>,
    first: &mut Storage,
    second: Storage,
) -> Result<(), Abort> {
    let Storage { id, start_epoch, end_epoch, storage_size } = second;
    if first.storage_size != storage_size {
        return Err(Abort::IncompatibleSize);
    }
    if first.end_epoch == start_epoch {
        first.end_epoch = end_epoch;
    } else if end_epoch == first.start_epoch {
        first.start_epoch = start_epoch;
    } else {
        return Err(Abort::IncompatibleEpochs);
    }
    context.deleted.insert(id);
    Ok(())
}

/// Throws storage away. What was paid stays paid, what was reserved stays reserved.
pub fn destroy(context: &mut Context<'_>, storage: Storage) {
    let Storage { id, .. } = storage;
    context.deleted.insert(id);
    context.events.push(Event::StorageDestroyed(StorageDestroyed { object_id: id }));
}
