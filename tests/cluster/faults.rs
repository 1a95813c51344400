//! Dead nodes and dead actors: what goes on, and what fails with which words.

use std::time::{Duration, Instant};

use haulout_devnet::Devnet;
use haulout_node::error::Kind;
use haulout_tests::{KIB, eventually, get, put, sample_blob};

#[tokio::test(flavor = "multi_thread")]
async fn a_third_of_the_nodes_may_die_and_with_more_dead_reads_go_on_while_writes_name_them() {
    let devnet = Devnet::builder().nodes(7).shards(7).seed(21).segment_bytes(64 << 10);
    let mut devnet = devnet.start().await.unwrap();
    let before = sample_blob(1, 200 * KIB);
    let client = devnet.client("alice").await.unwrap();
    let id = put(&client, &before).await.unwrap().blob_id;

    // f = 2 of 7. The first two hold systematic slivers.
    devnet.stop_node(0).await;
    devnet.stop_node(1).await;
    assert!(get(&client, &id).await.unwrap() == before, "f dead: the old blob");
    let during = sample_blob(2, 100 * KIB);
    let report = put(&client, &during).await.unwrap();
    assert_eq!(report.shards.0, 5, "the living confirm: {:?}", report.unhelpful);
    let fresh = devnet.client("bob").await.unwrap();
    assert!(get(&fresh, &report.blob_id).await.unwrap() == during, "f dead: the new blob");

    // Four dead: three shards live, which is P, enough to read and too few to write.
    devnet.stop_node(5).await;
    devnet.stop_node(6).await;
    let fresh = devnet.client("bob").await.unwrap();
    assert!(get(&fresh, &id).await.unwrap() == before, "4 of 7 dead: reads go on");
    let asked = Instant::now();
    let refused = put(&fresh, &sample_blob(3, KIB)).await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_secs(30), "it took {:?}", asked.elapsed());
    assert_eq!(refused.kind(), Kind::Quorum, "{refused}");
    let told = refused.to_json().to_string();
    // It stops asking when a quorum is out of reach, so it may know only f + 1 of the dead.
    let named =
        |names: &[&str]| names.iter().filter(|name| told.contains(&format!("{name} ("))).count();
    assert!(named(&["n1", "n2", "n6", "n7"]) >= 3, "the dead are not named in {told}");
    assert_eq!(named(&["n3", "n4", "n5"]), 0, "the living are named in {told}");

    // Back again: what was refused succeeds, unchanged.
    for index in [0, 1, 5, 6] {
        devnet.start_node(index).await.unwrap();
    }
    put(&devnet.client("bob").await.unwrap(), &sample_blob(3, KIB)).await.unwrap();
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_goes_on_whichever_of_its_actors_dies() {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(22).segment_bytes(64 << 10);
    let devnet = devnet.start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let node = devnet.node(2).unwrap();
    for (seed, actor) in (0..).zip(["network", "sliver_transfer", "chain_sync", "gossip"]) {
        assert!(node.tree().kill(actor), "there is no actor {actor}");
        eventually("all actors run again", async || node.tree().is_healthy()).await;
        let blob = sample_blob(seed, 10 * KIB);
        let mut length = 10 * KIB;
        eventually("the node confirms again", async || {
            length += 1; // another blob each time
            let report = put(&client, &sample_blob(seed + 100, length)).await;
            report.is_ok_and(|report| report.shards.0 == 4)
        })
        .await;
        let id = put(&client, &blob).await.unwrap().blob_id;
        assert!(get(&client, &id).await.unwrap() == blob, "after {actor} died");
    }
    devnet.shutdown().await;
}
