//! Real swarms on 127.0.0.1, each under its own supervisor, all ports free ones.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use haulout_protocol::crypto::PeerId;
use haulout_protocol::message::NetworkId;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::lock::lock;
use super::*;
use crate::limits;
use crate::supervisor::{Budget, ChildState, Plan, StartError, Strategy, Supervisor};

mod dialling_back;
mod lending;

const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
const TCP: &str = "/ip4/127.0.0.1/tcp/0";
/// Generous: the machine that runs the tests may be busy with others.
const PATIENCE: Duration = Duration::from_secs(120);

struct Node {
    network: Network,
    supervisor: Supervisor,
}

fn sample_options(seed: u8, listen: &[&str], bootstrap: &[String]) -> NetworkOptions {
    NetworkOptions {
        secret_key: [seed; 32],
        network: NetworkId::from_bytes([7; 32]),
        listen: listen.iter().map(|address| (*address).to_owned()).collect(),
        external: Vec::new(),
        bootstrap: bootstrap.to_vec(),
        role: if listen.is_empty() { Role::Client } else { Role::Server },
        prefer: Transport::Quic,
        registry: Arc::default(),
    }
}

async fn try_start(options: NetworkOptions) -> Result<Node, StartError> {
    let network = Network::new(options).expect("the sample options are valid");
    let supervisor = Supervisor::start(Plan {
        name: "test".to_owned(),
        strategy: Strategy::OneForOne,
        budget: Budget { restarts: 10, window: Duration::from_secs(60) },
        children: vec![network.child()],
        on_restart: None,
    })
    .await?;
    Ok(Node { network, supervisor })
}

async fn start(seed: u8, listen: &[&str], bootstrap: &[String]) -> Node {
    try_start(sample_options(seed, listen, bootstrap)).await.expect("the network starts")
}

impl Node {
    fn peer(&self) -> PeerId {
        self.network.identity()
    }

    /// A listen address with our peer id, as a bootstrap multiaddr.
    async fn address(&self) -> String {
        let mut addresses = self.network.addresses();
        let shown = tokio::time::timeout(PATIENCE, addresses.wait_for(|shown| !shown.is_empty()));
        let shown = shown.await.expect("it listens in time").expect("the handle lives")[0].clone();
        format!("{shown}/p2p/{}", self.peer())
    }

    /// Echoes 8-byte-prefixed messages until the test ends.
    fn echo(&self, protocol: Protocol) {
        let mut incoming = self.network.accept(protocol);
        tokio::spawn(async move {
            while let Some((_, stream)) = incoming.next().await {
                tokio::spawn(echo(stream));
            }
        });
    }

    async fn wait_for_connections(&self, count: usize) {
        let mut peers = self.network.peers();
        let enough = peers.wait_for(|peers| peers.connected.len() >= count);
        let _ = tokio::time::timeout(PATIENCE, enough).await.expect("peers connect in time");
    }
}

async fn echo(mut stream: Stream) -> Result<(), StreamError> {
    let length: u64 = stream.read_frame(64).await?;
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut bytes).await?;
    stream.write_frame(&length).await?;
    stream.write_all(&bytes).await?;
    stream.close().await
}

async fn ask_for_echo(mut stream: Stream, bytes: &[u8]) -> Result<Vec<u8>, StreamError> {
    let length = u64::try_from(bytes.len()).unwrap();
    stream.write_frame(&length).await?;
    stream.write_all(bytes).await?;
    stream.flush().await?;
    let length: u64 = stream.read_frame(64).await?;
    let mut answer = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// Opens until it works; for peers that still have to find each other.
async fn open_in_the_end(node: &Node, peer: PeerId) -> Stream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match node.network.open(peer, Protocol::Sliver).await {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "never opened: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn three_nodes_find_each_other(listen: &str) {
    let first = start(1, &[listen], &[]).await;
    let bootstrap = [first.address().await];
    let second = start(2, &[listen], &bootstrap).await;
    let third = start(3, &[listen], &bootstrap).await;
    let client = start(4, &[], &bootstrap).await;
    for node in [&first, &second, &third] {
        node.echo(Protocol::Sliver);
    }
    for (from, to) in [(&second, &third), (&third, &second), (&client, &third), (&client, &second)]
    {
        let stream = open_in_the_end(from, to.peer()).await;
        assert_eq!(ask_for_echo(stream, b"hello").await.unwrap(), b"hello");
    }
    for node in [client, third, second, first] {
        node.supervisor.shutdown().await;
    }
}

#[tokio::test]
async fn nodes_find_each_other_from_one_bootstrap_address_over_quic() {
    three_nodes_find_each_other(QUIC).await;
}

#[tokio::test]
async fn nodes_find_each_other_from_one_bootstrap_address_over_tcp() {
    three_nodes_find_each_other(TCP).await;
}

/// Two nodes where the first knows where the second is.
async fn pair(listen: &str) -> (Node, Node) {
    let (first, second) = (start(1, &[listen], &[]).await, start(2, &[listen], &[]).await);
    first.network.add_addresses(second.peer(), vec![second.address().await]);
    (first, second)
}

#[tokio::test]
async fn eight_mebibytes_come_back_over_both_transports() {
    let bytes: Vec<u8> =
        (0..8 << 20).map(|i: u32| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
    for listen in [QUIC, TCP] {
        let (first, second) = pair(listen).await;
        second.echo(Protocol::Blob);
        let stream = first.network.open(second.peer(), Protocol::Blob).await.unwrap();
        assert!(ask_for_echo(stream, &bytes).await.unwrap() == bytes, "{listen}");
        first.supervisor.shutdown().await;
        second.supervisor.shutdown().await;
    }
}

#[tokio::test]
async fn a_full_accept_queue_answers_busy_and_recovers() {
    let server = start(9, &[QUIC], &[]).await;
    let mut incoming = server.network.accept(Protocol::Sliver);
    let (mut opened, mut busy, mut clients) = (Vec::new(), 0, Vec::new());
    for seed in 1..=4 {
        let client = start(seed, &[], &[]).await;
        client.network.add_addresses(server.peer(), vec![server.address().await]);
        for _ in 0..limits::STREAMS_TO_PEER_MAX {
            match client.network.open(server.peer(), Protocol::Sliver).await {
                Ok(stream) => opened.push(stream),
                Err(OpenError::Busy) => busy += 1,
                Err(error) => panic!("{error}"),
            }
        }
        clients.push(client);
    }
    assert_eq!((opened.len(), busy), (limits::ACCEPT_QUEUE_LEN, 16));
    opened.clear();
    for _ in 0..limits::ACCEPT_QUEUE_LEN {
        let (peer, stream) = incoming.next().await.unwrap();
        assert!(clients.iter().any(|client| client.peer() == peer));
        drop(stream);
    }
    assert!(clients[0].network.open(server.peer(), Protocol::Sliver).await.is_ok());
    drop(incoming);
    let refused = clients[0].network.open(server.peer(), Protocol::Sliver).await;
    assert_eq!(refused.unwrap_err(), OpenError::Busy, "between two acceptors");
}

#[tokio::test]
async fn a_protocol_nobody_accepts_is_unsupported() {
    let (first, second) = pair(TCP).await;
    let error = first.network.open(second.peer(), Protocol::Blob).await.unwrap_err();
    assert_eq!(error, OpenError::Unsupported);
    assert!(!error.is_transient());
}

#[tokio::test]
async fn oversized_frames_and_silence_end_a_stream_with_a_reason() {
    let (first, second) = pair(QUIC).await;
    let mut incoming = second.network.accept(Protocol::Sliver);
    let mut opened = first.network.open(second.peer(), Protocol::Sliver).await.unwrap();
    let (peer, mut accepted) = incoming.next().await.unwrap();
    assert_eq!(peer, first.peer());

    opened.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    opened.flush().await.unwrap();
    let oversized = accepted.read_frame::<u64>(64).await.unwrap_err();
    assert!(matches!(oversized, StreamError::TooLarge { .. }), "{oversized}");

    accepted.set_idle_timeout(Duration::from_millis(200));
    let silent = accepted.read_frame::<u64>(64).await.unwrap_err();
    assert!(matches!(silent, StreamError::TimedOut(_)), "{silent}");

    accepted.set_idle_timeout(PATIENCE); // the silence has used up all the time there was
    drop(opened);
    let closed = accepted.read_frame::<u64>(64).await.unwrap_err();
    assert!(matches!(closed, StreamError::Closed | StreamError::Io(_)), "{closed}");
}

async fn survives(listen: &str, crash: impl AsyncFn(&Node)) {
    let (first, second) = pair(listen).await;
    second.echo(Protocol::Sliver);
    let stream = open_in_the_end(&first, second.peer()).await;
    assert_eq!(ask_for_echo(stream, b"before").await.unwrap(), b"before");
    let address = second.address().await;

    crash(&second).await;
    let deadline = Instant::now() + PATIENCE;
    while second.supervisor.health()[0].restarts == 0
        || second.supervisor.health()[0].state != ChildState::Running
    {
        assert!(Instant::now() < deadline, "never restarted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(second.address().await, address, "same identity, same port");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stream = open_in_the_end(&first, second.peer()).await;
        match ask_for_echo(stream, b"after").await {
            Ok(answer) => return assert_eq!(answer, b"after"),
            Err(error) => assert!(error.is_transient() && Instant::now() < deadline, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_killed_network_actor_comes_back_as_the_same_peer() {
    for listen in [QUIC, TCP] {
        survives(listen, async |node: &Node| assert!(node.supervisor.kill("network"))).await;
    }
}

#[tokio::test]
async fn a_panic_in_the_swarm_task_restarts_the_network() {
    survives(QUIC, async |node: &Node| node.network.panic_in_swarm().await).await;
}

#[tokio::test]
async fn a_banned_peer_gets_no_connection_in_either_direction() {
    let (first, second) = pair(QUIC).await;
    first.echo(Protocol::Sliver);
    second.echo(Protocol::Sliver);
    second.network.add_addresses(first.peer(), vec![first.address().await]);
    drop(open_in_the_end(&second, first.peer()).await);

    for _ in 0..3 {
        first.network.blame(second.peer(), Blame::WrongBytes);
    }
    let peers = first.network.peers();
    assert!(peers.borrow().is_banned(&second.peer()));
    let refused = first.network.open(second.peer(), Protocol::Sliver).await;
    assert_eq!(refused.unwrap_err(), OpenError::Banned);

    let deadline = Instant::now() + PATIENCE;
    while let Ok(stream) = second.network.open(first.peer(), Protocol::Sliver).await {
        drop(stream);
        assert!(Instant::now() < deadline, "the ban never took effect");
    }
    assert!(!first.network.peers().borrow().is_connected(&second.peer()));
}

#[tokio::test]
async fn gossip_is_forwarded_only_after_a_good_verdict() {
    let first = start(1, &[QUIC], &[]).await;
    let bootstrap = [first.address().await];
    let middle = start(2, &[QUIC], &bootstrap).await;
    let last = start(3, &[QUIC], &[middle.address().await]).await;
    // The ends never talk to each other: what one says reaches the other through the middle only.
    for _ in 0..3 {
        first.network.blame(last.peer(), Blame::WrongBytes);
        last.network.blame(first.peer(), Blame::WrongBytes);
    }
    let mut judge = middle.network.listen(Topic::Blob).await;
    let mut reader = last.network.listen(Topic::Blob).await;
    let _quiet = first.network.listen(Topic::Blob).await;
    middle.wait_for_connections(2).await;

    tokio::spawn(async move {
        while let Some(heard) = judge.next().await {
            let good = heard.bytes.starts_with(b"good");
            heard.verdict(if good { Verdict::Accept } else { Verdict::Ignore });
        }
    });
    // The mesh forms with the heartbeats: say it again, a little differently, until it arrives.
    let deadline = Instant::now() + PATIENCE;
    for round in 0.. {
        assert!(Instant::now() < deadline, "nothing was ever heard");
        let _ = first.network.publish(Topic::Blob, format!("bad {round}").into_bytes()).await;
        let _ = first.network.publish(Topic::Blob, format!("good {round}").into_bytes()).await;
        let heard = tokio::time::timeout(Duration::from_millis(500), reader.next()).await;
        if let Ok(Some(heard)) = heard {
            assert!(heard.bytes.starts_with(b"good"), "{:?}", heard.bytes);
            assert_eq!(heard.from, middle.peer());
            return;
        }
    }
}

#[tokio::test]
async fn publishing_says_what_is_wrong() {
    let lonely = start(1, &[QUIC], &[]).await;
    let error = lonely.network.publish(Topic::Blob, vec![1]).await.unwrap_err();
    assert_eq!(error, PublishError::NoPeers);
    let huge = vec![1; limits::GOSSIP_BYTES_MAX + 1];
    let error = lonely.network.publish(Topic::Blob, huge).await.unwrap_err();
    assert_eq!(error, PublishError::TooLarge);
}

#[tokio::test]
async fn opening_to_a_dead_peer_fails_within_the_bound() {
    let (first, second) = pair(QUIC).await;
    let (dead, address) = (second.peer(), second.address().await);
    second.supervisor.shutdown().await;
    first.network.add_addresses(dead, vec![address, "/ip4/127.0.0.1/tcp/1".to_owned()]);
    let started = Instant::now();
    let error = first.network.open(dead, Protocol::Blob).await.unwrap_err();
    assert_eq!(error, OpenError::Refused, "nothing listens on port 1 of this machine");
    assert!(error.is_transient());
    // Far below what three tries of that bound would take, also on a busy machine.
    assert!(started.elapsed() < 2 * limits::OPEN_TIMEOUT);
}

#[tokio::test]
async fn a_machine_that_takes_connections_and_says_nothing_has_no_time() {
    let first = start(1, &[QUIC], &[]).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap(); // the system takes what nobody accepts
    let address = format!("/ip4/127.0.0.1/tcp/{}", silent.local_addr().unwrap().port());
    let stopped = PeerId::from_key([2; 32]);
    first.network.add_addresses(stopped, vec![address]);
    let error = first.network.open(stopped, Protocol::Blob).await.unwrap_err();
    assert_eq!(error, OpenError::KeptWaiting);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it() {
    for listen in [QUIC, TCP] {
        let first = start(1, &[listen], &[]).await;
        let taken = first.address().await;
        let taken = taken.split("/p2p/").next().unwrap();
        let error = try_start(sample_options(2, &[taken], &[])).await.err().expect("it is taken");
        let source = error.source().unwrap().downcast_ref::<NetworkError>();
        assert!(matches!(source, Some(NetworkError::Listen { .. })), "{error}");
        assert!(error.to_string().contains(taken), "{error}");
    }
}

#[test]
fn options_are_checked_before_anything_runs() {
    let error = Network::new(sample_options(1, &["localhost:80"], &[])).unwrap_err();
    assert!(error.to_string().contains("`localhost:80` is not a multiaddr"), "{error}");
}

#[test]
fn addresses_on_the_chain_are_binary_multiaddrs() {
    let text = "/ip4/192.0.2.1/udp/4001/quic-v1";
    let bytes = address_to_bytes(text).unwrap();
    assert_eq!(address_from_bytes(&bytes).as_deref(), Some(text));
    assert_eq!(address_from_bytes(&[255; 9]), None);
}

#[tokio::test]
async fn a_swarm_that_starts_again_shows_each_metric_once() {
    let (options, text) = (sample_options(1, &[QUIC], &[]), |registry: &Mutex<Registry>| {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &lock(registry)).unwrap();
        text
    });
    let registry = options.registry.clone();
    let node = try_start(options).await.unwrap();
    assert!(node.supervisor.kill("network"));
    let deadline = Instant::now() + PATIENCE;
    while node.supervisor.health()[0].restarts == 0 {
        assert!(Instant::now() < deadline, "never restarted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node.address().await;
    let text = text(&registry);
    for name in ["libp2p_swarm_new_listen_addr", "libp2p_ping_rtt"] {
        let declared = text.lines().filter(|line| line.starts_with(&format!("# TYPE {name}")));
        assert_eq!(declared.count(), 1, "{text}");
    }
}
