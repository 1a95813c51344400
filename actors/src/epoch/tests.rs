//! A node judges each committee once, durably, and says what it lacks.

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::epoch_change::Holding;
use haulout_protocol::machine::ledger_history::{Doubt, Verdict};
use haulout_storage::BlobEffect;

use super::*;
use crate::network::Network;
use crate::sample::{
    eventually, position_of, restarts, sample_committee, sample_context, sample_network,
};
use crate::tree::{Role, Tree};

/// A node with all four shards, which has read the ledger up to checkpoint 0.
async fn sample_node(effects: Vec<BlobEffect>) -> (Context, Tree) {
    let network = sample_network(1);
    let position = position_of(sample_committee(&[network.identity()], 4));
    let node = sample_context(position, network.identity(), 0);
    node.store.apply(0, effects).await.unwrap();
    (node.clone(), start(&node, network).await)
}

async fn start(node: &Context, network: Network) -> Tree {
    Tree::start(node.clone(), network, Role::StorageNode).await.unwrap()
}

/// A blob that was registered and certified in an epoch, and of which nothing is stored here.
fn certified_elsewhere(epoch: u32, end_epoch: u32) -> Vec<BlobEffect> {
    let (blob_id, object_id) = (BlobId::from_bytes([7; 32]), ObjectId::from_bytes([8; 32]));
    let (epoch, end_epoch) = (Epoch(epoch), Epoch(end_epoch));
    let deletable = false;
    vec![
        BlobEffect::Registered { blob_id, object_id, epoch, end_epoch, size: 9, deletable },
        BlobEffect::Certified { blob_id, object_id, epoch, end_epoch },
    ]
}

/// Moves to a later epoch, with all four shards as before.
fn enter(node: &Context, epoch: u32) {
    let mut position = node.position.current();
    position.epoch = Epoch(epoch);
    node.position.set(position);
}

fn holdings(node: &Context) -> Vec<Holding> {
    node.store.shards().unwrap().into_values().collect()
}

#[tokio::test]
async fn a_new_node_of_a_new_network_holds_its_shards_and_remembers_it() {
    let (node, tree) = sample_node(vec![]).await;
    eventually("its shards are held", || holdings(&node) == [Holding::Held; 4]).await;
    assert!(tree.kill("epoch"));
    eventually("it was restarted", || restarts(&tree.health()) == 1).await;
    // A blob the network stored later does not make held shards missing.
    node.store.apply(1, certified_elsewhere(1, 9)).await.unwrap();
    enter(&node, 2);
    eventually("it is well", || tree.is_healthy()).await;
    assert_eq!(holdings(&node), [Holding::Held; 4]);
    tree.shutdown().await;
}

#[tokio::test]
async fn a_node_with_a_lost_disk_says_which_shards_it_lacks_until_their_blobs_expire() {
    let (node, tree) = sample_node(certified_elsewhere(1, 3)).await;
    let missing = Holding::Missing { since: Epoch(1) };
    eventually("its shards are missing", || holdings(&node) == [missing; 4]).await;
    let counted = || node.metrics.encode().contains("haulout_shards_missing 4");
    eventually("operators see it", counted).await;
    enter(&node, 3);
    eventually("nothing is missing any more", || holdings(&node) == [Holding::Held; 4]).await;
    let counted = || node.metrics.encode().contains("haulout_shards_missing 0");
    eventually("operators see that, too", counted).await;
    tree.shutdown().await;
}

#[tokio::test]
async fn nothing_is_judged_before_the_store_has_read_what_the_ledger_says() {
    let network = sample_network(1);
    let mut position = position_of(sample_committee(&[network.identity()], 4));
    position.read_at = 2;
    let node = sample_context(position, network.identity(), 0);
    let tree = start(&node, network).await;
    node.store.apply(2, certified_elsewhere(1, 3)).await.unwrap();
    assert_eq!(holdings(&node), []);
    let mut position = node.position.current();
    position.checkpoint = 2;
    node.position.set(position);
    let missing = Holding::Missing { since: Epoch(1) };
    eventually("its shards are missing", || holdings(&node) == [missing; 4]).await;
    tree.shutdown().await;
}

#[tokio::test]
async fn nothing_is_deleted_on_a_servers_word_or_while_the_ledger_is_not_believed() {
    let (node, tree) = sample_node(certified_elsewhere(1, 3)).await;
    let blob_id = BlobId::from_bytes([7; 32]);
    node.store.put_header(&blob_id, vec![1; 100], 0).await.unwrap();
    eventually("the first epoch is judged", || !holdings(&node).is_empty()).await;
    let there = || node.store.header(&blob_id).unwrap().is_some();
    let mut position = node.position.current();
    position.epoch = Epoch(3);
    position.is_proven = false;
    node.position.set(position.clone());
    tokio::task::yield_now().await;
    node.trust.doubt(Doubt { verdict: Verdict::Forged, checkpoint: 7 });
    position.is_proven = true;
    node.position.set(position.clone());
    tokio::task::yield_now().await;
    // A restarted actor reads all of it again, before it is healthy.
    assert!(tree.kill("epoch"));
    eventually("it was restarted", || restarts(&tree.health()) == 1 && tree.is_healthy()).await;
    assert!(there(), "neither was enough");
    node.trust.heard();
    node.position.set(position);
    eventually("what is over is gone", || !there()).await;
    tree.shutdown().await;
}

#[tokio::test]
async fn a_shard_that_is_anothers_stays_until_its_owner_says_that_it_has_it_and_then_frees_its_bytes()
 {
    let (node, tree) = sample_node(certified_elsewhere(1, 9)).await;
    let missing = Holding::Missing { since: Epoch(1) };
    eventually("its shards are missing", || holdings(&node) == [missing; 4]).await;
    let blob_id = BlobId::from_bytes([7; 32]);
    let mut writer = node.store.segment_writer(blob_id, 0, 0).unwrap();
    for shard in [2, 3].map(ShardIndex) {
        writer.append_proof(shard, &[1; 64]).unwrap();
        for axis in haulout_protocol::sliver::Axis::BOTH {
            writer.append(shard, axis, &[9; 40]).unwrap();
        }
    }
    writer.commit().await.unwrap();
    // Shard 3 is another's from the second epoch on.
    let mut position = node.position.current();
    let committee = sample_committee(&[node.peer, PeerId::from_key([9; 32])], 4);
    position.committee = committee.into();
    assert_eq!(position.shards_of(&node.peer), [ShardIndex(0), ShardIndex(2)]);
    let there = |shard| {
        let held = node.store.count_slivers(&blob_id, 0..1, &[ShardIndex(shard)]).unwrap();
        held == [(1, 1)]
    };
    let other = position.committee.members()[1].node_id;
    let holding = || node.store.shards().unwrap().get(&ShardIndex(3)).copied();
    // Two epochs later the other one has not said anything; nor does it help that we have ours.
    for (epoch, synced) in
        [(2, vec![other]), (3, vec![]), (4, vec![position.committee.members()[0].node_id])]
    {
        position.epoch = Epoch(epoch);
        position.synced = synced.into();
        node.position.set(position.clone());
        let judged = || node.vitals.shards_missing(Epoch(epoch)).is_some();
        eventually("the epoch is judged", judged).await;
        assert_eq!(holding(), Some(Holding::Locked { since: Epoch(2) }), "in epoch {epoch}");
        assert!(there(2) && there(3), "in epoch {epoch}");
    }
    let ours = position.committee.members()[0].node_id;
    position.synced = vec![ours, other].into(); // who said it stays on the list
    node.position.set(position.clone());
    eventually("it is nobody's any more", || holding().is_none()).await;
    eventually("its bytes are gone", || !there(3)).await;
    assert!(there(2), "what is ours stays");
    tree.shutdown().await;
}

#[test]
fn long_lists_of_shards_are_cut_off() {
    let shards: Vec<_> = (0..40).map(ShardIndex).collect();
    assert_eq!(listed(&shards[..2]), "0, 1 (2 in all)");
    assert!(listed(&shards).ends_with("14, 15, ... (40 in all)"));
}
