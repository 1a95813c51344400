//! The whole table of what a put does, and what holds whatever the facts.

use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;
/// The epoch of all tables here.
const NOW: u32 = 5;

fn terms() -> Terms {
    Terms {
        epoch: NOW,
        epochs_ahead_max: 53,
        storage_price: 7,
        write_price: 3,
        encoded_bytes_min: 1_000,
    }
}

/// Two MiB until epoch 10.
fn ask(permanent: bool) -> Ask {
    Ask { encoded_bytes: 2 * MIB, end_epoch: 10, permanent, force: false }
}

fn blob(id: u8, deletable: bool, certified: bool, end_epoch: u32) -> Blob {
    Blob {
        id: [id; 32].into(),
        registered_epoch: 1,
        blob_id: [9; 32],
        size: 100,
        encoding_type: 2,
        certified_epoch: certified.then_some(1),
        storage: free(id, 1, end_epoch, 2 * MIB),
        deletable,
        locked_by: None,
    }
}

fn free(id: u8, start_epoch: u32, end_epoch: u32, storage_size: u64) -> Storage {
    Storage { id: [id; 32].into(), start_epoch, end_epoch, storage_size }
}

fn decide(ask: &Ask, blobs: &[Blob], storages: &[Storage], permanent: Option<u32>) -> Plan {
    let facts = Facts { terms: terms(), blobs, storages, permanent_until: permanent };
    plan(ask, &facts).expect("there is a plan")
}

/// A plan in a few words: the verb, the object, the price.
fn told(plan: &Plan) -> (&'static str, Option<u8>, u64) {
    let id = |existing: &Existing| existing.object.as_bytes()[0];
    let (verb, object) = match plan {
        Plan::Nothing { existing, .. } => ("nothing", existing.as_ref().map(id)),
        Plan::Extend { existing, .. } => ("extend", Some(id(existing))),
        Plan::Certify { existing, extension: None } => ("certify", Some(id(existing))),
        Plan::Certify { existing, .. } => ("certify and extend", Some(id(existing))),
        Plan::Register { .. } => ("register", None),
    };
    (verb, object, plan.price())
}

/// Storage of 2 MiB for 5 epochs, and the writing.
const NEW: u64 = 7 * 2 * 5 + 3 * 2;

#[test]
fn what_a_put_does_follows_from_what_the_wallet_owns() {
    let (deletable, permanent) = (true, false);
    let locked = Blob { locked_by: Some([7; 32].into()), ..blob(1, deletable, true, 12) };
    // The caller's objects, whether a permanent object is asked for, what is done, with which object, for how much.
    let table = [
        (vec![], false, ("register", None, NEW)),
        (vec![], true, ("register", None, NEW)),
        // What lasts long enough and as firmly as asked is enough.
        (vec![blob(1, deletable, true, 10)], false, ("nothing", Some(1), 0)),
        (vec![blob(1, permanent, true, 10)], false, ("nothing", Some(1), 0)),
        (vec![blob(1, permanent, true, 10)], true, ("nothing", Some(1), 0)),
        (vec![blob(1, deletable, true, 10)], true, ("register", None, NEW)),
        (vec![locked], false, ("register", None, NEW)),
        // What ends too soon gets only the epochs that are missing.
        (vec![blob(1, deletable, true, 9)], false, ("extend", Some(1), 14)),
        (vec![blob(1, permanent, true, 6)], true, ("extend", Some(1), 56)),
        (vec![blob(1, deletable, true, 9)], true, ("register", None, NEW)),
        // What has ended is gone.
        (vec![blob(1, deletable, true, NOW)], false, ("register", None, NEW)),
        (vec![blob(1, deletable, false, NOW)], false, ("register", None, NEW)),
        // What an interrupted put registered is finished.
        (vec![blob(1, deletable, false, 10)], false, ("certify", Some(1), 0)),
        (vec![blob(1, permanent, false, 11)], true, ("certify", Some(1), 0)),
        (vec![blob(1, permanent, false, 10)], false, ("certify", Some(1), 0)),
        (vec![blob(1, deletable, false, 10)], true, ("register", None, NEW)),
        (vec![blob(1, deletable, false, 8)], false, ("certify and extend", Some(1), 28)),
        // Of several objects the cheapest serves, and of those the one that is what was asked for.
        (
            vec![blob(1, deletable, true, 7), blob(2, deletable, true, 9)],
            false,
            ("extend", Some(2), 14),
        ),
        (
            vec![blob(1, deletable, true, 9), blob(2, deletable, false, 10)],
            false,
            ("certify", Some(2), 0),
        ),
        (
            vec![blob(1, permanent, true, 9), blob(2, deletable, true, 9)],
            false,
            ("extend", Some(2), 14),
        ),
        (
            vec![blob(1, deletable, true, 6), blob(2, permanent, true, 12)],
            false,
            ("nothing", Some(2), 0),
        ),
    ];
    for (blobs, permanent, expected) in table {
        let plan = decide(&ask(permanent), &blobs, &[], None);
        assert_eq!(told(&plan), expected, "permanent {permanent}: {blobs:?}");
    }
}

#[test]
fn somebody_elses_object_counts_only_if_it_is_permanent_and_lasts() {
    for permanent in [false, true] {
        let of = |until| told(&decide(&ask(permanent), &[], &[], until));
        assert_eq!(of(Some(10)), ("nothing", None, 0));
        assert_eq!(of(Some(9)), ("register", None, NEW));
        assert_eq!(of(None), ("register", None, NEW));
    }
    let own = [blob(1, true, true, 9)];
    assert_eq!(told(&decide(&ask(false), &own, &[], Some(9))), ("extend", Some(1), 14));
    assert_eq!(told(&decide(&ask(false), &own, &[], Some(10))), ("nothing", None, 0));
}

#[test]
fn force_makes_a_new_object_but_finishes_one_that_was_never_certified() {
    let ask = Ask { force: true, ..ask(false) };
    let certified = [blob(1, true, true, 12)];
    assert_eq!(told(&decide(&ask, &certified, &[], Some(20))), ("register", None, NEW));
    let both = [blob(1, true, true, 12), blob(2, true, false, 10)];
    assert_eq!(told(&decide(&ask, &both, &[], None)), ("certify", Some(2), 0));
}

#[test]
fn free_storage_is_used_before_money() {
    let fits = [free(1, 2, 10, 2 * MIB)];
    assert_eq!(told(&decide(&ask(false), &[], &fits, None)), ("register", None, 6));
    // Extending needs no fee for writing, so it comes before registering in storage that is free.
    let own = [blob(2, true, true, 9)];
    assert_eq!(told(&decide(&ask(false), &own, &fits, None)), ("extend", Some(2), 0));
    let short = [free(1, 2, 7, 2 * MIB)];
    assert_eq!(told(&decide(&ask(false), &[], &short, None)), ("register", None, NEW - 28));
}

#[test]
fn a_blob_in_far_too_much_storage_is_not_extended_if_a_new_object_is_cheaper() {
    let mut own = blob(1, true, true, 6);
    own.storage.storage_size = 100 * MIB;
    assert_eq!(told(&decide(&ask(false), &[own], &[], None)), ("register", None, NEW));
}

#[test]
fn storage_is_sold_up_to_the_horizon_and_not_for_the_past() {
    let facts = Facts { terms: terms(), blobs: &[], storages: &[], permanent_until: None };
    let of = |end_epoch| plan(&Ask { end_epoch, ..ask(false) }, &facts);
    assert!(of(NOW + 53).is_ok());
    assert_eq!(of(NOW + 54), Err(Refusal::TooFar { most: 53, epochs: 54 }));
    assert!(of(NOW + 1).is_ok());
    assert_eq!(of(NOW), Err(Refusal::Over { end_epoch: NOW }));
    let dear = Facts { terms: Terms { write_price: u64::MAX, ..terms() }, ..facts };
    assert_eq!(plan(&ask(false), &dear), Err(Refusal::Unpriced));
}

prop_compose! {
    fn any_blob()(
        id: u8, deletable: bool, certified: bool, end in 4..14u32, mib in 1..4u64, locked in prop::bool::weighted(0.1)
    ) -> Blob {
        let mut blob = blob(id, deletable, certified, end);
        blob.storage.storage_size = mib * MIB;
        blob.locked_by = locked.then_some([7; 32].into());
        blob
    }
}

prop_compose! {
    /// No object is twice in a wallet.
    fn any_blobs()(mut blobs in prop::collection::vec(any_blob(), 0..4)) -> Vec<Blob> {
        blobs.sort_by_key(|blob| blob.id);
        blobs.dedup_by_key(|blob| blob.id);
        blobs
    }
}

prop_compose! {
    fn any_storage()(id: u8, start in 1..10u32, epochs in 1..10u32, size in MIB..4 * MIB) -> Storage {
        free(id, start, start + epochs, size)
    }
}

prop_compose! {
    fn any_ask()(permanent: bool, force in prop::bool::weighted(0.2), end_epoch in 6..14u32, bytes in 1..3 * MIB) -> Ask {
        Ask { encoded_bytes: bytes, end_epoch, permanent, force }
    }
}

/// Checks that space is made of parts that exist, follow each other and have one size.
fn check_space(space: &Space, facts: &Facts<'_>) {
    let Need { bytes, start_epoch, end_epoch, is_extension } = space.need;
    let mut covered = start_epoch;
    let mut size = None;
    if let Some(cut) = &space.reused {
        let storage = &cut.storage;
        assert!(facts.storages.contains(storage), "it is the caller's");
        assert!(storage.start_epoch <= cut.start_epoch && cut.start_epoch <= start_epoch);
        assert!(cut.end_epoch <= storage.end_epoch && start_epoch < cut.end_epoch);
        assert!(bytes <= cut.bytes && cut.bytes <= storage.storage_size);
        assert!(!is_extension || (cut.bytes == bytes && cut.start_epoch == start_epoch));
        (covered, size) = (cut.end_epoch, Some(cut.bytes));
    }
    if let Some(bought) = space.bought {
        assert_eq!((bought.start_epoch, size.unwrap_or(bytes)), (covered, bought.bytes));
        let price = facts.terms.storage_cost(bought.bytes, bought.end_epoch - bought.start_epoch);
        assert_eq!(Some(bought.price), price);
        covered = bought.end_epoch;
    }
    assert_eq!(covered, end_epoch, "no epoch is missing and none is paid in vain");
    let whole = facts.terms.storage_cost(bytes, end_epoch - start_epoch);
    assert_eq!(space.price().checked_add(space.saved), whole);
}

proptest! {
    #[test]
    fn whatever_the_facts_a_plan_gives_what_was_asked_and_never_pays_for_what_is_there(
        ask in any_ask(),
        blobs in any_blobs(),
        storages in prop::collection::vec(any_storage(), 0..4),
        permanent_until in prop::option::of(6..14u32),
    ) {
        let facts = Facts { terms: terms(), blobs: &blobs, storages: &storages, permanent_until };
        let plan = plan(&ask, &facts).expect("there is a plan");
        prop_assert!(plan.end_epoch() >= ask.end_epoch);
        // The caller's own object, live, as permanent as asked, and nobody else's to delete.
        let own = |existing: &Existing| {
            let known = blobs.iter().find(|blob| Existing::from(*blob) == *existing);
            let blob = known.expect("it is the caller's");
            assert!(blob.storage.end_epoch > NOW && (!ask.permanent || !blob.deletable));
            assert!(!blob.deletable || blob.locked_by.is_none());
            blob
        };
        match &plan {
            Plan::Nothing { existing: Some(existing), .. } => {
                prop_assert!(own(existing).certified_epoch.is_some() && !ask.force);
            }
            Plan::Nothing { existing: None, end_epoch } => {
                prop_assert!(permanent_until == Some(*end_epoch) && !ask.force);
            }
            Plan::Extend { existing, space } => {
                prop_assert!(own(existing).certified_epoch.is_some() && !ask.force);
                prop_assert_eq!(space.need.start_epoch, existing.end_epoch);
                prop_assert_eq!(space.need.bytes, own(existing).storage.storage_size);
            }
            Plan::Certify { existing, extension } => {
                prop_assert!(own(existing).certified_epoch.is_none());
                let starts = extension.as_ref().map(|space| space.need.start_epoch);
                prop_assert!(starts.is_none_or(|start| start == existing.end_epoch));
            }
            Plan::Register { space, write } => {
                prop_assert_eq!((space.need.start_epoch, space.need.end_epoch), (NOW, ask.end_epoch));
                prop_assert!(space.need.bytes == ask.encoded_bytes && *write > 0);
            }
        }
        if let Some(space) = plan.space() {
            check_space(space, &facts);
        }
        // Never more than with fewer things in hand.
        let price = |blobs: &[Blob], storages: &[Storage]| {
            let facts = Facts { blobs, storages, ..facts };
            super::plan(&ask, &facts).expect("there is a plan").price()
        };
        prop_assert!(plan.price() <= price(&[], &storages));
        prop_assert!(plan.price() <= price(&blobs, &[]));
        // And once it is carried out, the same put pays nothing.
        if let (Plan::Register { .. }, false) = (&plan, ask.force) {
            let stored = [blob(77, !ask.permanent, true, plan.end_epoch())];
            let again = super::plan(&ask, &Facts { blobs: &stored, ..facts });
            prop_assert!(matches!(again, Ok(Plan::Nothing { .. })), "{again:?}");
        }
    }
}
