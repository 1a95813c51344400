//! Checkpoints: certified, complete, in order, and never silent for long.

use std::collections::BTreeMap;

use futures::StreamExt;
use sui_crypto::bls12381::ValidatorCommitteeSignatureVerifier;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{
    Address, CheckpointContents, CheckpointSummary, ValidatorAggregatedSignature,
    ValidatorCommittee,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Account, PATIENCE, World};

async fn checkpoint(world: &World, sequence: u64) -> rpc::Checkpoint {
    let request = rpc::GetCheckpointRequest::by_sequence_number(sequence)
        .with_read_mask(FieldMask::from_str("*"));
    let answer = world.client.clone().ledger_client().get_checkpoint(request).await.unwrap();
    answer.into_inner().checkpoint().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_light_clients_verify_every_checkpoint() {
    let world = World::start().await;
    world.fund(&Account::ed25519(1)).await;
    let request = rpc::GetEpochRequest::latest().with_read_mask(FieldMask::from_str("*"));
    let epoch = world.client.clone().ledger_client().get_epoch(request).await.unwrap();
    let committee = ValidatorCommittee::try_from(epoch.into_inner().epoch().committee()).unwrap();
    let verifier = ValidatorCommitteeSignatureVerifier::new(committee).unwrap();
    let mut previous = None;
    for sequence in 0..=world.ledger.height() {
        let checkpoint = checkpoint(&world, sequence).await;
        let summary: CheckpointSummary = checkpoint.summary().bcs().deserialize().unwrap();
        let contents: CheckpointContents = checkpoint.contents().bcs().deserialize().unwrap();
        let signature = ValidatorAggregatedSignature::try_from(checkpoint.signature()).unwrap();
        verifier.verify_checkpoint_summary(&summary, &signature).unwrap();
        assert_eq!(summary.sequence_number, sequence);
        assert_eq!(summary.previous_digest, previous);
        assert_eq!(summary.content_digest, contents.digest());
        assert_eq!(contents.transactions().len(), checkpoint.transactions().len());
        previous = Some(summary.digest());
        if sequence == 0 {
            assert_eq!(summary.digest().to_string(), world.ledger.chain_id());
        }
        let by_digest = rpc::GetCheckpointRequest::by_digest(&summary.digest());
        let answer = world.client.clone().ledger_client().get_checkpoint(by_digest).await.unwrap();
        assert_eq!(answer.into_inner().checkpoint().sequence_number(), sequence);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_fills_its_gap_sees_every_checkpoint_once_and_in_order() {
    let world = World::start().await;
    let accounts: Vec<_> = (1..6).map(Account::ed25519).collect();
    world.fund(&accounts[0]).await;
    let request = rpc::SubscribeCheckpointsRequest::default()
        .with_read_mask(FieldMask::from_str("sequence_number,transactions.digest"));
    let mut client = world.client.clone();
    let mut stream = client.subscription_client().subscribe_checkpoints(request).await.unwrap();
    for account in &accounts[1..] {
        world.fund(account).await;
    }
    let end = world.ledger.height();
    let mut seen = BTreeMap::new();
    let first = stream.get_mut().next().await.unwrap().unwrap();
    let start = first.cursor();
    for sequence in 0..start {
        let digests = digests(&checkpoint(&world, sequence).await);
        assert!(seen.insert(sequence, digests).is_none());
    }
    seen.insert(start, digests(first.checkpoint()));
    while !seen.contains_key(&end) {
        let next = stream.get_mut().next().await.unwrap().unwrap();
        let expected = seen.last_key_value().unwrap().0 + 1;
        assert_eq!(next.cursor(), expected, "no gap and nothing twice");
        seen.insert(expected, digests(next.checkpoint()));
    }
    let transactions: Vec<_> = seen.values().flatten().collect();
    assert_eq!(transactions.len(), 6, "genesis and five gifts: {seen:?}");
    for (sequence, digests_seen) in &seen {
        assert_eq!(&digests(&checkpoint(&world, *sequence).await), digests_seen);
    }
}

fn digests(checkpoint: &rpc::Checkpoint) -> Vec<String> {
    checkpoint.transactions().iter().map(|it| it.digest().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_is_never_silent_for_long() {
    let world = World::start().await;
    let request = rpc::SubscribeCheckpointsRequest::default();
    let mut client = world.client.clone();
    let mut stream = client.subscription_client().subscribe_checkpoints(request).await.unwrap();
    let mut last = None;
    for _ in 0..2 {
        // Far below the 30 s after which stock clients give a silent stream up.
        let next = tokio::time::timeout(PATIENCE, stream.get_mut().next()).await;
        let cursor = next.unwrap().unwrap().unwrap().cursor();
        assert!(last.is_none_or(|last| cursor == last + 1));
        last = Some(cursor);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_stops_although_somebody_still_listens() {
    let world = World::start().await;
    let request = rpc::SubscribeCheckpointsRequest::default();
    let mut client = world.client.clone();
    let mut stream = client.subscription_client().subscribe_checkpoints(request).await.unwrap();
    let directory = tokio::time::timeout(PATIENCE, world.stop()).await.unwrap();
    let end = tokio::time::timeout(PATIENCE, async {
        while let Some(Ok(_)) = stream.get_mut().next().await {}
    });
    end.await.unwrap();
    drop(directory);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_says_which_chain_it_is() {
    let world = World::start().await;
    let mut client = world.client.clone();
    let info = client.ledger_client().get_service_info(rpc::GetServiceInfoRequest::default()).await;
    let info = info.unwrap().into_inner();
    assert_eq!(info.chain_id(), world.ledger.chain_id());
    assert_eq!(info.lowest_available_checkpoint(), 0);
    assert_eq!(client.get_reference_gas_price().await.unwrap(), 1000);
    let object = rpc::GetObjectRequest::new(&Address::new((world.ledger.ids().system).into()))
        .with_read_mask(FieldMask::from_str("*"));
    let object = client.ledger_client().get_object(object).await.unwrap().into_inner();
    let decoded: sui_sdk_types::Object = object.object().bcs().deserialize().unwrap();
    assert_eq!(decoded.digest().to_string(), object.object().digest());
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_can_ask_over_grpc_web() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.grpc).await.unwrap();
    let request = format!(
        "POST /sui.rpc.v2.LedgerService/GetServiceInfo HTTP/1.1\r\nhost: {}\r\n\
         content-type: application/grpc-web+proto\r\ncontent-length: 5\r\n\
         connection: close\r\n\r\n\0\0\0\0\0",
        world.grpc,
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(&world.ledger.chain_id()) && answer.contains("grpc-status:0"));
}
