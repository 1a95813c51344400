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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    /// As many connections as one address may have, all of one peer.
    fn crowd(peer: PeerId) -> Strangers {
        let mut strangers = Strangers::new();
        for number in 0..limits::STRANGERS_ROOM.of_address {
            let connection = ConnectionId::new_unchecked(number);
            strangers.connected(connection, peer, Some(ATTACKER));
            assert_eq!(strangers.admit(connection, |_| false), None);
        }
        strangers
    }

    #[test]
    fn a_neighbour_of_an_attacker_takes_its_oldest_idle_connection() {
        let attacker = PeerId::random();
        let mut strangers = crowd(attacker);
        let newcomer = ConnectionId::new_unchecked(1_000);
        strangers.connected(newcomer, PeerId::random(), Some(ATTACKER));
        let leaving = strangers.admit(newcomer, |_| false);
        assert_eq!(leaving, Some(ConnectionId::new_unchecked(0)));
        assert_eq!(strangers.ip_of(&newcomer), Some(ATTACKER));
    }

    #[test]
    fn peers_with_open_streams_and_members_stay_and_the_newcomer_is_sent_away() {
        let staying = PeerId::random();
        let mut strangers = crowd(staying);
        let newcomer = ConnectionId::new_unchecked(1_000);
        strangers.connected(newcomer, PeerId::random(), Some(ATTACKER));
        assert_eq!(strangers.admit(newcomer, |peer| *peer == staying), Some(newcomer));
        strangers.closed(&ConnectionId::new_unchecked(7));
        assert_eq!(strangers.admit(newcomer, |peer| *peer == staying), None);
    }

    #[test]
    fn whoever_was_useful_lately_is_not_the_first_to_leave() {
        let useful = PeerId::random();
        let mut strangers = crowd(PeerId::random());
        let first = ConnectionId::new_unchecked(0);
        strangers.connected(first, useful, Some(ATTACKER));
        strangers.note_useful(|peer| *peer == useful);
        let newcomer = ConnectionId::new_unchecked(1_000);
        strangers.connected(newcomer, PeerId::random(), Some(ATTACKER));
        assert_eq!(strangers.admit(newcomer, |_| false), Some(ConnectionId::new_unchecked(1)));
    }
}
