//! Waiting for a ledger that does not answer, as every client does.
//!
//! Promises: a person hears once that it is waited for, and how to help; the failure after that is said
//! once, too. Does not: wait for a devnet that does not run.

use std::time::Duration;

use haulout_actors::chain::Chain;
use haulout_node::error::{Kind, Result};
use haulout_node::terminal::note;

use super::status;
use crate::control::ProcessState;
use crate::files::ChainPlace;
use crate::probe;
use crate::state::StateDirectory;
use crate::typed::typed;

/// The ledger of a devnet that runs, waited for up to so long, in this call and in each later one.
pub(super) async fn ledger(
    directory: &StateDirectory,
    place: &ChainPlace,
    patience: Duration,
) -> Result<Chain> {
    let reached = probe::connect(place, Duration::ZERO).await;
    if reached.is_err_and(|error| error.kind() == Kind::LedgerUnreachable) {
        say_that_it_is_waited_for(directory, patience).await?;
    }
    probe::connect(place, patience).await
}

async fn say_that_it_is_waited_for(directory: &StateDirectory, patience: Duration) -> Result<()> {
    let processes = status::supervised_processes(directory).await?.unwrap_or_default();
    let state = processes.iter().find(|process| process.name == "ledger").map(|one| one.state);
    let way_out = match state {
        Some(ProcessState::Paused) => "is paused (`devnet resume ledger`)",
        Some(ProcessState::Killed | ProcessState::Exited) => {
            "does not run (`devnet restart ledger`)"
        }
        _ => "does not answer (`devnet logs ledger`)",
    };
    let text = format!("the ledger {way_out}; waiting for it, up to {}", typed(patience));
    note(&directory.spoken(&text));
    Ok(())
}
