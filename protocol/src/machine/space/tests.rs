//! Which storage is reused, how it is cut, and what is left to buy.

use super::*;

const MIB: u64 = 1 << 20;

fn terms() -> Terms {
    Terms {
        epoch: 5,
        epochs_ahead_max: 53,
        storage_price: 7,
        write_price: 3,
        encoded_bytes_min: 1_000,
    }
}

fn storage(id: u8, epochs: std::ops::Range<u32>, storage_size: u64) -> Storage {
    Storage { id: [id; 32].into(), start_epoch: epochs.start, end_epoch: epochs.end, storage_size }
}

/// Three MiB for epochs 5 to 9.
fn need() -> Need {
    Need { bytes: 3 * MIB, start_epoch: 5, end_epoch: 10, is_extension: false }
}

fn choose(storages: &[Storage], need: Need) -> Space {
    Space::choose(&terms(), storages, need).expect("it has a price")
}

#[test]
fn without_storage_everything_is_bought() {
    let space = choose(&[], need());
    assert_eq!((space.price(), space.saved), (7 * 3 * 5, 0));
    let bought = Purchase { start_epoch: 5, end_epoch: 10, bytes: 3 * MIB, price: 105 };
    assert_eq!((space.bought, space.reused), (Some(bought), None));
}

#[test]
fn storage_that_fits_is_taken_whole_and_costs_nothing() {
    let space = choose(&[storage(1, 2..10, 3 * MIB)], need());
    let cut = space.reused.as_ref().expect("it fits");
    assert_eq!((cut.count(), cut.bytes, cut.end_epoch), (0, 3 * MIB, 10));
    assert_eq!((space.price(), space.saved), (0, 105));
}

#[test]
fn storage_that_is_too_large_is_cut_and_the_rest_stays_free() {
    for (larger, cuts) in [
        (storage(1, 5..12, 3 * MIB), 1),
        (storage(1, 5..10, 8 * MIB), 1),
        (storage(1, 1..12, 8 * MIB), 2),
    ] {
        let space = choose(std::slice::from_ref(&larger), need());
        let cut = space.reused.as_ref().expect("it fits");
        assert_eq!((cut.bytes, cut.end_epoch, cut.count()), (3 * MIB, 10, cuts), "{larger:?}");
        assert_eq!(space.price(), 0);
    }
}

#[test]
fn a_rest_in_which_no_blob_fits_is_not_cut_off() {
    let with_rest = |rest| choose(&[storage(1, 5..10, 3 * MIB + rest)], need());
    assert_eq!(with_rest(999).reused.expect("it fits").count(), 0);
    assert_eq!(with_rest(1_000).reused.expect("it fits").count(), 1);
    // What is joined with other storage must have its size.
    let short = choose(&[storage(1, 5..9, 3 * MIB + 999)], need());
    assert_eq!(short.reused.expect("it fits").bytes, 3 * MIB);
    let extension = Need { is_extension: true, ..need() };
    let longer = choose(&[storage(1, 5..10, 3 * MIB + 999)], extension);
    assert_eq!(longer.reused.expect("it fits").bytes, 3 * MIB);
}

#[test]
fn storage_that_ends_too_soon_saves_its_epochs_and_the_others_are_bought() {
    let space = choose(&[storage(1, 5..7, 3 * MIB)], need());
    let bought = Purchase { start_epoch: 7, end_epoch: 10, bytes: 3 * MIB, price: 63 };
    assert_eq!((space.bought, space.saved), (Some(bought), 42));
    assert_eq!(space.reused.expect("it helps").end_epoch, 7);
}

#[test]
fn storage_that_is_too_small_over_or_not_yet_begun_is_left_alone() {
    for useless in
        [storage(1, 5..10, 3 * MIB - 1), storage(1, 1..5, 9 * MIB), storage(1, 6..10, 9 * MIB)]
    {
        let space = choose(std::slice::from_ref(&useless), need());
        assert_eq!((space.price(), space.reused), (105, None), "{useless:?}");
    }
}

#[test]
fn the_cheapest_storage_is_taken_and_among_equals_the_one_that_is_cut_least() {
    let (short, exact) = (storage(1, 5..8, 3 * MIB), storage(2, 5..10, 3 * MIB));
    let (long, large, huge) =
        (storage(3, 5..20, 3 * MIB), storage(4, 5..10, 4 * MIB), storage(5, 5..10, 9 * MIB));
    let taken = |storages: &[&Storage]| {
        let storages: Vec<Storage> = storages.iter().copied().cloned().collect();
        choose(&storages, need()).reused.map(|cut| cut.storage.id)
    };
    assert_eq!(taken(&[&short, &long, &exact, &large]), Some(exact.id));
    assert_eq!(taken(&[&short, &huge]), Some(huge.id));
    assert_eq!(taken(&[&huge, &large]), Some(large.id));
}

#[test]
fn an_extension_begins_exactly_where_the_blob_ends() {
    let extension = Need { start_epoch: 8, is_extension: true, ..need() };
    let cut = choose(&[storage(1, 2..10, 3 * MIB)], extension).reused.expect("it fits");
    assert_eq!((cut.start_epoch, cut.end_epoch, cut.count()), (8, 10, 1));
    let later = choose(&[storage(1, 9..10, 3 * MIB)], extension);
    assert_eq!(later.reused, None);
}

#[test]
fn a_price_that_fits_no_number_is_no_price() {
    let dear = Terms { storage_price: u64::MAX / 4, ..terms() };
    assert_eq!(Space::choose(&dear, &[], need()), None);
    assert_eq!(dear.write_cost(u64::MAX), terms().write_cost(u64::MAX));
}
