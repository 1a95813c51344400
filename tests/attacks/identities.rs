//! Many identities, each with as many connections to each node as one peer may have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use haulout_protocol::machine::conditions::Name;
use libp2p::swarm::dummy;

use crate::siege::{Siege, scale};
use crate::stranger::{Origin, attack, besiege, swarm, until};

/// So many, with [`CONNECTIONS`] each, once took every connection a node accepts.
const IDENTITIES: usize = 150;
/// As many as one peer may have.
const CONNECTIONS: usize = 4;

pub(crate) async fn many_identities() {
    let origin = Origin::wanted();
    let mut siege = Siege::start();
    let calm = siege.calm().await;
    let (memory, knocked) = (siege.memory(), Arc::new(AtomicUsize::new(0)));
    let identities = IDENTITIES * scale();
    for number in 0..identities {
        let swarm = swarm(origin.of(number), |_| dummy::Behaviour);
        let targets = siege.targets.clone();
        attack(besiege(swarm, targets, CONNECTIONS, knocked.clone(), |_| ()));
    }
    let enough = identities * CONNECTIONS * siege.targets.len() * 9 / 10;
    until("every identity has knocked", || knocked.load(Ordering::Relaxed) >= enough).await;
    let under = siege.endure().await;
    siege.names(Name::StrangersRefused).await;
    siege.judge("many identities", &calm, &under, &memory).await;
}
