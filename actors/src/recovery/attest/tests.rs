//! A node that is asked for its verdict by peers on this machine, without a ledger: the test writes what the ledger says.

use haulout_protocol::blob::{BlobHeader, SegmentCommitment};
use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::crypto::{self, PeerId, Signature};
use haulout_protocol::encoding::{
    Parameters, ShortInconsistency, ShortRepair, encode_short, repair_short,
};
use haulout_protocol::machine::ledger_history::{Doubt, Verdict};
use haulout_protocol::merkle;
use haulout_protocol::wire::{self, SMALL_FRAME_BYTES_MAX};
use haulout_storage::BlobEffect;

use super::*;
use crate::network::{Network, Protocol, Stream};
use crate::sample::{
    NETWORK, eventually, position_of, sample_committee, sample_context, sample_key, sample_network,
};
use crate::tree::{Role, Tree};

const BYTES: [u8; 700] = [7; 700];

/// A storage node, and another member next to it.
struct World {
    node: Context,
    tree: Tree,
    member: Network,
    member_tree: Tree,
}

impl World {
    /// Two members share seven shards, and short blobs have up to a thousand bytes.
    async fn start() -> World {
        World::start_as(|asker, _| asker).await
    }

    /// The second member is one of the two peers that exist.
    async fn start_as(second: impl Fn(PeerId, PeerId) -> PeerId) -> World {
        let (network, member) = (sample_network(1), sample_network(2));
        let absent = PeerId::from_key([200; 32]);
        let second = second(member.identity(), absent);
        let mut position = position_of(sample_committee(&[network.identity(), second], 7));
        position.parameters = position.parameters.with_short_blobs(1000).unwrap();
        let node = sample_context(position.clone(), network.identity(), 0);
        let tree = Tree::start(node.clone(), network, Role::StorageNode).await.unwrap();
        let context = sample_context(position, member.identity(), 1);
        let member_tree = Tree::start(context, member.clone(), Role::Client).await.unwrap();
        let mut addresses = tree.network().addresses();
        let listening = addresses.wait_for(|addresses| !addresses.is_empty()).await.unwrap();
        member.add_addresses(tree.network().identity(), listening.clone());
        drop(listening);
        tree.network().set_members([tree.network().identity(), second].into());
        World { node, tree, member, member_tree }
    }

    fn parameters(&self) -> Parameters {
        self.node.position.current().parameters
    }

    async fn ledger_says(&self, effects: Vec<BlobEffect>) {
        let mut position = self.node.position.current();
        position.checkpoint += 1;
        self.node.store.apply(position.checkpoint, effects).await.unwrap();
        self.node.position.set(position);
    }

    async fn certify(&self, blob_id: BlobId) {
        let object_id = ObjectId::from_bytes([8; 32]);
        let registered = BlobEffect::Registered {
            object_id,
            blob_id,
            epoch: Epoch(1),
            end_epoch: Epoch(3),
            size: 700,
            deletable: false,
        };
        let certified =
            BlobEffect::Certified { object_id, blob_id, epoch: Epoch(1), end_epoch: Epoch(3) };
        self.ledger_says(vec![registered, certified]).await;
    }

    async fn open(&self) -> Stream {
        self.member.open(self.tree.network().identity(), Protocol::Verdict).await.unwrap()
    }

    /// Shows evidence, as long as the node wants to see it, and gives its last word.
    async fn show(&self, header: &BlobHeader, evidence: &[u8]) -> Reply {
        let header_bytes = header.to_bytes();
        let request = Request {
            blob_id: *header.blob_id().as_bytes(),
            header_bytes: u32::try_from(header_bytes.len()).unwrap(),
            evidence_bytes: u32::try_from(evidence.len()).unwrap(),
        };
        let mut stream = self.open().await;
        stream.write_frame(&request).await.unwrap();
        stream.flush().await.unwrap();
        let reply = stream.read_frame(SMALL_FRAME_BYTES_MAX).await.unwrap();
        if reply != Reply::Send {
            return reply;
        }
        stream.write_all(&header_bytes).await.unwrap();
        stream.write_all(evidence).await.unwrap();
        stream.flush().await.unwrap();
        stream.read_frame(SMALL_FRAME_BYTES_MAX).await.unwrap()
    }

    /// Whether the node holds a wrong proof against the member.
    fn has_blamed(&self) -> bool {
        let peers = self.tree.network().peers();
        let blamed = peers.borrow().blamed.get(&self.member.identity()).cloned();
        blamed.is_some_and(|blamed| blamed.contains_key(&Blame::WrongProof))
    }

    async fn stop(self) {
        self.member_tree.shutdown().await;
        self.tree.shutdown().await;
    }
}

/// The header of a short blob, one symbol of which is another's, with what shows it.
fn lie(parameters: &Parameters) -> (BlobHeader, Vec<u8>) {
    let encoded = encode_short(parameters, &BYTES);
    let mut symbols: Vec<_> = (0..7).map(|place| encoded.symbol(place).to_vec()).collect();
    symbols[6][0] ^= 1;
    let tree =
        merkle::Tree::new(symbols.iter().map(|symbol| crypto::hash_symbol(symbol)).collect());
    let commitment = SegmentCommitment { slivers_root: tree.root(), ..encoded.commitment() };
    let header = BlobHeader::new(parameters, 700, vec![commitment]);
    let Ok(ShortRepair::Inconsistent(fault)) = repair_short(parameters, &header, &BYTES) else {
        panic!("the symbols are not those that were committed to");
    };
    (header, wire::encode(&WriterFault::Short(fault)))
}

#[tokio::test]
async fn a_member_that_shows_a_writers_fault_gets_the_signature_that_the_ledger_takes() {
    let world = World::start().await;
    let (header, evidence) = lie(&world.parameters());
    let blob_id = header.blob_id();
    world.certify(blob_id).await;
    let Reply::Signed { epoch: 1, signature } = world.show(&header, &evidence).await else {
        panic!("the evidence holds");
    };
    let message = invalid_blob_message(&NETWORK, Epoch(1), &blob_id);
    let signature = Signature::from_bytes(&signature).unwrap();
    assert!(signature.verify(&sample_key(0).public_key(), &message));
    let committee = world.node.position.current().committee.clone();
    let certificate = Certificate::aggregate(&committee, message, &[(0, signature)]).unwrap();
    assert!(committee.is_one_correct(committee.weight(0)), "{certificate:?}");
    assert!(!world.has_blamed());

    world.ledger_says(vec![BlobEffect::Invalidated { blob_id, epoch: Epoch(1) }]).await;
    let again = world.show(&header, &evidence).await;
    assert!(matches!(again, Reply::Refused(Refusal::Invalid(_))), "{again:?}");
    world.stop().await;
}

#[tokio::test]
async fn evidence_against_an_honest_writer_is_blamed_on_whoever_sent_it() {
    let world = World::start().await;
    let header = encode_short(&world.parameters(), &BYTES).header().clone();
    world.certify(header.blob_id()).await;
    let claim = ShortInconsistency::Content { blob: BYTES.to_vec() };
    let refused = world.show(&header, &wire::encode(&WriterFault::Short(claim))).await;
    let Reply::Refused(Refusal::Invalid(reason)) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("shows nothing"), "{reason}");
    eventually("whoever sent it is blamed", || world.has_blamed()).await;
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_read_or_signed_of_blobs_that_nobody_answers_for_or_while_the_ledger_is_doubted()
{
    let world = World::start().await;
    let (header, evidence) = lie(&world.parameters());
    let unread = world.show(&header, &evidence).await;
    assert_eq!(unread, Reply::Refused(Refusal::NotRegistered));
    world.certify(header.blob_id()).await;
    world.node.trust.doubt(Doubt { verdict: Verdict::Fork, checkpoint: 1 });
    let doubting = world.show(&header, &evidence).await;
    assert!(matches!(doubting, Reply::Refused(Refusal::Busy { .. })), "{doubting:?}");
    world.node.trust.heard();
    let signed = world.show(&header, &evidence).await;
    assert!(matches!(signed, Reply::Signed { .. }), "{signed:?}");
    world.stop().await;
}

#[tokio::test]
async fn strangers_are_shown_the_door_and_what_is_too_long_is_not_waited_for() {
    let world = World::start_as(|_, absent| absent).await;
    let (header, evidence) = lie(&world.parameters());
    world.certify(header.blob_id()).await;
    let refused = world.show(&header, &evidence).await;
    assert!(matches!(refused, Reply::Refused(Refusal::Invalid(_))), "{refused:?}");
    world.stop().await;

    let world = World::start().await;
    world.certify(header.blob_id()).await;
    let mut stream = world.open().await;
    let blob_id = *header.blob_id().as_bytes();
    let evidence_bytes = PROOF_FRAME_BYTES_MAX + 1;
    stream.write_frame(&Request { blob_id, header_bytes: 10, evidence_bytes }).await.unwrap();
    stream.flush().await.unwrap();
    let refused = stream.read_frame::<Reply>(SMALL_FRAME_BYTES_MAX).await.unwrap();
    assert!(matches!(refused, Reply::Refused(Refusal::Invalid(_))), "{refused:?}");
    world.stop().await;
}
