//! Why servers of the ledger are not well, and who is told.
//!
//! Promises: each of them is told in the log once, when it falls ill. Does not: look at servers.

use haulout_protocol::machine::conditions::IllServer;
use haulout_protocol::machine::ledger_history::{Doubt, Verdict};
use haulout_protocol::machine::ledger_servers::{Finding, Servers};
use tracing::warn;

use crate::chain::{CallError, FollowError};

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
pub(super) fn finding(error: &FollowError) -> Option<Finding> {
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
