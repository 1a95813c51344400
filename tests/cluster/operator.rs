//! A stranger's node comes, is staked, chosen and paid, and leaves with its bond.

use haulout_actors::chain::{Collector, NodeRegistration, Votes};
use haulout_actors::network;
use haulout_actors::session::upload::{PutOptions, Source};
use haulout_devnet::Devnet;
use haulout_node::LedgerClient;
use haulout_node::error::Kind;
use haulout_node::keys::{Kind as KeyKind, Secret};
use haulout_node::stakes::{
    self, Application, ExitStep, NodeRow, OwnNode, Role, SortBy, Step, Which,
};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::object::staking::{Asks, NodeCap};
use haulout_protocol::crypto::SecretKey;
use haulout_tests::{eventually, quiet, sample_blob};

use crate::epochs::Epochs;
use crate::owner::bare;

const WAL: u64 = 1_000_000_000;

async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(4).shards(10).seed(seed).segment_bytes(16 << 10);
    devnet.stake_per_shard(WAL).start().await.unwrap()
}

async fn client(devnet: &Devnet, account: &str) -> LedgerClient {
    LedgerClient::connect(devnet.client_config(account).unwrap()).await.unwrap()
}

/// The keys of a node that genesis does not know.
fn node_keys() -> (Secret, SecretKey) {
    (Secret::new(KeyKind::Ed25519, [0x51; 32]), SecretKey::from_seed(&[0x52; 32]))
}

fn application(name: &str) -> Application {
    let (network_key, protocol_key) = node_keys();
    let address = "/ip4/127.0.0.1/udp/41999/quic-v1".to_owned();
    Application {
        registration: NodeRegistration {
            name: name.to_owned(),
            multiaddrs: vec![network::address_to_bytes(&address).unwrap()],
            bond: 2 * WAL,
            commission_bps: 1_000,
            asks: Asks { storage: 1_000, write: 2_000 },
            capacity: 1 << 40,
            metadata: vec![("site".to_owned(), "https://late.example".to_owned())],
        },
        addresses: vec![address],
        peer_key: *network::peer_id(*network_key.bytes()).key(),
        bls_public_key: protocol_key.public_key().to_bytes().to_vec(),
    }
}

/// Registers a node as the command does.
async fn register(operator: &LedgerClient, application: &Application) -> ObjectId {
    let book = operator.stake_book().await.unwrap();
    application.check(&book).unwrap();
    let before = operator.balances().await.unwrap().wal;
    let (network_key, protocol_key) = node_keys();
    let done = operator.register_node(application, &network_key, &protocol_key).await.unwrap();
    let paid = before - operator.balances().await.unwrap().wal;
    assert_eq!(paid, application.registration.bond, "exactly the bond is paid");
    done.node_id
}

async fn own(operator: &LedgerClient) -> (NodeCap, OwnNode) {
    let (caps, book) = (operator.node_caps().await.unwrap(), operator.stake_book().await.unwrap());
    let cap = stakes::own_cap(&book.staking, &caps, None).unwrap();
    let node = stakes::own_node(&book, &cap).unwrap();
    (cap, node)
}

async fn row(client: &LedgerClient, node: &ObjectId) -> NodeRow {
    let book = client.stake_book().await.unwrap();
    let rows = stakes::rows(&book, SortBy::Stake);
    rows.into_iter().find(|row| row.node_id == *node).unwrap()
}

/// A node registers, is staked and chosen, and serves in epoch 2; says its id and the receipt.
async fn come(
    devnet: &Devnet,
    epochs: &Epochs<'_>,
    operator: &LedgerClient,
    alice: &LedgerClient,
) -> (ObjectId, ObjectId) {
    let node = register(operator, &application("late")).await;
    assert_eq!(row(alice, &node).await.role, Role::Unstaked);
    let again = application("twice").check(&operator.stake_book().await.unwrap()).unwrap_err();
    assert_eq!(again.kind(), Kind::Usage, "its keys are known");
    let plan = alice.plan_stake("late", 3 * WAL).await.unwrap();
    assert!(!plan.serves);
    let receipt = alice.stake(&plan).await.unwrap().object;
    let candidate = row(alice, &node).await;
    assert_eq!(
        (candidate.role, candidate.stake, candidate.next_stake),
        (Role::Candidate, 0, 3 * WAL)
    );

    epochs.select().await;
    let chosen = row(alice, &node).await;
    assert_eq!(chosen.role, Role::Next);
    epochs.change().await;
    let serving = row(alice, &node).await;
    assert_eq!((serving.role, serving.stake), (Role::Committee, 3 * WAL));
    assert!(serving.shards > 0 && Some(serving.shards) == chosen.next_shards);
    let position = client(devnet, "alice").await.view().position.clone();
    let member = position.committee.members().iter().find(|it| it.node_id == node.into());
    assert_eq!(member.unwrap().shards.len(), serving.shards, "the committee says the same");
    (node, receipt)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_node_is_staked_chosen_paid_and_leaves_with_its_bond() {
    let devnet = devnet(84).await;
    let (operator, alice) = (client(&devnet, "carol").await, client(&devnet, "alice").await);
    let (chain, wallet) = bare(&devnet, "carol").await;
    let epochs = Epochs::of(&devnet, chain.clone());
    let bob = devnet.client("bob").await.unwrap();
    let options = PutOptions { epochs: 5, deletable: true, force: false };
    bob.put(Source::Memory(sample_blob(2, 5_000).into()), options, &quiet()).await.unwrap();

    let (node, receipt) = come(&devnet, &epochs, &operator, &alice).await;
    let (cap, _) = own(&operator).await;
    let votes = Votes { storage: Some(900), write: None, capacity: Some(1 << 41) };
    operator.vote(&cap, &votes).await.unwrap();
    let voted = row(&alice, &node).await;
    assert_eq!((voted.asks, voted.capacity), (Asks { storage: 900, write: 2_000 }, 1 << 41));

    epochs.next().await;
    let earned = own(&operator).await.1.commission;
    assert!(earned.free == 0 && earned.blocked > 0, "{earned:?}");
    epochs.select().await;
    let free = own(&operator).await.1.commission.free;
    assert_eq!(free, earned.blocked, "it is free once the next committee is chosen");
    let before = operator.balances().await.unwrap().wal;
    assert_eq!(operator.collect_commission(Collector::Cap(cap)).await.unwrap().0, free);
    assert_eq!(operator.balances().await.unwrap().wal - before, free);

    // Asked in epoch 3, chosen for epoch 4: free in epoch 5.
    operator.request_exit(&cap).await.unwrap();
    let leaving = own(&operator).await.1;
    assert_eq!((leaving.exit, leaving.exit_epoch), (ExitStep::Wait(5), Some(3)));
    assert_eq!(leaving.check_exit().unwrap_err().kind(), Kind::Permission);
    let held = leaving.check_bond(|epoch| format!("epoch {epoch}")).unwrap_err();
    assert!(held.message().contains("epoch 5"), "{held}");
    let refused = alice.plan_stake("late", WAL).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Permission, "a node that leaves takes no stake");
    epochs.change().await;
    let early = chain.withdraw_bond(&wallet, &cap).await.unwrap_err();
    assert_eq!(early.abort(), Some(Abort::StillBonded), "the ledger says the same");
    epochs.next().await;
    let gone = own(&operator).await.1;
    assert_eq!(gone.exit, ExitStep::WithdrawBond);
    gone.check_bond(|_| String::new()).unwrap();
    assert_eq!(operator.withdraw_bond(&cap).await.unwrap().0, 2 * WAL);
    assert_eq!(own(&operator).await.1.exit, ExitStep::Gone);

    // Its staker has everything back at once, with the rewards of the epochs it served.
    let alice = client(&devnet, "alice").await;
    let plan = alice.plan_withdrawal(Which::Receipt(receipt)).await.unwrap();
    assert_eq!(plan.items[0].step, Step::WithdrawNow);
    assert!(plan.pays() > 3 * WAL);
    assert_eq!(alice.withdraw(&plan).await.unwrap().paid, [(receipt, plan.pays())]);
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_to_come_and_one_that_left_always_get_in_also_after_a_restart() {
    let mut devnet = devnet(86).await;
    let (operator, alice) = (client(&devnet, "carol").await, client(&devnet, "alice").await);
    let (chain, _) = bare(&devnet, "carol").await;
    let peer = network::peer_id(*node_keys().0.bytes());
    let gets_in = async |devnet: &Devnet, epoch: u32| {
        eventually("every node lets it in", async || {
            (0..devnet.members()).all(|index| {
                let node = devnet.node(index).unwrap();
                let position = node.context().position.current();
                let is_member = node.tree().network().is_member(&peer);
                position.epoch.0 == epoch && is_member && position.shards_of(&peer).is_empty()
            })
        })
        .await;
    };
    {
        let epochs = Epochs::of(&devnet, chain);
        register(&operator, &application("late")).await;
        let plan = alice.plan_stake("late", 3 * WAL).await.unwrap();
        alice.stake(&plan).await.unwrap();
        assert!((0..4).all(|it| !devnet.node(it).unwrap().tree().network().is_member(&peer)));
        epochs.select().await;
        gets_in(&devnet, 1).await;
        epochs.change().await;
        let (cap, _) = own(&operator).await;
        operator.request_exit(&cap).await.unwrap();
        epochs.next().await;
        gets_in(&devnet, 3).await;
    }
    // What was read of the ledger is in the store: nobody need be asked.
    devnet.stop_ledger().await;
    for index in 0..devnet.members() {
        devnet.stop_node(index).await;
        devnet.start_node(index).await.unwrap();
    }
    gets_in(&devnet, 3).await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_speaks_for_a_node_and_a_name_is_not_an_identity() {
    let devnet = devnet(85).await;
    let (operator, alice) = (client(&devnet, "carol").await, client(&devnet, "alice").await);
    // Anybody may call a node like one that is trusted; then the name means neither.
    let node = register(&operator, &application("n1")).await;
    let refused = alice.plan_stake("n1", WAL).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Usage);
    let id = node.to_string();
    assert!(refused.next_step().contains(&id), "{}", refused.next_step());
    assert_eq!(alice.plan_stake(&id, WAL).await.unwrap().node_id, node);

    let (cap, own) = own(&operator).await;
    assert_eq!((own.row.node_id, own.bond), (node, 2 * WAL));
    let (caps, book) = (alice.node_caps().await.unwrap(), alice.stake_book().await.unwrap());
    let none = stakes::own_cap(&book.staking, &caps, None).unwrap_err();
    assert_eq!(none.kind(), Kind::NotFound);
    let votes = Votes { storage: Some(1), ..Votes::default() };
    alice.vote(&cap, &votes).await.unwrap_err();
    assert_eq!(row(&alice, &node).await.asks.storage, 1_000, "nothing changed");
    // Proofs are bound to who sends them: the same keys, another wallet, no registration.
    let (network_key, protocol_key) = node_keys();
    let stolen = alice.register_node(&application("thief"), &network_key, &protocol_key).await;
    assert_eq!(stolen.unwrap_err().kind(), Kind::Chain);
    devnet.shutdown().await;
}
