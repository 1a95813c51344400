//! Stake through stock clients: receipts, money back, new nodes, votes.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{Function as Callee, RegisterNode};
use haulout_protocol::chain::event::{Event, StakeEvent};
use haulout_protocol::chain::object::staking::{Asks, EpochState, Staked};
use haulout_protocol::crypto::SecretKey;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{NetworkId, peer_proof_message, proof_of_possession_message};
use sui_crypto::Signer;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_sdk_types::{Address, Ed25519Signature, Identifier};
use sui_transaction_builder::{Argument, Function, ObjectInput, TransactionBuilder};

use crate::world::{Account, FAUCET, World};

const WAL: u64 = 1_000_000_000;

impl World {
    /// Calls a function whose first argument is the state of stake.
    pub(crate) fn stake_call(
        &self,
        builder: &mut TransactionBuilder,
        callee: Callee,
        rest: Vec<Argument>,
    ) -> Argument {
        let ids = self.ledger.ids();
        let state = ObjectInput::shared(Address::new(ids.staking_inner().into()), 1, true);
        let arguments = [vec![builder.object(state)], rest].concat();
        let function = Function::new(
            Address::new(ids.package.into()),
            Identifier::new(callee.module).unwrap(),
            Identifier::new(callee.name).unwrap(),
        );
        builder.move_call(function, arguments)
    }

    pub(crate) fn params_input(&self) -> ObjectInput {
        ObjectInput::shared(Address::new((self.ledger.ids().params).into()), 1, false)
    }

    /// All WAL of an account that was funded four times, in one coin, of which 1.5 is split off.
    pub(crate) async fn stake(&self, account: &Account) -> Staked {
        let coins = self.wal_coins(account).await;
        let node = self.ledger.ids().nodes[0];
        let done = self
            .run(account, |builder| {
                let mut coins: Vec<_> =
                    coins.iter().map(|id| builder.object(ObjectInput::new(*id))).collect();
                let first = coins.remove(0);
                builder.merge_coins(first, coins);
                let amount = builder.pure(&(3 * WAL / 2));
                let part = builder.split_coins(first, vec![amount]);
                let params = builder.object(self.params_input());
                let node = builder.pure(&node);
                let rest = vec![params, part[0], node];
                let staked = self.stake_call(builder, Callee::STAKE_WITH_POOL, rest);
                let to = builder.pure(&account.address);
                builder.transfer_objects(vec![staked], to);
            })
            .await;
        let Some(Event::Stake(StakeEvent::Staked(event))) = self.events(&done).pop() else {
            panic!("the last event is the stake");
        };
        assert_eq!((event.epoch, event.activation_epoch, event.amount), (1, 2, 3 * WAL / 2));
        self.object(&event.object_id).await
    }

    pub(crate) async fn wal_coins(&self, account: &Account) -> Vec<Address> {
        let kind = self.wal_type().parse().unwrap();
        let coins = self.client.select_up_to_n_largest_coins(&account.address, &kind, 9, &[]).await;
        coins.unwrap().iter().map(|coin| coin.object_id().parse().unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn genesis_nodes_registered_staked_and_were_chosen_by_the_rules() {
    let world = World::start().await;
    let (state, system, view) =
        (world.stake_state().await, world.system().await, world.staking().await);
    assert_eq!(state.epoch, 1);
    assert!(matches!(state.state, EpochState::Done { .. }));
    assert_eq!(state.committee, view.committee);
    assert!(state.committee.is_sorted_by_key(|member| member.key));
    for (member, bls) in state.committee.iter().zip(&system.committee.members) {
        let pool = &state.pools[&member.key];
        assert_eq!(u64::try_from(member.value.len()).unwrap() * WAL, pool.active);
        assert_eq!((bls.node_id, &bls.public_key), (member.key, &pool.node.bls_public_key));
        assert_eq!(pool.bond, WAL);
    }
    assert_eq!(state.stake_history[&1], 10 * WAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn stake_becomes_a_receipt_and_fresh_stake_comes_back_whole() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    for _ in 0..4 {
        world.fund(&alice).await;
    }
    let staked = world.stake(&alice).await;
    let node = world.ledger.ids().nodes[0];
    assert_eq!((staked.node_id, staked.principal), (node, 3 * WAL / 2));
    assert_eq!(world.balance(&alice, &world.wal_type()).await, 4 * FAUCET.wal - 3 * WAL / 2);
    assert_eq!(world.stake_state().await.pools[&node].pending, 3 * WAL / 2);

    let input = world.owned(&staked.id).await;
    let (_, abort) = world
        .run_refused(&alice, |builder| {
            let staked = builder.object(input.clone());
            world.stake_call(builder, Callee::REQUEST_WITHDRAW_STAKE, vec![staked]);
        })
        .await;
    assert_eq!(abort, Some(Abort::WithdrawDirectly));

    let receipt = Address::new(staked.id.into());
    world
        .run(&alice, |builder| {
            let staked = builder.object(ObjectInput::new(receipt));
            let coin = world.stake_call(builder, Callee::WITHDRAW_STAKE, vec![staked]);
            let to = builder.pure(&alice.address);
            builder.transfer_objects(vec![coin], to);
        })
        .await;
    assert_eq!(world.balance(&alice, &world.wal_type()).await, 4 * FAUCET.wal);
    assert_eq!(world.stake_state().await.pools[&node].pending, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_registers_by_a_transaction_and_votes_with_its_cap() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    for _ in 0..2 {
        world.fund(&alice).await;
    }
    let registration = registration(&world, &alice);
    let coins = world.wal_coins(&alice).await;
    world
        .run(&alice, |builder| {
            let coins: Vec<_> =
                coins.iter().map(|id| builder.object(ObjectInput::new(*id))).collect();
            builder.merge_coins(coins[0], vec![coins[1]]);
            let mut rest = vec![builder.object(world.params_input()), coins[0]];
            let plain = registration.plain_arguments().into_iter();
            rest.extend(plain.map(|bytes| builder.pure_bytes(bytes)));
            let cap = world.stake_call(builder, Callee::REGISTER_NODE, rest);
            for (vote, value) in
                [(Callee::SET_STORAGE_PRICE_VOTE, 77), (Callee::SET_NODE_CAPACITY_VOTE, 5_u64)]
            {
                let value = builder.pure(&value);
                world.stake_call(builder, vote, vec![cap, value]);
            }
            let to = builder.pure(&alice.address);
            builder.transfer_objects(vec![cap], to);
        })
        .await;
    let state = world.stake_state().await;
    let (id, pool) = state.pools.iter().find(|(_, pool)| pool.node.name == "late").unwrap();
    assert_eq!((pool.bond, pool.asks.storage, pool.asks.write, pool.capacity), (WAL, 77, 4, 5));
    assert!(!world.ledger.ids().nodes.contains(id));
}

/// A node that alice registers.
pub(crate) fn registration(world: &World, sender: &Account) -> RegisterNode {
    let network = NetworkId::from_bytes((world.ledger.ids().network_id).into());
    let (peer, bls) = (Ed25519PrivateKey::new([55; 32]), SecretKey::from_seed(&[55; 32]));
    let (key, sender) = (bls.public_key().to_bytes().to_vec(), sender.address.inner());
    let proof: Ed25519Signature =
        peer.sign(&peer_proof_message(&network, Epoch(1), &ObjectId::from_bytes(*sender), &key));
    let possession = proof_of_possession_message(
        &network,
        Epoch(1),
        &ObjectId::from_bytes(*sender),
        &bls.public_key(),
    );
    RegisterNode {
        name: "late".into(),
        peer_key: peer.public_key().into_inner(),
        peer_proof: proof.inner().to_vec(),
        multiaddrs: vec![vec![4, 127, 0, 0, 1, 6, 0x1f, 0x90]],
        bls_public_key: key,
        bls_proof: bls.sign(&possession).to_bytes().to_vec(),
        commission_bps: 500,
        asks: Asks { storage: 3, write: 4 },
        capacity: 1 << 30,
        metadata: vec![],
    }
}
