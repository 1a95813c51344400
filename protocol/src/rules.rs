//! What calls mean: the Rust twin of the Move package, one file per Move module.
//!
//! Promises: pure functions of state and arguments; the same names, the same order of checks and
//! the same abort codes as the contracts; a function that aborts may leave its arguments changed,
//! and the transaction that called it throws them away.
//! Does not: know transactions, owners, versions or gas, nor how a field or a table is stored.

pub mod accounting;
pub mod active_set;
pub mod apportion;
pub mod blob;
pub mod bls;
pub mod committee;
pub mod epochs;
pub mod fields;
pub mod limits;
pub mod math;
pub mod node_registry;
pub mod params;
pub mod pending_values;
pub mod stake_params;
pub mod staked;
pub mod staking;
pub mod staking_pool;
pub mod storage;
pub mod system;
pub mod wal;

mod encoding;
mod messages;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::chain::ObjectId;
use crate::chain::event::Event;
use crate::crypto::{Digest, blake2b_256};
use fields::{Changes, Fields, Stored};

/// What Sui hashes before the digest and the number of a new object: an id of an object.
const OBJECT_ID_INTENT: u8 = 0xf1;

/// What a running transaction lends to the rules: fresh ids, what hangs on objects, a place for
/// events.
#[derive(Debug)]
pub struct Context<'a> {
    transaction: Digest,
    count: u64,
    /// The ids given out so far.
    created: BTreeSet<ObjectId>,
    /// Values that hang on objects by a name.
    fields: Fields<'a>,
    /// Objects that were destroyed, wherever they lived.
    pub deleted: BTreeSet<ObjectId>,
    /// The events so far, in order.
    pub events: Vec<Event>,
}

impl Context<'static> {
    /// The context of a transaction with this digest that has created nothing yet, and on whose
    /// objects nothing hangs.
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

    /// Lets the transaction see what hangs on objects.
    pub fn over(self, stored: &dyn Stored) -> Context<'_> {
        Context { fields: Fields::new(stored), ..self }
    }
}

impl Context<'_> {
    /// The id of the next object, as Sui derives it.
    pub fn fresh_id(&mut self) -> ObjectId {
        let parts = [&[OBJECT_ID_INTENT], self.transaction.as_slice(), &self.count.to_le_bytes()];
        let id = blake2b_256(&parts).into();
        self.count += 1;
        self.created.insert(id);
        id
    }

    /// The ids given out, and what changed of what hangs on objects.
    pub fn finish(self) -> (BTreeSet<ObjectId>, Changes) {
        (self.created, self.fields.into_changes())
    }
}
