//! Strangers that ask Kademlia's questions as fast as they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libp2p::PeerId;

use crate::siege::{Siege, scale};
use crate::stranger::{Origin, address_of, attack, besiege, kademlia, peer_of, swarm, until};

/// Strangers that ask.
const STRANGERS: usize = 10;
/// Questions each has open at a time.
const WALKS: usize = 64;

pub(crate) async fn floods_of_questions() {
    let mut siege = Siege::start();
    let calm = siege.calm().await;
    let (memory, knocked) = (siege.memory(), Arc::new(AtomicUsize::new(0)));
    let strangers = STRANGERS * scale();
    for number in 0..strangers {
        let mut asker = swarm(Origin::wanted().of(number), |key| kademlia(&siege.network, key));
        for target in &siege.targets {
            asker.behaviour_mut().add_address(&peer_of(target), address_of(target));
        }
        let ask = |asker: &mut libp2p::Swarm<_>| {
            let kad: &mut libp2p::kad::Behaviour<libp2p::kad::store::MemoryStore> =
                asker.behaviour_mut();
            for _ in kad.iter_queries().count()..WALKS {
                kad.get_closest_peers(PeerId::random());
            }
        };
        attack(besiege(asker, siege.targets.clone(), 1, knocked.clone(), ask));
    }
    let enough = strangers * siege.targets.len() * 9 / 10;
    until("every stranger asks", || knocked.load(Ordering::Relaxed) >= enough).await;
    let under = siege.endure().await;
    siege.judge("floods of questions", &calm, &under, &memory).await;
}
