//! Nodes come, change and leave.

use super::*;
use crate::chain::object::staking::Authority;
use crate::rules::node_registry;
use crate::rules::staking_pool::Proof;

#[test]
fn every_check_of_a_registration_has_its_code_in_order() {
    let mut world = World::new(10);
    let mut wrong = RegisterNode {
        name: "x".repeat(101),
        multiaddrs: vec![],
        peer_proof: vec![0; 64],
        bls_proof: vec![0; 96],
        commission_bps: 10_001,
        ..registration(1, 0)
    };
    let good = registration(1, 0);
    world.register(2).unwrap();
    let taken = registration(2, 0);
    let mut refused = |wrong: &RegisterNode, bond| world.register_with(1, wrong, bond);
    assert_eq!(refused(&wrong, WAL - 1), Err(Abort::BondTooSmall));
    assert_eq!(refused(&wrong, WAL), Err(Abort::NameTooLong));
    wrong.name.truncate(100);
    assert_eq!(refused(&wrong, WAL), Err(Abort::BadMultiaddrs));
    wrong.multiaddrs = vec![good.multiaddrs[0].clone(); 9];
    assert_eq!(refused(&wrong, WAL), Err(Abort::BadMultiaddrs));
    wrong.multiaddrs = good.multiaddrs.clone();
    assert_eq!(refused(&wrong, WAL), Err(Abort::BadPeerProof));
    wrong.peer_proof = good.peer_proof.clone();
    assert_eq!(refused(&wrong, WAL), Err(Abort::BadProofOfPossession));
    wrong.bls_proof = good.bls_proof.clone();
    assert_eq!(refused(&wrong, WAL), Err(Abort::CommissionTooHigh));
    let with_taken = RegisterNode { commission_bps: 10_001, ..taken };
    assert_eq!(refused(&with_taken, WAL), Err(Abort::DuplicateKey));
    wrong.commission_bps = 10_000;
    assert_eq!(refused(&wrong, WAL), Ok(()));
    assert_eq!(world.pool(1).bond, WAL);
}

#[test]
fn t10_and_t11_proofs_hold_for_one_key_sender_epoch_and_network() {
    let (world, _) = World::with_stakes(10, &[40]);
    let good = registration(7, 1);
    let try_as = |sender, call: &RegisterNode, change: fn(&mut StakeParams)| {
        let mut world = world.clone();
        change(&mut world.params);
        let registered = world.run(|context, staking, params, _| {
            register_node(context, staking, params, sender, call, WAL)
        });
        registered.map(|_| ())
    };
    assert_eq!(try_as(SENDER, &good, |_| ()), Ok(()));
    assert_eq!(try_as(id(7), &good, |_| ()), Err(Abort::BadPeerProof));
    assert_eq!(try_as(SENDER, &registration(7, 0), |_| ()), Err(Abort::BadPeerProof));
    let other = |params: &mut StakeParams| params.network_id = id(3);
    assert_eq!(try_as(SENDER, &good, other), Err(Abort::BadPeerProof));
    let stale = RegisterNode { bls_proof: registration(7, 0).bls_proof, ..good.clone() };
    assert_eq!(try_as(SENDER, &stale, |_| ()), Err(Abort::BadProofOfPossession));
    for length in [47, 49] {
        let mut key = good.bls_public_key.clone();
        key.resize(length, 0);
        let message =
            peer_proof_message(&NetworkId::from_bytes(NETWORK.into()), Epoch(1), &SENDER, &key);
        let proof = SigningKey::from_bytes(&[7; 32]).sign(&message);
        let peer_proof = proof.to_bytes().to_vec();
        let call = RegisterNode { bls_public_key: key, peer_proof, ..good.clone() };
        assert_eq!(try_as(SENDER, &call, |_| ()), Err(Abort::BadProofOfPossession));
    }
}

#[test]
fn t12_no_two_nodes_share_a_key() {
    let mut world = World::new(10);
    world.register(1).unwrap();
    assert_eq!(world.register(1), Err(Abort::DuplicateKey));
    let (network, bls) = (NetworkId::from_bytes(NETWORK.into()), SecretKey::from_seed(&[2; 32]));
    let key = bls.public_key().to_bytes().to_vec();
    let message = peer_proof_message(&network, Epoch(0), &SENDER, &key);
    let proof = SigningKey::from_bytes(&[1; 32]).sign(&message);
    let same_peer = RegisterNode {
        peer_key: registration(1, 0).peer_key,
        peer_proof: proof.to_bytes().to_vec(),
        ..registration(2, 0)
    };
    assert_eq!(world.register_with(2, &same_peer, WAL), Err(Abort::DuplicateKey));
}

#[test]
fn a_new_peer_key_applies_from_the_next_epoch_on() {
    let (mut world, _) = World::with_stakes(10, &[40]);
    let cap = world.caps[&1];
    let network = NetworkId::from_bytes(NETWORK.into());
    let bls = world.pool(1).node.bls_public_key.clone();
    let message = peer_proof_message(&network, Epoch(1), &SENDER, &bls);
    let peer = SigningKey::from_bytes(&[77; 32]);
    let proof = peer.sign(&message);
    let key = peer.verifying_key().to_bytes();
    let old = world.pool(1).node.peer_key.clone();
    world
        .run(|context, staking, params, _| {
            let key = (key, proof.to_bytes().to_vec());
            node_registry::rotate_peer(context, staking, params, SENDER, &cap, key)
        })
        .unwrap();
    assert_eq!(world.pool(1).node.peer_key, old);
    world.next_epoch(0);
    assert_eq!(world.pool(1).node.peer_key, key);
    assert_eq!(world.pool(1).node.peer_id[6..], key);
}

#[test]
fn t66_a_commission_applies_to_rewards_earned_two_epochs_later() {
    let (mut world, _) = World::with_stakes(10, &[40]);
    let set = |world: &mut World, bps| {
        let cap = world.caps[&1];
        world.run(|context, staking, _, _| {
            node_registry::set_commission(context, staking, &cap, bps)
        })
    };
    assert_eq!(set(&mut world, 10_001), Err(Abort::IncorrectCommissionRate));
    set(&mut world, 9_999).unwrap();
    set(&mut world, 5_000).unwrap();
    let mut earned = Vec::new();
    for _ in 0..3 {
        let before = world.pool(1).commission;
        world.next_epoch(10_000);
        earned.push(world.pool(1).commission - before);
    }
    // 9700 of each epoch; what epoch 3 earned is credited at the change into epoch 4.
    assert_eq!(earned, [970, 970, 4_850]);
}

#[test]
fn t66_a_commission_that_became_due_in_a_skipped_epoch_still_applies() {
    let (world, _) = World::with_stakes(10, &[40]);
    let mut pool = world.pool(1).clone();
    staking_pool::set_next_commission(&mut pool, 2_000, 3).unwrap();
    staking_pool::set_next_commission(&mut pool, 3_000, 5).unwrap();
    assert_eq!(staking_pool::settle(&mut pool, 9, Some(1_000)), Ok(300));
    assert!(pool.pending_commission.is_empty());
}

#[test]
fn t67_commission_is_for_its_receiver_and_only_once_the_vote_is_over() {
    let (mut world, _) = World::with_stakes(10, &[40]);
    let (node, cap) = (world.node(1), world.caps[&1]);
    let of_cap = Proof { sender: SENDER, object: Some(cap.id) };
    let collect = |world: &mut World, proof| {
        world.run(|context, staking, _, _| {
            staking::collect_commission(context, staking, &node, proof)
        })
    };
    world.next_epoch(10_000);
    for wrong in [
        Proof { sender: SENDER, object: None },
        Proof { sender: SENDER, object: Some(id(9)) },
        Proof { sender: cap.id, object: None },
    ] {
        assert_eq!(collect(&mut world, wrong), Err(Abort::AuthorizationFailure));
    }
    assert_eq!(collect(&mut world, of_cap), Ok(0), "it is blocked");
    world.select();
    assert_eq!(collect(&mut world, of_cap), Ok(970));
    assert_eq!(collect(&mut world, of_cap), Ok(0));
    let account = Authority::Account(SENDER);
    world
        .run(|context, staking, _, _| {
            node_registry::set_commission_receiver(context, staking, node, of_cap, account)
        })
        .unwrap();
    assert_eq!(collect(&mut world, of_cap), Err(Abort::AuthorizationFailure));
    assert_eq!(collect(&mut world, Proof { sender: SENDER, object: None }), Ok(0));
}

#[test]
fn a_bond_is_paid_two_epochs_after_the_wish_to_leave_and_outside_the_committees() {
    let (mut world, _) = World::with_stakes(10, &[40, 40]);
    let cap = world.caps[&2];
    let withdraw = |world: &mut World| {
        world.run(|context, staking, _, _| node_registry::withdraw_bond(context, staking, &cap))
    };
    assert_eq!(withdraw(&mut world), Err(Abort::StillBonded));
    world
        .run(|context, staking, _, _| node_registry::request_exit(context, staking, &cap))
        .unwrap();
    assert_eq!(withdraw(&mut world), Err(Abort::StillBonded));
    world.next_epoch(0);
    assert_eq!(world.shards(2), 0);
    assert_eq!(withdraw(&mut world), Err(Abort::StillBonded));
    world.next_epoch(0);
    assert_eq!(withdraw(&mut world), Ok(WAL));
    assert_eq!(withdraw(&mut world), Err(Abort::StillBonded));
    assert_eq!(world.pool(2).node.status, staking_pool::EXITED);
}
