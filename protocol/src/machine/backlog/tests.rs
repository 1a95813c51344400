//! A backlog told of pages and repairs: what it starts, what rests, and when it looks again.

use super::*;

fn blob(number: u16) -> BlobId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    BlobId::from_bytes(bytes)
}

fn seen(blobs: &[BlobId], is_last: bool) -> Input {
    Input::Seen { blobs: blobs.to_vec(), is_last }
}

/// A backlog of which a look was begun.
fn begun(at_once: usize) -> Backlog {
    let mut backlog = Backlog::new(at_once);
    assert_eq!(backlog.handle(Timestamp(5), Input::TimeReached), [], "nothing was said yet");
    let effects = backlog.handle(Timestamp(10), Input::Stirred);
    assert_eq!(effects, [Effect::Look { is_first: true }]);
    backlog
}

fn done(blob: BlobId, outcome: Outcome) -> Input {
    Input::Done { blob, outcome, left: None }
}

#[test]
fn a_few_are_repaired_at_a_time_and_pages_follow_each_other() {
    let (mut backlog, now) = (begun(2), Timestamp(20));
    let [a, b, c] = [1, 2, 3].map(blob);
    let effects = backlog.handle(now, seen(&[a, b, c], false));
    assert_eq!(effects, [Effect::Repair(a), Effect::Repair(b)]);
    let effects = backlog.handle(now, done(a, Outcome::Repaired));
    assert_eq!(effects, [Effect::Repair(c), Effect::Look { is_first: false }]);
    assert_eq!(backlog.handle(now, done(b, Outcome::Repaired)), []);
    assert_eq!(backlog.handle(now, seen(&[], true)), [], "one is still being repaired");
    let effects = backlog.handle(now, done(c, Outcome::Repaired));
    assert_eq!(effects, [Effect::Look { is_first: true }], "was that all?");
    assert_eq!(backlog.handle(now, seen(&[], true)), [Effect::Complete]);
    assert_eq!(backlog.deadline(), None);
}

#[test]
fn what_changes_is_looked_at_soon_but_not_again_and_again() {
    let mut backlog = begun(2);
    assert_eq!(backlog.handle(Timestamp(20), Input::Stirred), []);
    assert_eq!(backlog.handle(Timestamp(30), seen(&[], true)), [Effect::Complete]);
    let next = Timestamp(10 + LOOK_PAUSE_MS);
    assert_eq!(backlog.deadline(), Some(next), "what was stirred meanwhile may have been missed");
    assert_eq!(backlog.handle(Timestamp(40), Input::TimeReached), []);
    assert_eq!(backlog.handle(next, Input::TimeReached), [Effect::Look { is_first: true }]);
}

#[test]
fn what_cannot_be_repaired_rests_longer_each_time_and_is_never_called_complete() {
    let (mut backlog, a) = (begun(1), blob(1));
    let mut now = Timestamp(20);
    let mut rests = Vec::new();
    for _ in 0..12 {
        assert_eq!(backlog.handle(now, seen(&[a], true)), [Effect::Repair(a)]);
        assert_eq!(backlog.handle(now, done(a, Outcome::Failed)), []);
        let next = backlog.deadline().expect("it is tried again");
        rests.push(next.0 - now.0);
        now = next;
        assert_eq!(backlog.handle(now, Input::TimeReached), [Effect::Look { is_first: true }]);
    }
    assert_eq!(&rests[..3], [REST_MIN_MS, 2 * REST_MIN_MS, 4 * REST_MIN_MS]);
    assert_eq!(rests.last(), Some(&REST_MAX_MS));
    assert_eq!(backlog.handle(now, seen(&[a], true)), [Effect::Repair(a)]);
    assert_eq!(backlog.handle(now, done(a, Outcome::Hopeless)), []);
    assert_eq!(backlog.deadline(), Some(now.after(REST_MAX_MS)));
}

#[test]
fn who_rests_holds_up_nobody() {
    let (mut backlog, now) = (begun(1), Timestamp(20));
    let [a, b] = [1, 2].map(blob);
    assert_eq!(backlog.handle(now, seen(&[a, b], true)), [Effect::Repair(a)]);
    assert_eq!(backlog.handle(now, done(a, Outcome::Failed)), [Effect::Repair(b)]);
    let effects = backlog.handle(now, done(b, Outcome::Advanced));
    assert_eq!(effects, [Effect::Look { is_first: true }]);
    assert_eq!(backlog.handle(now, seen(&[a, b], true)), [Effect::Repair(b)]);
}

#[test]
fn rests_are_remembered_of_a_bounded_number_of_blobs() {
    let (mut backlog, now) = (begun(1), Timestamp(20));
    let blobs: Vec<_> = (0..5_000).map(blob).collect();
    let mut effects = backlog.handle(now, seen(&blobs, true));
    while let Some(Effect::Repair(blob)) = effects.pop() {
        effects = backlog.handle(now, done(blob, Outcome::Failed));
    }
    assert_eq!(backlog.resting.len(), RESTING_MAX);
    // Whatever is forgotten is tried again by the next look, so that is not soon.
    assert_eq!(backlog.handle(now, Input::Stirred), []);
    assert_eq!(backlog.deadline(), Some(Timestamp(10).after(CROWDED_PAUSE_MS)));
}

#[test]
fn of_what_was_tried_before_the_blob_with_the_fewest_slivers_left_comes_first() {
    let mut backlog = begun(3);
    let [a, b, c, d] = [1, 2, 3, 4].map(blob);
    let mut now = Timestamp(20);
    backlog.handle(now, seen(&[a, b, c], true));
    for (blob, left) in [(a, Some(40)), (b, None), (c, Some(35))] {
        backlog.handle(now, Input::Done { blob, outcome: Outcome::Failed, left });
    }
    assert_eq!((backlog.failures(&c), backlog.failures(&d)), (1, 0));
    now = now.after(REST_MIN_MS);
    assert_eq!(backlog.handle(now, Input::TimeReached), [Effect::Look { is_first: true }]);
    let effects = backlog.handle(now, seen(&[a, b, c, d], true));
    assert_eq!(effects, [c, a, b].map(Effect::Repair));
}

#[test]
fn a_repair_that_lasts_keeps_nobody_from_looking_for_more() {
    let (mut backlog, now) = (begun(2), Timestamp(20));
    let [a, b] = [1, 2].map(blob);
    assert_eq!(backlog.handle(now, seen(&[a], true)), [Effect::Repair(a)]);
    assert_eq!(backlog.deadline(), None, "nothing has changed");
    assert_eq!(backlog.handle(now, Input::Stirred), []);
    let next = Timestamp(10 + LOOK_PAUSE_MS);
    assert_eq!(backlog.handle(next, Input::TimeReached), [Effect::Look { is_first: true }]);
    assert_eq!(backlog.handle(next, seen(&[a, b], true)), [Effect::Repair(b)]);
    assert_eq!(backlog.handle(next, done(b, Outcome::Repaired)), []);
    assert_eq!(backlog.deadline(), Some(next.after(LOOK_PAUSE_MS)));
}

#[test]
fn a_store_that_cannot_be_read_is_looked_at_again_and_never_called_complete() {
    let (mut backlog, now) = (begun(2), Timestamp(20));
    assert_eq!(backlog.handle(now, Input::LookFailed), []);
    let next = now.after(LOOK_PAUSE_MS);
    assert_eq!(backlog.deadline(), Some(next));
    assert_eq!(backlog.handle(next, Input::TimeReached), [Effect::Look { is_first: true }]);
}

#[test]
fn answers_nobody_waits_for_change_nothing() {
    let mut backlog = begun(1);
    assert_eq!(backlog.handle(Timestamp(20), done(blob(1), Outcome::Repaired)), []);
    backlog.handle(Timestamp(20), seen(&[], true));
    assert_eq!(backlog.handle(Timestamp(20), seen(&[blob(1)], true)), []);
}

#[test]
fn the_rest_of_a_blob_that_is_gone_is_forgotten() {
    let (mut backlog, [a, b]) = (begun(2), [1, 2].map(blob));
    let now = Timestamp(20);
    let repairs = [Effect::Repair(a), Effect::Repair(b)];
    assert_eq!(backlog.handle(now, seen(&[a, b], true)), repairs);
    for blob in [a, b] {
        assert_eq!(backlog.handle(now, done(blob, Outcome::Failed)), []);
    }
    assert_eq!([a, b].map(|blob| backlog.failures(&blob)), [1, 1]);
    let next = backlog.deadline().expect("they are tried again");
    assert_eq!(backlog.handle(next, Input::TimeReached), [Effect::Look { is_first: true }]);
    assert_eq!(backlog.handle(next, seen(&[b], true)), [Effect::Repair(b)]);
    assert_eq!([a, b].map(|blob| backlog.failures(&blob)), [0, 1]);
}

#[test]
fn a_blob_is_stuck_once_it_failed_twice_in_a_row_and_no_more_when_something_of_it_came() {
    let (mut backlog, a) = (begun(1), blob(1));
    let mut now = Timestamp(20);
    for (outcome, expected) in
        [(Outcome::Failed, 0), (Outcome::Failed, 1), (Outcome::Failed, 1), (Outcome::Advanced, 0)]
    {
        let effects = backlog.handle(now, seen(&[a], true));
        assert_eq!(effects, [Effect::Repair(a)]);
        backlog.handle(now, done(a, outcome));
        assert_eq!((backlog.stuck(), backlog.is_stuck(&a)), (expected, expected == 1));
        let Some(next) = backlog.deadline() else { break };
        now = next;
        assert_eq!(backlog.handle(now, Input::TimeReached), [Effect::Look { is_first: true }]);
    }
    assert_eq!(backlog.stuck(), 0);
}
