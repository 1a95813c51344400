//! A handover told of pages and what comes of them: what it asks of whom, and what it leaves.

use std::sync::Arc;

use super::*;
use crate::chain::object::staking::EpochState;
use crate::committee::tests::sample_committee;
use crate::machine::Blame;
use crate::machine::roster::tests::moved;
use crate::wire::shard::{ENTRIES_MAX, Request};

mod any;
mod coming;

const TERMS: Terms =
    Terms { patience_ms: 30_000, late_ms: 10_000, pages_max: 3, pairs_max: usize::MAX, noise: 1 };
const AGAIN: How = How::Over(End::Again { after_ms: 500 });
const DONE: How = How::Over(End::Done);

/// A network of eight shards in which the first of four nodes gained these, each from whoever had it before.
fn handover_of(gained: &[u16], segment_bytes: u32) -> Handover {
    let (previous, _) = sample_committee(4, 8);
    let moves: Vec<_> = gained.iter().map(|shard| (*shard, 0)).collect();
    let committee = Arc::new(moved(&previous, &moves));
    let phase = EpochState::Sync { weight: 0, started_ms: 0 };
    let roster = Roster::new(committee, Some(&previous), &phase);
    let parameters = Parameters::new(8, segment_bytes).expect("valid parameters");
    Handover::new(parameters, &roster, Some(0), TERMS)
}

/// The first node gained one shard of each of the second and the third, and two of them have one left.
fn handover() -> Handover {
    handover_of(&[1, 2], 1024)
}

fn blob(number: u16) -> BlobId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    BlobId::from_bytes(bytes)
}

fn lost(number: u16, shards: &[u16]) -> Lost {
    let pairs = shards.iter().map(|shard| (0, ShardIndex(*shard))).collect();
    Lost { blob: blob(number), bytes: 1000, has_header: true, pairs }
}

fn pair(number: u16, shard: u16) -> Pair {
    (blob(number), 0, ShardIndex(shard))
}

fn settled(number: u16, left: &[u16]) -> Effect {
    let left = left.iter().map(|shard| (0, ShardIndex(*shard))).collect();
    Effect::Settled { blob: blob(number), has_header: true, left }
}

fn kept(pairs: &[Pair]) -> Came {
    Came { kept: pairs.to_vec(), ..Came::default() }
}

fn ended(request: u64, came: Came, how: How) -> Input {
    Input::Ended { request: RequestId(request), came, how }
}

/// Who was asked for which shards, page by page.
fn asks(effects: &[Effect]) -> Vec<(usize, usize, Vec<u16>)> {
    let ask = |effect: &Effect| match effect {
        Effect::Ask { owner, entries, .. } => {
            let shards: BTreeSet<_> =
                entries.iter().flat_map(|entry| entry.shards.iter().copied()).collect();
            Some((*owner, entries.len(), shards.into_iter().collect()))
        }
        _ => None,
    };
    effects.iter().filter_map(ask).collect()
}

/// Has these pages leave.
fn leave(handover: &mut Handover, now: u64, requests: &[u64]) {
    for request in requests {
        let input = Input::Asked { request: RequestId(*request) };
        assert_eq!(handover.handle(Timestamp(now), input), []);
    }
}

#[test]
fn each_former_owner_is_asked_for_what_it_had_and_the_rest_is_left_at_once() {
    let mut handover = handover();
    let seen = Input::Seen(vec![lost(1, &[0, 1, 2]), lost(2, &[0, 4]), lost(3, &[2])]);
    let effects = handover.handle(Timestamp(0), seen);
    assert_eq!(effects[0], settled(2, &[0, 4]), "nobody had these before");
    assert_eq!(asks(&effects), [(1, 1, vec![1]), (2, 2, vec![2])]);
    leave(&mut handover, 0, &[0, 1]);
    assert_eq!(handover.handle(Timestamp(5), ended(0, kept(&[pair(1, 1)]), DONE)), []);
    let came = Came { missing: vec![pair(1, 2)], ..kept(&[pair(3, 2)]) };
    let effects = handover.handle(Timestamp(6), ended(1, came, DONE));
    assert_eq!(effects, [settled(1, &[0, 2]), settled(3, &[])]);
    assert_eq!((handover.deadline(), handover.pages()), (None, 0));
}

#[test]
fn the_first_lie_ends_an_owner_and_what_came_before_it_is_kept() {
    let mut handover = handover();
    let effects = handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1]), lost(2, &[1])]));
    assert_eq!(asks(&effects), [(1, 2, vec![1])]);
    leave(&mut handover, 0, &[0]);
    let effects = handover.handle(Timestamp(1), Input::Seen(vec![lost(3, &[1])]));
    assert_eq!(asks(&effects), [(1, 1, vec![1])]);
    let lied = How::Lied(Blame::WrongBytes);
    let effects = handover.handle(Timestamp(9), ended(0, kept(&[pair(2, 1)]), lied));
    let blame = Effect::Blame { owner: 1, reason: Blame::WrongBytes };
    let cancel = Effect::Cancel { request: RequestId(1) };
    assert_eq!(effects, [settled(2, &[]), blame, settled(1, &[1]), cancel, settled(3, &[1])]);
    // Nobody believes it again.
    let effects = handover.handle(Timestamp(10), Input::Seen(vec![lost(4, &[1])]));
    assert_eq!(effects, [settled(4, &[1])]);
}

#[test]
fn an_owner_that_says_nothing_is_not_waited_for_and_others_are_not_held_up() {
    let mut handover = handover();
    let effects = handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1]), lost(2, &[2])]));
    assert_eq!(asks(&effects).len(), 2);
    leave(&mut handover, 1_000, &[0, 1]);
    let effects = handover.handle(Timestamp(1_100), ended(1, kept(&[pair(2, 2)]), DONE));
    assert_eq!(effects, [settled(2, &[])]);
    assert_eq!(handover.deadline(), Some(Timestamp(31_000)));
    assert_eq!(handover.handle(Timestamp(30_999), Input::TimeReached), []);
    let effects = handover.handle(Timestamp(31_000), Input::TimeReached);
    let cancel = Effect::Cancel { request: RequestId(0) };
    assert_eq!(effects, [Effect::Silent { owner: 1 }, cancel, settled(1, &[1])]);
    assert_eq!(handover.handle(Timestamp(31_001), ended(0, Came::default(), DONE)), []);
    let effects = handover.handle(Timestamp(32_000), Input::Seen(vec![lost(3, &[1])]));
    assert_eq!(effects, [settled(3, &[1])], "the rest of this look");
}

#[test]
fn whatever_comes_is_no_silence_and_what_was_not_asked_yet_owes_nothing() {
    let mut handover = handover();
    handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1])]));
    assert_eq!(handover.deadline(), None, "the request waits for room");
    leave(&mut handover, 50_000, &[0]);
    for now in (60_000..140_000).step_by(20_000) {
        let heard = Input::Heard { request: RequestId(0) };
        assert_eq!(handover.handle(Timestamp(now), heard), []);
        assert_eq!(handover.handle(Timestamp(now + 15_000), Input::TimeReached), []);
    }
    // But what drips is not waited for: three times the patience, and what the bytes of a page take on a slow line.
    let end = handover.deadline().expect("a page is on its way");
    assert!((140_000..150_000).contains(&end.0), "{end:?}");
    let effects = handover.handle(end, Input::TimeReached);
    let cancel = Effect::Cancel { request: RequestId(0) };
    assert_eq!(effects, [Effect::Silent { owner: 1 }, cancel, settled(1, &[1])]);
}

/// So many blobs of which a shard is missing that was the second node's.
fn many(blobs: u16) -> Vec<Lost> {
    (0..blobs).map(|number| lost(number, &[1])).collect()
}

#[test]
fn what_a_slow_owner_was_not_asked_for_is_left_while_it_works_at_its_pages() {
    let mut handover = handover();
    let effects = handover.handle(Timestamp(0), Input::Seen(many(1_000)));
    let pages = asks(&effects);
    assert_eq!(pages, vec![(1, ENTRIES_MAX, vec![1]); PAGES_OF_OWNER], "two pages, no more");
    leave(&mut handover, 0, &[0, 1]);
    assert_eq!(handover.deadline(), Some(Timestamp(10_000)));
    let heard = Input::Heard { request: RequestId(1) };
    handover.handle(Timestamp(9_000), heard);
    let effects = handover.handle(Timestamp(10_000), Input::TimeReached);
    assert_eq!(effects.len(), 1_000 - PAGES_OF_OWNER * ENTRIES_MAX);
    assert!(effects.iter().all(|effect| matches!(effect, Effect::Settled { .. })));
    assert_eq!((handover.pages(), handover.deadline()), (2, Some(Timestamp(39_000))));
}

#[test]
fn an_owner_that_keeps_up_is_asked_page_after_page() {
    let mut handover = handover();
    let mut effects = handover.handle(Timestamp(0), Input::Seen(many(1_000)));
    let (mut now, mut whole) = (0, 0);
    while let Some(Effect::Ask { request, entries, .. }) = effects.pop() {
        now += 6_000;
        leave(&mut handover, now - 6_000, &[request.0]);
        let pairs = entries.iter().map(|entry| {
            (BlobId::from_bytes(entry.blob_id), entry.segment, ShardIndex(entry.shards[0]))
        });
        let came = kept(&pairs.collect::<Vec<_>>());
        let after = handover.handle(Timestamp(now), ended(request.0, came, DONE));
        whole += after
            .iter()
            .filter(|it| matches!(it, Effect::Settled { left, .. } if left.is_empty()))
            .count();
        effects.extend(after.into_iter().filter(|it| matches!(it, Effect::Ask { .. })));
    }
    assert_eq!(whole, 1_000);
}

#[test]
fn who_names_a_time_is_asked_again_then_for_what_it_still_owes() {
    let mut handover = handover();
    handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1]), lost(2, &[1])]));
    leave(&mut handover, 0, &[0]);
    let effects = handover.handle(Timestamp(100), ended(0, kept(&[pair(1, 1)]), AGAIN));
    assert_eq!(effects, [settled(1, &[])]);
    let back = handover.deadline().expect("it rests");
    assert!((600..=900).contains(&back.0), "{back:?}");
    assert_eq!(handover.handle(Timestamp(back.0 - 1), Input::TimeReached), []);
    let effects = handover.handle(back, Input::TimeReached);
    let [Effect::Ask { owner: 1, entries, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(entries.iter().map(|it| it.blob_id).collect::<Vec<_>>(), [*blob(2).as_bytes()]);
}

#[test]
fn who_is_busy_for_ever_is_not_waited_for_longer_than_one_who_is_silent() {
    let mut handover = handover();
    let mut effects = handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1])]));
    let mut now = Timestamp(0);
    while let [Effect::Ask { request, .. }] = effects.as_slice() {
        leave(&mut handover, now.0, &[request.0]);
        let mut next = handover.handle(now, ended(request.0, Came::default(), AGAIN));
        while next.is_empty() {
            now = handover.deadline().expect("it rests, or is waited for");
            next = handover.handle(now, Input::TimeReached);
        }
        effects = next;
    }
    assert_eq!(effects, [settled(1, &[1])]);
    assert!((10_000..=30_000).contains(&now.0), "{now:?}");
}

#[test]
fn who_refuses_for_good_is_asked_nothing_more() {
    let mut handover = handover();
    handover.handle(Timestamp(0), Input::Seen(vec![lost(1, &[1])]));
    leave(&mut handover, 0, &[0]);
    let effects = handover.handle(Timestamp(1), ended(0, Came::default(), How::Over(End::Never)));
    assert_eq!(effects, [settled(1, &[1])]);
    let effects = handover.handle(Timestamp(5_000), Input::Seen(vec![lost(2, &[1])]));
    assert_eq!(effects, [settled(2, &[1])]);
}

#[test]
fn pages_are_cut_where_they_are_full_and_a_pair_that_is_larger_has_one_for_itself() {
    let mut handover = handover_of(&[1, 5], 1 << 25);
    let pairs: Vec<_> =
        (0..2).flat_map(|segment| [1, 5].map(|shard| (segment, ShardIndex(shard)))).collect();
    let large = Lost { blob: blob(1), bytes: 1 << 26, has_header: false, pairs };
    let mut effects = handover.handle(Timestamp(0), Input::Seen(vec![large, lost(2, &[1])]));
    let mut pages = Vec::new();
    while let Some(Effect::Ask { request, entries, .. }) = effects.pop() {
        let request_of = Request { entries: entries.clone(), trace: None };
        let length = |id: &BlobId| Some(if *id == blob(1) { 1 << 26 } else { 1_000 });
        assert!(request_of.is_sound(8) && request_of.fits(&handover.parameters, length));
        pages.push((entries[0].segment, request_of.pairs(), entries[0].with_header));
        let came = Came { headers: vec![blob(1)], ..Came::default() };
        effects.extend(handover.handle(Timestamp(0), ended(request.0, came, DONE)));
        effects.retain(|effect| matches!(effect, Effect::Ask { .. }));
    }
    pages.sort_unstable();
    let (small, first, second) = ((0, 1, false), (0, 1, true), (1, 1, false));
    // Both pages of the first segment were asked for before a header came.
    assert_eq!(pages, [small, first, first, second, second]);
}

#[test]
fn pages_in_flight_are_bounded_and_owners_take_turns() {
    let mut handover = handover();
    let all = (0..1_000).map(|number| lost(number, &[1, 2]));
    let effects = handover.handle(Timestamp(0), Input::Seen(all.collect()));
    let owners: Vec<_> = asks(&effects).into_iter().map(|(owner, ..)| owner).collect();
    assert_eq!(owners, [1, 2, 1], "three pages, as the terms say");
}
