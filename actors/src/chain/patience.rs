//! Waiting for a ledger that does not answer.
//!
//! Promises: an exchange that got no answer is repeated, with pauses that grow and differ from
//! caller to caller, until the chain's patience ends; then the last failure is told as it is. The
//! person hears once that an outage began and once that it ended. Only what changes nothing is
//! repeated here, or the same signed bytes.
//! Does not: repeat what the ledger refused, or build a transaction anew.

use std::sync::atomic::Ordering;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use haulout_protocol::machine::ledger_servers::Finding;
use sui_rpc::Client;
use tokio::time::Instant;
use tonic::{Response, Status};
use tracing::{debug, info, warn};

use super::error::CallError;
use super::handle::Chain;
use crate::limits;

/// What is left of the time to wait, and how long to pause next.
#[derive(Debug)]
pub(super) struct Patience {
    ends: Instant,
    pauses: ExponentialBackoff,
}

impl Patience {
    /// So much time from now on.
    pub(super) fn new(time: Duration) -> Patience {
        Patience { ends: Instant::now() + time, pauses: pauses() }
    }

    /// Pauses before another attempt, the last of which begins when the time is over; `false` at once
    /// after that.
    pub(super) async fn pause(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.ends {
            return false;
        }
        let pause = self.pauses.next().unwrap_or(limits::CHAIN_BACKOFF_MAX);
        tokio::time::sleep_until(self.ends.min(now + pause)).await;
        true
    }

    /// Until when an attempt that begins at this moment may take, if so many other servers are to be asked after it: all of them
    /// together take no longer than one would.
    fn attempt_ends(&self, now: Instant, others: u32) -> Instant {
        let last = self.ends + limits::CHAIN_LAST_ANSWER_TIMEOUT;
        match others {
            0 => self.ends.max(now + limits::CHAIN_LAST_ANSWER_TIMEOUT).min(last),
            _ => now + last.saturating_duration_since(now) / others.saturating_add(1),
        }
    }
}

/// Pauses between attempts at the ledger: they double, and each is up to twice as long by chance,
/// so that those who failed together do not come back together.
pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(limits::CHAIN_BACKOFF_MIN)
        .with_max_delay(limits::CHAIN_BACKOFF_MAX)
        .without_max_times()
        .build()
}

impl Chain {
    /// The same ledger for somebody who prefers a failure to waiting: each exchange is tried once.
    #[must_use]
    pub fn impatient(&self) -> Chain {
        Chain { patience: Duration::ZERO, ..self.clone() }
    }

    /// The same ledger for somebody who waits this long for it.
    #[must_use]
    pub fn patient(&self, patience: Duration) -> Chain {
        Chain { patience, ..self.clone() }
    }

    /// How long this handle waits for a ledger that does not answer.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// One exchange that changes nothing, repeated while the ledger does not answer; `what` names
    /// the thing asked for.
    pub(super) async fn ask<Answer, Sent>(
        &self,
        what: &str,
        send: impl Fn(Client) -> Sent,
    ) -> Result<Answer, CallError>
    where
        Sent: Future<Output = Result<Response<Answer>, Status>>,
    {
        self.exchange(send).await.map_err(|status| self.call_error(&status, what))
    }

    /// As [`Chain::ask`], for those who look at the refusal themselves.
    pub(super) async fn exchange<Answer, Sent>(
        &self,
        send: impl Fn(Client) -> Sent,
    ) -> Result<Answer, Status>
    where
        Sent: Future<Output = Result<Response<Answer>, Status>>,
    {
        let mut patience = Patience::new(self.patience);
        // Each server is asked once before anybody waits.
        let others = if self.pinned.is_none() { self.servers.len() - 1 } else { 0 };
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        let mut left = others;
        loop {
            let server = self.server();
            let attempt = send(self.servers[server].client.clone());
            let within = Instant::now() + self.answer_within();
            let until = match self.patience.is_zero() {
                true => within,
                false => within.min(patience.attempt_ends(Instant::now(), left)),
            };
            let answer = match tokio::time::timeout_at(until, attempt).await {
                Ok(answer) => answer,
                Err(_) => Err(Status::deadline_exceeded("no answer in time")),
            };
            let status = match answer {
                Ok(answer) => {
                    self.answered(server);
                    return Ok(answer.into_inner());
                }
                Err(status) => status,
            };
            let error = self.call_error(&status, "");
            if !matches!(error, CallError::Unreachable { .. }) {
                return Err(status);
            }
            self.fell_silent(server);
            match left.checked_sub(1) {
                Some(fewer) => left = fewer,
                None if self.wait_out(&mut patience, &error).await => left = others,
                None => return Err(status),
            }
        }
    }

    /// Pauses before the ledger is tried again, `false` at once if the time is over. The first
    /// to notice that it is silent says so, unless nobody waits for it.
    pub(super) async fn wait_out(&self, patience: &mut Patience, silence: &CallError) -> bool {
        if self.patience.is_zero() {
            debug!(%silence, "nobody waits for the ledger");
        } else if !self.shared.is_silent.swap(true, Ordering::Relaxed) {
            // What is left of it when a handle is made is no number for people.
            let up_to = self.patience.max(self.shared.options.patience);
            warn!(waits_for = "ledger", "{silence}; waiting for it, up to {up_to:?}");
        } else {
            debug!(%silence, "still waiting for the ledger");
        }
        patience.pause().await
    }

    /// Notes an answer of a server.
    pub(super) fn answered(&self, server: usize) {
        let was_silent = self.shared.standings.borrow().finding(server) == Finding::Silent;
        if was_silent && self.pinned.is_none() {
            self.found(server, Finding::Unknown);
        }
        if self.shared.is_silent.swap(false, Ordering::Relaxed) {
            info!(waits_for = "ledger", ledger = %self.url(), "the ledger answers again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_attempt_begins_when_the_patience_ends_and_none_after_it() {
        assert!(!Patience::new(Duration::ZERO).pause().await);
        let (begun, time) = (Instant::now(), limits::CHAIN_BACKOFF_MIN * 5);
        let mut patience = Patience::new(time);
        let mut attempts = 1;
        while patience.pause().await {
            attempts += 1;
        }
        assert!((2..=5).contains(&attempts), "{attempts} attempts");
        assert!(begun.elapsed() >= time, "none of it is given away");
    }

    #[test]
    fn however_many_servers_hang_they_are_waited_for_no_longer_than_one() {
        for servers in 1..=3 {
            let time = limits::CHAIN_LAST_ANSWER_TIMEOUT / 2;
            let patience = Patience::new(time);
            let begun = patience.ends - time;
            let (mut now, mut is_last) = (begun, false);
            while !is_last {
                is_last = now >= patience.ends;
                for left in (0..servers).rev() {
                    let ends = patience.attempt_ends(now, left);
                    assert!(ends > now || is_last, "each of them may answer");
                    now = ends;
                }
            }
            let took = now - begun;
            assert!(took <= time + limits::CHAIN_LAST_ANSWER_TIMEOUT, "{servers}: {took:?}");
        }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        let bound = limits::CHAIN_BACKOFF_MAX * 2; // by chance up to twice as long
        let [first, second] = [(); 2].map(|()| pauses().take(12).collect::<Vec<_>>());
        assert_ne!(first, second);
        assert!(first[0] >= limits::CHAIN_BACKOFF_MIN && first[11] >= limits::CHAIN_BACKOFF_MAX);
        assert!(first.iter().all(|pause| *pause <= bound));
    }
}
