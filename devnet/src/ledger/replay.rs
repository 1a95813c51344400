//! Replay: executes a ledger's whole log again and compares.
//!
//! Promises: every checkpoint follows the one before and contains what it says; every transaction
//! is authorised and has the effects, events and objects that were recorded, at the recorded time;
//! the last checkpoint is certified and the objects on disk are those the log leads to. Stops at
//! the first difference and says where it is.
//! Does not: repair anything.

use sui_sdk_types::{CheckpointSummary, Digest};

use super::checkpoints::{Checkpoint, ExecutedTransaction, Sealer, contents};
use super::state::State;
use super::transactions::{Refused, authorise};
use super::{GenesisError, Ledger, NOT_POISONED, StoreError, clock, root};

/// What a replay went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// How many checkpoints, with the one of genesis.
    pub checkpoints: u64,
    /// How many transactions, with the one of genesis.
    pub transactions: u64,
    /// The root of the objects at the end.
    pub root: [u8; 32],
}

/// Why a log is not that of its ledger.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The genesis in the file is none.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// A checkpoint is missing.
    #[error("checkpoint {0} is missing")]
    Missing(u64),
    /// A checkpoint is not what it must be.
    #[error("checkpoint {checkpoint} has another {what} than it must have")]
    Checkpoint {
        /// Which one.
        checkpoint: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A transaction could not have been executed.
    #[error("checkpoint {checkpoint}: transaction {digest} is refused")]
    Refused {
        /// Where it is.
        checkpoint: u64,
        /// Which one.
        digest: Digest,
        /// Why.
        source: Refused,
    },
    /// A transaction does something else than what was recorded.
    #[error("checkpoint {checkpoint}: transaction {digest} has other {what} when executed again")]
    Differs {
        /// Where it is.
        checkpoint: u64,
        /// Which one.
        digest: Digest,
        /// What differs.
        what: &'static str,
    },
    /// The log is consistent, but leads to other objects than those on disk.
    #[error("the log leads to other objects than those on disk")]
    Root {
        /// The root of the objects on disk.
        stored: [u8; 32],
        /// The root of what the log leads to.
        replayed: [u8; 32],
    },
}

impl Ledger {
    /// The root of the objects of the last checkpoint; `root` says what it covers.
    pub fn state_root(&self) -> [u8; 32] {
        root::of(&self.inner.objects.read().expect(NOT_POISONED))
    }

    /// Executes the whole log again, from genesis, at the times it records. Nothing is sealed
    /// meanwhile. Blocks on the disk.
    pub fn replay(&self) -> Result<Replayed, ReplayError> {
        let sealing = self.inner.sealing.lock().expect(NOT_POISONED);
        let height = sealing.sealer.height().unwrap_or_default();
        let genesis = self.checkpoint(0)?;
        let mut replay = Replay::begin(self, &genesis)?;
        for sequence in 1..=height {
            replay.checkpoint(&self.checkpoint(sequence)?)?;
        }
        let last = self.checkpoint(height)?;
        if sealing.sealer.certify(&last.summary) != last.signature {
            return Err(wrong(height, "certificate"));
        }
        let (stored, replayed) = (self.state_root(), replay.state.root());
        match stored == replayed {
            true => Ok(replay.finish(height + 1)),
            false => Err(ReplayError::Root { stored, replayed }),
        }
    }

    fn checkpoint(&self, sequence: u64) -> Result<Checkpoint, ReplayError> {
        self.inner.store.checkpoint(sequence)?.ok_or(ReplayError::Missing(sequence))
    }
}

fn wrong(checkpoint: u64, what: &'static str) -> ReplayError {
    ReplayError::Checkpoint { checkpoint, what }
}

/// How far a replay is.
struct Replay {
    state: State,
    last: CheckpointSummary,
    transactions: u64,
}

impl Replay {
    /// Makes the first checkpoint again.
    fn begin(ledger: &Ledger, genesis: &Checkpoint) -> Result<Self, ReplayError> {
        let config = &ledger.inner.config;
        let (state, executed) = State::begin(config, genesis.summary.timestamp_ms)?;
        let made = Sealer::new(config.validator_key(), None)
            .seal(genesis.summary.timestamp_ms, vec![executed]);
        match made == *genesis {
            true => Ok(Replay { state, last: made.summary, transactions: 1 }),
            false => Err(wrong(0, "genesis")),
        }
    }

    /// Executes one checkpoint.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), ReplayError> {
        let (summary, sequence) = (&checkpoint.summary, self.last.sequence_number + 1);
        if summary.sequence_number != sequence {
            return Err(wrong(sequence, "number"));
        }
        if summary.previous_digest != Some(self.last.digest()) {
            return Err(wrong(sequence, "predecessor"));
        }
        if summary.timestamp_ms < self.last.timestamp_ms {
            return Err(wrong(sequence, "time"));
        }
        let listed = contents(&checkpoint.transactions);
        if listed != checkpoint.contents || listed.digest() != summary.content_digest {
            return Err(wrong(sequence, "list of transactions"));
        }
        let clock = clock::after(summary);
        for executed in &checkpoint.transactions {
            self.transaction(sequence, &clock, executed)?;
        }
        self.state.tick(clock);
        self.last = summary.clone();
        Ok(())
    }

    fn transaction(
        &mut self,
        checkpoint: u64,
        clock: &sui_sdk_types::Object,
        recorded: &ExecutedTransaction,
    ) -> Result<(), ReplayError> {
        let digest = recorded.transaction.digest();
        let refused = |source| ReplayError::Refused { checkpoint, digest, source };
        authorise(&recorded.transaction, &recorded.signatures).map_err(refused)?;
        let done = self.state.execute(clock, &recorded.transaction).map_err(refused)?;
        let same = [
            ("effects", done.effects == recorded.effects),
            ("events", done.events == recorded.events),
            ("objects", done.changes.written == recorded.written),
        ];
        if let Some((what, _)) = same.into_iter().find(|(_, same)| !same) {
            return Err(ReplayError::Differs { checkpoint, digest, what });
        }
        self.state.take_over(&done.changes);
        self.transactions += 1;
        Ok(())
    }

    fn finish(self, checkpoints: u64) -> Replayed {
        Replayed { checkpoints, transactions: self.transactions, root: self.state.root() }
    }
}

#[cfg(test)]
mod tests;
