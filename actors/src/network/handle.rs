//! The network's handle: what everybody asks of it.
//!
//! Promises: every wait is bounded; it works across restarts of the actor. Does not: know what streams and messages carry.

use std::collections::BTreeSet;
use std::sync::Arc;

use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::conditions::{Entrance, TurnedAway};
use haulout_protocol::machine::guests::Class;
use haulout_protocol::machine::responsiveness::{Pace, Sample};
use libp2p::Multiaddr;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::actor::NetworkActor;
use super::commands::Command;
use super::errors::{NetworkError, OpenError, PublishError};
use super::frames::Stream;
use super::identity::{from_libp2p, to_libp2p};
use super::inbound::{Incoming, Listener};
use super::life::Watched;
use super::names::{Protocol, Topic};
use super::options::NetworkOptions;
use super::peers::{Blame, Peers, Penalty, Sign};
use super::shared::Shared;
use super::streams::Request;
use crate::limits;
use crate::supervisor::Child;

/// The network, for everybody who uses it; a cheap handle.
#[derive(Clone, Debug)]
pub struct Network {
    pub(super) shared: Arc<Shared>,
}

impl Network {
    /// Checks the options; nothing runs until [`Network::child`] is started by a supervisor.
    pub fn new(options: NetworkOptions) -> Result<Self, NetworkError> {
        Ok(Network { shared: Arc::new(Shared::new(options)?) })
    }

    /// How a supervisor starts the actor behind this handle.
    pub fn child(&self) -> Child {
        let shared = self.shared.clone();
        Child::actor("network", move || (NetworkActor, shared.clone()))
    }

    /// Who we are.
    pub fn identity(&self) -> PeerId {
        self.shared.identity
    }

    /// Opens a stream: over a connection we have, else by dialling the addresses we know, else
    /// after a walk through Kademlia, which is not waited for where the peer's machine refuses us.
    /// Bounded by [`limits::OPEN_TIMEOUT`], queueing included.
    pub async fn open(&self, peer: PeerId, protocol: Protocol) -> Result<Stream, OpenError> {
        let deadline = Instant::now() + limits::OPEN_TIMEOUT;
        if self.shared.book().is_banned(&peer) {
            return Err(OpenError::Banned);
        }
        let permits = self.shared.permits_towards(peer);
        if permits.available_permits() == 0 {
            self.shared.lending.close_one(peer);
        }
        let permit = timeout_at(deadline, permits.acquire_owned())
            .await
            .map_err(|_| OpenError::Overloaded)?
            .expect("we never close the semaphore");
        let mut opened = self.attempt(peer, protocol, deadline).await;
        if matches!(opened, Err(OpenError::ConnectionLost | OpenError::TimedOut)) {
            // The connection was dead without knowing; the next one is new.
            opened = self.attempt(peer, protocol, deadline).await;
        }
        let opened = opened.map_err(|error| match (error, self.shared.book().sign(&peer)) {
            // What followed was looking for another machine.
            (OpenError::TimedOut | OpenError::Unreachable(_), Some(Sign::Refuses)) => {
                OpenError::Refused
            }
            (OpenError::TimedOut | OpenError::Unreachable(_), Some(Sign::Lives)) => {
                OpenError::KeptWaiting
            }
            (error, _) => error,
        });
        opened.map(|io| Stream::opened(io, permit))
    }

    async fn attempt(
        &self,
        peer: PeerId,
        protocol: Protocol,
        deadline: Instant,
    ) -> Result<Watched<libp2p::Stream>, OpenError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Open(to_libp2p(&peer), Request { protocol, reply });
        timeout_at(deadline, async {
            if !self.shared.command(command).await {
                return Err(OpenError::Restarting);
            }
            answer.await.unwrap_or(Err(OpenError::ConnectionLost))
        })
        .await
        .unwrap_or(Err(OpenError::TimedOut))
    }

    /// Accepts streams of a protocol from now on. The last caller gets them all; between a dropped
    /// [`Incoming`] and its successor, openers are told "busy".
    pub fn accept(&self, protocol: Protocol) -> Incoming {
        Incoming { streams: self.shared.door.accept(protocol) }
    }

    /// States where a peer is, as the chain or the operator says; replaces what was stated before.
    pub fn add_addresses(&self, peer: PeerId, addresses: Vec<String>) {
        let parsed = addresses.iter().filter_map(|text| match text.parse::<Multiaddr>() {
            Ok(address) => Some(address),
            Err(error) => {
                debug!(%peer, text, %error, "stated address is not a multiaddr");
                None
            }
        });
        self.shared.book().state_addresses(peer, parsed.collect());
    }

    /// States who serves in the committee, did in the one before or will in the next: they always get in, and their
    /// streams have places that nobody else can take.
    pub(crate) fn set_members(&self, members: BTreeSet<PeerId>) {
        self.shared.book().set_members(members.clone());
        let chosen = self.shared.options.bootstrap_peers.iter().filter_map(from_libp2p);
        self.shared.door.set_members(members.into_iter().chain(chosen).collect());
    }

    /// Whether a peer always gets in because the ledger names it.
    pub fn is_member(&self, peer: &PeerId) -> bool {
        self.shared.book().is_member(peer)
    }

    /// Who found no room here lately.
    pub fn turned_away(&self) -> TurnedAway {
        self.shared.refusals.lately()
    }

    /// Notes that somebody found no room at an entrance that is not the network's own, or lost it there.
    pub(crate) fn note_turned_away(&self, entrance: Entrance, class: Class) {
        self.shared.refusals.note(entrance, class);
    }

    /// Publishes a message to all who listen to a topic.
    pub async fn publish(&self, topic: Topic, bytes: Vec<u8>) -> Result<(), PublishError> {
        let (reply, answer) = oneshot::channel();
        let publish = async {
            if !self.shared.command(Command::Publish { topic, bytes, reply }).await {
                return Err(PublishError::Restarting);
            }
            answer.await.unwrap_or(Err(PublishError::Restarting))
        };
        timeout(limits::OPEN_TIMEOUT, publish).await.unwrap_or(Err(PublishError::Restarting))
    }

    /// Listens to a topic from now on; the last caller gets its messages.
    pub async fn listen(&self, topic: Topic) -> Listener {
        let (sender, messages) = mpsc::channel(limits::GOSSIP_LISTENER_QUEUE_LEN);
        self.shared.listeners().insert(topic, sender);
        // A swarm that is not there yet subscribes to every topic listened to when it starts.
        let current = self.shared.commands.borrow().clone();
        if let Some(commands) = current {
            let _ = commands.send(Command::Subscribe(topic)).await;
        }
        Listener { messages }
    }

    /// Writes down what a peer did wrong: logged, counted, and in the end a ban.
    pub fn blame(&self, peer: PeerId, blame: Blame) {
        let penalty = self.shared.book().blame(peer, blame, Instant::now());
        let named = to_libp2p(&peer);
        let command = match penalty {
            Penalty::None => None,
            Penalty::Disconnect => Some(Command::Disconnect(named)),
            Penalty::Ban => Some(Command::Ban(named)),
        };
        if let Some(command) = command {
            let current = self.shared.commands.borrow().clone();
            // If the queue is full, the next tick of the swarm task bans the peer, or its next fault disconnects it.
            let _ = current.map(|commands| commands.try_send(command));
        }
        self.shared.show_peers();
    }

    /// Notes that a peer answered, when it was heard last, and how fast it was: who answers fast is asked first.
    pub(crate) fn answered(&self, peer: PeerId, heard_at: Instant, sample: Sample) {
        self.shared.book().answered(peer, self.shared.at(heard_at), sample);
    }

    /// Notes that a peer owes an answer for so long that others were asked.
    pub(crate) fn fell_silent(&self, peer: PeerId) {
        self.shared.book().fell_silent(peer, self.shared.now());
    }

    /// What to expect of each of these peers if it is asked for so many bytes now.
    pub(crate) fn paces(&self, peers: impl Iterator<Item = PeerId>, bytes: u64) -> Vec<Pace> {
        let (book, now) = (self.shared.book(), self.shared.now());
        peers.map(|peer| book.pace(&peer, now, bytes)).collect()
    }

    /// Who is connected, banned and blamed.
    pub fn peers(&self) -> watch::Receiver<Peers> {
        self.shared.peers.subscribe()
    }

    /// Where we listen, without our peer id.
    pub fn addresses(&self) -> watch::Receiver<Vec<String>> {
        self.shared.addresses.subscribe()
    }

    /// Ends the swarm task in a panic, as a bug would.
    #[cfg(test)]
    pub(super) async fn panic_in_swarm(&self) {
        assert!(self.shared.command(Command::Panic).await, "the swarm runs");
    }
}
