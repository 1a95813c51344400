//! What operators' verbs share: whose wallet, and which of its nodes.

use std::path::PathBuf;

use clap::Args;
use haulout_actors::chain::StakeBook;
use haulout_protocol::chain::object::staking::NodeCap;

use crate::cli::Cli;
use crate::config::Setting;
use crate::error::{Error, Kind, Result};
use crate::ledger_client::LedgerClient;
use crate::stakes::{self, OwnNode};

/// Whose wallet.
#[derive(Debug, Args)]
pub(in crate::cli) struct Purse {
    /// The operator's key file (wallet.key_file)
    #[arg(long, value_name = "FILE")]
    wallet: Option<PathBuf>,
}

/// Which node of the wallet's.
#[derive(Debug, Args)]
pub(in crate::cli) struct Operator {
    /// Which node, by name or id, if the wallet has several
    #[arg(long, value_name = "NODE")]
    pub(super) node: Option<String>,
    #[command(flatten)]
    purse: Purse,
}

/// A node of the wallet's with the ledger it is on.
pub(super) struct Held {
    pub(super) client: LedgerClient,
    pub(super) book: StakeBook,
    pub(super) cap: NodeCap,
    pub(super) node: OwnNode,
}

impl Purse {
    /// The flag as a setting.
    pub(super) fn settings(&self) -> Result<Vec<Setting>> {
        let Some(path) = &self.wallet else { return Ok(Vec::new()) };
        let not_text = || Error::new(Kind::Usage, format!("{} is not UTF-8", path.display()));
        let value = path.to_str().ok_or_else(not_text)?.to_owned();
        Ok(vec![Setting { flag: "--wallet", section: "wallet", key: "key_file", value }])
    }
}

impl Operator {
    /// Reaches the ledger.
    pub(super) async fn connect(&self, cli: &Cli) -> Result<LedgerClient> {
        LedgerClient::connect(cli.load(self.purse.settings()?)?.client()?).await
    }

    /// Finds the node on the ledger.
    pub(super) async fn find(&self, cli: &Cli) -> Result<Held> {
        let client = self.connect(cli).await?;
        let caps = client.node_caps().await?;
        let book = client.stake_book().await?;
        let cap = stakes::own_cap(&book.staking, &caps, self.node.as_deref())?;
        let node = stakes::own_node(&book, &cap)?;
        Ok(Held { client, book, cap, node })
    }
}
