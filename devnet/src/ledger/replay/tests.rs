//! Logs that lead where they say, and logs that do not.

use std::path::Path;

use super::*;
use crate::ledger::Ledger;
use crate::ledger::objects::Changes;
use crate::ledger::tests::scripts::{BEGIN_MS, Story, story};

/// A ledger on disk that lived a story, and the root the story ends with.
fn lived(path: &Path, story: &Story) -> Ledger {
    let ledger = Ledger::open_at(path, story.genesis.clone(), BEGIN_MS).unwrap();
    for (now_ms, transaction, signatures) in &story.transactions {
        ledger.execute_at(*now_ms, transaction.clone(), signatures.clone()).unwrap();
    }
    ledger
}

/// Replaces a checkpoint on disk.
fn forge(ledger: &Ledger, sequence: u64, change: impl FnOnce(&mut Checkpoint)) {
    let mut checkpoint = ledger.inner.store.checkpoint(sequence).unwrap().unwrap();
    change(&mut checkpoint);
    ledger.inner.store.append(&checkpoint, &Changes::default(), None).unwrap();
}

#[test]
fn t121_a_log_executed_again_leads_to_the_same_root() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.redb");
    let story = story(4);
    let ledger = lived(&path, &story);
    let count = u64::try_from(story.transactions.len()).unwrap() + 1;
    assert!(count > 50, "{count} transactions");
    assert_eq!(ledger.state_root(), story.root);
    let replayed = ledger.replay().unwrap();
    let expected = Replayed { checkpoints: count, transactions: count, root: story.root };
    assert_eq!(replayed, expected);

    // Checkpoints without transactions count as well, and so does time; reopened or not.
    ledger
        .seal(
            &mut ledger.inner.sealing.lock().unwrap(),
            BEGIN_MS + 86_400_000,
            Vec::new(),
            &Changes::default(),
        )
        .unwrap();
    assert_ne!(ledger.state_root(), story.root);
    let (later, height) = (ledger.state_root(), ledger.height());
    drop(ledger);
    let ledger = Ledger::resume(&path).unwrap();
    assert_eq!(ledger.state_root(), later);
    let replayed = ledger.replay().unwrap();
    assert_eq!((replayed.checkpoints, replayed.root), (height + 1, later));
}

#[test]
fn a_forged_log_is_found_out_and_the_place_is_named() {
    type Change = fn(&mut Checkpoint);
    let forgeries: [(&str, Change); 6] = [
        ("another list of transactions", |it| it.transactions.clear()),
        ("another list of transactions", |it| it.contents = contents(&[])),
        ("other objects", |it| it.transactions[0].written.clear()),
        ("other events", |it| it.transactions[0].events = Some(forged_events())),
        ("another time", |it| it.summary.timestamp_ms = 5),
        ("another predecessor", |it| it.summary.previous_digest = None),
    ];
    let story = story(4);
    for (expected, change) in forgeries {
        let directory = tempfile::tempdir().unwrap();
        let ledger = lived(&directory.path().join("ledger.redb"), &story);
        forge(&ledger, 9, change);
        let error = ledger.replay().unwrap_err().to_string();
        assert!(error.starts_with("checkpoint 9"), "{expected}: {error}");
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

fn forged_events() -> sui_sdk_types::TransactionEvents {
    sui_sdk_types::TransactionEvents(Vec::new())
}

#[test]
fn a_forged_end_and_forged_objects_are_found_out() {
    let story = story(4);
    let directory = tempfile::tempdir().unwrap();
    let ledger = lived(&directory.path().join("end.redb"), &story);
    let height = ledger.height();
    let other = ledger.inner.store.checkpoint(1).unwrap().unwrap().signature;
    forge(&ledger, height, |it| it.signature = other);
    let error = ledger.replay().unwrap_err();
    assert!(matches!(error, ReplayError::Checkpoint { what: "certificate", .. }), "{error}");

    let ledger = lived(&directory.path().join("objects.redb"), &story);
    let id = ledger.inner.objects.read().unwrap().live().next().unwrap().object_id();
    let gone = Changes { removed: vec![id], ..Changes::default() };
    ledger.inner.objects.write().unwrap().apply(&gone);
    let error = ledger.replay().unwrap_err();
    assert!(matches!(error, ReplayError::Root { .. }), "{error}");
}
