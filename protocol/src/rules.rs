//! What calls mean: the Rust twin of the Move package, one file per Move module.
//!
//! Promises: pure functions of state and arguments; the same names, the same order of checks and
//! the same abort codes as the contracts; a function that aborts may leave its arguments changed.
//! Does not: know transactions, owners, versions or gas. The modules that create objects or verify
//! signatures are still the embedded ledger's, which uses these.

pub mod limits;
pub mod math;
pub mod pending_values;
pub mod staking_pool;
