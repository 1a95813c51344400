//! One sender against a node that speaks the protocol by hand, over QUIC: it loses streams when the test says so.

use haulout_protocol::blob::{BlobHeader, Encoding};
use haulout_protocol::encoding::{SegmentPosition, encode_segment};
use haulout_protocol::sliver::Axis;

use super::*;
use crate::network::{Incoming, Network};
use crate::sample::{
    NETWORK, position_of, sample_committee, sample_context, sample_key, sample_network,
};
use crate::tree::{Role, Tree};

mod short;

/// A pair proof among seven shards: two roots and six neighbours.
const PROOF_BYTES: u32 = 256;

/// A client's sender and the only node of its committee, both real peers.
struct World {
    session: Session,
    incoming: Incoming,
    _node: Tree,
    _client: Tree,
}

impl World {
    async fn start() -> World {
        let (network, client) = (sample_network(1), sample_network(2));
        let mut position = position_of(sample_committee(&[network.identity()], 7));
        position.parameters =
            position.parameters.with_short_blobs(SHORT_BYTES_MAX).expect("it fits");
        let tree = async |network: &Network| {
            let context = sample_context(position.clone(), network.identity(), 0);
            Tree::start(context, network.clone(), Role::Client).await.expect("it starts")
        };
        let (node_tree, client_tree) = (tree(&network).await, tree(&client).await);
        let incoming = network.accept(Protocol::Sliver);
        let mut addresses = network.addresses();
        let shown = addresses.wait_for(|shown| !shown.is_empty()).await.expect("it listens");
        client.add_addresses(network.identity(), shown.clone());
        drop(shown);
        let session = Session {
            network: client,
            network_id: NETWORK,
            committee: position.committee.clone(),
            roster: Arc::new(position.roster()),
            parameters: position.parameters,
            checkpoint: 0,
            patience: std::time::Duration::from_secs(60),
        };
        World { session, incoming, _node: node_tree, _client: client_tree }
    }

    /// Begins to send a blob of so many segments, all of them the same short one.
    fn send(&self, segments: usize) -> (mpsc::Sender<Command>, mpsc::Receiver<Event>) {
        let header = BlobHeader {
            encoding: Encoding::Segments,
            length: SEGMENT_BYTES,
            segments: vec![segment(&self.session).commitment(); segments],
        };
        let (commands, queue) = mpsc::channel(WINDOW + 1);
        let (events, heard) = mpsc::channel(8);
        let blob_id = header.blob_id();
        let sender = Sender::new(self.session.clone(), blob_id, Arc::new(header), 0);
        tokio::spawn(async move { sender.run(queue, &events).await });
        (commands, heard)
    }

    /// The next stream of the sender, with its header read; the node holds these segments of it.
    async fn begun(&mut self, stored: Vec<u32>) -> Stream {
        let (_, mut stream) = self.incoming.next().await.expect("the sender comes");
        let Request::Put { header_bytes, .. } = request(&mut stream).await else {
            panic!("it begins with a put")
        };
        skip(&mut stream, header_bytes).await;
        answer(&mut stream, Reply::Ready { stored }).await;
        stream
    }
}

/// No blob of these tests is short but those of `short`.
const SHORT_BYTES_MAX: u32 = 64;
const SEGMENT_BYTES: u64 = 100;

fn segment(session: &Session) -> Encoded {
    let position = SegmentPosition { segment: 0, blob_bytes: SEGMENT_BYTES };
    Encoded::Segment(encode_segment(&session.parameters, position, vec![7; 100].into()))
}

async fn request(stream: &mut Stream) -> Request {
    stream.read_frame(LIST_FRAME_BYTES_MAX).await.expect("a request comes")
}

async fn answer(stream: &mut Stream, reply: Reply) {
    stream.write_frame(&reply).await.expect("it is heard");
    stream.flush().await.expect("it is heard");
}

async fn skip(stream: &mut Stream, bytes: u32) {
    let mut skipped = vec![0; bytes as usize];
    stream.read_exact(&mut skipped).await.expect("the bytes follow");
}

/// Reads one segment with all its slivers; which it was.
async fn receive(stream: &mut Stream) -> u32 {
    let Request::Segment { segment, pairs } = request(stream).await else {
        panic!("a segment comes")
    };
    for _ in 0..pairs {
        let Request::Pair { .. } = request(stream).await else { panic!("a pair comes") };
        skip(stream, PROOF_BYTES).await;
        for _ in Axis::BOTH {
            let Request::Sliver { bytes, .. } = request(stream).await else {
                panic!("a sliver comes")
            };
            skip(stream, bytes).await;
        }
    }
    segment
}

async fn next(heard: &mut mpsc::Receiver<Event>) -> Input {
    match heard.recv().await {
        Some(Event::Input(input)) => input,
        _ => panic!("a sender says something else or has ended"),
    }
}

#[tokio::test]
async fn a_segment_that_was_lost_with_its_stream_is_sent_again_and_told_of_once() {
    let mut world = World::start().await;
    let (commands, mut heard) = world.send(1);
    let encoded = Arc::new(segment(&world.session));
    commands.send(Command::Segment(0, encoded)).await.expect("it runs");
    let mut first = world.begun(vec![]).await;
    assert_eq!(receive(&mut first).await, 0);
    assert!(matches!(next(&mut heard).await, Input::Ready { .. }));
    assert!(matches!(next(&mut heard).await, Input::Sent { segment: 0, .. }));
    drop(first); // before a word about the segment
    commands.send(Command::Finish(None)).await.expect("it runs");

    let mut second = world.begun(vec![]).await;
    assert_eq!(receive(&mut second).await, 0, "it is sent again before anything else");
    drop(second);
    let mut third = world.begun(vec![0]).await;
    assert!(matches!(request(&mut third).await, Request::Finish { .. }), "what it has is not sent");
    let signature = sample_key(0).sign(b"a confirmation").to_bytes();
    answer(&mut third, Reply::Confirmed { epoch: 1, signature }).await;
    assert!(matches!(next(&mut heard).await, Input::Confirmed { member: 0, .. }));
}

#[tokio::test]
async fn a_lost_segment_of_a_blob_longer_than_the_window_fails_at_that_node() {
    let mut world = World::start().await;
    let (commands, mut heard) = world.send(WINDOW + 1);
    let encoded = Arc::new(segment(&world.session));
    commands.send(Command::Segment(0, encoded)).await.expect("it runs");
    let mut first = world.begun(vec![]).await;
    assert_eq!(receive(&mut first).await, 0);
    assert!(matches!(next(&mut heard).await, Input::Ready { .. }));
    assert!(matches!(next(&mut heard).await, Input::Sent { .. }));
    drop(first);
    commands.send(Command::Finish(None)).await.expect("it runs");
    let _second = world.begun(vec![]).await;
    let Input::Failed { member: 0, reason } = next(&mut heard).await else {
        panic!("it has failed")
    };
    assert_eq!(reason, AskError::Refused(Refusal::NotFound).to_string());
}

#[test]
fn a_put_goes_back_to_nodes_that_had_no_time_and_not_to_those_that_are_not_there() {
    let busy = Refusal::Busy { retry_after_ms: 500 };
    for error in [
        AskError::Open(OpenError::Busy),
        AskError::Open(OpenError::ConnectionLost),
        AskError::Open(OpenError::KeptWaiting),
        AskError::Refused(busy),
        AskError::Stream(StreamError::Closed),
        AskError::Stream(StreamError::TimedOut(limits::STREAM_IDLE_TIMEOUT)),
    ] {
        assert!(is_passing(&error, false), "{error}");
    }
    assert!(is_passing(&AskError::Open(OpenError::TimedOut), true), "it lives");
    for error in [
        AskError::Open(OpenError::Unreachable("nobody listens".into())),
        AskError::Open(OpenError::Refused),
        AskError::Open(OpenError::TimedOut),
        AskError::Open(OpenError::Banned),
        AskError::Refused(Refusal::Full),
        AskError::Refused(Refusal::NotFound),
        nonsense(),
    ] {
        assert!(!is_passing(&error, false), "{error}");
    }
}
