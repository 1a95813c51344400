//! A ledger that lies, forks, goes back, hangs or is away: nothing false is signed, nothing is deleted, it is named, and
//! all goes on when the truth returns.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use haulout_actors::chain::Start;
use haulout_actors::context::Context;
use haulout_devnet::Devnet;
use haulout_devnet::ledger::Ledger;
use haulout_node::config::ClientConfig;
use haulout_node::error::Kind;
use haulout_node::keys::{self, Secret};
use haulout_node::{LightClient, StorageNode};
use haulout_protocol::blob::BlobId;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::ledger_history::{TrustedCheckpoint, Verified};
use haulout_tests::lying_ledger::{Lie, LyingLedger};
use haulout_tests::{KIB, eventually, get, in_time, put, sample_blob};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::owner::bare;

/// In so much time a ledger or a server that is not well must have been named.
pub(crate) const NAMED_WITHIN: Duration = Duration::from_secs(10);

async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(seed).segment_bytes(64 << 10);
    devnet.start().await.unwrap()
}

/// What every node shares with its actors.
pub(crate) fn contexts(devnet: &Devnet) -> Vec<Context> {
    (0..devnet.members()).map(|index| devnet.node(index).unwrap().context().clone()).collect()
}

/// Makes sure that every node says of itself in time that this is wrong, and nothing else.
async fn named(nodes: &[Context], name: &str) {
    in_time(name, NAMED_WITHIN, async || {
        nodes.iter().all(|node| {
            let conditions = node.trust.conditions();
            conditions.len() == 1 && conditions[0].name.as_str() == name
        })
    })
    .await;
}

/// Waits until every node is well and follows the ledger.
pub(crate) async fn well(nodes: &[Context]) {
    let at: Vec<_> = nodes.iter().map(|node| node.position.current().checkpoint).collect();
    eventually("all nodes are well and go on", async || {
        nodes.iter().zip(&at).all(|(node, at)| {
            node.trust.conditions().is_empty() && node.position.current().checkpoint > *at
        })
    })
    .await;
}

/// Waits until every node has read that the blob is certified.
pub(crate) async fn know(nodes: &[Context], id: &BlobId) {
    eventually("every node knows the blob", async || {
        nodes
            .iter()
            .all(|node| node.store.blob(id).unwrap().is_some_and(|it| it.is_certified(Epoch(1))))
    })
    .await;
}

/// How often each node signed.
pub(crate) fn signed(nodes: &[Context]) -> Vec<String> {
    let line = |node: &Context| {
        let text = node.metrics.encode();
        text.lines()
            .find(|line| line.starts_with("haulout_storage_confirmations"))
            .unwrap_or("")
            .to_owned()
    };
    nodes.iter().map(line).collect()
}

/// A client that gives up soon.
fn hasty(devnet: &Devnet) -> ClientConfig {
    let mut config = devnet.client_config("bob").unwrap();
    config.timeout = Duration::from_secs(4);
    config
}

/// The ledger of a stopped devnet's file, served where a test wants it.
pub(crate) struct Served {
    pub(crate) ledger: Ledger,
    pub(crate) address: SocketAddr,
    serving: tokio::task::JoinHandle<()>,
    stop: DropGuard,
}

impl Served {
    pub(crate) async fn start(database: &Path, address: &str) -> Served {
        let ledger = Ledger::resume(database).unwrap();
        let grpc = TcpListener::bind(address).await.unwrap();
        let faucet = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = grpc.local_addr().unwrap();
        let (served, stop) = (ledger.clone(), CancellationToken::new());
        let token = stop.clone();
        let serving = tokio::spawn(async move { served.serve(grpc, faucet, token).await.unwrap() });
        Served { ledger, address, serving, stop: stop.drop_guard() }
    }

    pub(crate) async fn stop(self) {
        drop((self.ledger, self.stop));
        self.serving.await.unwrap();
    }
}

/// The address at which nodes and clients look for the ledger.
fn door(devnet: &Devnet) -> String {
    devnet.rpc().trim_start_matches("http://").to_owned()
}

/// A client that only reads: it remembers the network and needs no ledger to go on.
fn reader(devnet: &Devnet) -> ClientConfig {
    ClientConfig { wallet: None, ..devnet.client_config("bob").unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_checkpoints_delete_nothing_and_stop_signatures_until_the_truth_returns() {
    let mut devnet = devnet(911).await;
    let client = devnet.client("alice").await.unwrap();
    let blob = sample_blob(1, 100 * KIB);
    let stored = put(&client, &blob).await.unwrap();
    let nodes = contexts(&devnet);
    know(&nodes, &stored.blob_id).await;
    let record = nodes[0].store.blob(&stored.blob_id).unwrap().unwrap();
    let object_id = record.objects[0].object_id;
    devnet.stop_ledger().await;
    let truth = Served::start(&devnet.folder().join("ledger.redb"), "127.0.0.1:0").await;
    let listener = TcpListener::bind(door(&devnet)).await.unwrap();
    let liar = LyingLedger::start(listener, &format!("http://{}", truth.address)).unwrap();
    well(&nodes).await;

    let (package, blob_id) = (devnet.ids().package, *stored.blob_id.as_bytes());
    for lie in [Lie::Deleted { package, blob_id, object_id }, Lie::Unsigned] {
        liar.tell(lie.clone());
        named(&nodes, "ledger forged").await;
        let before = signed(&nodes);
        let client = devnet.client("bob").await.unwrap();
        assert!(get(&client, &stored.blob_id).await.unwrap() == blob, "{lie:?}");
        assert!(liar.told() > 0);
        assert_eq!(signed(&nodes), before, "{lie:?}");
        for node in &nodes {
            let kept = node.store.blob(&stored.blob_id).unwrap().unwrap();
            assert_eq!(kept, record, "nothing is deleted: {lie:?}");
        }
        liar.tell(Lie::None);
        well(&nodes).await;
    }
    put(&devnet.client("alice").await.unwrap(), &sample_blob(2, KIB)).await.unwrap();
    truth.stop().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_checkpoints_do_not_prove_describe_no_network() {
    let mut devnet = devnet(912).await;
    let nodes = contexts(&devnet);
    eventually("the network is proven", async || {
        nodes.iter().all(|node| node.position.current().is_proven)
    })
    .await;
    devnet.stop_ledger().await;
    let truth = Served::start(&devnet.folder().join("ledger.redb"), "127.0.0.1:0").await;
    let listener = TcpListener::bind(door(&devnet)).await.unwrap();
    let liar = LyingLedger::start(listener, &format!("http://{}", truth.address)).unwrap();
    well(&nodes).await;
    let (system, staking) = (devnet.ids().system, devnet.ids().staking);
    liar.tell(Lie::LateEpoch { system, staking, by: 100 });
    for index in 0..devnet.members() {
        assert!(devnet.node(index).unwrap().tree().kill("chain_sync"), "it reads the network anew");
    }
    named(&nodes, "ledger forged").await;
    assert!(liar.told() > 0);
    assert!(nodes.iter().all(|node| node.position.current().epoch.0 == 1));
    liar.tell(Lie::None);
    well(&nodes).await;
    truth.stop().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_was_rolled_back_or_forked_is_never_spliced_over() {
    let mut devnet = devnet(913).await;
    let (database, old, new) = {
        let at = |name| devnet.folder().join(name);
        (at("ledger.redb"), at("old.redb"), at("new.redb"))
    };
    devnet.stop_ledger().await;
    std::fs::copy(&database, &old).unwrap();
    devnet.start_ledger().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let blob = sample_blob(1, 100 * KIB);
    let id: BlobId = put(&client, &blob).await.unwrap().blob_id;
    let nodes = contexts(&devnet);
    know(&nodes, &id).await;
    devnet.stop_ledger().await;
    std::fs::copy(&database, &new).unwrap();
    let height = nodes.iter().map(|node| node.position.current().checkpoint).max().unwrap();

    // Shorter than what nodes know, with other checkpoints under the same numbers.
    std::fs::copy(&old, &database).unwrap();
    devnet.start_ledger().await.unwrap();
    assert!(devnet.ledger().unwrap().height() < height);
    named(&nodes, "ledger rolled back").await;
    // As long, and longer: what it says next does not follow what they know.
    let ledger = devnet.ledger().unwrap().clone();
    while ledger.height() <= height + 2 {
        ledger.skip(Duration::from_millis(1)).unwrap();
    }
    named(&nodes, "ledger forked").await;
    for node in &nodes {
        assert!(node.position.current().checkpoint <= height, "nothing of it is taken over");
        assert!(
            node.store.blob(&id).unwrap().unwrap().is_certified(Epoch(1)),
            "and nothing denied"
        );
    }
    drop(ledger);

    // The truth returns.
    devnet.stop_ledger().await;
    std::fs::copy(&new, &database).unwrap();
    devnet.start_ledger().await.unwrap();
    well(&nodes).await;
    let client = devnet.client("bob").await.unwrap();
    assert!(get(&client, &id).await.unwrap() == blob);
    put(&client, &sample_blob(2, KIB)).await.unwrap();
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_hangs_is_named_and_reads_go_on_without_it() {
    let mut devnet = devnet(914).await;
    let config = reader(&devnet);
    let blob = sample_blob(1, 100 * KIB);
    let id = put(&devnet.client("alice").await.unwrap(), &blob).await.unwrap().blob_id;
    LightClient::connect(config.clone()).await.unwrap().close().await;
    let nodes = contexts(&devnet);
    devnet.stop_ledger().await;
    // It takes every connection and says nothing.
    let _silent = TcpListener::bind(door(&devnet)).await.unwrap();
    named(&nodes, "ledger silent").await;
    let client = LightClient::connect(config).await.unwrap();
    assert!(get(&client, &id).await.unwrap() == blob, "a client that knew the network reads");
    drop(_silent);
    devnet.start_ledger().await.unwrap();
    well(&nodes).await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_start_and_serve_and_clients_read_while_the_ledger_is_away() {
    let mut devnet = devnet(915).await;
    let config = reader(&devnet);
    let blob = sample_blob(1, 100 * KIB);
    let id = put(&devnet.client("alice").await.unwrap(), &blob).await.unwrap().blob_id;
    LightClient::connect(config.clone()).await.unwrap().close().await;
    know(&contexts(&devnet), &id).await;
    devnet.stop_ledger().await;
    for index in 0..devnet.members() {
        devnet.stop_node(index).await;
        devnet.start_node(index).await.unwrap();
    }
    let nodes = contexts(&devnet);
    assert!(nodes.iter().all(|node| node.position.current().is_proven));
    let client = LightClient::connect(config).await.unwrap();
    assert!(get(&client, &id).await.unwrap() == blob);
    // Who writes waits for the ledger, then says so; a client that never knew the network cannot begin.
    let mut config = devnet.client_config("bob").unwrap();
    config.timeout = Duration::from_secs(3);
    let writer = LightClient::connect(config).await.unwrap_err();
    assert!([Kind::LedgerUnreachable, Kind::Timeout].contains(&writer.kind()), "{writer}");
    let stranger = LightClient::connect(hasty(&devnet)).await.unwrap_err();
    assert!([Kind::LedgerUnreachable, Kind::Timeout].contains(&stranger.kind()), "{stranger}");
    named(&nodes, "ledger silent").await;
    devnet.start_ledger().await.unwrap();
    well(&nodes).await;
    put(&devnet.client("bob").await.unwrap(), &sample_blob(2, KIB)).await.unwrap();
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_keys_are_not_those_the_ledger_lists_is_refused() {
    let mut devnet = devnet(916).await;
    devnet.stop_node(1).await;
    let folder = devnet.folder().join(devnet.name(1)).join("keys");
    for (name, kind, says) in [
        ("protocol.key", keys::Kind::Bls12381, "another signing key"),
        ("network.key", keys::Kind::Ed25519, "lists peer"),
    ] {
        let config = devnet.node_config(1).unwrap();
        std::fs::rename(folder.join(name), folder.join("kept")).unwrap();
        keys::create(&folder.join(name), &Secret::generate(kind).unwrap()).unwrap();
        let refused = StorageNode::start(config).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Config, "{refused}");
        assert!(refused.message().contains(says), "{refused}");
        assert!(refused.next_step().contains("keys."), "{}", refused.next_step());
        std::fs::rename(folder.join("kept"), folder.join(name)).unwrap();
    }
    devnet.start_node(1).await.unwrap();
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_node_reads_what_was_stored_before_the_checkpoint_that_is_trusted() {
    let mut devnet = devnet(947).await;
    let client = devnet.client("alice").await.unwrap();
    let id = put(&client, &sample_blob(1, KIB)).await.unwrap().blob_id;
    know(&contexts(&devnet), &id).await;
    let (chain, _) = bare(&devnet, "alice").await;
    let before = chain.latest_checkpoint().await.unwrap() - 1;
    let last = Some(Verified { sequence: before, digest: None, time_ms: 0 });
    let start = Start { last, validators: None };
    let late = chain.checkpoints(start).next_batch().await.unwrap().remove(0);
    devnet.stop_node(3).await;
    let mut config = devnet.node_config(3).unwrap();
    let first = config.chain.trusted.unwrap();
    let (sequence, digest) = (late.sequence, late.digest);
    config.chain.trusted = Some(TrustedCheckpoint { sequence, digest, ..first });
    config.data_dir = devnet.folder().join("new");
    let node = StorageNode::start(config).await.unwrap();
    know(std::slice::from_ref(node.context()), &id).await;
    assert_eq!(node.context().trust.conditions(), []);
    node.shutdown().await;
    devnet.shutdown().await;
}
