//! `haulout node commission set`: another part of rewards, from two epochs later on.
//!
//! Promises: the epoch and its date are shown before anybody agrees; what is reported afterwards is
//! the epoch in which the ledger took the change.

use clap::Args;
use haulout_actors::chain::Changed;
use haulout_protocol::chain::call::NodeSetting;
use serde_json::{Value, json};

use crate::calendar::Calendar;
use crate::cli::Cli;
use crate::cli::node::operator::{Held, Operator};
use crate::cli::output::Output;
use crate::cli::owner::{Consent, one_word};
use crate::error::Result;
use crate::stakes::{self, RateChange};
use crate::words::{self, label, percent, sui};

/// Change the operator's part of rewards
///
/// It applies to the rewards of two epochs later on, so that stakers can leave before. Setting it
/// again in the same epoch replaces what was set before.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  haulout node commission set 7.5% --dry-run\n  haulout node \
                        commission set 500bps --node tern --yes")]
pub(in crate::cli) struct Set {
    /// The new part, as 5%, 7.5% or 500bps
    #[arg(value_name = "PART", value_parser = words::basis_points)]
    part: u16,
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    consent: Consent,
}

impl Set {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let held = self.operator.find(cli).await?;
        let change = RateChange::new(&held.node.row, held.book.staking.epoch, self.part);
        let (name, calendar) = (label(&held.node.row.name), held.client.calendar());
        let (id, dry_run) = (held.cap.node_id.to_string(), self.consent.dry_run);
        if change.is_nothing() {
            let part = percent(change.after);
            let text = format!("{name} takes {part} already; nothing was changed\n");
            output.result(&to_json(&held, &change, dry_run, None), &id, &text);
            return Ok(());
        }
        let text = to_text(&name, &change, &calendar);
        if dry_run {
            output.result(&to_json(&held, &change, true, None), &id, &text);
        } else if self.consent.given(&text, output).await? {
            let settings = [NodeSetting::NextCommission(self.part)];
            let done = held.client.change_node(&held.cap, &settings).await?;
            one_word(&done.receipt);
            // The epoch may have ended while somebody was asked.
            let change = RateChange { from_epoch: stakes::first_epoch(done.epoch), ..change };
            let text = to_text(&name, &change, &calendar);
            let text = format!("✓ Set: {text}  gas   {}\n", sui(done.receipt.gas));
            output.result(&to_json(&held, &change, false, Some(&done)), &id, &text);
        }
        Ok(())
    }
}

fn to_text(name: &str, change: &RateChange, calendar: &Calendar) -> String {
    let (from, paid) = (change.from_epoch, change.from_epoch.saturating_add(1));
    format!(
        "{name} takes {} of rewards in place of {}\n  from  the rewards of {}\n  paid  when epoch \
         {paid} begins\n",
        percent(change.after),
        percent(change.before),
        calendar.until(from),
    )
}

fn to_json(held: &Held, change: &RateChange, dry_run: bool, done: Option<&Changed>) -> Value {
    json!({
        "dry_run": dry_run,
        "changes": !change.is_nothing(),
        "node_id": held.cap.node_id.to_string(),
        "commission_bps": held.node.row.commission_bps,
        "before_bps": change.before,
        "after_bps": change.after,
        "from_epoch": change.from_epoch,
        "from": held.client.calendar().date(change.from_epoch),
        "epoch": done.map(|done| done.epoch),
        "gas_mist": done.map(|done| done.receipt.gas),
        "digest": done.map(|done| &done.receipt.digest),
        "only_said_by": done.and_then(|done| done.receipt.only_said_by.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stakes::sample_calendar;

    #[test]
    fn a_change_says_from_which_rewards_on_and_when_that_is() {
        let change = RateChange { from_epoch: 6, before: 500, after: 750 };
        let text = to_text("tern", &change, &sample_calendar());
        assert!(text.starts_with("tern takes 7.5 % of rewards in place of 5 %\n"), "{text}");
        assert!(text.contains("the rewards of epoch 6, about 2027-02-22 14:00 UTC"), "{text}");
        assert!(text.contains("when epoch 7 begins"), "{text}");
    }
}
