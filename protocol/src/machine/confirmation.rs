//! When a node signs that it stores a blob.
//!
//! Promises: signs only what the ledger's registration, as the confirmation names it, and every sliver of all the node's
//! shards stand behind, and only while the ledger is believed; says what is missing otherwise, so that a writer knows
//! whether to wait, to send again, or to give up. Does not: read the ledger or the store, or sign.

use crate::wire::Refusal;

/// What the ledger says of the blob, as the confirmation would name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Nothing, as far as the node has read.
    Unseen,
    /// Somebody pays for it.
    Seen,
    /// It was proven to be encoded wrongly.
    Invalid,
}

/// What a node knows when it is asked for its confirmation, all of it of one position in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What the ledger says.
    pub registration: Registration,
    /// Whether the node has shards in the committee of the epoch that it would sign for.
    pub is_member: bool,
    /// Whether the header, and the proof and both slivers of each of those shards in each segment, are durable.
    pub is_durable: bool,
    /// Whether the ledger is believed, so that what it says may be acted on.
    pub may_act: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Sign for the epoch of the facts.
    Sign,
    /// The registration may still come: judge again when more was read of the ledger.
    Wait,
    /// Something is not here: the writer must send it again.
    Incomplete,
    /// Not this time.
    Refuse(Refusal),
}

/// Judges; `retry_after_ms` is what a writer hears who may ask again soon.
pub fn judge(facts: &Facts, retry_after_ms: u32) -> Verdict {
    match facts.registration {
        Registration::Invalid => {
            let reason = "the blob was proven to be encoded wrongly".to_owned();
            return Verdict::Refuse(Refusal::Invalid(reason));
        }
        Registration::Unseen => return Verdict::Wait,
        Registration::Seen => {}
    }
    if !facts.is_member {
        return Verdict::Refuse(Refusal::NotMember);
    }
    if !facts.is_durable {
        return Verdict::Incomplete;
    }
    if !facts.may_act {
        // The ledger may prove itself again, or go on to where we are: the writer asks again.
        return Verdict::Refuse(Refusal::Busy { retry_after_ms });
    }
    Verdict::Sign
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Facts = Facts {
        registration: Registration::Seen,
        is_member: true,
        is_durable: true,
        may_act: true,
    };

    #[test]
    fn a_node_signs_only_when_nothing_is_missing() {
        assert_eq!(judge(&ALL, 5), Verdict::Sign);
        let unseen = Facts { registration: Registration::Unseen, ..ALL };
        assert_eq!(judge(&unseen, 5), Verdict::Wait);
        let invalid = Facts { registration: Registration::Invalid, ..ALL };
        assert!(matches!(judge(&invalid, 5), Verdict::Refuse(Refusal::Invalid(_))));
        let stranger = Facts { is_member: false, ..ALL };
        assert_eq!(judge(&stranger, 5), Verdict::Refuse(Refusal::NotMember));
        let lacking = Facts { is_durable: false, ..ALL };
        assert_eq!(judge(&lacking, 5), Verdict::Incomplete);
        let doubting = Facts { may_act: false, ..ALL };
        let busy = Refusal::Busy { retry_after_ms: 5 };
        assert_eq!(judge(&doubting, 5), Verdict::Refuse(busy));
    }
}
