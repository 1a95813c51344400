//! How the network's handle lends streams.
//!
//! Promises: as `lending` says. Does not: keep anything itself.

use std::sync::Arc;

use haulout_protocol::crypto::PeerId;

use super::errors::OpenError;
use super::handle::Network;
use super::lending::{Borrowed, Desk, Errand};
use super::names::Protocol;

impl Network {
    /// A stream to a peer that others use after us: waits for a turn, then as [`Network::reuse`] does. For those who come
    /// by the hundred.
    pub async fn borrow(&self, peer: PeerId, errand: Errand) -> Result<Borrowed, OpenError> {
        let turn = self.desk(peer).turn(errand).await;
        Ok(self.reuse(peer).await?.in_turn(Some(turn)))
    }

    /// A stream that was used before, if one is kept, which saves a round trip; else as [`Network::open`] does.
    pub async fn reuse(&self, peer: PeerId) -> Result<Borrowed, OpenError> {
        let desk = self.desk(peer);
        let (stream, was_used) = match desk.take_kept() {
            Some(stream) => (stream, true),
            None => (self.open(peer, Protocol::Sliver).await?, false),
        };
        Ok(Borrowed::new(stream, was_used, desk))
    }

    fn desk(&self, peer: PeerId) -> Arc<Desk> {
        self.shared.lending.desk(peer, || self.shared.permits_towards(peer))
    }

    /// The same turn with a stream that nobody had: what is kept is as old as the one that ended.
    pub async fn replace(&self, peer: PeerId, borrowed: Borrowed) -> Result<Borrowed, OpenError> {
        let (desk, turn) = borrowed.close();
        desk.close_kept();
        let stream = self.open(peer, Protocol::Sliver).await?;
        Ok(Borrowed::new(stream, false, desk).in_turn(turn))
    }
}
