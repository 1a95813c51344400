//! One segment to repair: of which blob, what is lost of it, and what is here.
//!
//! Promises: a pair counts as here only with its proof. Does not: repair.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::{PairIndex, ShardIndex, pair_of_shard};
use haulout_storage::{Store, StoreError};

use crate::session::Session;

/// What is to be repaired, and with what.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) session: Session,
    pub(super) store: Store,
    pub(super) blob_id: BlobId,
    pub(super) header: Arc<BlobHeader>,
    pub(super) segment: u32,
    /// The shards whose pairs are not whole here.
    pub(super) lost: BTreeSet<ShardIndex>,
    /// All of our shards.
    pub(super) ours: Vec<ShardIndex>,
}

impl Job {
    /// The pairs of ours that are whole, with their proofs. Blocks.
    pub(super) fn held(&self) -> Result<BTreeMap<PairIndex, PairProof>, StoreError> {
        let (parameters, mut held) = (&self.session.parameters, BTreeMap::new());
        for shard in self.ours.iter().filter(|shard| !self.lost.contains(shard)) {
            let pair = pair_of_shard(parameters, &self.blob_id, self.segment, *shard);
            let proof = match self.store.pair_proof(&self.blob_id, self.segment, *shard) {
                Err(StoreError::Corrupt { .. }) => continue, // noted, and found by the next look
                proof => proof?,
            };
            let proof =
                proof.and_then(|bytes| PairProof::from_bytes(&bytes, pair, parameters).ok());
            held.extend(proof.map(|proof| (pair, proof)));
        }
        Ok(held)
    }
}
