//! Certificates between a writer and two nodes on this machine, without a ledger.

use std::time::{Duration, Instant};

use haulout_protocol::blob::BlobId;
use haulout_protocol::certificate::Certificate;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::announcement;
use haulout_protocol::message::{Persistence, blob_certificate_message};

use super::consequence;
use crate::context::Context;
use crate::gossip::announce;
use crate::network::{Blame, Network, Verdict};
use crate::sample::{
    NETWORK, eventually, position_of, restarts, sample_committee, sample_context, sample_key,
    sample_network,
};
use crate::tree::{Role, Tree};

/// A writer and two nodes in a row: the writer knows only the first.
struct World {
    writer: Network,
    nodes: Vec<Context>,
    trees: Vec<Tree>,
}

async fn introduce(network: &Network, tree: &Tree) {
    let mut addresses = tree.network().addresses();
    let listening = addresses.wait_for(|addresses| !addresses.is_empty()).await.unwrap().clone();
    network.add_addresses(tree.network().identity(), listening);
    // Gossip travels over connections that exist; a question makes one.
    let stream = network.open(tree.network().identity(), crate::network::Protocol::Blob).await;
    drop(stream.unwrap());
}

impl World {
    async fn start() -> World {
        let networks = [sample_network(1), sample_network(2)];
        let peers: Vec<_> = networks.iter().map(Network::identity).collect();
        let position = position_of(sample_committee(&peers, 4));
        let (mut nodes, mut trees) = (Vec::new(), Vec::new());
        for (index, network) in networks.into_iter().enumerate() {
            let node = sample_context(position.clone(), network.identity(), index);
            trees.push(Tree::start(node.clone(), network, Role::StorageNode).await.unwrap());
            nodes.push(node);
        }
        let writer = sample_network(3);
        let context = sample_context(position, writer.identity(), 2);
        trees.push(Tree::start(context, writer.clone(), Role::Client).await.unwrap());
        introduce(&writer, &trees[0]).await;
        introduce(trees[0].network(), &trees[1]).await;
        let world = World { writer, nodes, trees };
        world.warm_up().await;
        world
    }

    /// Announces other certificates from the first node until one reaches the second. A message that the first node gets
    /// before it knows of the second's subscription goes no further: gossip is a hint.
    async fn warm_up(&self) {
        const ATTEMPTS: u8 = 60;
        for attempt in 0..ATTEMPTS {
            let blob_id = BlobId::from_bytes([u8::MAX - attempt; 32]);
            let certificate = self.certificate(&blob_id, &[0, 1]);
            let announced = announce(self.trees[0].network(), &certificate).await.is_ok();
            let until = Instant::now() + Duration::from_millis(500);
            while announced && Instant::now() < until {
                if self.nodes[1].store.certificate(&blob_id).unwrap().is_some() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no gossip passes between the nodes");
    }

    fn certificate(&self, blob_id: &BlobId, signers: &[usize]) -> Certificate {
        let committee = self.nodes[0].position.current().committee;
        let message =
            blob_certificate_message(&NETWORK, Epoch(1), blob_id, &Persistence::Permanent);
        let sign = |index: &usize| (*index, sample_key(*index).sign(&message));
        let confirmations: Vec<_> = signers.iter().map(sign).collect();
        Certificate::aggregate(&committee, message, &confirmations).unwrap()
    }

    /// Announces until the subscriptions of our peers have reached us.
    async fn announce(&self, certificate: &Certificate) {
        let announced = async {
            while announce(&self.writer, certificate).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), announced).await;
        in_time.expect("peers subscribe within half a minute");
    }

    async fn all_hold(&self, blob_id: &BlobId, certificate: &Certificate) {
        for node in &self.nodes {
            let bytes = certificate.to_bytes();
            let holds = || node.store.certificate(blob_id).unwrap().is_some_and(|it| it == bytes);
            eventually("the node holds the certificate", holds).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_reaches_nodes_its_writer_does_not_know() {
    let world = World::start().await;
    let blob_id = BlobId::from_bytes([1; 32]);
    let certificate = world.certificate(&blob_id, &[0, 1]);
    world.announce(&certificate).await;
    world.all_hold(&blob_id, &certificate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_certificate_is_not_kept_and_its_sender_is_blamed() {
    let world = World::start().await;
    let blob_id = BlobId::from_bytes([2; 32]);
    let forged = world.certificate(&blob_id, &[0]);
    world.announce(&forged).await;
    let writer = world.writer.identity();
    let peers = world.trees[0].network().peers();
    let blamed = || {
        let blamed = peers.borrow().blamed.get(&writer).cloned().unwrap_or_default();
        blamed.contains_key(&Blame::WrongProof)
    };
    eventually("the writer is blamed", blamed).await;
    for node in &world.nodes {
        assert_eq!(node.store.certificate(&blob_id).unwrap(), None);
    }
    // Had the forgery travelled on, it would have reached the second node before what comes after it, and the first
    // node would be to blame for it there.
    let (blob_id, from) = (BlobId::from_bytes([4; 32]), world.trees[0].network());
    let certificate = world.certificate(&blob_id, &[0, 1]);
    announce(from, &certificate).await.unwrap();
    let holds = || world.nodes[1].store.certificate(&blob_id).unwrap().is_some();
    eventually("the second node hears what comes after", holds).await;
    let peers = world.trees[1].network().peers();
    assert!(!peers.borrow().blamed.contains_key(&from.identity()), "the first node passed it on");
}

#[test]
fn only_what_is_accepted_travels_on() {
    let blob_id = BlobId::from_bytes([5; 32]);
    let message = blob_certificate_message(&NETWORK, Epoch(1), &blob_id, &Persistence::Permanent);
    let signature = sample_key(0).sign(&message);
    let certificate = Certificate { signers: vec![1], message, signature };
    let accepted = announcement::Verdict::Accept(blob_id, Box::new(certificate));
    let rejected = announcement::Verdict::Reject("forged".to_owned());
    assert_eq!(consequence(&accepted), (Verdict::Accept, "accepted"));
    assert_eq!(consequence(&announcement::Verdict::Ignore), (Verdict::Ignore, "ignored"));
    assert_eq!(consequence(&rejected), (Verdict::Reject, "rejected"));
}

#[tokio::test(flavor = "multi_thread")]
async fn gossip_goes_on_after_a_kill() {
    let world = World::start().await;
    assert!(world.trees[0].kill("gossip"));
    let tree = &world.trees[0];
    let restarted = || tree.is_healthy() && restarts(&tree.health()) == 1;
    eventually("gossip runs again", restarted).await;
    let blob_id = BlobId::from_bytes([3; 32]);
    let certificate = world.certificate(&blob_id, &[0, 1]);
    world.announce(&certificate).await;
    world.all_hold(&blob_id, &certificate).await;
}
