//! Who may be served when more want to be than there is room for.
//!
//! Each class of guests has places of its own, so strangers never take those of members and of writers who paid. When a
//! class is full, a newcomer takes the place of a guest who keeps us waiting; if nobody does, it takes one from the
//! fullest network, address or peer, if it comes from one that has less. Promises: no class ever has more guests than
//! places; whoever is turned out was slower, or had more, than whoever came. Does not: know what guests do, or read a clock.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::crypto::PeerId;

/// What a guest is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Serves in the committee.
    Member,
    /// Stores a blob that the ledger says is registered.
    Payer,
    /// Anybody.
    Stranger,
}

/// Who wants to be served, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest {
    /// The peer; identities cost nothing.
    pub peer: PeerId,
    /// The address it came from, if it is known.
    pub address: Option<IpAddr>,
    /// What it is to us.
    pub class: Class,
}

impl Guest {
    /// The machine it sits at, as far as addresses tell: IPv6 hands out 64 bits to each.
    pub fn host(&self) -> Option<IpAddr> {
        self.address.map(|address| truncated(address, 32, 64))
    }

    /// The network it sits in: what one person gets at once.
    pub fn network(&self) -> Option<IpAddr> {
        self.address.map(|address| truncated(address, 24, 48))
    }
}

/// The first bits of an address, the others zero.
fn truncated(address: IpAddr, bits_v4: u32, bits_v6: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - bits_v4).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - bits_v6).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// How a guest has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes it moved, both ways.
    pub moved: u64,
    /// How long we waited for it, all in all, in milliseconds.
    pub waited_ms: u64,
    /// How long we have been waiting for it now.
    pub waiting_ms: u64,
}

impl Progress {
    /// Bytes a second; whoever was not waited for long counts as if it had been a second.
    pub fn rate(&self) -> u64 {
        self.moved.saturating_mul(1_000) / self.waited_ms.max(1_000)
    }

    /// Whether others may take its place: it keeps us waiting now, or is slow.
    pub fn is_stalled(&self, limits: &Limits) -> bool {
        let grace_ms = if self.moved == 0 { limits.first_grace_ms } else { limits.grace_ms };
        self.waiting_ms >= grace_ms
            || self.waited_ms >= limits.grace_ms && self.rate() < limits.bytes_per_second
    }
}

/// How many guests there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Guests of members.
    pub members: usize,
    /// Guests of writers who paid.
    pub payers: usize,
    /// Guests of strangers.
    pub strangers: usize,
    /// Sessions of paying writers for one blob: its writer, and one before whose connection was lost.
    pub payers_per_blob: usize,
    /// How long a guest may take to begin before others may take its place, in milliseconds.
    pub first_grace_ms: u64,
    /// How long a guest may keep us waiting before others may take its place, in milliseconds.
    pub grace_ms: u64,
    /// The rate below which a guest is slow.
    pub bytes_per_second: u64,
}

impl Limits {
    fn of(&self, class: Class) -> usize {
        match class {
            Class::Member => self.members,
            Class::Payer => self.payers,
            Class::Stranger => self.strangers,
        }
    }
}

/// Names a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(u64);

/// What becomes of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// There is a place.
    Free(PlaceId),
    /// There is a place, and this guest has to go for it.
    InPlaceOf(PlaceId, PlaceId),
    /// No place; everybody here is as good.
    Full,
}

#[derive(Clone, Copy, Debug)]
struct Seat {
    guest: Guest,
    /// The blob a paying writer stores.
    blob: Option<[u8; 32]>,
}

/// The guests of one protocol.
#[derive(Clone, Debug)]
pub struct Guests {
    limits: Limits,
    seats: BTreeMap<PlaceId, Seat>,
    next: u64,
}

impl Guests {
    /// No guests yet.
    pub fn new(limits: Limits) -> Self {
        Guests { limits, seats: BTreeMap::new(), next: 0 }
    }

    /// How many guests of a class there are.
    pub fn count(&self, class: Class) -> usize {
        self.seats.values().filter(|seat| seat.guest.class == class).count()
    }

    /// What the guest of a place is to us.
    pub fn class(&self, id: PlaceId) -> Option<Class> {
        self.seats.get(&id).map(|seat| seat.guest.class)
    }

    /// Somebody comes.
    pub fn enter(&mut self, guest: Guest, progress: impl Fn(PlaceId) -> Progress) -> Entry {
        let Some(victim) = self.room_for(&guest, progress) else { return Entry::Full };
        let id = PlaceId(self.next);
        self.next = self.next.saturating_add(1);
        self.seat(id, Seat { guest, blob: None }, victim)
    }

    /// Somebody goes.
    pub fn leave(&mut self, id: PlaceId) {
        self.seats.remove(&id);
    }

    /// The ledger says that the blob a guest stores is paid for: it gets a place among those who paid. `Full` leaves it
    /// where it is; members have no need of it.
    pub fn promote(
        &mut self,
        id: PlaceId,
        blob: [u8; 32],
        progress: impl Fn(PlaceId) -> Progress,
    ) -> Entry {
        let Some(seat) = self.seats.get(&id).copied() else { return Entry::Full };
        if seat.guest.class != Class::Stranger {
            return Entry::Free(id);
        }
        let of_blob = self.seats.values().filter(|seat| seat.blob == Some(blob)).count();
        if of_blob >= self.limits.payers_per_blob {
            return Entry::Full;
        }
        let guest = Guest { class: Class::Payer, ..seat.guest };
        let Some(victim) = self.room_for(&guest, progress) else { return Entry::Full };
        self.seat(id, Seat { guest, blob: Some(blob) }, victim)
    }

    /// Somebody sits down, in place of whoever has to go for it.
    fn seat(&mut self, id: PlaceId, seat: Seat, victim: Option<PlaceId>) -> Entry {
        self.seats.insert(id, seat);
        victim.map(|victim| self.seats.remove(&victim));
        debug_assert!(
            [Class::Member, Class::Payer, Class::Stranger]
                .into_iter()
                .all(|class| self.count(class) <= self.limits.of(class)),
            "no class has more guests than places"
        );
        victim.map_or(Entry::Free(id), |victim| Entry::InPlaceOf(id, victim))
    }

    /// What a writer paid for is done: it is whoever it was before, if there is room for one more of those. Without, it must
    /// go: nobody is turned out for it.
    #[must_use]
    pub fn demote(&mut self, id: PlaceId) -> bool {
        let strangers = self.count(Class::Stranger);
        let Some(seat) = self.seats.get_mut(&id) else { return false };
        if seat.guest.class != Class::Payer {
            return true;
        }
        if strangers >= self.limits.strangers {
            return false;
        }
        *seat = Seat { guest: Guest { class: Class::Stranger, ..seat.guest }, blob: None };
        true
    }

    /// Whether there is room for a guest, and who has to go for it.
    #[allow(clippy::option_option, reason = "no room; room; room if somebody goes")]
    fn room_for(
        &self,
        guest: &Guest,
        progress: impl Fn(PlaceId) -> Progress,
    ) -> Option<Option<PlaceId>> {
        let crowd = || self.seats.iter().filter(|(_, seat)| seat.guest.class == guest.class);
        if crowd().count() < self.limits.of(guest.class) {
            return Some(None);
        }
        // The slowest first, and of equals whoever came first.
        let slowness = |id: &PlaceId| (progress(*id).rate(), *id);
        let stalled = crowd().map(|(id, _)| *id);
        let stalled = stalled.filter(|id| progress(*id).is_stalled(&self.limits));
        if let Some(victim) = stalled.min_by_key(slowness) {
            return Some(Some(victim));
        }
        let seats: Vec<_> = crowd().map(|(id, seat)| (*id, &seat.guest)).collect();
        let victim = fullest(&seats, guest)?;
        victim.into_iter().min_by_key(slowness).map(Some)
    }
}

/// The places of the fullest network, in it of the fullest host, in it of the peer that has most; nothing if the
/// newcomer would have as many there.
fn fullest(seats: &[(PlaceId, &Guest)], newcomer: &Guest) -> Option<Vec<PlaceId>> {
    let mut crowd: Vec<_> = seats.to_vec();
    let levels: [fn(&Guest) -> Group; 3] = [
        |guest| Group::Address(guest.network()),
        |guest| Group::Address(guest.host()),
        |guest| Group::Peer(guest.peer),
    ];
    let mut is_apart = false;
    for group in levels {
        let mut counts: BTreeMap<Group, usize> = BTreeMap::new();
        for (_, guest) in &crowd {
            *counts.entry(group(guest)).or_default() += 1;
        }
        let (fullest, most) = counts.iter().max_by_key(|(_, count)| **count)?;
        let ours = group(newcomer);
        if !is_apart && ours != *fullest {
            // Who comes must have less afterwards than who goes had: else two could push each other out for ever.
            if counts.get(&ours).copied().unwrap_or(0) + 1 >= *most {
                return None;
            }
            is_apart = true;
        }
        let fullest = *fullest;
        crowd.retain(|(_, guest)| group(guest) == fullest);
    }
    is_apart.then(|| crowd.into_iter().map(|(id, _)| id).collect())
}

/// What guests have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Address(Option<IpAddr>),
    Peer(PeerId),
}

#[cfg(test)]
mod tests;
