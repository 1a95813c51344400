//! Dialling back whoever asks.
//!
//! Promises: only the address the question came from is dialled, and only as often as its budget allows; members have a budget
//! each, whatever strangers do, and strangers learn nothing of a port that is not theirs, not from the time it takes either. Does
//! not: look for another address, or keep the connection.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::Timestamp;
use haulout_protocol::machine::budgets::Budgets;
use haulout_protocol::machine::guests::{Class, Guest};
use haulout_protocol::wire::Refusal;
use haulout_protocol::wire::reach::{Door, Reply, Request, Tried};
use tokio::time::{Instant, sleep_until};

use crate::asking::Clock;
use crate::limits;
use crate::network::Network;
use crate::serving::{Ended, Fault, Visit};

/// Dials back whoever may ask.
#[derive(Debug)]
pub(super) struct Desk {
    network: Network,
    clock: Clock,
    asked: Mutex<Asked>,
}

/// Who asked lately.
#[derive(Debug)]
struct Asked {
    /// Each by its name: many may share an address, and a name costs stake.
    members: Budgets<PeerId>,
    /// By host: one has as many names and IPv6 addresses as it likes.
    strangers: Budgets<Option<IpAddr>>,
}

impl Asked {
    fn nobody() -> Asked {
        let (budget, most) = (limits::REACH_OF_ADDRESS, limits::REACH_ADDRESSES_REMEMBERED);
        Asked { members: Budgets::new(budget, most), strangers: Budgets::new(budget, most) }
    }

    /// Whether this guest has not asked too often; then it has asked once more.
    fn may_ask(&mut self, guest: &Guest, now: Timestamp) -> bool {
        match guest.class {
            Class::Member => self.members.try_spend(guest.peer, now),
            Class::Payer | Class::Stranger => self.strangers.try_spend(guest.host(), now),
        }
    }
}

impl Desk {
    pub(super) fn new(network: Network) -> Arc<Desk> {
        Arc::new(Desk { network, clock: Clock::start(), asked: Mutex::new(Asked::nobody()) })
    }

    fn may_ask(&self, guest: &Guest) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        asked.may_ask(guest, self.clock.now())
    }

    /// Dials one door, unless it is one that nobody should have us dial.
    async fn dial(&self, peer: PeerId, ip: IpAddr, door: Door) -> Tried {
        match door.is_dialled() {
            true => self.network.dial_back(peer, ip, door).await,
            false => Tried::NotTried,
        }
    }
}

/// Serves one visitor.
pub(super) async fn serve(desk: Arc<Desk>, mut visit: Visit) -> Ended {
    let served = answer(&desk, &mut visit).await;
    visit.end::<Reply>(served).await
}

async fn answer(desk: &Desk, visit: &mut Visit) -> Result<(), Fault> {
    let request: Request = visit.frame().await?;
    visit.place.asked();
    if !request.is_sound() {
        return Err(Fault::out_of_place("a list of ports like this"));
    }
    let retry_after_ms = u32::try_from(limits::REACH_OF_ADDRESS.refill_ms).unwrap_or(u32::MAX);
    let busy = || Fault::Refused(Refusal::Busy { retry_after_ms });
    let guest = visit.place.guest();
    let ip = guest.address.ok_or_else(busy)?;
    if !desk.may_ask(&guest) {
        return Err(busy());
    }
    let at_the_latest = Instant::now() + limits::DIAL_BACK_TIMEOUT;
    let mut tried =
        join_all(request.doors.iter().map(|door| desk.dial(visit.peer, ip, *door))).await;
    if guest.class != Class::Member {
        for tried in &mut tried {
            *tried = tried.for_strangers();
        }
        // A refusal comes at once and silence after seconds: a stranger hears of both when no dial could still go on.
        if tried.contains(&Tried::NotReached) {
            sleep_until(at_the_latest).await;
        }
    }
    visit.stream.write_frame(&Reply::dialled(ip, tried)).await?;
    Ok(visit.stream.flush().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(number: u16, address: IpAddr, class: Class) -> Guest {
        let mut key = [7; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        Guest { peer: PeerId::from_key(key), address: Some(address), class }
    }

    #[test]
    fn one_household_of_ipv6_addresses_has_one_budget_and_fills_no_memory_of_others() {
        let mut asked = Asked::nobody();
        let neighbour = |number: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, number]);
        let may = |number: &u16| {
            let guest = guest(*number, neighbour(*number), Class::Stranger);
            asked.may_ask(&guest, Timestamp(0))
        };
        let served = (0..5_000).filter(may).count();
        assert_eq!(served, usize::try_from(limits::REACH_OF_ADDRESS.burst).unwrap());
        let other = IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]);
        assert!(asked.may_ask(&guest(1, other, Class::Stranger), Timestamp(0)));
    }

    #[test]
    fn strangers_who_fill_all_memory_keep_no_member_from_asking() {
        let mut asked = Asked::nobody();
        for number in 0..2_000_u16 {
            let [first, second] = number.to_be_bytes();
            let address = IpAddr::from([10, first, second, 1]);
            asked.may_ask(&guest(number, address, Class::Stranger), Timestamp(0));
        }
        let address = IpAddr::from([203, 0, 113, 7]);
        assert!(!asked.may_ask(&guest(1, address, Class::Stranger), Timestamp(0)), "it is full");
        assert!(
            (1..=50)
                .all(|peer| { asked.may_ask(&guest(peer, address, Class::Member), Timestamp(0)) })
        );
    }
}
