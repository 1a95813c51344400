//! The operator of a running node changes what the ledger says of it: its peers follow, its part of
//! rewards changes when it was said to, and whoever is chosen collects it.

use haulout_actors::chain::Collector;
use haulout_actors::session::upload::{PutOptions, Source};
use haulout_devnet::Devnet;
use haulout_node::error::Kind;
use haulout_node::stakes::{self, OwnNode, ProfileChange, RateChange};
use haulout_node::{ClientConfig, LedgerClient};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::call::NodeSetting;
use haulout_protocol::chain::object::staking::{Authority, NodeCap};
use haulout_protocol::committee::Member;
use haulout_tests::{eventually, quiet, sample_blob};

use crate::epochs::Epochs;
use crate::owner::bare;

const WAL: u64 = 1_000_000_000;

async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(4).shards(10).seed(seed).segment_bytes(16 << 10);
    devnet.stake_per_shard(WAL).start().await.unwrap()
}

/// The operator of the first node, with the wallet that the node's own file names.
async fn operator(devnet: &Devnet) -> LedgerClient {
    let wallet = devnet.node_config(0).unwrap().wallet;
    let config = ClientConfig { wallet, ..devnet.client_config("alice").unwrap() };
    LedgerClient::connect(config).await.unwrap()
}

async fn alice(devnet: &Devnet) -> LedgerClient {
    LedgerClient::connect(devnet.client_config("alice").unwrap()).await.unwrap()
}

async fn own(operator: &LedgerClient) -> (NodeCap, OwnNode) {
    let (caps, book) = (operator.node_caps().await.unwrap(), operator.stake_book().await.unwrap());
    let cap = stakes::own_cap(&book.staking, &caps, None).unwrap();
    let node = stakes::own_node(&book, &cap).unwrap();
    (cap, node)
}

/// As whom a client collects, as the command finds it.
async fn collector(client: &LedgerClient, node: Option<&str>) -> Result<Collector, Kind> {
    let (owned, book) = (client.node_caps().await.unwrap(), client.stake_book().await.unwrap());
    let account = client.account().unwrap();
    stakes::collector(&book.staking, &owned, &account, node)
        .map(|(_, collector)| collector)
        .map_err(|error| error.kind())
}

/// What every running node knows of a member of the committee.
fn known(devnet: &Devnet, node: &ObjectId) -> Vec<Member> {
    let nodes = (0..devnet.members()).filter_map(|index| devnet.node(index));
    let position = nodes.map(|node| node.context().position.current());
    let members = position.map(|position| position.committee.members().to_vec());
    members.flatten().filter(|member| member.node_id == (*node).into()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_follow_what_an_operator_says_of_its_node_and_nothing_wrong_is_paid_for() {
    let devnet = devnet(86).await;
    let operator = operator(&devnet).await;
    let (cap, before) = own(&operator).await;
    assert_eq!(before.profile.name, "n1");
    let port = devnet.member_keys(0).port;
    let address = format!("/ip4/127.0.0.1/tcp/{port}");
    let change = ProfileChange {
        name: Some("tern".to_owned()),
        addresses: Some(vec![address.clone()]),
        texts: vec![("site".to_owned(), "https://tern.example".to_owned())],
        removed: Vec::new(),
    };
    let after = before.profile.with(&change).unwrap();
    let settings = after.settings(&before.profile).unwrap();
    assert_eq!(settings.len(), 3);
    operator.change_node(&cap, &settings).await.unwrap();
    assert_eq!(own(&operator).await.1.profile, after);
    assert!(after.settings(&after).unwrap().is_empty(), "the same again asks for nothing");
    eventually("every node knows the new name and address", async || {
        let members = known(&devnet, &cap.node_id);
        members.len() == devnet.members()
            && members.iter().all(|member| member.name == "tern" && member.addresses.len() == 1)
    })
    .await;

    // The last of two changes would be refused: then the first is not made either.
    let (sui, bad) = (operator.balances().await.unwrap().sui, vec![0xff; 9]);
    let settings = [NodeSetting::Name("half".to_owned()), NodeSetting::Multiaddrs(vec![bad])];
    operator.change_node(&cap, &settings).await.unwrap_err();
    assert_eq!(own(&operator).await.1.profile.name, "tern");
    assert_eq!(operator.balances().await.unwrap().sui, sui, "a refusal costs no gas");
    let thief = alice(&devnet).await;
    thief.change_node(&cap, &[NodeSetting::Name("mine".to_owned())]).await.unwrap_err();
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_commission_applies_two_epochs_later_and_its_receiver_collects_it() {
    let devnet = devnet(87).await;
    let (operator, alice) = (operator(&devnet).await, alice(&devnet).await);
    let epochs = Epochs::of(&devnet, bare(&devnet, "alice").await.0);
    let bob = devnet.client("bob").await.unwrap();
    let options = PutOptions { epochs: 5, deletable: true, force: false };
    bob.put(Source::Memory(sample_blob(3, 5_000).into()), options, &quiet()).await.unwrap();

    let (cap, node) = own(&operator).await;
    let change = RateChange::new(&node.row, epochs.state().await.epoch, 750);
    assert_eq!(change, RateChange { from_epoch: 3, before: 0, after: 750 });
    let done = operator.change_node(&cap, &[NodeSetting::NextCommission(750)]).await.unwrap();
    assert_eq!(stakes::first_epoch(done.epoch), change.from_epoch);
    let row = own(&operator).await.1.row;
    assert_eq!((row.commission_bps, row.commission_changes), (0, vec![(3, 750)]));
    epochs.next().await;
    assert_eq!(own(&operator).await.1.row.commission_bps, 0);
    epochs.next().await;
    let (_, third) = own(&operator).await;
    assert_eq!((third.row.commission_bps, third.commission.blocked), (750, 0), "epoch 2 paid none");
    epochs.next().await;
    let earned = own(&operator).await.1.commission;
    assert!(earned.blocked > 0, "the rewards of epoch 3 were shared: {earned:?}");

    // Handed to an account, it is that account's alone, until it is handed back.
    let by_cap = collector(&operator, None).await.unwrap();
    assert_eq!(by_cap, Collector::Cap(cap));
    let account = Authority::Account(alice.account().unwrap());
    operator.set_commission_receiver(by_cap, account).await.unwrap();
    assert_eq!(own(&operator).await.1.receiver, account);
    assert_eq!(collector(&operator, None).await, Err(Kind::Permission));
    operator.collect_commission(by_cap).await.unwrap_err();
    epochs.select().await;
    let as_account = Collector::Account { node_id: cap.node_id };
    for node in [None, Some("n1")] {
        assert_eq!(collector(&alice, node).await, Ok(as_account), "{node:?}");
    }
    let before = alice.balances().await.unwrap().wal;
    assert_eq!(alice.collect_commission(as_account).await.unwrap().0, earned.blocked);
    assert_eq!(alice.balances().await.unwrap().wal - before, earned.blocked);
    let back = Authority::Account(operator.account().unwrap());
    alice.set_commission_receiver(as_account, back).await.unwrap();
    assert_eq!(alice.node_caps().await.unwrap(), []);
    assert_eq!(collector(&alice, None).await, Err(Kind::NotFound));
    let own_cap = Authority::Object(cap.id);
    operator.set_commission_receiver(as_account, own_cap).await.unwrap();
    assert_eq!(collector(&operator, None).await, Ok(by_cap));
    devnet.shutdown().await;
}
