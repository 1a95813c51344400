//! What the stake side refuses, each with its own code, through transactions.

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{Function as Callee, RegisterNode};
use haulout_protocol::chain::{CLOCK, ObjectId};
use sui_sdk_types::Address;
use sui_transaction_builder::ObjectInput;

use crate::epochs::funded;
use crate::operators::{Given, register};
use crate::stake::registration;
use crate::world::{Account, World, operator};

const WAL: u64 = 1_000_000_000;

impl World {
    /// Tries a call that takes `amount` out of the account's first coin; says why it fails.
    async fn paying_would_fail(
        &self,
        account: &Account,
        callee: Callee,
        amount: u64,
        plain: Vec<Vec<u8>>,
    ) -> Abort {
        let coins = self.wal_coins(account).await;
        let built = self.build(account, |builder| {
            let mut coins: Vec<_> =
                coins.iter().map(|id| builder.object(ObjectInput::new(*id))).collect();
            let first = coins.remove(0);
            builder.merge_coins(first, coins);
            let amount = builder.pure(&amount);
            let coin = builder.split_coins(first, vec![amount]);
            let mut rest = vec![builder.object(self.params_input()), coin[0]];
            rest.extend(plain.into_iter().map(|bytes| builder.pure_bytes(bytes)));
            let result = self.stake_call(builder, callee, rest);
            let to = builder.pure(&account.address);
            builder.transfer_objects(vec![result], to);
        });
        let error = format!("{:?}", built.await.unwrap_err());
        let said = |abort: &&Abort| error.contains(&format!("abort_code: Some({})", abort.code()));
        *Abort::ALL.iter().find(said).unwrap_or_else(|| panic!("{error}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_needs_a_bond_and_a_possible_commission() {
    let world = World::start().await;
    let alice = funded(&world, 1, 4).await;
    let good = registration(&world, &alice);
    let greedy = RegisterNode { commission_bps: 10_001, ..good.clone() };
    for (call, bond, abort) in [
        (&good, WAL - 1, Abort::BondTooSmall),
        (&greedy, WAL - 1, Abort::BondTooSmall),
        (&greedy, WAL, Abort::CommissionTooHigh),
    ] {
        let plain = call.plain_arguments();
        let refused = world.paying_would_fail(&alice, Callee::REGISTER_NODE, bond, plain).await;
        assert_eq!(refused, abort);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stake_is_something_with_a_node_that_is_there() {
    let world = World::start().await;
    let alice = funded(&world, 1, 4).await;
    let node = world.ledger.ids().nodes[0];
    for (amount, node, abort) in [
        (0, node, Abort::ZeroStake),
        (WAL - 1, node, Abort::StakeBelowMinimum),
        (WAL, ObjectId::from_bytes([9; 32]), Abort::UnknownNode),
    ] {
        let plain = vec![node.as_bytes().to_vec()];
        let callee = Callee::STAKE_WITH_POOL;
        assert_eq!(world.paying_would_fail(&alice, callee, amount, plain).await, abort);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_paid_once_in_their_time_and_joined_with_their_like() {
    let world = World::start().await;
    let alice = funded(&world, 1, 8).await;
    let nodes = world.ledger.ids().nodes.clone();
    let mut receipts: Vec<ObjectId> = Vec::new();
    for node in &nodes[..2] {
        receipts.push(world.stake_with(&alice, node, WAL).await);
    }
    let both = [Given::Object(receipts[0]), Given::Object(receipts[1])];
    let refused = world.would_fail(&alice, Callee::JOIN_STAKED, &both).await;
    assert_eq!(refused, Abort::StakeMismatch);
    let (owner, receipt) = (operator(0), world.receipts(&operator(0)).await[0]);
    let given = [world.state_id(), Given::Object(receipt)];
    let (ask, take) = (Callee::REQUEST_WITHDRAW_STAKE, Callee::WITHDRAW_STAKE);
    assert_eq!(world.would_fail(&owner, take, &given).await, Abort::NotWithdrawing);
    world.invoke(&owner, ask, &given, false).await;
    assert_eq!(world.would_fail(&owner, ask, &given).await, Abort::NotStaked);
    assert_eq!(world.would_fail(&owner, take, &given).await, Abort::WithdrawTooEarly);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_outside_the_committee_has_no_shards_to_report() {
    let world = World::start().await;
    let alice = funded(&world, 1, 4).await;
    let (_, cap) = register(&world, &alice).await;
    let epoch = Given::Pure(1_u32.to_le_bytes().to_vec());
    let given = [world.state_id(), Given::Object(cap), epoch, Given::Object(CLOCK)];
    let refused = world.would_fail(&alice, Callee::EPOCH_SYNC_DONE, &given).await;
    assert_eq!(refused, Abort::StakingNotMember);
    assert!(
        world
            .object_bytes(&ObjectId::from_bytes(*Address::new(cap.into()).inner()))
            .await
            .is_some()
    );
}
