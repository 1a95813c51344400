//! The embedded ledger, seen through stock Sui clients only.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

#[path = "ledger/blobs.rs"]
mod blobs;
#[path = "ledger/certificates.rs"]
mod certificates;
#[path = "ledger/durability.rs"]
mod durability;
#[path = "ledger/stake.rs"]
mod stake;
#[path = "ledger/streams.rs"]
mod streams;
#[path = "ledger/transactions.rs"]
mod transactions;
#[path = "ledger/world.rs"]
mod world;
