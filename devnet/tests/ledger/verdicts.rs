//! What the committee declares: invalid blob ids and protocol versions.

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{
    CertifyBlob, ExtendBlob, Function as Callee, InvalidateBlobId, SetProtocolVersion,
};
use haulout_protocol::chain::event::{Event, InvalidBlobId, ProtocolVersionUpdated};
use haulout_protocol::chain::object::DynamicField;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{NetworkId, invalid_blob_message, protocol_version_message};
use sui_sdk_types::{Address, TypeTag};

use crate::steps::{Step, created};
use crate::world::{Account, World, sample_blob, sign};

fn invalidate(world: &World, signers: &[usize], blob_id: [u8; 32]) -> Step {
    let network = NetworkId::from_bytes((world.ledger.ids().network_id).into());
    let message = invalid_blob_message(&network, Epoch(1), &BlobId::from_bytes(blob_id));
    let CertifyBlob { signature, signers, message } = sign(signers, message);
    let call = InvalidateBlobId { signature, signers, message };
    Step::new(Callee::INVALIDATE_BLOB_ID, call.arguments())
}

#[tokio::test(flavor = "multi_thread")]
async fn t36_an_id_declared_invalid_is_refused_ever_after() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let certified = world.certified(&alice, 3, false).await;
    let (waiting, _) = world.register(&alice, 3, false).await;
    let blob_id = waiting.blob_id;
    let few = invalidate(&world, &[0], blob_id);
    assert_eq!(world.step_refused(&alice, few).await, Abort::NotEnoughWeight);
    let done = world.step(&alice, invalidate(&world, &[2, 3], blob_id)).await;
    let verdict = InvalidBlobId { epoch: 1, blob_id };
    assert_eq!(world.events(&done), [Event::InvalidBlobId(verdict)]);

    let world = world.restart().await;
    let table = world.system().await.invalid;
    assert_eq!(table.size, 1);
    let entry = Address::new(table.id.into()).derive_dynamic_child_id(&TypeTag::U256, &blob_id);
    assert_eq!(created(&done), ObjectId::from_bytes(*entry.inner()));
    let field: DynamicField<[u8; 32], u32> =
        world.object(&ObjectId::from_bytes(*entry.inner())).await;
    assert_eq!((field.name, field.value), (blob_id, 1));

    let again = invalidate(&world, &[0, 1, 2, 3], blob_id);
    assert_eq!(world.step_refused(&alice, again).await, Abort::AlreadyInvalid);
    let certify = world.certificate(&waiting, &[0, 1, 2]).arguments();
    let certify = Step::new(Callee::CERTIFY_BLOB, certify).blob(&waiting);
    assert_eq!(world.step_refused(&alice, certify).await, Abort::BlobInvalid);
    let coin = world.wal_coin(&alice).await;
    let extend = ExtendBlob { epochs: 1, max_total: u64::MAX }.arguments();
    let extend = Step::new(Callee::EXTEND_BLOB, extend).blob(&certified).payment(coin);
    assert_eq!(world.step_refused(&alice, extend).await, Abort::BlobInvalid);
    let space = world.buy(&alice, waiting.storage.storage_size, 3).await;
    let register = Step::new(Callee::REGISTER_BLOB, sample_blob(3, false).arguments());
    let register = register.storage(&space).payment(coin);
    assert_eq!(world.step_refused(&alice, register).await, Abort::BlobInvalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn t91_a_quorum_raises_the_protocol_version() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let network = NetworkId::from_bytes((world.ledger.ids().network_id).into());
    let version = |signers: &[usize], start, version| {
        let message = protocol_version_message(&network, Epoch(1), Epoch(start), version);
        let CertifyBlob { signature, signers, message } = sign(signers, message);
        let call = SetProtocolVersion { signature, signers, message };
        Step::new(Callee::SET_PROTOCOL_VERSION, call.arguments())
    };
    let all = [0, 1, 2, 3];
    for (step, abort) in [
        (version(&[2, 3], 1, 2), Abort::NotEnoughWeight),
        (version(&all, 0, 2), Abort::EpochMismatch),
        (version(&all, 1, 1), Abort::StaleVersion),
    ] {
        assert_eq!(world.step_refused(&alice, step).await, abort);
    }
    let done = world.step(&alice, version(&[0, 1, 2], 4, 2)).await;
    let updated = ProtocolVersionUpdated { epoch: 1, start_epoch: 4, protocol_version: 2 };
    assert_eq!(world.events(&done), [Event::ProtocolVersionUpdated(updated)]);
    assert_eq!(world.system().await.protocol_version, 2);
}
