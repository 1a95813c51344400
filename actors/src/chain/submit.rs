//! Submitting a transaction: sign once, send until its fate is known.
//!
//! Promises: those who share a wallet on this machine build and send one after the other, and wait
//! for checkpoints side by side; who plans by lists after that waits until they show the last. A
//! transaction is signed once; whatever happens to the connection, only those bytes are sent again,
//! and the ledger executes a digest once. It is built anew only when the old one cannot happen any
//! more, as the server that was asked says: nothing was sent, or the ledger refused it, it is not
//! in the ledger, and if an answer was lost before, its objects have moved on. One attempt asks one
//! server, for another one may be behind it or ahead; only signed bytes go to whoever answers.
//! Does not: know what is in a transaction (`draft` and those who use it do), or remember anything
//! across a restart of the program; the ledger does. Does not see through a server that executes,
//! answers with a refusal and denies the digest: it can have what pays signed again, up to
//! [`limits::CHAIN_REBUILDS_MAX`] times.

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::Event;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::Transaction;
use tokio::time::Instant;
use tonic::Code;
use tracing::debug;

use super::checkpoints::decode_events;
use super::draft::Built;
use super::error::execution_error;
use super::memory::Word;
use super::patience::{Patience, pauses};
use super::purse::Coin;
use super::refusal::inputs;
use super::turns::Turn;
use super::{CallError, Chain, Wallet};
use crate::limits;

/// The parts of an executed transaction we read.
const RESULT_FIELDS: [&str; 9] = [
    "digest",
    "effects.status",
    "effects.gas_used",
    "events",
    "checkpoint",
    "objects.objects.object_id",
    "objects.objects.version",
    "objects.objects.digest",
    "objects.objects.balance",
];

/// An executed, successful transaction.
pub(super) struct Executed {
    pub(super) digest: String,
    pub(super) checkpoint: Option<u64>,
    pub(super) events: Vec<Event>,
    pub(super) gas: u64,
    /// The one server that says so, if there are others and nobody bears it out.
    pub(super) only_said_by: Option<String>,
    /// What was sent.
    signed: Box<proto::ExecuteTransactionRequest>,
    /// The place of the server that said so.
    pub(super) server: usize,
    /// Coins as they were before or are now; ledgers may leave them out.
    coins: Vec<Coin>,
}

impl Executed {
    /// Whether another server says the same of it.
    pub(super) fn says_as(&self, other: &Executed) -> bool {
        self.digest == other.digest && self.events == other.events && self.gas == other.gas
    }

    /// What became of the coins that a transaction named: it merges them into the first.
    fn left_of(&self, named: &[Coin]) -> Option<Coin> {
        let first = named.first()?;
        let is_it = |coin: &&Coin| coin.id == first.id && coin.version > first.version;
        self.coins.iter().find(is_it).copied()
    }
}

/// What became of a transaction that was not executed.
enum Failed {
    /// It was refused after it had been built; another one may be taken.
    Refused(CallError),
    /// Nothing that another attempt of the same kind would change.
    Final(CallError),
}

impl Chain {
    /// Builds, signs and executes; builds anew as long as the ledger did not take the transaction
    /// and this chain's patience lasts.
    pub(super) async fn run<Build, Building>(
        &self,
        wallet: &Wallet,
        build: Build,
    ) -> Result<Executed, CallError>
    where
        Build: Fn(Chain) -> Building,
        Building: Future<Output = Result<Built, CallError>>,
    {
        let mut patience: Option<Patience> = None;
        let mut refusals = 0;
        // Each server is tried once before anybody waits.
        let others = if self.pinned.is_none() { self.servers.len() - 1 } else { 0 };
        let (mut left, mut renewals) = (others, self.servers.len());
        let mut instead = None;
        loop {
            let mut turn = self.shared.turns.take(&wallet.address()).await;
            let server = instead.take().unwrap_or_else(|| self.server());
            // In a box: what waits for it would hold all of a draft, again at each level.
            let building = Box::pin(build(self.at(server)));
            let attempt = Box::pin(self.attempt(wallet, server, building));
            let done = turn.during(attempt).await;
            self.remember(&mut turn, &done).await;
            drop(turn); // the others need not wait for the checkpoint
            let failed = match done {
                Ok((executed, _)) => return Ok(self.in_checkpoint(wallet, executed).await),
                Err(failed) => failed,
            };
            let patience = patience.get_or_insert_with(|| Patience::new(self.patience));
            let (goes_on, error) = match failed {
                Failed::Final(CallError::Unreachable { reason, is_late, .. })
                | Failed::Refused(CallError::Unreachable { reason, is_late, .. }) => {
                    self.fell_silent(server);
                    let error = CallError::Unreachable { url: self.places(), reason, is_late };
                    let goes_on = match left.checked_sub(1) {
                        Some(fewer) => {
                            left = fewer;
                            true
                        }
                        None => {
                            left = others;
                            self.wait_out(patience, &error).await
                        }
                    };
                    (goes_on, error)
                }
                Failed::Refused(error @ CallError::Rejected { .. }) => {
                    refusals += 1;
                    debug!(%error, refusals, "transaction was not taken, building it anew");
                    let goes_on = refusals < limits::CHAIN_REBUILDS_MAX && patience.pause().await;
                    (goes_on, error)
                }
                Failed::Refused(error @ CallError::Contended { .. })
                | Failed::Final(error @ CallError::Contended { .. }) => {
                    debug!("what the transaction spends moved on, building it anew");
                    (patience.pause().await, error)
                }
                Failed::Final(error @ CallError::Lagging { .. }) => {
                    debug!(%error, "waiting for the wallet's last transaction");
                    (patience.pause().await, error)
                }
                Failed::Final(error @ CallError::Rejected { .. }) => {
                    let goes_on = renewals > 0 && self.renew_since().await;
                    renewals = renewals.saturating_sub(1);
                    (goes_on, error)
                }
                // Nothing was signed: another server may do better.
                Failed::Final(error @ CallError::Untrue { .. }) => {
                    let goes_on = left > 0 && self.disbelieve(server, 0);
                    left = left.saturating_sub(1);
                    (goes_on, error)
                }
                // This server may be the one that says what is not so, or the one that is behind. Nobody knows.
                Failed::Final(
                    error @ (CallError::NotAsShown { .. } | CallError::NotOurs { .. }),
                ) => {
                    let goes_on = left > 0;
                    left = left.saturating_sub(1);
                    instead = goes_on.then(|| (server + 1) % self.servers.len());
                    (goes_on, error)
                }
                Failed::Refused(error) | Failed::Final(error) => (false, error),
            };
            if !goes_on {
                return Err(error);
            }
        }
    }

    /// Builds a transaction and sends it, once, first to the server it was built by; returns it with the coins it named.
    async fn attempt(
        &self,
        wallet: &Wallet,
        server: usize,
        building: impl Future<Output = Result<Built, CallError>>,
    ) -> Result<(Executed, Vec<Coin>), Failed> {
        let Built { transaction, coins } = building.await.map_err(Failed::Final)?;
        Ok((self.send(wallet, transaction, server).await?, coins))
    }

    /// Fails if lists may not show yet what the wallet did last: what is planned by them would be
    /// planned by the past. Called by whoever has the turn of the wallet.
    pub(super) async fn up_to_date(&self, account: &ObjectId) -> Result<(), CallError> {
        let account = self.shared.turns.account(account);
        let unseen = account.memory().unseen();
        let Some(word) = unseen else { return Ok(()) };
        let (chain, digest) = (self.impatient(), word.digest);
        let found = chain.look_up(&digest.to_string()).await?;
        if found.is_none() {
            // Servers forget what is old. What is not known to later checkpoints is not waited for.
            let (_, now_ms) = chain.tip().await?;
            account.memory().missed(&digest, now_ms);
            if word.is_past(now_ms) {
                debug!(%digest, "the wallet's last transaction is not known any more");
                account.memory().seen(&digest);
                return Ok(());
            }
        }
        if found.is_none_or(|found| found.checkpoint.is_none()) {
            let (url, digest) = (self.url().to_owned(), digest.to_string());
            return Err(CallError::Lagging { url, digest });
        }
        account.memory().seen(&digest);
        Ok(())
    }

    /// Signs and executes one transaction on behalf of another. The caller has the wallet's turn.
    pub(super) async fn run_before(
        &self,
        wallet: &Wallet,
        transaction: Transaction,
    ) -> Result<Executed, CallError> {
        self.send(wallet, transaction, self.server()).await.map_err(|failed| match failed {
            Failed::Refused(error) | Failed::Final(error) => error,
        })
    }

    /// Signs a transaction and sends it until its fate is known, to this server first. Why one does not take it, that one says.
    async fn send(
        &self,
        wallet: &Wallet,
        transaction: Transaction,
        mut server: usize,
    ) -> Result<Executed, Failed> {
        let signature = wallet.sign(&transaction).map_err(|error| Failed::Final(error.into()))?;
        let (digest, inputs) = (transaction.digest().to_string(), inputs(&transaction));
        let gas = Some(transaction.gas_payment.budget);
        let request = proto::ExecuteTransactionRequest::default()
            .with_transaction(transaction)
            .with_signatures(vec![signature.into()])
            .with_read_mask(FieldMask::from_paths(RESULT_FIELDS));
        let mut patience = Patience::new(self.patience.max(limits::CHAIN_SUBMISSION_PATIENCE_MIN));
        let mut is_in_doubt = false;
        loop {
            let at = self.at(server);
            let mut client = self.servers[server].client.clone().execution_client();
            let status = match client.execute_transaction(request.clone()).await {
                Ok(answer) => {
                    self.answered(server);
                    let done = at.judge(wallet, (digest, &request), answer.get_ref().transaction());
                    return done.map_err(Failed::Final);
                }
                Err(status) => status,
            };
            let error = self.call_error(&status, "transaction");
            if matches!(error, CallError::Unreachable { .. }) {
                is_in_doubt = true;
                self.fell_silent(server);
                server = self.server();
                debug!(digest, %error, "sending the same transaction again");
                if !self.wait_out(&mut patience, &error).await {
                    return Err(Failed::Final(CallError::Unconfirmed { digest }));
                }
                continue;
            }
            // First what moved, then whether it was executed: the other way round, our own
            // transaction could be what moved them.
            let error = at.refusal(wallet, &status, (&inputs, is_in_doubt), gas).await;
            return match at.look_up(&digest).await {
                Ok(Some(found)) => {
                    at.judge(wallet, (digest, &request), &found).map_err(Failed::Final)
                }
                // What has no answer and can still happen must not be paid beside another.
                Ok(None) if is_in_doubt && !matches!(error, CallError::Contended { .. }) => {
                    Err(Failed::Final(CallError::Unconfirmed { digest }))
                }
                Ok(None) => Err(Failed::Refused(error)),
                Err(_) => Err(Failed::Final(CallError::Unconfirmed { digest })),
            };
        }
    }

    /// Sends a signed transaction that was sent before, once; the ledger executes it once.
    pub(super) async fn send_again(
        &self,
        wallet: &Wallet,
        sent: &Executed,
    ) -> Result<Executed, CallError> {
        let mut client = self.client().execution_client();
        let answer = client.execute_transaction((*sent.signed).clone()).await;
        let answer = answer.map_err(|status| self.call_error(&status, "transaction"))?;
        let digest = sent.digest.clone();
        self.judge(wallet, (digest, &sent.signed), answer.get_ref().transaction())
    }

    /// A transaction that is on the ledger.
    pub(super) async fn look_up(
        &self,
        digest: &str,
    ) -> Result<Option<proto::ExecutedTransaction>, CallError> {
        let request = proto::GetTransactionRequest::default()
            .with_digest(digest)
            .with_read_mask(FieldMask::from_paths(RESULT_FIELDS));
        let found = self.exchange(|client| {
            let (mut client, request) = (client.clone().ledger_client(), request.clone());
            async move { client.get_transaction(request).await }
        });
        match found.await {
            Ok(found) => Ok(found.transaction),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.call_error(&status, "transaction")),
        }
    }

    /// Waits until an executed transaction is in a checkpoint, so that whoever reads next sees it. Who executed it knows first.
    pub(super) async fn in_checkpoint(&self, wallet: &Wallet, mut executed: Executed) -> Executed {
        let until = Instant::now() + limits::CHAIN_CHECKPOINT_TIMEOUT;
        let mut pauses = pauses();
        let mut asked = self.at(executed.server).impatient();
        while executed.checkpoint.is_none() {
            match asked.look_up(&executed.digest).await {
                Ok(found) => executed.checkpoint = found.and_then(|found| found.checkpoint),
                Err(error) => {
                    debug!(%error, "another server is asked what became of the transaction");
                    self.fell_silent(executed.server);
                    asked = self.impatient();
                }
            }
            let Some(next) = pauses.next().map(|pause| Instant::now() + pause) else { break };
            if executed.checkpoint.is_some() || next >= until {
                break;
            }
            tokio::time::sleep_until(next).await;
        }
        if let (Some(_), Ok(digest)) = (executed.checkpoint, executed.digest.parse()) {
            self.shared.turns.account(&wallet.address()).memory().seen(&digest);
        }
        executed
    }

    /// Reads what an executed transaction did.
    fn judge(
        &self,
        wallet: &Wallet,
        (digest, signed): (String, &proto::ExecuteTransactionRequest),
        transaction: &proto::ExecutedTransaction,
    ) -> Result<Executed, CallError> {
        let status = transaction.effects().status();
        if !status.success() {
            return Err(execution_error(status.error(), &wallet.to_string()));
        }
        let gas = transaction.effects().gas_used();
        let spent = gas.computation_cost().saturating_add(gas.storage_cost());
        Ok(Executed {
            digest,
            checkpoint: transaction.checkpoint,
            events: decode_events(&self.shared.package, transaction)?,
            gas: spent.saturating_sub(gas.storage_rebate()),
            only_said_by: None,
            signed: Box::new(signed.clone()),
            server: self.server(),
            coins: transaction
                .objects()
                .objects()
                .iter()
                .filter(|object| object.balance.is_some())
                .filter_map(|object| Coin::read(object).ok())
                .collect(),
        })
    }

    /// Keeps what is known of the wallet after a turn, for the next.
    async fn remember(&self, turn: &mut Turn, done: &Result<(Executed, Vec<Coin>), Failed>) {
        match done {
            Ok((executed, named)) => {
                let mut memory = turn.memory();
                memory.spent(named, executed.left_of(named));
                for event in &executed.events {
                    if let Event::BlobRegistered(registered) = event {
                        memory.registered(BlobId::from_bytes(registered.blob_id));
                    }
                }
            }
            Err(_) => turn.memory().forget_coins(),
        }
        if let Ok((Executed { checkpoint: None, digest, .. }, _)) = done
            && let Ok(digest) = digest.parse()
        {
            // At once: whoever is cut off while it asks for the time has left word.
            turn.memory().wait_for(Word { digest, left_ms: None });
            turn.leave_word().await;
            if let Ok((_, time_ms)) = self.impatient().tip().await {
                turn.memory().missed(&digest, time_ms);
            }
        }
        turn.leave_word().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::chain::sample_server::{SampleServer, chain};

    #[tokio::test]
    async fn one_attempt_asks_one_server_and_the_next_another() {
        let [first, second] =
            [SampleServer::start(vec![], &[]).await, SampleServer::start(vec![], &[]).await];
        let chain = chain(&[&first, &second], None);
        let asked = Mutex::new(Vec::new());
        let (seen, choice) = (&asked, &chain);
        let build = |at: Chain| async move {
            let begun = at.server();
            // Meanwhile somebody finds that another server is better.
            choice.fell_silent(begun);
            seen.lock().unwrap().push((begun, at.server(), choice.server()));
            Err(at.unreachable("it went away"))
        };
        let wallet = Wallet::from_ed25519([1; 32]);
        let Err(failed) = chain.run(&wallet, build).await else { panic!("nothing was built") };
        assert_eq!(*asked.lock().unwrap(), [(0, 0, 1), (1, 1, 0)]);
        let told = failed.to_string();
        assert!(told.contains(&first.url) && told.contains(&second.url), "{told}");
    }
}
