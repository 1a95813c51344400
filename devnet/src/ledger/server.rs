//! The ledger's API: Sui's gRPC services, as stock clients expect them, and gRPC-web.
//!
//! Promises: read masks and their defaults follow Sui's services; every list and batch is
//! bounded; what is not there is NOT_FOUND, what is refused says why.
//! Does not: decide anything about transactions.

mod coins;
mod execution;
mod fields;
mod history;
mod paging;
mod state;
mod subscription;

use std::time::Duration;

use futures::StreamExt;
use prost_types::FieldMask;
use rpc::ledger_service_server::LedgerServiceServer;
use rpc::state_service_server::StateServiceServer;
use rpc::subscription_service_server::SubscriptionServiceServer;
use rpc::transaction_execution_service_server::TransactionExecutionServiceServer;
use sui_rpc::field::{FieldMaskTree, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use super::{ExecuteError, Ledger, Refused, StoreError};

/// How long open requests may take to end once the ledger shuts down.
const GRACE: Duration = Duration::from_secs(2);
/// Requests of one connection at a time; more wait.
const CONCURRENT_REQUESTS_MAX: usize = 256;
/// Items of one batch request.
const BATCH_MAX: usize = 1000;

type Answer<T> = Result<Response<T>, Status>;

/// The ledger as the services see it.
#[derive(Clone, Debug)]
struct Service {
    ledger: Ledger,
    stop: CancellationToken,
}

/// Serves the API until `stop`.
pub(super) async fn serve(
    ledger: &Ledger,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    // Tonic sets this only on connections it accepts itself; without it every answer waits 40 ms
    // for the acknowledgement of its first half.
    let incoming = TcpListenerStream::new(listener).map(|connection| {
        let connection = connection?;
        connection.set_nodelay(true)?;
        Ok::<_, std::io::Error>(connection)
    });
    let service = Service { ledger: ledger.clone(), stop: stop.clone() };
    let server = tonic::transport::Server::builder()
        .accept_http1(true)
        .concurrency_limit_per_connection(CONCURRENT_REQUESTS_MAX)
        .layer(tonic_web::GrpcWebLayer::new())
        .add_service(LedgerServiceServer::new(service.clone()))
        .add_service(StateServiceServer::new(service.clone()))
        .add_service(SubscriptionServiceServer::new(service.clone()))
        .add_service(TransactionExecutionServiceServer::new(service))
        .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    tokio::select! {
        served = server => served,
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

/// The mask of a request, or the service's default.
fn mask(requested: Option<&FieldMask>, default: &str) -> FieldMaskTree {
    match requested {
        Some(requested) => FieldMaskTree::from_field_mask(requested),
        None => FieldMaskTree::from_field_mask(&FieldMask::from_str(default)),
    }
}

fn parse<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Status> {
    text.parse().map_err(|_| Status::invalid_argument(format!("{text:?} is not {what}")))
}

/// Runs blocking work of the ledger off the request threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Status::unavailable("the ledger is shutting down"))
}

/// One failed item of a batch.
fn item_error(status: &Status) -> sui_rpc::proto::google::rpc::Status {
    sui_rpc::proto::google::rpc::Status {
        code: i32::from(status.code()),
        message: status.message().to_owned(),
        ..Default::default()
    }
}

fn check_batch(items: usize) -> Result<(), Status> {
    match items > BATCH_MAX {
        true => Err(Status::invalid_argument(format!("more than {BATCH_MAX} items in a batch"))),
        false => Ok(()),
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let text = refused.to_string();
        match refused {
            Refused::Unsupported(_) => Status::unimplemented(text),
            Refused::NotFound(_) => Status::not_found(text),
            Refused::Stale { .. } => Status::failed_precondition(text),
            Refused::Signature(_)
            | Refused::TooLarge(_)
            | Refused::NotAllowed(_)
            | Refused::Repeated(_)
            | Refused::Gas(_)
            | Refused::Unreadable(_) => Status::invalid_argument(text),
        }
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the ledger's file cannot be used");
        Status::internal(error.to_string())
    }
}

impl From<ExecuteError> for Status {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Refused(refused) => refused.into(),
            ExecuteError::Seal(error) => {
                tracing::error!(%error, "a transaction could not be sealed");
                Status::internal(error.to_string())
            }
        }
    }
}
