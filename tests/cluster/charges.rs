//! What storing a blob is charged for, beside what the nodes of a network really keep of it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use haulout_devnet::Devnet;
use haulout_node::LightClient;
use haulout_protocol::encoding::{Parameters, SEGMENT_BYTES, SHORT_BYTES};
use haulout_tests::{KIB, eventually, put, sample_blob};

/// Bytes of blobs that all nodes say they hold.
fn kept(devnet: &Devnet) -> u64 {
    let nodes = (0..devnet.members()).map(|index| devnet.node(index).unwrap());
    nodes.map(|node| node.context().store.usage().unwrap().content_bytes).sum()
}

/// Bytes of the disk that the stores of all nodes take, as `du` counts them.
fn on_disk(devnet: &Devnet) -> u64 {
    let store = |index| devnet.folder().join(devnet.name(index)).join("store");
    (0..devnet.members()).map(|index| blocks(&store(index))).sum()
}

fn blocks(path: &Path) -> u64 {
    let about = fs::symlink_metadata(path).unwrap();
    let within = match about.is_dir() {
        true => fs::read_dir(path).unwrap().map(|entry| blocks(&entry.unwrap().path())).sum(),
        false => 0,
    };
    about.blocks() * 512 + within
}

/// Stores blobs of these lengths at every node; returns what is charged for them together.
async fn store(client: &LightClient, lengths: &[usize]) -> u64 {
    let position = client.context().position.current();
    let mut charged = 0;
    for (seed, length) in (0..).zip(lengths) {
        let report = put(client, &sample_blob(seed, *length)).await.unwrap();
        charged += position.quote(u64::try_from(*length).unwrap(), 1).unwrap().encoded_bytes;
        // A put ends with a quorum; what slower nodes are sent comes in a moment.
        eventually("every node holds its share", async || {
            let holdings = client.holdings(&report.blob_id).await;
            holdings.is_some_and(|found| found.stock.held == found.stock.all)
        })
        .await;
    }
    charged
}

#[allow(clippy::cast_precision_loss, reason = "a share")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_charged_for_segments_is_what_the_network_keeps_of_them() {
    let devnet = Devnet::builder().nodes(5).shards(100).seed(221).segment_bytes(2 << 20);
    let devnet = devnet.start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let (before, files) = (kept(&devnet), on_disk(&devnet));
    let lengths = [70, 300, 1024, 1024, 5000].map(|length| length * KIB);
    let charged = store(&client, &lengths).await;
    let share_kept = share(kept(&devnet) - before, charged);
    let share_disk = share(on_disk(&devnet) - files, charged);
    println!("segments: kept {share_kept:.4} of {charged} charged, disk {share_disk:.4}");
    assert!((0.95..=1.05).contains(&share_kept), "{share_kept:.4} of {charged} bytes are kept");
    assert!((0.95..=1.05).contains(&share_disk), "{share_disk:.4} of {charged} bytes are on disk");
    client.close().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_short_blobs_less_is_kept_than_charged_because_symbols_of_a_node_share_their_paths() {
    let devnet = Devnet::builder().nodes(5).shards(100).seed(222).start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    for length in [1, 4 * KIB, 10 * KIB, 64 * KIB] {
        let (before, files) = (kept(&devnet), on_disk(&devnet));
        let charged = store(&client, &[length; 1]).await;
        let (kept, disk) = (kept(&devnet) - before, on_disk(&devnet) - files);
        println!(
            "{length}: charged {charged}, kept {kept} ({:.3}), disk {disk}",
            share(kept, charged)
        );
    }
    client.close().await;
    devnet.shutdown().await;
}

#[test]
fn what_people_are_told_that_a_file_costs_is_what_is_charged() {
    for (bytes, at_100, at_1000) in [
        (1 << 10, 38_400, 451_200),
        (10 << 10, 57_600, 451_200),
        (64 << 10, 224_000, 579_200),
        (1 << 20, 4_733_400, 6_745_200),
        (32 << 20, 148_840_200, 152_891_200),
    ] {
        for (shards, told) in [(100, at_100), (1000, at_1000)] {
            let parameters = Parameters::new(shards, SEGMENT_BYTES).unwrap();
            let parameters = parameters.with_short_blobs(SHORT_BYTES).unwrap();
            let charged = parameters.encoded_bytes(bytes, 50);
            assert_eq!(charged, Some(told), "{bytes} bytes at {shards} shards");
        }
    }
}
