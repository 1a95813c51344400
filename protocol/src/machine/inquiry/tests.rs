//! An inquiry against scripted members: it reaches those who answer, and it ends.

use proptest::prelude::*;

use super::*;
use crate::machine::retry::PAUSE_MAX_MS;

const PATIENCE_MS: u64 = 30_000;

/// What a scripted member does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Member {
    Answers,
    /// Cannot answer before this moment.
    BusyUntil(u64),
    Refuses,
    Silent,
    /// Is not there before this moment.
    AbsentUntil(u64),
}

/// Runs until a member answers; which one, and when.
fn run(members: &[Member], width: usize) -> (Option<usize>, Timestamp) {
    let order = (0..members.len()).collect();
    let mut inquiry = Inquiry::new(order, width, PATIENCE_MS, 5);
    let (mut now, mut inputs) = (Timestamp(0), vec![Input::Started]);
    for _ in 0..10_000 {
        let input = inputs.pop().unwrap_or_else(|| {
            let next = inquiry.deadline().expect("it waits for something");
            assert!(next > now, "a deadline is ahead");
            now = next;
            Input::TimeReached
        });
        for effect in inquiry.handle(now, input) {
            let Effect::Ask { member } = effect else { return (None, now) };
            let end = match members[member] {
                Member::Answers => return (Some(member), now),
                Member::BusyUntil(free) if now.0 >= free => return (Some(member), now),
                Member::BusyUntil(_) => End::Again { after_ms: 0 },
                Member::AbsentUntil(back) if now.0 >= back => return (Some(member), now),
                Member::AbsentUntil(_) => End::Absent,
                Member::Refuses => End::Never,
                Member::Silent => continue,
            };
            inputs.push(Input::Ended { member, end });
        }
    }
    panic!("the inquiry does not end");
}

#[test]
fn the_first_that_answers_is_enough() {
    assert_eq!(run(&[Member::Answers; 5], 3), (Some(0), Timestamp(0)));
}

#[test]
fn members_that_refuse_for_good_make_room_at_once() {
    let mut members = [Member::Refuses; 7];
    assert_eq!(run(&members, 3), (None, Timestamp(0)), "all refused: nothing to wait for");
    members[6] = Member::Answers;
    assert_eq!(run(&members, 3), (Some(6), Timestamp(0)));
}

#[test]
fn silent_members_cost_one_hedge_and_never_the_answer() {
    let members = [Member::Silent, Member::Silent, Member::Silent, Member::Answers];
    assert_eq!(run(&members, 3), (Some(3), Timestamp(HEDGE_AFTER_MS)));
}

#[test]
fn busy_members_are_asked_again_until_they_have_time() {
    let (answered, when) = run(&[Member::BusyUntil(9_000); 5], 3);
    assert!(answered.is_some(), "slow is not dead");
    assert!((9_000..9_000 + 2 * PAUSE_MAX_MS).contains(&when.0), "{when:?}");
}

#[test]
fn patience_ends_with_members_that_never_answer() {
    let members = [Member::Silent, Member::BusyUntil(u64::MAX)];
    assert_eq!(run(&members, 3), (None, Timestamp(PATIENCE_MS)));
}

#[test]
fn members_that_are_not_there_are_tried_again_but_not_waited_for() {
    let gone = [Member::AbsentUntil(u64::MAX), Member::AbsentUntil(u64::MAX), Member::Refuses];
    let (found, when) = run(&gone, 3);
    assert!(found.is_none() && when.0 < 2 * PAUSE_MAX_MS, "{when:?}");
    let back = [Member::AbsentUntil(1), Member::AbsentUntil(u64::MAX)];
    assert_eq!(run(&back, 3).0, Some(0), "one that is back is found");
    let slow = [Member::AbsentUntil(u64::MAX), Member::BusyUntil(9_000)];
    assert_eq!(run(&slow, 3).0, Some(1), "the slow are waited for");
}

#[test]
fn every_member_is_asked_at_once_if_all_are_wanted() {
    let mut inquiry = Inquiry::new((0..5).collect(), usize::MAX, PATIENCE_MS, 1);
    assert_eq!(inquiry.handle(Timestamp(0), Input::Started).len(), 5);
    for member in 0..5 {
        let ended = Input::Ended { member, end: End::Done };
        let given_up = inquiry.handle(Timestamp(1), ended) == [Effect::GiveUp];
        assert_eq!(given_up, member == 4, "it ends with the last answer");
    }
    assert_eq!(inquiry.deadline(), None);
}

fn member() -> impl Strategy<Value = Member> {
    prop_oneof![
        Just(Member::Answers),
        (0_u64..2 * PATIENCE_MS).prop_map(Member::BusyUntil),
        Just(Member::Refuses),
        Just(Member::Silent),
    ]
}

proptest! {
    #[test]
    fn an_answer_is_found_whoever_has_it(members in proptest::collection::vec(member(), 1..12), width in 1_usize..5) {
        let last = PATIENCE_MS - 2 * PAUSE_MAX_MS;
        let helps = |member: &Member| match member {
            Member::Answers => true,
            Member::BusyUntil(free) => *free < last,
            Member::Refuses | Member::Silent | Member::AbsentUntil(_) => false,
        };
        let (found, when) = run(&members, width);
        prop_assert!(when.0 <= PATIENCE_MS);
        if members.iter().any(helps) {
            prop_assert!(found.is_some());
        }
        if let Some(found) = found {
            prop_assert!(!matches!(members[found], Member::Refuses | Member::Silent));
        }
    }
}
