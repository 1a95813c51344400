//! The right to keep a core busy: what is checked, proved or rebuilt asks for it first.
//!
//! Promises: no more cores are busy than there are rights, and the duties share them by weight (`machine::turns`); a right is
//! given back when it is dropped, wherever that is. Does not: interrupt work: whoever has much of it asks anew for each piece.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use haulout_protocol::machine::duty::{Duty, PerDuty};
use haulout_protocol::machine::turns::{Ticket, Turns};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// All rights; a cheap handle.
#[derive(Clone, Debug)]
pub(super) struct Cores {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug)]
struct Table {
    turns: Turns,
    waiting: BTreeMap<Ticket, oneshot::Sender<()>>,
}

impl Table {
    /// Tells those whose turn it is. Whoever asked may have gone; its right comes back when it is dropped.
    fn grant(&mut self) {
        for ticket in self.turns.grant() {
            let _ = self.waiting.remove(&ticket).map(|granted| granted.send(()));
        }
    }
}

/// The right to keep one core busy, until it is dropped; a request for it, until it is granted.
#[derive(Debug)]
pub(crate) struct Core {
    ticket: Ticket,
    /// Since when it is held.
    since: Option<Instant>,
    cores: Cores,
}

impl Drop for Core {
    fn drop(&mut self) {
        let took = self.since.map_or(0, |since| since.elapsed().as_micros());
        let mut table = self.cores.table();
        table.waiting.remove(&self.ticket);
        table.turns.release(self.ticket, u64::try_from(took).unwrap_or(u64::MAX));
        table.grant();
    }
}

impl Cores {
    /// So many cores, shared by weight.
    pub(super) fn new(count: usize, weights: PerDuty<u64>) -> Self {
        let table = Table { turns: Turns::new(count, weights), waiting: BTreeMap::new() };
        Cores { table: Arc::new(Mutex::new(table)) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks; what comes back may be granted already.
    fn ask(&self, duty: Duty) -> (Core, oneshot::Receiver<()>) {
        let (granted, hears) = oneshot::channel();
        let mut table = self.table();
        let ticket = table.turns.ask(duty);
        table.waiting.insert(ticket, granted);
        table.grant();
        drop(table);
        (Core { ticket, since: None, cores: self.clone() }, hears)
    }

    /// Waits for a core.
    pub(super) async fn core(&self, duty: Duty) -> Core {
        let (mut core, hears) = self.ask(duty);
        // Only a request that is granted loses its sender.
        let _ = hears.await;
        core.since = Some(Instant::now());
        core
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const WEIGHTS: PerDuty<u64> = PerDuty { clients: 1, repair: 1, handover: 1, challenges: 1 };

    #[tokio::test]
    async fn a_core_goes_to_the_next_in_line_and_past_whoever_gave_up() {
        let cores = Cores::new(1, WEIGHTS);
        let held = cores.core(Duty::Clients).await;
        let mut gives_up = Box::pin(cores.core(Duty::Clients));
        assert!((&mut gives_up).now_or_never().is_none(), "the only core is busy");
        let mut waits = Box::pin(cores.core(Duty::Repair));
        assert!((&mut waits).now_or_never().is_none());
        drop(gives_up);
        drop(held);
        let next = waits.now_or_never().expect("nobody is before it");
        drop(next);
        assert!(cores.core(Duty::Clients).now_or_never().is_some());
    }
}
