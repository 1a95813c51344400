//! `TransactionExecutionService`: execute and simulate.

use rpc::simulate_transaction_request::TransactionChecks;
use rpc::transaction_execution_service_server::TransactionExecutionService;
use sui_rpc::merge::Merge;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Transaction, UserSignature};
use tonic::{Request, Status};

use super::{Answer, Service, blocking, mask};
use crate::ledger::Checks;

#[tonic::async_trait]
impl TransactionExecutionService for Service {
    async fn execute_transaction(
        &self,
        request: Request<rpc::ExecuteTransactionRequest>,
    ) -> Answer<rpc::ExecuteTransactionResponse> {
        let request = request.into_inner();
        let transaction = Transaction::try_from(request.transaction()).map_err(|error| {
            Status::invalid_argument(format!("unreadable transaction: {error}"))
        })?;
        let signatures: Vec<_> = request
            .signatures
            .iter()
            .map(UserSignature::try_from)
            .collect::<Result<_, _>>()
            .map_err(|error| Status::invalid_argument(format!("unreadable signature: {error}")))?;
        let ledger = self.ledger.clone();
        let executed = blocking(move || ledger.execute(transaction, signatures)).await??;
        let mask = mask(request.read_mask.as_ref(), "effects.status");
        let mut response = rpc::ExecuteTransactionResponse::default();
        response.transaction = Some(rpc::ExecutedTransaction::merge_from(&executed, &mask));
        Ok(response.into())
    }

    async fn simulate_transaction(
        &self,
        request: Request<rpc::SimulateTransactionRequest>,
    ) -> Answer<rpc::SimulateTransactionResponse> {
        let request = request.into_inner();
        let mask = mask(request.read_mask.as_ref(), "transaction.effects.status");
        let ledger = self.ledger.clone();
        let checks = match request.checks() {
            TransactionChecks::Disabled => Checks::Off,
            _ => Checks::On,
        };
        let executed = blocking(move || ledger.simulate(request.transaction(), checks)).await??;
        let mut response = rpc::SimulateTransactionResponse::default();
        if let Some(mask) = mask.subtree("transaction") {
            response.transaction = Some(rpc::ExecutedTransaction::merge_from(&executed, &mask));
        }
        Ok(response.into())
    }
}
