//! Opens and accepts request streams: our own libp2p behaviour and connection handler.
//!
//! The first byte the acceptor sends on a stream is its answer: accepted or busy. It travels with
//! the end of the negotiation, so reading it before `open` returns costs no round trip, and nobody
//! ever writes into a stream that was dropped unseen (libp2p-stream's way).
//!
//! Promises: a stream is admitted only with a place in its protocol's queue, one of the peer's
//! permits and one of the protocol's; whoever opens gets a stream or a reason. Does not: decide
//! where to look for a peer that cannot be dialled (`swarm` does).

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use haulout_protocol::crypto;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent,
    ConnectionId, DialError, DialFailure, FromSwarm, ListenFailure, NetworkBehaviour,
    NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::debug;

use super::frames::{Permits, Stream};
use super::peers::{self, PeerBook};
use super::{OpenError, Protocol, Transport};
use crate::limits;

/// The acceptor's first byte: the stream is yours.
const ACCEPTED: u8 = 0;
/// The acceptor's first byte: no room; try later.
const BUSY: u8 = 1;

/// A stream that was accepted, on its way to whoever serves its protocol.
pub(super) type Arrival = (crypto::PeerId, Stream);

/// Where inbound streams are admitted. Outlives the swarm, so that a restart of the network actor
/// does not disturb those who accept.
#[derive(Debug)]
pub(super) struct Door {
    desks: Vec<Desk>,
}

#[derive(Debug)]
struct Desk {
    name: Named,
    /// Nothing until somebody accepts this protocol; then it stays on offer, busy between acceptors.
    queue: Mutex<Option<mpsc::Sender<Arrival>>>,
    permits: Arc<Semaphore>,
}

/// A protocol with the name it has on the wire.
#[derive(Clone, Debug)]
pub(super) struct Named {
    protocol: Protocol,
    wire: StreamProtocol,
}

impl AsRef<str> for Named {
    fn as_ref(&self) -> &str {
        self.wire.as_ref()
    }
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Option<mpsc::Sender<Arrival>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door {
    /// A door with a desk per protocol, nobody behind any.
    pub(super) fn new(name: impl Fn(Protocol) -> StreamProtocol) -> Self {
        let desk = |protocol| Desk {
            name: Named { protocol, wire: name(protocol) },
            queue: Mutex::new(None),
            permits: Arc::new(Semaphore::new(limits::STREAMS_PER_PROTOCOL_MAX)),
        };
        Door { desks: Protocol::ALL.into_iter().map(desk).collect() }
    }

    fn desk(&self, protocol: Protocol) -> &Desk {
        let desk = self.desks.iter().find(|desk| desk.name.protocol == protocol);
        desk.expect("a door has a desk for every protocol")
    }

    /// Sits down at a desk; whoever sat there gets nothing more.
    pub(super) fn accept(&self, protocol: Protocol) -> mpsc::Receiver<Arrival> {
        let (sender, receiver) = mpsc::channel(limits::ACCEPT_QUEUE_LEN);
        *self.desk(protocol).queue() = Some(sender);
        receiver
    }

    fn offered(&self) -> Vec<Named> {
        let served = |desk: &&Desk| desk.queue().is_some();
        self.desks.iter().filter(served).map(|desk| desk.name.clone()).collect()
    }

    /// Takes all the permits a stream needs, or none.
    fn admit(&self, protocol: Protocol, of_peer: &Arc<Semaphore>) -> Option<Admitted> {
        let desk = self.desk(protocol);
        let place = desk.queue().clone()?.try_reserve_owned().ok()?;
        let of_peer = of_peer.clone().try_acquire_owned().ok()?;
        let of_protocol = desk.permits.clone().try_acquire_owned().ok()?;
        Some(Admitted { place, permits: vec![of_peer, of_protocol] })
    }
}

struct Admitted {
    place: mpsc::OwnedPermit<Arrival>,
    permits: Vec<OwnedSemaphorePermit>,
}

/// Negotiates an inbound stream and gives it its first byte.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    door: Arc<Door>,
    peer: crypto::PeerId,
    of_peer: Arc<Semaphore>,
}

impl UpgradeInfo for Admission {
    type Info = Named;
    type InfoIter = Vec<Named>;

    fn protocol_info(&self) -> Vec<Named> {
        self.door.offered()
    }
}

impl InboundUpgrade<libp2p::Stream> for Admission {
    type Output = ();
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<()>>;

    fn upgrade_inbound(self, mut stream: libp2p::Stream, name: Named) -> Self::Future {
        Box::pin(async move {
            match self.door.admit(name.protocol, &self.of_peer) {
                Some(admitted) => {
                    stream.write_all(&[ACCEPTED]).await?;
                    stream.flush().await?;
                    let permits = Permits { _held: admitted.permits };
                    admitted.place.send((self.peer, Stream::new(stream, permits)));
                }
                None => {
                    debug!(peer = %self.peer, protocol = %name.wire, "no room for a stream");
                    stream.write_all(&[BUSY]).await?;
                    stream.close().await?;
                }
            }
            Ok(())
        })
    }
}

/// Negotiates an outbound stream and reads its first byte.
#[derive(Clone, Debug)]
pub(super) struct Opening(Named);

/// Why the other side did not take the stream.
#[derive(Debug)]
pub(super) enum OpeningError {
    Busy,
    Io(io::Error),
}

impl From<io::Error> for OpeningError {
    fn from(error: io::Error) -> Self {
        OpeningError::Io(error)
    }
}

impl UpgradeInfo for Opening {
    type Info = Named;
    type InfoIter = std::iter::Once<Named>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(self.0.clone())
    }
}

impl OutboundUpgrade<libp2p::Stream> for Opening {
    type Output = libp2p::Stream;
    type Error = OpeningError;
    type Future = BoxFuture<'static, Result<libp2p::Stream, OpeningError>>;

    fn upgrade_outbound(self, mut stream: libp2p::Stream, _: Named) -> Self::Future {
        Box::pin(async move {
            let mut answer = [0];
            stream.read_exact(&mut answer).await?;
            match answer {
                [ACCEPTED] => Ok(stream),
                [BUSY] => Err(OpeningError::Busy),
                _ => Err(io::Error::from(io::ErrorKind::InvalidData).into()),
            }
        })
    }
}

/// A stream somebody waits for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) protocol: Protocol,
    pub(super) reply: Reply,
}

type Reply = oneshot::Sender<Result<libp2p::Stream, OpenError>>;

/// One per connection: opens what the behaviour asks for, admits what the peer opens.
#[derive(Debug)]
pub(super) struct Handler {
    admission: Admission,
    waiting: VecDeque<Request>,
    /// Negotiations that got no answer: the connection is probably dead.
    unanswered: VecDeque<Reply>,
}

/// A negotiation got no answer. The behaviour drops the connection before it tells who waits, so
/// that a second attempt does not meet the same connection.
#[derive(Debug)]
pub(super) struct Unanswered(Reply);

impl ConnectionHandler for Handler {
    type FromBehaviour = Request;
    type ToBehaviour = Unanswered;
    type InboundProtocol = Admission;
    type OutboundProtocol = Opening;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Reply;

    fn listen_protocol(&self) -> SubstreamProtocol<Admission, ()> {
        SubstreamProtocol::new(self.admission.clone(), ()).with_timeout(limits::NEGOTIATION_TIMEOUT)
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Opening, Reply, Unanswered>> {
        if let Some(reply) = self.unanswered.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Unanswered(reply)));
        }
        while let Some(request) = self.waiting.pop_front() {
            if request.reply.is_closed() {
                continue; // nobody waits for it any more
            }
            let name = self.admission.door.desk(request.protocol).name.clone();
            let protocol = SubstreamProtocol::new(Opening(name), request.reply)
                .with_timeout(limits::NEGOTIATION_TIMEOUT);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, request: Request) {
        if self.waiting.len() < limits::OPENS_PENDING_MAX {
            self.waiting.push_back(request);
        } else {
            let _ = request.reply.send(Err(OpenError::Overloaded));
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Admission, Opening, (), Reply>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { .. }) => {}
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream,
                info: reply,
            }) => {
                let _ = reply.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: reply, error }) => {
                let error = match error {
                    StreamUpgradeError::Timeout => return self.unanswered.push_back(reply),
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
                    StreamUpgradeError::Apply(OpeningError::Busy) => OpenError::Busy,
                    StreamUpgradeError::Apply(OpeningError::Io(error))
                    | StreamUpgradeError::Io(error) => {
                        debug!(%error, "stream failed while it was opened");
                        OpenError::ConnectionLost
                    }
                };
                let _ = reply.send(Err(error));
            }
            _ => {}
        }
    }
}

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
            of_peer: HashMap::new(),
            waiting: HashMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// Opens a stream on the newest connection, or dials.
    pub(super) fn open(&mut self, peer: PeerId, request: Request) {
        if let Some(connection) = self.connections.get(&peer).and_then(|open| open.last()) {
            self.actions.push_back(ToSwarm::NotifyHandler {
                peer_id: peer,
                handler: NotifyHandler::One(*connection),
                event: request,
            });
            return;
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

    fn handler(&mut self, peer: PeerId) -> Result<Handler, ConnectionDenied> {
        let named = super::from_libp2p(&peer)
            .ok_or_else(|| ConnectionDenied::new(io::Error::other("not an ed25519 peer")))?;
        let of_peer = self
            .of_peer
            .entry(peer)
            .or_insert_with(|| Arc::new(Semaphore::new(limits::STREAMS_FROM_PEER_MAX)));
        let admission =
            Admission { door: self.door.clone(), peer: named, of_peer: of_peer.clone() };
        Ok(Handler { admission, waiting: VecDeque::new(), unanswered: VecDeque::new() })
    }

    fn dial_failed(&mut self, peer: PeerId, error: &DialError) {
        // Someone else's dial is under way; its end is ours too.
        if matches!(error, DialError::DialPeerConditionFalse(_)) {
            return;
        }
        if self.waiting.contains_key(&peer) && !self.connections.contains_key(&peer) {
            let event = Event::DialFailed { peer, reason: error.to_string() };
            self.actions.push_back(ToSwarm::GenerateEvent(event));
        }
    }

    /// A connection another behaviour denied after we made its handler.
    fn forget_refused(&mut self, peer: &PeerId) {
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
        let Some(peer) = peer.as_ref().and_then(super::from_libp2p) else { return Ok(Vec::new()) };
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let mut addresses = book.addresses(&peer);
        addresses.sort_by_key(|address| match self.prefer {
            Transport::Quic => peers::is_tcp(address),
            Transport::Tcp => !peers::is_tcp(address),
        });
        Ok(addresses)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let (peer, connection) = (established.peer_id, established.connection_id);
                self.connections.entry(peer).or_default().push(connection);
                for request in self.waiting.remove(&peer).unwrap_or_default() {
                    self.actions.push_back(ToSwarm::NotifyHandler {
                        peer_id: peer,
                        handler: NotifyHandler::One(connection),
                        event: request,
                    });
                }
            }
            FromSwarm::ConnectionClosed(closed) => self.closed(&closed),
            FromSwarm::DialFailure(DialFailure { peer_id: Some(peer), error, .. }) => {
                self.dial_failed(peer, error);
                self.forget_refused(&peer);
            }
            FromSwarm::ListenFailure(ListenFailure { peer_id: Some(peer), .. }) => {
                self.forget_refused(&peer);
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
        debug!(%peer, "a stream got no answer; closing its connection");
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
