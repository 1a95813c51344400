//! Twin of `pending_values`: amounts that become due in later epochs.
//!
//! Promises: entries are sorted by epoch, one per epoch, none of them zero.

use crate::chain::abort::Abort;
use crate::chain::object::Entry;
use crate::chain::object::staking::Pending;

/// Adds to what is due in an epoch.
pub fn insert_or_add(values: &mut Pending, epoch: u32, amount: u64) -> Result<(), Abort> {
    match values.binary_search_by_key(&epoch, |entry| entry.key) {
        Ok(at) => {
            let value = &mut values[at].value;
            *value = value.checked_add(amount).ok_or(Abort::PoolOverflow)?;
        }
        Err(_) if amount == 0 => {}
        Err(at) => values.insert(at, Entry { key: epoch, value: amount }),
    }
    Ok(())
}

/// Sets what applies from an epoch on; zero is a value too.
pub fn insert_or_replace(values: &mut Pending, epoch: u32, value: u64) {
    match values.binary_search_by_key(&epoch, |entry| entry.key) {
        Ok(at) => values[at].value = value,
        Err(at) => values.insert(at, Entry { key: epoch, value }),
    }
}

/// Takes back part of what is due in an epoch.
pub fn reduce(values: &mut Pending, epoch: u32, amount: u64) -> Result<(), Abort> {
    let found = values.binary_search_by_key(&epoch, |entry| entry.key);
    let at = found.map_err(|_| Abort::PoolOverflow)?;
    let left = values[at].value.checked_sub(amount).ok_or(Abort::PoolOverflow)?;
    match left {
        0 => drop(values.remove(at)),
        _ => values[at].value = left,
    }
    Ok(())
}

/// Everything due up to an epoch, this one included.
pub fn value_at(values: &Pending, epoch: u32) -> Result<u64, Abort> {
    let due = values.iter().take_while(|entry| entry.key <= epoch);
    due.map(|entry| entry.value).try_fold(0_u64, u64::checked_add).ok_or(Abort::PoolOverflow)
}

/// The latest value that applies in an epoch.
pub fn latest_value_at(values: &Pending, epoch: u32) -> Option<u64> {
    values.iter().take_while(|entry| entry.key <= epoch).last().map(|entry| entry.value)
}

/// Removes and sums everything due up to an epoch.
pub fn flush(values: &mut Pending, epoch: u32) -> Result<u64, Abort> {
    let due = value_at(values, epoch)?;
    values.retain(|entry| entry.key > epoch);
    Ok(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_added_taken_back_and_flushed_by_epoch() {
        let mut values = Pending::new();
        for (epoch, amount) in [(5, 10), (3, 1), (5, 2), (4, 0)] {
            insert_or_add(&mut values, epoch, amount).unwrap();
        }
        assert_eq!(
            values.iter().map(|entry| (entry.key, entry.value)).collect::<Vec<_>>(),
            [(3, 1), (5, 12)]
        );
        assert_eq!(value_at(&values, 4), Ok(1));
        assert_eq!(latest_value_at(&values, 9), Some(12));
        assert_eq!(latest_value_at(&values, 2), None);
        assert_eq!(reduce(&mut values, 5, 13), Err(Abort::PoolOverflow));
        assert_eq!(reduce(&mut values, 4, 1), Err(Abort::PoolOverflow));
        reduce(&mut values, 5, 2).unwrap();
        assert_eq!(flush(&mut values, 5), Ok(11));
        assert!(values.is_empty());
    }
}
