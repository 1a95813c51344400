//! The ledger's history as a list without holes.
//!
//! Promises: each checkpoint once, in order, whatever the subscription skips or repeats; after an
//! error `next` goes on where it stopped. What is missing before the subscription's first
//! checkpoint is fetched one by one.
//! Does not: verify the validators' signatures, or wait between failed attempts (callers back off).

use haulout_protocol::chain::event::{self, Event};
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, StructTag};
use tonic::Streaming;

use super::{CallError, Chain};
use crate::limits;

/// The parts of a checkpoint we read.
const CHECKPOINT_FIELDS: [&str; 3] =
    ["sequence_number", "summary.timestamp", "transactions.events"];

/// One step of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number.
    pub sequence: u64,
    /// Its time, in milliseconds since 1970; never before that of the checkpoint before.
    pub time_ms: u64,
    /// What our contracts said in it, in order.
    pub events: Vec<Event>,
}

/// An endless list of checkpoints; see [`Chain::checkpoints`].
pub struct Checkpoints {
    chain: Chain,
    /// The number `next` must return.
    next: u64,
    /// The highest number the ledger is known to have.
    tip: u64,
    /// Fetched and not yet returned, starting with `next`.
    ready: Vec<Checkpoint>,
    subscription: Option<Streaming<proto::SubscribeCheckpointsResponse>>,
    /// Came from the subscription before its time.
    early: Option<Checkpoint>,
}

impl std::fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoints").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Checkpoints {
    /// Starts with checkpoint `next`.
    pub(super) fn new(chain: Chain, next: u64) -> Checkpoints {
        let (ready, subscription, early) = (Vec::new(), None, None);
        Checkpoints { chain, next, tip: 0, ready, subscription, early }
    }

    /// How many checkpoints the ledger is known to have beyond those returned.
    pub fn lag(&self) -> u64 {
        self.tip.saturating_add(1).saturating_sub(self.next)
    }

    /// The next checkpoints that exist, at least one; waits for it. After an error, call again.
    pub async fn next_batch(&mut self) -> Result<Vec<Checkpoint>, CallError> {
        loop {
            if let Some(last) = self.ready.last() {
                self.next = last.sequence.saturating_add(1);
                return Ok(std::mem::take(&mut self.ready));
            }
            if self.subscription.is_none() {
                self.subscribe().await?;
            }
            if self.next <= self.tip {
                self.fetch().await?;
            } else {
                self.listen().await?;
            }
        }
    }

    /// Opens the subscription, then asks how far the ledger is: nothing falls between the two.
    async fn subscribe(&mut self) -> Result<(), CallError> {
        if self.next.saturating_add(limits::CHAIN_BACKFILL_BATCH) <= self.tip {
            return Ok(()); // far behind: a subscription nobody reads would only be cut off
        }
        let request = proto::SubscribeCheckpointsRequest::default()
            .with_read_mask(FieldMask::from_paths(CHECKPOINT_FIELDS));
        let answer =
            self.chain.client.clone().subscription_client().subscribe_checkpoints(request).await;
        let answer =
            answer.map_err(|status| self.chain.call_error(&status, "checkpoint subscription"))?;
        let tip = self.chain.latest_checkpoint().await?;
        if tip.saturating_add(1) < self.next {
            return Err(CallError::unreadable(format!(
                "it ends at checkpoint {tip}, we have read {}",
                self.next.saturating_sub(1)
            )));
        }
        self.tip = self.tip.max(tip);
        if self.next.saturating_add(limits::CHAIN_BACKFILL_BATCH) > self.tip {
            self.subscription = Some(answer.into_inner());
        }
        Ok(())
    }

    /// Fetches the next few checkpoints that exist already.
    async fn fetch(&mut self) -> Result<(), CallError> {
        if self.early.as_ref().is_some_and(|early| early.sequence <= self.next) {
            let early = self.early.take().filter(|early| early.sequence == self.next);
            self.ready.extend(early);
            return Ok(());
        }
        let last = self.next.saturating_add(limits::CHAIN_BACKFILL_BATCH - 1).min(self.tip);
        let wanted = (self.next..=last).map(|sequence| self.chain.checkpoint(sequence));
        self.ready.extend(futures::future::try_join_all(wanted).await?);
        Ok(())
    }

    /// Waits for the subscription to say something.
    async fn listen(&mut self) -> Result<(), CallError> {
        let Some(subscription) = &mut self.subscription else { return Ok(()) };
        let frame = match subscription.message().await {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                self.subscription = None;
                return Err(self.chain.unreachable("the subscription ended"));
            }
            Err(status) => {
                self.subscription = None;
                return Err(self.chain.call_error(&status, "checkpoint subscription"));
            }
        };
        let checkpoint = self.chain.decode_checkpoint(frame.checkpoint())?;
        self.tip = self.tip.max(checkpoint.sequence);
        if checkpoint.sequence >= self.next {
            self.early = Some(checkpoint);
        }
        Ok(())
    }
}

impl Chain {
    /// One checkpoint that exists.
    async fn checkpoint(&self, sequence: u64) -> Result<Checkpoint, CallError> {
        let request = proto::GetCheckpointRequest::by_sequence_number(sequence)
            .with_read_mask(FieldMask::from_paths(CHECKPOINT_FIELDS));
        let answer = self.client.clone().ledger_client().get_checkpoint(request).await;
        let what = format!("checkpoint {sequence}");
        let answer = answer.map_err(|status| self.call_error(&status, &what))?.into_inner();
        let checkpoint = self.decode_checkpoint(answer.checkpoint())?;
        if checkpoint.sequence != sequence {
            return Err(CallError::unreadable(format!(
                "asked for checkpoint {sequence}, got {}",
                checkpoint.sequence
            )));
        }
        Ok(checkpoint)
    }

    /// The number of a checkpoint and our events in it.
    fn decode_checkpoint(&self, checkpoint: &proto::Checkpoint) -> Result<Checkpoint, CallError> {
        let number = checkpoint.sequence_number;
        let sequence =
            number.ok_or_else(|| CallError::unreadable("a checkpoint without number"))?;
        let mut events = Vec::new();
        for transaction in checkpoint.transactions() {
            events.extend(decode_events(&self.shared.package, transaction)?);
        }
        Ok(Checkpoint { sequence, time_ms: time_of(checkpoint)?, events })
    }
}

/// When a checkpoint was made, in milliseconds since 1970.
pub(super) fn time_of(checkpoint: &proto::Checkpoint) -> Result<u64, CallError> {
    let time = checkpoint.summary().timestamp.as_ref();
    let parts = time.and_then(|time| {
        Some((u64::try_from(time.seconds).ok()?, u64::try_from(time.nanos).ok()? / 1_000_000))
    });
    let milliseconds =
        parts.and_then(|(seconds, rest)| seconds.checked_mul(1000)?.checked_add(rest));
    milliseconds.ok_or_else(|| CallError::unreadable("a checkpoint without time"))
}

/// Our events of one transaction; those of other packages and newer versions are left out.
pub(super) fn decode_events(
    package: &Address,
    transaction: &proto::ExecutedTransaction,
) -> Result<Vec<Event>, CallError> {
    let mut decoded = Vec::new();
    for said in transaction.events().events() {
        let name: StructTag = said.event_type().parse().map_err(CallError::unreadable)?;
        if name.address() != package || name.module().as_str() != event::MODULE {
            continue;
        }
        let bytes = said.contents().value();
        decoded.extend(Event::decode(name.name().as_str(), bytes).map_err(CallError::unreadable)?);
    }
    Ok(decoded)
}
