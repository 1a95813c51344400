//! Certificates that a node missed or lost: it has them again, and without any writer.

use std::path::Path;

use haulout_actors::session::upload::{PutOptions, Source};
use haulout_devnet::Devnet;
use haulout_node::LightClient;
use haulout_protocol::blob::BlobId;
use haulout_tests::{KIB, eventually, quiet, sample_blob};

use crate::epochs::Epochs;
use crate::losing::wipe;
use crate::owner::bare;

async fn store(client: &LightClient, seed: u64) -> BlobId {
    let options = PutOptions { epochs: 3, deletable: false, force: false };
    let source = Source::Memory(sample_blob(seed, 40 * KIB).into());
    client.put(source, options, &quiet()).await.unwrap().blob_id
}

fn certificate(devnet: &Devnet, member: usize, id: &BlobId) -> Option<Vec<u8>> {
    devnet.node(member).unwrap().context().store.certificate(id).unwrap().map(Vec::from)
}

/// Waits until a node has this certificate.
async fn has(devnet: &Devnet, member: usize, id: &BlobId, expected: &[u8]) {
    eventually(&format!("node {member} has the certificate"), async || {
        certificate(devnet, member, id).is_some_and(|it| it == expected)
    })
    .await;
}

/// Changes a bit of these bytes wherever they lie in a file; how often that was.
fn rot(path: &Path, bytes: &[u8]) -> usize {
    let mut file = std::fs::read(path).unwrap();
    let starts: Vec<_> = (0..file.len().saturating_sub(bytes.len()))
        .filter(|start| file[*start..].starts_with(bytes))
        .collect();
    for start in &starts {
        file[start + bytes.len() / 2] ^= 0x10;
    }
    std::fs::write(path, &file).unwrap();
    starts.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_was_missed_that_rotted_or_that_went_with_the_disk_is_there_again() {
    let devnet = Devnet::builder().nodes(4).shards(10).seed(66).segment_bytes(64 << 10);
    let mut devnet = devnet.start().await.unwrap();
    devnet.stop_node(3).await;
    let client = devnet.client("alice").await.unwrap();
    let id = store(&client, 66).await;
    eventually("a node heard of the certificate", async || certificate(&devnet, 0, &id).is_some())
        .await;
    let written = certificate(&devnet, 0, &id).unwrap();
    // It was down when the writer announced it.
    devnet.start_node(3).await.unwrap();
    has(&devnet, 3, &id, &written).await;

    wipe(&mut devnet, 3).await;
    has(&devnet, 3, &id, &written).await;

    devnet.stop_node(3).await;
    let index = devnet.node_config(3).unwrap().data_dir.join("store/index.redb");
    assert!(rot(&index, &written) > 0, "the certificate lies in the index");
    devnet.start_node(3).await.unwrap();
    let store = devnet.node(3).unwrap().context().store.clone();
    eventually("the rot is found", async || store.rot_found() > 0).await;
    eventually("the certificate is right again", async || {
        store.certificate(&id).is_ok_and(|it| it.is_some_and(|it| it == written))
    })
    .await;
    assert_eq!(store.rotten_values().unwrap(), 0);
    drop(store);
    client.close().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lost_its_disk_in_a_later_epoch_has_certificates_again_that_its_committee_did_not_sign()
 {
    let devnet = Devnet::builder().nodes(4).shards(10).seed(67).segment_bytes(64 << 10);
    let mut devnet = devnet.start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let id = store(&client, 67).await;
    eventually("a node heard of the certificate", async || certificate(&devnet, 0, &id).is_some())
        .await;
    let written = certificate(&devnet, 0, &id).unwrap();
    for member in 0..4 {
        has(&devnet, member, &id, &written).await;
    }
    Epochs::of(&devnet, bare(&devnet, "alice").await.0).next().await;
    eventually("the client knows the epoch", async || client.epoch() == 2).await;
    wipe(&mut devnet, 1).await;
    has(&devnet, 1, &id, &written).await;
    client.close().await;
    devnet.shutdown().await;
}
