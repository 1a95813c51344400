//! Which certificate of a blob a node keeps that asks others for the one it lacks.
//!
//! Promises: a certificate of the present epoch is kept if the committee's keys verify it. One of an epoch before cannot be
//! verified so, because nobody keeps the keys of those days; it is kept if members with more than a third of the shards gave the
//! same bytes, so that a correct one is among them, which kept it because it verified it or heard it from as many. Each member
//! counts once; whoever gives what cannot be the blob's certificate is to blame. Does not: ask, or blame whoever gives another
//! certificate of an epoch before: a blob may have several, and a liar cannot be told from a member that is right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::blob::BlobId;
use crate::certificate::Certificate;
use crate::committee::Committee;
use crate::message::{self, NetworkId};

/// What an answer was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is a certificate of the blob, and to be kept.
    Proven,
    /// It may be one: more members have to give it.
    Counted,
    /// It is of an epoch that we have not heard of: we are behind.
    Unknown,
    /// It is none: the member is to blame.
    Wrong,
}

/// What members gave as the certificate of one blob.
#[derive(Clone, Debug)]
pub struct CertificateAnswers {
    committee: Arc<Committee>,
    network: NetworkId,
    blob_id: BlobId,
    /// Members that were heard, for each to count once.
    heard: BTreeSet<usize>,
    /// Shards of the members that gave these bytes; as many entries as members at most.
    weights: BTreeMap<Vec<u8>, u16>,
}

impl CertificateAnswers {
    /// Nobody was asked yet.
    pub fn new(committee: Arc<Committee>, network: NetworkId, blob_id: BlobId) -> Self {
        let (heard, weights) = (BTreeSet::new(), BTreeMap::new());
        CertificateAnswers { committee, network, blob_id, heard, weights }
    }

    /// Judges what a member of the committee gave. Verifies a signature, which takes a millisecond.
    pub fn hear(&mut self, member: usize, bytes: &[u8]) -> Heard {
        let Ok(certificate) = Certificate::from_bytes(bytes) else { return Heard::Wrong };
        let Some(epoch) = message::epoch_of(&certificate.message) else { return Heard::Wrong };
        let message = &certificate.message;
        match message::read_blob_certificate_message(message, &self.network, epoch) {
            Ok((blob_id, _)) if blob_id == self.blob_id => {}
            _ => return Heard::Wrong,
        }
        if epoch > self.committee.epoch() {
            return Heard::Unknown;
        }
        if epoch == self.committee.epoch() {
            return match certificate.verify_signers(&self.committee) {
                Ok(()) => Heard::Proven,
                Err(_) => Heard::Wrong,
            };
        }
        if member >= self.committee.members().len() || !self.heard.insert(member) {
            return Heard::Counted;
        }
        let weight = self.weights.entry(bytes.to_vec()).or_default();
        *weight = weight.saturating_add(self.committee.weight(member));
        match self.committee.is_one_correct(*weight) {
            true => Heard::Proven,
            false => Heard::Counted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committee::tests::sample_committee;
    use crate::epoch::Epoch;
    use crate::message::{Persistence, blob_certificate_message, invalid_blob_message};

    const NETWORK: NetworkId = NetworkId::from_bytes([3; 32]);
    const BLOB: BlobId = BlobId::from_bytes([5; 32]);

    /// Seven members with a shard each, in epoch 1.
    fn answers() -> CertificateAnswers {
        CertificateAnswers::new(Arc::new(sample_committee(7, 7).0), NETWORK, BLOB)
    }

    /// What these members of the committee of epoch 1 sign.
    fn signed(message: &[u8], signers: &[usize]) -> Vec<u8> {
        let (committee, keys) = sample_committee(7, 7);
        let confirm = |index: &usize| (*index, keys[*index].sign(message));
        let confirmations: Vec<_> = signers.iter().map(confirm).collect();
        let certificate = Certificate::aggregate(&committee, message.to_vec(), &confirmations);
        certificate.expect("sound confirmations").to_bytes()
    }

    fn certificate(epoch: u32, signers: &[usize]) -> Vec<u8> {
        let message =
            blob_certificate_message(&NETWORK, Epoch(epoch), &BLOB, &Persistence::Permanent);
        signed(&message, signers)
    }

    #[test]
    fn one_of_this_epoch_is_kept_if_its_signatures_hold_and_else_its_giver_is_to_blame() {
        assert_eq!(answers().hear(3, &certificate(1, &[0, 1, 2, 4, 6])), Heard::Proven);
        assert_eq!(answers().hear(3, &certificate(1, &[0, 1, 2, 4])), Heard::Wrong, "no quorum");
        let mut forged = certificate(1, &[0, 1, 2, 4, 6]);
        forged[96 + 1] ^= 0b1010;
        let mut answers = answers();
        for member in 0..7 {
            assert_eq!(answers.hear(member, &forged), Heard::Wrong, "however many say so");
        }
    }

    #[test]
    fn one_of_an_epoch_before_is_kept_once_more_than_a_third_of_the_shards_gave_the_same() {
        let (right, other) = (certificate(0, &[0, 1, 2, 3, 4]), certificate(0, &[2, 3, 4, 5, 6]));
        let mut answers = answers();
        assert_eq!(answers.hear(1, &right), Heard::Counted);
        assert_eq!(answers.hear(1, &right), Heard::Counted, "a member counts once");
        assert_eq!(answers.hear(1, &other), Heard::Counted, "also if it says something else");
        assert_eq!(answers.hear(9, &right), Heard::Counted, "nobody has no word");
        assert_eq!(answers.hear(4, &other), Heard::Counted);
        assert_eq!(answers.hear(2, &other), Heard::Counted);
        assert_eq!(answers.hear(6, &right), Heard::Counted);
        assert_eq!(answers.hear(0, &right), Heard::Proven, "three of seven");
    }

    #[test]
    fn whoever_gives_what_is_no_certificate_of_the_blob_is_to_blame_whatever_its_epoch() {
        let all = [0, 1, 2, 3, 4, 5, 6];
        for epoch in [Epoch(0), Epoch(1), Epoch(2)] {
            let of = |network, blob| {
                blob_certificate_message(network, epoch, blob, &Persistence::Permanent)
            };
            let mut long = of(&NETWORK, &BLOB);
            long.push(0);
            for message in [
                of(&NetworkId::from_bytes([4; 32]), &BLOB),
                of(&NETWORK, &BlobId::from_bytes([6; 32])),
                invalid_blob_message(&NETWORK, epoch, &BLOB),
                long,
                Vec::new(),
            ] {
                assert_eq!(answers().hear(0, &signed(&message, &all)), Heard::Wrong);
            }
        }
        assert_eq!(answers().hear(0, b"noise"), Heard::Wrong);
        assert_eq!(answers().hear(0, &[]), Heard::Wrong);
        assert_eq!(answers().hear(0, &[7; 600]), Heard::Wrong);
    }

    #[test]
    fn one_of_an_epoch_to_come_proves_nothing_and_nobody_is_to_blame() {
        let mut answers = answers();
        for member in 0..7 {
            assert_eq!(answers.hear(member, &certificate(2, &[0, 1, 2, 3, 4])), Heard::Unknown);
        }
    }
}
