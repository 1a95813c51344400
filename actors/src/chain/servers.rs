//! The servers of one ledger: which of them is asked, and what the others show meanwhile.
//!
//! Promises: a server that does not answer is left for the next at once; one that is looked at is judged by what was
//! verified, never by its word; every look ends in bounded time.
//! Does not: decide who is asked; `ledger_servers` does.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::machine::ledger_history::{CheckpointDigest, Doubt, Verdict};
use haulout_protocol::machine::ledger_servers::{self, Agreement, Finding, Servers};
use sui_rpc::Client;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::error::{CallError, FollowError};
use super::handle::Chain;
use super::network_objects::NetworkObjects;
use super::proof::Written;
use super::proof::{self, Unproven};
use super::system_view::SystemView;
use super::validators::Validators;
use super::witness::Witness;
use crate::limits;

impl Chain {
    /// Whether there is more than one server to choose from.
    pub(crate) fn has_choice(&self) -> bool {
        self.servers.len() > 1
    }

    /// What is known of the servers.
    pub(crate) fn standings(&self) -> &watch::Sender<Servers> {
        &self.shared.standings
    }

    /// The addresses of all servers, in their order.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.servers.iter().map(|server| server.url.as_str())
    }

    /// The place of the server that this handle asks now.
    pub(crate) fn server(&self) -> usize {
        let current = || self.shared.standings.borrow().current();
        self.pinned.unwrap_or_else(current).min(self.servers.len() - 1)
    }

    /// The same ledger through one server, whatever becomes of the choice.
    pub(crate) fn at(&self, server: usize) -> Chain {
        Chain { pinned: Some(server), ..self.clone() }
    }

    /// The connection to the server that is asked now.
    pub(super) fn client(&self) -> Client {
        self.servers[self.server()].client.clone()
    }

    /// How long a question may take before another server is asked.
    pub(super) fn answer_within(&self) -> Duration {
        match self.has_choice() {
            true => limits::CHAIN_OTHER_SERVER_AFTER,
            false => limits::CHAIN_ANSWER_TIMEOUT,
        }
    }

    /// Notes what was found of a server.
    pub(crate) fn found(&self, server: usize, finding: Finding) {
        self.shared.standings.send_if_modified(|servers| {
            let before = servers.clone();
            servers.found(server, finding);
            if servers.current() != before.current() {
                let (from, to) = (before.current(), servers.current());
                let (from, to) = (&self.servers[from].url, &self.servers[to].url);
                info!(%from, %to, "asking another server of the ledger");
            }
            *servers != before
        });
    }

    /// Notes that a server showed what was proven, up to this time of the ledger.
    pub(crate) fn follows(&self, server: usize, time_ms: u64) {
        self.found(server, Finding::Sound { time_ms, is_proven: true });
        self.shared.standings.send_if_modified(|servers| {
            let before = servers.clone();
            servers.verified(time_ms);
            *servers != before
        });
    }

    /// Notes that a server did not answer, for a handle that may ask another one.
    pub(super) fn fell_silent(&self, server: usize) {
        if self.pinned.is_none() && self.has_choice() {
            self.found(server, Finding::Silent);
        }
    }

    /// Notes that a server said at this checkpoint what is not so; whether another one is asked from now on.
    pub(crate) fn disbelieve(&self, server: usize, checkpoint: u64) -> bool {
        if self.pinned.is_some() || !self.has_choice() {
            return false;
        }
        warn!(
            ledger = self.servers[server].url,
            "this server says what is not so; another one is asked"
        );
        self.found(server, Finding::Doubted(Doubt { verdict: Verdict::Disputed, checkpoint }));
        self.server() != server
    }

    /// Looks at what this handle's server shows now.
    pub(crate) async fn look(&self, witness: &Witness) -> Result<Finding, FollowError> {
        let looked = async {
            let tip = self.latest_shown().await?;
            let Some(last) = witness.history.last() else { return Ok(Finding::Unknown) };
            if tip.sequence() <= last.sequence {
                let at = tip.time_ms();
                witness.compare(self, tip).await?;
                return Ok(Finding::Sound { time_ms: at, is_proven: false });
            }
            let ours = self.shown_or_gap(last.sequence).await?;
            let (at, ours_at) = (tip.time_ms(), ours.time_ms());
            witness.compare(self, ours).await?;
            let Some(validators) = &witness.validators else {
                return Ok(Finding::Sound { time_ms: at, is_proven: false });
            };
            // Who signs in a later Sui epoch is not known yet.
            match validators.epoch() == tip.epoch() {
                true if tip.is_signed(validators) => {
                    Ok(Finding::Sound { time_ms: at, is_proven: true })
                }
                true => {
                    let checkpoint = tip.sequence();
                    Err(Doubt { verdict: Verdict::Forged, checkpoint }.into())
                }
                false => Ok(Finding::Sound { time_ms: ours_at, is_proven: false }),
            }
        };
        match tokio::time::timeout(limits::CHAIN_LOOK_TIMEOUT, looked).await {
            Ok(found) => found,
            Err(_) => Err(self.late("no answer in time").into()),
        }
    }

    /// Chooses, of several servers of which nothing is known, the one that answers first: nobody waits for one that hangs.
    pub(super) async fn ask_the_first_that_answers(&self) {
        if !self.has_choice() {
            return;
        }
        let mut asked: FuturesUnordered<_> = (0..self.servers.len())
            .map(|server| async move { (server, self.at(server).impatient().tip().await) })
            .collect();
        let answered = async {
            while let Some((server, tip)) = asked.next().await {
                match tip {
                    Ok((_, time_ms)) => {
                        return self.found(server, Finding::Sound { time_ms, is_proven: false });
                    }
                    Err(error) => {
                        debug!(%error, server = self.servers[server].url, "this server does not answer");
                        self.found(server, Finding::Silent);
                    }
                }
            }
        };
        // If nobody does, whoever asks in earnest says so, and needs most of the time for it.
        let time = match self.patience.is_zero() {
            true => limits::CHAIN_LOOK_TIMEOUT,
            false => limits::CHAIN_LOOK_TIMEOUT.min(self.patience / 2),
        };
        drop(tokio::time::timeout(time, answered).await);
    }

    /// What each of the servers answers, by its place; nothing for one that does not in time.
    pub(super) async fn ask_all<T, Asked>(&self, ask: impl Fn(Chain) -> Asked) -> Vec<Option<T>>
    where
        Asked: Future<Output = Option<T>>,
    {
        let asked = (0..self.servers.len()).map(|server| {
            let answer = ask(self.at(server).impatient());
            async move { tokio::time::timeout(limits::CHAIN_OTHER_SERVER_AFTER, answer).await.ok()? }
        });
        futures::future::join_all(asked).await
    }

    /// The checkpoint of this number that enough servers show, where none of them shows signatures; those
    /// that show another one are noted.
    pub(super) async fn agreed_checkpoint(
        &self,
        sequence: u64,
    ) -> Result<CheckpointDigest, FollowError> {
        let doubt = Doubt { verdict: Verdict::Disputed, checkpoint: sequence };
        for _ in 0..limits::CHAIN_AGREEMENT_ATTEMPTS_MAX {
            let shown = self.ask_all(|chain| async move {
                chain.shown(sequence).await.ok().map(|shown| shown.digest())
            });
            match self.note_dissent(&shown.await, doubt) {
                Agreement::Agreed(digest) => return Ok(digest),
                Agreement::Disputed => break,
                Agreement::Open => tokio::time::sleep(limits::CHAIN_AGREEMENT_PAUSE).await,
            }
        }
        Err(doubt.into())
    }

    /// The validators of a Sui epoch of whom enough servers say that they are.
    pub(super) async fn agreed_validators(
        &self,
        epoch: u64,
        sequence: u64,
    ) -> Result<Validators, FollowError> {
        let doubt = Doubt { verdict: Verdict::Disputed, checkpoint: sequence };
        let told = self.ask_all(|chain| async move { chain.claimed_validators(epoch).await.ok() });
        let told = told.await;
        let digests: Vec<_> = told
            .iter()
            .map(|told| told.as_ref().map(|told| CheckpointDigest(told.digest())))
            .collect();
        let Agreement::Agreed(digest) = self.note_dissent(&digests, doubt) else {
            return Err(doubt.into());
        };
        let agreed = told.into_iter().flatten().find(|told| told.digest() == digest.0);
        Ok(agreed.expect("somebody said what most did"))
    }

    /// The present versions of objects, each as enough servers show it; nothing for those of which they show different ones, as
    /// they do for a moment after one was written.
    pub(super) async fn agreed_versions(&self, ids: &[ObjectId]) -> Vec<Option<Written>> {
        let shown = self.ask_all(|chain| async move { chain.versions(ids).await.ok() }).await;
        let agreed = (0..ids.len()).map(|index| {
            let of_each = |written: &Option<Vec<Written>>| written.as_ref()?.get(index).copied();
            let shown: Vec<Option<Written>> = shown.iter().map(of_each).collect();
            let digests = shown.iter().map(|it| it.map(|it| CheckpointDigest(it.digest)));
            let digests: Vec<_> = digests.collect();
            let Agreement::Agreed(digest) = ledger_servers::agree(&digests) else { return None };
            shown.into_iter().flatten().find(|written| written.digest == digest.0)
        });
        agreed.collect()
    }

    /// Counts, and notes those who say something else than most.
    fn note_dissent(&self, shown: &[Option<CheckpointDigest>], doubt: Doubt) -> Agreement {
        let agreement = ledger_servers::agree(shown);
        if let Agreement::Agreed(digest) = agreement {
            let others = shown.iter().enumerate();
            let others = others.filter(|(_, shown)| shown.is_some_and(|shown| shown != digest));
            others.for_each(|(server, _)| self.found(server, Finding::Doubted(doubt)));
        }
        agreement
    }

    /// What most of the servers that answer say of the network now. Somebody who follows no history has nothing better;
    /// one server alone is believed if no other one answers.
    pub(super) async fn system_of_most(&self) -> Result<SystemView, CallError> {
        let mut asked: FuturesUnordered<_> = (0..self.servers.len())
            .map(|server| async move {
                let chain = self.at(server).impatient();
                let said = Box::pin(chain.system_of_one());
                (server, tokio::time::timeout(limits::CHAIN_OTHER_SERVER_AFTER, said).await)
            })
            .collect();
        let mut views: Vec<(usize, SystemView)> = Vec::new();
        let mut failure = None;
        let like = |views: &[(usize, SystemView)], one: &NetworkObjects| {
            views.iter().filter(|(_, view)| view.source.describes_as(one)).count()
        };
        let enough = ledger_servers::quorum(self.servers.len());
        while let Some((server, said)) = asked.next().await {
            match said {
                Ok(Ok(view)) => views.push((server, view)),
                Ok(Err(error)) => {
                    failure = failure.or(Some(error));
                    self.found(server, Finding::Silent);
                }
                Err(_) => self.found(server, Finding::Silent),
            }
            // Who says the same as enough others need not wait for the rest.
            if views.last().is_some_and(|(_, view)| like(&views, &view.source) >= enough) {
                break;
            }
        }
        drop(asked);
        let Some((_, most)) = views.iter().max_by_key(|(_, view)| like(&views, &view.source))
        else {
            return Err(failure.unwrap_or_else(|| self.late("no answer in time")));
        };
        // Among equals the latest that enough others have passed, too: one alone may claim any checkpoint.
        let equals = views.iter().map(|(_, view)| view);
        let mut equals: Vec<_> =
            equals.filter(|view| view.source.describes_as(&most.source)).cloned().collect();
        equals.sort_by_key(|view| std::cmp::Reverse(view.position.read_at));
        let best = equals.swap_remove((enough - 1).min(equals.len() - 1));
        let (agreeing, answered) = (like(&views, &best.source), views.len());
        if agreeing * 2 <= answered {
            let servers: Vec<&str> =
                views.iter().map(|(it, _)| self.servers[*it].url.as_str()).collect();
            return Err(CallError::Disputed { servers: servers.join(", ") });
        }
        for (server, view) in &views {
            let finding = match view.source.describes_as(&best.source) {
                true => Finding::Sound { time_ms: view.position.ledger_ms, is_proven: false },
                false => {
                    let ledger = &self.servers[*server].url;
                    warn!(%ledger, "this server says something else of the network than most; it is not asked");
                    let checkpoint = view.position.read_at;
                    Finding::Doubted(Doubt { verdict: Verdict::Disputed, checkpoint })
                }
            };
            self.found(*server, finding);
        }
        debug!(agreeing, answered, "the servers were asked for the network");
        Ok(best)
    }
}

impl Witness {
    /// Makes sure that a checkpoint which is no news is one that was verified, with all that belongs to it.
    async fn compare(&self, chain: &Chain, shown: Unproven) -> Result<(), FollowError> {
        let checkpoint = shown.sequence();
        let is_theirs = |validators: &&Validators| validators.epoch() == shown.epoch();
        let unsigned = self.validators.as_ref().filter(is_theirs);
        if unsigned.is_some_and(|validators| !shown.is_signed(validators)) {
            return Err(Doubt { verdict: Verdict::Forged, checkpoint }.into());
        }
        let (history, validators) = (self.history.clone(), self.validators.clone());
        let ours = chain.ours();
        let proving = move || proof::prove(&[shown], history, (validators, None), &ours);
        let proved = tokio::task::spawn_blocking(proving).await;
        let proved =
            proved.map_err(|_| CallError::unreadable("comparing a checkpoint panicked"))??;
        proved.doubt.map_or(Ok(()), |doubt| Err(doubt.into()))
    }
}

#[cfg(test)]
mod tests;
