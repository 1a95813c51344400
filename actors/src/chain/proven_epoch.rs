//! The network's epoch on the word of the ledger's validators, for those who lose something if a server makes it up.
//!
//! Promises: an epoch that is given out had begun at a checkpoint that is proven like any other; a server that makes up
//! the state of the network, or the transaction that wrote it, is found out by a digest.
//! Does not: say that no later epoch began since.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::Staking;
use haulout_protocol::machine::ledger_history::{Doubt, Verdict, Verified};
use sui_sdk_types::Object;

use super::checkpoints::Start;
use super::error::{CallError, FollowError};
use super::handle::Chain;
use super::proof::Written;

impl Chain {
    /// An epoch that had begun, proven from `chain.trusted` on; without it, as far as those are validators whom the
    /// server names.
    pub async fn proven_epoch(&self) -> Result<u32, FollowError> {
        let id = self.shared.options.staking;
        let found = self.object_with(&["bcs"], &id, "the state of the network").await?;
        let state: Object = found.bcs().deserialize().map_err(CallError::unreadable)?;
        let value = state.as_struct().map(|value| value.contents());
        let staking: Staking = value
            .and_then(|value| bcs::from_bytes(value).ok())
            .ok_or_else(|| CallError::unreadable("the state of the network"))?;
        self.prove_written(&id, &state).await?;
        Ok(staking.epoch)
    }

    /// Makes sure that a checkpoint which is proven has this version of an object.
    pub(super) async fn prove_written(
        &self,
        id: &ObjectId,
        object: &Object,
    ) -> Result<(), FollowError> {
        let transaction = object.previous_transaction().to_string();
        let what = format!("checkpoint of the transaction {transaction}");
        let found = self.look_up(&transaction).await?.and_then(|found| found.checkpoint);
        let sequence = found.ok_or(CallError::NotFound { what })?;
        // Whatever came before is not asked about: what counts is who signed this one.
        let before = |sequence| Verified { sequence, digest: None, time_ms: 0 };
        let start = Start { last: sequence.checked_sub(1).map(before), validators: None };
        let batch = self.checkpoints(start).with(*id).next_batch().await?;
        let version = object.version();
        let digest = object.digest().into_inner();
        let is_this =
            |one: &Written| one.id == *id && one.version == version && one.digest == digest;
        let mut proven = batch.iter().filter(|checkpoint| checkpoint.sequence == sequence);
        match proven.any(|checkpoint| checkpoint.written.iter().any(is_this)) {
            true => Ok(()),
            false => Err(Doubt { verdict: Verdict::Forged, checkpoint: sequence }.into()),
        }
    }
}
