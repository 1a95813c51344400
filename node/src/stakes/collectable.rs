//! What an operator earned and can collect.
//!
//! Promises: what is free, and what is not yet. Does not: say who may collect it.

use haulout_protocol::chain::object::staking::Pool;

/// An operator's earnings, in FROST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collectable {
    /// What can be collected now.
    pub free: u64,
    /// What is free after the next selection.
    pub blocked: u64,
}

/// What a node earned.
pub fn collectable(pool: &Pool) -> Collectable {
    let blocked = pool.commission_blocked.min(pool.commission);
    Collectable { free: pool.commission - blocked, blocked }
}
