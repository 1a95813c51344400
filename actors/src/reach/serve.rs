//! Dialling back whoever asks.
//!
//! Promises: only the address the question came from is dialled, and only as often as its budget allows. Does not: look for
//! another address, or keep the connection.

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use haulout_protocol::machine::budgets::Budgets;
use haulout_protocol::wire::Refusal;
use haulout_protocol::wire::reach::{Reply, Request};

use crate::asking::Clock;
use crate::limits;
use crate::network::Network;
use crate::serving::{Ended, Fault, Visit};

/// Who asked lately.
#[derive(Debug)]
pub(super) struct Desk {
    network: Network,
    clock: Clock,
    spent: Mutex<Budgets<std::net::IpAddr>>,
}

impl Desk {
    pub(super) fn new(network: Network) -> Arc<Desk> {
        let spent = Budgets::new(limits::REACH_OF_ADDRESS, limits::REACH_ADDRESSES_REMEMBERED);
        Arc::new(Desk { network, clock: Clock::start(), spent: Mutex::new(spent) })
    }

    /// Whether this address has not asked too often; then it has asked once more.
    fn may_ask(&self, ip: std::net::IpAddr) -> bool {
        let now = self.clock.now();
        let mut spent = self.spent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let may = spent.has_left(ip, now);
        if may {
            spent.spend(ip, now);
        }
        may
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
    let ip = visit.place.guest().address.ok_or_else(busy)?;
    if !desk.may_ask(ip) {
        return Err(busy());
    }
    let dials = request.doors.iter().map(|door| desk.network.dial_back(visit.peer, ip, *door));
    let tried = join_all(dials).await;
    visit.stream.write_frame(&Reply::dialled(ip, tried)).await?;
    Ok(visit.stream.flush().await?)
}
