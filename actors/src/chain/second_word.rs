//! That a transaction was executed, on more than one server's word.
//!
//! Promises: where several servers are known, what is told is what two of them say of the same signed bytes, or what validators
//! signed; a server that kept a transaction from the ledger thereby does not stop it: the next one is given it, and the ledger
//! executes it once. If nobody bears a server out, what it says is told as its word alone, for it may have been paid.
//! Does not: wait for servers that do not answer.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tracing::debug;

use super::draft::Built;
use super::proof::Unproven;
use super::submit::Executed;
use super::{CallError, Chain, FollowError, Wallet};
use crate::limits;

impl Chain {
    /// As [`Chain::run`]; and if there are several servers, another one, or the ledger's validators, must say the same.
    pub(super) async fn run_surely<Build, Building>(
        &self,
        wallet: &Wallet,
        build: Build,
    ) -> Result<Executed, CallError>
    where
        Build: Fn(Chain) -> Building,
        Building: Future<Output = Result<Built, CallError>>,
    {
        let executed = self.run(wallet, build).await?;
        match self.pinned.is_none() && self.has_choice() {
            true => Ok(self.borne_out(wallet, executed).await),
            false => Ok(executed),
        }
    }

    /// What most can be said for: the same as two servers say, or what is signed; else the first server's word.
    async fn borne_out(&self, wallet: &Wallet, first: Executed) -> Executed {
        let first_server = first.server;
        let others = (0..self.servers.len()).filter(|server| *server != first_server);
        let sent = &first;
        let ask = |server| async move {
            let chain = self.at(server).impatient();
            let again = chain.send_again(wallet, sent);
            let answer = tokio::time::timeout(limits::CHAIN_OTHER_SERVER_AFTER, again).await;
            answer.unwrap_or_else(|_| Err(chain.late("no answer in time")))
        };
        let mut asked: FuturesUnordered<_> = others.map(ask).collect();
        let mut said = Vec::new();
        while let Some(other) = asked.next().await {
            match other {
                Ok(other) if first.says_as(&other) => {
                    drop(asked);
                    return first;
                }
                Ok(other) if said.iter().any(|one| other.says_as(one)) => {
                    drop(asked);
                    self.disbelieve(first_server, first.checkpoint.unwrap_or_default());
                    return self.in_checkpoint(wallet, other).await;
                }
                Ok(other) => said.push(other),
                Err(error) => debug!(%error, "this server bears nothing out"),
            }
        }
        drop(asked);
        said.insert(0, first);
        let mut only = None;
        for executed in said {
            let mut executed = self.in_checkpoint(wallet, executed).await;
            if self.is_signed(&executed).await {
                return executed;
            }
            executed.only_said_by = Some(self.servers[executed.server].url.clone());
            only.get_or_insert(executed);
        }
        only.expect("the first is one of them")
    }

    /// Whether the ledger's validators signed that it was executed so.
    async fn is_signed(&self, executed: &Executed) -> bool {
        let Some(sequence) = executed.checkpoint else { return false };
        let proving = async {
            let chain = self.at(executed.server).impatient();
            let shown = chain.shown(sequence).await?;
            let validators = self.validators_of(shown.epoch(), sequence).await?;
            let is_done = |shown: &Unproven| -> Result<bool, CallError> {
                let told = shown.events_of(&executed.digest, &self.ours().package)?;
                Ok(told.is_some_and(|events| events == executed.events))
            };
            Ok::<_, FollowError>(shown.is_signed(&validators) && is_done(&shown)?)
        };
        match tokio::time::timeout(limits::CHAIN_ANSWER_TIMEOUT, proving).await {
            Ok(Ok(is_signed)) => is_signed,
            Ok(Err(error)) => {
                debug!(%error, "no signature bears the server out");
                false
            }
            Err(_) => false,
        }
    }
}
