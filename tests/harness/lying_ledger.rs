//! A ledger's server that passes on what the true ledger says, until a test has it lie.
//!
//! Promises: what it does not lie about arrives as it was sent; how often it lied is counted.
//! Does not: hold keys; it cannot sign what the validators did not.

mod history;
mod lie;
mod objects;
mod transactions;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use futures::StreamExt;
use rpc::ledger_service_server::{LedgerService, LedgerServiceServer};
use rpc::state_service_server::{StateService, StateServiceServer};
use rpc::subscription_service_server::{SubscriptionService, SubscriptionServiceServer};
use rpc::transaction_execution_service_server::{
    TransactionExecutionService, TransactionExecutionServiceServer,
};
use sui_rpc::Client;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::Address;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

pub use self::lie::Lie;

/// A running server. It ends when it is dropped.
pub struct LyingLedger {
    /// Where it answers.
    pub url: String,
    lie: Arc<watch::Sender<Lie>>,
    truth: Arc<Mutex<Client>>,
    told: Arc<AtomicUsize>,
    _serving: AbortOnDropHandle<()>,
}

impl std::fmt::Debug for LyingLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LyingLedger").field("url", &self.url).finish_non_exhaustive()
    }
}

impl LyingLedger {
    /// Serves on this listener what the ledger at `truth` says.
    pub fn start(listener: TcpListener, truth: &str) -> Result<LyingLedger> {
        let url = format!("http://{}", listener.local_addr()?);
        let (lie, told) = (Arc::new(watch::Sender::new(Lie::None)), Arc::default());
        let truth = Arc::new(Mutex::new(Client::new(truth)?));
        let service = Service {
            truth: Arc::clone(&truth),
            lie: Arc::clone(&lie),
            told: Arc::clone(&told),
            spent: Arc::default(),
        };
        let server = tonic::transport::Server::builder()
            .add_service(LedgerServiceServer::new(service.clone()))
            .add_service(StateServiceServer::new(service.clone()))
            .add_service(SubscriptionServiceServer::new(service.clone()))
            .add_service(TransactionExecutionServiceServer::new(service))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let serving = tokio::spawn(async move {
            // A test that needs it sees that it is gone.
            drop(server.await);
        });
        Ok(LyingLedger { url, lie, truth, told, _serving: AbortOnDropHandle::new(serving) })
    }

    /// Serves what another ledger says from now on; whoever is subscribed to the one before stays so.
    pub fn pass_on_from(&self, truth: &str) -> Result<()> {
        *self.truth.lock().unwrap_or_else(PoisonError::into_inner) = Client::new(truth)?;
        Ok(())
    }

    /// Lies so from now on.
    pub fn tell(&self, lie: Lie) {
        self.lie.send_replace(lie);
    }

    /// How often it lied.
    pub fn told(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Service {
    truth: Arc<Mutex<Client>>,
    lie: Arc<watch::Sender<Lie>>,
    told: Arc<AtomicUsize>,
    /// The versions of objects before a transaction was executed that is said to be refused.
    spent: Arc<Mutex<BTreeMap<Address, u64>>>,
}

impl Service {
    fn lie(&self) -> Lie {
        self.lie.borrow().clone()
    }

    fn truth(&self) -> Client {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for as long as it hangs.
    async fn answers(&self) {
        if self.lie() == Lie::Hangs {
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        // The sender is ours: the wait ends with the lie.
        drop(self.lie.subscribe().wait_for(|lie| *lie != Lie::Hangs).await);
    }

    fn tell(&self, lie: Lie) {
        self.lie.send_replace(lie);
    }
}

type Answer<T> = std::result::Result<Response<T>, Status>;

/// A service whose methods pass question and answer on, some answers twisted.
macro_rules! pass_on {
    ($service:ident by $client:ident {
        $($method:ident($request:ident $(twisted by $before:ident)?) -> $answer:ident
            $(twisted by $twist:ident)?;)*
    }) => {
        #[tonic::async_trait]
        impl $service for Service {$(
            async fn $method(&self, request: Request<rpc::$request>) -> Answer<rpc::$answer> {
                self.answers().await;
                let asked = request.into_inner();
                $(let asked = self.$before(asked);)?
                let answer = self.truth().$client().$method(asked).await?.into_inner();
                $(let answer = self.$twist(answer);)?
                Ok(Response::new(answer))
            }
        )*}
    };
}

pass_on! { LedgerService by ledger_client {
    get_service_info(GetServiceInfoRequest) -> GetServiceInfoResponse;
    get_object(GetObjectRequest twisted by twist_object_request) -> GetObjectResponse twisted by twist_one_object;
    batch_get_objects(BatchGetObjectsRequest twisted by twist_batch_request) -> BatchGetObjectsResponse twisted by twist_objects;
    get_transaction(GetTransactionRequest twisted by twist_look_up) -> GetTransactionResponse;
    batch_get_transactions(BatchGetTransactionsRequest) -> BatchGetTransactionsResponse;
    get_checkpoint(GetCheckpointRequest twisted by twist_request) -> GetCheckpointResponse
        twisted by twist_answer;
    get_epoch(GetEpochRequest) -> GetEpochResponse;
} }

pass_on! { StateService by state_client {
    list_owned_objects(ListOwnedObjectsRequest) -> ListOwnedObjectsResponse twisted by twist_list;
    list_dynamic_fields(ListDynamicFieldsRequest) -> ListDynamicFieldsResponse
        twisted by twist_fields;
    get_balance(GetBalanceRequest) -> GetBalanceResponse;
    list_balances(ListBalancesRequest) -> ListBalancesResponse;
    get_coin_info(GetCoinInfoRequest) -> GetCoinInfoResponse;
} }

#[tonic::async_trait]
impl TransactionExecutionService for Service {
    async fn execute_transaction(
        &self,
        request: Request<rpc::ExecuteTransactionRequest>,
    ) -> Answer<rpc::ExecuteTransactionResponse> {
        self.answers().await;
        let asked = request.into_inner();
        match self.invented(&asked).await? {
            Some(invented) => Ok(Response::new(invented)),
            None => {
                let sent = asked.transaction().clone();
                let done = self.truth().execution_client().execute_transaction(asked).await?;
                self.refused(&sent)?;
                Ok(Response::new(self.denied(done.into_inner())))
            }
        }
    }

    async fn simulate_transaction(
        &self,
        request: Request<rpc::SimulateTransactionRequest>,
    ) -> Answer<rpc::SimulateTransactionResponse> {
        self.answers().await;
        let asked = request.into_inner();
        let tried = self.truth().execution_client().simulate_transaction(asked).await?;
        Ok(Response::new(self.twist_trial(tried.into_inner())))
    }
}

#[tonic::async_trait]
impl SubscriptionService for Service {
    async fn subscribe_checkpoints(
        &self,
        request: Request<rpc::SubscribeCheckpointsRequest>,
    ) -> Answer<BoxStream<rpc::SubscribeCheckpointsResponse>> {
        self.answers().await;
        let mut client = self.truth();
        let told = client.subscription_client().subscribe_checkpoints(request.into_inner()).await?;
        let service = self.clone();
        let twisted = told.into_inner().filter_map(move |frame| {
            let service = service.clone();
            async move {
                service.answers().await;
                let mut frame = match frame {
                    Ok(frame) => frame,
                    Err(status) => return Some(Err(status)),
                };
                if matches!(service.lie(), Lie::Stale { .. }) {
                    return None;
                }
                frame.checkpoint.iter_mut().for_each(|checkpoint| service.twist(checkpoint));
                Some(Ok(frame))
            }
        });
        Ok(Response::new(Box::pin(twisted)))
    }
}
