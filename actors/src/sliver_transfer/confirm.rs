//! When a node signs that it stores a blob: brings the facts by which `machine::confirmation` judges, and signs.
//!
//! Promises: nothing is signed unless that says so; whoever sees a registration first says so to those who count places and
//! pending bytes. Does not: take bytes (`put` and `short` do).

use std::time::Duration;

use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::confirmation::{self, Facts, Registration, Verdict};
use haulout_protocol::message::{Persistence, blob_certificate_message};
use haulout_protocol::wire::Refusal;
use haulout_protocol::wire::sliver::Reply;
use tracing::info;

use super::put::Upload;
use super::session::Session;
use crate::limits;
use crate::position::Position;
use crate::serving::{Fault, blocking, busy};

impl Session {
    /// Waits for the registration, makes sure that all is durable, and signs.
    pub(super) async fn confirm(
        &mut self,
        upload: &mut Upload,
        persistence: Persistence,
    ) -> Result<(), Fault> {
        let Upload { blob_id, is_registered, .. } = &mut *upload;
        let patience = self.shared.patience.registration_wait;
        let wait = self.wait_registered(blob_id, is_registered, Some(persistence), patience);
        let position = wait.await?;
        let position = position.ok_or(Fault::Refused(Refusal::NotRegistered))?;
        self.keep_header(upload).await?;
        let missing = "some of our slivers are missing; send them again".to_owned();
        let asked = (upload.blob_id, upload.segments, persistence);
        self.sign_or(asked, &position, Refusal::Invalid(missing)).await
    }

    /// Confirms a short blob that came on any stream.
    pub(super) async fn confirm_short(
        &mut self,
        blob_id: BlobId,
        persistence: Persistence,
    ) -> Result<(), Fault> {
        let mut seen = false;
        let patience = self.shared.patience.registration_wait.min(limits::CONFIRM_WAIT_MAX);
        let wait = self.wait_registered(&blob_id, &mut seen, Some(persistence), patience);
        // Others wait for the stream: the writer comes again.
        let position = wait.await?.ok_or_else(busy)?;
        let length = self.registered_length(blob_id, position.epoch).await?;
        if !position.parameters.is_short(length) {
            return Err(Fault::out_of_place("a confirmation of a long blob without its header"));
        }
        // A short blob is all in one segment.
        self.sign_or((blob_id, 1, persistence), &position, Refusal::NotFound).await
    }

    /// Signs for what is registered, as seen at this position, if all that must stand behind it does; if something is not
    /// here, says so.
    async fn sign_or(
        &mut self,
        (blob_id, segments, persistence): (BlobId, u32, Persistence),
        position: &Position,
        incomplete: Refusal,
    ) -> Result<(), Fault> {
        let context = &self.shared.context;
        let shards = position.shards_of(&context.peer).to_vec();
        let (store, is_member) = (context.store.clone(), !shards.is_empty());
        let holds = move || store.holds(&blob_id, segments, &shards);
        let facts = Facts {
            registration: Registration::Seen,
            is_member: is_member && context.keys.confirmation.is_some(),
            is_durable: is_member && blocking(holds).await??,
            may_act: context.trust.may_act(position),
        };
        match confirmation::judge(&facts, limits::BUSY_RETRY_AFTER_MS) {
            Verdict::Sign => self.sign(&blob_id, persistence, position).await,
            Verdict::Wait => Err(Fault::Refused(Refusal::NotRegistered)),
            Verdict::Incomplete => Err(Fault::Refused(incomplete)),
            Verdict::Refuse(refusal) => Err(Fault::Refused(refusal)),
        }
    }

    /// Signs.
    async fn sign(
        &mut self,
        blob_id: &BlobId,
        persistence: Persistence,
        position: &Position,
    ) -> Result<(), Fault> {
        let context = &self.shared.context;
        let epoch = position.epoch;
        let message = blob_certificate_message(&context.network, epoch, blob_id, &persistence);
        let key = context.keys.confirmation.as_ref();
        let signature = key.ok_or(Fault::Refused(Refusal::NotMember))?.sign(&message);
        let reply = Reply::Confirmed { epoch: epoch.0, signature: signature.to_bytes() };
        context.metrics.confirmation_signed();
        info!(%blob_id, %epoch, "blob stored and confirmed");
        self.reply(&reply).await
    }

    /// Waits until our store has the registration; gives the position it was seen at.
    pub(super) async fn wait_registered(
        &self,
        blob_id: &BlobId,
        is_seen: &mut bool,
        persistence: Option<Persistence>,
        patience: Duration,
    ) -> Result<Option<Position>, Fault> {
        let mut moves = self.shared.context.position.subscribe();
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            moves.borrow_and_update();
            if let Some(position) = self.is_registered(blob_id, is_seen, persistence).await? {
                return Ok(Some(position));
            }
            match tokio::time::timeout_at(deadline, moves.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok(None),
            }
        }
    }

    /// Whether the blob is registered as asked for, and at which position we saw it. Whoever sees it first says so to those
    /// who count pending bytes and places.
    pub(super) async fn is_registered(
        &self,
        blob_id: &BlobId,
        is_seen: &mut bool,
        persistence: Option<Persistence>,
    ) -> Result<Option<Position>, Fault> {
        let position = self.shared.context.position.current();
        let epoch = position.epoch;
        let (store, blob_id) = (self.shared.context.store.clone(), *blob_id);
        let Some(record) = blocking(move || store.blob(&blob_id)).await?? else {
            return Ok(None);
        };
        let is_registered = match record.registration(persistence, epoch) {
            Registration::Invalid => {
                let reason = "the blob was proven to be encoded wrongly".to_owned();
                return Err(Fault::Refused(Refusal::Invalid(reason)));
            }
            registration => registration == Registration::Seen,
        };
        if is_registered && !*is_seen {
            *is_seen = true;
            self.visit.place.promote(&blob_id);
            self.shared.pending.settle(&blob_id);
        }
        Ok(is_registered.then_some(position))
    }
}
