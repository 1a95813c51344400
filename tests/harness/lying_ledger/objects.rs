//! Lies about objects: what they are now, and what an account owns.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use haulout_protocol::chain::object::staking::{self, Pool};
use haulout_protocol::chain::object::{Blob, Staking, Storage, System};
use haulout_protocol::chain::{ObjectId, staking_inner};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_rpc::proto::sui::rpc::v2::owner::OwnerKind;
use sui_sdk_types::{Address, MoveStruct, Object, ObjectData};

use super::{Lie, Service};

impl Service {
    /// What is made of objects.
    pub(super) fn twist_objects(
        &self,
        mut answer: rpc::BatchGetObjectsResponse,
    ) -> rpc::BatchGetObjectsResponse {
        for found in &mut answer.objects {
            if let Some(rpc::get_object_result::Result::Object(object)) = &mut found.result {
                self.twist_object(object);
            }
        }
        answer
    }

    /// Which object is asked of the truth in place of another.
    pub(super) fn twist_object_request(
        &self,
        mut request: rpc::GetObjectRequest,
    ) -> rpc::GetObjectRequest {
        if let Lie::Swapped { one, other, in_itself: true } = self.lie()
            && let Ok(wanted) = request.object_id().parse::<Address>()
            && let Some(instead) = swapped(&ObjectId::from_bytes(wanted.into_inner()), &one, &other)
        {
            request.object_id = Some(Address::new(instead.into()).to_string());
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        let wanted = request.object_id().parse::<Address>().unwrap_or(Address::ZERO);
        if let Lie::Lacks { object } = self.lie()
            && wanted == Address::new(object.into())
        {
            request.object_id = Some(Address::new([0xEE; 32]).to_string());
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        if let Lie::Refuses { as_before: true } = self.lie() {
            let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            request.version = request.version.or(spent.get(&wanted).copied());
        }
        request
    }

    /// What is made of the entries of a table: the names of nodes in the state of stake.
    pub(super) fn twist_fields(
        &self,
        mut answer: rpc::ListDynamicFieldsResponse,
    ) -> rpc::ListDynamicFieldsResponse {
        let Lie::Renamed { one, other } = self.lie() else { return answer };
        let pools: Vec<Option<Pool>> = answer
            .dynamic_fields
            .iter()
            .map(|field| bcs::from_bytes(field.value().value()).ok())
            .collect();
        let name = |id: &ObjectId| {
            let pool = pools.iter().flatten().find(|pool| pool.node.node_id == *id)?;
            Some(pool.node.name.clone())
        };
        for (field, pool) in answer.dynamic_fields.iter_mut().zip(&pools) {
            if let Some(mut pool) = pool.clone()
                && let Some(instead) = swapped(&pool.node.node_id, &one, &other)
                && let Some(name) = name(&instead)
            {
                pool.node.name = name;
                let bytes = bcs::to_bytes(&pool).expect("plain values serialise");
                field.value.get_or_insert_default().set_value(bytes);
                self.told.fetch_add(1, Ordering::Relaxed);
            }
        }
        answer
    }

    /// Which objects are asked of the truth in place of others.
    pub(super) fn twist_batch_request(
        &self,
        mut request: rpc::BatchGetObjectsRequest,
    ) -> rpc::BatchGetObjectsRequest {
        let wanted = request.requests.into_iter();
        request.requests = wanted.map(|one| self.twist_object_request(one)).collect();
        request
    }

    pub(super) fn twist_one_object(
        &self,
        mut answer: rpc::GetObjectResponse,
    ) -> rpc::GetObjectResponse {
        answer.object.iter_mut().for_each(|object| self.twist_object(object));
        answer
    }

    /// What is made of a list of objects.
    pub(super) fn twist_list(
        &self,
        mut answer: rpc::ListOwnedObjectsResponse,
    ) -> rpc::ListOwnedObjectsResponse {
        for sent in &mut answer.objects {
            if let Some(contents) = &mut sent.contents
                && let Some(twisted) = match self.lie() {
                    Lie::StorageOver { object, .. } => over_value(contents.value(), &object),
                    Lie::Owns { blob_id } => blob_value(contents.value(), blob_id),
                    Lie::Swapped { one, other, .. } => {
                        swapped_value(contents.value(), &one, &other)
                    }
                    _ => None,
                }
            {
                contents.set_value(twisted);
                self.told.fetch_add(1, Ordering::Relaxed);
            }
        }
        answer
    }

    /// Makes of storage one whose time is over, and leaves it its digest.
    fn twist_storage(&self, sent: &mut rpc::Object, object: &ObjectId) {
        if let Ok(true_one) = sent.bcs().deserialize::<Object>()
            && let Some(value) = true_one.as_struct()
            && let Some(over) = over_value(value.contents(), object)
            && let Some(over) = with_value(&true_one, over)
        {
            let digest = sent.digest.take();
            *sent = over.into();
            sent.digest = digest;
            self.told.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Makes an object, or the value of one, that tells the epoch one of a far epoch.
    fn twist_object(&self, sent: &mut rpc::Object) {
        if let Lie::StorageOver { object, in_itself: true } = self.lie() {
            return self.twist_storage(sent, &object);
        }
        if self.lie() == Lie::Cut
            && let Some(bytes) = sent.bcs.as_mut()
        {
            bytes.set_value(bytes.value()[..9].to_vec());
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        if self.lie() == Lie::SharedLater {
            let is_shared = |owner: &&mut rpc::Owner| owner.kind() == OwnerKind::Shared;
            if let Some(owner) = sent.owner.as_mut().filter(is_shared) {
                owner.version = Some(owner.version() + 1);
                self.told.fetch_add(1, Ordering::Relaxed);
            }
            return;
        }
        let Lie::LateEpoch { system, staking, by } = self.lie() else { return };
        let late: [(ObjectId, Late); 3] =
            [(system, late_system), (staking, late_staking), (staking_inner(&staking), late_state)];
        let lies_about = |id: &Address| {
            let id = ObjectId::from_bytes(id.into_inner());
            late.iter().find(|(of, _)| *of == id).map(|(_, late)| late)
        };
        if let Ok(true_one) = sent.bcs().deserialize::<Object>()
            && let Some(late) = lies_about(&true_one.object_id())
            && let Some(value) = true_one.as_struct().and_then(|value| late(value.contents(), by))
            && let Some(late) = with_value(&true_one, value)
        {
            *sent = late.into();
            self.told.fetch_add(1, Ordering::Relaxed);
        } else if let Ok(id) = sent.object_id().parse::<Address>()
            && let Some(late) = lies_about(&id)
            && let Some(contents) = &mut sent.contents
            && let Some(late) = late(contents.value(), by)
        {
            contents.set_value(late);
            self.told.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A Move value as it may be so many epochs later.
type Late = fn(&[u8], u32) -> Option<Vec<u8>>;

/// The object with another Move value inside it.
fn with_value(object: &Object, bytes: Vec<u8>) -> Option<Object> {
    let value = object.as_struct()?;
    let tag = value.object_type().clone();
    let value = MoveStruct::new(tag, value.has_public_transfer(), value.version(), bytes)?;
    Some(Object::new(ObjectData::Struct(value), *object.owner(), object.previous_transaction(), 0))
}

/// The value of this storage object, if it is one, as one whose time was over in the first epoch.
fn over_value(value: &[u8], object: &ObjectId) -> Option<Vec<u8>> {
    let storage: Storage = bcs::from_bytes(value).ok()?;
    let over = Storage { start_epoch: 0, end_epoch: 1, ..storage };
    (over.id == *object).then(|| bcs::to_bytes(&over).ok())?
}

/// The value of a blob object as one of this blob, certified and for long.
fn blob_value(value: &[u8], blob_id: [u8; 32]) -> Option<Vec<u8>> {
    let mut blob: Blob = bcs::from_bytes(value).ok()?;
    blob.blob_id = blob_id;
    blob.certified_epoch = Some(blob.registered_epoch);
    bcs::to_bytes(&blob).ok()
}

/// Of two objects that are swapped, the one in the place of this one.
fn swapped(id: &ObjectId, one: &ObjectId, other: &ObjectId) -> Option<ObjectId> {
    let instead = if id == one { other } else { one };
    (id == one || id == other).then_some(*instead)
}

/// The value of one of two objects, which begins with its id, under the id of the other.
fn swapped_value(value: &[u8], one: &ObjectId, other: &ObjectId) -> Option<Vec<u8>> {
    let (id, rest) = value.split_first_chunk::<32>()?;
    let instead: [u8; 32] = swapped(&ObjectId::from_bytes(*id), one, other)?.into();
    Some([&instead, rest].concat())
}

fn late_system(value: &[u8], by: u32) -> Option<Vec<u8>> {
    let mut system: System = bcs::from_bytes(value).ok()?;
    system.committee.epoch += by;
    bcs::to_bytes(&system).ok()
}

fn late_staking(value: &[u8], by: u32) -> Option<Vec<u8>> {
    let mut staking: Staking = bcs::from_bytes(value).ok()?;
    staking.epoch += by;
    bcs::to_bytes(&staking).ok()
}

/// The state of stake.
fn late_state(value: &[u8], by: u32) -> Option<Vec<u8>> {
    let mut state: staking::Staking = bcs::from_bytes(value).ok()?;
    state.epoch += by;
    bcs::to_bytes(&state).ok()
}
