//! Floods of what costs its sender nothing: packets, announcements, questions to the ledger.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libp2p::swarm::NetworkBehaviour;
use libp2p::{gossipsub, identify};
use sui_rpc::proto::sui::rpc::v2::SubscribeCheckpointsRequest;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::siege::{Siege, Target, scale};
use crate::stranger::{BREATH, Origin, attack, besiege, swarm, until};

/// Strangers of each flood.
const STRANGERS: usize = 10;
/// What a stranger sends to each node with each breath.
const IN_A_BREATH: usize = 100;
/// How long a stranger keeps its name: who says nonsense is not listened to for long.
const IDENTITY_LASTS: Duration = Duration::from_secs(1);
/// Subscriptions of one client of the ledger that nobody reads.
const SUBSCRIPTIONS: usize = 50;

/// Packets that look like the first of a QUIC connection, and are noise.
pub(crate) async fn noise() {
    let mut siege = Siege::start();
    let calm = siege.calm().await;
    let (memory, sent) = (siege.memory(), Arc::new(AtomicUsize::new(0)));
    let strangers = STRANGERS * scale();
    for number in 0..strangers {
        let from = Origin::wanted().of(number);
        attack(send_noise(from, siege.targets.clone(), sent.clone()));
    }
    let enough = strangers * IN_A_BREATH * siege.targets.len();
    until("noise is everywhere", || sent.load(Ordering::Relaxed) >= enough).await;
    let under = siege.endure().await;
    siege.judge("noise", &calm, &under, &memory).await;
}

async fn send_noise(from: Ipv4Addr, targets: Vec<Target>, sent: Arc<AtomicUsize>) {
    let socket = UdpSocket::bind((from, 0)).await.unwrap();
    let mut packet = vec![0x5a; 1200];
    // A long header of QUIC 1 with connection ids of eight bytes, of which each packet has another one.
    packet[..6].copy_from_slice(&[0xc0, 0, 0, 0, 1, 8]);
    for number in 0_u64.. {
        packet[6..14].copy_from_slice(&number.to_le_bytes());
        packet[14] = 8;
        for target in &targets {
            let to = SocketAddr::from((Ipv4Addr::LOCALHOST, target.port));
            let _ = socket.send_to(&packet, to).await; // a full buffer is fine
            sent.fetch_add(1, Ordering::Relaxed);
        }
        if number % 100 == 0 {
            tokio::time::sleep(BREATH / 10).await;
        }
    }
}

#[derive(NetworkBehaviour)]
struct Crier {
    gossip: gossipsub::Behaviour,
    identify: identify::Behaviour,
}

/// Announcements of certificates that are none, signed by ever new names.
pub(crate) async fn announcements() {
    let mut siege = Siege::start();
    let calm = siege.calm().await;
    let (memory, knocked) = (siege.memory(), Arc::new(AtomicUsize::new(0)));
    let strangers = STRANGERS * scale();
    for number in 0..strangers {
        let (network, targets) = (siege.network.clone(), siege.targets.clone());
        let knocked = knocked.clone();
        attack(async move {
            loop {
                let crying = cry(number, &network, targets.clone(), knocked.clone());
                let _ = timeout(IDENTITY_LASTS, crying).await;
            }
        });
    }
    let enough = strangers * siege.targets.len() * 9 / 10;
    until("every stranger cries", || knocked.load(Ordering::Relaxed) >= enough).await;
    let under = siege.endure().await;
    siege.judge("announcements", &calm, &under, &memory).await;
}

async fn cry(number: usize, network: &str, targets: Vec<Target>, knocked: Arc<AtomicUsize>) {
    let network = &network.trim_start_matches("0x")[..8];
    let topic = gossipsub::IdentTopic::new(format!("/haulout/{network}/gossip/blob/1"));
    let mut crier = swarm(Origin::wanted().of(number), |key| Crier {
        gossip: gossipsub::Behaviour::new(
            gossipsub::MessageAuthenticity::Signed(key.clone()),
            gossipsub::Config::default(),
        )
        .unwrap(),
        identify: identify::Behaviour::new(identify::Config::new(
            "/haulout/1".into(),
            key.public(),
        )),
    });
    crier.behaviour_mut().gossip.subscribe(&topic).unwrap();
    let mut said = number << 32;
    let say = |crier: &mut libp2p::Swarm<Crier>| {
        for _ in 0..IN_A_BREATH {
            said += 1;
            let nonsense = said.to_le_bytes().repeat(32);
            let _ = crier.behaviour_mut().gossip.publish(topic.clone(), nonsense);
        }
    };
    besiege(crier, targets, 1, knocked, say).await;
}

/// Subscriptions to the ledger that nobody reads.
pub(crate) async fn subscriptions() {
    let mut siege = Siege::start();
    let calm = siege.calm().await;
    let (memory, open) = (siege.memory(), Arc::new(AtomicUsize::new(0)));
    let strangers = STRANGERS * scale();
    for _ in 0..strangers {
        for _ in 0..SUBSCRIPTIONS {
            attack(subscribe(siege.ledger.clone(), open.clone()));
        }
    }
    let enough = strangers * SUBSCRIPTIONS * 9 / 10;
    until("the subscriptions are there", || open.load(Ordering::Relaxed) >= enough).await;
    let under = siege.endure().await;
    siege.judge("subscriptions", &calm, &under, &memory).await;
}

async fn subscribe(ledger: String, open: Arc<AtomicUsize>) {
    loop {
        let mut client = sui_rpc::Client::new(&ledger).unwrap();
        let request = SubscribeCheckpointsRequest::default();
        if let Ok(_unread) = client.subscription_client().subscribe_checkpoints(request).await {
            open.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(BREATH).await;
    }
}
