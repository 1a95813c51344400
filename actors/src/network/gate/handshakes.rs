//! Handshakes under way on one transport.
//!
//! Promises: no more of them than [`limits::HANDSHAKES_ROOM`] has places; one that makes room for another is cut off at
//! once; one that ends, in whatever way, gives its place back. Does not: time them; the transport's own deadline does.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::future::{AbortHandle, Abortable};
use haulout_protocol::machine::conditions::Entrance;
use haulout_protocol::machine::guests::Class;
use haulout_protocol::machine::places::{Entry, Places};

use crate::limits;
use crate::network::lock::lock;
use crate::network::refusals::Refusals;

/// The handshakes of one transport.
pub(super) struct Handshakes {
    table: Mutex<Table>,
    refusals: Arc<Refusals>,
}

struct Table {
    places: Places<u64>,
    cutters: BTreeMap<u64, AbortHandle>,
    next: u64,
}

/// A place, until it is dropped.
struct Place {
    handshakes: Arc<Handshakes>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = lock(&self.handshakes.table);
        table.places.leave(&self.number);
        table.cutters.remove(&self.number);
    }
}

impl Handshakes {
    /// None is under way; who is turned away is counted there.
    pub(super) fn new(refusals: Arc<Refusals>) -> Self {
        let places = Places::new(limits::HANDSHAKES_ROOM);
        let table = Table { places, cutters: BTreeMap::new(), next: 0 };
        Handshakes { table: Mutex::new(table), refusals }
    }

    /// Gives a handshake a place for as long as it lasts; nothing if there is none.
    pub(super) fn admit<Output: 'static>(
        self: &Arc<Self>,
        from: IpAddr,
        handshake: impl Future<Output = io::Result<Output>> + Send + 'static,
    ) -> Option<Pin<Box<dyn Future<Output = io::Result<Output>> + Send>>> {
        let (cutter, registration) = AbortHandle::new_pair();
        let number = {
            let mut table = lock(&self.table);
            table.next += 1;
            let number = table.next;
            let entry = table.places.enter(number, from, |_| false);
            if entry != Entry::Free {
                self.refusals.note(Entrance::Connection, Class::Stranger); // nobody knows who it is
            }
            match entry {
                Entry::Free => {}
                Entry::InsteadOf(leaving) => {
                    if let Some(leaving) = table.cutters.remove(&leaving) {
                        leaving.abort();
                    }
                }
                Entry::Refused => return None,
            }
            table.cutters.insert(number, cutter);
            number
        };
        let place = Place { handshakes: self.clone(), number };
        let handshake = Abortable::new(handshake, registration);
        Some(Box::pin(async move {
            let done = handshake.await;
            drop(place);
            done.unwrap_or_else(|_| Err(io::ErrorKind::ConnectionAborted.into()))
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn silent() -> impl Future<Output = io::Result<()>> + Send {
        std::future::pending()
    }

    #[tokio::test]
    async fn silent_handshakes_make_room_for_one_that_speaks_and_give_their_places_back() {
        let of_address = limits::HANDSHAKES_ROOM.of_address;
        let refusals = Arc::<Refusals>::default();
        let handshakes = Arc::new(Handshakes::new(refusals.clone()));
        let attack = (0..3 * of_address).map(|_| handshakes.admit(ATTACKER, silent()));
        let mut attack: Vec<_> = attack.map(|one| one.expect("newer replaces older")).collect();
        let honest = handshakes.admit(ATTACKER, async { Ok(7) }).expect("a neighbour gets in");
        assert_eq!(honest.await.unwrap(), 7);
        let turned_away = u64::try_from(2 * of_address + 1).unwrap();
        assert_eq!(refusals.lately().strangers, turned_away);
        let open = attack.split_off(2 * of_address + 1);
        for cut in attack {
            assert_eq!(cut.await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        }
        assert_eq!(lock(&handshakes.table).places.len(), of_address - 1);
        drop(open);
        let table = lock(&handshakes.table);
        assert!(table.places.is_empty() && table.cutters.is_empty());
    }
}
