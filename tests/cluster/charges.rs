//! What storing a blob is charged for, beside what the nodes of a network really keep of it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use haulout_devnet::Devnet;
use haulout_node::LightClient;
use haulout_protocol::encoding::{Parameters, SEGMENT_BYTES, SHORT_BYTES};
use haulout_tests::{KIB, eventually, put, sample_blob};

/// A database file grows by no more than this at once while it is small.
const DATABASE_STEP: u64 = 1 << 20;

/// So many files even out the steps.
const FILES: usize = 64;

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
            let found = client.holdings(&report.blob_id, &[]).await;
            found.stock.held == found.stock.all
        })
        .await;
    }
    charged
}

fn percent(part: u64, whole: u64) -> u64 {
    part * 100 / whole
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_charged_for_segments_is_what_the_network_keeps_of_them() {
    let devnet = Devnet::builder().nodes(5).shards(100).seed(221).segment_bytes(2 << 20);
    let devnet = devnet.start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let (before, files) = (kept(&devnet), on_disk(&devnet));
    let lengths = [70, 300, 1024, 1024, 5000].map(|length| length * KIB);
    let charged = store(&client, &lengths).await;
    let kept = kept(&devnet) - before;
    assert!((95..=105).contains(&percent(kept, charged)), "{kept} of {charged} bytes are kept");
    // The files of blobs are no longer than what is in them; a node's database grows in steps of its own.
    let disk = on_disk(&devnet) - files;
    let steps = DATABASE_STEP * u64::try_from(devnet.members()).unwrap();
    let most = charged + charged / 20 + steps;
    assert!((kept..=most).contains(&disk), "{disk} bytes of disk for {charged} charged");
    client.close().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_short_blobs_less_is_kept_than_charged_because_symbols_of_a_node_share_their_paths() {
    let devnet = Devnet::builder().nodes(5).shards(100).seed(222).start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    // At 100 shards a symbol of up to 4352 bytes of blob has 128 bytes and is charged a path of 224.
    for (length, least, most) in
        [(1, 50, 60), (4 * KIB, 50, 60), (10 * KIB, 65, 75), (64 * KIB, 88, 96)]
    {
        let before = kept(&devnet);
        let charged = store(&client, &[length]).await;
        let kept = percent(kept(&devnet) - before, charged);
        assert!((least..=most).contains(&kept), "{kept} % of {charged} for {length} bytes");
    }
    // The disk knows pages only, and a database file grows in steps: 37 kB each were measured, 20.7 kB of them content.
    let files = on_disk(&devnet);
    store(&client, &[4 * KIB; FILES]).await;
    let each = (on_disk(&devnet) - files) / u64::try_from(FILES).unwrap();
    assert!(each <= 64 << 10, "{each} bytes of disk for a file of 4 KiB");
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
