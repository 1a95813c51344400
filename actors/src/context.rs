//! What every actor is given: store, ledger, keys, and the facts that all of them need.
//!
//! Promises: senders of shared facts live here and not in an actor, so they survive restarts.
//! Does not: start anything, or read configuration.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use haulout_protocol::chain::object::staking::EpochState;
use haulout_protocol::committee::{Committee, NodeId};
use haulout_protocol::crypto::{PeerId, SecretKey};
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::space::Terms;
use haulout_protocol::message::NetworkId;
use haulout_protocol::rules::system;
use haulout_protocol::sliver::ShardIndex;
use haulout_storage::{Store, StoreError};
use tokio::sync::watch;

use crate::chain::{CallError, Chain, Wallet};
use crate::chain_sync::Follow;
use crate::metrics::Metrics;

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
    /// Where we count.
    pub metrics: Metrics,
}

/// The secrets of a node or client.
pub struct Keys {
    /// ed25519 seed of the libp2p identity.
    pub network: [u8; 32],
    /// BLS key for storage confirmations; clients have none.
    pub confirmation: Option<SecretKey>,
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
    /// The storage epoch.
    pub epoch: Epoch,
    /// How far the epoch is; the weight of a sync is that of its beginning.
    pub phase: EpochState,
    /// How long the parts of an epoch take.
    pub timing: Timing,
    /// Who serves it.
    pub committee: Arc<Committee>,
    /// What storage costs.
    pub prices: Prices,
    /// How blobs are encoded on this network.
    pub parameters: Parameters,
    /// Copies of each sliver index that a registration pays for.
    pub index_replicas: u16,
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
    /// The ledger, reached.
    pub chain: Chain,
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
    /// The ledger's system object is of another network.
    #[error("the ledger serves network {found}, the configuration names {configured}; check both")]
    WrongNetwork {
        /// The one in the configuration.
        configured: NetworkId,
        /// The one on the ledger.
        found: NetworkId,
    },
}

impl Context {
    /// Asks the ledger where the network is and puts the parts together.
    pub async fn connect(parts: Parts) -> Result<Context, ContextError> {
        let Parts { store, chain, keys, operator, peer, network, metrics, follow } = parts;
        let view = chain.system().await?;
        if view.network != network {
            return Err(ContextError::WrongNetwork { configured: network, found: view.network });
        }
        let mut position = view.position;
        if follow == Follow::Blobs {
            let reader = store.clone();
            let read = tokio::task::spawn_blocking(move || reader.position()).await;
            position.checkpoint =
                read.expect("reading neither panics nor is cut off")?.unwrap_or_default();
        }
        let (keys, position) = (Arc::new(keys), PositionWatch::new(position));
        let chain = Some(chain);
        Ok(Context { store, chain, operator, keys, peer, network, position, metrics })
    }
}

impl Position {
    /// What a blob of `length` bytes costs for `epochs` epochs; `None` if it fits no number.
    pub fn quote(&self, length: u64, epochs: u32) -> Option<Quote> {
        let encoded_bytes = self.parameters.encoded_bytes(length, self.index_replicas)?;
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
        let encoded = |length| self.parameters.encoded_bytes(length, self.index_replicas);
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
