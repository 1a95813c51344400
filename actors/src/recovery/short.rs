//! The repair of a short blob: whoever lacks a symbol fetches the blob, and encodes it again.
//!
//! Promises: what is stored is proved by the blob's header, and what was there before stays. Does not: fetch single symbols; they take the whole blob.

use bytes::Bytes;
use haulout_protocol::blob::BlobId;
use haulout_protocol::encoding::encode_short;
use haulout_protocol::machine::recovery::Failure;
use haulout_protocol::sliver::{Axis, ShardIndex};
use haulout_storage::ShortBlob;
use tracing::debug;

use super::job::RepairError;
use super::short_fault;
use crate::context::Context;
use crate::session::Session;
use crate::session::download::{self, Consistency, GetError};
use crate::short_rows::{CheckedRow, places_of};

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
    if let Err(error) = got {
        debug!(%blob_id, %error, "a short blob cannot be read, so it is not repaired");
        return Err(match error {
            GetError::Inconsistent { .. } => faulty(session, blob_id, None).await,
            _ => unavailable(session),
        });
    }
    let blob: Bytes = blob.into();
    let bytes = u64::try_from(blob.len()).unwrap_or(u64::MAX);
    let (parameters, of, ours) = (session.parameters, *blob_id, ours.to_vec());
    let read = blob.clone();
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
        let checked = CheckedRow::new(&parameters, header, new).ok()?;
        Some((header.clone(), checked))
    });
    // Content that is right and encodes to another root is the writer's fault.
    let Some((header, row)) = row.await.map_err(|_| RepairError::Ended)? else {
        return Err(faulty(session, blob_id, Some(read.into())).await);
    };
    let symbols = context.short_rows.add(&context.store, parameters, header, (row, 0)).await?;
    Ok(Symbols { symbols: u64::try_from(symbols).unwrap_or(u64::MAX), bytes })
}

/// The writer is to blame, if that can be shown now.
async fn faulty(session: &Session, blob_id: &BlobId, blob: Option<Vec<u8>>) -> RepairError {
    let found = short_fault::find(session, blob_id, blob).await;
    found.map_or_else(|| unavailable(session), |faulty| RepairError::Faulty(Box::new(faulty)))
}

fn unavailable(session: &Session) -> RepairError {
    RepairError::Failed(Failure::Unavailable {
        axis: Axis::Primary,
        available: 0,
        needed: usize::from(session.parameters.primary_source()),
        members: Vec::new(),
    })
}
