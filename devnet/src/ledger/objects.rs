//! Objects: what they are to the rules, what they are to Sui, and which exist now.
//!
//! Promises: digests and bytes are Sui's own; of each object the latest version and a few before
//! it can be read.
//! Does not: decide what a transaction may do with an object.

mod fields;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use haulout_protocol::chain::object::staking::{NodeCap, Staked, Staking as StakingInner};
use haulout_protocol::chain::object::{
    Blob, Clock, Coin, Params, Staking, StakingPool, Storage, System, Treasury,
};
use haulout_protocol::chain::{ObjectId, TypeName};
use sui_sdk_types::{
    Address, CheckpointSummary, Digest, MoveStruct, Object, ObjectData, ObjectReference, Owner,
    StructTag, TypeTag,
};

use super::clock;
use super::fields::Field;
use super::identifiers::identifier;
use super::ids::GenesisIds;

pub(super) use fields::StoredFields;

/// How many versions of an object can be read: a client that lost a race goes back through them to see who used up a coin. Older
/// ones are in the checkpoints.
pub(super) const VERSIONS_KEPT: usize = 64;

/// Every type the ledger knows, spelled for its package.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The package.
    pub(super) package: Address,
    /// The token type of SUI.
    pub(super) sui: StructTag,
    /// The token type of WAL.
    pub(super) wal: StructTag,
    /// The view of the state of stake that clients read.
    pub(super) staking: Address,
    /// The state of stake itself.
    pub(super) staking_inner: Address,
}

impl Names {
    /// The names of a network.
    pub(super) fn new(ids: &GenesisIds) -> Self {
        let package = Address::new(ids.package.into());
        let (wal, staking) = (tag(package, TypeName::WAL), Address::new(ids.staking.into()));
        let staking_inner = Address::new(ids.staking_inner().into());
        Names { package, sui: StructTag::sui(), wal, staking, staking_inner }
    }

    fn of(&self, name: TypeName) -> StructTag {
        tag(self.package, name)
    }
}

fn tag(package: Address, name: TypeName) -> StructTag {
    StructTag::new(package, identifier(name.module), identifier(name.name), vec![])
}

/// An object as the rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// Money of any token.
    Coin {
        /// The token.
        token: StructTag,
        /// The coin.
        coin: Coin,
    },
    /// Reserved space.
    Storage(Storage),
    /// A registered blob.
    Blob(Blob),
    /// The system object.
    System(System),
    /// The parameters.
    Params(Params),
    /// The epoch and its committee.
    Staking(Staking),
    /// A node.
    StakingPool(StakingPool),
    /// The supply of the token.
    Treasury(Treasury),
    /// A dynamic field of another object.
    Field(Field),
    /// Everything about stake and epochs, of which the two above are views; with its tables, so no
    /// object alone can be read as this.
    StakingInner(Arc<StakingInner>),
    /// A receipt of stake.
    Staked(Staked),
    /// The operator's hot key to a node.
    NodeCap(NodeCap),
    /// The time.
    Clock(Clock),
}

impl Resource {
    /// The object's id.
    pub(super) fn id(&self) -> Address {
        let id: ObjectId = match self {
            Resource::Coin { coin, .. } => coin.id,
            Resource::Storage(object) => object.id,
            Resource::Blob(object) => object.id,
            Resource::System(object) => object.id,
            Resource::Params(object) => object.id,
            Resource::Staking(object) => object.id,
            Resource::StakingPool(object) => object.id,
            Resource::Treasury(object) => object.id,
            Resource::Field(field) => field.id(),
            Resource::StakingInner(object) => object.id,
            Resource::Staked(object) => object.id,
            Resource::NodeCap(object) => object.id,
            Resource::Clock(clock) => clock.id,
        };
        Address::new(id.into())
    }

    /// Whether anyone who owns it may give it away.
    fn has_public_transfer(&self) -> bool {
        use Resource::{Blob, Coin, NodeCap, Staked, Storage};
        matches!(self, Coin { .. } | Storage(_) | Blob(_) | Staked(_) | NodeCap(_))
    }

    /// Reads an object of the ledger; nothing for types it does not know.
    pub(super) fn read(names: &Names, object: &Object) -> Option<Self> {
        let data = object.as_struct()?;
        let (tag, bytes) = (data.object_type(), data.contents());
        if let Some(TypeTag::Struct(token)) = tag.is_coin() {
            let coin = bcs::from_bytes(bytes).ok()?;
            return Some(Resource::Coin { token: (**token).clone(), coin });
        }
        if let Some(field) = fields::read(names, tag, bytes) {
            return Some(Resource::Field(field));
        }
        if *tag == clock::tag() {
            return bcs::from_bytes(bytes).ok().map(Resource::Clock);
        }
        if *tag.address() != names.package {
            return None;
        }
        let resource = match tag.name().as_str() {
            "Storage" => Resource::Storage(bcs::from_bytes(bytes).ok()?),
            "Blob" => Resource::Blob(bcs::from_bytes(bytes).ok()?),
            "System" => Resource::System(bcs::from_bytes(bytes).ok()?),
            "Params" => Resource::Params(bcs::from_bytes(bytes).ok()?),
            "Staking" => Resource::Staking(bcs::from_bytes(bytes).ok()?),
            "StakingPool" => Resource::StakingPool(bcs::from_bytes(bytes).ok()?),
            "Treasury" => Resource::Treasury(bcs::from_bytes(bytes).ok()?),
            "Staked" => Resource::Staked(bcs::from_bytes(bytes).ok()?),
            "NodeCap" => Resource::NodeCap(bcs::from_bytes(bytes).ok()?),
            _ => return None,
        };
        Some(resource)
    }

    /// The resource as a Sui object.
    pub(super) fn write(
        &self,
        names: &Names,
        version: u64,
        owner: Owner,
        transaction: Digest,
    ) -> Object {
        let (tag, bytes) = match self {
            Resource::Coin { token, coin } => {
                (StructTag::coin(TypeTag::Struct(Box::new(token.clone()))), bcs::to_bytes(coin))
            }
            Resource::Storage(object) => (names.of(TypeName::STORAGE), bcs::to_bytes(object)),
            Resource::Blob(object) => (names.of(TypeName::BLOB), bcs::to_bytes(object)),
            Resource::System(object) => (names.of(TypeName::SYSTEM), bcs::to_bytes(object)),
            Resource::Params(object) => (names.of(TypeName::PARAMS), bcs::to_bytes(object)),
            Resource::Staking(object) => (names.of(TypeName::STAKING), bcs::to_bytes(object)),
            Resource::StakingPool(object) => {
                (names.of(TypeName::STAKING_POOL), bcs::to_bytes(object))
            }
            Resource::Treasury(object) => (names.of(TypeName::TREASURY), bcs::to_bytes(object)),
            Resource::Field(field) => (names.of_field(field), Ok(field.to_bytes())),
            Resource::StakingInner(object) => {
                (names.of(TypeName::STAKING_INNER), bcs::to_bytes(object.as_ref()))
            }
            Resource::Staked(object) => (names.of(TypeName::STAKED), bcs::to_bytes(object)),
            Resource::NodeCap(object) => (names.of(TypeName::NODE_CAP), bcs::to_bytes(object)),
            Resource::Clock(clock) => (clock::tag(), bcs::to_bytes(clock)),
        };
        let bytes = bytes.expect("objects are plain numbers, vectors and strings");
        let data = MoveStruct::new(tag, self.has_public_transfer(), version, bytes)
            .expect("every object starts with its id");
        Object::new(ObjectData::Struct(data), owner, transaction, 0)
    }
}

/// The balance of a coin object; nothing for anything else.
pub(super) fn coin_balance(object: &Object) -> Option<u64> {
    let data = object.as_struct()?;
    data.object_type().is_coin()?;
    bcs::from_bytes::<Coin>(data.contents()).ok().map(|coin| coin.balance)
}

/// The exact version of an object, as transactions name it.
pub(super) fn reference(object: &Object) -> ObjectReference {
    ObjectReference::new(object.object_id(), object.version(), object.digest())
}

/// Every object there is now, with the versions just before.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    versions: BTreeMap<Address, Vec<Object>>,
    /// By account.
    owned: BTreeMap<Address, BTreeSet<Address>>,
    /// By account and type, so that a wallet's coins are found among ten thousand blobs.
    owned_by_type: BTreeMap<Address, BTreeMap<StructTag, BTreeSet<Address>>>,
    /// Dynamic fields, by the object they hang on.
    children: BTreeMap<Address, BTreeSet<Address>>,
    /// What its object and the fields of its tables say, so that no transaction has to read them.
    stake: Option<Arc<StakingInner>>,
}

/// What a transaction did to the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// New versions.
    pub(super) written: Vec<Object>,
    /// Objects that exist no more, or only inside others.
    pub(super) removed: Vec<Address>,
    /// The state of stake, if what was written is part of it.
    pub(super) stake: Option<Arc<StakingInner>>,
}

impl Objects {
    /// The latest version of an object.
    pub(super) fn get(&self, id: &Address) -> Option<&Object> {
        self.versions.get(id)?.last()
    }

    /// One version of an object, if it is recent.
    pub(super) fn get_version(&self, id: &Address, version: u64) -> Option<&Object> {
        self.versions.get(id)?.iter().find(|object| object.version() == version)
    }

    /// The latest version of every object, by ascending id.
    pub(super) fn live(&self) -> impl Iterator<Item = &Object> {
        self.versions.values().filter_map(|versions| versions.last())
    }

    /// Objects an account owns, by id, from `start` on.
    pub(super) fn owned_by(
        &self,
        owner: &Address,
        start: Address,
    ) -> impl Iterator<Item = &Object> {
        let ids = self.owned.get(owner).into_iter().flat_map(move |ids| ids.range(start..));
        ids.filter_map(|id| self.get(id))
    }

    /// Objects of one type that an account owns, by id, from `start` on; a type that leaves out its
    /// parameters stands for all of them.
    pub(super) fn owned_of_type<'a>(
        &'a self,
        owner: &'a Address,
        kind: &'a StructTag,
        start: Address,
    ) -> Box<dyn Iterator<Item = &'a Object> + 'a> {
        let Some(types) = self.owned_by_type.get(owner) else { return Box::new(iter::empty()) };
        let mut sets = types.range(kind..).take_while(|(tag, _)| is_of(kind, tag));
        match (sets.next(), sets.next()) {
            (None, _) => Box::new(iter::empty()),
            (Some((_, ids)), None) => Box::new(ids.range(start..).filter_map(|id| self.get(id))),
            (Some(_), Some(_)) => Box::new(self.owned_by(owner, start).filter(|object| {
                object.as_struct().is_some_and(|data| is_of(kind, data.object_type()))
            })),
        }
    }

    /// What an account holds of every token.
    pub(super) fn balances(&self, owner: &Address) -> BTreeMap<String, u64> {
        let mut balances = BTreeMap::new();
        for (tag, ids) in self.owned_by_type.get(owner).into_iter().flatten() {
            let Some(token) = tag.is_coin() else { continue };
            let held = ids.iter().filter_map(|id| coin_balance(self.get(id)?));
            balances.insert(token.to_string(), held.fold(0, u64::saturating_add));
        }
        balances
    }

    /// Dynamic fields of an object, by their own id, from `start` on.
    pub(super) fn fields_of(
        &self,
        parent: &Address,
        start: Address,
    ) -> impl Iterator<Item = &Object> {
        let ids = self.children.get(parent).into_iter().flat_map(move |ids| ids.range(start..));
        ids.filter_map(|id| self.get(id))
    }

    /// Takes over the state of stake.
    pub(super) fn set_stake(&mut self, stake: Option<StakingInner>) {
        self.stake = stake.map(Arc::new);
    }

    /// The state of stake.
    pub(super) fn stake(&self) -> Option<&Arc<StakingInner>> {
        self.stake.as_ref()
    }

    /// An object as the rules see it.
    pub(super) fn resource(&self, names: &Names, object: &Object) -> Option<Resource> {
        match object.object_id() == names.staking_inner {
            true => self.stake.clone().map(Resource::StakingInner),
            false => Resource::read(names, object),
        }
    }

    /// Moves the clock to a checkpoint.
    pub(super) fn tick(&mut self, checkpoint: &CheckpointSummary) {
        self.put(clock::after(checkpoint));
    }

    /// Takes over what a transaction did.
    pub(super) fn apply(&mut self, changes: &Changes) {
        if let Some(stake) = &changes.stake {
            self.stake = Some(stake.clone());
        }
        for id in &changes.removed {
            self.disown(id);
            self.versions.remove(id);
        }
        for object in &changes.written {
            let id = object.object_id();
            self.disown(&id);
            if let Some((index, owner)) = self.index_of(object.owner()) {
                index.entry(owner).or_default().insert(id);
            }
            if let (Owner::Address(owner), Some(data)) = (object.owner(), object.as_struct()) {
                let types = self.owned_by_type.entry(*owner).or_default();
                types.entry(data.object_type().clone()).or_default().insert(id);
            }
            self.put(object.clone());
        }
    }

    /// Adds the next version of an object.
    pub(super) fn put(&mut self, object: Object) {
        let versions = self.versions.entry(object.object_id()).or_default();
        versions.push(object);
        if versions.len() > VERSIONS_KEPT {
            versions.remove(0);
        }
    }

    /// The index that lists what an owner of this kind has.
    fn index_of(
        &mut self,
        owner: &Owner,
    ) -> Option<(&mut BTreeMap<Address, BTreeSet<Address>>, Address)> {
        match owner {
            Owner::Address(owner) => Some((&mut self.owned, *owner)),
            Owner::Object(parent) => Some((&mut self.children, *parent)),
            _ => None,
        }
    }

    fn disown(&mut self, id: &Address) {
        let Some(object) = self.get(id) else { return };
        let owner = *object.owner();
        let kind = object.as_struct().map(|data| data.object_type().clone());
        if let Some((index, owner)) = self.index_of(&owner) {
            remove(index, &owner, id);
        }
        if let (Owner::Address(owner), Some(kind)) = (owner, kind)
            && let Some(types) = self.owned_by_type.get_mut(&owner)
        {
            remove(types, &kind, id);
            if types.is_empty() {
                self.owned_by_type.remove(&owner);
            }
        }
    }
}

/// Takes an id out of an index; what lists nothing any more takes no place.
fn remove<Key: Ord>(index: &mut BTreeMap<Key, BTreeSet<Address>>, key: &Key, id: &Address) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

/// Whether a type is the one that is meant; one that leaves out its parameters means any.
fn is_of(meant: &StructTag, tag: &StructTag) -> bool {
    meant.address() == tag.address()
        && meant.module() == tag.module()
        && meant.name() == tag.name()
        && (meant.type_params().is_empty() || meant.type_params() == tag.type_params())
}
