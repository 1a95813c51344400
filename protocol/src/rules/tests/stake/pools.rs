//! The money behind one node: the example to the unit, and random lives.

use proptest::prelude::*;

use super::*;
use crate::chain::object::staking::{Rate, StakedState};
use crate::rules::staking_pool::{rate_at, settle, stake, to_shares, to_tokens};

fn pool(commission_bps: u16) -> Pool {
    let mut world = World::new(10);
    let call = RegisterNode { commission_bps, ..registration(1, 0) };
    world.register_with(1, &call, WAL).unwrap();
    Pool { bond: 0, ..world.pool(1).clone() }
}

fn receipt(pool: &Pool, principal: u64, activation_epoch: u32) -> Staked {
    let node_id = pool.node.node_id;
    let (state, vote_locks) = (StakedState::Staked, vec![]);
    Staked { id: id(5), node_id, principal, activation_epoch, state, vote_locks }
}

#[test]
fn the_example_pool_is_exact() {
    let mut pool = pool(1_000);
    stake(&mut pool, 1_000, 1).unwrap();
    let a = receipt(&pool, 1_000, 1);
    settle(&mut pool, 1, Some(0)).unwrap();
    assert_eq!((pool.active, pool.shares), (1_000, 1_000));
    stake(&mut pool, 500, 2).unwrap();
    let b = receipt(&pool, 500, 2);
    assert_eq!(settle(&mut pool, 2, Some(100)), Ok(10));
    assert_eq!((pool.active, pool.shares), (1_590, 1_458));
    assert_eq!(pool.rates[&2], Rate::Variable { tokens: 1_090, shares: 1_000 });
    staking_pool::request_active(&mut pool, &a, 3).unwrap();
    assert_eq!(settle(&mut pool, 3, Some(100)), Ok(10));
    assert_eq!(pool.rates[&3], Rate::Variable { tokens: 1_680, shares: 1_458 });
    assert_eq!((pool.active, pool.shares, pool.unbonded), (528, 458, 1_152));
    assert_eq!(staking_pool::pay(&mut pool, &a, 3), Ok(1_152));
    let shares = to_shares(rate_at(&pool, 2), b.principal).unwrap();
    assert_eq!((shares, to_tokens(rate_at(&pool, 3), shares)), (458, Ok(527)));
    assert_eq!(pool.commission, 20);
}

#[test]
fn t63_what_does_not_divide_stays_in_the_pool() {
    let mut pool = pool(0);
    for _ in 0..2 {
        stake(&mut pool, 1_000, 1).unwrap();
    }
    settle(&mut pool, 1, Some(0)).unwrap();
    let staked = receipt(&pool, 1_000, 1);
    for _ in 0..2 {
        staking_pool::request_active(&mut pool, &staked, 2).unwrap();
    }
    settle(&mut pool, 2, Some(201)).unwrap();
    assert_eq!(staking_pool::pay(&mut pool, &staked, 2), Ok(1_100));
    assert_eq!(staking_pool::pay(&mut pool, &staked, 2), Ok(1_100));
    assert_eq!((pool.unbonded, pool.commission), (0, 1), "the dust is the operator's");
}

#[test]
fn t65_stake_worth_less_than_a_share_cannot_be_asked_back() {
    let mut pool = pool(0);
    pool.active = u64::MAX / 2;
    pool.shares = 1;
    stake(&mut pool, WAL, 1).unwrap();
    settle(&mut pool, 1, Some(0)).unwrap();
    let staked = receipt(&pool, WAL, 1);
    assert_eq!(staking_pool::request_active(&mut pool, &staked, 2), Err(Abort::ZeroShares));
}

#[test]
fn t68_a_pool_enters_an_epoch_once_and_earns_only_with_stake() {
    let mut pool = pool(0);
    assert_eq!(settle(&mut pool, 1, Some(1)), Err(Abort::IncorrectEpochAdvance));
    settle(&mut pool, 1, Some(0)).unwrap();
    assert_eq!(settle(&mut pool, 1, Some(0)), Err(Abort::PoolAlreadyUpdated));
    assert_eq!(settle(&mut pool, 1, None), Ok(0));
}

/// A life of one pool, driven by random numbers.
struct Life {
    pool: Pool,
    epoch: u32,
    paid_in: u64,
    receipts: Vec<Staked>,
    lazy: bool,
}

impl Life {
    fn new(commission_bps: u16, lazy: bool) -> Self {
        Life { pool: pool(commission_bps), epoch: 0, paid_in: 0, receipts: vec![], lazy }
    }

    /// One epoch: what `dice` says comes, is asked back, and is paid.
    fn turn(&mut self, dice: [u64; 4], reward: u64) {
        let [action, amount, which, serves] = dice;
        if !self.lazy || action.is_multiple_of(5) {
            settle(&mut self.pool, self.epoch, None).unwrap();
        }
        if action % 3 > 0 {
            let activation = self.epoch + 1 + u32::from(action.is_multiple_of(7));
            stake(&mut self.pool, amount, activation).unwrap();
            self.receipts.push(receipt(&self.pool, amount, activation));
            self.paid_in += amount;
        }
        if !self.receipts.is_empty() {
            let at = usize::try_from(which).unwrap() % self.receipts.len();
            self.ask_back(at, action);
            self.pay_all();
        }
        self.epoch += 1;
        let stake = staking_pool::stake_at(&self.pool, self.epoch - 1, self.epoch).unwrap();
        if serves % 4 > 0 && stake > 0 {
            settle(&mut self.pool, self.epoch - 1, None).unwrap();
            let reward = if self.pool.active > 0 { reward } else { 0 };
            settle(&mut self.pool, self.epoch, Some(reward)).unwrap();
            self.paid_in += reward;
        }
        self.check();
    }

    fn ask_back(&mut self, at: usize, action: u64) {
        let staked = &mut self.receipts[at];
        if staked.state != StakedState::Staked {
            return;
        }
        let withdraw_epoch = if staked.activation_epoch > self.epoch {
            let withdraw_epoch = staked.activation_epoch + 1;
            let principal = staked.principal;
            staking_pool::request_pre_active(&mut self.pool, principal, withdraw_epoch).unwrap();
            withdraw_epoch
        } else {
            settle(&mut self.pool, self.epoch, None).unwrap();
            let withdraw_epoch = self.epoch + 1 + u32::from(action.is_multiple_of(2));
            match staking_pool::request_active(&mut self.pool, staked, withdraw_epoch) {
                Ok(()) => withdraw_epoch,
                Err(abort) => return assert_eq!(abort, Abort::ZeroShares),
            }
        };
        staked.state = StakedState::Withdrawing { withdraw_epoch };
    }

    /// Pays everybody who may be paid; each gets all that its shares are worth.
    fn pay_all(&mut self) {
        for staked in std::mem::take(&mut self.receipts) {
            let due = match staked.state {
                StakedState::Withdrawing { withdraw_epoch } if withdraw_epoch <= self.epoch => {
                    withdraw_epoch
                }
                _ => {
                    self.receipts.push(staked);
                    continue;
                }
            };
            settle(&mut self.pool, self.epoch, None).unwrap();
            let shares = to_shares(rate_at(&self.pool, staked.activation_epoch), staked.principal);
            let worth = to_tokens(rate_at(&self.pool, due), shares.unwrap()).unwrap();
            assert!(self.pool.unbonded >= worth, "the pot of epoch {due} runs short");
            assert_eq!(staking_pool::pay(&mut self.pool, &staked, due), Ok(worth));
            self.paid_in -= worth;
        }
    }

    fn check(&self) {
        assert_eq!(staking_pool::funds(&self.pool).unwrap(), self.paid_in);
        let waiting = self.receipts.iter().filter(|staked| staked.state != StakedState::Staked);
        let waiting: u64 = waiting.map(|staked| staked.principal).sum();
        assert_eq!(self.pool.withdrawing, waiting);
    }
}

type Turn = ([u64; 4], u64);

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let amount = prop_oneof![1_u64..50, WAL..1_000 * WAL];
    let dice = (any::<u64>(), amount, any::<u64>(), any::<u64>());
    let dice = dice.prop_map(|(action, amount, which, serves)| [action, amount, which, serves]);
    let reward = prop_oneof![Just(0_u64), 1_u64..1_000, WAL..100 * WAL];
    proptest::collection::vec((dice, reward), 60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_pot_ever_runs_short_and_no_unit_is_made_or_lost(
        turns in turns(), commission in 0_u16..=10_000,
    ) {
        let mut life = Life::new(commission, true);
        for (dice, reward) in turns {
            life.turn(dice, reward);
        }
    }

    #[test]
    fn it_does_not_matter_who_settles_when(turns in turns(), commission in 0_u16..=10_000) {
        let (mut lazy, mut eager) = (Life::new(commission, true), Life::new(commission, false));
        for (dice, reward) in turns {
            lazy.turn(dice, reward);
            eager.turn(dice, reward);
        }
        settle(&mut lazy.pool, lazy.epoch, None).unwrap();
        settle(&mut eager.pool, eager.epoch, None).unwrap();
        prop_assert_eq!(lazy.pool, eager.pool);
        prop_assert_eq!(lazy.receipts, eager.receipts);
    }

    #[test]
    fn t64_nobody_gains_more_than_a_fair_reward_from_rounding(
        others in WAL..1_000 * WAL, mine in WAL..1_000 * WAL, rewards in
            proptest::collection::vec(0_u64..100 * WAL, 1..20),
    ) {
        let mut pool = pool(0);
        for amount in [others, mine] {
            stake(&mut pool, amount, 1).unwrap();
        }
        settle(&mut pool, 1, Some(0)).unwrap();
        let total: u64 = rewards.iter().sum();
        for (epoch, reward) in (2..).zip(&rewards) {
            settle(&mut pool, epoch, Some(*reward)).unwrap();
        }
        let last = 1 + u32::try_from(rewards.len()).unwrap();
        let shares = to_shares(rate_at(&pool, 1), mine).unwrap();
        let paid = to_tokens(rate_at(&pool, last), shares).unwrap();
        let fair = u128::from(mine) * u128::from(total) / u128::from(others + mine);
        let fair = mine + u64::try_from(fair).unwrap();
        prop_assert!(paid <= fair + 1 && paid + 1 >= fair, "{paid} is not {fair}");
    }
}
