//! Reads while shards move from one committee to the next, and after it, when those that got them do not have them yet.

use haulout_actors::session::upload::{PutOptions, Source};
use haulout_devnet::Devnet;
use haulout_node::{LedgerClient, LightClient};
use haulout_protocol::blob::BlobId;
use haulout_tests::{KIB, eventually, get, quiet, sample_blob};

use crate::epochs::Epochs;
use crate::losing::known_to_all;
use crate::owner::bare;

const WAL: u64 = 1_000_000_000;
/// Long enough for the epoch after this one.
const OPTIONS: PutOptions = PutOptions { epochs: 3, deletable: true, force: false };

/// A short blob, and one of several segments.
const LENGTHS: [usize; 2] = [100, 100 * KIB];

/// Stores blobs that nobody else has.
async fn store(devnet: &Devnet, seed: u64) -> Vec<(BlobId, Vec<u8>)> {
    let client = devnet.client("alice").await.unwrap();
    let mut stored = Vec::new();
    for length in LENGTHS {
        let blob = sample_blob(seed, length);
        let put = client.put(Source::Memory(blob.clone().into()), OPTIONS, &quiet()).await;
        stored.push((put.unwrap().blob_id, blob));
    }
    stored
}

/// Reads all of them to the last byte.
async fn read(client: &LightClient, stored: &[(BlobId, Vec<u8>)]) {
    for (id, blob) in stored {
        assert!(get(client, id).await.unwrap() == *blob, "{} bytes", blob.len());
    }
}

/// A client that has read that the epoch began.
async fn client(devnet: &Devnet, epoch: u32) -> LightClient {
    let client = devnet.client("bob").await.unwrap();
    eventually("the client knows the epoch", async || client.epoch() == epoch).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_before_its_shards_moved_is_read_from_those_that_had_them() {
    // Four nodes have three, three, two and two shards; four shards are enough to read.
    let devnet = Devnet::builder().nodes(4).shards(10).seed(97).segment_bytes(16 << 10);
    let mut devnet = devnet.stake_per_shard(WAL).without_repairs().start().await.unwrap();
    let earlier = store(&devnet, 97).await;
    known_to_all(&devnet.client("bob").await.unwrap(), &earlier[1].0).await;

    // So much is staked with two of them that nobody else is in the next committee.
    let chain = bare(&devnet, "alice").await.0;
    let staker = LedgerClient::connect(devnet.client_config("alice").unwrap()).await.unwrap();
    for node in ["n1", "n2"] {
        let plan = staker.plan_stake(node, 100 * WAL).await.unwrap();
        staker.stake(&plan).await.unwrap();
    }
    let epochs = Epochs::of(&devnet, chain.clone());
    epochs.select().await;
    epochs.begin().await;
    let state = epochs.state().await;
    let shards: Vec<_> = state.committee.iter().map(|member| member.value.len()).collect();
    assert_eq!((shards.as_slice(), state.previous.len()), ([5, 5].as_slice(), 4));

    // Whoever gained shards has none of what is in them, and does not say that it has.
    let changing = client(&devnet, state.epoch).await;
    read(&changing, &earlier).await;
    let later = store(&devnet, 98).await;
    read(&changing, &later).await;

    // Without the second one, the committee has three shards of what was stored before.
    devnet.stop_node(1).await;
    read(&client(&devnet, state.epoch).await, &earlier).await;
    read(&changing, &later).await;

    // To say that the change is done moves nothing.
    Epochs::of(&devnet, chain).settle().await;
    let done = client(&devnet, state.epoch).await;
    read(&done, &earlier).await;
    read(&done, &later).await;
    devnet.shutdown().await;
}
