//! What operators change about their nodes, by transactions that the cap or its successor allows.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::Function as Callee;
use haulout_protocol::chain::event::{Event, StakeEvent};
use haulout_protocol::chain::object::staking::{Authority, NodeCap};
use haulout_protocol::chain::object::{Entry, StakingPool};
use haulout_protocol::crypto::SecretKey;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{NetworkId, peer_proof_message, proof_of_possession_message};
use serde::Serialize;
use sui_crypto::Signer;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::Ed25519Signature;

use crate::epochs::funded;
use crate::keeper::Turn;
use crate::operators::{Given, register};
use crate::world::{Account, World, bls_key, operator};

const ADDRESS: [u8; 8] = [4, 10, 0, 0, 1, 6, 0x1f, 0x90];

fn plain(value: &(impl Serialize + ?Sized)) -> Given {
    Given::Pure(bcs::to_bytes(value).unwrap())
}

/// The first node of genesis, whoever owns it, and the objects its calls take.
struct Node {
    owner: Account,
    id: ObjectId,
    cap: ObjectId,
    state: Given,
    params: Given,
}

impl Node {
    async fn first(world: &World) -> Self {
        let cap = world.cap(0).await.into_inner();
        let id = world.object::<NodeCap>(&ObjectId::from_bytes(cap)).await.node_id;
        let params = Given::Object(world.ledger.ids().params);
        Node {
            owner: operator(0),
            id,
            cap: ObjectId::from_bytes(cap),
            state: world.state_id(),
            params,
        }
    }

    /// The arguments of a call by cap.
    fn by_cap(&self, rest: impl IntoIterator<Item = Given>) -> Vec<Given> {
        [self.state.clone(), Given::Object(self.cap)].into_iter().chain(rest).collect()
    }

    /// The arguments of a call as an account.
    fn as_sender(&self, rest: impl IntoIterator<Item = Given>) -> Vec<Given> {
        [self.state.clone(), Given::Pure(self.id.as_bytes().to_vec())]
            .into_iter()
            .chain(rest)
            .collect()
    }

    /// The arguments of a rotation.
    fn keys(&self, key: Given, proof: &[u8]) -> Vec<Given> {
        vec![self.state.clone(), self.params.clone(), Given::Object(self.cap), key, plain(proof)]
    }

    /// The arguments that give the node a BLS key in an epoch.
    fn bls(&self, world: &World, key: &SecretKey, epoch: u32) -> Vec<Given> {
        let network = NetworkId::from_bytes((world.ledger.ids().network_id).into());
        let (epoch, sender) = (Epoch(epoch), self.owner.address.inner());
        let message = proof_of_possession_message(
            &network,
            epoch,
            &ObjectId::from_bytes(*sender),
            &key.public_key(),
        );
        let proof = key.sign(&message).to_bytes();
        self.keys(plain(&public(key)), &proof)
    }

    /// The arguments that give the node a libp2p key in an epoch.
    fn peer(&self, world: &World, secret: u8, bls: &SecretKey, epoch: u32) -> Vec<Given> {
        let network = NetworkId::from_bytes((world.ledger.ids().network_id).into());
        let (epoch, sender) = (Epoch(epoch), self.owner.address.inner());
        let message =
            peer_proof_message(&network, epoch, &ObjectId::from_bytes(*sender), &public(bls));
        let key = Ed25519PrivateKey::new([secret; 32]);
        let proof: Ed25519Signature = key.sign(&message);
        self.keys(Given::Pure(key.public_key().into_inner().to_vec()), proof.inner())
    }

    async fn view(&self, world: &World) -> StakingPool {
        world.object(&self.id).await
    }
}

fn public(key: &SecretKey) -> Vec<u8> {
    key.public_key().to_bytes().to_vec()
}

/// The numbers of what a transaction says has changed.
fn updated(world: &World, done: &rpc::ExecutedTransaction) -> Vec<u8> {
    let number = |event| match event {
        Event::Stake(StakeEvent::NodeUpdated(event)) => Some(event.field),
        _ => None,
    };
    world.events(done).into_iter().filter_map(number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_shows_is_changed_with_its_cap_and_seen_by_clients_at_once() {
    let world = World::start().await;
    let node = Node::first(&world).await;
    let pair = |key: &str, value: &str| Entry { key: key.to_owned(), value: value.to_owned() };
    let texts = vec![pair("site", "example.org"), pair("region", "fsn")];
    let addresses = vec![ADDRESS.to_vec(), ADDRESS.to_vec()];
    for (callee, value, field) in [
        (Callee::SET_NAME, plain("north"), 0),
        (Callee::SET_MULTIADDRS, plain(&addresses), 1),
        (Callee::SET_NODE_METADATA, plain(&texts), 4),
    ] {
        let done = world.invoke(&node.owner, callee, &node.by_cap([value]), false).await;
        assert_eq!(updated(&world, &done), [field]);
    }
    let world = world.restart().await;
    let shown = node.view(&world).await.node_info;
    assert_eq!((shown.name.as_str(), &shown.multiaddrs), ("north", &addresses));
    assert_eq!(shown.metadata, texts);
    assert_eq!(world.stake_state().await.pools[&node.id].node, shown);

    let many: Vec<_> = (0..17).map(|number| pair(&number.to_string(), "")).collect();
    for (callee, value, abort) in [
        (Callee::SET_NAME, plain(&"x".repeat(101)), Abort::NameTooLong),
        (Callee::SET_MULTIADDRS, plain(&Vec::<Vec<u8>>::new()), Abort::BadMultiaddrs),
        (Callee::SET_MULTIADDRS, plain(&vec![ADDRESS.to_vec(); 9]), Abort::BadMultiaddrs),
        (Callee::SET_MULTIADDRS, plain(&vec![vec![0_u8; 4]]), Abort::BadMultiaddrs),
        (Callee::SET_NODE_METADATA, plain(&many), Abort::BadNodeMetadata),
        (Callee::SET_NODE_METADATA, plain(&[&pair("a", "")][..].repeat(2)), Abort::BadNodeMetadata),
        (
            Callee::SET_NODE_METADATA,
            plain(&[pair(&"k".repeat(65), "")][..]),
            Abort::BadNodeMetadata,
        ),
        (
            Callee::SET_NODE_METADATA,
            plain(&[pair("k", &"v".repeat(257))][..]),
            Abort::BadNodeMetadata,
        ),
    ] {
        let refused = world.would_fail(&node.owner, callee, &node.by_cap([value])).await;
        assert_eq!(refused, abort);
    }
    assert_eq!(node.view(&world).await.node_info, shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn t66_a_commission_is_announced_and_applies_two_epochs_later() {
    let world = World::start().await;
    let (keeper, node) = (funded(&world, 2, 1).await, Node::first(&world).await);
    let set = |bps: u16| node.by_cap([plain(&bps)]);
    let callee = Callee::SET_NEXT_COMMISSION;
    let refused = world.would_fail(&node.owner, callee, &set(10_001)).await;
    assert_eq!(refused, Abort::IncorrectCommissionRate);
    let done = world.invoke(&node.owner, callee, &set(2_500), false).await;
    assert_eq!(updated(&world, &done), [6]);
    let pool =
        |state: haulout_protocol::chain::object::staking::Staking| state.pools[&node.id].clone();
    let before = pool(world.stake_state().await);
    assert_eq!(before.pending_commission, [Entry { key: 3, value: 2_500 }]);
    world.epoch(&keeper, 2).await;
    assert_eq!(pool(world.stake_state().await).commission_bps, before.commission_bps);
    world.epoch(&keeper, 3).await;
    assert_eq!(pool(world.stake_state().await).commission_bps, 2_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn t70_a_key_changed_after_the_selection_waits_for_the_next_one() {
    let world = World::start().await;
    let (keeper, node) = (funded(&world, 2, 1).await, Node::first(&world).await);
    let (old, early, late) =
        (bls_key(0), SecretKey::from_seed(&[90; 32]), SecretKey::from_seed(&[91; 32]));
    let rotate = Callee::ROTATE_BLS;
    let stale = node.bls(&world, &early, 2);
    assert_eq!(world.would_fail(&node.owner, rotate, &stale).await, Abort::BadProofOfPossession);
    let taken = node.bls(&world, &old, 1);
    assert_eq!(world.would_fail(&node.owner, rotate, &taken).await, Abort::DuplicateKey);
    let done = world.invoke(&node.owner, rotate, &node.bls(&world, &early, 1), false).await;
    assert_eq!(updated(&world, &done), [2]);
    let shown = node.view(&world).await.node_info;
    assert_eq!(
        (shown.bls_public_key, shown.next_bls_public_key),
        (public(&old), Some(public(&early)))
    );

    world.half();
    world.turn(&keeper, Turn::VotingEnd).await;
    world.invoke(&node.owner, rotate, &node.bls(&world, &late, 1), false).await;
    world.half();
    world.turn(&keeper, Turn::EpochChange).await;
    world.sync_all(2).await;
    let signing = |system: haulout_protocol::chain::object::System| {
        let members = system.committee.members.into_iter();
        members.filter(|member| member.node_id == node.id).map(|member| member.public_key).next()
    };
    assert_eq!(signing(world.system().await), Some(public(&early)), "captured at the selection");
    assert_eq!(node.view(&world).await.node_info.bls_public_key, public(&early));
    world.check_views().await;
    let taken = node.bls(&world, &late, 2);
    assert_eq!(world.would_fail(&node.owner, rotate, &taken).await, Abort::DuplicateKey);
    let known = world.stake_state().await.by_bls;
    assert!(!known.contains_key(&public(&old)) && known.contains_key(&public(&late)));
    world.epoch(&keeper, 3).await;
    assert_eq!(signing(world.system().await), Some(public(&late)));
    assert_eq!(node.view(&world).await.node_info.next_bls_public_key, None);
    assert!(!world.stake_state().await.by_bls.contains_key(&public(&early)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_peer_key_is_proved_unique_and_used_from_the_next_epoch_on() {
    let world = World::start().await;
    let (keeper, node) = (funded(&world, 2, 1).await, Node::first(&world).await);
    let (rotate, bls) = (Callee::ROTATE_PEER, bls_key(0));
    let unproved = node.peer(&world, 77, &bls_key(1), 1);
    assert_eq!(world.would_fail(&node.owner, rotate, &unproved).await, Abort::BadPeerProof);
    // Secrets of genesis nodes are 100, 101, ...
    let taken = node.peer(&world, 101, &bls, 1);
    assert_eq!(world.would_fail(&node.owner, rotate, &taken).await, Abort::DuplicateKey);
    let dropped = Ed25519PrivateKey::new([76; 32]).public_key().into_inner().to_vec();
    for secret in [76, 77] {
        let given = node.peer(&world, secret, &bls, 1);
        let done = world.invoke(&node.owner, rotate, &given, false).await;
        assert_eq!(updated(&world, &done), [3]);
    }
    let known = world.stake_state().await.by_peer;
    let key = Ed25519PrivateKey::new([77; 32]).public_key().into_inner().to_vec();
    assert!(!known.contains_key(&dropped) && known.contains_key(&key));
    assert_ne!(node.view(&world).await.node_info.peer_key, key);
    world.epoch(&keeper, 2).await;
    let shown = node.view(&world).await.node_info;
    assert_eq!((&shown.peer_key, &shown.peer_id[6..]), (&key, &key[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn t67_an_account_that_receives_the_commission_collects_it_and_the_cap_does_not() {
    let world = World::start().await;
    let (alice, keeper) = (funded(&world, 1, 8).await, funded(&world, 2, 8).await);
    let (id, cap) = register(&world, &alice).await;
    let (state, params) = (world.state_id(), Given::Object(world.ledger.ids().params));
    let node = Node { owner: alice, id, cap, state, params };
    world.stake_with(&node.owner, &id, 2_000_000_000).await;
    world.register(&keeper, 5, false).await;
    world.epoch(&keeper, 2).await;
    world.donate(&keeper).await;
    world.epoch(&keeper, 3).await;
    world.half();
    world.turn(&keeper, Turn::VotingEnd).await;
    let receiver =
        |account: &Account| [plain(&false), Given::Pure(account.address.inner().to_vec())];
    let by_cap = node.by_cap(receiver(&keeper));
    let done = world.invoke(&node.owner, Callee::SET_COMMISSION_RECEIVER, &by_cap, false).await;
    assert_eq!(updated(&world, &done), [7]);
    let denied = Abort::AuthorizationFailure;
    let collect = node.by_cap([]);
    let refused = world.would_fail(&node.owner, Callee::COLLECT_COMMISSION, &collect).await;
    assert_eq!(refused, denied);
    let (callee, collect) = (Callee::COLLECT_COMMISSION_AS_SENDER, node.as_sender([]));
    assert_eq!(world.would_fail(&node.owner, callee, &collect).await, denied);
    let earned = world.stake_state().await.pools[&id].commission;
    let before = world.balance(&keeper, &world.wal_type()).await;
    world.invoke(&keeper, callee, &collect, true).await;
    assert!(earned > 0);
    assert_eq!(world.balance(&keeper, &world.wal_type()).await, before + earned);
    let nobody = [node.state.clone(), Given::Pure(vec![9; 32])];
    assert_eq!(world.would_fail(&keeper, callee, &nobody).await, Abort::UnknownNode);
    let back = node.as_sender([plain(&true), Given::Pure(cap.as_bytes().to_vec())]);
    let callee = Callee::SET_COMMISSION_RECEIVER_AS_SENDER;
    assert_eq!(world.would_fail(&node.owner, callee, &back).await, denied);
    world.invoke(&keeper, callee, &back, false).await;
    let pool = world.stake_state().await.pools[&id].clone();
    assert_eq!(pool.commission_receiver, Authority::Object(cap));
    world.check_money(&[&node.owner, &keeper]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_votes_for_a_node_hands_that_on() {
    let world = World::start().await;
    let (alice, node) = (funded(&world, 1, 1).await, Node::first(&world).await);
    let to = |account: &Account| [plain(&false), Given::Pure(account.address.inner().to_vec())];
    let (by_cap, as_sender) =
        (Callee::SET_GOVERNANCE_AUTHORIZED, Callee::SET_GOVERNANCE_AUTHORIZED_AS_SENDER);
    let early = world.would_fail(&alice, as_sender, &node.as_sender(to(&alice))).await;
    assert_eq!(early, Abort::AuthorizationFailure);
    let done = world.invoke(&node.owner, by_cap, &node.by_cap(to(&alice)), false).await;
    assert_eq!(updated(&world, &done), [7]);
    let late = world.would_fail(&node.owner, by_cap, &node.by_cap(to(&alice))).await;
    assert_eq!(late, Abort::AuthorizationFailure);
    let given = node.as_sender(to(&node.owner));
    world.invoke(&alice, as_sender, &given, false).await;
    let pool = world.stake_state().await.pools[&node.id].clone();
    assert_eq!(
        pool.governance_authority,
        Authority::Account(ObjectId::from_bytes(node.owner.address.into_inner()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_is_of_use_to_its_owner_only() {
    let world = World::start().await;
    let (mallory, node) = (funded(&world, 1, 1).await, Node::first(&world).await);
    let cap = world.owned(&node.cap).await;
    let (callee, name) = (Callee::SET_NAME, bcs::to_bytes("mine").unwrap());
    let built = world.build(&mallory, |builder| {
        let rest = vec![builder.object(cap), builder.pure_bytes(name)];
        world.stake_call(builder, callee, rest);
    });
    assert!(built.await.unwrap_err().to_string().contains("may not be used this way"));
}
