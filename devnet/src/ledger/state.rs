//! The ledger without its disk: objects, and what transactions do to them, one after the other.
//!
//! Promises: the same genesis and the same transactions at the same times give the same objects,
//! effects and root as in any [`Ledger`](super::Ledger).
//! Does not: keep a history, certify, publish, or check signatures; whoever feeds it does.

use sui_sdk_types::{Object, Transaction, TransactionEffects};

use super::checkpoints::ExecutedTransaction;
use super::objects::{Changes, Names, Objects};
use super::transactions::{self, Executed, Refused};
use super::{GenesisConfig, GenesisError, clock, root};

/// Objects and the rules that change them.
#[derive(Clone, Debug)]
pub struct State {
    names: Names,
    objects: Objects,
}

impl State {
    /// What a network is right after genesis.
    pub fn genesis(config: &GenesisConfig, now_ms: u64) -> Result<Self, GenesisError> {
        Ok(Self::begin(config, now_ms)?.0)
    }

    /// As [`State::genesis`], with the transaction of genesis.
    pub(super) fn begin(
        config: &GenesisConfig,
        now_ms: u64,
    ) -> Result<(Self, ExecutedTransaction), GenesisError> {
        let (executed, changes) = config.transaction(now_ms)?;
        let mut state = State { names: Names::new(&config.ids()), objects: Objects::default() };
        let (clock, _) = state.next_clock(now_ms);
        state.commit(&changes, clock);
        Ok((state, executed))
    }

    /// Executes a transaction in a checkpoint of its own. One that is refused changes nothing, not
    /// even the time; one that fails costs its gas.
    pub fn apply(
        &mut self,
        now_ms: u64,
        transaction: &Transaction,
    ) -> Result<TransactionEffects, Refused> {
        let (clock, _) = self.next_clock(now_ms);
        let executed = self.execute(&clock, transaction)?;
        self.commit(&executed.changes, clock);
        Ok(executed.effects)
    }

    /// What a transaction would do at the time of a clock.
    pub fn look_ahead(
        &self,
        now_ms: u64,
        transaction: &Transaction,
    ) -> Result<TransactionEffects, Refused> {
        let (clock, _) = self.next_clock(now_ms);
        Ok(self.execute(&clock, transaction)?.effects)
    }

    /// The root of the objects; `root` says what it covers.
    pub fn root(&self) -> [u8; 32] {
        root::of(&self.objects)
    }

    /// Every object there is, by ascending id.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.live()
    }

    /// How the network's types are spelled.
    #[cfg(test)]
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// The objects with their owners.
    #[cfg(test)]
    pub(super) fn stored(&self) -> &Objects {
        &self.objects
    }

    /// The clock of the checkpoint to come, and its time.
    pub(super) fn next_clock(&self, now_ms: u64) -> (Object, u64) {
        clock::next(self.objects.get(&clock::id()), now_ms)
    }

    /// What a transaction does, without doing it.
    pub(super) fn execute(
        &self,
        clock: &Object,
        transaction: &Transaction,
    ) -> Result<Executed, Refused> {
        transactions::execute(&self.names, &self.objects, clock, transaction)
    }

    /// Takes over what a transaction did.
    pub(super) fn take_over(&mut self, changes: &Changes) {
        self.objects.apply(changes);
    }

    /// Ends a checkpoint at the time of its clock.
    pub(super) fn tick(&mut self, clock: Object) {
        self.objects.put(clock);
    }

    pub(super) fn commit(&mut self, changes: &Changes, clock: Object) {
        self.take_over(changes);
        self.tick(clock);
    }
}
