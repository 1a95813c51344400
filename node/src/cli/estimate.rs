//! `haulout put --dry-run`: what a put would do and cost.
//!
//! Promises: makes the plan that the put itself would make, of the same facts; sends no byte of the file; needs no
//! wallet. Does not: know what a caller without a wallet has already.

use haulout_actors::chain::Balances;
use haulout_actors::session::upload::PutOptions;
use haulout_protocol::blob::BlobId;
use haulout_protocol::machine::put_plan::{self, Plan};
use haulout_protocol::machine::space::Space;
use serde_json::{Value, json};

use super::output::{Output, size};
use super::plan;
use crate::calendar::Calendar;
use crate::config::ClientConfig;
use crate::error::Result;
use crate::input::Input;
use crate::ledger_client::LedgerClient;
use crate::light_client::LightClient;
use crate::progress::{self, Stages};
use crate::words::{coins, label, wal};

/// Prints what a put would do and cost.
pub(super) async fn show(
    config: ClientConfig,
    output: &Output,
    input: Input,
    options: PutOptions,
    public_name: Option<String>,
) -> Result<()> {
    let ledger = LedgerClient::connect(config.clone()).await?;
    let terms = ledger.view().position.terms();
    put_plan::check_end(terms.epoch.saturating_add(options.epochs), &terms)?;
    let (name, length) = (input.name().to_owned(), input.length());
    let client = LightClient::connect(config).await?;
    let stages = Stages::new(output.bars(), &progress::PUT, length, client.shards());
    let planned = client.plan_put(input.into_source(), options, &stages.observer()).await;
    stages.finish();
    client.close().await;
    let (blob_id, agreed) = planned?;
    let balances = match ledger.account() {
        Some(_) => Some(ledger.balances().await?),
        None => None,
    };
    let encoded = ledger.quote(length, options.epochs)?.encoded_bytes;
    let calendar = ledger.calendar();
    let plan = agreed.plan;
    let estimate =
        Estimate { name, public_name, length, encoded, blob_id, plan, balances, calendar };
    let cost = coins(estimate.plan.price());
    output.result(&estimate.to_json(), &cost, &estimate.to_text());
    Ok(())
}

/// What a put would do and cost, and from what it would be paid.
struct Estimate {
    name: String,
    /// What would be written on the ledger.
    public_name: Option<String>,
    length: u64,
    encoded: u64,
    blob_id: BlobId,
    plan: Plan,
    balances: Option<Balances>,
    calendar: Calendar,
}

impl Estimate {
    fn to_json(&self) -> Value {
        let plan = plan::to_json(&self.plan);
        json!({
            "dry_run": true,
            "blob_id": self.blob_id.to_string(),
            "public_name": self.public_name,
            "size": self.length,
            "encoded_size": self.encoded,
            "end_epoch": self.plan.end_epoch(),
            "end": self.calendar.date(self.plan.end_epoch()),
            "action": plan["action"],
            "cost": {
                "wal_frost": plan["wal_frost"],
                "storage_frost": plan["storage_frost"],
                "write_frost": plan["write_frost"],
            },
            "plan": plan,
            "affordable": self.balances.map(|balances| balances.wal >= self.plan.price()),
        })
    }

    fn to_text(&self) -> String {
        let price = self.plan.price();
        let mut text = format!(
            "{}  {} ({} encoded)\n  blob    {}\n  plan    {}\n{}",
            self.name,
            size(self.length),
            size(self.encoded),
            self.blob_id,
            plan::sentence(&self.plan),
            plan::reused(&self.plan),
        );
        text.push_str(&match &self.plan {
            Plan::Nothing { .. } => "  cost    nothing\n".to_owned(),
            Plan::Register { space, write } => format!(
                "  cost    {} and gas: {} for storage, {} for writing\n",
                wal(price),
                wal(Space::price(space)),
                wal(*write)
            ),
            Plan::Extend { .. } | Plan::Certify { .. } => {
                format!("  cost    {} and gas\n", wal(price))
            }
        });
        if let Some(name) = &self.public_name {
            let name = label(name);
            text.push_str(&format!("  name    {name} on the ledger: the gas of a transaction\n"));
        }
        let until = self.calendar.until(self.plan.end_epoch());
        text.push_str(&format!("  until   {until} (exclusive)\n"));
        if let Some(Balances { wal: held, .. }) = self.balances {
            let lack = if held < price { ", too little" } else { "" };
            text.push_str(&format!("  wallet  {}{lack}\n", wal(held)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::plan::samples::sample_plan;
    use super::*;

    fn estimate(plan: Plan, balances: Option<Balances>) -> Estimate {
        Estimate {
            name: "file".to_owned(),
            public_name: Some("a\n.txt".to_owned()),
            length: 1 << 20,
            encoded: 2 << 20,
            blob_id: BlobId::from_bytes([1; 32]),
            plan,
            balances,
            calendar: Calendar { epoch: 4, started_ms: 0, duration_ms: 0, now_ms: 0 },
        }
    }

    #[test]
    fn an_estimate_says_what_is_missing_and_does_without_a_wallet() {
        // Two MiB for five epochs at 5 FROST, and writing them for 1.
        let of = |wal: Option<u64>| {
            estimate(sample_plan(false, false), wal.map(|wal| Balances { sui: 0, wal }))
        };
        assert!(of(Some(51)).to_text().contains("wallet  0.000000051 WAL, too little"));
        assert_eq!(of(Some(51)).to_json()["affordable"], false);
        assert!(of(Some(52)).to_text().ends_with("wallet  0.000000052 WAL\n"));
        let none = of(None);
        assert!(none.to_text().ends_with("until   epoch 9 (exclusive)\n"), "{}", none.to_text());
        assert!(
            none.to_text().contains("name    a\\n.txt on the ledger: the gas"),
            "{}",
            none.to_text()
        );
        let json = none.to_json();
        assert_eq!(json["public_name"], "a\n.txt");
        assert_eq!((&json["affordable"], &json["cost"]["wal_frost"]), (&Value::Null, &json!(52)));
    }

    #[test]
    fn an_estimate_shows_what_is_reused_and_what_is_only_extended() {
        let reused = estimate(sample_plan(false, true), None);
        assert!(reused.to_text().contains("saves 0.00000004 WAL"), "{}", reused.to_text());
        assert_eq!(reused.to_json()["plan"]["saved_frost"], 40);
        let extended = estimate(sample_plan(true, false), None);
        assert!(extended.to_text().contains("plan    extend your object"));
        assert_eq!(extended.to_json()["action"], "extend");
        let nothing = Plan::Nothing { existing: None, end_epoch: 9 };
        assert!(estimate(nothing, None).to_text().contains("cost    nothing\n"));
    }
}
