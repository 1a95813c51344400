//! What chain sync makes of several servers of one ledger: looks at each now and then, and names those that are not well.
//!
//! Promises: all servers are looked at, also those that are not followed; one that was not believed is believed again only
//! when its objects are right, too; what is named is true of the last look or the last failure.
//! Does not: choose (`ledger_servers` does), or run anything where only one server is configured.

use futures::future::join_all;
use haulout_protocol::machine::ledger_servers::Finding;
use haulout_storage::Store;
use ractor::ActorRef;
use tracing::error;

use super::follow::Follow;
use super::reading::read_proven;
use super::reasons::{Look, finding};
use super::state::{Message, State};
use crate::chain::{Chain, FollowError, ViewError, Witness};
use crate::limits;

/// Looks at every server. `store` knows what objects must be like, for those that follow them.
async fn look_at_all(chain: Chain, witness: Witness, store: Option<Store>) -> Vec<Look> {
    let standings = chain.standings().borrow().clone();
    join_all((0..standings.count()).map(|server| {
        let (chain, witness, store) = (chain.at(server), &witness, store.as_ref());
        let was_doubted = matches!(standings.finding(server), Finding::Doubted(_));
        async move {
            let looked = chain.look(witness).await;
            let last = witness.last().copied();
            if let (Ok(_), Some(store), Some(last), true) = (&looked, store, last, was_doubted)
                && let Err(ViewError::Doubt(doubt)) = read_proven(&chain, store, &last).await
            {
                return (server, Err(doubt.into()));
            }
            (server, looked)
        }
    }))
    .await
}

impl State {
    /// A server failed us: another one is asked at once, if there is a better one, or the same later.
    pub(super) fn failed(
        &mut self,
        myself: &ActorRef<Message>,
        server: usize,
        error: &FollowError,
    ) {
        if let Some(repair) = error.repair()
            && self.context.trust.misled(error.to_string(), repair)
        {
            error!(%error, next_step = repair, "nothing can be proven");
        }
        if !self.chain.has_choice() {
            if let FollowError::Doubt(doubt) = error {
                self.distrust(doubt);
            }
            return self.retry(myself, error);
        }
        self.found(server, error);
        self.name_servers();
        let (next, is_well) = {
            let servers = self.chain.standings().borrow();
            (servers.current(), servers.standing(servers.current()).is_well())
        };
        match next != server && is_well {
            true => self.go_on(myself),
            false => self.retry(myself, error),
        }
    }

    /// Notes why a server failed.
    fn found(&mut self, server: usize, error: &FollowError) {
        self.reasons.note(server, error);
        if let FollowError::Doubt(doubt) = error {
            self.context.metrics.ledger_doubted(doubt.verdict.as_str());
        }
        if let Some(finding) = finding(error) {
            self.chain.found(server, finding);
        }
    }

    /// Tells health which servers are not well, and all who sign if none of them is believed.
    pub(super) fn name_servers(&mut self) {
        if !self.chain.has_choice() {
            return;
        }
        let servers = self.chain.standings().borrow().clone();
        let urls: Vec<&str> = self.chain.urls().collect();
        self.context.trust.set_servers(self.reasons.name(&servers, &urls));
        if let Some(doubt) = servers.doubt() {
            self.distrust(&doubt);
        }
    }

    /// Starts the task that looks at all servers, once there is something to compare them with.
    pub(super) fn look(&mut self, myself: &ActorRef<Message>) {
        let Some(witness) = self.witness.clone() else {
            drop(myself.send_after(limits::CHAIN_LOOK_INTERVAL, || Message::LookDue));
            return;
        };
        let store = (self.follow == Follow::Blobs).then(|| self.context.store.clone());
        let chain = self.chain.clone();
        self.spawn(
            myself,
            async move { Message::Looked(look_at_all(chain, witness, store).await) },
        );
    }

    /// Notes what all servers show.
    pub(super) fn looked(&mut self, myself: &ActorRef<Message>, looks: Vec<Look>) {
        for (server, look) in looks {
            match look {
                Ok(Finding::Unknown) => {}
                Ok(finding) => self.chain.found(server, finding),
                Err(error) => self.found(server, &error),
            }
        }
        self.name_servers();
        drop(myself.send_after(limits::CHAIN_LOOK_INTERVAL, || Message::LookDue));
    }
}
