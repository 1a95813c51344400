//! A ledger's server that passes on what the true ledger says, until a test has it lie.
//!
//! Promises: what it does not lie about arrives as it was sent; how often it lied is counted.
//! Does not: hold keys; it cannot sign what the validators did not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use futures::StreamExt;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::{self, BlobCertified, BlobDeleted};
use haulout_protocol::chain::object::{Blob, Staking, Storage, System};
use rpc::ledger_service_server::{LedgerService, LedgerServiceServer};
use rpc::state_service_server::{StateService, StateServiceServer};
use rpc::subscription_service_server::{SubscriptionService, SubscriptionServiceServer};
use rpc::transaction_execution_service_server::{
    TransactionExecutionService, TransactionExecutionServiceServer,
};
use sui_rpc::Client;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_rpc::proto::sui::rpc::v2::owner::OwnerKind;
use sui_sdk_types::{
    Address, Command, Digest, ExecutionStatus, GasCostSummary, Identifier, Input, MoveStruct,
    Object, ObjectData, ProgrammableTransaction, StructTag, Transaction, TransactionEffects,
    TransactionEffectsV2, TransactionEvents, TransactionKind,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

/// How it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It does not.
    None,
    /// Every checkpoint says that this object of this blob was deleted.
    Deleted {
        /// The package whose event it invents.
        package: ObjectId,
        /// The blob.
        blob_id: [u8; 32],
        /// The object.
        object_id: ObjectId,
    },
    /// No checkpoint has a signature.
    Unsigned,
    /// The objects that tell the epoch are of a far one.
    LateEpoch {
        /// The system object.
        system: ObjectId,
        /// The staking object.
        staking: ObjectId,
        /// How many epochs too late it is.
        by: u32,
    },
    /// The time of this storage object is over.
    StorageOver {
        /// The object.
        object: ObjectId,
        /// Whether not only lists say so, but also what it claims to be the object itself, under the true digest.
        in_itself: bool,
    },
    /// Whatever transaction is tried, another one is handed out to be signed, which does nothing.
    OtherTransaction,
    /// The gas of whatever transaction is tried costs so much that all of it is burnt.
    DearGas,
    /// Every blob object that an account owns is one of this blob, and certified.
    Owns {
        /// The blob.
        blob_id: [u8; 32],
    },
    /// This blob is certified, as soon as somebody asks for it; the transaction is kept from the ledger.
    Certifies {
        /// The package whose event it invents.
        package: ObjectId,
        /// The blob.
        blob_id: [u8; 32],
        /// How many certifications it invents before it tells the truth again.
        times: usize,
    },
    /// Every transaction is executed, and said to have failed.
    Denies,
    /// Shared objects have been so only since a later version.
    SharedLater,
    /// There is nothing after this checkpoint.
    Stale {
        /// Its number.
        last: u64,
    },
    /// It takes every question and answers none.
    Hangs,
}

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
        let service =
            Service { truth: Arc::clone(&truth), lie: Arc::clone(&lie), told: Arc::clone(&told) };
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

    /// What is asked of the truth in place of what was asked.
    fn twist_request(&self, mut request: rpc::GetCheckpointRequest) -> rpc::GetCheckpointRequest {
        use rpc::get_checkpoint_request::CheckpointId;
        let Lie::Stale { last } = self.lie() else { return request };
        self.told.fetch_add(1, Ordering::Relaxed);
        let wanted = match request.checkpoint_id {
            Some(CheckpointId::SequenceNumber(wanted)) if wanted > last => u64::MAX,
            Some(CheckpointId::SequenceNumber(wanted)) => wanted,
            _ => last,
        };
        request.checkpoint_id = Some(CheckpointId::SequenceNumber(wanted));
        request
    }

    /// What is made of a checkpoint.
    fn twist(&self, checkpoint: &mut rpc::Checkpoint) {
        match self.lie() {
            Lie::None
            | Lie::LateEpoch { .. }
            | Lie::StorageOver { .. }
            | Lie::OtherTransaction
            | Lie::DearGas
            | Lie::Owns { .. }
            | Lie::Certifies { .. }
            | Lie::Denies
            | Lie::SharedLater
            | Lie::Stale { .. }
            | Lie::Hangs => return,
            Lie::Unsigned => checkpoint.signature = None,
            Lie::Deleted { package, blob_id, object_id } => {
                let events = deletion(package, blob_id, object_id);
                let mut transaction = rpc::ExecutedTransaction::default();
                transaction.effects = Some(effects_of(&events).into());
                transaction.events = Some(events.into());
                checkpoint.transactions = vec![transaction];
            }
        }
        self.told.fetch_add(1, Ordering::Relaxed);
    }

    fn twist_answer(&self, mut answer: rpc::GetCheckpointResponse) -> rpc::GetCheckpointResponse {
        answer.checkpoint.iter_mut().for_each(|checkpoint| self.twist(checkpoint));
        answer
    }

    /// What is made of objects.
    fn twist_objects(
        &self,
        mut answer: rpc::BatchGetObjectsResponse,
    ) -> rpc::BatchGetObjectsResponse {
        for found in &mut answer.objects {
            if let Some(rpc::get_object_result::Result::Object(object)) = &mut found.result {
                self.twist_object(object);
            }
        }
        answer
    }

    fn twist_one_object(&self, mut answer: rpc::GetObjectResponse) -> rpc::GetObjectResponse {
        answer.object.iter_mut().for_each(|object| self.twist_object(object));
        answer
    }

    /// What is made of a list of objects.
    fn twist_list(
        &self,
        mut answer: rpc::ListOwnedObjectsResponse,
    ) -> rpc::ListOwnedObjectsResponse {
        for sent in &mut answer.objects {
            if let Some(contents) = &mut sent.contents
                && let Some(twisted) = match self.lie() {
                    Lie::StorageOver { object, .. } => over_value(contents.value(), &object),
                    Lie::Owns { blob_id } => blob_value(contents.value(), blob_id),
                    _ => None,
                }
            {
                contents.set_value(twisted);
                self.told.fetch_add(1, Ordering::Relaxed);
            }
        }
        answer
    }

    /// What is made of a trial.
    fn twist_trial(
        &self,
        mut answer: rpc::SimulateTransactionResponse,
    ) -> rpc::SimulateTransactionResponse {
        let tried = answer.transaction.as_mut().and_then(|tried| tried.transaction.as_mut());
        if let lie @ (Lie::OtherTransaction | Lie::DearGas) = self.lie()
            && let Some(tried) = tried
            && let Ok(mut other) = tried.bcs().deserialize::<Transaction>()
        {
            if lie == Lie::DearGas {
                other.gas_payment.price = 1_000_000;
            } else {
                let (inputs, commands) = (vec![], vec![]);
                other.kind = TransactionKind::ProgrammableTransaction(ProgrammableTransaction {
                    inputs,
                    commands,
                });
            }
            *tried = other.into();
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// What is said of a transaction that is to be executed, if it is kept from the ledger.
    async fn invented(
        &self,
        request: &rpc::ExecuteTransactionRequest,
    ) -> std::result::Result<Option<rpc::ExecuteTransactionResponse>, Status> {
        let Lie::Certifies { package, blob_id, times } = self.lie() else { return Ok(None) };
        let Ok(transaction) = request.transaction().bcs().deserialize::<Transaction>() else {
            return Ok(None);
        };
        let Some(object_id) = certified_by(&transaction) else { return Ok(None) };
        if times == 0 {
            return Ok(None);
        }
        self.tell(Lie::Certifies { package, blob_id, times: times - 1 });
        self.told.fetch_add(1, Ordering::Relaxed);
        let latest = rpc::GetCheckpointRequest::latest();
        let latest = self.truth().ledger_client().get_checkpoint(latest).await?.into_inner();
        let events = certification(package, blob_id, object_id);
        let mut executed = rpc::ExecutedTransaction::default();
        executed.digest = Some(transaction.digest().to_string());
        executed.checkpoint = latest.checkpoint().sequence_number;
        executed.effects = Some(effects_of(&events).into());
        executed.events = Some(events.into());
        let mut answer = rpc::ExecuteTransactionResponse::default();
        answer.transaction = Some(executed);
        Ok(Some(answer))
    }

    /// What is said of a transaction that was executed.
    fn denied(&self, mut done: rpc::ExecuteTransactionResponse) -> rpc::ExecuteTransactionResponse {
        if self.lie() == Lie::Denies {
            let mut failed = rpc::ExecutionStatus::default();
            failed.success = Some(false);
            let executed = done.transaction.get_or_insert_default();
            executed.effects.get_or_insert_default().status = Some(failed);
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    fn tell(&self, lie: Lie) {
        self.lie.send_replace(lie);
    }

    /// Makes of storage one whose time is over, and leaves it its digest.
    fn twist_storage(&self, sent: &mut rpc::Object, object: &ObjectId) {
        if let Ok(true_one) = sent.bcs().deserialize::<Object>()
            && let Some(value) = true_one.as_struct()
            && let Some(over) = over_value(value.contents(), object)
            && let Some(over) = with_value(&true_one, over)
        {
            let digest = sent.digest.take();
            *sent = over.into();
            sent.digest = digest;
            self.told.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Makes an object, or the value of one, that tells the epoch one of a far epoch.
    fn twist_object(&self, sent: &mut rpc::Object) {
        if let Lie::StorageOver { object, in_itself: true } = self.lie() {
            return self.twist_storage(sent, &object);
        }
        if self.lie() == Lie::SharedLater {
            let is_shared = |owner: &&mut rpc::Owner| owner.kind() == OwnerKind::Shared;
            if let Some(owner) = sent.owner.as_mut().filter(is_shared) {
                owner.version = Some(owner.version() + 1);
                self.told.fetch_add(1, Ordering::Relaxed);
            }
            return;
        }
        let Lie::LateEpoch { system, staking, by } = self.lie() else { return };
        let lies_about = |id: &Address| {
            let id = ObjectId::from_bytes(id.into_inner());
            (id == system || id == staking).then_some(id == system)
        };
        if let Ok(true_one) = sent.bcs().deserialize::<Object>()
            && let Some(is_system) = lies_about(&true_one.object_id())
            && let Some(late) = late(&true_one, is_system, by)
        {
            *sent = late.into();
            self.told.fetch_add(1, Ordering::Relaxed);
        } else if let Ok(id) = sent.object_id().parse::<Address>()
            && let Some(is_system) = lies_about(&id)
            && let Some(contents) = &mut sent.contents
            && let Some(late) = late_value(contents.value(), is_system, by)
        {
            contents.set_value(late);
            self.told.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The event of a deletion that never was.
fn deletion(package: ObjectId, blob_id: [u8; 32], object_id: ObjectId) -> TransactionEvents {
    let name = |text| Identifier::new(text).expect("a valid name");
    let package = Address::new(package.into());
    let said = BlobDeleted { epoch: 1, blob_id, end_epoch: 2, object_id, was_certified: true };
    TransactionEvents(vec![sui_sdk_types::Event {
        package_id: package,
        module: name("blob"),
        sender: Address::ZERO,
        type_: StructTag::new(package, name(event::MODULE), name("BlobDeleted"), vec![]),
        contents: bcs::to_bytes(&said).expect("plain values serialise"),
    }])
}

/// The blob object that a transaction certifies.
fn certified_by(transaction: &Transaction) -> Option<ObjectId> {
    let TransactionKind::ProgrammableTransaction(script) = &transaction.kind else { return None };
    let is_it = |command: &Command| matches!(command, Command::MoveCall(call) if call.function.as_str() == "certify_blob");
    let object = script.inputs.iter().find_map(|input| match input {
        Input::ImmutableOrOwned(object) => Some(object),
        _ => None,
    });
    let is_certification = script.commands.iter().any(is_it);
    object.filter(|_| is_certification).map(|it| ObjectId::from_bytes(it.object_id().into_inner()))
}

/// The event of a certification that never was.
fn certification(package: ObjectId, blob_id: [u8; 32], object_id: ObjectId) -> TransactionEvents {
    let name = |text| Identifier::new(text).expect("a valid name");
    let package = Address::new(package.into());
    let (epoch, end_epoch, deletable, is_extension) = (1, 2, false, false);
    let said = BlobCertified { epoch, blob_id, end_epoch, deletable, object_id, is_extension };
    TransactionEvents(vec![sui_sdk_types::Event {
        package_id: package,
        module: name("blob"),
        sender: Address::ZERO,
        type_: StructTag::new(package, name(event::MODULE), name("BlobCertified"), vec![]),
        contents: bcs::to_bytes(&said).expect("plain values serialise"),
    }])
}

/// Effects as a transaction that said this might have.
fn effects_of(events: &TransactionEvents) -> TransactionEffects {
    TransactionEffects::V2(Box::new(TransactionEffectsV2 {
        status: ExecutionStatus::Success,
        epoch: 0,
        gas_used: GasCostSummary::default(),
        transaction_digest: Digest::new([1; 32]),
        gas_object_index: None,
        events_digest: Some(events.digest()),
        dependencies: vec![],
        lamport_version: 1,
        changed_objects: vec![],
        unchanged_consensus_objects: vec![],
        auxiliary_data_digest: None,
    }))
}

/// An object as it may be in some epochs: the system object, or the staking object.
fn late(object: &Object, is_system: bool, by: u32) -> Option<Object> {
    with_value(object, late_value(object.as_struct()?.contents(), is_system, by)?)
}

/// The object with another Move value inside it.
fn with_value(object: &Object, bytes: Vec<u8>) -> Option<Object> {
    let value = object.as_struct()?;
    let tag = value.object_type().clone();
    let value = MoveStruct::new(tag, value.has_public_transfer(), value.version(), bytes)?;
    Some(Object::new(ObjectData::Struct(value), *object.owner(), object.previous_transaction(), 0))
}

/// The value of this storage object, if it is one, as one whose time was over in the first epoch.
fn over_value(value: &[u8], object: &ObjectId) -> Option<Vec<u8>> {
    let storage: Storage = bcs::from_bytes(value).ok()?;
    let over = Storage { start_epoch: 0, end_epoch: 1, ..storage };
    (over.id == *object).then(|| bcs::to_bytes(&over).ok())?
}

/// The value of a blob object as one of this blob, certified and for long.
fn blob_value(value: &[u8], blob_id: [u8; 32]) -> Option<Vec<u8>> {
    let mut blob: Blob = bcs::from_bytes(value).ok()?;
    blob.blob_id = blob_id;
    blob.certified_epoch = Some(blob.registered_epoch);
    bcs::to_bytes(&blob).ok()
}

/// The Move value inside it.
fn late_value(value: &[u8], is_system: bool, by: u32) -> Option<Vec<u8>> {
    match is_system {
        true => {
            let mut system: System = bcs::from_bytes(value).ok()?;
            system.committee.epoch += by;
            bcs::to_bytes(&system).ok()
        }
        false => {
            let mut staking: Staking = bcs::from_bytes(value).ok()?;
            staking.epoch += by;
            bcs::to_bytes(&staking).ok()
        }
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
    get_object(GetObjectRequest) -> GetObjectResponse twisted by twist_one_object;
    batch_get_objects(BatchGetObjectsRequest) -> BatchGetObjectsResponse twisted by twist_objects;
    get_transaction(GetTransactionRequest) -> GetTransactionResponse;
    batch_get_transactions(BatchGetTransactionsRequest) -> BatchGetTransactionsResponse;
    get_checkpoint(GetCheckpointRequest twisted by twist_request) -> GetCheckpointResponse
        twisted by twist_answer;
    get_epoch(GetEpochRequest) -> GetEpochResponse;
} }

pass_on! { StateService by state_client {
    list_owned_objects(ListOwnedObjectsRequest) -> ListOwnedObjectsResponse twisted by twist_list;
    list_dynamic_fields(ListDynamicFieldsRequest) -> ListDynamicFieldsResponse;
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
                let done = self.truth().execution_client().execute_transaction(asked).await?;
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
