//! What the committee can say, and how it must be signed.

use crate::blob::BlobId;
use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::call::{CertifyBlob, InvalidateBlobId, SetProtocolVersion};
use crate::chain::event::{Event, InvalidBlobId as Invalid, ProtocolVersionUpdated as Updated};
use crate::chain::object::BlsMember;
use crate::crypto::aggregate_signatures;
use crate::epoch::Epoch;
use crate::message::{
    NetworkId, Persistence, blob_certificate_message, invalid_blob_message,
    proof_of_possession_message, protocol_version_message,
};

use super::{
    Desk, EPOCH, certificate, certificate_of, key, network, sample_blob, sample_system, sign,
};
use crate::rules::bls::{self, Threshold};
use crate::rules::system;

const MESSAGE: &[u8] = b"a message";

/// Verifies against the sample committee, whose members have 3, 3, 2 and 2 of ten shards.
fn verify(threshold: Threshold, signature: &[u8], signers: &[u8]) -> Result<(), Abort> {
    bls::verify(&sample_system().committee, threshold, signature, signers, MESSAGE)
}

fn verify_quorum(signature: &[u8], signers: &[u8]) -> Result<(), Abort> {
    verify(Threshold::Quorum, signature, signers)
}

#[test]
fn t01_a_quorum_is_enough_and_one_less_fails_before_the_signature_is_looked_at() {
    let mut committee = sample_system().committee;
    (committee.members[1].weight, committee.n_shards) = (2, 9);
    let (signature, signers) = sign(&[0, 1, 2], MESSAGE);
    assert_eq!(verify_quorum(&signature, &signers), Ok(()), "8 of 10");
    let verify = |signature: &[u8]| {
        bls::verify(&committee, Threshold::Quorum, signature, &[0b1110], MESSAGE)
    };
    assert_eq!(verify(b"no signature"), Err(Abort::NotEnoughWeight), "6 of 9");
    committee.members[3].weight = 3;
    let (signature, _) = sign(&[1, 2, 3], MESSAGE);
    assert_eq!(
        bls::verify(&committee, Threshold::Quorum, &signature, &[0b1110], MESSAGE),
        Ok(()),
        "7 of 9"
    );
}

#[test]
fn t02_t03_a_bitmap_may_be_short_but_never_long() {
    let (signature, _) = sign(&[0, 1, 2], MESSAGE);
    assert_eq!(verify_quorum(&signature, &[0b0111, 0]), Err(Abort::InvalidBitmap));
    assert_eq!(verify_quorum(&signature, &[0b1_0111]), Err(Abort::InvalidBitmap), "padding");
    assert_eq!(verify_quorum(&signature, &[]), Err(Abort::NotEnoughWeight));
    let members = (0..9).map(|index| BlsMember {
        public_key: key(index).public_key().to_bytes().to_vec(),
        weight: 1,
        node_id: ObjectId::from_bytes([0; 32]),
    });
    let committee = bls::new_committee(EPOCH, members.collect()).unwrap();
    let (signature, _) = sign(&[0, 1, 2, 3, 4, 5, 6], MESSAGE);
    let verify =
        |signers: &[u8]| bls::verify(&committee, Threshold::Quorum, &signature, signers, MESSAGE);
    assert_eq!(verify(&[0b0111_1111]), Ok(()), "the second byte is missing");
    assert_eq!(verify(&[0b0111_1111, 0b10]), Err(Abort::InvalidBitmap));
}

#[test]
fn t04_the_bitmap_names_exactly_those_who_signed() {
    let (signature, _) = sign(&[0, 1, 2], MESSAGE);
    assert_eq!(verify_quorum(&signature, &[0b1111]), Err(Abort::BadSignature));
    let (signature, _) = sign(&[0, 1, 2, 3], MESSAGE);
    assert_eq!(verify_quorum(&signature, &[0b0111]), Err(Abort::BadSignature));
}

#[test]
fn t05_a_signer_counts_once() {
    let signatures: Vec<_> = [0, 1, 2, 2].iter().map(|member| key(*member).sign(MESSAGE)).collect();
    let twice = aggregate_signatures(&signatures).unwrap().to_bytes();
    assert_eq!(verify_quorum(&twice, &[0b0111]), Err(Abort::BadSignature));
}

#[test]
fn t06_what_is_no_signature_of_this_message_is_refused() {
    let (signature, signers) = sign(&[0, 1, 2], b"another message");
    let mut infinity = vec![0; 96];
    infinity[0] = 0xc0;
    let long = [&signature[..], &[0]].concat();
    for wrong in [&signature[..], &infinity, &[1; 96], &signature[..95], &long, &[]] {
        assert_eq!(verify_quorum(wrong, &signers), Err(Abort::BadSignature));
    }
}

#[test]
fn t07_all_members_can_sign() {
    let (signature, signers) = sign(&[0, 1, 2, 3], MESSAGE);
    assert_eq!(verify_quorum(&signature, &signers), Ok(()));
}

#[test]
fn t08_a_committee_has_no_member_without_shards() {
    let mut members = sample_system().committee.members;
    assert_eq!(bls::new_committee(6, members.clone()).unwrap().n_shards, 10);
    members[3].weight = 0;
    assert_eq!(bls::new_committee(6, members.clone()), Err(Abort::ZeroWeight));
    members[3].weight = u16::MAX;
    assert_eq!(bls::new_committee(6, members), Err(Abort::CommitteeOverflow));
}

#[test]
fn t09_thresholds_are_more_than_two_thirds_and_more_than_one() {
    let least = |threshold: Threshold, n: u16| {
        (0..=u32::from(n)).find(|weight| threshold.is_met(*weight, n)).unwrap()
    };
    let quorums = [
        1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9, 9, 10, 11, 11, 12, 13, 13, 14, 15, 15, 16, 17, 17, 18,
        19, 19, 20, 21, 21, 22, 23, 23, 24, 25, 25, 26, 27, 27,
    ];
    for (n, quorum) in (1..=40).zip(quorums) {
        assert_eq!(least(Threshold::Quorum, n), quorum, "{n}");
        assert_eq!(least(Threshold::OneCorrect, n), u32::from(n) / 3 + 1, "{n}");
    }
    assert_eq!((least(Threshold::Quorum, 1000), least(Threshold::OneCorrect, 1000)), (667, 334));
}

#[test]
fn t13_t14_t16_headers_and_bodies_are_checked_in_the_order_of_the_design() {
    let mut desk = Desk::new();
    let mut blob = desk.register(false);
    let id = BlobId::from_bytes(blob.blob_id);
    let message = |network: u8, epoch| {
        let network = NetworkId::from_bytes([network; 32]);
        blob_certificate_message(&network, Epoch(epoch), &id, &Persistence::Permanent)
    };
    let mut check = |message: Vec<u8>| desk.certify(&mut blob, &certificate(&[0, 1, 2], message));
    // Everything is wrong at first; then one thing after the other is put right.
    let mut wrong = message(9, EPOCH + 1);
    (wrong[0], wrong[1], wrong[2]) = (0, 2, 0x63);
    wrong.push(0);
    assert_eq!(check(wrong.clone()), Err(Abort::WrongVersion));
    wrong[1] = 1;
    assert_eq!(check(wrong.clone()), Err(Abort::WrongApp));
    wrong[2] = 0x62;
    assert_eq!(check(wrong.clone()), Err(Abort::WrongNetwork));
    wrong[3..35].copy_from_slice(&[2; 32]);
    assert_eq!(check(wrong.clone()), Err(Abort::WrongEpoch));
    wrong[35..39].copy_from_slice(&EPOCH.to_le_bytes());
    assert_eq!(check(wrong.clone()), Err(Abort::WrongType));
    wrong[0] = 1;
    assert_eq!(check(wrong.clone()), Err(Abort::Malformed), "a trailing byte");
    assert_eq!(check(wrong[..wrong.len() - 2].to_vec()), Err(Abort::Malformed));
    wrong.pop();
    assert_eq!(check(wrong), Ok(()));
}

#[test]
fn t19_a_certificate_of_an_epoch_ends_with_it() {
    let mut desk = Desk::new();
    let mut blob = desk.register(false);
    let certificate = certificate_of(&blob, EPOCH);
    desk.pass_epochs(1);
    assert_eq!(desk.certify(&mut blob, &certificate), Err(Abort::WrongEpoch));
}

fn invalidate(desk: &mut Desk, signers: &[usize], message: Vec<u8>) -> Result<(), Abort> {
    let (signature, signers) = sign(signers, &message);
    let call = InvalidateBlobId { signature, signers, message };
    system::invalidate_blob_id(&mut desk.context, &mut desk.system, &call)
}

#[test]
fn t15_more_than_a_third_declares_an_id_invalid_and_certifies_nothing() {
    let mut desk = Desk::new();
    let mut blob = desk.register(false);
    let id = BlobId::from_bytes(blob.blob_id);
    let verdict = invalid_blob_message(&network(), Epoch(EPOCH), &id);
    assert_eq!(invalidate(&mut desk, &[0], verdict.clone()), Err(Abort::NotEnoughWeight), "3");
    let message = blob_certificate_message(&network(), Epoch(EPOCH), &id, &Persistence::Permanent);
    let refused = desk.certify(&mut blob, &certificate(&[2, 3], message.clone()));
    assert_eq!(refused, Err(Abort::NotEnoughWeight), "4 of 10");
    assert_eq!(invalidate(&mut desk, &[2, 3], message), Err(Abort::WrongType));
    assert_eq!(invalidate(&mut desk, &[2, 3], verdict), Ok(()));
    let blob_id = blob.blob_id;
    assert_eq!(desk.last_event(), &Event::InvalidBlobId(Invalid { epoch: EPOCH, blob_id }));
    assert_eq!(desk.system.invalid.size, 1);
}

#[test]
fn t36_an_invalid_id_is_never_registered_certified_or_extended_again() {
    let mut desk = Desk::new();
    let (mut certified, mut waiting) = (desk.certified(false), desk.register(false));
    let space = desk.reserve(&super::reserve(super::needed(), EPOCH, EPOCH + 3)).unwrap();
    let id = BlobId::from_bytes(waiting.blob_id);
    let verdict = invalid_blob_message(&network(), Epoch(EPOCH), &id);
    invalidate(&mut desk, &[0, 1], verdict.clone()).unwrap();
    let said = desk.context.events.len();
    assert_eq!(invalidate(&mut desk, &[0, 1], verdict), Err(Abort::AlreadyInvalid));
    let invalid = Err(Abort::BlobInvalid);
    let certificate = certificate_of(&waiting, EPOCH);
    assert_eq!(desk.certify(&mut waiting, &certificate), invalid);
    assert_eq!(desk.extend(&mut certified, 1), invalid);
    let with = system::extend_blob_with_resource(
        &mut desk.context,
        &desk.system,
        &mut certified,
        space.clone(),
    );
    assert_eq!(with, invalid);
    assert_eq!(desk.register_in(space, &sample_blob(false)).err(), Some(Abort::BlobInvalid));
    assert_eq!(desk.context.events.len(), said, "nothing more was said");
}

fn set_version(desk: &mut Desk, signers: &[usize], start: u32, to: u64) -> Result<(), Abort> {
    let message = protocol_version_message(&network(), Epoch(EPOCH), Epoch(start), to);
    let (signature, signers) = sign(signers, &message);
    let call = SetProtocolVersion { signature, signers, message };
    system::set_protocol_version(&mut desk.context, &mut desk.system, &call)
}

#[test]
fn t91_a_protocol_version_begins_in_no_past_epoch_and_only_grows() {
    let mut desk = Desk::new();
    assert_eq!(set_version(&mut desk, &[2, 3], EPOCH, 2), Err(Abort::NotEnoughWeight));
    assert_eq!(set_version(&mut desk, &[0, 1, 2], EPOCH - 1, 1), Err(Abort::EpochMismatch));
    assert_eq!(set_version(&mut desk, &[0, 1, 2], EPOCH, 1), Err(Abort::StaleVersion));
    assert_eq!(set_version(&mut desk, &[0, 1, 2], EPOCH + 2, 3), Ok(()));
    assert_eq!(desk.system.protocol_version, 3);
    let updated = Updated { epoch: EPOCH, start_epoch: EPOCH + 2, protocol_version: 3 };
    assert_eq!(desk.last_event(), &Event::ProtocolVersionUpdated(updated));
    assert_eq!(set_version(&mut desk, &[0, 1, 2], EPOCH, 3), Err(Abort::StaleVersion));
    let message = proof_of_possession_message(
        &network(),
        Epoch(EPOCH),
        &ObjectId::from_bytes([1; 32]),
        &key(0).public_key(),
    );
    let CertifyBlob { signature, signers, message } = certificate(&[0, 1, 2], message);
    let call = SetProtocolVersion { signature, signers, message };
    let refused = system::set_protocol_version(&mut desk.context, &mut desk.system, &call);
    assert_eq!(refused, Err(Abort::WrongType));
}
