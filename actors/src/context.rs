//! What every actor is given: store, ledger, keys, and the facts that all of them need.
//!
//! Promises: senders of shared facts live here and not in an actor, so they survive restarts.
//! Does not: start anything, or read configuration.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use haulout_protocol::chain::object::staking::EpochState;
use haulout_protocol::committee::{Committee, Neighbour, NodeId};
use haulout_protocol::crypto::{PeerId, SecretKey};
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::node_keys::{self, KeyFault, OwnKeys};
use haulout_protocol::machine::space::Terms;
use haulout_protocol::message::NetworkId;
use haulout_protocol::rules::system;
use haulout_protocol::sliver::ShardIndex;
use haulout_storage::{Store, StoreError};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::chain::{CallError, Chain, ChainOptions, NetworkObjects, SystemView, Wallet};
use crate::chain_sync::{Follow, kept};
use crate::limits;
use crate::metrics::Metrics;
use crate::trust::Trust;
use crate::vitals::Vitals;

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

/// Where we are in the ledger's history, and what the ledger said there.
#[derive(Clone, Debug)]
pub struct Position {
    /// The last checkpoint whose effects are in our store.
    pub checkpoint: u64,
    /// The checkpoint at which the ledger said everything below; our store may be behind it.
    pub read_at: u64,
    /// The time of the last checkpoint we know, in milliseconds since 1970.
    pub ledger_ms: u64,
    /// Whether verified checkpoints prove everything below. If not, it is the word of the server we
    /// asked, and no reason to sign or to delete.
    pub is_proven: bool,
    /// The storage epoch.
    pub epoch: Epoch,
    /// How far the epoch is; the weight of a sync is that of its beginning.
    pub phase: EpochState,
    /// How long the parts of an epoch take.
    pub timing: Timing,
    /// Who serves it.
    pub committee: Arc<Committee>,
    /// Who else served in the epoch before, or is chosen for the next; nobody where the ledger was not asked.
    pub neighbours: Arc<[Neighbour]>,
    /// What storage costs.
    pub prices: Prices,
    /// How blobs are encoded on this network.
    pub parameters: Parameters,
    /// Copies of a blob's header that a registration pays for.
    pub header_replicas: u16,
    /// How many epochs ahead storage can be bought.
    pub epochs_ahead_max: u32,
}

/// How long the parts of an epoch take, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// A whole epoch, without the time of its sync; zero if the ledger does not say.
    pub duration_ms: u64,
    /// What the nodes of a new committee have to get their shards.
    pub sync_timeout_ms: u64,
}

/// Prices in the token's smallest unit, per MiB of encoded bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// For one epoch of storage.
    pub storage: u64,
    /// For writing once.
    pub write: u64,
}

/// What registering a blob would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Bytes to reserve.
    pub encoded_bytes: u64,
    /// Price of the reservation.
    pub storage: u64,
    /// Price of the write.
    pub write: u64,
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
    let impatient = ChainOptions { patience: std::time::Duration::ZERO, ..options.clone() };
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

impl Position {
    /// What a blob of `length` bytes costs for `epochs` epochs; `None` if it fits no number.
    pub fn quote(&self, length: u64, epochs: u32) -> Option<Quote> {
        let encoded_bytes = self.parameters.encoded_bytes(length, self.header_replicas)?;
        let storage = self.storage_price(encoded_bytes, epochs)?;
        let write = system::write_price(self.prices.write, encoded_bytes).ok()?;
        Some(Quote { encoded_bytes, storage, write })
    }

    /// What so many encoded bytes cost for `epochs` epochs; `None` if it fits no number.
    pub fn storage_price(&self, encoded_bytes: u64, epochs: u32) -> Option<u64> {
        system::storage_price(self.prices.storage, encoded_bytes, epochs).ok()
    }

    /// What the ledger sells and for how much, for plans.
    pub fn terms(&self) -> Terms {
        let encoded = |length| self.parameters.encoded_bytes(length, self.header_replicas);
        Terms {
            epoch: self.epoch.0,
            epochs_ahead_max: self.epochs_ahead_max,
            storage_price: self.prices.storage,
            write_price: self.prices.write,
            encoded_bytes_min: encoded(0).unwrap_or_default(),
        }
    }

    /// The shards a peer owns in the current committee; none if it is no member.
    pub fn shards_of(&self, peer: &PeerId) -> &[ShardIndex] {
        let member = self.committee.member_by_peer(peer);
        member.map_or(&[], |index| self.committee.members()[index].shards.as_slice())
    }

    /// The node behind a peer, if it is a member of the current committee.
    pub fn node_of(&self, peer: &PeerId) -> Option<NodeId> {
        let member = self.committee.member_by_peer(peer)?;
        Some(self.committee.members()[member].node_id)
    }
}

/// The shared position: written by one actor, watched by all.
#[derive(Clone, Debug)]
pub struct PositionWatch {
    sender: Arc<watch::Sender<Position>>,
}

impl PositionWatch {
    /// Starts with what the ledger said first.
    pub fn new(first: Position) -> PositionWatch {
        PositionWatch { sender: Arc::new(watch::Sender::new(first)) }
    }

    /// The position now; cheap.
    pub fn current(&self) -> Position {
        self.sender.borrow().clone()
    }

    /// Follows the position.
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.sender.subscribe()
    }

    /// Waits until a checkpoint is in our store.
    pub async fn until(&self, checkpoint: u64) -> Position {
        let mut receiver = self.subscribe();
        let reached = receiver.wait_for(|position| position.checkpoint >= checkpoint).await;
        reached.expect("the sender lives as long as this watch").clone()
    }

    /// How many follow it or wait for it.
    #[cfg(test)]
    pub(crate) fn watchers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Moves on. Only chain sync does, and tests that have no ledger.
    pub fn set(&self, position: Position) {
        self.sender.send_replace(position);
    }
}

/// Milliseconds of this machine's clock, for ages of local bytes; peers never hear of it.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::sample_position;

    #[test]
    fn a_quote_rounds_up_to_whole_units() {
        let mut position = sample_position(4);
        position.prices = Prices { storage: 100, write: 20 };
        let quote = position.quote(1, 26).unwrap();
        assert!(quote.encoded_bytes < 1 << 20);
        assert_eq!((quote.storage, quote.write), (2_600, 20));
        position.prices.storage = u64::MAX;
        assert_eq!(position.quote(1, 2), None);
    }

    #[tokio::test]
    async fn waiting_for_a_checkpoint_ends_when_it_is_applied() {
        let watch = PositionWatch::new(sample_position(4));
        let waiting = tokio::spawn({
            let watch = watch.clone();
            async move { watch.until(5).await.checkpoint }
        });
        for checkpoint in [3, 4, 7] {
            let mut position = watch.current();
            position.checkpoint = checkpoint;
            watch.set(position);
            tokio::task::yield_now().await;
        }
        assert_eq!(waiting.await.unwrap(), 7);
    }
}
