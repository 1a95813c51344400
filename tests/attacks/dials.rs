//! Strangers that name somebody else's address as theirs, or as that of peers they know.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libp2p::swarm::NetworkBehaviour;
use libp2p::{Multiaddr, PeerId, identify, kad};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::siege::{self, Siege, scale};
use crate::stranger::{Origin, attack, besiege, kademlia, swarm, until};

/// Whom the nodes shall flood: an address of this machine that is none of the attackers'.
const VICTIM: &str = "127.0.0.9";
/// Strangers, each with names of its own.
const STRANGERS: usize = 20;
/// Peers each of them says are at the victim's.
const INVENTED: usize = 60;
/// How long a stranger keeps its name.
const IDENTITY_LASTS: Duration = Duration::from_secs(1);
/// Packets one node may send there in a few seconds: its budget for an address that does not answer is eight dials, and
/// one has up to eight packets.
const PACKETS_PER_NODE_MAX: usize = 64;

#[derive(NetworkBehaviour)]
struct Liar {
    kad: kad::Behaviour<kad::store::MemoryStore>,
    identify: identify::Behaviour,
}

pub(crate) async fn named_victims() {
    let mut siege = Siege::start();
    let calm = siege.calm().await;
    let memory = siege.memory();
    let victim = UdpSocket::bind((VICTIM, 0)).await.unwrap();
    let address: Multiaddr =
        format!("/ip4/{VICTIM}/udp/{}/quic-v1", victim.local_addr().unwrap().port())
            .parse()
            .unwrap();
    let (packets, knocked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let nodes = siege.targets.iter().map(|target| target.port).collect();
    attack(count(victim, nodes, packets.clone()));
    let strangers = STRANGERS * scale();
    for number in 0..strangers {
        let from = Origin::wanted().of(number);
        let (network, address) = (siege.network.clone(), address.clone());
        let (targets, knocked) = (siege.targets.clone(), knocked.clone());
        attack(async move {
            loop {
                let lies = besiege(
                    liar(from, &network, &address),
                    targets.clone(),
                    1,
                    knocked.clone(),
                    |_| (),
                );
                let _ = timeout(IDENTITY_LASTS, lies).await;
            }
        });
    }
    let enough = strangers * siege.targets.len() * 9 / 10;
    until("every stranger has told its lies", || knocked.load(Ordering::Relaxed) >= enough).await;
    let under = siege.endure().await;
    siege.judge("named victims", &calm, &under, &memory).await;
    let packets = packets.load(Ordering::Relaxed);
    // Those who attack for longer get what refills: one dial each ten seconds.
    let dials_later = usize::try_from(siege::duration().as_secs() / 10).unwrap();
    let most = (PACKETS_PER_NODE_MAX + 8 * dials_later) * siege.targets.len();
    eprintln!("named victims: {packets} packets went to the victim, {most} may");
    assert!(packets <= most, "{packets} packets went to a victim that strangers named");
}

/// A stranger that listens, answers Kademlia, and says that it and everybody it knows is at the victim's.
fn liar(from: Ipv4Addr, network: &str, victim: &Multiaddr) -> libp2p::Swarm<Liar> {
    let mut liar = swarm(from, |key| Liar {
        kad: kademlia(network, key),
        identify: identify::Behaviour::new(
            identify::Config::new("/haulout/1".into(), key.public())
                .with_interval(Duration::from_secs(1)),
        ),
    });
    liar.add_external_address(victim.clone());
    for _ in 0..INVENTED {
        liar.behaviour_mut().kad.add_address(&PeerId::random(), victim.clone());
    }
    liar
}

/// Counts what comes from the nodes; the strangers believe their own lies and dial the victim, too.
async fn count(victim: UdpSocket, nodes: Vec<u16>, packets: Arc<AtomicUsize>) {
    let mut packet = [0; 2048];
    while let Ok((_, from)) = victim.recv_from(&mut packet).await {
        if nodes.contains(&from.port()) {
            packets.fetch_add(1, Ordering::Relaxed);
        }
    }
}
