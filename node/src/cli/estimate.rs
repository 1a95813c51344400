//! `haulout put --dry-run`: what a put would do and cost.
//!
//! Promises: makes the plan that the put itself would make, of the same facts; sends no byte of the file; needs no
//! wallet. Does not: know what a caller without a wallet has already.

use haulout_actors::chain::Balances;
use haulout_actors::session::Observer;
use haulout_actors::session::upload::PutOptions;
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
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
use crate::words::{coins, count, label, wal};

/// Prints what a put would do and cost.
pub(super) async fn show(
    config: ClientConfig,
    output: &Output,
    input: Input,
    options: PutOptions,
    public_name: Option<String>,
) -> Result<()> {
    let estimator = Estimator::connect(config, options).await?;
    let (bars, length) = (output.bars(), Some(input.length()));
    let stages = Stages::new(bars, &progress::PUT, length, estimator.client.shards());
    let estimated = estimator.estimate(input, public_name, &stages.observer()).await;
    stages.finish();
    estimator.close().await;
    let estimate = estimated?;
    output.result(&estimate.to_json(), &estimate.cost(), &estimate.to_text());
    Ok(())
}

/// Whoever knows what puts would do and cost now.
pub(super) struct Estimator {
    ledger: LedgerClient,
    client: LightClient,
    options: PutOptions,
    balances: Option<Balances>,
}

impl Estimator {
    /// Asks the ledger what it sells, and for how long.
    pub(super) async fn connect(config: ClientConfig, options: PutOptions) -> Result<Self> {
        let ledger = LedgerClient::connect(config.clone()).await?;
        let terms = ledger.view().position.terms();
        put_plan::check_end(terms.epoch.saturating_add(options.epochs), &terms)?;
        let balances = match ledger.account() {
            Some(_) => Some(ledger.balances().await?),
            None => None,
        };
        let client = LightClient::connect(config).await?;
        Ok(Self { ledger, client, options, balances })
    }

    /// What one put would do and cost.
    pub(super) async fn estimate(
        &self,
        input: Input,
        public_name: Option<String>,
        observer: &Observer,
    ) -> Result<Estimate> {
        let (name, length) = (input.name().to_owned(), input.length());
        let planned = self.client.plan_put(input.into_source(), self.options, observer);
        let (blob_id, agreed) = planned.await?;
        let encoded = self.ledger.quote(length, self.options.epochs)?.encoded_bytes;
        let (calendar, balances) = (self.ledger.calendar(), self.balances);
        let plan = agreed.plan;
        Ok(Estimate {
            name,
            public_name,
            length,
            encoded,
            blob_id,
            plan,
            balances,
            calendar,
            is_repeated: false,
        })
    }

    /// What the wallet holds, if there is one.
    pub(super) fn balances(&self) -> Option<Balances> {
        self.balances
    }

    pub(super) async fn close(self) {
        self.client.close().await;
    }
}

/// What several puts would cost together.
#[derive(Debug, Default)]
pub(super) struct Sum {
    files: usize,
    frost: u64,
    /// Storage that plans would use; each was made as if it were the only one.
    reused: Vec<ObjectId>,
    /// Files of which it cannot be told.
    pub(super) failed: usize,
}

impl Sum {
    pub(super) fn add(&mut self, estimate: &Estimate) {
        self.files += 1;
        self.frost = self.frost.saturating_add(estimate.plan.price());
        let cut = estimate.plan.space().and_then(|space| space.reused.as_ref());
        self.reused.extend(cut.map(|cut| cut.storage.id));
    }

    pub(super) fn to_text(&self, balances: Option<Balances>) -> String {
        let files = count(self.files + self.failed, "file");
        let failed =
            if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        let mut text = format!("{files}{failed}: {} and gas", wal(self.frost));
        if let Some(Balances { wal: held, .. }) = balances {
            let lack = if held < self.frost { ", too little" } else { "" };
            text.push_str(&format!("; the wallet holds {}{lack}", wal(held)));
        }
        let mut reused = self.reused.clone();
        reused.sort_unstable();
        reused.dedup();
        if reused.len() < self.reused.len() {
            text.push_str("; more if several of them use up the same storage of yours");
        }
        text
    }
}

/// What a put would do and cost, and from what it would be paid.
pub(super) struct Estimate {
    name: String,
    /// What would be written on the ledger.
    public_name: Option<String>,
    length: u64,
    encoded: u64,
    blob_id: BlobId,
    plan: Plan,
    balances: Option<Balances>,
    calendar: Calendar,
    /// Whether a file before it in the same command has the same bytes.
    is_repeated: bool,
}

impl Estimate {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn blob_id(&self) -> BlobId {
        self.blob_id
    }

    /// The cost in WAL, as a bare number.
    pub(super) fn cost(&self) -> String {
        coins(self.plan.price())
    }

    /// Takes it that the same bytes were put just before.
    pub(super) fn repeat(&mut self) {
        self.is_repeated = true;
        self.plan = Plan::Nothing { existing: None, end_epoch: self.plan.end_epoch() };
    }

    fn plan_in_words(&self) -> String {
        match self.is_repeated {
            true => "nothing: a file before it has the same bytes".to_owned(),
            false => plan::sentence(&self.plan),
        }
    }

    pub(super) fn to_json(&self) -> Value {
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

    pub(super) fn to_text(&self) -> String {
        let price = self.plan.price();
        let mut text = format!(
            "{}  {} ({} encoded)\n  blob    {}\n  plan    {}\n{}",
            self.name,
            size(self.length),
            size(self.encoded),
            self.blob_id,
            self.plan_in_words(),
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
            calendar: Calendar { epoch: 4, started_ms: 0, duration_ms: 0, now_ms: 0, ahead_ms: 0 },
            is_repeated: false,
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
    fn a_sum_says_what_is_missing_and_that_storage_cannot_be_used_twice() {
        let mut sum = Sum::default();
        sum.add(&estimate(sample_plan(false, false), None));
        let mut twice = estimate(sample_plan(false, false), None);
        twice.repeat();
        assert!(twice.to_text().contains("nothing: a file before it"), "{}", twice.to_text());
        sum.add(&twice);
        assert_eq!(sum.to_text(None), "2 files: 0.000000052 WAL and gas");
        let held = |wal| sum.to_text(Some(Balances { sui: 0, wal }));
        assert!(held(51).ends_with("the wallet holds 0.000000051 WAL, too little"), "{}", held(51));
        assert!(held(52).ends_with("the wallet holds 0.000000052 WAL"), "{}", held(52));
        let mut sum = Sum { failed: 1, ..Sum::default() };
        for _ in 0..2 {
            sum.add(&estimate(sample_plan(false, true), None));
        }
        let text = sum.to_text(None);
        assert!(text.starts_with("3 files, 1 failed: ") && text.contains("; more if"), "{text}");
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
