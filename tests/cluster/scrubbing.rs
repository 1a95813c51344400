//! Rot that no reader comes upon: the node finds it by itself, and what was written is there again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use haulout_devnet::Devnet;
use haulout_node::{NodeConfig, StorageNode};
use haulout_protocol::blob::BlobId;
use haulout_protocol::sliver::{Axis, ShardIndex};
use haulout_tests::{KIB, eventually, get, put, sample_blob};

const SHARDS: u16 = 10;

/// Every sliver of a blob of one segment that a node holds.
fn slivers(node: &StorageNode, id: &BlobId) -> BTreeMap<(u16, bool), Vec<u8>> {
    let store = &node.context().store;
    let places =
        (0..SHARDS).flat_map(|shard| Axis::BOTH.map(|axis| (shard, axis == Axis::Primary, axis)));
    let read = places.filter_map(|(shard, is_primary, axis)| {
        let bytes = store.sliver(id, 0, ShardIndex(shard), axis).unwrap()?;
        Some(((shard, is_primary), bytes.to_vec()))
    });
    read.collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_that_flips_in_a_file_that_nobody_reads_is_found_and_right_again() {
    let devnet = Devnet::builder().nodes(4).shards(SHARDS).seed(64).segment_bytes(256 << 10);
    let mut devnet = devnet.start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let blob = sample_blob(64, 200 * KIB);
    let id = put(&client, &blob).await.unwrap().blob_id;
    let node = devnet.node(2).unwrap();
    let store = node.context().store.clone();
    let ours: Vec<_> = {
        let position = node.context().position.current();
        position.shards_of(&node.peer_id()).to_vec()
    };
    eventually("the node holds its share", async || store.holds(&id, 1, &ours).unwrap()).await;
    let written = slivers(node, &id);
    assert_eq!(written.len(), 2 * ours.len());
    drop(store);
    devnet.stop_node(2).await;

    let config = devnet.node_config(2).unwrap();
    let [file] = &files_below(&config.data_dir.join("store/bundles"))[..] else { panic!("one") };
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(file, &bytes).unwrap();

    // As an operator does who wants it read more often.
    let config = NodeConfig { scrub_every: Duration::from_secs(2), ..config };
    let node = StorageNode::start(config).await.unwrap();
    let vitals = node.context().vitals.clone();
    eventually("the rot is found", async || vitals.scrubbing().rotten == 1).await;
    let store = node.context().store.clone();
    eventually("it is repaired", async || store.holds(&id, 1, &ours).unwrap()).await;
    assert!(slivers(&node, &id) == written, "the bytes are those that were written");
    let tours = vitals.scrubbing().tours;
    eventually("it is read again", async || vitals.scrubbing().tours > tours + 1).await;
    assert_eq!(vitals.scrubbing().rotten, 1, "and nothing else was");
    eventually("the node is well", async || node.conditions().is_empty()).await;
    assert!(get(&client, &id).await.unwrap() == blob);
    let metrics = node.context().metrics.encode();
    assert!(metrics.contains("haulout_scrub_rot_total 1"), "{metrics}");
    client.close().await;
    node.shutdown().await;
    devnet.shutdown().await;
}
