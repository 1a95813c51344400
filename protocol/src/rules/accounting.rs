//! Twin of `accounting`: the ring of epochs that can be reserved, with usage and rewards.
//!
//! Promises: no amount wraps; the entries are consecutive epochs, the current one first.
//! Does not: decide prices or capacity.

use crate::chain::abort::Abort;
use crate::chain::object::{FutureAccounting, Ring};

/// A ring of `length` empty epochs from `epoch` on.
pub fn new_ring(epoch: u32, length: u32) -> Ring {
    let entry = |ahead| FutureAccounting { epoch: epoch + ahead, used_capacity: 0, rewards: 0 };
    Ring { current_index: 0, length, entries: (0..length).map(entry).collect() }
}

/// The entry of the epoch that is `ahead` of the current one.
pub(super) fn lookup(ring: &mut Ring, ahead: u32) -> Result<&mut FutureAccounting, Abort> {
    if ahead >= ring.length {
        return Err(Abort::BadEpochs);
    }
    let index = (u64::from(ring.current_index) + u64::from(ahead)) % u64::from(ring.length);
    let index = usize::try_from(index).map_err(|_| Abort::AccountingOverflow)?;
    ring.entries.get_mut(index).ok_or(Abort::AccountingOverflow)
}

/// Adds to what the committee of an epoch will be paid.
pub(super) fn add_rewards(ring: &mut Ring, ahead: u32, amount: u64) -> Result<(), Abort> {
    let entry = lookup(ring, ahead)?;
    entry.rewards = entry.rewards.checked_add(amount).ok_or(Abort::AccountingOverflow)?;
    Ok(())
}

/// Adds to what is reserved in an epoch and says how much that is now.
pub(super) fn increase_used(ring: &mut Ring, ahead: u32, size: u64) -> Result<u64, Abort> {
    let entry = lookup(ring, ahead)?;
    entry.used_capacity = entry.used_capacity.checked_add(size).ok_or(Abort::AccountingOverflow)?;
    Ok(entry.used_capacity)
}

/// Ends the current epoch: takes its entry out, whose place a new last epoch takes.
pub(super) fn pop(ring: &mut Ring) -> Result<FutureAccounting, Abort> {
    let length = ring.length;
    let head = lookup(ring, 0)?;
    let epoch = head.epoch.checked_add(length).ok_or(Abort::AccountingOverflow)?;
    let last = FutureAccounting { epoch, used_capacity: 0, rewards: 0 };
    let ended = std::mem::replace(head, last);
    ring.current_index = (ring.current_index + 1) % length;
    Ok(ended)
}
