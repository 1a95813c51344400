//! Epochs as signed transactions: who may end them when, and what happens to money and views.

use std::time::Duration;

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{AddSubsidy, Function as Callee};
use haulout_protocol::chain::event::{Event, StakeEvent};
use haulout_protocol::chain::object::staking::{
    EpochState, Staked, StakedState, Staking as StakeState,
};
use haulout_protocol::chain::object::{FutureAccounting, System};
use haulout_protocol::chain::{CLOCK, ObjectId};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::Address;
use sui_transaction_builder::ObjectInput;

use crate::keeper::{EPOCH, Turn};
use crate::world::{Account, Fill, World, operator};

const WAL: u64 = 1_000_000_000;

pub(crate) async fn funded(world: &World, seed: u8, times: usize) -> Account {
    let account = Account::ed25519(seed);
    for _ in 0..times {
        world.fund(&account).await;
    }
    account
}

/// What the ring knows of an epoch.
fn entry(system: &System, epoch: u32) -> Option<FutureAccounting> {
    system.ring.entries.iter().find(|entry| entry.epoch == epoch).cloned()
}

/// The stake at work in all pools.
fn active(state: &StakeState) -> u64 {
    state.pools.values().map(|pool| pool.active).sum()
}

/// The names of what was said, in order.
pub(crate) fn names(world: &World, done: &rpc::ExecutedTransaction) -> Vec<&'static str> {
    world.events(done).iter().map(Event::name).collect()
}

impl World {
    /// Gives the account's richest coin to the committees of the current epoch and the next one.
    pub(crate) async fn donate(&self, account: &Account) {
        let coin = Address::new((self.wal_coin(account).await).into());
        self.run(account, |builder| {
            let payment = builder.object(ObjectInput::new(coin));
            let fill = Fill { payment: Some(payment), ..Fill::default() };
            self.call(builder, Callee::ADD_SUBSIDY, AddSubsidy { epochs: 2 }.arguments(), &fill);
        })
        .await;
    }

    /// An operator votes for a price.
    async fn vote(&self, node: usize, price: u64) {
        let cap = self.cap(node).await;
        self.run(&operator(node), |builder| {
            let cap = builder.object(ObjectInput::new(cap));
            let price = builder.pure(&price);
            self.stake_call(builder, Callee::SET_STORAGE_PRICE_VOTE, vec![cap, price]);
        })
        .await;
    }

    /// Stakes an amount of the account's only coin with a node.
    pub(crate) async fn stake_with(
        &self,
        account: &Account,
        node: &ObjectId,
        amount: u64,
    ) -> ObjectId {
        let coins = self.wal_coins(account).await;
        let done = self
            .run(account, |builder| {
                let mut coins: Vec<_> =
                    coins.iter().map(|id| builder.object(ObjectInput::new(*id))).collect();
                let first = coins.remove(0);
                if !coins.is_empty() {
                    builder.merge_coins(first, coins);
                }
                let amount = builder.pure(&amount);
                let part = builder.split_coins(first, vec![amount]);
                let params = builder.object(self.params_input());
                let node = builder.pure(node);
                let rest = vec![params, part[0], node];
                let staked = self.stake_call(builder, Callee::STAKE_WITH_POOL, rest);
                let to = builder.pure(&account.address);
                builder.transfer_objects(vec![staked], to);
            })
            .await;
        match self.events(&done).pop() {
            Some(Event::Stake(StakeEvent::Staked(event))) => event.object_id,
            other => panic!("the last event is the stake, not {other:?}"),
        }
    }

    async fn ask_back(&self, account: &Account, receipt: &ObjectId) {
        self.run(account, |builder| {
            let staked = builder.object(ObjectInput::new(Address::new((*receipt).into())));
            self.stake_call(builder, Callee::REQUEST_WITHDRAW_STAKE, vec![staked]);
        })
        .await;
    }

    async fn take_back(&self, account: &Account, receipt: &ObjectId) {
        self.run(account, |builder| {
            let staked = builder.object(ObjectInput::new(Address::new((*receipt).into())));
            let coin = self.stake_call(builder, Callee::WITHDRAW_STAKE, vec![staked]);
            let to = builder.pure(&account.address);
            builder.transfer_objects(vec![coin], to);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_says_the_time_of_the_checkpoint_and_never_goes_back() {
    let world = World::start().await;
    let alice = funded(&world, 1, 1).await;
    let before = world.now_ms().await;
    world.ledger.skip(Duration::from_secs(1000)).unwrap();
    world.fund(&alice).await;
    let later = world.now_ms().await;
    assert!(later >= before + 1_000_000, "{before} {later}");
    let (_, abort) = world
        .run_refused(&alice, |builder| {
            let params = builder.object(world.params_input());
            let clock = builder.object(ObjectInput::shared(Address::new(CLOCK.into()), 1, false));
            world.stake_call(builder, Callee::FORCE_SYNC_DONE, vec![params, clock]);
        })
        .await;
    assert_eq!(abort, Some(Abort::StakingWrongState));
    // Nobody may change the clock.
    let error = world.build(&alice, |builder| {
        let params = builder.object(world.params_input());
        let clock = builder.object(ObjectInput::shared(Address::new(CLOCK.into()), 1, true));
        world.stake_call(builder, Callee::FORCE_SYNC_DONE, vec![params, clock]);
    });
    assert!(error.await.unwrap_err().to_string().contains("may not be used this way"));
    // The machine's clock is behind now, and the ledger waits for it.
    let world = world.restart().await;
    world.fund(&alice).await;
    assert!(world.now_ms().await >= later);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_before_their_time_or_out_of_order_change_nothing() {
    let world = World::start().await;
    let alice = funded(&world, 1, 1).await;
    assert_eq!(world.refused_turn(&alice, Turn::VotingEnd).await, Abort::StakingTooEarly);
    assert_eq!(world.refused_turn(&alice, Turn::EpochChange).await, Abort::StakingWrongState);
    assert_eq!(world.refused_turn(&alice, Turn::ForceSync).await, Abort::StakingWrongState);
    world.half();
    let done = world.turn(&alice, Turn::VotingEnd).await;
    assert_eq!(names(&world, &done), ["EpochParametersSelected"]);
    assert_eq!(world.refused_turn(&alice, Turn::VotingEnd).await, Abort::StakingWrongState);
    assert_eq!(world.refused_turn(&alice, Turn::EpochChange).await, Abort::StakingTooEarly);
    assert_eq!(world.refused_turn(&alice, Turn::ForceSync).await, Abort::StakingWrongState);
    world.half();
    world.turn(&alice, Turn::EpochChange).await;
    assert_eq!(world.refused_turn(&alice, Turn::EpochChange).await, Abort::StakingWrongState);
    assert_eq!(world.refused_turn(&alice, Turn::VotingEnd).await, Abort::StakingWrongState);
    assert_eq!(world.refused_turn(&alice, Turn::ForceSync).await, Abort::StakingTooEarly);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_epoch_moves_the_epoch_the_ring_rewards_and_prices() {
    let world = World::start().await;
    let alice = funded(&world, 1, 2).await;
    world.donate(&alice).await;
    world.register(&alice, 5, false).await;
    for node in 0..4 {
        world.vote(node, 1_000).await;
    }
    let (before, old, treasury) = world.state().await;
    let head = entry(&old, 1).unwrap();
    world.half();
    world.turn(&alice, Turn::VotingEnd).await;
    world.half();
    let done = world.turn(&alice, Turn::EpochChange).await;
    let pools = ["PoolSettled"; 4];
    let said =
        [&["Burned", "RewardsDistributed"][..], &pools, &["EpochChangeStart", "PricesUpdated"]];
    assert_eq!(names(&world, &done), said.concat());

    let (stake, system, after) = world.state().await;
    assert_eq!((stake.epoch, system.committee.epoch, system.last_price_epoch), (2, 2, 2));
    assert_eq!((system.storage_price, system.write_price), (125, 20), "a quarter at most");
    let burned = head.rewards * 3 / 100;
    assert_eq!(treasury.total_supply - after.total_supply, burned);
    assert_eq!(entry(&system, 1), None, "the ring has left the epoch behind");
    assert_eq!(entry(&system, 54).map(|entry| entry.rewards), Some(0));
    assert_eq!(system.used_capacity, head.used_capacity);
    let dust = entry(&system, 2).unwrap().rewards - entry(&old, 2).unwrap().rewards;
    assert_eq!(active(&stake) - active(&before), head.rewards - burned - dust);
    assert!(dust < 4);

    let view = world.staking().await;
    let EpochState::Sync { weight: 0, started_ms } = stake.state else { panic!("it syncs") };
    assert_eq!((view.epoch, view.epoch_started_ms), (2, started_ms));
    assert_eq!(u64::try_from(done.timestamp.unwrap().seconds).unwrap(), started_ms / 1000);
    world.check_views().await;
    let seen = world.seen_by_nodes().await;
    let state = EpochState::Sync { weight: 0, started_ms };
    assert_eq!((seen.position.epoch.0, seen.position.phase), (2, state));
    assert_eq!(
        (seen.position.market.prices.storage, seen.position.timing.duration_ms),
        (125, 60_000)
    );
    world.check_money(&[&alice]).await;
    let done = world.turn(&alice, Turn::UpdatePrices).await;
    assert_eq!(names(&world, &done), ["PricesUpdated"]);
    assert_eq!(world.system().await.storage_price, 125, "still one step from the epoch before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_counts_once_and_ends_with_a_quorum() {
    let world = World::start().await;
    let alice = funded(&world, 1, 1).await;
    world.half();
    world.turn(&alice, Turn::VotingEnd).await;
    world.half();
    world.turn(&alice, Turn::EpochChange).await;
    let wrong = world.refused_turn(&operator(0), Turn::Sync(0, 1)).await;
    assert_eq!(wrong, Abort::StakingWrongEpoch);
    for (node, expected) in [
        (0, &["ShardsReceived"][..]),
        (1, &["ShardsReceived"]),
        (2, &["EpochChangeDone", "ShardsReceived"]),
    ] {
        let done = world.turn(&operator(node), Turn::Sync(node, 2)).await;
        assert_eq!(names(&world, &done), expected, "node {node}");
        let again = world.refused_turn(&operator(node), Turn::Sync(node, 2)).await;
        assert_eq!(again, Abort::DuplicateSync);
    }
    let late = world.turn(&operator(3), Turn::Sync(3, 2)).await;
    assert_eq!(names(&world, &late), ["ShardsReceived"], "a late node is heard too");
    let (stake, ..) = world.state().await;
    assert!(matches!(stake.state, EpochState::Done { .. }));
    assert_eq!(stake.synced.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_takes_too_long_is_declared_over_and_the_missing_earn_nothing() {
    let world = World::start().await;
    let alice = funded(&world, 1, 3).await;
    world.register(&alice, 5, false).await;
    world.half();
    world.turn(&alice, Turn::VotingEnd).await;
    world.half();
    world.turn(&alice, Turn::EpochChange).await;
    world.turn(&operator(0), Turn::Sync(0, 2)).await;
    world.ledger.skip(EPOCH / 8).unwrap();
    assert_eq!(world.refused_turn(&alice, Turn::ForceSync).await, Abort::StakingTooEarly);
    world.ledger.skip(EPOCH / 8).unwrap();
    let done = world.turn(&alice, Turn::ForceSync).await;
    let ids = world.ledger.ids();
    let [Event::Stake(StakeEvent::EpochSyncForced(forced))] = &world.events(&done)[..] else {
        panic!("the sync was declared over");
    };
    assert_eq!((forced.epoch, &forced.missing[..]), (2, &ids.nodes[1..]));

    world.donate(&alice).await;
    world.half();
    world.turn(&alice, Turn::VotingEnd).await;
    world.half();
    let done = world.turn(&alice, Turn::EpochChange).await;
    let paid = world.events(&done).into_iter().find_map(|event| match event {
        Event::Stake(StakeEvent::RewardsDistributed(paid)) => Some(paid),
        _ => None,
    });
    let paid = paid.unwrap();
    assert!(paid.kept[0] > 0 && paid.forfeited > 0);
    assert_eq!(paid.kept[1..], [0, 0, 0]);
    let reasons: Vec<u8> = world
        .events(&done)
        .into_iter()
        .filter_map(|event| match event {
            Event::Burned(burned) => Some(burned.reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [1, 2], "a part of the epoch and a part of what was forfeited");
    world.check_money(&[&alice]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_epochs_with_stake_that_comes_and_goes_conserve_all_money() {
    let world = World::start().await;
    let (alice, keeper) = (funded(&world, 1, 20).await, funded(&world, 2, 12).await);
    let nodes = world.ledger.ids().nodes.clone();
    let mut receipts: Vec<ObjectId> = vec![];
    for epoch in 1..=10_u32 {
        let place = usize::try_from(epoch).unwrap();
        let node = &nodes[place % 4];
        world.donate(&keeper).await;
        if epoch == 1 {
            world.register(&keeper, 5, false).await;
        }
        if epoch <= 6 {
            let amount = WAL + u64::from(epoch) * 7_777_777;
            receipts.push(world.stake_with(&alice, node, amount).await);
        }
        if (3..9).contains(&place) {
            world.ask_back(&alice, &receipts[place - 3]).await;
        }
        world.half();
        world.turn(&keeper, Turn::VotingEnd).await;
        world.half();
        world.turn(&keeper, Turn::EpochChange).await;
        world.check_money(&[&alice, &keeper]).await;
        world.check_views().await;
        world.sync_all(epoch + 1).await;
        if (4..10).contains(&place) {
            let receipt = receipts[place - 4];
            let staked: Staked = world.object(&receipt).await;
            let StakedState::Withdrawing { withdraw_epoch } = staked.state else {
                panic!("it was asked back");
            };
            assert!(withdraw_epoch <= epoch + 1);
            world.take_back(&alice, &receipt).await;
            world.check_money(&[&alice, &keeper]).await;
        }
    }
    let (stake, _, treasury) = world.state().await;
    assert_eq!(stake.epoch, 11);
    assert!(treasury.total_supply < 5_000_000_000 * WAL, "every epoch burned a part");
}
