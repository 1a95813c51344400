//! What chain sync makes of several servers of one ledger: looks at each now and then, and names those that are not well.
//!
//! Promises: all servers are looked at, also those that are not followed; one that was not believed is believed again only
//! when its objects are right, too; what is named is true of the last look or the last failure.
//! Does not: choose (`ledger_servers` does), or run anything where only one server is configured.

use futures::future::join_all;
use haulout_protocol::machine::conditions::IllServer;
use haulout_protocol::machine::ledger_history::{Doubt, Verdict};
use haulout_protocol::machine::ledger_servers::{Finding, Servers};
use haulout_storage::Store;
use ractor::ActorRef;
use tracing::{error, warn};

use super::{Follow, Message, State, read_proven};
use crate::chain::{CallError, Chain, FollowError, ViewError, Witness};
use crate::limits;

/// What one look at a server found.
pub(crate) type Look = (usize, Result<Finding, FollowError>);

/// Why servers are not well, as they or the network said it.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    reasons: Vec<String>,
    /// Those of which the log tells already.
    named: Vec<String>,
}

/// What a failure says of the server that it came from; nothing if it says nothing.
fn finding(error: &FollowError) -> Option<Finding> {
    match error {
        // How late it is, a look tells.
        FollowError::Doubt(Doubt { verdict: Verdict::Behind, .. }) => None,
        FollowError::Doubt(doubt) => Some(Finding::Doubted(*doubt)),
        // Who of them is wrong, nobody knows.
        FollowError::Call(CallError::Disputed { .. }) => None,
        FollowError::Call(_) => Some(Finding::Silent),
        FollowError::Moved | FollowError::NoEnd { .. } | FollowError::TrustedLater { .. } => None,
    }
}

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

impl Reasons {
    /// Notes why a server failed.
    pub(super) fn note(&mut self, server: usize, error: &FollowError) {
        if self.reasons.len() <= server {
            self.reasons.resize(server + 1, String::new());
        }
        self.reasons[server] = error.to_string();
    }

    /// The servers that are not well; each of them is told in the log when it falls ill.
    pub(super) fn name(&mut self, servers: &Servers, urls: &[&str]) -> Vec<IllServer> {
        let ill = urls.iter().enumerate().filter_map(|(server, url)| {
            let standing = servers.standing(server);
            (!standing.is_well()).then(|| IllServer {
                url: (*url).to_owned(),
                standing,
                reason: self.reasons.get(server).cloned().unwrap_or_default(),
                of: servers.count(),
            })
        });
        let ill: Vec<IllServer> = ill.collect();
        for one in &ill {
            if !self.named.contains(&one.url) {
                warn!(server = one.url, standing = ?one.standing, reason = one.reason, "a server of the ledger is not well");
            }
        }
        self.named = ill.iter().map(|one| one.url.clone()).collect();
        ill
    }
}

#[cfg(test)]
mod tests {
    use haulout_protocol::machine::ledger_servers::Standing;

    use super::*;

    #[test]
    fn each_server_that_is_not_well_is_named_by_its_address_and_what_is_wrong() {
        let mut servers = Servers::new(4);
        let mut reasons = Reasons::default();
        let doubt = Doubt { verdict: Verdict::Fork, checkpoint: 7 };
        servers.found(0, Finding::Doubted(doubt));
        servers.found(1, Finding::Silent);
        reasons.note(1, &FollowError::NoEnd { sequence: 4 });
        servers.found(2, Finding::Sound { time_ms: 1_000, is_proven: true });
        servers.found(3, Finding::Sound { time_ms: 91_000, is_proven: true });
        let urls = ["http://a", "http://b", "http://c", "http://d"];
        let named = reasons.name(&servers, &urls);
        let is = |url: &str, standing| IllServer {
            url: url.to_owned(),
            standing,
            reason: match url {
                "http://b" => FollowError::NoEnd { sequence: 4 }.to_string(),
                _ => String::new(),
            },
            of: 4,
        };
        let expected = [
            is("http://a", Standing::Doubted(doubt)),
            is("http://b", Standing::Silent),
            is("http://c", Standing::Behind { by_ms: 90_000 }),
        ];
        assert_eq!(named, expected);
        (0..3).for_each(|server| servers.found(server, servers.finding(3)));
        assert!(reasons.name(&servers, &urls).is_empty());
    }
}
