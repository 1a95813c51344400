//! `haulout extend`: buys more epochs for a blob the wallet owns.

use clap::Args;
use haulout_actors::chain::{Balances, Receipt};
use haulout_protocol::blob::BlobId;
use serde_json::{Value, json};

use super::Cli;
use super::output::Output;
use super::owner::{Consent, Which, one_word, skipped_json, skipped_text};
use crate::calendar::Calendar;
use crate::error::Result;
use crate::holdings::ExtensionPlan;
use crate::ledger_client::LedgerClient;
use crate::words::{self, coins, count};

/// Keep a blob for more epochs
///
/// Shows the cost first and asks. All objects the wallet has for the blob id are extended, unless
/// --object names one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  haulout extend ID --epochs 5 --dry-run   # what would it \
                        cost?\n  haulout extend ID --epochs 5 --yes")]
pub(super) struct Extend {
    #[command(flatten)]
    which: Which,
    /// How many epochs more
    #[arg(long, value_name = "N", value_parser = words::epochs)]
    epochs: u32,
    #[command(flatten)]
    consent: Consent,
}

impl Extend {
    pub(super) async fn run(&self, cli: &Cli, output: &Output) -> Result<()> {
        let target = self.which.target(&format!("`haulout extend ID --epochs {}`", self.epochs))?;
        let client = LedgerClient::connect(cli.load(Vec::new())?.client()?).await?;
        let plan = client.plan_extension(&target, self.epochs).await?;
        let balances = client.balances().await?;
        let offer = Offer { plan, balances, calendar: client.calendar() };
        let cost = coins(offer.plan.total);
        if self.consent.dry_run {
            output.result(&offer.to_json(None), &cost, &offer.to_text());
            return Ok(());
        }
        offer.plan.affordable(balances.wal)?;
        if self.consent.given(&offer.to_text(), output).await? {
            let receipt = client.extend(&offer.plan).await?;
            one_word(&receipt);
            output.result(&offer.to_json(Some(&receipt)), &cost, &offer.done(&receipt));
        }
        Ok(())
    }
}

/// What will be done, and who pays it from what.
struct Offer {
    plan: ExtensionPlan,
    balances: Balances,
    calendar: Calendar,
}

impl Offer {
    fn blob_id(&self) -> String {
        let first = self.plan.objects.first();
        first.map(|(blob, _)| BlobId::from_bytes(blob.blob_id).to_string()).unwrap_or_default()
    }

    /// The objects with their ends before and after, and prices.
    fn objects(&self) -> impl Iterator<Item = (String, u32, u32, u64)> + '_ {
        self.plan.objects.iter().map(|(blob, price)| {
            let end = blob.storage.end_epoch;
            (blob.id.to_string(), end, end.saturating_add(self.plan.epochs), *price)
        })
    }

    fn to_json(&self, receipt: Option<&Receipt>) -> Value {
        let object = |(object_id, before, after, price)| {
            json!({
                "object_id": object_id,
                "end_epoch_before": before,
                "end_epoch": after,
                "end": self.calendar.date(after),
                "wal_frost": price,
            })
        };
        json!({
            "blob_id": self.blob_id(),
            "dry_run": receipt.is_none(),
            "epochs": self.plan.epochs,
            "objects": self.objects().map(object).collect::<Vec<_>>(),
            "skipped": skipped_json(&self.plan.skipped),
            "cost": { "wal_frost": self.plan.total, "gas_mist": receipt.map(|it| it.gas) },
            "balance_before": { "wal_frost": self.balances.wal, "sui_mist": self.balances.sui },
            "affordable": self.balances.wal >= self.plan.total,
            "digest": receipt.map(|receipt| &receipt.digest),
            "only_said_by": receipt.and_then(|receipt| receipt.only_said_by.as_ref()),
        })
    }

    fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.blob_id());
        for (id, before, after, price) in self.objects() {
            let (until, price) = (self.calendar.until(after), coins(price));
            text.push_str(&format!(
                "  object  {id}\n          epoch {before} -> {until} · {price} WAL\n"
            ));
        }
        text.push_str(&skipped_text(&self.plan.skipped));
        text.push_str(&format!(
            "  cost    {} WAL and gas for {} more{}\n  wallet  {} WAL\n",
            coins(self.plan.total),
            count(self.plan.epochs as usize, "epoch"),
            if self.plan.objects.len() == 1 { "" } else { " of each object" },
            coins(self.balances.wal),
        ));
        if let Err(error) = self.plan.affordable(self.balances.wal) {
            text.push_str(&format!("  but     {}\n", error.message()));
        }
        text
    }

    fn done(&self, receipt: &Receipt) -> String {
        let mut text = format!("✓ Extended  {}\n", self.blob_id());
        for (id, _, after, _) in self.objects() {
            let until = self.calendar.until(after);
            text.push_str(&format!("  object  {id}\n  until   {until} (exclusive)\n"));
        }
        text.push_str(&skipped_text(&self.plan.skipped));
        text.push_str(&format!(
            "  paid    {} WAL + {} SUI gas\n",
            coins(self.plan.total),
            coins(receipt.gas)
        ));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holdings::{sample, sample_position};

    fn offer(wal: u64) -> Offer {
        let blobs = vec![sample(1, Some(1), 6), sample(1, None, 7)];
        let plan = ExtensionPlan::new(blobs, 3, &sample_position()).unwrap();
        let calendar = Calendar { epoch: 4, started_ms: 0, duration_ms: 0, now_ms: 0, ahead_ms: 0 };
        Offer { plan, balances: Balances { sui: 1, wal }, calendar }
    }

    fn receipt() -> Receipt {
        Receipt { digest: "D".to_owned(), checkpoint: Some(1), gas: 2_000_000, only_said_by: None }
    }

    #[test]
    fn the_cost_is_shown_with_what_is_left_alone_and_what_is_missing() {
        let text = offer(45).to_text();
        assert!(text.contains("epoch 6 -> epoch 9 · 0.000000045 WAL"), "{text}");
        assert!(text.contains("left alone: the blob object 0x07"), "{text}");
        assert!(!text.contains("  but "), "{text}");
        assert!(offer(44).to_text().contains("  but     it costs"));
    }

    #[test]
    fn a_dry_run_and_the_act_have_the_same_json_but_for_the_receipt() {
        let (dry, done) = (offer(44).to_json(None), offer(44).to_json(Some(&receipt())));
        assert_eq!((&dry["dry_run"], &done["dry_run"]), (&json!(true), &json!(false)));
        assert_eq!((&dry["digest"], &done["digest"]), (&Value::Null, &json!("D")));
        assert_eq!(dry["affordable"], false);
        assert_eq!(dry["objects"], done["objects"]);
        assert_eq!(done["objects"][0]["end_epoch"], 9);
        assert_eq!(done["cost"], json!({ "wal_frost": 45, "gas_mist": 2_000_000 }));
        assert_eq!(done["skipped"][0]["kind"], "NOT_FOUND");
    }

    #[test]
    fn the_result_says_until_when_and_what_was_paid() {
        let text = offer(45).done(&receipt());
        assert!(text.starts_with("✓ Extended  AQEB"), "{text}");
        assert!(text.contains("until   epoch 9 (exclusive)"), "{text}");
        assert!(text.contains("paid    0.000000045 WAL + 0.002 SUI gas"), "{text}");
    }
}
