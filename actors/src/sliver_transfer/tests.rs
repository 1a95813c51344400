//! Uploads and downloads between two peers on this machine, over QUIC, without a ledger: the test
//! writes the store's registrations and moves the position by hand.

use std::time::Duration;

use haulout_protocol::blob::BlobHeader;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::committee::Neighbour;
use haulout_protocol::crypto::{PeerId, Signature};
use haulout_protocol::encoding::{EncodedSegment, Parameters, SegmentPosition, encode_segment};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::ledger_history::{Doubt, Verdict};
use haulout_protocol::message::{Persistence, blob_certificate_message};
use haulout_protocol::sliver::{Axis, PairIndex, ShardIndex, pair_of_shard};
use haulout_protocol::wire::blob::{self, Answer, Question};
use haulout_protocol::wire::sliver::{Part, Reply, Request};
use haulout_protocol::wire::{self, Refusal};
use haulout_storage::BlobEffect;

use super::{Bounds, Patience};
use crate::context::Context;
use crate::network::{Blame, Network, Protocol, Stream};
use crate::sample::{
    NETWORK, eventually, position_of, sample_committee, sample_context, sample_key, sample_network,
};
use crate::serving;
use crate::tree::{Role, Tree};

mod readers;
mod short;

/// A blob of three segments, the last one short, with all its slivers.
struct Blob {
    header: BlobHeader,
    segments: Vec<EncodedSegment>,
}

fn sample_blob(parameters: &Parameters, seed: u8) -> Blob {
    let segment_bytes = usize::try_from(parameters.segment_bytes()).unwrap();
    let byte = |at: usize| (at ^ (at >> 8) ^ (at >> 14)).to_le_bytes()[0] ^ seed;
    let bytes: Vec<u8> = (0..2 * segment_bytes + 100).map(byte).collect();
    let blob_bytes = u64::try_from(bytes.len()).unwrap();
    let encode = |(segment, chunk): (usize, &[u8])| {
        let segment = u32::try_from(segment).unwrap();
        let position = SegmentPosition { segment, blob_bytes };
        encode_segment(parameters, position, chunk.to_vec().into())
    };
    let segments: Vec<_> = bytes.chunks(segment_bytes).enumerate().map(encode).collect();
    let commitments = segments.iter().map(EncodedSegment::commitment).collect();
    Blob { header: BlobHeader::new(parameters, blob_bytes, commitments), segments }
}

/// A storage node that owns some shards, and a client next to it.
struct World {
    node: Context,
    tree: Tree,
    client: Network,
    _client_tree: Tree,
    shards: Vec<ShardIndex>,
}

const QUICK: Patience = Patience {
    bounds: Bounds { per_peer: 1 << 20, per_host: 1 << 20, total: 1 << 20, blobs: 8_192 },
    pending_time: Duration::from_secs(60),
    sweep_interval: Duration::from_secs(60),
    registration_wait: Duration::from_secs(20),
    idle: Duration::from_secs(10),
    pause: Duration::from_secs(10),
};

impl World {
    /// Two members share seven shards; ours is the first.
    async fn start(patience: Patience) -> World {
        World::start_with(serving::Limits::default(), patience).await
    }

    async fn start_with(limits: serving::Limits, patience: Patience) -> World {
        let network = sample_network(1);
        let other = PeerId::from_key([200; 32]);
        let committee = sample_committee(&[network.identity(), other], 7);
        let shards = committee.members()[0].shards.clone();
        let node = sample_context(position_of(committee), network.identity(), 0);
        let tree = Tree::start_with(node.clone(), network, Role::StorageNode, (limits, patience));
        let tree = tree.await.unwrap();
        let client = sample_network(2);
        let context = sample_context(node.position.current(), client.identity(), 1);
        let client_tree = Tree::start(context, client.clone(), Role::Client).await.unwrap();
        let mut addresses = tree.network().addresses();
        let listening = addresses.wait_for(|addresses| !addresses.is_empty()).await.unwrap();
        client.add_addresses(tree.network().identity(), listening.clone());
        drop(listening);
        World { node, tree, client, _client_tree: client_tree, shards }
    }

    async fn open(&self, protocol: Protocol) -> Stream {
        self.client.open(self.tree.network().identity(), protocol).await.unwrap()
    }

    fn parameters(&self) -> Parameters {
        self.node.position.current().parameters
    }

    /// What chain sync would do at the next checkpoint.
    async fn register(&self, blob: &Blob) {
        self.register_header(&blob.header).await;
    }

    async fn register_header(&self, header: &BlobHeader) {
        let mut position = self.node.position.current();
        position.checkpoint += 1;
        let effect = BlobEffect::Registered {
            blob_id: header.blob_id(),
            object_id: ObjectId::from_bytes([4; 32]),
            epoch: Epoch(1),
            end_epoch: Epoch(9),
            size: header.length,
            deletable: false,
        };
        self.node.store.apply(position.checkpoint, vec![effect]).await.unwrap();
        self.node.position.set(position);
    }

    /// Begins an upload; the segments the node has already.
    async fn begin(&self, blob: &Blob) -> (Stream, Vec<u32>) {
        let mut stream = self.open(Protocol::Sliver).await;
        send_put(&mut stream, blob, blob.header.to_bytes()).await;
        match reply(&mut stream).await {
            Reply::Ready { stored } => (stream, stored),
            other => panic!("not ready: {other:?}"),
        }
    }

    /// Sends the node's slivers of one segment, changed by `spoil` on their way.
    async fn send_segment(
        &self,
        stream: &mut Stream,
        blob: &Blob,
        segment: u32,
        spoil: impl Fn(&mut Vec<u8>),
    ) {
        let encoded = &blob.segments[usize::try_from(segment).unwrap()];
        announce(stream, segment, &self.shards).await;
        let (parameters, blob_id) = (self.parameters(), blob.header.blob_id());
        for shard in &self.shards {
            let pair = pair_of_shard(&parameters, &blob_id, segment, *shard);
            send_pair(stream, encoded, pair).await;
            for axis in Axis::BOTH {
                let mut bytes = encoded.sliver(axis, pair.sliver_index(axis, &parameters)).to_vec();
                spoil(&mut bytes);
                let length = u32::try_from(bytes.len()).unwrap();
                send(stream, &Request::Sliver { axis, bytes: length }).await;
                // A node that refused stops reading; its answer says why.
                let _ = stream.write_all(&bytes).await;
            }
        }
        let _ = stream.flush().await;
    }

    /// A whole upload; the signature.
    async fn put(&self, blob: &Blob) -> Signature {
        let (mut stream, stored) = self.begin(blob).await;
        for segment in 0..u32::try_from(blob.segments.len()).unwrap() {
            if !stored.contains(&segment) {
                self.send_segment(&mut stream, blob, segment, |_| {}).await;
                assert_eq!(reply(&mut stream).await, Reply::Stored { segment });
            }
        }
        self.finish(&mut stream).await
    }

    async fn finish(&self, stream: &mut Stream) -> Signature {
        send(stream, &Request::Finish { deletable: None }).await;
        match reply(stream).await {
            Reply::Confirmed { epoch: 1, signature } => Signature::from_bytes(&signature).unwrap(),
            other => panic!("not confirmed: {other:?}"),
        }
    }

    /// One question about a blob: the answer, and the bytes behind it.
    async fn ask(&self, blob: &Blob, question: Question) -> (Answer, Vec<u8>) {
        let mut stream = self.open(Protocol::Blob).await;
        let blob_id = *blob.header.blob_id().as_bytes();
        stream.write_frame(&blob::Request { blob_id, question, trace: None }).await.unwrap();
        stream.flush().await.unwrap();
        let answer = stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await.unwrap();
        let behind = match answer {
            Answer::Header { bytes } => bytes,
            _ => 0,
        };
        (answer, stream.read_bytes(behind).await.unwrap())
    }

    /// Waits until the node holds this against the client.
    async fn blamed(&self, blame: Blame) {
        let mut peers = self.tree.network().peers();
        let client = self.client.identity();
        let blamed = peers.wait_for(|peers| {
            peers.blamed.get(&client).is_some_and(|blamed| blamed.contains_key(&blame))
        });
        let waited = tokio::time::timeout(Duration::from_secs(10), blamed).await;
        assert!(waited.is_ok(), "the client was not blamed for {blame}");
    }
}

async fn send(stream: &mut Stream, request: &Request) {
    // A node that refused stops reading; its answer says why.
    if stream.write_frame(request).await.is_ok() {
        let _ = stream.flush().await;
    }
}

async fn send_put(stream: &mut Stream, blob: &Blob, header: Vec<u8>) {
    let blob_id = *blob.header.blob_id().as_bytes();
    let header_bytes = u32::try_from(header.len()).unwrap();
    send(stream, &Request::Put { blob_id, header_bytes, trace: None }).await;
    send_raw(stream, &header).await;
}

async fn announce(stream: &mut Stream, segment: u32, shards: &[ShardIndex]) {
    let pairs = u16::try_from(shards.len()).unwrap();
    send(stream, &Request::Segment { segment, pairs }).await;
}

async fn send_pair(stream: &mut Stream, encoded: &EncodedSegment, pair: PairIndex) {
    send(stream, &Request::Pair { pair: pair.0 }).await;
    send_raw(stream, &encoded.pairs().prove(pair).to_bytes()).await;
}

async fn send_raw(stream: &mut Stream, bytes: &[u8]) {
    // A node that refused stops reading; its answer says why.
    if stream.write_all(bytes).await.is_ok() {
        let _ = stream.flush().await;
    }
}

async fn reply(stream: &mut Stream) -> Reply {
    stream.read_frame(wire::SMALL_FRAME_BYTES_MAX).await.unwrap()
}

fn assert_invalid(reply: &Reply) {
    assert!(matches!(reply, Reply::Refused(Refusal::Invalid(_))), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_confirmed_once_it_is_registered_and_can_then_be_read() {
    let world = World::start(QUICK).await;
    let blob = sample_blob(&world.parameters(), 1);
    let blob_id = blob.header.blob_id();
    let uploading = world.put(&blob);
    let registering = async {
        // The registration comes while the node waits for it.
        let holds = || world.node.store.holds(&blob_id, 3, &world.shards).unwrap();
        eventually("the node holds everything", holds).await;
        world.register(&blob).await;
    };
    let (signature, ()) = tokio::join!(uploading, registering);
    let message = blob_certificate_message(&NETWORK, Epoch(1), &blob_id, &Persistence::Permanent);
    assert!(signature.verify(&sample_key(0).public_key(), &message));

    let mut stream = world.open(Protocol::Sliver).await;
    let axis = Axis::Primary;
    let get = Request::Get {
        blob_id: *blob_id.as_bytes(),
        segment: 1,
        axis,
        part: Part::Both,
        pairs: (0..7).collect(),
        trace: None,
    };
    send(&mut stream, &get).await;
    let mut found = 0;
    for pair in 0..7 {
        match reply(&mut stream).await {
            Reply::Proof { pair: sent, bytes } => {
                assert_eq!(sent, pair);
                let proof = stream.read_bytes(bytes).await.unwrap();
                assert_eq!(proof, blob.segments[1].pairs().prove(PairIndex(pair)).to_bytes());
                let Reply::Sliver { pair: sent, bytes } = reply(&mut stream).await else {
                    panic!("the sliver follows its proof")
                };
                assert_eq!(sent, pair);
                let mut sliver = vec![0; usize::try_from(bytes).unwrap()];
                stream.read_exact(&mut sliver).await.unwrap();
                let index = PairIndex(pair).sliver_index(axis, &world.parameters());
                assert_eq!(sliver, blob.segments[1].sliver(axis, index));
                found += 1;
            }
            other => assert_eq!(other, Reply::Missing { pair }),
        }
    }
    assert_eq!((found, reply(&mut stream).await), (world.shards.len(), Reply::End));
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_from_the_store() {
    let world = World::start(QUICK).await;
    let blob = sample_blob(&world.parameters(), 2);
    let status = world.ask(&blob, Question::Status).await;
    let state = |(answer, _)| match answer {
        Answer::Status(status) => status.state,
        other => panic!("no status: {other:?}"),
    };
    assert_eq!(state(status), blob::State::Nonexistent);
    let missing = Answer::Refused(Refusal::NotFound);
    for question in [Question::Header, Question::Certificate] {
        assert_eq!(world.ask(&blob, question).await.0, missing);
    }
    assert_eq!(world.ask(&blob, Question::Holdings { segment: 0 }).await.0, missing);
    assert_eq!(world.ask(&blob, Question::Registration).await.0, Answer::Registration(None));
    world.register(&blob).await;
    let nothing = vec![blob::Held::default(); 3];
    let holdings = world.ask(&blob, Question::Holdings { segment: 0 }).await.0;
    assert_eq!(holdings, Answer::Holdings(nothing), "registered, and nothing came");
    let registration = world.ask(&blob, Question::Registration).await.0;
    let Answer::Registration(Some(named)) = registration else { panic!("{registration:?}") };
    assert_eq!((named.object, named.registered_epoch, named.end_epoch), ([4; 32], 1, 9));
    let object = |object: u8, checkpoint| Question::Object { object: [object; 32], checkpoint };
    let told = |(answer, _)| match answer {
        Answer::Object(status) => (status.checkpoint, status.object.map(|it| it.is_certified)),
        other => panic!("no object: {other:?}"),
    };
    let read = world.node.position.current().checkpoint;
    assert_eq!(told(world.ask(&blob, object(4, 0)).await), (read, Some(false)));
    assert_eq!(told(world.ask(&blob, object(5, 0)).await), (read, None));
    // Of what is not read yet the node says how far it is, after a moment; and at once when it has read on.
    assert_eq!(told(world.ask(&blob, object(4, u64::MAX)).await), (read, Some(false)));
    let watchers = world.node.position.watchers();
    let mut waits = std::pin::pin!(world.ask(&blob, object(4, read + 1)));
    while world.node.position.watchers() == watchers {
        tokio::select! {
            biased;
            answer = &mut waits => panic!("it did not wait: {answer:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    let mut position = world.node.position.current();
    position.checkpoint = read + 1;
    world.node.position.set(position);
    assert_eq!(told(waits.await), (read + 1, Some(false)));
    world.put(&blob).await;
    let own = u16::try_from(world.shards.len()).unwrap();
    let all = blob::Held { primary: own, secondary: own };
    let holdings = world.ask(&blob, Question::Holdings { segment: 1 }).await.0;
    assert_eq!(holdings, Answer::Holdings(vec![all; 2]), "of the segments from there on");
    let status = world.ask(&blob, Question::Status).await;
    assert_eq!(state(status), blob::State::Registered { end_epoch: 9 });
    let (_, header) = world.ask(&blob, Question::Header).await;
    assert_eq!(header, blob.header.to_bytes());
    let (commitment, _) = world.ask(&blob, Question::Commitment { segment: 2 }).await;
    let Answer::Commitment(proof) = commitment else { panic!("no commitment: {commitment:?}") };
    assert_eq!(proof.commitment, blob.header.segments[2]);
    assert!(proof.is_of(&blob.header.blob_id(), 2, &world.parameters()));
    let (none, _) = world.ask(&blob, Question::Commitment { segment: 3 }).await;
    assert_eq!(none, missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_slivers_proofs_and_headers_are_refused_and_their_sender_is_blamed() {
    let world = World::start(QUICK).await;
    let blob = sample_blob(&world.parameters(), 3);
    world.register(&blob).await;

    let (mut stream, _) = world.begin(&blob).await;
    world.send_segment(&mut stream, &blob, 0, |bytes| bytes[7] ^= 1).await;
    assert_invalid(&reply(&mut stream).await);
    world.blamed(Blame::WrongBytes).await;
    let stored = world.node.store.stored_segments(&blob.header.blob_id(), &world.shards);
    assert!(stored.unwrap().is_empty(), "nothing of a spoilt segment is kept");

    let (mut stream, _) = world.begin(&blob).await;
    announce(&mut stream, 0, &world.shards).await;
    let shard = world.shards[0];
    let pair = pair_of_shard(&world.parameters(), &blob.header.blob_id(), 0, shard);
    send_pair(&mut stream, &blob.segments[1], pair).await;
    assert_invalid(&reply(&mut stream).await);
    world.blamed(Blame::WrongProof).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_of_another_blob_is_refused() {
    let world = World::start(QUICK).await;
    let blob = sample_blob(&world.parameters(), 4);
    let other = sample_blob(&world.parameters(), 5);
    let mut stream = world.open(Protocol::Sliver).await;
    send_put(&mut stream, &blob, other.header.to_bytes()).await;
    assert_invalid(&reply(&mut stream).await);
    world.blamed(Blame::WrongProof).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_too_large_or_out_of_place_end_the_session() {
    let world = World::start(QUICK).await;
    let mut stream = world.open(Protocol::Sliver).await;
    stream.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    assert_invalid(&reply(&mut stream).await);
    world.blamed(Blame::TooLarge).await;

    let mut stream = world.open(Protocol::Sliver).await;
    send(&mut stream, &Request::Finish { deletable: None }).await;
    assert_invalid(&reply(&mut stream).await);
    world.blamed(Blame::Malformed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_does_not_keep_its_place() {
    let patience = Patience { idle: Duration::from_millis(200), ..QUICK };
    let world = World::start(patience).await;
    let mut stream = world.open(Protocol::Sliver).await;
    world.blamed(Blame::Slow).await;
    let answer = stream.read_frame::<Reply>(wire::SMALL_FRAME_BYTES_MAX).await;
    assert!(answer.is_err(), "{answer:?}");
    let blob = sample_blob(&world.parameters(), 6);
    world.register(&blob).await;
    world.put(&blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_drips_loses_its_place_however_long_its_frame_is() {
    let patience = Patience { idle: Duration::from_millis(500), ..QUICK };
    let world = World::start(patience).await;
    let mut stream = world.open(Protocol::Sliver).await;
    stream.write_all(&(16_000_u32).to_be_bytes()).await.unwrap();
    let dripping = tokio::spawn(async move {
        let mut bytes = 0;
        while stream.write_all(&[0]).await.is_ok() && stream.flush().await.is_ok() {
            bytes += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bytes
    });
    world.blamed(Blame::Slow).await;
    let bytes = dripping.await.unwrap();
    assert!(bytes < 16_000, "it was cut off after {bytes} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_is_too_long_is_refused_before_it_comes() {
    let world = World::start(QUICK).await;
    let mut stream = world.open(Protocol::Sliver).await;
    let (blob_id, header_bytes) = ([1; 32], wire::HEADER_BYTES_MAX + 1);
    send(&mut stream, &Request::Put { blob_id, header_bytes, trace: None }).await;
    assert_invalid(&reply(&mut stream).await);
    world.blamed(Blame::TooLarge).await;
    // As a frame it is refused at a thousandth of that.
    let mut stream = world.open(Protocol::Sliver).await;
    stream.write_all(&(wire::SMALL_FRAME_BYTES_MAX + 1).to_be_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    assert_invalid(&reply(&mut stream).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_that_names_a_pair_twice_is_refused_and_blamed() {
    let world = World::start(QUICK).await;
    let blob = sample_blob(&world.parameters(), 13);
    world.register(&blob).await;
    world.put(&blob).await;
    let (blob_id, axis) = (*blob.header.blob_id().as_bytes(), Axis::Primary);
    let mut stream = world.open(Protocol::Sliver).await;
    let pairs = vec![3, 1, 3];
    send(
        &mut stream,
        &Request::Get { blob_id, segment: 0, axis, part: Part::Sliver, pairs, trace: None },
    )
    .await;
    assert_invalid(&reply(&mut stream).await);
    world.blamed(Blame::Malformed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_blob_that_nobody_registered_is_served() {
    let world = World::start(QUICK).await;
    let blob = sample_blob(&world.parameters(), 14);
    let (mut stream, _) = world.begin(&blob).await;
    world.send_segment(&mut stream, &blob, 0, |_| {}).await;
    assert_eq!(reply(&mut stream).await, Reply::Stored { segment: 0 });
    assert!(world.node.store.header(&blob.header.blob_id()).unwrap().is_some(), "it is there");
    let missing = Answer::Refused(Refusal::NotFound);
    for question in [Question::Header, Question::Commitment { segment: 0 }, Question::Certificate] {
        assert_eq!(world.ask(&blob, question).await.0, missing, "{question:?}");
    }
    world.register(&blob).await;
    let (answer, _) = world.ask(&blob, Question::Header).await;
    assert!(matches!(answer, Answer::Header { .. }), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_full_of_bytes_nobody_paid_for_is_ready_and_takes_what_is_registered() {
    let bounds = Bounds { per_peer: 0, per_host: 0, total: 0, blobs: 8_192 };
    let world = World::start(Patience { bounds, ..QUICK }).await;
    let blob = sample_blob(&world.parameters(), 15);
    // The writer registers when nodes are ready: if they waited for the registration first, both would wait.
    let (mut stream, _) = world.begin(&blob).await;
    world.send_segment(&mut stream, &blob, 0, |_| {}).await;
    assert_eq!(world.node.store.pending_bytes().unwrap(), 0);
    world.register(&blob).await;
    assert_eq!(reply(&mut stream).await, Reply::Stored { segment: 0 });
    drop(stream);
    world.put(&blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_were_announced_and_never_came_keep_no_room_from_others() {
    // Room for two segments; four writers announce one each and send nothing of it.
    let bounds = Bounds { per_peer: 80_000, per_host: 80_000, total: 80_000, blobs: 8_192 };
    let patience = Patience { bounds, registration_wait: Duration::from_millis(200), ..QUICK };
    let world = World::start(patience).await;
    let mut idle = Vec::new();
    for seed in 20..24 {
        let blob = sample_blob(&world.parameters(), seed);
        let (mut stream, _) = world.begin(&blob).await;
        announce(&mut stream, 0, &world.shards).await;
        idle.push(stream);
    }
    let blob = sample_blob(&world.parameters(), 16);
    let (mut stream, _) = world.begin(&blob).await;
    world.send_segment(&mut stream, &blob, 0, |_| {}).await;
    assert_eq!(reply(&mut stream).await, Reply::Stored { segment: 0 });
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn slivers_of_shards_that_are_not_ours_are_refused() {
    let mut world = World::start(QUICK).await;
    let blob = sample_blob(&world.parameters(), 7);
    world.register(&blob).await;
    let (mut stream, _) = world.begin(&blob).await;
    let members = world.node.position.current().committee.members().to_vec();
    world.shards = members[1].shards[..3].iter().chain(&members[0].shards[..1]).copied().collect();
    world.send_segment(&mut stream, &blob, 0, |_| {}).await;
    assert_invalid(&reply(&mut stream).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_nobody_registers_are_bounded_refused_and_forgotten() {
    let patience = Patience {
        bounds: Bounds { per_peer: 40_000, per_host: 40_000, total: 40_000, blobs: 8_192 },
        registration_wait: Duration::from_millis(200),
        // Long enough for a busy machine to get to the second segment before.
        pending_time: Duration::from_secs(4),
        sweep_interval: Duration::from_millis(100),
        ..QUICK
    };
    let world = World::start(patience).await;
    let blob = sample_blob(&world.parameters(), 8);
    let (mut stream, _) = world.begin(&blob).await;
    world.send_segment(&mut stream, &blob, 0, |_| {}).await;
    assert_eq!(reply(&mut stream).await, Reply::Stored { segment: 0 });
    world.send_segment(&mut stream, &blob, 1, |_| {}).await;
    let refused = reply(&mut stream).await;
    assert!(matches!(refused, Reply::Refused(Refusal::Busy { .. })), "{refused:?}");
    let store = &world.node.store;
    eventually("the bytes are forgotten", || store.pending_bytes().unwrap() == 0).await;
    assert_eq!(store.header(&blob.header.blob_id()).unwrap(), None);

    // There is room again, but without a registration there is no confirmation.
    let (mut stream, stored) = world.begin(&blob).await;
    assert!(stored.is_empty(), "{stored:?}");
    send(&mut stream, &Request::Finish { deletable: None }).await;
    assert_eq!(reply(&mut stream).await, Reply::Refused(Refusal::NotRegistered));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_says_that_it_has_counts_as_new_when_its_writer_comes_back() {
    let world = World::start(QUICK).await;
    let blob = sample_blob(&world.parameters(), 17);
    let (mut stream, _) = world.begin(&blob).await;
    world.send_segment(&mut stream, &blob, 0, |_| {}).await;
    assert_eq!(reply(&mut stream).await, Reply::Stored { segment: 0 });
    let store = &world.node.store;
    let since = || store.pending_since(&blob.header.blob_id()).unwrap().expect("pending");
    let first = since();
    let is_later = || crate::context::now_ms() > first;
    eventually("a moment passes", is_later).await;
    let (_stream, stored) = world.begin(&blob).await;
    assert_eq!(stored, [0]);
    assert!(since() > first, "it may be forgotten before the writer pays");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_upload_is_not_confirmed() {
    let patience = Patience { registration_wait: Duration::from_millis(200), ..QUICK };
    let world = World::start(patience).await;
    let blob = sample_blob(&world.parameters(), 9);
    world.register(&blob).await;
    let (mut stream, _) = world.begin(&blob).await;
    world.send_segment(&mut stream, &blob, 0, |_| {}).await;
    assert_eq!(reply(&mut stream).await, Reply::Stored { segment: 0 });
    send(&mut stream, &Request::Finish { deletable: None }).await;
    assert_invalid(&reply(&mut stream).await);
    let (mut stream, _) = world.begin(&blob).await;
    send(&mut stream, &Request::Finish { deletable: Some(ObjectId::from_bytes([4; 32])) }).await;
    let refused = reply(&mut stream);
    assert_eq!(refused.await, Reply::Refused(Refusal::NotRegistered), "the object is permanent");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_confirmed_in_its_last_epoch_and_not_after_it() {
    let patience = Patience { registration_wait: Duration::from_millis(200), ..QUICK };
    let world = World::start(patience).await;
    let blob = sample_blob(&world.parameters(), 12);
    let registered = |object: u8, deletable| BlobEffect::Registered {
        blob_id: blob.header.blob_id(),
        object_id: ObjectId::from_bytes([object; 32]),
        epoch: Epoch(1),
        end_epoch: Epoch(3),
        size: blob.header.length,
        deletable,
    };
    let mut position = world.node.position.current();
    position.checkpoint += 1;
    let effects = vec![registered(4, false), registered(5, true)];
    world.node.store.apply(position.checkpoint, effects).await.unwrap();
    world.node.position.set(position.clone());
    world.put(&blob).await;

    for (epoch, is_covered) in [(2, true), (3, false)] {
        position.epoch = Epoch(epoch);
        world.node.position.set(position.clone());
        let cases = [(None, true), (Some(5), true), (Some(4), false)];
        for (object, is_so) in cases {
            let (mut stream, stored) = world.begin(&blob).await;
            // After the last epoch the node forgets the bytes, now or soon; it says first that nothing is registered.
            assert!(!is_covered || stored == [0, 1, 2], "{stored:?}");
            let deletable = object.map(|byte: u8| ObjectId::from_bytes([byte; 32]));
            send(&mut stream, &Request::Finish { deletable }).await;
            match reply(&mut stream).await {
                Reply::Confirmed { epoch: signed, .. } => {
                    assert!(is_covered && is_so && signed == epoch, "{object:?}, {epoch}");
                }
                refused => {
                    assert!(!(is_covered && is_so), "{object:?}, {epoch}: {refused:?}");
                    assert_eq!(refused, Reply::Refused(Refusal::NotRegistered));
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_actor_loses_nothing_it_acknowledged() {
    let world = World::start(QUICK).await;
    let blob = sample_blob(&world.parameters(), 10);
    world.register(&blob).await;
    let (mut stream, _) = world.begin(&blob).await;
    world.send_segment(&mut stream, &blob, 1, |_| {}).await;
    assert_eq!(reply(&mut stream).await, Reply::Stored { segment: 1 });
    assert!(world.tree.kill("sliver_transfer"));
    let broken = stream.read_frame::<Reply>(wire::SMALL_FRAME_BYTES_MAX).await;
    assert!(broken.is_err(), "the session died with its actor: {broken:?}");
    eventually("the actor runs again", || world.tree.is_healthy()).await;
    let (_, stored) = world.begin(&blob).await;
    assert_eq!(stored, [1]);
    world.put(&blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_outside_the_committee_takes_nothing() {
    let world = World::start(QUICK).await;
    let blob = sample_blob(&world.parameters(), 11);
    let peers = [1, 2].map(|byte| PeerId::from_key([byte; 32]));
    world.node.position.set(position_of(sample_committee(&peers, 7)));
    let mut stream = world.open(Protocol::Sliver).await;
    send_put(&mut stream, &blob, blob.header.to_bytes()).await;
    assert_eq!(reply(&mut stream).await, Reply::Refused(Refusal::NotMember));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_while_the_ledger_contradicts_what_was_verified() {
    let world = World::start(QUICK).await;
    let blob = sample_blob(&world.parameters(), 1);
    world.register(&blob).await;
    let (mut stream, _) = world.begin(&blob).await;
    for segment in 0..u32::try_from(blob.segments.len()).unwrap() {
        world.send_segment(&mut stream, &blob, segment, |_| {}).await;
        assert_eq!(reply(&mut stream).await, Reply::Stored { segment });
    }
    let refused = async |stream: &mut Stream| {
        send(stream, &Request::Finish { deletable: None }).await;
        let reply = reply(stream).await;
        assert!(matches!(reply, Reply::Refused(Refusal::Busy { .. })), "{reply:?}");
    };
    world.node.trust.doubt(Doubt { verdict: Verdict::Fork, checkpoint: 7 });
    refused(&mut stream).await;
    // On a server's word alone it does not sign either.
    world.node.trust.heard();
    let mut position = world.node.position.current();
    position.is_proven = false;
    world.node.position.set(position.clone());
    refused(&mut world.begin(&blob).await.0).await;
    assert!(world.node.metrics.encode().contains("haulout_storage_confirmations_total 0"));
    position.is_proven = true;
    world.node.position.set(position);
    world.finish(&mut world.begin(&blob).await.0).await;
}

#[tokio::test]
async fn nodes_of_the_committees_around_the_current_one_always_get_in() {
    let world = World::start(QUICK).await;
    let network = world.tree.network();
    let [first, second] = [61, 62].map(|byte| PeerId::from_key([byte; 32]));
    let around = |peers: &[PeerId]| {
        let mut position = world.node.position.current();
        let neighbour = |peer: &PeerId| Neighbour { peer_id: *peer, addresses: Vec::new() };
        position.neighbours = peers.iter().map(neighbour).collect();
        world.node.position.set(position);
    };
    let other = PeerId::from_key([200; 32]);
    eventually("the committee gets in", || network.is_member(&other)).await;
    assert!(!network.is_member(&first));
    around(&[first]);
    eventually("the one to come gets in", || network.is_member(&first)).await;
    around(&[second]);
    eventually("whoever is named does, and nobody else", || {
        network.is_member(&second) && !network.is_member(&first) && network.is_member(&other)
    })
    .await;
}
