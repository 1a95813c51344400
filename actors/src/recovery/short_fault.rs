//! Evidence that the writer of a short blob encoded it wrongly.
//!
//! Promises: whatever was read of the blob, only what its holders proved is evidence. Does not: say what follows.

use std::sync::Arc;
use std::time::Duration;

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::{ProvedSymbols, ShortDecoded, ShortRepair, repair_short};
use haulout_protocol::machine::Blame;
use haulout_protocol::machine::retry::End;
use haulout_protocol::sliver::{PairIndex, pair_of_shard};
use haulout_protocol::writer_fault::WriterFault;
use tracing::debug;

use super::job::Faulty;
use crate::asking::{AskError, Inquiry};
use crate::limits;
use crate::session::{self, Session};

/// What shows the fault of the writer of a blob that was read like this, or not at all; nothing if too little of it can be had
/// now, or nothing is wrong with it.
pub(super) async fn find(
    session: &Session,
    blob_id: &BlobId,
    blob: Option<Vec<u8>>,
) -> Option<Faulty> {
    let header = Arc::new(session::held_header(session, blob_id).await?);
    let proved = match blob {
        Some(_) => None,
        None => Some(gather(session, blob_id, &header).await?),
    };
    let (parameters, of) = (session.parameters, header.clone());
    let found = tokio::task::spawn_blocking(move || {
        let blob: Vec<u8> = match proved.map(|proved| proved.decode()) {
            Some(Ok(ShortDecoded::Inconsistent(fault))) => return Some(fault),
            Some(Ok(ShortDecoded::Blob(blob))) => blob.into(),
            Some(Err(_)) => return None,
            None => blob?,
        };
        match repair_short(&parameters, &of, &blob) {
            Ok(ShortRepair::Inconsistent(fault)) => Some(fault),
            Ok(ShortRepair::Symbols(_)) | Err(_) => None,
        }
    });
    let fault = WriterFault::Short(found.await.ok()??);
    Some(Faulty { header, fault })
}

/// As many proved symbols as decode a blob whatever they hold.
async fn gather(session: &Session, blob_id: &BlobId, header: &BlobHeader) -> Option<ProvedSymbols> {
    let parameters = &session.parameters;
    let mut proved = ProvedSymbols::new(parameters, header).ok()?;
    let own = session.committee.member_by_peer(&session.network.identity());
    let mut members = session.members_by_pace();
    members.retain(|member| Some(*member) != own);
    let places = |member: usize| -> Vec<PairIndex> {
        let shards = session.member(member).shards.iter();
        shards.map(|shard| pair_of_shard(parameters, blob_id, 0, *shard)).collect()
    };
    let ask = async |member: usize| {
        let wanted = places(member);
        (member, session::symbols(session, member, (blob_id, header), (&wanted, true)).await)
    };
    let needed = usize::from(parameters.primary_source());
    let inquiry = Inquiry::start(session.inquiry(limits::EVIDENCE_REQUESTS), members, ask);
    let judge = |member: usize, answer: Result<session::Came, AskError>| {
        let (asker, peer) = (session.asker(), session.peer(member));
        let end = match answer {
            Ok(came) => match proved.add(&came.symbols, &came.proof) {
                Ok(()) => End::Done,
                Err(_) => {
                    asker.blame(peer, Blame::WrongProof);
                    End::Never
                }
            },
            Err(error) => {
                debug!(member = %session.name(member), %error, "symbols did not come");
                asker.report(peer, &error);
                error.end()
            }
        };
        (end, proved.count() >= needed)
    };
    inquiry.ask_everybody(Duration::ZERO, judge).await;
    Some(proved)
}
