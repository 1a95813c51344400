//! `haulout wallet`: the account that pays, what it holds, where its key is.
//!
//! Promises: never prints a key. `wallet address` needs the key file only, no ledger.

use std::path::Path;

use clap::{Args, Subcommand};
use haulout_actors::chain::Balances;
use haulout_protocol::chain::ObjectId;
use serde_json::json;

use super::Cli;
use super::output::Output;
use crate::error::Result;
use crate::keys;
use crate::ledger_client::{LedgerClient, account_of};
use crate::words::{coins, object};

/// Show the wallet: address, balances, key file
#[derive(Debug, Args)]
pub(super) struct Wallet {
    #[command(subcommand)]
    part: Option<Part>,
}

/// A part of what there is to say.
#[derive(Debug, Subcommand)]
enum Part {
    /// Print the address only, without asking the ledger
    Address,
}

impl Wallet {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let config = cli.load(Vec::new())?;
        let file = config.wallet().ok_or_else(|| keys::no_wallet("this"))?;
        let account = account_of(&file)?;
        if let Some(Part::Address) = self.part {
            let address = object(&account);
            output.result(&json!({ "address": address }), &address, &format!("{address}\n"));
            return Ok(());
        }
        let balances = LedgerClient::connect(config.client()?).await?.balances().await?;
        report(output, &account, balances, &file);
        Ok(())
    }
}

fn report(output: &Output, account: &ObjectId, balances: Balances, file: &Path) {
    let address = object(account);
    let json = json!({
        "address": address,
        "balances": { "sui_mist": balances.sui, "wal_frost": balances.wal },
        "key_file": file.display().to_string(),
    });
    output.result(&json, &address, &to_text(&address, balances, file));
}

fn to_text(address: &str, balances: Balances, file: &Path) -> String {
    let mut text = format!(
        "address  {address}\nWAL      {}\nSUI      {}\nkey      {}\n",
        coins(balances.wal),
        coins(balances.sui),
        file.display()
    );
    if balances.wal == 0 || balances.sui == 0 {
        text.push_str("storing needs WAL for the storage and SUI for gas\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_that_cannot_store_says_what_it_lacks() {
        let of = |sui, wal| to_text("0x1", Balances { sui, wal }, Path::new("w.key"));
        assert_eq!(of(1, 2_000_000_000).lines().count(), 4);
        assert!(of(1, 2_000_000_000).contains("WAL      2\nSUI      0.000000001\n"));
        assert!(of(0, 1).contains("needs WAL") && of(1, 0).contains("needs WAL"));
    }
}
