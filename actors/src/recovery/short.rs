//! The repair of a short blob: whoever lacks a symbol fetches the blob, and encodes it again.
//!
//! Promises: what is stored is proved by the blob's header. Does not: fetch single symbols; they take the whole blob.

use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::encode_short;
use haulout_protocol::machine::recovery::Failure;
use haulout_protocol::sliver::{Axis, ShardIndex, pair_of_shard};
use haulout_storage::{ShortBlob, Store};
use tracing::debug;

use super::segment::RepairError;
use crate::session::Session;
use crate::session::download::{self, Consistency, GetError};

/// What was repaired.
pub(super) struct Symbols {
    pub(super) symbols: u64,
    pub(super) bytes: u64,
}

/// Fetches the blob and stores the symbols of our shards.
pub(super) async fn repair(
    session: &Session,
    store: &Store,
    blob_id: &BlobId,
    ours: &[ShardIndex],
) -> Result<Symbols, RepairError> {
    let mut blob = Vec::new();
    let observer: crate::session::Observer = std::sync::Arc::new(|_| ());
    let got = download::get(session, blob_id, Consistency::Default, &mut blob, &observer).await;
    got.map_err(|error| {
        debug!(%blob_id, %error, "a short blob cannot be read, so it is not repaired");
        match error {
            GetError::Inconsistent { .. } => Failure::Inconsistent,
            _ => Failure::Unavailable {
                axis: Axis::Primary,
                available: 0,
                needed: usize::from(session.parameters.primary_source()),
                members: Vec::new(),
            },
        }
    })?;
    let bytes = u64::try_from(blob.len()).unwrap_or(u64::MAX);
    let (parameters, of, ours) = (session.parameters, *blob_id, ours.to_vec());
    let row = tokio::task::spawn_blocking(move || {
        let encoded = encode_short(&parameters, &blob);
        let place = |shard: &ShardIndex| (pair_of_shard(&parameters, &of, 0, *shard).0, *shard);
        let mut places: Vec<_> = ours.iter().map(place).collect();
        places.sort_unstable();
        let indexes: Vec<_> = places.iter().map(|(place, _)| *place).collect();
        let proof = encoded.prove(&indexes).filter(|_| encoded.header().blob_id() == of)?;
        Some(ShortBlob {
            header: encoded.header().to_bytes().into(),
            symbols: places.iter().map(|(place, shard)| (*shard, encoded.symbol(*place))).collect(),
            proof: proof.to_bytes().into(),
        })
    });
    // Content that is right and encodes to another root is the writer's fault.
    let row = row.await.map_err(|_| RepairError::Ended)?.ok_or(Failure::Inconsistent)?;
    let symbols = u64::try_from(row.symbols.len()).unwrap_or(u64::MAX);
    store.put_short(blob_id, row, 0).await?;
    Ok(Symbols { symbols, bytes })
}
