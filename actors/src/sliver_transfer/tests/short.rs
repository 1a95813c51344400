//! Short blobs: many on one stream, confirmed on any.

use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::{EncodedShort, encode_short};

use super::*;

impl World {
    /// A world in which blobs of a kilobyte are short.
    async fn start_short(patience: Patience) -> World {
        let world = World::start(patience).await;
        let mut position = world.node.position.current();
        position.parameters = position.parameters.with_short_blobs(1_024).unwrap();
        world.node.position.set(position);
        world
    }

    fn short(&self, byte: u8) -> EncodedShort {
        encode_short(&self.parameters(), &[byte; 500])
    }

    /// Brings a short blob on this stream; what the node says.
    async fn bring(&self, stream: &mut Stream, blob: &EncodedShort) -> Reply {
        self.bring_what_is_there(stream, blob, &[]).await
    }

    /// The same if the node has said that it holds these segments.
    async fn bring_what_is_there(
        &self,
        stream: &mut Stream,
        blob: &EncodedShort,
        there: &[u32],
    ) -> Reply {
        let (header, blob_id) = (blob.header().to_bytes(), blob.header().blob_id());
        let header_bytes = u32::try_from(header.len()).unwrap();
        let put = Request::Put { blob_id: *blob_id.as_bytes(), header_bytes, trace: None };
        send(stream, &put).await;
        send_raw(stream, &header).await;
        let parameters = self.parameters();
        let place = |shard: &ShardIndex| pair_of_shard(&parameters, &blob_id, 0, *shard).0;
        let mut symbols: Vec<_> = self.shards.iter().map(place).collect();
        symbols.sort_unstable();
        let proof = blob.prove(&symbols).unwrap().to_bytes();
        let proof_bytes = u32::try_from(proof.len()).unwrap();
        let bytes: Vec<_> = symbols.iter().map(|place| blob.symbol(*place)).collect();
        send(stream, &Request::Short { symbols, proof_bytes }).await;
        send_raw(stream, &bytes.concat()).await;
        send_raw(stream, &proof).await;
        assert_eq!(reply(stream).await, Reply::Ready { stored: there.to_vec() });
        reply(stream).await
    }

    /// Reads a short blob on this stream; how many symbols came.
    async fn read(&self, stream: &mut Stream, blob: &EncodedShort) -> usize {
        let get = Request::GetShort {
            blob_id: *blob.header().blob_id().as_bytes(),
            symbols: (0..7).collect(),
            with_proof: false,
            trace: None,
        };
        send(stream, &get).await;
        let Reply::Short { symbols, proof_bytes: 0 } = reply(stream).await else {
            panic!("no symbols come")
        };
        for place in &symbols {
            let expected = blob.symbol(*place);
            let mut came = vec![0; expected.len()];
            stream.read_exact(&mut came).await.unwrap();
            assert_eq!(came, expected);
        }
        symbols.len()
    }

    async fn confirm(&self, stream: &mut Stream, blob_id: BlobId) -> Reply {
        let blob_id = *blob_id.as_bytes();
        send(stream, &Request::Confirm { blob_id, deletable: None, trace: None }).await;
        reply(stream).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_takes_and_gives_short_blobs_one_after_the_other_and_any_stream_confirms_them() {
    let world = World::start_short(QUICK).await;
    let mut stream = world.open(Protocol::Sliver).await;
    let blobs: Vec<_> = (1..=5).map(|byte| world.short(byte)).collect();
    for blob in &blobs {
        assert_eq!(world.bring(&mut stream, blob).await, Reply::Stored { segment: 0 });
    }
    for blob in &blobs {
        world.register_header(blob.header()).await;
    }
    assert_eq!(
        world.read(&mut stream, &blobs[0]).await,
        world.shards.len(),
        "before it is confirmed"
    );
    let mut other = world.open(Protocol::Sliver).await;
    for (at, blob) in blobs.iter().enumerate() {
        let blob_id = blob.header().blob_id();
        let stream = if at % 2 == 0 { &mut stream } else { &mut other };
        let Reply::Confirmed { epoch: 1, signature } = world.confirm(stream, blob_id).await else {
            panic!("not confirmed")
        };
        let persistence = Persistence::Permanent;
        let message = blob_certificate_message(&NETWORK, Epoch(1), &blob_id, &persistence);
        let signature = Signature::from_bytes(&signature).unwrap();
        assert!(signature.verify(&sample_key(0).public_key(), &message));
    }
    for blob in &blobs {
        assert_eq!(world.read(&mut stream, blob).await, world.shards.len());
    }
    let again = world.bring_what_is_there(&mut stream, &blobs[0], &[0]).await;
    assert_eq!(again, Reply::Stored { segment: 0 }, "it was on its way before we could say so");
    let late = world.short(8);
    assert_eq!(world.bring(&mut stream, &late).await, Reply::Stored { segment: 0 });

    let absent = world.short(9);
    world.register_header(absent.header()).await;
    let answer = world.confirm(&mut other, absent.header().blob_id()).await;
    assert_eq!(answer, Reply::Refused(Refusal::NotFound), "registered, and it never came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_blob_is_not_confirmed_without_its_header() {
    let world = World::start_short(QUICK).await;
    let blob = sample_blob(&world.parameters(), 3);
    world.register(&blob).await;
    world.put(&blob).await;
    let mut stream = world.open(Protocol::Sliver).await;
    assert_invalid(&world.confirm(&mut stream, blob.header.blob_id()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_blob_that_finds_no_room_before_it_is_paid_does_not_hold_its_stream() {
    let bounds = Bounds { per_peer: 10, ..QUICK.bounds };
    let world = World::start_short(Patience { bounds, ..QUICK }).await;
    let blob = world.short(1);
    let mut stream = world.open(Protocol::Sliver).await;
    let answer = world.bring(&mut stream, &blob).await;
    assert!(matches!(answer, Reply::Refused(Refusal::Busy { .. })), "{answer:?}");
    world.register_header(blob.header()).await;
    let mut stream = world.open(Protocol::Sliver).await;
    assert_eq!(world.bring(&mut stream, &blob).await, Reply::Stored { segment: 0 });
}
