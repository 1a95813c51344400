//! Nodes that come back after epochs, or with an old disk: they have everything again, and say so only then.

use std::fs;
use std::path::Path;

use haulout_actors::session::upload::{PutOptions, Source};
use haulout_devnet::Devnet;
use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::epoch_change::Holding;
use haulout_tests::{KIB, eventually, get, in_time, quiet, sample_blob};

use crate::epochs::Epochs;
use crate::owner::bare;
use crate::recovery::{REPAIRED_WITHIN, holds_all};

/// Longer than any of these tests lasts.
const OPTIONS: PutOptions = PutOptions { epochs: 14, deletable: true, force: false };
/// The node that comes back, and how many shards it has.
const LAST: (usize, u16) = (3, 2);

type Stored = Vec<(BlobId, Vec<u8>)>;

/// Four nodes with three, three, two and two of ten shards: the first three are a quorum.
async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(4).shards(10).seed(seed).segment_bytes(64 << 10);
    devnet.short_bytes_max(4 << 10).start().await.unwrap()
}

/// Stores a short blob, and one of several segments.
async fn store(devnet: &Devnet, seed: u64, stored: &mut Stored) {
    let client = devnet.client("alice").await.unwrap();
    for length in [100, 100 * KIB] {
        let blob = sample_blob(seed, length);
        let put = client.put(Source::Memory(blob.clone().into()), OPTIONS, &quiet()).await;
        stored.push((put.unwrap().blob_id, blob));
    }
    client.close().await;
}

/// Waits until the node that came back has its share of everything, calls its shards held, and says so in the next epoch.
async fn is_whole(devnet: &Devnet, epochs: &Epochs<'_>, stored: &Stored) {
    let (member, shards) = LAST;
    let client = devnet.client("bob").await.unwrap();
    holds_all(&client, member, shards, stored).await;
    let node = devnet.node(member).unwrap().context();
    in_time("the store calls its shards held", REPAIRED_WITHIN, async || {
        let held = node.store.shards().unwrap();
        held.values().filter(|holding| **holding == Holding::Held).count() == usize::from(shards)
    })
    .await;
    epochs.select().await;
    epochs.begin().await;
    in_time("it reports its shards by itself", REPAIRED_WITHIN, async || {
        let id = node.position.current().node_of(&node.peer).unwrap();
        epochs.state().await.synced.contains(&id.into())
    })
    .await;
    client.close().await;
}

/// Reads everything while one of the others is away: without the node that came back there is no read.
async fn is_read_without(devnet: &mut Devnet, away: [usize; 2], stored: &Stored) {
    for member in away {
        devnet.stop_node(member).await;
    }
    let client = devnet.client("bob").await.unwrap();
    for (id, blob) in stored {
        assert!(get(&client, id).await.unwrap() == *blob, "{} bytes", blob.len());
    }
    client.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_for_one_epoch_and_then_for_ten_is_whole_when_it_is_back() {
    let mut devnet = devnet(65).await;
    let chain = bare(&devnet, "alice").await.0;
    let (mut stored, mut seed) = (Vec::new(), 6_500);
    for away in [1, 10] {
        devnet.stop_node(LAST.0).await;
        for epoch in 0..away {
            if epoch % 4 == 0 {
                seed += 1;
                store(&devnet, seed, &mut stored).await;
            }
            Epochs::of(&devnet, chain.clone()).next().await;
        }
        devnet.start_node(LAST.0).await.unwrap();
        is_whole(&devnet, &Epochs::of(&devnet, chain.clone()), &stored).await;
    }
    is_read_without(&mut devnet, [0, 1], &stored).await;
    devnet.shutdown().await;
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_disk_was_put_back_from_an_old_copy_is_whole_again() {
    let mut devnet = devnet(66).await;
    let chain = bare(&devnet, "alice").await.0;
    let mut stored = Vec::new();
    store(&devnet, 6_601, &mut stored).await;
    let folder = devnet.node_config(LAST.0).unwrap().data_dir;
    let backup = tempfile::tempdir().unwrap();
    let old = backup.path().join("old");
    devnet.stop_node(LAST.0).await;
    copy(&folder, &old);
    devnet.start_node(LAST.0).await.unwrap();
    // What it signs for from here on is not in the copy; nor are two epochs.
    for seed in [6_602, 6_603] {
        store(&devnet, seed, &mut stored).await;
        Epochs::of(&devnet, chain.clone()).next().await;
    }
    let client = devnet.client("bob").await.unwrap();
    holds_all(&client, LAST.0, LAST.1, &stored).await;
    client.close().await;
    devnet.stop_node(LAST.0).await;
    fs::remove_dir_all(&folder).unwrap();
    copy(&old, &folder);
    devnet.start_node(LAST.0).await.unwrap();
    let node = devnet.node(LAST.0).unwrap().context();
    eventually("it knows the epoch", async || node.position.current().epoch.0 == 3).await;
    is_whole(&devnet, &Epochs::of(&devnet, chain.clone()), &stored).await;
    is_read_without(&mut devnet, [0, 1], &stored).await;
    devnet.shutdown().await;
}
