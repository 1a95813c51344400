//! Free storage of an owner: joined on the real ledger, used by the next put, and thrown away.

use haulout_actors::session::upload::{PutOptions, PutReport, Source};
use haulout_devnet::Devnet;
use haulout_node::LedgerClient;
use haulout_node::LightClient;
use haulout_node::error::Kind;
use haulout_node::holdings::storages::Doomed;
use haulout_node::holdings::{Removal, Target};
use haulout_tests::lying_ledger::{Lie, LyingLedger};
use haulout_tests::{quiet, sample_blob};

use crate::epochs::Epochs;
use crate::owner::bare;

async fn put(client: &LightClient, seed: u64, length: usize, epochs: u32) -> PutReport {
    let source = Source::Memory(sample_blob(seed, length).into());
    let options = PutOptions { epochs, deletable: true, force: false };
    client.put(source, options, &quiet()).await.unwrap()
}

async fn ledger(devnet: &Devnet) -> LedgerClient {
    LedgerClient::connect(devnet.client_config("alice").unwrap()).await.unwrap()
}

/// Puts a blob and deletes it: its storage is free.
async fn free(devnet: &Devnet, client: &LightClient, seed: u64, length: usize, epochs: u32) {
    let stored = put(client, seed, length, epochs).await;
    let owner = ledger(devnet).await;
    let target = Target::Blob(stored.blob_id);
    let plan = owner.plan_removal(&target, Removal::Delete).await.unwrap();
    owner.remove(&plan).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn small_storage_is_joined_for_a_blob_that_none_of_it_held_and_thrown_away_when_asked() {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(191).segment_bytes(16 << 10);
    let devnet = devnet.start().await.unwrap();
    let alice = devnet.client("alice").await.unwrap();
    // Both live at the same time, so that neither uses the storage of the other.
    let kept = put(&alice, 190, 20_000, 4).await;
    let second = put(&alice, 191, 20_000, 4).await;
    for stored in [&kept, &second] {
        let owner = ledger(&devnet).await;
        let target = Target::Blob(stored.blob_id);
        let plan = owner.plan_removal(&target, Removal::Delete).await.unwrap();
        owner.remove(&plan).await.unwrap();
    }
    // A third one ends with them and began later: their past is over.
    let (chain, _) = bare(&devnet, "alice").await;
    let large = put(&alice, 192, 60_000, 3).await; // so that what follows finds no storage that fits
    assert!(large.plan.price() > 0);
    Epochs::of(&devnet, chain).next().await;
    let owner = ledger(&devnet).await;
    let before = owner.storages().await.unwrap();
    let bytes = |all: &[haulout_protocol::chain::object::Storage]| -> u64 {
        all.iter().map(|storage| storage.storage_size).sum()
    };

    let plan = owner.plan_fusion().await.unwrap();
    assert_eq!((plan.joints.len(), plan.objects(), plan.is_part), (1, before.len(), false));
    let paid = owner.fuse(&plan).await.unwrap();
    assert!(paid.gas > 0);
    let after = owner.storages().await.unwrap();
    let [joined] = after.as_slice() else { panic!("{after:?}") };
    assert_eq!((joined.storage_size, joined.end_epoch), (bytes(&before), before[0].end_epoch));
    let told = &plan.joints[0];
    assert_eq!((told.bytes, told.start_epoch), (joined.storage_size, joined.start_epoch));
    assert!(owner.plan_fusion().await.unwrap().joints.is_empty(), "there is nothing left to join");

    // The next put lives in what none of the parts could hold.
    let stored = put(&alice, 193, 40_000, 3).await;
    let space = stored.plan.space().unwrap();
    assert!(space.bought.is_none() && space.reused.is_some(), "{space:?}");
    assert!(space.need.bytes > before.iter().map(|one| one.storage_size).max().unwrap());

    // What is left can be thrown away, by its owner and once.
    free(&devnet, &alice, 194, 20_000, 1).await;
    let owner = ledger(&devnet).await;
    let all: Vec<_> = owner.storages().await.unwrap().iter().map(|storage| storage.id).collect();
    assert!(!all.is_empty());
    assert!(owner.plan_destruction(&Doomed::Expired).await.unwrap().storages.is_empty());
    let plan = owner.plan_destruction(&Doomed::Objects(all.clone())).await.unwrap();
    owner.destroy(&plan).await.unwrap();
    assert!(ledger(&devnet).await.storages().await.unwrap().is_empty());
    let again = owner.plan_destruction(&Doomed::Objects(all)).await.unwrap_err();
    assert_eq!(again.kind(), Kind::NotFound);
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_began_earlier_loses_its_past_to_be_joined_and_what_is_over_is_swept_away() {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(192).segment_bytes(16 << 10);
    let devnet = devnet.start().await.unwrap();
    let alice = devnet.client("alice").await.unwrap();
    free(&devnet, &alice, 195, 20_000, 3).await;
    // It does not fit into what the first one left, and is over after this epoch.
    free(&devnet, &alice, 196, 60_000, 1).await;
    let (chain, _) = bare(&devnet, "alice").await;
    Epochs::of(&devnet, chain).next().await;
    let epoch = ledger(&devnet).await.calendar().epoch;
    // Storage that ends with the first one, and begins now.
    free(&devnet, &alice, 197, 50_000, 2).await;

    let owner = ledger(&devnet).await;
    let swept = owner.plan_destruction(&Doomed::Expired).await.unwrap();
    assert_eq!(swept.storages.len(), 1, "{swept:?}");
    owner.destroy(&swept).await.unwrap();

    let all = ledger(&devnet).await.storages().await.unwrap();
    let plan = ledger(&devnet).await.plan_fusion().await.unwrap();
    assert_eq!(plan.objects(), all.len(), "{all:?}");
    owner.fuse(&plan).await.unwrap();
    let joined = ledger(&devnet).await.storages().await.unwrap();
    assert_eq!(joined.len(), 1, "{joined:?}");
    let sum: u64 = all.iter().map(|storage| storage.storage_size).sum();
    assert_eq!((joined[0].storage_size, joined[0].start_epoch), (sum, epoch), "{all:?}");
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_makes_up_a_late_epoch_takes_no_storage_and_no_time_of_any() {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(198).segment_bytes(16 << 10);
    let devnet = devnet.start().await.unwrap();
    let alice = devnet.client("alice").await.unwrap();
    // Two that fit together once the first has lost its past, and one that is over soon.
    free(&devnet, &alice, 201, 20_000, 9).await;
    let (chain, _) = bare(&devnet, "alice").await;
    Epochs::of(&devnet, chain).next().await;
    free(&devnet, &alice, 202, 60_000, 8).await;
    free(&devnet, &alice, 203, 100_000, 2).await;
    let truth = ledger(&devnet).await;
    assert_eq!(truth.plan_fusion().await.unwrap().joints[0].start_epoch, 2, "that is proven");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let liar = LyingLedger::start(listener, devnet.rpc()).unwrap();
    let mut config = devnet.client_config("alice").unwrap();
    config.chain.rpc = vec![liar.url.clone()];
    let before = truth.storages().await.unwrap();
    let (system, staking) = (devnet.ids().system, devnet.ids().staking);
    liar.tell(Lie::LateEpoch { system, staking, by: 5 });
    let misled = LedgerClient::connect(config).await.unwrap();
    assert_eq!(misled.calendar().epoch, 7, "what costs nothing is believed");
    for plan in [
        misled.plan_destruction(&Doomed::Expired).await.map(|plan| format!("{plan:?}")),
        misled.plan_fusion().await.map(|plan| format!("{plan:?}")),
    ] {
        let refused = plan.unwrap_err();
        assert_eq!(refused.kind(), Kind::Chain, "{refused}");
        assert!(refused.next_step().contains("chain.rpc"), "{}", refused.next_step());
    }
    assert!(liar.told() > 0);
    // What an owner names is meant, whatever epoch it is.
    let named = Doomed::Objects(vec![before[0].id]);
    assert_eq!(misled.plan_destruction(&named).await.unwrap().storages.len(), 1);
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_makes_up_the_end_of_storage_or_another_transaction_destroys_none_that_lives()
{
    let devnet = Devnet::builder().nodes(4).shards(4).seed(204).segment_bytes(16 << 10);
    let devnet = devnet.start().await.unwrap();
    let alice = devnet.client("alice").await.unwrap();
    free(&devnet, &alice, 205, 20_000, 9).await;
    let (chain, _) = bare(&devnet, "alice").await;
    Epochs::of(&devnet, chain).next().await;
    let truth = ledger(&devnet).await;
    let before = truth.storages().await.unwrap();
    let [lives] = before.as_slice() else { panic!("{before:?}") };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let liar = LyingLedger::start(listener, devnet.rpc()).unwrap();
    let mut config = devnet.client_config("alice").unwrap();
    config.chain.rpc = vec![liar.url.clone()];
    let misled = LedgerClient::connect(config).await.unwrap();
    for in_itself in [false, true] {
        liar.tell(Lie::StorageOver { object: lives.id, in_itself });
        let plan = misled.plan_destruction(&Doomed::Expired).await.unwrap();
        assert_eq!(plan.storages.len(), 1, "a list is believed until something is lost by it");
        let refused = misled.destroy(&plan).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Chain, "{refused}");
        let told = refused.message();
        assert!(told.contains(&liar.url) && told.contains(&lives.id.to_string()), "{told}");
        assert!(refused.next_step().contains("chain.rpc"), "{}", refused.next_step());
        assert_eq!(truth.storages().await.unwrap(), before, "nothing is lost");
    }
    // What is signed is what was meant, whatever the server makes of it when it is tried.
    liar.tell(Lie::OtherTransaction);
    let told = liar.told();
    let plan = misled.plan_destruction(&Doomed::Objects(vec![lives.id])).await.unwrap();
    misled.destroy(&plan).await.unwrap();
    assert!(liar.told() > told);
    assert!(truth.storages().await.unwrap().is_empty(), "that is what was asked for");
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_a_server_calls_another_one_is_not_joined_in_its_place() {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(206).segment_bytes(16 << 10);
    let devnet = devnet.start().await.unwrap();
    let alice = devnet.client("alice").await.unwrap();
    let truth = ledger(&devnet).await;
    let mut blobs = Vec::new();
    for (seed, length, epochs) in [(206, 20_000, 4), (207, 20_000, 4), (208, 60_000, 2)] {
        blobs.push(put(&alice, seed, length, epochs).await.blob_id);
    }
    for blob in blobs {
        let plan = truth.plan_removal(&Target::Blob(blob), Removal::Delete).await.unwrap();
        truth.remove(&plan).await.unwrap();
    }
    let before = truth.storages().await.unwrap();
    assert_eq!(before.len(), 3);
    let one = before.iter().find(|storage| storage.end_epoch == 5).unwrap().id;
    let other = before.iter().find(|storage| storage.end_epoch == 3).unwrap().id;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let liar = LyingLedger::start(listener, devnet.rpc()).unwrap();
    let mut config = devnet.client_config("alice").unwrap();
    config.chain.rpc = vec![liar.url.clone()];
    let misled = LedgerClient::connect(config).await.unwrap();
    liar.tell(Lie::Swapped { one, other, in_itself: false });
    let plan = misled.plan_fusion().await.unwrap();
    assert!(plan.joints[0].piece.objects().contains(&other), "a list is believed until then");
    let refused = misled.fuse(&plan).await.unwrap_err();
    assert!(refused.message().contains("nothing was executed"), "{refused}");
    assert!(refused.message().contains(&liar.url), "{refused}");
    assert_eq!(truth.storages().await.unwrap(), before);
    devnet.shutdown().await;
}
