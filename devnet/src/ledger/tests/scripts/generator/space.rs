//! Space that is bought, cut, joined and thrown away.

use haulout_protocol::chain::object::Storage;
use serde_json::json;

use super::{Generator, MIB, Proposal, call, make};

/// A storage with its handle and its owner's name.
pub(super) type Held = (String, String, Storage);

impl Generator {
    pub(super) fn space(&mut self) -> Option<Proposal> {
        match self.random.below(10) {
            0..5 => self.reserve(),
            5 => self.split_by_epoch(),
            6 => self.split_by_size(),
            7..9 => self.fuse(),
            _ => {
                let (handle, owner, _) = self.storage(|_| true)?;
                Some(Proposal::legal(&owner, vec![call("destroy", json!({ "storage": handle }))]))
            }
        }
    }

    /// A free storage of somebody.
    pub(super) fn storage(&mut self, fits: impl Fn(&Storage) -> bool) -> Option<Held> {
        let all = self.runner.view.storages.iter().filter(|(_, held)| fits(&held.value));
        let all = all.filter_map(|(id, held)| {
            Some((self.handle(id)?, self.actor(&held.owner)?, held.value.clone()))
        });
        let all: Vec<_> = all.collect();
        self.random.pick(&all)
    }

    /// What so many bytes cost for so many epochs; nothing if it is too much for any coin.
    pub(super) fn cost(&self, size: u64, epochs: u32) -> Option<u64> {
        let units = size.div_ceil(MIB);
        let price = self.runner.view.system().storage_price;
        price.checked_mul(units)?.checked_mul(epochs.into())
    }

    /// Whether there is room for more in epochs from `ahead` on.
    pub(super) fn has_room(&self, size: u64, ahead: u32, epochs: u32) -> bool {
        let capacity = self.runner.view.system().total_capacity;
        let ring = self.runner.view.ring();
        let from = usize::try_from(ahead).unwrap();
        let wanted = ring.iter().skip(from).take(usize::try_from(epochs).unwrap());
        let fits = |used: u64| used.checked_add(size).is_some_and(|used| used <= capacity);
        wanted.clone().count() == usize::try_from(epochs).unwrap()
            && wanted.clone().all(|(_, used, _)| fits(*used))
    }

    /// Bytes, mostly whole units.
    pub(super) fn size(&mut self) -> u64 {
        match self.random.below(10) {
            0 => 1 + self.random.below(3 * MIB),
            _ => (1 + self.random.below(4)) * MIB,
        }
    }

    fn reserve(&mut self) -> Option<Proposal> {
        let length = self.runner.view.system().ring.length;
        let (size, sender) = (self.size(), self.rich());
        let ahead =
            if self.random.chance(70) { 0 } else { u32::try_from(self.random.below(3)).ok()? };
        let epochs = 1 + u32::try_from(self.random.below(4)).ok()?;
        let cost = self.cost(size, epochs)?;
        let fits = ahead + epochs <= length && self.has_room(size, ahead, epochs);
        if !fits || cost > self.wealth(&sender) {
            return None;
        }
        let name = self.name("s");
        let mut arguments = json!({
            "size": size,
            "start": format!("epoch()+{ahead}"),
            "end": format!("epoch()+{}", ahead + epochs),
            "coin": "$tok",
        });
        if self.random.chance(30) {
            arguments["max"] = json!(cost);
        }
        Some(Proposal::legal(&sender, vec![make("reserve", arguments, &name)]))
    }

    fn split_by_epoch(&mut self) -> Option<Proposal> {
        let (handle, owner, storage) =
            self.storage(|storage| storage.end_epoch - storage.start_epoch > 1)?;
        let room = storage.end_epoch - storage.start_epoch - 1;
        let epoch = storage.start_epoch + 1 + u32::try_from(self.random.below(room.into())).ok()?;
        let (arguments, name) = (json!({ "storage": handle, "epoch": epoch }), self.name("s"));
        Some(Proposal::legal(&owner, vec![make("split_by_epoch", arguments, &name)]))
    }

    fn split_by_size(&mut self) -> Option<Proposal> {
        let (handle, owner, storage) = self.storage(|storage| storage.storage_size > 1)?;
        let part = match storage.storage_size > MIB && self.random.chance(70) {
            true => MIB,
            false => 1 + self.random.below(storage.storage_size - 1),
        };
        let (arguments, name) = (json!({ "storage": handle, "size": part }), self.name("s"));
        Some(Proposal::legal(&owner, vec![make("split_by_size", arguments, &name)]))
    }

    fn fuse(&mut self) -> Option<Proposal> {
        let (handle, owner, first) = self.storage(|_| true)?;
        let fits = |second: &Storage| {
            let (a, b) = (&first, second);
            let same = a.storage_size == b.storage_size;
            let follows = a.end_epoch == b.start_epoch || b.end_epoch == a.start_epoch;
            let equal = a.start_epoch == b.start_epoch && a.end_epoch == b.end_epoch;
            a.id != b.id && if a.start_epoch == b.start_epoch { equal } else { same && follows }
        };
        let (other, other_owner, _) = self.storage(fits)?;
        let fuse = call("fuse", json!({ "storage": handle, "other": other }));
        (owner == other_owner).then(|| Proposal::legal(&owner, vec![fuse]))
    }
}
