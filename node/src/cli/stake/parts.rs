//! `haulout stake split` and `stake join`: receipts in smaller and larger parts.

use clap::Args;
use haulout_actors::chain::Receipt;
use haulout_protocol::chain::ObjectId;
use serde_json::json;

use crate::cli::Cli;
use crate::cli::output::Output;
use crate::cli::owner::{Consent, one_word, parse_object};
use crate::error::Result;
use crate::ledger_client::LedgerClient;
use crate::words::{self, sui, wal, wal_json};

/// Split a receipt in two
///
/// Moves no money and loses no reward; to have only a part back, split it off and withdraw it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Split {
    /// The receipt, as `haulout stake ls` prints it
    #[arg(value_name = "RECEIPT")]
    receipt: String,
    /// The principal of the new receipt: 500WAL, 0.5WAL, 123FROST; a plain number is WAL
    #[arg(value_name = "AMOUNT", value_parser = words::amount)]
    amount: u64,
    #[command(flatten)]
    consent: Consent,
}

/// Join receipts that differ in nothing but their amount
#[derive(Debug, Args)]
pub(in crate::cli) struct Join {
    /// The receipts; all go into the first
    #[arg(value_name = "RECEIPT", required = true, num_args = 2..)]
    receipts: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

impl Split {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let id = receipt(&self.receipt)?;
        let client = LedgerClient::connect(cli.load(Vec::new())?.client()?).await?;
        let plan = client.plan_split(id, self.amount).await?;
        let left = plan.receipt.principal - plan.amount;
        let json = |done: Option<&Receipt>| {
            json!({
                "dry_run": done.is_none(),
                "receipt": id.to_string(),
                "left": wal_json(left),
                "split_off": wal_json(plan.amount),
                "gas_mist": done.map(|done| done.gas),
                "digest": done.map(|done| &done.digest),
                "only_said_by": done.and_then(|done| done.only_said_by.as_ref()),
            })
        };
        let text = format!("{id}  {} stay, {} go\n", wal(left), wal(plan.amount));
        if self.consent.dry_run {
            output.result(&json(None), &id.to_string(), &format!("split  {text}"));
        } else if self.consent.given(&format!("split  {text}"), output).await? {
            let done = client.split(&plan).await?;
            one_word(&done);
            output.result(&json(Some(&done)), &id.to_string(), &done_text("✓ Split", &text, &done));
        }
        Ok(())
    }
}

impl Join {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let ids: Vec<ObjectId> =
            self.receipts.iter().map(String::as_str).map(receipt).collect::<Result<_>>()?;
        let client = LedgerClient::connect(cli.load(Vec::new())?.client()?).await?;
        // The grammar asks for two at least.
        let (into, others) = (ids.first().copied().unwrap_or_default(), ids.get(1..));
        let plan = client.plan_join(into, others.unwrap_or_default()).await?;
        let json = |done: Option<&Receipt>| {
            json!({
                "dry_run": done.is_none(),
                "receipt": plan.into.id.to_string(),
                "joined": plan.others.iter().map(|other| other.id.to_string()).collect::<Vec<_>>(),
                "principal": wal_json(plan.principal),
                "gas_mist": done.map(|done| done.gas),
                "digest": done.map(|done| &done.digest),
                "only_said_by": done.and_then(|done| done.only_said_by.as_ref()),
            })
        };
        let id = plan.into.id.to_string();
        let text = format!("{id}  will hold {}\n", wal(plan.principal));
        if self.consent.dry_run {
            output.result(&json(None), &id, &format!("join  {text}"));
        } else if self.consent.given(&format!("join  {text}"), output).await? {
            let done = client.join(&plan).await?;
            one_word(&done);
            let text = format!("{id}  holds {}\n", wal(plan.principal));
            output.result(&json(Some(&done)), &id, &done_text("✓ Joined", &text, &done));
        }
        Ok(())
    }
}

fn done_text(verb: &str, text: &str, done: &Receipt) -> String {
    format!("{verb}  {text}  gas    {}\n  see    `haulout stake ls`\n", sui(done.gas))
}

/// The id of a receipt in an argument.
pub(super) fn receipt(text: &str) -> Result<ObjectId> {
    parse_object(text, "`haulout stake ls`", "`haulout stake ls` lists your receipts and their ids")
}
