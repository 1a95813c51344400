//! What to believe when members say what they have read of a blob on chain.
//!
//! Promises: nothing is believed on the word of members with a third of the shards or less, so one correct member stands
//! behind every state and every epoch given out. Does not: ask; and a correct member may be behind the chain, which
//! is why "certified" outweighs "registered", and that "does not exist".

use std::cmp::Reverse;

use crate::committee::Committee;
use crate::wire::blob::State;

/// What one member says, with the weight of its shards.
pub type Answer = (u16, State);

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
            answers.iter().filter_map(|(weight, state)| Some((*weight, read(state)?))),
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

/// Whether the answers of the members still awaited, of this weight in all, cannot turn the state into "certified".
pub fn is_settled(committee: &Committee, answers: &[Answer], awaited: u16) -> bool {
    match state(committee, answers) {
        Some(State::Invalid | State::Certified { .. }) => true,
        Some(State::Nonexistent | State::Registered { .. } | State::Expired { .. }) => {
            let certified =
                answers.iter().filter(|(_, state)| matches!(state, State::Certified { .. }));
            let certified: u16 = certified.map(|(weight, _)| weight).sum();
            !committee.is_one_correct(certified + awaited)
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

    fn believed(answers: &[Answer]) -> Option<State> {
        state(&sample_committee(5, 10).0, answers)
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
        let (committee, _) = sample_committee(5, 10);
        assert!(!is_settled(&committee, &[(6, State::Nonexistent)], 4));
        assert!(is_settled(&committee, &[(8, State::Nonexistent)], 2));
        assert!(is_settled(&committee, &[(4, CERTIFIED)], 6));
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
    }
}
