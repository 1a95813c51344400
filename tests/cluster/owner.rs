//! Owners see, extend and remove what is theirs, and nobody else does.

use haulout_actors::chain::{CallError, Chain, ChainOptions, Extension, Found, Wallet};
use haulout_actors::session::upload::{PutOptions, PutReport, Source};
use haulout_devnet::Devnet;
use haulout_node::config::ClientConfig;
use haulout_node::error::Kind;
use haulout_node::holdings::{Removal, State, Target};
use haulout_node::{LedgerClient, LightClient, keys};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::object::Blob;
use haulout_tests::{eventually, get, quiet, sample_blob};

/// The epochs that a put buys here.
const EPOCHS: u32 = 3;

async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(seed).segment_bytes(16 << 10);
    devnet.start().await.unwrap()
}

async fn store(client: &LightClient, seed: u64, deletable: bool, force: bool) -> PutReport {
    let source = Source::Memory(sample_blob(seed, 20_000).into());
    let options = PutOptions { epochs: EPOCHS, deletable, force };
    client.put(source, options, &quiet()).await.unwrap()
}

async fn ledger(devnet: &Devnet, account: &str) -> LedgerClient {
    LedgerClient::connect(devnet.client_config(account).unwrap()).await.unwrap()
}

/// What the ledger shows of a blob object.
async fn found(chain: &Chain, id: &ObjectId) -> Blob {
    match chain.find_blob(id).await.unwrap() {
        Some(Found::Blob(blob, _)) => *blob,
        other => panic!("{other:?}"),
    }
}

/// The ledger without our checks before it, and an account's key.
pub(crate) async fn bare(devnet: &Devnet, account: &str) -> (Chain, Wallet) {
    bare_with(devnet.client_config(account).unwrap()).await
}

/// As [`bare`], with this configuration.
pub(crate) async fn bare_with(config: ClientConfig) -> (Chain, Wallet) {
    let options = ChainOptions {
        urls: config.chain.rpc,
        package: config.chain.package,
        system: config.chain.system,
        staking: config.chain.staking,
        params: config.chain.params,
        treasury: config.chain.treasury,
        patience: std::time::Duration::from_secs(30),
        turns: None,
        trusted: config.chain.trusted,
    };
    let wallet = keys::load_wallet(&config.wallet.unwrap()).unwrap();
    (Chain::connect(options).await.unwrap(), wallet)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_lists_extends_and_deletes_a_blob_and_then_it_is_gone() {
    let devnet = devnet(71).await;
    let alice = devnet.client("alice").await.unwrap();
    let owner = ledger(&devnet, "alice").await;
    let stored = store(&alice, 71, true, false).await;
    let listed = owner.owned().await.unwrap();
    let [blob] = listed.as_slice() else { panic!("{} blobs", listed.len()) };
    assert_eq!((Some(blob.id), blob.storage.end_epoch), (stored.object, stored.end_epoch));
    assert_eq!(State::of(blob, owner.calendar().epoch), State::Certified);

    let target = Target::Blob(stored.blob_id);
    let before = owner.balances().await.unwrap();
    let plan = owner.plan_extension(&target, 2).await.unwrap();
    assert_eq!(owner.balances().await.unwrap(), before, "a plan costs nothing");
    owner.extend(&plan).await.unwrap();
    let after = owner.balances().await.unwrap();
    assert_eq!(before.wal - after.wal, plan.total, "exactly what was shown is paid");
    assert!(plan.total > 0 && after.sui < before.sui);
    let end = owner.owned().await.unwrap()[0].storage.end_epoch;
    assert_eq!(end, stored.end_epoch + 2);

    let plan = owner.plan_removal(&target, Removal::Delete).await.unwrap();
    owner.remove(&plan).await.unwrap();
    assert!(owner.owned().await.unwrap().is_empty());
    let (chain, _) = bare(&devnet, "alice").await;
    let freed = chain.find_blob(&blob.storage.id).await.unwrap();
    assert!(format!("{freed:?}").contains("::storage::Storage"), "{freed:?}");
    // Readers still get it, or hear that it is gone; a deleted blob is never called unavailable.
    let gone = async || match get(&alice, &stored.blob_id).await {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), Kind::NotFound, "{error}");
            true
        }
    };
    eventually("no node has the deleted blob", gone).await;
    let again = owner.plan_removal(&Target::Object(blob.id), Removal::Delete).await.unwrap_err();
    assert_eq!(again.kind(), Kind::NotFound);
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_neither_extends_nor_removes_a_blob() {
    let devnet = devnet(72).await;
    let alice = devnet.client("alice").await.unwrap();
    let stored = store(&alice, 72, true, false).await;
    let object = stored.object.unwrap();
    let stranger = ledger(&devnet, "bob").await;
    assert!(stranger.owned().await.unwrap().is_empty());
    for (target, kind) in
        [(Target::Blob(stored.blob_id), Kind::NotFound), (Target::Object(object), Kind::Permission)]
    {
        let refused = stranger.plan_extension(&target, 1).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        for removal in [Removal::Delete, Removal::Burn] {
            let refused = stranger.plan_removal(&target, removal).await.unwrap_err();
            assert_eq!(refused.kind(), kind, "{refused}");
        }
    }
    // What is signed is looked at once more.
    let (chain, wallet) = bare(&devnet, "bob").await;
    let blob = found(&chain, &object).await;
    let extension = Extension { blob: blob.clone(), epochs: 1, price: 1_000_000 };
    let attempts = [
        chain.extend_blobs(&wallet, &[extension]).await,
        chain.delete_blobs(&wallet, &[blob]).await,
    ];
    for attempt in attempts {
        let refused = attempt.unwrap_err();
        assert!(matches!(refused, CallError::NotOurs { .. }), "{refused:?}");
    }
    assert_eq!(get(&alice, &stored.blob_id).await.unwrap(), sample_blob(72, 20_000));
    let untouched = ledger(&devnet, "alice").await.owned().await.unwrap();
    assert_eq!(untouched[0].storage.end_epoch, stored.end_epoch);
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_blob_stays_readable_even_when_its_object_is_burned() {
    let devnet = devnet(73).await;
    let alice = devnet.client("alice").await.unwrap();
    let owner = ledger(&devnet, "alice").await;
    let stored = store(&alice, 73, false, false).await;
    let target = Target::Blob(stored.blob_id);
    let refused = owner.plan_removal(&target, Removal::Delete).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Permission);
    assert!(refused.next_step().contains("--burn"), "{}", refused.next_step());
    // And the sentence of the ledger's own refusal reaches the user.
    let (chain, wallet) = bare(&devnet, "alice").await;
    let blob = found(&chain, &stored.object.unwrap()).await;
    let aborted = chain.delete_blobs(&wallet, &[blob]).await.unwrap_err();
    assert_eq!(aborted.abort(), Some(Abort::NotDeletable));
    let told = haulout_node::Error::from(aborted);
    assert_eq!(told.kind(), Kind::Chain);
    assert!(told.message().contains("permanent until its storage ends"), "{told}");

    let plan = owner.plan_removal(&target, Removal::Burn).await.unwrap();
    owner.remove(&plan).await.unwrap();
    assert!(owner.owned().await.unwrap().is_empty());
    assert_eq!(get(&alice, &stored.blob_id).await.unwrap(), sample_blob(73, 20_000));
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_objects_of_a_blob_change_together_and_never_for_more_than_was_agreed() {
    let devnet = devnet(74).await;
    let alice = devnet.client("alice").await.unwrap();
    let owner = ledger(&devnet, "alice").await;
    let stored = store(&alice, 74, true, false).await;
    let second = store(&alice, 74, true, true).await;
    assert_eq!(stored.blob_id, second.blob_id);
    let target = Target::Blob(stored.blob_id);
    let plan = owner.plan_extension(&target, 1).await.unwrap();
    assert_eq!(plan.objects.len(), 2);

    let (chain, wallet) = bare(&devnet, "alice").await;
    let mut cheap = plan.calls();
    cheap[1].price -= 1;
    let refused = chain.extend_blobs(&wallet, &cheap).await.unwrap_err();
    assert_eq!(refused.abort(), Some(Abort::PriceAboveLimit));
    let ends = async || -> Vec<u32> {
        owner.owned().await.unwrap().iter().map(|blob| blob.storage.end_epoch).collect()
    };
    assert_eq!(ends().await, [stored.end_epoch; 2], "the first was not extended either");
    owner.extend(&plan).await.unwrap();
    assert_eq!(ends().await, [stored.end_epoch + 1; 2]);

    let most = owner.view().position.market.epochs_ahead_max;
    let refused = owner.plan_extension(&target, most).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Usage);
    let one = Target::Object(plan.objects[0].0.id);
    let one = owner.plan_removal(&one, Removal::Delete).await.unwrap();
    owner.remove(&one).await.unwrap();
    assert_eq!(owner.owned().await.unwrap().len(), 1);
    let rest = owner.plan_removal(&target, Removal::Delete).await.unwrap();
    owner.remove(&rest).await.unwrap();
    assert!(owner.owned().await.unwrap().is_empty());
    devnet.shutdown().await;
}
