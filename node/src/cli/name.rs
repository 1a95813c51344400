//! `haulout name`: writes the name of a blob the wallet owns on the ledger.

use clap::Args;
use serde_json::json;

use super::Cli;
use super::output::Output;
use super::owner::{one_word, parse_object};
use super::put;
use crate::error::Result;
use crate::ledger_client::LedgerClient;
use crate::words::{label, sui};

/// What to do with a blob's id, which names no object.
const OF_BLOB: &str = "`haulout ls --wide` lists your objects beside their blobs";

/// Write a blob's name on the ledger, where everybody can read it
///
/// The blob stays as it is: nothing is stored, and only a transaction's gas is paid, and none if the name is there
/// already. `haulout ls` shows it on your other machines.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  haulout name OBJECT holidays.tar   # OBJECT as `haulout ls --wide` prints it"
)]
pub(super) struct Name {
    /// The blob object
    #[arg(value_name = "OBJECT")]
    object: String,
    /// Its name
    #[arg(value_name = "NAME", value_parser = put::name)]
    name: String,
}

impl Name {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let object = parse_object(&self.object, "`haulout ls --wide`", OF_BLOB)?;
        let client = LedgerClient::connect(cli.load(Vec::new())?.client()?).await?;
        let written = client.publish_name(&object, &self.name).await?;
        written.iter().for_each(one_word);
        let json = json!({
            "object_id": object.to_string(),
            "name": self.name,
            "gas_mist": written.as_ref().map_or(0, |done| done.gas),
            "digest": written.as_ref().map(|done| &done.digest),
            "only_said_by": written.as_ref().and_then(|done| done.only_said_by.as_ref()),
        });
        let name = label(&self.name);
        let text = match &written {
            Some(done) => {
                format!("✓ Named {object} {name}\n  paid  {} gas\n", sui(done.gas))
            }
            None => format!("{object} is named {name} already; nothing was paid.\n"),
        };
        output.result(&json, &object.to_string(), &text);
        Ok(())
    }
}
