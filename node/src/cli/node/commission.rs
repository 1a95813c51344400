//! `haulout node commission`: what a node's operator earned.

use clap::{Args, Subcommand};
use haulout_actors::chain::Receipt;
use serde_json::{Value, json};

use super::operator::{Held, Operator};
use crate::cli::Cli;
use crate::cli::output::Output;
use crate::cli::owner::Consent;
use crate::error::Result;
use crate::stakes::OwnNode;
use crate::words::{coins, label, object, wal, wal_json};

/// What the operator earned
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Commission {
    Collect(Collect),
}

/// Have the commission paid to the wallet
///
/// What was earned in the last epoch is free once the next committee is chosen. When there is
/// nothing to collect, no transaction is sent, and that is no error.
#[derive(Debug, Args)]
pub(in crate::cli) struct Collect {
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    consent: Consent,
}

impl Commission {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let Commission::Collect(collect) = self;
        collect.consent.check(output)?;
        let held = collect.operator.find(cli).await?;
        OwnNode::check_receiver(&held.book.staking, &held.cap)?;
        let free = held.node.commission.free;
        let text = format!("collect {} from {}\n", wal(free), label(&held.node.row.name));
        if free == 0 {
            let text = format!("nothing to collect{}\n", blocked(&held));
            output.result(&to_json(&held, collect.consent.dry_run, None), "0", &text);
        } else if collect.consent.dry_run {
            output.result(&to_json(&held, true, None), &coins(free), &text);
        } else if collect.consent.given(&text).await? {
            let done = held.client.collect_commission(&held.cap).await?;
            let (paid, gas) = (wal(done.0), coins(done.1.gas));
            let text = format!("✓ Collected  {paid}{}\n  gas  {gas} SUI\n", blocked(&held));
            output.result(&to_json(&held, false, Some(&done)), &coins(done.0), &text);
        }
        Ok(())
    }
}

/// What has to wait.
fn blocked(held: &Held) -> String {
    match held.node.commission.blocked {
        0 => String::new(),
        blocked => format!("; {} more once the next committee is chosen", wal(blocked)),
    }
}

fn to_json(held: &Held, dry_run: bool, done: Option<&(u64, Receipt)>) -> Value {
    json!({
        "dry_run": dry_run,
        "node_id": object(&held.cap.node_id),
        "free": wal_json(held.node.commission.free),
        "blocked": wal_json(held.node.commission.blocked),
        "paid": done.map(|(paid, _)| wal_json(*paid)),
        "gas_mist": done.map(|(_, receipt)| receipt.gas),
        "digest": done.map(|(_, receipt)| &receipt.digest),
    })
}
