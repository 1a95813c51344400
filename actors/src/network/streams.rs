//! Opens and accepts request streams: our own libp2p behaviour.
//!
//! Promises: whoever opens gets a stream or a reason; new streams take the newest connection, and
//! one on which nothing arrives any more is closed. Does not: decide where to look for a peer that cannot be
//! dialled (`swarm` does).

mod door;
mod handler;
mod negotiation;
mod request;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{
    CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, DialError, DialFailure,
    FromSwarm, ListenFailure, NetworkBehaviour, NotifyHandler, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::Semaphore;
use tracing::debug;

use self::door::Visitor;
pub(super) use self::door::{Arrival, Door};
use self::handler::{Handler, Unanswered};
use self::negotiation::Admission;
pub(super) use self::request::Request;
use super::address;
use super::errors::OpenError;
use super::identity::from_libp2p;
use super::life::Life;
use super::lock::lock;
use super::options::Transport;
use super::peers::PeerBook;
use crate::limits;

/// What the swarm task must decide.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody waits for this peer, and it cannot be dialled.
    DialFailed { peer: PeerId, reason: String },
}

/// Knows the connections, and who waits for which peer.
#[derive(Debug)]
pub(super) struct Behaviour {
    door: Arc<Door>,
    book: Arc<Mutex<PeerBook>>,
    prefer: Transport,
    /// Open connections, newest last: a restarted peer's old connection is dead without knowing.
    connections: HashMap<PeerId, Vec<ConnectionId>>,
    /// What each connection, open or about to be, has shown of life.
    lives: HashMap<ConnectionId, Life>,
    of_peer: HashMap<PeerId, Arc<Semaphore>>,
    waiting: HashMap<PeerId, Vec<Request>>,
    actions: VecDeque<ToSwarm<Event, Request>>,
}

impl Behaviour {
    pub(super) fn new(door: Arc<Door>, book: Arc<Mutex<PeerBook>>, prefer: Transport) -> Self {
        Behaviour {
            door,
            book,
            prefer,
            connections: HashMap::new(),
            lives: HashMap::new(),
            of_peer: HashMap::new(),
            waiting: HashMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// Opens a stream on the newest connection, or dials.
    pub(super) fn open(&mut self, peer: PeerId, request: Request) {
        if let Some(connection) = self.connections.get(&peer).and_then(|open| open.last()) {
            return self.hand_over(peer, *connection, request);
        }
        let waiting = self.waiting.entry(peer).or_default();
        waiting.retain(|request| !request.reply.is_closed());
        if waiting.len() >= limits::OPENS_PENDING_MAX {
            let _ = request.reply.send(Err(OpenError::Overloaded));
            return;
        }
        waiting.push(request);
        if waiting.len() == 1 {
            self.dial(peer);
        }
    }

    /// Lets a connection's handler open the stream.
    fn hand_over(&mut self, peer: PeerId, connection: ConnectionId, request: Request) {
        let handler = NotifyHandler::One(connection);
        self.actions.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event: request });
    }

    /// Notes an answer to a ping: a negotiation that waits meanwhile is slow, not dead.
    pub(super) fn answered(&mut self, connection: ConnectionId) {
        if let Some(life) = self.lives.get(&connection) {
            life.note();
        }
    }

    /// Dials with every address anybody in the swarm knows.
    pub(super) fn dial(&mut self, peer: PeerId) {
        let dial = DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing);
        self.actions.push_back(ToSwarm::Dial { opts: dial.build() });
    }

    /// Tells all who wait for a peer that it cannot be reached.
    pub(super) fn give_up(&mut self, peer: PeerId, reason: &str) {
        for request in self.waiting.remove(&peer).unwrap_or_default() {
            let _ = request.reply.send(Err(OpenError::Unreachable(reason.to_owned())));
        }
    }

    /// Whether a peer has streams open towards us, or somebody here waits for it.
    pub(super) fn is_busy(&self, peer: &PeerId) -> bool {
        let all = limits::STREAMS_FROM_PEER_MAX;
        self.waiting.contains_key(peer)
            || self.of_peer.get(peer).is_some_and(|permits| permits.available_permits() < all)
    }

    fn handler(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        let named = from_libp2p(&peer)
            .ok_or_else(|| ConnectionDenied::new(io::Error::other("not an ed25519 peer")))?;
        let permits = self
            .of_peer
            .entry(peer)
            .or_insert_with(|| Arc::new(Semaphore::new(limits::STREAMS_FROM_PEER_MAX)));
        let (permits, life) = (permits.clone(), Life::default());
        self.lives.insert(connection, life.clone());
        let visitor = Visitor { peer: named, address: address::ip_of(remote), permits };
        Ok(Handler::new(Admission { door: self.door.clone(), visitor, life }))
    }

    fn dial_failed(&mut self, peer: PeerId, error: &DialError) {
        // Someone else's dial is under way; its end is ours too.
        if matches!(error, DialError::DialPeerConditionFalse(_)) {
            return;
        }
        if let (DialError::WrongPeerId { .. }, Some(peer)) = (error, from_libp2p(&peer)) {
            lock(&self.book).forget_sign(&peer); // somebody else is there
        }
        if self.waiting.contains_key(&peer) && !self.connections.contains_key(&peer) {
            let event = Event::DialFailed { peer, reason: error.to_string() };
            self.actions.push_back(ToSwarm::GenerateEvent(event));
        }
    }

    /// A connection another behaviour denied after we made its handler.
    fn forget_refused(&mut self, peer: &PeerId, connection: ConnectionId) {
        self.lives.remove(&connection);
        if !self.connections.contains_key(peer) {
            self.of_peer.remove(peer);
        }
    }

    /// Uses a connection no longer, whether or not it is closed yet.
    fn drop_connection(&mut self, peer: &PeerId, connection: ConnectionId) {
        if let Some(open) = self.connections.get_mut(peer) {
            open.retain(|other| *other != connection);
            if open.is_empty() {
                self.connections.remove(peer);
            }
        }
    }

    fn closed(&mut self, closed: &ConnectionClosed<'_>) {
        let peer = closed.peer_id;
        self.drop_connection(&peer, closed.connection_id);
        self.lives.remove(&closed.connection_id);
        if closed.remaining_established > 0 {
            return;
        }
        self.of_peer.remove(&peer);
        if self.waiting.contains_key(&peer) {
            self.dial(peer); // until now the swarm thought it was connected
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let Some(peer) = peer.as_ref().and_then(from_libp2p) else { return Ok(Vec::new()) };
        let mut book = lock(&self.book);
        book.forget_sign(&peer);
        let mut addresses = book.addresses(&peer);
        addresses.sort_by_key(|address| match self.prefer {
            Transport::Quic => address::is_tcp(address),
            Transport::Tcp => !address::is_tcp(address),
        });
        Ok(addresses)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(connection, peer, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(connection, peer, remote)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let (peer, connection) = (established.peer_id, established.connection_id);
                self.connections.entry(peer).or_default().push(connection);
                for request in self.waiting.remove(&peer).unwrap_or_default() {
                    self.hand_over(peer, connection, request);
                }
            }
            FromSwarm::ConnectionClosed(closed) => self.closed(&closed),
            FromSwarm::DialFailure(DialFailure { peer_id: Some(peer), error, connection_id }) => {
                self.dial_failed(peer, error);
                self.forget_refused(&peer, connection_id);
            }
            FromSwarm::ListenFailure(ListenFailure {
                peer_id: Some(peer), connection_id, ..
            }) => {
                self.forget_refused(&peer, connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        Unanswered(reply): THandlerOutEvent<Self>,
    ) {
        debug!(%peer, "nothing arrives on a connection; closing it");
        self.drop_connection(&peer, connection);
        self.actions.push_back(ToSwarm::CloseConnection {
            peer_id: peer,
            connection: CloseConnection::One(connection),
        });
        let _ = reply.send(Err(OpenError::TimedOut));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        match self.actions.pop_front() {
            Some(action) => Poll::Ready(action),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests;
