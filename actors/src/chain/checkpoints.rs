//! The ledger's history as a list without holes, each piece of it proven.
//!
//! Promises: each checkpoint once, in order, whatever the subscription skips or repeats, and none
//! that the validators did not sign or that does not follow those before; after an error
//! `next_batch` goes on where it stopped, whatever the ledger said in between.
//! Does not: wait between failed attempts (callers back off), or keep anything.

use haulout_protocol::chain::event::{self, Event};
use haulout_protocol::machine::ledger_history::{Doubt, History, Verdict, Verified};
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, StructTag};
use tonic::Streaming;

use super::proof::{self, CHECKPOINT_FIELDS, Checkpoint, Ours, Proved, Unproven};
use super::validators::Validators;
use super::{CallError, Chain, FollowError};
use crate::limits;

/// Where to begin, and what is known there.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The last checkpoint that was verified; without one, the trusted one comes first, or the
    /// first there is.
    pub last: Option<Verified>,
    /// The validators of the checkpoint to come, as [`Checkpoint::validators`] gave them; without
    /// them, those that the trusted checkpoint leads to.
    pub validators: Option<Vec<u8>>,
}

/// An endless list of checkpoints; see [`Chain::checkpoints`].
pub struct Checkpoints {
    chain: Chain,
    history: History,
    /// Who signs; found when the first checkpoint comes.
    validators: Option<Validators>,
    /// The highest number the ledger says that it has.
    tip: u64,
    /// Fetched and not yet proven, starting with the next.
    ready: Vec<Unproven>,
    subscription: Option<Streaming<proto::SubscribeCheckpointsResponse>>,
    /// Came from the subscription before its time.
    early: Option<Unproven>,
    /// Whether what is ready came from the subscription.
    is_live: bool,
}

impl std::fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoints").field("next", &self.history.next()).finish_non_exhaustive()
    }
}

impl Checkpoints {
    pub(super) fn new(chain: Chain, start: Start) -> Checkpoints {
        let trusted = chain.shared.options.trusted.as_ref();
        let begin = || History::from_trusted(trusted);
        let history = start.last.map_or_else(begin, History::after);
        // Validators that cannot be read any more are looked for anew.
        let validators = start.validators.and_then(|kept| Validators::from_bytes(&kept).ok());
        let (ready, subscription, early) = (Vec::new(), None, None);
        let (tip, is_live) = (0, false);
        Checkpoints { chain, history, validators, tip, ready, subscription, early, is_live }
    }

    /// How many checkpoints the ledger says that it has beyond those returned.
    pub fn lag(&self) -> u64 {
        self.tip.saturating_add(1).saturating_sub(self.history.next())
    }

    /// Whether the last batch is as new as the ledger has any, and was told as soon as it was made. What was asked for
    /// instead may be the last thing a ledger did before it stood still.
    pub fn is_live(&self) -> bool {
        self.is_live && self.lag() == 0
    }

    /// Who signs the next checkpoint, as [`Start::validators`] wants it; nothing before the first.
    pub fn validators(&self) -> Option<Vec<u8>> {
        self.validators.as_ref().map(Validators::to_bytes)
    }

    /// The next checkpoints that exist, at least one; waits for it. After an error, call again.
    pub async fn next_batch(&mut self) -> Result<Vec<Checkpoint>, FollowError> {
        let batch = self.gather().await;
        if batch.is_err() {
            // Nothing this ledger said beyond what was proven is worth remembering.
            (self.tip, self.subscription, self.early) = (0, None, None);
            self.ready.clear();
        }
        batch
    }

    async fn gather(&mut self) -> Result<Vec<Checkpoint>, FollowError> {
        loop {
            let ready = std::mem::take(&mut self.ready);
            if !ready.is_empty() {
                let Proved { due, doubt, .. } = self.prove(ready).await?;
                match (due.is_empty(), doubt) {
                    (false, None) => return Ok(due),
                    (false, Some(_)) => {
                        // It will be shown again, first of all.
                        (self.subscription, self.early) = (None, None);
                        return Ok(due);
                    }
                    (true, Some(doubt)) => return Err(doubt.into()),
                    (true, None) => {}
                }
            }
            if self.subscription.is_none() {
                self.subscribe().await?;
            }
            if self.history.next() <= self.tip {
                self.fetch().await?;
            } else {
                self.listen().await?;
            }
        }
    }

    /// Proves what came and takes over what holds.
    async fn prove(&mut self, shown: Vec<Unproven>) -> Result<Proved, FollowError> {
        let epoch = shown.first().map_or(0, Unproven::epoch);
        let validators = match &self.validators {
            Some(validators) => validators.clone(),
            None => self.chain.validators_of(epoch).await?,
        };
        let (history, ours) = (self.history.clone(), self.chain.ours());
        let proving = move || proof::prove(&shown, history, validators, &ours);
        let proved = tokio::task::spawn_blocking(proving).await;
        let proved =
            proved.map_err(|_| CallError::unreadable("proving a checkpoint panicked"))??;
        self.history = proved.history.clone();
        self.validators = Some(proved.validators.clone());
        Ok(proved)
    }

    /// Opens the subscription, then asks how far the ledger is: nothing falls between the two.
    async fn subscribe(&mut self) -> Result<(), FollowError> {
        let far = |history: &History| history.next().saturating_add(limits::CHAIN_BACKFILL_BATCH);
        if far(&self.history) <= self.tip {
            return Ok(()); // far behind: a subscription nobody reads would only be cut off
        }
        let request = proto::SubscribeCheckpointsRequest::default()
            .with_read_mask(FieldMask::from_paths(CHECKPOINT_FIELDS));
        let answer =
            self.chain.client.clone().subscription_client().subscribe_checkpoints(request).await;
        let answer =
            answer.map_err(|status| self.chain.call_error(&status, "checkpoint subscription"))?;
        self.tip = self.chain.latest_checkpoint().await?;
        self.compare_tip().await?;
        if far(&self.history) > self.tip {
            self.subscription = Some(answer.into_inner());
        }
        Ok(())
    }

    /// Makes sure that a ledger which is no further than we are has our history, and says so if it
    /// is not even as far.
    async fn compare_tip(&mut self) -> Result<(), FollowError> {
        let Some(last) = self.history.last().map(|last| last.sequence) else { return Ok(()) };
        if self.tip > last {
            return Ok(());
        }
        let shown = self.chain.shown(self.tip).await?;
        if let Some(doubt) = self.prove(vec![shown]).await?.doubt {
            return Err(doubt.into());
        }
        match self.tip < last {
            true => Err(Doubt { verdict: Verdict::Behind, checkpoint: self.tip }.into()),
            false => Ok(()),
        }
    }

    /// Fetches the next few checkpoints that exist already.
    async fn fetch(&mut self) -> Result<(), FollowError> {
        let next = self.history.next();
        if self.early.as_ref().is_some_and(|early| early.sequence() <= next) {
            let early = self.early.take().filter(|early| early.sequence() == next);
            self.is_live = early.is_some();
            self.ready.extend(early);
            return Ok(());
        }
        let last = next.saturating_add(limits::CHAIN_BACKFILL_BATCH - 1).min(self.tip);
        let chain = &self.chain;
        let wanted = (next..=last).map(|sequence| async move {
            chain.shown(sequence).await.map_err(|error| match error {
                CallError::NotFound { .. } => {
                    FollowError::from(Doubt { verdict: Verdict::Gap, checkpoint: sequence })
                }
                error => error.into(),
            })
        });
        let wanted = futures::future::try_join_all(wanted).await?;
        self.is_live = false;
        self.ready.extend(wanted);
        Ok(())
    }

    /// Waits for the subscription to say something.
    async fn listen(&mut self) -> Result<(), FollowError> {
        let Some(subscription) = &mut self.subscription else { return Ok(()) };
        let heard = tokio::time::timeout(limits::CHAIN_SILENCE_MAX, subscription.message()).await;
        let frame = match heard {
            Ok(Ok(Some(frame))) => frame,
            Ok(Ok(None)) => return Err(self.chain.unreachable("the subscription ended").into()),
            Ok(Err(status)) => {
                return Err(self.chain.call_error(&status, "checkpoint subscription").into());
            }
            Err(_) => return Err(self.chain.unreachable("the subscription is silent").into()),
        };
        let shown = Unproven::read(frame.checkpoint())?;
        self.tip = self.tip.max(shown.sequence());
        if shown.sequence() >= self.history.next() {
            self.early = Some(shown);
        }
        Ok(())
    }
}

impl Chain {
    /// Which objects and events of the ledger are ours.
    fn ours(&self) -> Ours {
        let options = &self.shared.options;
        let staking = haulout_protocol::chain::staking_inner(&options.staking);
        let roots = [options.system, options.staking, staking, options.params, options.treasury];
        let roots = roots.map(|id| Address::new(id.into()));
        Ours { package: self.shared.package, roots }
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
