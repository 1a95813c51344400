//! What calls mean: the Rust twin of the Move package, one file per Move module.
//!
//! Promises: pure functions of state and arguments; the same names, the same order of checks and
//! the same abort codes as the contracts; a function that aborts may leave its arguments changed,
//! and the transaction that called it throws them away.
//! Does not: know transactions, owners, versions or gas.

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
pub(super) struct Context {
    transaction: Digest,
    created: u64,
    /// The events so far, in order.
    pub(super) events: Vec<Event>,
}

impl Context {
    /// The context of a transaction that has created nothing yet.
    pub(super) fn new(transaction: Digest) -> Self {
        Context { transaction, created: 0, events: Vec::new() }
    }

    /// The id of the next object, as Sui derives it.
    pub(super) fn fresh_id(&mut self) -> ObjectId {
        let id = Address::derive_id(self.transaction, self.created);
        self.created += 1;
        *id.inner()
    }
}
