//! When a put may be called stored: what members have read on the ledger of the object that stands for it.
//!
//! Promises: nothing is believed that members with a third of the shards or less could have made up, so one correct member
//! has read, in checkpoints that it verified, that the object is certified, lasts as long as it should and cannot be
//! deleted if it should not; a denial comes only from members that have read as far as the claim is old, and a checkpoint that
//! is far beyond all that a quorum has read is not waited for. Does not: ask, or say whose object it is.

use crate::committee::Committee;
use crate::wire::blob::{ObjectState, ObjectStatus};

/// How far beyond what members have read a checkpoint is no checkpoint that they will read soon: minutes of any ledger, while a
/// member that is well is seconds late. A quorum that is later than that could not store anything either.
pub const FAR_OFF: u64 = 1_000;

/// What is claimed of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The first epoch that it does not have to cover.
    pub end_epoch: u32,
    /// Whether its owner may delete it before.
    pub deletable: bool,
}

/// What one member says, with the weight of its shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The weight.
    pub weight: u16,
    /// What it has read.
    pub status: ObjectStatus,
}

/// What is known so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A correct member has read that it is so.
    Seen,
    /// A correct member has read as far, and it is not so.
    Denied,
    /// The checkpoint since which it is to be so is far beyond what a quorum has read: whoever named it made it up, or is the
    /// only one who has it.
    FarOff,
    /// None of these: members are behind, silent, or contradict each other.
    Open,
}

impl Claim {
    /// Whether an object is as claimed, or better.
    pub fn holds(&self, object: &ObjectState) -> bool {
        let lasts = object.end_epoch >= self.end_epoch;
        object.is_certified && lasts && (self.deletable || !object.deletable)
    }

    /// Whether a member has read that it is so.
    pub fn is_seen(&self, status: &ObjectStatus) -> bool {
        status.object.as_ref().is_some_and(|object| self.holds(object))
    }
}

/// What members say together of a claim that is no younger than this checkpoint.
pub fn verdict(
    committee: &Committee,
    answers: &[Answer],
    claim: &Claim,
    checkpoint: u64,
) -> Verdict {
    let seen = weight(answers, |status| claim.is_seen(status));
    let denied =
        weight(answers, |status| !claim.is_seen(status) && status.checkpoint >= checkpoint);
    let far = weight(answers, |status| status.checkpoint.saturating_add(FAR_OFF) < checkpoint);
    match (committee.is_one_correct(seen), committee.is_one_correct(denied)) {
        (true, _) => Verdict::Seen,
        (false, true) => Verdict::Denied,
        (false, false) if committee.is_quorum(far) => Verdict::FarOff,
        (false, false) => Verdict::Open,
    }
}

/// The weight of the members whose answer is such.
pub fn weight(answers: &[Answer], is_such: impl Fn(&ObjectStatus) -> bool) -> u16 {
    let such = answers.iter().filter(|answer| is_such(&answer.status));
    such.map(|answer| answer.weight).fold(0, u16::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committee::tests::sample_committee;

    const CLAIM: Claim = Claim { end_epoch: 7, deletable: true };
    const GOOD: ObjectState = ObjectState { is_certified: true, end_epoch: 7, deletable: true };

    /// Five members, ten shards: more than three shards hold a correct member.
    fn of(said: &[(u16, u64, Option<ObjectState>)]) -> Verdict {
        let answer = |(weight, checkpoint, object): &(u16, u64, Option<ObjectState>)| Answer {
            weight: *weight,
            status: ObjectStatus { checkpoint: *checkpoint, object: *object },
        };
        let answers: Vec<_> = said.iter().map(answer).collect();
        verdict(&sample_committee(5, 10).0, &answers, &CLAIM, 100)
    }

    #[test]
    fn a_third_of_the_shards_neither_confirms_nor_denies() {
        assert_eq!(of(&[(3, 100, Some(GOOD))]), Verdict::Open);
        assert_eq!(of(&[(4, 100, Some(GOOD)), (6, 100, None)]), Verdict::Seen);
        assert_eq!(of(&[(3, 100, None)]), Verdict::Open);
        assert_eq!(of(&[(3, 100, Some(GOOD)), (4, 100, None)]), Verdict::Denied);
    }

    #[test]
    fn members_behind_the_claim_deny_nothing_and_confirm_what_they_have_seen() {
        assert_eq!(of(&[(10, 99, None)]), Verdict::Open);
        assert_eq!(of(&[(3, 99, None), (4, 100, None)]), Verdict::Denied);
        assert_eq!(of(&[(4, 99, Some(GOOD)), (6, 99, None)]), Verdict::Seen, "it was so before");
    }

    #[test]
    fn a_checkpoint_far_beyond_what_a_quorum_has_read_is_not_waited_for() {
        let (committee, _) = sample_committee(5, 10);
        let at = |claimed: u64, read: &[(u16, u64)]| {
            let answer = |(weight, checkpoint): &(u16, u64)| Answer {
                weight: *weight,
                status: ObjectStatus { checkpoint: *checkpoint, object: None },
            };
            let answers: Vec<_> = read.iter().map(answer).collect();
            verdict(&committee, &answers, &CLAIM, claimed)
        };
        assert_eq!(at(u64::MAX, &[(7, 100)]), Verdict::FarOff);
        assert_eq!(at(101 + FAR_OFF, &[(7, 100)]), Verdict::FarOff);
        assert_eq!(at(100 + FAR_OFF, &[(10, 100)]), Verdict::Open, "they may get there");
        assert_eq!(at(u64::MAX, &[(6, 100)]), Verdict::Open, "no quorum says so");
        assert_eq!(at(2_000, &[(6, 100), (3, 1_990)]), Verdict::Open, "somebody is near");
    }

    #[test]
    fn an_object_that_is_less_than_claimed_is_none() {
        for less in
            [ObjectState { is_certified: false, ..GOOD }, ObjectState { end_epoch: 6, ..GOOD }]
        {
            assert_eq!(of(&[(10, 100, Some(less))]), Verdict::Denied, "{less:?}");
        }
        assert_eq!(of(&[(10, 100, Some(ObjectState { end_epoch: 8, ..GOOD }))]), Verdict::Seen);
        let permanent = Claim { deletable: false, ..CLAIM };
        assert!(!permanent.holds(&GOOD) && CLAIM.holds(&ObjectState { deletable: false, ..GOOD }));
        assert!(permanent.holds(&ObjectState { deletable: false, ..GOOD }));
    }
}
