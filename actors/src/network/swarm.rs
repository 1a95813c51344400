//! The swarm task: commands in, events handled, nothing else.
//!
//! Promises: it never waits for anybody (a full listener loses messages, a full queue is refused),
//! so the swarm is always polled. When it ends, for whatever reason, its sockets are free.
//! Does not: decide what streams or messages mean.

mod dialling_back;
mod whereabouts;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use haulout_protocol::crypto;
use haulout_protocol::machine::conditions::Entrance;
use haulout_protocol::machine::guests::Class;
use libp2p::core::ConnectedPoint;
use libp2p::core::transport::ListenerId;
use libp2p::memory_connection_limits::MemoryUsageLimitExceeded;
use libp2p::metrics::{Metrics, Recorder};
use libp2p::multiaddr::Protocol as Part;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, ListenError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, connection_limits, gossipsub, identify, kad, ping};
use prometheus_client::registry::Registry;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::behaviours::{self, Behaviour, BehaviourEvent};
use super::commands::{Command, Verdict};
use super::errors::{NetworkError, PublishError};
use super::identity::{from_libp2p, to_libp2p};
use super::inbound::Heard;
use super::lock::lock;
use super::names::Topic;
use super::peers::PeerBook;
use super::shared::Shared;
use super::strangers::Strangers;
use super::{address, names, streams};
use crate::limits;
use crate::pauses::Pauses;

/// The swarm and what belongs to this incarnation of it.
pub(super) struct Driver {
    swarm: Swarm<Behaviour>,
    shared: Arc<Shared>,
    sender: mpsc::Sender<Command>,
    commands: mpsc::Receiver<Command>,
    metrics: Metrics,
    kad_protocol: libp2p::StreamProtocol,
    /// Which place in the options a listener has.
    listeners: HashMap<ListenerId, usize>,
    strangers: Strangers,
    /// Walks under way, and for whom.
    walks: HashMap<kad::QueryId, PeerId>,
    /// Dials back under way, and who waits for them.
    dials_back: dialling_back::UnderWay,
    bootstrap_due: Instant,
    bootstrap_pauses: Pauses,
    /// A listener closed unasked: only a new swarm hears everybody again.
    deaf: bool,
    /// Dropped last: the sockets are gone by then.
    _sockets: OwnedSemaphorePermit,
}

impl Driver {
    /// Builds the swarm and binds its sockets, once the swarm before has let go of them.
    pub(super) async fn start(
        shared: Arc<Shared>,
        sender: mpsc::Sender<Command>,
        commands: mpsc::Receiver<Command>,
    ) -> Result<Self, NetworkError> {
        let sockets = timeout(limits::SWARM_END_TIMEOUT, shared.sockets.clone().acquire_owned())
            .await
            .map_err(|_| NetworkError::Setup("the old swarm does not end".to_owned()))?
            .expect("we never close the semaphore");
        shared.book().forget_connections();
        shared.addresses.send_replace(Vec::new());
        let (swarm, metrics) = {
            let mut registry = lock(&shared.options.registry);
            *registry = Registry::default();
            let metrics = Metrics::new(&mut registry);
            (behaviours::swarm(&shared, &mut registry)?, metrics)
        };
        let mut driver = Driver {
            swarm,
            kad_protocol: names::kademlia(&shared.options.network),
            shared,
            sender,
            commands,
            metrics,
            listeners: HashMap::new(),
            strangers: Strangers::new(),
            walks: HashMap::new(),
            dials_back: dialling_back::UnderWay::new(),
            bootstrap_due: Instant::now(),
            bootstrap_pauses: Pauses::between(
                limits::BOOTSTRAP_PAUSE_MIN,
                limits::BOOTSTRAP_PAUSE_MAX,
            ),
            deaf: false,
            _sockets: sockets,
        };
        driver.listen().await?;
        for address in driver.shared.options.external.clone() {
            driver.swarm.add_external_address(address);
        }
        let topics: Vec<Topic> = driver.shared.listeners().keys().copied().collect();
        for topic in topics {
            driver.subscribe(topic);
        }
        Ok(driver)
    }

    async fn listen(&mut self) -> Result<(), NetworkError> {
        for (place, address) in self.shared.options.listen.clone().into_iter().enumerate() {
            let port = lock(&self.shared.ports).get(&place).copied();
            let address = address::with_port(address, port);
            // A port we had may stay taken while the old connections drain; a new one may not.
            let patience = if port.is_some() { limits::SWARM_END_TIMEOUT } else { Duration::ZERO };
            let deadline = Instant::now() + patience;
            let listener = loop {
                match self.listen_on(&address) {
                    Ok(listener) => break listener,
                    Err(error) if Instant::now() >= deadline => return Err(error),
                    Err(_) => sleep(limits::RESTART_BACKOFF_MIN).await,
                }
            };
            self.listeners.insert(listener, place);
        }
        Ok(())
    }

    fn listen_on(&mut self, address: &Multiaddr) -> Result<ListenerId, NetworkError> {
        let failed = |reason: String| NetworkError::Listen { address: address.to_string(), reason };
        // libp2p listens with SO_REUSEPORT: two processes would share a TCP port without a word.
        if let Some(socket) = address::tcp_socket(address) {
            std::net::TcpListener::bind(socket).map_err(|error| failed(error.to_string()))?;
        }
        self.swarm.listen_on(address.clone()).map_err(|error| failed(error.to_string()))
    }

    /// Runs until told to leave, or until a listener is lost.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(limits::NETWORK_TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.deaf {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                command = self.commands.recv() => match command {
                    Some(Command::Leave) | None => return self.leave().await,
                    Some(command) => self.on_command(command),
                },
                _ = tick.tick() => self.on_tick(),
            }
        }
    }

    /// Says goodbye, so that nobody waits for us to time out.
    async fn leave(mut self) {
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self.swarm.connected_peers().next().is_some() {
                let event = self.swarm.select_next_some().await;
                self.on_event(event);
            }
        };
        if timeout(limits::SWARM_LEAVE_TIMEOUT / 2, closed).await.is_err() {
            debug!("not every connection closed in time");
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Open(peer, request) => self.swarm.behaviour_mut().streams.open(peer, request),
            Command::Publish { topic, bytes, reply } => {
                let _ = reply.send(self.publish(topic, bytes));
            }
            Command::Subscribe(topic) => self.subscribe(topic),
            Command::Verdict { id, from, verdict } => self.judge(&id, &from, verdict),
            Command::DialBack(dial) => self.dial_back(*dial),
            Command::Disconnect(peer) => drop(self.swarm.disconnect_peer_id(peer)),
            Command::Ban(peer) => self.ban(peer),
            Command::Leave => {}
            #[cfg(test)]
            Command::Panic => panic!("a panic in the swarm task"),
        }
    }

    fn publish(&mut self, topic: Topic, bytes: Vec<u8>) -> Result<(), PublishError> {
        let topic = topic.on(&self.shared.options.network);
        match self.swarm.behaviour_mut().gossip.publish(topic, bytes) {
            Ok(_) | Err(gossipsub::PublishError::Duplicate) => Ok(()),
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => Err(PublishError::NoPeers),
            Err(gossipsub::PublishError::AllQueuesFull(_)) => Err(PublishError::Overloaded),
            Err(
                gossipsub::PublishError::MessageTooLarge
                | gossipsub::PublishError::SigningError(_)
                | gossipsub::PublishError::TransformFailed(_),
            ) => Err(PublishError::TooLarge),
        }
    }

    fn subscribe(&mut self, topic: Topic) {
        let topic = topic.on(&self.shared.options.network);
        if let Err(error) = self.swarm.behaviour_mut().gossip.subscribe(&topic) {
            warn!(%topic, %error, "cannot subscribe");
        }
    }

    fn judge(&mut self, id: &gossipsub::MessageId, from: &PeerId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => gossipsub::MessageAcceptance::Accept,
            Verdict::Ignore => gossipsub::MessageAcceptance::Ignore,
            Verdict::Reject => gossipsub::MessageAcceptance::Reject,
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.report_message_validation_result(id, from, acceptance) {
            debug!(%id, "verdict on a message that is forgotten");
        }
    }

    fn ban(&mut self, peer: PeerId) {
        let behaviour = self.swarm.behaviour_mut();
        if behaviour.banned.block_peer(peer) {
            behaviour.kad.inner.remove_peer(&peer);
            behaviour.streams.give_up(peer, "it is banned for its faults");
        }
    }

    fn on_tick(&mut self) {
        self.shared.lending.sweep(Instant::now());
        let (banned, forgiven) = {
            let mut book = self.shared.book();
            let now = Instant::now();
            let forgiven = book.end_bans(now);
            book.forget_gone(now);
            (book.banned(), forgiven)
        };
        for peer in &banned {
            self.ban(to_libp2p(peer));
        }
        for peer in &forgiven {
            info!(%peer, "ban ended");
            self.swarm.behaviour_mut().banned.unblock_peer(to_libp2p(peer));
        }
        if !forgiven.is_empty() {
            self.shared.show_peers();
        }
        let behaviour = self.swarm.behaviour_mut();
        behaviour.kad.forget_quiet();
        behaviour.identify.forget_quiet();
        let streams = &self.swarm.behaviour().streams;
        self.strangers.note_useful(|peer| streams.is_busy(peer));
        if Instant::now() >= self.bootstrap_due {
            self.dial_bootstrap_peers();
        }
    }

    /// Dials the bootstrap peers that are not connected; pauses grow while nobody answers.
    fn dial_bootstrap_peers(&mut self) {
        let lonely = self.swarm.connected_peers().next().is_none();
        let us = *self.swarm.local_peer_id();
        for address in self.shared.options.bootstrap.clone() {
            let dial = match address.iter().last() {
                Some(Part::P2p(peer)) if peer == us || self.swarm.is_connected(&peer) => continue,
                Some(Part::P2p(peer)) => DialOpts::peer_id(peer)
                    .addresses(vec![address])
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .build(),
                _ if !lonely => continue, // we cannot tell whether we know it already
                _ => DialOpts::unknown_peer_id().address(address).build(),
            };
            if let Err(error) = self.swarm.dial(dial) {
                debug!(%error, "bootstrap peer not dialled");
            }
        }
        let pause = if lonely {
            self.bootstrap_pauses.next()
        } else {
            self.bootstrap_pauses.reset();
            limits::BOOTSTRAP_INTERVAL
        };
        self.bootstrap_due = Instant::now() + pause;
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        self.metrics.record(&event);
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::NewListenAddr { listener_id, address } => {
                self.on_listening(listener_id, address);
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                let gone = address.to_string();
                self.shared.addresses.send_modify(|shown| shown.retain(|text| *text != gone));
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.with_book(peer_id, PeerBook::connected);
                self.on_connected(peer_id, connection_id, &endpoint);
                self.dialled_back(connection_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                self.strangers.closed(&connection_id);
                self.with_book(peer_id, PeerBook::disconnected);
                let cause = cause.map(|cause| cause.to_string()).unwrap_or_default();
                debug!(peer = %peer_id, cause, "connection closed");
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.not_dialled_back(connection_id, &error);
            }
            SwarmEvent::IncomingConnectionError { peer_id, error, .. } => {
                self.on_refused(peer_id, &error);
            }
            SwarmEvent::ListenerError { error, .. } => warn!(%error, "listener failed"),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                warn!(?addresses, ?reason, "listener closed");
                self.deaf = true;
            }
            _ => {}
        }
    }

    /// A stranger that connects may cost another its connection, or is sent away itself.
    fn on_connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let ip = address::ip_of(endpoint.get_remote_address());
        self.strangers.connected(connection, peer, ip);
        if endpoint.is_dialer() || self.is_trusted(&peer) {
            return;
        }
        let streams = &self.swarm.behaviour().streams;
        let must_stay = |peer: &PeerId| streams.is_busy(peer) || is_trusted(&self.shared, peer);
        if let Some(leaving) = self.strangers.admit(connection, must_stay) {
            debug!(newcomer = %peer, refused = leaving == connection, "more strangers than places");
            self.shared.refusals.note(Entrance::Connection, Class::Stranger);
            self.swarm.close_connection(leaving);
        }
    }

    /// A connection that failed, or that we refused: those for which there was no room are counted.
    fn on_refused(&self, peer: Option<PeerId>, error: &ListenError) {
        let ListenError::Denied { cause } = error else { return };
        if cause.downcast_ref::<connection_limits::Exceeded>().is_none()
            && cause.downcast_ref::<MemoryUsageLimitExceeded>().is_none()
        {
            return; // it is banned
        }
        let class = match peer.is_some_and(|peer| self.is_trusted(&peer)) {
            true => Class::Member,
            false => Class::Stranger,
        };
        debug!(?peer, %cause, "no room for a connection");
        self.shared.refusals.note(Entrance::Connection, class);
    }

    /// Whether a peer always gets in.
    fn is_trusted(&self, peer: &PeerId) -> bool {
        is_trusted(&self.shared, peer)
    }

    fn with_book(&self, peer: PeerId, change: impl Fn(&mut PeerBook, crypto::PeerId)) {
        if let Some(peer) = from_libp2p(&peer) {
            change(&mut self.shared.book(), peer);
            self.shared.show_peers();
        }
    }

    fn on_listening(&mut self, listener: ListenerId, address: Multiaddr) {
        info!(%address, "listening");
        if let (Some(place), Some(port)) =
            (self.listeners.get(&listener), address::port_of(&address))
        {
            lock(&self.shared.ports).insert(*place, port);
        }
        self.shared.addresses.send_modify(|shown| shown.push(address.to_string()));
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(streams::Event::DialFailed { peer, reason }) => {
                self.on_dial_failed(peer, &reason);
            }
            BehaviourEvent::Identify(event) => {
                self.metrics.record(&event);
                if let identify::Event::Received { connection_id, peer_id, info } = event {
                    self.on_identified(connection_id, peer_id, info);
                }
            }
            BehaviourEvent::Kad(event) => {
                self.metrics.record(&event);
                if let kad::Event::OutboundQueryProgressed {
                    id,
                    result: kad::QueryResult::GetClosestPeers(found),
                    ..
                } = event
                {
                    self.on_walked(id, found);
                }
            }
            BehaviourEvent::Gossip(event) => {
                self.metrics.record(&event);
                if let gossipsub::Event::Message { propagation_source, message_id, message } = event
                {
                    self.on_message(propagation_source, message_id, message);
                }
            }
            BehaviourEvent::Ping(event) => {
                self.metrics.record(&event);
                let ping::Event { peer, connection, result } = event;
                match result {
                    Ok(_) => self.swarm.behaviour_mut().streams.answered(connection),
                    Err(ping::Failure::Timeout) => {
                        debug!(%peer, "no answer to a ping; closing the connection");
                        self.swarm.close_connection(connection);
                    }
                    Err(_) => {}
                }
            }
            BehaviourEvent::Limits(never)
            | BehaviourEvent::Memory(never)
            | BehaviourEvent::Banned(never) => match never {},
        }
    }

    fn on_message(
        &mut self,
        source: PeerId,
        id: gossipsub::MessageId,
        message: gossipsub::Message,
    ) {
        let network = &self.shared.options.network;
        let topic = Topic::ALL.into_iter().find(|topic| topic.on(network).hash() == message.topic);
        let queue = topic.and_then(|topic| self.shared.listeners().get(&topic).cloned());
        if let (Some(queue), Some(from)) = (queue, from_libp2p(&source)) {
            let commands = self.sender.clone();
            let heard = Heard { from, bytes: message.data, id: id.clone(), commands };
            if queue.try_send(heard).is_ok() {
                return;
            }
        }
        debug!(peer = %source, "nobody has time for a message; ignoring it");
        self.judge(&id, &source, Verdict::Ignore);
    }
}

/// Whether a peer is in the committee, in the one before, or one we start from.
fn is_trusted(shared: &Shared, peer: &PeerId) -> bool {
    shared.options.bootstrap_peers.contains(peer)
        || from_libp2p(peer).is_some_and(|peer| shared.book().is_member(&peer))
}
