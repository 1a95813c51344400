//! Confirmations of single nodes, and the certificate a quorum of them makes.
//!
//! Promises: a certificate that verifies was signed by members whose shards are a quorum of its epoch's committee,
//! each counted once. Order of checks as on chain: bitmap, weight, signature, then the message.

use crate::blob::BlobId;
use crate::committee::Committee;
use crate::crypto::{self, KeyError, Signature};
use crate::message::{self, MessageError, NetworkId, Persistence};

/// A quorum's signature over one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// A bit per member, lowest bit of the first byte first.
    pub signers: Vec<u8>,
    /// The exact bytes that were signed.
    pub message: Vec<u8>,
    /// The sum of the signers' signatures.
    pub signature: Signature,
}

/// Why a certificate proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Longer than the committee, or with bits past its end.
    #[error("the bitmap names members the committee does not have")]
    Bitmap,
    /// Too few shards stand behind it.
    #[error("the signers own {weight} shards; a quorum is {quorum}")]
    Weight {
        /// Shards of the signers.
        weight: u16,
        /// Least weight of a quorum.
        quorum: u16,
    },
    /// The signature does not belong to these signers and this message.
    #[error("the signature does not verify")]
    Signature,
    /// Signed, but something else.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Not well formed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Most bytes of a certificate: bitmap of 1000 members, message, signature, lengths.
pub const CERTIFICATE_BYTES_MAX: usize = 512;

impl Certificate {
    /// Adds up confirmations `(index of the member, its signature)` over `message`, without verifying them.
    pub fn aggregate(
        committee: &Committee,
        message: Vec<u8>,
        confirmations: &[(usize, Signature)],
    ) -> Result<Self, CertificateError> {
        let mut signers = vec![0; committee.members().len().div_ceil(8)];
        for (index, _) in confirmations {
            let byte = signers.get_mut(index / 8).ok_or(CertificateError::Bitmap)?;
            if *byte & (1 << (index % 8)) != 0 {
                return Err(CertificateError::Bitmap);
            }
            *byte |= 1 << (index % 8);
        }
        let signatures: Vec<_> = confirmations.iter().map(|(_, signature)| *signature).collect();
        Ok(Certificate { signers, message, signature: crypto::aggregate_signatures(&signatures)? })
    }

    /// Indexes of the members whose bits are set.
    pub fn signer_indexes(&self) -> impl Iterator<Item = usize> + '_ {
        let bits = self.signers.iter().enumerate();
        bits.flat_map(|(at, byte)| {
            (0..8).filter(move |bit| byte & (1 << bit) != 0).map(move |bit| at * 8 + bit)
        })
    }

    /// Checks bitmap, weight and signature against the committee.
    pub fn verify_signers(&self, committee: &Committee) -> Result<(), CertificateError> {
        let members = committee.members();
        if self.signers.len() > members.len().div_ceil(8) {
            return Err(CertificateError::Bitmap);
        }
        let (mut keys, mut weight) = (Vec::new(), 0);
        for index in self.signer_indexes() {
            keys.push(members.get(index).ok_or(CertificateError::Bitmap)?.public_key);
            weight += committee.weight(index);
        }
        if !committee.is_quorum(weight) {
            return Err(CertificateError::Weight { weight, quorum: committee.quorum() });
        }
        let key = crypto::aggregate_public_keys(&keys)?;
        match self.signature.verify(&key, &self.message) {
            true => Ok(()),
            false => Err(CertificateError::Signature),
        }
    }

    /// Verifies that the committee certifies a blob; says which and how persistent.
    pub fn verify_blob(
        &self,
        committee: &Committee,
        network: &NetworkId,
    ) -> Result<(BlobId, Persistence), CertificateError> {
        self.verify_signers(committee)?;
        Ok(message::read_blob_certificate_message(&self.message, network, committee.epoch())?)
    }

    /// Bytes for peers and the store: signature, length of the bitmap (u8), bitmap, message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.signature.to_bytes().to_vec();
        bytes.push(
            u8::try_from(self.signers.len()).expect("a committee has fewer than 2040 members"),
        );
        bytes.extend_from_slice(&self.signers);
        bytes.extend_from_slice(&self.message);
        bytes
    }

    /// Reads [`Certificate::to_bytes`]. Well formed is not yet verified.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CertificateError> {
        let malformed = CertificateError::Message(MessageError::Malformed);
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            return Err(malformed);
        }
        let (signature, rest) =
            bytes.split_at_checked(Signature::BYTES).ok_or(malformed.clone())?;
        let (length, rest) = rest.split_first().ok_or(malformed.clone())?;
        let (signers, message) = rest.split_at_checked(usize::from(*length)).ok_or(malformed)?;
        Ok(Certificate {
            signers: signers.to_vec(),
            message: message.to_vec(),
            signature: Signature::from_bytes(signature)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::committee::tests::sample_committee;
    use crate::crypto::SecretKey;
    use crate::epoch::Epoch;

    const NETWORK: NetworkId = NetworkId::from_bytes([3; 32]);

    fn message() -> Vec<u8> {
        let blob = BlobId::from_bytes([5; 32]);
        message::blob_certificate_message(&NETWORK, Epoch(1), &blob, &Persistence::Permanent)
    }

    fn certificate(committee: &Committee, keys: &[SecretKey], signers: &[usize]) -> Certificate {
        let confirm = |index: &usize| (*index, keys[*index].sign(&message()));
        let confirmations: Vec<_> = signers.iter().map(confirm).collect();
        Certificate::aggregate(committee, message(), &confirmations).expect("sound confirmations")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn exactly_the_quorums_certify(signers in proptest::collection::btree_set(0_usize..7, 1..8), shards in 7_u16..40) {
            let (committee, keys) = sample_committee(7, shards);
            let signers: Vec<_> = signers.into_iter().collect();
            let weight: u16 = signers.iter().map(|index| committee.weight(*index)).sum();
            let result = certificate(&committee, &keys, &signers).verify_blob(&committee, &NETWORK);
            prop_assert_eq!(result.is_ok(), committee.is_quorum(weight), "{:?}", result);
        }

        #[test]
        fn any_bytes_give_a_certificate_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Certificate::from_bytes(&bytes);
        }
    }

    #[test]
    fn certificates_read_what_they_write() {
        let (committee, keys) = sample_committee(9, 20);
        let certificate = certificate(&committee, &keys, &[0, 1, 2, 3, 4, 5, 8]);
        assert_eq!(Certificate::from_bytes(&certificate.to_bytes()), Ok(certificate));
    }

    #[test]
    fn a_signer_counts_once_and_only_if_it_is_a_member() {
        let (committee, keys) = sample_committee(4, 4);
        let signature = keys[0].sign(&message());
        let twice =
            Certificate::aggregate(&committee, message(), &[(0, signature), (0, signature)]);
        assert_eq!(twice, Err(CertificateError::Bitmap));
        let signature = keys[3].sign(&message());
        let twice =
            Certificate::aggregate(&committee, message(), &[(3, signature), (3, signature)]);
        assert_eq!(twice, Err(CertificateError::Bitmap), "also where the bit is not the lowest");
        let mut sound = certificate(&committee, &keys, &[0, 1, 2]);
        assert!(sound.verify_blob(&committee, &NETWORK).is_ok());
        sound.signers[0] |= 1 << 4;
        assert_eq!(sound.verify_signers(&committee), Err(CertificateError::Bitmap));
        sound.signers = vec![0b1011];
        assert_eq!(sound.verify_signers(&committee), Err(CertificateError::Signature));
        sound.signers = vec![0b0111, 0];
        assert_eq!(sound.verify_signers(&committee), Err(CertificateError::Bitmap));
    }

    #[test]
    fn a_certificate_of_another_network_or_message_is_refused() {
        let (committee, keys) = sample_committee(4, 4);
        let mut sound = certificate(&committee, &keys, &[0, 1, 2]);
        let other = NetworkId::from_bytes([4; 32]);
        let refused = sound.verify_blob(&committee, &other);
        assert_eq!(refused, Err(CertificateError::Message(MessageError::Network(NETWORK))));
        sound.message.push(0);
        assert_eq!(sound.verify_signers(&committee), Err(CertificateError::Signature));
    }

    #[test]
    fn signers_are_read_from_the_lowest_bit_of_the_first_byte() {
        let (committee, keys) = sample_committee(17, 34);
        let signers = [1, 7, 8, 10, 16];
        let certificate = certificate(&committee, &keys, &signers);
        assert_eq!(certificate.signers, [0b1000_0010, 0b0000_0101, 0b0000_0001]);
        assert!(certificate.signer_indexes().eq(signers));
    }

    #[test]
    fn a_certificate_of_512_bytes_is_read_and_a_longer_one_is_not() {
        let (committee, keys) = sample_committee(4, 4);
        let mut sound = certificate(&committee, &keys, &[0, 1, 2]);
        let more = CERTIFICATE_BYTES_MAX - sound.to_bytes().len();
        sound.message.extend(std::iter::repeat_n(0, more));
        let bytes = sound.to_bytes();
        assert_eq!(bytes.len(), 512);
        assert_eq!(Certificate::from_bytes(&bytes), Ok(sound));
        let malformed = Err(CertificateError::Message(MessageError::Malformed));
        assert_eq!(Certificate::from_bytes(&[&bytes[..], &[0]].concat()), malformed);
    }
}
