//! Room in memory for what visits hold: asked for before a byte is read, from the peer or from the disk.
//!
//! Promises: all visits together hold no more than its limits; who waits is served in the order the
//! budget decides, and while somebody waits, strangers that hold room and keep us waiting lose their places, the slowest
//! first; the duties share it as `machine::rations` says. Does not: count the buffers of streams and transports, which places and connections bound.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use haulout_protocol::machine::Timestamp;
use haulout_protocol::machine::duty::Duty;
use haulout_protocol::machine::rations::{Limits, Rations, Ticket};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::limits;
use crate::network::Place;

/// The memory of all visits; a cheap handle.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    started: Instant,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    rations: Rations,
    users: BTreeMap<Ticket, User>,
}

/// Who asked, and how it learns that it got what it asked for.
#[derive(Debug)]
struct User {
    place: Place,
    /// Since when it has waited, or held what it got.
    since: Instant,
    granted: Option<oneshot::Sender<()>>,
}

/// Room in memory, given back when it is dropped; a request for it, until it is granted.
#[derive(Debug)]
pub(crate) struct Held {
    ticket: Ticket,
    memory: Memory,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut table = self.memory.table();
        table.rations.release(self.ticket);
        table.users.remove(&self.ticket);
        table.grant(self.memory.now());
    }
}

impl Table {
    /// Tells those whose turn it is.
    fn grant(&mut self, now: Timestamp) {
        for ticket in self.rations.grant(now) {
            let Some(user) = self.users.get_mut(&ticket) else { continue };
            user.since = Instant::now();
            // Whoever asked may have gone; its request goes with it.
            let _ = user.granted.take().map(|granted| granted.send(()));
        }
    }

    /// The slowest of the strangers that hold something and keep us waiting, or have held it for long.
    fn slowest(&self) -> Option<Place> {
        let holders = self.rations.holders().filter_map(|ticket| self.users.get(&ticket));
        let slow = holders.filter(|user| {
            !user.place.is_evicted()
                && (user.place.progress().is_stalled(&limits::SLIVER_PLACES)
                    || user.since.elapsed() >= limits::MEMORY_HOLD_MAX)
        });
        slow.min_by_key(|user| user.place.progress().rate()).map(|user| user.place.clone())
    }
}

impl Memory {
    pub(super) fn new(limits: Limits) -> Memory {
        let table = Table { rations: Rations::new(limits), users: BTreeMap::new() };
        Memory { inner: Arc::new(Inner { started: Instant::now(), table: Mutex::new(table) }) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.inner.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        let elapsed = self.inner.started.elapsed().as_millis();
        Timestamp(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// Asks; what comes back may be granted already.
    fn ask(&self, place: &Place, duty: Duty, bytes: usize) -> (Held, oneshot::Receiver<()>) {
        let (granted, hears) = oneshot::channel();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut table = self.table();
        let ticket = table.rations.ask(place.guest(), duty, bytes);
        let user = User { place: place.clone(), since: Instant::now(), granted: Some(granted) };
        table.users.insert(ticket, user);
        table.grant(self.now());
        drop(table);
        (Held { ticket, memory: self.clone() }, hears)
    }

    /// Waits for room; nothing if there is none for too long. Whoever holds room must not wait for more.
    pub(super) async fn room(&self, place: &Place, duty: Duty, bytes: usize) -> Option<Held> {
        let (held, mut hears) = self.ask(place, duty, bytes);
        let deadline = Instant::now() + limits::MEMORY_WAIT_MAX;
        while timeout(limits::MEMORY_PATIENCE, &mut hears).await.is_err() {
            if Instant::now() >= deadline {
                return None;
            }
            let slowest = self.table().slowest();
            if let Some(slowest) = slowest {
                slowest.evict();
            }
        }
        Some(held)
    }

    /// Room, if there is some now and nobody waits for it.
    pub(super) fn try_room(&self, place: &Place, duty: Duty, bytes: usize) -> Option<Held> {
        let (held, _) = self.ask(place, duty, bytes);
        let is_granted = self.table().rations.is_granted(held.ticket);
        is_granted.then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use haulout_protocol::machine::duty::PerDuty;

    use super::*;

    const LIMITS: Limits = Limits {
        all: 100,
        strangers: 60,
        reserved: PerDuty { clients: 0, repair: 0, handover: 0, challenges: 0 },
        weights: limits::DUTY_WEIGHTS,
        users_max: 8,
    };

    #[tokio::test]
    async fn room_that_is_free_is_had_at_once_and_given_back() {
        let (memory, place) = (Memory::new(LIMITS), Place::sample());
        let first = memory.room(&place, Duty::Clients, 60).await.unwrap();
        assert!(memory.try_room(&place, Duty::Clients, 1).is_none());
        let waiting = tokio::spawn({
            let (memory, place) = (memory.clone(), place.clone());
            async move { memory.room(&place, Duty::Clients, 60).await.is_some() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
        assert!(memory.try_room(&place, Duty::Clients, 60).is_some());
        assert!(!place.is_evicted(), "nobody had to wait for it");
    }

    #[tokio::test]
    async fn whoever_holds_room_and_keeps_us_waiting_goes_for_one_who_needs_it() {
        let (memory, slow, quick) = (Memory::new(LIMITS), Place::sample(), Place::sample());
        let hoarded = memory.room(&slow, Duty::Clients, 60).await.unwrap();
        slow.wait_began();
        let session = tokio::spawn({
            let slow = slow.clone();
            async move {
                slow.evicted().await;
                drop(hoarded);
            }
        });
        assert!(memory.room(&quick, Duty::Clients, 10).await.is_some());
        session.await.unwrap();
    }

    #[tokio::test]
    async fn a_duty_has_its_part_though_another_holds_the_rest() {
        let reserved = PerDuty { repair: 30, ..LIMITS.reserved };
        let memory = Memory::new(Limits { strangers: 100, reserved, ..LIMITS });
        let place = Place::sample();
        let _clients = memory.room(&place, Duty::Clients, 1_000).await.unwrap();
        assert!(memory.try_room(&place, Duty::Clients, 1).is_none());
        assert!(memory.try_room(&place, Duty::Repair, 30).is_some());
    }
}
