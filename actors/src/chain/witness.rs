//! What is known of a ledger's history, to compare a server's word with.
//!
//! Does not: compare; `servers` does.

use haulout_protocol::machine::ledger_history::{History, Verified};

use super::validators::Validators;

/// What is known of the ledger at some moment, to compare a server's word with.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    pub(super) history: History,
    /// Who signs what comes next; nothing where servers show no signatures.
    pub(super) validators: Option<Validators>,
}

impl Witness {
    /// Where what was verified ends.
    pub(crate) fn last(&self) -> Option<&Verified> {
        self.history.last()
    }
}
