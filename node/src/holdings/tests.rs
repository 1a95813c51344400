//! What may be extended and removed, and how a refusal reads.

use super::*;

const WALLET: ObjectId = ObjectId::from_bytes([9; 32]);

fn refused(result: Result<ExtensionPlan>) -> Error {
    result.expect_err("it cannot be extended")
}

#[test]
fn a_blob_is_extended_for_all_bytes_of_its_storage() {
    let plan = ExtensionPlan::new(vec![sample(1, Some(1), 6)], 3, &sample_position()).unwrap();
    // Two MiB and a bit are three units.
    assert_eq!((plan.total, plan.calls().len()), (3 * 5 * 3, 1));
    assert_eq!(plan.calls()[0].price, plan.total);
    assert!(plan.affordable(45).is_ok());
    let poor = plan.affordable(44).expect_err("one is missing");
    assert_eq!(poor.kind(), Kind::Funds);
    assert!(poor.message().contains("costs 0.000000045 WAL"), "{poor}");
}

#[test]
fn an_extension_reaches_exactly_as_far_as_storage_is_sold() {
    assert!(ExtensionPlan::new(vec![sample(1, Some(1), 6)], 8, &sample_position()).is_ok());
    let error = refused(ExtensionPlan::new(vec![sample(1, Some(1), 6)], 9, &sample_position()));
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.next_step().contains("--epochs 8"), "{}", error.next_step());
    let full = refused(ExtensionPlan::new(vec![sample(1, Some(1), 14)], 1, &sample_position()));
    assert_eq!(full.next_step(), "extend it in a later epoch");
    let far =
        refused(ExtensionPlan::new(vec![sample(1, Some(1), 6)], u32::MAX, &sample_position()));
    assert_eq!(far.kind(), Kind::Usage);
}

#[test]
fn expired_and_uncertified_blobs_are_not_extended() {
    let expired = refused(ExtensionPlan::new(vec![sample(1, Some(1), 4)], 1, &sample_position()));
    assert_eq!(expired.kind(), Kind::Expired);
    let registered = refused(ExtensionPlan::new(vec![sample(1, None, 6)], 1, &sample_position()));
    assert_eq!(registered.kind(), Kind::NotFound);
}

#[test]
fn objects_that_cannot_be_changed_are_left_out_with_their_reason() {
    let blobs = vec![sample(1, Some(1), 4), sample(1, Some(1), 6), sample(1, None, 7)];
    let plan = ExtensionPlan::new(blobs, 1, &sample_position()).unwrap();
    assert_eq!((plan.objects.len(), plan.skipped.len()), (1, 2));
    let kinds: Vec<Kind> = plan.skipped.iter().map(|(_, error)| error.kind()).collect();
    assert_eq!(kinds, [Kind::NotFound, Kind::Expired]);
}

#[test]
fn a_permanent_blob_is_burned_but_never_deleted() {
    let permanent = || vec![Blob { deletable: false, ..sample(1, Some(1), 6) }];
    let error = RemovalPlan::new(permanent(), Removal::Delete, 4).expect_err("permanent");
    assert_eq!(error.kind(), Kind::Permission);
    let object = permanent()[0].id;
    assert!(error.next_step().contains(&format!("`haulout rm --burn {object}`")), "{error:?}");
    assert!(error.next_step().contains("epoch 6"));
    assert_eq!(RemovalPlan::new(permanent(), Removal::Burn, 4).unwrap().objects.len(), 1);
}

#[test]
fn expired_blobs_are_only_burned_and_locked_ones_neither() {
    let expired = || vec![sample(1, Some(1), 4)];
    let error = RemovalPlan::new(expired(), Removal::Delete, 4).expect_err("expired");
    assert_eq!(error.kind(), Kind::Expired);
    assert!(RemovalPlan::new(expired(), Removal::Burn, 4).is_ok());
    for removal in [Removal::Delete, Removal::Burn] {
        let locked =
            Blob { locked_by: Some(ObjectId::from_bytes([7; 32])), ..sample(1, Some(1), 6) };
        let error = RemovalPlan::new(vec![locked], removal, 4).expect_err("locked");
        assert_eq!(error.kind(), Kind::Permission);
    }
}

#[test]
fn one_transaction_changes_a_bounded_number_of_objects() {
    let many = vec![sample(1, Some(1), 6); limits::CHAIN_BLOBS_PER_CALL_MAX + 1];
    let error = RemovalPlan::new(many, Removal::Delete, 4).expect_err("too many");
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.next_step().contains("--object"));
}

#[test]
fn what_is_not_owned_is_refused_with_what_is_known_of_it() {
    let id = BlobId::from_bytes([1; 32]);
    assert_eq!(of_blob(vec![sample(1, Some(1), 6)], &id, &WALLET).unwrap().len(), 1);
    let error = of_blob(Vec::new(), &id, &WALLET).expect_err("not mine");
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.message().contains("it was deleted, or it never had one"), "{error}");
    assert!(error.next_step().contains("haulout ls"));
}

#[test]
fn an_object_is_refused_if_it_is_missing_foreign_or_no_blob() {
    let found = |holder| Some(Found::Blob(Box::new(sample(1, Some(1), 6)), holder));
    let of = |found| of_object(found, &ObjectId::from_bytes([3; 32]), &WALLET);
    assert_eq!(of(found(Holder::Account(WALLET))).unwrap().len(), 1);
    let foreign = of(found(Holder::Account(ObjectId::from_bytes([8; 32])))).expect_err("foreign");
    assert_eq!(foreign.kind(), Kind::Permission);
    assert!(foreign.message().contains(&ObjectId::from_bytes([8; 32]).to_string()), "{foreign}");
    assert_eq!(of(found(Holder::Other)).expect_err("shared").kind(), Kind::Permission);
    assert_eq!(of(None).expect_err("missing").kind(), Kind::NotFound);
    let coin = of(Some(Found::Other("0x2::coin::Coin".to_owned()))).expect_err("a coin");
    assert_eq!(coin.kind(), Kind::Usage);
}

#[test]
fn storing_costs_the_space_of_all_epochs_and_the_writing_once() {
    let position = sample_position();
    let ten = quote(5 << 20, 10, &position).unwrap();
    let units = ten.encoded_bytes.div_ceil(1 << 20);
    assert_eq!((ten.storage, ten.write), (units * 5 * 10, units));
    let error = quote(5 << 20, 11, &position).expect_err("too far ahead");
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.next_step().contains("--epochs 10"));
    assert_eq!(quote(u64::MAX, 1, &position).expect_err("too large").kind(), Kind::Usage);
}
