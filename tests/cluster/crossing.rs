//! Blobs stored while an epoch ends: certified in the next one, and paid once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use haulout_actors::session::upload::{PutOptions, Source};
use haulout_actors::session::{Observer, Progress};
use haulout_devnet::Devnet;
use haulout_node::LedgerClient;
use haulout_protocol::chain::object::staking::EpochState;
use haulout_tests::{eventually, get, quiet, sample_blob};
use tokio::runtime::Handle;

const EPOCH: Duration = Duration::from_secs(600);

/// Moves time on until every running node is in that epoch and holds its shards.
pub(crate) async fn reach(devnet: &Devnet, epoch: u32) {
    for _ in 0..2 {
        devnet.ledger().unwrap().skip(EPOCH).unwrap();
    }
    eventually("the epoch begins", async || {
        (0..devnet.members()).filter_map(|index| devnet.node(index)).all(|node| {
            let position = node.context().position.current();
            position.epoch.0 == epoch && matches!(position.phase, EpochState::Done { .. })
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_meets_the_end_of_an_epoch_is_certified_in_the_next_and_paid_once() {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(91).segment_bytes(16 << 10);
    let devnet = Arc::new(devnet.epoch(EPOCH).start().await.unwrap());
    let alice = devnet.client("alice").await.unwrap();
    let ledger = LedgerClient::connect(devnet.client_config("alice").unwrap()).await.unwrap();
    let before = ledger.balances().await.unwrap();
    // The blob is registered, and nothing confirmed yet, when the epoch ends.
    let (passing, ended) = (devnet.clone(), AtomicBool::new(false));
    let observer: Observer = Arc::new(move |progress| {
        if matches!(progress, Progress::Registered(_)) && !ended.swap(true, Ordering::Relaxed) {
            let next = reach(&passing, 2);
            tokio::task::block_in_place(|| Handle::current().block_on(next));
        }
    });
    let blob = sample_blob(91, 40_000);
    let options = PutOptions { epochs: 3, deletable: false, force: false };
    let source = Source::Memory(blob.clone().into());
    let stored = alice.put(source, options, &observer).await.unwrap();
    assert_eq!(stored.end_epoch, 4, "three epochs from the first, as was paid");
    let after = ledger.balances().await.unwrap();
    let quote = ledger.quote(40_000, 3).unwrap();
    assert_eq!(before.wal - after.wal, quote.storage + quote.write);
    assert_eq!(stored.cost.wal, quote.storage + quote.write);
    assert_eq!(get(&alice, &stored.blob_id).await.unwrap(), blob);
    let owned = ledger.owned().await.unwrap();
    assert_eq!((owned.len(), owned[0].certified_epoch), (1, Some(2)));
    drop(observer);
    Arc::into_inner(devnet).unwrap().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_whose_time_is_over_is_gone_from_every_disk_and_readers_hear_when() {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(92).segment_bytes(16 << 10);
    let devnet = devnet.epoch(EPOCH).start().await.unwrap();
    let alice = devnet.client("alice").await.unwrap();
    let put = async |seed, epochs| {
        let options = PutOptions { epochs, deletable: false, force: false };
        let source = Source::Memory(sample_blob(seed, 40_000).into());
        alice.put(source, options, &quiet()).await.unwrap()
    };
    let (short, long) = (put(1, 1).await, put(2, 3).await);
    let held = |devnet: &Devnet| -> u64 {
        let stores = (0..4).map(|index| devnet.node(index).unwrap().context().store.clone());
        stores.map(|store| store.usage().unwrap().content_bytes).sum()
    };
    let before = held(&devnet);
    reach(&devnet, 2).await;
    eventually("half of the bytes are gone", async || held(&devnet) <= before / 2).await;
    let expired = get(&alice, &short.blob_id).await.unwrap_err();
    assert!(expired.message().contains("expired at epoch 2"), "{expired}");
    assert_eq!(get(&alice, &long.blob_id).await.unwrap(), sample_blob(2, 40_000));
    devnet.shutdown().await;
}
