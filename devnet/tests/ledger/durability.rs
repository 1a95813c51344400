//! What survives: everything acknowledged, whatever happens to the process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use haulout_devnet::ledger::{Ledger, OpenError, StoreError};
use haulout_protocol::chain::object::{Blob, System};
use sui_rpc::Client;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::Address;

use crate::world::{Account, World, ask_faucet, open, prove, sample_config, try_faucet};

/// Set for the process that will be killed: where its ledger is.
const VICTIM: &str = "HAULOUT_TEST_LEDGER";

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_changes_nothing() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let (blob, done) = world.register(&alice, 3, false).await;
    let (chain, system): (_, System) = (world.ledger.chain_id(), world.system().await);
    let wal = world.balance(&alice, &world.wal_type()).await;
    let height = world.ledger.height();

    let world = world.restart().await;
    assert_eq!(world.ledger.chain_id(), chain);
    assert!(world.ledger.height() >= height);
    assert_eq!(world.system().await, system);
    assert_eq!(world.object::<Blob>(&blob.id).await, blob);
    assert_eq!(world.balance(&alice, &world.wal_type()).await, wal);
    let request = rpc::GetTransactionRequest::default().with_digest(done.digest());
    assert!(world.client.clone().ledger_client().get_transaction(request).await.is_ok());
    for sequence in 0..=height {
        let request = rpc::GetCheckpointRequest::by_sequence_number(sequence);
        assert!(world.client.clone().ledger_client().get_checkpoint(request).await.is_ok());
    }
    // And it goes on.
    let certificate = world.certificate(&blob, &[0, 1, 2]);
    world.certify(&alice, &blob, &certificate).await;
}

#[test]
fn a_ledger_belongs_to_one_network_and_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.redb");
    assert!(matches!(Ledger::resume(&path), Err(OpenError::Empty)));
    let ledger = open(&path).unwrap();
    assert!(matches!(open(&path), Err(OpenError::Store(StoreError::InUse))));
    let (chain, ids) = (ledger.chain_id(), ledger.ids().clone());
    assert_eq!(ids, sample_config().ids());
    drop(ledger);
    let mut other = sample_config();
    other.storage_price += 1;
    prove(&mut other);
    assert_ne!(other.ids().network_id, ids.network_id);
    assert!(matches!(Ledger::open(&path, other), Err(OpenError::DifferentGenesis)));
    assert_eq!(Ledger::resume(&path).unwrap().chain_id(), chain);
    assert_eq!(open(&path).unwrap().chain_id(), chain);
}

#[test]
fn a_configuration_that_is_no_network_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.redb");
    let mut missing_shard = sample_config();
    missing_shard.nodes[0].shards.pop();
    let mut twice = sample_config();
    twice.nodes[1].shards[0] = 0;
    let mut bad_key = sample_config();
    bad_key.nodes[0].bls_public_key[3] ^= 1;
    let mut too_rich = sample_config();
    too_rich.accounts[0].wal = u64::MAX;
    let mut unproven = sample_config();
    unproven.nodes[0].bls_proof = unproven.nodes[1].bls_proof.clone();
    let mut too_many_shards = sample_config();
    let second = too_many_shards.nodes[1].shards.split_off(1);
    let third = too_many_shards.nodes[2].shards.split_off(1);
    too_many_shards.nodes[0].shards.extend(second.into_iter().chain(third));
    prove(&mut too_many_shards);
    for config in [missing_shard, twice, bad_key, too_rich, unproven, too_many_shards] {
        assert!(matches!(Ledger::open(&path, config), Err(OpenError::Genesis(_))));
        assert!(!path.exists(), "nothing is written for a configuration that cannot work");
    }
}

/// Not a test of its own: the process that the next test kills.
#[tokio::test(flavor = "multi_thread")]
async fn victim_of_the_kill_test() {
    let Ok(path) = std::env::var(VICTIM) else {
        return;
    };
    let ledger = open(path.as_ref()).unwrap();
    let bind = || tokio::net::TcpListener::bind("127.0.0.1:0");
    let (grpc, faucet) = (bind().await.unwrap(), bind().await.unwrap());
    let (grpc_port, faucet_port) = (grpc.local_addr().unwrap(), faucet.local_addr().unwrap());
    writeln!(std::io::stdout(), "\nserving {grpc_port} {faucet_port}").unwrap();
    ledger.serve(grpc, faucet, tokio_util::sync::CancellationToken::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_ledger_forgets_nothing_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.redb");
    let mut acknowledged = Vec::new();
    for round in 0..3_usize {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "durability::victim_of_the_kill_test", "--nocapture"])
            .env(VICTIM, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let serving = lines.map_while(Result::ok).find(|line| line.starts_with("serving "));
        let serving = serving.unwrap();
        let (grpc, faucet) = serving["serving ".len()..].split_once(' ').unwrap();
        let client = Client::new(format!("http://{grpc}")).unwrap();
        for digest in &acknowledged {
            let request = rpc::GetTransactionRequest::default().with_digest(digest);
            let found = client.clone().ledger_client().get_transaction(request).await;
            assert!(found.is_ok(), "round {round}: {digest} was acknowledged and is gone");
        }
        let faucet = faucet.parse().unwrap();
        let account = Account::ed25519(u8::try_from(round).unwrap() + 1);
        for _ in 0..=round {
            let (_, answer) = ask_faucet(faucet, &account.address.to_string()).await;
            let digest = answer.split("transferTxDigest\":\"").nth(1).unwrap();
            acknowledged.push(digest.split('"').next().unwrap().to_owned());
        }
        // One more is under way when the process dies.
        let in_flight = tokio::spawn(async move {
            // Whether it is answered is left to the moment of the kill.
            let _ = try_faucet(faucet, &Address::TWO.to_string()).await;
        });
        tokio::task::yield_now().await;
        victim.kill().unwrap();
        victim.wait().unwrap();
        in_flight.await.unwrap();
    }
    assert_eq!(acknowledged.len(), 6);
    let ledger = open(&path).unwrap();
    assert!(ledger.height() >= 6);
}
