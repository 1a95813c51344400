//! `haulout node commission`: what a node's operator earns, how much of it, and for whom.
//!
//! Promises: collecting nothing sends nothing, and is no error.

mod receiver;
mod set;

use clap::{Args, Subcommand};
use haulout_actors::chain::Receipt;
use haulout_protocol::chain::object::staking::Authority;
use serde_json::{Value, json};

use super::operator::{Earner, Operator};
use crate::cli::Cli;
use crate::cli::output::Output;
use crate::cli::owner::{Consent, one_word};
use crate::error::Result;
use crate::words::{coins, label, sui, wal, wal_json};

/// What the operator earns: collect it, change how much, choose who collects
// Each verb's help is the text of its struct: words here would cover it.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Commission {
    Collect(Collect),
    Set(set::Set),
    Receiver(receiver::Receiver),
}

/// Collect the commission into the wallet
///
/// The wallet has the node's cap, or is the account that the operator chose as the receiver. What
/// was earned in the last epoch is free once the next committee is chosen. When there is nothing to
/// collect, no transaction is sent, and that is no error.
#[derive(Debug, Args)]
pub(in crate::cli) struct Collect {
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    consent: Consent,
}

impl Commission {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        match self {
            Commission::Collect(collect) => collect.run(cli, output).await,
            Commission::Set(set) => set.run(cli, output).await,
            Commission::Receiver(receiver) => receiver.run(cli, output).await,
        }
    }
}

impl Collect {
    async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let earner = self.operator.earner(cli).await?;
        let free = earner.commission.free;
        let text = format!("collect {} from {}\n", wal(free), label(&earner.name));
        if free == 0 {
            let text = format!("nothing to collect{}\n", blocked(&earner));
            output.result(&to_json(&earner, self.consent.dry_run, None), "0", &text);
        } else if self.consent.dry_run {
            output.result(&to_json(&earner, true, None), &coins(free), &text);
        } else if self.consent.given(&text, output).await? {
            let done = earner.client.collect_commission(earner.collector).await?;
            one_word(&done.1);
            let (paid, gas) = (wal(done.0), sui(done.1.gas));
            let text = format!("✓ Collected  {paid}{}\n  gas  {gas}\n", blocked(&earner));
            output.result(&to_json(&earner, false, Some(&done)), &coins(done.0), &text);
        }
        Ok(())
    }
}

/// What has to wait.
fn blocked(earner: &Earner) -> String {
    match earner.commission.blocked {
        0 => String::new(),
        blocked => format!("; {} more once the next committee is chosen", wal(blocked)),
    }
}

fn to_json(earner: &Earner, dry_run: bool, done: Option<&(u64, Receipt)>) -> Value {
    json!({
        "dry_run": dry_run,
        "node_id": earner.node_id.to_string(),
        "free": wal_json(earner.commission.free),
        "blocked": wal_json(earner.commission.blocked),
        "paid": done.map(|(paid, _)| wal_json(*paid)),
        "gas_mist": done.map(|(_, receipt)| receipt.gas),
        "digest": done.map(|(_, receipt)| &receipt.digest),
        "only_said_by": done.and_then(|(_, receipt)| receipt.only_said_by.as_ref()),
    })
}

/// Who collects, for programs.
pub(super) fn authority_json(authority: &Authority) -> Value {
    match authority {
        Authority::Account(account) => json!({ "account": account.to_string() }),
        Authority::Object(cap) => json!({ "cap": cap.to_string() }),
    }
}
