//! What one server refuses is its word alone: what it executed and denies is not paid twice, and what it makes up ends no command
//! that another server would carry out.

use std::sync::Arc;

use futures::future::join_all;
use haulout_actors::chain::{CallError, Chain, Registered, Registration, Since, Wallet};
use haulout_actors::session::upload::{self, Agreed, PutOptions, PutReport, Source};
use haulout_devnet::Devnet;
use haulout_node::config::ClientConfig;
use haulout_node::error::Kind;
use haulout_node::holdings::{Removal, Target};
use haulout_node::{LedgerClient, LightClient};
use haulout_protocol::machine::put_plan::Plan;
use haulout_tests::lying_ledger::{Lie, LyingLedger};
use haulout_tests::{quiet, sample_blob};
use tokio::net::TcpListener;

use crate::owner::bare_with;

/// Bytes of the blobs here.
const LENGTH: usize = 40_000;
/// A WAL, in FROST.
const WAL: u64 = 1_000_000_000;

/// A network, servers of its ledger that will lie, and somebody who is told the truth.
struct Desk {
    devnet: Devnet,
    servers: Vec<LyingLedger>,
    truth: LedgerClient,
}

impl Desk {
    async fn new(seed: u64, count: usize) -> Desk {
        let devnet = Devnet::builder().nodes(4).shards(4).seed(seed).segment_bytes(16 << 10);
        let devnet = devnet.start().await.unwrap();
        let mut servers = Vec::new();
        for _ in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            servers.push(LyingLedger::start(listener, devnet.rpc()).unwrap());
        }
        let truth = LedgerClient::connect(devnet.client_config("alice").unwrap()).await.unwrap();
        Desk { devnet, servers, truth }
    }

    /// Alice, who knows the first so many of the servers.
    fn config(&self, count: usize) -> ClientConfig {
        let mut config = self.devnet.client_config("alice").unwrap();
        config.chain.rpc = self.servers[..count].iter().map(|it| it.url.clone()).collect();
        config
    }

    fn server(&self, url: &str) -> &LyingLedger {
        self.servers.iter().find(|server| server.url == url).unwrap()
    }

    async fn wal(&self) -> u64 {
        self.truth.balances().await.unwrap().wal
    }

    async fn plan(&self, seed: u64) -> Agreed {
        let alice = self.devnet.client("alice").await.unwrap();
        alice.plan_put(source(seed), options(), &quiet()).await.unwrap().1
    }

    /// Registers so many blobs at once, by a plan that was made for one of them.
    async fn register(
        &self,
        (chain, wallet): &(Chain, Wallet),
        seeds: std::ops::Range<u64>,
        planned: &Agreed,
    ) -> Vec<Result<Registered, CallError>> {
        let Plan::Register { space, write } = &planned.plan else { panic!("{:?}", planned.plan) };
        let parameters = self.truth.view().position.parameters;
        // All headers first: then all of them wait when the first transaction begins.
        let headers = seeds.map(async |seed| {
            upload::header(parameters, Arc::new(source(seed)), &quiet()).await.unwrap()
        });
        let headers = join_all(headers).await;
        let registered = headers.iter().map(|header| async move {
            let registration = Registration {
                blob_id: header.blob_id(),
                root: header.blob_root(),
                encoding: header.encoding,
                length: header.length,
                deletable: true,
                write: *write,
                beside: None, // whatever the wallet has
                since: Since::default(),
            };
            chain.register_blob(wallet, &registration, (&planned.terms, space)).await
        });
        join_all(registered).await
    }
}

fn source(seed: u64) -> Source {
    Source::Memory(sample_blob(seed, LENGTH).into())
}

fn options() -> PutOptions {
    PutOptions { epochs: 3, deletable: true, force: false }
}

async fn put(client: &LightClient, seed: u64) -> PutReport {
    client.put(source(seed), options(), &quiet()).await.unwrap()
}

// One thread, so that those who share a transaction wait before it begins.
#[tokio::test]
async fn what_the_only_server_executes_and_denies_is_paid_once_and_told_as_its_word() {
    let desk = Desk::new(1_001, 1).await;
    let planned = desk.plan(1).await;
    let knows = bare_with(desk.config(1)).await;
    let mut seeds = 10..11;
    for as_before in [true, false] {
        for count in [1, 5] {
            seeds = seeds.end..seeds.end + count;
            let (before, owned) = (desk.wal().await, desk.truth.owned().await.unwrap().len());
            desk.servers[0].tell(Lie::Refuses { as_before });
            let told = desk.register(&knows, seeds.clone(), &planned).await;
            desk.servers[0].tell(Lie::None);
            let (url, mut digests) = (desk.servers[0].url.clone(), Vec::new());
            for denied in told {
                let Err(CallError::Denied { servers, digests: named, .. }) = denied else {
                    panic!("{denied:?}")
                };
                assert_eq!(servers, url);
                digests.push(named);
            }
            let count = usize::try_from(count).unwrap();
            let now = desk.truth.owned().await.unwrap().len();
            assert_eq!(now - owned, count, "each was registered once: {as_before} {digests:?}");
            assert_eq!(before - desk.wal().await, planned.plan.price() * count as u64);
        }
    }
    desk.devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_of_two_servers_executes_and_denies_is_done_and_paid_once() {
    let desk = Desk::new(1_002, 2).await;
    for (seed, as_before) in [(1, true), (2, false)] {
        let client = LightClient::connect(desk.config(2)).await.unwrap();
        let liar = desk.server(client.context().chain.as_ref().unwrap().url());
        let before = desk.wal().await;
        liar.tell(Lie::Refuses { as_before });
        let told = liar.told();
        let stored = put(&client, seed).await;
        assert!(liar.told() > told);
        assert_eq!(before - desk.wal().await, stored.plan.price());
        liar.tell(Lie::None);
        client.close().await;
    }
    assert_eq!(desk.truth.owned().await.unwrap().len(), 2);
    desk.devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_of_a_denied_transaction_names_it_and_commands_that_show_whether_it_was_paid() {
    let desk = Desk::new(1_003, 1).await;
    let client = LedgerClient::connect(desk.config(1)).await.unwrap();
    desk.servers[0].tell(Lie::Refuses { as_before: true });
    let before = desk.wal().await;
    let plan = client.plan_stake("n1", 2 * WAL).await.unwrap();
    let denied = client.stake(&plan).await.unwrap_err();
    assert_eq!((denied.kind(), denied.is_retryable()), (Kind::Chain, false), "{denied}");
    assert!(denied.message().contains(&desk.servers[0].url), "{denied}");
    assert!(denied.message().contains("this server does not like it"), "{denied}");
    assert!(denied.next_step().contains("`haulout wallet`"), "{}", denied.next_step());
    assert_eq!(before - desk.wal().await, 2 * WAL, "once");
    desk.devnet.shutdown().await;
}

#[tokio::test]
async fn a_reason_that_is_met_when_a_refused_transaction_is_built_anew_fails_one_and_not_all() {
    let desk = Desk::new(1_004, 1).await;
    let planned = desk.plan(1).await;
    let knows = bare_with(desk.config(1)).await;
    let before = desk.wal().await;
    desk.servers[0].tell(Lie::Rejects { then: Box::new(Lie::Aborts { times: 1 }) });
    let told = desk.register(&knows, 10..15, &planned).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    assert_eq!(desk.servers[0].told(), 2, "it was refused once, and aborted once");
    assert_eq!(desk.truth.owned().await.unwrap().len(), 5);
    assert_eq!(before - desk.wal().await, planned.plan.price() * 5);
    desk.devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_of_two_servers_lacks_garbles_or_aborts_is_done_by_the_other() {
    let desk = Desk::new(1_005, 2).await;
    let alice = desk.devnet.client("alice").await.unwrap();
    let object = put(&alice, 1).await.object.unwrap();
    let lies = [Lie::Lacks { object }, Lie::Cut, Lie::Aborts { times: 9 }];
    for (times, lie) in (1..).zip(lies) {
        let client = LedgerClient::connect(desk.config(2)).await.unwrap();
        let liar = desk.server(client.url());
        liar.tell(lie.clone());
        let told = liar.told();
        let plan = client.plan_extension(&Target::Object(object), 1).await;
        let done = client.extend(&plan.unwrap_or_else(|error| panic!("{lie:?}: {error}"))).await;
        assert!(done.is_ok() && liar.told() > told, "{lie:?}: {done:?}");
        liar.tell(Lie::None);
        let owned = desk.truth.owned().await.unwrap();
        assert_eq!(owned[0].storage.end_epoch, 4 + times, "{lie:?}");
    }
    // Of what none of them has, both say so; the only server is told as the one that says it.
    let client = LedgerClient::connect(desk.config(1)).await.unwrap();
    desk.servers[0].tell(Lie::Cut);
    let target = Target::Object(object);
    let refused = client.plan_removal(&target, Removal::Delete).await.unwrap_err();
    assert!(refused.message().contains(&desk.servers[0].url), "{refused}");
    assert!(refused.next_step().contains("chain.rpc"), "{}", refused.next_step());
    desk.devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_one_server_gives_another_node_is_not_staked_with() {
    let desk = Desk::new(1_006, 3).await;
    let [one, other] = [desk.devnet.ids().nodes[0], desk.devnet.ids().nodes[1]];
    let client = LedgerClient::connect(desk.config(3)).await.unwrap();
    assert_eq!(client.plan_stake("n1", 2 * WAL).await.unwrap().node_id, one);
    let liar = desk.server(client.url());
    liar.tell(Lie::Renamed { one, other });
    let refused = client.plan_stake("n1", 2 * WAL).await.unwrap_err();
    assert!(liar.told() > 0);
    assert_eq!(refused.kind(), Kind::Chain, "{refused}");
    assert!(refused.message().contains("contradict each other"), "{refused}");
    // Whoever names the id means it, and whoever knows one server believes it.
    assert_eq!(client.plan_stake(&one.to_string(), 2 * WAL).await.unwrap().node_id, one);
    desk.servers[0].tell(Lie::Renamed { one, other });
    let client = LedgerClient::connect(desk.config(1)).await.unwrap();
    assert_eq!(client.plan_stake("n1", 2 * WAL).await.unwrap().node_id, other);
    desk.devnet.shutdown().await;
}
