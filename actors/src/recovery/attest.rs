//! Signs that a blob was encoded wrongly, for members that show it.
//!
//! Promises: nothing is read of whoever would not be signed for, and nothing before there is room for it; nothing is checked
//! without a core; one is examined at a time, and who is slow to show it loses its turn; evidence that shows nothing is blamed
//! on whoever sent it. Does not: tell the ledger; whoever asks does.

use std::sync::Arc;

use haulout_protocol::blob::BlobId;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::verdict::{Facts, Standing, judge};
use haulout_protocol::message::invalid_blob_message;
use haulout_protocol::wire::verdict::{Reply, Request};
use haulout_protocol::wire::{HEADER_BYTES_MAX, PROOF_FRAME_BYTES_MAX, Refusal};
use haulout_protocol::writer_fault::WriterFault;
use haulout_storage::BlobRecord;
use tokio::sync::Semaphore;
use tracing::info;

use crate::context::Context;
use crate::limits;
use crate::network::{Blame, StreamError};
use crate::serving::{Ended, Fault, Visit, blocking, busy, charged};

/// Serves one visitor.
pub(super) async fn serve(
    context: Context,
    is_member: bool,
    turns: Arc<Semaphore>,
    mut visit: Visit,
) -> Ended {
    let served = answer(&context, is_member, turns, &mut visit).await;
    visit.end::<Reply>(served).await
}

async fn answer(
    context: &Context,
    is_member: bool,
    turns: Arc<Semaphore>,
    visit: &mut Visit,
) -> Result<(), Fault> {
    let request: Request = visit.frame().await?;
    visit.place.asked();
    if !is_member {
        let reason = "only members of the committee ask for verdicts";
        return Err(Fault::Refused(Refusal::Invalid(reason.to_owned())));
    }
    let Request { blob_id, header_bytes, evidence_bytes } = request;
    for (announced, max) in
        [(header_bytes, HEADER_BYTES_MAX), (evidence_bytes, PROOF_FRAME_BYTES_MAX)]
    {
        if announced > max {
            return Err(StreamError::TooLarge { announced, max }.into());
        }
    }
    let (blob_id, position) = (BlobId::from_bytes(blob_id), context.position.current());
    let store = context.store.clone();
    let record = blocking(move || store.blob(&blob_id)).await??;
    let key = context.keys.confirmation.as_ref();
    let facts = Facts {
        standing: standing(record.as_ref(), position.epoch),
        is_member: key.is_some() && !position.shards_of(&context.peer).is_empty(),
        may_act: context.trust.may_act(&position),
    };
    judge(&facts, limits::BUSY_RETRY_AFTER_MS).map_err(Fault::Refused)?;
    let turn = turns.try_acquire_owned().map_err(|_| busy())?;
    let room = visit.room(charged(memory_bytes(&request))).await?;
    visit.stream.write_frame(&Reply::Send).await?;
    visit.stream.flush().await?;
    let shown = async {
        let header = visit.stream.read_bytes(header_bytes).await?;
        Ok::<_, StreamError>((header, visit.stream.read_bytes(evidence_bytes).await?))
    };
    let shown = tokio::time::timeout(limits::EVIDENCE_TIME_MAX, shown).await;
    let (header, evidence) = shown.map_err(|_| StreamError::TooSlow)??;
    let (core, parameters) = (visit.core().await, position.parameters);
    let examined = blocking(move || {
        let _held = (turn, room, core);
        WriterFault::examine(&parameters, &blob_id, &header, evidence)
    });
    if let Err(error) = examined.await? {
        let reason = format!("the evidence against the blob's writer shows nothing: {error}");
        return Err(Fault::Blamed { blame: Blame::WrongProof, reason });
    }
    let epoch = position.epoch;
    let message = invalid_blob_message(&context.network, epoch, &blob_id);
    let signature = key.ok_or(Fault::Refused(Refusal::NotMember))?.sign(&message);
    info!(%blob_id, %epoch, "signed that its writer encoded the blob wrongly");
    let reply = Reply::Signed { epoch: epoch.0, signature: signature.to_bytes() };
    visit.stream.write_frame(&reply).await?;
    Ok(visit.stream.flush().await?)
}

/// What our store says that the ledger says of a blob.
fn standing(record: Option<&BlobRecord>, epoch: Epoch) -> Standing {
    match record {
        Some(record) if record.invalid.is_some() => Standing::Invalid,
        Some(record) if record.is_certified(epoch) => Standing::Certified,
        _ => Standing::Uncertified,
    }
}

/// Memory for a request: header and evidence as they come and as they are read, and what the evidence decodes to.
fn memory_bytes(request: &Request) -> usize {
    let bytes = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
    let header = bytes(request.header_bytes).saturating_mul(2);
    header.saturating_add(bytes(request.evidence_bytes).saturating_mul(3))
}

#[cfg(test)]
mod tests;
