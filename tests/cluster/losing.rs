//! Nodes that lose what they stored: what is said of the blob, and of them.

use std::sync::Arc;

use haulout_actors::session::upload::{PutOptions, RepairedNode, Source};
use haulout_actors::session::{Observer, Pending, Progress};
use haulout_devnet::Devnet;
use haulout_node::LightClient;
use haulout_node::error::Kind;
use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::holdings::Outlook;
use haulout_protocol::wire::blob::State;
use haulout_tests::{KIB, eventually, get, put, quiet, sample_blob};
use tokio::sync::watch;

pub(crate) const OPTIONS: PutOptions = PutOptions { epochs: 1, deletable: true, force: false };

/// Loses the disk of a node, and has it back in the network.
pub(crate) async fn wipe(devnet: &mut Devnet, member: usize) {
    devnet.stop_node(member).await;
    devnet.wipe_node(member).unwrap();
    devnet.start_node(member).await.unwrap();
}

/// Waits until every node has read that the blob is certified.
pub(crate) async fn known_to_all(client: &LightClient, id: &BlobId) {
    eventually("all nodes have read of the blob", async || {
        let standing = client.status(id).await;
        standing.answered == 10 && matches!(standing.state, Some(State::Certified { .. }))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_whose_slivers_are_lost_is_not_called_readable_and_whoever_has_the_file_brings_them_back()
 {
    let devnet = Devnet::builder().nodes(4).shards(10).seed(91).segment_bytes(16 << 10);
    let mut devnet = devnet.without_repairs().start().await.unwrap();
    let blob = sample_blob(91, 40 * KIB);
    let id = put(&devnet.client("alice").await.unwrap(), &blob).await.unwrap().blob_id;
    let client = devnet.client("bob").await.unwrap();
    eventually("every node holds all of its slivers", async || {
        client.holdings(&id, &[]).await.stock.held == 10
    })
    .await;

    // Three and three of ten shards are lost; four are enough.
    wipe(&mut devnet, 0).await;
    wipe(&mut devnet, 1).await;
    let client = devnet.client("bob").await.unwrap();
    known_to_all(&client, &id).await;
    let holdings = client.holdings(&id, &[]).await;
    assert_eq!((holdings.stock.held, holdings.stock.outlook), (4, Outlook::Readable));
    let whole: Vec<_> = holdings.members.iter().map(|member| member.whole.clone()).collect();
    assert_eq!(whole, [Ok(0), Ok(0), Ok(2), Ok(2)]);
    assert!(get(&client, &id).await.unwrap() == blob);

    // Nothing is stopped, everybody answers, and it cannot be read any more.
    wipe(&mut devnet, 2).await;
    let client = devnet.client("bob").await.unwrap();
    known_to_all(&client, &id).await;
    let holdings = client.holdings(&id, &[]).await;
    assert_eq!((holdings.stock.held, holdings.stock.outlook), (2, Outlook::Lost));
    let failed = get(&client, &id).await.unwrap_err();
    assert_eq!((failed.kind(), failed.is_retryable()), (Kind::Unavailable, false), "{failed}");
    assert!(failed.message().contains("2 of 4 slivers"), "{failed}");
    assert!(failed.next_step().contains("waiting does not help"), "{}", failed.next_step());

    // While one of those that hold some is away, nobody can say that it is lost: it may hold the rest.
    devnet.stop_node(2).await;
    devnet.stop_node(1).await;
    let client = devnet.client("bob").await.unwrap();
    let holdings = client.holdings(&id, &[]).await;
    assert_eq!((holdings.stock.held, holdings.stock.outlook), (2, Outlook::Waiting));
    // Who was silent when it was asked for the status is not asked again, and named with what was said then.
    let silent = [(holdings.members[3].name.clone(), "was silent".to_owned())];
    let heard = client.holdings(&id, &silent).await;
    assert_eq!((heard.stock.held, heard.has_header, heard.can_be_read()), (0, false, false));
    assert_eq!(heard.members[3].whole, Err("was silent".to_owned()));
    let failed = get(&client, &id).await.unwrap_err();
    assert!(failed.is_retryable(), "{failed}");
    assert!(
        failed.next_step().starts_with("try again when n2, n3 answer"),
        "{}",
        failed.next_step()
    );
    client.close().await;

    // Whoever has the file brings them back: anybody, for nothing.
    devnet.start_node(1).await.unwrap();
    devnet.start_node(2).await.unwrap();
    let mut config = devnet.client_config("bob").unwrap();
    config.wallet = None;
    let stranger = LightClient::connect(config).await.unwrap();
    known_to_all(&stranger, &id).await;
    let file = || Source::Memory(blob.clone().into());
    let report = stranger.repair(file(), &quiet()).await.unwrap();
    let sent: Vec<_> = report.nodes.iter().map(|node| node.sent).collect();
    assert_eq!((report.blob_id, sent), (id, vec![3, 3, 3, 0]));
    assert!(report.nodes.iter().all(|node| node.failed.is_none()), "{report:?}");
    let holdings = stranger.holdings(&id, &[]).await;
    assert_eq!((holdings.stock.held, holdings.stock.outlook), (10, Outlook::Readable));
    assert!(get(&stranger, &id).await.unwrap() == blob);
    let again = stranger.repair(file(), &quiet()).await.unwrap();
    let has_all = |node: &RepairedNode| (node.sent, &node.failed) == (0, &None);
    assert!(again.nodes.iter().all(has_all), "{again:?}");
    let unknown = Source::Memory(sample_blob(92, KIB).into());
    let refused = stranger.repair(unknown, &quiet()).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound, "{refused}");
    stranger.close().await;
    devnet.shutdown().await;
}

/// Begins to store a blob, and ends as Ctrl-C does once it is registered and paid.
pub(crate) async fn interrupted(client: &LightClient, bytes: &[u8]) -> Pending {
    let (told, mut registered) = watch::channel(None);
    let observer: Observer = Arc::new(move |progress| {
        if let Progress::Registered(pending) = progress {
            told.send_replace(Some(pending));
        }
    });
    let source = Source::Memory(bytes.to_vec().into());
    tokio::select! {
        biased;
        pending = registered.wait_for(Option::is_some) => pending.unwrap().unwrap(),
        stored = client.put(source, OPTIONS, &observer) => panic!("it was not interrupted: {stored:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_only_registered_is_told_as_such_and_no_healthy_node_is_named() {
    let devnet = Devnet::builder().nodes(4).shards(10).seed(93).segment_bytes(16 << 10);
    let mut devnet = devnet.without_repairs().start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let blob = sample_blob(93, 40 * KIB);
    let pending = interrupted(&client, &blob).await;
    let id = pending.blob_id;
    assert!(pending.paid.wal > 0 && pending.deletable, "{pending:?}");
    // Whatever was sent before, too little of it is left; the node that stays knows the header, or nobody does.
    for member in 0..3 {
        wipe(&mut devnet, member).await;
    }
    let reader = devnet.client("bob").await.unwrap();
    eventually("all nodes have read of the registration", async || {
        let standing = reader.status(&id).await;
        standing.answered == 10 && matches!(standing.state, Some(State::Registered { .. }))
    })
    .await;
    let refused = get(&reader, &id).await.unwrap_err();
    assert_eq!((refused.kind(), refused.is_retryable()), (Kind::NotFound, true), "{refused}");
    let told = refused.to_json().to_string();
    assert!(told.contains("registered, not certified"), "{told}");
    assert!(told.contains(&pending.object.to_string()), "{told}");
    assert!(!told.contains("n1") && !told.contains("no help from"), "{told}");
    let named = reader.registration(&id).await.map(|named| (named.object, named.end_epoch));
    assert_eq!(named, Some((*pending.object.as_bytes(), pending.end_epoch)));

    // What is said of the next step is true: the same content finishes it in the same storage.
    let client = devnet.client("alice").await.unwrap();
    let source = Source::Memory(blob.clone().into());
    let finished = client.put(source, OPTIONS, &quiet()).await.unwrap();
    assert_eq!((finished.object, finished.cost.wal), (Some(pending.object), 0));
    assert!(get(&reader, &id).await.unwrap() == blob);
    devnet.shutdown().await;
}
