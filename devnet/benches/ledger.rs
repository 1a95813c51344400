//! What the ledger's rules cost beside their limits.
//!
//! An epoch change of the largest committee (150 nodes, 1000 shards) must stay under 100 ms, or a
//! ledger that does nothing else for its duration would be felt.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::call::RegisterNode;
use haulout_protocol::chain::object::staking::{Asks, NodeCap, Staking};
use haulout_protocol::crypto::SecretKey;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{NetworkId, peer_proof_message, proof_of_possession_message};
use haulout_protocol::rules::Context;
use haulout_protocol::rules::node_registry::register_node;
use haulout_protocol::rules::stake_params::{StakeParams, WAL};
use haulout_protocol::rules::staking::{
    self, Closing, epoch_change, epoch_sync_done, stake_with_pool, voting_end,
};
use sui_crypto::Signer;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_sdk_types::Ed25519Signature;

const NODES: u8 = 150;
const SHARDS: u16 = 1_000;
const SENDER: [u8; 32] = [8; 32];

fn params() -> StakeParams {
    StakeParams { max_nodes: NODES.into(), ..StakeParams::devnet(ObjectId::from_bytes([9; 32])) }
}

fn registration(number: u8) -> RegisterNode {
    let (network, epoch) = (NetworkId::from_bytes([9; 32]), Epoch(0));
    let (peer, bls) = (Ed25519PrivateKey::new([number; 32]), SecretKey::from_seed(&[number; 32]));
    let bls_public_key = bls.public_key().to_bytes().to_vec();
    let proof: Ed25519Signature = peer.sign(&peer_proof_message(
        &network,
        epoch,
        &ObjectId::from_bytes(SENDER),
        &bls_public_key,
    ));
    let possession = proof_of_possession_message(
        &network,
        epoch,
        &ObjectId::from_bytes(SENDER),
        &bls.public_key(),
    );
    RegisterNode {
        name: format!("n{number}"),
        peer_key: peer.public_key().into_inner(),
        peer_proof: proof.inner().to_vec(),
        multiaddrs: vec![vec![4, 127, 0, 0, 1, 6, 0x1f, 0x90]],
        bls_public_key,
        bls_proof: bls.sign(&possession).to_bytes().to_vec(),
        commission_bps: 1_000,
        asks: Asks { storage: 100 + u64::from(number), write: 20 },
        capacity: 1 << 40,
        metadata: vec![],
    }
}

/// A network half way through epoch 1, with fresh stake and withdrawals in every pool.
fn network() -> Staking {
    let (mut context, params) = (Context::new([0; 32]), params());
    let mut staking = staking::new(ObjectId::from_bytes([1; 32]), SHARDS, 0, 0);
    let mut caps: Vec<NodeCap> = Vec::new();
    for number in 1..=NODES {
        let call = registration(number);
        let cap = register_node(
            &mut context,
            &mut staking,
            &params,
            ObjectId::from_bytes(SENDER),
            &call,
            WAL,
        );
        caps.push(cap.expect("a sound registration"));
    }
    let stake = |staking: &mut Staking, context: &mut Context<'_>| {
        for (index, cap) in (1..).zip(&caps) {
            stake_with_pool(context, staking, &params, &cap.node_id, index * WAL)
                .expect("an active node");
        }
    };
    stake(&mut staking, &mut context);
    voting_end(&mut context, &mut staking, &params, u64::MAX, 0).expect("nodes with stake");
    epoch_change(&mut context, &mut staking, &params, &closing(), 0).expect("a committee");
    for cap in &caps {
        // Those without shards have nothing to report.
        let _ = epoch_sync_done(&mut context, &mut staking, cap, 1, 0);
    }
    stake(&mut staking, &mut context);
    staking
}

fn closing() -> Closing {
    Closing { rewards: 1_000_000 * WAL, used: 1 << 50, ..Closing::default() }
}

fn epoch_change_of_150_nodes_and_1000_shards(criterion: &mut Criterion) {
    let (params, half) = (params(), network());
    let (middle, end) = (params.epoch_duration_ms / 2, params.epoch_duration_ms);
    let select = |staking: &mut Staking| {
        let mut context = Context::new([0; 32]);
        voting_end(&mut context, staking, &params, 100, middle).expect("half an epoch passed");
    };
    criterion.bench_function("voting_end/150 nodes, 1000 shards", |bench| {
        bench.iter_batched(
            || half.clone(),
            |mut staking| select(&mut staking),
            BatchSize::LargeInput,
        );
    });
    let mut selected = half.clone();
    select(&mut selected);
    criterion.bench_function("epoch_change/150 nodes, 1000 shards", |bench| {
        bench.iter_batched(
            || selected.clone(),
            |mut staking| {
                let mut context = Context::new([0; 32]);
                black_box(epoch_change(&mut context, &mut staking, &params, &closing(), end))
                    .expect("an epoch passed");
            },
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(ledger, epoch_change_of_150_nodes_and_1000_shards);
criterion_main!(ledger);
