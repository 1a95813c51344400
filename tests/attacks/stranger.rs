//! A peer nobody knows: a libp2p swarm with an identity of its own, which dials whomever it is told to.
//!
//! Strangers come from addresses that honest clients do not share, and where slowness is judged, they have a machine of
//! their own in so far as they only get the time that nodes and honest clients leave. Where they come from is set by `HAULOUT_ATTACK_ORIGIN`: `one` address,
//! 64 of one `subnet`, 64 different `subnets`, or the honest clients' own (`neighbour`).

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use haulout_tests::eventually;
use libp2p::futures::StreamExt;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identity, kad, noise, tcp, yamux,
};

use tokio::runtime::{self, Runtime};
use tokio::task::AbortHandle;

use crate::siege::{self, Target};

/// Between two dials of one stranger to one node: it shares this machine with those it attacks.
pub(crate) const BREATH: Duration = Duration::from_millis(100);

/// Addresses that strangers come from, if from several.
const ORIGINS: usize = 64;

/// Where strangers come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// The address of the honest clients.
    Neighbour,
    /// One address of another subnet.
    One,
    /// Several of one subnet.
    Subnet,
    /// One each of several subnets.
    Subnets,
}

impl Origin {
    /// What `HAULOUT_ATTACK_ORIGIN` says.
    pub(crate) fn wanted() -> Origin {
        match std::env::var("HAULOUT_ATTACK_ORIGIN").as_deref() {
            Ok("neighbour") => Origin::Neighbour,
            Ok("one") | Err(_) => Origin::One,
            Ok("subnet") => Origin::Subnet,
            Ok("subnets") => Origin::Subnets,
            Ok(other) => panic!("HAULOUT_ATTACK_ORIGIN={other}: one, subnet, subnets or neighbour"),
        }
    }

    /// The address of the stranger with this number.
    pub(crate) fn of(self, stranger: usize) -> Ipv4Addr {
        let place = u8::try_from(stranger % ORIGINS).unwrap();
        match self {
            Origin::Neighbour => Ipv4Addr::LOCALHOST,
            Origin::One => Ipv4Addr::new(127, 9, 0, 1),
            Origin::Subnet => Ipv4Addr::new(127, 9, 0, 1 + place),
            Origin::Subnets => Ipv4Addr::new(127, 9, place, 1),
        }
    }
}

/// The threads of the strangers. Where slowness is judged, they run when nobody else wants to: elsewhere, who else is busy
/// might never let them begin.
pub(crate) fn strangers() -> &'static Runtime {
    static STRANGERS: LazyLock<Runtime> = LazyLock::new(|| {
        let strangers = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_start(|| {
                if siege::is_strict() {
                    rustix::process::setpriority_process(None, 19).unwrap();
                }
            })
            .build();
        strangers.expect("threads can be started")
    });
    &STRANGERS
}

/// The parts of the attack that goes on.
static PARTS: Mutex<Vec<AbortHandle>> = Mutex::new(Vec::new());

/// Runs a part of an attack beside the honest clients of this process.
pub(crate) fn attack(part: impl Future<Output = ()> + Send + 'static) {
    let part = strangers().spawn(part).abort_handle();
    PARTS.lock().unwrap().push(part);
}

/// Ends the attack that goes on; what it has open closes.
pub(crate) fn give_up() {
    for part in PARTS.lock().unwrap().drain(..) {
        part.abort();
    }
}

/// A swarm over QUIC and TCP that keeps what it has, and comes from this address.
pub(crate) fn swarm<Behaviour: NetworkBehaviour>(
    from: Ipv4Addr,
    behaviour: impl FnOnce(&identity::Keypair) -> Behaviour,
) -> Swarm<Behaviour> {
    let _threads = strangers().enter();
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_quic()
        .with_behaviour(|key| Ok(behaviour(key)))
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build();
    // QUIC dials from where it listens.
    swarm.listen_on(format!("/ip4/{from}/udp/0/quic-v1").parse().unwrap()).unwrap();
    swarm
}

/// Kademlia as the nodes of a network speak it, on the side that answers.
pub(crate) fn kademlia(
    network: &str,
    key: &identity::Keypair,
) -> kad::Behaviour<kad::store::MemoryStore> {
    let id = key.public().to_peer_id();
    let network = &network.trim_start_matches("0x")[..8];
    let name = StreamProtocol::try_from_owned(format!("/haulout/{network}/kad/1")).unwrap();
    let store = kad::store::MemoryStore::new(id);
    let mut kad = kad::Behaviour::with_config(id, store, kad::Config::new(name));
    kad.set_mode(Some(kad::Mode::Server));
    kad
}

/// How to dial a node; as often as wanted.
pub(crate) fn dial(target: &Target) -> DialOpts {
    DialOpts::peer_id(peer_of(target))
        .condition(PeerCondition::Always)
        .addresses(vec![address_of(target)])
        .build()
}

/// Where a node is, over QUIC.
pub(crate) fn address_of(target: &Target) -> Multiaddr {
    format!("/ip4/127.0.0.1/udp/{}/quic-v1", target.port).parse().unwrap()
}

/// A node's name.
pub(crate) fn peer_of(target: &Target) -> PeerId {
    target.peer_id.parse().unwrap()
}

/// Keeps `wanted` connections to each node and opens a new one for each that ends. Counts how often it was let in or
/// sent away, and does something more with each breath.
pub(crate) async fn besiege<Behaviour: NetworkBehaviour>(
    mut swarm: Swarm<Behaviour>,
    targets: Vec<Target>,
    wanted: usize,
    knocked: Arc<AtomicUsize>,
    mut on_breath: impl FnMut(&mut Swarm<Behaviour>),
) {
    for target in &targets {
        for _ in 0..wanted {
            let _ = swarm.dial(dial(target));
        }
    }
    let (mut again, mut breath) = (Vec::new(), tokio::time::interval(BREATH));
    loop {
        let event = tokio::select! {
            event = swarm.select_next_some() => event,
            _ = breath.tick() => {
                for target in again.drain(..) {
                    let _ = swarm.dial(dial(target));
                }
                on_breath(&mut swarm);
                continue;
            }
        };
        let lost = match event {
            SwarmEvent::ConnectionEstablished { .. } => {
                knocked.fetch_add(1, Ordering::Relaxed);
                None
            }
            SwarmEvent::ConnectionClosed { peer_id, .. } => Some(peer_id),
            SwarmEvent::OutgoingConnectionError { peer_id, .. } => {
                knocked.fetch_add(1, Ordering::Relaxed);
                peer_id
            }
            _ => None,
        };
        again.extend(targets.iter().filter(|target| lost == Some(peer_of(target))));
    }
}

/// Waits until an attack has reached its strength.
pub(crate) async fn until(fact: &str, is_true: impl Fn() -> bool) {
    eventually(fact, async || is_true()).await;
}
