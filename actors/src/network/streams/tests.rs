//! When a connection is given up, without a swarm or a clock.

use libp2p::swarm::ConnectionHandler;
use libp2p::swarm::handler::{ConnectionEvent, ConnectionHandlerEvent, DialUpgradeError};
use libp2p::swarm::{StreamUpgradeError, SubstreamProtocol};
use tokio::sync::oneshot;

use super::handler::Negotiated;
use super::negotiation::Opening;
use super::*;
use crate::network::life::Watched;
use crate::network::names::Protocol;

fn connection() -> ConnectionId {
    ConnectionId::new_unchecked(1)
}

/// One connection of a behaviour, and a request that waits for a stream on it.
struct Bench {
    behaviour: Behaviour,
    handler: Handler,
    answer: oneshot::Receiver<Result<Watched<libp2p::Stream>, OpenError>>,
}

impl Bench {
    fn new() -> Self {
        let door = Arc::new(Door::new(|protocol| protocol.name("test"), Arc::default()));
        let mut behaviour = Behaviour::new(door, Arc::default(), Transport::Quic);
        let peer = libp2p::identity::Keypair::generate_ed25519().public().to_peer_id();
        let address: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let handler =
            behaviour.handle_established_inbound_connection(connection(), peer, &address, &address);
        let mut handler = handler.unwrap();
        let (reply, answer) = oneshot::channel();
        handler.on_behaviour_event(Request { protocol: Protocol::Sliver, reply });
        Bench { behaviour, handler, answer }
    }

    fn poll(&mut self) -> Poll<ConnectionHandlerEvent<Opening, Negotiated, Unanswered>> {
        self.handler.poll(&mut Context::from_waker(futures::task::noop_waker_ref()))
    }

    /// The negotiation that the handler begins.
    fn begun(&mut self) -> Negotiated {
        match self.poll() {
            Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol }) => {
                SubstreamProtocol::into_upgrade(protocol).1
            }
            other => panic!("no negotiation began: {other:?}"),
        }
    }

    fn time_out(&mut self, info: Negotiated) {
        let error = StreamUpgradeError::Timeout;
        let event = ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error });
        self.handler.on_connection_event(event);
    }
}

#[test]
fn a_connection_on_which_nothing_arrives_is_given_up_and_one_that_lives_is_asked_again() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        let negotiated = bench.begun();
        bench.behaviour.answered(connection()); // a pong
        bench.time_out(negotiated);
    }
    let negotiated = bench.begun();
    bench.time_out(negotiated);
    assert!(matches!(bench.poll(), Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(_))));
    assert!(bench.poll().is_pending(), "it is given up once");
}

#[test]
fn a_slow_negotiation_for_which_nobody_waits_any_more_is_not_repeated() {
    let mut bench = Bench::new();
    let negotiated = bench.begun();
    bench.behaviour.answered(connection());
    bench.time_out(negotiated);
    drop(bench.answer);
    let polled = bench.handler.poll(&mut Context::from_waker(futures::task::noop_waker_ref()));
    assert!(polled.is_pending(), "{polled:?}");
}

#[test]
fn what_a_connection_showed_is_forgotten_with_it() {
    let mut bench = Bench::new();
    let peer = PeerId::random();
    bench.behaviour.forget_refused(&peer, connection());
    assert!(bench.behaviour.lives.is_empty());
}
