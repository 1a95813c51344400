//! Registering, certifying, extending, deleting and burning.

use crate::blob::{BlobId, Encoding};
use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::call::RegisterBlob;
use crate::chain::event::{BlobBurned, BlobCertified, BlobDeleted, Event};
use crate::chain::object::Blob;
use crate::epoch::Epoch;
use crate::message::{Persistence, blob_certificate_message};

use super::{
    AHEAD, Desk, EPOCH, certificate, certificate_of, needed, network, reserve, sample_blob, storage,
};
use crate::rules::system;

/// A certificate with a persistence of one's choice.
fn certify_as(desk: &mut Desk, blob: &mut Blob, persistence: Persistence) -> Result<(), Abort> {
    let id = BlobId::from_bytes(blob.blob_id);
    let message = blob_certificate_message(&network(), Epoch(EPOCH), &id, &persistence);
    desk.certify(blob, &certificate(&[0, 1, 2], message))
}

#[test]
fn t17_a_blob_is_certified_once() {
    let mut desk = Desk::new();
    let mut blob = desk.certified(false);
    let again = certificate_of(&blob, EPOCH);
    assert_eq!(desk.certify(&mut blob, &again), Err(Abort::AlreadyCertified));
}

#[test]
fn t18_a_blob_that_has_ended_is_not_certified() {
    let mut desk = Desk::new();
    let mut blob = desk.register(false);
    desk.pass_epochs(2);
    let late = certificate_of(&blob, EPOCH + 2);
    assert_eq!(desk.certify(&mut blob, &late), Err(Abort::ResourceBounds));
}

#[test]
fn t20_t21_a_certificate_holds_for_its_persistence_and_object() {
    let mut desk = Desk::new();
    let (mut permanent, mut deletable) = (desk.register(false), desk.register(true));
    let wrong = Err(Abort::WrongPersistence);
    let bound = Persistence::Deletable(permanent.id);
    assert_eq!(certify_as(&mut desk, &mut permanent, bound), wrong);
    assert_eq!(certify_as(&mut desk, &mut deletable, Persistence::Permanent), wrong);
    assert_eq!(certify_as(&mut desk, &mut deletable, bound), Err(Abort::WrongObject));
    let bound = Persistence::Deletable(deletable.id);
    assert_eq!(certify_as(&mut desk, &mut deletable, bound), Ok(()));
}

#[test]
fn t22_t35_a_permanent_certificate_serves_every_object_of_its_id_and_no_other_id() {
    let mut desk = Desk::new();
    let (mut first, mut second) = (desk.register(false), desk.register(false));
    let certificate = certificate_of(&first, EPOCH);
    assert_eq!(desk.certify(&mut first, &certificate), Ok(()));
    assert_eq!(desk.certify(&mut second, &certificate), Ok(()));
    let other = RegisterBlob {
        blob_id: *BlobId::derive(Encoding::Segments, 999, &[9; 32]).as_bytes(),
        size: 999,
        ..sample_blob(false)
    };
    let space = desk.reserve(&reserve(needed(), EPOCH, EPOCH + 1)).unwrap();
    let mut other = desk.register_in(space, &other).unwrap();
    assert_eq!(desk.certify(&mut other, &certificate), Err(Abort::InvalidBlobId));
    desk.extend(&mut first, 2).unwrap();
    assert_eq!((first.storage.end_epoch, second.storage.end_epoch), (EPOCH + 4, EPOCH + 2));
}

#[test]
fn t23_t26_an_id_follows_from_root_size_and_a_known_encoding() {
    let mut desk = Desk::new();
    let space = desk.reserve(&reserve(2 * needed(), EPOCH, EPOCH + 1)).unwrap();
    let mut refused = |change: fn(&mut RegisterBlob)| {
        let mut call = sample_blob(false);
        change(&mut call);
        desk.register_in(space.clone(), &call).err()
    };
    assert_eq!(refused(|call| call.size += 1), Some(Abort::InvalidBlobId));
    assert_eq!(refused(|call| call.root[31] ^= 1), Some(Abort::InvalidBlobId));
    assert_eq!(refused(|call| call.blob_id[0] ^= 1), Some(Abort::InvalidBlobId));
    for encoding_type in [0, 1, 3, 255] {
        let call = RegisterBlob { encoding_type, ..sample_blob(false) };
        let refused = desk.register_in(space.clone(), &call).err();
        assert_eq!(refused, Some(Abort::UnknownEncoding), "{encoding_type}");
    }
}

#[test]
fn t24_t27_the_storage_holds_the_encoded_blob_to_the_byte() {
    let mut desk = Desk::new();
    let small = storage(EPOCH, EPOCH + 1, needed() - 1);
    assert_eq!(desk.register_in(small, &sample_blob(false)).err(), Some(Abort::ResourceSize));
    let exact = storage(EPOCH, EPOCH + 1, needed());
    assert!(desk.register_in(exact, &sample_blob(false)).is_ok());
    let huge = RegisterBlob { size: u64::MAX, ..sample_blob(false) };
    let most = storage(EPOCH, EPOCH + 1, u64::MAX);
    assert_eq!(desk.register_in(most, &huge).err(), Some(Abort::BlobTooLarge));
}

#[test]
fn t25_storage_that_does_not_cover_now_holds_no_blob() {
    let mut desk = Desk::new();
    for (start, end) in [(EPOCH + 1, EPOCH + 2), (EPOCH - 2, EPOCH)] {
        let refused = desk.register_in(storage(start, end, needed()), &sample_blob(false)).err();
        assert_eq!(refused, Some(Abort::ResourceBounds));
    }
}

#[test]
fn a_refused_registration_is_refused_for_the_first_reason() {
    let mut desk = Desk::new();
    desk.coin.balance = 0;
    let mut call = sample_blob(false);
    (call.blob_id, call.encoding_type, call.max_total) = ([0; 32], 1, 0);
    let mut refused = |start, size, call: &RegisterBlob| {
        desk.register_in(storage(start, EPOCH + 1, size), call).err()
    };
    assert_eq!(refused(EPOCH + 1, 1, &call), Some(Abort::ResourceBounds));
    assert_eq!(refused(EPOCH, 1, &call), Some(Abort::UnknownEncoding));
    call.encoding_type = 2;
    assert_eq!(refused(EPOCH, 1, &call), Some(Abort::ResourceSize));
    assert_eq!(refused(EPOCH, needed(), &call), Some(Abort::InvalidBlobId));
    call.blob_id = sample_blob(false).blob_id;
    assert_eq!(refused(EPOCH, needed(), &call), Some(Abort::PriceAboveLimit));
    call.max_total = 1;
    assert_eq!(refused(EPOCH, needed(), &call), Some(Abort::InsufficientPayment));
}

fn delete(desk: &mut Desk, blob: Blob) -> Result<super::Storage, Abort> {
    system::delete_blob(&mut desk.context, &desk.system, blob)
}

#[test]
fn t28_only_deletable_blobs_that_have_not_ended_are_deleted() {
    let mut desk = Desk::new();
    let (permanent, blob) = (desk.register(false), desk.register(true));
    let locked = Blob { locked_by: Some(ObjectId::from_bytes([1; 32])), ..blob.clone() };
    assert_eq!(delete(&mut desk, permanent).err(), Some(Abort::NotDeletable));
    assert_eq!(delete(&mut desk, locked.clone()).err(), Some(Abort::Locked));
    let burned = system::burn_blob(&mut desk.context, &desk.system, locked);
    assert_eq!(burned.err(), Some(Abort::Locked));
    delete(&mut desk, blob.clone()).unwrap();
    let deleted = BlobDeleted {
        epoch: EPOCH,
        blob_id: blob.blob_id,
        end_epoch: EPOCH + 2,
        object_id: blob.id,
        was_certified: false,
    };
    assert_eq!(desk.last_event(), &Event::BlobDeleted(deleted));
    desk.pass_epochs(2);
    assert_eq!(delete(&mut desk, blob).err(), Some(Abort::ResourceBounds));
}

#[test]
fn t29_the_space_of_a_deleted_blob_is_used_again_for_the_write_fee_only() {
    let mut desk = Desk::new();
    let blob = desk.certified(true);
    let (used, balance) = (desk.ring(), desk.coin.balance);
    let space = delete(&mut desk, blob.clone()).unwrap();
    assert_eq!(space, blob.storage);
    desk.register_in(space, &sample_blob(false)).unwrap();
    assert_eq!(desk.coin.balance, balance - 1);
    let (before, after) = (used.iter().map(|it| it.0), desk.ring());
    assert!(before.eq(after.iter().map(|it| it.0)), "nothing is reserved or freed");
}

#[test]
fn t30_only_certified_blobs_are_extended_and_not_beyond_the_ring() {
    let mut desk = Desk::new();
    let mut waiting = desk.register(false);
    assert_eq!(desk.extend(&mut waiting, 0), Err(Abort::NotCertified));
    let mut blob = desk.certified(false);
    for epochs in [0, AHEAD - 1, u32::MAX] {
        assert_eq!(desk.extend(&mut blob, epochs), Err(Abort::BadEpochs), "{epochs}");
    }
    let balance = desk.coin.balance;
    assert_eq!(desk.extend(&mut blob, AHEAD - 2), Ok(()));
    assert_eq!((blob.storage.end_epoch, desk.coin.balance), (EPOCH + AHEAD, balance - 2 * 3));
    desk.pass_epochs(AHEAD);
    assert_eq!(desk.extend(&mut blob, 1), Err(Abort::ResourceBounds));
}

#[test]
fn an_extension_needs_room_and_money_in_every_new_epoch() {
    let mut desk = Desk::new();
    let mut blob = desk.certified(false);
    desk.reserve(&reserve(desk.system.total_capacity, EPOCH + 3, EPOCH + 4)).unwrap();
    assert_eq!(desk.extend(&mut blob, 2), Err(Abort::StorageExceeded));
    let balance = std::mem::replace(&mut desk.coin.balance, 2);
    assert_eq!(desk.extend(&mut blob, 1), Err(Abort::InsufficientPayment));
    desk.coin.balance = balance;
    assert_eq!(desk.extend(&mut blob, 1), Ok(()));
}

#[test]
fn t31_an_extension_with_space_is_of_the_same_size_and_begins_at_the_end() {
    let mut desk = Desk::new();
    let (mut blob, end) = (desk.certified(false), EPOCH + 2);
    let mut with = |start, end, size| {
        let space = storage(start, end, size);
        system::extend_blob_with_resource(&mut desk.context, &desk.system, &mut blob, space)
    };
    assert_eq!(with(EPOCH, end, needed()), Err(Abort::ResourceBounds), "the same end");
    assert_eq!(with(EPOCH, end - 1, needed()), Err(Abort::ResourceBounds), "an earlier end");
    assert_eq!(with(end, end + 1, needed() - 1), Err(Abort::IncompatibleSize));
    assert_eq!(with(end + 1, end + 2, needed()), Err(Abort::IncompatibleEpochs), "a gap");
    assert_eq!(with(end - 1, end + 1, needed()), Err(Abort::IncompatibleEpochs), "overlap");
    assert_eq!(with(end, end + 2, needed()), Ok(()));
    assert_eq!(blob.storage.end_epoch, end + 2);
    let mut waiting = desk.register(false);
    let space = storage(end, end + 1, needed());
    let refused =
        system::extend_blob_with_resource(&mut desk.context, &desk.system, &mut waiting, space);
    assert_eq!(refused, Err(Abort::NotCertified));
}

#[test]
fn t32_an_extension_says_in_which_epoch_the_blob_was_certified() {
    let mut desk = Desk::new();
    let mut blob = desk.certified(false);
    desk.pass_epochs(1);
    desk.extend(&mut blob, 1).unwrap();
    let certified = |end_epoch| {
        Event::BlobCertified(BlobCertified {
            epoch: EPOCH,
            blob_id: blob.blob_id,
            end_epoch,
            deletable: false,
            object_id: blob.id,
            is_extension: true,
        })
    };
    assert_eq!(desk.last_event(), &certified(EPOCH + 3));
    let (mut longer, space) = (blob.clone(), storage(EPOCH + 3, EPOCH + 4, needed()));
    system::extend_blob_with_resource(&mut desk.context, &desk.system, &mut longer, space).unwrap();
    assert_eq!(desk.last_event(), &certified(EPOCH + 4));
}

#[test]
fn t38_burning_a_blob_ends_the_object_and_frees_nothing() {
    let mut desk = Desk::new();
    let blob = desk.certified(false);
    let ring = desk.ring();
    system::burn_blob(&mut desk.context, &desk.system, blob.clone()).unwrap();
    assert_eq!(desk.ring(), ring);
    let burned = BlobBurned { epoch: EPOCH, blob_id: blob.blob_id, object_id: blob.id };
    assert_eq!(desk.last_event(), &Event::BlobBurned(burned));
    assert!(desk.context.deleted.contains(&blob.id));
    assert!(desk.context.deleted.contains(&blob.storage.id));
}

#[test]
fn t99_rules_of_another_version_touch_nothing() {
    let mut desk = Desk::new();
    let (mut blob, space) = (desk.certified(true), storage(EPOCH, EPOCH + 1, needed()));
    let certificate = certificate_of(&blob, EPOCH);
    desk.system.version = 2;
    let wrong = Some(Abort::SystemVersion);
    assert_eq!(desk.reserve(&reserve(0, 0, 0)).err(), wrong);
    assert_eq!(desk.register_in(space, &sample_blob(true)).err(), wrong);
    assert_eq!(desk.certify(&mut blob, &certificate).err(), wrong);
    assert_eq!(desk.extend(&mut blob, 0).err(), wrong);
    assert_eq!(delete(&mut desk, blob).err(), wrong);
}
