//! Blobs that their writer encoded wrongly: whoever cannot repair one shows the others why, and the ledger calls it invalid.

use std::time::Duration;

use haulout_devnet::Devnet;
use haulout_node::error::Kind;
use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::epoch_change::Holding;
use haulout_protocol::wire::blob::State;
use haulout_tests::{KIB, get, in_time, put, sample_blob, writer};

use crate::losing::wipe;
use crate::short::holder;

/// How long it may take on a machine that others keep busy.
const TOLD_WITHIN: Duration = Duration::from_secs(120);

/// Five nodes with four of twenty shards each, and short blobs beside long ones.
async fn devnet(seed: u64) -> Devnet {
    let devnet = Devnet::builder().nodes(5).shards(20).seed(seed).segment_bytes(64 << 10);
    devnet.short_bytes_max(4 << 10).start().await.unwrap()
}

/// Waits until all nodes have read that these blobs are invalid, and a wiped node calls its shards held; then nobody reads the
/// blobs, and what was encoded as it should is as it was.
async fn end_invalid(devnet: &Devnet, wiped: usize, ids: &[BlobId], honest: (&BlobId, &[u8])) {
    let client = devnet.client("bob").await.unwrap();
    for id in ids {
        in_time("the ledger calls the blob invalid", TOLD_WITHIN, async || {
            let standing = client.status(id).await;
            standing.answered == 20 && standing.state == Some(State::Invalid)
        })
        .await;
        let refused = get(&client, id).await.unwrap_err();
        assert_eq!((refused.kind(), refused.is_retryable()), (Kind::Verification, false));
        assert!(refused.message().contains("invalid"), "{refused}");
    }
    let store = devnet.node(wiped).unwrap().context().store.clone();
    in_time("the wiped node calls its shards held", TOLD_WITHIN, async || {
        let shards = store.shards().unwrap();
        shards.len() == 4 && shards.values().all(|holding| *holding == Holding::Held)
    })
    .await;
    let (id, bytes) = honest;
    let holdings = client.holdings(id, &[]).await;
    assert_eq!(holdings.members[wiped].whole, Ok(4), "{holdings:?}");
    assert!(get(&client, id).await.unwrap() == bytes);
    client.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_with_a_sliver_that_is_not_its_own_ends_invalid_once_somebody_cannot_repair_it() {
    let mut devnet = devnet(71).await;
    let client = devnet.client("alice").await.unwrap();
    let bytes = sample_blob(71, 40 * KIB);
    let honest = put(&client, &bytes).await.unwrap().blob_id;
    let id = writer::put_inconsistent(&devnet, "bob", &bytes).await.unwrap();
    // Whoever has the sliver cannot rebuild it: all others say that it is another one.
    let wiped = holder(&devnet, &client, &id, 19);
    client.close().await;
    wipe(&mut devnet, wiped).await;
    end_invalid(&devnet, wiped, &[id], (&honest, &bytes)).await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_blob_with_a_symbol_that_is_not_its_own_ends_invalid_whether_it_can_be_read_or_not()
{
    let mut devnet = devnet(72).await;
    let client = devnet.client("alice").await.unwrap();
    let bytes = sample_blob(72, 300);
    let honest = put(&client, &bytes).await.unwrap().blob_id;
    // The first symbol holds bytes, so nobody reads the blob; the last is for repairs, and everybody does.
    let unreadable = writer::put_inconsistent_short(&devnet, "bob", &bytes, 0).await.unwrap();
    let readable = writer::put_inconsistent_short(&devnet, "bob", &bytes, 19).await.unwrap();
    assert!(get(&client, &readable).await.unwrap() == bytes);
    let keeps = holder(&devnet, &client, &unreadable, 0);
    let wiped = (0..5).find(|member| *member != keeps).unwrap();
    client.close().await;
    wipe(&mut devnet, wiped).await;
    end_invalid(&devnet, wiped, &[unreadable, readable], (&honest, &bytes)).await;
    devnet.shutdown().await;
}
