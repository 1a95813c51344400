//! The texts attached to blobs.

use crate::chain::abort::Abort;

use super::{Desk, sample_blob, storage};
use crate::rules::{blob as rules, system};

/// The pairs of a blob, joined for reading.
fn pairs(desk: &Desk, blob: &super::Blob) -> Option<Vec<String>> {
    let metadata = desk.context.fields.metadata(&blob.id)?;
    Some(metadata.pairs.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect())
}

fn set(desk: &mut Desk, blob: &super::Blob, key: &str, value: &str) -> Result<(), Abort> {
    rules::insert_or_update_metadata_pair(&mut desk.context, blob, key.into(), value.into())
}

#[test]
fn t33_a_blob_has_one_map_and_a_key_one_value() {
    let mut desk = Desk::new();
    let blob = desk.register(true);
    let missing = Err(Abort::MissingMetadata);
    assert_eq!(rules::take_metadata(&mut desk.context, &blob), missing);
    assert_eq!(rules::remove_metadata_pair(&mut desk.context, &blob, "a"), missing);
    assert_eq!(rules::add_metadata(&mut desk.context, &blob), Ok(()));
    let twice = rules::add_metadata(&mut desk.context, &blob);
    assert_eq!(twice, Err(Abort::DuplicateMetadata));
    for (key, value) in [("a", "1"), ("b", "2"), ("a", "3")] {
        assert_eq!(set(&mut desk, &blob, key, value), Ok(()));
    }
    assert_eq!(pairs(&desk, &blob).unwrap(), ["b=2", "a=3"], "the changed one is last");
    assert_eq!(rules::remove_metadata_pair(&mut desk.context, &blob, "c"), missing);
    assert_eq!(rules::remove_metadata_pair(&mut desk.context, &blob, "b"), Ok(()));
    assert_eq!(pairs(&desk, &blob).unwrap(), ["a=3"]);
    assert_eq!(rules::take_metadata(&mut desk.context, &blob), Ok(()));
    assert_eq!(pairs(&desk, &blob), None);
    assert_eq!(set(&mut desk, &blob, "d", "4"), Ok(()), "a map is attached if there is none");
    let twice = rules::add_metadata(&mut desk.context, &blob);
    assert_eq!(twice, Err(Abort::DuplicateMetadata));
}

#[test]
fn t33_a_blob_that_ends_leaves_no_metadata_behind() {
    let mut desk = Desk::new();
    for burn in [false, true] {
        let blob = desk.register(true);
        set(&mut desk, &blob, "a", "1").unwrap();
        match burn {
            true => system::burn_blob(&mut desk.context, &desk.system, blob.clone()).unwrap(),
            false => {
                let space =
                    system::delete_blob(&mut desk.context, &desk.system, blob.clone()).unwrap();
                desk.register_in(space, &sample_blob(true)).unwrap();
            }
        }
        assert_eq!(pairs(&desk, &blob), None);
    }
}

#[test]
fn t34_keys_values_and_their_number_are_limited() {
    let mut desk = Desk::new();
    let space = storage(0, 9, u64::MAX);
    let blob = desk.register_in(space, &sample_blob(true)).unwrap();
    let (key, value) = ("k".repeat(64), "v".repeat(1024));
    let large = Err(Abort::MetadataTooLarge);
    assert_eq!(set(&mut desk, &blob, &format!("{key}k"), "v"), large);
    assert_eq!(set(&mut desk, &blob, "k", &format!("{value}v")), large);
    assert_eq!(pairs(&desk, &blob), None);
    assert_eq!(set(&mut desk, &blob, &key, &value), Ok(()));
    for pair in 1..64 {
        assert_eq!(set(&mut desk, &blob, &pair.to_string(), ""), Ok(()));
    }
    assert_eq!(set(&mut desk, &blob, "64", ""), large);
    assert_eq!(set(&mut desk, &blob, "63", "changed"), Ok(()), "an update needs no room");
    assert_eq!(pairs(&desk, &blob).unwrap().len(), 64);
}
