//! A server that says of one object of a wallet that it is another: nothing is deleted, paid for or given back that its owner
//! did not mean.

use haulout_actors::session::upload::{PutOptions, PutReport, Source};
use haulout_devnet::Devnet;
use haulout_node::error::{Error, Kind};
use haulout_node::holdings::{Removal, Target};
use haulout_node::stakes::Which;
use haulout_node::{LedgerClient, LightClient};
use haulout_protocol::chain::ObjectId;
use haulout_tests::lying_ledger::{Lie, LyingLedger};
use haulout_tests::{quiet, sample_blob};
use tokio::net::TcpListener;

/// A WAL, in FROST.
const WAL: u64 = 1_000_000_000;

async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(seed).segment_bytes(16 << 10);
    devnet.start().await.unwrap()
}

async fn store(client: &LightClient, seed: u64) -> PutReport {
    let source = Source::Memory(sample_blob(seed, 20_000).into());
    let options = PutOptions { epochs: 3, deletable: true, force: false };
    client.put(source, options, &quiet()).await.unwrap()
}

/// A server that will lie, and somebody who knows no other.
async fn misled(devnet: &Devnet) -> (LyingLedger, LedgerClient) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let liar = LyingLedger::start(listener, devnet.rpc()).unwrap();
    let mut config = devnet.client_config("alice").unwrap();
    config.chain.rpc = vec![liar.url.clone()];
    (liar, LedgerClient::connect(config).await.unwrap())
}

/// Makes sure that something was refused because an object is not the one that was meant.
fn refused<T: std::fmt::Debug>(done: Result<T, Error>, liar: &LyingLedger) {
    let refused = done.unwrap_err();
    assert_eq!(refused.kind(), Kind::Chain, "{refused}");
    assert!(refused.message().contains(&liar.url), "{refused}");
    assert!(refused.message().contains("nothing was executed"), "{refused}");
    assert!(refused.next_step().contains("chain.rpc"), "{}", refused.next_step());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_a_server_calls_another_one_is_neither_deleted_nor_paid_for_in_its_place() {
    let devnet = devnet(961).await;
    let alice = devnet.client("alice").await.unwrap();
    let (meant, kept) = (store(&alice, 1).await, store(&alice, 2).await);
    let truth = LedgerClient::connect(devnet.client_config("alice").unwrap()).await.unwrap();
    let before = truth.owned().await.unwrap();
    let (liar, misled) = misled(&devnet).await;
    let (one, other) = (meant.object.unwrap(), kept.object.unwrap());
    let target = Target::Blob(meant.blob_id);
    for in_itself in [false, true] {
        liar.tell(Lie::Swapped { one, other, in_itself });
        for removal in [Removal::Delete, Removal::Burn] {
            let plan = misled.plan_removal(&target, removal).await.unwrap();
            assert_eq!(
                plan.objects[0].id, other,
                "a list is believed until something is lost by it"
            );
            refused(misled.remove(&plan).await, &liar);
        }
        let plan = misled.plan_extension(&target, 1).await.unwrap();
        refused(misled.extend(&plan).await, &liar);
        // Who names an object is told what its own bytes say, or nothing.
        let named = misled.plan_removal(&Target::Object(other), Removal::Delete).await;
        match in_itself {
            false => assert_eq!(named.unwrap().objects[0].blob_id, *kept.blob_id.as_bytes()),
            true => drop(named.unwrap_err()),
        }
        assert_eq!(truth.owned().await.unwrap(), before, "nothing is lost, nothing was paid for");
    }
    liar.tell(Lie::None);
    let plan = misled.plan_removal(&target, Removal::Delete).await.unwrap();
    misled.remove(&plan).await.unwrap();
    let left: Vec<ObjectId> = truth.owned().await.unwrap().iter().map(|blob| blob.id).collect();
    assert_eq!(left, [other]);
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_a_server_calls_another_one_is_not_given_back_in_its_place() {
    let devnet = devnet(962).await;
    let (liar, misled) = misled(&devnet).await;
    let mut receipts = Vec::new();
    for amount in [2 * WAL, 3 * WAL] {
        let plan = misled.plan_stake("n1", amount).await.unwrap();
        receipts.push(misled.stake(&plan).await.unwrap().object);
    }
    let [one, other] = [receipts[0], receipts[1]];
    let truth = LedgerClient::connect(devnet.client_config("alice").unwrap()).await.unwrap();
    let before = truth.receipts().await.unwrap();
    for in_itself in [false, true] {
        liar.tell(Lie::Swapped { one, other, in_itself });
        let plan = misled.plan_withdrawal(Which::Receipt(one)).await.unwrap();
        assert_eq!(plan.pays(), 3 * WAL, "that is what it is shown as");
        refused(misled.withdraw(&plan).await, &liar);
        refused(misled.split(&misled.plan_split(one, WAL).await.unwrap()).await, &liar);
        refused(misled.join(&misled.plan_join(one, &[other]).await.unwrap()).await, &liar);
        assert_eq!(truth.receipts().await.unwrap(), before, "nothing was given back");
    }
    liar.tell(Lie::None);
    let plan = misled.plan_withdrawal(Which::Receipt(one)).await.unwrap();
    assert_eq!(misled.withdraw(&plan).await.unwrap().paid, [(one, 2 * WAL)]);
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_of_several_servers_keeps_from_the_ledger_is_done_by_the_next_or_told_as_its_word()
{
    let devnet = devnet(963).await;
    let alice = devnet.client("alice").await.unwrap();
    let stored = [store(&alice, 1).await, store(&alice, 2).await];
    let truth = LedgerClient::connect(devnet.client_config("alice").unwrap()).await.unwrap();
    let mut servers = Vec::new();
    for _ in 0..3 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        servers.push(LyingLedger::start(listener, devnet.rpc()).unwrap());
    }
    let mut config = devnet.client_config("alice").unwrap();
    config.chain.rpc = servers.iter().map(|server| server.url.clone()).collect();
    let client = LedgerClient::connect(config.clone()).await.unwrap();
    let asked = |client: &LedgerClient| {
        servers.iter().position(|server| server.url == client.url()).unwrap()
    };
    // One that keeps it: it is done all the same, and the checkpoint is a true one.
    let liar = asked(&client);
    servers[liar].tell(Lie::SaysDone { above: 1_000_000 });
    let plan = client.plan_extension(&Target::Blob(stored[0].blob_id), 1).await.unwrap();
    let done = client.extend(&plan).await.unwrap();
    assert!(servers[liar].told() > 0);
    assert_eq!(done.only_said_by, None);
    assert!(done.checkpoint.unwrap() < 1_000_000, "{done:?}");
    let ends: Vec<u32> =
        truth.owned().await.unwrap().iter().map(|it| it.storage.end_epoch).collect();
    assert_eq!(ends.iter().sum::<u32>(), 2 * stored[0].end_epoch + 1, "paid for once");
    assert_ne!(asked(&client), liar, "it is left");
    servers[liar].tell(Lie::None);

    // Nobody else answers: it is told as that server's word, unless validators signed it.
    let client = LedgerClient::connect(config).await.unwrap();
    let only = asked(&client);
    for (index, server) in servers.iter().enumerate() {
        server.tell(if index == only { Lie::None } else { Lie::Hangs });
    }
    let plan =
        client.plan_removal(&Target::Blob(stored[0].blob_id), Removal::Delete).await.unwrap();
    let done = client.remove(&plan).await.unwrap();
    assert_eq!(done.only_said_by, None, "its checkpoint is signed");
    servers[only].tell(Lie::SaysDone { above: 0 });
    let plan =
        client.plan_removal(&Target::Blob(stored[1].blob_id), Removal::Delete).await.unwrap();
    let done = client.remove(&plan).await.unwrap();
    assert_eq!(done.only_said_by.as_ref(), Some(&servers[only].url));
    assert_eq!(truth.owned().await.unwrap().len(), 1, "it was never done");
    devnet.shutdown().await;
}
