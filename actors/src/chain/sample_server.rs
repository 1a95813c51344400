//! A ledger's server in this process, for tests: checkpoints of several Sui epochs, without contracts and with all objects or none.
//!
//! Promises: shows what it was given, until a test has it hang.
//! Does not: execute, or check what it is given.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::machine::ledger_history::TrustedCheckpoint;
use rpc::get_checkpoint_request::CheckpointId;
use rpc::ledger_service_server::{LedgerService, LedgerServiceServer};
use rpc::subscription_service_server::{SubscriptionService, SubscriptionServiceServer};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{
    Address, Digest, Identifier, MoveStruct, Object, ObjectData, Owner, StructTag,
};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::handle::Chain;
use super::network_objects::NetworkObjects;
use super::options::ChainOptions;
use super::proof::Unproven;
use super::proof::tests::Signers;

/// A running server. It ends when it is dropped.
pub(super) struct SampleServer {
    /// Where it answers.
    pub(super) url: String,
    service: Service,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Clone, Default)]
struct Service {
    history: Arc<Mutex<Vec<Unproven>>>,
    /// The validators of each Sui epoch.
    signers: Arc<Vec<Signers>>,
    hangs: Arc<AtomicBool>,
    /// What is in every object, once there are any.
    content: Arc<Mutex<Option<u8>>>,
}

impl SampleServer {
    /// Serves what these validators signed; their place is their Sui epoch.
    pub(super) async fn start(signers: Vec<Signers>, history: &[Unproven]) -> SampleServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let service = Service { signers: Arc::new(signers), ..Service::default() };
        service.history().extend_from_slice(history);
        let incoming = futures::stream::unfold(listener, async |listener| {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        let server = tonic::transport::Server::builder()
            .add_service(LedgerServiceServer::new(service.clone()))
            .add_service(SubscriptionServiceServer::new(service.clone()))
            .serve_with_incoming(incoming);
        let serving = tokio::spawn(async move { drop(server.await) });
        SampleServer { url, service, _serving: AbortOnDropHandle::new(serving) }
    }

    /// What it shows, to be changed.
    pub(super) fn history(&self) -> MutexGuard<'_, Vec<Unproven>> {
        self.service.history()
    }

    /// Whether it takes every question and answers none.
    pub(super) fn hang(&self, hangs: bool) {
        self.service.hangs.store(hangs, Ordering::Relaxed);
    }

    /// Has every object that it is asked for from now on, shared since its first version; before, it has none.
    pub(super) fn fill(&self) {
        self.fill_with(0);
    }

    /// The same, and each object's value is its id and this byte.
    pub(super) fn fill_with(&self, content: u8) {
        *self.service.content.lock().expect("nobody panics with it") = Some(content);
    }
}

/// A chain that finds its ledger at these servers.
pub(super) fn chain(servers: &[&SampleServer], trusted: Option<TrustedCheckpoint>) -> Chain {
    let id = |byte| ObjectId::from_bytes([byte; 32]);
    let options = ChainOptions {
        urls: servers.iter().map(|server| server.url.clone()).collect(),
        package: id(7),
        system: id(8),
        staking: id(2),
        params: id(3),
        treasury: id(4),
        trusted,
        patience: Duration::ZERO,
        turns: None,
    };
    Chain::resume(options, &NetworkObjects::default()).expect("valid addresses")
}

impl Service {
    fn history(&self) -> MutexGuard<'_, Vec<Unproven>> {
        self.history.lock().expect("nobody panics with it")
    }

    async fn answer<T>(&self, found: Option<T>) -> Result<Response<T>, Status> {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        found.map(Response::new).ok_or_else(|| Status::not_found("not there"))
    }
}

#[tonic::async_trait]
impl LedgerService for Service {
    async fn get_checkpoint(
        &self,
        request: Request<rpc::GetCheckpointRequest>,
    ) -> Result<Response<rpc::GetCheckpointResponse>, Status> {
        let found = match request.get_ref().checkpoint_id {
            Some(CheckpointId::SequenceNumber(wanted)) => {
                self.history().iter().find(|one| one.sequence() == wanted).map(Unproven::to_rpc)
            }
            _ => self.history().last().map(Unproven::to_rpc),
        };
        self.answer(found.map(|found| {
            let mut answer = rpc::GetCheckpointResponse::default();
            answer.checkpoint = Some(found);
            answer
        }))
        .await
    }

    async fn batch_get_objects(
        &self,
        request: Request<rpc::BatchGetObjectsRequest>,
    ) -> Result<Response<rpc::BatchGetObjectsResponse>, Status> {
        let content = *self.content.lock().expect("nobody panics with it");
        let Some(content) = content else { return self.answer(None).await };
        let objects = request.get_ref().requests.iter().map(|request| {
            let mut found = rpc::GetObjectResult::default();
            let object = shared_object(request.object_id(), content);
            found.result = Some(rpc::get_object_result::Result::Object(object.into()));
            found
        });
        let mut answer = rpc::BatchGetObjectsResponse::default();
        answer.objects = objects.collect();
        self.answer(Some(answer)).await
    }

    async fn get_epoch(
        &self,
        request: Request<rpc::GetEpochRequest>,
    ) -> Result<Response<rpc::GetEpochResponse>, Status> {
        let wanted = request.get_ref().epoch();
        let found = self.signers.iter().find(|signers| signers.epoch == wanted).map(|signers| {
            let mut epoch = rpc::Epoch::default();
            epoch.epoch = Some(wanted);
            epoch.committee = Some(signers.committee().into());
            let is_end = |one: &&Unproven| {
                one.epoch() == wanted && one.summary().end_of_epoch_data.is_some()
            };
            epoch.last_checkpoint = self.history().iter().find(is_end).map(Unproven::sequence);
            let mut answer = rpc::GetEpochResponse::default();
            answer.epoch = Some(epoch);
            answer
        });
        self.answer(found).await
    }
}

/// An object that has been shared since its first version, which is its last.
fn shared_object(id: &str, content: u8) -> Object {
    let id: Address = id.parse().expect("the client writes ids");
    let name = |text| Identifier::new(text).expect("a valid name");
    let tag = StructTag::new(Address::ZERO, name("sample"), name("Sample"), vec![]);
    let value = [id.as_bytes(), &[content]].concat();
    let value = MoveStruct::new(tag, false, 1, value).expect("it begins with its id");
    Object::new(ObjectData::Struct(value), Owner::Shared(1), Digest::ZERO, 0)
}

#[tonic::async_trait]
impl SubscriptionService for Service {
    async fn subscribe_checkpoints(
        &self,
        _: Request<rpc::SubscribeCheckpointsRequest>,
    ) -> Result<Response<BoxStream<rpc::SubscribeCheckpointsResponse>>, Status> {
        self.answer(Some(futures::stream::pending().boxed())).await
    }
}
