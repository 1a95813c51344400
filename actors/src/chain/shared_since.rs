//! Since when our objects are shared: transactions name that version, and one that names another is never taken.
//!
//! Promises: what one server said is no longer believed than until a transaction is refused; then others are asked, and what
//! more of them say is named; what is proven replaces what was said.
//! Does not: find out who lied.

use haulout_protocol::chain::{self, ObjectId};
use sui_sdk_types::{Object, Owner};
use tracing::warn;

use super::error::CallError;
use super::handle::Chain;
use super::shared_versions::SharedSince;
use haulout_protocol::machine::ledger_servers::Finding;

impl Chain {
    /// What is known of it.
    pub(super) fn since(&self) -> SharedSince {
        *self.shared.since.borrow()
    }

    /// Takes over what proven objects say of it.
    pub(super) fn prove_since(&self, id: &ObjectId, object: &Object) {
        let Owner::Shared(version) = *object.owner() else { return };
        let options = &self.shared.options;
        self.shared.since.send_if_modified(|since| {
            let before = *since;
            if *id == options.system {
                since.system = version;
            } else if *id == options.params {
                since.params = version;
            } else if *id == chain::staking_inner(&options.staking) {
                since.staking = version;
            }
            *since != before
        });
    }

    /// Asks all servers anew, after a transaction was refused: whether more of them say something else than what was named,
    /// which is named from now on.
    pub(super) async fn renew_since(&self) -> bool {
        let named = self.since();
        let said = self.ask_all(|chain| async move { chain.shared_since().await.ok() }).await;
        let said: Vec<SharedSince> = said.into_iter().flatten().collect();
        let Some(other) = better(&named, &said) else { return false };
        warn!(
            "the ledger does not take transactions that say since when the network's objects are shared as one server said it: \
             what others say is used"
        );
        self.shared.since.send_replace(other);
        true
    }

    /// Versions at which our objects became shared.
    pub(super) async fn shared_since(&self) -> Result<SharedSince, CallError> {
        let options = &self.shared.options;
        let staking = chain::staking_inner(&options.staking);
        let ids = [options.system, options.params, staking, options.treasury];
        let found = self.objects(&ids).await?;
        let since = |index: usize| found[index].owner().version();
        Ok(SharedSince {
            system: since(0),
            params: since(1),
            staking: since(2),
            treasury: since(3),
        })
    }

    /// The versions at which our objects became shared, of the first server that has them: one of another network, or that is being
    /// filled, makes way for the next. If none has them, the last reason is told.
    pub(super) async fn shared_since_of_any(&self) -> Result<SharedSince, CallError> {
        let mut left = self.servers.len();
        loop {
            left -= 1;
            match self.shared_since().await {
                // Those that do not answer at all were gone through, and waited for.
                Err(error) if left > 0 && !matches!(error, CallError::Unreachable { .. }) => {
                    let server = self.server();
                    warn!(%error, ledger = self.servers[server].url, "this server lacks what the network is made of");
                    self.found(server, Finding::Silent);
                }
                said => return said,
            }
        }
    }
}

/// What at least as many servers say as say what was named and refused; the most of them, if they differ.
fn better(named: &SharedSince, said: &[SharedSince]) -> Option<SharedSince> {
    let votes = |one: &SharedSince| said.iter().filter(|other| *other == one).count();
    let others = said.iter().filter(|one| *one != named);
    let most = others.max_by_key(|one| votes(one))?;
    (votes(most) >= votes(named)).then_some(*most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_makes_way_for_what_as_many_servers_say() {
        let of = |system| SharedSince { system, ..SharedSince::default() };
        let (lie, truth) = (of(9), of(1));
        assert_eq!(better(&lie, &[lie, truth, truth]), Some(truth));
        assert_eq!(better(&lie, &[lie, truth]), Some(truth), "one of both was refused");
        assert_eq!(
            better(&lie, &[truth]),
            Some(truth),
            "kept from a server that is not asked any more"
        );
        assert_eq!(better(&truth, &[lie, truth, truth]), None, "it was refused for something else");
        assert_eq!(better(&truth, &[truth]), None);
        assert_eq!(better(&truth, &[]), None);
    }
}
