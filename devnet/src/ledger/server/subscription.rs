//! `SubscriptionService`: every checkpoint as it is sealed.
//!
//! Promises: in order, none twice. A subscriber that falls too far behind is cut off with an
//! error, and fetches what it missed by number.

use futures::StreamExt;
use rpc::subscription_service_server::SubscriptionService;
use sui_rpc::merge::Merge;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use tokio_stream::wrappers::BroadcastStream;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::{Answer, Service, mask};

#[tonic::async_trait]
impl SubscriptionService for Service {
    async fn subscribe_checkpoints(
        &self,
        request: Request<rpc::SubscribeCheckpointsRequest>,
    ) -> Answer<BoxStream<rpc::SubscribeCheckpointsResponse>> {
        let request = request.into_inner();
        if request.filter.is_some() {
            return Err(Status::unimplemented("the embedded ledger does not filter checkpoints"));
        }
        let mask = mask(request.read_mask.as_ref(), "sequence_number,digest");
        let published = BroadcastStream::new(self.ledger.inner.published.subscribe());
        let responses = published.map(move |checkpoint| {
            let checkpoint = checkpoint.map_err(|_| {
                Status::data_loss("the subscriber lags; fetch what is missing and subscribe again")
            })?;
            let mut response = rpc::SubscribeCheckpointsResponse::default();
            response.cursor = checkpoint.sequence_number;
            response.checkpoint = Some(rpc::Checkpoint::merge_from(&*checkpoint, &mask));
            Ok(response)
        });
        // An error ends a stream: what follows a gap would look as if nothing were missing.
        let responses = responses.scan(false, |ended, response| {
            let next = (!*ended).then_some(response);
            *ended |= next.as_ref().is_some_and(|response: &Result<_, Status>| response.is_err());
            futures::future::ready(next)
        });
        let stop = self.stop.clone().cancelled_owned();
        Ok(Response::new(Box::pin(responses.take_until(stop))))
    }
}
