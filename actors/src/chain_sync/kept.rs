//! What chain sync keeps in the store, and reads when it starts again.
//!
//! Promises: bytes carry a version, and those of another one, or of another checkpoint than the
//! store's position, are as if there were none. Does not: write by itself, or verify.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::machine::ledger_history::{CheckpointDigest, Verified};
use haulout_storage::{Kept, Proof, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::chain::{Checkpoint, NetworkObjects, Start, Written};

/// The form of a kept checkpoint.
const VERSION: u8 = 1;

/// A checkpoint as it is kept.
#[derive(Serialize, Deserialize)]
struct KeptCheckpoint {
    version: u8,
    sequence: u64,
    digest: [u8; 32],
    time_ms: u64,
}

/// What a checkpoint proves, as the store takes it. `validators` are those of the checkpoint to
/// come, if they are not kept yet.
pub(super) fn proof(checkpoint: &Checkpoint, validators: Option<Vec<u8>>) -> Proof {
    let Checkpoint { sequence, digest, time_ms, .. } = *checkpoint;
    let row = KeptCheckpoint { version: VERSION, sequence, digest: digest.0, time_ms };
    let row = bcs::to_bytes(&row).expect("numbers always serialise");
    let mut kept = vec![(Kept::Checkpoint, row)];
    kept.extend(validators.map(|validators| (Kept::Validators, validators)));
    let objects = checkpoint.written.iter().map(|one| (one.id, one.version, one.digest)).collect();
    Proof { kept, objects }
}

/// Where the store stands. Blocks on the disk.
pub(crate) fn start(store: &Store) -> Result<Start, StoreError> {
    let Some(sequence) = store.position()? else { return Ok(Start::default()) };
    let kept = store.kept(Kept::Checkpoint)?;
    let kept = kept.and_then(|bytes| bcs::from_bytes::<KeptCheckpoint>(&bytes).ok());
    let kept = kept.filter(|kept| kept.version == VERSION && kept.sequence == sequence);
    let digest = kept.as_ref().map(|kept| CheckpointDigest(kept.digest));
    let time_ms = kept.map_or(0, |kept| kept.time_ms);
    let validators = store.kept(Kept::Validators)?.map(|bytes| bytes.to_vec());
    Ok(Start { last: Some(Verified { sequence, digest, time_ms }), validators })
}

/// The network as it was when it was last read. Blocks on the disk.
pub(crate) fn network(store: &Store) -> Result<Option<NetworkObjects>, StoreError> {
    Ok(store.kept(Kept::Network)?.and_then(|bytes| NetworkObjects::from_bytes(&bytes)))
}

/// The proven versions of objects. Blocks on the disk.
pub(super) fn written(store: &Store, ids: &[ObjectId]) -> Result<Vec<Option<Written>>, StoreError> {
    let look_up = |id: &ObjectId| {
        let found = store.proven(id)?;
        Ok(found.map(|(version, digest)| Written { id: *id, version, digest }))
    };
    ids.iter().map(look_up).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_kept_checkpoint_counts_only_for_the_position_it_was_kept_for() {
        let store = Store::in_memory().unwrap();
        assert_eq!(start(&store).unwrap().last, None);
        let checkpoint = Checkpoint {
            sequence: 7,
            digest: CheckpointDigest([3; 32]),
            time_ms: 70,
            events: Vec::new(),
            written: Vec::new(),
            validators: None,
        };
        let kept = proof(&checkpoint, Some(vec![5]));
        store.apply_proven(7, Vec::new(), kept).await.unwrap();
        let found = start(&store).unwrap();
        assert_eq!((found.last, found.validators), (Some(checkpoint.verified()), Some(vec![5])));
        // A version that did not look went on from there.
        store.apply(8, Vec::new()).await.unwrap();
        let last = Verified { sequence: 8, digest: None, time_ms: 0 };
        assert_eq!(start(&store).unwrap().last, Some(last));
    }
}
