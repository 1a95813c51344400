//! Certificates that must not certify.

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{CertifyBlob, Function as Callee};
use haulout_protocol::chain::object::Blob;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{
    NetworkId, Persistence, blob_certificate_message, proof_of_possession_message,
};

use crate::world::{Account, Fill, World, bls_key, sign};

/// All four nodes.
const ALL: [usize; 4] = [0, 1, 2, 3];

async fn refused(world: &World, account: &Account, blob: &Blob, wrong: &CertifyBlob) -> Abort {
    let input = world.owned(&blob.id).await;
    let (done, abort) = world
        .run_refused(account, |builder| {
            let fill = Fill { blob: Some(builder.object(input.clone())), ..Fill::default() };
            world.call(builder, Callee::CERTIFY_BLOB, wrong.arguments(), &fill);
        })
        .await;
    assert!(done.events().events().is_empty());
    assert_eq!(&world.object::<Blob>(&blob.id).await, blob);
    abort.expect("the call aborts with a code of the package")
}

fn message(world: &World, blob: &Blob, persistence: Persistence) -> Vec<u8> {
    let network = NetworkId::from_bytes((world.ledger.ids().network_id).into());
    blob_certificate_message(&network, Epoch(1), &BlobId::from_bytes(blob.blob_id), &persistence)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_certificate_is_refused_with_its_own_code_and_changes_nothing() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let (blob, _) = world.register(&alice, 3, false).await;
    let good = world.certificate(&blob, &ALL);
    let id = BlobId::from_bytes(blob.blob_id);
    let network = NetworkId::from_bytes((world.ledger.ids().network_id).into());
    let permanent = &Persistence::Permanent;
    let of_network =
        blob_certificate_message(&NetworkId::from_bytes([9; 32]), Epoch(1), &id, permanent);
    let of_epoch = blob_certificate_message(&network, Epoch(2), &id, permanent);
    let of_kind = proof_of_possession_message(
        &network,
        Epoch(1),
        &ObjectId::from_bytes([1; 32]),
        &bls_key(0).public_key(),
    );
    let altered = |at: usize, byte: u8| {
        let mut message = good.message.clone();
        message[at] = byte;
        sign(&ALL, message)
    };
    let mut other_signature = good.clone();
    other_signature.signature = sign(&ALL, b"something else".to_vec()).signature;
    let cases = [
        (CertifyBlob { signers: vec![0b1111, 0], ..good.clone() }, Abort::InvalidBitmap),
        (CertifyBlob { signers: vec![0b11111], ..good.clone() }, Abort::InvalidBitmap),
        (CertifyBlob { signers: vec![], ..good.clone() }, Abort::NotEnoughWeight),
        (world.certificate(&blob, &[0, 1]), Abort::NotEnoughWeight),
        (CertifyBlob { signers: vec![0b0111], ..good.clone() }, Abort::BadSignature),
        (CertifyBlob { signature: vec![1; 96], ..good.clone() }, Abort::BadSignature),
        (CertifyBlob { signature: vec![], ..good.clone() }, Abort::BadSignature),
        (other_signature, Abort::BadSignature),
        (altered(1, 2), Abort::WrongVersion),
        (altered(2, 0x63), Abort::WrongApp),
        (sign(&ALL, of_network), Abort::WrongNetwork),
        (sign(&ALL, of_epoch), Abort::WrongEpoch),
        (sign(&ALL, of_kind), Abort::WrongType),
        (sign(&ALL, [&good.message[..], &[0]].concat()), Abort::Malformed),
        (sign(&ALL, good.message[..40].to_vec()), Abort::Malformed),
        (sign(&ALL, vec![]), Abort::Malformed),
        (altered(39, 0), Abort::InvalidBlobId),
        (
            sign(&ALL, message(&world, &blob, Persistence::Deletable(blob.id))),
            Abort::WrongPersistence,
        ),
    ];
    for (wrong, expected) in cases {
        assert_eq!(refused(&world, &alice, &blob, &wrong).await, expected, "{wrong:?}");
    }
    world.certify(&alice, &blob, &good).await;
    let certified = Blob { certified_epoch: Some(1), ..blob };
    assert_eq!(refused(&world, &alice, &certified, &good).await, Abort::AlreadyCertified);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_a_deletable_blob_certifies_one_object_and_no_other() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let (first, _) = world.register(&alice, 3, true).await;
    let (second, _) = world.register(&alice, 3, true).await;
    let (other, _) = world.register(&alice, 4, true).await;
    let certificate = world.certificate(&first, &[0, 1, 2]);
    assert_eq!(refused(&world, &alice, &second, &certificate).await, Abort::WrongObject);
    assert_eq!(refused(&world, &alice, &other, &certificate).await, Abort::InvalidBlobId);
    let permanent = sign(&ALL, message(&world, &first, Persistence::Permanent));
    assert_eq!(refused(&world, &alice, &first, &permanent).await, Abort::WrongPersistence);
    world.certify(&alice, &first, &certificate).await;
}
