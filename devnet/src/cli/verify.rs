//! `devnet verify-ledger`: executes a ledger's whole log again and compares.
//!
//! Promises: exit code 0 means that the log leads to exactly the objects on disk; the first
//! difference is named. Does not: run beside the ledger, whose file it needs for itself.

use std::path::{Path, PathBuf};

use haulout_node::error::{Error, Kind, Result};
use haulout_node::terminal;

use super::{print_line, print_text};
use crate::ledger::{Ledger, OpenError, ReplayError, Replayed, StoreError};
use crate::ledger_process;
use crate::state::StateDirectory;

/// Verifies a file, or the ledger of the devnet.
pub(super) fn run(directory: &StateDirectory, file: Option<PathBuf>, json: bool) -> Result<()> {
    let path = file.unwrap_or_else(|| directory.join("ledger/ledger.redb"));
    let Replayed { checkpoints, transactions, root } = verify(&path)?;
    let root = hex::encode(root);
    if json {
        return print_line(&serde_json::json!({
            "verified": true,
            "file": path.to_string_lossy(),
            "checkpoints": checkpoints,
            "transactions": transactions,
            "state_root": root,
        }));
    }
    print_text(&format!(
        "{checkpoints} checkpoints with {transactions} transactions lead to the objects on \
         disk\nstate root {root}\n"
    ))
}

fn verify(path: &Path) -> Result<Replayed> {
    let ledger = Ledger::resume(path).map_err(|error| not_opened(path, error))?;
    ledger.replay().map_err(|error| differs(path, error))
}

fn not_opened(path: &Path, error: OpenError) -> Error {
    let shown = terminal::path(path);
    match error {
        OpenError::Empty => Error::new(Kind::NotFound, format!("there is no ledger in {shown}"))
            .hint("name its file with --file, or its devnet with --name"),
        OpenError::Store(StoreError::InUse) => {
            Error::new(Kind::Locked, format!("a running ledger has {shown} open"))
                .hint("run `devnet down` first")
        }
        error => {
            Error::new(ledger_process::kind(&error), format!("cannot open the ledger in {shown}"))
                .because(error)
                .hint("`devnet up --fresh` starts over without its data")
        }
    }
}

fn differs(path: &Path, error: ReplayError) -> Error {
    let hint = "keep the file and report it; `devnet up --fresh` starts over without its data";
    let message = format!("the log in {} does not lead where it says", terminal::path(path));
    Error::new(Kind::Verification, message).because(error).hint(hint)
}
