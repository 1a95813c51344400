//! Blobs go in through one client and come out of another, byte for byte.

use std::time::Instant;

use haulout_actors::limits;
use haulout_devnet::Devnet;
use haulout_node::error::Kind;
use haulout_protocol::blob::BlobId;
use haulout_tests::{KIB, get, put, sample_blob};

/// Small, so that small blobs have many segments.
const SEGMENT: usize = 16 * KIB;

#[tokio::test(flavor = "multi_thread")]
async fn blobs_of_every_size_come_back_byte_for_byte_through_another_client() {
    let devnet = Devnet::builder().nodes(4).shards(10).seed(11).segment_bytes(16 << 10);
    let devnet = devnet.start().await.unwrap();
    let (alice, bob) = (devnet.client("alice").await.unwrap(), devnet.client("bob").await.unwrap());
    for length in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 5 * SEGMENT + 17] {
        let blob = sample_blob(length as u64, length);
        let report = put(&alice, &blob).await.unwrap_or_else(|e| panic!("put {length}: {e}"));
        assert_eq!(report.content_hash, *blake3::hash(&blob).as_bytes(), "{length} bytes");
        let got = get(&bob, &report.blob_id).await.unwrap_or_else(|e| panic!("get {length}: {e}"));
        assert!(got == blob, "{length} bytes came back different");
    }
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_was_never_stored_is_denied_without_waiting_for_dead_nodes() {
    let mut devnet = Devnet::builder().nodes(5).shards(20).seed(12).start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    for (dead, byte) in [(None, 7), (Some(3), 8), (Some(4), 9)] {
        if let Some(dead) = dead {
            devnet.stop_node(dead).await;
        }
        let asked = Instant::now();
        let denied = get(&client, &BlobId::from_bytes([byte; 32])).await.unwrap_err();
        assert_eq!(denied.kind(), Kind::NotFound, "{denied}");
        // Whoever waits for a dead node waits at least this long. On an idle machine it is well under a second.
        assert!(asked.elapsed() < limits::OPEN_TIMEOUT, "it took {:?}", asked.elapsed());
    }
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storing_the_same_blob_again_costs_nothing() {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(13).segment_bytes(16 << 10);
    let devnet = devnet.start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let blob = sample_blob(13, 2 * SEGMENT);
    let first = put(&client, &blob).await.unwrap();
    let again = put(&client, &blob).await.unwrap();
    assert_eq!(first.blob_id, again.blob_id);
    assert!(first.cost.wal > 0 && first.object.is_some());
    assert_eq!((again.cost.wal, again.cost.gas, again.object), (0, 0, first.object));
    devnet.shutdown().await;
}
