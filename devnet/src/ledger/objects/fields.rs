//! Dynamic fields as Sui spells them: the types of their names and values.
//!
//! Promises: a field that is written is read as what it was.
//! Does not: know in which table a field is; its owner says that.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::TypeName;
use haulout_protocol::chain::object::Metadata;
use haulout_protocol::rules::fields::Stored;
use serde::de::DeserializeOwned;
use sui_sdk_types::{Address, StructTag, TypeTag};

use super::{Names, Objects, Resource};
use crate::ledger::fields::{Field, TableKey, invalid_id, metadata_id};
use crate::ledger::identifiers::identifier;

impl Names {
    /// The type of a dynamic field.
    pub(super) fn of_field(&self, field: &Field) -> StructTag {
        match field {
            Field::Invalid(_) => self.invalid_field(),
            Field::Metadata(_) => self.metadata_field(),
            Field::Pool(_) => self.pool_field(),
            Field::Rate(_) => self.rate_field(),
            Field::Amount(_) => amount_field(),
            Field::Node(_) => node_field(),
        }
    }

    /// The type of an entry of the table of invalid blob ids.
    fn invalid_field(&self) -> StructTag {
        field_tag(TypeTag::U256, TypeTag::U32)
    }

    /// The type of the field that holds a blob's metadata.
    fn metadata_field(&self) -> StructTag {
        let name = TypeTag::Vector(Box::new(TypeTag::U8));
        field_tag(name, TypeTag::Struct(Box::new(self.of(TypeName::METADATA))))
    }

    /// The type of an entry of the table of pools.
    fn pool_field(&self) -> StructTag {
        let pool = self.of(TypeName::POOL);
        field_tag(ObjectId::tag(), TypeTag::Struct(Box::new(pool)))
    }

    /// The type of an entry of a table of rates.
    fn rate_field(&self) -> StructTag {
        field_tag(u32::tag(), TypeTag::Struct(Box::new(self.of(TypeName::RATE))))
    }
}

/// The type of an amount by epoch.
fn amount_field() -> StructTag {
    field_tag(u32::tag(), TypeTag::U64)
}

/// The type of a node by a key.
fn node_field() -> StructTag {
    field_tag(Vec::<u8>::tag(), ObjectId::tag())
}

/// Sui's type of a dynamic field.
fn field_tag(name: TypeTag, value: TypeTag) -> StructTag {
    let (module, field) = (identifier("dynamic_field"), identifier("Field"));
    StructTag::new(Address::TWO, module, field, vec![name, value])
}

/// Reads a dynamic field of a kind the package has.
pub(super) fn read(names: &Names, tag: &StructTag, bytes: &[u8]) -> Option<Field> {
    fn decode<T: DeserializeOwned>(bytes: &[u8], of: fn(T) -> Field) -> Option<Field> {
        bcs::from_bytes(bytes).ok().map(of)
    }
    // Most objects are no fields, and need not be compared with every kind.
    if *tag.address() != Address::TWO || tag.name().as_str() != "Field" {
        return None;
    }
    match tag {
        tag if *tag == names.rate_field() => decode(bytes, Field::Rate),
        tag if *tag == amount_field() => decode(bytes, Field::Amount),
        tag if *tag == names.pool_field() => decode(bytes, |field| Field::Pool(Box::new(field))),
        tag if *tag == node_field() => decode(bytes, Field::Node),
        tag if *tag == names.invalid_field() => decode(bytes, Field::Invalid),
        tag if *tag == names.metadata_field() => decode(bytes, Field::Metadata),
        _ => None,
    }
}

/// The dynamic fields among the objects, for the rules.
#[derive(Debug)]
pub(in crate::ledger) struct StoredFields<'a> {
    /// How the types are spelled.
    pub(in crate::ledger) names: &'a Names,
    /// Every object there is.
    pub(in crate::ledger) objects: &'a Objects,
}

impl StoredFields<'_> {
    fn field(&self, id: &ObjectId) -> Option<Field> {
        match Resource::read(self.names, self.objects.get(&Address::new((*id).into()))?)? {
            Resource::Field(field) => Some(field),
            _ => None,
        }
    }
}

impl Stored for StoredFields<'_> {
    fn is_invalid(&self, table: &ObjectId, blob_id: &[u8; 32]) -> bool {
        self.field(&invalid_id(table, blob_id)).is_some()
    }

    fn metadata(&self, blob: &ObjectId) -> Option<Metadata> {
        match self.field(&metadata_id(blob))? {
            Field::Metadata(field) => Some(field.value),
            _ => None,
        }
    }
}
