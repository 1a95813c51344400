//! Owners that are not there for a while, and what has come of owners and is not kept yet.

use super::*;

const ABSENT: How = How::Over(End::Absent);

fn arrived(request: u64) -> Input {
    Input::Arrived { request: RequestId(request) }
}

fn cancel(request: u64) -> Effect {
    Effect::Cancel { request: RequestId(request) }
}

/// Has an owner refuse all connections until then; what it is asked for, or what came of it, at the end.
fn refused_until(handover: &mut Handover, asks: bool, end: u64) -> (u64, Vec<Effect>) {
    let (mut now, mut request) = (0, 0);
    loop {
        if asks {
            leave(handover, now, &[request]);
        }
        let mut effects = handover.handle(Timestamp(now), ended(request, Came::default(), ABSENT));
        while effects.is_empty() {
            now = handover.deadline().expect("it rests, or is waited for").0;
            effects = handover.handle(Timestamp(now), Input::TimeReached);
        }
        match effects.as_slice() {
            [Effect::Ask { request: next, .. }] if now < end => request = next.0,
            _ => return (now, effects),
        }
    }
}

#[test]
fn an_owner_that_starts_again_is_waited_for_and_gives_what_it_has() {
    let mut handover = handover();
    handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1])]));
    let (now, effects) = refused_until(&mut handover, true, 20_000);
    assert_eq!(asks(&effects), [(1, 1, vec![1])], "it is late by {now}, but no repair is faster");
    let [Effect::Ask { request, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    leave(&mut handover, now, &[request.0]);
    let effects = handover.handle(Timestamp(now + 5), ended(request.0, kept(&[pair(1, 1)]), DONE));
    assert_eq!(effects, [settled(1, &[])]);
    assert_eq!(handover.deadline(), None);
}

#[test]
fn an_owner_that_does_not_come_back_is_given_up_when_it_was_away_for_as_long_as_a_silent_one() {
    for asks in [true, false] {
        let mut handover = handover();
        handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1])]));
        let (now, effects) = refused_until(&mut handover, asks, u64::MAX);
        assert_eq!((now, effects), (30_000, vec![settled(1, &[1])]), "asked: {asks}");
        let effects = handover.handle(Timestamp(30_001), Input::Seen(vec![lost(2, &[1])]));
        assert_eq!(effects, [settled(2, &[1])], "the rest of this look");
    }
}

#[test]
fn who_is_busy_for_ever_delays_a_look_once_and_not_with_each_page_of_it() {
    let mut handover = handover();
    let mut effects = handover.handle(Timestamp(0), Input::Seen(vec![lost(0, &[1])]));
    let (mut now, mut seen) = (Timestamp(0), 0);
    while seen < 100 {
        for effect in std::mem::take(&mut effects) {
            match effect {
                Effect::Ask { request, .. } => {
                    leave(&mut handover, now.0, &[request.0]);
                    effects.extend(handover.handle(now, ended(request.0, Came::default(), AGAIN)));
                }
                Effect::Settled { .. } => {
                    seen += 1;
                    effects.extend(handover.handle(now, Input::Seen(vec![lost(seen, &[1])])));
                }
                other => panic!("{other:?}"),
            }
        }
        if effects.is_empty() {
            now = handover.deadline().expect("it rests, or is waited for");
            effects = handover.handle(now, Input::TimeReached);
        }
    }
    assert_eq!(now, Timestamp(30_000));
}

#[test]
fn what_has_come_owes_nothing_however_long_it_takes_to_keep_it() {
    let mut handover = handover();
    handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1])]));
    leave(&mut handover, 0, &[0]);
    assert_eq!(handover.handle(Timestamp(9_000), arrived(0)), []);
    assert_eq!(handover.deadline(), None, "nobody but us is waited for");
    assert_eq!(handover.handle(Timestamp(900_000), Input::TimeReached), []);
    let effects = handover.handle(Timestamp(900_001), ended(0, kept(&[pair(1, 1)]), DONE));
    assert_eq!(effects, [settled(1, &[])]);
}

#[test]
fn an_owner_is_silent_by_what_it_owes_and_what_has_come_of_it_is_kept_after_that() {
    let mut handover = handover();
    handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1])]));
    handover.handle(Timestamp(0), Input::Seen(vec![lost(2, &[1])]));
    leave(&mut handover, 0, &[0, 1]);
    handover.handle(Timestamp(5_000), arrived(0));
    let effects = handover.handle(Timestamp(35_000), Input::TimeReached);
    assert_eq!(effects, [Effect::Silent { owner: 1 }, cancel(1), settled(2, &[1])]);
    assert_eq!((handover.pages(), handover.deadline()), (1, None));
    // What broke off is not asked of it again.
    let more = Came { missing: Vec::new(), ..kept(&[pair(1, 1)]) };
    assert_eq!(handover.handle(Timestamp(36_000), ended(0, more, AGAIN)), [settled(1, &[])]);
}

#[test]
fn what_we_keep_of_a_page_is_no_word_of_its_owner_about_another() {
    let mut handover = handover();
    handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1])]));
    handover.handle(Timestamp(0), Input::Seen(vec![lost(2, &[1])]));
    leave(&mut handover, 0, &[0, 1]);
    handover.handle(Timestamp(1_000), arrived(0));
    handover.handle(Timestamp(29_000), ended(0, kept(&[pair(1, 1)]), DONE));
    assert_eq!(handover.deadline(), Some(Timestamp(31_000)));
}

#[test]
fn a_page_that_broke_off_is_late_by_the_time_of_its_owner_and_not_by_ours() {
    let mut handover = handover();
    handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1]), lost(2, &[1])]));
    leave(&mut handover, 0, &[0]);
    handover.handle(Timestamp(4_000), arrived(0));
    let effects = handover.handle(Timestamp(50_000), ended(0, kept(&[pair(1, 1)]), AGAIN));
    assert_eq!(effects, [settled(1, &[])]);
    let effects = handover.handle(Timestamp(55_999), Input::TimeReached);
    assert_eq!(asks(&effects), [(1, 1, vec![1])]);
    let [Effect::Ask { request, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let effects = handover.handle(Timestamp(55_999), ended(request.0, Came::default(), AGAIN));
    assert_eq!(effects, []);
    assert_eq!(handover.handle(Timestamp(56_000), Input::TimeReached), [settled(2, &[1])]);
}

#[test]
fn two_pages_that_lie_are_blamed_once() {
    let mut handover = handover();
    handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1])]));
    handover.handle(Timestamp(0), Input::Seen(vec![lost(2, &[1])]));
    leave(&mut handover, 0, &[0, 1]);
    handover.handle(Timestamp(1), arrived(0));
    handover.handle(Timestamp(1), arrived(1));
    let lied = How::Lied(Blame::WrongBytes);
    let blame = Effect::Blame { owner: 1, reason: Blame::WrongBytes };
    let effects = handover.handle(Timestamp(2), ended(0, Came::default(), lied));
    assert_eq!(effects, [blame, settled(1, &[1])], "the other page has come, and may hold more");
    assert_eq!(
        handover.handle(Timestamp(3), ended(1, kept(&[pair(2, 1)]), lied)),
        [settled(2, &[])]
    );
}

#[test]
fn pages_are_as_small_as_the_terms_say() {
    let mut handover = handover();
    handover.terms.pairs_max = 2;
    let effects = handover.handle(Timestamp(0), Input::Seen(super::many(5)));
    assert_eq!(asks(&effects), [(1, 2, vec![1]), (1, 2, vec![1])]);
}
