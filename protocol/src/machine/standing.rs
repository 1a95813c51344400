//! What to believe when members say what they have read of a blob on chain.
//!
//! Promises: nothing is believed on the word of members with a third of the shards or less, so one correct member stands
//! behind every state and every epoch given out; that a blob is *not* certified is settled by what correct members have
//! read of the ledger, never by how long others take to answer. Does not: ask; and a correct member may be behind the
//! chain, which is why "certified" outweighs "registered", and that "does not exist".

use std::cmp::Reverse;

use crate::committee::Committee;
use crate::wire::blob::State;

/// What one member says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The weight of its shards.
    pub weight: u16,
    /// The checkpoint up to which it has read the ledger.
    pub checkpoint: u64,
    /// What it read there.
    pub state: State,
}

/// The largest number that a correct member stands behind: one correct member says this much or more.
fn vouched(committee: &Committee, claims: impl Iterator<Item = (u16, u32)>) -> Option<u32> {
    let mut claims: Vec<_> = claims.collect();
    claims.sort_by_key(|(_, number)| Reverse(*number));
    let mut weight = 0;
    let is_enough = |(claimed, _): &(u16, u32)| {
        weight += claimed;
        committee.is_one_correct(weight)
    };
    claims.into_iter().find(is_enough).map(|(_, number)| number)
}

/// The state a correct member stands behind; nothing while too few answered.
pub fn state(committee: &Committee, answers: &[Answer]) -> Option<State> {
    let claim = |read: &dyn Fn(&State) -> Option<u32>| {
        vouched(
            committee,
            answers.iter().filter_map(|answer| Some((answer.weight, read(&answer.state)?))),
        )
    };
    let certified = |read: fn(u32, u32) -> u32| {
        claim(&|state| match state {
            State::Certified { certified_epoch, end_epoch } => {
                Some(read(*certified_epoch, *end_epoch))
            }
            State::Nonexistent
            | State::Registered { .. }
            | State::Expired { .. }
            | State::Invalid => None,
        })
    };
    let expired =
        || claim(&|state| matches!(state, State::Expired { .. }).then(|| end_epoch(state)));
    let known = |state: &State| !matches!(state, State::Nonexistent | State::Invalid);
    let registered = || claim(&|state| known(state).then(|| end_epoch(state)));
    let is_said = |wanted: State| claim(&|state| (*state == wanted).then_some(0)).is_some();
    if is_said(State::Invalid) {
        return Some(State::Invalid);
    }
    if let (Some(certified_epoch), Some(end_epoch)) =
        (certified(|epoch, _| epoch), certified(|_, end| end))
    {
        return Some(State::Certified { certified_epoch, end_epoch });
    }
    expired()
        .map(|end_epoch| State::Expired { end_epoch })
        .or_else(|| registered().map(|end_epoch| State::Registered { end_epoch }))
        .or_else(|| is_said(State::Nonexistent).then_some(State::Nonexistent))
}

/// Whether nothing can change the state any more: a correct member vouches for "certified"; or one that has read up to
/// `asked_at`, the checkpoint at which the question was asked, says that it was not certified there; or the members
/// still awaited, of this weight in all, are too few to say otherwise.
pub fn is_settled(committee: &Committee, answers: &[Answer], awaited: u16, asked_at: u64) -> bool {
    let weight_of = |holds: &dyn Fn(&Answer) -> bool| {
        let answers = answers.iter().filter(|answer| holds(answer));
        answers.map(|answer| answer.weight).sum::<u16>()
    };
    match state(committee, answers) {
        Some(State::Invalid | State::Certified { .. }) => true,
        Some(
            believed @ (State::Nonexistent | State::Registered { .. } | State::Expired { .. }),
        ) => {
            let same = std::mem::discriminant(&believed);
            let is_fresh = |answer: &Answer| {
                answer.checkpoint >= asked_at && std::mem::discriminant(&answer.state) == same
            };
            let is_certified = |answer: &Answer| matches!(answer.state, State::Certified { .. });
            committee.is_one_correct(weight_of(&is_fresh))
                || !committee.is_one_correct(weight_of(&is_certified) + awaited)
        }
        None => false,
    }
}

fn end_epoch(state: &State) -> u32 {
    match state {
        State::Registered { end_epoch }
        | State::Certified { end_epoch, .. }
        | State::Expired { end_epoch } => *end_epoch,
        State::Nonexistent | State::Invalid => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::committee::tests::sample_committee;

    const REGISTERED: State = State::Registered { end_epoch: 5 };
    const CERTIFIED: State = State::Certified { certified_epoch: 2, end_epoch: 5 };

    fn answers(said: &[(u16, u64, State)]) -> Vec<Answer> {
        let answer = |(weight, checkpoint, state): &(u16, u64, State)| Answer {
            weight: *weight,
            checkpoint: *checkpoint,
            state: *state,
        };
        said.iter().map(answer).collect()
    }

    fn believed(said: &[(u16, State)]) -> Option<State> {
        let said: Vec<_> = said.iter().map(|(weight, state)| (*weight, 0, *state)).collect();
        state(&sample_committee(5, 10).0, &answers(&said))
    }

    /// Whether this settles a question that was asked at checkpoint 100.
    fn settles(said: &[(u16, u64, State)], awaited: u16) -> bool {
        is_settled(&sample_committee(5, 10).0, &answers(said), awaited, 100)
    }

    #[test]
    fn a_liar_among_registered_answers_certifies_nothing() {
        let lie = State::Certified { certified_epoch: 1, end_epoch: 99 };
        assert_eq!(believed(&[(2, lie), (4, REGISTERED), (4, REGISTERED)]), Some(REGISTERED));
        assert_eq!(believed(&[(2, lie), (8, State::Nonexistent)]), Some(State::Nonexistent));
        assert_eq!(believed(&[(2, lie)]), None);
    }

    #[test]
    fn a_liar_cannot_prolong_a_blob() {
        let lie = State::Certified { certified_epoch: 9, end_epoch: 99 };
        assert_eq!(believed(&[(2, lie), (4, CERTIFIED), (4, CERTIFIED)]), Some(CERTIFIED));
    }

    #[test]
    fn members_behind_the_chain_do_not_hide_a_certificate() {
        assert_eq!(believed(&[(6, State::Nonexistent), (4, CERTIFIED)]), Some(CERTIFIED));
        assert!(!settles(&[(6, 99, State::Nonexistent)], 4));
        assert!(settles(&[(8, 99, State::Nonexistent)], 2), "the others are too few");
        assert!(settles(&[(4, 99, CERTIFIED)], 6));
    }

    #[test]
    fn one_correct_member_that_read_far_enough_settles_a_denial_without_the_others() {
        assert!(settles(&[(4, 100, State::Nonexistent)], 6));
        assert!(!settles(&[(3, 100, State::Nonexistent)], 7), "three shards may all lie");
        assert!(!settles(&[(2, 100, State::Nonexistent), (2, 99, State::Nonexistent)], 6));
        assert!(settles(&[(4, 101, REGISTERED)], 6));
        let mixed = [(2, 100, State::Nonexistent), (2, 100, REGISTERED)];
        assert!(!settles(&mixed, 6), "nobody correct stands behind either");
        let expired = State::Expired { end_epoch: 4 };
        assert!(settles(&[(4, 100, expired)], 6) && !settles(&[(4, 99, expired)], 6));
    }

    fn any_state() -> impl Strategy<Value = State> {
        prop_oneof![
            Just(State::Nonexistent),
            Just(State::Invalid),
            any::<u32>().prop_map(|end_epoch| State::Registered { end_epoch }),
            any::<u32>().prop_map(|end_epoch| State::Expired { end_epoch }),
            any::<(u32, u32)>().prop_map(|(certified_epoch, end_epoch)| State::Certified {
                certified_epoch,
                end_epoch
            }),
        ]
    }

    proptest! {
        #[test]
        fn whatever_a_third_of_the_shards_say_a_certified_blob_keeps_its_state(lies in proptest::collection::vec(any_state(), 3)) {
            let mut answers: Vec<_> = lies.into_iter().map(|lie| (1, lie)).collect();
            answers.push((7, CERTIFIED));
            prop_assert_eq!(believed(&answers), Some(CERTIFIED));
        }

        #[test]
        fn whatever_a_third_of_the_shards_say_a_certificate_is_not_denied(
            lies in proptest::collection::vec((any_state(), any::<u64>()), 3), behind in 0_u16..7,
        ) {
            // Correct members that have not read far enough know nothing yet.
            let mut said: Vec<_> = lies.iter().map(|(lie, at)| (1, *at, *lie)).collect();
            said.push((behind, 99, State::Nonexistent));
            let denied = state(&sample_committee(5, 10).0, &answers(&said)) == Some(State::Nonexistent);
            prop_assert!(!(denied && settles(&said, 7 - behind) && 7 - behind > 3));
        }
    }
}
