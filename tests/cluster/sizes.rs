//! Networks from the smallest to the largest.

use haulout_devnet::Devnet;
use haulout_tests::{KIB, get, put, sample_blob};

async fn check(nodes: u16, shards: u16) {
    let what = format!("{shards} shards on {nodes} nodes");
    let devnet = Devnet::builder().nodes(nodes).shards(shards).seed(61).segment_bytes(256 << 10);
    let devnet = devnet.start().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let client = devnet.client("alice").await.unwrap();
    let blob = sample_blob(u64::from(shards), 300 * KIB);
    let report = put(&client, &blob).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let reader = devnet.client("bob").await.unwrap();
    let got = get(&reader, &report.blob_id).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(got == blob, "{what}");
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_networks_work() {
    for (nodes, shards) in [(4, 4), (7, 7), (5, 10), (13, 13)] {
        check(nodes, shards).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_shards_on_five_nodes_work() {
    check(5, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_shards_on_sixteen_nodes_work() {
    check(16, 1000).await;
}
