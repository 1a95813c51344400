//! Scripts: stories in JSON lines, executed as real transactions and watched by the invariants.
//!
//! Promises: the format of `devnet/scripts/README.md` (`contracts.md` 5.2), which the Move package
//! will be driven by too; a generator of random scripts, whose failures are shrunk and printed as
//! scripts.
//! Does not: touch a network or, but for replays, a disk.

mod certificates;
mod checks;
mod commands;
mod compile;
mod format;
mod generator;
mod monitor;
mod random;
mod runner;
mod shrink;
mod stage;
mod tests;
mod view;
