//! One page of blobs without a certificate: each is asked for among the members, and kept if the answers prove it.
//!
//! Promises: [`limits::CERTIFICATES_AT_ONCE`] blobs at a time, [`limits::CERTIFICATE_REQUESTS`] members of each, and
//! [`limits::CERTIFICATE_PATIENCE`] for each blob. Does not: say when, or come back to what nobody gave.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::Blame;
use haulout_protocol::machine::certificate_answers::{CertificateAnswers, Heard};
use haulout_protocol::machine::retry::End;
use haulout_storage::{CertificatePlace, StoreError};
use tracing::debug;

use crate::asking::Inquiry;
use crate::context::Context;
use crate::limits;
use crate::network::Network;
use crate::position::Position;
use crate::session::{self, Session};

/// What it takes to ask.
#[derive(Clone)]
pub(super) struct Fetching {
    pub(super) context: Context,
    pub(super) network: Network,
}

/// What came of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageDone {
    /// Certificates that are here now.
    pub(super) kept: u64,
    /// Those that nobody gave, or too few.
    pub(super) left: u64,
    /// Where the next page begins; nothing if this was the last.
    pub(super) next: Option<CertificatePlace>,
}

impl Fetching {
    /// Reads a page, and asks for what it lists.
    pub(super) async fn page(&self, from: CertificatePlace) -> Result<PageDone, StoreError> {
        let position = self.context.position.current();
        let mut done = PageDone { kept: 0, left: 0, next: None };
        if position.shards_of(&self.context.peer).is_empty() {
            return Ok(done); // nobody expects a certificate of whoever has no shard
        }
        let (store, epoch) = (self.context.store.clone(), position.epoch);
        let page = tokio::task::spawn_blocking(move || store.without_certificate(epoch, from));
        let Ok(page) = page.await else { return Ok(done) }; // we are shutting down
        let page = page?;
        done.next = page.next;
        let fetches = page.blobs.into_iter().map(|blob_id| self.fetch(blob_id));
        let mut fetches = stream::iter(fetches).buffer_unordered(limits::CERTIFICATES_AT_ONCE);
        while let Some(fetched) = fetches.next().await {
            let is_here = fetched?;
            done.kept += u64::from(is_here);
            done.left += u64::from(!is_here);
        }
        Ok(done)
    }

    /// Asks for one; whether it is here now.
    async fn fetch(&self, blob_id: BlobId) -> Result<bool, StoreError> {
        let session = self.session(self.context.position.current());
        let Some(bytes) = ask_members(&session, &blob_id).await else { return Ok(false) };
        self.context.store.put_certificate(&blob_id, bytes).await?;
        debug!(%blob_id, "a certificate that was not here came from others");
        Ok(true)
    }

    fn session(&self, position: Position) -> Session {
        Session {
            network: self.network.clone(),
            network_id: self.context.network,
            roster: Arc::new(position.roster()),
            committee: position.committee,
            parameters: position.parameters,
            checkpoint: position.checkpoint,
            patience: limits::CERTIFICATE_PATIENCE,
        }
    }
}

/// Asks members until what they gave proves a certificate, or nobody is left.
async fn ask_members(session: &Session, blob_id: &BlobId) -> Option<Vec<u8>> {
    let ourselves = session.committee.member_by_peer(&session.network.identity());
    let mut members = session.members_by_pace();
    members.retain(|member| Some(*member) != ourselves);
    let ask = async |member: usize| (member, session::certificate(session, member, blob_id).await);
    let terms = session.inquiry(limits::CERTIFICATE_REQUESTS);
    let mut inquiry = Inquiry::start(terms, members, ask);
    let (network_id, committee) = (session.network_id, session.committee.clone());
    let mut answers = CertificateAnswers::new(committee, network_id, *blob_id);
    while let Some((member, answer)) = inquiry.next().await {
        let bytes = match answer {
            Ok(bytes) => bytes,
            Err(error) => {
                inquiry.judged(member, error.end());
                continue;
            }
        };
        // A signature takes a millisecond to verify.
        let judged = tokio::task::spawn_blocking(move || {
            let heard = answers.hear(member, &bytes);
            (heard, answers, bytes)
        });
        let (heard, heard_so_far, bytes) = judged.await.ok()?;
        answers = heard_so_far;
        match heard {
            Heard::Proven => return Some(bytes),
            Heard::Counted | Heard::Unknown => {}
            Heard::Wrong => session.asker().blame(session.peer(member), Blame::WrongProof),
        }
        inquiry.judged(member, End::Done);
    }
    None
}
