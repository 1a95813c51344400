//! Nodes that lost or missed what the network keeps: they have it again, without any client.

use std::time::Duration;

use haulout_actors::session::upload::{PutOptions, Source};
use haulout_devnet::Devnet;
use haulout_node::{LedgerClient, LightClient};
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::object::staking::EpochState;
use haulout_protocol::machine::epoch_change::Holding;
use haulout_tests::{KIB, get, in_time, quiet, sample_blob};

use crate::epochs::Epochs;
use crate::losing::wipe;
use crate::owner::bare;

/// How long a repair may take on a machine that others keep busy.
pub(crate) const REPAIRED_WITHIN: Duration = Duration::from_secs(120);

/// Five nodes with four of twenty shards each, and short blobs beside long ones.
async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(5).shards(20).seed(seed).segment_bytes(64 << 10);
    devnet.short_bytes_max(4 << 10).start().await.unwrap()
}

/// Blobs of every kind: empty, short, of one segment, of several.
async fn store_some(client: &LightClient, seed: u64) -> Vec<(BlobId, Vec<u8>)> {
    let mut stored = Vec::new();
    for (salt, length) in (1..).zip([0, 1, 3 * KIB, 5 * KIB, 64 * KIB, 200 * KIB + 1]) {
        let blob = sample_blob(seed * 100 + salt, length);
        let options = PutOptions { epochs: 3, deletable: true, force: false };
        let source = Source::Memory(blob.clone().into());
        stored.push((client.put(source, options, &quiet()).await.unwrap().blob_id, blob));
    }
    stored
}

/// Waits until a node says that it holds so many shards' share of every blob.
pub(crate) async fn holds_all(
    client: &LightClient,
    member: usize,
    shards: u16,
    stored: &[(BlobId, Vec<u8>)],
) {
    for (id, blob) in stored {
        let fact = format!("node {member} has its share of {} bytes", blob.len());
        in_time(&fact, REPAIRED_WITHIN, async || {
            client.holdings(id, &[]).await.members[member].whole == Ok(shards)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_disk_has_everything_again_and_says_so() {
    let mut devnet = devnet(61).await;
    let client = devnet.client("alice").await.unwrap();
    let stored = store_some(&client, 61).await;
    for member in [3, 0] {
        wipe(&mut devnet, member).await;
        holds_all(&client, member, 4, &stored).await;
        let store = devnet.node(member).unwrap().context().store.clone();
        in_time("the store calls its shards held", REPAIRED_WITHIN, async || {
            let shards = store.shards().unwrap();
            shards.len() == 4 && shards.values().all(|holding| *holding == Holding::Held)
        })
        .await;
    }
    // What was rebuilt is what was lost: the nodes that were never wiped do not suffice for every pair.
    devnet.stop_node(1).await;
    devnet.stop_node(2).await;
    let client = devnet.client("bob").await.unwrap();
    for (id, blob) in &stored {
        assert!(get(&client, id).await.unwrap() == *blob, "{} bytes", blob.len());
    }
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_of_five_disks_are_lost_at_once_and_what_two_nodes_hold_brings_everything_back() {
    // Eight of twenty shards are left: as many as a read takes, and six fewer than symbols have to come from.
    let mut devnet = devnet(64).await;
    let client = devnet.client("alice").await.unwrap();
    let stored = store_some(&client, 64).await;
    for member in [1, 2, 4] {
        devnet.stop_node(member).await;
        devnet.wipe_node(member).unwrap();
    }
    for member in [1, 2, 4] {
        devnet.start_node(member).await.unwrap();
    }
    let client = devnet.client("bob").await.unwrap();
    for (id, blob) in &stored {
        assert!(get(&client, id).await.unwrap() == *blob, "{} bytes, meanwhile", blob.len());
    }
    for member in [1, 2, 4] {
        holds_all(&client, member, 4, &stored).await;
    }
    // What was rebuilt is right: without those that lost nothing it is all there is.
    devnet.stop_node(0).await;
    devnet.stop_node(3).await;
    let client = devnet.client("bob").await.unwrap();
    for (id, blob) in &stored {
        assert!(get(&client, id).await.unwrap() == *blob, "{} bytes", blob.len());
    }
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_missed_puts_while_it_was_down_has_them_when_it_is_back() {
    let mut devnet = devnet(62).await;
    devnet.stop_node(4).await;
    let client = devnet.client("alice").await.unwrap();
    let stored = store_some(&client, 62).await;
    devnet.start_node(4).await.unwrap();
    let client = devnet.client("bob").await.unwrap();
    holds_all(&client, 4, 4, &stored).await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gains_shards_has_what_is_in_them_and_says_so_by_itself() {
    const WAL: u64 = 1_000_000_000;
    let devnet = Devnet::builder().nodes(4).shards(10).seed(63).segment_bytes(64 << 10);
    let devnet = devnet.short_bytes_max(4 << 10).stake_per_shard(WAL).start().await;
    let mut devnet = devnet.unwrap();
    let stored = store_some(&devnet.client("alice").await.unwrap(), 63).await;
    // So much is staked with two of them that nobody else is in the next committee.
    let chain = bare(&devnet, "alice").await.0;
    let staker = LedgerClient::connect(devnet.client_config("alice").unwrap()).await.unwrap();
    for node in ["n1", "n2"] {
        let plan = staker.plan_stake(node, 100 * WAL).await.unwrap();
        staker.stake(&plan).await.unwrap();
    }
    let epochs = Epochs::of(&devnet, chain);
    epochs.select().await;
    epochs.begin().await;
    in_time("both say that they have their shards", REPAIRED_WITHIN, async || {
        !matches!(epochs.state().await.state, EpochState::Sync { .. })
    })
    .await;
    let client = devnet.client("bob").await.unwrap();
    in_time("the client knows the epoch", REPAIRED_WITHIN, async || client.epoch() == 2).await;
    for member in [0, 1] {
        holds_all(&client, member, 5, &stored).await;
    }
    // Nobody else is needed any more.
    drop(epochs);
    devnet.stop_node(2).await;
    devnet.stop_node(3).await;
    let client = devnet.client("bob").await.unwrap();
    for (id, blob) in &stored {
        assert!(get(&client, id).await.unwrap() == *blob, "{} bytes", blob.len());
    }
    devnet.shutdown().await;
}
