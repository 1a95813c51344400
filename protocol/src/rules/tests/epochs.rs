//! The ring, the change of epochs, prices, parameters, gifts and burning.

use crate::chain::abort::Abort;
use crate::chain::event::{Burned, Event, ParamChanged};
use crate::chain::object::FutureAccounting;
use crate::chain::params::ParamKey;

use super::{
    AHEAD, Desk, EPOCH, MIB, coin, opening, reserve, sample_params, sample_system, sample_treasury,
};
use crate::rules::staking::Opening;
use crate::rules::{Context, accounting, params, system, wal};

#[test]
fn the_ring_is_read_from_its_current_entry_on() {
    let mut ring = accounting::new_ring(5, 4);
    ring.current_index = 3;
    for (ahead, place) in [(0, 3), (1, 0), (2, 1), (3, 2)] {
        accounting::add_rewards(&mut ring, ahead, u64::from(ahead) + 1).unwrap();
        assert_eq!(ring.entries[place].rewards, u64::from(ahead) + 1);
    }
}

#[test]
fn t49_the_ring_turns_twice_and_its_epochs_stay_consecutive() {
    let mut ring = accounting::new_ring(5, 4);
    accounting::add_rewards(&mut ring, 3, 7).unwrap();
    for epoch in 5..14 {
        for ahead in 0..4 {
            assert_eq!(accounting::lookup(&mut ring, ahead).unwrap().epoch, epoch + ahead);
        }
        assert_eq!(accounting::lookup(&mut ring, 4).err(), Some(Abort::BadEpochs));
        let rewards = if epoch == 8 { 7 } else { 0 };
        let ended = FutureAccounting { epoch, used_capacity: 0, rewards };
        assert_eq!(accounting::pop(&mut ring), Ok(ended));
    }
    let mut last = accounting::new_ring(u32::MAX - 3, 4);
    assert_eq!(accounting::pop(&mut last), Err(Abort::AccountingOverflow));
    let mut single = accounting::new_ring(5, 1);
    assert_eq!(accounting::pop(&mut single).unwrap().epoch, 5);
    assert_eq!(accounting::lookup(&mut single, 0).unwrap().epoch, 6);
}

/// Ends the current epoch with a committee of the next one.
fn advance(desk: &mut Desk, capacity: u64) -> Result<FutureAccounting, Abort> {
    let mut committee = desk.system.committee.clone();
    committee.epoch += 1;
    let opening = Opening { capacity, ..opening(committee, 0) };
    system::advance(&mut desk.system, &mut sample_treasury(1000), &opening)
}

#[test]
fn t50_capacity_never_falls_below_what_is_reserved() {
    let mut desk = Desk::new();
    desk.reserve(&reserve(4 * MIB, EPOCH, EPOCH + 2)).unwrap();
    let ended = advance(&mut desk, MIB).unwrap();
    assert_eq!((ended.epoch, ended.used_capacity), (EPOCH, 4 * MIB));
    assert_eq!((desk.system.total_capacity, desk.system.used_capacity), (4 * MIB, 4 * MIB));
    let refused = desk.reserve(&reserve(1, EPOCH + 1, EPOCH + 2)).err();
    assert_eq!(refused, Some(Abort::StorageExceeded));
    advance(&mut desk, MIB).unwrap();
    assert_eq!((desk.system.total_capacity, desk.system.used_capacity), (MIB, 0));
    assert_eq!(desk.system.committee.epoch, EPOCH + 2);
}

#[test]
fn an_epoch_is_followed_by_the_next_one_only() {
    for epoch in [EPOCH - 1, EPOCH, EPOCH + 2] {
        let mut system = sample_system();
        let mut committee = system.committee.clone();
        committee.epoch = epoch;
        let refused = system::advance(&mut system, &mut sample_treasury(0), &opening(committee, 0));
        assert_eq!(refused, Err(Abort::EpochMismatch));
    }
    let mut desk = Desk::new();
    desk.system.ring = accounting::new_ring(EPOCH + 1, AHEAD);
    assert_eq!(advance(&mut desk, MIB), Err(Abort::EpochMismatch), "the ring is of another epoch");
}

#[test]
fn what_an_epoch_leaves_is_burned_or_carried_over() {
    let mut desk = Desk::new();
    accounting::add_rewards(&mut desk.system.ring, 0, 1000).unwrap();
    let (mut treasury, mut committee) = (sample_treasury(31), desk.system.committee.clone());
    committee.epoch += 1;
    let opening = Opening { dust: 3, treasury: 4, ..opening(committee, 30) };
    let ended = system::advance(&mut desk.system, &mut treasury, &opening).unwrap();
    assert_eq!((ended.epoch, ended.rewards, treasury.total_supply), (EPOCH, 1000, 1));
    assert_eq!(desk.ring()[0], (0, 7));
    let (system, prices) = (&desk.system, opening.prices);
    assert_eq!((system.storage_price, system.write_price), (prices.storage, prices.write));
    assert_eq!(system.last_price_epoch, EPOCH + 1);
    let mut committee = opening.committee.clone();
    committee.epoch += 1;
    let opening = Opening { committee, burned: 2, ..opening };
    let refused = system::advance(&mut desk.system, &mut treasury, &opening);
    assert_eq!(refused, Err(Abort::TokenOverflow));
}

#[test]
fn a_burned_coin_leaves_the_supply() {
    let (mut context, mut treasury) = (Context::new([0; 32]), sample_treasury(10));
    assert_eq!(wal::burn(&mut context, &mut treasury, coin(4)), Ok(()));
    assert_eq!(treasury.total_supply, 6);
    assert_eq!(context.events, [Event::Burned(Burned { amount: 4, reason: 0 })]);
    assert!(context.deleted.contains(&coin(4).id));
    assert_eq!(wal::burn(&mut context, &mut treasury, coin(7)), Err(Abort::TokenOverflow));
}

#[test]
fn t51_a_gift_is_spread_and_the_current_epoch_gets_the_remainder() {
    let give = |amount, epochs| {
        let mut desk = Desk::new();
        let Desk { context, system, .. } = &mut desk;
        system::add_subsidy(context, system, coin(amount), epochs)?;
        Ok(desk.ring().iter().map(|entry| entry.1).collect::<Vec<_>>())
    };
    assert_eq!(give(10, 3), Ok(vec![4, 3, 3, 0]));
    assert_eq!(give(2, 4), Ok(vec![2, 0, 0, 0]));
    assert_eq!(give(10, 0), Err(Abort::BadEpochs));
    assert_eq!(give(10, AHEAD + 1), Err(Abort::BadEpochs));
}

#[test]
fn every_parameter_has_a_default_within_its_rails() {
    for n_shards in [4, 10, 100, 1000] {
        let mut params = sample_params();
        (params.n_shards, params.values) = (n_shards, params::defaults(n_shards));
        let mut context = Context::new([0; 32]);
        for entry in params.values.clone() {
            params::set(&mut context, EPOCH, &mut params, entry.key, entry.value).unwrap();
        }
        let most = params::get(&params, ParamKey::MaxNodes).unwrap();
        assert_eq!(most, u64::from(n_shards).min(50));
        assert_eq!(params::get(&params, ParamKey::ExpiryEpochs), Ok(4));
    }
}

#[test]
fn t95_a_parameter_stays_within_its_rails() {
    let (mut params, mut context) = (sample_params(), Context::new([0; 32]));
    let mut set = |key: u16, value| params::set(&mut context, EPOCH, &mut params, key, value);
    for key in [0, 26, u16::MAX] {
        assert_eq!(set(key, 1), Err(Abort::UnknownKey));
    }
    let rails = [
        (ParamKey::EpochDurationMs, 10_000, 60 * 24 * 60 * 60 * 1000),
        (ParamKey::SyncTimeoutBps, 500, 5000),
        (ParamKey::BurnBps, 0, 2000),
        (ParamKey::PriceStepBps, 100, 10_000),
        (ParamKey::MaxNodes, 4, 10),
        (ParamKey::MinBond, 1, u64::MAX),
        (ParamKey::PriceWeightCapBps, 0, 3000),
        (ParamKey::RoundsPerEpoch, 1, 64),
        (ParamKey::SamplesPerShard, 1, 32),
        (ParamKey::DelegatorSlashCapBps, 0, 500),
        (ParamKey::ReporterBps, 0, 2000),
        (ParamKey::MarketFeeBps, 0, 500),
    ];
    for (key, least, most) in rails {
        assert_eq!((set(key.number(), least), set(key.number(), most)), (Ok(()), Ok(())));
        for outside in [least.checked_sub(1), most.checked_add(1)].into_iter().flatten() {
            assert_eq!(set(key.number(), outside), Err(Abort::OutOfRails), "{key:?}");
        }
    }
    let changed = ParamChanged { epoch: EPOCH, key: 1, old: 60_000, new: 10_000 };
    assert_eq!(context.events[0], Event::ParamChanged(changed));
}

#[test]
fn the_money_of_the_design_example_adds_up() {
    let mut desk = Desk::new();
    (desk.system.storage_price, desk.system.write_price) = (100, 20);
    let paid = desk.coin.balance;
    desk.reserve(&reserve(5_087_200, EPOCH, EPOCH + 4)).unwrap();
    // The design writes a blob of five units, ours is smaller: pay for the other four as well.
    desk.register_in(super::storage(EPOCH, EPOCH + 1, MIB), &super::sample_blob(false)).unwrap();
    let rest = wal::pay(&mut desk.coin, 80, u64::MAX).unwrap();
    accounting::add_rewards(&mut desk.system.ring, 0, rest).unwrap();
    assert_eq!(paid - desk.coin.balance, 2100);
    let rewards = |desk: &mut Desk| desk.ring().iter().map(|it| it.1).collect::<Vec<_>>();
    assert_eq!(rewards(&mut desk), [600, 500, 500, 500]);
    assert_eq!(advance(&mut desk, 10 * MIB).unwrap().rewards, 600);
    accounting::add_rewards(&mut desk.system.ring, 0, 2).unwrap();
    assert_eq!(rewards(&mut desk), [502, 500, 500, 0]);
}
