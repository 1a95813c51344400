//! When a node says that a blob was encoded wrongly, and when enough of them have said so.
//!
//! Promises: a node looks at evidence only of blobs that the network answers for, and while it believes the ledger; a
//! signature counts once, for its member and epoch, and only if it verifies. Does not: check evidence, ask, or sign.
//! Source: `contracts.md` on invalid blobs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::blob::BlobId;
use crate::certificate::Certificate;
use crate::committee::Committee;
use crate::crypto::Signature;
use crate::epoch::Epoch;
use crate::message::{NetworkId, invalid_blob_message};
use crate::wire::Refusal;

/// What the ledger says of the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody answers for it, as far as the node has read.
    Uncertified,
    /// The network answers for it.
    Certified,
    /// It is invalid already.
    Invalid,
}

/// What a node knows that is asked for its verdict, all of it of one position in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What the ledger says.
    pub standing: Standing,
    /// Whether the node has shards in the committee of the epoch that it would sign for, and a key to sign with.
    pub is_member: bool,
    /// Whether the ledger is believed, and our keys are those that it lists.
    pub may_act: bool,
}

/// Whether the node looks at evidence, and signs if it holds. `retry_after_ms` is what whoever asks hears who may ask again
/// soon.
///
/// # Errors
/// Why not.
pub fn judge(facts: &Facts, retry_after_ms: u32) -> Result<(), Refusal> {
    match facts.standing {
        // Whoever asks has read it, so the ledger may show it here, too.
        Standing::Uncertified => return Err(Refusal::NotRegistered),
        Standing::Invalid => {
            return Err(Refusal::Invalid("the ledger calls the blob invalid already".to_owned()));
        }
        Standing::Certified => {}
    }
    if !facts.is_member {
        return Err(Refusal::NotMember);
    }
    if !facts.may_act {
        return Err(Refusal::Busy { retry_after_ms });
    }
    Ok(())
}

/// What a signature that came was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It counts.
    Counted,
    /// It is for another epoch: the member is behind, or we are.
    OtherEpoch,
    /// It does not verify: the member is to blame.
    Wrong,
}

/// The signatures that say of one blob that it is invalid.
#[derive(Clone, Debug)]
pub struct Tally {
    committee: Arc<Committee>,
    message: Vec<u8>,
    signed: BTreeMap<usize, Signature>,
}

impl Tally {
    /// None yet.
    pub fn new(committee: Arc<Committee>, network: &NetworkId, blob_id: &BlobId) -> Self {
        let message = invalid_blob_message(network, committee.epoch(), blob_id);
        Tally { committee, message, signed: BTreeMap::new() }
    }

    /// What is signed.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Counts a member's signature, if it is one.
    pub fn hear(&mut self, member: usize, epoch: Epoch, signature: &[u8; 96]) -> Heard {
        if epoch != self.committee.epoch() {
            return Heard::OtherEpoch;
        }
        let signature = Signature::from_bytes(signature).ok();
        let member = self.committee.members().get(member).map(|it| (member, it.public_key));
        match (signature, member) {
            (Some(signature), Some((member, key))) if signature.verify(&key, &self.message) => {
                self.signed.insert(member, signature);
                Heard::Counted
            }
            _ => Heard::Wrong,
        }
    }

    /// The weight of those who signed.
    pub fn weight(&self) -> u16 {
        let weights = self.signed.keys().map(|member| self.committee.weight(*member));
        weights.fold(0, u16::saturating_add)
    }

    /// What the ledger takes, once a correct member must be among those who signed.
    pub fn certificate(&self) -> Option<Certificate> {
        if !self.committee.is_one_correct(self.weight()) {
            return None;
        }
        let signed: Vec<_> = self.signed.iter().map(|(member, it)| (*member, *it)).collect();
        Certificate::aggregate(&self.committee, self.message.clone(), &signed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committee::tests::sample_committee;
    use crate::message::read_invalid_blob_message;

    const ALL: Facts = Facts { standing: Standing::Certified, is_member: true, may_act: true };
    const NETWORK: NetworkId = NetworkId::from_bytes([3; 32]);
    const BLOB: BlobId = BlobId::from_bytes([5; 32]);

    #[test]
    fn evidence_is_looked_at_only_where_it_can_be_acted_on() {
        assert_eq!(judge(&ALL, 5), Ok(()));
        let unread = Facts { standing: Standing::Uncertified, ..ALL };
        assert_eq!(judge(&unread, 5), Err(Refusal::NotRegistered));
        let done = Facts { standing: Standing::Invalid, ..ALL };
        assert!(matches!(judge(&done, 5), Err(Refusal::Invalid(_))));
        let stranger = Facts { is_member: false, ..ALL };
        assert_eq!(judge(&stranger, 5), Err(Refusal::NotMember));
        let doubting = Facts { may_act: false, ..ALL };
        assert_eq!(judge(&doubting, 5), Err(Refusal::Busy { retry_after_ms: 5 }));
    }

    #[test]
    fn signatures_of_more_than_a_third_of_the_shards_are_what_the_ledger_takes() {
        // Five members, two shards of ten each.
        let (committee, keys) = sample_committee(5, 10);
        let epoch = committee.epoch();
        let mut tally = Tally::new(Arc::new(committee.clone()), &NETWORK, &BLOB);
        let signed = |member: usize, message: &[u8]| keys[member].sign(message).to_bytes();
        let message = tally.message().to_vec();
        assert_eq!(read_invalid_blob_message(&message, &NETWORK, epoch), Ok(BLOB));
        assert_eq!(tally.hear(3, epoch, &signed(3, &message)), Heard::Counted);
        assert_eq!(tally.hear(3, epoch, &signed(3, &message)), Heard::Counted);
        assert_eq!((tally.weight(), tally.certificate()), (2, None), "a member counts once");
        assert_eq!(tally.hear(1, Epoch(epoch.0 + 1), &signed(1, &message)), Heard::OtherEpoch);
        assert_eq!(tally.hear(1, epoch, &signed(2, &message)), Heard::Wrong, "another's");
        assert_eq!(tally.hear(1, epoch, &signed(1, b"other")), Heard::Wrong);
        assert_eq!(tally.hear(1, epoch, &[0; 96]), Heard::Wrong, "no signature at all");
        assert_eq!(tally.hear(5, epoch, &signed(1, &message)), Heard::Wrong, "no such member");
        assert_eq!((tally.weight(), tally.certificate()), (2, None));
        assert_eq!(tally.hear(1, epoch, &signed(1, &message)), Heard::Counted);
        let certificate = tally.certificate().expect("four of ten shards");
        assert!(certificate.signer_indexes().eq([1, 3]));
        assert_eq!(certificate.message, message);
        let keys: Vec<_> = [1, 3].map(|at: usize| committee.members()[at].public_key).to_vec();
        let key = crate::crypto::aggregate_public_keys(&keys).expect("sound keys");
        assert!(certificate.signature.verify(&key, &message));
    }
}
