//! Has the ledger call a blob invalid that its writer encoded wrongly: shows others why, and sends what they sign.
//!
//! Promises: nothing is shown that we did not check ourselves; a signature counts only if it verifies; the ledger is told once
//! enough have signed, by the operator's wallet. Does not: remember anything; whoever still finds the blob missing comes again.
//! Source: `protocol.md` section 8.

use std::time::Duration;

use bytes::Bytes;
use haulout_protocol::blob::BlobId;
use haulout_protocol::certificate::Certificate;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::Blame;
use haulout_protocol::machine::retry::End;
use haulout_protocol::machine::verdict::{Heard, Tally};
use haulout_protocol::wire::verdict::{Reply, Request};
use haulout_protocol::wire::{self, PROOF_FRAME_BYTES_MAX, Refusable, SMALL_FRAME_BYTES_MAX};
use haulout_protocol::writer_fault::WriterFaultError;
use tracing::{debug, info};

use super::job::Faulty;
use crate::asking::{AskError, Inquiry, nonsense};
use crate::chain::CallError;
use crate::context::Context;
use crate::limits;
use crate::network::Protocol;
use crate::session::Session;

/// Why the ledger does not call a blob invalid yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum VerdictError {
    /// We cannot send anything.
    #[error(
        "without an operator's wallet this node cannot tell the ledger, and leaves it to others; set wallet.key_file"
    )]
    NoWallet,
    /// We do not know that the ledger says what we think it does.
    #[error("the ledger is not believed at present")]
    Doubted,
    /// Our own evidence does not hold: a fault of the program.
    #[error("the evidence that was found shows nothing: {0}")]
    Unproven(#[from] WriterFaultError),
    /// Longer than anybody reads.
    #[error("the evidence has {0} bytes, more than others read")]
    TooLarge(usize),
    /// Too few are there, or agree.
    #[error("members with {weight} of {shards} shards signed so far; more than a third is needed")]
    TooFew {
        /// What they own.
        weight: u16,
        /// All shards.
        shards: u16,
    },
    /// The ledger did not take it.
    #[error("the ledger does not take the verdict now: {0}")]
    Ledger(#[from] CallError),
    /// A task of ours ended before its time.
    #[error("this node is shutting down")]
    Ended,
}

impl VerdictError {
    /// Whether trying again soon may help.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            VerdictError::NoWallet | VerdictError::Unproven(_) | VerdictError::TooLarge(_) => false,
            VerdictError::Doubted
            | VerdictError::TooFew { .. }
            | VerdictError::Ledger(_)
            | VerdictError::Ended => true,
        }
    }
}

/// What is shown to others; a cheap clone.
#[derive(Clone, Debug)]
pub(super) struct Accusation {
    blob_id: BlobId,
    header: Bytes,
    evidence: Bytes,
}

impl Accusation {
    /// Checks what was found, and makes it ready for others.
    pub(super) async fn prepare(
        parameters: Parameters,
        blob_id: BlobId,
        faulty: Faulty,
    ) -> Result<Accusation, VerdictError> {
        let prepared = tokio::task::spawn_blocking(move || {
            let Faulty { header, fault } = faulty;
            fault.check(&parameters, &header)?;
            let evidence = wire::encode(&fault);
            if u32::try_from(evidence.len()).map_or(true, |bytes| bytes > PROOF_FRAME_BYTES_MAX) {
                return Err(VerdictError::TooLarge(evidence.len()));
            }
            Ok(Accusation { blob_id, header: header.to_bytes().into(), evidence: evidence.into() })
        });
        prepared.await.map_err(|_| VerdictError::Ended)?
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.header.len().saturating_add(self.evidence.len())
    }

    /// Has the ledger call the blob invalid.
    pub(super) async fn declare(
        &self,
        context: &Context,
        session: &Session,
    ) -> Result<(), VerdictError> {
        let (Some(chain), Some(wallet)) = (&context.chain, &context.operator) else {
            return Err(VerdictError::NoWallet);
        };
        let certificate = self.collect(context, session).await?;
        let blob_id = self.blob_id;
        match chain.invalidate_blob(wallet, &certificate).await? {
            Some(_) => info!(%blob_id, "the ledger calls the blob invalid now"),
            None => debug!(%blob_id, "somebody else had the ledger call the blob invalid"),
        }
        Ok(())
    }

    /// Collects signatures, ours among them, until a correct member must be one of those who signed.
    async fn collect(
        &self,
        context: &Context,
        session: &Session,
    ) -> Result<Certificate, VerdictError> {
        if !context.trust.may_act(&context.position.current()) {
            return Err(VerdictError::Doubted);
        }
        let committee = &session.committee;
        let mut tally = Tally::new(committee.clone(), &session.network_id, &self.blob_id);
        let ourselves = committee.member_by_peer(&context.peer);
        if let (Some(member), Some(key)) = (ourselves, &context.keys.confirmation) {
            let signature = key.sign(tally.message()).to_bytes();
            tally.hear(member, committee.epoch(), &signature);
        }
        let mut members = session.members_by_pace();
        members.retain(|member| Some(*member) != ourselves);
        let ask = async |member: usize| (member, self.ask(session, member).await);
        let inquiry = Inquiry::start(session.inquiry(limits::EVIDENCE_REQUESTS), members, ask);
        let mut certificate = tally.certificate();
        if certificate.is_none() {
            let judge = |member: usize, answer: Result<_, AskError>| {
                let end = judged(session, &mut tally, member, answer);
                certificate = tally.certificate();
                (end, certificate.is_some())
            };
            inquiry.ask_everybody(Duration::ZERO, judge).await;
        }
        let (weight, shards) = (tally.weight(), committee.shards());
        certificate.ok_or(VerdictError::TooFew { weight, shards })
    }

    /// Shows it to a member, and reads what it says: the epoch it signed for, and its signature.
    async fn ask(&self, session: &Session, member: usize) -> Result<(Epoch, [u8; 96]), AskError> {
        let length = |bytes: &Bytes| u32::try_from(bytes.len()).map_err(|_| nonsense());
        let request = Request {
            blob_id: *self.blob_id.as_bytes(),
            header_bytes: length(&self.header)?,
            evidence_bytes: length(&self.evidence)?,
        };
        let mut stream = session.asker().open(session.peer(member), Protocol::Verdict).await?;
        let refused = AskError::Refused;
        stream.write_frame(&request).await?;
        stream.flush().await?;
        let reply: Reply = stream.read_frame(SMALL_FRAME_BYTES_MAX).await?;
        let Reply::Send = reply.unless_refused().map_err(refused)? else { return Err(nonsense()) };
        stream.write_all(&self.header).await?;
        stream.write_all(&self.evidence).await?;
        stream.flush().await?;
        // It is checked before it is signed: what is slow has more time than a frame that is on its way.
        stream.set_idle_timeout(limits::VERDICT_PATIENCE);
        let reply: Reply = stream.read_frame(SMALL_FRAME_BYTES_MAX).await?;
        match reply.unless_refused().map_err(refused)? {
            Reply::Signed { epoch, signature } => Ok((Epoch(epoch), signature)),
            Reply::Send | Reply::Refused(_) => Err(nonsense()),
        }
    }
}

/// Counts what a member answered; says whether it is asked again.
fn judged(
    session: &Session,
    tally: &mut Tally,
    member: usize,
    answer: Result<(Epoch, [u8; 96]), AskError>,
) -> End {
    let (asker, peer) = (session.asker(), session.peer(member));
    match answer {
        Ok((epoch, signature)) => match tally.hear(member, epoch, &signature) {
            Heard::Counted => End::Done,
            Heard::OtherEpoch => End::Again { after_ms: 0 },
            Heard::Wrong => {
                asker.blame(peer, Blame::WrongProof);
                End::Never
            }
        },
        Err(error) => {
            debug!(member = %session.name(member), %error, "a member does not sign the verdict");
            asker.report(peer, &error);
            error.end()
        }
    }
}
