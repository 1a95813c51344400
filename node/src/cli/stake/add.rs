//! `haulout stake add`: stakes with a node.

use std::time::Duration;

use clap::Args;
use haulout_actors::chain::{Balances, NewReceipt};
use serde_json::{Value, json};

use crate::calendar::Calendar;
use crate::cli::Cli;
use crate::cli::output::Output;
use crate::cli::owner::{Consent, one_word};
use crate::error::Result;
use crate::ledger_client::LedgerClient;
use crate::periods;
use crate::stakes::StakePlan;
use crate::words::{self, coins, percent, sui, wal, wal_json};

/// Stake with a node
///
/// Shows what will happen and asks. The stake is yours: a receipt of it goes to the wallet, and it
/// comes back with its rewards by `haulout stake withdraw`. The wallet pays exactly AMOUNT, and gas.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  haulout stake add tern 500WAL\n  haulout stake add 0x12… \
                        0.5WAL --dry-run\n  haulout stake add tern 500 --yes   # a plain number is \
                        WAL")]
pub(in crate::cli) struct Add {
    /// The node's name, if no other has it, or its id
    #[arg(value_name = "NODE")]
    node: String,
    /// How much: 500WAL, 0.5WAL, 123FROST; a plain number is WAL
    #[arg(value_name = "AMOUNT", value_parser = words::amount)]
    amount: u64,
    #[command(flatten)]
    consent: Consent,
}

impl Add {
    pub(in crate::cli) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let client = LedgerClient::connect(cli.load(Vec::new())?.client()?).await?;
        let plan = client.plan_stake(&self.node, self.amount).await?;
        let balances = client.balances().await?;
        let offer = Offer { plan, balances, calendar: client.calendar() };
        if self.consent.dry_run {
            output.result(&offer.to_json(None), &coins(self.amount), &offer.to_text());
            return Ok(());
        }
        offer.plan.affordable(balances.wal)?;
        if self.consent.given(&offer.to_text(), output).await? {
            let done = client.stake(&offer.plan).await?;
            one_word(&done.receipt);
            output.result(
                &offer.to_json(Some(&done)),
                &done.object.to_string(),
                &offer.done(&done),
            );
        }
        Ok(())
    }
}

/// What will be done, and who pays it from what.
struct Offer {
    plan: StakePlan,
    balances: Balances,
    calendar: Calendar,
}

impl Offer {
    /// How stake with this node is had back.
    fn leaving(&self) -> String {
        let length = match self.calendar.duration_ms {
            0 => String::new(),
            duration => format!(" ({})", periods::spoken(Duration::from_millis(duration))),
        };
        let asked = format!(
            "ask it back any time: paid when the epoch ends, or one epoch{length} later if the \
             next committee counts on it"
        );
        match self.plan.serves {
            true => asked,
            false => format!("at once while no committee has the node; else {asked}"),
        }
    }

    fn to_json(&self, done: Option<&NewReceipt>) -> Value {
        let plan = &self.plan;
        let activation = done.map_or(plan.activation_epoch, |done| done.activation_epoch);
        json!({
            "dry_run": done.is_none(),
            "node": plan.name,
            "node_id": plan.node_id.to_string(),
            "amount": wal_json(plan.amount),
            "commission_bps": plan.commission_bps,
            "activation_epoch": activation,
            "activation": self.calendar.date(activation),
            "leaving": self.leaving(),
            "balance_before": { "wal_frost": self.balances.wal, "sui_mist": self.balances.sui },
            "affordable": self.balances.wal >= plan.amount,
            "receipt": done.map(|done| done.object.to_string()),
            "gas_mist": done.map(|done| done.receipt.gas),
            "digest": done.map(|done| &done.receipt.digest),
            "only_said_by": done.and_then(|done| done.receipt.only_said_by.as_ref()),
        })
    }

    fn to_text(&self) -> String {
        let plan = &self.plan;
        let mut text = format!(
            "stake {} with {}\n  node     {}\n           keeps {} of rewards as its commission\n",
            wal(plan.amount),
            plan.name,
            plan.node_id,
            percent(plan.commission_bps.into()),
        );
        text.push_str(&format!(
            "  works    from {}\n  leaving  {}\n  cost     {} and gas\n  wallet   {}\n",
            self.calendar.until(plan.activation_epoch),
            self.leaving(),
            wal(plan.amount),
            wal(self.balances.wal),
        ));
        if let Err(error) = plan.affordable(self.balances.wal) {
            text.push_str(&format!("  but      {}\n", error.message()));
        }
        text
    }

    fn done(&self, done: &NewReceipt) -> String {
        format!(
            "✓ Staked   {} with {}\n  receipt  {}\n  works    from {}\n  paid     {} + {} \
             gas\n  see      `haulout stake ls`\n",
            wal(self.plan.amount),
            self.plan.name,
            done.object,
            self.calendar.until(done.activation_epoch),
            wal(self.plan.amount),
            sui(done.receipt.gas),
        )
    }
}

#[cfg(test)]
mod tests {
    use haulout_actors::chain::Receipt;
    use haulout_protocol::chain::ObjectId;

    use super::*;
    use crate::stakes::{sample_book, sample_calendar};

    const WAL: u64 = 1_000_000_000;

    fn offer(wal: u64) -> Offer {
        let plan = StakePlan::new(&sample_book(), ObjectId::from_bytes([1; 32]), 2 * WAL).unwrap();
        Offer { plan, balances: Balances { sui: 1, wal }, calendar: sample_calendar() }
    }

    #[test]
    fn what_will_happen_is_shown_with_dates_and_what_is_missing() {
        let text = offer(2 * WAL).to_text();
        assert!(text.starts_with("stake 2 WAL with tern\n"), "{text}");
        assert!(text.contains("works    from epoch 5, about 2027-02-21 14:00 UTC"), "{text}");
        assert!(!text.contains("  but "), "{text}");
        assert!(offer(WAL).to_text().contains("  but      2 WAL are needed"));
    }

    #[test]
    fn the_receipt_is_the_result() {
        let receipt =
            Receipt { digest: "D".to_owned(), checkpoint: None, gas: 1, only_said_by: None };
        let done =
            NewReceipt { object: ObjectId::from_bytes([7; 32]), activation_epoch: 6, receipt };
        let (json, text) = (offer(WAL).to_json(Some(&done)), offer(WAL).done(&done));
        assert_eq!(json["receipt"], format!("0x{}", "07".repeat(32)));
        assert_eq!((&json["activation_epoch"], &json["dry_run"]), (&json!(6), &json!(false)));
        assert!(text.contains("from epoch 6, about"), "the ledger's word counts: {text}");
        assert_eq!(offer(WAL).to_json(None)["affordable"], false);
    }
}
