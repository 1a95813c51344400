//! One put and one get are one trace each, over the client and all nodes, and say where the time went.

use haulout_devnet::Devnet;
use haulout_tests::spans::{Trace, attribute};
use haulout_tests::{KIB, eventually, get, log, put, sample_blob};
use opentelemetry::trace::{TraceContextExt, TraceId};
use tracing::{Instrument, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

fn trace_id(span: &Span) -> TraceId {
    span.context().span().span_context().trace_id()
}

/// Waits until the trace has so many spans of each name: nodes end theirs a moment after the answer left.
async fn complete(id: TraceId, wanted: &[(&str, usize)]) -> Trace {
    let is_complete = async || {
        let trace = Trace::of(id);
        wanted.iter().all(|(name, count)| trace.named(name).len() >= *count)
    };
    eventually("all spans of the trace ended", is_complete).await;
    Trace::of(id)
}

fn check_parents(trace: &Trace, parents: &[(&str, &[&str])]) {
    for (name, allowed) in parents {
        for span in trace.named(name) {
            let parent = trace.parent_of(span);
            assert!(parent.is_some_and(|it| allowed.contains(&it)), "{name} is in {parent:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_traces_of_a_put_and_a_get_say_where_the_time_went_on_every_node() {
    log::keep();
    let devnet = Devnet::builder().nodes(4).shards(4).seed(91).segment_bytes(64 << 10);
    let devnet = devnet.start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();

    let blob = sample_blob(91, 100 * KIB);
    let span = info_span!("put");
    let id = trace_id(&span);
    let stored = put(&client, &blob).instrument(span).await.unwrap();
    let blob_id = stored.blob_id.to_string();
    let once = ["put", "identify", "register", "certify"].map(|name| (name, 1));
    let each = ["send", "receive", "verify", "store"].map(|name| (name, 4));
    // The client waits for a node to confirm, and the node does it: two spans each.
    let rest = [("encode", 2), ("confirm", 8)];
    let trace = complete(id, &[&once[..], &each[..], &rest[..]].concat()).await;
    check_parents(
        &trace,
        &[
            ("identify", &["put"]),
            ("encode", &["identify", "put"]),
            ("register", &["put"]),
            ("certify", &["put"]),
            ("send", &["put"]),
            ("receive", &["send"]),
            ("verify", &["receive"]),
            ("store", &["receive"]),
            ("confirm", &["send", "receive"]),
        ],
    );
    let mut nodes: Vec<_> =
        trace.named("send").into_iter().map(|it| attribute(it, "node")).collect();
    nodes.sort();
    let names = ["n1", "n2", "n3", "n4"].map(|name| Some(name.to_owned()));
    assert_eq!(nodes, names);
    for received in trace.named("receive") {
        assert!(received.parent_span_is_remote, "the parent came over the wire");
        assert_eq!(attribute(received, "haulout.blob.id").as_deref(), Some(blob_id.as_str()));
        assert_eq!(attribute(received, "rpc.system").as_deref(), Some("libp2p"));
        assert_eq!(attribute(received, "rpc.method").as_deref(), Some("put"));
    }

    let span = info_span!("get");
    let id = trace_id(&span);
    let got = get(&client, &stored.blob_id).instrument(span).await.unwrap();
    assert!(got == blob);
    // Two of four slivers rebuild a segment, of which there are two.
    let wanted =
        [("get", 1), ("locate", 1), ("fetch", 4), ("serve", 4), ("decode", 2), ("read", 4)];
    let trace = complete(id, &wanted).await;
    check_parents(
        &trace,
        &[
            ("locate", &["get"]),
            ("answer", &["locate"]),
            ("fetch", &["get"]),
            ("decode", &["get"]),
            ("serve", &["fetch"]),
            ("read", &["serve", "answer"]),
        ],
    );
    for fetched in trace.named("fetch") {
        assert!(attribute(fetched, "node").is_some_and(|node| node.starts_with('n')));
        assert_eq!(attribute(fetched, "haulout.blob.id").as_deref(), Some(blob_id.as_str()));
    }
    client.close().await;
    devnet.shutdown().await;
}
