//! A node says what is not well with it, and stops to say so when it is over.

use std::path::Path;
use std::time::Duration;

use haulout_devnet::Devnet;
use haulout_node::StorageNode;
use haulout_node::error::Kind;
use haulout_protocol::machine::conditions::Name;
use haulout_tests::lying_ledger::LyingLedger;
use haulout_tests::{KIB, eventually, get, put, sample_blob};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// What a node may use of its disk, less than half of what fills it up.
const ROOM: u64 = 64 << 20;

async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(4).shards(7).seed(seed).segment_bytes(64 << 10);
    devnet.start().await.unwrap()
}

async fn says(node: &StorageNode, expected: &[Name]) {
    eventually(&format!("the node says {expected:?}"), async || {
        let conditions = node.conditions();
        conditions.iter().map(|condition| condition.name).collect::<Vec<_>>() == expected
    })
    .await;
}

fn free_bytes(folder: &Path) -> u64 {
    let disk = rustix::fs::statvfs(folder).unwrap();
    disk.f_bavail * disk.f_frsize
}

/// A folder on a disk that nobody else writes to, as far as there is one.
fn quiet_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() && free_bytes(memory) > 8 * ROOM {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_serves_reads_and_writes_again_once_there_is_room() {
    let mut devnet = devnet(71).await;
    let folder = quiet_folder();
    let mut config = devnet.node_config(3).unwrap();
    config.data_dir = folder.path().join("n4");
    config.keep_free = free_bytes(folder.path()) - ROOM;
    devnet.stop_node(3).await;
    let node = StorageNode::start(config).await.unwrap();
    says(&node, &[]).await;
    devnet.stop_node(0).await; // from here on a quorum needs n4

    let client = devnet.client("alice").await.unwrap();
    let blob = sample_blob(71, 300 * KIB);
    let id = put(&client, &blob).await.unwrap().blob_id;

    let filler = folder.path().join("filler");
    std::fs::write(&filler, vec![1; usize::try_from(2 * ROOM).unwrap()]).unwrap();
    says(&node, &[Name::DiskFull]).await;
    let refused = put(&client, &sample_blob(72, 300 * KIB)).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Quorum, "{refused}");
    let told = refused.to_json().to_string();
    assert!(told.contains("disk is full"), "{told}");
    devnet.stop_node(1).await; // and a read needs n3 and n4
    assert!(get(&client, &id).await.unwrap() == blob);

    devnet.start_node(1).await.unwrap();
    std::fs::remove_file(&filler).unwrap();
    says(&node, &[]).await;
    eventually("a put works again", async || {
        put(&client, &sample_blob(73, 300 * KIB)).await.is_ok()
    })
    .await;
    client.close().await;
    node.shutdown().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_is_called_wrong_unless_the_ledger_says_that_its_time_was_moved() {
    let mut devnet = devnet(74).await;
    devnet.stop_node(3).await;
    let mut config = devnet.node_config(3).unwrap();
    // This one hears of the ledger from somebody who passes on its time, and not that it was moved.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _silent = LyingLedger::start(listener, &config.chain.rpc[0]).unwrap();
    config.chain.rpc = vec![format!("http://{address}")];
    let node = StorageNode::start(config).await.unwrap();
    says(&node, &[]).await;
    devnet.ledger().unwrap().skip(Duration::from_secs(3_600)).unwrap();
    let moved = devnet.ledger().unwrap().height();
    says(&node, &[Name::ClockWrong]).await;
    let cause = node.conditions().remove(0).cause;
    assert!(cause.contains("behind the ledger's"), "{cause}");
    let other = devnet.node(0).unwrap();
    eventually("the others have asked the ledger about its time", async || {
        other.context().position.current().checkpoint >= moved + 2
    })
    .await;
    says(other, &[]).await;
    node.shutdown().await;
    devnet.shutdown().await;
}
