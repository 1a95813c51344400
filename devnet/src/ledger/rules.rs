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
pub mod math;
pub mod node_registry;
pub mod pending_values;
pub mod stake_params;
pub mod staked;
pub mod staking;
pub mod staking_pool;

pub(super) mod accounting;
pub(super) mod blob;
pub(super) mod bls;
pub(super) mod encoding;
pub(super) mod messages;
pub(super) mod storage;
pub(super) mod system;
pub(super) mod wal;

#[cfg(test)]
mod tests;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::Event;
use sui_sdk_types::{Address, Digest};

/// What a running transaction lends to the rules: fresh ids, and a place for events.
#[derive(Debug)]
pub struct Context {
    transaction: Digest,
    created: u64,
    /// The events so far, in order.
    pub events: Vec<Event>,
}

impl Context {
    /// The context of a transaction that has created nothing yet.
    pub fn new(transaction: Digest) -> Self {
        Context { transaction, created: 0, events: Vec::new() }
    }

    /// The id of the next object, as Sui derives it.
    pub fn fresh_id(&mut self) -> ObjectId {
        let id = Address::derive_id(self.transaction, self.created);
        self.created += 1;
        *id.inner()
    }
}
