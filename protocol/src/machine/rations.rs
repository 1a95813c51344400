//! Who may hold how much of something scarce, when more is wanted than there is.
//!
//! Promises: no more is held than there is, and strangers together hold no more than their share; what is reserved for a duty
//! is had by no other, whatever those want, and the rest goes to whom it serves; nobody who waits is passed by a later one of
//! its duty that holds and used no less; where all is free, nobody waits. Does not: read a clock, or take anything away.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Timestamp;
use super::duty::{Duty, PerDuty};
use super::guests::{Class, Guest};
use crate::crypto::PeerId;

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All of it.
    pub all: u64,
    /// What strangers may hold together; the rest waits for members and for writers who paid.
    pub strangers: u64,
    /// What each duty has to itself; the rest is for whoever needs it.
    pub reserved: PerDuty<u64>,
    /// Whose turn it is when several duties wait for the rest: who used least for its weight.
    pub weights: PerDuty<u64>,
    /// Users remembered; who used little is forgotten first.
    pub users_max: usize,
}

/// What was used is forgotten by half in this time.
const HALF_LIFE_MS: u64 = 1_000;

/// Names a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

#[derive(Clone, Copy, Debug)]
struct Request {
    guest: Guest,
    duty: Duty,
    amount: u64,
}

/// What somebody used lately.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    amount: u64,
    at: Timestamp,
}

impl Use {
    fn now(&self, now: Timestamp) -> u64 {
        let halves = now.0.saturating_sub(self.at.0) / HALF_LIFE_MS;
        u32::try_from(halves).ok().and_then(|halves| self.amount.checked_shr(halves)).unwrap_or(0)
    }
}

/// Who holds something, who waits, and who used how much lately.
#[derive(Clone, Debug)]
pub struct Rations {
    limits: Limits,
    held: BTreeMap<Ticket, Request>,
    waiting: BTreeMap<Ticket, Request>,
    hosts: BTreeMap<Option<IpAddr>, Use>,
    peers: BTreeMap<PeerId, Use>,
    duties: PerDuty<Use>,
    next: u64,
}

impl Rations {
    /// Nothing is held.
    pub fn new(limits: Limits) -> Self {
        Rations {
            limits,
            held: BTreeMap::new(),
            waiting: BTreeMap::new(),
            hosts: BTreeMap::new(),
            peers: BTreeMap::new(),
            duties: PerDuty::default(),
            next: 0,
        }
    }

    /// How much is held.
    pub fn held(&self) -> u64 {
        self.held.values().map(|request| request.amount).sum()
    }

    /// Whether anybody waits.
    pub fn is_contended(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Somebody wants this much; more than there ever is counts as all there is.
    pub fn ask(&mut self, guest: Guest, duty: Duty, amount: u64) -> Ticket {
        let share = self.share(duty);
        let share = match guest.class {
            Class::Stranger => self.limits.strangers.min(share),
            Class::Member | Class::Payer => share,
        };
        let ticket = Ticket(self.next);
        self.next = self.next.saturating_add(1);
        self.waiting.insert(ticket, Request { guest, duty, amount: amount.min(share) });
        ticket
    }

    /// Somebody gives back what it held, or wants nothing any more.
    pub fn release(&mut self, ticket: Ticket) {
        self.held.remove(&ticket);
        self.waiting.remove(&ticket);
    }

    /// Whether the request was granted.
    pub fn is_granted(&self, ticket: Ticket) -> bool {
        self.held.contains_key(&ticket)
    }

    /// The strangers that hold something.
    pub fn holders(&self) -> impl Iterator<Item = Ticket> {
        let strangers = |(_, request): &(&Ticket, &Request)| request.guest.class == Class::Stranger;
        self.held.iter().filter(strangers).map(|(ticket, _)| *ticket)
    }

    /// Grants what can be granted now. The duty that used least for its weight comes first; of it members and paying writers,
    /// then strangers; of each the one whose host, then whose peer used least lately. Who is first and does not fit is waited
    /// for, or it would wait for ever; other duties have what is reserved for them meanwhile.
    pub fn grant(&mut self, now: Timestamp) -> Vec<Ticket> {
        if self.held.is_empty() && self.waiting.is_empty() {
            self.forget(now);
        }
        let mut granted = Vec::new();
        while let Some(ticket) = self.next_to_grant(now) {
            self.give(now, ticket);
            granted.push(ticket);
        }
        debug_assert_eq!(self.broken(), None);
        granted
    }

    /// The promise that does not hold, if there is one: checked in debug builds whenever something is granted.
    fn broken(&self) -> Option<&'static str> {
        let strangers = self.held_by(|held| held.guest.class == Class::Stranger);
        let within_share = |duty: Duty| self.held_by(|held| held.duty == duty) <= self.share(duty);
        let users_max = self.limits.users_max.max(1);
        let rules = [
            (self.held() <= self.limits.all, "no more is held than there is"),
            (strangers <= self.limits.strangers, "strangers hold no more than their share"),
            (Duty::ALL.into_iter().all(within_share), "what is reserved for others stays free"),
            (
                self.hosts.len() <= users_max && self.peers.len() <= users_max,
                "few users are remembered",
            ),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule)
    }

    fn next_to_grant(&self, now: Timestamp) -> Option<Ticket> {
        let mut duties = Duty::ALL;
        duties.sort_by_key(|duty| {
            self.duties.of(*duty).now(now) / (*self.limits.weights.of(*duty)).max(1)
        });
        let mut is_rest_awaited = false;
        for duty in duties {
            let paying = self.first(now, duty, |class| class != Class::Stranger);
            let stranger = || self.first(now, duty, |class| class == Class::Stranger);
            let Some(ticket) = paying.or_else(stranger) else { continue };
            let request = self.waiting.get(&ticket)?;
            if self.is_beyond_strangers(request) {
                continue; // it waits for other strangers, not for the rest
            }
            if self.fits(request, is_rest_awaited) {
                return Some(ticket);
            }
            is_rest_awaited = true;
        }
        None
    }

    /// The most that a duty may ever hold: all but what is reserved for others.
    fn share(&self, duty: Duty) -> u64 {
        let others = Duty::ALL.into_iter().filter(|other| *other != duty);
        let reserved = others.map(|other| *self.limits.reserved.of(other));
        reserved.fold(self.limits.all, u64::saturating_sub)
    }

    fn held_by(&self, is_meant: impl Fn(&Request) -> bool) -> u64 {
        self.held.values().filter(|held| is_meant(held)).map(|held| held.amount).sum()
    }

    /// Whether strangers hold too much for a request of one of them.
    fn is_beyond_strangers(&self, request: &Request) -> bool {
        let is_stranger = |request: &Request| request.guest.class == Class::Stranger;
        is_stranger(request)
            && self.held_by(is_stranger).saturating_add(request.amount) > self.limits.strangers
    }

    /// Whether there is room for a request: of the rest, or, where others wait for that, of what is reserved for its duty.
    fn fits(&self, request: &Request, is_rest_awaited: bool) -> bool {
        let (duty, amount) = (request.duty, request.amount);
        if is_rest_awaited {
            let own = self.held_by(|held| held.duty == duty).saturating_add(amount);
            return own <= *self.limits.reserved.of(duty);
        }
        let others = Duty::ALL.into_iter().filter(|other| *other != duty);
        let unused = others.map(|other| {
            let reserved = *self.limits.reserved.of(other);
            reserved.saturating_sub(self.held_by(|held| held.duty == other))
        });
        let spoken_for = unused.fold(self.held(), u64::saturating_add);
        spoken_for.saturating_add(amount) <= self.limits.all
    }

    /// Forgets who used nothing lately.
    fn forget(&mut self, now: Timestamp) {
        self.hosts.retain(|_, used| used.now(now) > 0);
        self.peers.retain(|_, used| used.now(now) > 0);
    }

    /// Who is first in line.
    fn first(
        &self,
        now: Timestamp,
        duty: Duty,
        is_meant: impl Fn(Class) -> bool,
    ) -> Option<Ticket> {
        let waiting = self
            .waiting
            .iter()
            .filter(|(_, request)| request.duty == duty && is_meant(request.guest.class));
        let first = waiting.min_by_key(|(ticket, request)| {
            let host = self.hosts.get(&request.guest.host()).map_or(0, |used| used.now(now));
            let peer = self.peers.get(&request.guest.peer).map_or(0, |used| used.now(now));
            (host, peer, **ticket)
        });
        first.map(|(ticket, _)| *ticket)
    }

    fn give(&mut self, now: Timestamp, ticket: Ticket) {
        let Some(request) = self.waiting.remove(&ticket) else { return };
        self.held.insert(ticket, request);
        note(&mut self.hosts, request.guest.host(), request.amount, now, self.limits.users_max);
        note(&mut self.peers, request.guest.peer, request.amount, now, self.limits.users_max);
        let used = self.duties.of_mut(request.duty);
        *used = Use { amount: used.now(now).saturating_add(request.amount), at: now };
    }
}

/// Adds to what somebody used lately.
fn note<Who: Ord + Copy>(
    users: &mut BTreeMap<Who, Use>,
    who: Who,
    amount: u64,
    now: Timestamp,
    users_max: usize,
) {
    if users.len() >= users_max && !users.contains_key(&who) {
        users.retain(|_, used| used.now(now) > 0);
        if users.len() >= users_max {
            let least = users.iter().min_by_key(|(_, used)| used.now(now)).map(|(who, _)| *who);
            least.map(|least| users.remove(&least));
        }
    }
    let used = users.entry(who).or_default();
    *used = Use { amount: used.now(now).saturating_add(amount), at: now };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOTHING: PerDuty<u64> = PerDuty { clients: 0, repair: 0, handover: 0, challenges: 0 };
    const LIMITS: Limits = Limits {
        all: 100,
        strangers: 60,
        reserved: NOTHING,
        weights: PerDuty { clients: 4, repair: 1, handover: 1, challenges: 1 },
        users_max: 8,
    };
    /// Each duty has something to itself.
    const SHARED: Limits = Limits {
        reserved: PerDuty { clients: 30, repair: 20, handover: 10, challenges: 5 },
        ..LIMITS
    };

    fn guest(peer: u8, host: u8, class: Class) -> Guest {
        let address = Some(IpAddr::from([10, 0, host, host]));
        Guest { peer: PeerId::from_key([peer; 32]), address, class }
    }

    fn stranger(peer: u8) -> Guest {
        guest(peer, 1, Class::Stranger)
    }

    #[test]
    fn strangers_leave_members_and_payers_their_part() {
        let mut rations = Rations::new(LIMITS);
        for peer in 0..7 {
            rations.ask(stranger(peer), Duty::Clients, 10);
        }
        assert_eq!(rations.grant(Timestamp(0)).len(), 6, "sixty of a hundred");
        let payer = rations.ask(guest(9, 1, Class::Payer), Duty::Clients, 40);
        assert_eq!(rations.grant(Timestamp(0)), [payer]);
    }

    #[test]
    fn of_those_who_wait_the_one_that_used_least_is_next() {
        let mut rations = Rations::new(LIMITS);
        let greedy: Vec<_> = (0..9).map(|_| rations.ask(stranger(1), Duty::Clients, 10)).collect();
        assert_eq!(rations.grant(Timestamp(0)), greedy[..6]);
        let modest = rations.ask(stranger(2), Duty::Clients, 10);
        rations.release(greedy[0]);
        assert_eq!(rations.grant(Timestamp(10)), [modest], "it came last, and used nothing");
        rations.release(greedy[1]);
        assert_eq!(rations.grant(Timestamp(10)), greedy[6..7]);
    }

    #[test]
    fn many_peers_of_one_host_count_as_one_beside_another_host() {
        let mut rations = Rations::new(LIMITS);
        let first: Vec<_> = (0..6)
            .map(|peer| rations.ask(guest(peer, 1, Class::Stranger), Duty::Clients, 10))
            .collect();
        assert_eq!(rations.grant(Timestamp(0)).len(), 6);
        let fresh = rations.ask(guest(50, 1, Class::Stranger), Duty::Clients, 10);
        let apart = rations.ask(guest(51, 2, Class::Stranger), Duty::Clients, 10);
        rations.release(first[0]);
        assert_eq!(rations.grant(Timestamp(0)), [apart]);
        rations.release(first[1]);
        assert_eq!(rations.grant(Timestamp(0)), [fresh]);
    }

    #[test]
    fn a_large_request_is_not_passed_by_small_ones_for_ever() {
        let mut rations = Rations::new(LIMITS);
        let small: Vec<_> = (0..6).map(|_| rations.ask(stranger(1), Duty::Clients, 10)).collect();
        rations.grant(Timestamp(0));
        let large = rations.ask(stranger(2), Duty::Clients, 1_000);
        let later = rations.ask(stranger(1), Duty::Clients, 10);
        for ticket in small {
            assert!(rations.grant(Timestamp(0)).is_empty(), "the large one is first");
            rations.release(ticket);
        }
        assert_eq!(rations.grant(Timestamp(0)), [large], "as much as strangers may ever hold");
        rations.release(large);
        assert_eq!(rations.grant(Timestamp(0)), [later]);
    }

    #[test]
    fn once_all_is_given_back_those_who_used_nothing_lately_are_forgotten() {
        let mut rations = Rations::new(LIMITS);
        for peer in 0..5 {
            let ticket = rations.ask(guest(peer, peer, Class::Stranger), Duty::Clients, 10);
            rations.grant(Timestamp(0));
            rations.release(ticket);
        }
        rations.grant(Timestamp(1_000));
        assert_eq!((rations.hosts.len(), rations.peers.len()), (5, 5), "they used it just now");
        rations.grant(Timestamp(60_000));
        assert_eq!((rations.hosts.len(), rations.peers.len()), (0, 0));
    }

    #[test]
    fn repair_leaves_readers_their_part_and_readers_leave_repair_its() {
        let member = |peer| guest(peer, 1, Class::Member);
        let mut rations = Rations::new(SHARED);
        let repair: Vec<_> =
            (0..20).map(|peer| rations.ask(member(peer), Duty::Repair, 5)).collect();
        assert_eq!(rations.grant(Timestamp(0)), repair[..11], "all but 45 that others have");
        let reader = rations.ask(stranger(30), Duty::Clients, 30);
        assert_eq!(rations.grant(Timestamp(0)), [reader], "its part, at once");
        let mut rations = Rations::new(SHARED);
        let readers: Vec<_> =
            (0..20).map(|peer| rations.ask(member(peer), Duty::Clients, 5)).collect();
        assert_eq!(rations.grant(Timestamp(0)), readers[..13]);
        let asked: Vec<_> =
            (30..36).map(|peer| rations.ask(member(peer), Duty::Repair, 5)).collect();
        assert_eq!(rations.grant(Timestamp(0)), asked[..4]);
        rations.release(readers[0]);
        assert_eq!(rations.grant(Timestamp(0)), readers[13..14], "they used less for their weight");
        rations.release(asked[0]);
        assert_eq!(rations.grant(Timestamp(0)), asked[4..5], "no less than its part");
    }

    #[test]
    fn a_large_request_of_one_duty_is_waited_for_and_others_have_their_own_meanwhile() {
        let member = |peer| guest(peer, 1, Class::Member);
        let mut rations = Rations::new(SHARED);
        let repair = rations.ask(member(1), Duty::Repair, 40);
        assert_eq!(rations.grant(Timestamp(0)), [repair]);
        let large = rations.ask(member(2), Duty::Clients, 60);
        let more = rations.ask(member(3), Duty::Repair, 10);
        let handover = rations.ask(member(4), Duty::Handover, 10);
        assert_eq!(rations.grant(Timestamp(0)), [handover], "its own; the rest is awaited");
        rations.release(repair);
        assert_eq!(rations.grant(Timestamp(0)), [large, more]);
    }

    #[test]
    fn of_two_duties_that_wait_the_one_that_used_least_for_its_weight_is_next() {
        let member = |peer| guest(peer, 1, Class::Member);
        let mut rations = Rations::new(LIMITS);
        let readers: Vec<_> =
            (0..10).map(|peer| rations.ask(member(peer), Duty::Clients, 10)).collect();
        assert_eq!(rations.grant(Timestamp(0)), readers, "nobody else wants any");
        let _reader = rations.ask(member(20), Duty::Clients, 10);
        let repair = rations.ask(member(21), Duty::Repair, 10);
        rations.release(readers[0]);
        assert_eq!(rations.grant(Timestamp(0)), [repair], "it came last, and used nothing");
    }

    #[test]
    fn what_was_used_is_forgotten() {
        let used = Use { amount: 1_000, at: Timestamp(5_000) };
        assert_eq!(used.now(Timestamp(5_999)), 1_000);
        assert_eq!(used.now(Timestamp(6_000)), 500);
        assert_eq!(used.now(Timestamp(500_000)), 0);
    }

    proptest! {
        #[test]
        fn no_script_holds_more_than_there_is_or_is_reserved_for_others_and_nobody_waits_while_all_is_free(
            script in prop::collection::vec(
                ((0_u8..20, 0_u8..6, 0_u8..3), 0_usize..4, 1_u64..130, any::<bool>()),
                1..150,
            ),
        ) {
            let mut rations = Rations::new(SHARED);
            let mut tickets: Vec<Ticket> = Vec::new();
            for (turn, ((peer, host, class), duty, amount, gives_back)) in (0..).zip(script) {
                if gives_back && !tickets.is_empty() {
                    rations.release(tickets.swap_remove(usize::from(peer) % tickets.len()));
                } else {
                    let class = [Class::Member, Class::Payer, Class::Stranger][usize::from(class)];
                    tickets.push(rations.ask(guest(peer, host, class), Duty::ALL[duty], amount));
                }
                rations.grant(Timestamp(turn * 100));
                prop_assert!(rations.held() <= LIMITS.all);
                let strangers: u64 = rations.held.values()
                    .filter(|held| held.guest.class == Class::Stranger).map(|held| held.amount).sum();
                prop_assert!(strangers <= LIMITS.strangers);
                for duty in Duty::ALL {
                    let held = rations.held_by(|held| held.duty == duty);
                    prop_assert!(held <= rations.share(duty), "{duty:?} holds what is reserved for others");
                }
                prop_assert!(rations.held() > 0 || !rations.is_contended(), "all is free and somebody waits");
                prop_assert!(rations.peers.len() <= LIMITS.users_max && rations.hosts.len() <= LIMITS.users_max);
            }
        }
    }
}
