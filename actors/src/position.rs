//! Where we are in the ledger's history, and what the ledger said there; one copy for all who need it.
//!
//! Promises: whoever watches sees positions in the order in which they were set, the last one at least.
//! Does not: read the ledger (`chain_sync` does), or say what anything costs (`market` does).

use std::collections::BTreeSet;
use std::sync::Arc;

use haulout_protocol::chain::object::staking::EpochState;
use haulout_protocol::committee::{Committee, Neighbour, NodeId};
use haulout_protocol::crypto::PeerId;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::roster::Roster;
use haulout_protocol::machine::space::Terms;
use haulout_protocol::sliver::ShardIndex;
use tokio::sync::watch;

use crate::market::{Market, Quote};

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
    /// Who served in the epoch before, reached as the ledger says now; nobody where that is not known. Its keys are not
    /// those of its certificates.
    pub previous: Option<Arc<Committee>>,
    /// Who else served in the epoch before, or is chosen for the next; nobody where the ledger was not asked.
    pub neighbours: Arc<[Neighbour]>,
    /// Members that told the ledger in this epoch that they have their shards; nobody where the ledger was not asked, and those
    /// who did so since it was asked last are not among them.
    pub synced: Arc<[NodeId]>,
    /// How blobs are encoded on this network.
    pub parameters: Parameters,
    /// What storage costs, and on which terms it is sold.
    pub market: Market,
}

/// How long the parts of an epoch take, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// A whole epoch, without the time of its sync; zero if the ledger does not say.
    pub duration_ms: u64,
    /// What the nodes of a new committee have to get their shards.
    pub sync_timeout_ms: u64,
}

impl Position {
    /// What a blob of `length` bytes costs for `epochs` epochs; `None` if it fits no number.
    pub fn quote(&self, length: u64, epochs: u32) -> Option<Quote> {
        self.market.quote(&self.parameters, length, epochs)
    }

    /// What the ledger sells and for how much, for plans.
    pub fn terms(&self) -> Terms {
        self.market.terms(&self.parameters, self.epoch)
    }

    /// Whom readers ask: the members of the committee, and those before them who may have what they are still copying.
    pub fn roster(&self) -> Roster {
        Roster::new(self.committee.clone(), self.previous.as_deref(), &self.phase)
    }

    /// The shards a peer owns in the current committee; none if it is no member.
    pub fn shards_of(&self, peer: &PeerId) -> &[ShardIndex] {
        let member = self.committee.member_by_peer(peer);
        member.map_or(&[], |index| self.committee.members()[index].shards.as_slice())
    }

    /// The shards whose owners told the ledger that they have them.
    pub fn synced_shards(&self) -> BTreeSet<ShardIndex> {
        let members = self.committee.members().iter();
        let synced = members.filter(|member| self.synced.contains(&member.node_id));
        synced.flat_map(|member| member.shards.iter().copied()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::sample_position;

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
