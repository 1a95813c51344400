//! Places at a door: who gets one when more come than there is room for.
//!
//! Promises: never more guests than places; one address does not take them all, nor does one subnet; whoever comes from
//! where few are gets in while somebody idle is from where more are; among those who share an address, the one that was
//! useful longest ago makes room, so that a neighbour of an attacker gets in, too. The same facts give the same answer.
//! Does not: know members, who need no place; close anything; or tell who is busy, which the caller knows.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many guests there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// All together.
    pub total: usize,
    /// From one subnet: a /24, or a /48 of IPv6.
    pub of_subnet: usize,
    /// From one address.
    pub of_address: usize,
}

/// Whether a newcomer has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<Id> {
    /// One was free.
    Free,
    /// This guest has to leave for it; its place is taken already.
    InsteadOf(Id),
    /// None: everybody who could make room is busy, or from where fewer are.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Guest {
    address: IpAddr,
    subnet: IpAddr,
    /// The turn at which it came or was useful last.
    useful: u64,
}

/// The guests of one door.
#[derive(Clone, Debug)]
pub struct Places<Id> {
    room: Room,
    guests: BTreeMap<Id, Guest>,
    of_address: BTreeMap<IpAddr, usize>,
    of_subnet: BTreeMap<IpAddr, usize>,
    turn: u64,
}

/// How many come from where somebody comes from: its subnet, then its address.
type Crowd = (usize, usize);

impl<Id: Copy + Ord> Places<Id> {
    /// A door without guests.
    pub fn new(room: Room) -> Self {
        Places {
            room,
            guests: BTreeMap::new(),
            of_address: BTreeMap::new(),
            of_subnet: BTreeMap::new(),
            turn: 0,
        }
    }

    /// How many guests there are.
    pub fn len(&self) -> usize {
        self.guests.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.guests.is_empty()
    }

    /// Somebody wants a place. Who is busy is never asked to leave.
    pub fn enter(&mut self, id: Id, address: IpAddr, is_busy: impl Fn(&Id) -> bool) -> Entry<Id> {
        let newcomer = Guest { address, subnet: subnet_of(address), useful: 0 };
        self.leave(&id); // an id has one place
        let (in_subnet, at_address) = self.crowd(&newcomer);
        let is_full = at_address >= self.room.of_address
            || in_subnet >= self.room.of_subnet
            || self.guests.len() >= self.room.total;
        if !is_full {
            self.seat(id, newcomer);
            return Entry::Free;
        }
        let Some(leaving) = self.most_dispensable(&newcomer, is_busy) else {
            return Entry::Refused;
        };
        self.leave(&leaving);
        self.seat(id, newcomer);
        Entry::InsteadOf(leaving)
    }

    /// A guest is useful at this moment.
    pub fn used(&mut self, id: &Id) {
        self.turn += 1;
        if let Some(guest) = self.guests.get_mut(id) {
            guest.useful = self.turn;
        }
    }

    /// A guest is gone. Fine if it has no place.
    pub fn leave(&mut self, id: &Id) {
        if let Some(guest) = self.guests.remove(id) {
            count_down(&mut self.of_address, guest.address);
            count_down(&mut self.of_subnet, guest.subnet);
        }
    }

    fn seat(&mut self, id: Id, guest: Guest) {
        self.turn += 1;
        *self.of_address.entry(guest.address).or_default() += 1;
        *self.of_subnet.entry(guest.subnet).or_default() += 1;
        self.guests.insert(id, Guest { useful: self.turn, ..guest });
        debug_assert!(
            self.guests.len() <= self.room.total
                && self.of_address.values().all(|count| *count <= self.room.of_address)
                && self.of_subnet.values().all(|count| *count <= self.room.of_subnet),
            "there are never more guests than places, of one address or subnet neither"
        );
        debug_assert_eq!(self.of_address.values().sum::<usize>(), self.guests.len());
        debug_assert_eq!(self.of_subnet.values().sum::<usize>(), self.guests.len());
    }

    fn crowd(&self, guest: &Guest) -> Crowd {
        let count = |counts: &BTreeMap<IpAddr, usize>, key| counts.get(&key).copied().unwrap_or(0);
        (count(&self.of_subnet, guest.subnet), count(&self.of_address, guest.address))
    }

    /// Who makes room: from where most are, and there the one that was useful longest ago; but nobody for a newcomer
    /// from where more are already.
    fn most_dispensable(&self, newcomer: &Guest, is_busy: impl Fn(&Id) -> bool) -> Option<Id> {
        let (in_subnet, at_address) = self.crowd(newcomer);
        let may_leave = |guest: &Guest| {
            if at_address >= self.room.of_address || guest.address == newcomer.address {
                return guest.address == newcomer.address;
            }
            let (beside_subnet, beside_address) = self.crowd(guest);
            if in_subnet >= self.room.of_subnet || guest.subnet == newcomer.subnet {
                return guest.subnet == newcomer.subnet && beside_address > at_address;
            }
            beside_subnet > in_subnet
        };
        let idle = self.guests.iter().filter(|(id, guest)| may_leave(guest) && !is_busy(id));
        let leaving = idle.max_by_key(|(_, guest)| (self.crowd(guest), u64::MAX - guest.useful));
        leaving.map(|(id, _)| *id)
    }
}

fn count_down(counts: &mut BTreeMap<IpAddr, usize>, key: IpAddr) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// The subnet of an address that one party is likely to hold as a whole: a /24, or a /48 of IPv6.
pub fn subnet_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, third, _] = address.octets();
            Ipv4Addr::new(first, second, third, 0).into()
        }
        IpAddr::V6(address) => {
            let [first, second, third, ..] = address.segments();
            Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests;
