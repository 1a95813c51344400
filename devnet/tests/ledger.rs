//! The embedded ledger, seen through stock Sui clients only.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

#[path = "ledger/blobs.rs"]
mod blobs;
#[path = "ledger/certificates.rs"]
mod certificates;
#[path = "ledger/durability.rs"]
mod durability;
#[path = "ledger/ends.rs"]
mod ends;
#[path = "ledger/epochs.rs"]
mod epochs;
#[path = "ledger/keeper.rs"]
mod keeper;
#[path = "ledger/lists.rs"]
mod lists;
#[path = "ledger/metadata.rs"]
mod metadata;
#[path = "ledger/money.rs"]
mod money;
#[path = "ledger/operators.rs"]
mod operators;
#[path = "ledger/refusals.rs"]
mod refusals;
#[path = "ledger/relay.rs"]
mod relay;
#[path = "ledger/setters.rs"]
mod setters;
#[path = "ledger/space.rs"]
mod space;
#[path = "ledger/stake.rs"]
mod stake;
#[path = "ledger/steps.rs"]
mod steps;
#[path = "ledger/streams.rs"]
mod streams;
#[path = "ledger/tables.rs"]
mod tables;
#[path = "ledger/together.rs"]
mod together;
#[path = "ledger/transactions.rs"]
mod transactions;
#[path = "ledger/verdicts.rs"]
mod verdicts;
#[path = "ledger/wallets.rs"]
mod wallets;
#[path = "ledger/world.rs"]
mod world;
