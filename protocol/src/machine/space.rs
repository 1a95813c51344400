//! Space for a blob: from storage its owner has, and from the ledger for the rest.
//!
//! Promises: the parts together cover exactly the epochs needed, each with the same bytes; of all ways to do it with one
//! storage object the cheapest is chosen, and among equals the one that is cut least. Does not: join several storage
//! objects, or say who owns them: it is given the free ones of one owner.

use std::cmp::Reverse;

use crate::chain::object::Storage;
use crate::rules::system;

/// What the ledger sells, and for how much, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The current epoch.
    pub epoch: u32,
    /// How many epochs ahead space can be bought, the current one included.
    pub epochs_ahead_max: u32,
    /// Price of one MiB for one epoch, in the token's smallest unit.
    pub storage_price: u64,
    /// Price of writing one MiB.
    pub write_price: u64,
    /// Encoded bytes of the smallest blob: storage below that is of no use to anybody.
    pub encoded_bytes_min: u64,
}

/// Space that a blob needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Encoded bytes.
    pub bytes: u64,
    /// The first epoch to cover.
    pub start_epoch: u32,
    /// The first epoch that need not be covered; later than the start.
    pub end_epoch: u32,
    /// Whether it prolongs the storage of a blob: then it must begin and measure exactly as needed.
    pub is_extension: bool,
}

/// A part of a storage object: from an epoch, until an epoch, so many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The object it is cut from, as it is now.
    pub storage: Storage,
    /// Its first epoch.
    pub start_epoch: u32,
    /// The first epoch after it.
    pub end_epoch: u32,
    /// Its encoded bytes.
    pub bytes: u64,
}

/// Space to be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Its first epoch.
    pub start_epoch: u32,
    /// The first epoch after it.
    pub end_epoch: u32,
    /// Encoded bytes.
    pub bytes: u64,
    /// What it costs, and the most that may be paid.
    pub price: u64,
}

/// How the space for a blob comes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// What it is for.
    pub need: Need,
    /// What is cut from storage the owner has; comes first in time.
    pub reused: Option<Cut>,
    /// What is bought: the rest.
    pub bought: Option<Purchase>,
    /// What the reused part would have cost, in the token's smallest unit.
    pub saved: u64,
}

impl Terms {
    /// What so many encoded bytes cost for so many epochs; `None` if it fits no number.
    pub fn storage_cost(&self, bytes: u64, epochs: u32) -> Option<u64> {
        system::storage_price(self.storage_price, bytes, epochs).ok()
    }

    /// What writing so many encoded bytes costs; `None` if it fits no number.
    pub fn write_cost(&self, bytes: u64) -> Option<u64> {
        system::write_price(self.write_price, bytes).ok()
    }

    /// The first epoch that nobody can buy space for yet.
    pub fn horizon(&self) -> u32 {
        self.epoch.saturating_add(self.epochs_ahead_max)
    }
}

impl Cut {
    /// The part of a storage object that serves a need; nothing if it does not cover the need's first epoch.
    fn of(storage: &Storage, need: &Need, terms: &Terms) -> Option<Cut> {
        let covers =
            storage.start_epoch <= need.start_epoch && need.start_epoch < storage.end_epoch;
        let rest = storage.storage_size.checked_sub(need.bytes).filter(|_| covers)?;
        let is_whole_time = storage.end_epoch >= need.end_epoch;
        // A rest that can hold no blob stays, unless the size must match something else.
        let keeps_rest = is_whole_time && !need.is_extension && rest < terms.encoded_bytes_min;
        Some(Cut {
            start_epoch: if need.is_extension { need.start_epoch } else { storage.start_epoch },
            end_epoch: storage.end_epoch.min(need.end_epoch),
            bytes: if keeps_rest { storage.storage_size } else { need.bytes },
            storage: storage.clone(),
        })
    }

    /// How often the object has to be cut.
    pub fn count(&self) -> usize {
        let Cut { storage, start_epoch, end_epoch, bytes } = self;
        usize::from(storage.start_epoch < *start_epoch)
            + usize::from(*end_epoch < storage.end_epoch)
            + usize::from(*bytes < storage.storage_size)
    }
}

impl Space {
    /// The cheapest space for a need; `None` if its price fits no number.
    pub fn choose(terms: &Terms, storages: &[Storage], need: Need) -> Option<Space> {
        let cuts = storages.iter().filter_map(|storage| Cut::of(storage, &need, terms));
        let best = cuts.min_by_key(|cut| {
            let storage = &cut.storage;
            let (size, end) = (storage.storage_size, storage.end_epoch);
            (Reverse(cut.end_epoch), cut.count(), size, end, storage.id)
        });
        let from = best.as_ref().map_or(need.start_epoch, |cut| cut.end_epoch);
        let bought = match need.end_epoch.saturating_sub(from) {
            0 => None,
            epochs => Some(Purchase {
                start_epoch: from,
                end_epoch: need.end_epoch,
                bytes: need.bytes,
                price: terms.storage_cost(need.bytes, epochs)?,
            }),
        };
        let saved = terms.storage_cost(need.bytes, from - need.start_epoch)?;
        Some(Space { need, reused: best, bought, saved })
    }

    /// What has to be paid for it, in the token's smallest unit.
    pub fn price(&self) -> u64 {
        self.bought.map_or(0, |bought| bought.price)
    }
}

#[cfg(test)]
mod tests;
