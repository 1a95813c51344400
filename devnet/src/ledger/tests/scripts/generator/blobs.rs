//! Blobs that are registered, certified, prolonged, annotated, deleted, burned and declared invalid.

use haulout_protocol::blob::{BlobId, Encoding};
use haulout_protocol::chain::object::Blob;
use serde_json::json;

use super::super::format::Command;
use super::super::stage::blob_root;
use super::{Generator, MIB, Proposal, call, make};

/// How many different blobs there are.
const BLOBS: u64 = 12;

/// A blob with its handle and its owner's name.
pub(super) type Held = (String, String, Blob);

impl Generator {
    pub(super) fn blob(&mut self) -> Option<Proposal> {
        match self.random.below(20) {
            0..6 => self.register(),
            6..11 => self.certify(),
            11..13 => self.extend(),
            13..15 => self.extend_with(),
            15 => self.delete(),
            16 => {
                let (handle, owner, _) = self.blob_that(|_| true)?;
                Some(Proposal::legal(&owner, vec![call("burn", json!({ "blob": handle }))]))
            }
            17..19 => self.annotate(),
            _ => self.say(),
        }
    }

    /// The bytes of a blob, which its number fixes.
    pub(super) fn blob_size(number: u64) -> u64 {
        number * number * 997
    }

    /// The id of a blob.
    pub(super) fn id_of(&self, number: u64) -> [u8; 32] {
        let (size, root) = (Self::blob_size(number), blob_root(number));
        *BlobId::derive(self.encoding_of(size), size, &root).as_bytes()
    }

    /// The one encoding that the network has for a length.
    fn encoding_of(&self, size: u64) -> Encoding {
        self.runner.stage.encoding_of(size)
    }

    /// What a blob occupies.
    pub(super) fn encoded(&self, number: u64) -> Option<u64> {
        let config = &self.runner.stage.config;
        let parameters = config.parameters().ok()?;
        parameters.encoded_bytes(Self::blob_size(number), config.header_replicas)
    }

    /// A blob of somebody.
    pub(super) fn blob_that(&mut self, fits: impl Fn(&Blob) -> bool) -> Option<Held> {
        let all = self.runner.view.blobs.iter().filter(|(_, held)| fits(&held.value));
        let all = all.filter_map(|(id, held)| {
            Some((self.handle(id)?, self.actor(&held.owner)?, held.value.clone()))
        });
        let all: Vec<_> = all.collect();
        self.random.pick(&all)
    }

    /// The number of a blob whose id is valid.
    pub(super) fn valid_number(&mut self) -> Option<u64> {
        let number = 1 + self.random.below(BLOBS);
        (!self.runner.view.is_invalid(&self.id_of(number))).then_some(number)
    }

    fn register(&mut self) -> Option<Proposal> {
        let (number, epoch) = (self.valid_number()?, self.epoch());
        let encoded = self.encoded(number)?;
        let covers = |start: u32, end: u32| start <= epoch && epoch < end;
        let found = self.storage(|storage| {
            covers(storage.start_epoch, storage.end_epoch) && storage.storage_size >= encoded
        });
        let fee = self.runner.view.system().write_price.checked_mul(encoded.div_ceil(MIB))?;
        let (mut cmds, storage, sender, cost) = match found {
            Some((handle, owner, _)) => (vec![], handle, owner, 0),
            None => self.reserve_for(encoded)?,
        };
        if fee.checked_add(cost)? > self.wealth(&sender) {
            return None;
        }
        let (name, deletable) = (self.name("b"), self.random.chance(50));
        let arguments = json!({
            "storage": storage, "blob": format!("B{number}"), "size": Self::blob_size(number),
            "deletable": deletable, "coin": "$tok", "max": fee,
        });
        cmds.push(make("register", arguments, &name));
        if !deletable && self.random.chance(30) {
            let cert = json!({ "type": "blob", "blob": format!("B{number}"),
                "size": Self::blob_size(number), "signers": "all" });
            cmds.push(call("certify", json!({ "blob": format!("@{name}"), "cert": cert })));
        }
        Some(Proposal::legal(&sender, cmds))
    }

    /// Buys exactly the space of a blob in the same step.
    fn reserve_for(&mut self, encoded: u64) -> Option<(Vec<Command>, String, String, u64)> {
        let (sender, epochs) = (self.rich(), 1 + u32::try_from(self.random.below(4)).ok()?);
        let cost = self.cost(encoded, epochs)?;
        if !self.has_room(encoded, 0, epochs) {
            return None;
        }
        let name = self.name("s");
        let arguments = json!({ "size": encoded, "start": "epoch()",
            "end": format!("epoch()+{epochs}"), "coin": "$tok" });
        Some((vec![make("reserve", arguments, &name)], format!("@{name}"), sender, cost))
    }

    fn certify(&mut self) -> Option<Proposal> {
        let epoch = self.epoch();
        let (handle, owner, blob) = self
            .blob_that(|blob| blob.certified_epoch.is_none() && epoch < blob.storage.end_epoch)?;
        if self.runner.view.is_invalid(&blob.blob_id) {
            return None;
        }
        let signers = if self.random.chance(50) { "quorum" } else { "all" };
        let cert = json!({ "type": "blob", "of": handle, "signers": signers });
        let certify = call("certify", json!({ "blob": handle, "cert": cert }));
        Some(Proposal::legal(&owner, vec![certify]))
    }

    /// A certified blob that has not ended, with the epochs it still has.
    pub(super) fn lasting(&mut self) -> Option<(String, String, Blob, u32)> {
        let epoch = self.epoch();
        let (handle, owner, blob) = self
            .blob_that(|blob| blob.certified_epoch.is_some() && epoch < blob.storage.end_epoch)?;
        if self.runner.view.is_invalid(&blob.blob_id) {
            return None;
        }
        let left = blob.storage.end_epoch - epoch;
        Some((handle, owner, blob, left))
    }

    fn extend(&mut self) -> Option<Proposal> {
        let (handle, owner, blob, left) = self.lasting()?;
        let epochs = 1 + u32::try_from(self.random.below(3)).ok()?;
        let size = blob.storage.storage_size;
        let cost = self.cost(size, epochs)?;
        if !self.has_room(size, left, epochs) || cost > self.wealth(&owner) {
            return None;
        }
        let arguments = json!({ "blob": handle, "epochs": epochs, "coin": "$tok", "max": cost });
        Some(Proposal::legal(&owner, vec![call("extend", arguments)]))
    }

    fn extend_with(&mut self) -> Option<Proposal> {
        let (handle, owner, blob, left) = self.lasting()?;
        let size = blob.storage.storage_size;
        let (end, mut cmds) = (blob.storage.end_epoch, vec![]);
        let fits = |start: u32, bytes: u64| start == end && bytes == size;
        let found = self.storage(|storage| fits(storage.start_epoch, storage.storage_size));
        let storage = match found {
            Some((storage, holder, _)) if holder == owner => storage,
            _ => {
                let cost = self.cost(size, 1)?;
                if !self.has_room(size, left, 1) || cost > self.wealth(&owner) {
                    return None;
                }
                let name = self.name("s");
                let arguments =
                    json!({ "size": size, "start": end, "end": end + 1, "coin": "$tok" });
                cmds.push(make("reserve", arguments, &name));
                format!("@{name}")
            }
        };
        cmds.push(call("extend_with", json!({ "blob": handle, "storage": storage })));
        Some(Proposal::legal(&owner, cmds))
    }

    fn delete(&mut self) -> Option<Proposal> {
        let epoch = self.epoch();
        let (handle, owner, _) =
            self.blob_that(|blob| blob.deletable && epoch < blob.storage.end_epoch)?;
        let name = self.name("s");
        Some(Proposal::legal(&owner, vec![make("delete", json!({ "blob": handle }), &name)]))
    }

    /// Texts that come and go.
    fn annotate(&mut self) -> Option<Proposal> {
        let (handle, owner, blob) = self.blob_that(|_| true)?;
        let pairs = self.runner.view.metadata(&blob.id).map(|metadata| metadata.pairs.clone());
        let key = format!("key{}", self.random.below(4));
        let command = match (pairs, self.random.below(4)) {
            (None, 0) => call("add_metadata", json!({ "blob": handle })),
            (Some(_), 0) => call("take_metadata", json!({ "blob": handle })),
            (Some(pairs), 1) => {
                let key = &pairs.first()?.key;
                call("remove_metadata", json!({ "blob": handle, "key": key }))
            }
            _ => call("set_metadata", json!({ "blob": handle, "key": key, "value": "text" })),
        };
        Some(Proposal::legal(&owner, vec![command]))
    }

    /// What the committee says beyond certificates of blobs.
    fn say(&mut self) -> Option<Proposal> {
        let sender = self.rich();
        if self.random.chance(50) {
            let version = self.runner.view.system().protocol_version + 1;
            let cert = json!({ "type": "protocol_version", "start": "epoch()+1",
                "version": version, "signers": "quorum" });
            let say = call("set_protocol_version", json!({ "cert": cert }));
            return Some(Proposal::legal(&sender, vec![say]));
        }
        let number = self.valid_number()?;
        let cert = json!({ "type": "invalid", "blob": format!("B{number}"),
            "size": Self::blob_size(number), "signers": "third" });
        Some(Proposal::legal(&sender, vec![call("invalidate", json!({ "cert": cert }))]))
    }

    /// The number of an encoding that the network does not have for blobs of this length.
    pub(super) fn other_encoding(&mut self, size: u64) -> u8 {
        match (self.random.below(3), self.encoding_of(size)) {
            (0, Encoding::Segments) => Encoding::Short.number(),
            (0, Encoding::Short) => Encoding::Segments.number(),
            (1, _) => 1,
            _ => u8::MAX,
        }
    }
}
