//! Shards move, and what they hold goes with them: from those who had them before, and from everybody else where these lie or
//! say nothing.

use haulout_actors::session::upload::{PutOptions, Source};
use haulout_devnet::Devnet;
use haulout_node::{LedgerClient, LightClient};
use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::Parameters;
use haulout_tests::liar::{Liar, Lie};
use haulout_tests::{KIB, eventually, get, log, quiet, sample_blob};

use crate::epochs::Epochs;
use crate::owner::bare;
use crate::recovery::holds_all;

const WAL: u64 = 1_000_000_000;
const SEGMENT: u32 = 16 << 10;
const SHORT: u32 = 4 << 10;
const SHARDS: u16 = 10;
const OPTIONS: PutOptions = PutOptions { epochs: 4, deletable: true, force: false };
/// Those who are alone in the next committee, with half of the shards each, and those who leave.
const STAY: [usize; 2] = [0, 1];
const LEAVE: [usize; 2] = [2, 3];

type Stored = Vec<(BlobId, Vec<u8>)>;

/// Four nodes with three, three, two and two shards.
async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(4).shards(SHARDS).seed(seed).segment_bytes(SEGMENT);
    devnet.stake_per_shard(WAL).short_bytes_max(SHORT).start().await.unwrap()
}

/// Short blobs, an empty one among them, one of a segment, and last one of several.
async fn store(devnet: &Devnet, seed: u64) -> Stored {
    let client = devnet.client("alice").await.unwrap();
    let mut stored = Vec::new();
    for (salt, length) in (1..).zip([0, 100, 3 * KIB, 10 * KIB, 70 * KIB]) {
        let blob = sample_blob(seed * 100 + salt, length);
        let put = client.put(Source::Memory(blob.clone().into()), OPTIONS, &quiet()).await;
        stored.push((put.unwrap().blob_id, blob));
    }
    client.close().await;
    stored
}

/// So much is staked with the first two that the others are not in the next committee, which is chosen.
async fn choose(devnet: &Devnet, epochs: &Epochs<'_>) {
    let staker = LedgerClient::connect(devnet.client_config("alice").unwrap()).await.unwrap();
    for node in ["n1", "n2"] {
        let plan = staker.plan_stake(node, 100 * WAL).await.unwrap();
        staker.stake(&plan).await.unwrap();
    }
    epochs.select().await;
}

/// A client that has read that the epoch began.
async fn client(devnet: &Devnet, epoch: u32) -> LightClient {
    let client = devnet.client("bob").await.unwrap();
    eventually("the client knows the epoch", async || client.epoch() == epoch).await;
    client
}

/// Begins the epoch, and waits until both nodes have half of everything.
async fn move_all(devnet: &Devnet, epochs: &Epochs<'_>, stored: &Stored) -> LightClient {
    epochs.begin().await;
    let client = client(devnet, epochs.state().await.epoch).await;
    for member in STAY {
        holds_all(&client, member, SHARDS / 2, stored).await;
    }
    client
}

/// What a node counts under this name.
fn counted(devnet: &Devnet, member: usize, name: &str) -> u64 {
    let text = devnet.node(member).unwrap().context().metrics.encode();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shards_hold_moves_whole_to_their_new_owners_short_blobs_with_it() {
    let mut devnet = devnet(71).await;
    let stored = store(&devnet, 71).await;
    let chain = bare(&devnet, "alice").await.0;
    let epochs = Epochs::of(&devnet, chain.clone());
    choose(&devnet, &epochs).await;
    move_all(&devnet, &epochs, &stored).await.close().await;
    for member in STAY {
        let handed = counted(&devnet, member, "haulout_handed_over_pairs_total");
        let repaired = counted(&devnet, member, "haulout_repaired_pairs_total");
        // Two gained shards at least, of three short blobs and of six segments.
        assert!(handed >= 18, "node {member}: {handed} pairs of {repaired} were handed over");
    }
    Epochs::of(&devnet, chain).settle().await;
    for member in LEAVE {
        devnet.stop_node(member).await;
    }
    let reader = devnet.client("bob").await.unwrap();
    for (id, blob) in &stored {
        assert!(get(&reader, id).await.unwrap() == *blob, "{} bytes", blob.len());
    }
    devnet.shutdown().await;
}

/// One that had shards before does this in place of handing them over.
async fn moves_without(seed: u64, lie: Lie) {
    log::keep();
    let mut devnet = devnet(seed).await;
    let stored = store(&devnet, seed).await;
    let chain = bare(&devnet, "alice").await.0;
    choose(&devnet, &Epochs::of(&devnet, chain.clone())).await;
    devnet.stop_node(LEAVE[0]).await;
    let parameters = Parameters::new(SHARDS, SEGMENT).unwrap().with_short_blobs(SHORT).unwrap();
    let known = &stored.last().unwrap().1;
    let liar = Liar::start(&devnet, LEAVE[0], lie, parameters, known).await.unwrap();
    let client = move_all(&devnet, &Epochs::of(&devnet, chain), &stored).await;
    assert!(liar.asked_for_shards() > 0, "{lie:?}: nobody asked the liar, so this proves nothing");
    if lie == Lie::WrongBytes {
        let peer = liar.peer_id().to_string();
        assert!(log::has_line(&["peer blamed", &peer, "sent wrong bytes"]), "{lie:?}");
    }
    liar.stop().await;
    devnet.stop_node(LEAVE[1]).await;
    for (id, blob) in &stored {
        assert!(get(&client, id).await.unwrap() == *blob, "{lie:?}: {} bytes", blob.len());
    }
    client.close().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_former_owner_lies_about_is_rebuilt_from_what_others_hold() {
    moves_without(72, Lie::WrongBytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_owner_that_says_nothing_holds_nothing_up_for_long() {
    moves_without(73, Lie::Silence).await;
}
