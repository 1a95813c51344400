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

pub(in crate::ledger) use stage::BEGIN_MS;

/// What a random script did, for whoever wants to do it elsewhere.
pub(in crate::ledger) struct Story {
    /// The network.
    pub(in crate::ledger) genesis: crate::ledger::GenesisConfig,
    /// The transactions, with their times and signatures.
    pub(in crate::ledger) transactions: Vec<runner::Recorded>,
    /// The root at the end.
    pub(in crate::ledger) root: [u8; 32],
}

/// The story of a seed.
pub(in crate::ledger) fn story(seed: u64) -> Story {
    let generated = generator::generate(seed, 70);
    assert_eq!(generated.stop, None, "{}", generated.script.print());
    let stage = generated.runner.stage;
    let (genesis, root) = (stage.config.clone(), stage.state.root());
    Story { genesis, transactions: generated.runner.recorded, root }
}
