//! Short blobs: one row of symbols, stored, read, lost and brought back.

use haulout_actors::session::download::Consistency;
use haulout_actors::session::upload::Source;
use haulout_devnet::Devnet;
use haulout_node::LightClient;
use haulout_node::error::Kind;
use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::machine::holdings::Outlook;
use haulout_protocol::sliver::{PairIndex, shard_of_pair};
use haulout_tests::liar::{Liar, Lie};
use haulout_tests::{KIB, eventually, get, get_with, log, put, quiet, sample_blob, writer};

use crate::losing::{OPTIONS, interrupted, known_to_all, wipe};

/// Around every edge: none, one symbol, one more byte, the longest short blob.
const SHORT: [usize; 9] = [0, 1, 127, 128, 129, 1000, 4096, 65_535, 65_536];

fn parameters(client: &LightClient) -> Parameters {
    client.context().position.current().parameters
}

/// Who holds the symbol at this place of a blob.
fn holder(devnet: &Devnet, client: &LightClient, id: &BlobId, place: u16) -> usize {
    let position = client.context().position.current();
    let shard = shard_of_pair(&position.parameters, id, 0, PairIndex(place));
    let member = position.committee.member_of_shard(shard).unwrap();
    let name = &position.committee.members()[member].name;
    (0..devnet.members()).find(|index| devnet.name(*index) == name).unwrap()
}

/// Symbols that each node has sent to readers.
fn served(devnet: &Devnet) -> Vec<u64> {
    let count = |index| {
        let text = devnet.node(index).unwrap().context().metrics.encode();
        let counter = "haulout_slivers_served_total{axis=\"symbol\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(counter));
        line.map_or(0, |count| count.parse().unwrap())
    };
    (0..devnet.members()).map(count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_around_every_edge_come_back_also_from_as_few_nodes_as_a_read_takes() {
    let devnet = Devnet::builder().nodes(7).shards(7).seed(211).segment_bytes(256 << 10);
    let mut devnet = devnet.start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let mut stored = Vec::new();
    for length in SHORT.into_iter().chain([65_537]) {
        let blob = sample_blob(211, length);
        let report = put(&client, &blob).await.unwrap_or_else(|error| panic!("{length}: {error}"));
        stored.push((report.blob_id, blob));
    }
    for (id, blob) in &stored {
        assert!(get(&client, id).await.unwrap() == *blob, "{} bytes", blob.len());
        let strict = get_with(&client, id, Consistency::Strict).await;
        assert!(strict.unwrap() == *blob, "{} bytes, strictly", blob.len());
        let row = devnet.node(3).unwrap().context().store.short(id).unwrap();
        assert_eq!(row.is_some(), SHORT.contains(&blob.len()), "{} bytes", blob.len());
    }
    client.close().await;
    // Four of seven are gone: P = 3 are left, be their symbols data, padding or repair.
    for member in [0, 1, 5, 6] {
        devnet.stop_node(member).await;
    }
    let client = devnet.client("bob").await.unwrap();
    for (id, blob) in &stored {
        let got = get(&client, id).await.unwrap_or_else(|error| panic!("{}: {error}", blob.len()));
        assert!(got == *blob, "{} bytes from three of seven nodes", blob.len());
    }
    client.close().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_asks_only_those_who_hold_the_blobs_bytes_and_for_nothing_else() {
    let devnet = Devnet::builder().nodes(5).shards(100).seed(212).start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    // Of the 34 symbols that decode a row so many hold the blob.
    for (length, data) in [(100, 1), (1000, 8)] {
        let blob = sample_blob(212, length);
        let id = put(&client, &blob).await.unwrap().blob_id;
        let mut wanted = vec![0; devnet.members()];
        for place in 0..data {
            wanted[holder(&devnet, &client, &id, place)] += 1;
        }
        // A machine that is busy makes a reader ask others, too; one read of many is enough to show what is usual.
        eventually("a read takes just the symbols that hold the blob", async || {
            let reader = devnet.client("bob").await.unwrap();
            let before = served(&devnet);
            assert!(get(&reader, &id).await.unwrap() == blob);
            reader.close().await;
            let after = served(&devnet);
            let taken: Vec<_> = after.iter().zip(&before).map(|(now, was)| now - was).collect();
            taken == wanted
        })
        .await;
    }
    client.close().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lies_about_symbols_changes_no_result_and_is_named_in_the_log() {
    log::keep();
    let devnet = Devnet::builder().nodes(4).shards(4).seed(213).segment_bytes(64 << 10);
    let mut devnet = devnet.start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let blob = sample_blob(213, 40 * KIB);
    let id = put(&client, &blob).await.unwrap().blob_id;
    let (member, parameters) = (holder(&devnet, &client, &id, 0), parameters(&client));
    client.close().await;
    devnet.stop_node(member).await;

    let lies = [
        (Lie::WrongBytes, Some("does not verify")),
        (Lie::WrongProofs, Some("does not verify")),
        (Lie::OversizedFrames, Some("oversized frame")),
        (Lie::Silence, None), // it may be down
    ];
    for (seed, (lie, reason)) in (214..).zip(lies) {
        let liar = Liar::start(&devnet, member, lie, parameters, &blob).await.unwrap();
        // A client remembers who was slow, and may never ask the liar again: each look is a new client's.
        let peer_id = liar.peer_id().to_string();
        let is_named = || {
            let words = |reason| log::has_line(&["peer blamed", &peer_id, reason]);
            reason.is_none_or(words)
        };
        eventually("the liar was asked for symbols, and is named if it lied", async || {
            let reader = devnet.client("bob").await.unwrap();
            for level in [Consistency::Default, Consistency::Strict] {
                let got = get_with(&reader, &id, level).await;
                let got = got.unwrap_or_else(|error| panic!("{lie:?}: {error}"));
                assert!(got == blob, "{lie:?}: wrong bytes reached the reader");
            }
            reader.close().await;
            liar.asked_for_slivers() > 0 && is_named()
        })
        .await;
        let writer = devnet.client("bob").await.unwrap();
        let new = sample_blob(seed, 1000);
        let report = put(&writer, &new).await.unwrap_or_else(|error| panic!("{lie:?}: {error}"));
        assert_eq!(report.shards.0, 3, "{lie:?}: only the honest confirm");
        assert!(get(&writer, &report.blob_id).await.unwrap() == new, "{lie:?}");
        writer.close().await;
        liar.stop().await;
    }
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_that_its_writer_spoiled_gives_nobody_wrong_bytes_and_every_strict_reader_notices()
{
    let devnet = Devnet::builder().nodes(4).shards(10).seed(215).start().await.unwrap();
    // Three symbols hold it, the fourth is padding, and those from there on are for repair.
    let blob = sample_blob(215, 300);
    for (spoiled, is_data) in [(0, true), (2, true), (3, false), (9, false)] {
        let id = writer::put_inconsistent_short(&devnet, "alice", &blob, spoiled).await.unwrap();
        let client = devnet.client("bob").await.unwrap();
        assert_eq!(parameters(&client).short_data_symbols(300), 3);
        match get(&client, &id).await {
            Ok(bytes) => assert!(bytes == blob && !is_data, "symbol {spoiled}"),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Verification, "symbol {spoiled}: {error}");
                assert!(error.message().contains("inconsistently"), "{error}");
                assert!(is_data, "symbol {spoiled} was not needed");
            }
        }
        let refused = get_with(&client, &id, Consistency::Strict).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Verification, "symbol {spoiled}: {refused}");
        client.close().await;
    }
    let client = devnet.client("bob").await.unwrap();
    let honest = put(&client, &blob).await.unwrap().blob_id;
    assert!(get_with(&client, &honest, Consistency::Strict).await.unwrap() == blob);
    client.close().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_blob_is_not_called_lost_while_its_bytes_are_there_and_whoever_has_it_brings_it_back()
 {
    let devnet = Devnet::builder().nodes(4).shards(10).seed(216).without_repairs().start().await;
    let mut devnet = devnet.unwrap();
    let alice = devnet.client("alice").await.unwrap();
    // One symbol holds the first, all four are needed for the second.
    let (tiny, long) = (sample_blob(216, 100), sample_blob(217, 40 * KIB));
    let id = put(&alice, &tiny).await.unwrap().blob_id;
    let other = put(&alice, &long).await.unwrap().blob_id;
    let client = devnet.client("bob").await.unwrap();
    for (id, all) in [(id, 7), (other, 10)] {
        eventually("every node holds all of its symbols", async || {
            let found = client.holdings(&id, &[]).await;
            (found.stock.held, found.stock.all) == (all, all)
        })
        .await;
    }
    let kept = holder(&devnet, &client, &id, 0);
    client.close().await;
    for member in (0..4).filter(|member| *member != kept) {
        wipe(&mut devnet, member).await;
    }
    let client = devnet.client("bob").await.unwrap();
    known_to_all(&client, &id).await;
    known_to_all(&client, &other).await;
    let holdings = client.holdings(&id, &[]).await;
    assert!(holdings.is_short && holdings.has_header, "{holdings:?}");
    assert_eq!((holdings.stock.needed, holdings.stock.outlook), (1, Outlook::Readable));
    assert!(get(&client, &id).await.unwrap() == tiny, "one symbol is all it takes");
    let holdings = client.holdings(&other, &[]).await;
    assert_eq!((holdings.stock.needed, holdings.stock.outlook), (4, Outlook::Lost));
    let failed = get(&client, &other).await.unwrap_err();
    assert_eq!((failed.kind(), failed.is_retryable()), (Kind::Unavailable, false), "{failed}");
    client.close().await;

    let mut config = devnet.client_config("bob").unwrap();
    config.wallet = None;
    let stranger = LightClient::connect(config).await.unwrap();
    for (id, blob, all) in [(id, tiny, 7), (other, long, 10)] {
        let report = stranger.repair(Source::Memory(blob.clone().into()), &quiet()).await.unwrap();
        assert_eq!(report.blob_id, id);
        let whole = |at: usize| report.nodes[at].failed.is_none();
        assert!((0..4).all(whole), "{report:?}");
        let healed = report.nodes.iter().filter(|node| node.sent > 0).count();
        assert_eq!(healed, 3, "{report:?}");
        let holdings = stranger.holdings(&id, &[]).await;
        assert_eq!((holdings.stock.held, holdings.stock.outlook), (all, Outlook::Readable));
        assert!(get_with(&stranger, &id, Consistency::Strict).await.unwrap() == blob);
    }
    stranger.close().await;
    devnet.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_of_a_short_blob_that_is_interrupted_goes_on_and_pays_once() {
    let devnet = Devnet::builder().nodes(4).shards(10).seed(218).start().await.unwrap();
    let blob = sample_blob(218, 4 * KIB);
    let client = devnet.client("alice").await.unwrap();
    let pending = interrupted(&client, &blob).await;
    assert!(pending.paid.wal > 0, "{pending:?}");
    client.close().await;
    let client = devnet.client("alice").await.unwrap();
    let source = || Source::Memory(blob.clone().into());
    let finished = client.put(source(), OPTIONS, &quiet()).await.unwrap();
    assert_eq!((finished.object, finished.cost.wal), (Some(pending.object), 0));
    let again = client.put(source(), OPTIONS, &quiet()).await.unwrap();
    assert_eq!((again.object, again.cost.wal, again.cost.gas), (Some(pending.object), 0, 0));
    assert!(get(&client, &finished.blob_id).await.unwrap() == blob);
    client.close().await;
    devnet.shutdown().await;
}
