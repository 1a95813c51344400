//! How the life of a blob is prolonged, and how it ends.

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{
    BurnBlob, DeleteBlob, ExtendBlob, ExtendBlobWithResource, Function as Callee, SplitByEpoch,
};
use haulout_protocol::chain::event::{BlobBurned, BlobCertified, BlobDeleted, Event};
use haulout_protocol::chain::object::{Blob, Storage};
use sui_sdk_types::Address;
use sui_transaction_builder::ObjectInput;

use crate::steps::{Step, created, fate};
use crate::world::{Account, FAUCET, Fill, STORAGE_PRICE, World, sample_blob};

fn extended(blob: &Blob, end_epoch: u32) -> Event {
    Event::BlobCertified(BlobCertified {
        epoch: 1,
        blob_id: blob.blob_id,
        end_epoch,
        deletable: blob.deletable,
        object_id: blob.id,
        is_extension: true,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn t30_a_certified_blob_is_extended_for_the_price_of_the_new_epochs() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let coin = world.wal_coin(&alice).await;
    let extend = |blob: &Blob, epochs, max_total| {
        let slots = ExtendBlob { epochs, max_total }.arguments();
        Step::new(Callee::EXTEND_BLOB, slots).blob(blob).payment(coin)
    };
    let (waiting, _) = world.register(&alice, 4, false).await;
    let refused = world.step_refused(&alice, extend(&waiting, 1, u64::MAX)).await;
    assert_eq!(refused, Abort::NotCertified);
    let blob = world.certified(&alice, 3, false).await;
    for (epochs, max_total, abort) in [
        (0, u64::MAX, Abort::BadEpochs),
        (49, u64::MAX, Abort::BadEpochs),
        (2, 2 * STORAGE_PRICE - 1, Abort::PriceAboveLimit),
    ] {
        let refused = world.step_refused(&alice, extend(&blob, epochs, max_total)).await;
        assert_eq!(refused, abort);
    }
    let before = world.balance(&alice, &world.wal_type()).await;
    let done = world.step(&alice, extend(&blob, 2, 2 * STORAGE_PRICE)).await;
    assert_eq!(world.events(&done), [extended(&blob, 8)]);
    assert_eq!(world.object::<Blob>(&blob.id).await.storage.end_epoch, 8);
    let after = world.balance(&alice, &world.wal_type()).await;
    assert_eq!(before - after, 2 * STORAGE_PRICE);
}

#[tokio::test(flavor = "multi_thread")]
async fn t31_a_certified_blob_is_extended_with_space_bought_before() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let blob = world.certified(&alice, 3, false).await;
    let space = world.buy(&alice, blob.storage.storage_size, 9).await;
    let with = |space: &Storage| {
        let slots = ExtendBlobWithResource.arguments();
        Step::new(Callee::EXTEND_BLOB_WITH_RESOURCE, slots).blob(&blob).storage(space)
    };
    let refused = world.step_refused(&alice, with(&space)).await;
    assert_eq!(refused, Abort::IncompatibleEpochs);
    let split = Step::new(Callee::SPLIT_BY_EPOCH, SplitByEpoch { epoch: 6 }.arguments());
    let done = world.step(&alice, split.storage(&space)).await;
    let later: Storage = world.object(&created(&done)).await;
    let done = world.step(&alice, with(&later)).await;
    assert_eq!(world.events(&done), [extended(&blob, 9)]);
    assert_eq!(fate(&done, &later.id), Some("deleted"));
    assert_eq!(world.object::<Blob>(&blob.id).await.storage.end_epoch, 9);
}

fn delete(blob: &Blob) -> Step {
    Step::new(Callee::DELETE_BLOB, DeleteBlob.arguments()).blob(blob)
}

#[tokio::test(flavor = "multi_thread")]
async fn t28_t29_a_deleted_blob_gives_its_space_back() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let (permanent, _) = world.register(&alice, 4, false).await;
    let refused = world.step_refused(&alice, delete(&permanent)).await;
    assert_eq!(refused, Abort::NotDeletable);
    let blob = world.certified(&alice, 3, true).await;
    let used = world.system().await.used_capacity;
    let done = world.step(&alice, delete(&blob)).await;
    let deleted = BlobDeleted {
        epoch: 1,
        blob_id: blob.blob_id,
        end_epoch: 6,
        object_id: blob.id,
        was_certified: true,
    };
    assert_eq!(world.events(&done), [Event::BlobDeleted(deleted)]);
    assert_eq!(fate(&done, &blob.id), Some("deleted"));
    assert_eq!(fate(&done, &blob.storage.id), Some("changed"), "it came out of the blob");
    assert!(world.object_bytes(&blob.id).await.is_none());
    assert_eq!(world.object::<Storage>(&blob.storage.id).await, blob.storage);
    assert_eq!(world.system().await.used_capacity, used);
    let coin = world.wal_coin(&alice).await;
    let register = Step::new(Callee::REGISTER_BLOB, sample_blob(5, true).arguments());
    world.step(&alice, register.storage(&blob.storage).payment(coin)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_a_burned_blob_takes_its_space_along() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let blob = world.certified(&alice, 3, false).await;
    let used = world.system().await.used_capacity;
    let burn = Step::new(Callee::BURN_BLOB, BurnBlob.arguments()).blob(&blob);
    let done = world.step(&alice, burn).await;
    let burned = BlobBurned { epoch: 1, blob_id: blob.blob_id, object_id: blob.id };
    assert_eq!(world.events(&done), [Event::BlobBurned(burned)]);
    for id in [blob.id, blob.storage.id] {
        assert_eq!(fate(&done, &id), Some("deleted"));
        assert!(world.object_bytes(&id).await.is_none());
    }
    assert_eq!(world.system().await.used_capacity, used);
}

#[tokio::test(flavor = "multi_thread")]
async fn t122_a_block_of_calls_happens_completely_or_not_at_all() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let (blob, _) = world.register(&alice, 3, true).await;
    let paid = FAUCET.wal - world.balance(&alice, &world.wal_type()).await;
    let input = world.owned(&blob.id).await;
    let register = |content| sample_blob(content, true);
    let sketch = |payment: ObjectInput, input: ObjectInput, size: u64| {
        let world = &world;
        move |builder: &mut sui_transaction_builder::TransactionBuilder| {
            let blob = Some(builder.object(input.clone()));
            let fill = Fill { blob, ..Fill::default() };
            let slots = DeleteBlob.arguments();
            let storage = Some(world.call(builder, Callee::DELETE_BLOB, slots, &fill));
            let payment = Some(builder.object(payment.clone()));
            let fill = Fill { storage, payment, ..Fill::default() };
            let mut call = register(9);
            call.size = size;
            let blob = world.call(builder, Callee::REGISTER_BLOB, call.arguments(), &fill);
            let to = builder.pure(&alice.address);
            builder.transfer_objects(vec![blob], to);
        }
    };
    let coin = world.owned(&world.wal_coin(&alice).await).await;
    let (_, abort) = world.run_refused(&alice, sketch(coin, input, 999)).await;
    assert_eq!(abort, Some(Abort::InvalidBlobId));
    assert_eq!(world.object::<Blob>(&blob.id).await, blob, "the deletion did not happen either");
    assert_eq!(FAUCET.wal - world.balance(&alice, &world.wal_type()).await, paid);
    let coin = ObjectInput::new(Address::new((world.wal_coin(&alice).await).into()));
    let input = ObjectInput::new(Address::new(blob.id.into()));
    let done = world.run(&alice, sketch(coin, input, 1000)).await;
    assert_eq!(fate(&done, &blob.id), Some("deleted"));
    assert_eq!(fate(&done, &blob.storage.id), None, "it went from one blob into another");
}
