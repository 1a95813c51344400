//! What must hold after every step, whatever it was: the invariants of `contracts.md` 2.11 and 5.6.
//!
//! Promises: I1 to I9, I14 and I16, each by its own arithmetic and not by that of the rules.
//! Does not: know what a step should do.

mod stake;

use std::collections::BTreeMap;

use haulout_protocol::chain::event::Event;
use haulout_protocol::chain::object::{Blob, Params, Storage};
use sui_sdk_types::{Address, Object};

use super::format::Status;
use super::runner::Outcome;
use super::view::View;
use crate::ledger::objects::{Changes, Objects};
use haulout_protocol::rules::wal::SUPPLY;

/// Checks with the text of what does not hold.
type Checked = Result<(), String>;

/// What the checks remember.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    /// All that was burned, by what events say.
    burned: u64,
    /// Bytes of storage that ended before its time, by epoch.
    destroyed: BTreeMap<u32, u64>,
    /// A rule of a test's own, which is no invariant.
    pub(super) extra: Option<fn(&View) -> Checked>,
}

/// A check.
fn holds(is_so: bool, text: impl FnOnce() -> String) -> Checked {
    if is_so { Ok(()) } else { Err(text()) }
}

impl Monitor {
    /// At genesis.
    pub(super) fn new(view: &View) -> Self {
        Monitor { burned: SUPPLY - view.supply(), destroyed: BTreeMap::new(), extra: None }
    }

    /// Before a transaction's changes are taken over: a failed one has none, and what it destroys
    /// is noted.
    pub(super) fn before(
        &mut self,
        objects: &Objects,
        view: &View,
        gas: &Address,
        outcome: &Outcome,
        changes: &Changes,
    ) -> Checked {
        if outcome.status != Status::OK {
            return unchanged(objects, gas, changes);
        }
        for event in &outcome.events {
            match event {
                Event::Burned(event) => self.burned += event.amount,
                Event::StorageDestroyed(event) => {
                    let id = Address::new(event.object_id.into());
                    self.note_destroyed(view.storages.get(&id).map(|it| &it.value))?;
                }
                Event::BlobBurned(event) => {
                    let id = Address::new(event.object_id.into());
                    self.note_destroyed(view.blobs.get(&id).map(|it| &it.value.storage))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn note_destroyed(&mut self, storage: Option<&Storage>) -> Checked {
        let storage = storage.ok_or("a script may not destroy storage of the same step")?;
        for epoch in storage.start_epoch..storage.end_epoch {
            *self.destroyed.entry(epoch).or_default() += storage.storage_size;
        }
        Ok(())
    }

    /// After every step.
    pub(super) fn after(&self, view: &View) -> Checked {
        self.money(view)?;
        self.space(view)?;
        epochs(view)?;
        blobs(view)?;
        stake::check(view)?;
        self.extra.map_or(Ok(()), |check| check(view))
    }

    /// I1 and I2: all WAL there ever was is somewhere or burned.
    fn money(&self, view: &View) -> Checked {
        let coins: u128 = view.coins.values().map(|coin| u128::from(coin.value)).sum();
        let ring: u128 = view.ring().iter().map(|(_, _, rewards)| u128::from(*rewards)).sum();
        let pools = view.staking().pools.values().map(|pool| {
            let parts = [pool.bond, pool.active, pool.pending, pool.unbonded, pool.commission];
            parts.into_iter().map(u128::from).sum::<u128>()
        });
        let pools: u128 = pools.sum();
        let (all, supply) = (coins + ring + pools, view.supply());
        holds(all == u128::from(supply), || {
            format!("I2: coins {coins} + ring {ring} + pools {pools} are not the supply {supply}")
        })?;
        holds(SUPPLY - self.burned == supply, || {
            format!("I1: the supply {supply} is not what {} burned leaves", self.burned)
        })
    }

    /// I3: what is used is what was ever sold.
    fn space(&self, view: &View) -> Checked {
        let free = view.storages.values().map(|storage| &storage.value);
        let occupied = view.blobs.values().map(|blob| &blob.value.storage);
        let all: Vec<_> = free.chain(occupied).collect();
        for (epoch, used, _) in view.ring() {
            let covers =
                |storage: &&&Storage| (storage.start_epoch..storage.end_epoch).contains(&epoch);
            let live: u64 = all.iter().filter(covers).map(|storage| storage.storage_size).sum();
            let sold = live + self.destroyed.get(&epoch).copied().unwrap_or_default();
            holds(used == sold, || format!("I3: in epoch {epoch}, {used} used but {sold} sold"))?;
        }
        let system = view.system();
        let head = view.ring()[0].1;
        holds(system.used_capacity == head && head <= system.total_capacity, || {
            format!("I3: {head} used of {}", system.total_capacity)
        })
    }
}

/// I7: the epochs of the ring follow each other, from the one both sides are in.
fn epochs(view: &View) -> Checked {
    let epoch = view.system().committee.epoch;
    holds(epoch == view.staking().epoch, || "I7: the sides are in different epochs".to_owned())?;
    for (expected, (found, ..)) in (epoch..).zip(view.ring()) {
        holds(found == expected, || format!("I7: epoch {found} where {expected} must be"))?;
    }
    Ok(())
}

/// I9: what is certified was registered before and had not ended; and what is registered has the encoding of its length and
/// the bytes it needs.
fn blobs(view: &View) -> Checked {
    for blob in view.blobs.values().map(|blob| &blob.value) {
        let (found, needed) = (blob.storage.storage_size, occupied(view.params(), blob));
        holds(found >= needed, || {
            format!("a blob of {} bytes is in {found} bytes instead of {needed}", blob.size)
        })?;
        let Some(certified) = blob.certified_epoch else { continue };
        let lived = blob.registered_epoch..blob.storage.end_epoch;
        holds(lived.contains(&certified), || {
            format!("I9: certified in {certified}, not {lived:?}")
        })?;
    }
    Ok(())
}

/// What a blob occupies, a term at a time, if it has the one encoding of its length; else more than there is.
fn occupied(params: &Params, blob: &Blob) -> u64 {
    let n = u64::from(params.n_shards);
    let faults = (n - 1) / 3;
    let (rows, columns) = (n - 2 * faults, n - faults);
    let levels = |leaves: u64| (0..).find(|level| 1_u64 << level >= leaves).unwrap_or(u64::MAX);
    let is_short = params.short_bytes_max > 0 && blob.size <= u64::from(params.short_bytes_max);
    let header = 64 * u64::from(params.header_replicas);
    match (blob.encoding_type, is_short) {
        (2, false) => {
            let segment = u64::from(params.segment_bytes);
            let lengths = (0..blob.size.div_ceil(segment).max(1))
                .map(|index| (blob.size - index * segment).min(segment));
            let proof = 64 + 32 * (n.min(16) - 1 + levels(n.div_ceil(16)));
            let of_segment = |length: u64| {
                let symbol = length.max(1).div_ceil(rows * columns).next_multiple_of(2);
                n * (rows + columns) * symbol + n * proof + header
            };
            lengths.map(of_segment).sum()
        }
        (3, true) => {
            let symbol = blob.size.div_ceil(rows).next_multiple_of(64).max(128);
            n * symbol + n * 32 * levels(n) + header
        }
        _ => u64::MAX,
    }
}

/// I16: what fails changes the gas coin and the versions of its inputs only.
fn unchanged(objects: &Objects, gas: &Address, changes: &Changes) -> Checked {
    holds(changes.removed.is_empty(), || "I16: a failed step removed something".to_owned())?;
    let same = |new: &Object, old: &Object| {
        let contents = |object: &Object| object.as_struct().map(|it| it.contents().to_vec());
        new.owner() == old.owner() && contents(new) == contents(old)
    };
    for new in changes.written.iter().filter(|object| object.object_id() != *gas) {
        let id = new.object_id();
        let is_same = objects.get(&id).is_some_and(|old| same(new, old));
        holds(is_same, || format!("I16: a failed step changed {id}"))?;
    }
    Ok(())
}
