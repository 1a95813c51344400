//! Short blobs over streams that are used in turn.

use haulout_protocol::encoding::encode_short;

use super::*;

type Ends = (mpsc::Sender<Command>, mpsc::Receiver<Event>);

impl World {
    /// Begins to send a short blob of one repeated byte.
    fn send_short(&self, byte: u8) -> Ends {
        let encoded = encode_short(&self.session.parameters, &[byte; 40]);
        let header = encoded.header().clone();
        let (commands, queue) = mpsc::channel(WINDOW + 1);
        let (events, heard) = mpsc::channel(8);
        let sender = Sender::new(self.session.clone(), header.blob_id(), Arc::new(header), 0);
        let sender = sender.with_short(Some(Arc::new(Encoded::Short(encoded))));
        tokio::spawn(async move { sender.run(queue, &events).await });
        (commands, heard)
    }

    fn symbol_bytes(&self) -> u32 {
        self.session.parameters.short_symbol_bytes(40)
    }

    async fn accept(&mut self) -> Stream {
        self.incoming.next().await.expect("the sender comes").1
    }
}

/// Reads an offer with its header; says that nothing is stored.
async fn offered(stream: &mut Stream) {
    let Request::Put { header_bytes, .. } = request(stream).await else { panic!("an offer comes") };
    skip(stream, header_bytes).await;
    answer(stream, Reply::Ready { stored: vec![] }).await;
}

/// Reads the symbols, of so many bytes each.
async fn brought(stream: &mut Stream, each: u32) {
    let Request::Short { symbols, proof_bytes } = request(stream).await else {
        panic!("symbols come")
    };
    let count = u32::try_from(symbols.len()).expect("a few");
    skip(stream, count * each + proof_bytes).await;
}

async fn takes(stream: &mut Stream, each: u32) {
    offered(stream).await;
    brought(stream, each).await;
    answer(stream, Reply::Stored { segment: 0 }).await;
}

async fn confirms(stream: &mut Stream) {
    assert!(matches!(request(stream).await, Request::Confirm { deletable: None, .. }));
    let signature = sample_key(0).sign(b"a confirmation").to_bytes();
    answer(stream, Reply::Confirmed { epoch: 1, signature }).await;
}

async fn is_ready(heard: &mut mpsc::Receiver<Event>) -> BTreeSet<u32> {
    match next(heard).await {
        Input::Ready { stored, .. } => stored,
        other => panic!("not ready: {other:?}"),
    }
}

#[tokio::test]
async fn one_stream_carries_blobs_one_after_the_other_and_another_one_is_opened_when_it_ended() {
    let mut world = World::start().await;
    let each = world.symbol_bytes();
    let (first, mut of_first) = world.send_short(1);
    let mut stream = world.accept().await;
    takes(&mut stream, each).await;
    assert_eq!(is_ready(&mut of_first).await, BTreeSet::from([0]));

    let (second, mut of_second) = world.send_short(2);
    takes(&mut stream, each).await; // on the same stream, while the first one waits for the ledger
    assert_eq!(is_ready(&mut of_second).await, BTreeSet::from([0]));
    first.send(Command::Finish(None)).await.expect("it runs");
    confirms(&mut stream).await;
    assert!(matches!(next(&mut of_first).await, Input::Confirmed { .. }));

    drop(stream); // nobody uses it just now
    second.send(Command::Finish(None)).await.expect("it runs");
    confirms(&mut world.accept().await).await;
    assert!(matches!(next(&mut of_second).await, Input::Confirmed { .. }), "that is no failure");
}

#[tokio::test]
async fn a_node_without_room_for_unpaid_bytes_is_ready_and_gets_them_later_and_again_if_it_lost_them()
 {
    let mut world = World::start().await;
    let each = world.symbol_bytes();
    let (commands, mut heard) = world.send_short(1);
    let mut stream = world.accept().await;
    offered(&mut stream).await;
    brought(&mut stream, each).await;
    answer(&mut stream, Reply::Refused(Refusal::Busy { retry_after_ms: 1 })).await;
    drop(stream);
    assert_eq!(is_ready(&mut heard).await, BTreeSet::new());

    let encoded = Arc::new(segment(&world.session));
    commands.send(Command::Segment(0, encoded)).await.expect("it runs");
    let mut stream = world.accept().await;
    takes(&mut stream, each).await;
    assert!(matches!(next(&mut heard).await, Input::Sent { segment: 0, .. }));
    commands.send(Command::Finish(None)).await.expect("it runs");
    assert!(matches!(request(&mut stream).await, Request::Confirm { .. }));
    answer(&mut stream, Reply::Refused(Refusal::NotFound)).await;
    drop(stream);
    let mut stream = world.accept().await;
    takes(&mut stream, each).await;
    confirms(&mut stream).await;
    assert!(matches!(next(&mut heard).await, Input::Confirmed { .. }));
}
