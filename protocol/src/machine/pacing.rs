//! How fast strangers may read while others want to be served, too.
//!
//! Who reads alone reads as fast as it can. In company, each host has a rate and something in advance, whatever its peers
//! call themselves; and because many people may sit behind one address, each peer has a little of its own.
//! Promises: whoever is within its host's rate or its own never waits; what was read before company came costs no more than
//! the advance; memory is bounded. Does not: read a clock, or hold up members and writers who paid.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Timestamp;
use super::guests::{Class, Guest};
use crate::crypto::PeerId;

/// So much at once, and then no faster than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes that may be read in advance.
    pub advance: u64,
    /// Bytes per second.
    pub bytes_per_second: u64,
}

impl Rate {
    /// How long so many bytes take, in microseconds.
    fn takes_us(&self, bytes: u64) -> u64 {
        let time = u128::from(bytes) * 1_000_000 / u128::from(self.bytes_per_second.max(1));
        u64::try_from(time).unwrap_or(u64::MAX)
    }

    /// Until when the rate is used up once these bytes are read, too.
    pub(super) fn after(&self, until_us: u64, bytes: u64) -> u64 {
        until_us.saturating_add(self.takes_us(bytes))
    }

    /// Until when it may be used up: all of the advance.
    fn ahead(&self, now_us: u64) -> u64 {
        self.after(now_us, self.advance)
    }

    /// By how much somebody is beyond its advance, in microseconds.
    fn excess_us(&self, until_us: u64, now_us: u64) -> u64 {
        until_us.saturating_sub(self.ahead(now_us))
    }
}

/// What strangers may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All peers of one host together.
    pub host: Rate,
    /// Each peer, also beyond what its host may.
    pub peer: Rate,
    /// How long others count as company after they asked for something, in milliseconds.
    pub company_ms: u64,
    /// How long a reader may have to wait for its turn, in milliseconds; who would wait longer is refused.
    pub wait_max_ms: u64,
    /// Hosts and peers remembered, of each; who read least is forgotten first.
    pub readers_max: usize,
}

/// When a reader is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now.
    Now,
    /// After so many milliseconds; what it asked for is counted already.
    After(u64),
    /// It has so many before it that it should come back later.
    Later,
}

/// Until when each has used up its rate, in microseconds.
#[derive(Clone, Debug)]
struct Accounts<Who> {
    until: BTreeMap<Who, u64>,
    known_max: usize,
}

impl<Who: Ord + Copy> Accounts<Who> {
    fn new(known_max: usize) -> Self {
        Accounts { until: BTreeMap::new(), known_max }
    }

    fn until(&self, who: &Who) -> u64 {
        self.until.get(who).copied().unwrap_or(0)
    }

    /// What somebody has used up, to be changed: never less than all time that has passed.
    fn account(&mut self, who: Who, now_us: u64) -> &mut u64 {
        if self.until.len() >= self.known_max && !self.until.contains_key(&who) {
            self.until.retain(|_, until| *until > now_us);
            if self.until.len() >= self.known_max {
                let least = self.until.iter().min_by_key(|(_, until)| **until);
                least.map(|(who, _)| *who).map(|who| self.until.remove(&who));
            }
        }
        debug_assert!(
            self.until.len() < self.known_max.max(1) || self.until.contains_key(&who),
            "who read least is forgotten first"
        );
        let until = self.until.entry(who).or_insert(now_us);
        *until = (*until).max(now_us);
        until
    }
}

/// Who reads, and how far ahead of its rate it is.
#[derive(Clone, Debug)]
pub struct Readers {
    limits: Limits,
    hosts: Accounts<Option<IpAddr>>,
    peers: Accounts<PeerId>,
    /// The host that asked for something last, and the one before that is another, with when they did.
    last: Option<(Option<IpAddr>, Timestamp)>,
    other: Option<Timestamp>,
}

impl Readers {
    /// Nobody reads.
    pub fn new(limits: Limits) -> Self {
        let hosts = Accounts::new(limits.readers_max);
        let peers = Accounts::new(limits.readers_max);
        Readers { limits, hosts, peers, last: None, other: None }
    }

    /// Somebody asks for something, of whatever kind: others are in company for a while.
    pub fn note(&mut self, guest: Guest, now: Timestamp) {
        let host = guest.host();
        if let Some((last, at)) = self.last
            && last != host
        {
            self.other = Some(at);
        }
        self.last = Some((host, now));
    }

    /// Somebody wants to read so many bytes.
    pub fn ask(&mut self, guest: Guest, bytes: u64, now: Timestamp) -> Turn {
        if guest.class != Class::Stranger {
            return Turn::Now;
        }
        let (limits, host) = (self.limits, guest.host());
        let now_us = now.0.saturating_mul(1_000);
        if !self.has_company(host, now) {
            let until = self.hosts.account(host, now_us);
            // Whatever it reads beyond its advance harms nobody, and is not held against it later.
            *until = limits.host.after(*until, bytes).min(limits.host.ahead(now_us)).max(*until);
            return Turn::Now;
        }
        let of_host = limits.host.excess_us(self.hosts.until(&host), now_us);
        let of_peer = limits.peer.excess_us(self.peers.until(&guest.peer), now_us);
        let wait_us = of_host.min(of_peer);
        if wait_us > limits.wait_max_ms.saturating_mul(1_000) {
            return Turn::Later;
        }
        if of_host <= of_peer {
            let until = self.hosts.account(host, now_us);
            *until = limits.host.after(*until, bytes);
        } else {
            let until = self.peers.account(guest.peer, now_us);
            *until = limits.peer.after(*until, bytes);
        }
        match wait_us {
            0 => Turn::Now,
            wait_us => Turn::After(wait_us.div_ceil(1_000)),
        }
    }

    /// Whether somebody of another host asked for something lately.
    fn has_company(&self, host: Option<IpAddr>, now: Timestamp) -> bool {
        let other = match self.last {
            Some((last, at)) if last != host => Some(at),
            _ => self.other,
        };
        other.is_some_and(|at| now.0.saturating_sub(at.0) < self.limits.company_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        host: Rate { advance: 1_000, bytes_per_second: 1_000 },
        peer: Rate { advance: 100, bytes_per_second: 10 },
        company_ms: 1_000,
        wait_max_ms: 5_000,
        readers_max: 4,
    };

    fn guest(peer: u8, host: u8, class: Class) -> Guest {
        let address = Some(IpAddr::from([10, 0, 0, host]));
        Guest { peer: PeerId::from_key([peer; 32]), address, class }
    }

    fn stranger(peer: u8, host: u8) -> Guest {
        guest(peer, host, Class::Stranger)
    }

    /// Bytes that peers of one host are promised within ten seconds, beside somebody who asks all the time.
    fn read_beside_another(readers: &mut Readers, peers: u8) -> u64 {
        let mut read = 0;
        for now in (0..10_000).step_by(10).map(Timestamp) {
            readers.note(stranger(200, 2), now);
            for peer in 0..peers {
                if readers.ask(stranger(peer, 1), 50, now) != Turn::Later {
                    read += 50;
                }
            }
        }
        read
    }

    #[test]
    fn who_reads_alone_never_waits_and_company_forgives_what_it_read_so_far() {
        let mut readers = Readers::new(LIMITS);
        readers.note(stranger(1, 1), Timestamp(0));
        for _ in 0..1_000 {
            assert_eq!(readers.ask(stranger(1, 1), 500, Timestamp(0)), Turn::Now);
        }
        readers.note(stranger(2, 2), Timestamp(0));
        let mut ask = |at| readers.ask(stranger(1, 1), 500, Timestamp(at));
        assert_eq!(ask(0), Turn::Now, "no more than the advance is used up");
        assert_eq!(ask(0), Turn::Now, "that is the peer's own");
        assert_eq!((ask(0), ask(0)), (Turn::After(500), Turn::After(1_000)));
        assert_eq!(ask(999), Turn::After(501));
        assert_eq!(ask(1_000), Turn::Now, "the other left");
    }

    #[test]
    fn beside_others_a_host_gets_its_rate_whatever_its_peers_call_themselves() {
        let one = read_beside_another(&mut Readers::new(LIMITS), 1);
        let three = read_beside_another(&mut Readers::new(LIMITS), 3);
        // Its advance, ten seconds, and the five that the last ones wait; and what peers have of their own.
        assert!((16_000..17_000).contains(&one), "{one}");
        assert!((16_000..17_500).contains(&three), "{three}");
    }

    #[test]
    fn a_modest_peer_of_a_greedy_host_reads_beyond_what_its_host_may() {
        let mut readers = Readers::new(LIMITS);
        readers.note(stranger(9, 2), Timestamp(0));
        while readers.ask(stranger(1, 1), 500, Timestamp(0)) != Turn::Later {}
        assert_eq!(readers.ask(stranger(2, 1), 100, Timestamp(0)), Turn::Now);
        assert_eq!(readers.ask(stranger(2, 1), 100, Timestamp(0)), Turn::Now);
        assert_ne!(readers.ask(stranger(2, 1), 100, Timestamp(0)), Turn::Now, "it had its own");
        assert_eq!(readers.ask(stranger(3, 3), 500, Timestamp(0)), Turn::Now, "another host");
    }

    #[test]
    fn members_and_writers_who_paid_never_wait_and_are_company() {
        let mut readers = Readers::new(LIMITS);
        for class in [Class::Member, Class::Payer] {
            readers.note(guest(9, 2, class), Timestamp(0));
            for _ in 0..100 {
                assert_eq!(readers.ask(guest(1, 1, class), 5_000, Timestamp(0)), Turn::Now);
            }
        }
        while readers.ask(stranger(1, 1), 500, Timestamp(0)) == Turn::Now {}
        assert!(matches!(readers.ask(stranger(1, 1), 500, Timestamp(0)), Turn::After(_)));
    }

    #[test]
    fn memory_is_bounded_and_who_read_most_is_remembered() {
        let mut readers = Readers::new(LIMITS);
        for host in 0..100 {
            readers.note(stranger(200, 200), Timestamp(0));
            let bytes = if host == 7 { 2_000 } else { 10 };
            readers.ask(stranger(host, host), bytes, Timestamp(0));
        }
        assert_eq!(readers.hosts.until.len(), 4);
        readers.ask(stranger(7, 7), 200, Timestamp(0)); // its own
        assert!(matches!(readers.ask(stranger(7, 7), 100, Timestamp(0)), Turn::After(_)));
    }
}
