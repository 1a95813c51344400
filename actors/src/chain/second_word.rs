//! What is more than one server's word: that a transaction was executed, that there is no such thing, who a node is.
//!
//! Promises: where several servers are known, what is told is what two of them say of the same signed bytes, or what validators
//! signed; a server that kept a transaction from the ledger thereby does not stop it: the next one is given it, and the ledger
//! executes it once. If nobody bears a server out, what it says is told as its word alone, for it may have been paid.
//! That something is not there, or of bytes that make no sense, is said only after the other servers were asked.
//! Does not: wait for servers that do not answer.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::StakingPool;
use tracing::debug;

use super::draft::Built;
use super::error::{CallError, FollowError};
use super::handle::Chain;
use super::proof::Unproven;
use super::read::decode;
use super::submit::Executed;
use super::wallet::Wallet;
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

    /// What a server says of something; if that one has no such thing, or what it says is untrue or makes no sense, what the
    /// first of the others says that has it. If none has, the first one's reason is told.
    pub(super) async fn of_any<T, Asked>(
        &self,
        ask: impl Fn(Chain) -> Asked,
    ) -> Result<T, CallError>
    where
        Asked: Future<Output = Result<T, CallError>>,
    {
        let server = self.server();
        let told = match ask(self.clone()).await {
            Err(
                error @ (CallError::NotFound { .. }
                | CallError::Unreadable { .. }
                | CallError::Untrue { .. }),
            ) if self.pinned.is_none() => error,
            said => return said,
        };
        if matches!(told, CallError::Untrue { .. }) {
            self.disbelieve(server, 0);
        }
        for other in (0..self.servers.len()).filter(|other| *other != server) {
            let chain = self.at(other).impatient();
            let asked = tokio::time::timeout(limits::CHAIN_OTHER_SERVER_AFTER, ask(chain)).await;
            match asked {
                Ok(Ok(said)) => return Ok(said),
                Ok(Err(error)) => debug!(%error, "nor does this server have it"),
                Err(_) => debug!(server = other, "this server does not say in time"),
            }
        }
        Err(told)
    }

    /// Makes sure that a node is called so, by most of the servers that answer: whoever stakes by name gives to whom that
    /// leads to. One server alone is believed.
    pub async fn check_name(&self, node: &ObjectId, name: &str) -> Result<(), CallError> {
        if self.pinned.is_some() || !self.has_choice() {
            return Ok(());
        }
        let said = self.ask_all(|chain| async move {
            let pool = match chain.object(node, "node").await {
                Ok(pool) => decode::<StakingPool>(&pool).ok(),
                Err(CallError::NotFound { .. }) => None,
                Err(_) => return None,
            };
            Some(pool.is_some_and(|pool| pool.id == *node && pool.node_info.name == name))
        });
        let said: Vec<bool> = said.await.into_iter().flatten().collect();
        match said.iter().filter(|agrees| **agrees).count() * 2 > said.len() || said.is_empty() {
            true => Ok(()),
            false => Err(CallError::Disputed { servers: self.places() }),
        }
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
