//! Twin of Sui's dynamic fields: values that hang on an object by a name.
//!
//! Promises: a field's id is the one Sui derives from parent, name and type of the name.
//! Does not: know when a field changes; the rules do. `ledger::tables` writes the tables of stake.

use std::collections::BTreeMap;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{Pool, Rate};
use haulout_protocol::chain::object::{DynamicField, METADATA_FIELD, Metadata};
use haulout_protocol::rules::fields as rules;
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

/// What a transaction did to one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The object the field hangs on.
    pub(crate) parent: ObjectId,
    /// The field now; nothing if it is gone.
    pub(crate) field: Option<Field>,
}

/// What the rules changed, by the ids of the fields.
pub(crate) fn changes(changes: rules::Changes) -> BTreeMap<ObjectId, Change> {
    let invalid = changes.invalid.into_iter().map(|((parent, name), value)| {
        let id = invalid_id(&parent, &name);
        (id, Change { parent, field: Some(Field::Invalid(DynamicField { id, name, value })) })
    });
    let metadata = changes.metadata.into_iter().map(|(parent, value)| {
        let (id, name) = (metadata_id(&parent), METADATA_FIELD.to_vec());
        let field = value.map(|value| Field::Metadata(DynamicField { id, name, value }));
        (id, Change { parent, field })
    });
    invalid.chain(metadata).collect()
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

#[cfg(test)]
mod tests {
    use haulout_protocol::rules::Context;
    use sui_sdk_types::Digest;

    use super::*;

    #[test]
    fn fresh_ids_of_the_rules_are_the_ones_sui_derives() {
        let digest = Digest::new([7; 32]);
        let mut context = Context::new(digest.into_inner());
        for count in 0..300 {
            let expected = Address::derive_id(digest, count).into_inner();
            assert_eq!(context.fresh_id(), ObjectId::from_bytes(expected));
        }
    }
}
