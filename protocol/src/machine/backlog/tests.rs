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

/// Tells it of a page of which former owners have nothing; what it starts.
fn saw(backlog: &mut Backlog, now: Timestamp, blobs: &[BlobId], is_last: bool) -> Vec<Effect> {
    let mut effects = backlog.handle(now, seen(blobs, is_last));
    let Some(Effect::HandOver(due)) = effects.first().cloned() else { return effects };
    effects.remove(0);
    for blob in due {
        effects.extend(backlog.handle(now, Input::Settled { blob, is_whole: false }));
    }
    effects
}

fn done(blob: BlobId, outcome: Outcome) -> Input {
    Input::Done { blob, outcome, left: None }
}

#[test]
fn a_few_are_repaired_at_a_time_and_pages_follow_each_other() {
    let (mut backlog, now) = (begun(2), Timestamp(20));
    let [a, b, c] = [1, 2, 3].map(blob);
    let effects = saw(&mut backlog, now, &[a, b, c], false);
    assert_eq!(effects, [Effect::Repair(a), Effect::Repair(b)]);
    let effects = backlog.handle(now, done(a, Outcome::Repaired));
    assert_eq!(effects, [Effect::Repair(c), Effect::Look { is_first: false }]);
    assert_eq!(backlog.handle(now, done(b, Outcome::Repaired)), []);
    assert_eq!(saw(&mut backlog, now, &[], true), [], "one is still being repaired");
    let effects = backlog.handle(now, done(c, Outcome::Repaired));
    assert_eq!(effects, [Effect::Look { is_first: true }], "was that all?");
    assert_eq!(saw(&mut backlog, now, &[], true), [Effect::Complete]);
    assert_eq!(backlog.deadline(), None);
}

#[test]
fn what_changes_is_looked_at_soon_but_not_again_and_again() {
    let mut backlog = begun(2);
    assert_eq!(backlog.handle(Timestamp(20), Input::Stirred), []);
    assert_eq!(saw(&mut backlog, Timestamp(30), &[], true), [Effect::Complete]);
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
        assert_eq!(saw(&mut backlog, now, &[a], true), [Effect::Repair(a)]);
        assert_eq!(backlog.handle(now, done(a, Outcome::Failed)), []);
        let next = backlog.deadline().expect("it is tried again");
        rests.push(next.0 - now.0);
        now = next;
        assert_eq!(backlog.handle(now, Input::TimeReached), [Effect::Look { is_first: true }]);
    }
    assert_eq!(&rests[..3], [REST_MIN_MS, 2 * REST_MIN_MS, 4 * REST_MIN_MS]);
    assert_eq!(rests.last(), Some(&REST_MAX_MS));
    assert_eq!(saw(&mut backlog, now, &[a], true), [Effect::Repair(a)]);
    assert_eq!(backlog.handle(now, done(a, Outcome::Hopeless)), []);
    assert_eq!(backlog.deadline(), Some(now.after(REST_MAX_MS)));
}

#[test]
fn who_rests_holds_up_nobody() {
    let (mut backlog, now) = (begun(1), Timestamp(20));
    let [a, b] = [1, 2].map(blob);
    assert_eq!(saw(&mut backlog, now, &[a, b], true), [Effect::Repair(a)]);
    assert_eq!(backlog.handle(now, done(a, Outcome::Failed)), [Effect::Repair(b)]);
    let effects = backlog.handle(now, done(b, Outcome::Advanced));
    assert_eq!(effects, [Effect::Look { is_first: true }]);
    assert_eq!(saw(&mut backlog, now, &[a, b], true), [Effect::Repair(b)]);
}

#[test]
fn rests_are_remembered_of_a_bounded_number_of_blobs() {
    let (mut backlog, now) = (begun(1), Timestamp(20));
    let blobs: Vec<_> = (0..5_000).map(blob).collect();
    let mut effects = saw(&mut backlog, now, &blobs, true);
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
    saw(&mut backlog, now, &[a, b, c], true);
    for (blob, left) in [(a, Some(40)), (b, None), (c, Some(35))] {
        backlog.handle(now, Input::Done { blob, outcome: Outcome::Failed, left });
    }
    assert_eq!((backlog.failures(&c), backlog.failures(&d)), (1, 0));
    now = now.after(REST_MIN_MS);
    assert_eq!(backlog.handle(now, Input::TimeReached), [Effect::Look { is_first: true }]);
    let effects = saw(&mut backlog, now, &[a, b, c, d], true);
    assert_eq!(effects, [c, a, b].map(Effect::Repair));
}

#[test]
fn a_repair_that_lasts_keeps_nobody_from_looking_for_more() {
    let (mut backlog, now) = (begun(2), Timestamp(20));
    let [a, b] = [1, 2].map(blob);
    assert_eq!(saw(&mut backlog, now, &[a], true), [Effect::Repair(a)]);
    assert_eq!(backlog.deadline(), None, "nothing has changed");
    assert_eq!(backlog.handle(now, Input::Stirred), []);
    let next = Timestamp(10 + LOOK_PAUSE_MS);
    assert_eq!(backlog.handle(next, Input::TimeReached), [Effect::Look { is_first: true }]);
    assert_eq!(saw(&mut backlog, next, &[a, b], true), [Effect::Repair(b)]);
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
fn a_look_that_is_out_of_date_begins_again_at_once_and_nothing_of_it_is_waited_for() {
    let first = Effect::Look { is_first: true };
    let mut backlog = begun(1);
    assert_eq!(
        backlog.handle(Timestamp(20), Input::Outdated),
        *std::slice::from_ref(&first),
        "while it reads"
    );
    let seen = Input::Seen { blobs: vec![blob(1), blob(2)], is_last: true };
    let effects = backlog.handle(Timestamp(21), seen);
    assert_eq!(effects, [Effect::HandOver(vec![blob(1), blob(2)])]);
    assert_eq!(
        backlog.handle(Timestamp(22), Input::Outdated),
        [first],
        "while owners are waited for"
    );
    let settled = Input::Settled { blob: blob(1), is_whole: false };
    assert_eq!(backlog.handle(Timestamp(23), settled), [], "of the look before");
    let seen = Input::Seen { blobs: Vec::new(), is_last: true };
    assert_eq!(backlog.handle(Timestamp(24), seen), [Effect::Complete]);
    assert_eq!(backlog.handle(Timestamp(25), Input::Outdated), [], "none is under way");
    assert_eq!(backlog.deadline(), Some(Timestamp(22 + LOOK_PAUSE_MS)));
}

#[test]
fn answers_nobody_waits_for_change_nothing() {
    let mut backlog = begun(1);
    assert_eq!(backlog.handle(Timestamp(20), done(blob(1), Outcome::Repaired)), []);
    saw(&mut backlog, Timestamp(20), &[], true);
    assert_eq!(saw(&mut backlog, Timestamp(20), &[blob(1)], true), []);
}

#[test]
fn the_rest_of_a_blob_that_is_gone_is_forgotten() {
    let (mut backlog, [a, b]) = (begun(2), [1, 2].map(blob));
    let now = Timestamp(20);
    let repairs = [Effect::Repair(a), Effect::Repair(b)];
    assert_eq!(saw(&mut backlog, now, &[a, b], true), repairs);
    for blob in [a, b] {
        assert_eq!(backlog.handle(now, done(blob, Outcome::Failed)), []);
    }
    assert_eq!([a, b].map(|blob| backlog.failures(&blob)), [1, 1]);
    let next = backlog.deadline().expect("they are tried again");
    assert_eq!(backlog.handle(next, Input::TimeReached), [Effect::Look { is_first: true }]);
    assert_eq!(saw(&mut backlog, next, &[b], true), [Effect::Repair(b)]);
    assert_eq!([a, b].map(|blob| backlog.failures(&blob)), [0, 1]);
}

#[test]
fn others_are_repaired_while_former_owners_are_waited_for_and_the_next_page_waits_for_them() {
    let (mut backlog, now) = (begun(1), Timestamp(20));
    let [a, b, c] = [1, 2, 3].map(blob);
    let settled = |blob, is_whole| Input::Settled { blob, is_whole };
    let effects = backlog.handle(now, seen(&[a, b, c], false));
    assert_eq!(effects, [Effect::HandOver(vec![a, b, c])]);
    assert_eq!(backlog.handle(now, settled(b, false)), [Effect::Repair(b)]);
    assert_eq!(backlog.handle(now, settled(c, false)), [], "one at a time");
    assert_eq!(backlog.handle(now, done(b, Outcome::Repaired)), [Effect::Repair(c)]);
    assert_eq!(backlog.handle(now, done(c, Outcome::Failed)), []);
    let effects = backlog.handle(now, settled(a, true));
    assert_eq!(effects, [Effect::Look { is_first: false }], "nothing is left of it to repair");
    assert_eq!(backlog.handle(now, settled(a, false)), [], "nobody waits for that");
    let effects = backlog.handle(now, seen(&[], true));
    assert_eq!(effects, [Effect::Look { is_first: true }], "was that all?");
    assert_eq!(backlog.handle(now, seen(&[c], true)), [], "it rests");
}

#[test]
fn a_blob_is_stuck_once_it_failed_twice_in_a_row_and_no_more_when_something_of_it_came() {
    let (mut backlog, a) = (begun(1), blob(1));
    let mut now = Timestamp(20);
    for (outcome, expected) in
        [(Outcome::Failed, 0), (Outcome::Failed, 1), (Outcome::Failed, 1), (Outcome::Advanced, 0)]
    {
        let effects = saw(&mut backlog, now, &[a], true);
        assert_eq!(effects, [Effect::Repair(a)]);
        backlog.handle(now, done(a, outcome));
        assert_eq!((backlog.stuck(), backlog.is_stuck(&a)), (expected, expected == 1));
        let Some(next) = backlog.deadline() else { break };
        now = next;
        assert_eq!(backlog.handle(now, Input::TimeReached), [Effect::Look { is_first: true }]);
    }
    assert_eq!(backlog.stuck(), 0);
}
