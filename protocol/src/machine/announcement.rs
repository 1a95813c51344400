//! Which gossip to accept, ignore or reject.
//!
//! Promises: only certificates of the current committee are forwarded, each once; a peer that forwards a forged one is
//! blamed, one that is behind or ahead by an epoch is not. Does not: store anything or speak on its own.

use crate::blob::BlobId;
use crate::certificate::Certificate;
use crate::committee::Committee;
use crate::message::{self, NetworkId};
use crate::wire::announcement::Announcement;
use crate::wire::{self, ANNOUNCEMENT_BYTES_MAX};

/// What to do with a message heard on topic `blob`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// News: keep the certificate and pass the message on.
    Accept(BlobId, Box<Certificate>),
    /// Nothing new, or not for us to judge: do not pass it on, blame nobody.
    Ignore,
    /// Forged or malformed: blame the peer it came from.
    Reject(String),
}

/// Judges a message. `is_known` says whether the blob's certificate is held already; it is asked before the signature
/// is checked, which costs a millisecond.
pub fn judge(
    bytes: &[u8],
    committee: &Committee,
    network: &NetworkId,
    is_known: impl FnOnce(&BlobId) -> bool,
) -> Verdict {
    let reject = |error: &dyn std::fmt::Display| Verdict::Reject(error.to_string());
    if bytes.len() > ANNOUNCEMENT_BYTES_MAX as usize {
        return reject(&"the announcement is too long");
    }
    let certificate = match wire::decode::<Announcement>(bytes) {
        Ok(announcement) => Certificate::from_bytes(&announcement.certificate),
        Err(error) => return reject(&error),
    };
    let certificate = match certificate {
        Ok(certificate) => certificate,
        Err(error) => return reject(&error),
    };
    if message::epoch_of(&certificate.message) != Some(committee.epoch()) {
        return Verdict::Ignore;
    }
    let read =
        message::read_blob_certificate_message(&certificate.message, network, committee.epoch());
    match read {
        Ok((blob_id, _)) if is_known(&blob_id) => Verdict::Ignore,
        Ok((blob_id, _)) => match certificate.verify_signers(committee) {
            Ok(()) => Verdict::Accept(blob_id, Box::new(certificate)),
            Err(error) => reject(&error),
        },
        Err(error) => reject(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committee::tests::sample_committee;
    use crate::epoch::Epoch;
    use crate::message::Persistence;

    const NETWORK: NetworkId = NetworkId::from_bytes([3; 32]);

    fn announcement(epoch: Epoch, signers: &[usize]) -> Vec<u8> {
        let (committee, keys) = sample_committee(4, 4);
        let blob = BlobId::from_bytes([5; 32]);
        let message =
            message::blob_certificate_message(&NETWORK, epoch, &blob, &Persistence::Permanent);
        let confirm = |index: &usize| (*index, keys[*index].sign(&message));
        let confirmations: Vec<_> = signers.iter().map(confirm).collect();
        let certificate = Certificate::aggregate(&committee, message, &confirmations);
        let certificate = certificate.expect("sound confirmations").to_bytes();
        wire::encode(&Announcement { certificate })
    }

    #[test]
    fn news_are_accepted_once() {
        let (committee, _) = sample_committee(4, 4);
        let bytes = announcement(Epoch(1), &[0, 1, 2]);
        let fresh = judge(&bytes, &committee, &NETWORK, |_| false);
        assert!(matches!(fresh, Verdict::Accept(blob, _) if blob == BlobId::from_bytes([5; 32])));
        assert_eq!(judge(&bytes, &committee, &NETWORK, |_| true), Verdict::Ignore);
    }

    #[test]
    fn forgeries_are_rejected_and_other_epochs_ignored() {
        let (committee, _) = sample_committee(4, 4);
        let judged = |bytes: &[u8]| judge(bytes, &committee, &NETWORK, |_| false);
        assert!(matches!(judged(&announcement(Epoch(1), &[0, 1])), Verdict::Reject(_)));
        assert_eq!(judged(&announcement(Epoch(2), &[0, 1, 2])), Verdict::Ignore);
        assert!(matches!(judged(b"noise"), Verdict::Reject(_)));
        assert!(matches!(judged(&[0; 5000]), Verdict::Reject(_)));
        // Noise of any length is rejected; only what is too long is so for its length.
        let reason = |length: usize| match judged(&vec![0xff; length]) {
            Verdict::Reject(reason) => reason,
            other => panic!("{other:?}"),
        };
        let max = usize::try_from(ANNOUNCEMENT_BYTES_MAX).expect("64 bits");
        assert_ne!(reason(max), "the announcement is too long");
        assert_eq!(reason(max + 1), "the announcement is too long");
        let mut forged = announcement(Epoch(1), &[0, 1, 2]);
        let last = forged.len() - 2;
        forged[last] ^= 1;
        assert!(matches!(judged(&forged), Verdict::Reject(_)));
    }
}
