//! The embedded ledger: a Sui-shaped chain in one process, with the rules of our contracts.
//!
//! Promises: stock Sui clients work against it; a transaction is durable before it is
//! acknowledged, and a checkpoint before it is published; killed at any moment, it reopens with
//! the same chain id, objects and checkpoints.
//! Does not: execute Move bytecode, replicate, or run for anybody but its own machine.
//!
//! ```text
//! server, faucet -> transactions -> rules        what a call means (`haulout_protocol::rules`)
//!                        |
//!                     objects   checkpoints      what is, what was
//!                          \      /
//!                           store                what survives
//! ```

mod checkpoints;
mod clock;
mod faucet;
mod fields;
mod genesis;
mod identifiers;
mod ids;
mod objects;
mod passing;
mod replay;
mod root;
mod server;
mod state;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod transactions;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use haulout_actors::chain::validators_digest;
use haulout_protocol::machine::ledger_history::{CheckpointDigest, TrustedCheckpoint};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Digest, Transaction, UserSignature};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use genesis::{FaucetAmounts, GenesisAccount, GenesisConfig, GenesisError, GenesisNode};
pub use ids::GenesisIds;
pub use replay::{ReplayError, Replayed};
pub use state::State;
pub use store::StoreError;
pub use transactions::Refused;

use checkpoints::{Checkpoint, ExecutedTransaction, Sealer};
use objects::{Changes, Names, Objects};
use store::Store;
use transactions::{Checks, Executed};

/// The longest silence of the checkpoint stream: clients take more for a dead connection.
const HEARTBEAT: Duration = Duration::from_millis(1_500);
/// How often the ledger looks whether a heartbeat is due.
const HEARTBEAT_CHECK: Duration = Duration::from_millis(250);
/// Checkpoints a subscriber may lag behind before it has to fetch what it missed.
const SUBSCRIBER_LAG_MAX: usize = 1024;

/// Why a ledger does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its file cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration cannot be a network.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The file belongs to another network.
    #[error("the ledger's file belongs to another network; use its own directory, or an empty one")]
    DifferentGenesis,
    /// There is nothing to resume.
    #[error("there is no ledger in this file; start a network first")]
    Empty,
}

/// Why a ledger stopped serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The API could not be served.
    #[error("the ledger's API could not be served")]
    Grpc(#[from] tonic::transport::Error),
    /// The faucet could not be served.
    #[error("the faucet could not be served")]
    Faucet(#[source] std::io::Error),
    /// A checkpoint could not be made durable.
    #[error("the ledger could not seal a checkpoint")]
    Seal(#[from] StoreError),
}

/// The embedded ledger. Clones are the same ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: GenesisConfig,
    ids: GenesisIds,
    names: Names,
    chain: Digest,
    store: Store,
    /// How far the ledger's time is ahead of the machine's.
    ahead_ms: AtomicU64,
    /// Held by whoever seals a checkpoint; taken before `objects`.
    sealing: Mutex<Sealing>,
    /// What readers see: always the state of the last durable checkpoint.
    objects: RwLock<Objects>,
    published: broadcast::Sender<Arc<rpc::Checkpoint>>,
}

#[derive(Debug)]
struct Sealing {
    sealer: Sealer,
    last_sealed: Instant,
}

/// Why an execution request has no result.
#[derive(Debug, thiserror::Error)]
enum ExecuteError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Seal(#[from] StoreError),
}

const NOT_POISONED: &str = "no code panics while it holds this lock";

impl Ledger {
    /// Creates the ledger in `path`, or resumes the one there if it has this genesis.
    ///
    /// Blocks on the disk.
    pub fn open(path: &Path, config: GenesisConfig) -> Result<Self, OpenError> {
        Self::open_at(path, config, now_ms())
    }

    /// As [`Ledger::open`]; a new ledger begins at this time.
    fn open_at(path: &Path, config: GenesisConfig, now_ms: u64) -> Result<Self, OpenError> {
        config.check()?;
        let store = Store::open(path)?;
        match store.genesis()? {
            None => Self::create(store, config, now_ms),
            Some(bytes) if bytes == config.to_bytes() => Self::load(store, config),
            Some(_) => Err(OpenError::DifferentGenesis),
        }
    }

    /// Resumes the ledger in `path`, whatever its genesis.
    ///
    /// Blocks on the disk.
    pub fn resume(path: &Path) -> Result<Self, OpenError> {
        if !path.exists() {
            return Err(OpenError::Empty);
        }
        let store = Store::open(path)?;
        let bytes = store.genesis()?.ok_or(OpenError::Empty)?;
        let config = bcs::from_bytes(&bytes).map_err(StoreError::from)?;
        Self::load(store, config)
    }

    fn create(store: Store, config: GenesisConfig, now: u64) -> Result<Self, OpenError> {
        let (executed, changes) = config.transaction(now)?;
        let mut sealer = Sealer::new(config.validator_key(), None);
        let checkpoint = sealer.seal(now, vec![executed]);
        store.append(&checkpoint, &changes, Some(&config.to_bytes()))?;
        sealer.advance(&checkpoint);
        let mut objects = Objects::default();
        objects.apply(&changes);
        objects.tick(&checkpoint.summary);
        Ok(Self::assemble(store, config, sealer, objects, checkpoint.summary.digest()))
    }

    fn load(store: Store, config: GenesisConfig) -> Result<Self, OpenError> {
        let first = store.checkpoint(0)?.ok_or(OpenError::Empty)?;
        let last = store.last_checkpoint()?.map(|checkpoint| checkpoint.summary);
        let mut objects = store.objects()?;
        if !tables::assemble_in(&mut objects, &Names::new(&config.ids())) {
            return Err(StoreError::Incomplete.into());
        }
        objects.tick(last.as_ref().unwrap_or(&first.summary));
        let sealer = Sealer::new(config.validator_key(), last);
        Ok(Self::assemble(store, config, sealer, objects, first.summary.digest()))
    }

    fn assemble(
        store: Store,
        config: GenesisConfig,
        sealer: Sealer,
        objects: Objects,
        chain: Digest,
    ) -> Self {
        let ids = config.ids();
        let names = Names::new(&ids);
        let sealer_ms = sealer.time_ms();
        let sealing = Mutex::new(Sealing { sealer, last_sealed: Instant::now() });
        let (published, _) = broadcast::channel(SUBSCRIBER_LAG_MAX);
        let objects = RwLock::new(objects);
        // Where time had been moved ahead, it stays ahead: a clock never stands still.
        let ahead_ms = AtomicU64::new(sealer_ms.saturating_sub(now_ms()));
        let inner =
            Inner { config, ids, names, chain, store, ahead_ms, sealing, objects, published };
        Ledger { inner: Arc::new(inner) }
    }

    /// The digest of the first checkpoint, which names the chain.
    pub fn chain_id(&self) -> String {
        self.inner.chain.to_string()
    }

    /// The first checkpoint and who signs those after it, for the configurations of those who will
    /// believe nothing else. This ledger has one Sui epoch, for ever, with one validator.
    pub fn trusted(&self) -> TrustedCheckpoint {
        let sealing = self.inner.sealing.lock().expect(NOT_POISONED);
        let committee = sealing.sealer.committee().clone();
        let digest = CheckpointDigest(self.inner.chain.into_inner());
        let validators = validators_digest(committee).expect("our own key is one, with stake");
        TrustedCheckpoint { sequence: 0, digest, validators: Some(validators) }
    }

    /// The ids of what genesis created.
    pub fn ids(&self) -> &GenesisIds {
        &self.inner.ids
    }

    /// What the network was made from.
    pub fn genesis(&self) -> &GenesisConfig {
        &self.inner.config
    }

    /// The sequence number of the last checkpoint.
    pub fn height(&self) -> u64 {
        let sealing = self.inner.sealing.lock().expect(NOT_POISONED);
        sealing.sealer.height().expect("genesis is always sealed")
    }

    /// Lets time pass: from now on the ledger's clock is that much further ahead of the machine's,
    /// also when it is opened again. A checkpoint tells everybody at once. Blocks on the disk.
    pub fn skip(&self, time: Duration) -> Result<(), StoreError> {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let add = |ahead: u64| Some(ahead.saturating_add(ms));
        // The update never declines.
        let _ = self.inner.ahead_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        let mut sealing = self.inner.sealing.lock().expect(NOT_POISONED);
        self.seal(&mut sealing, self.now_ms(), Vec::new(), &Changes::default())?;
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        now_ms().saturating_add(self.inner.ahead_ms.load(Ordering::Relaxed))
    }

    /// Serves the API and the faucet and keeps the checkpoint stream alive until `shutdown`.
    pub async fn serve(
        &self,
        grpc: TcpListener,
        faucet: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let stop = shutdown.child_token();
        let _streams_end_with_us = stop.clone().drop_guard();
        tokio::try_join!(
            async { Ok::<_, ServeError>(server::serve(self, grpc, stop.clone()).await?) },
            async { faucet::serve(self, faucet, stop.clone()).await.map_err(ServeError::Faucet) },
            async { Ok(self.keep_alive(stop.clone()).await?) },
        )?;
        Ok(())
    }

    /// Seals empty checkpoints whenever nothing else was sealed for a while.
    async fn keep_alive(&self, stop: CancellationToken) -> Result<(), StoreError> {
        let mut ticks = tokio::time::interval(HEARTBEAT_CHECK);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let ledger = self.clone();
            let beat = tokio::task::spawn_blocking(move || ledger.heartbeat());
            if let Ok(sealed) = beat.await {
                sealed?;
            }
        }
        Ok(())
    }

    fn heartbeat(&self) -> Result<(), StoreError> {
        let mut sealing = self.inner.sealing.lock().expect(NOT_POISONED);
        if sealing.last_sealed.elapsed() < HEARTBEAT {
            return Ok(());
        }
        self.seal(&mut sealing, self.now_ms(), Vec::new(), &Changes::default())?;
        Ok(())
    }

    /// Executes a signed transaction and seals it; one that was executed before is answered from
    /// the history. Blocks on the disk.
    fn execute(
        &self,
        transaction: Transaction,
        signatures: Vec<UserSignature>,
    ) -> Result<rpc::ExecutedTransaction, ExecuteError> {
        self.execute_at(self.now_ms(), transaction, signatures)
    }

    fn execute_at(
        &self,
        now_ms: u64,
        transaction: Transaction,
        signatures: Vec<UserSignature>,
    ) -> Result<rpc::ExecutedTransaction, ExecuteError> {
        transactions::authorise(&transaction, &signatures)?;
        let mut sealing = self.inner.sealing.lock().expect(NOT_POISONED);
        let digest = transaction.digest();
        if let Some(done) = self.find(&digest)? {
            return Ok(done);
        }
        let (Executed { effects, events, changes }, now_ms) = {
            let objects = self.inner.objects.read().expect(NOT_POISONED);
            let (clock, now_ms) = clock::next(objects.get(&clock::id()), now_ms);
            (transactions::execute(&self.inner.names, &objects, &clock, &transaction)?, now_ms)
        };
        let written = changes.written.clone();
        let executed = ExecutedTransaction { transaction, signatures, effects, events, written };
        let checkpoint = self.seal(&mut sealing, now_ms, vec![executed], &changes)?;
        Ok(checkpoint.transaction_to_rpc(0).expect("the checkpoint holds this transaction"))
    }

    /// What a transaction would do now; nothing is changed and nobody has to sign.
    fn simulate(
        &self,
        sketch: &rpc::Transaction,
        checks: Checks,
    ) -> Result<rpc::ExecutedTransaction, Refused> {
        let objects = self.inner.objects.read().expect(NOT_POISONED);
        let transaction = transactions::resolve(&objects, sketch, checks)?;
        let (clock, _) = clock::next(objects.get(&clock::id()), self.now_ms());
        let done = transactions::execute(&self.inner.names, &objects, &clock, &transaction);
        let done = match done {
            // Whoever will sponsor it pays later: the transaction is complete but for that.
            Err(Refused::Gas(_)) if checks == Checks::Off => {
                let mut unpaid = rpc::ExecutedTransaction::default();
                unpaid.transaction = Some(transaction.into());
                return Ok(unpaid);
            }
            done => done?,
        };
        let executed = ExecutedTransaction {
            transaction,
            signatures: Vec::new(),
            effects: done.effects,
            events: done.events,
            written: done.changes.written,
        };
        Ok(executed.to_rpc())
    }

    /// A transaction from the history.
    fn find(&self, digest: &Digest) -> Result<Option<rpc::ExecutedTransaction>, StoreError> {
        let found = self.inner.store.transaction(digest)?;
        Ok(found.and_then(|(checkpoint, index)| checkpoint.transaction_to_rpc(index)))
    }

    /// Makes a checkpoint durable, then visible, then known.
    fn seal(
        &self,
        sealing: &mut Sealing,
        now_ms: u64,
        transactions: Vec<ExecutedTransaction>,
        changes: &Changes,
    ) -> Result<Checkpoint, StoreError> {
        let checkpoint = sealing.sealer.seal(now_ms, transactions);
        self.inner.store.append(&checkpoint, changes, None)?;
        sealing.sealer.advance(&checkpoint);
        sealing.last_sealed = Instant::now();
        {
            let mut objects = self.inner.objects.write().expect(NOT_POISONED);
            objects.apply(changes);
            objects.tick(&checkpoint.summary);
        }
        if self.inner.published.receiver_count() > 0 {
            // Nobody listening any more is not an error.
            let _ = self.inner.published.send(Arc::new(checkpoint.to_rpc()));
        }
        Ok(checkpoint)
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
