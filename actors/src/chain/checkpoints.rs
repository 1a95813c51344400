//! The ledger's history as a list without holes, each piece of it proven.
//!
//! Promises: each checkpoint once, in order, whatever the subscription skips or repeats, and none
//! that the validators did not sign, or most servers do not show, or that does not follow those before;
//! after an error `next_batch` goes on where it stopped, whatever the ledger said in between, and with
//! the server that is chosen then.
//! Does not: wait between failed attempts (callers back off), or keep anything.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::{self, Event};
use haulout_protocol::machine::ledger_history::{Doubt, History, Verdict, Verified};
use haulout_protocol::machine::ledger_servers::Servers;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, StructTag};
use tonic::Streaming;

use super::error::{CallError, FollowError};
use super::handle::Chain;
use super::proof::{self, CHECKPOINT_FIELDS, Checkpoint, Ours, Proved, Unproven};
use super::validators::Validators;
use super::witness::Witness;
use crate::limits;

/// Where to begin, and what is known there.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The last checkpoint that was verified; without one, the first there is comes first, also if a later one is
    /// trusted.
    pub last: Option<Verified>,
    /// The validators of the checkpoint to come, as [`Checkpoint::validators`] gave them; without
    /// them, those that the trusted checkpoint leads to.
    pub validators: Option<Vec<u8>>,
}

/// An endless list of checkpoints; see [`Chain::checkpoints`].
pub struct Checkpoints {
    /// The server that is followed.
    chain: Chain,
    /// All of them.
    choice: Chain,
    pub(super) history: History,
    /// Who signs; found when the first checkpoint comes, if anybody does.
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
    /// An object whose writes are told, too, whoever owns it.
    also: Option<ObjectId>,
}

impl std::fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoints").field("next", &self.history.next()).finish_non_exhaustive()
    }
}

impl Chain {
    /// Every checkpoint after the start, in order, for ever.
    pub fn checkpoints(&self, start: Start) -> Checkpoints {
        Checkpoints::new(self.clone(), start)
    }
}

impl Checkpoints {
    pub(super) fn new(chain: Chain, start: Start) -> Checkpoints {
        // Who has read nothing needs all of it: what was stored before a later checkpoint is there still. That one only says
        // who signs.
        let trusted = chain.shared.options.trusted.as_ref().filter(|it| it.sequence == 0);
        let begin = || History::from_trusted(trusted);
        let history = start.last.map_or_else(begin, History::after);
        // Validators that cannot be read any more are looked for anew.
        let validators = start.validators.and_then(|kept| Validators::from_bytes(&kept).ok());
        let (ready, subscription, early) = (Vec::new(), None, None);
        let (choice, chain) = (chain.clone(), chain.at(chain.server()));
        let (tip, is_live, also) = (0, false, None);
        Checkpoints {
            chain,
            choice,
            history,
            validators,
            tip,
            ready,
            subscription,
            early,
            is_live,
            also,
        }
    }

    /// The same, and what is written of this object is told as that of ours is.
    pub(super) fn with(mut self, object: ObjectId) -> Checkpoints {
        self.also = Some(object);
        self
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

    /// What was verified so far, to compare others with.
    pub(crate) fn witness(&self) -> Witness {
        Witness { history: self.history.clone(), validators: self.validators.clone() }
    }

    /// The place of the server that said what came last.
    pub(crate) fn server(&self) -> usize {
        self.chain.server()
    }

    /// The next checkpoints that exist, at least one; waits for it. After an error, call again.
    pub async fn next_batch(&mut self) -> Result<Vec<Checkpoint>, FollowError> {
        let server = self.choice.server();
        if self.server() != server {
            self.chain = self.choice.at(server);
            self.forget_unproven();
        }
        let mut moves = self.choice.standings().subscribe();
        let is_another = |servers: &Servers| servers.current() != server;
        let batch = tokio::select! {
            batch = self.gather() => batch,
            // Nothing is lost: what was proven was handed out in the same moment.
            _ = moves.wait_for(is_another) => Err(FollowError::Moved),
        };
        if batch.is_err() {
            self.forget_unproven();
        }
        batch
    }

    /// Nothing this ledger said beyond what was proven is worth remembering.
    pub(super) fn forget_unproven(&mut self) {
        (self.tip, self.subscription, self.early) = (0, None, None);
        self.ready.clear();
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

    /// Who signs what came, as far as what is known or trusted leads to them; nobody where several servers
    /// show no signatures and nobody said that they must.
    async fn signers(&self, shown: &[Unproven]) -> Result<Option<Validators>, FollowError> {
        let first = shown.first().expect("only what came is proven");
        let (epoch, next) = (first.epoch(), first.sequence());
        let trusted = self.chain.shared.options.trusted;
        match &self.validators {
            // A version that did not look went on for longer than the Sui epoch whose validators are kept.
            Some(kept) if self.history.last().is_some_and(|last| last.digest.is_none()) => {
                self.chain.walk(kept.clone(), epoch).await.map(Some)
            }
            Some(validators) => Ok(Some(validators.clone())),
            None if trusted.is_none()
                && self.chain.has_choice()
                && !shown.iter().any(Unproven::has_signature) =>
            {
                Ok(None)
            }
            None => {
                let found = self.chain.validators_of(epoch, next).await?;
                match trusted {
                    Some(trusted) if found.epoch() > epoch && next < trusted.sequence => {
                        Err(FollowError::TrustedLater { trusted: trusted.sequence, next })
                    }
                    _ => Ok(Some(found)),
                }
            }
        }
    }

    /// Proves what came and takes over what holds.
    async fn prove(&mut self, shown: Vec<Unproven>) -> Result<Proved, FollowError> {
        let validators = self.signers(&shown).await?;
        let agreed = match (&validators, shown.last()) {
            (None, Some(last)) => Some(self.chain.agreed_checkpoint(last.sequence()).await?),
            _ => None,
        };
        let also = self.also.map(|object| Address::new(object.into()));
        let (history, ours) = (self.history.clone(), Ours { also, ..self.chain.ours() });
        let proving = move || proof::prove(&shown, history, (validators, agreed), &ours);
        let proved = tokio::task::spawn_blocking(proving).await;
        let mut proved =
            proved.map_err(|_| CallError::unreadable("proving a checkpoint panicked"))??;
        // Without signatures, what is not what most show is disputed.
        if let (Some(_), Some(doubt)) = (agreed, &mut proved.doubt)
            && doubt.verdict == Verdict::Forged
        {
            doubt.verdict = Verdict::Disputed;
        }
        self.history = proved.history.clone();
        self.validators = proved.validators.clone();
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
        let mut client = self.chain.client().subscription_client();
        let answer = client.subscribe_checkpoints(request);
        let answer = tokio::time::timeout(self.chain.answer_within(), answer).await;
        let answer = answer.map_err(|_| self.chain.late("no answer in time"))?;
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
        let wanted = (next..=last).map(|sequence| chain.shown_or_gap(sequence));
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
    pub(super) fn ours(&self) -> Ours {
        let options = &self.shared.options;
        let staking = haulout_protocol::chain::staking_inner(&options.staking);
        let roots = [options.system, options.staking, staking, options.params, options.treasury];
        let roots = roots.map(|id| Address::new(id.into()));
        Ours { package: self.shared.package, roots, also: None }
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

#[cfg(test)]
mod tests;
