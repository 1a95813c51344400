//! What is joined, and that the ledger's own rules make the same of it.

use proptest::prelude::*;

use super::*;
use crate::rules::{Context, storage as rules};

fn storage(id: u8, start_epoch: u32, end_epoch: u32, storage_size: u64) -> Storage {
    Storage { id: [id; 32].into(), start_epoch, end_epoch, storage_size }
}

/// Carries out a piece by the ledger's rules.
fn made(context: &mut Context<'_>, storages: &[Storage], piece: &Piece) -> Storage {
    let own = |id: &ObjectId| storages.iter().find(|one| one.id == *id).unwrap().clone();
    match piece {
        Piece::Whole(storage) => own(&storage.id),
        Piece::Later { of, epoch } => {
            let mut past = made(context, storages, of);
            let later = rules::split_by_epoch(context, &mut past, *epoch).unwrap();
            rules::destroy(context, past);
            later
        }
        Piece::Joined(pieces) => {
            let mut made =
                pieces.iter().map(|one| made(context, storages, one)).collect::<Vec<_>>();
            let mut first = made.remove(0);
            for other in made {
                rules::fuse(context, &mut first, other).unwrap();
            }
            first
        }
    }
}

/// The storages after a plan is carried out.
fn after(storages: &[Storage], joints: &[Joint]) -> Vec<Storage> {
    let mut context = Context::new([0; 32]);
    let used: Vec<_> = joints.iter().flat_map(|joint| joint.piece.objects()).collect();
    let left = storages.iter().filter(|storage| !used.contains(&storage.id)).cloned();
    let mut all: Vec<_> = left.collect();
    for joint in joints {
        let storage = made(&mut context, storages, &joint.piece);
        let told = (joint.start_epoch, joint.end_epoch, joint.bytes);
        assert_eq!((storage.start_epoch, storage.end_epoch, storage.storage_size), told);
        all.push(storage);
    }
    all
}

/// The extents of what is there from an epoch on, in order.
fn extents(storages: &[Storage]) -> Vec<(u32, u32, u64)> {
    let mut extents: Vec<_> = storages
        .iter()
        .map(|storage| (storage.start_epoch, storage.end_epoch, storage.storage_size))
        .collect();
    extents.sort_unstable();
    extents
}

fn check(storages: &[Storage], expected: &[(u32, u32, u64)]) {
    assert_eq!(extents(&after(storages, &plan(storages, 5, 100))), expected);
}

#[test]
fn equal_epochs_are_joined_in_size_and_adjacent_ones_of_equal_size_in_time() {
    check(&[storage(1, 5, 9, 10), storage(2, 5, 9, 7), storage(3, 5, 9, 1)], &[(5, 9, 18)]);
    check(&[storage(1, 7, 9, 10), storage(2, 5, 7, 10)], &[(5, 9, 10)]);
    // Only together are the first two as large as the third.
    check(&[storage(1, 5, 7, 4), storage(2, 5, 7, 6), storage(3, 7, 9, 10)], &[(5, 9, 10)]);
    // And one that became as long as another joins it.
    check(&[storage(1, 5, 7, 4), storage(2, 7, 9, 4), storage(3, 5, 9, 10)], &[(5, 9, 14)]);
}

#[test]
fn the_past_is_given_up_only_where_it_keeps_storages_apart() {
    let apart = [storage(1, 2, 9, 10), storage(2, 4, 9, 7), storage(3, 5, 9, 1)];
    check(&apart, &[(5, 9, 18)]);
    let same = [storage(1, 2, 9, 10), storage(2, 2, 9, 7)];
    check(&same, &[(2, 9, 17)]);
    let first = &plan(&same, 5, 100)[0].piece;
    assert!(matches!(first, Piece::Joined(pieces) if pieces[0].objects() == [[1; 32].into()]));
}

#[test]
fn what_fits_no_other_or_is_over_stays_as_it_is() {
    let alone = [
        storage(1, 1, 5, 10),
        storage(2, 1, 5, 10),
        storage(3, 5, 8, 10),
        storage(4, 5, 9, 10),
        storage(5, 9, 10, 11),
        storage(6, 5, 11, u64::MAX),
        storage(7, 5, 11, 1),
    ];
    assert_eq!(plan(&alone, 5, 100), []);
    assert_eq!(plan(&[], 5, 100), []);
}

#[test]
fn no_more_objects_are_taken_than_a_transaction_takes() {
    let many: Vec<_> = (0..8).map(|id| storage(id, 5, 6 + u32::from(id / 2), 10)).collect();
    let objects = |most| plan(&many, 5, most).iter().flat_map(|it| it.piece.objects()).count();
    assert_eq!([100, 8, 7, 2, 1].map(objects), [8, 8, 6, 2, 0]);
}

proptest! {
    #[test]
    fn as_many_bytes_are_reserved_in_every_epoch_as_before(
        parts in prop::collection::vec((0_u32..12, 1_u32..6, 1_u64..4), 0..12),
        epoch in 0_u32..12,
    ) {
        let storages: Vec<_> = parts
            .iter()
            .zip(1..)
            .map(|((start, length, size), id)| storage(id, *start, start + length, *size))
            .collect();
        let after = after(&storages, &plan(&storages, epoch, 100));
        let bytes = |all: &[Storage], at: u32| {
            let covering = all.iter().filter(|one| (one.start_epoch..one.end_epoch).contains(&at));
            covering.map(|one| one.storage_size).sum::<u64>()
        };
        for at in epoch..20 {
            prop_assert_eq!(bytes(&after, at), bytes(&storages, at), "epoch {}", at);
        }
        prop_assert!(after.len() <= storages.len());
        // Nothing is left that could be joined.
        prop_assert_eq!(plan(&after, epoch, 100), []);
    }
}
