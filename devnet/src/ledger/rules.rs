//! What calls mean: the Rust twin of the Move package, one file per Move module.
//!
//! Promises: pure functions of state and arguments; the same names, the same order of checks and
//! the same abort codes as the contracts; a function that aborts may leave its arguments changed,
//! and the transaction that called it throws them away.
//! Does not: know transactions, owners, versions or gas.
//!
//! The public modules are the stake side. Genesis builds the first committee through them; they
//! are public because benches, tests and the storage side's epoch change call them directly.

pub mod active_set;
pub mod apportion;
pub mod committee;
pub mod node_registry;
pub mod stake_params;
pub mod staked;
pub mod staking;

pub use haulout_protocol::rules::{math, pending_values, staking_pool};

pub(super) mod accounting;
pub(super) mod blob;
pub(super) mod bls;
pub(super) mod encoding;
pub(super) mod epochs;
pub(super) mod fields;
pub(super) mod messages;
pub(super) mod params;
pub(super) mod storage;
pub(super) mod system;
pub(super) mod wal;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use fields::{Change, Fields, Stored};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::Event;
use sui_sdk_types::{Address, Digest};

/// What a running transaction lends to the rules: fresh ids, dynamic fields, a place for events.
#[derive(Debug)]
pub struct Context<'a> {
    transaction: Digest,
    count: u64,
    /// The ids given out so far.
    created: BTreeSet<ObjectId>,
    /// Values that hang on objects by a name.
    fields: Fields<'a>,
    /// Objects that were destroyed, wherever they lived.
    pub(super) deleted: BTreeSet<ObjectId>,
    /// The events so far, in order.
    pub events: Vec<Event>,
}

impl Context<'static> {
    /// The context of a transaction that has created nothing yet and sees no dynamic fields.
    pub fn new(transaction: Digest) -> Self {
        Context {
            transaction,
            count: 0,
            created: BTreeSet::new(),
            fields: Fields::new(&()),
            deleted: BTreeSet::new(),
            events: Vec::new(),
        }
    }

    /// Lets the transaction see the dynamic fields there are.
    pub(super) fn over(self, stored: &dyn Stored) -> Context<'_> {
        Context { fields: Fields::new(stored), ..self }
    }
}

impl Context<'_> {
    /// The id of the next object, as Sui derives it.
    pub fn fresh_id(&mut self) -> ObjectId {
        let id = Address::derive_id(self.transaction, self.count).into_inner().into();
        self.count += 1;
        self.created.insert(id);
        id
    }

    /// The ids given out, and what changed in dynamic fields.
    pub(super) fn finish(self) -> (BTreeSet<ObjectId>, BTreeMap<ObjectId, Change>) {
        (self.created, self.fields.into_changes())
    }
}
