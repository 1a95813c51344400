//! A checkpoint as a ledger shows it, and what proves it: signatures, digests, and nothing else.
//!
//! ```text
//! validators' signature -> summary -> contents -> effects of each transaction -> its events
//!                             |                        +-> the objects it wrote
//!                             +-> the checkpoint before
//! ```
//!
//! Promises: events and written objects are given out only from checkpoints that were proven; of a
//! batch one signature is checked for each Sui epoch, because each checkpoint names the one before.
//! Does not: fetch, or decide what an unproven checkpoint means; `ledger_history` does.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::{self, Event};
use haulout_protocol::machine::ledger_history::{
    CheckpointDigest, Doubt, History, Shown, Verdict, Verified,
};
use serde::de::DeserializeOwned;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{
    Address, CheckpointContents, CheckpointSummary, ExecutionStatus, ObjectChange, Owner,
    TransactionEffects, TransactionEvents, ValidatorAggregatedSignature,
};

use super::error::CallError;
use super::validators::Validators;

/// The parts of a checkpoint that we read.
pub(super) const CHECKPOINT_FIELDS: [&str; 6] = [
    "sequence_number",
    "summary.bcs",
    "signature",
    "contents.bcs",
    "transactions.effects.bcs",
    "transactions.events.bcs",
];

/// One proven step of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number.
    pub sequence: u64,
    /// Its digest.
    pub digest: CheckpointDigest,
    /// Its time, in milliseconds since 1970; never before that of the checkpoint before.
    pub time_ms: u64,
    /// What our contracts said in it, in order.
    pub events: Vec<Event>,
    /// The shared objects that it wrote, if any of ours is among them.
    pub written: Vec<Written>,
    /// The validators of the Sui epoch that begins after it, if one does, as they are kept.
    pub validators: Option<Vec<u8>>,
}

impl Checkpoint {
    /// Where the history ends with it.
    pub fn verified(&self) -> Verified {
        Verified { sequence: self.sequence, digest: Some(self.digest), time_ms: self.time_ms }
    }
}

/// A version of an object, proven to be on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Which object.
    pub id: ObjectId,
    /// Its version.
    pub version: u64,
    /// The digest of the object at this version.
    pub digest: [u8; 32],
}

/// Which objects and events of the ledger are ours.
#[derive(Clone, Debug)]
pub(super) struct Ours {
    /// The package whose events we read.
    pub(super) package: Address,
    /// Shared objects: what writes one of them is ours.
    pub(super) roots: [Address; 5],
    /// An object whose writes are wanted, too, whoever owns it.
    pub(super) also: Option<Address>,
}

/// A checkpoint as it came; nothing of it is believed.
#[derive(Clone, Debug)]
pub(super) struct Unproven {
    summary: CheckpointSummary,
    digest: CheckpointDigest,
    signature: Option<ValidatorAggregatedSignature>,
    contents: CheckpointContents,
    transactions: Vec<(TransactionEffects, Option<TransactionEvents>)>,
}

impl Unproven {
    /// Reads what the ledger sent.
    pub(super) fn read(checkpoint: &proto::Checkpoint) -> Result<Unproven, CallError> {
        let summary: CheckpointSummary = read(checkpoint.summary().bcs(), "checkpoint")?;
        let transactions = checkpoint.transactions().iter().map(|one| {
            let effects = read(one.effects().bcs(), "transaction's effects")?;
            let events = one.events_opt().map(|events| read(events.bcs(), "transaction's events"));
            Ok((effects, events.transpose()?))
        });
        Ok(Unproven {
            digest: CheckpointDigest(summary.digest().into_inner()),
            // One that cannot be read is none.
            signature: checkpoint.signature_opt().and_then(|signature| signature.try_into().ok()),
            contents: read(checkpoint.contents().bcs(), "list of transactions")?,
            transactions: transactions.collect::<Result<_, CallError>>()?,
            summary,
        })
    }

    /// It as it is shown where there are no signatures.
    #[cfg(test)]
    pub(super) fn without_signature(self) -> Unproven {
        Unproven { signature: None, ..self }
    }

    /// It as a ledger sends it.
    #[cfg(test)]
    pub(super) fn to_rpc(&self) -> proto::Checkpoint {
        use sui_rpc::field::FieldMaskTree;
        use sui_rpc::merge::Merge;
        let all = FieldMaskTree::new_wildcard();
        let mut sent = proto::Checkpoint::default();
        sent.merge(&self.summary, &all);
        sent.merge(self.contents.clone(), &all);
        if let Some(signature) = self.signature.clone() {
            sent.merge(signature, &all);
        }
        sent.transactions.extend(self.transactions.iter().map(|(effects, events)| {
            let mut transaction = proto::ExecutedTransaction::default();
            transaction.effects = Some(effects.clone().into());
            transaction.events = events.clone().map(Into::into);
            transaction
        }));
        sent
    }

    /// Its number.
    pub(super) fn sequence(&self) -> u64 {
        self.summary.sequence_number
    }

    /// Its Sui epoch.
    pub(super) fn epoch(&self) -> u64 {
        self.summary.epoch
    }

    /// Its time, in milliseconds since 1970.
    pub(super) fn time_ms(&self) -> u64 {
        self.summary.timestamp_ms
    }

    /// Whether it comes with any signature.
    pub(super) fn has_signature(&self) -> bool {
        self.signature.is_some()
    }

    /// Its digest.
    pub(super) fn digest(&self) -> CheckpointDigest {
        self.digest
    }

    /// Its summary.
    pub(super) fn summary(&self) -> &CheckpointSummary {
        &self.summary
    }

    /// Whether a quorum of these validators signed it.
    pub(super) fn is_signed(&self, validators: &Validators) -> bool {
        let signature = self.signature.as_ref();
        signature.is_some_and(|signature| validators.signed(&self.summary, signature))
    }

    /// What our contracts said in a transaction that is in it and succeeded; nothing if there is no such transaction.
    pub(super) fn events_of(
        &self,
        digest: &str,
        package: &Address,
    ) -> Result<Option<Vec<Event>>, CallError> {
        let is_it = |effects: &TransactionEffects| {
            effects.transaction_digest().to_string() == digest
                && matches!(effects.status(), ExecutionStatus::Success)
        };
        let found = self.transactions.iter().find(|(effects, _)| is_it(effects));
        let found = found.filter(|_| self.holds_together());
        found.map(|(_, said)| our_events(said.as_ref(), package)).transpose()
    }

    /// Whether transactions, effects and events are those that the summary names.
    fn holds_together(&self) -> bool {
        let listed = self.contents.transactions();
        self.contents.digest() == self.summary.content_digest
            && listed.len() == self.transactions.len()
            && listed.iter().zip(&self.transactions).all(|(named, (effects, events))| {
                let said = events.as_ref().filter(|said| !said.0.is_empty());
                *named.transaction() == *effects.transaction_digest()
                    && *named.effects() == effects.digest()
                    && effects.events_digest().copied() == said.map(TransactionEvents::digest)
            })
    }

    /// What it says to the history.
    fn shown(&self, is_sealed: bool) -> Shown {
        Shown {
            sequence: self.sequence(),
            digest: self.digest,
            previous: self.previous(),
            time_ms: self.summary.timestamp_ms,
            is_proven: is_sealed && self.holds_together(),
        }
    }

    fn previous(&self) -> Option<CheckpointDigest> {
        self.summary.previous_digest.map(|digest| CheckpointDigest(digest.into_inner()))
    }

    /// What we want of it, once it is proven.
    fn accept(&self, ours: &Ours, validators: Option<Vec<u8>>) -> Result<Checkpoint, CallError> {
        let (mut events, mut written) = (Vec::new(), Vec::new());
        for (effects, said) in &self.transactions {
            written.extend(writes(effects, ours));
            events.extend(our_events(said.as_ref(), &ours.package)?);
        }
        Ok(Checkpoint {
            sequence: self.sequence(),
            digest: self.digest,
            time_ms: self.summary.timestamp_ms,
            events,
            written,
            validators,
        })
    }
}

/// The shared objects that a transaction wrote, and the one that is wanted beside them, if one of ours is among what it changed.
fn writes(effects: &TransactionEffects, ours: &Ours) -> Vec<Written> {
    let is_ours = |id: &Address| ours.roots.contains(id) || ours.also.as_ref() == Some(id);
    if !effects.object_changes().any(|change| is_ours(change.object_id())) {
        return Vec::new();
    }
    let write = |change| match change {
        ObjectChange::Created { object_id, output_version, output_digest, output_owner }
        | ObjectChange::Mutated {
            object_id, output_version, output_digest, output_owner, ..
        }
        | ObjectChange::Unwrapped { object_id, output_version, output_digest, output_owner } => {
            let is_wanted =
                matches!(output_owner, Owner::Shared(_)) || ours.also.as_ref() == Some(object_id);
            is_wanted.then(|| Written {
                id: ObjectId::from_bytes(object_id.into_inner()),
                version: output_version,
                digest: output_digest.into_inner(),
            })
        }
        _ => None,
    };
    effects.object_changes().filter_map(write).collect()
}

/// What our contracts said in one transaction.
fn our_events(
    said: Option<&TransactionEvents>,
    package: &Address,
) -> Result<Vec<Event>, CallError> {
    let mut events = Vec::new();
    for one in said.iter().flat_map(|said| &said.0) {
        let name = &one.type_;
        if *name.address() == *package && name.module().as_str() == event::MODULE {
            let decoded = Event::decode(name.name().as_str(), &one.contents);
            events.extend(decoded.map_err(CallError::unreadable)?);
        }
    }
    Ok(events)
}

/// What a batch proved.
#[derive(Debug)]
pub(super) struct Proved {
    /// Those that continue the history, in order.
    pub(super) due: Vec<Checkpoint>,
    /// The history with them.
    pub(super) history: History,
    /// Who signs what comes next; nothing where servers show no signatures.
    pub(super) validators: Option<Validators>,
    /// Why the rest of the batch was left out.
    pub(super) doubt: Option<Doubt>,
}

/// Proves a batch, in its order, up to the first one that is not what it must be. Blocks for about
/// a millisecond a Sui epoch, and for hashing all of it. What makes it certain are the validators, or a
/// checkpoint on which the servers agreed.
pub(super) fn prove(
    batch: &[Unproven],
    mut history: History,
    by: (Option<Validators>, Option<CheckpointDigest>),
    ours: &Ours,
) -> Result<Proved, CallError> {
    let (mut validators, agreed) = by;
    let (mut due, mut rest) = (Vec::with_capacity(batch.len()), batch);
    while let Some(first) = rest.first() {
        // What is signed is signed in its own Sui epoch; what servers agree on is what its digest names.
        let same = |one: &&Unproven| validators.is_none() || one.epoch() == first.epoch();
        let same = rest.iter().take_while(same).count();
        let (epoch, later) = rest.split_at(same);
        let sealed = sealed(epoch, (validators.as_ref(), agreed), &history);
        for (checkpoint, sealed) in epoch.iter().zip(sealed) {
            let shown = checkpoint.shown(sealed);
            match history.judge(&shown) {
                Verdict::Next => {}
                Verdict::Behind => continue,
                verdict => {
                    let doubt = Some(Doubt { verdict, checkpoint: shown.sequence });
                    return Ok(Proved { due, history, validators, doubt });
                }
            }
            // Whoever is named by what nobody signed signs nothing.
            let named = validators.as_ref().and_then(|_| Validators::after(checkpoint.summary()));
            let next = named.transpose().map_err(CallError::unreadable)?;
            due.push(checkpoint.accept(ours, next.as_ref().map(Validators::to_bytes))?);
            history.push(&shown);
            validators = next.or(validators);
        }
        rest = later;
    }
    Ok(Proved { due, history, validators, doubt: None })
}

/// Which of some checkpoints that belong together are certain: signed, agreed on, vouched for already, or
/// named by a later one that is.
fn sealed(
    epoch: &[Unproven],
    (validators, agreed): (Option<&Validators>, Option<CheckpointDigest>),
    history: &History,
) -> Vec<bool> {
    let mut sealed = vec![false; epoch.len()];
    let mut named = None;
    for (checkpoint, sealed) in epoch.iter().zip(&mut sealed).rev() {
        let is_certain = named == Some(checkpoint.digest)
            || history.vouches_for(checkpoint.sequence(), &checkpoint.digest)
            || agreed == Some(checkpoint.digest)
            || validators.is_some_and(|validators| checkpoint.is_signed(validators));
        named = if is_certain { checkpoint.previous() } else { None };
        // Who signed in an epoch that is over is not known any more. Such a checkpoint makes no other one certain, and
        // moves nothing: it is compared with what is remembered.
        let is_over = validators.is_none_or(|validators| checkpoint.epoch() < validators.epoch());
        *sealed = is_certain || is_over && checkpoint.sequence() < history.next();
    }
    sealed
}

/// Reads a value in Sui's own form.
fn read<T: DeserializeOwned>(bytes: &proto::Bcs, what: &str) -> Result<T, CallError> {
    bytes.deserialize().map_err(|error| CallError::unreadable(format!("a {what}: {error}")))
}

#[cfg(test)]
pub(super) mod tests;
