//! What outlives the swarm.
//!
//! Promises: everything here is safe to share between handles, the actor and the swarm task, and no
//! lock is held across a wait. Does not: end; a restarted swarm finds all of it as it was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::Timestamp;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::commands::Command;
use super::errors::NetworkError;
use super::identity::peer_id;
use super::inbound::Heard;
use super::lending::Lending;
use super::lock::lock;
use super::names::Topic;
use super::options::{NetworkOptions, Parsed};
use super::peers::{PeerBook, Peers};
use super::refusals::Refusals;
use super::streams::Door;
use crate::limits;

/// What outlives the swarm: shared by the handles, the actor and the swarm task.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Parsed,
    pub(super) identity: PeerId,
    /// The way to the swarm that runs now, if one does.
    pub(super) commands: watch::Sender<Option<mpsc::Sender<Command>>>,
    pub(super) peers: watch::Sender<Peers>,
    pub(super) addresses: watch::Sender<Vec<String>>,
    pub(super) book: Arc<Mutex<PeerBook>>,
    pub(super) door: Arc<Door>,
    pub(super) refusals: Arc<Refusals>,
    listeners: Mutex<BTreeMap<Topic, mpsc::Sender<Heard>>>,
    /// Our streams that are used in turn.
    pub(super) lending: Lending,
    /// Our own streams towards each peer.
    towards: Mutex<BTreeMap<PeerId, Arc<Semaphore>>>,
    /// The ports that replaced port 0, by place in `options.listen`.
    pub(super) ports: Mutex<BTreeMap<usize, u16>>,
    /// One permit: whoever holds it owns the sockets.
    pub(super) sockets: Arc<Semaphore>,
    started: Instant,
}

impl Shared {
    pub(super) fn new(options: NetworkOptions) -> Result<Self, NetworkError> {
        let secret_key = options.secret_key;
        let options = Parsed::new(options)?;
        let refusals = Arc::<Refusals>::default();
        Ok(Shared {
            identity: peer_id(secret_key),
            commands: watch::Sender::new(None),
            peers: watch::Sender::new(Peers::default()),
            addresses: watch::Sender::new(Vec::new()),
            book: Arc::default(),
            door: Arc::new(Door::new(|it| it.name(&options.network), refusals.clone())),
            refusals,
            listeners: Mutex::default(),
            lending: Lending::default(),
            towards: Mutex::default(),
            ports: Mutex::default(),
            sockets: Arc::new(Semaphore::new(1)),
            started: Instant::now(),
            options,
        })
    }

    /// The time by which peers' answers are measured.
    pub(super) fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// A moment in that time.
    pub(super) fn at(&self, moment: Instant) -> Timestamp {
        let elapsed = moment.saturating_duration_since(self.started);
        Timestamp(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn book(&self) -> MutexGuard<'_, PeerBook> {
        lock(&self.book)
    }

    pub(super) fn listeners(&self) -> MutexGuard<'_, BTreeMap<Topic, mpsc::Sender<Heard>>> {
        lock(&self.listeners)
    }

    pub(super) fn show_peers(&self) {
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
    pub(super) fn permits_towards(&self, peer: PeerId) -> Arc<Semaphore> {
        let mut towards = lock(&self.towards);
        if towards.len() >= limits::PEERS_KNOWN_MAX && !towards.contains_key(&peer) {
            towards.retain(|_, permits| Arc::strong_count(permits) > 1);
        }
        let fresh = || Arc::new(Semaphore::new(limits::STREAMS_TO_PEER_MAX));
        towards.entry(peer).or_insert_with(fresh).clone()
    }

    /// Hands a command to the swarm, waiting for one if it restarts. False if it ended meanwhile.
    pub(super) async fn command(&self, command: Command) -> bool {
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
