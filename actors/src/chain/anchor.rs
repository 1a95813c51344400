//! Where belief in a ledger begins: a checkpoint that a person named, and the validators after it.
//!
//! Promises: from a trusted checkpoint on, nobody is believed to be a validator whom the validators
//! of the Sui epoch before did not name. Without one, the first answer is believed, aloud.
//! Does not: keep what it found; whoever follows the ledger does.

use haulout_protocol::machine::ledger_history::{Doubt, TrustedCheckpoint, Verdict};
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::ValidatorCommittee;
use tracing::{info, warn};

use super::error::{CallError, FollowError};
use super::handle::Chain;
use super::proof::{CHECKPOINT_FIELDS, Unproven};
use super::validators::Validators;
use crate::limits;

/// What we read of a Sui epoch.
const EPOCH_FIELDS: [&str; 3] = ["epoch", "committee", "last_checkpoint"];

impl Chain {
    /// The validators of a Sui epoch, as far as what is trusted leads to them; they are to prove the
    /// checkpoint of this number.
    pub(super) async fn validators_of(
        &self,
        epoch: u64,
        sequence: u64,
    ) -> Result<Validators, FollowError> {
        let mut validators = match &self.shared.options.trusted {
            Some(trusted) => self.validators_after(trusted).await?,
            None if self.has_choice() => {
                warn!(
                    "chain.trusted is not set: the validators that most servers name are believed"
                );
                return self.agreed_validators(epoch, sequence).await;
            }
            None => {
                warn!(
                    ledger = %self.url(),
                    "chain.trusted is not set: the validators that this server names are believed"
                );
                return self.claimed_validators(epoch).await;
            }
        };
        validators = self.walk(validators, epoch).await?;
        info!(sui_epoch = validators.epoch(), "the ledger's validators are known");
        Ok(validators)
    }

    /// From the validators of one Sui epoch to those of a later one, each named by those before.
    pub(super) async fn walk(
        &self,
        mut validators: Validators,
        epoch: u64,
    ) -> Result<Validators, FollowError> {
        for _ in 0..limits::CHAIN_EPOCHS_WALKED_MAX {
            if validators.epoch() >= epoch {
                break;
            }
            validators = self.successors_of(&validators).await?;
        }
        Ok(validators)
    }

    /// The validators that a trusted checkpoint, or whoever named it, vouches for.
    async fn validators_after(
        &self,
        trusted: &TrustedCheckpoint,
    ) -> Result<Validators, FollowError> {
        let shown = self.shown_or_gap(trusted.sequence).await?;
        let doubt = |verdict| Doubt { verdict, checkpoint: trusted.sequence };
        if shown.digest() != trusted.digest {
            return Err(doubt(Verdict::Fork).into());
        }
        let Some(named) = trusted.validators else {
            let next = Validators::after(shown.summary());
            let next = next.ok_or(FollowError::NoEnd { sequence: trusted.sequence })?;
            return Ok(next.map_err(CallError::unreadable)?);
        };
        let claimed = self.claimed_validators(shown.epoch()).await?;
        match claimed.digest() == named {
            true => Ok(claimed),
            false => Err(doubt(Verdict::Forged).into()),
        }
    }

    /// The validators that these named when their Sui epoch ended.
    async fn successors_of(&self, validators: &Validators) -> Result<Validators, FollowError> {
        let epoch = self.sui_epoch(validators.epoch()).await?;
        let last = epoch.last_checkpoint_opt().ok_or_else(|| {
            CallError::unreadable(format!("Sui epoch {} has no end", validators.epoch()))
        })?;
        let shown = self.shown_or_gap(last).await?;
        let next = Validators::after(shown.summary()).filter(|_| shown.is_signed(validators));
        let forged = Doubt { verdict: Verdict::Forged, checkpoint: last };
        Ok(next.ok_or(forged)?.map_err(CallError::unreadable)?)
    }

    /// The validators of a Sui epoch, on the ledger's own word.
    pub(super) async fn claimed_validators(&self, epoch: u64) -> Result<Validators, FollowError> {
        let claimed = self.sui_epoch(epoch).await?;
        let committee = ValidatorCommittee::try_from(claimed.committee());
        let committee = committee.map_err(CallError::unreadable)?;
        if committee.epoch != epoch {
            let what = format!("validators of Sui epoch {}, not {epoch}", committee.epoch);
            return Err(CallError::unreadable(what).into());
        }
        Ok(Validators::new(committee).map_err(CallError::unreadable)?)
    }

    async fn sui_epoch(&self, epoch: u64) -> Result<proto::Epoch, CallError> {
        let request = proto::GetEpochRequest::default()
            .with_epoch(epoch)
            .with_read_mask(FieldMask::from_paths(EPOCH_FIELDS));
        let what = format!("Sui epoch {epoch}");
        let answer = self.ask(&what, |client| {
            let (mut client, request) = (client.clone().ledger_client(), request.clone());
            async move { client.get_epoch(request).await }
        });
        Ok(answer.await?.epoch().clone())
    }

    /// As [`Chain::shown`], of one that a ledger which has later ones must have.
    pub(super) async fn shown_or_gap(&self, sequence: u64) -> Result<Unproven, FollowError> {
        self.shown(sequence).await.map_err(|error| match error {
            CallError::NotFound { .. } => {
                Doubt { verdict: Verdict::Gap, checkpoint: sequence }.into()
            }
            error => error.into(),
        })
    }

    /// The last checkpoint there is, as the ledger shows it.
    pub(super) async fn latest_shown(&self) -> Result<Unproven, CallError> {
        self.show(proto::GetCheckpointRequest::latest(), "the last checkpoint").await
    }

    async fn show(
        &self,
        request: proto::GetCheckpointRequest,
        what: &str,
    ) -> Result<Unproven, CallError> {
        let request = request.with_read_mask(FieldMask::from_paths(CHECKPOINT_FIELDS));
        let answer = self.ask(what, |client| {
            let (mut client, request) = (client.clone().ledger_client(), request.clone());
            async move { client.get_checkpoint(request).await }
        });
        Unproven::read(answer.await?.checkpoint())
    }

    /// One checkpoint that exists, as the ledger shows it.
    pub(super) async fn shown(&self, sequence: u64) -> Result<Unproven, CallError> {
        let what = format!("checkpoint {sequence}");
        let request = proto::GetCheckpointRequest::by_sequence_number(sequence);
        let shown = self.show(request, &what).await?;
        match shown.sequence() == sequence {
            true => Ok(shown),
            false => {
                let what = format!("asked for {what}, got {}", shown.sequence());
                Err(CallError::unreadable(what))
            }
        }
    }
}
