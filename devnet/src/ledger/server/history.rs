//! `LedgerService`: what is and what was, by id.

use std::sync::atomic::Ordering;

use haulout_actors::chain::TIME_MOVED_HEADER;
use rpc::ledger_service_server::LedgerService;
use sui_rpc::field::FieldMaskTree;
use sui_rpc::merge::Merge;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, Digest};
use tonic::{Request, Response, Status};

use super::{Answer, Service, blocking, check_batch, item_error, mask, parse};
use crate::ledger::NOT_POISONED;
use crate::ledger::checkpoints::{object_to_rpc, timestamp};
use crate::ledger::transactions::{CHAIN_EPOCH, GAS_PRICE};

/// What an object shows if nobody says what to show.
const OBJECT_MASK: &str = "object_id,version,digest";
/// What a transaction shows if nobody says what to show.
const TRANSACTION_MASK: &str = "digest";

impl Service {
    fn object(
        &self,
        request: &rpc::GetObjectRequest,
        mask: &FieldMaskTree,
    ) -> Result<rpc::Object, Status> {
        let id: Address = parse(request.object_id(), "an object id")?;
        let objects = self.ledger.inner.objects.read().expect(NOT_POISONED);
        let object = match request.version {
            Some(version) => objects.get_version(&id, version),
            None => objects.get(&id),
        };
        let object = object.ok_or_else(|| Status::not_found(format!("object {id} not found")))?;
        Ok(object_to_rpc(object, mask))
    }

    fn transaction(
        &self,
        digest: &str,
        mask: &FieldMaskTree,
    ) -> Result<rpc::ExecutedTransaction, Status> {
        let digest: Digest = parse(digest, "a transaction digest")?;
        let found = self.ledger.find(&digest)?;
        let found =
            found.ok_or_else(|| Status::not_found(format!("transaction {digest} not found")))?;
        Ok(rpc::ExecutedTransaction::merge_from(&found, mask))
    }

    fn checkpoint(&self, request: &rpc::GetCheckpointRequest) -> Result<rpc::Checkpoint, Status> {
        use rpc::get_checkpoint_request::CheckpointId;
        let store = &self.ledger.inner.store;
        let found = match &request.checkpoint_id {
            Some(CheckpointId::SequenceNumber(sequence)) => store.checkpoint(*sequence)?,
            Some(CheckpointId::Digest(digest)) => {
                store.checkpoint_by_digest(&parse(digest, "a checkpoint digest")?)?
            }
            _ => store.last_checkpoint()?,
        };
        let found = found.ok_or_else(|| Status::not_found("checkpoint not found"))?;
        let mask = mask(request.read_mask.as_ref(), "sequence_number,digest");
        Ok(rpc::Checkpoint::merge_from(&found.to_rpc(), &mask))
    }
}

#[tonic::async_trait]
impl LedgerService for Service {
    async fn get_service_info(
        &self,
        _: Request<rpc::GetServiceInfoRequest>,
    ) -> Answer<rpc::GetServiceInfoResponse> {
        let ledger = self.ledger.clone();
        let last = blocking(move || ledger.inner.store.last_checkpoint()).await??;
        let last = last.ok_or_else(|| Status::unavailable("the ledger has no genesis"))?;
        let mut info = rpc::GetServiceInfoResponse::default();
        info.chain_id = Some(self.ledger.chain_id());
        info.chain = Some("haulout-devnet".to_owned());
        info.epoch = Some(CHAIN_EPOCH);
        info.checkpoint_height = Some(last.summary.sequence_number);
        info.timestamp = Some(timestamp(last.summary.timestamp_ms));
        info.lowest_available_checkpoint = Some(0);
        info.lowest_available_checkpoint_objects = Some(0);
        info.server = Some(concat!("haulout-ledger/", env!("CARGO_PKG_VERSION")).to_owned());
        let mut answer = Response::new(info);
        let moved_ms = self.ledger.inner.ahead_ms.load(Ordering::Relaxed);
        if moved_ms > 0 {
            answer.metadata_mut().insert(TIME_MOVED_HEADER, moved_ms.into());
        }
        Ok(answer)
    }

    async fn get_object(
        &self,
        request: Request<rpc::GetObjectRequest>,
    ) -> Answer<rpc::GetObjectResponse> {
        let request = request.into_inner();
        let mask = mask(request.read_mask.as_ref(), OBJECT_MASK);
        let mut response = rpc::GetObjectResponse::default();
        response.object = Some(self.object(&request, &mask)?);
        Ok(response.into())
    }

    async fn batch_get_objects(
        &self,
        request: Request<rpc::BatchGetObjectsRequest>,
    ) -> Answer<rpc::BatchGetObjectsResponse> {
        use rpc::get_object_result::Result as Item;
        let request = request.into_inner();
        check_batch(request.requests.len())?;
        let mask = mask(request.read_mask.as_ref(), OBJECT_MASK);
        let mut response = rpc::BatchGetObjectsResponse::default();
        for wanted in &request.requests {
            let mut result = rpc::GetObjectResult::default();
            result.result = Some(match self.object(wanted, &mask) {
                Ok(object) => Item::Object(object),
                Err(status) => Item::Error(item_error(&status)),
            });
            response.objects.push(result);
        }
        Ok(response.into())
    }

    async fn get_transaction(
        &self,
        request: Request<rpc::GetTransactionRequest>,
    ) -> Answer<rpc::GetTransactionResponse> {
        let (service, request) = (self.clone(), request.into_inner());
        let mask = mask(request.read_mask.as_ref(), TRANSACTION_MASK);
        let found = blocking(move || service.transaction(request.digest(), &mask)).await??;
        let mut response = rpc::GetTransactionResponse::default();
        response.transaction = Some(found);
        Ok(response.into())
    }

    async fn batch_get_transactions(
        &self,
        request: Request<rpc::BatchGetTransactionsRequest>,
    ) -> Answer<rpc::BatchGetTransactionsResponse> {
        use rpc::get_transaction_result::Result as Item;
        let (service, request) = (self.clone(), request.into_inner());
        check_batch(request.digests.len())?;
        let mask = mask(request.read_mask.as_ref(), TRANSACTION_MASK);
        let mut response = rpc::BatchGetTransactionsResponse::default();
        response.transactions = blocking(move || {
            let find = |digest: &String| {
                let mut result = rpc::GetTransactionResult::default();
                result.result = Some(match service.transaction(digest, &mask) {
                    Ok(transaction) => Item::Transaction(transaction),
                    Err(status) => Item::Error(item_error(&status)),
                });
                result
            };
            request.digests.iter().map(find).collect()
        })
        .await?;
        Ok(response.into())
    }

    async fn get_checkpoint(
        &self,
        request: Request<rpc::GetCheckpointRequest>,
    ) -> Answer<rpc::GetCheckpointResponse> {
        let (service, request) = (self.clone(), request.into_inner());
        let mut response = rpc::GetCheckpointResponse::default();
        response.checkpoint = Some(blocking(move || service.checkpoint(&request)).await??);
        Ok(response.into())
    }

    async fn get_epoch(
        &self,
        request: Request<rpc::GetEpochRequest>,
    ) -> Answer<rpc::GetEpochResponse> {
        if request.get_ref().epoch.is_some_and(|epoch| epoch != CHAIN_EPOCH) {
            return Err(Status::not_found("the ledger has one epoch of its own: 0"));
        }
        let committee = {
            let sealing = self.ledger.inner.sealing.lock().expect(NOT_POISONED);
            sealing.sealer.committee().clone()
        };
        let mut epoch = rpc::Epoch::default();
        epoch.epoch = Some(CHAIN_EPOCH);
        epoch.reference_gas_price = Some(GAS_PRICE);
        epoch.first_checkpoint = Some(0);
        epoch.committee = Some(committee.into());
        let mut response = rpc::GetEpochResponse::default();
        response.epoch = Some(epoch);
        Ok(response.into())
    }
}
