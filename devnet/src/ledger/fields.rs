//! Twin of Sui's dynamic fields: values that hang on an object by a name.
//!
//! Promises: a field's id is the one Sui derives from parent, name and type of the name; a
//! transaction sees its own changes and nobody else does before it succeeds.
//! Does not: know which object a transaction must name to reach a field; the rules do. Tables of
//! stake are read and changed in the state of stake itself, and `ledger::tables` writes them down.

use std::collections::BTreeMap;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{Pool, Rate};
use haulout_protocol::chain::object::{DynamicField, METADATA_FIELD, Metadata};
use serde::Serialize;
use sui_sdk_types::{Address, Identifier, StructTag, TypeTag};

/// A field of any kind the package has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// An entry of the table of invalid blob ids: the epoch of the verdict.
    Invalid(DynamicField<[u8; 32], u32>),
    /// The metadata of a blob.
    Metadata(DynamicField<Vec<u8>, Metadata>),
    /// An entry of the table of pools.
    Pool(Box<DynamicField<ObjectId, Pool>>),
    /// An entry of a pool's table of rates.
    Rate(DynamicField<u32, Rate>),
    /// An amount by epoch: an entry of the history of stake, of the whole or of a pool.
    Amount(DynamicField<u32, u64>),
    /// A node by one of its keys: an entry of the tables of keys.
    Node(DynamicField<Vec<u8>, ObjectId>),
}

impl Field {
    /// The field's own id.
    pub(crate) fn id(&self) -> ObjectId {
        match self {
            Field::Invalid(field) => field.id,
            Field::Metadata(field) => field.id,
            Field::Pool(field) => field.id,
            Field::Rate(field) => field.id,
            Field::Amount(field) => field.id,
            Field::Node(field) => field.id,
        }
    }

    /// The whole field in BCS.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Field::Invalid(field) => bytes(field),
            Field::Metadata(field) => bytes(field),
            Field::Pool(field) => bytes(field),
            Field::Rate(field) => bytes(field),
            Field::Amount(field) => bytes(field),
            Field::Node(field) => bytes(field),
        }
    }

    /// Name and value in BCS, for those who list fields.
    pub(crate) fn name_and_value(&self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Field::Invalid(field) => (bytes(&field.name), bytes(&field.value)),
            Field::Metadata(field) => (bytes(&field.name), bytes(&field.value)),
            Field::Pool(field) => (bytes(&field.name), bytes(&field.value)),
            Field::Rate(field) => (bytes(&field.name), bytes(&field.value)),
            Field::Amount(field) => (bytes(&field.name), bytes(&field.value)),
            Field::Node(field) => (bytes(&field.name), bytes(&field.value)),
        }
    }
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    bcs::to_bytes(value).expect("numbers, byte vectors and texts always serialise")
}

/// What the entries of tables of stake are named by.
pub(crate) trait TableKey: Clone + Ord + Serialize {
    /// Its type in Move.
    fn tag() -> TypeTag;

    /// The id of the entry in a table.
    fn field_id(&self, table: &ObjectId) -> ObjectId {
        ObjectId::from_bytes(
            *Address::new((*table).into())
                .derive_dynamic_child_id(&Self::tag(), &bytes(self))
                .inner(),
        )
    }
}

/// An epoch.
impl TableKey for u32 {
    fn tag() -> TypeTag {
        TypeTag::U32
    }
}

/// A key of a node.
impl TableKey for Vec<u8> {
    fn tag() -> TypeTag {
        TypeTag::Vector(Box::new(TypeTag::U8))
    }
}

/// A node.
impl TableKey for ObjectId {
    fn tag() -> TypeTag {
        let name = |text| Identifier::new(text).expect("a name of Sui's own");
        let id = StructTag::new(Address::TWO, name("object"), name("ID"), Vec::new());
        TypeTag::Struct(Box::new(id))
    }
}

/// Where fields are that no running transaction has changed.
pub(crate) trait Stored: std::fmt::Debug {
    /// The field with an id, if there is one.
    fn field(&self, id: &ObjectId) -> Option<Field>;
}

impl Stored for BTreeMap<ObjectId, Field> {
    fn field(&self, id: &ObjectId) -> Option<Field> {
        self.get(id).cloned()
    }
}

/// Nothing is stored.
impl Stored for () {
    fn field(&self, _id: &ObjectId) -> Option<Field> {
        None
    }
}

/// What a transaction did to one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The object the field hangs on.
    pub(crate) parent: ObjectId,
    /// The field now; nothing if it is gone.
    pub(crate) field: Option<Field>,
}

/// The fields as a running transaction sees them.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    stored: &'a dyn Stored,
    changed: BTreeMap<ObjectId, Change>,
}

impl<'a> Fields<'a> {
    /// The fields before a transaction's first change.
    pub(super) fn new(stored: &'a dyn Stored) -> Self {
        Fields { stored, changed: BTreeMap::new() }
    }

    fn get(&self, id: &ObjectId) -> Option<Field> {
        match self.changed.get(id) {
            Some(change) => change.field.clone(),
            None => self.stored.field(id),
        }
    }

    /// Whether the table `parent` has an entry for a blob id.
    pub(super) fn is_invalid(&self, parent: &ObjectId, blob_id: &[u8; 32]) -> bool {
        self.get(&invalid_id(parent, blob_id)).is_some()
    }

    /// Adds an entry to the table `parent`.
    pub(super) fn add_invalid(&mut self, parent: &ObjectId, blob_id: &[u8; 32], epoch: u32) {
        let id = invalid_id(parent, blob_id);
        let field = Some(Field::Invalid(DynamicField { id, name: *blob_id, value: epoch }));
        self.changed.insert(id, Change { parent: *parent, field });
    }

    /// The metadata of a blob, if it has any.
    pub(super) fn metadata(&self, blob: &ObjectId) -> Option<Metadata> {
        match self.get(&metadata_id(blob))? {
            Field::Metadata(field) => Some(field.value),
            _ => None,
        }
    }

    /// Sets the metadata of a blob; nothing removes it.
    pub(super) fn set_metadata(&mut self, blob: &ObjectId, metadata: Option<Metadata>) {
        let id = metadata_id(blob);
        let name = METADATA_FIELD.to_vec();
        let field = metadata.map(|value| Field::Metadata(DynamicField { id, name, value }));
        self.changed.insert(id, Change { parent: *blob, field });
    }

    /// What changed, by the fields' ids.
    pub(crate) fn into_changes(self) -> BTreeMap<ObjectId, Change> {
        self.changed
    }
}

/// The id of the entry of a blob id in the table `parent`.
pub(crate) fn invalid_id(parent: &ObjectId, blob_id: &[u8; 32]) -> ObjectId {
    ObjectId::from_bytes(
        *Address::new((*parent).into()).derive_dynamic_child_id(&TypeTag::U256, blob_id).inner(),
    )
}

/// The id of the field that holds a blob's metadata.
pub(crate) fn metadata_id(blob: &ObjectId) -> ObjectId {
    let name = bcs::to_bytes(METADATA_FIELD).expect("byte vectors always serialise");
    let bytes = TypeTag::Vector(Box::new(TypeTag::U8));
    ObjectId::from_bytes(
        *Address::new((*blob).into()).derive_dynamic_child_id(&bytes, &name).inner(),
    )
}
