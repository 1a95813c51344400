//! What we know of other peers: addresses, connections, faults, bans, and how fast they answer.
//!
//! Promises: bounded (the quietest stranger makes room), strangers that are gone are forgotten, with their faults once these
//! are forgiven; a fault that can be proved is logged with the peer's name, enough of them ban the peer for a while. Does not: keep anything on disk, or
//! believe addresses: whoever answers must still prove its key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::Timestamp;
use haulout_protocol::machine::responsiveness::{Pace, Responsiveness, Sample};
use libp2p::Multiaddr;
use tokio::time::Instant;
use tracing::{info, warn};

use super::address;
use crate::limits;

pub use haulout_protocol::machine::Blame;

/// Points off for a fault; a peer starts at zero and is banned at [`BAN_SCORE`].
fn weight(blame: Blame) -> u32 {
    match blame {
        Blame::WrongBytes | Blame::WrongProof => 40,
        Blame::Malformed | Blame::TooLarge => 25,
        Blame::Slow => 5, // a bad line is no crime; a hundred streams that hang are
        Blame::Silent => 0, // counted, but never a reason to ban
    }
}

/// Each so many slow streams cost a peer its connection, and with it all its other streams.
const SLOW_STREAMS_PER_CONNECTION: u32 = 4;

/// What a fault costs a peer beside its good name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Penalty {
    None,
    /// Its connections are closed; it may come back.
    Disconnect,
    /// It stays out for a while.
    Ban,
}

/// So many points off ban a peer: three lies, or four malformed frames, in short order.
const BAN_SCORE: u32 = 100;
/// One point is forgiven each so often: a lie is forgotten after 20 minutes.
const FORGIVE_EACH: Duration = Duration::from_secs(30);

/// Who is there, as a value to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Peers with at least one open connection, sorted.
    pub connected: Vec<PeerId>,
    /// Peers we refuse to talk to for now, sorted.
    pub banned: Vec<PeerId>,
    /// How often each peer was blamed, and for what; peers without blame are left out.
    pub blamed: BTreeMap<PeerId, BTreeMap<Blame, u32>>,
}

impl Peers {
    /// Whether we have a connection to the peer.
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.connected.binary_search(peer).is_ok()
    }

    /// Whether we refuse to talk to the peer for now.
    pub fn is_banned(&self, peer: &PeerId) -> bool {
        self.banned.binary_search(peer).is_ok()
    }
}

/// What the machine of a peer said to a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It takes connections: somebody is there, though he may have no time to greet us.
    Lives,
    /// It refuses them: the peer does not run on it.
    Refuses,
}

/// What we know of one peer.
#[derive(Debug)]
struct Entry {
    /// From the committee or the operator; a peer cannot change them by talking.
    stated: Vec<Multiaddr>,
    /// From Kademlia and identify: hints, newest last.
    heard: Vec<Multiaddr>,
    connections: u32,
    points: u32,
    forgiven: Instant,
    blamed: BTreeMap<Blame, u32>,
    banned_until: Option<Instant>,
    walked: Option<Instant>,
    /// What its machine said to our last dial.
    sign: Option<Sign>,
    responsiveness: Responsiveness,
    seen: Instant,
}

impl Entry {
    /// Whether nothing binds us to the peer at this moment.
    fn is_idle(&self) -> bool {
        self.connections == 0 && self.stated.is_empty() && self.banned_until.is_none()
    }

    /// Points that are forgiven by now.
    fn forgiven_by(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.forgiven).as_secs();
        u32::try_from(since / FORGIVE_EACH.as_secs()).unwrap_or(u32::MAX)
    }

    /// Whether the peer has faults that are not forgiven yet.
    fn owes(&self, now: Instant) -> bool {
        self.points > self.forgiven_by(now)
    }
}

/// The book itself; one per node, kept across restarts of the network actor.
#[derive(Debug, Default)]
pub(super) struct PeerBook {
    entries: BTreeMap<PeerId, Entry>,
    /// Every address in some entry's `stated`, and in how many.
    stated: BTreeMap<Multiaddr, usize>,
    /// The committee, and whoever else must always get in.
    members: BTreeSet<PeerId>,
}

impl PeerBook {
    fn entry(&mut self, peer: PeerId) -> &mut Entry {
        if self.entries.len() >= limits::PEERS_KNOWN_MAX && !self.entries.contains_key(&peer) {
            self.make_room();
        }
        let now = Instant::now();
        let entry = self.entries.entry(peer).or_insert_with(|| Entry {
            stated: Vec::new(),
            heard: Vec::new(),
            connections: 0,
            points: 0,
            forgiven: now,
            blamed: BTreeMap::new(),
            banned_until: None,
            walked: None,
            sign: None,
            responsiveness: Responsiveness::default(),
            seen: now,
        });
        entry.seen = now;
        entry
    }

    /// Forgets the strangers that left and did nothing wrong, or were forgiven it.
    pub(super) fn forget_gone(&mut self, now: Instant) {
        let members = &self.members;
        self.entries.retain(|peer, entry| {
            let is_long_ago =
                now.saturating_duration_since(entry.seen) >= limits::STRANGERS_REMEMBERED;
            !is_long_ago || !entry.is_idle() || members.contains(peer) || entry.owes(now)
        });
    }

    fn make_room(&mut self) {
        let quietest = self.entries.iter().filter(|(_, entry)| entry.is_idle());
        let quietest = quietest.min_by_key(|(_, entry)| entry.seen).map(|(peer, _)| *peer);
        if let Some(peer) = quietest {
            self.entries.remove(&peer);
        }
    }

    /// Sets the addresses somebody we trust stated.
    pub(super) fn state_addresses(&mut self, peer: PeerId, mut addresses: Vec<Multiaddr>) {
        addresses.truncate(limits::ADDRESSES_PER_PEER_MAX);
        addresses = addresses.into_iter().map(address::without_peer).collect();
        for address in &addresses {
            *self.stated.entry(address.clone()).or_default() += 1;
        }
        for address in std::mem::replace(&mut self.entry(peer).stated, addresses) {
            if let Some(count) = self.stated.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    self.stated.remove(&address);
                }
            }
        }
    }

    /// Whether somebody we trust stated this address, of whomever.
    pub(super) fn is_stated(&self, address: &Multiaddr) -> bool {
        self.stated.contains_key(address)
    }

    /// Where somebody we trust says that the peer is.
    pub(super) fn stated(&self, peer: &PeerId) -> &[Multiaddr] {
        self.entries.get(peer).map_or(&[], |entry| &entry.stated)
    }

    /// Sets who must always get in.
    pub(super) fn set_members(&mut self, members: BTreeSet<PeerId>) {
        self.members = members;
    }

    /// Whether the peer must always get in.
    pub(super) fn is_member(&self, peer: &PeerId) -> bool {
        self.members.contains(peer)
    }

    /// Remembers an address we heard of; the oldest makes room. True if it is new.
    pub(super) fn hear_address(&mut self, peer: PeerId, address: Multiaddr) -> bool {
        let entry = self.entry(peer);
        if entry.stated.contains(&address) || entry.heard.contains(&address) {
            return false;
        }
        if entry.heard.len() >= limits::ADDRESSES_HEARD_MAX {
            entry.heard.remove(0);
        }
        entry.heard.push(address);
        true
    }

    /// Where the peer may be: what was stated first, then what was heard last.
    pub(super) fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        let Some(entry) = self.entries.get(peer) else { return Vec::new() };
        entry.stated.iter().chain(entry.heard.iter().rev()).cloned().collect()
    }

    /// A connection opened.
    pub(super) fn connected(&mut self, peer: PeerId) {
        let entry = self.entry(peer);
        entry.connections = entry.connections.saturating_add(1);
        entry.sign = Some(Sign::Lives);
    }

    /// A dial begins, or met somebody else: nothing is known of the peer's machine.
    pub(super) fn forget_sign(&mut self, peer: &PeerId) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.sign = None;
        }
    }

    /// The peer's machine says something to a dial; that it refuses one address counts less than that it takes another.
    pub(super) fn note_sign(&mut self, peer: &PeerId, sign: Sign) {
        if let Some(entry) = self.entries.get_mut(peer)
            && entry.sign != Some(Sign::Lives)
        {
            entry.sign = Some(sign);
        }
    }

    /// What the peer's machine said to the last dial; nothing if it was silent.
    pub(super) fn sign(&self, peer: &PeerId) -> Option<Sign> {
        self.entries.get(peer).and_then(|entry| entry.sign)
    }

    /// A connection closed.
    pub(super) fn disconnected(&mut self, peer: PeerId) {
        let entry = self.entry(peer);
        entry.connections = entry.connections.saturating_sub(1);
    }

    /// A new swarm has no connections.
    pub(super) fn forget_connections(&mut self) {
        for entry in self.entries.values_mut() {
            entry.connections = 0;
        }
    }

    /// Whether a walk through Kademlia for this peer is worth it; notes that it happens.
    pub(super) fn may_walk(&mut self, peer: PeerId) -> bool {
        let entry = self.entry(peer);
        let recently = |walked: Instant| walked.elapsed() < limits::KAD_QUERY_TIMEOUT;
        let may = !entry.walked.is_some_and(recently);
        if may {
            entry.walked = Some(Instant::now());
        }
        may
    }

    /// Writes down a fault, and says what it costs the peer.
    pub(super) fn blame(&mut self, peer: PeerId, blame: Blame, now: Instant) -> Penalty {
        let entry = self.entry(peer);
        let count = entry.blamed.entry(blame).or_insert(0);
        *count = count.saturating_add(1);
        let count = *count;
        if let points @ 1.. = entry.forgiven_by(now) {
            entry.points = entry.points.saturating_sub(points);
            entry.forgiven = now;
        }
        if weight(blame) == 0 {
            info!(%peer, reason = %blame, count, "peer blamed");
            return Penalty::None;
        }
        entry.points = entry.points.saturating_add(weight(blame));
        warn!(%peer, reason = %blame, count, points = entry.points, "peer blamed");
        if entry.banned_until.is_some() {
            return Penalty::None;
        }
        if entry.points < BAN_SCORE {
            let is_repeated =
                blame == Blame::Slow && count.is_multiple_of(SLOW_STREAMS_PER_CONNECTION);
            return if is_repeated { Penalty::Disconnect } else { Penalty::None };
        }
        entry.banned_until = Some(now + limits::BAN_DURATION);
        warn!(%peer, reason = %blame, seconds = limits::BAN_DURATION.as_secs(), "peer banned");
        Penalty::Ban
    }

    /// The peer answered a question of ours, and was heard last at this moment.
    pub(super) fn answered(&mut self, peer: PeerId, heard_at: Timestamp, sample: Sample) {
        self.entry(peer).responsiveness.answered(heard_at, sample);
    }

    /// The peer owes us an answer for too long.
    pub(super) fn fell_silent(&mut self, peer: PeerId, now: Timestamp) {
        self.entry(peer).responsiveness.fell_silent(now);
    }

    /// What to expect of the peer if we ask it for so many bytes.
    pub(super) fn pace(&self, peer: &PeerId, now: Timestamp, bytes: u64) -> Pace {
        match self.entries.get(peer) {
            Some(entry) if entry.banned_until.is_some() => Pace::Banned,
            Some(entry) => entry.responsiveness.pace(now, bytes),
            None => Pace::Untried,
        }
    }

    /// Whether we refuse to talk to the peer.
    pub(super) fn is_banned(&self, peer: &PeerId) -> bool {
        self.entries.get(peer).is_some_and(|entry| entry.banned_until.is_some())
    }

    /// Everybody banned now.
    pub(super) fn banned(&self) -> Vec<PeerId> {
        self.peers_that(|entry| entry.banned_until.is_some())
    }

    /// The peers of which something holds, sorted.
    fn peers_that(&self, holds: impl Fn(&Entry) -> bool) -> Vec<PeerId> {
        self.entries.iter().filter(|(_, entry)| holds(entry)).map(|(peer, _)| *peer).collect()
    }

    /// Ends the bans that are over; a peer starts afresh.
    pub(super) fn end_bans(&mut self, now: Instant) -> Vec<PeerId> {
        let mut ended = Vec::new();
        for (peer, entry) in &mut self.entries {
            if entry.banned_until.is_some_and(|until| until <= now) {
                entry.banned_until = None;
                entry.points = 0;
                ended.push(*peer);
            }
        }
        ended
    }

    /// The book as others may see it.
    pub(super) fn peers(&self) -> Peers {
        let blamed = self.entries.iter().filter(|(_, entry)| !entry.blamed.is_empty());
        Peers {
            connected: self.peers_that(|entry| entry.connections > 0),
            banned: self.banned(),
            blamed: blamed.map(|(peer, entry)| (*peer, entry.blamed.clone())).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
