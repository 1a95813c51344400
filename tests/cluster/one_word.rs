//! One server's word is not enough: what a server of the ledger makes up stores nothing, burns nothing and is never told as a
//! fact; with another server beside it, all goes on.

use haulout_actors::session::upload::{Evidence, PutOptions, PutReport, Source};
use haulout_devnet::Devnet;
use haulout_node::error::{Error, Kind};
use haulout_node::{LedgerClient, LightClient};
use haulout_protocol::blob::BlobId;
use haulout_tests::lying_ledger::{Lie, LyingLedger};
use haulout_tests::{get, quiet, sample_blob};
use tokio::net::TcpListener;

const LENGTH: usize = 40_000;

async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(seed).segment_bytes(16 << 10);
    devnet.start().await.unwrap()
}

async fn servers<const COUNT: usize>(devnet: &Devnet) -> [LyingLedger; COUNT] {
    let mut started = Vec::new();
    for _ in 0..COUNT {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        started.push(LyingLedger::start(listener, devnet.rpc()).unwrap());
    }
    started.try_into().unwrap()
}

/// Somebody who knows these servers of the ledger, and alice's key.
async fn client(devnet: &Devnet, servers: &[LyingLedger]) -> LightClient {
    let mut config = devnet.client_config("alice").unwrap();
    config.chain.rpc = servers.iter().map(|server| server.url.clone()).collect();
    LightClient::connect(config).await.unwrap()
}

/// The server that a client asks now.
fn asked<'a>(client: &LightClient, servers: &'a [LyingLedger]) -> &'a LyingLedger {
    let url = client.context().chain.as_ref().unwrap().url();
    servers.iter().find(|server| server.url == url).unwrap()
}

async fn try_put(client: &LightClient, seed: u64, epochs: u32) -> Result<PutReport, Error> {
    let source = Source::Memory(sample_blob(seed, LENGTH).into());
    let options = PutOptions { epochs, deletable: true, force: false };
    client.put(source, options, &quiet()).await
}

/// The id of a blob that nobody has stored.
async fn id_of(client: &LightClient, seed: u64) -> BlobId {
    let source = Source::Memory(sample_blob(seed, LENGTH).into());
    let options = PutOptions { epochs: 1, deletable: true, force: false };
    client.plan_put(source, options, &quiet()).await.unwrap().0
}

/// Whether any node has read that the blob is certified.
fn is_certified(devnet: &Devnet, blob: &BlobId) -> bool {
    let mut nodes = (0..devnet.members()).filter_map(|index| devnet.node(index));
    nodes.any(|node| {
        let position = node.context().position.current();
        let record = node.context().store.blob(blob).unwrap();
        record.is_some_and(|record| record.is_certified(position.epoch))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_a_server_makes_up_makes_no_blob_stored() {
    let mut devnet = devnet(961).await;
    let servers: [LyingLedger; 2] = servers(&devnet).await;
    let misled = client(&devnet, &servers[..1]).await;
    let first = try_put(&misled, 1, 3).await.unwrap();
    assert_eq!(first.evidence, Evidence::Nodes);
    let blob_id = id_of(&misled, 2).await;
    servers[0].tell(Lie::Owns { blob_id: *blob_id.as_bytes() });
    let refused = try_put(&misled, 2, 3).await.unwrap_err();
    assert!(servers[0].told() > 0);
    assert_eq!((refused.kind(), refused.is_retryable()), (Kind::Chain, false), "{refused}");
    assert!(refused.message().contains(&servers[0].url), "{refused}");
    assert!(refused.next_step().contains("chain.rpc"), "{}", refused.next_step());
    assert!(!is_certified(&devnet, &blob_id));
    servers[0].tell(Lie::None);

    // With another server beside it the blob is stored in earnest.
    let helped = client(&devnet, &servers).await;
    let liar = asked(&helped, &servers);
    liar.tell(Lie::Owns { blob_id: *blob_id.as_bytes() });
    let told = liar.told();
    let stored = try_put(&helped, 2, 3).await.unwrap();
    assert!(liar.told() > told && stored.plan.price() > 0, "{:?}", stored.plan);
    assert!(is_certified(&devnet, &blob_id));
    assert_eq!(get(&helped, &blob_id).await.unwrap(), sample_blob(2, LENGTH));

    // Without nodes nobody confirms it, and that is said.
    for index in 0..devnet.members() {
        devnet.stop_node(index).await;
    }
    let third = id_of(&misled, 3).await;
    servers[0].tell(Lie::Owns { blob_id: *third.as_bytes() });
    let open = try_put(&misled, 3, 3).await.unwrap_err();
    assert_eq!((open.kind(), open.is_retryable()), (Kind::Timeout, true), "{open}");
    assert!(open.message().contains("no node of the committee has seen that"), "{open}");
    assert!(open.next_step().contains(&format!("haulout status {third}")), "{}", open.next_step());
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certification_that_a_server_makes_up_is_not_told_as_one() {
    let devnet = devnet(962).await;
    let servers: [LyingLedger; 2] = servers(&devnet).await;
    let misled = client(&devnet, &servers[..1]).await;
    let (package, blob_id) = (devnet.ids().package, id_of(&misled, 1).await);
    let lie = |blob_id: &BlobId| {
        let (blob_id, times, above) = (*blob_id.as_bytes(), 9, 0);
        Lie::Certifies { package, blob_id, times, above }
    };
    servers[0].tell(lie(&blob_id));
    let refused = try_put(&misled, 1, 1).await.unwrap_err();
    assert_eq!(servers[0].told(), 1, "it was asked once");
    assert_eq!(refused.kind(), Kind::Chain, "{refused}");
    assert!(refused.message().contains(&servers[0].url), "{refused}");
    assert!(!is_certified(&devnet, &blob_id));
    // What was paid is found by the next put.
    servers[0].tell(Lie::None);
    let done = try_put(&misled, 1, 1).await.unwrap();
    assert_eq!((done.cost.wal, done.evidence), (0, Evidence::Nodes));

    let helped = client(&devnet, &servers).await;
    let blob_id = id_of(&helped, 2).await;
    let liar = asked(&helped, &servers);
    liar.tell(lie(&blob_id));
    let told = liar.told();
    try_put(&helped, 2, 1).await.unwrap();
    assert!(liar.told() > told && is_certified(&devnet, &blob_id), "another server was asked");
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certification_in_a_checkpoint_that_never_comes_is_not_waited_for() {
    let devnet = devnet(965).await;
    let servers: [LyingLedger; 2] = servers(&devnet).await;
    let helped = client(&devnet, &servers).await;
    let (package, id) = (devnet.ids().package, id_of(&helped, 1).await);
    let liar = asked(&helped, &servers);
    liar.tell(Lie::Certifies { package, blob_id: *id.as_bytes(), times: 9, above: 1_000_000 });
    let done = try_put(&helped, 1, 1).await.unwrap();
    assert!(liar.told() > 0 && is_certified(&devnet, &id), "another server was asked");
    assert_eq!(done.evidence, Evidence::Nodes);
    // Who knows no other one hears why, and what was paid is not lost.
    let misled = client(&devnet, &servers[..1]).await;
    let id = id_of(&misled, 2).await;
    let (blob_id, times, above) = (*id.as_bytes(), 9, 1_000_000);
    servers[0].tell(Lie::Certifies { package, blob_id, times, above });
    let refused = try_put(&misled, 2, 1).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Chain, "{refused}");
    assert!(refused.message().contains("nowhere near checkpoint"), "{refused}");
    servers[0].tell(Lie::None);
    assert_eq!(try_put(&misled, 2, 1).await.unwrap().cost.wal, 0);
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gas_that_a_server_makes_dear_is_not_paid() {
    let devnet = devnet(963).await;
    let servers: [LyingLedger; 2] = servers(&devnet).await;
    let misled = client(&devnet, &servers[..1]).await;
    let owner = LedgerClient::connect(devnet.client_config("alice").unwrap()).await.unwrap();
    let before = owner.balances().await.unwrap();
    servers[0].tell(Lie::DearGas);
    let refused = try_put(&misled, 1, 1).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Chain, "{refused}");
    assert!(refused.message().contains(&servers[0].url), "{refused}");
    assert!(refused.message().contains("1000000 MIST"), "{refused}");
    assert!(refused.next_step().contains("chain.rpc"), "{}", refused.next_step());
    assert_eq!(owner.balances().await.unwrap(), before);
    servers[0].tell(Lie::None);
    let helped = client(&devnet, &servers).await;
    let liar = asked(&helped, &servers);
    liar.tell(Lie::DearGas);
    let told = liar.told();
    try_put(&helped, 1, 1).await.unwrap();
    assert!(liar.told() > told, "another server was asked");
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_a_server_makes_up_for_shared_objects_is_asked_of_others() {
    let devnet = devnet(964).await;
    let servers: [LyingLedger; 3] = servers(&devnet).await;
    // Whichever answers first is believed until a transaction is refused: in turn, each lies alone.
    for (seed, liar) in (1..).zip(&servers) {
        liar.tell(Lie::SharedLater);
        let put = try_put(&client(&devnet, &servers).await, seed, 1).await;
        assert!(put.is_ok(), "{put:?}");
        liar.tell(Lie::None);
    }
    // One alone lies when it is met, and what it said is forgotten when it tells the truth.
    servers[0].tell(Lie::SharedLater);
    let alone = client(&devnet, &servers[..1]).await;
    assert!(servers[0].told() > 0);
    let refused = try_put(&alone, 9, 1).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Chain, "{refused}");
    servers[0].tell(Lie::None);
    try_put(&alone, 9, 1).await.unwrap();
    devnet.shutdown().await;
}
