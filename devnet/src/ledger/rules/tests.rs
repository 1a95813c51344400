//! The rules on values of their own: counting, paying, limits.

mod stake;

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::ReserveSpace;
use haulout_protocol::chain::event::Event;
use haulout_protocol::chain::object::{BlsCommittee, Coin, System, Table};
use sui_sdk_types::Digest;

use super::{Context, accounting, system, wal};

const MIB: u64 = 1 << 20;

fn sample_system() -> System {
    System {
        id: [1; 32],
        version: 1,
        network_id: [2; 32],
        committee: BlsCommittee { members: vec![], n_shards: 10, epoch: 5 },
        total_capacity: 10 * MIB,
        used_capacity: 0,
        storage_price: 3,
        write_price: 1,
        last_price_epoch: 5,
        ring: accounting::new_ring(5, 4),
        invalid: Table { id: [3; 32], size: 0 },
        deny: vec![],
        last_event_sequence: 0,
        protocol_version: 1,
    }
}

fn coin(balance: u64) -> Coin {
    Coin { id: [4; 32], balance }
}

fn reserve(size: u64, start_epoch: u32, end_epoch: u32) -> ReserveSpace {
    ReserveSpace { size, start_epoch, end_epoch, max_total: u64::MAX }
}

#[test]
fn space_is_counted_and_paid_in_every_epoch_it_covers() {
    let (mut system, mut coin) = (sample_system(), coin(1000));
    let mut context = Context::new(Digest::ZERO);
    // Two MiB and a byte are three units.
    let call = reserve(2 * MIB + 1, 6, 8);
    let storage = system::reserve_space(&mut context, &mut system, &call, &mut coin).unwrap();
    assert_eq!((storage.start_epoch, storage.end_epoch), (6, 8));
    assert_eq!(coin.balance, 1000 - 2 * 3 * 3);
    let used: Vec<_> = system.ring.entries.iter().map(|entry| entry.used_capacity).collect();
    assert_eq!(used, [0, 2 * MIB + 1, 2 * MIB + 1, 0]);
    let rewards: Vec<_> = system.ring.entries.iter().map(|entry| entry.rewards).collect();
    assert_eq!(rewards, [0, 9, 9, 0]);
    assert_eq!(system.used_capacity, 0, "nothing of it is used yet");
    assert!(matches!(context.events[..], [Event::StoragePurchased(_)]));
}

#[test]
fn capacity_is_sold_once() {
    let (mut system, mut coin) = (sample_system(), coin(1000));
    let mut context = Context::new(Digest::ZERO);
    let mut buy = |size, start, end| {
        let call = reserve(size, start, end);
        let mut tried = system.clone();
        let bought = system::reserve_space(&mut context, &mut tried, &call, &mut coin);
        if bought.is_ok() {
            system = tried;
        }
        bought.map(|_| ())
    };
    assert_eq!(buy(10 * MIB, 0, 7), Ok(()));
    assert_eq!(buy(1, 6, 8), Err(Abort::StorageExceeded));
    assert_eq!(buy(10 * MIB, 7, 9), Ok(()));
    assert_eq!(buy(1, 0, 6), Err(Abort::StorageExceeded));
}

#[test]
fn amounts_that_do_not_fit_are_refused_not_wrapped() {
    let mut context = Context::new(Digest::ZERO);
    let mut check = |change: fn(&mut System), size| {
        let mut system = sample_system();
        change(&mut system);
        let call = reserve(size, 0, 9);
        system::reserve_space(&mut context, &mut system, &call, &mut coin(u64::MAX)).err()
    };
    let overflow = Some(Abort::AccountingOverflow);
    assert_eq!(check(|system| system.storage_price = u64::MAX, 2 * MIB), overflow);
    assert_eq!(check(|system| system.storage_price = u64::MAX / 2, MIB), overflow);
    assert_eq!(check(|system| system.ring.entries[2].used_capacity = u64::MAX - 1, 2), overflow);
    assert_eq!(check(|system| system.ring.entries[2].rewards = u64::MAX - 1, MIB), overflow);
}

#[test]
fn the_ring_is_read_from_its_current_entry_on() {
    let mut ring = accounting::new_ring(5, 4);
    ring.current_index = 3;
    for (ahead, place) in [(0, 3), (1, 0), (2, 1), (3, 2)] {
        accounting::add_rewards(&mut ring, ahead, u64::from(ahead) + 1).unwrap();
        assert_eq!(ring.entries[place].rewards, u64::from(ahead) + 1);
    }
    assert_eq!(accounting::add_rewards(&mut ring, 4, 1), Err(Abort::BadEpochs));
}

#[test]
fn a_payment_respects_the_limit_before_the_balance() {
    let mut poor = coin(5);
    assert_eq!(wal::pay(&mut poor, 6, 5), Err(Abort::PriceAboveLimit));
    assert_eq!(wal::pay(&mut poor, 6, 6), Err(Abort::InsufficientPayment));
    assert_eq!(wal::pay(&mut poor, 5, 6), Ok(5));
    assert_eq!(poor.balance, 0);
}
