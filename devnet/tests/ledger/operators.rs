//! What operators and holders of receipts do besides staking, and inputs the ledger completes.

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::Function as Callee;
use haulout_protocol::chain::event::{Event, StakeEvent};
use haulout_protocol::chain::object::StakingPool;
use haulout_protocol::chain::object::staking::Staked;
use haulout_protocol::chain::{CLOCK, ObjectId};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, Identifier, Input, TransactionKind};
use sui_transaction_builder::{Argument, Function, ObjectInput, TransactionBuilder};

use crate::epochs::{funded, names};
use crate::keeper::Turn;
use crate::stake::registration;
use crate::world::{Account, World};

const WAL: u64 = 1_000_000_000;

/// An argument of a call, all of which the ledger completes.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    Object(ObjectId),
    Pure(Vec<u8>),
}

impl World {
    fn given(&self, builder: &mut TransactionBuilder, callee: Callee, given: &[Given]) -> Argument {
        let arguments = given.iter().map(|given| match given {
            Given::Object(id) => builder.object(ObjectInput::new(Address::new((*id).into()))),
            Given::Pure(bytes) => builder.pure_bytes(bytes.clone()),
        });
        let arguments = arguments.collect();
        let function = Function::new(
            Address::new((self.ledger.ids().package).into()),
            Identifier::new(callee.module).unwrap(),
            Identifier::new(callee.name).unwrap(),
        );
        builder.move_call(function, arguments)
    }

    /// Calls a function and keeps what it returns, if it returns something.
    pub(crate) async fn invoke(
        &self,
        account: &Account,
        callee: Callee,
        given: &[Given],
        returns: bool,
    ) -> rpc::ExecutedTransaction {
        self.run(account, |builder| {
            let result = self.given(builder, callee, given);
            if returns {
                let to = builder.pure(&account.address);
                builder.transfer_objects(vec![result], to);
            }
        })
        .await
    }

    /// Calls a function that the ledger finds out will fail; says with which code.
    pub(crate) async fn would_fail(
        &self,
        account: &Account,
        callee: Callee,
        given: &[Given],
    ) -> Abort {
        let built = self.build(account, |builder| {
            let _ = self.given(builder, callee, given);
        });
        let error = format!("{:?}", built.await.unwrap_err());
        let said = |abort: &&Abort| error.contains(&format!("abort_code: Some({})", abort.code()));
        let known = Abort::ALL.iter().find(said);
        *known.unwrap_or_else(|| panic!("{error}"))
    }

    /// One epoch, moved by an account; genesis nodes report.
    pub(crate) async fn epoch(&self, account: &Account, next: u32) {
        self.half();
        self.turn(account, Turn::VotingEnd).await;
        self.half();
        self.turn(account, Turn::EpochChange).await;
        self.sync_all(next).await;
    }

    pub(crate) fn state_id(&self) -> Given {
        Given::Object(self.ledger.ids().staking_inner())
    }
}

fn pure(value: u64) -> Given {
    Given::Pure(value.to_le_bytes().to_vec())
}

/// What a node of this account was registered as: its id and its cap.
pub(crate) async fn register(world: &World, account: &Account) -> (ObjectId, ObjectId) {
    let coins = world.wal_coins(account).await;
    let call = registration(world, account);
    let done = world
        .run(account, |builder| {
            let mut coins: Vec<_> =
                coins.iter().map(|id| builder.object(ObjectInput::new(*id))).collect();
            let first = coins.remove(0);
            builder.merge_coins(first, coins);
            let amount = builder.pure(&WAL);
            let bond = builder.split_coins(first, vec![amount]);
            let mut rest = vec![builder.object(world.params_input()), bond[0]];
            rest.extend(call.plain_arguments().into_iter().map(|it| builder.pure_bytes(it)));
            let cap = world.stake_call(builder, Callee::REGISTER_NODE, rest);
            let to = builder.pure(&account.address);
            builder.transfer_objects(vec![cap], to);
        })
        .await;
    let Some(Event::Stake(StakeEvent::NodeRegistered(event))) = world.events(&done).pop() else {
        panic!("the last event is the registration");
    };
    (event.node_id, ObjectId::from_bytes(world.cap_of(account).await.into_inner()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_completes_the_steps_of_an_epoch_and_knows_what_is_only_read() {
    let world = World::start().await;
    let alice = funded(&world, 1, 1).await;
    let ids = world.ledger.ids();
    world.half();
    let given = [ids.staking_inner(), ids.system, ids.params, CLOCK].map(Given::Object);
    let built = world.build(&alice, |builder| {
        world.given(builder, Callee::VOTING_END, &given);
    });
    let transaction = built.await.unwrap();
    let TransactionKind::ProgrammableTransaction(programmable) = &transaction.kind else {
        panic!("it is programmable");
    };
    for input in &programmable.inputs {
        let Input::Shared(shared) = input else { panic!("all are shared") };
        let is_state = shared.object_id() == Address::new(ids.staking_inner().into());
        assert_eq!(shared.mutability().is_mutable(), is_state, "{}", shared.object_id());
    }
    world.execute(&transaction, vec![alice.sign(&transaction)]).await.unwrap();
    world.half();
    let given = [ids.staking_inner(), ids.system, ids.params, ids.treasury, CLOCK];
    let done = world.invoke(&alice, Callee::EPOCH_CHANGE, &given.map(Given::Object), false).await;
    let changed = done.effects().changed_objects().iter();
    let changed: Vec<Address> = changed.map(|it| it.object_id().parse().unwrap()).collect();
    for (id, changes) in [(ids.system, true), (ids.staking, true), (ids.params, false)] {
        assert_eq!(changed.contains(&Address::new(id.into())), changes);
    }
    assert!(!changed.contains(&Address::new(CLOCK.into())));
    // Views change with what they show and never by themselves.
    let view = ObjectInput::shared(Address::new(ids.staking.into()), 1, true);
    let error = world.build(&alice, |builder| {
        builder.object(view);
        world.given(
            builder,
            Callee::SETTLE,
            &[world.state_id(), Given::Pure(ids.nodes[0].as_bytes().to_vec())],
        );
    });
    assert!(error.await.unwrap_err().to_string().contains("may not be used this way"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_split_and_joined_again() {
    let world = World::start().await;
    let alice = funded(&world, 1, 8).await;
    let node = world.ledger.ids().nodes[1];
    let receipt = world.stake_with(&alice, &node, 3 * WAL).await;
    let params = Given::Object(world.ledger.ids().params);
    let split = |amount| [Given::Object(receipt), params.clone(), pure(amount)];
    for (amount, abort) in [(3 * WAL, Abort::BadStakeAmount), (WAL / 2, Abort::StakeBelowMinimum)] {
        let refused = world.would_fail(&alice, Callee::SPLIT_STAKED, &split(amount)).await;
        assert_eq!(refused, abort);
    }
    world.invoke(&alice, Callee::SPLIT_STAKED, &split(WAL), true).await;
    assert_eq!(world.object::<Staked>(&receipt).await.principal, 2 * WAL);
    let parts = world.receipts(&alice).await;
    let part = *parts.iter().find(|id| **id != receipt).unwrap();
    assert_eq!(world.object::<Staked>(&part).await.principal, WAL);
    let both = [Given::Object(receipt), Given::Object(part)];
    world.invoke(&alice, Callee::JOIN_STAKED, &both, false).await;
    assert_eq!(world.object::<Staked>(&receipt).await.principal, 3 * WAL);
    assert_eq!(world.receipts(&alice).await, [receipt]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_node_serves_earns_leaves_and_gets_its_bond_back() {
    let world = World::start().await;
    let (alice, keeper) = (funded(&world, 1, 8).await, funded(&world, 2, 8).await);
    let (node, cap) = register(&world, &alice).await;
    let view: StakingPool = world.object(&node).await;
    assert_eq!((view.id, view.node_info.name.as_str()), (node, "late"));
    world.stake_with(&alice, &node, 2 * WAL).await;
    world.register(&keeper, 5, false).await;
    world.epoch(&keeper, 2).await;
    let seen = world.seen_by_nodes().await.position;
    assert!(seen.committee.members().iter().any(|member| member.node_id == node.into()));

    let (state, cap) = (world.state_id(), Given::Object(cap));
    world.donate(&keeper).await;
    world.epoch(&keeper, 3).await;
    let commission = world.stake_state().await.pools[&node].commission;
    assert!(commission > 0);
    let given = [state.clone(), cap.clone()];
    let collected = world.invoke(&alice, Callee::COLLECT_COMMISSION, &given, true).await;
    let amount = |done| match world.events(done).pop() {
        Some(Event::Stake(StakeEvent::CommissionCollected(event))) => event.amount,
        other => panic!("commission was collected, not {other:?}"),
    };
    assert_eq!(amount(&collected), 0, "it is blocked until the next selection");
    world.half();
    world.turn(&keeper, Turn::VotingEnd).await;
    let collected = world.invoke(&alice, Callee::COLLECT_COMMISSION, &given, true).await;
    assert_eq!(amount(&collected), commission);
    world.check_money(&[&alice, &keeper]).await;

    let done = world.invoke(&alice, Callee::REQUEST_EXIT, &given, false).await;
    assert_eq!(names(&world, &done), ["NodeExitRequested"]);
    assert_eq!(world.object::<StakingPool>(&node).await.node_info.status, 1);
    let refused = world.would_fail(&alice, Callee::REQUEST_EXIT, &given).await;
    assert_eq!(refused, Abort::NodeNotActive);
    world.half();
    world.turn(&keeper, Turn::EpochChange).await;
    world.sync_all(4).await;
    let refused = world.would_fail(&alice, Callee::WITHDRAW_BOND, &given).await;
    assert_eq!(refused, Abort::StillBonded);
    world.epoch(&keeper, 5).await;
    let done = world.invoke(&alice, Callee::WITHDRAW_BOND, &given, true).await;
    assert_eq!(names(&world, &done), ["NodeExited"]);
    assert_eq!(world.object::<StakingPool>(&node).await.node_info.status, 2);
    world.epoch(&keeper, 6).await;
    let settle = [state, Given::Pure(node.as_bytes().to_vec())];
    let done = world.invoke(&keeper, Callee::SETTLE, &settle, false).await;
    assert_eq!(names(&world, &done), ["PoolSettled"]);
    world.check_money(&[&alice, &keeper]).await;
}
