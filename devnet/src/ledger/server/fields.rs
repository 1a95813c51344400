//! `ListDynamicFields`: what hangs on an object by names.
//!
//! Promises: fields come in the order of their own ids, each once, however the list is cut into
//! pages; names and values are readable without the field's object.
//! Does not: know dynamic object fields; the package has none.

use rpc::dynamic_field::DynamicFieldKind;
use sui_rpc::field::FieldMaskTree;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, Object, TypeTag};
use tonic::Status;

use super::{Service, mask, paging, parse};
use crate::ledger::NOT_POISONED;
use crate::ledger::checkpoints::object_to_rpc;
use crate::ledger::objects::{Names, Resource};

/// What a field shows if nobody says what to show.
const FIELD_MASK: &str = "parent,field_id";

impl Service {
    /// One page of the fields of an object; none for what has none, or is not there.
    pub(super) fn dynamic_fields(
        &self,
        request: &rpc::ListDynamicFieldsRequest,
    ) -> Result<rpc::ListDynamicFieldsResponse, Status> {
        let parent: Address = parse(request.parent(), "an object id")?;
        let start = paging::start(request.page_token.as_ref())?;
        let mask = mask(request.read_mask.as_ref(), FIELD_MASK);
        let objects = self.ledger.inner.objects.read().expect(NOT_POISONED);
        let mut found = objects.fields_of(&parent, start);
        let page = found.by_ref().take(paging::size(request.page_size));
        let mut response = rpc::ListDynamicFieldsResponse::default();
        response.dynamic_fields =
            page.map(|object| show(&self.ledger.inner.names, parent, object, &mask)).collect();
        response.next_page_token =
            found.next().map(|object| paging::token(object.object_id()).into());
        Ok(response)
    }
}

/// A field under a mask.
fn show(
    names: &Names,
    parent: Address,
    object: &Object,
    mask: &FieldMaskTree,
) -> rpc::DynamicField {
    let mut shown = rpc::DynamicField::default();
    if mask.contains("kind") {
        shown.set_kind(DynamicFieldKind::Field);
    }
    if mask.contains("parent") {
        shown.parent = Some(parent.to_string());
    }
    if mask.contains("field_id") {
        shown.field_id = Some(object.object_id().to_string());
    }
    if let Some(mask) = mask.subtree("field_object") {
        shown.field_object = Some(object_to_rpc(object, &mask));
    }
    let tag = object.as_struct().map(|data| data.object_type());
    let types = tag.map(|tag| tag.type_params()).unwrap_or_default();
    if let [name_type, value_type] = types
        && let Some(Resource::Field(field)) = Resource::read(names, object)
    {
        let (name, value) = field.name_and_value();
        shown.name = mask.contains("name").then(|| typed(name_type, name));
        shown.value = mask.contains("value").then(|| typed(value_type, value));
        shown.value_type = mask.contains("value_type").then(|| value_type.to_string());
    }
    shown
}

/// A value in BCS with its type.
fn typed(tag: &TypeTag, value: Vec<u8>) -> rpc::Bcs {
    let mut typed = rpc::Bcs::default();
    typed.name = Some(tag.to_string());
    typed.value = Some(value.into());
    typed
}
