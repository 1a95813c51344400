//! Where peers are: what they say of themselves, and what Kademlia knows.
//!
//! Promises: a peer is believed only the address it was met at; Kademlia learns addresses only from here, a few of each
//! peer, and few strangers of one subnet; a walk is made only for a peer somebody waits for. Does not: dial.

use haulout_protocol::machine::places::subnet_of;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, identify, kad};
use tracing::debug;

use super::Driver;
use crate::limits;
use crate::network::address;
use crate::network::identity::from_libp2p;
use crate::network::peers::Sign;

impl Driver {
    /// Somebody waits for a peer whose addresses do not answer: look for it, once in a while.
    pub(super) fn on_dial_failed(&mut self, peer: PeerId, reason: &str) {
        if self.walks.values().any(|sought| *sought == peer) {
            return; // the walk's end decides
        }
        let (may_walk, is_refused) = from_libp2p(&peer).map_or((false, false), |peer| {
            let mut book = self.shared.book();
            (book.may_walk(peer), book.sign(&peer) == Some(Sign::Refuses))
        });
        let behaviour = self.swarm.behaviour_mut();
        if may_walk {
            debug!(%peer, reason, "peer cannot be dialled; walking through kademlia");
            self.walks.insert(behaviour.kad.inner.get_closest_peers(peer), peer);
        }
        if is_refused || !may_walk {
            // Whoever is refused where the ledger says that it is has moved at best; a walk serves those who ask again.
            behaviour.streams.give_up(peer, reason);
        }
    }

    pub(super) fn on_walked(&mut self, id: kad::QueryId, found: kad::GetClosestPeersResult) {
        let Some(sought) = self.walks.remove(&id) else { return };
        let peers = match found {
            Ok(found) => found.peers,
            Err(kad::GetClosestPeersError::Timeout { peers, .. }) => peers,
        };
        let mut found_new = false;
        if let Some(peer) = from_libp2p(&sought) {
            let mut book = self.shared.book();
            let answers = peers.into_iter().filter(|info| info.peer_id == sought);
            for address in answers.flat_map(|info| info.addrs).take(limits::ADDRESSES_HEARD_MAX) {
                found_new |= book.hear_address(peer, address::without_peer(address));
            }
        }
        let streams = &mut self.swarm.behaviour_mut().streams;
        if found_new {
            streams.dial(sought);
        } else {
            streams.give_up(sought, "no address answers, and kademlia knows no other");
        }
    }

    /// A peer said who it is and where it listens.
    pub(super) fn on_identified(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        info: identify::Info,
    ) {
        let Some(named) = from_libp2p(&peer) else { return };
        let met_at = self.strangers.ip_of(&connection);
        let is_own = |address: &Multiaddr| met_at.is_some_and(|ip| address::is_own(address, ip));
        let serves = info.protocols.contains(&self.kad_protocol);
        let own = info.listen_addrs.into_iter().filter(is_own).map(address::without_peer);
        let own: Vec<Multiaddr> = own.take(limits::ADDRESSES_HEARD_MAX).collect();
        let mut addresses = {
            let mut book = self.shared.book();
            for address in &own {
                book.hear_address(named, address.clone());
            }
            book.stated(&named).to_vec()
        };
        addresses.extend(own);
        if serves {
            self.teach_kademlia(peer, addresses);
        }
    }

    /// Puts a peer into the routing table with these addresses and no others.
    fn teach_kademlia(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        if addresses.is_empty() || !self.has_room_in_table(&peer, &addresses) {
            return;
        }
        let kad = &mut self.swarm.behaviour_mut().kad.inner;
        for address in &addresses {
            kad.add_address(&peer, address.clone());
        }
        let kept = kad.kbucket(peer).and_then(|bucket| {
            let entry = bucket.iter().find(|entry| *entry.node.key.preimage() == peer);
            entry.map(|entry| entry.node.value.iter().cloned().collect::<Vec<_>>())
        });
        for address in kept.unwrap_or_default() {
            if !addresses.contains(&address::without_peer(address.clone())) {
                kad.remove_address(&peer, &address);
            }
        }
    }

    /// Members always fit; strangers only as long as few of their subnet are there.
    fn has_room_in_table(&mut self, peer: &PeerId, addresses: &[Multiaddr]) -> bool {
        if self.is_trusted(peer) {
            return true;
        }
        let subnets: Vec<_> = addresses.iter().filter_map(address::ip_of).map(subnet_of).collect();
        let mut neighbours = 0;
        for bucket in self.swarm.behaviour_mut().kad.inner.kbuckets() {
            for entry in bucket.iter() {
                if entry.node.key.preimage() == peer {
                    return true; // it is there already
                }
                let ips = entry.node.value.iter().filter_map(address::ip_of);
                neighbours += usize::from(ips.map(subnet_of).any(|ip| subnets.contains(&ip)));
            }
        }
        neighbours < limits::KAD_STRANGERS_OF_SUBNET_MAX
    }
}
