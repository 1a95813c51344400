//! The ledger as the operator of a node of this devnet sees it.
//!
//! Promises: whoever pays is the operator of that node, and no account of anybody else. Does not: decide.

use haulout_actors::chain::StakeBook;
use haulout_node::LedgerClient;
use haulout_node::config::Config;
use haulout_node::error::{Error, Result};
use haulout_node::stakes::{self, NodeRow, Role, SortBy};

use crate::state::StateDirectory;

/// The ledger with the wallet of a node's operator, whose key is in the node's folder.
pub(super) async fn client(directory: &StateDirectory, node: &str) -> Result<LedgerClient> {
    let file = directory.join(node).join("node.toml");
    let text =
        std::fs::read_to_string(&file).map_err(|error| Error::from_io("read", &file, error))?;
    LedgerClient::connect(Config::from_toml(&text, &file)?.client()?).await
}

/// The nodes that serve now.
pub(super) fn members(book: &StakeBook) -> Vec<NodeRow> {
    let mut rows = stakes::rows(book, SortBy::Stake);
    rows.retain(|row| row.role == Role::Committee);
    rows
}
