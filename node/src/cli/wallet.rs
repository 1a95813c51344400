//! `haulout wallet`: the account that pays, what it holds, where its key is.
//!
//! Promises: never prints a key. `wallet address` and `wallet ls` need the key file only, no ledger;
//! `wallet new` needs no configuration and overwrites nothing.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use haulout_actors::chain::Balances;
use haulout_protocol::chain::ObjectId;
use serde_json::{Value, json};

use super::Cli;
use super::output::Output;
use crate::config::{Config, WalletPlace, WalletSource};
use crate::contexts;
use crate::error::{Error, Result};
use crate::keys;
use crate::ledger_client::{LedgerClient, account_of};
use crate::sui_wallet::Keystore;
use crate::terminal;
use crate::words::{count, sui, wal};

/// Show the wallet: address, balances, where its key is
#[derive(Debug, Args)]
#[command(after_help = KEY_FORMS)]
pub(super) struct Wallet {
    #[command(subcommand)]
    part: Option<Part>,
}

/// What a wallet's key may look like.
const KEY_FORMS: &str = "\
A wallet is a file with one line that only you can read (mode 0600), in any of these forms:
  ed25519:<64 hex digits>      what `haulout wallet new` writes; secp256k1:<64 hex digits> works, too
  suiprivkey1...               what `sui keytool export` prints
  <44 characters of base64>    one entry of Sui's sui.keystore
Which file: wallet.key_file of the configuration, or HAULOUT_WALLET__KEY_FILE. Without one, Sui's own wallet is used
in place: the active address of ~/.sui/sui_config/client.yaml, or another of its addresses by wallet.address.";

/// The file of a new wallet that was given none, beside the configuration.
const NEW_FILE: &str = "wallet.key";

/// A part of what there is to say.
#[derive(Debug, Subcommand)]
enum Part {
    /// Make a new key in a file of its own, and say how to fund and use it
    New {
        /// The file, which must not exist yet, in a folder that does [default: ~/.config/haulout/wallet.key]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print the address only, without asking the ledger
    Address,
    /// List the addresses to choose from (wallet.address); the one in use has a star
    Ls,
}

impl Wallet {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        match &self.part {
            Some(Part::New { file }) => create(cli, output, file.as_deref())?,
            Some(Part::Address) => {
                let address = account_of(&chosen(&cli.load(Vec::new())?)?)?.to_string();
                output.result(&json!({ "address": address }), &address, &format!("{address}\n"));
            }
            Some(Part::Ls) => list(output, &chosen(&cli.load(Vec::new())?)?)?,
            None => {
                let config = cli.load(Vec::new())?;
                let place = chosen(&config)?;
                let account = account_of(&place)?;
                let balances = LedgerClient::connect(config.client()?).await?.balances().await?;
                report(output, &account, balances, &place);
            }
        }
        Ok(())
    }
}

/// The wallet of a configuration.
fn chosen(config: &Config) -> Result<WalletPlace> {
    config.wallet().ok_or_else(|| keys::no_wallet("this"))
}

/// Makes a new wallet and says what comes next.
fn create(cli: &Cli, output: &Output, file: Option<&Path>) -> Result<()> {
    let is_named = file.is_some();
    let file = file.map_or_else(|| contexts::config_home().join(NEW_FILE), Path::to_path_buf);
    let file = std::path::absolute(&file).map_err(|error| Error::from_io("find", &file, error))?;
    if is_named {
        // A folder that does not exist is most likely a slip, and a key in it would be looked for elsewhere.
        super::must_have_folder(&file)?;
    }
    let address = keys::create_wallet(&file)?.address().to_string();
    let json = json!({ "address": address, "key_file": file.to_string_lossy() });
    let fund = match cli.devnet() {
        Some(_) => format!(
            "`devnet faucet {address}` (this devnet's), or have WAL and SUI sent to the address"
        ),
        None => {
            format!("have WAL and SUI sent to the address; on a devnet: `devnet faucet {address}`")
        }
    };
    output.result(&json, &address, &new_text(&address, &file, &fund));
    Ok(())
}

/// A new wallet, its next steps, and what must not happen to its file.
fn new_text(address: &str, file: &Path, fund: &str) -> String {
    let word = terminal::shell(&file.to_string_lossy());
    let text = Value::from(file.to_string_lossy()).to_string();
    let append =
        format!(r"printf '[wallet]\nkey_file = %s\n' {} >> haulout.toml", terminal::shell(&text));
    format!(
        "✓ New wallet\n\
         address   {address}\n\
         key       {} (mode 0600); keep a copy: without it its coins are lost, and whoever reads it has them\n\
         fund it   {fund}\n\
         use it    export HAULOUT_WALLET__KEY_FILE={word}   # in this shell\n\
         \x20         {append}   # in this folder\n\
         see it    `haulout wallet`\n",
        terminal::path(file)
    )
}

/// The addresses of a keystore, or the one of a key file.
fn list(output: &Output, place: &WalletPlace) -> Result<()> {
    let used = account_of(place);
    let (accounts, others): (Vec<ObjectId>, usize) = match &place.source {
        WalletSource::KeyFile(_) => (used.iter().copied().collect(), 0),
        WalletSource::Sui(config) => {
            let keystore = Keystore::open(config)?;
            (keystore.wallets.iter().map(|it| it.address()).collect(), keystore.others)
        }
    };
    // A keystore without the chosen address is listed all the same: that is how one chooses.
    let used = match (used, accounts.is_empty()) {
        (Err(error), true) => return Err(error),
        (used, _) => used.ok(),
    };
    let mark = |account: &ObjectId| if Some(*account) == used { '*' } else { ' ' };
    let line = |account: &ObjectId| format!("{} {account}\n", mark(account));
    let mut text: String = accounts.iter().map(line).collect();
    if others > 0 {
        let keys = count(others, "key");
        text.push_str(&format!("and {keys} of schemes that cannot be used here\n"));
    }
    let addresses: Vec<String> = accounts.iter().map(ToString::to_string).collect();
    let json = json!({
        "address": used.map(|used| used.to_string()),
        "addresses": addresses,
        "unusable": others,
        "source": source_json(place),
    });
    output.result(&json, &addresses.join("\n"), &text);
    Ok(())
}

fn source_json(place: &WalletPlace) -> Value {
    match &place.source {
        WalletSource::KeyFile(file) => json!({ "key_file": file.to_string_lossy() }),
        WalletSource::Sui(config) => json!({ "sui_config": config.to_string_lossy() }),
    }
}

fn report(output: &Output, account: &ObjectId, balances: Balances, place: &WalletPlace) {
    let address = account.to_string();
    let key_file = match &place.source {
        WalletSource::KeyFile(file) => Some(file.to_string_lossy().into_owned()),
        WalletSource::Sui(_) => None,
    };
    let json = json!({
        "address": address,
        "balances": { "sui_mist": balances.sui, "wal_frost": balances.wal },
        "key_file": key_file,
        "source": source_json(place),
    });
    output.result(&json, &address, &to_text(&address, balances, place));
}

fn to_text(address: &str, balances: Balances, place: &WalletPlace) -> String {
    let key = match (&place.source, place.address) {
        (WalletSource::KeyFile(file), _) => terminal::path(file),
        (WalletSource::Sui(config), None) => {
            format!("Sui's keystore, its active address: {}", terminal::path(config))
        }
        (WalletSource::Sui(config), Some(_)) => {
            format!("Sui's keystore, by wallet.address: {}", terminal::path(config))
        }
    };
    let mut text = format!(
        "address  {address}\nholds    {}\n         {}\nkey      {key}\n",
        wal(balances.wal),
        sui(balances.sui),
    );
    if balances.wal == 0 || balances.sui == 0 {
        text.push_str("storing and staking need WAL, and everything needs SUI for gas\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_that_cannot_store_says_what_it_lacks() {
        let source = WalletSource::KeyFile("w.key".into());
        let place = WalletPlace { source, address: None, setting: String::new() };
        let of = |sui, wal| to_text("0x1", Balances { sui, wal }, &place);
        assert_eq!(of(1, 2_000_000_000).lines().count(), 4);
        assert!(of(1, 2_000_000_000).contains("holds    2 WAL\n         0.000000001 SUI\n"));
        assert!(of(0, 1).contains("need WAL") && of(1, 0).contains("need WAL"));
    }
}
