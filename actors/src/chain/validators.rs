//! The validators of a Sui epoch: whose signatures make a checkpoint certain.
//!
//! Promises: a checkpoint counts as signed only with the signatures of validators that hold more than two thirds of the
//! stake of its epoch; whatever comes as a committee, nothing panics.
//! Does not: know why a committee is believed; `anchor` does.

use std::fmt;
use std::sync::Arc;

use haulout_protocol::crypto::blake2b_256;
use sui_crypto::bls12381::ValidatorCommitteeSignatureVerifier;
use sui_sdk_types::{CheckpointSummary, ValidatorAggregatedSignature, ValidatorCommittee};

use crate::limits;

/// The validators of one Sui epoch; a cheap clone.
#[derive(Clone)]
pub(super) struct Validators {
    verifier: Arc<ValidatorCommitteeSignatureVerifier>,
}

impl fmt::Debug for Validators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validators").field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}

impl Validators {
    /// Checks that these can be validators: not too many, valid keys, stake that can be summed up.
    pub(super) fn new(committee: ValidatorCommittee) -> Result<Validators, String> {
        if committee.members.len() > limits::CHAIN_VALIDATORS_MAX {
            return Err(format!("{} validators are too many", committee.members.len()));
        }
        let stake = committee.members.iter().try_fold(0_u64, |sum, one| sum.checked_add(one.stake));
        if stake.is_none_or(|stake| stake == 0) {
            return Err("validators without stake".to_owned());
        }
        let verifier = ValidatorCommitteeSignatureVerifier::new(committee);
        let verifier =
            verifier.map_err(|error| format!("a validator's key is invalid: {error}"))?;
        Ok(Validators { verifier: Arc::new(verifier) })
    }

    /// Their Sui epoch.
    pub(super) fn epoch(&self) -> u64 {
        self.verifier.committee().epoch
    }

    /// What names them in a configuration.
    pub(super) fn digest(&self) -> [u8; 32] {
        blake2b_256(&[b"haulout sui validators", &self.to_bytes()])
    }

    /// The form in which they are kept.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        bcs::to_bytes(self.verifier.committee()).expect("keys and numbers always serialise")
    }

    /// Reads what [`Validators::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Validators, String> {
        Validators::new(bcs::from_bytes(bytes).map_err(|error| error.to_string())?)
    }

    /// Whether a quorum of them signed this. Takes about a millisecond.
    pub(super) fn signed(
        &self,
        summary: &CheckpointSummary,
        signature: &ValidatorAggregatedSignature,
    ) -> bool {
        // The verifier looks at the epoch the signature claims; the summary's must be the same.
        summary.epoch == self.epoch()
            && self.verifier.verify_checkpoint_summary(summary, signature).is_ok()
    }

    /// The validators after a checkpoint that these have signed; nothing if their epoch goes on.
    pub(super) fn after(summary: &CheckpointSummary) -> Option<Result<Validators, String>> {
        let end = summary.end_of_epoch_data.as_ref()?;
        let (epoch, members) = (summary.epoch.saturating_add(1), end.next_epoch_committee.clone());
        Some(Validators::new(ValidatorCommittee { epoch, members }))
    }
}

/// The digest under which a configuration may name validators, for whoever writes one.
pub fn validators_digest(committee: ValidatorCommittee) -> Result<[u8; 32], String> {
    Ok(Validators::new(committee)?.digest())
}
