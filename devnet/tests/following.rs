//! Running nodes follow the ledger into the next epoch.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::time::{Duration, Instant};

use haulout_devnet::Devnet;
use haulout_protocol::chain::CLOCK;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::call::Function as Callee;
use sui_crypto::SuiSigner;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_rpc::Client;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, Identifier};
use sui_transaction_builder::{Function, ObjectInput, TransactionBuilder};

/// Everything must happen within this time, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Signs and executes one call whose arguments are objects.
async fn call(devnet: &Devnet, callee: Callee, objects: &[ObjectId]) {
    let key = Ed25519PrivateKey::new(devnet.member_keys(0).account);
    let mut client = Client::new(devnet.rpc()).unwrap();
    let mut builder = TransactionBuilder::new();
    builder.set_sender(key.public_key().derive_address());
    let objects = objects.iter().map(|id| builder.object(ObjectInput::new(Address::new(*id))));
    let objects = objects.collect();
    let (module, name) = (Identifier::new(callee.module), Identifier::new(callee.name));
    let package = Address::new(devnet.ids().package);
    builder.move_call(Function::new(package, module.unwrap(), name.unwrap()), objects);
    let transaction = builder.build(&mut client).await.unwrap();
    let signature = key.sign_transaction(&transaction).unwrap();
    let request = rpc::ExecuteTransactionRequest::default()
        .with_transaction(transaction)
        .with_signatures(vec![signature.into()]);
    client.execute_transaction_and_wait_for_checkpoint(request, PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn running_nodes_follow_the_ledger_into_the_next_epoch() {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(77).segment_bytes(64 << 10);
    let devnet = devnet.start().await.unwrap();
    let ids = devnet.ids();
    let half = Duration::from_millis(devnet.ledger().unwrap().genesis().epoch_duration_ms) / 2;
    devnet.ledger().unwrap().skip(half).unwrap();
    let objects = [ids.staking_inner(), ids.system, ids.params, CLOCK];
    call(&devnet, Callee::VOTING_END, &objects).await;
    devnet.ledger().unwrap().skip(half).unwrap();
    let objects = [ids.staking_inner(), ids.system, ids.params, ids.treasury, CLOCK];
    call(&devnet, Callee::EPOCH_CHANGE, &objects).await;
    let until = Instant::now() + PATIENCE;
    for index in 0..devnet.members() {
        loop {
            let position = devnet.node(index).unwrap().context().position.current();
            if position.epoch.0 == 2 && position.committee.epoch().0 == 2 {
                assert_eq!(position.committee.members().len(), 4);
                break;
            }
            assert!(Instant::now() < until, "node {index} stays in epoch {}", position.epoch.0);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    devnet.shutdown().await;
}
