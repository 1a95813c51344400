//! A behaviour that hears each peer only as often as it should be.
//!
//! Kademlia answers every question and identify passes on every push, however many come. What a peer asks beyond its
//! budget is not heard: its stream stays without an answer, so that the few a connection may have open are soon taken.
//!
//! Promises: no peer costs the swarm more than its budget of work, and memory is bounded. Does not: know what is asked.

use std::task::{Context, Poll};

use haulout_protocol::machine::Timestamp;
use haulout_protocol::machine::budgets::Budgets;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;
use tracing::debug;

use crate::limits;

/// The behaviour inside, and what each peer asked of it lately.
pub(super) struct Paced<Inner> {
    pub(super) inner: Inner,
    heard: Budgets<PeerId>,
    started: Instant,
}

impl<Inner> Paced<Inner> {
    pub(super) fn new(inner: Inner) -> Self {
        let heard = Budgets::new(limits::QUESTIONS_OF_PEER, limits::PEERS_KNOWN_MAX);
        Paced { inner, heard, started: Instant::now() }
    }

    fn now(&self) -> Timestamp {
        let elapsed = self.started.elapsed().as_millis();
        Timestamp(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// Forgets the peers that asked nothing lately.
    pub(super) fn forget_quiet(&mut self) {
        self.heard.forget(self.now());
    }
}

impl<Inner: NetworkBehaviour> NetworkBehaviour for Paced<Inner> {
    type ConnectionHandler = Inner::ConnectionHandler;
    type ToSwarm = Inner::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(connection, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if self.heard.try_spend(peer, self.now()) {
            self.inner.on_connection_handler_event(peer, connection, event);
        } else {
            debug!(%peer, "a peer asks more than it may; not heard");
        }
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(context)
    }
}
