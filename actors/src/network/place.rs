//! The place of a stream that a peer opened: its right to be served, and how the peer does.
//!
//! Promises: a place is given back when the last part of its stream is dropped; whoever loses its place is told at once,
//! and nothing it still holds counts any more. Does not: decide who gets or loses one (`protocol` does).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::guests::{Entry, Guest, Guests, Limits, PlaceId, Progress};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lock::lock;

/// All places of one protocol.
#[derive(Debug)]
pub(super) struct Room {
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    guests: Guests,
    meters: BTreeMap<PlaceId, Arc<Meter>>,
}

impl Room {
    pub(super) fn new(limits: Limits) -> Arc<Room> {
        let table = Table { guests: Guests::new(limits), meters: BTreeMap::new() };
        Arc::new(Room { table: Mutex::new(table) })
    }

    /// A place for this guest, if there is one, or if somebody has to go for it.
    pub(super) fn enter(self: &Arc<Self>, guest: Guest) -> Option<Place> {
        let mut table = lock(&self.table);
        let Table { guests, meters } = &mut *table;
        let id = match guests.enter(guest, |id| progress(meters, id)) {
            Entry::Free(id) => id,
            Entry::InPlaceOf(id, gone) => {
                evict(meters, gone);
                id
            }
            Entry::Full => return None,
        };
        let meter = Arc::new(Meter::new());
        meters.insert(id, meter.clone());
        drop(table);
        let room = self.clone();
        Some(Place { inner: Arc::new(Inner { id, room, meter, guest: Mutex::new(guest) }) })
    }
}

fn progress(meters: &BTreeMap<PlaceId, Arc<Meter>>, id: PlaceId) -> Progress {
    meters.get(&id).map(|meter| meter.progress()).unwrap_or_default()
}

fn evict(meters: &mut BTreeMap<PlaceId, Arc<Meter>>, id: PlaceId) {
    if let Some(meter) = meters.remove(&id) {
        meter.evicted.cancel();
    }
}

/// The right of one stream to be served; a cheap handle.
#[derive(Clone, Debug)]
pub struct Place {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: PlaceId,
    room: Arc<Room>,
    meter: Arc<Meter>,
    guest: Mutex<Guest>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut table = lock(&self.room.table);
        table.guests.leave(self.id);
        table.meters.remove(&self.id);
    }
}

impl Place {
    /// Who has it.
    pub fn guest(&self) -> Guest {
        *lock(&self.inner.guest)
    }

    /// How the guest has done so far.
    pub fn progress(&self) -> Progress {
        self.inner.meter.progress()
    }

    /// The guest stores a blob that is paid for: strangers cannot take its place any more, if there is one for it.
    pub fn promote(&self, blob_id: &BlobId) {
        let mut table = lock(&self.inner.room.table);
        let Table { guests, meters } = &mut *table;
        match guests.promote(self.inner.id, *blob_id.as_bytes(), |id| progress(meters, id)) {
            Entry::Full => return,
            Entry::Free(_) => {}
            Entry::InPlaceOf(_, gone) => evict(meters, gone),
        }
        let class = guests.class(self.inner.id);
        drop(table);
        if let Some(class) = class {
            lock(&self.inner.guest).class = class;
        }
    }

    /// What the guest paid for is done: it is a stranger again. Whether it may stay.
    pub fn demote(&self) -> bool {
        let mut table = lock(&self.inner.room.table);
        let stays = table.guests.demote(self.inner.id);
        let class = table.guests.class(self.inner.id);
        drop(table);
        if let Some(class) = class {
            lock(&self.inner.guest).class = class;
        }
        stays
    }

    /// The guest has said what it wants, and may have reasons to pause: a writer waits for the ledger.
    pub fn asked(&self) {
        self.inner.meter.has_asked.store(true, Ordering::Relaxed);
    }

    /// Whether the guest has said what it wants.
    pub fn has_asked(&self) -> bool {
        self.inner.meter.has_asked.load(Ordering::Relaxed)
    }

    /// Takes the place away.
    pub fn evict(&self) {
        let mut table = lock(&self.inner.room.table);
        table.guests.leave(self.inner.id);
        evict(&mut table.meters, self.inner.id);
    }

    /// Whether it was taken away.
    pub fn is_evicted(&self) -> bool {
        self.inner.meter.evicted.is_cancelled()
    }

    /// Waits until it is taken away.
    pub async fn evicted(&self) {
        self.inner.meter.evicted.cancelled().await;
    }

    /// We wait for the peer from now on.
    pub(crate) fn wait_began(&self) {
        self.inner.meter.wait_began();
    }

    /// The wait is over, and so many bytes moved.
    pub(crate) fn wait_ended(&self, moved: u64, waited: Duration) {
        self.inner.meter.wait_ended(moved, waited);
    }
}

#[cfg(test)]
impl Place {
    /// A place of a stranger in a room of its own.
    pub(crate) fn sample() -> Place {
        use haulout_protocol::crypto::PeerId;
        use haulout_protocol::machine::guests::Class;

        let peer = PeerId::from_key([1; 32]);
        let guest = Guest { peer, address: None, class: Class::Stranger };
        Room::new(crate::limits::SLIVER_PLACES).enter(guest).expect("an empty room")
    }
}

/// Counts what a stream moves, and how long we wait for its peer. Both directions count into it, and only one of them
/// waits at a time.
#[derive(Debug)]
struct Meter {
    started: Instant,
    moved: AtomicU64,
    waited_us: AtomicU64,
    /// Since when we wait, in microseconds after the start, plus one; zero while we do not.
    waiting_since: AtomicU64,
    evicted: CancellationToken,
    has_asked: AtomicBool,
}

impl Meter {
    fn new() -> Self {
        Meter {
            started: Instant::now(),
            moved: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
            waiting_since: AtomicU64::new(0),
            evicted: CancellationToken::new(),
            has_asked: AtomicBool::new(false),
        }
    }

    fn now_us(&self) -> u64 {
        micros(self.started.elapsed())
    }

    fn wait_began(&self) {
        self.waiting_since.store(self.now_us().saturating_add(1), Ordering::Relaxed);
    }

    fn wait_ended(&self, moved: u64, waited: Duration) {
        self.waiting_since.store(0, Ordering::Relaxed);
        self.waited_us.fetch_add(micros(waited), Ordering::Relaxed);
        self.moved.fetch_add(moved, Ordering::Relaxed);
    }

    fn progress(&self) -> Progress {
        let waiting_us = match self.waiting_since.load(Ordering::Relaxed) {
            0 => 0,
            since => self.now_us().saturating_add(1).saturating_sub(since),
        };
        let waited_us = self.waited_us.load(Ordering::Relaxed).saturating_add(waiting_us);
        Progress {
            moved: self.moved.load(Ordering::Relaxed),
            waited_ms: waited_us / 1_000,
            waiting_ms: waiting_us / 1_000,
        }
    }
}

/// A span of time, as machines count it.
pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use haulout_protocol::crypto::PeerId;
    use haulout_protocol::machine::guests::Class;

    use super::*;
    use crate::limits;

    fn stranger(peer: u8) -> Guest {
        Guest { peer: PeerId::from_key([peer; 32]), address: None, class: Class::Stranger }
    }

    #[tokio::test]
    async fn a_guest_that_says_nothing_loses_its_place_to_the_next_and_hears_of_it() {
        let limits = Limits { strangers: 2, first_grace_ms: 1, ..limits::SLIVER_PLACES };
        let room = Room::new(limits);
        let (silent, busy) = (room.enter(stranger(1)).unwrap(), room.enter(stranger(2)).unwrap());
        busy.wait_ended(1 << 20, Duration::from_millis(100));
        assert!(room.enter(stranger(3)).is_none(), "nobody keeps us waiting");
        silent.wait_began();
        let third = loop {
            match room.enter(stranger(3)) {
                Some(place) => break place,
                None => tokio::task::yield_now().await, // until its grace is over
            }
        };
        assert!(silent.is_evicted() && !busy.is_evicted() && !third.is_evicted());
        silent.evicted().await;
        drop(silent);
        assert!(room.enter(stranger(4)).is_none(), "its place was given away only once");
        drop(third);
        assert!(room.enter(stranger(4)).is_some());
    }

    #[test]
    fn only_the_time_we_wait_for_the_peer_counts() {
        let meter = Meter::new();
        assert_eq!(meter.progress(), Progress::default());
        meter.wait_ended(7, Duration::from_secs(2));
        let waited = Progress { moved: 7, waited_ms: 2_000, waiting_ms: 0 };
        assert_eq!(meter.progress(), waited);
        meter.wait_began();
        while meter.progress().waiting_ms == 0 {
            std::thread::yield_now();
        }
        let now = meter.progress();
        assert!(now.waited_ms > 2_000 && now.moved == 7, "{now:?}");
        meter.wait_ended(0, Duration::ZERO);
        assert_eq!(meter.progress(), waited, "what it is told counts, not its own clock");
    }
}
