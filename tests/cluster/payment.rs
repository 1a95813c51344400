//! What a put pays follows from what the ledger says: never again for what the caller has, and never with what
//! somebody else can take away.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use haulout_actors::chain::{CallError, Chain, Registered, Registration, Since, Wallet};
use haulout_actors::session::upload::{self, Agreed, Evidence, PutOptions, PutReport, Source};
use haulout_devnet::Devnet;
use haulout_node::error::Kind;
use haulout_node::holdings::{Removal, Target};
use haulout_node::{LedgerClient, LightClient};
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::machine::put_plan::Plan;
use haulout_tests::lying_ledger::{Lie, LyingLedger};
use haulout_tests::{eventually, get, quiet, sample_blob};
use tokio::task::JoinSet;

use crate::crossing::reach;
use crate::owner::{bare, bare_with};

const EPOCH: Duration = Duration::from_secs(600);

/// Bytes of the blobs here.
const LENGTH: usize = 40_000;

async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(seed).segment_bytes(16 << 10);
    devnet.epoch(EPOCH).start().await.unwrap()
}

async fn ledger(devnet: &Devnet, account: &str) -> LedgerClient {
    LedgerClient::connect(devnet.client_config(account).unwrap()).await.unwrap()
}

fn source(seed: u64) -> Source {
    Source::Memory(sample_blob(seed, LENGTH).into())
}

fn options(epochs: u32, deletable: bool) -> PutOptions {
    PutOptions { epochs, deletable, force: false }
}

async fn put(client: &LightClient, seed: u64, epochs: u32, deletable: bool) -> PutReport {
    client.put(source(seed), options(epochs, deletable), &quiet()).await.unwrap()
}

/// Puts, and checks that the plan shown before is the one carried out, for what it said.
async fn put_as_planned(
    client: &LightClient,
    owner: &LedgerClient,
    seed: u64,
    options: PutOptions,
) -> PutReport {
    let (blob_id, agreed) = client.plan_put(source(seed), options, &quiet()).await.unwrap();
    let before = owner.balances().await.unwrap().wal;
    let report = client.put(source(seed), options, &quiet()).await.unwrap();
    assert_eq!((report.blob_id, &report.plan), (blob_id, &agreed.plan));
    assert_eq!(before - owner.balances().await.unwrap().wal, agreed.plan.price());
    assert_eq!(report.cost.wal, agreed.plan.price());
    assert_eq!(report.end_epoch, agreed.plan.end_epoch());
    report
}

async fn remove(owner: &LedgerClient, blob_id: BlobId) {
    let plan = owner.plan_removal(&Target::Blob(blob_id), Removal::Delete).await.unwrap();
    owner.remove(&plan).await.unwrap();
}

/// Registers a blob by a plan that was made while the wallet had no object of it, and stores no byte.
async fn register(
    chain: &Chain,
    wallet: &Wallet,
    owner: &LedgerClient,
    seed: u64,
    planned: &Agreed,
) -> Result<Registered, CallError> {
    register_header(chain, wallet, &header_of(owner, seed).await, planned).await
}

async fn header_of(owner: &LedgerClient, seed: u64) -> BlobHeader {
    let parameters = owner.view().position.parameters;
    upload::header(parameters, Arc::new(source(seed)), &quiet()).await.unwrap()
}

async fn register_header(
    chain: &Chain,
    wallet: &Wallet,
    header: &BlobHeader,
    planned: &Agreed,
) -> Result<Registered, CallError> {
    let Plan::Register { space, write } = &planned.plan else { panic!("{:?}", planned.plan) };
    let registration = Registration {
        blob_id: header.blob_id(),
        root: header.blob_root(),
        encoding: header.encoding,
        length: header.length,
        deletable: true,
        write: *write,
        beside: Some(&[]),
        since: Since::default(),
    };
    chain.register_blob(wallet, &registration, (&planned.terms, space)).await
}

/// Bytes of blobs on all nodes.
fn held(devnet: &Devnet) -> u64 {
    let nodes = (0..devnet.members()).filter_map(|index| devnet.node(index));
    nodes.map(|node| node.context().store.usage().unwrap().content_bytes).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_can_delete_is_bought_again_without_sending_it_again() {
    let devnet = devnet(171).await;
    let (alice, bob) = (devnet.client("alice").await.unwrap(), devnet.client("bob").await.unwrap());
    let first = put(&alice, 171, 3, true).await;
    let stored = held(&devnet);
    let second = put_as_planned(&bob, &ledger(&devnet, "bob").await, 171, options(3, true)).await;
    assert!(matches!(second.plan, Plan::Register { .. }), "{:?}", second.plan);
    assert_ne!((second.object, second.blob_id), (first.object, BlobId::from_bytes([0; 32])));
    assert_eq!(held(&devnet), stored, "nodes hold the bytes, and only confirm for bob's object");
    remove(&ledger(&devnet, "alice").await, first.blob_id).await;
    let (chain, _) = bare(&devnet, "alice").await;
    let after = chain.latest_checkpoint().await.unwrap();
    for node in (0..devnet.members()).filter_map(|index| devnet.node(index)) {
        node.context().position.until(after).await;
    }
    assert_eq!(get(&bob, &second.blob_id).await.unwrap(), sample_blob(171, LENGTH));
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_blob_is_made_when_asked_for_and_serves_everybody_while_it_lasts() {
    let devnet = devnet(172).await;
    let (alice, bob) = (devnet.client("alice").await.unwrap(), devnet.client("bob").await.unwrap());
    let (owner, other) = (ledger(&devnet, "alice").await, ledger(&devnet, "bob").await);
    let deletable = put(&alice, 172, 3, true).await;
    let permanent = put_as_planned(&alice, &owner, 172, options(3, false)).await;
    assert_ne!(permanent.object, deletable.object);
    let owned = owner.owned().await.unwrap();
    let made = owned.iter().find(|blob| Some(blob.id) == permanent.object).unwrap();
    assert!(!made.deletable && made.certified_epoch.is_some());
    // Who asks for no more than that has it, as soon as the nodes have read it.
    let id = permanent.blob_id;
    eventually("every node knows the permanent object", async || {
        (0..devnet.members()).filter_map(|index| devnet.node(index)).all(|node| {
            let record = node.context().store.blob(&id).unwrap().unwrap();
            record.objects.iter().any(|one| !one.deletable && one.certified_epoch.is_some())
        })
    })
    .await;
    for deletable in [true, false] {
        let kept = put_as_planned(&bob, &other, 172, options(3, deletable)).await;
        assert!(matches!(kept.plan, Plan::Nothing { existing: None, .. }), "{:?}", kept.plan);
        assert_eq!((kept.object, kept.cost.wal, kept.cost.gas), (None, 0, 0));
    }
    let longer = put_as_planned(&bob, &other, 172, options(4, true)).await;
    assert!(matches!(longer.plan, Plan::Register { .. }) && longer.object.is_some());
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_the_wallet_owns_is_not_paid_again_even_if_no_node_answers() {
    let mut devnet = devnet(173).await;
    let alice = devnet.client("alice").await.unwrap();
    let stored = put(&alice, 173, 3, true).await;
    for index in 0..4 {
        devnet.stop_node(index).await;
    }
    let again =
        put_as_planned(&alice, &ledger(&devnet, "alice").await, 173, options(3, true)).await;
    assert!(matches!(again.plan, Plan::Nothing { existing: Some(_), .. }), "{:?}", again.plan);
    assert_eq!((again.object, again.cost.gas), (stored.object, 0));
    assert_eq!(again.evidence, Evidence::Ledger, "it is not one server's word");
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_owned_for_too_short_is_extended_by_what_is_missing() {
    let devnet = devnet(174).await;
    let alice = devnet.client("alice").await.unwrap();
    let stored = put(&alice, 174, 3, true).await;
    reach(&devnet, 2).await;
    let owner = ledger(&devnet, "alice").await;
    let extended = put_as_planned(&alice, &owner, 174, options(3, true)).await;
    assert!(matches!(extended.plan, Plan::Extend { .. }), "{:?}", extended.plan);
    assert_eq!((extended.object, extended.end_epoch), (stored.object, stored.end_epoch + 1));
    let quote = owner.quote(LENGTH as u64, 1).unwrap();
    assert_eq!(extended.cost.wal, quote.storage, "one epoch, and no writing");
    let owned = owner.owned().await.unwrap();
    assert_eq!((owned.len(), owned[0].storage.end_epoch), (1, stored.end_epoch + 1));
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_of_deleted_blobs_is_used_cut_to_size_before_more_is_bought() {
    let devnet = devnet(175).await;
    let alice = devnet.client("alice").await.unwrap();
    let owner = ledger(&devnet, "alice").await;
    let large = sample_blob(175, 3 * LENGTH);
    let large = alice.put(Source::Memory(large.into()), options(5, true), &quiet()).await.unwrap();
    remove(&owner, large.blob_id).await;
    let [freed] = owner.storages().await.unwrap().try_into().unwrap();

    // Shorter and smaller: it takes a part, in time and in size, and pays for the writing alone.
    let small = put_as_planned(&alice, &owner, 1_175, options(2, true)).await;
    let Plan::Register { space, write } = &small.plan else { panic!("{:?}", small.plan) };
    assert_eq!(space.reused.as_ref().map(|cut| (cut.storage.id, cut.count())), Some((freed.id, 2)));
    assert_eq!((space.price(), small.cost.wal), (0, *write));
    let quote = owner.quote(LENGTH as u64, 2).unwrap();
    assert_eq!(space.saved, quote.storage);
    let rests = owner.storages().await.unwrap();
    let mut rests: Vec<_> =
        rests.iter().map(|one| (one.start_epoch, one.end_epoch, one.storage_size)).collect();
    rests.sort_unstable();
    let rest = freed.storage_size - quote.encoded_bytes;
    let (start, end) = (freed.start_epoch, freed.end_epoch);
    assert_eq!(rests, [(start, start + 2, rest), (start + 2, end, freed.storage_size)]);

    // A blob that ends where the later part begins is prolonged with it.
    let longer = put_as_planned(&alice, &owner, 1_175, options(4, true)).await;
    assert!(matches!(longer.plan, Plan::Extend { .. }), "{:?}", longer.plan);
    assert_eq!((longer.object, longer.cost.wal), (small.object, 0));
    assert_eq!(longer.end_epoch, small.end_epoch + 2);

    // What covers only the first epochs is used for these, and the others are bought.
    let third = put_as_planned(&alice, &owner, 2_175, options(3, true)).await;
    let Plan::Register { space, write } = &third.plan else { panic!("{:?}", third.plan) };
    let one_epoch = owner.quote(LENGTH as u64, 1).unwrap().storage;
    assert_eq!((space.price(), third.cost.wal), (one_epoch, one_epoch + write));
    assert_eq!(get(&alice, &third.blob_id).await.unwrap(), sample_blob(2_175, LENGTH));
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_put_is_finished_and_only_its_missing_epochs_are_paid() {
    let devnet = devnet(176).await;
    let alice = devnet.client("alice").await.unwrap();
    let owner = ledger(&devnet, "alice").await;
    let (chain, wallet) = bare(&devnet, "alice").await;
    // A put that died after its registration.
    let planned = alice.plan_put(source(176), options(2, true), &quiet()).await.unwrap().1;
    let registered = register(&chain, &wallet, &owner, 176, &planned).await.unwrap();
    // Another one, planned at the same time, comes too late.
    let late = register(&chain, &wallet, &owner, 176, &planned).await.unwrap_err();
    assert!(matches!(late, CallError::Outdated { .. }), "{late:?}");

    let permanent = alice.plan_put(source(176), options(2, false), &quiet()).await.unwrap().1;
    assert!(matches!(permanent.plan, Plan::Register { .. }), "{:?}", permanent.plan);
    let finished = put_as_planned(&alice, &owner, 176, options(3, true)).await;
    assert!(matches!(finished.plan, Plan::Certify { .. }), "{:?}", finished.plan);
    assert_eq!(finished.object, Some(registered.object));
    assert_eq!(finished.cost.wal, owner.quote(LENGTH as u64, 1).unwrap().storage);
    let [blob] = owner.owned().await.unwrap().try_into().unwrap();
    assert_eq!((blob.certified_epoch, blob.storage.end_epoch), (Some(1), 4));
    assert_eq!(get(&alice, &finished.blob_id).await.unwrap(), sample_blob(176, LENGTH));
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_that_want_the_same_free_storage_all_succeed_and_one_gets_it() {
    let devnet = devnet(177).await;
    let alice = devnet.client("alice").await.unwrap();
    let owner = ledger(&devnet, "alice").await;
    let stored = put(&alice, 177, 3, true).await;
    remove(&owner, stored.blob_id).await;
    // Two programs with one wallet: neither knows what the other plans.
    let second = devnet.client("alice").await.unwrap();
    let (one, other) = tokio::join!(put(&alice, 1_177, 3, true), put(&second, 2_177, 3, true));
    let reuses = |report: &PutReport| report.plan.space().is_some_and(|it| it.reused.is_some());
    assert_eq!([&one, &other].into_iter().filter(|report| reuses(report)).count(), 1);
    let quote = owner.quote(LENGTH as u64, 3).unwrap();
    assert_eq!(one.cost.wal + other.cost.wal, quote.storage + 2 * quote.write);
    assert!(owner.storages().await.unwrap().is_empty());
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_of_one_blob_that_overlap_pay_one_registration_and_one_extension() {
    let devnet = devnet(179).await;
    let owner = ledger(&devnet, "alice").await;
    let (first, second) =
        (devnet.client("alice").await.unwrap(), devnet.client("alice").await.unwrap());
    let before = owner.balances().await.unwrap().wal;
    let (one, other) = tokio::join!(put(&first, 179, 3, true), put(&second, 179, 3, true));
    assert_eq!((one.object, one.end_epoch), (other.object, other.end_epoch));
    let [registered] = owner.owned().await.unwrap().try_into().unwrap();
    let quote = owner.quote(LENGTH as u64, 3).unwrap();
    let after = owner.balances().await.unwrap().wal;
    assert_eq!(before - after, quote.storage + quote.write);
    assert_eq!(one.cost.wal + other.cost.wal, before - after, "and only one says that it paid");

    let (one, other) = tokio::join!(put(&first, 179, 5, true), put(&second, 179, 5, true));
    let [extended] = owner.owned().await.unwrap().try_into().unwrap();
    assert_eq!((extended.id, extended.storage.end_epoch), (registered.id, 6));
    assert_eq!((one.end_epoch, other.end_epoch), (6, 6));
    let paid = after - owner.balances().await.unwrap().wal;
    assert_eq!(paid, owner.quote(LENGTH as u64, 2).unwrap().storage);
    assert_eq!(one.cost.wal + other.cost.wal, paid);

    // So do two that finish what was interrupted: the certificate and the missing epochs come once.
    let planned = first.plan_put(source(1_179), options(2, true), &quiet()).await.unwrap().1;
    let (chain, wallet) = bare(&devnet, "alice").await;
    let interrupted = register(&chain, &wallet, &owner, 1_179, &planned).await.unwrap();
    let before = owner.balances().await.unwrap().wal;
    let (one, other) = tokio::join!(put(&first, 1_179, 3, true), put(&second, 1_179, 3, true));
    assert_eq!([one.object, other.object], [Some(interrupted.object); 2]);
    assert_eq!((one.end_epoch, other.end_epoch), (4, 4));
    let paid = before - owner.balances().await.unwrap().wal;
    assert_eq!(paid, owner.quote(LENGTH as u64, 1).unwrap().storage);

    // An extension planned before the end moved is refused, whoever asks for it.
    let (meant, planned) = first.plan_put(source(179), options(7, true), &quiet()).await.unwrap();
    let Plan::Extend { existing, space } = &planned.plan else { panic!("{:?}", planned.plan) };
    let (blob, plan) = ((&meant, &existing.object), (&planned.terms, space));
    // Nor does anybody pay for another blob in its place.
    let another = (&one.blob_id, &existing.object);
    let other = chain.prolong_blob(&wallet, another, plan).await.unwrap_err();
    assert!(matches!(other, CallError::NotAsShown { .. }), "{other:?}");
    chain.prolong_blob(&wallet, blob, plan).await.unwrap();
    let late = chain.prolong_blob(&wallet, blob, plan).await.unwrap_err();
    assert!(matches!(late, CallError::Outdated { .. }), "{late:?}");
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_puts_at_once_all_succeed_and_equal_bytes_are_paid_once() {
    let devnet = devnet(180).await;
    let owner = ledger(&devnet, "alice").await;
    // Two programs with one wallet: each puts blobs of its own and some of the other's, some of them twice.
    let programs = [devnet.client("alice").await.unwrap(), devnet.client("alice").await.unwrap()];
    let programs = programs.map(Arc::new);
    let before = owner.balances().await.unwrap().wal;
    let mut puts = JoinSet::new();
    for number in 0..24u64 {
        let program = programs[usize::from(number % 3 == 0)].clone();
        puts.spawn(async move { put(&program, 1_800 + number % 16, 3, true).await });
    }
    let reports = puts.join_all().await;
    let owned = owner.owned().await.unwrap();
    let blobs: BTreeSet<_> = owned.iter().map(|blob| blob.blob_id).collect();
    assert_eq!((owned.len(), blobs.len()), (16, 16), "one object for each");
    assert!(owned.iter().all(|blob| blob.certified_epoch.is_some()));
    let quote = owner.quote(LENGTH as u64, 3).unwrap();
    let paid = before - owner.balances().await.unwrap().wal;
    assert_eq!(paid, 16 * (quote.storage + quote.write));
    assert_eq!(reports.iter().map(|report| report.cost.wal).sum::<u64>(), paid);
    devnet.shutdown().await;
}

// One thread, so that all wait before the first transaction begins.
#[tokio::test]
async fn a_server_that_denies_what_it_executed_has_no_blob_of_a_shared_transaction_paid_twice() {
    let devnet = devnet(183).await;
    let owner = ledger(&devnet, "alice").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let liar = LyingLedger::start(listener, devnet.rpc()).unwrap();
    let mut config = devnet.client_config("alice").unwrap();
    config.chain.rpc = vec![liar.url.clone()];
    let (chain, wallet) = bare_with(config).await;
    let alice = devnet.client("alice").await.unwrap();
    let (_, planned) = alice.plan_put(source(1_830), options(3, true), &quiet()).await.unwrap();
    let before = owner.balances().await.unwrap().wal;
    liar.tell(Lie::Denies);
    let headers = join_all((1_830..1_835).map(|seed| header_of(&owner, seed))).await;
    let all = headers.iter().map(|header| register_header(&chain, &wallet, header, &planned));
    for denied in join_all(all).await {
        assert!(matches!(denied, Err(CallError::Failed { .. })), "{denied:?}");
    }
    assert!(liar.told() < 5, "they shared: {}", liar.told());
    let owned = owner.owned().await.unwrap();
    let blobs: BTreeSet<_> = owned.iter().map(|blob| blob.blob_id).collect();
    assert_eq!((owned.len(), blobs.len()), (5, 5), "each was registered once");
    assert_eq!(before - owner.balances().await.unwrap().wal, 5 * planned.plan.price());
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_and_its_dry_run_refuse_the_same_epochs_with_the_same_words() {
    let devnet = devnet(178).await;
    let alice = devnet.client("alice").await.unwrap();
    let owner = ledger(&devnet, "alice").await;
    let most = owner.view().position.market.epochs_ahead_max;
    let before = owner.balances().await.unwrap();
    let too_many = options(most + 1, true);
    let planned = alice.plan_put(source(178), too_many, &quiet()).await.unwrap_err();
    let refused = alice.put(source(178), too_many, &quiet()).await.unwrap_err();
    assert_eq!((planned.kind(), planned.message()), (refused.kind(), refused.message()));
    assert_eq!(refused.kind(), Kind::Usage);
    assert!(refused.next_step().contains(&format!("--epochs {most}")), "{refused}");
    assert_eq!(owner.balances().await.unwrap(), before);
    assert_eq!(put(&alice, 178, most, true).await.end_epoch, 1 + most);
    devnet.shutdown().await;
}
