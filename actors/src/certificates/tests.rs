//! A node that lacks certificates among members on this machine, without a ledger: the test writes what the ledger says.

use haulout_protocol::blob::BlobId;
use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::committee::Committee;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{Persistence, blob_certificate_message};
use haulout_storage::BlobEffect;

use super::*;
use crate::network::Blame;
use crate::position::Position;
use crate::sample::{
    NETWORK, eventually, position_of, sample_committee, sample_context, sample_key, sample_network,
    sample_position,
};
use crate::session::{self, Session};
use crate::tree::{Role, Tree};

const MEMBERS: usize = 4;

/// Four members with a shard each; the first of them is the one that lacks something, and does not run yet.
struct World {
    networks: Vec<Network>,
    nodes: Vec<Context>,
    trees: Vec<Tree>,
    position: Position,
}

impl World {
    /// The ledger says of these blobs that they are certified.
    async fn start(blobs: &[BlobId]) -> World {
        let networks: Vec<_> = (1..).take(MEMBERS).map(sample_network).collect();
        let peers: Vec<_> = networks.iter().map(Network::identity).collect();
        let position = position_of(sample_committee(&peers, 4));
        let (mut nodes, mut trees) = (Vec::new(), Vec::new());
        for (index, network) in networks.iter().enumerate() {
            let node = sample_context(position.clone(), network.identity(), index);
            node.store.apply(1, blobs.iter().flat_map(certified).collect()).await.unwrap();
            if index > 0 {
                let tree = Tree::start(node.clone(), network.clone(), Role::StorageNode);
                trees.push(tree.await.unwrap());
            }
            nodes.push(node);
        }
        World { networks, nodes, trees, position }
    }

    /// The members from the second on have this certificate of the blob, or none.
    async fn give(&self, blob: &BlobId, certificates: [Option<&[u8]>; MEMBERS - 1]) {
        for (node, certificate) in self.nodes[1..].iter().zip(certificates) {
            if let Some(bytes) = certificate {
                node.store.put_certificate(blob, bytes.to_vec()).await.unwrap();
            }
        }
    }

    /// Starts the first member, which knows where the others are.
    async fn begin(&mut self) {
        for tree in &self.trees {
            let mut addresses = tree.network().addresses();
            let listening = addresses.wait_for(|addresses| !addresses.is_empty()).await.unwrap();
            self.networks[0].add_addresses(tree.network().identity(), listening.clone());
        }
        let (node, network) = (self.nodes[0].clone(), self.networks[0].clone());
        self.trees.insert(0, Tree::start(node, network, Role::StorageNode).await.unwrap());
    }

    fn kept(&self, blob: &BlobId) -> Option<Vec<u8>> {
        self.nodes[0].store.certificate(blob).unwrap().map(Vec::from)
    }

    async fn has(&self, blob: &BlobId, certificate: &[u8]) {
        let has = || self.kept(blob).is_some_and(|kept| kept == certificate);
        eventually("the certificate is here", has).await;
    }

    /// What the second member gets that asks the first for the certificate.
    async fn served(&self, blob: &BlobId) -> Vec<u8> {
        let mut addresses = self.networks[0].addresses();
        let listening = addresses.wait_for(|addresses| !addresses.is_empty()).await.unwrap();
        self.networks[1].add_addresses(self.networks[0].identity(), listening.clone());
        drop(listening);
        let session = Session {
            network: self.networks[1].clone(),
            network_id: NETWORK,
            roster: self.position.roster().into(),
            committee: self.position.committee.clone(),
            parameters: self.position.parameters,
            checkpoint: 0,
            patience: Duration::from_secs(60),
        };
        session::certificate(&session, 0, blob).await.unwrap()
    }

    fn signed(&self, epoch: u32, blob: &BlobId, signers: &[usize]) -> Vec<u8> {
        signed(&self.position.committee, epoch, blob, signers)
    }
}

/// A certificate of that epoch that these members signed.
fn signed(committee: &Committee, epoch: u32, blob: &BlobId, signers: &[usize]) -> Vec<u8> {
    let message = blob_certificate_message(&NETWORK, Epoch(epoch), blob, &Persistence::Permanent);
    let sign = |index: &usize| (*index, sample_key(*index).sign(&message));
    let confirmations: Vec<_> = signers.iter().map(sign).collect();
    Certificate::aggregate(committee, message, &confirmations).unwrap().to_bytes()
}

/// What the ledger says of a blob that nobody ever sends.
fn certified(blob: &BlobId) -> [BlobEffect; 2] {
    let (blob_id, object_id) = (*blob, ObjectId::from_bytes(*blob.as_bytes()));
    let (epoch, end_epoch) = (Epoch(0), Epoch(9));
    let (size, deletable) = (100, false);
    [
        BlobEffect::Registered { blob_id, object_id, epoch, end_epoch, size, deletable },
        BlobEffect::Certified { blob_id, object_id, epoch, end_epoch },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_one_member_has_is_here_again_and_served_and_whoever_forges_one_is_blamed()
 {
    let blob = BlobId::from_bytes([1; 32]);
    let mut world = World::start(&[blob]).await;
    let right = world.signed(1, &blob, &[0, 1, 3]);
    let forged = world.signed(1, &blob, &[0, 3]);
    // Nobody has the right one yet, so both forgers are heard.
    world.give(&blob, [Some(&forged), Some(&forged), None]).await;
    world.begin().await;
    let peers = world.networks[0].peers();
    let forgers = [world.networks[1].identity(), world.networks[2].identity()];
    let blamed = || {
        let peers = peers.borrow();
        forgers.iter().all(|forger| {
            peers.blamed.get(forger).is_some_and(|it| it.contains_key(&Blame::WrongProof))
        })
    };
    eventually("both forgers are blamed", blamed).await;
    assert_eq!(world.kept(&blob), None);
    world.give(&blob, [None, None, Some(&right)]).await;
    world.trees[0].kill("certificates"); // the next tour begins at once
    world.has(&blob, &right).await;
    assert_eq!(world.served(&blob).await, right);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_an_epoch_before_takes_more_than_a_third_of_the_shards_and_nobody_else_keeps_it_away()
 {
    let [alone, blob] = [2, 3].map(|byte| BlobId::from_bytes([byte; 32]));
    let mut world = World::start(&[alone, blob]).await;
    let [first, second] = [&[0, 1, 2], &[1, 2, 3]].map(|signers| world.signed(0, &blob, signers));
    world.give(&blob, [Some(&second), Some(&first), Some(&second)]).await;
    let lonely = world.signed(0, &alone, &[0, 1, 2]);
    world.give(&alone, [Some(&lonely), None, None]).await;
    world.begin().await;
    world.has(&blob, &second).await;
    // The other was asked for in the same page, and is asked for again.
    world.give(&alone, [None, Some(&lonely), None]).await;
    world.trees[0].kill("certificates");
    world.has(&alone, &lonely).await;
    let peers = world.networks[0].peers();
    assert!(peers.borrow().blamed.is_empty(), "nobody lied that could be told from who is right");
}

#[tokio::test]
async fn a_tour_begins_with_each_epoch_and_none_where_the_operator_wants_no_repairs() {
    let position = sample_position(4);
    let peer = position.committee.members()[0].peer_id;
    let context = sample_context(position.clone(), peer, 0);
    let nobody = AbortOnDropHandle::new(tokio::spawn(async {}));
    let mut state = State::begin(context.clone(), sample_network(1), nobody);
    let move_on = |epoch| context.position.set(Position { epoch, ..position.clone() });
    assert_eq!((state.moved_on(), state.moved_on()), (Some(Input::Renewed), None));
    move_on(Epoch(2));
    assert_eq!((state.moved_on(), state.moved_on()), (Some(Input::Renewed), None));
    state.fetching.context.repairs_at_once = 0;
    move_on(Epoch(3));
    assert_eq!((state.moved_on(), state.moved_on()), (None, None));
}
