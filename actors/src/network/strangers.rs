//! Connections others opened towards us, and who has to leave when strangers want more of them than there are.
//!
//! Promises: members of the committee, of the one before, and bootstrap peers need no place and are never asked to leave;
//! strangers share theirs by where they come from, and one that has no stream open leaves for a newcomer.
//! Does not: close connections, or know streams; its caller does.

use std::collections::HashMap;
use std::net::IpAddr;

use haulout_protocol::machine::places::{Entry, Places};
use libp2p::PeerId;
use libp2p::swarm::ConnectionId;

use crate::limits;

/// Where a connection goes to.
#[derive(Clone, Copy, Debug)]
struct Remote {
    peer: PeerId,
    /// Nothing if it was dialled by name.
    ip: Option<IpAddr>,
}

/// The connections of one swarm.
#[derive(Debug)]
pub(super) struct Strangers {
    places: Places<ConnectionId>,
    remotes: HashMap<ConnectionId, Remote>,
}

impl Strangers {
    pub(super) fn new() -> Self {
        Strangers { places: Places::new(limits::STRANGERS_ROOM), remotes: HashMap::new() }
    }

    /// A connection opened, in whatever direction.
    pub(super) fn connected(&mut self, connection: ConnectionId, peer: PeerId, ip: Option<IpAddr>) {
        self.remotes.insert(connection, Remote { peer, ip });
    }

    /// A stranger opened it: gives it a place, and says which connection to close. `must_stay` are peers with open
    /// streams, and those that became members meanwhile.
    pub(super) fn admit(
        &mut self,
        connection: ConnectionId,
        must_stay: impl Fn(&PeerId) -> bool,
    ) -> Option<ConnectionId> {
        let remotes = &self.remotes;
        let Some(ip) = remotes.get(&connection).and_then(|remote| remote.ip) else {
            return Some(connection); // whoever comes has an address
        };
        let stays =
            |other: &ConnectionId| remotes.get(other).is_some_and(|remote| must_stay(&remote.peer));
        match self.places.enter(connection, ip, stays) {
            Entry::Free => None,
            Entry::InsteadOf(leaving) => Some(leaving),
            Entry::Refused => Some(connection),
        }
    }

    /// A connection closed.
    pub(super) fn closed(&mut self, connection: &ConnectionId) {
        self.remotes.remove(connection);
        self.places.leave(connection);
    }

    /// Notes which peers are useful at this moment.
    pub(super) fn note_useful(&mut self, is_busy: impl Fn(&PeerId) -> bool) {
        for (connection, remote) in &self.remotes {
            if is_busy(&remote.peer) {
                self.places.used(connection);
            }
        }
    }

    /// The address a connection goes to.
    pub(super) fn ip_of(&self, connection: &ConnectionId) -> Option<IpAddr> {
        self.remotes.get(connection).and_then(|remote| remote.ip)
    }
}
