//! Until when a blob stays stored whatever its owners do, as members have read it on chain.
//!
//! Promises: nothing is believed that members with a third of the shards or less could have made up: one correct member
//! has seen a certified permanent object that lasts so long; a "no" is given as soon as the members still silent cannot
//! turn it. Does not: ask. A "no" may also mean that members are behind the chain, or silent: it proves nothing.

use std::cmp::Reverse;

use crate::committee::Committee;

/// What one member says, with the weight of its shards: the first epoch no permanent object covers, if there is one.
pub type Answer = (u16, Option<u32>);

/// What is known so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A correct member has seen a permanent object that lasts until this epoch.
    Until(u32),
    /// Nobody can be believed to have seen one that lasts long enough.
    No,
    /// The members still awaited decide.
    Open,
}

/// Whether a permanent object lasts until `wanted` at least; members of the weight `awaited` have not answered yet.
pub fn verdict(committee: &Committee, answers: &[Answer], awaited: u16, wanted: u32) -> Verdict {
    let mut claims: Vec<_> = answers
        .iter()
        .filter_map(|(weight, end)| Some((*weight, (*end)?)))
        .filter(|(_, end)| *end >= wanted)
        .collect();
    claims.sort_by_key(|(_, end)| Reverse(*end));
    let mut weight = 0u16;
    for (claimed, end) in claims {
        weight = weight.saturating_add(claimed);
        if committee.is_one_correct(weight) {
            return Verdict::Until(end);
        }
    }
    match committee.is_one_correct(weight.saturating_add(awaited)) {
        true => Verdict::Open,
        false => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committee::tests::sample_committee;

    fn of(answers: &[Answer], awaited: u16) -> Verdict {
        // Five members, ten shards: more than three shards hold a correct member.
        verdict(&sample_committee(5, 10).0, answers, awaited, 7)
    }

    #[test]
    fn a_third_of_the_shards_makes_nobody_believe_in_a_permanent_object() {
        assert_eq!(of(&[(3, Some(99)), (7, None)], 0), Verdict::No);
        assert_eq!(of(&[(4, Some(99)), (6, None)], 0), Verdict::Until(99));
        // A liar cannot make it last longer than a correct member has seen.
        assert_eq!(of(&[(2, Some(99)), (2, Some(8)), (6, None)], 0), Verdict::Until(8));
    }

    #[test]
    fn an_object_that_ends_before_the_wanted_epoch_is_no_answer() {
        assert_eq!(of(&[(10, Some(6))], 0), Verdict::No);
        assert_eq!(of(&[(10, Some(7))], 0), Verdict::Until(7));
    }

    #[test]
    fn silence_is_waited_for_only_while_it_can_turn_the_verdict() {
        assert_eq!(of(&[], 10), Verdict::Open);
        assert_eq!(of(&[(6, None)], 4), Verdict::Open);
        assert_eq!(of(&[(7, None)], 3), Verdict::No);
        assert_eq!(of(&[(1, Some(9)), (6, None)], 3), Verdict::Open);
        assert_eq!(of(&[(4, Some(9))], 6), Verdict::Until(9));
        assert_eq!(
            of(&[(1, Some(9)), (6, None)], 0),
            Verdict::No,
            "who never answers says nothing"
        );
    }
}
