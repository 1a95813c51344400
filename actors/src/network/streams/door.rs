//! The accept queues: where inbound streams are admitted.
//!
//! Promises: a stream is admitted only with a spot in its protocol's queue, one of the peer's
//! permits and a place among the protocol's guests, for which somebody slower may have to go; who
//! accepts is not disturbed by a restart of the swarm.
//! Does not: touch a stream, or know which peers are connected.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use haulout_protocol::crypto;
use haulout_protocol::machine::conditions::Entrance;
use haulout_protocol::machine::guests::{Class, Guest};
use libp2p::StreamProtocol;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::limits;
use crate::network::frames::Stream;
use crate::network::lock::lock;
use crate::network::names::Protocol;
use crate::network::place::{Place, Room};
use crate::network::refusals::Refusals;

/// A stream that was accepted, on its way to whoever serves its protocol.
pub(in crate::network) type Arrival = (crypto::PeerId, Stream);

/// Where inbound streams are admitted. Outlives the swarm, so that a restart of the network actor
/// does not disturb those who accept.
#[derive(Debug)]
pub(in crate::network) struct Door {
    desks: Vec<Desk>,
    refusals: Arc<Refusals>,
    /// Who serves in the committee.
    members: Mutex<BTreeSet<crypto::PeerId>>,
}

#[derive(Debug)]
struct Desk {
    name: Named,
    /// Nothing until somebody accepts this protocol; then it stays on offer, busy between acceptors.
    queue: Mutex<Option<mpsc::Sender<Arrival>>>,
    room: Arc<Room>,
}

/// A protocol with the name it has on the wire.
#[derive(Clone, Debug)]
pub(in crate::network) struct Named {
    pub(super) protocol: Protocol,
    pub(super) wire: StreamProtocol,
}

impl AsRef<str> for Named {
    fn as_ref(&self) -> &str {
        self.wire.as_ref()
    }
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Option<mpsc::Sender<Arrival>>> {
        lock(&self.queue)
    }
}

impl Door {
    /// A door with a desk per protocol, nobody behind any; who is turned away is counted there.
    pub(in crate::network) fn new(
        name: impl Fn(Protocol) -> StreamProtocol,
        refusals: Arc<Refusals>,
    ) -> Self {
        let desk = |protocol| Desk {
            name: Named { protocol, wire: name(protocol) },
            queue: Mutex::new(None),
            room: Room::new(match protocol {
                Protocol::Sliver => limits::SLIVER_PLACES,
                Protocol::Blob => limits::BLOB_PLACES,
                Protocol::Symbol => limits::SYMBOL_PLACES,
                Protocol::Shard => limits::SHARD_PLACES,
                Protocol::Verdict => limits::VERDICT_PLACES,
                Protocol::Reach => limits::REACH_PLACES,
            }),
        };
        let members = Mutex::default();
        Door { desks: Protocol::ALL.into_iter().map(desk).collect(), refusals, members }
    }

    /// From now on these have places of their own: they serve in the committee, or we start from them.
    pub(in crate::network) fn set_members(&self, members: BTreeSet<crypto::PeerId>) {
        *lock(&self.members) = members;
    }

    /// What a protocol is called here.
    pub(super) fn name(&self, protocol: Protocol) -> Named {
        self.desk(protocol).name.clone()
    }

    fn desk(&self, protocol: Protocol) -> &Desk {
        let desk = self.desks.iter().find(|desk| desk.name.protocol == protocol);
        desk.expect("a door has a desk for every protocol")
    }

    /// Sits down at a desk; whoever sat there gets nothing more.
    pub(in crate::network) fn accept(&self, protocol: Protocol) -> mpsc::Receiver<Arrival> {
        let (sender, receiver) = mpsc::channel(limits::ACCEPT_QUEUE_LEN);
        *self.desk(protocol).queue() = Some(sender);
        receiver
    }

    /// The protocols somebody has accepted.
    pub(super) fn offered(&self) -> Vec<Named> {
        let served = |desk: &&Desk| desk.queue().is_some();
        self.desks.iter().filter(served).map(|desk| desk.name.clone()).collect()
    }

    /// Takes all that a stream needs, or nothing.
    pub(super) fn admit(&self, protocol: Protocol, visitor: &Visitor) -> Option<Admitted> {
        let desk = self.desk(protocol);
        let queue = desk.queue().clone()?; // else nobody serves it just now
        let permit = visitor.permits.clone().try_acquire_owned().ok()?; // else it has enough
        let Visitor { peer, address, .. } = *visitor;
        let class = match lock(&self.members).contains(&peer) {
            true => Class::Member,
            false => Class::Stranger,
        };
        let admitted = queue.try_reserve_owned().ok().and_then(|spot| {
            let place = desk.room.enter(Guest { peer, address, class })?;
            Some(Admitted { spot, permit, place })
        });
        if admitted.is_none() {
            self.refusals.note(Entrance::Stream, class);
        }
        admitted
    }
}

/// Who opens streams on a connection.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) peer: crypto::PeerId,
    /// Where the connection comes from, or goes to.
    pub(super) address: Option<IpAddr>,
    /// The peer's streams, whichever connection they are on.
    pub(super) permits: Arc<Semaphore>,
}

/// Room for one stream.
pub(super) struct Admitted {
    pub(super) spot: mpsc::OwnedPermit<Arrival>,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) place: Place,
}
