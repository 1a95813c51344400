//! A client: puts and gets blobs peer to peer, with no gateway in between.
//!
//! Promises: keeps nothing on disk but what the network was like, so that it reads also while the
//! ledger is away, and stores nothing for others; memory is bounded by a few
//! segments whatever a blob's size and however many are put at once; puts of the same bytes pay
//! once; every call ends in bounded time.
//! Does not: listen for peers, or show progress.

use std::sync::Arc;
use std::time::Duration;

use haulout_actors::chain::{Chain, Receipt, Wallet};
use haulout_actors::context::{Context, Keys};
use haulout_actors::limits;
use haulout_actors::session::download::{self, Consistency, GetReport};
use haulout_actors::session::holdings::{self, Holdings};
use haulout_actors::session::locate::{self, Standing};
use haulout_actors::session::upload::{
    self, Agreed, Earlier, PutError, PutOptions, PutReport, RepairReport, Source, Writer,
};
use haulout_actors::session::{Observer, Session};
use haulout_actors::tree::{Role, Tree};
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::put_plan;
use haulout_protocol::wire::blob::Registration;
use haulout_storage::Store;
use tokio::io::AsyncWrite;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::calendar::Calendar;
use crate::config::{ClientConfig, NetworkConfig};
use crate::error::{Error, Kind, Result};
use crate::keys::{self, Kind as KeyKind, Secret};
use crate::known_network::KnownNetwork;
use crate::ledger_client::{self, LAST_ANSWERS_MAX};
use crate::periods;
use crate::storage_node::{Identity, Prepared, chain_options, not_started, prepare};

/// How long leaving the network may take; nothing is lost by cutting it short.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// A put that meets the end of so many epochs gives up.
const EPOCHS_PER_PUT_MAX: usize = 4;

/// In what the room for puts is counted.
const ROOM_UNIT_BYTES: usize = 64 * 1024;

/// How long news of an epoch may take: the ledger's heartbeat, and reading the committee.
const EPOCH_NEWS_MAX: Duration = Duration::from_secs(5);

/// A connected client.
#[derive(Debug)]
pub struct LightClient {
    context: Context,
    tree: Tree,
    wallet: Option<Wallet>,
    patience: Duration,
    /// Room for what puts encode at once, in units of [`ROOM_UNIT_BYTES`].
    room: Semaphore,
    /// For puts that need streams of their own.
    long_puts: Semaphore,
}

impl LightClient {
    /// Reaches the ledger and joins the network. Reading needs no wallet.
    pub async fn connect(config: ClientConfig) -> Result<Self> {
        let patience = config.timeout;
        let longest = patience + LAST_ANSWERS_MAX;
        tokio::time::timeout(longest, Self::join(config)).await.map_err(|_| {
            let message = format!(
                "ledger and network could not be reached within {}",
                periods::spoken(patience)
            );
            Error::new(Kind::Timeout, message)
                .hint("check network.bootstrap and chain.rpc; raise client.timeout on a slow link")
        })?
    }

    async fn join(config: ClientConfig) -> Result<Self> {
        let wallet = config.wallet.as_ref().map(keys::load_wallet).transpose()?;
        let secret = Secret::generate(KeyKind::Ed25519)?;
        let patience = config.timeout;
        let keys = Keys { network: *secret.bytes(), confirmation: None, node: None };
        let (store, role) = (Store::in_memory()?, Role::Client);
        let identity = Identity { keys, operator: None };
        let turns = Some(config.turns_dir());
        let chain = chain_options(&config.chain, config.timeout, turns);
        let known = KnownNetwork::of(&config);
        let cache = known.recall();
        // Whoever writes cannot go on without the ledger, and waits for it.
        let recalled = cache.clone().filter(|_| wallet.is_none());
        // A node's file says where the node listens, and it may be doing so now.
        let (listen, external) = (Vec::new(), Vec::new());
        let network = NetworkConfig { listen, external, ..config.network.clone() };
        let prepared = prepare(&network, chain, store, identity, role, recalled);
        let Prepared { context, swarm: network, read } = prepared.await?;
        if let Some(read) = read {
            known.keep(&read, cache.as_ref());
        }
        let tree = Tree::start(context.clone(), network, role).await.map_err(not_started)?;
        let room = Semaphore::new(limits::PUT_BYTES_AT_ONCE_MAX.div_ceil(ROOM_UNIT_BYTES));
        let long_puts = Semaphore::new(limits::LONG_PUTS_AT_ONCE_MAX);
        Ok(Self { context, tree, wallet, patience, room, long_puts })
    }

    /// What [`Self::put`] would do and cost now; nothing is sent or paid. Without a wallet nothing is
    /// known of what the caller has already.
    pub async fn plan_put(
        &self,
        source: Source,
        options: PutOptions,
        observer: &Observer,
    ) -> Result<(BlobId, Agreed)> {
        let (chain, source) = (self.chain()?, Arc::new(source));
        self.check_epochs(&options)?;
        let account = self.wallet.as_ref().map(Wallet::address);
        let session = self.session();
        Ok(upload::plan(&session, chain, account, &source, options, observer).await?)
    }

    /// Stores a blob and returns when it is certified. Repeating it after a failure pays nothing
    /// twice.
    pub async fn put(
        &self,
        source: Source,
        options: PutOptions,
        observer: &Observer,
    ) -> Result<PutReport> {
        let wallet = self.wallet.as_ref().ok_or_else(|| keys::no_wallet("storing"))?;
        let chain = self.chain()?;
        self.check_epochs(&options)?;
        let _permits = self.room_for(source.length()).await?;
        let (writer, source) = (Writer { chain, wallet }, Arc::new(source));
        let mut earlier = Earlier::default();
        for _ in 0..EPOCHS_PER_PUT_MAX {
            let session = self.session();
            let put = upload::put(&session, writer, &source, options, earlier.clone(), observer);
            match put.await {
                Err(PutError::EpochEnded(done)) => earlier = *done,
                done => return Ok(done?),
            }
            self.follow_epoch(session.committee.epoch()).await;
        }
        Err(PutError::EpochEnded(Box::new(earlier)).into())
    }

    /// Sends nodes what they lack of a blob that is stored; needs no wallet and pays nothing.
    pub async fn repair(&self, source: Source, observer: &Observer) -> Result<RepairReport> {
        let _permits = self.room_for(source.length()).await?;
        Ok(upload::repair(&self.session(), &Arc::new(source), observer).await?)
    }

    /// Writes the name of a blob object of the wallet on the ledger, where everybody can read it.
    /// Sends nothing, and returns nothing, if it is there already.
    pub async fn publish_name(&self, object: &ObjectId, name: &str) -> Result<Option<Receipt>> {
        let wallet = self.wallet.as_ref().ok_or_else(|| keys::no_wallet("naming"))?;
        ledger_client::publish_name(self.chain()?, wallet, object, name).await
    }

    /// Waits for the room that a put of so many bytes takes. Whoever waits for much is not passed by those
    /// who come later and take little.
    async fn room_for(
        &self,
        length: u64,
    ) -> Result<(SemaphorePermit<'_>, Option<SemaphorePermit<'_>>)> {
        let closed = |_| Error::new(Kind::Internal, "the client is closing");
        let is_short = self.context.position.current().parameters.is_short(length);
        let long_put = match is_short {
            true => None,
            false => Some(self.long_puts.acquire().await.map_err(closed)?),
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes =
            length.saturating_add(limits::PUT_BYTES_EACH).min(limits::PUT_BYTES_AT_ONCE_MAX);
        let units = u32::try_from(bytes.div_ceil(ROOM_UNIT_BYTES)).unwrap_or(u32::MAX);
        Ok((self.room.acquire_many(units).await.map_err(closed)?, long_put))
    }

    /// When epochs begin, as far as the client knows.
    pub fn calendar(&self) -> Calendar {
        Calendar::now(&self.context.position.current())
    }

    fn chain(&self) -> Result<&Chain> {
        self.context.chain.as_ref().ok_or_else(|| {
            Error::new(Kind::LedgerUnreachable, "this client has no ledger to write to")
        })
    }

    /// Refuses epochs that nobody can buy before a byte is read; the plan refuses them, too.
    fn check_epochs(&self, options: &PutOptions) -> Result<()> {
        let terms = self.context.position.current().terms();
        let end_epoch = terms.epoch.saturating_add(options.epochs);
        Ok(put_plan::check_end(end_epoch, &terms)?)
    }

    /// Writes a blob's bytes, in order and verified, to `sink`.
    pub async fn get(
        &self,
        blob_id: &BlobId,
        consistency: Consistency,
        sink: &mut (impl AsyncWrite + Unpin),
        observer: &Observer,
    ) -> Result<GetReport> {
        Ok(download::get(&self.session(), blob_id, consistency, sink, observer).await?)
    }

    /// What the committee says of a blob; waits for every node that answers.
    pub async fn status(&self, blob_id: &BlobId) -> Standing {
        locate::census(&self.session(), blob_id).await
    }

    /// How much of a certified blob the nodes hold, as they say; those that were silent a moment ago, by name with why, are
    /// not waited for again.
    pub async fn holdings(&self, blob_id: &BlobId, silent: &[(String, String)]) -> Holdings {
        holdings::holdings(&self.session(), blob_id, silent).await
    }

    /// The object that stands for a blob, if enough nodes name the same.
    pub async fn registration(&self, blob_id: &BlobId) -> Option<Registration> {
        locate::registration(&self.session(), blob_id).await
    }

    /// Shards of the network.
    pub fn shards(&self) -> u16 {
        self.context.position.current().committee.shards()
    }

    /// Nodes that own shards.
    pub fn nodes(&self) -> usize {
        let committee = self.context.position.current().committee;
        committee.members().iter().filter(|member| !member.shards.is_empty()).count()
    }

    /// The epoch the client is in.
    pub fn epoch(&self) -> u32 {
        self.context.position.current().epoch.0
    }

    /// What the actors share: for tests and for the metrics exporter.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Leaves the network.
    pub async fn close(self) {
        if tokio::time::timeout(CLOSE_WITHIN, self.tree.shutdown()).await.is_err() {
            tracing::debug!("left the network in a hurry");
        }
    }

    /// Waits for an epoch after this one; we may hear of it later than the nodes do.
    async fn follow_epoch(&self, ended: Epoch) {
        let mut position = self.context.position.subscribe();
        let later = position.wait_for(|position| position.epoch > ended);
        // If it does not come, the nodes were behind and will have caught up.
        drop(tokio::time::timeout(EPOCH_NEWS_MAX, later).await);
    }

    /// The network and the committee of this moment.
    fn session(&self) -> Session {
        let position = self.context.position.current();
        Session {
            network: self.tree.network().clone(),
            network_id: self.context.network,
            roster: Arc::new(position.roster()),
            committee: position.committee,
            parameters: position.parameters,
            checkpoint: position.checkpoint,
            patience: self.patience,
        }
    }
}
