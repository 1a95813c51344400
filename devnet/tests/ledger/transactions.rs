//! Signing, paying, refusing, resubmitting.

use std::cell::RefCell;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::call::{Argument as Slot, Function as Callee};
use haulout_protocol::chain::object::Coin;
use haulout_protocol::chain::wal_coin_type;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_rpc::proto::sui::rpc::v2::changed_object::OutputObjectState;
use sui_sdk_types::{Address, TransactionEffects};
use sui_transaction_builder::{ObjectInput, TransactionBuilder};

use crate::world::{Account, FAUCET, Fill, World};

const SUI: &str = "0x2::sui::SUI";
const GAS: u64 = 1_000_000;

fn pay(to: Address, amount: u64) -> impl Fn(&mut TransactionBuilder) {
    move |builder| {
        let amount = builder.pure(&amount);
        let gas = builder.gas();
        let coins = builder.split_coins(gas, vec![amount]);
        let to = builder.pure(&to);
        builder.transfer_objects(coins, to);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_pay_each_other_with_either_kind_of_key() {
    let world = World::start().await;
    let accounts = [Account::ed25519(1), Account::secp256k1(2)];
    for account in &accounts {
        let answer = world.fund(account).await;
        assert!(answer.contains(r#""status":"Success""#), "{answer}");
        assert_eq!(world.balance(account, SUI).await, FAUCET.sui);
        assert_eq!(world.balance(account, &world.wal_type()).await, FAUCET.wal);
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let done = world.run(&accounts[from], pay(accounts[to].address, 1000)).await;
        assert!(done.checkpoint_opt().is_some() && done.timestamp.is_some());
        for changed in done.effects().changed_objects() {
            let is_there = changed.output_state() != OutputObjectState::DoesNotExist;
            assert_eq!(changed.object_type().contains("::coin::Coin<"), is_there);
        }
        let effects: TransactionEffects = done.effects().bcs().deserialize().unwrap();
        assert_eq!(effects.digest().to_string(), done.effects().digest());
    }
    for account in &accounts {
        assert_eq!(world.balance(account, SUI).await, FAUCET.sui - GAS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_faucet_says_what_is_wrong_with_a_request() {
    let world = World::start().await;
    let (status, body) = world.ask_faucet("not an address").await;
    assert_eq!(status, 400);
    assert!(body.contains("not an address"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_sender_can_sign_and_only_what_is_executed() {
    let world = World::start().await;
    let (alice, mallory) = (Account::ed25519(1), Account::ed25519(2));
    world.fund(&alice).await;
    world.fund(&mallory).await;
    let transaction = world.build(&alice, pay(mallory.address, 7)).await.unwrap();
    let by_mallory = world.execute(&transaction, vec![mallory.sign(&transaction)]).await;
    assert!(by_mallory.unwrap_err().contains("not the sender"));
    let unsigned = world.execute(&transaction, vec![]).await;
    assert!(unsigned.unwrap_err().contains("expected 1 signatures"));
    let mut tampered = transaction.clone();
    tampered.gas_payment.budget += 1;
    let tampered = world.execute(&tampered, vec![alice.sign(&transaction)]).await;
    assert!(tampered.unwrap_err().contains("does not verify"));
    let mut stolen = transaction.clone();
    stolen.sender = mallory.address;
    stolen.gas_payment.owner = mallory.address;
    let stolen = world.execute(&stolen, vec![mallory.sign(&stolen)]).await;
    assert!(stolen.unwrap_err().contains("may not be used this way"));
    assert_eq!(world.balance(&alice, SUI).await, FAUCET.sui);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sponsor_pays_if_both_sign() {
    let world = World::start().await;
    let (alice, sponsor) = (Account::ed25519(1), Account::secp256k1(2));
    world.fund(&alice).await;
    world.fund(&sponsor).await;
    let coin = world.wal_coin(&alice).await;
    let transaction = world
        .build(&alice, |builder| {
            builder.set_sponsor(sponsor.address);
            let coin = builder.object(ObjectInput::new(Address::new(coin.into())));
            let to = builder.pure(&sponsor.address);
            builder.transfer_objects(vec![coin], to);
        })
        .await
        .unwrap();
    let alone = world.execute(&transaction, vec![alice.sign(&transaction)]).await;
    assert!(alone.unwrap_err().contains("expected 2 signatures"));
    let both = vec![alice.sign(&transaction), sponsor.sign(&transaction)];
    let done = world.execute(&transaction, both).await.unwrap();
    assert!(done.effects().status().success());
    assert_eq!(world.balance(&alice, SUI).await, FAUCET.sui);
    assert_eq!(world.balance(&sponsor, SUI).await, FAUCET.sui - GAS);
    assert_eq!(world.balance(&sponsor, &world.wal_type()).await, 2 * FAUCET.wal);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resubmission_is_answered_from_the_history_and_an_old_version_is_refused() {
    let world = World::start().await;
    let (alice, bob) = (Account::ed25519(1), Account::ed25519(2));
    world.fund(&alice).await;
    let first = world.build(&alice, pay(bob.address, 5)).await.unwrap();
    let rival = world.build(&alice, pay(bob.address, 6)).await.unwrap();
    let done = world.execute(&first, vec![alice.sign(&first)]).await.unwrap();
    let again = world.execute(&first, vec![alice.sign(&first)]).await.unwrap();
    assert_eq!(again.checkpoint(), done.checkpoint());
    assert_eq!(again.effects().digest(), done.effects().digest());
    let rival = world.execute(&rival, vec![alice.sign(&rival)]).await;
    assert!(rival.unwrap_err().contains("read it again"));
    assert_eq!(world.balance(&bob, SUI).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transaction_costs_gas_and_nothing_else() {
    let world = World::start().await;
    let (alice, bob) = (Account::ed25519(1), Account::ed25519(2));
    world.fund(&alice).await;
    let simulated = world.build(&alice, pay(bob.address, u64::MAX)).await;
    assert!(simulated.is_err());
    let (done, abort) = world
        .run_refused(&alice, |builder| {
            pay(bob.address, 5)(builder);
            pay(bob.address, u64::MAX)(builder);
        })
        .await;
    assert_eq!(abort, None);
    assert_eq!(done.effects().status().error().command(), 2);
    assert_eq!(world.balance(&bob, SUI).await, 0);
    assert_eq!(world.balance(&alice, SUI).await, FAUCET.sui - GAS);
    // The gas coin has moved on all the same: its old version is spent.
    assert_eq!(done.effects().changed_objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn coins_merge_split_and_pay_for_gas_together() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    for _ in 0..3 {
        world.fund(&alice).await;
    }
    let coins = world
        .client
        .select_up_to_n_largest_coins(&alice.address, &crate::world::sui_type(), 9, &[])
        .await
        .unwrap();
    assert_eq!(coins.len(), 3);
    // Spending from gas makes the server offer every coin; they become one.
    let all = 3 * FAUCET.sui - 2 * GAS;
    world.run(&alice, pay(Address::TWO, all)).await;
    assert_eq!(world.balance(&alice, SUI).await, GAS);
    let wal: Vec<Address> = {
        let request = rpc::ListOwnedObjectsRequest::default()
            .with_owner(alice.address)
            .with_object_type(wal_coin_type(&world.ledger.ids().package))
            .with_page_size(2_u32);
        let mut state = world.client.clone();
        let page = state.state_client().list_owned_objects(request.clone()).await.unwrap();
        let page = page.into_inner();
        assert_eq!(page.objects().len(), 2);
        let request = request.with_page_token(page.next_page_token().to_vec());
        let rest = state.state_client().list_owned_objects(request).await.unwrap().into_inner();
        assert!(rest.next_page_token_opt().is_none());
        let objects = page.objects().iter().chain(rest.objects());
        objects.map(|object| object.object_id().parse().unwrap()).collect()
    };
    assert_eq!(wal.len(), 3);
    world
        .run(&alice, |builder| {
            let coins: Vec<_> =
                wal.iter().map(|id| builder.object(ObjectInput::new(*id))).collect();
            builder.merge_coins(coins[0], coins[1..].to_vec());
        })
        .await;
    let merged: Coin = world.object(&ObjectId::from_bytes(*wal[0].inner())).await;
    assert_eq!(merged.balance, 3 * FAUCET.wal);
    assert!(world.object_bytes(&ObjectId::from_bytes(*wal[1].inner())).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found_and_batches_say_so_for_each() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let done = world.run(&alice, pay(Address::TWO, 1)).await;
    let mut client = world.client.clone();
    let mut ledger = client.ledger_client();
    let missing = rpc::GetObjectRequest::new(&Address::new([9; 32]));
    assert_eq!(ledger.get_object(missing.clone()).await.unwrap_err().code(), tonic::Code::NotFound);
    let system = rpc::GetObjectRequest::new(&Address::new((world.ledger.ids().system).into()));
    let batch = rpc::BatchGetObjectsRequest::default().with_requests(vec![system, missing]);
    let batch = ledger.batch_get_objects(batch).await.unwrap().into_inner();
    assert!(batch.objects[0].object_opt().is_some() && batch.objects[1].error_opt().is_some());
    let batch = rpc::BatchGetTransactionsRequest::default()
        .with_digests(vec![done.digest().to_owned(), Address::TWO.to_string()])
        .with_read_mask(FieldMask::from_str("checkpoint"));
    let batch = ledger.batch_get_transactions(batch).await.unwrap().into_inner();
    assert_eq!(batch.transactions[0].transaction().checkpoint(), done.checkpoint());
    assert!(batch.transactions[1].error_opt().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_of_the_wrong_kind_are_told_apart_and_nothing_moves() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let id = world.wal_coin(&alice).await;
    // A failed transaction moves its inputs to the next version all the same.
    let coin = RefCell::new(world.owned(&id).await);
    let system = Address::new((world.ledger.ids().system).into());
    let reserve = || world.sample_space(1000).arguments();
    let before = world.system().await;

    let sui_for_wal = |builder: &mut TransactionBuilder| {
        let fill = Fill { payment: Some(builder.gas()), ..Fill::default() };
        world.call(builder, Callee::RESERVE_SPACE, reserve(), &fill);
    };
    let read_only_system = |builder: &mut TransactionBuilder| {
        let fill = Fill { payment: Some(builder.object(coin.borrow().clone())), ..Fill::default() };
        let mut slots = reserve();
        slots[0] = Slot::System { mutable: false };
        world.call(builder, Callee::RESERVE_SPACE, slots, &fill);
    };
    let shared_by_value = |builder: &mut TransactionBuilder| {
        let system = builder.object(ObjectInput::shared(system, 1, true));
        let to = builder.pure(&alice.address);
        builder.transfer_objects(vec![system], to);
    };
    let merged_into_itself = |builder: &mut TransactionBuilder| {
        let coin = builder.object(coin.borrow().clone());
        builder.merge_coins(coin, vec![coin]);
    };
    let one_too_few = |builder: &mut TransactionBuilder| {
        let fill = Fill { payment: Some(builder.object(coin.borrow().clone())), ..Fill::default() };
        world.call(builder, Callee::RESERVE_SPACE, reserve()[..5].to_vec(), &fill);
    };
    let unknown = |builder: &mut TransactionBuilder| {
        let callee = Callee { module: "system", name: "print_money" };
        world.call(builder, callee, vec![], &Fill::default());
    };
    type Sketch<'a> = &'a dyn Fn(&mut TransactionBuilder);
    let cases: [(Sketch<'_>, &str); 6] = [
        (&sui_for_wal, "TypeMismatch"),
        (&read_only_system, "InvalidObjectByMutRef"),
        (&shared_by_value, "InvalidObjectByValue"),
        (&merged_into_itself, "InvalidValueUsage"),
        (&one_too_few, "ArityMismatch"),
        (&unknown, "FunctionNotFound"),
    ];
    for (sketch, expected) in cases {
        let (done, abort) = world.run_refused(&alice, sketch).await;
        assert_eq!(abort, None);
        let effects: TransactionEffects = done.effects().bcs().deserialize().unwrap();
        let TransactionEffects::V2(effects) = effects else { panic!("effects are of version 2") };
        let text = format!("{:?}", effects.status);
        assert!(text.contains(expected), "expected {expected}: {text}");
        let latest = world.owned(&id).await;
        coin.replace(latest);
    }
    assert_eq!(world.system().await, before);
    assert_eq!(world.balance(&alice, &world.wal_type()).await, FAUCET.wal);
}
