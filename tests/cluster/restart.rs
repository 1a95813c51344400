//! What is certified outlives every process.

use haulout_devnet::Devnet;
use haulout_tests::{KIB, get, put, sample_blob};

#[tokio::test(flavor = "multi_thread")]
async fn everything_may_restart_and_every_certified_blob_is_still_there() {
    let devnet = Devnet::builder().nodes(4).shards(7).seed(51).segment_bytes(64 << 10);
    let mut devnet = devnet.start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let mut stored = Vec::new();
    for length in [1, 64 * KIB, 200 * KIB] {
        let blob = sample_blob(length as u64, length);
        stored.push((put(&client, &blob).await.unwrap().blob_id, blob));
    }
    client.close().await;
    for index in 0..devnet.members() {
        devnet.stop_node(index).await;
    }
    devnet.stop_ledger().await;

    devnet.start_ledger().await.unwrap();
    for index in 0..devnet.members() {
        devnet.start_node(index).await.unwrap();
    }
    let client = devnet.client("bob").await.unwrap();
    for (id, blob) in &stored {
        assert!(get(&client, id).await.unwrap() == *blob, "{} bytes", blob.len());
    }
    put(&client, &sample_blob(9, KIB)).await.unwrap();
    devnet.shutdown().await;
}
