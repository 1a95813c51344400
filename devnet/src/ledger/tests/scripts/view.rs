//! All objects of a network, decoded, as the monitor checks them and the generator plans with them.
//!
//! Promises: follows every change; nothing else looks at bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{NodeCap, Staked, Staking};
use haulout_protocol::chain::object::{Blob, Metadata, Params, Storage, System, Treasury};
use sui_sdk_types::{Address, Object, Owner};

use super::stage::Stage;
use crate::ledger::fields::{Field, metadata_id};
use crate::ledger::objects::{Changes, Names, Resource};

/// Something that somebody owns.
#[derive(Clone, Debug)]
pub(super) struct Owned<T> {
    /// By whom.
    pub(super) owner: Address,
    /// What.
    pub(super) value: T,
}

type Map<T> = BTreeMap<Address, Owned<T>>;

/// Everything there is.
#[derive(Clone, Debug)]
pub(super) struct View {
    names: Names,
    /// Balances of WAL.
    pub(super) coins: Map<u64>,
    /// Free space.
    pub(super) storages: Map<Storage>,
    /// Blobs.
    pub(super) blobs: Map<Blob>,
    /// Receipts.
    pub(super) receipts: Map<Staked>,
    /// Caps.
    pub(super) caps: Map<NodeCap>,
    /// Dynamic fields.
    pub(super) fields: BTreeMap<Address, Field>,
    /// Everything about stake.
    pub(super) staking: Option<Arc<Staking>>,
    /// Everything about storage.
    pub(super) system: Option<System>,
    /// What was fixed at genesis.
    pub(super) params: Option<Params>,
    /// The supply.
    pub(super) treasury: Option<Treasury>,
}

impl View {
    /// A network as it is.
    pub(super) fn new(stage: &Stage) -> Self {
        let mut view = View {
            names: stage.state.names().clone(),
            coins: Map::new(),
            storages: Map::new(),
            blobs: Map::new(),
            receipts: Map::new(),
            caps: Map::new(),
            fields: BTreeMap::new(),
            staking: stage.state.stored().stake().cloned(),
            system: None,
            params: None,
            treasury: None,
        };
        for object in stage.state.objects() {
            view.put(object);
        }
        view
    }

    /// Follows a transaction.
    pub(super) fn apply(&mut self, changes: &Changes) {
        if let Some(stake) = &changes.stake {
            self.staking = Some(stake.clone());
        }
        for id in &changes.removed {
            self.remove(id);
        }
        for object in &changes.written {
            self.put(object);
        }
    }

    fn remove(&mut self, id: &Address) {
        self.coins.remove(id);
        self.storages.remove(id);
        self.blobs.remove(id);
        self.receipts.remove(id);
        self.caps.remove(id);
        self.fields.remove(id);
    }

    fn put(&mut self, object: &Object) {
        let id = object.object_id();
        let owner = match object.owner() {
            Owner::Address(owner) => *owner,
            _ => Address::ZERO,
        };
        match Resource::read(&self.names, object) {
            Some(Resource::Coin { token, coin }) if token == self.names.wal => {
                self.coins.insert(id, Owned { owner, value: coin.balance });
            }
            Some(Resource::Storage(value)) => {
                self.storages.insert(id, Owned { owner, value });
            }
            Some(Resource::Blob(value)) => {
                self.blobs.insert(id, Owned { owner, value });
            }
            Some(Resource::Staked(value)) => {
                self.receipts.insert(id, Owned { owner, value });
            }
            Some(Resource::NodeCap(value)) => {
                self.caps.insert(id, Owned { owner, value });
            }
            Some(Resource::Field(field)) => {
                self.fields.insert(id, field);
            }
            Some(Resource::System(system)) => self.system = Some(system),
            Some(Resource::Params(params)) => self.params = Some(params),
            Some(Resource::Treasury(treasury)) => self.treasury = Some(treasury),
            _ => {}
        }
    }

    /// Everything about stake.
    pub(super) fn staking(&self) -> &Staking {
        self.staking.as_ref().unwrap()
    }

    /// Everything about storage.
    pub(super) fn system(&self) -> &System {
        self.system.as_ref().unwrap()
    }

    /// What was fixed at genesis.
    pub(super) fn params(&self) -> &Params {
        self.params.as_ref().unwrap()
    }

    /// All WAL there shall be.
    pub(super) fn supply(&self) -> u64 {
        self.treasury.as_ref().unwrap().total_supply
    }

    /// The metadata of a blob.
    pub(super) fn metadata(&self, blob: &ObjectId) -> Option<&Metadata> {
        match self.fields.get(&Address::new(metadata_id(blob).into()))? {
            Field::Metadata(field) => Some(&field.value),
            _ => None,
        }
    }

    /// Whether an id was declared invalid.
    pub(super) fn is_invalid(&self, blob_id: &[u8; 32]) -> bool {
        let table = &self.system().invalid.id;
        let id = crate::ledger::fields::invalid_id(table, blob_id);
        self.fields.contains_key(&Address::new(id.into()))
    }

    /// Usage and rewards from the current epoch on, with the epochs.
    pub(super) fn ring(&self) -> Vec<(u32, u64, u64)> {
        let ring = &self.system().ring;
        let mut entries = ring.entries.clone();
        entries.rotate_left(usize::try_from(ring.current_index).unwrap());
        entries.iter().map(|entry| (entry.epoch, entry.used_capacity, entry.rewards)).collect()
    }
}
