//! Submitting a transaction: built, signed and sent, and built anew if it was not taken.
//!
//! Promises: those who share a wallet on this machine build and send one after the other, and wait
//! for checkpoints side by side; who plans by lists after that waits until they show the last. A
//! transaction is signed once; whatever happens to the connection, only those bytes are sent again,
//! and the ledger executes a digest once. It is built anew only if nothing was sent, or if the ledger refused it, no server
//! knows it, and the new one cannot happen beside it (`rivals`): a server that executes, refuses and denies has nothing paid
//! twice. One attempt asks one server, for another one may be behind it or ahead; only signed bytes go to whoever answers.
//! What lets nothing be signed is one server's word, and another one is asked before it ends a command.
//! Does not: know what is in a transaction (`draft` and those who use it do), or remember anything
//! across a restart of the program; the ledger does.

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::Event;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::Transaction;
use tokio::time::Instant;
use tracing::debug;

use super::coins::Coin;
use super::draft::Built;
use super::error::CallError;
use super::handle::Chain;
use super::memory::Word;
use super::patience::{Patience, pauses};
use super::turns::Turn;
use super::wallet::Wallet;
use crate::limits;

/// An executed, successful transaction.
pub(super) struct Executed {
    pub(super) digest: String,
    pub(super) checkpoint: Option<u64>,
    pub(super) events: Vec<Event>,
    pub(super) gas: u64,
    /// The one server that says so, if there are others and nobody bears it out.
    pub(super) only_said_by: Option<String>,
    /// What was sent.
    pub(super) signed: Box<proto::ExecuteTransactionRequest>,
    /// The place of the server that said so.
    pub(super) server: usize,
    /// Coins as they were before or are now; ledgers may leave them out.
    pub(super) coins: Vec<Coin>,
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
pub(super) enum Failed {
    /// Nothing was signed: the server that was asked lets none be built, which is its word alone.
    Unsigned(CallError),
    /// It was refused after it had been signed; another one may be taken.
    Refused(Refused),
    /// It cannot be signed, because one before it could happen beside it.
    Rival,
    /// Its fate is known, or cannot be: nothing that another attempt would change.
    Final(CallError),
}

/// A transaction that was sent and refused.
pub(super) struct Refused {
    pub(super) error: CallError,
    pub(super) transaction: Box<Transaction>,
    /// How many servers say that it was not executed.
    pub(super) denied_by: usize,
}

impl Failed {
    fn into_error(self) -> CallError {
        match self {
            Failed::Unsigned(error) | Failed::Final(error) => error,
            Failed::Refused(refused) => refused.error,
            Failed::Rival => CallError::Rejected { reason: "another one was refused".to_owned() },
        }
    }
}

impl Chain {
    /// Builds, signs and executes; builds anew as long as the ledger did not take the transaction
    /// and this chain's patience lasts. At most one of what was signed for it can happen.
    pub(super) async fn run<Build, Building>(
        &self,
        wallet: &Wallet,
        build: Build,
    ) -> Result<Executed, CallError>
    where
        Build: Fn(Chain) -> Building,
        Building: Future<Output = Result<Built, CallError>>,
    {
        let is_kept = self.is_for_one_order();
        let order = if is_kept { self.clone() } else { self.for_one_order() };
        let done = order.run_for_order(wallet, build).await;
        done.map_err(|error| order.ended(error, is_kept))
    }

    /// The same, for the order that this handle is for; its error is the last one, whatever was signed before. A handle that is
    /// for none is for what may happen more than once.
    pub(super) async fn run_for_order<Build, Building>(
        &self,
        wallet: &Wallet,
        build: Build,
    ) -> Result<Executed, CallError>
    where
        Build: Fn(Chain) -> Building,
        Building: Future<Output = Result<Built, CallError>>,
    {
        let mut patience: Option<Patience> = None;
        let mut refusal: Option<CallError> = None;
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
            let (error, was_signed) = match failed {
                Failed::Unsigned(error) => (error, false),
                Failed::Refused(refused) => {
                    self.was_refused(&refused.transaction, refused.denied_by);
                    refusal = Some(refused.error.clone());
                    (refused.error, true)
                }
                Failed::Rival => {
                    let reason = "what takes its place could be paid beside it".to_owned();
                    return Err(refusal.unwrap_or(CallError::Rejected { reason }));
                }
                Failed::Final(error) => return Err(error),
            };
            let patience = patience.get_or_insert_with(|| Patience::new(self.patience));
            let (goes_on, error) = match error {
                CallError::Unreachable { reason, is_late, .. } => {
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
                error @ CallError::Rejected { .. } if was_signed => {
                    refusals += 1;
                    debug!(%error, refusals, "transaction was not taken, building it anew");
                    let goes_on = refusals < limits::CHAIN_REBUILDS_MAX && patience.pause().await;
                    (goes_on, error)
                }
                error @ CallError::Contended { .. } => {
                    debug!("what the transaction spends moved on, building it anew");
                    (patience.pause().await, error)
                }
                error @ CallError::Lagging { .. } if !was_signed => {
                    debug!(%error, "waiting for the wallet's last transaction");
                    (patience.pause().await, error)
                }
                error @ CallError::Rejected { .. } if renewals > 0 && self.renew_since().await => {
                    renewals -= 1;
                    (true, error)
                }
                error @ CallError::Untrue { .. } if !was_signed => {
                    let goes_on = left > 0 && self.disbelieve(server, 0);
                    left = left.saturating_sub(1);
                    (goes_on, error)
                }
                // It is one server's word: that one may say what is not so, or be behind.
                error if !was_signed && is_one_word(&error) => {
                    let goes_on = left > 0;
                    left = left.saturating_sub(1);
                    instead = goes_on.then(|| (server + 1) % self.servers.len());
                    (goes_on, error)
                }
                error => (false, error),
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
        let Built { transaction, coins } = building.await.map_err(Failed::Unsigned)?;
        let at = self.at(server).impatient();
        let transaction = at.instead_of_rivals(wallet, transaction).await;
        let transaction = transaction.map_err(Failed::Unsigned)?.ok_or(Failed::Rival)?;
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

    /// Signs and executes one transaction on behalf of another; it pays nobody. The caller has the wallet's turn.
    pub(super) async fn run_before(
        &self,
        wallet: &Wallet,
        transaction: Transaction,
    ) -> Result<Executed, CallError> {
        let done = self.send(wallet, transaction, self.server()).await;
        done.map_err(Failed::into_error)
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

/// Whether another server may say something else, where one of them lets nothing be built.
fn is_one_word(error: &CallError) -> bool {
    match error {
        CallError::NotAsShown { .. }
        | CallError::NotOurs { .. }
        | CallError::NotFound { .. }
        | CallError::Unreadable { .. }
        | CallError::Refused { .. }
        | CallError::Failed { .. }
        | CallError::Rejected { .. }
        | CallError::InsufficientFunds { .. } => true,
        CallError::InvalidUrl { .. }
        | CallError::Unreachable { .. }
        | CallError::Contended { .. }
        | CallError::Outdated { .. }
        | CallError::Lagging { .. }
        | CallError::Unconfirmed { .. }
        | CallError::Denied { .. }
        | CallError::Disputed { .. }
        | CallError::Untrue { .. }
        | CallError::TooLarge
        | CallError::Wallet(_) => false,
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
