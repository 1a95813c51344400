//! `haulout stake`: choosing nodes, staking with them, and having it back.
//!
//! Does not: do the work of a verb; each has a file in `cli/stake/`.

use clap::Subcommand;

use super::Cli;
use super::output::Output;
use crate::error::Result;

mod add;
mod ls;
mod nodes;
mod parts;
mod withdraw;

pub(super) use nodes::{commission, selection_json, selection_text, shards, status};

/// Stake with nodes, see what it earns, have it back
#[derive(Debug, Subcommand)]
pub(super) enum Stake {
    /// List the nodes one can stake with
    Nodes(nodes::Nodes),
    /// Stake with a node
    Add(add::Add),
    /// List the wallet's stake: what it is worth, and when one can act
    Ls(ls::Ls),
    /// Have stake back: asks for it, or is paid, whatever is due
    Withdraw(withdraw::Withdraw),
    /// Split a receipt in two
    Split(parts::Split),
    /// Join receipts that differ in nothing but their amount
    Join(parts::Join),
}

impl Stake {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        match self {
            Stake::Nodes(nodes) => nodes.run(cli, output).await,
            Stake::Add(add) => add.run(cli, output).await,
            Stake::Ls(ls) => ls.run(cli, output).await,
            Stake::Withdraw(withdraw) => withdraw.run(cli, output).await,
            Stake::Split(split) => split.run(cli, output).await,
            Stake::Join(join) => join.run(cli, output).await,
        }
    }
}
