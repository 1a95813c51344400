//! Why the ledger did not take a transaction: because what it spends moved on, or for good.
//!
//! Promises: a lost race is recognised by the objects themselves, whatever words a ledger has for
//! it, and nobody who is shown the error has to know of versions. Of a transaction that may have
//! been taken before, only objects that moved on say that it cannot happen any more.
//! Does not: decide whether to try again; `submit` does.

use haulout_protocol::chain::amount::Token;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use tonic::{Code, Status};
use tracing::debug;

use super::error::CallError;
use super::handle::Chain;
use super::named::Named;
use super::wallet::Wallet;
use crate::limits;

/// Whether a refused transaction lost a race, so that another one may be built.
fn is_contended(code: Code, moved: bool, is_in_doubt: bool) -> bool {
    // Other transactions hold an object, or took it. If this one was sent before, the one that
    // holds them may be itself: it can still be executed.
    let by_others = matches!(code, Code::FailedPrecondition | Code::Aborted | Code::AlreadyExists);
    moved || (by_others && !is_in_doubt)
}

impl Chain {
    /// What a refusal means, seen that the transaction names these objects, and whether it is in
    /// doubt: sent before, without an answer. It takes so much gas, in MIST, if that is known.
    pub(super) async fn refusal(
        &self,
        wallet: &Wallet,
        status: &Status,
        (named, is_in_doubt): (&[Named], bool),
        gas: Option<u64>,
    ) -> CallError {
        let error = match self.call_error(status, "transaction") {
            // It is not the transaction that is missing, but something it names.
            CallError::NotFound { .. } => {
                CallError::Rejected { reason: status.message().to_owned() }
            }
            CallError::Rejected { reason } => CallError::Rejected { reason },
            other => return other,
        };
        debug!(reason = status.message(), "transaction refused");
        match self.moved(named).await {
            Ok(moved) if is_contended(status.code(), moved, is_in_doubt) => {
                return CallError::Contended { wallet: wallet.to_string() };
            }
            Ok(_) => {}
            Err(unknown) => return unknown,
        }
        self.short_of_gas(wallet, gas).await.unwrap_or(error)
    }

    /// The error of a wallet that has less gas than a transaction takes; nothing if it has enough.
    pub(super) async fn short_of_gas(
        &self,
        wallet: &Wallet,
        gas: Option<u64>,
    ) -> Option<CallError> {
        let available = self.balances(&wallet.address()).await.ok()?.sui;
        let (wallet, token, needed) = (wallet.to_string(), Token::Sui, gas.unwrap_or(1));
        let short = CallError::InsufficientFunds { wallet, token, needed, available };
        (available < needed).then_some(short)
    }

    /// Whether any of these objects is in another version now, or gone.
    async fn moved(&self, named: &[Named]) -> Result<bool, CallError> {
        for batch in named.chunks(limits::CHAIN_BATCH_OBJECTS) {
            let wanted = batch.iter().map(|(id, _)| proto::GetObjectRequest::new(id));
            let request = proto::BatchGetObjectsRequest::default()
                .with_requests(wanted.collect::<Vec<_>>())
                .with_read_mask(FieldMask::from_paths(["object_id", "version"]));
            let answer = self.ask("objects", |client| {
                let (mut client, request) = (client.clone().ledger_client(), request.clone());
                async move { client.batch_get_objects(request).await }
            });
            let answer = answer.await?;
            if answer.objects.len() != batch.len() {
                return Err(CallError::unreadable("fewer objects than asked for"));
            }
            let is_as_named = |(found, (_, version)): (&proto::GetObjectResult, &Named)| {
                found.object_opt().is_some_and(|object| object.version() == *version)
            };
            if !answer.objects.iter().zip(batch).all(is_as_named) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_may_still_happen_is_contended_only_if_its_objects_moved() {
        let held = [Code::FailedPrecondition, Code::Aborted, Code::AlreadyExists];
        for code in held {
            assert!(is_contended(code, false, false), "{code:?}: others hold its objects");
            assert!(!is_contended(code, false, true), "{code:?}: it may hold them itself");
            assert!(is_contended(code, true, true), "{code:?}: it cannot happen any more");
        }
        assert!(!is_contended(Code::InvalidArgument, false, false));
        assert!(is_contended(Code::InvalidArgument, true, false));
    }
}
