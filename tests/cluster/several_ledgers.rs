//! Nodes and clients that are given three servers of one ledger, of which one or all are not what they should be: nothing
//! false is signed, nothing is deleted, the server is named within ten seconds, and all goes on when the truth returns.

use std::time::Duration;

use haulout_actors::context::Context;
use haulout_devnet::Devnet;
use haulout_node::config::ClientConfig;
use haulout_node::error::Kind;
use haulout_node::{LightClient, StorageNode};
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::machine::conditions::Name;
use haulout_tests::lying_ledger::{Lie, LyingLedger};
use haulout_tests::{KIB, eventually, get, in_time, put, sample_blob};
use tokio::net::TcpListener;

use crate::epochs::Epochs;
use crate::ledger_lies::{NAMED_WITHIN, Served, know, signed, well};
use crate::owner::bare;

/// A network whose nodes know three servers of its ledger.
struct World {
    devnet: Devnet,
    servers: Vec<LyingLedger>,
    nodes: Vec<StorageNode>,
    contexts: Vec<Context>,
    /// Somebody who only reads, and remembers the network.
    reader: ClientConfig,
    blob: Vec<u8>,
    id: BlobId,
    object: ObjectId,
    records: Vec<String>,
}

impl World {
    /// Four nodes, and a blob that each of them knows.
    async fn start(seed: u64) -> World {
        let builder = Devnet::builder().nodes(4).shards(4).seed(seed).segment_bytes(64 << 10);
        let mut devnet = builder.start().await.unwrap();
        let mut servers = Vec::new();
        for _ in 0..3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            servers.push(LyingLedger::start(listener, devnet.rpc()).unwrap());
        }
        let mut nodes = Vec::new();
        for index in 0..devnet.members() {
            let mut config = devnet.node_config(index).unwrap();
            config.chain.rpc = servers.iter().map(|server| server.url.clone()).collect();
            devnet.stop_node(index).await;
            nodes.push(StorageNode::start(config).await.unwrap());
        }
        let contexts: Vec<Context> = nodes.iter().map(|node| node.context().clone()).collect();
        let blob = sample_blob(1, 100 * KIB);
        let reader = ClientConfig { wallet: None, ..client_config(&devnet, &servers, "bob") };
        LightClient::connect(reader.clone()).await.unwrap().close().await;
        let mut world = World {
            devnet,
            servers,
            nodes,
            contexts,
            reader,
            blob,
            id: BlobId::from_bytes([0; 32]),
            object: ObjectId::from_bytes([0; 32]),
            records: Vec::new(),
        };
        let client = world.client("alice").await;
        world.id = put(&client, &world.blob).await.unwrap().blob_id;
        know(&world.contexts, &world.id).await;
        let record = world.contexts[0].store.blob(&world.id).unwrap().unwrap();
        world.object = record.objects[0].object_id;
        world.records = world.kept();
        world
    }

    async fn client(&self, account: &str) -> LightClient {
        let config = client_config(&self.devnet, &self.servers, account);
        LightClient::connect(config).await.unwrap()
    }

    /// What each node says of the blob.
    fn kept(&self) -> Vec<String> {
        let kept = |node: &Context| format!("{:?}", node.store.blob(&self.id).unwrap());
        self.contexts.iter().map(kept).collect()
    }

    /// Makes sure that every node says in time that this is wrong, in these words.
    async fn named(&self, name: Name, words: &str) {
        self.named_as(&[name], words).await;
    }

    /// The same, if what is wrong has several names.
    async fn named_as(&self, names: &[Name], words: &str) {
        let is_named = |node: &Context| {
            let conditions = node.trust.conditions();
            conditions.iter().any(|it| names.contains(&it.name) && it.cause.contains(words))
        };
        let all_name_it = async || self.contexts.iter().all(is_named);
        in_time(names[0].as_str(), NAMED_WITHIN, all_name_it).await;
    }

    /// Somebody who only reads and knew the network has the blob, with the ledger or without.
    async fn read(&self) {
        let client = LightClient::connect(self.reader.clone()).await.unwrap();
        assert!(get(&client, &self.id).await.unwrap() == self.blob);
    }

    /// Whoever writes, or never knew the network, waits for as long as it was told to, and hears that it is the ledger that
    /// does not answer.
    async fn nobody_else_begins(&self) {
        for wallet in [true, false] {
            let mut config = client_config(&self.devnet, &self.servers, "bob");
            config.timeout = Duration::from_secs(1);
            if !wallet {
                config.wallet = None;
            }
            let failed = LightClient::connect(config).await.unwrap_err();
            assert!([Kind::LedgerUnreachable, Kind::Timeout].contains(&failed.kind()), "{failed}");
            assert!(failed.message().contains("ledger"), "{failed}");
        }
    }

    async fn end(self) {
        for node in self.nodes {
            node.shutdown().await;
        }
        self.devnet.shutdown().await;
    }
}

/// A client that is given all of the servers.
fn client_config(devnet: &Devnet, servers: &[LyingLedger], account: &str) -> ClientConfig {
    let mut config = devnet.client_config(account).unwrap();
    config.chain.rpc = servers.iter().map(|server| server.url.clone()).collect();
    config
}

/// What one server can do, and how it is named then.
fn lies(world: &World) -> Vec<(Lie, Name)> {
    let ids = world.devnet.ids();
    let (package, blob_id) = (ids.package, *world.id.as_bytes());
    let object_id = world.object;
    let last = world.contexts[0].position.current().checkpoint;
    vec![
        (Lie::Deleted { package, blob_id, object_id }, Name::LedgerServerDoubted),
        (Lie::Unsigned, Name::LedgerServerDoubted),
        (Lie::Stale { last }, Name::LedgerServerBehind),
        (Lie::Hangs, Name::LedgerServerSilent),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_servers_that_lies_lags_or_hangs_is_named_and_nothing_waits_for_it() {
    let world = World::start(951).await;
    for round in 0..4 {
        // The first of them is the one that everybody asks; the last one nobody.
        let bad = &world.servers[if round % 2 == 0 { 0 } else { 2 }];
        let (lie, name) = lies(&world).swap_remove(round);
        bad.tell(lie.clone());
        world.named(name, &bad.url).await;
        let at: Vec<u64> =
            world.contexts.iter().map(|node| node.position.current().checkpoint).collect();
        eventually("the nodes follow the others", async || {
            let now = world.contexts.iter().map(|node| node.position.current().checkpoint);
            now.zip(&at).all(|(now, at)| now > *at)
        })
        .await;
        assert!(world.contexts.iter().all(Context::may_act), "{lie:?}");
        world.read().await;
        let seed = u64::try_from(round).unwrap() + 2;
        put(&world.client("alice").await, &sample_blob(seed, KIB)).await.unwrap();
        assert_eq!(world.kept(), world.records, "nothing is deleted: {lie:?}");
        bad.tell(Lie::None);
        well(&world.contexts).await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_of_three_servers_that_lie_lag_or_hang_move_nobody_and_are_named() {
    let world = World::start(952).await;
    for round in 0..4 {
        let (lie, name) = lies(&world).swap_remove(round);
        world.servers.iter().for_each(|server| server.tell(lie.clone()));
        match name {
            Name::LedgerServerDoubted => {
                world.named(Name::LedgerForged, "").await;
                for server in &world.servers {
                    world.named(name, &server.url).await;
                }
                assert!(!world.contexts.iter().any(Context::may_act), "{lie:?}");
            }
            _ => world.named(Name::LedgerSilent, "").await,
        }
        let before = signed(&world.contexts);
        world.read().await;
        if lie == Lie::Hangs {
            world.nobody_else_begins().await;
        }
        assert_eq!(signed(&world.contexts), before, "{lie:?}");
        assert_eq!(world.kept(), world.records, "nothing is deleted: {lie:?}");
        world.servers.iter().for_each(|server| server.tell(Lie::None));
        well(&world.contexts).await;
    }
    let client = world.client("alice").await;
    put(&client, &sample_blob(9, KIB)).await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_another_history_are_named_whether_they_are_one_or_all() {
    let mut world = World::start(953).await;
    let folder = world.devnet.folder();
    let (database, old) = (folder.join("ledger.redb"), folder.join("old.redb"));
    world.devnet.stop_ledger().await;
    std::fs::copy(&database, &old).unwrap();
    world.devnet.start_ledger().await.unwrap();
    well(&world.contexts).await;
    let fork = Served::start(&old, "127.0.0.1:0").await;
    let height = world.contexts.iter().map(|node| node.position.current().checkpoint).max();
    while fork.ledger.height() <= height.unwrap() {
        fork.ledger.skip(Duration::from_millis(1)).unwrap();
    }
    let other = format!("http://{}", fork.address);
    world.servers[0].pass_on_from(&other).unwrap();
    world.named(Name::LedgerServerDoubted, &world.servers[0].url).await;
    eventually("the others are followed", async || world.contexts.iter().all(Context::may_act))
        .await;
    world.read().await;
    for server in &world.servers[1..] {
        server.pass_on_from(&other).unwrap();
    }
    // What is under a known number is another one, and what comes next does not follow.
    world.named_as(&[Name::LedgerRolledBack, Name::LedgerForked], "").await;
    assert!(!world.contexts.iter().any(Context::may_act));
    assert_eq!(world.kept(), world.records);
    for server in &world.servers {
        server.pass_on_from(world.devnet.rpc()).unwrap();
    }
    well(&world.contexts).await;
    put(&world.client("alice").await, &sample_blob(2, KIB)).await.unwrap();
    fork.stop().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_tells_the_truth_first_and_makes_up_a_late_epoch_then_moves_no_client() {
    let builder = Devnet::builder().nodes(4).shards(4).seed(954).segment_bytes(64 << 10);
    let devnet = builder.start().await.unwrap();
    let mut servers = Vec::new();
    for _ in 0..3 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        servers.push(LyingLedger::start(listener, devnet.rpc()).unwrap());
    }
    let client = LightClient::connect(client_config(&devnet, &servers, "alice")).await.unwrap();
    let (chain, _) = bare(&devnet, "alice").await;
    let epochs = Epochs::of(&devnet, chain);
    let (system, staking) = (devnet.ids().system, devnet.ids().staking);
    // Each of them in turn, because one of them is the one that the client follows.
    for liar in &servers {
        liar.tell(Lie::LateEpoch { system, staking, by: 5 });
        epochs.next().await;
        let epoch = epochs.state().await.epoch;
        eventually("the client is where most servers are", async || client.epoch() == epoch).await;
        liar.tell(Lie::None);
    }
    client.close().await;
    devnet.shutdown().await;
}
