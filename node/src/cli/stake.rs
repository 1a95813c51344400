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

pub(super) use nodes::{selection_json, selection_text, shards, status};

/// Stake with nodes, see what it earns, get it back
// Each verb's help is the text of its struct: words here would cover it.
#[derive(Debug, Subcommand)]
pub(super) enum Stake {
    Nodes(nodes::Nodes),
    Add(add::Add),
    Ls(ls::Ls),
    Withdraw(withdraw::Withdraw),
    Split(parts::Split),
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
