//! Reaching a ledger for the first time, or again.
//!
//! Promises: ends in bounded time, which includes waiting for a ledger that is away for a moment.
//! Does not: choose a server for longer than the first question; `servers` does.

use tokio::time::Instant;

use super::error::CallError;
use super::handle::{Chain, shared};
use super::network_objects::NetworkObjects;
use super::options::ChainOptions;
use super::server;
use super::shared_versions::SharedSince;
use crate::limits;

impl Chain {
    /// Reaches the ledger and finds our objects on it.
    pub async fn connect(options: ChainOptions) -> Result<Chain, CallError> {
        let servers = server::all_of(&options)?.into();
        let patience = options.patience;
        let shared_now = shared(options, SharedSince::default());
        let mut chain = Chain { servers, shared: shared_now, pinned: None, patience, rivals: None };
        let begun = Instant::now();
        chain.ask_the_first_that_answers().await;
        // Who waits for a ledger waits also for one that was away already when it was needed.
        let longest = match patience.is_zero() {
            true => limits::CHAIN_CONNECT_TIMEOUT,
            false => patience + limits::CHAIN_ANSWER_TIMEOUT,
        };
        // What was waited already is waited once.
        let rest = chain.patient(patience.saturating_sub(begun.elapsed()));
        let reached = tokio::time::timeout(longest, rest.shared_since_of_any());
        let Ok(found) = reached.await else {
            return Err(chain.late("no answer in time"));
        };
        let options = chain.shared.options.clone();
        let known = chain.shared.standings.borrow().clone();
        chain.shared = shared(options, found?);
        chain.shared.standings.send_replace(known);
        Ok(chain)
    }

    /// A ledger that was reached before, when the network's objects were these. Nothing is asked.
    pub fn resume(options: ChainOptions, known: &NetworkObjects) -> Result<Chain, CallError> {
        let servers = server::all_of(&options)?.into();
        let patience = options.patience;
        let shared = shared(options, known.since);
        Ok(Chain { servers, shared, pinned: None, patience, rivals: None })
    }
}
