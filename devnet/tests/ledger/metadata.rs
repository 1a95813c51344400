//! Texts on blobs live in dynamic fields that stock clients can read.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{
    AddMetadata, DeleteBlob, Function as Callee, RemoveMetadataPair, SetMetadataPair, TakeMetadata,
};
use haulout_protocol::chain::object::{Blob, DynamicField, METADATA_FIELD, Metadata};
use sui_sdk_types::{Address, TypeTag};

use crate::steps::{Step, created, fate};
use crate::world::{Account, World};

fn set(blob: &Blob, key: &str, value: &str) -> Step {
    let call = SetMetadataPair { key: key.into(), value: value.into() };
    Step::new(Callee::SET_METADATA_PAIR, call.arguments()).blob(blob)
}

fn remove(blob: &Blob, key: &str) -> Step {
    let call = RemoveMetadataPair { key: key.into() };
    Step::new(Callee::REMOVE_METADATA_PAIR, call.arguments()).blob(blob)
}

fn add(blob: &Blob) -> Step {
    Step::new(Callee::ADD_METADATA, AddMetadata.arguments()).blob(blob)
}

fn take(blob: &Blob) -> Step {
    Step::new(Callee::TAKE_METADATA, TakeMetadata.arguments()).blob(blob)
}

/// Where a client of Sui looks for a field named `metadata`.
fn field_id(blob: &Blob) -> ObjectId {
    let name = bcs::to_bytes(METADATA_FIELD).unwrap();
    let bytes: TypeTag = "vector<u8>".parse().unwrap();
    ObjectId::from_bytes(
        *Address::new(blob.id.into()).derive_dynamic_child_id(&bytes, &name).inner(),
    )
}

async fn pairs(world: &World, blob: &Blob) -> Vec<String> {
    let field: DynamicField<Vec<u8>, Metadata> = world.object(&field_id(blob)).await;
    assert_eq!((field.id, field.name), (field_id(blob), METADATA_FIELD.to_vec()));
    field.value.pairs.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn t33_metadata_is_added_changed_and_removed_and_survives_a_restart() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let (blob, _) = world.register(&alice, 3, true).await;
    let missing = Abort::MissingMetadata;
    assert_eq!(world.step_refused(&alice, take(&blob)).await, missing);
    assert_eq!(world.step_refused(&alice, remove(&blob, "a")).await, missing);
    let done = world.step(&alice, add(&blob)).await;
    assert_eq!(created(&done), field_id(&blob));
    assert_eq!(world.step_refused(&alice, add(&blob)).await, Abort::DuplicateMetadata);
    for (key, value) in [("type", "text/plain"), ("name", "a"), ("type", "image/png")] {
        let done = world.step(&alice, set(&blob, key, value)).await;
        assert_eq!(fate(&done, &field_id(&blob)), Some("changed"));
    }
    let world = world.restart().await;
    assert_eq!(pairs(&world, &blob).await, ["name=a", "type=image/png"]);
    world.step(&alice, remove(&blob, "name")).await;
    assert_eq!(world.step_refused(&alice, remove(&blob, "name")).await, missing);
    assert_eq!(pairs(&world, &blob).await, ["type=image/png"]);
    let done = world.step(&alice, take(&blob)).await;
    assert_eq!(fate(&done, &field_id(&blob)), Some("deleted"));
    assert!(world.object_bytes(&field_id(&blob)).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn t33_t34_metadata_is_small_and_ends_with_its_blob() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let (blob, _) = world.register(&alice, 3, true).await;
    let large = set(&blob, "k", &"v".repeat(1025));
    assert_eq!(world.step_refused(&alice, large).await, Abort::MetadataTooLarge);
    let done = world.step(&alice, set(&blob, "k", &"v".repeat(1024))).await;
    assert_eq!(created(&done), field_id(&blob));
    let delete = Step::new(Callee::DELETE_BLOB, DeleteBlob.arguments()).blob(&blob);
    let done = world.step(&alice, delete).await;
    assert_eq!(fate(&done, &field_id(&blob)), Some("deleted"));
    assert!(world.object_bytes(&field_id(&blob)).await.is_none());
}
