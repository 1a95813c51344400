//! `haulout node commission receiver`: for whom a node earns.
//!
//! Promises: only who collects now hands it on, and an id that could never collect is refused.
//! Does not: check that anybody has the key of an account; nobody can.

use clap::Args;
use haulout_actors::chain::Changed;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::Authority;
use serde_json::{Value, json};

use super::authority_json;
use crate::cli::Cli;
use crate::cli::node::operator::{Earner, Operator};
use crate::cli::output::Output;
use crate::cli::owner::{Consent, one_word};
use crate::error::{Error, Kind, Result};
use crate::stakes::{self, receiver_text};
use crate::terminal;
use crate::words::{label, sui, wal};

/// Choose who collects the commission
///
/// From then on only that account collects, or hands it on; the node's cap does not any more. What
/// was earned before and is not collected goes to the new receiver, too.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  haulout node commission receiver 0x… --dry-run\n  haulout node \
                        commission receiver --cap --yes   # back to who has the node's cap"
)]
pub(in crate::cli) struct Receiver {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    consent: Consent,
}

/// Who collects from now on.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// The address of an account
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,
    /// Whoever has the node's cap, which this wallet must have
    #[arg(long)]
    cap: bool,
}

/// The address of an account in an argument.
fn account(text: &str) -> Result<ObjectId> {
    text.parse().map_err(|_| {
        let message = format!("`{}` is not an address", terminal::line(text));
        Error::new(Kind::Usage, message).hint(
            "an address is 0x and 64 hex digits; `haulout wallet address` prints that of your wallet",
        )
    })
}

impl Receiver {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let address = self.whom.address.as_deref().map(account).transpose()?;
        let earner = self.operator.earner(cli).await?;
        let after = receiver(address, &earner)?;
        let (id, text) = (earner.node_id.to_string(), to_text(&earner, &after));
        let dry_run = self.consent.dry_run;
        let json = |done: Option<&Changed>| to_json(&earner, &after, dry_run, done);
        if earner.receiver == after {
            let who = receiver_text(&after);
            let text = format!("the commission is for {who} already; nothing was changed\n");
            output.result(&json(None), &id, &text);
        } else if dry_run {
            output.result(&json(None), &id, &text);
        } else if self.consent.given(&text, output).await? {
            let done = earner.client.set_commission_receiver(earner.collector, after).await?;
            one_word(&done.receipt);
            let (name, who) = (label(&earner.name), receiver_text(&after));
            let gas = sui(done.receipt.gas);
            let text = format!("✓ The commission of {name} is for {who}\n  gas  {gas}\n");
            output.result(&json(Some(&done)), &id, &text);
        }
        Ok(())
    }
}

/// The new receiver: an account, or the node's cap in this wallet.
fn receiver(address: Option<ObjectId>, earner: &Earner) -> Result<Authority> {
    if let Some(account) = address {
        stakes::check_receiver(&earner.book.staking, &earner.owned, &account)?;
        return Ok(Authority::Account(account));
    }
    let cap = earner.owned.iter().find(|cap| cap.node_id == earner.node_id);
    cap.map(|cap| Authority::Object(cap.id)).ok_or_else(|| {
        Error::new(Kind::Permission, "the wallet does not have the node's cap")
            .hint("hand the commission to the address of the operator's wallet, which then can")
    })
}

fn to_text(earner: &Earner, after: &Authority) -> String {
    let mut text = format!(
        "the commission of {}\n  now   is for {}\n  then  is for {}\n",
        label(&earner.name),
        receiver_text(&earner.receiver),
        receiver_text(after),
    );
    let earned = earner.commission.free.saturating_add(earner.commission.blocked);
    if earned > 0 {
        text.push_str(&format!("  with  {} that nobody collected yet\n", wal(earned)));
    }
    if matches!(after, Authority::Account(_)) {
        text.push_str("  but   only that account can collect it then, or hand it back\n");
    }
    text
}

fn to_json(earner: &Earner, after: &Authority, dry_run: bool, done: Option<&Changed>) -> Value {
    json!({
        "dry_run": dry_run,
        "changes": earner.receiver != *after,
        "node_id": earner.node_id.to_string(),
        "before": authority_json(&earner.receiver),
        "after": authority_json(after),
        "epoch": done.map(|done| done.epoch),
        "gas_mist": done.map(|done| done.receipt.gas),
        "digest": done.map(|done| &done.receipt.digest),
        "only_said_by": done.and_then(|done| done.receipt.only_said_by.as_ref()),
    })
}
