//! What a knock tells the peer book and the QUIC dials beside it, with a transport of which the test decides what it hears.

use futures::FutureExt;
use futures::future::BoxFuture;
use libp2p::PeerId as Named;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use tokio::time::Instant;

use super::*;
use crate::network::identity::to_libp2p;

/// TCP hears one thing from everybody; QUIC hears nothing, ever.
struct Scripted {
    tcp: io::Result<()>,
}

impl Transport for Scripted {
    type Output = ();
    type Error = io::Error;
    type ListenerUpgrade = futures::future::Pending<io::Result<()>>;
    type Dial = BoxFuture<'static, io::Result<()>>;

    fn listen_on(&mut self, _: ListenerId, to: Multiaddr) -> Result<(), TransportError<io::Error>> {
        Err(TransportError::MultiaddrNotSupported(to))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(
        &mut self,
        to: Multiaddr,
        _: DialOpts,
    ) -> Result<Self::Dial, TransportError<io::Error>> {
        let heard = self.tcp.as_ref().copied().map_err(|error| error.kind().into());
        Ok(match address::is_tcp(&to) {
            true => futures::future::ready(heard).boxed(),
            false => futures::future::pending().boxed(),
        })
    }

    fn poll(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Poll::Pending
    }
}

/// Knocks at a machine that refuses or takes TCP, and the book that hears of it.
struct Bench {
    book: Arc<Mutex<PeerBook>>,
    transport: Knocking<Scripted>,
}

impl Bench {
    fn new(tcp: io::Result<()>) -> Self {
        let book = Arc::<Mutex<PeerBook>>::default();
        Bench { transport: Knocks::new(book.clone()).of(Scripted { tcp }), book }
    }

    fn refusing() -> Self {
        Bench::new(Err(io::ErrorKind::ConnectionRefused.into()))
    }

    fn dial(&mut self, to: &str, peer: Named) -> BoxFuture<'static, io::Result<()>> {
        let to: Multiaddr = format!("{to}/p2p/{peer}").parse().expect("a valid address");
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::Reuse };
        self.transport.dial(to, options).expect("it can be dialled")
    }

    fn state(&self, peer: Named, at: &str) {
        let at = at.parse().expect("a valid address");
        lock(&self.book).state_addresses(from_libp2p(&peer).expect("an ed25519 peer"), vec![at]);
    }

    fn sign(&self, peer: Named) -> Option<Sign> {
        lock(&self.book).sign(&from_libp2p(&peer).expect("an ed25519 peer"))
    }
}

const TCP: &str = "/ip4/127.0.0.1/tcp/4001";
const QUIC: &str = "/ip4/127.0.0.1/udp/4001/quic-v1";

fn peer(seed: u8) -> Named {
    to_libp2p(&PeerId::from_key([seed; 32]))
}

#[tokio::test]
async fn a_quic_dial_ends_a_grace_after_its_port_refused_tcp_and_not_before() {
    let mut bench = Bench::refusing();
    let quic = bench.dial(QUIC, peer(1));
    let tcp = bench.dial(TCP, peer(1));
    let start = Instant::now();
    let (quic, tcp) = tokio::join!(quic, tcp);
    assert!(start.elapsed() >= limits::REFUSAL_GRACE);
    for ended in [quic, tcp] {
        let error = ended.expect_err("it was refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}

#[tokio::test]
async fn a_refusal_ends_no_quic_dial_of_another_peer_nor_to_another_port_nor_one_begun_later() {
    let mut bench = Bench::refusing();
    let others = bench.dial(QUIC, peer(2));
    let elsewhere = bench.dial("/ip4/127.0.0.1/udp/4002/quic-v1", peer(1));
    bench.dial(TCP, peer(1)).await.expect_err("it is refused");
    let later = bench.dial(QUIC, peer(1));
    for dial in [others, elsewhere, later] {
        assert!(dial.now_or_never().is_none(), "it goes on");
    }
}

#[tokio::test]
async fn whoever_takes_tcp_ends_no_quic_dial() {
    let mut bench = Bench::new(Ok(()));
    let quic = bench.dial(QUIC, peer(1));
    bench.dial(TCP, peer(1)).await.expect("it is taken");
    assert!(quic.now_or_never().is_none(), "it goes on");
}

#[tokio::test]
async fn only_addresses_that_were_stated_of_a_peer_say_whether_it_lives() {
    let mut bench = Bench::refusing();
    bench.state(peer(1), TCP);
    bench.state(peer(2), "/ip4/127.0.0.1/tcp/4002");
    for knocked in [1, 2, 3] {
        bench.dial(TCP, peer(knocked)).await.expect_err("it is refused");
    }
    assert_eq!(bench.sign(peer(1)), Some(Sign::Refuses));
    assert_eq!(bench.sign(peer(2)), None, "somebody else named this address of it");
    assert_eq!(bench.sign(peer(3)), None, "nothing is stated of it");

    let mut bench = Bench::new(Ok(()));
    bench.state(peer(1), TCP);
    bench.dial(TCP, peer(1)).await.expect("it is taken");
    assert_eq!(bench.sign(peer(1)), Some(Sign::Lives));
}

#[tokio::test]
async fn a_failure_that_is_no_refusal_says_nothing_of_the_peer() {
    let mut bench = Bench::new(Err(io::ErrorKind::HostUnreachable.into()));
    bench.state(peer(1), TCP);
    let quic = bench.dial(QUIC, peer(1));
    bench.dial(TCP, peer(1)).await.expect_err("it fails");
    assert!(quic.now_or_never().is_none(), "it goes on");
    assert_eq!(bench.sign(peer(1)), None);
}

#[tokio::test]
async fn dials_that_ended_are_forgotten() {
    let mut bench = Bench::refusing();
    let (first, second) = (bench.dial(QUIC, peer(1)), bench.dial(QUIC, peer(1)));
    assert_eq!(lock(&bench.transport.knocks.quic).len(), 2);
    drop(first);
    drop(second);
    assert!(lock(&bench.transport.knocks.quic).is_empty());
}
