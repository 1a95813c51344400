//! What every actor is given: store, ledger, keys, and the facts that all of them need.
//!
//! Promises: senders of shared facts live here and not in an actor, so they survive restarts.
//! Does not: start anything, or read configuration.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use haulout_protocol::committee::NodeId;
use haulout_protocol::crypto::{PeerId, SecretKey};
use haulout_protocol::machine::node_keys::{self, KeyFault, OwnKeys};
use haulout_protocol::message::NetworkId;
use haulout_storage::{Store, StoreError};
use tracing::{info, warn};

use crate::chain::{CallError, Chain, ChainOptions, NetworkObjects, SystemView, Wallet};
use crate::chain_sync::follow::Follow;
use crate::chain_sync::kept;
use crate::limits;
use crate::metrics::Metrics;
use crate::position::{Position, PositionWatch};
use crate::short_rows::ShortRows;
use crate::trust::Trust;
use crate::vitals::measured::Vitals;

/// The facts and tools all actors of one node share; a cheap clone.
#[derive(Clone, Debug)]
pub struct Context {
    /// What is durable.
    pub store: Store,
    /// The ledger; absent only where a test feeds the position by hand.
    pub chain: Option<Chain>,
    /// The account of a node's operator, which pays for what the node tells the ledger; without it
    /// the node only listens.
    pub operator: Option<Wallet>,
    /// What we sign with.
    pub keys: Arc<Keys>,
    /// Who we are; a committee that lists this peer lists us.
    pub peer: PeerId,
    /// Which network this is.
    pub network: NetworkId,
    /// How far our store has followed the ledger, and what held there.
    pub position: PositionWatch,
    /// How far the ledger is believed.
    pub trust: Trust,
    /// How we are, as far as it was measured.
    pub vitals: Vitals,
    /// Who may change the row of a short blob.
    pub(crate) short_rows: ShortRows,
    /// Blobs that are repaired at once; none, and nothing is.
    pub repairs_at_once: usize,
    /// Within what time everything that is stored is read again; zero, and nothing is.
    pub scrub_every: Duration,
    /// Where we count.
    pub metrics: Metrics,
}

/// The secrets of a node or client.
pub struct Keys {
    /// ed25519 seed of the libp2p identity.
    pub network: [u8; 32],
    /// BLS key for storage confirmations; clients have none.
    pub confirmation: Option<SecretKey>,
    /// The node on the ledger whose keys these should be, if the operator said so.
    pub node: Option<NodeId>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// What a context is made of.
#[derive(Debug)]
pub struct Parts {
    /// What is durable.
    pub store: Store,
    /// The ledger.
    pub chain: ChainOptions,
    /// What a client knew of the network when it last ran. Nodes have it in their store.
    pub cache: Option<NetworkObjects>,
    /// What we sign with.
    pub keys: Keys,
    /// The account that pays for what a node tells the ledger.
    pub operator: Option<Wallet>,
    /// Who we are on the network.
    pub peer: PeerId,
    /// The network we were configured for.
    pub network: NetworkId,
    /// Where we count.
    pub metrics: Metrics,
    /// Whether our store follows the ledger from its cursor, or nothing is kept.
    pub follow: Follow,
}

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The ledger did not tell us where we are.
    #[error("cannot read the network's state from the ledger")]
    Ledger(#[from] CallError),
    /// Our store cannot be read.
    #[error("cannot read the position from the store")]
    Store(#[from] StoreError),
    /// The ledger's system object, or what we kept of it, is of another network.
    #[error(
        "the configuration names network {configured}, but the ledger, or what was kept of it here, \
         is of network {found}; check network.id, chain.rpc and the data directory"
    )]
    WrongNetwork {
        /// The one in the configuration.
        configured: NetworkId,
        /// The one on the ledger.
        found: NetworkId,
    },
}

impl Context {
    /// Puts the parts together where the network is: as our store has it proven, else as the ledger
    /// says, else, for a client, as it was when it last ran. The second part is what the ledger
    /// said, if it was asked.
    pub async fn connect(parts: Parts) -> Result<(Context, Option<NetworkObjects>), ContextError> {
        let Parts { store, chain, cache, keys, operator, peer, network, metrics, follow } = parts;
        let (applied, kept) = match follow {
            Follow::Blobs => read_kept(store.clone()).await?,
            Follow::Committees => (None, None),
        };
        let (chain, view, is_news) = match kept {
            Some(view) => (Chain::resume(chain, &view.source)?, view, false),
            None => ask_or_recall(chain, cache).await?,
        };
        if view.network != network {
            return Err(ContextError::WrongNetwork { configured: network, found: view.network });
        }
        let SystemView { mut position, source, .. } = view;
        if follow == Follow::Blobs {
            position.checkpoint = applied.unwrap_or_default();
        }
        let (keys, position) = (Arc::new(keys), PositionWatch::new(position));
        let (chain, trust, vitals) = (Some(chain), Trust::default(), Vitals::default());
        let context = Context {
            store,
            chain,
            operator,
            keys,
            peer,
            network,
            position,
            trust,
            vitals,
            short_rows: ShortRows::default(),
            repairs_at_once: limits::REPAIRS_AT_ONCE,
            scrub_every: limits::SCRUB_EVERY,
            metrics,
        };
        Ok((context, is_news.then_some(source)))
    }

    /// Whether we may sign for others and delete what was paid for, as things stand.
    pub fn may_act(&self) -> bool {
        self.trust.may_act(&self.position.current())
    }

    /// Whether the keys are those that this position's committee lists for us.
    pub fn check_keys(&self, position: &Position) -> Result<Option<NodeId>, KeyFault> {
        let signing = self.keys.confirmation.as_ref().map(SecretKey::public_key);
        let keys = OwnKeys { peer: self.peer, signing, node: self.keys.node };
        node_keys::judge(&position.committee, &keys)
    }
}

/// How far the store is, and the network as it was proven there.
async fn read_kept(store: Store) -> Result<(Option<u64>, Option<SystemView>), StoreError> {
    let read = move || Ok::<_, StoreError>((store.position()?, kept::network(&store)?));
    let read = tokio::task::spawn_blocking(read).await;
    let (applied, objects) = read.expect("reading neither panics nor is cut off")?;
    // Objects that make no view any more, because another version wrote them, are read anew.
    let view = objects.and_then(|objects| objects.view().ok()).map(|mut view| {
        view.position.is_proven = true;
        view
    });
    Ok((applied, view))
}

/// What a client does without the ledger.
const GOING_ON: &str = "going on with what was known of the network";

/// The network as the ledger says; as it was, if there is something to recall and the ledger does
/// not answer at once. The last part is whether the ledger said it.
async fn ask_or_recall(
    options: ChainOptions,
    cache: Option<NetworkObjects>,
) -> Result<(Chain, SystemView, bool), CallError> {
    let ask = async |options: ChainOptions| {
        let chain = Chain::connect(options).await?;
        let view = chain.system().await?;
        Ok::<_, CallError>((chain, view, true))
    };
    let Some((objects, recalled)) = cache.and_then(|it| it.view().ok().map(|view| (it, view)))
    else {
        return ask(options).await;
    };
    let impatient = ChainOptions { patience: Duration::ZERO, ..options.clone() };
    match tokio::time::timeout(limits::CHAIN_RECALL_AFTER, ask(impatient)).await {
        // What answers at once is asked with all patience from now on.
        Ok(Ok((chain, view, is_news))) => Ok((chain.patient(options.patience), view, is_news)),
        Ok(Err(error)) if !error.is_transient() => Err(error),
        without => {
            let (ledger, checkpoint) = (options.urls.join(", "), objects.checkpoint);
            match without {
                Ok(Err(error)) if !error.is_late() => {
                    warn!(%ledger, checkpoint, "the ledger does not answer; {GOING_ON}");
                }
                // It may only be slow, and whoever reads needs it for nothing else.
                _ => info!(%ledger, checkpoint, "the ledger has not answered yet; {GOING_ON}"),
            }
            Ok((Chain::resume(options, &objects)?, recalled, false))
        }
    }
}

/// Milliseconds of this machine's clock, for ages of local bytes; peers never hear of it.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
