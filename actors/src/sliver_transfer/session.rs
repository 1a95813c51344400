//! One visitor of ours, and what all sessions share.
//!
//! Promises: a visitor that wants more may pause before it. Does not: know what visitors want (`requests` does).

use std::sync::Arc;

use haulout_protocol::sliver::ShardIndex;
use haulout_protocol::wire::{Refusal, sliver};

use super::patience::Patience;
use super::pending::Pending;
use crate::context::Context;
use crate::position::Position;
use crate::serving::{Fault, Visit};

/// What all sessions share.
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) patience: Patience,
    pub(super) pending: Pending,
}

/// One stream and who opened it.
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) visit: Visit,
}

impl Shared {
    pub(super) fn new(context: Context, patience: Patience, pending_on_disk: u64) -> Shared {
        Shared { context, patience, pending: Pending::new(patience.bounds, pending_on_disk) }
    }

    /// The shards we own at this position.
    pub(super) fn own_shards(&self, position: &Position) -> Result<Vec<ShardIndex>, Fault> {
        match position.shards_of(&self.context.peer) {
            [] => Err(Fault::Refused(Refusal::NotMember)),
            shards => Ok(shards.to_vec()),
        }
    }
}

impl Session {
    /// What the peer wants next. It may be encoding, or feeding slower nodes.
    pub(super) async fn next_request(&mut self) -> Result<sliver::Request, Fault> {
        self.visit.stream.allow_pause(self.shared.patience.pause);
        Ok(self.visit.frame().await?)
    }

    /// What the peer wants after a short blob; nothing if it wants no more, or we end. What it paid for is done, so whoever
    /// named a paid blob is a stranger again: else it would read as if it had paid.
    pub(super) async fn next_after_short(&mut self) -> Result<Option<sliver::Request>, Fault> {
        if !self.visit.place.demote() {
            return Ok(None);
        }
        Ok(self.visit.frame_after(self.shared.patience.pause).await?)
    }
}
