//! Checkpoints: the ledger's history in certified pieces.
//!
//! Promises: each names the one before by digest and is certified by the ledger's committee, so
//! that a light client can check the chain; time never goes back.
//! Does not: store or publish them.

use serde::{Deserialize, Serialize};
use sui_crypto::bls12381::Bls12381PrivateKey;
use sui_rpc::field::FieldMaskTree;
use sui_rpc::merge::Merge;
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{
    Bitmap, CheckpointContents, CheckpointSummary, CheckpointTransactionInfo, Digest,
    GasCostSummary, Object, Transaction, TransactionEffects, TransactionEvents, UserSignature,
    ValidatorAggregatedSignature, ValidatorCommittee, ValidatorCommitteeMember,
};

use super::objects::coin_balance;
use super::transactions::CHAIN_EPOCH;

/// All the stake of the one validator.
const STAKE: u64 = 10_000;

/// A transaction in a checkpoint, with everything it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ExecutedTransaction {
    /// What was asked.
    pub(super) transaction: Transaction,
    /// Who asked.
    pub(super) signatures: Vec<UserSignature>,
    /// What happened.
    pub(super) effects: TransactionEffects,
    /// What was said.
    pub(super) events: Option<TransactionEvents>,
    /// The objects it wrote.
    pub(super) written: Vec<Object>,
}

/// A sealed piece of history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// What is certified.
    pub(super) summary: CheckpointSummary,
    /// The certificate.
    pub(super) signature: ValidatorAggregatedSignature,
    /// The digests of the transactions.
    pub(super) contents: CheckpointContents,
    /// The transactions.
    pub(super) transactions: Vec<ExecutedTransaction>,
}

/// Seals checkpoints, one after the other.
pub(super) struct Sealer {
    key: Bls12381PrivateKey,
    committee: ValidatorCommittee,
    last: Option<CheckpointSummary>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sealer").field("last", &self.last).finish_non_exhaustive()
    }
}

impl Sealer {
    /// A sealer that continues after `last`, or begins the history.
    pub(super) fn new(key: Bls12381PrivateKey, last: Option<CheckpointSummary>) -> Self {
        let member = ValidatorCommitteeMember { public_key: key.public_key(), stake: STAKE };
        let committee = ValidatorCommittee { epoch: CHAIN_EPOCH, members: vec![member] };
        Sealer { key, committee, last }
    }

    /// The committee whose certificates the checkpoints carry.
    pub(super) fn committee(&self) -> &ValidatorCommittee {
        &self.committee
    }

    /// The next checkpoint; [`Sealer::advance`] makes it the last one.
    pub(super) fn seal(&self, now_ms: u64, transactions: Vec<ExecutedTransaction>) -> Checkpoint {
        let contents = contents(&transactions);
        let count = u64::try_from(transactions.len()).expect("an in-memory count fits 64 bits");
        let last = self.last.as_ref();
        let summary = CheckpointSummary {
            epoch: CHAIN_EPOCH,
            sequence_number: last.map_or(0, |last| last.sequence_number + 1),
            network_total_transactions: last.map_or(0, |last| last.network_total_transactions)
                + count,
            content_digest: contents.digest(),
            previous_digest: last.map(CheckpointSummary::digest),
            epoch_rolling_gas_cost_summary: GasCostSummary::default(),
            timestamp_ms: now_ms.max(last.map_or(0, |last| last.timestamp_ms)),
            checkpoint_commitments: vec![],
            end_of_epoch_data: None,
            version_specific_data: vec![],
        };
        let signature = self.certify(&summary);
        Checkpoint { summary, signature, contents, transactions }
    }

    /// The committee's certificate of a summary; always the same for the same one.
    pub(super) fn certify(&self, summary: &CheckpointSummary) -> ValidatorAggregatedSignature {
        // The sum of one signature is that signature: nothing to aggregate, nothing to verify.
        let signed = self.key.sign_checkpoint_summary(summary);
        let mut bitmap = Bitmap::new();
        bitmap.insert(0);
        ValidatorAggregatedSignature { epoch: signed.epoch, signature: signed.signature, bitmap }
    }

    /// Takes a sealed and stored checkpoint as the last one.
    pub(super) fn advance(&mut self, checkpoint: &Checkpoint) {
        self.last = Some(checkpoint.summary.clone());
    }

    /// The last checkpoint's time; zero before genesis.
    pub(super) fn time_ms(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.timestamp_ms)
    }

    /// The last checkpoint's sequence number; nothing before genesis.
    pub(super) fn height(&self) -> Option<u64> {
        self.last.as_ref().map(|last| last.sequence_number)
    }
}

/// What a checkpoint of these transactions says that it contains.
pub(super) fn contents(transactions: &[ExecutedTransaction]) -> CheckpointContents {
    let infos = transactions.iter().map(|executed| {
        let digest = executed.transaction.digest();
        let effects = executed.effects.digest();
        CheckpointTransactionInfo::new(digest, effects, executed.signatures.clone())
    });
    CheckpointContents::new_v1(infos.collect())
}

impl Checkpoint {
    /// The whole checkpoint as the API shows it; masks are applied when it is served.
    pub(super) fn to_rpc(&self) -> rpc::Checkpoint {
        let all = FieldMaskTree::new_wildcard();
        let mut checkpoint = rpc::Checkpoint::default();
        checkpoint.merge(&self.summary, &all);
        checkpoint.merge(self.signature.clone(), &all);
        checkpoint.merge(self.contents.clone(), &all);
        for index in 0..self.transactions.len() {
            checkpoint.transactions.extend(self.transaction_to_rpc(index));
        }
        let written = self.transactions.iter().flat_map(|executed| &executed.written);
        checkpoint.objects = Some(object_set(written));
        checkpoint
    }

    /// One transaction as the API shows it.
    pub(super) fn transaction_to_rpc(&self, index: usize) -> Option<rpc::ExecutedTransaction> {
        let executed = self.transactions.get(index)?;
        let mut transaction = executed.to_rpc();
        transaction.checkpoint = Some(self.summary.sequence_number);
        transaction.timestamp = Some(timestamp(self.summary.timestamp_ms));
        transaction.transaction_index = u64::try_from(index).ok();
        Some(transaction)
    }

    /// The digests of the transactions, in order.
    pub(super) fn digests(&self) -> impl Iterator<Item = Digest> {
        self.transactions.iter().map(|executed| executed.transaction.digest())
    }
}

impl ExecutedTransaction {
    /// The transaction before it is in a checkpoint.
    pub(super) fn to_rpc(&self) -> rpc::ExecutedTransaction {
        let mut transaction = rpc::ExecutedTransaction::default();
        transaction.digest = Some(self.transaction.digest().to_string());
        transaction.transaction = Some(self.transaction.clone().into());
        transaction.signatures = self.signatures.iter().cloned().map(Into::into).collect();
        let mut effects: rpc::TransactionEffects = self.effects.clone().into();
        name_types(&mut effects, &self.written);
        transaction.effects = Some(effects);
        transaction.events = self.events.clone().map(Into::into);
        transaction.objects = Some(object_set(&self.written));
        transaction
    }
}

/// Adds the types of written objects, which effects themselves do not hold.
fn name_types(effects: &mut rpc::TransactionEffects, written: &[Object]) {
    for changed in &mut effects.changed_objects {
        let is_it = |object: &&Object| object.object_id().to_string() == changed.object_id();
        let tag = written.iter().find(is_it).and_then(Object::as_struct);
        changed.object_type = tag.map(|data| data.object_type().to_string());
    }
}

fn object_set<'a>(objects: impl IntoIterator<Item = &'a Object>) -> rpc::ObjectSet {
    let all = FieldMaskTree::new_wildcard();
    let mut set = rpc::ObjectSet::default();
    set.objects = objects.into_iter().map(|object| object_to_rpc(object, &all)).collect();
    set
}

/// An object as the API shows it under a mask.
pub(super) fn object_to_rpc(object: &Object, mask: &FieldMaskTree) -> rpc::Object {
    let mut shown = rpc::Object::merge_from(object.clone(), mask);
    if mask.contains("balance") {
        shown.balance = coin_balance(object); // not computed by the conversion
    }
    shown
}

/// Milliseconds as the API shows time.
pub(super) fn timestamp(ms: u64) -> prost_types::Timestamp {
    let seconds = i64::try_from(ms / 1000).expect("a thousandth of 64 bits fits 63");
    let nanos = i32::try_from(ms % 1000 * 1_000_000).expect("less than a second in nanoseconds");
    prost_types::Timestamp { seconds, nanos }
}
