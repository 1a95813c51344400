//! `haulout node vote`: what a node asks for its work, and how much it can hold.

use clap::Args;
use haulout_actors::chain::{Receipt, Votes};
use serde_json::{Value, json};

use super::operator::{Held, Operator};
use crate::cli::Cli;
use crate::cli::output::{Output, size};
use crate::cli::owner::{Consent, one_word};
use crate::config::Size;
use crate::error::Result;
use crate::words::{self, sui};

/// Say what the node asks for its work, and how much it can hold
///
/// The network's prices are the lowest that a quorum of shards finds high enough; they move at the
/// change of epochs, one step at most. What is not named stays as it is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  haulout node vote --storage-price 900FROST --yes\n  haulout \
                        node vote --node tern --capacity 4TiB --dry-run")]
pub(in crate::cli) struct Vote {
    #[command(flatten)]
    amounts: Amounts,
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    consent: Consent,
}

/// What is voted for, at least one thing.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Amounts {
    /// For an encoded MiB and epoch, as in 900FROST
    #[arg(long, value_name = "AMOUNT", value_parser = words::amount)]
    storage_price: Option<u64>,
    /// For writing an encoded MiB, as in 1800FROST
    #[arg(long, value_name = "AMOUNT", value_parser = words::amount)]
    write_price: Option<u64>,
    /// Encoded bytes the node can hold, as in 4TiB
    #[arg(long, value_name = "SIZE")]
    capacity: Option<Size>,
}

impl Vote {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let held = self.operator.find(cli).await?;
        let amounts = &self.amounts;
        let votes = Votes {
            storage: amounts.storage_price,
            write: amounts.write_price,
            capacity: amounts.capacity.map(|size| size.0),
        };
        let (id, text) = (held.cap.node_id.to_string(), to_text(&held, &votes));
        if self.consent.dry_run {
            output.result(&to_json(&held, &votes, None), &id, &text);
        } else if self.consent.given(&text, output).await? {
            let done = held.client.vote(&held.cap, &votes).await?;
            one_word(&done);
            let text = format!("✓ Voted: {text}  gas       {}\n", sui(done.gas));
            output.result(&to_json(&held, &votes, Some(&done)), &id, &text);
        }
        Ok(())
    }
}

fn to_json(held: &Held, votes: &Votes, done: Option<&Receipt>) -> Value {
    let row = &held.node.row;
    json!({
        "dry_run": done.is_none(),
        "node_id": row.node_id.to_string(),
        "before": {
            "storage_frost_per_mib_epoch": row.asks.storage,
            "write_frost_per_mib": row.asks.write,
            "capacity": row.capacity,
        },
        "votes": {
            "storage_frost_per_mib_epoch": votes.storage,
            "write_frost_per_mib": votes.write,
            "capacity": votes.capacity,
        },
        "gas_mist": done.map(|done| done.gas),
        "digest": done.map(|done| &done.digest),
        "only_said_by": done.and_then(|done| done.only_said_by.as_ref()),
    })
}

fn to_text(held: &Held, votes: &Votes) -> String {
    let row = &held.node.row;
    let mut text = format!("{} asks\n", words::label(&row.name));
    if let Some(price) = votes.storage {
        let before = row.asks.storage;
        let (before, after) = (words::wal(before), words::storage_price(price));
        text.push_str(&format!("  storage   {before} -> {after}\n"));
    }
    if let Some(price) = votes.write {
        let (before, after) = (words::wal(row.asks.write), words::write_price(price));
        text.push_str(&format!("  write     {before} -> {after}\n"));
    }
    if let Some(bytes) = votes.capacity {
        text.push_str(&format!("  capacity  {} -> {}\n", size(row.capacity), size(bytes)));
    }
    text
}
