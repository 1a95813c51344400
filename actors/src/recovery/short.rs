//! The repair of a short blob: whoever lacks a symbol fetches the blob, and encodes it again.
//!
//! Promises: what is stored is proved by the blob's header, and what was there before stays. Does not: fetch single symbols; they take the whole blob.

use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::encode_short;
use haulout_protocol::machine::recovery::Failure;
use haulout_protocol::sliver::{Axis, ShardIndex};
use haulout_storage::ShortBlob;
use tracing::debug;

use super::job::RepairError;
use crate::context::Context;
use crate::session::Session;
use crate::session::download::{self, Consistency, GetError};
use crate::short_rows::{places_of, with_symbols_of};

/// What was repaired.
pub(super) struct Symbols {
    pub(super) symbols: u64,
    pub(super) bytes: u64,
}

/// Fetches the blob and stores the symbols of our shards.
pub(super) async fn repair(
    session: &Session,
    context: &Context,
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
    let _alone = context.short_rows.lock(blob_id).await;
    let (parameters, of, ours, reader) =
        (session.parameters, *blob_id, ours.to_vec(), context.store.clone());
    let row = tokio::task::spawn_blocking(move || {
        let encoded = encode_short(&parameters, &blob);
        let header = encoded.header();
        let places = places_of(&parameters, &of, &ours);
        let indexes: Vec<_> = places.iter().map(|(place, _)| *place).collect();
        let proof = encoded.prove(&indexes).filter(|_| header.blob_id() == of)?;
        let new = ShortBlob {
            header: header.to_bytes().into(),
            symbols: places.iter().map(|(place, shard)| (*shard, encoded.symbol(*place))).collect(),
            proof: proof.to_bytes().into(),
        };
        let old = reader.short(&of).ok().flatten(); // a damaged one is replaced
        with_symbols_of(&parameters, header, new, old).ok()
    });
    // Content that is right and encodes to another root is the writer's fault.
    let row = row.await.map_err(|_| RepairError::Ended)?.ok_or(Failure::Inconsistent)?;
    let symbols = u64::try_from(row.symbols.len()).unwrap_or(u64::MAX);
    context.store.put_short(blob_id, row, 0).await?;
    Ok(Symbols { symbols, bytes })
}
