//! Buying, splitting and joining space.

use crate::chain::abort::Abort;
use crate::chain::call::ReserveSpace;
use crate::chain::event::{Event, StorageDestroyed};
use crate::chain::object::{Storage, System};
use proptest::prelude::*;

use super::{AHEAD, Desk, EPOCH, MIB, coin, needed, reserve, sample_blob, sample_system, storage};
use crate::rules::{Context, storage as space, system, wal};

#[test]
fn space_is_counted_and_paid_in_every_epoch_it_covers() {
    let mut desk = Desk::new();
    // Two MiB and a byte are three units.
    let bought = desk.reserve(&reserve(2 * MIB + 1, 6, 8)).unwrap();
    assert_eq!((bought.start_epoch, bought.end_epoch), (6, 8));
    assert_eq!(desk.coin.balance, 1_000_000 - 2 * 3 * 3);
    let each = (2 * MIB + 1, 9);
    assert_eq!(desk.ring(), [(0, 0), each, each, (0, 0)]);
    assert!(matches!(desk.context.events[..], [Event::StoragePurchased(_)]));
}

#[test]
fn t39_a_coin_one_unit_short_pays_nothing_and_an_exact_one_ends_empty() {
    let mut desk = Desk::new();
    desk.coin.balance = 11;
    let call = reserve(2 * MIB, EPOCH, EPOCH + 2);
    assert_eq!(desk.reserve(&call).err(), Some(Abort::InsufficientPayment));
    assert_eq!(desk.coin.balance, 11);
    desk.coin.balance = 12;
    let limited = ReserveSpace { max_total: 11, ..call.clone() };
    assert_eq!(desk.reserve(&limited).err(), Some(Abort::PriceAboveLimit));
    desk.reserve(&call).unwrap();
    assert_eq!(desk.coin.balance, 0);
}

#[test]
fn a_payment_respects_the_limit_before_the_balance() {
    let mut poor = coin(5);
    assert_eq!(wal::pay(&mut poor, 6, 5), Err(Abort::PriceAboveLimit));
    assert_eq!(wal::pay(&mut poor, 6, 6), Err(Abort::InsufficientPayment));
    assert_eq!(wal::pay(&mut poor, 5, 6), Ok(5));
    assert_eq!(poor.balance, 0);
}

#[test]
fn t40_amounts_that_do_not_fit_are_refused_not_wrapped() {
    let mut context = Context::new([0; 32]);
    let mut check = |change: fn(&mut System), size| {
        let mut system = sample_system();
        change(&mut system);
        let call = reserve(size, 0, 9);
        system::reserve_space(&mut context, &mut system, &call, &mut coin(u64::MAX)).err()
    };
    let (price, amount) = (Some(Abort::SystemOverflow), Some(Abort::AccountingOverflow));
    assert_eq!(check(|system| system.storage_price = 1 << 63, 4 * MIB), price);
    assert_eq!(check(|system| system.storage_price = u64::MAX / 2, MIB), price);
    assert_eq!(check(|system| system.ring.entries[2].used_capacity = u64::MAX - 1, 2), amount);
    assert_eq!(check(|system| system.ring.entries[2].rewards = u64::MAX - 1, MIB), amount);
}

#[test]
fn t41_capacity_is_sold_to_the_last_byte_and_once() {
    let mut desk = Desk::new();
    assert!(desk.reserve(&reserve(10 * MIB, 0, 7)).is_ok());
    let exceeded = Some(Abort::StorageExceeded);
    assert_eq!(desk.reserve(&reserve(1, 6, 8)).err(), exceeded);
    assert!(desk.reserve(&reserve(10 * MIB - 1, 7, 9)).is_ok());
    assert_eq!(desk.reserve(&reserve(2, 7, 9)).err(), exceeded);
    assert!(desk.reserve(&reserve(1, 7, 8)).is_ok());
    assert_eq!(desk.reserve(&reserve(1, 7, 9)).err(), exceeded, "only one epoch is full");
}

#[test]
fn t42_space_of_later_epochs_is_not_used_now() {
    let mut desk = Desk::new();
    desk.reserve(&reserve(MIB, EPOCH + 1, EPOCH + 2)).unwrap();
    assert_eq!(desk.system.used_capacity, 0);
    desk.reserve(&reserve(2 * MIB, EPOCH, EPOCH + 2)).unwrap();
    assert_eq!(desk.system.used_capacity, 2 * MIB);
    desk.pass_epochs(1);
    assert_eq!(desk.system.used_capacity, 3 * MIB);
}

#[test]
fn t43_a_start_in_the_past_means_now_and_costs_what_is_left() {
    let mut desk = Desk::new();
    let bought = desk.reserve(&reserve(MIB, 1, EPOCH + 2)).unwrap();
    assert_eq!(bought.start_epoch, EPOCH);
    assert_eq!(desk.coin.balance, 1_000_000 - 2 * 3);
}

#[test]
fn t44_empty_and_endless_reservations_are_refused() {
    let mut desk = Desk::new();
    let mut refused = |size, start, end| desk.reserve(&reserve(size, start, end)).err();
    assert_eq!(refused(0, EPOCH, EPOCH + 1), Some(Abort::ZeroSize));
    for (start, end) in [(EPOCH, EPOCH), (EPOCH + 2, EPOCH + 1), (0, EPOCH), (0, u32::MAX)] {
        assert_eq!(refused(MIB, start, end), Some(Abort::BadEpochs));
    }
    assert_eq!(refused(MIB, EPOCH, EPOCH + AHEAD + 1), Some(Abort::BadEpochs));
    assert_eq!(refused(MIB, EPOCH, EPOCH + AHEAD), None);
}

#[test]
fn t45_t47_a_split_leaves_something_on_both_sides() {
    let mut context = Context::new([0; 32]);
    let whole = storage(5, 9, 100);
    for epoch in [0, 5, 9, 10] {
        let split = space::split_by_epoch(&mut context, &mut whole.clone(), epoch);
        assert_eq!(split.err(), Some(Abort::BadSplitEpoch), "{epoch}");
    }
    for (size, abort) in
        [(0, Abort::ZeroSize), (100, Abort::ZeroSize), (101, Abort::IncompatibleSize)]
    {
        let split = space::split_by_size(&mut context, &mut whole.clone(), size);
        assert_eq!(split.err(), Some(abort), "{size}");
    }
    let mut first = whole.clone();
    let rest = space::split_by_epoch(&mut context, &mut first, 6).unwrap();
    assert_eq!((first.start_epoch, first.end_epoch, first.storage_size), (5, 6, 100));
    assert_eq!((rest.start_epoch, rest.end_epoch, rest.storage_size), (6, 9, 100));
    let rest = space::split_by_size(&mut context, &mut first, 99).unwrap();
    assert_eq!((first.storage_size, rest.storage_size), (99, 1));
    assert_ne!(first.id, rest.id);
}

#[test]
fn t46_only_what_fits_together_is_fused() {
    let mut context = Context::new([0; 32]);
    let mut fused = |a: Storage, b: Storage| {
        let mut a = a;
        space::fuse(&mut context, &mut a, b)?;
        Ok((a.start_epoch, a.end_epoch, a.storage_size))
    };
    assert_eq!(fused(storage(5, 7, 3), storage(5, 7, 4)), Ok((5, 7, 7)));
    assert_eq!(fused(storage(5, 7, 3), storage(7, 8, 3)), Ok((5, 8, 3)));
    assert_eq!(fused(storage(7, 8, 3), storage(5, 7, 3)), Ok((5, 8, 3)), "b before a");
    let epochs = Err(Abort::IncompatibleEpochs);
    assert_eq!(fused(storage(5, 7, 3), storage(5, 8, 3)), epochs, "same start, other end");
    assert_eq!(fused(storage(5, 7, 3), storage(6, 8, 3)), epochs, "overlap");
    assert_eq!(fused(storage(5, 7, 3), storage(8, 9, 3)), epochs, "gap");
    let size = Err(Abort::IncompatibleSize);
    assert_eq!(fused(storage(5, 7, 3), storage(7, 8, 4)), size);
    assert_eq!(fused(storage(5, 7, 3), storage(8, 9, 4)), size, "the size is checked first");
    let overflow = Err(Abort::StorageOverflow);
    assert_eq!(fused(storage(5, 7, u64::MAX), storage(5, 7, 1)), overflow);
}

#[test]
fn t48_space_of_a_later_window_waits_for_its_time() {
    let mut desk = Desk::new();
    let mut bought = desk.reserve(&reserve(needed(), EPOCH, EPOCH + 3)).unwrap();
    let later = space::split_by_epoch(&mut desk.context, &mut bought, EPOCH + 1).unwrap();
    let refused = desk.register_in(later.clone(), &sample_blob(false)).err();
    assert_eq!(refused, Some(Abort::ResourceBounds));
    desk.pass_epochs(1);
    assert!(desk.register_in(later, &sample_blob(false)).is_ok());
    let refused = desk.register_in(bought, &sample_blob(false)).err();
    assert_eq!(refused, Some(Abort::ResourceBounds), "its epoch is over");
}

#[test]
fn destroyed_space_stays_paid_and_reserved() {
    let mut desk = Desk::new();
    let bought = desk.reserve(&reserve(MIB, EPOCH, EPOCH + 1)).unwrap();
    let (id, ring, balance) = (bought.id, desk.ring(), desk.coin.balance);
    space::destroy(&mut desk.context, bought);
    assert_eq!((desk.ring(), desk.coin.balance), (ring, balance));
    let expected = Event::StorageDestroyed(StorageDestroyed { object_id: id });
    assert_eq!(desk.last_event(), &expected);
    assert!(desk.context.deleted.contains(&id));
}

proptest! {
    #[test]
    fn pieces_of_space_cover_what_the_whole_covered_and_fuse_back(
        (start, length, size) in (0_u32..50, 2_u32..50, 2_u64..1000),
        (at, cut) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        time_first in any::<bool>(),
    ) {
        let mut context = Context::new([0; 32]);
        let whole = storage(start, start + length, size);
        let epoch = start + 1 + u32::try_from(at.index(length as usize - 1)).unwrap();
        let bytes = 1 + cut.index(usize::try_from(size).unwrap() - 1) as u64;
        let mut first = whole.clone();
        let mut halves = match time_first {
            true => vec![space::split_by_epoch(&mut context, &mut first, epoch).unwrap()],
            false => vec![space::split_by_size(&mut context, &mut first, bytes).unwrap()],
        };
        halves.insert(0, first);
        let mut pieces = Vec::new();
        for mut half in halves {
            let rest = match time_first {
                true => space::split_by_size(&mut context, &mut half, bytes).unwrap(),
                false => space::split_by_epoch(&mut context, &mut half, epoch).unwrap(),
            };
            pieces.push((half, rest));
        }
        for epoch in start..start + length {
            let all = pieces.iter().flat_map(|(half, rest)| [half, rest]);
            let covering = all.filter(|it| (it.start_epoch..it.end_epoch).contains(&epoch));
            prop_assert_eq!(covering.map(|it| it.storage_size).sum::<u64>(), size);
        }
        let mut fused = Vec::new();
        for (mut half, rest) in pieces {
            space::fuse(&mut context, &mut half, rest).unwrap();
            fused.push(half);
        }
        let last = fused.remove(1);
        space::fuse(&mut context, &mut fused[0], last).unwrap();
        prop_assert_eq!(&fused[0], &whole);
        prop_assert_eq!(context.deleted.len(), 3);
    }
}
