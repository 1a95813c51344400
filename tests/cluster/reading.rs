//! How a read treats nodes that are silent, busy or slow, and writers that encoded wrongly.

use std::sync::Arc;
use std::time::Duration;

use haulout_actors::session::download::Consistency;
use haulout_devnet::Devnet;
use haulout_node::LightClient;
use haulout_node::error::Kind;
use haulout_protocol::encoding::Parameters;
use haulout_tests::liar::{Liar, Lie};
use haulout_tests::{KIB, get, get_with, put, sample_blob, writer};

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_asked_in_the_first_segments_and_then_left_alone() {
    let segment = 16 << 10;
    let devnet = Devnet::builder().nodes(4).shards(4).seed(81).segment_bytes(segment);
    let mut devnet = devnet.start().await.unwrap();
    let parameters = Parameters::new(4, segment).unwrap();
    // Forty segments: a node that cost its 400 ms in each pair of them would be asked in most.
    let blob = sample_blob(81, 40 * 16 * KIB);
    let id = put(&devnet.client("alice").await.unwrap(), &blob).await.unwrap().blob_id;
    devnet.stop_node(0).await;
    let liar = Liar::start(&devnet, 0, Lie::Silence, parameters, &blob).await.unwrap();
    let client = devnet.client("bob").await.unwrap();
    assert!(get(&client, &id).await.unwrap() == blob);
    let asked = liar.asked_for_slivers();
    assert!((1..=8).contains(&asked), "asked for slivers {asked} times of 40 segments");
    assert!(get(&client, &id).await.unwrap() == blob, "and the next read remembers");
    let again = liar.asked_for_slivers() - asked;
    assert!(again <= 8, "asked {again} times in the next read");
    client.close().await;
    liar.stop().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_say_busy_are_asked_again_until_they_have_time() {
    let segment = 64 << 10;
    let devnet = Devnet::builder().nodes(4).shards(4).seed(82).segment_bytes(segment);
    let mut devnet = devnet.start().await.unwrap();
    let parameters = Parameters::new(4, segment).unwrap();
    let blob = sample_blob(82, 100 * KIB);
    let id = put(&devnet.client("alice").await.unwrap(), &blob).await.unwrap().blob_id;
    // Three of four are busy whenever they are asked: two slivers of each segment cannot be had without one of them.
    let mut liars = Vec::new();
    for member in 0..3 {
        devnet.stop_node(member).await;
        let liar = Liar::start(&devnet, member, Lie::Busy, parameters, &blob).await.unwrap();
        liars.push(liar);
    }
    let client = devnet.client("bob").await.unwrap();
    let reading = tokio::spawn(async move {
        let got = get(&client, &id).await;
        client.close().await;
        got
    });
    let all_asked = async || liars.iter().all(|liar| liar.asked_for_slivers() > 1);
    haulout_tests::eventually("each busy node was asked again", all_asked).await;
    assert!(!reading.is_finished(), "busy nodes were taken for dead");
    for (member, liar) in liars.into_iter().enumerate() {
        liar.stop().await;
        devnet.start_node(member).await.unwrap();
    }
    assert!(reading.await.unwrap().unwrap() == blob);
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_reads_at_once_all_succeed_however_slow_the_nodes_become() {
    let devnet = Devnet::builder().nodes(5).shards(100).seed(87).segment_bytes(256 << 10);
    let devnet = devnet.start().await.unwrap();
    let blob = sample_blob(87, 1024 * KIB);
    let id = put(&devnet.client("alice").await.unwrap(), &blob).await.unwrap().blob_id;
    let mut reading = tokio::task::JoinSet::new();
    // How long a reader waits for its turn is its own choice; what must not be is that somebody else gives it up.
    let mut config = devnet.client_config("bob").unwrap();
    config.timeout = Duration::from_secs(300);
    for _ in 0..8 {
        let client = LightClient::connect(config.clone()).await.unwrap();
        let client = Arc::new(client);
        for _ in 0..8 {
            let client = client.clone();
            reading.spawn(async move { get(&client, &id).await });
        }
    }
    while let Some(got) = reading.join_next().await {
        assert!(got.unwrap().unwrap() == blob);
    }
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_without_enough_nodes_ends_with_the_clients_own_timeout() {
    let devnet = Devnet::builder().nodes(4).shards(4).seed(83).segment_bytes(64 << 10);
    let mut devnet = devnet.start().await.unwrap();
    let blob = sample_blob(83, 10 * KIB);
    let id = put(&devnet.client("alice").await.unwrap(), &blob).await.unwrap().blob_id;
    let mut config = devnet.client_config("bob").unwrap();
    config.timeout = Duration::from_secs(5);
    let client = LightClient::connect(config).await.unwrap();
    for member in 0..3 {
        devnet.stop_node(member).await;
    }
    let failed = get(&client, &id).await.unwrap_err();
    assert_eq!(failed.kind(), Kind::Unavailable, "{failed}");
    let told = failed.to_json().to_string();
    for name in ["n1", "n2", "n3"] {
        assert!(told.contains(&format!("{name} (")), "{name} is not named in {told}");
    }
    client.close().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_healthy_blob_is_told_by_all_nodes() {
    let devnet = Devnet::builder().nodes(5).shards(100).seed(84).segment_bytes(64 << 10);
    let devnet = devnet.start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let id = put(&client, &sample_blob(84, KIB)).await.unwrap().blob_id;
    let standing = client.status(&id).await;
    assert_eq!(standing.answered, 100, "silent: {:?}", standing.silent);
    client.close().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_names_the_dead_and_does_not_wait_long_for_them() {
    let mut devnet = Devnet::builder().nodes(5).shards(100).seed(85).start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let id = put(&client, &sample_blob(85, KIB)).await.unwrap().blob_id;
    devnet.stop_node(4).await;
    let standing = client.status(&id).await;
    assert_eq!(standing.answered, 80);
    assert!(
        matches!(&standing.silent[..], [(name, _)] if name.starts_with("n5 (")),
        "{standing:?}"
    );
    client.close().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_reader_notices_a_wrong_sliver_that_it_never_asked_for() {
    let devnet =
        Devnet::builder().nodes(4).shards(10).seed(86).segment_bytes(64 << 10).short_bytes_max(0);
    let devnet = devnet.start().await.unwrap();
    let blob = sample_blob(86, 40 * KIB);
    let id = writer::put_inconsistent(&devnet, "alice", &blob).await.unwrap();
    let client = devnet.client("bob").await.unwrap();
    assert!(get(&client, &id).await.unwrap() == blob, "the slivers that were read are right");
    let refused = get_with(&client, &id, Consistency::Strict).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Verification, "{refused}");
    let honest = put(&devnet.client("alice").await.unwrap(), &blob).await.unwrap().blob_id;
    assert_ne!(honest, id, "the id commits to every sliver");
    assert!(get_with(&client, &honest, Consistency::Strict).await.unwrap() == blob);
    client.close().await;
    devnet.shutdown().await;
}
