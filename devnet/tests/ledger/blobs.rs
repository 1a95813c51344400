//! Buying space, registering, certifying.

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{Function as Callee, RegisterBlob, ReserveSpace};
use haulout_protocol::chain::committee;
use haulout_protocol::chain::event::{BlobCertified, BlobRegistered, Event, StoragePurchased};
use haulout_protocol::chain::object::{Blob, System};
use sui_sdk_types::Address;
use sui_transaction_builder::ObjectInput;

use crate::world::{
    Account, CAPACITY, FAUCET, Fill, SHARDS, STORAGE_PRICE, WRITE_PRICE, World, sample_blob,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_objects_of_genesis_describe_the_committee() {
    let world = World::start().await;
    let (system, staking) = (world.system().await, world.staking().await);
    let pools = world.pools().await;
    let committee = committee(&system, &staking, &pools).unwrap();
    let weights: Vec<_> = (0..SHARDS.len()).map(|index| committee.weight(index)).collect();
    assert_eq!(weights, SHARDS);
    for (index, member) in committee.members().iter().enumerate() {
        let node = &world.ledger.genesis().nodes[index];
        assert_eq!(member.node_id, world.ledger.ids().nodes[index].into());
        assert_eq!(member.peer_id.key(), &node.peer_key);
        assert_eq!((&member.name, &member.addresses), (&node.name, &node.multiaddrs));
    }
    let params = world.params().await;
    assert_eq!(params.network_id, world.ledger.ids().network_id);
    assert_eq!((params.n_shards, params.segment_bytes), (10, 1 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_paid_for_registered_and_certified() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let (blob, done) = world.register(&alice, 3, false).await;
    let size = world.sample_space(1000).size;
    let (paid, fee) = (5 * STORAGE_PRICE, WRITE_PRICE); // one MiB each
    let expected = vec![
        Event::StoragePurchased(StoragePurchased {
            epoch: 1,
            object_id: blob.storage.id,
            start: 1,
            end: 6,
            size,
            paid,
        }),
        Event::BlobRegistered(BlobRegistered {
            epoch: 1,
            blob_id: sample_blob(3, false).blob_id,
            size: 1000,
            encoding_type: 2,
            end_epoch: 6,
            deletable: false,
            object_id: blob.id,
        }),
    ];
    assert_eq!(world.events(&done), expected);
    assert_eq!(blob.certified_epoch, None);
    let certificate = world.certificate(&blob, &[0, 1, 2]);
    let done = world.certify(&alice, &blob, &certificate).await;
    let expected = Event::BlobCertified(BlobCertified {
        epoch: 1,
        blob_id: blob.blob_id,
        end_epoch: 6,
        deletable: false,
        object_id: blob.id,
        is_extension: false,
    });
    assert_eq!(world.events(&done), vec![expected]);
    let certified: Blob = world.object(&blob.id).await;
    assert_eq!(certified, Blob { certified_epoch: Some(1), ..blob });

    let system = world.system().await;
    assert_eq!(system.used_capacity, size);
    let mut ring = system.ring.clone();
    ring.entries.rotate_left(usize::try_from(ring.current_index).unwrap());
    let rewards: Vec<_> = ring.entries.iter().map(|entry| entry.rewards).collect();
    assert_eq!(rewards[..6], [STORAGE_PRICE + fee, 100, 100, 100, 100, 0]);
    assert_eq!(world.balance(&alice, &world.wal_type()).await, FAUCET.wal - paid - fee);
}

#[tokio::test(flavor = "multi_thread")]
async fn wal_is_neither_made_nor_lost() {
    let world = World::start().await;
    let (alice, bob) = (Account::ed25519(1), Account::secp256k1(2));
    for (account, content) in [(&alice, 1), (&bob, 2), (&alice, 3)] {
        world.fund(account).await;
        let (blob, _) = world.register(account, content, content == 2).await;
        let certificate = world.certificate(&blob, &[0, 1, 3]);
        world.certify(account, &blob, &certificate).await;
    }
    let system = world.system().await;
    let rewards: u64 = system.ring.entries.iter().map(|entry| entry.rewards).sum();
    let mut held = 0;
    for account in [&alice, &bob] {
        held += world.balance(account, &world.wal_type()).await;
    }
    assert_eq!(rewards + held, 3 * FAUCET.wal);
}

/// Reserves and registers with altered numbers and says why that was refused.
async fn refused(
    world: &World,
    account: &Account,
    reserve: ReserveSpace,
    register: RegisterBlob,
) -> Abort {
    let coin = world.owned(&world.wal_coin(account).await).await;
    let before: System = world.system().await;
    let (_, abort) = world
        .run_refused(account, |builder| {
            let payment = builder.object(coin.clone());
            let fill = Fill { payment: Some(payment), ..Fill::default() };
            let storage = world.call(builder, Callee::RESERVE_SPACE, reserve.arguments(), &fill);
            let fill = Fill { storage: Some(storage), ..fill };
            let blob = world.call(builder, Callee::REGISTER_BLOB, register.arguments(), &fill);
            let to = builder.pure(&account.address);
            builder.transfer_objects(vec![blob], to);
        })
        .await;
    assert_eq!(world.system().await, before);
    assert_eq!(world.balance(account, &world.wal_type()).await, FAUCET.wal);
    abort.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_registration_is_refused_with_its_own_code_and_changes_nothing() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let reserve = || world.sample_space(1000);
    let register = || sample_blob(3, false);
    let poor = FAUCET.wal / STORAGE_PRICE * (1 << 20);
    let cases = [
        (ReserveSpace { end_epoch: 1, ..reserve() }, register(), Abort::BadEpochs),
        (ReserveSpace { end_epoch: 55, ..reserve() }, register(), Abort::BadEpochs),
        (ReserveSpace { size: 0, ..reserve() }, register(), Abort::ZeroSize),
        (ReserveSpace { max_total: 499, ..reserve() }, register(), Abort::PriceAboveLimit),
        (ReserveSpace { size: poor, ..reserve() }, register(), Abort::InsufficientPayment),
        (ReserveSpace { size: CAPACITY + 1, ..reserve() }, register(), Abort::StorageExceeded),
        (ReserveSpace { start_epoch: 2, ..reserve() }, register(), Abort::ResourceBounds),
        (ReserveSpace { size: reserve().size - 1, ..reserve() }, register(), Abort::ResourceSize),
        (reserve(), RegisterBlob { encoding_type: 1, ..register() }, Abort::UnknownEncoding),
        (reserve(), RegisterBlob { size: u64::MAX, ..register() }, Abort::BlobTooLarge),
        (reserve(), RegisterBlob { size: 999, ..register() }, Abort::InvalidBlobId),
        (reserve(), RegisterBlob { root: [4; 32], ..register() }, Abort::InvalidBlobId),
        (reserve(), RegisterBlob { max_total: 19, ..register() }, Abort::PriceAboveLimit),
    ];
    for (reserve, register, expected) in cases {
        let abort = refused(&world, &alice, reserve.clone(), register.clone()).await;
        assert_eq!(abort, expected, "{reserve:?} {register:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn space_can_be_bought_first_and_used_later() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let coin = world.wal_coin(&alice).await;
    let reserve = world.sample_space(1000);
    let payment = ObjectInput::new(Address::new(coin.into()));
    let done = world
        .run(&alice, |builder| {
            let fill = Fill { payment: Some(builder.object(payment.clone())), ..Fill::default() };
            let storage = world.call(builder, Callee::RESERVE_SPACE, reserve.arguments(), &fill);
            let to = builder.pure(&alice.address);
            builder.transfer_objects(vec![storage], to);
        })
        .await;
    let [Event::StoragePurchased(bought)] = &world.events(&done)[..] else {
        panic!("one purchase");
    };
    let storage = ObjectInput::new(Address::new(bought.object_id.into()));
    world
        .run(&alice, |builder| {
            let fill = Fill {
                payment: Some(builder.object(payment)),
                storage: Some(builder.object(storage)),
                ..Fill::default()
            };
            let register = sample_blob(3, false).arguments();
            let blob = world.call(builder, Callee::REGISTER_BLOB, register, &fill);
            let to = builder.pure(&alice.address);
            builder.transfer_objects(vec![blob], to);
        })
        .await;
    // The storage lives on inside the blob.
    assert!(world.object_bytes(&bought.object_id).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_value_is_dropped() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let coin = world.owned(&world.wal_coin(&alice).await).await;
    let reserve = world.sample_space(1000);
    let (done, abort) = world
        .run_refused(&alice, |builder| {
            let fill = Fill { payment: Some(builder.object(coin.clone())), ..Fill::default() };
            world.call(builder, Callee::RESERVE_SPACE, reserve.arguments(), &fill);
        })
        .await;
    assert_eq!(abort, None);
    let text = format!("{:?}", done.effects().status().error());
    assert!(text.contains("UnusedValueWithoutDrop"), "{text}");
    assert_eq!(world.system().await.used_capacity, 0);
}
