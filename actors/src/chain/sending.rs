//! Sending a signed transaction until its fate is known.
//!
//! Promises: only the same bytes are sent again; a refusal is asked about at every server, and one that knows the transaction
//! is heard before the one that denies it; a fate that nobody knows is called so.
//! Does not: build anything, or decide whether another one may be signed (`submit` and `rivals` do).

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::Transaction;
use tokio::time::timeout;
use tonic::Code;
use tracing::debug;

use super::checkpoints::decode_events;
use super::coins::Coin;
use super::error::CallError;
use super::error::execution_error;
use super::handle::Chain;
use super::named::inputs;
use super::patience::Patience;
use super::submit::{Executed, Failed, Refused};
use super::wallet::Wallet;
use crate::limits;

/// The parts of an executed transaction we read.
const RESULT_FIELDS: [&str; 9] = [
    "digest",
    "effects.status",
    "effects.gas_used",
    "events",
    "checkpoint",
    "objects.objects.object_id",
    "objects.objects.version",
    "objects.objects.digest",
    "objects.objects.balance",
];

impl Chain {
    /// Signs a transaction and sends it until its fate is known, to this server first. Why one does not take it, that one says.
    pub(super) async fn send(
        &self,
        wallet: &Wallet,
        transaction: Transaction,
        mut server: usize,
    ) -> Result<Executed, Failed> {
        let signature = wallet.sign(&transaction).map_err(|error| Failed::Final(error.into()))?;
        let (digest, inputs) = (transaction.digest().to_string(), inputs(&transaction));
        let gas = Some(transaction.gas_payment.budget);
        let signed = transaction.clone();
        let request = proto::ExecuteTransactionRequest::default()
            .with_transaction(transaction)
            .with_signatures(vec![signature.into()])
            .with_read_mask(FieldMask::from_paths(RESULT_FIELDS));
        let mut patience = Patience::new(self.patience.max(limits::CHAIN_SUBMISSION_PATIENCE_MIN));
        let mut is_in_doubt = false;
        loop {
            let at = self.at(server);
            let mut client = self.servers[server].client.clone().execution_client();
            let status = match client.execute_transaction(request.clone()).await {
                Ok(answer) => {
                    self.answered(server);
                    let done = at.judge(wallet, (digest, &request), answer.get_ref().transaction());
                    return done.map_err(Failed::Final);
                }
                Err(status) => status,
            };
            let error = self.call_error(&status, "transaction");
            if matches!(error, CallError::Unreachable { .. }) {
                is_in_doubt = true;
                self.fell_silent(server);
                server = self.server();
                debug!(digest, %error, "sending the same transaction again");
                if !self.wait_out(&mut patience, &error).await {
                    return Err(Failed::Final(CallError::Unconfirmed { digest }));
                }
                continue;
            }
            // First what moved, then whether it was executed: the other way round, our own
            // transaction could be what moved them.
            let error = at.refusal(wallet, &status, (&inputs, is_in_doubt), gas).await;
            let asked = at.look_up(&digest).await;
            let is_denied = matches!(asked, Ok(None));
            let (by, found, denied_by) = match asked {
                Ok(Some(found)) => (server, Some(found), 0),
                Ok(None) => self.look_up_at_others(server, &digest, 1).await,
                Err(_) => self.look_up_at_others(server, &digest, 0).await,
            };
            if let Some(found) = found {
                let done = self.at(by).judge(wallet, (digest, &request), &found);
                return done.map_err(Failed::Final);
            }
            // What has no answer and can still happen must not be paid beside another.
            let can_happen = is_in_doubt && !matches!(error, CallError::Contended { .. });
            return Err(match is_denied && !can_happen {
                true => {
                    Failed::Refused(Refused { error, transaction: Box::new(signed), denied_by })
                }
                false => Failed::Final(CallError::Unconfirmed { digest }),
            });
        }
    }

    /// What the other servers know of a transaction that one of them refused: who has it, and how many deny it, with those who
    /// did before.
    async fn look_up_at_others(
        &self,
        refused_by: usize,
        digest: &str,
        mut denied_by: usize,
    ) -> (usize, Option<proto::ExecutedTransaction>, usize) {
        let others = (0..self.servers.len()).filter(|server| *server != refused_by);
        let ask = |server| async move {
            let chain = self.at(server).impatient();
            (server, timeout(limits::CHAIN_OTHER_SERVER_AFTER, chain.look_up(digest)).await)
        };
        let mut asked: FuturesUnordered<_> = others.map(ask).collect();
        while let Some((server, found)) = asked.next().await {
            match found {
                Ok(Ok(Some(found))) => return (server, Some(found), denied_by),
                Ok(Ok(None)) => denied_by += 1,
                Ok(Err(error)) => debug!(%error, "this server does not say what became of it"),
                Err(_) => debug!(server, "this server does not say in time what became of it"),
            }
        }
        (refused_by, None, denied_by)
    }

    /// Sends a signed transaction that was sent before, once; the ledger executes it once.
    pub(super) async fn send_again(
        &self,
        wallet: &Wallet,
        sent: &Executed,
    ) -> Result<Executed, CallError> {
        let mut client = self.client().execution_client();
        let answer = client.execute_transaction((*sent.signed).clone()).await;
        let answer = answer.map_err(|status| self.call_error(&status, "transaction"))?;
        let digest = sent.digest.clone();
        self.judge(wallet, (digest, &sent.signed), answer.get_ref().transaction())
    }

    /// A transaction that is on the ledger.
    pub(super) async fn look_up(
        &self,
        digest: &str,
    ) -> Result<Option<proto::ExecutedTransaction>, CallError> {
        let request = proto::GetTransactionRequest::default()
            .with_digest(digest)
            .with_read_mask(FieldMask::from_paths(RESULT_FIELDS));
        let found = self.exchange(|client| {
            let (mut client, request) = (client.clone().ledger_client(), request.clone());
            async move { client.get_transaction(request).await }
        });
        match found.await {
            Ok(found) => Ok(found.transaction),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.call_error(&status, "transaction")),
        }
    }

    /// Reads what an executed transaction did.
    fn judge(
        &self,
        wallet: &Wallet,
        (digest, signed): (String, &proto::ExecuteTransactionRequest),
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
            only_said_by: None,
            signed: Box::new(signed.clone()),
            server: self.server(),
            coins: transaction
                .objects()
                .objects()
                .iter()
                .filter(|object| object.balance.is_some())
                .filter_map(|object| Coin::read(object).ok())
                .collect(),
        })
    }
}
