//! The network: a cheap handle for everybody, and the actor that keeps the swarm alive.
//!
//! Promises: the handle works across restarts of the actor (requests in flight fail as transient,
//! new ones wait for the new swarm within their own bound), the identity and the ports stay the
//! same, and what others hold (accept queues, gossip listeners, the peer book) is not disturbed.
//! libp2p's types never leave this module's folder. Does not: know what the streams carry.

mod behaviours;
mod frames;
mod peers;
mod streams;
mod swarm;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use haulout_protocol::crypto::PeerId;
use haulout_protocol::message::NetworkId;
use libp2p::{Multiaddr, StreamProtocol, gossipsub, identity};
use prometheus_client::registry::Registry;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

pub use self::frames::{Stream, StreamError, StreamReader, StreamWriter};
pub use self::peers::{Blame, Peers};

use self::peers::PeerBook;
use self::streams::{Arrival, Door, Request};
use self::swarm::{Command, Driver};
use crate::limits;
use crate::supervisor::Child;

/// A request protocol: one stream per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Headers, indexes, status and certificates of blobs.
    Blob,
    /// Slivers, put and got.
    Sliver,
}

impl Protocol {
    const ALL: [Protocol; 2] = [Protocol::Blob, Protocol::Sliver];

    fn name(self, network: &str) -> StreamProtocol {
        let name = match self {
            Protocol::Blob => "blob",
            Protocol::Sliver => "sliver",
        };
        StreamProtocol::try_from_owned(format!("/haulout/{network}/{name}/1"))
            .expect("a protocol name starts with a slash")
    }
}

/// A gossip topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Certificates of blobs, so that nodes act before the chain event.
    Blob,
}

impl Topic {
    const ALL: [Topic; 1] = [Topic::Blob];

    fn on(self, network: &str) -> gossipsub::IdentTopic {
        let name = match self {
            Topic::Blob => "blob",
        };
        gossipsub::IdentTopic::new(format!("/haulout/{network}/gossip/{name}/1"))
    }
}

/// What this peer is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A node: answers Kademlia queries and is found by them.
    Server,
    /// A client: asks, and is not listed.
    Client,
}

/// A transport, where there is a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// QUIC: bounded memory, one round trip to connect.
    #[default]
    Quic,
    /// TCP with Noise and Yamux: about half the CPU for bulk.
    Tcp,
}

/// What a network needs to know.
#[derive(Clone)]
pub struct NetworkOptions {
    /// The ed25519 secret key that names this peer.
    pub secret_key: [u8; 32],
    /// Peers of other networks are strangers: protocol names carry this.
    pub network: NetworkId,
    /// Multiaddrs to listen on; port 0 takes a free one and keeps it across restarts of the actor.
    pub listen: Vec<String>,
    /// Multiaddrs others should dial, if not those we listen on.
    pub external: Vec<String>,
    /// Multiaddrs of peers to start from, best with `/p2p/<peer id>` at the end.
    pub bootstrap: Vec<String>,
    /// Node or client.
    pub role: Role,
    /// Which transport to dial first.
    pub prefer: Transport,
    /// Takes libp2p's metrics. It belongs to the network alone: a new swarm replaces what it holds.
    pub registry: Arc<Mutex<Registry>>,
}

impl std::fmt::Debug for NetworkOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("NetworkOptions")
            .field("network", &self.network)
            .field("listen", &self.listen)
            .field("external", &self.external)
            .field("bootstrap", &self.bootstrap)
            .field("role", &self.role)
            .field("prefer", &self.prefer)
            .finish_non_exhaustive()
    }
}

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A configured address is not a multiaddr.
    #[error("`{text}` is not a multiaddr such as /ip4/0.0.0.0/udp/4001/quic-v1: {reason}")]
    Address {
        /// What was configured.
        text: String,
        /// What the parser says.
        reason: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; is the port in use by another process?")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// The transports cannot be set up.
    #[error("cannot set up the network: {0}")]
    Setup(String),
}

/// Why a stream could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No address of the peer answers, and Kademlia knows no other.
    #[error("the peer cannot be reached: {0}")]
    Unreachable(String),
    /// It took longer than it may.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// The peer has no room for another stream.
    #[error("the peer is busy; retry later")]
    Busy,
    /// The peer does not serve this protocol.
    #[error("the peer does not serve this protocol")]
    Unsupported,
    /// The connection ended while the stream was opened.
    #[error("the connection was lost")]
    ConnectionLost,
    /// Too many of our own requests wait.
    #[error("too many requests wait for the network")]
    Overloaded,
    /// The peer is banned here for what it did.
    #[error("the peer is banned for its faults")]
    Banned,
    /// The network is restarting or shut down.
    #[error("the network is restarting")]
    Restarting,
}

impl OpenError {
    /// Whether the same request, to the same peer, may succeed soon.
    pub fn is_transient(&self) -> bool {
        match self {
            OpenError::Unreachable(_)
            | OpenError::TimedOut
            | OpenError::Busy
            | OpenError::ConnectionLost
            | OpenError::Overloaded
            | OpenError::Restarting => true,
            OpenError::Unsupported | OpenError::Banned => false,
        }
    }
}

/// Why a message was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nobody we are connected to listens to the topic yet.
    #[error("no connected peer listens to this topic yet")]
    NoPeers,
    /// The message is above the limit.
    #[error("the message is larger than {} bytes", limits::GOSSIP_BYTES_MAX)]
    TooLarge,
    /// The queues of all peers are full.
    #[error("the queues of all peers are full")]
    Overloaded,
    /// The network is restarting or shut down.
    #[error("the network is restarting")]
    Restarting,
}

/// The network, for everybody who uses it; a cheap handle.
#[derive(Clone, Debug)]
pub struct Network {
    shared: Arc<Shared>,
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
    /// after a walk through Kademlia. Bounded by [`limits::OPEN_TIMEOUT`], queueing included.
    pub async fn open(&self, peer: PeerId, protocol: Protocol) -> Result<Stream, OpenError> {
        let deadline = Instant::now() + limits::OPEN_TIMEOUT;
        if self.shared.book().is_banned(&peer) {
            return Err(OpenError::Banned);
        }
        let permits = self.shared.permits_towards(peer);
        let permit = timeout_at(deadline, permits.acquire_owned())
            .await
            .map_err(|_| OpenError::Overloaded)?
            .expect("we never close the semaphore");
        let mut opened = self.attempt(peer, protocol, deadline).await;
        if matches!(opened, Err(OpenError::ConnectionLost | OpenError::TimedOut)) {
            // The connection was dead without knowing; the next one is new.
            opened = self.attempt(peer, protocol, deadline).await;
        }
        opened.map(|io| Stream::new(io, frames::Permits { _held: vec![permit] }))
    }

    async fn attempt(
        &self,
        peer: PeerId,
        protocol: Protocol,
        deadline: Instant,
    ) -> Result<libp2p::Stream, OpenError> {
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
        let banned = self.shared.book().blame(peer, blame, Instant::now());
        if banned {
            let current = self.shared.commands.borrow().clone();
            // If the queue is full, the next tick of the swarm task bans the peer.
            let _ = current.map(|commands| commands.try_send(Command::Ban(to_libp2p(&peer))));
        }
        self.shared.show_peers();
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
    async fn panic_in_swarm(&self) {
        assert!(self.shared.command(Command::Panic).await, "the swarm runs");
    }
}

/// Streams of one protocol that others opened.
#[derive(Debug)]
pub struct Incoming {
    streams: mpsc::Receiver<Arrival>,
}

impl Incoming {
    /// The next stream and who opened it; nothing once somebody else accepts this protocol.
    pub async fn next(&mut self) -> Option<(PeerId, Stream)> {
        self.streams.recv().await
    }
}

/// Messages of one topic.
#[derive(Debug)]
pub struct Listener {
    messages: mpsc::Receiver<Heard>,
}

impl Listener {
    /// The next message; nothing once somebody else listens to this topic.
    pub async fn next(&mut self) -> Option<Heard> {
        self.messages.recv().await
    }
}

/// A message that waits for a verdict; without one it is not forwarded.
#[derive(Debug)]
pub struct Heard {
    /// The peer that sent it to us, maybe not its author.
    pub from: PeerId,
    /// The message.
    pub bytes: Vec<u8>,
    id: gossipsub::MessageId,
    commands: mpsc::Sender<Command>,
}

impl Heard {
    /// Says whether the message may travel on. `Reject` costs the sender its standing in gossip.
    pub fn verdict(self, verdict: Verdict) {
        let command = Command::Verdict { id: self.id, from: to_libp2p(&self.from), verdict };
        if self.commands.try_send(command).is_err() {
            debug!(from = %self.from, "verdict on a message came too late");
        }
    }
}

/// What to do with a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Valid: forward it.
    Accept,
    /// Of no use now: do not forward it, blame nobody.
    Ignore,
    /// Invalid: do not forward it, and hold it against the sender.
    Reject,
}

/// The peer that holds this ed25519 secret key.
pub fn peer_id(secret_key: [u8; 32]) -> PeerId {
    let keypair = identity::Keypair::ed25519_from_bytes(secret_key)
        .expect("any 32 bytes are an ed25519 secret key");
    from_libp2p(&keypair.public().to_peer_id()).expect("an ed25519 key has an ed25519 peer id")
}

/// Turns a text multiaddr into the bytes the chain stores.
pub fn address_to_bytes(text: &str) -> Result<Vec<u8>, NetworkError> {
    Ok(parse_address(text)?.to_vec())
}

/// Turns bytes the chain stores into a text multiaddr; nothing if they are none.
pub fn address_from_bytes(bytes: &[u8]) -> Option<String> {
    Multiaddr::try_from(bytes.to_vec()).ok().map(|address| address.to_string())
}

/// What outlives the swarm: shared by the handles, the actor and the swarm task.
#[derive(Debug)]
struct Shared {
    options: Parsed,
    identity: PeerId,
    /// The way to the swarm that runs now, if one does.
    commands: watch::Sender<Option<mpsc::Sender<Command>>>,
    peers: watch::Sender<Peers>,
    addresses: watch::Sender<Vec<String>>,
    book: Arc<Mutex<PeerBook>>,
    door: Arc<Door>,
    listeners: Mutex<BTreeMap<Topic, mpsc::Sender<Heard>>>,
    /// Our own streams towards each peer.
    towards: Mutex<BTreeMap<PeerId, Arc<Semaphore>>>,
    /// The ports that replaced port 0, by place in `options.listen`.
    ports: Mutex<BTreeMap<usize, u16>>,
    /// One permit: whoever holds it owns the sockets.
    sockets: Arc<Semaphore>,
}

/// The options, checked.
struct Parsed {
    keypair: identity::Keypair,
    network: String,
    listen: Vec<Multiaddr>,
    external: Vec<Multiaddr>,
    bootstrap: Vec<Multiaddr>,
    role: Role,
    prefer: Transport,
    registry: Arc<Mutex<Registry>>,
}

impl std::fmt::Debug for Parsed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Parsed").field("network", &self.network).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn new(options: NetworkOptions) -> Result<Self, NetworkError> {
        let parse = |texts: &[String]| -> Result<Vec<Multiaddr>, NetworkError> {
            texts.iter().map(|text| parse_address(text)).collect()
        };
        let keypair = identity::Keypair::ed25519_from_bytes(options.secret_key)
            .map_err(|error| NetworkError::Setup(error.to_string()))?;
        let identity = peer_id(options.secret_key);
        let network = hex::encode(&options.network.as_bytes()[..4]);
        let options = Parsed {
            keypair,
            listen: parse(&options.listen)?,
            external: parse(&options.external)?,
            bootstrap: parse(&options.bootstrap)?,
            role: options.role,
            prefer: options.prefer,
            registry: options.registry,
            network,
        };
        Ok(Shared {
            identity,
            commands: watch::Sender::new(None),
            peers: watch::Sender::new(Peers::default()),
            addresses: watch::Sender::new(Vec::new()),
            book: Arc::default(),
            door: Arc::new(Door::new(|protocol| protocol.name(&options.network))),
            listeners: Mutex::default(),
            towards: Mutex::default(),
            ports: Mutex::default(),
            sockets: Arc::new(Semaphore::new(1)),
            options,
        })
    }

    fn book(&self) -> MutexGuard<'_, PeerBook> {
        lock(&self.book)
    }

    fn listeners(&self) -> MutexGuard<'_, BTreeMap<Topic, mpsc::Sender<Heard>>> {
        lock(&self.listeners)
    }

    fn show_peers(&self) {
        let peers = self.book().peers();
        self.peers.send_if_modified(|shown| {
            let changed = *shown != peers;
            if changed {
                *shown = peers;
            }
            changed
        });
    }

    /// Our permits towards a peer; peers without streams make room for it.
    fn permits_towards(&self, peer: PeerId) -> Arc<Semaphore> {
        let mut towards = lock(&self.towards);
        if towards.len() >= limits::PEERS_KNOWN_MAX && !towards.contains_key(&peer) {
            towards.retain(|_, permits| Arc::strong_count(permits) > 1);
        }
        let fresh = || Arc::new(Semaphore::new(limits::STREAMS_TO_PEER_MAX));
        towards.entry(peer).or_insert_with(fresh).clone()
    }

    /// Hands a command to the swarm, waiting for one if it restarts. False if it ended meanwhile.
    async fn command(&self, command: Command) -> bool {
        let mut commands = self.commands.subscribe();
        let Ok(current) = commands.wait_for(Option::is_some).await.map(|current| current.clone())
        else {
            return false;
        };
        match current {
            Some(commands) => commands.send(command).await.is_ok(),
            None => false,
        }
    }
}

fn parse_address(text: &str) -> Result<Multiaddr, NetworkError> {
    text.parse().map_err(|error: libp2p::multiaddr::Error| NetworkError::Address {
        text: text.to_owned(),
        reason: error.to_string(),
    })
}

fn to_libp2p(peer: &PeerId) -> libp2p::PeerId {
    libp2p::PeerId::from_bytes(&peer.to_multihash()).expect("our peer ids are valid multihashes")
}

/// Nothing for peers that are named by another kind of key.
fn from_libp2p(peer: &libp2p::PeerId) -> Option<PeerId> {
    PeerId::from_multihash(&peer.to_bytes())
}

enum Message {
    SwarmEnded(String),
}

/// Starts the swarm task and fails when it ends.
struct NetworkActor;

struct State {
    shared: Arc<Shared>,
    sender: mpsc::Sender<Command>,
    task: tokio::task::AbortHandle,
}

impl Drop for State {
    /// `post_stop` does not run after a panic or a kill; the sockets must be freed all the same.
    fn drop(&mut self) {
        self.withdraw();
        self.task.abort();
    }
}

impl State {
    /// Nobody should command this swarm any more; a successor's way stays as it is.
    fn withdraw(&self) {
        self.shared.commands.send_if_modified(|current| {
            let ours = current.as_ref().is_some_and(|sender| sender.same_channel(&self.sender));
            if ours {
                *current = None;
            }
            ours
        });
    }
}

impl Actor for NetworkActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arc<Shared>;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        shared: Arc<Shared>,
    ) -> Result<State, ActorProcessingErr> {
        let (sender, commands) = mpsc::channel(limits::NETWORK_COMMANDS_LEN);
        let driver = Driver::start(shared.clone(), sender.clone(), commands).await?;
        let task = tokio::spawn(driver.run());
        shared.commands.send_replace(Some(sender.clone()));
        let state = State { shared, sender, task: task.abort_handle() };
        tokio::spawn(async move {
            let why = match task.await {
                Ok(()) => "the swarm task ended".to_owned(),
                Err(error) => format!("the swarm task failed: {error}"),
            };
            let _ = myself.cast(Message::SwarmEnded(why));
        });
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        _: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::SwarmEnded(why) => Err(why.into()),
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<Message>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        // Peers should learn at once that we left, and the next swarm should find the ports free.
        state.withdraw();
        let left = async {
            let _ = state.sender.send(Command::Leave).await;
            let _ = state.shared.sockets.acquire().await;
        };
        if timeout(limits::SWARM_LEAVE_TIMEOUT, left).await.is_err() {
            debug!("the swarm did not leave in time; ending it");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
