//! Submitting a transaction: sign once, send until its fate is known.
//!
//! Promises: a transaction is signed once; whatever happens to the connection, only those bytes are
//! sent again, and the ledger executes a digest once. A transaction is built anew only when the
//! ledger said that it did not take the old one.
//! Does not: know what is in a transaction (`draft` and those who use it do), or remember anything
//! across a restart of the program; the caller's journal does.

use haulout_protocol::chain::event::Event;
use sui_rpc::client::ExecuteAndWaitError;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Transaction, UserSignature};
use tracing::debug;

use super::checkpoints::decode_events;
use super::error::execution_error;
use super::{CallError, Chain, Wallet};
use crate::limits;

/// The parts of an executed transaction we read.
const RESULT_FIELDS: [&str; 5] =
    ["digest", "effects.status", "effects.gas_used", "events", "checkpoint"];

/// An executed, successful transaction.
pub(super) struct Executed {
    pub(super) digest: String,
    pub(super) checkpoint: Option<u64>,
    pub(super) events: Vec<Event>,
    pub(super) gas: u64,
}

impl Chain {
    /// Builds, signs and executes; builds anew as long as the ledger did not take the transaction.
    pub(super) async fn run<Build, Built>(
        &self,
        wallet: &Wallet,
        build: Build,
    ) -> Result<Executed, CallError>
    where
        Build: Fn() -> Built,
        Built: Future<Output = Result<Transaction, CallError>>,
    {
        // Transactions of one wallet spend the same coins: one after the other, none is in vain.
        let _turn = self.shared.turn.lock().await;
        let mut attempt = 1;
        loop {
            match self.attempt(wallet, build().await).await {
                Err(CallError::Rejected { reason }) if attempt < limits::CHAIN_REBUILDS_MAX => {
                    debug!(%reason, attempt, "transaction was not taken, building it anew");
                    tokio::time::sleep(limits::CHAIN_BACKOFF_MIN * attempt).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// Signs and executes a transaction that could be built.
    async fn attempt(
        &self,
        wallet: &Wallet,
        built: Result<Transaction, CallError>,
    ) -> Result<Executed, CallError> {
        let transaction = built?;
        let signature = wallet.sign(&transaction)?;
        self.execute(wallet, transaction, signature).await
    }

    /// Sends one signed transaction until its fate is known.
    async fn execute(
        &self,
        wallet: &Wallet,
        transaction: Transaction,
        signature: UserSignature,
    ) -> Result<Executed, CallError> {
        let digest = transaction.digest().to_string();
        let request = proto::ExecuteTransactionRequest::default()
            .with_transaction(transaction)
            .with_signatures(vec![signature.into()])
            .with_read_mask(FieldMask::from_paths(RESULT_FIELDS));
        let wait = limits::CHAIN_CHECKPOINT_TIMEOUT;
        for attempt in 1..=limits::CHAIN_SUBMISSIONS_MAX {
            let mut client = self.client.clone();
            let sent = client.execute_transaction_and_wait_for_checkpoint(request.clone(), wait);
            let response = match sent.await {
                Ok(response)
                | Err(ExecuteAndWaitError::CheckpointTimeout(response))
                | Err(ExecuteAndWaitError::CheckpointStreamError { response, .. }) => response,
                Err(ExecuteAndWaitError::RpcError(status)) => {
                    match self.call_error(&status, "transaction") {
                        CallError::Unreachable { reason, .. } => {
                            debug!(digest, reason, attempt, "sending the same transaction again");
                            tokio::time::sleep(limits::CHAIN_BACKOFF_MIN * (1 << attempt)).await;
                            continue;
                        }
                        error => return Err(error),
                    }
                }
                Err(error) => return Err(CallError::unreadable(error)),
            };
            return self.judge(wallet, digest, response.get_ref().transaction());
        }
        Err(CallError::Unconfirmed { digest })
    }

    /// Reads what an executed transaction did.
    fn judge(
        &self,
        wallet: &Wallet,
        digest: String,
        transaction: &proto::ExecutedTransaction,
    ) -> Result<Executed, CallError> {
        let status = transaction.effects().status();
        if !status.success() {
            return Err(execution_error(status.error(), &wallet.to_string()));
        }
        let gas = transaction.effects().gas_used();
        let spent = gas.computation_cost().saturating_add(gas.storage_cost());
        Ok(Executed {
            digest,
            checkpoint: transaction.checkpoint,
            events: decode_events(&self.shared.package, transaction)?,
            gas: spent.saturating_sub(gas.storage_rebate()),
        })
    }
}
